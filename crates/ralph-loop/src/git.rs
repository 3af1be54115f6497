//! The git program: run with a deadline, never asking, its failures as errors.
