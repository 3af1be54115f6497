//! What a submission changes: before it is sent, when it is accepted, refused, limited or given up.

use ralph_docs::queue::QueueSection;
use serde_json::{Value, json};

use crate::backend::{FoundBy, Receipt};
use crate::change::{ChangeSet, FileChange, FileEdit, QueuePlace};
use crate::id::{JobId, QueueId, RunId};
use crate::ledger::{self, SubmitLedger};
use crate::phase::Phase;
use crate::pipeline::{PipelineEdit, RunKey, RunView};
use crate::plan::items::limit_key;
use crate::plan::rules::{SET_BY_PREFLIGHT, SET_BY_REFUSAL, SET_BY_SESSION};
use crate::plan::{backoff, verify};
use crate::sbatch;
use crate::settings::PollSettings;
use crate::settle::words::{lines, one_line};
use crate::settle::{Draft, members};
use crate::store::layout;
use crate::time::{Timestamp, stamp};
use crate::world::{Facts, Forgotten, Intent, SightedAs, Sightings};

/// The ledger first: spec, configuration, script and the intent are on disk before anything is sent (I6).
#[must_use]
pub(crate) fn intended(facts: &Facts, intent: &Intent, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    let run = &intent.request.run;
    if let Some(item) = facts.item(intent.queue_id.as_str()) {
        draft.create(ledger::path(run, ledger::SPEC), ledger::spec(intent, item));
    }
    if let (Some(path), Some(text)) = (&intent.request.config_path, &intent.request.config) {
        let name = ledger::snapshot_name(path);
        draft.create(ledger::path(run, &name), text.clone());
    }
    let submit = submit_ledger(facts, intent, "submitting");
    draft.create(ledger::path(run, ledger::SUBMIT), ledger::json(&submit));
    draft.create(layout::intent(run), ledger::json(intent));
    draft.finish(format!("intend to submit {} as {run}", intent.queue_id))
}

/// The scheduler has a job: ledger, queue and state say so, and the intent is settled.
#[must_use]
pub(crate) fn accepted(
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
    let mut submit = submit_ledger(facts, intent, ledger::SUBMITTED);
    submit.job_id = Some(job.to_string());
    submit.remarks = Some(remarks.trim().to_owned()).filter(|text| !text.is_empty());
    draft.replace(ledger::path(run, ledger::SUBMIT), ledger::json(&submit));
    let moved = moved_on(&intent.queue_id, run.as_str(), &job.to_string());
    draft.file(moved.path, moved.edit);
    draft.pipeline(PipelineEdit::AddRun {
        run: submit.record(*job),
    });
    poll_first(&mut draft, poll);
    await_job(&mut draft, &intent.queue_id, *job);
    // Whichever item was asked about: the queue has moved on.
    draft.answered(SET_BY_PREFLIGHT);
    draft.answered(SET_BY_REFUSAL);
    draft.event(
        "SUBMIT",
        &format!("{} submitted as {run}, job {job}", intent.queue_id),
    );
    forget(&mut draft, intent);
    draft.file(layout::intent(run), FileEdit::Remove);
    draft.finish(format!("{} is job {job}", intent.queue_id))
}

/// The job of an earlier submission of the item is this run's, where it does the same and no record of the books is of
/// it: they were lost, as by `git clean`. `None` where that is not so, and nothing may be taken for something else.
#[must_use]
pub(crate) fn taken_over(
    facts: &Facts,
    intent: &Intent,
    earlier: &Receipt,
    poll: &PollSettings,
    now: Timestamp,
) -> Option<ChangeSet> {
    let Receipt::Earlier {
        job,
        token,
        run,
        intent_at,
        same: true,
    } = earlier
    else {
        return None;
    };
    let view = &facts.view;
    let lists = [
        &view.active_runs,
        &view.completed_runs,
        &view.cancelled_runs,
    ];
    let is_it = |known: &RunView| {
        known.token.as_ref() == Some(token) || known.key.run_id.as_deref() == Some(run.as_str())
    };
    if lists.into_iter().flatten().any(is_it) {
        return None;
    }
    // The token is what the cluster knows the job by.
    let mut as_sent = intent.clone();
    as_sent.request.token = token.clone();
    as_sent.request.intent_at = *intent_at;
    let receipt = Receipt::Accepted {
        job: *job,
        cluster: None,
        how: FoundBy::Queue,
        remarks: format!("submitted as {run}, which these books did not have"),
    };
    Some(accepted(facts, &as_sent, &receipt, poll, now))
}

/// Why an item is not submitted while a job of it lives that is not taken over.
#[must_use]
pub(crate) fn earlier_lives(facts: &Facts, job: JobId, run: &RunId) -> String {
    format!(
        "job {job}, submitted for it as {run}, still lives on the cluster and is not certain to be the same; it is \
         submitted when that job has left the queue. `ralph cluster jobs --adopt {job} --project {}` takes the job into \
         the books",
        facts.slug
    )
}

/// A run that the state file has lost is in it again, as its ledger has it, so that its job is asked about and its item
/// is not submitted a second time.
#[must_use]
pub(crate) fn restored(
    facts: &Facts,
    lost: &Forgotten,
    poll: &PollSettings,
    now: Timestamp,
) -> ChangeSet {
    let Forgotten {
        run,
        queue_id,
        job,
        record,
    } = lost;
    let mut draft = Draft::new(facts, now);
    draft.pipeline(PipelineEdit::AddRun {
        run: record.clone(),
    });
    let item = facts.item(queue_id.as_str());
    if item.is_some_and(|item| item.section == QueueSection::Ready) {
        let moved = moved_on(queue_id, run, &job.to_string());
        draft.file(moved.path, moved.edit);
    }
    poll_first(&mut draft, poll);
    await_job(&mut draft, queue_id, *job);
    draft.event(
        "RESTORE",
        &format!("{run} of {queue_id}, job {job}, was in no list; it is as its ledger has it"),
    );
    draft.finish(format!("put {run} back"))
}

/// When a new job is asked about first.
fn poll_first(draft: &mut Draft<'_>, poll: &PollSettings) {
    let first = backoff::first(poll, draft.now);
    draft.wait([
        ("next_poll_after", json!(stamp(first))),
        ("last_polled_at", Value::Null),
    ]);
}

/// The project waits for a job. One that a person submits beside other work, or that is adopted late, does not end that
/// work.
fn await_job(draft: &mut Draft<'_>, item: &QueueId, job: JobId) {
    if matches!(
        draft.facts.phase(),
        Phase::Run | Phase::WaitSlurm | Phase::Check | Phase::Done | Phase::Idle
    ) {
        draft.phase(&Phase::WaitSlurm);
        draft.next_action(Some((
            &format!("{item} runs as job {job}"),
            "dispatch polls the job when it is due",
        )));
    }
}

/// The edits of the state file that a submission will need: that it has begun, and at last that it has ended. What
/// cannot be written down is not sent.
#[must_use]
pub(crate) fn books(
    facts: &Facts,
    intent: &Intent,
    poll: &PollSettings,
    now: Timestamp,
) -> FileEdit {
    let job = JobId::LARGEST;
    let receipt = Receipt::Accepted {
        job,
        cluster: None,
        how: FoundBy::Marker,
        remarks: String::new(),
    };
    let begun = accepted(facts, intent, &receipt, poll, now);
    let mut edits: Vec<PipelineEdit> = begun
        .files
        .into_iter()
        .filter_map(|file| match file.edit {
            FileEdit::Pipeline { edits } => Some(edits),
            _ => None,
        })
        .flatten()
        .collect();
    edits.push(PipelineEdit::CompleteRun {
        run: RunKey {
            index: facts.view.active_runs.len(),
            run_id: Some(intent.request.run.to_string()),
            job_id: Some(job.to_string()),
        },
        set: members([("status", Some(json!("completed")))]),
    });
    FileEdit::Pipeline { edits }
}

/// What the queue says of an item that was submitted.
#[must_use]
pub(crate) fn moved_on(item: &QueueId, run: &str, job: &str) -> FileChange {
    FileChange {
        path: layout::QUEUE.to_owned(),
        edit: FileEdit::Queue {
            id: item.to_string(),
            to: QueuePlace::InProgress,
            lines: lines([("Run", run), ("Job", job), ("Status", "submitted")]),
        },
    }
}

/// The scheduler refused, and no job exists.
#[must_use]
pub(crate) fn refused(facts: &Facts, intent: &Intent, message: &str, now: Timestamp) -> ChangeSet {
    let (mut draft, sightings) = without_job(facts, intent, message, now);
    let item = &intent.queue_id;
    let prompt = format!("{item} was refused by the scheduler: {}", one_line(message));
    let set_by = refusal_of(item, &intent.request.script_sha256);
    draft.ask(&prompt, &set_by);
    draft.event("REFUSED", &prompt);
    draft.sightings(&sightings);
    draft.file(layout::intent(&intent.request.run), FileEdit::Remove);
    draft.finish(format!("{item} was refused"))
}

/// It was refused by a limit, and no job exists. That is no failure: the item stays READY and waits (incident 37).
#[must_use]
pub(crate) fn refused_by_limit(
    facts: &Facts,
    intent: &Intent,
    message: &str,
    now: Timestamp,
) -> ChangeSet {
    let (mut draft, mut sightings) = without_job(facts, intent, message, now);
    note_limit(&mut sightings, &intent.queue_id, now);
    draft.sightings(&sightings);
    draft.file(layout::intent(&intent.request.run), FileEdit::Remove);
    draft.finish(format!(
        "{} was refused by a limit; it waits",
        intent.queue_id
    ))
}

/// What a refusal leaves in the books, whatever it was for: a ledger, and nothing that waits for an answer.
fn without_job<'a>(
    facts: &'a Facts,
    intent: &Intent,
    message: &str,
    now: Timestamp,
) -> (Draft<'a>, Sightings) {
    let mut draft = Draft::new(facts, now);
    let mut submit = submit_ledger(facts, intent, "refused");
    submit.remarks = Some(message.trim().to_owned());
    let path = ledger::path(&intent.request.run, ledger::SUBMIT);
    draft.replace(path, ledger::json(&submit));
    let mut sightings = facts.sightings.clone();
    sightings.entries.remove(intent.request.token.as_str());
    (draft, sightings)
}

fn note_limit(sightings: &mut Sightings, item: &QueueId, now: Timestamp) {
    let key = limit_key(item.as_str());
    let seen = verify::note(sightings.entries.get(&key), SightedAs::Limit, now);
    sightings.entries.insert(key, seen);
}

/// Who asks about an item that the scheduler refused: the same script is not sent again, a changed one is.
#[must_use]
pub(crate) fn refusal_of(item: &QueueId, script_sha256: &str) -> String {
    let short = script_sha256.get(..12).unwrap_or(script_sha256);
    format!("{SET_BY_REFUSAL}{item}:{short}")
}

/// A limit of the workspace's own policy is reached: as with a limit of the scheduler, the item stays READY and waits.
#[must_use]
pub(crate) fn limited(facts: &Facts, item: &QueueId, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    let mut sightings = facts.sightings.clone();
    note_limit(&mut sightings, item, now);
    draft.sightings(&sightings);
    draft.finish(format!("{item} waits for a limit"))
}

/// Provably without a job for long enough: the item can be submitted anew.
#[must_use]
pub(crate) fn abandoned(facts: &Facts, intent: &Intent, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    let run = &intent.request.run;
    let submit = submit_ledger(facts, intent, "abandoned");
    draft.replace(ledger::path(run, ledger::SUBMIT), ledger::json(&submit));
    draft.event(
        "ABANDON",
        &format!(
            "{run}: no source knows a job of this submission; {} may be submitted again",
            intent.queue_id
        ),
    );
    forget(&mut draft, intent);
    draft.file(layout::intent(run), FileEdit::Remove);
    draft.finish(format!("give up the submission {run}"))
}

/// What is not known yet changes nothing.
#[must_use]
pub(crate) fn unsettled(facts: &Facts, now: Timestamp) -> ChangeSet {
    Draft::new(facts, now).finish("the submission is not settled")
}

/// The item cannot be submitted as it is: a person is told what to mend.
#[must_use]
pub(crate) fn preflight_failed(
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
pub(crate) fn no_session(facts: &Facts, prompt: &str, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    draft.ask(prompt, SET_BY_SESSION);
    draft.finish("ask for an SSH session")
}

/// A session is open again: the machine takes back its own question.
#[must_use]
pub(crate) fn session_is_open(facts: &Facts, now: Timestamp) -> ChangeSet {
    let mut draft = Draft::new(facts, now);
    draft.answered(SET_BY_SESSION);
    draft.finish("an SSH session is open")
}

fn submit_ledger(facts: &Facts, intent: &Intent, status: &str) -> SubmitLedger {
    let experiment = facts
        .item(intent.queue_id.as_str())
        .map_or("", |item| item.title.as_str());
    let directives = sbatch::parse(&intent.request.script);
    let partition = sbatch::last(&directives, "partition").and_then(|found| found.value.clone());
    SubmitLedger::of(intent, experiment, partition, status)
}

fn forget(draft: &mut Draft<'_>, intent: &Intent) {
    let mut sightings = draft.facts.sightings.clone();
    sightings.entries.remove(intent.request.token.as_str());
    sightings
        .entries
        .remove(&limit_key(intent.queue_id.as_str()));
    draft.sightings(&sightings);
}
