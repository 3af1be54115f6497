//! Plans of a folder of repositories: which sections are which repositories, and filters.
