//! Coding agents: how each is started, and what its streams mean.
