//! `ralph loop` end to end: real repositories, real processes, a scripted agent.

mod command_line;
mod continuous;
mod gauntlet;
mod killed;
mod outcomes;
