//! The words about a run that ended badly: the debugging entry, its key, the line that people read first.

use crate::change::EntryText;
use crate::classify::{Diagnosis, FailureClass, RetryPolicy, Scope};
use crate::job::{JobReport, JobState};
use crate::pipeline::{RunKey, RunView};
use crate::plan::verify::decisive;
use crate::settle::ending::{Consequence, Ending};
use crate::settle::words::{headline, one_line, subject};
use crate::time::{Timestamp, stamp};

/// The entry that the seed asks for: error message, root cause, run id, job id, log paths, timestamp.
pub(super) fn entry(ending: &Ending<'_>, consequence: Consequence, now: Timestamp) -> EntryText {
    let diagnosis = ending.diagnosis;
    let key = &ending.run.key;
    let mut fields = vec![
        ("Error".to_owned(), headline(diagnosis)),
        ("Root cause".to_owned(), diagnosis.cause.clone()),
        (
            "Class".to_owned(),
            format!(
                "{} (scope: {})",
                diagnosis.class.name(),
                diagnosis.scope.name()
            ),
        ),
        (
            "Run".to_owned(),
            key.run_id
                .clone()
                .unwrap_or_else(|| "(no run id)".to_owned()),
        ),
        (
            "Job".to_owned(),
            key.job_id
                .clone()
                .unwrap_or_else(|| "(no job id)".to_owned()),
        ),
    ];
    if let Some(report) = decisive(ending.reports) {
        // Of an array the exit code is that of one task; what each group of them ended with stands below.
        let exit = report.exit.filter(|_| report.tasks.is_empty());
        let exit = exit.map_or_else(String::new, |exit| format!(", exit {exit}"));
        fields.push(("State".to_owned(), format!("{}{exit}", report.verdict())));
        fields.extend(tasks(&report.tasks).map(|words| ("Tasks".to_owned(), words)));
        if let Some(nodes) = &report.nodes {
            fields.push(("Nodes".to_owned(), one_line(nodes)));
        }
    }
    if let Some(line) = &diagnosis.key {
        fields.push((
            "Key line".to_owned(),
            format!("{}:{}", line.path, line.line),
        ));
    }
    if let Some((file, line)) = &diagnosis.source_location {
        fields.push(("Code".to_owned(), format!("{}:{line}", one_line(file))));
    }
    fields.extend(
        ending
            .logs
            .iter()
            .map(|log| ("Log".to_owned(), log.clone())),
    );
    fields.push(("Next".to_owned(), next_words(consequence, diagnosis)));
    fields.push(("Time".to_owned(), stamp(now)));
    EntryText {
        title: title(ending),
        key: entry_key(key),
        blocking: consequence == Consequence::Block,
        fields,
        quote: quoted(diagnosis),
    }
}

/// How many of an array's tasks are named of each way to end, and how many ways are told.
const NAMED_TASKS: usize = 3;
const TOLD_ENDS: usize = 6;

/// How many tasks of an array did not complete, and with what, grouped (incident 73).
fn tasks(tasks: &[JobReport]) -> Option<String> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    let failed = tasks
        .iter()
        .filter(|task| task.state != JobState::Completed);
    for task in failed {
        let exit = task
            .exit
            .map_or_else(String::new, |exit| format!(" with {exit}"));
        let end = format!("{}{exit}", task.state);
        let name = task.job.to_string();
        match groups.iter_mut().find(|(known, _)| *known == end) {
            Some((_, names)) => names.push(name),
            None => groups.push((end, vec![name])),
        }
    }
    let count: usize = groups.iter().map(|(_, names)| names.len()).sum();
    let told = groups.iter().take(TOLD_ENDS).map(|(end, names)| {
        let shown = names.iter().take(NAMED_TASKS).cloned().collect::<Vec<_>>();
        let more = if names.len() > NAMED_TASKS {
            ", …"
        } else {
            ""
        };
        format!("{} {end} ({}{more})", names.len(), shown.join(", "))
    });
    let told = told.collect::<Vec<_>>().join(", ");
    let more = if groups.len() > TOLD_ENDS {
        ", …"
    } else {
        ""
    };
    (!tasks.is_empty()).then(|| {
        let colon = if count == 0 { "" } else { ": " };
        format!(
            "{count} of {} did not complete{colon}{told}{more}",
            tasks.len()
        )
    })
}

/// The longest heading of an entry, in characters; the line that it was cut from is in the entry.
const LONGEST_TITLE: usize = 120;

fn title(ending: &Ending<'_>) -> String {
    let item = ending
        .run
        .queue_id
        .clone()
        .or_else(|| ending.run.key.run_id.clone())
        .unwrap_or_default();
    heading(format!("{item}: {}", subject(ending.diagnosis)))
}

/// Cut where it is too long, and seen to be.
fn heading(whole: String) -> String {
    if whole.chars().count() <= LONGEST_TITLE {
        return whole;
    }
    let cut: String = whole.chars().take(LONGEST_TITLE - 1).collect();
    format!("{}…", cut.trim_end())
}

fn next_words(consequence: Consequence, diagnosis: &Diagnosis) -> String {
    match consequence {
        Consequence::Retry => format!("Submitted again by itself. {}", diagnosis.advice),
        _ => diagnosis.advice.clone(),
    }
}

fn quoted(diagnosis: &Diagnosis) -> Option<(String, String)> {
    let text = diagnosis.tail.join("\n");
    (!text.trim().is_empty()).then(|| ("Last lines".to_owned(), text))
}

/// The machine's key of a run's debugging entry.
#[must_use]
pub(crate) fn entry_key(key: &RunKey) -> String {
    format!(
        "{}/{}",
        key.run_id.as_deref().unwrap_or("-"),
        key.job_id.as_deref().unwrap_or("-")
    )
}

/// The diagnosis of a run that no source knows any more: for a person, never a success.
#[must_use]
pub(crate) fn lost(run: &RunView, since: Timestamp, asked: &[String]) -> Diagnosis {
    let job = run.key.job_id.as_deref().unwrap_or("?");
    Diagnosis {
        class: FailureClass::Lost,
        inner: None,
        scope: Scope::Unknown,
        retry: RetryPolicy::Ask,
        key: None,
        source_location: None,
        matches: Vec::new(),
        tail: Vec::new(),
        suspicious: false,
        summary: format!("job {job} is lost: {} answered and do not know it since {}", asked.join(" and "), stamp(since)),
        cause: "Not known. The job is neither in the queue nor in accounting; hypotheses: it belongs to another cluster or account, \
                or its records were purged."
            .to_owned(),
        advice: "Look for its output on the cluster before it is submitted again.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tasks_of_an_array_are_counted_by_how_they_ended() {
        let now = crate::fixture::Fixture::parse("").now;
        let words = ["FAILED", "137:0"];
        let mut whole = crate::fixture::report("1001".parse().unwrap(), &words, now);
        assert_eq!(tasks(&whole.tasks), None);
        let task = |index: u32| {
            let words = match index {
                3 => ["FAILED", "137:0"],
                6.. => ["FAILED", "1:0"],
                _ => ["COMPLETED", "0:0"],
            };
            crate::fixture::report(format!("1001_{index}").parse().unwrap(), &words, now)
        };
        whole.tasks = (0..10).map(task).collect();
        insta::assert_snapshot!(
            tasks(&whole.tasks).unwrap_or_default(),
            @"5 of 10 did not complete: 1 FAILED with 137:0 (1001_3), 4 FAILED with 1:0 (1001_6, 1001_7, 1001_8, …)"
        );
    }

    #[test]
    fn a_heading_that_was_cut_is_seen_to_be() {
        let fits = "ä".repeat(LONGEST_TITLE);
        assert_eq!(heading(fits.clone()), fits);
        let cut = heading(fits + "b");
        assert_eq!(cut.chars().count(), LONGEST_TITLE);
        assert!(cut.ends_with("ä…"));
    }
}
