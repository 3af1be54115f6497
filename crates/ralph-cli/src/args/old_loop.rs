//! Options of the loop that `ralph loop` replaces, which need no help text but an answer: what is done anyway is
//! accepted, what is done otherwise is said, what is not done at all is refused with what to do instead.
//! [`crate::commands`] answers; here they are as typed.

use clap::Args;

/// The options that only the replaced loop has a use for.
#[derive(Debug, Clone, Default, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one member per flag of the command line"
)]
pub struct OldLoop {
    /// N workers without terminal tabs; the same as `--parallel N --no-tabs`
    #[arg(long, value_name = "N", hide = true)]
    pub parallel_bg: Option<String>,
    /// What claude was to print: json or text
    #[arg(long, value_name = "FORMAT", hide = true)]
    pub output_format: Option<String>,
    /// Hours for which a session was taken up again
    #[arg(long, value_name = "HOURS", hide = true)]
    pub session_expiry: Option<String>,
    /// A session for every attempt
    #[arg(long, hide = true)]
    pub no_continue: bool,
    /// Forget the session
    #[arg(long, hide = true)]
    pub reset_session: bool,
    /// Show what the agent prints
    #[arg(long, short, hide = true)]
    pub live: bool,
    /// Panes of tmux
    #[arg(long, short, hide = true)]
    pub monitor: bool,
    /// Agents in the user's own checkout
    #[arg(long, hide = true)]
    pub no_worktree: bool,
}
