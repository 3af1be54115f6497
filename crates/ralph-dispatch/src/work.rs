//! What a loop came to: its figures and its pull requests. Reads only.
//!
//! While a loop runs, its own status says so. One that was killed cannot have written the last of it, so once a loop has
//! ended the ledger of its launch and its plan are what counts.

use std::path::Path;

use ralph_core::process::Identity;
use ralph_core::time::SignedDuration;
use ralph_docs::fix_plan::Flavour;
use ralph_loop::assemble::plan_file;
use ralph_loop::budget::Budget;
use ralph_loop::plan::Standing;
use ralph_loop::record::{Records, Status};

use crate::layout::Layout;
use crate::log_text;
use crate::record::{Figures, LoopRecord};

/// What is known of a loop's work.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Work {
    /// Its figures.
    pub(crate) figures: Figures,
    /// Its pull requests.
    pub(crate) pull_requests: Vec<String>,
}

/// Looks at the work of a loop that is not settled.
pub(crate) fn look(layout: &Layout, record: &LoopRecord, has_ended: bool) -> Work {
    if record.job.is_some() {
        let log = layout.log(&record.repository);
        let (figures, pull_requests) = told(&log, record.log_from);
        // Until its results come home, what is left is what is left here.
        let here = || left(&layout.repository(&record.repository));
        let figures = Figures {
            tasks_left: figures.tasks_left.or_else(here),
            ..figures
        };
        return Work {
            figures,
            pull_requests,
        };
    }
    let work = match said(layout, record) {
        Some(work) if !has_ended => return work,
        said => said.unwrap_or_default(),
    };
    let figures = Figures {
        attempts: spent(layout, record).or(work.figures.attempts),
        tasks_left: left(&layout.repository(&record.repository)).or(work.figures.tasks_left),
        ..work.figures
    };
    Work { figures, ..work }
}

/// The same at its end, when the log of a foreign loop is searched for pull requests. One of ours has said itself which
/// it made, and whatever else its log holds is the text of tasks and of agents.
pub(crate) fn at_the_end(layout: &Layout, record: &LoopRecord) -> Work {
    let mut work = look(layout, record, true);
    // Only our own has a ledger, or says how many attempts were spent; in a job it says the cost with them at its end.
    let is_foreign_job = record.job.is_some() && work.figures.cost_usd.is_none();
    if work.figures.attempts.is_none() || is_foreign_job {
        let log = layout.log(&record.repository);
        work.pull_requests = log_text::pull_requests(&log, record.log_from);
    }
    work
}

/// What a job's loop said about its work, from the copy of its log: at its end all of it, before how many attempts are
/// over.
fn told(log: &Path, from: u64) -> (Figures, Vec<String>) {
    const STATUS: &str = "ralph: status: ";
    const COMPLETED: &str = "[continuous] completed=";
    let lines = log_text::last_lines(log, from, 40);
    let status = lines
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix(STATUS));
    let Some(Ok(status)) = status.map(serde_json::from_str::<Status>) else {
        let completed = lines.iter().rev().find_map(|line| {
            let (_, count) = line.split_once(COMPLETED)?;
            count.split_once('/')?.0.parse().ok()
        });
        let figures = Figures {
            attempts: completed,
            ..Figures::default()
        };
        return (figures, Vec::new());
    };
    let left = status.tasks.open + status.tasks.claimed;
    let figures = Figures {
        attempts: Some(status.totals.spent),
        tasks_left: u64::try_from(left).ok(),
        cost_usd: Some(status.totals.cost_usd),
    };
    (figures, status.totals.pull_requests)
}

/// What the loop's own status says, when it is this loop's.
fn said(layout: &Layout, record: &LoopRecord) -> Option<Work> {
    let folder = layout.repository(&record.repository).join(".ralph");
    let status = Records::new(&folder).status().ok()??;
    // Both times are this machine's; ours may be cut to the second.
    if status.started < record.launched - SignedDuration::from_secs(1) {
        return None;
    }
    let left = status.tasks.open + status.tasks.claimed;
    Some(Work {
        figures: Figures {
            attempts: Some(status.totals.spent),
            tasks_left: u64::try_from(left).ok(),
            cost_usd: Some(status.totals.cost_usd),
        },
        pull_requests: status.totals.pull_requests,
    })
}

/// What the loop has spent of its launch's budget; `None` where the loops share none.
fn spent(layout: &Layout, record: &LoopRecord) -> Option<u64> {
    let standing = Budget::look(&layout.budget(&record.launch)).ok()?;
    // The ledger calls a repository by the folder in which git finds it.
    let folder = layout.repository(&record.repository).canonicalize().ok()?;
    let name = folder.file_name()?.to_string_lossy();
    let share = standing.by_repository.get(name.as_ref());
    Some(share.map_or(0, |share| share.spent))
}

/// The tasks of a plan that are neither done nor delivered; `None` where it cannot be read.
fn left(repository: &Path) -> Option<u64> {
    // Whose claims are whose makes no difference to their number.
    let nobody = Identity::of(std::process::id())?;
    let plan = plan_file(repository, Flavour::Repository, nobody, "");
    let tasks = plan.read().ok()?.tasks;
    let is_left =
        |standing: &Standing| !matches!(standing, Standing::Done | Standing::Delivered(_));
    let left = tasks.iter().filter(|task| is_left(&task.standing)).count();
    u64::try_from(left).ok()
}

#[cfg(test)]
mod tests {
    use ralph_core::store::{append, atomic};
    use ralph_core::time::Timestamp;
    use ralph_loop::budget::{Settlement, Terms};
    use ralph_loop::outcome::AttemptId;

    use super::*;

    const PLAN: &str = "# Plan\n\n- [x] one\n- [x] two\n- [~] three\n- [ ] four\n";
    const LINK: &str = "task: see https://h/o/r/pull/7\n";

    fn bench() -> (tempfile::TempDir, Layout, LoopRecord) {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().canonicalize().unwrap());
        let record = LoopRecord::new("a", "20261126_213300-00000001", Timestamp::UNIX_EPOCH);
        atomic::create_dir(&layout.repository("a").join(".ralph")).unwrap();
        atomic::create_dir(&layout.logs()).unwrap();
        append::append_bytes(&layout.log("a"), LINK.as_bytes()).unwrap();
        (folder, layout, record)
    }

    /// A loop that was killed: its status is older than its last attempts, or was never written.
    #[test]
    fn of_a_loop_that_ended_the_ledger_and_the_plan_count() {
        let (_folder, layout, record) = bench();
        atomic::replace(&layout.plan("a"), PLAN.as_bytes()).unwrap();
        let terms = Terms {
            workers: 1,
            attempts: Some(9),
        };
        let budget = Budget::create(&layout.budget(&record.launch), &terms).unwrap();
        let owner = Identity::of(std::process::id()).unwrap();
        for (name, repository) in [("1", "a"), ("2", "a"), ("3", "b")] {
            let attempt: AttemptId = format!("20261126_213300-0000000{name}").parse().unwrap();
            let _ = budget.reserve(&attempt, repository, &owner).unwrap();
            let _ = budget.settle(&attempt, Settlement::Spent).unwrap();
        }
        let work = at_the_end(&layout, &record);
        assert_eq!(work.figures.attempts, Some(2));
        assert_eq!(work.figures.tasks_left, Some(2));
        // What its tasks name is nobody's pull request.
        assert_eq!(work.pull_requests, [""; 0]);
    }

    /// What a job says before its end, and what is left at home until its results come there.
    #[test]
    fn of_a_job_that_runs_the_log_tells_how_far_it_is() {
        let (_folder, layout, record) = bench();
        atomic::replace(&layout.plan("a"), PLAN.as_bytes()).unwrap();
        let said = "[t] [continuous] completed=1/9 x\n[t] [continuous] completed=2/9 succeeded=1\n[t] worker 1: completed=7\n";
        append::append_bytes(&layout.log("a"), said.as_bytes()).unwrap();
        let (figures, _) = told(&layout.log("a"), 0);
        assert_eq!((figures.attempts, figures.cost_usd), (Some(2), None));
        let request = serde_json::json!({
            "kind": "local", "job": null, "branch": "b", "fetched": 0,
            "request": {
                "token": "20261126_213300-00000001-abcdef", "run": "20261126_213300-00000001", "project": "loop-a",
                "script_path": "s", "script": "", "script_sha256": "", "config_path": null, "config": null,
                "variables": {}, "git": null, "after": [], "exclude": [], "intent_at": "2026-11-26T21:33:00Z"
            }
        });
        let Ok(job) = serde_json::from_value(request) else {
            panic!("the shape of a job");
        };
        let record = LoopRecord {
            job: Some(job),
            ..record
        };
        let work = look(&layout, &record, false);
        assert_eq!(
            (work.figures.attempts, work.figures.tasks_left),
            (Some(2), Some(2))
        );
        // A foreign loop says no more, so its log is searched.
        assert_eq!(
            at_the_end(&layout, &record).pull_requests,
            ["https://h/o/r/pull/7"]
        );
    }

    #[test]
    fn of_a_foreign_loop_the_log_and_the_plan_are_all_there_is() {
        let (_folder, layout, record) = bench();
        let work = at_the_end(&layout, &record);
        assert_eq!(work.figures, Figures::default());
        assert_eq!(work.pull_requests, ["https://h/o/r/pull/7"]);
        atomic::replace(&layout.plan("a"), PLAN.as_bytes()).unwrap();
        let work = look(&layout, &record, false);
        assert_eq!(work.figures.tasks_left, Some(2));
        assert_eq!(work.figures.attempts, None);
    }
}
