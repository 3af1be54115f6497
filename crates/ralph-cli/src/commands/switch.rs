//! `ralph on` and `ralph off`: whether the Stop hook keeps sessions going.

use ralph_core::store::{atomic, layout};

use crate::args::Global;
use crate::exit::{Outcome, printed};
use crate::output::Output;
use crate::workspace::find_root;

/// Switches the loop on.
pub(crate) fn on(global: &Global, output: &Output) -> Outcome {
    let root = find_root(global)?;
    atomic::replace(&root.join(layout::ENABLED), b"")?;
    // A loop that is switched on begins to count anew.
    atomic::remove(&root.join(layout::LOOP_STATE))?;
    printed(
        output.print("The loop is on: the Stop hook keeps a session going while work remains."),
    )?;
    Ok(None)
}

/// Switches the loop off.
pub(crate) fn off(global: &Global, output: &Output) -> Outcome {
    let root = find_root(global)?;
    atomic::remove(&root.join(layout::ENABLED))?;
    printed(output.print("The loop is off: sessions may stop."))?;
    Ok(None)
}
