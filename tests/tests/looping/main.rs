//! `ralph loop` end to end: real repositories, real processes, a scripted agent.

mod command_line;
mod continuous;
mod defects;
mod killed;
mod old_flags;
mod outcomes;
mod pull_requests;
mod recovery;
mod selection;
mod workspaces;
