//! Workspaces to measure on: many projects with state files of a chosen size. The same specification gives
//! the same bytes, on every machine and on every day.

use std::path::Path;

use serde_json::{Value, json};
use xshell::Shell;

/// A poll that is never due.
pub(super) const FAR: &str = "2199-01-01T00:00:00Z";
/// A poll that has long been due.
pub(super) const PAST: &str = "2026-01-01T00:00:00Z";

/// What a workspace is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Specification {
    /// Number of projects.
    pub(super) projects: usize,
    /// Live runs of each.
    pub(super) active_runs: usize,
    /// Least size of each state file in bytes; finished runs are added until it is reached.
    pub(super) state_bytes: usize,
    /// When the next poll is due.
    pub(super) next_poll_after: &'static str,
}

/// The name of the project with this number.
pub(super) fn slug(number: usize) -> String {
    format!("p{number:04}")
}

/// Makes the workspace anew.
pub(super) fn generate(folder: &Path, of: &Specification) -> anyhow::Result<()> {
    let sh = Shell::new()?;
    sh.remove_path(folder)?;
    let settings = folder.join(".claude/ralph");
    let config = json!({ "batch_size": 3, "cluster": { "kind": "local" } });
    sh.write_file(settings.join("config.json"), format!("{config:#}\n"))?;
    sh.write_file(settings.join("enabled"), "")?;
    for number in 0..of.projects {
        let project = folder.join("projects").join(slug(number));
        write_state(&sh, &project, &state(number, of))?;
        let documents = project.join("documentation");
        sh.write_file(documents.join("queue.md"), QUEUE)?;
        sh.write_file(documents.join("debugging.md"), DEBUGGING)?;
        sh.write_file(documents.join("implementation-todo.md"), PLAN)?;
    }
    Ok(())
}

/// Gives one project a next action that is due, or takes it back.
pub(super) fn set_actionable(
    folder: &Path,
    of: &Specification,
    number: usize,
    is_actionable: bool,
) -> anyhow::Result<()> {
    let mut state = state(number, of);
    if is_actionable {
        state["phase"] = json!("IMPLEMENT");
        state["active_runs"] = json!([]);
        state["slurm_wait"] = Value::Null;
    }
    let project = folder.join("projects").join(slug(number));
    write_state(&Shell::new()?, &project, &state)
}

fn write_state(sh: &Shell, project: &Path, state: &Value) -> anyhow::Result<()> {
    sh.write_file(project.join(".state/pipeline.json"), format!("{state:#}\n"))?;
    Ok(())
}

fn state(number: usize, of: &Specification) -> Value {
    let active: Vec<Value> = (0..of.active_runs)
        .map(|run| active_run(number, run, of.next_poll_after))
        .collect();
    let mut completed = Vec::new();
    let mut bytes = 1_000 + active.len() * 350;
    while bytes < of.state_bytes {
        let run = completed_run(number, completed.len());
        // Deeper by four blanks on each of its lines than it is on its own.
        bytes += format!("{run:#}").len() + 4 * 14;
        completed.push(run);
    }
    json!({
        "project": slug(number),
        "phase": "WAIT_SLURM",
        "next_action": { "command": "/check-status", "reason": "jobs are on the cluster", "hint": "" },
        "needs_user_input": { "value": false, "prompt": "" },
        "active_runs": active,
        "completed_runs": completed,
        "slurm_wait": { "next_poll_after": of.next_poll_after, "poll_interval_seconds": 900 },
        "events": [{ "id": "evt-0001", "ts": "2026-01-01T00:00:00Z", "action": "SUBMIT_JOB", "detail": "first" }],
    })
}

fn active_run(project: usize, run: usize, next_poll_after: &str) -> Value {
    json!({
        "run_id": format!("q{run:03}_20260101_000000"),
        "queue_id": format!("Q-{run:03}"),
        "experiment": "sweep",
        "status": "running",
        "job_id": format!("{}", 30_000_000 + project * 1_000 + run),
        "partition": "gpu",
        "submitted_at": "2026-01-01T00:00:00Z",
        "next_poll_after": next_poll_after,
    })
}

fn completed_run(project: usize, run: usize) -> Value {
    let seed = (project * 7_919 + run * 104_729) % 1_000;
    json!({
        "run_id": format!("r{run:05}_20251201_120000"),
        "experiment": "sweep over the learning rate",
        "status": if seed.is_multiple_of(4) { "failed" } else { "completed" },
        "job_id": format!("{}", 20_000_000 + project * 10_000 + run),
        "submitted_at": "2025-12-01T12:00:00Z",
        "completed_at": "2025-12-01T18:30:00",
        "exit_code": format!("{}:0", u8::from(seed.is_multiple_of(4))),
        "loss": f64::from(u32::try_from(seed).unwrap_or(0)) / 1_000.0,
        "config": { "seed": seed, "lr": 0.0005, "path": format!("configs/sweep_{run}.yaml") },
        "note": "ended within its limit; \"best so far\" ≈ the baseline, and the curve is still falling → one more at a lower rate",
    })
}

const QUEUE: &str = "\
# Queue

## READY

### Q-101: a smaller model
- Hypothesis: it is enough.
- Config: configs/small.yaml
- Resources: 1 GPU, 2 h

## IN_PROGRESS

(none)

## DONE

(none)
";

const DEBUGGING: &str = "# Debugging\n\n## Active Issues\n\n(none)\n\n## Resolved\n\n(none)\n";

const PLAN: &str = "# Plan\n\n## Ready\n\n- [ ] (T1) write the loader\n\n## Completed\n\n(none)\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_the_size_that_was_asked_for() {
        for wanted in [2_000, 50_000, 326_000] {
            let of = Specification {
                projects: 1,
                active_runs: 2,
                state_bytes: wanted,
                next_poll_after: FAR,
            };
            let found = format!("{:#}", state(0, &of)).len();
            assert!(
                found.abs_diff(wanted) < wanted / 20 + 800,
                "{found} for {wanted}"
            );
        }
    }

    #[test]
    fn a_workspace_is_made_anew_and_the_same() -> anyhow::Result<()> {
        let sh = Shell::new()?;
        let folder = sh.create_temp_dir()?;
        let of = Specification {
            projects: 2,
            active_runs: 1,
            state_bytes: 2_000,
            next_poll_after: PAST,
        };
        let path = folder.path().join("projects/p0001/.state/pipeline.json");
        generate(folder.path(), &of)?;
        let first = sh.read_file(&path)?;
        set_actionable(folder.path(), &of, 1, true)?;
        assert_ne!(sh.read_file(&path)?, first);
        set_actionable(folder.path(), &of, 1, false)?;
        assert_eq!(sh.read_file(&path)?, first);
        generate(folder.path(), &of)?;
        assert_eq!(sh.read_file(&path)?, first);
        Ok(())
    }
}
