//! What a submission changes: before it is sent, when it is accepted, refused, limited or given up.

use serde_json::{Value, json};

use crate::backend::Receipt;
use crate::change::{ChangeSet, FileEdit, QueuePlace};
use crate::id::{JobId, QueueId};
use crate::ledger::{self, SubmitLedger};
use crate::phase::Phase;
use crate::pipeline::PipelineEdit;
use crate::plan::rules::{SET_BY_PREFLIGHT, SET_BY_SESSION, limit_key};
use crate::plan::{backoff, verify};
use crate::settings::PollSettings;
use crate::settle::{Draft, members};
use crate::store::layout;
use crate::time::{Timestamp, stamp};
use crate::world::{Facts, Intent, SightedAs};

/// The ledger first: spec, configuration, script and the intent are on disk before anything is sent (I6).
#[must_use]
pub fn intended(facts: &Facts, intent: &Intent, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    let run = &intent.request.run;
    if let Some(item) = facts.item(intent.queue_id.as_str()) {
        draft.file(
            ledger::path(run, "spec.md"),
            FileEdit::Create {
                text: ledger::spec(intent, item),
            },
        );
    }
    if let (Some(path), Some(text)) = (&intent.request.config_path, &intent.request.config) {
        let name = ledger::snapshot_name(path);
        draft.file(
            ledger::path(run, &name),
            FileEdit::Create { text: text.clone() },
        );
    }
    let submit = submit_ledger(facts, intent, "submitting", now);
    draft.file(
        ledger::path(run, "submit.json"),
        FileEdit::Create {
            text: ledger::json(&submit),
        },
    );
    draft.file(
        layout::intent(run),
        FileEdit::Create {
            text: ledger::json(intent),
        },
    );
    draft.finish(format!("intend to submit {} as {run}", intent.queue_id))
}

/// The scheduler has a job: ledger, queue and state say so, and the intent is settled.
#[must_use]
pub fn accepted(
    facts: &Facts,
    intent: &Intent,
    receipt: &Receipt,
    poll: &PollSettings,
    now: Timestamp,
) -> ChangeSet {
    let Receipt::Accepted { job, remarks, .. } = receipt else {
        return unsettled(facts, now);
    };
    let mut draft = Draft::new(facts, now);
    let run = &intent.request.run;
    let mut submit = submit_ledger(facts, intent, "submitted", now);
    submit.job_id = Some(job.to_string());
    submit.remarks = Some(remarks.trim().to_owned()).filter(|text| !text.is_empty());
    draft.file(
        ledger::path(run, "submit.json"),
        FileEdit::Replace {
            text: ledger::json(&submit),
        },
    );
    draft.file(
        layout::QUEUE,
        FileEdit::Queue {
            id: intent.queue_id.to_string(),
            to: QueuePlace::InProgress,
            lines: lines([
                ("Run", run.as_str()),
                ("Job", &job.to_string()),
                ("Status", "submitted"),
            ]),
        },
    );
    draft.pipeline(PipelineEdit::AddRun {
        run: record(intent, &submit, *job),
    });
    draft.phase(&Phase::WaitSlurm);
    draft.set(
        &["slurm_wait", "next_poll_after"],
        json!(stamp(backoff::first(poll, now))),
    );
    draft.set(&["slurm_wait", "last_polled_at"], Value::Null);
    draft.next_action(Some((
        &format!("{} runs as job {job}", intent.queue_id),
        "dispatch polls the job when it is due",
    )));
    draft.answered(&format!("{SET_BY_PREFLIGHT}{}", intent.queue_id));
    draft.event(
        "SUBMIT",
        &format!("{} submitted as {run}, job {job}", intent.queue_id),
    );
    forget(&mut draft, facts, intent);
    draft.file(layout::intent(run), FileEdit::Remove);
    draft.finish(format!("{} is job {job}", intent.queue_id))
}

/// The scheduler refused, and no job exists. A limit is no failure: the item stays READY and waits (incident 37).
#[must_use]
pub fn refused(
    facts: &Facts,
    intent: &Intent,
    message: &str,
    limit: bool,
    now: Timestamp,
) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    let run = &intent.request.run;
    let mut submit = submit_ledger(facts, intent, "refused", now);
    submit.remarks = Some(message.trim().to_owned());
    draft.file(
        ledger::path(run, "submit.json"),
        FileEdit::Replace {
            text: ledger::json(&submit),
        },
    );
    let mut sightings = facts.sightings.clone();
    sightings.entries.remove(intent.request.token.as_str());
    if limit {
        let key = limit_key(intent.queue_id.as_str());
        let seen = verify::note(sightings.entries.get(&key), SightedAs::Limit, now);
        sightings.entries.insert(key, seen);
    } else {
        let prompt = format!(
            "{} was refused by the scheduler: {}",
            intent.queue_id,
            one_line(message)
        );
        draft.ask(&prompt, &format!("{SET_BY_PREFLIGHT}{}", intent.queue_id));
        draft.event("REFUSED", &prompt);
    }
    draft.sightings(&sightings);
    draft.file(layout::intent(run), FileEdit::Remove);
    draft.finish(format!(
        "{} was refused{}",
        intent.queue_id,
        if limit { " by a limit; it waits" } else { "" }
    ))
}

/// Provably without a job for long enough: the item can be submitted anew.
#[must_use]
pub fn abandoned(facts: &Facts, intent: &Intent, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    let run = &intent.request.run;
    let submit = submit_ledger(facts, intent, "abandoned", now);
    draft.file(
        ledger::path(run, "submit.json"),
        FileEdit::Replace {
            text: ledger::json(&submit),
        },
    );
    draft.event(
        "ABANDON",
        &format!(
            "{run}: no source knows a job of this submission; {} may be submitted again",
            intent.queue_id
        ),
    );
    forget(&mut draft, facts, intent);
    draft.file(layout::intent(run), FileEdit::Remove);
    draft.finish(format!("give up the submission {run}"))
}

/// What is not known yet changes nothing.
#[must_use]
pub fn unsettled(facts: &Facts, now: Timestamp) -> ChangeSet {
    Draft::new(facts, now).finish("the submission is not settled")
}

/// The item cannot be submitted as it is: a person is told what to mend.
#[must_use]
pub fn preflight_failed(
    facts: &Facts,
    item: &QueueId,
    problems: &[String],
    now: Timestamp,
) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    let prompt = format!("{item} cannot be submitted: {}", problems.join("; "));
    draft.ask(&prompt, &format!("{SET_BY_PREFLIGHT}{item}"));
    draft.finish(format!("{item} cannot be submitted"))
}

/// No session: the seed's rule, word for word where the shims are installed.
#[must_use]
pub fn no_session(facts: &Facts, prompt: &str, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    draft.ask(prompt, SET_BY_SESSION);
    draft.finish("ask for an SSH session")
}

/// A session is open again: the machine takes back its own question.
#[must_use]
pub fn session_is_open(facts: &Facts, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    draft.answered(SET_BY_SESSION);
    draft.finish("an SSH session is open")
}

fn submit_ledger(facts: &Facts, intent: &Intent, status: &str, now: Timestamp) -> SubmitLedger {
    let experiment = facts
        .item(intent.queue_id.as_str())
        .map_or("", |item| item.title.as_str());
    let directives = crate::sbatch::parse(&intent.request.script);
    let partition = directives
        .iter()
        .find(|directive| directive.option == "partition");
    SubmitLedger::of(
        intent,
        experiment,
        partition.and_then(|found| found.value.clone()),
        status,
        now,
    )
}

/// The record of `active_runs`: the contract's four members first, then what is known (contradiction 7).
fn record(intent: &Intent, submit: &SubmitLedger, job: JobId) -> serde_json::Map<String, Value> {
    members([
        ("run_id", Some(json!(submit.run_id))),
        ("experiment", Some(json!(submit.experiment))),
        ("status", Some(json!("pending"))),
        ("job_id", Some(json!(job.to_string()))),
        ("queue_id", Some(json!(submit.queue_id))),
        ("submitted_at", Some(json!(submit.submitted_at))),
        (
            "partition",
            submit.partition.as_ref().map(|partition| json!(partition)),
        ),
        ("git_sha", submit.git_sha.as_ref().map(|sha| json!(sha))),
        ("sbatch_path", Some(json!(submit.sbatch_path))),
        (
            "config_path",
            submit.config_path.as_ref().map(|path| json!(path)),
        ),
        ("attempt", Some(json!(intent.attempt))),
        ("token", Some(json!(intent.request.token.as_str()))),
    ])
}

fn forget(draft: &mut Draft<'_>, facts: &Facts, intent: &Intent) {
    let mut sightings = facts.sightings.clone();
    sightings.entries.remove(intent.request.token.as_str());
    sightings
        .entries
        .remove(&limit_key(intent.queue_id.as_str()));
    draft.sightings(&sightings);
}

pub(crate) fn lines<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs
        .into_iter()
        .map(|(key, text)| (key.to_owned(), text.to_owned()))
        .collect()
}

/// One line of at most 400 characters without control characters, for the state file. Documents escape what they
/// are given themselves.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.chars().filter(|c| !c.is_control()).collect())
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(&line)),
        None => line,
    }
}
