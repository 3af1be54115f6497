//! Detached processes.
