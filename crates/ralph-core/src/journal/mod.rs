//! One operation, many files.
