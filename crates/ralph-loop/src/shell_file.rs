//! Assignments of a bash file, read without running it.
