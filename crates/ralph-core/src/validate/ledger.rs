//! The ledger of one run, `runs/<run_id>/submit.json`, by itself and against the state file (incident 16).

use std::borrow::Cow;

use super::json::{Document, Value};
use super::runs::{self, KnownRuns};
use super::{Findings, ProjectFiles};
use crate::ledger::{NotSubmitted, SubmitLedger};
use crate::pipeline::RunStatus;
use crate::pipeline::record::JOB_MEMBERS;

/// The keys that every reader of a ledger needs, each with the other names in use.
const KEYS: &[&[&str]] = &[&["run_id"], &JOB_MEMBERS, &["status"], &["submitted_at"]];

/// Whether a path, relative to the project, is that of a ledger.
pub(super) fn is_ledger(path: &str) -> bool {
    folder(path).is_some()
}

/// The run id that the path names.
fn folder(path: &str) -> Option<&str> {
    let run = path.strip_prefix("runs/")?.strip_suffix("/submit.json")?;
    (!run.contains('/')).then_some(run)
}

/// Checks one ledger; `known` is `None` where the state file could not be read.
pub(super) fn check(
    project: &ProjectFiles,
    document: &Document<'_>,
    known: Option<&KnownRuns>,
    findings: &mut Findings<'_>,
) {
    let root = document.root();
    for names in KEYS {
        if names.iter().all(|name| root.member(name).is_none()) {
            let message = format!(
                "the key `{}` is missing",
                names.first().copied().unwrap_or_default()
            );
            let fix = "Add it, as far as it is known.";
            findings.warning("missing_key", message, fix);
        }
    }
    runs::times(project, root, findings);
    let folder = folder(findings.path).unwrap_or_default();
    let id = root.member("run_id");
    if let Some((value, name)) = id
        .and_then(|value| Some((value, value.scalar()?)))
        .filter(|(_, name)| name != folder)
    {
        let message = format!("expected the folder's name `{folder}` in `run_id`, found `{name}`");
        let fix = "Rename the folder or correct the id; runs are found by it.";
        findings
            .error("wrong_run_id", message, fix)
            .at(value.place());
    }
    // Against a state file that cannot be read nothing is compared.
    if let Some(known) = known {
        // `submit.json` says how it was submitted; how it ended is in the file beside it.
        let end = format!("runs/{folder}/result.json");
        let has_end = project.names.contains(&end);
        // A run that has an end is not put back, whatever its ledger says.
        let back = match has_end {
            true => Err(NotSubmitted::Other),
            false => SubmitLedger::submitted(document.whole(), &project.slug).map(drop),
        };
        agreement(document, known, (folder, has_end), &back, findings);
    }
}

/// What the ledger says against what the state file says.
fn agreement(
    document: &Document<'_>,
    known: &KnownRuns,
    (run, has_end): (&str, bool),
    back: &Result<(), NotSubmitted>,
    findings: &mut Findings<'_>,
) {
    let root = document.root();
    let own = root.member("status").and_then(Value::scalar);
    if own.and_then(|text| RunStatus::known(&text)) != Some(RunStatus::Live) {
        return;
    }
    match known.by_run.get(run) {
        Some(Some(status)) if !status.is_live() && !has_end => {
            let message =
                "the ledger says that the run is live, the state file says that it has ended";
            let fix = "Write down how it ended, in `status` of this file.";
            findings.warning("ledger_disagrees", message, fix);
        }
        // The run may be recorded under another name, so its job is looked for too.
        None => {
            let jobs = runs::jobs(root, &mut Findings::of(findings.path));
            if !jobs.iter().any(|job| known.jobs.contains(job)) {
                let message =
                    "the ledger says that the run is live, and the state file does not know it";
                findings.error("untracked_run", message, &how_to_track(back));
            }
        }
        Some(_) => {}
    }
}

/// What puts a live run into the books: by the rule that the verification goes by.
fn how_to_track(back: &Result<(), NotSubmitted>) -> Cow<'static, str> {
    let by_hand = "ecord it in `active_runs`, or write down how it ended.";
    match back {
        Ok(()) => Cow::Borrowed("`ralph verify` puts it back."),
        Err(NotSubmitted::Other) => Cow::Owned(format!("R{by_hand}")),
        Err(NotSubmitted::Damaged(why)) => Cow::Owned(format!(
            "Mend the ledger ({why}), and `ralph verify` puts the run back; else r{by_hand}"
        )),
    }
}
