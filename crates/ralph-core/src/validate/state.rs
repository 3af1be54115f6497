//! The state file: the keys of the contract and their types. The run lists have rules of their own, in
//! [`super::runs`].

use std::collections::BTreeSet;

use super::json::{Document, Value};
use super::runs::{self, KnownRuns};
use super::{Findings, ProjectFiles, Severity};
use crate::phase::Phase;
use crate::pipeline::{FORMAT, RunStatus};

/// The keys of the contract and what they should be.
const KEYS: &[(&str, &[&str])] = &[
    ("project", &["a text"]),
    ("phase", &["a text"]),
    ("next_action", &["an object", "a text", "null"]),
    ("needs_user_input", &["an object"]),
    ("active_runs", &["a list"]),
    ("slurm_wait", &["an object"]),
    ("events", &["a list"]),
];
/// Lists of runs that the contract does not ask for; in another form their runs are passed over, and none is moved there.
const OPTIONAL: &[(&str, &[&str])] = &[
    ("completed_runs", &["a list", "null"]),
    ("cancelled_runs", &["a list", "null"]),
];

pub(super) fn check(
    project: &ProjectFiles,
    document: &Document<'_>,
    findings: &mut Findings<'_>,
) -> KnownRuns {
    keys(document, findings);
    format(document, findings);
    project_name(project, document, findings);
    waiting(project, document, findings);
    events(project, document, findings);
    if let Some(input) = document.root().member("needs_user_input") {
        runs::times(project, input, findings);
    }
    let known = runs::check(project, document, findings);
    phase(document, &known, findings);
    known
}

/// Keys that are missing are warnings only, because nearly all real files miss some and are read all the same.
fn keys(document: &Document<'_>, findings: &mut Findings<'_>) {
    for (key, expected) in KEYS.iter().chain(OPTIONAL) {
        let Some(value) = document.root().member(key) else {
            if OPTIONAL.iter().any(|(optional, _)| optional == key) {
                continue;
            }
            let message = format!("the key `{key}` is missing");
            let fix = "Add it; `ralph new` shows a complete file.";
            findings.warning("missing_key", message, fix);
            continue;
        };
        let found = value.kind();
        if expected.contains(&found) {
            continue;
        }
        let message = format!(
            "expected {} in `{key}`, found {found}",
            expected.join(" or ")
        );
        let fix = "Correct the value; older readers stop at it.";
        let readable = found == "null" || matches!(*key, "needs_user_input" | "slurm_wait");
        let severity = match readable {
            true => Severity::Warning,
            false => Severity::Error,
        };
        findings
            .add(severity, "wrong_type", message, fix)
            .at(value.place());
    }
}

/// A file of a newer version is read and never written, so that no step of the project can be recorded.
fn format(document: &Document<'_>, findings: &mut Findings<'_>) {
    let nested = document.root().member("ralph");
    let named = [
        document.root().member("schema_version"),
        nested.and_then(|ralph| ralph.member("format")),
    ];
    for value in named.into_iter().flatten() {
        let number = value.scalar().filter(|_| value.kind() == "a number");
        let is_newer = |number: &str| number.parse().is_ok_and(|found: f64| found > FORMAT as f64);
        let Some(number) = number.filter(|number| is_newer(number)) else {
            continue;
        };
        let message = format!("expected format {FORMAT} or older, found format {number}");
        let fix =
            "Use the newer version of ralph that wrote the file; this one does not change it.";
        findings
            .error("newer_format", message, fix)
            .at(value.place());
    }
}

/// A copied state file keeps the name of the project it was copied from.
fn project_name(project: &ProjectFiles, document: &Document<'_>, findings: &mut Findings<'_>) {
    let Some(value) = document.root().member("project") else {
        return;
    };
    if let Some(name) = value.scalar().filter(|name| name != project.slug.as_str()) {
        let message = format!(
            "expected the folder's name `{}` in `project`, found `{name}`",
            project.slug
        );
        let fix = "Write the folder's name.";
        findings
            .warning("wrong_project", message, fix)
            .at(value.place());
    }
}

/// When the jobs are asked about next. A time in the past is normal there: it means now.
fn waiting(project: &ProjectFiles, document: &Document<'_>, findings: &mut Findings<'_>) {
    let Some(wait) = document.root().member("slurm_wait") else {
        return;
    };
    runs::times(project, wait, findings);
    if let Some(value) = wait.member("poll_interval_seconds")
        && !value.is_null()
        && value.whole_number().is_none_or(|seconds| seconds == 0)
    {
        let message = "expected a number of seconds above zero in `poll_interval_seconds`";
        let fix = "Write seconds, such as 900; until then the default is used.";
        findings
            .warning("wrong_interval", message, fix)
            .at(value.place());
    }
}

/// The log of what happened. Its order is not judged: two writers with different clocks are common.
fn events(project: &ProjectFiles, document: &Document<'_>, findings: &mut Findings<'_>) {
    let mut seen = BTreeSet::new();
    let events = document.root().member("events");
    for event in events.into_iter().flat_map(Value::elements) {
        runs::times(project, event, findings);
        let Some(id) = event.member("id").and_then(Value::scalar) else {
            continue;
        };
        let message = format!("the event id `{id}` is used twice");
        if !seen.insert(id) {
            let fix = "Give the later event the next free number; events are only ever appended.";
            findings
                .warning("duplicate_event", message, fix)
                .at(event.place());
        }
    }
}

/// The phase is one that the machine knows, and fits what runs.
fn phase(document: &Document<'_>, known: &KnownRuns, findings: &mut Findings<'_>) {
    let Some(value) = document.root().member("phase") else {
        return;
    };
    let Some(text) = value.scalar() else { return };
    let live = known
        .by_run
        .values()
        .filter(|status| **status == Some(RunStatus::Live))
        .count();
    let phase = Phase::parse(&text);
    let (code, message, fix) = if !phase.is_canonical() {
        let shown: String = text.chars().take(60).collect();
        let message = format!(
            "the phase `{shown}` is not one of the machine's; it is kept and never stepped"
        );
        (
            "foreign_phase",
            message,
            "Use IDLE, INIT, IMPLEMENT, TEST, RUN, WAIT_SLURM, CHECK, DEBUG, DEBATE or DONE to let `ralph dispatch` step it.",
        )
    } else if phase == Phase::WaitSlurm && live == 0 {
        let message = "the phase waits for jobs, and no run is live".to_owned();
        (
            "nothing_to_wait_for",
            message,
            "The next dispatch goes on to CHECK.",
        )
    } else if live > 0 && matches!(phase, Phase::Idle | Phase::Init | Phase::Done) {
        let message = format!("{live} runs are live in the phase {phase}");
        (
            "live_runs_unattended",
            message,
            "Set the phase to WAIT_SLURM.",
        )
    } else {
        return;
    };
    findings.warning(code, message, fix).at(value.place());
}
