//! `ralph __schema`: the JSON schemas of the `--json` outputs; `cargo xtask generate` writes them to `docs/schema/`.

use ralph_core::report::DispatchReport;
use schemars::schema_for;
use serde_json::json;

use crate::exit::{Outcome, printed};
use crate::output::Output;
use crate::render::status::StatusReport;

/// Prints one object with a schema per output.
pub(crate) fn run(output: &Output) -> Outcome {
    let schemas = json!({
        "dispatch": schema_for!(DispatchReport),
        "status": schema_for!(StatusReport),
    });
    printed(output.json(&schemas))?;
    Ok(None)
}
