//! The embedded cluster with real processes. Each test waits for a state; nothing sleeps for time to pass.

mod arrays;
mod bed;
mod dependencies;
mod script;
mod states;
mod submission;
