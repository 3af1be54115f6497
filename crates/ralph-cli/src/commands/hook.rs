//! `ralph hook stop`: JSON on standard input; exit 0 = may stop, 2 = work remains, with the message on stderr.

use std::io::Read as _;

use jiff::tz::TimeZone;
use ralph_core::error::Code;

use crate::args::Global;
use crate::env_vars;
use crate::workspace::{env, find_root};
use ralph_front::failure::Outcome;
use ralph_front::output::Output;

/// Whatever goes wrong here lets the session stop: a hook that fails must never hold one.
pub(crate) fn stop(global: &Global, output: &Output) -> Outcome {
    let mut input = Vec::new();
    // An agent that sends nothing, or rubbish, is one without a session id.
    let _ = std::io::stdin()
        .lock()
        .take(1 << 20)
        .read_to_end(&mut input);
    let stated = global
        .root
        .is_none()
        .then(|| env_vars::path(env_vars::CLAUDE_PROJECT_DIR))
        .flatten();
    let root = match stated {
        Some(root) => root,
        None => find_root(global)?,
    };
    let outcome = ralph_core::hook::run(&root, &input, &env(), TimeZone::system);
    if !outcome.stderr.is_empty() {
        output.error_line(outcome.stderr.trim_end());
    }
    Ok((outcome.exit == 2).then_some(Code::Usage))
}
