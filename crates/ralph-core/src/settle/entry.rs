//! The words about a run that ended badly: the debugging entry, its key, the line that people read first.

use crate::change::EntryText;
use crate::classify::{Diagnosis, FailureClass, RetryPolicy, Scope};
use crate::pipeline::{RunKey, RunView};
use crate::plan::verify::decisive;
use crate::settle::finish::{Consequence, Ending};
use crate::settle::submission::one_line;
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
        let exit = report
            .exit
            .map_or_else(String::new, |exit| format!(", exit {exit}"));
        fields.push(("State".to_owned(), format!("{}{exit}", report.verdict())));
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

/// What happened, without the class: the line that decided and where it stands.
#[must_use]
pub fn headline(diagnosis: &Diagnosis) -> String {
    let class = format!("{}: ", diagnosis.label());
    one_line(
        diagnosis
            .summary
            .strip_prefix(&class)
            .unwrap_or(&diagnosis.summary),
    )
}

/// The longest heading of an entry, in characters; the line that it was cut from is in the entry.
const LONGEST_TITLE: usize = 120;

fn title(ending: &Ending<'_>) -> String {
    let subject = ending
        .run
        .queue_id
        .clone()
        .or_else(|| ending.run.key.run_id.clone())
        .unwrap_or_default();
    heading(format!("{subject}: {}", headline(ending.diagnosis)))
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
pub fn entry_key(key: &RunKey) -> String {
    format!(
        "{}/{}",
        key.run_id.as_deref().unwrap_or("-"),
        key.job_id.as_deref().unwrap_or("-")
    )
}

/// The diagnosis of a run that no source knows any more: for a person, never a success.
#[must_use]
pub fn lost(run: &RunView, since: Timestamp, asked: &[String]) -> Diagnosis {
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
    fn a_heading_that_was_cut_is_seen_to_be() {
        let fits = "ä".repeat(LONGEST_TITLE);
        assert_eq!(heading(fits.clone()), fits);
        let cut = heading(fits + "b");
        assert_eq!(cut.chars().count(), LONGEST_TITLE);
        assert!(cut.ends_with("ä…"));
    }
}
