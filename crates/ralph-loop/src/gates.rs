//! The repository's own checks, each with its limit, judged against the base commit.
