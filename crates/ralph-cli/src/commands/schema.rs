//! `ralph __schema`: the JSON schemas of the `--json` outputs; `cargo xtask generate` writes them to `docs/schema/`.

use crate::render::schemas;
use ralph_front::failure::{Outcome, printed};
use ralph_front::output::Output;

/// Prints one object with a schema per output.
pub(crate) fn run(output: &Output) -> Outcome {
    printed(output.json(&schemas::all()))?;
    Ok(None)
}
