//! The `command` engine of dispatch: a program takes the order, and what it says and changes is its outcome.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use crate::act::ActError;
use crate::act::attempt::{Attempt, not_started};
use crate::order::{OrderOutcome, WorkOrder};
use crate::process::bounded::{Ended, Program};
use crate::process::guard::Guard;
use crate::process::variable;
use crate::time::Timestamp;

/// Runs a program on an order, in the project's folder.
///
/// Exit 0 with a change is done, exit 0 without one is no change, anything else is a failure, unless a line
/// `{"ralph":"outcome", …}` or a `---RALPH_STATUS---` block on its output says more.
///
/// # Errors
/// Its guard could not be started, so nobody was sent.
pub(super) async fn perform(
    order: &WorkOrder,
    argv: &[String],
    folder: &Path,
    attempt: &mut Attempt,
    guard: Guard,
    limit: Duration,
) -> Result<OrderOutcome, ActError> {
    let input = serde_json::to_vec(order).unwrap_or_default();
    let mut variables = variables(order, folder);
    variables.push(attempt.variable());
    let before = fingerprint(folder);
    let program = Program {
        argv,
        folder,
        variables: &variables,
        input: &input,
        limit,
    };
    match attempt.run(guard, &program).await {
        Ok(ended) => Ok(outcome(&ended, before != fingerprint(folder))),
        Err(error) => Ok(OrderOutcome::Failed {
            reason: format!("{}: {}", argv.join(" "), not_started(error)?),
        }),
    }
}

fn variables(order: &WorkOrder, folder: &Path) -> Vec<(String, String)> {
    [
        ("RALPH_TASK_ID", order.target.clone()),
        ("RALPH_TASK_TEXT", order.title.clone()),
        ("RALPH_WORKTREE", folder.display().to_string()),
        ("RALPH_BRANCH", String::new()),
        ("RALPH_KIND", order.kind.as_str().to_owned()),
        ("RALPH_PROJECT", order.project.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), variable::value(&value)))
    .to_vec()
}

/// Size and modification time of every file that the agent may change; the machine's own files do not count.
fn fingerprint(folder: &Path) -> BTreeMap<String, (u64, u128)> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(current) = folders.pop() {
        for entry in fs::read_dir(&current).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                if !is_of_a_machine(folder, &entry.path(), &name) {
                    folders.push(entry.path());
                }
                continue;
            }
            let modified = metadata
                .modified()
                .ok()
                .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let stamp = (metadata.len(), modified.map_or(0, |at| at.as_nanos()));
            files.insert(entry.path().to_string_lossy().into_owned(), stamp);
        }
    }
    let state = folder.join(crate::store::layout::PIPELINE);
    if let Ok(text) = fs::read(&state) {
        // An agent may settle an order by setting the phase itself.
        files.insert(
            state.to_string_lossy().into_owned(),
            (text.len() as u64, u128::from(checksum(&text))),
        );
    }
    files
}

/// Folders in which files change without the agent's doing: the state, caches, the logs of jobs that run.
fn is_of_a_machine(project: &Path, folder: &Path, name: &OsStr) -> bool {
    let hidden = name.as_encoded_bytes().starts_with(b".");
    let logs = project.join(crate::store::layout::SLURM_LOGS);
    hidden || name == "__pycache__" || folder == logs
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn outcome(ended: &Ended, changed: bool) -> OrderOutcome {
    let output = String::from_utf8_lossy(&ended.stdout);
    if let Some(said) = said(&output) {
        return said;
    }
    let summary = output
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("")
        .trim()
        .to_owned();
    if !ended.success() {
        let error = String::from_utf8_lossy(&ended.stderr);
        let last = error
            .lines()
            .rev()
            .find(|line| !line.trim().is_empty())
            .unwrap_or(&summary)
            .trim()
            .to_owned();
        return OrderOutcome::Failed {
            reason: format!("{}: {last}", ended.how()),
        };
    }
    if changed {
        OrderOutcome::Done { summary }
    } else {
        OrderOutcome::NoChange { summary }
    }
}

/// What the agent says of its outcome itself: the last JSON line or status block.
fn said(output: &str) -> Option<OrderOutcome> {
    let line = output.lines().rev().find_map(|line| {
        let value: Value = serde_json::from_str(line.trim()).ok()?;
        (value.get("ralph")?.as_str()? == "outcome").then_some(value)
    });
    line.as_ref()
        .and_then(from_json)
        .or_else(|| from_block(output))
}

fn from_json(value: &Value) -> Option<OrderOutcome> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let summary = text("summary")
        .or_else(|| text("reason"))
        .unwrap_or_default();
    match value
        .get("outcome")
        .or_else(|| value.get("status"))?
        .as_str()?
    {
        "done" | "success" => Some(OrderOutcome::Done { summary }),
        "no_change" => Some(OrderOutcome::NoChange { summary }),
        "needs_input" | "blocked" => Some(OrderOutcome::NeedsInput {
            prompt: text("prompt").unwrap_or(summary),
        }),
        "usage_limit" | "throttled" => {
            let resets_at = text("resets_at").and_then(|at| at.parse::<Timestamp>().ok());
            Some(OrderOutcome::UsageLimit { resets_at })
        }
        "failed" | "crashed" => Some(OrderOutcome::Failed { reason: summary }),
        _ => None,
    }
}

fn from_block(output: &str) -> Option<OrderOutcome> {
    let block = output.rsplit_once("---RALPH_STATUS---")?.1;
    let block = block
        .split("---END_RALPH_STATUS---")
        .next()
        .unwrap_or(block);
    let field = |name: &str| {
        let line = block.lines().find_map(|line| {
            line.trim()
                .strip_prefix(name)?
                .trim_start()
                .strip_prefix(':')
        })?;
        Some(line.trim().to_owned())
    };
    let recommendation = field("RECOMMENDATION").unwrap_or_default();
    match field("STATUS")?.to_ascii_uppercase().as_str() {
        "BLOCKED" | "NEEDS_INPUT" => Some(OrderOutcome::NeedsInput {
            prompt: recommendation,
        }),
        "COMPLETE" | "COMPLETED" | "DONE" => Some(OrderOutcome::Done {
            summary: recommendation,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::tests::Bed;
    use crate::order::OrderKind;

    async fn perform_script(script: &str) -> OrderOutcome {
        perform_titled("write it", script).await
    }

    async fn perform_titled(title: &str, script: &str) -> OrderOutcome {
        let bed = Bed::new();
        bed.project("p", "IMPLEMENT", &[]);
        let (dispatcher, folder) = (bed.dispatcher(), bed.path("projects/p"));
        let order = WorkOrder {
            schema_version: 1,
            kind: OrderKind::Implement,
            project: "p".parse().unwrap(),
            target: "T1".into(),
            title: title.into(),
            instructions: String::new(),
            read: vec![],
            done_when: String::new(),
        };
        let argv = ["sh", "-c", script].map(str::to_owned);
        let attempt = dispatcher.attempt(&order.project, "implement T1").await;
        let mut attempt = attempt.unwrap();
        let guard = Guard::start(&dispatcher.guard_program).unwrap();
        let limit = Duration::from_secs(20);
        perform(&order, &argv, &folder, &mut attempt, guard, limit)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn exit_code_and_change_decide() {
        let done = perform_script("test \"$RALPH_TASK_ID/$RALPH_KIND\" = T1/implement && cat > order.json && echo wrote it").await;
        assert_eq!(
            done,
            OrderOutcome::Done {
                summary: "wrote it".into()
            }
        );
        assert_eq!(
            perform_script("true").await,
            OrderOutcome::NoChange {
                summary: String::new()
            }
        );
        let failed = perform_script("echo half > x; echo boom >&2; exit 7").await;
        assert_eq!(
            failed,
            OrderOutcome::Failed {
                reason: "exit 7: boom".into()
            }
        );
    }

    #[tokio::test]
    async fn an_order_of_any_length_is_handed_over() {
        let title = format!("read\0{}", "\u{20ac}".repeat(100_000));
        let said =
            perform_titled(&title, "echo ${#RALPH_TASK_TEXT} >x; wc -c <x; cat >order").await;
        assert!(matches!(said, OrderOutcome::Done { .. }), "{said:?}");
    }

    #[tokio::test]
    async fn what_the_agent_says_outranks_the_exit_code() {
        let asks = perform_script(
            r#"echo '{"ralph":"outcome","outcome":"needs_input","prompt":"which seed?"}'"#,
        )
        .await;
        assert_eq!(
            asks,
            OrderOutcome::NeedsInput {
                prompt: "which seed?".into()
            }
        );
        let block = "printf -- '---RALPH_STATUS---\\nSTATUS: BLOCKED\\nRECOMMENDATION: get data\\n---END_RALPH_STATUS---\\n'";
        assert_eq!(
            perform_script(block).await,
            OrderOutcome::NeedsInput {
                prompt: "get data".into()
            }
        );
    }
}
