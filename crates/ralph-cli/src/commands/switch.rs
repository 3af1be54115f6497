//! `ralph on` and `ralph off`: whether the Stop hook keeps sessions going.

use ralph_core::store::{atomic, layout};

use crate::args::Global;
use crate::render::SCHEMA_VERSION;
use crate::render::answers::SwitchReport;
use crate::workspace::find_root;
use ralph_front::failure::Outcome;
use ralph_front::output::Output;

/// Switches the loop on.
pub(crate) fn on(global: &Global, output: &Output) -> Outcome {
    let root = find_root(global)?;
    atomic::create_dir(&root.join(layout::RALPH_DIR))?;
    atomic::replace(&root.join(layout::ENABLED), b"")?;
    // A loop that is switched on begins to count anew.
    atomic::remove(&root.join(layout::LOOP_STATE))?;
    answer(
        output,
        true,
        "The loop is on: the Stop hook keeps a session going while work remains.",
    )
}

/// Switches the loop off.
pub(crate) fn off(global: &Global, output: &Output) -> Outcome {
    let root = find_root(global)?;
    atomic::remove(&root.join(layout::ENABLED))?;
    answer(output, false, "The loop is off: sessions may stop.")
}

fn answer(output: &Output, enabled: bool, words: &str) -> Outcome {
    output.answer(
        &SwitchReport {
            schema_version: SCHEMA_VERSION,
            enabled,
        },
        words,
    )?;
    Ok(None)
}
