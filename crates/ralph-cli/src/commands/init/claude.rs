//! What a coding agent that sits in the workspace gets: slash commands, the Stop hook, and shims in the place of the
//! scripts that `ralph` replaces.

use ralph_core::error::Code;
use ralph_core::pipeline::{PipelineEdit, PipelineFile};
use ralph_slurm::shims;
use serde_json::{Value, json};

use super::files::Files;
use crate::render::answers::InitDone;
use ralph_front::failure::Failure;

const SETTINGS: &str = ".claude/settings.json";
const HOOK: &str = "ralph hook stop";
const SHIMS: &str = "scripts/cluster";
const COMMANDS: [(&str, &str); 2] = [
    (
        ".claude/commands/dispatch.md",
        include_str!("../../templates/claude/dispatch.md"),
    ),
    (
        ".claude/commands/check-status.md",
        include_str!("../../templates/claude/check-status.md"),
    ),
];
const LOCK_SHIM: (&str, &str) = (
    "scripts/ralph/lock.sh",
    include_str!("../../templates/claude/lock.sh"),
);

/// Writes what is not there yet.
pub(super) fn install(files: &mut Files<'_>) -> Result<(), Failure> {
    for (path, text) in COMMANDS {
        files.make(path, text)?;
    }
    files.make_script(LOCK_SHIM.0, LOCK_SHIM.1)?;
    for shim in shims::ALL {
        files.make_script(&format!("{SHIMS}/{}", shim.name), shim.text)?;
    }
    hook(files)
}

/// Merges the Stop hook into the settings, by spans: what a person wrote there stays.
fn hook(files: &mut Files<'_>) -> Result<(), Failure> {
    let found = files.text(SETTINGS)?;
    let before = found
        .clone()
        .filter(|text| !text.trim().is_empty())
        .unwrap_or_else(|| "{}\n".to_owned());
    let value: Value = serde_json::from_str(&before).map_err(|error| {
        let at = format!("{SETTINGS}:{}:{}", error.line(), error.column());
        Failure::new(Code::CorruptState, format!("{at}: expected JSON: {error}"))
            .hint("Mend the file, then run the command again.")
    })?;
    let hooks = value
        .pointer("/hooks/Stop")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if hooks.iter().any(calls_ralph) {
        files.note(SETTINGS, InitDone::Kept);
        return Ok(());
    }
    let hooks = hooks
        .into_iter()
        .chain([json!({ "hooks": [{ "type": "command", "command": HOOK }] })]);
    let set = PipelineEdit::Set {
        path: ["hooks", "Stop"].map(str::to_owned).to_vec(),
        value: Value::Array(hooks.collect()),
    };
    let text = PipelineFile::parse(before)?.edit(&[set])?;
    files.replace(SETTINGS, found.as_deref(), &text)
}

fn calls_ralph(hook: &Value) -> bool {
    let commands = hook
        .get("hooks")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    commands
        .filter_map(|command| command.get("command")?.as_str())
        .any(|command| command.contains(HOOK))
}
