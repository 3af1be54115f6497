//! Failure classification.
