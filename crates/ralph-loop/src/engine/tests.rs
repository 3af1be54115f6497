//! Documented streams in, verdicts out: cut into pieces at random, and no text makes a reader panic.
