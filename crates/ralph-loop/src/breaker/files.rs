//! The files of the breaker in `.ralph`, with the names and shapes that the old loop gave them. Nothing is decided here.

use std::path::Path;

use ralph_core::store::{StoreError, atomic};
use ralph_core::time::Timestamp;

use super::{Calls, Circuit, Transition};

const STATE: &str = ".circuit_breaker_state";
const HISTORY: &str = ".circuit_breaker_history";
const CALL_COUNT: &str = ".call_count";
const LAST_RESET: &str = ".last_reset";
/// Transitions that are kept.
const HISTORY_LENGTH: usize = 200;

/// The circuit of a repository. A file that is missing or cannot be read is a closed circuit, as it was before.
///
/// # Errors
/// The file cannot be opened.
pub fn load(control: &Path, now: Timestamp) -> Result<Circuit, StoreError> {
    let bytes = atomic::read(&control.join(STATE))?.unwrap_or_default();
    Ok(serde_json::from_slice(&bytes).unwrap_or_else(|_| Circuit::new(now)))
}

/// Writes the circuit, and the transition that brought it where it is.
///
/// # Errors
/// A file cannot be replaced.
pub fn save(
    control: &Path,
    circuit: &Circuit,
    transition: Option<&Transition>,
) -> Result<(), StoreError> {
    write(&control.join(STATE), circuit)?;
    let Some(transition) = transition else {
        return Ok(());
    };
    let path = control.join(HISTORY);
    let bytes = atomic::read(&path)?.unwrap_or_default();
    let mut history: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap_or_default();
    history.extend(serde_json::to_value(transition));
    let surplus = history.len().saturating_sub(HISTORY_LENGTH);
    history.drain(..surplus);
    write(&path, &history)
}

/// The calls of the running hour.
///
/// # Errors
/// A file cannot be opened.
pub fn load_calls(control: &Path) -> Result<Calls, StoreError> {
    let text = |name: &str| {
        let bytes = atomic::read(&control.join(name))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let (count, hour) = (text(CALL_COUNT)?, text(LAST_RESET)?);
    Ok(Calls::read(count.as_deref(), hour.as_deref()))
}

/// Writes the calls of the running hour.
///
/// # Errors
/// A file cannot be replaced.
pub fn save_calls(control: &Path, calls: &Calls) -> Result<(), StoreError> {
    let (count, hour) = calls.texts();
    // The hour first: a crash in between leaves too many calls counted, never too few.
    for (name, text) in [(LAST_RESET, hour), (CALL_COUNT, count)] {
        put(&control.join(name), &text)?;
    }
    Ok(())
}

fn write(path: &Path, value: &impl serde::Serialize) -> Result<(), StoreError> {
    put(
        path,
        &(serde_json::to_string_pretty(value).unwrap_or_default() + "\n"),
    )
}

/// Writes a file where it says something else: most of the time it does not.
fn put(path: &Path, text: &str) -> Result<(), StoreError> {
    if atomic::read(path)?.as_deref() != Some(text.as_bytes()) {
        atomic::stage_unsynced(path, text.as_bytes(), None)?.publish()?;
    }
    Ok(())
}
