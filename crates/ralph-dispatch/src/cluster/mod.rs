//! `--on cluster`: each loop as a job of the configured cluster, under the same records, sweep and stop.
//!
//! A submission is in its record on disk before it is made, and its token finds the job again when the answer was
//! lost. Logs are copied here as they grow. What the cluster did not say is no state.

mod submit;

use std::collections::BTreeMap;
use std::sync::Arc;

use ralph_core::backend::{BackendError, ClusterBackend, FetchRequest, LogPart, Receipt, Stream};
use ralph_core::id::JobId;
use ralph_core::job::{Finality, JobQuery, JobReport, JobState, Observation, Sighting};
use ralph_core::settings::{self, ClusterKind};
use ralph_core::store::{append, atomic, layout as files};
use ralph_core::time::{SignedDuration, Timestamp};
use ralph_front::cluster::Site;
use ralph_front::failure::{Failure, sentence};
use ralph_front::machine::block_on;
use serde_json::Value;

pub(crate) use self::submit::submit;
use crate::env_vars;
use crate::record::{Job, LoopRecord, State};
use crate::standing::{JobStanding, Standing};
use crate::sweep;
use crate::workbench::Workbench;

/// As much of a log as is copied at once, in bytes.
const PIECE: u64 = 1024 * 1024;

/// A job that the cluster does not know, or that it took from a broken node, is given up after this long.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// The log of a job that has ended is fetched for this long before the job counts as over without it.
const LOG_PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// The cluster of the workbench's configuration.
fn backend(bench: &Workbench) -> Result<Arc<dyn ClusterBackend>, BackendError> {
    let root = &bench.layout.root;
    let no_config = |detail: String| BackendError::NoConfig { detail };
    let configured = match atomic::read_text(&root.join(files::CONFIG)) {
        Ok(None) => None,
        Ok(Some(text)) => match serde_json::from_str(&text) {
            Ok(Value::Object(object)) => settings::read(&object).0.cluster,
            _ => {
                return Err(no_config(format!(
                    "{}: expected a JSON object",
                    files::CONFIG
                )));
            }
        },
        Err(error) => return Err(no_config(sentence(&error))),
    };
    let has_file = root.join(files::CLUSTER_CONFIG).exists();
    let kind = configured.or(has_file.then_some(ClusterKind::Slurm));
    let workspace = bench.layout.cluster();
    let site = Site {
        root,
        state_dir: workspace.join("state"),
        workspace,
        program: env_vars::program(),
        runtime_dir: env_vars::runtime_dir(),
        home: env_vars::path("HOME"),
    };
    site.cluster(kind, &bench.env)
}

/// Whether some of these loops run on a cluster that is reached over a network.
pub(crate) fn is_remote(standings: &[Standing]) -> bool {
    let mut jobs = standings
        .iter()
        .filter_map(|standing| standing.record.job.as_ref());
    jobs.any(|job| job.kind != "local")
}

/// Asks the cluster about all jobs that have not been swept, and copies what their logs have grown by. Nothing is
/// asked when there is none.
pub(crate) fn refresh(bench: &Workbench) -> Result<BTreeMap<String, JobStanding>, Failure> {
    if unsettled(bench)?.is_empty() {
        return Ok(BTreeMap::new());
    }
    block_on(refresh_async(bench))?
}

/// The same, inside of a runtime.
pub(crate) async fn refresh_async(
    bench: &Workbench,
) -> Result<BTreeMap<String, JobStanding>, Failure> {
    if unsettled(bench)?.is_empty() {
        return Ok(BTreeMap::new());
    }
    // Where nothing can be written, nothing new is learned either.
    let _lock = match sweep::lock(&bench.layout) {
        Ok(lock) => lock,
        Err(error) => return Ok(all_unknown(unsettled(bench)?, &sentence(&error))),
    };
    let records = unsettled(bench)?;
    let asked = match backend(bench) {
        Ok(cluster) => ask(bench, cluster.as_ref(), records.clone()).await,
        Err(error) => Err(error),
    };
    Ok(asked.unwrap_or_else(|error| all_unknown(records, &sentence(&error))))
}

fn all_unknown(records: Vec<LoopRecord>, why: &str) -> BTreeMap<String, JobStanding> {
    let names = records.into_iter().map(|record| record.repository);
    names.map(|name| (name, unknown(why.to_owned()))).collect()
}

fn unsettled(bench: &Workbench) -> Result<Vec<LoopRecord>, Failure> {
    // The first submission makes the folder, before its record.
    if !bench.layout.cluster().exists() {
        return Ok(Vec::new());
    }
    let (mut records, _) = LoopRecord::all(&bench.layout)?;
    records.retain(|record| record.job.is_some() && record.settled.is_none());
    Ok(records)
}

async fn ask(
    bench: &Workbench,
    cluster: &dyn ClusterBackend,
    records: Vec<LoopRecord>,
) -> Result<BTreeMap<String, JobStanding>, BackendError> {
    let mut standings = BTreeMap::new();
    let mut known = Vec::new();
    for mut record in records {
        let Some(job) = record.job.as_deref_mut() else {
            continue;
        };
        if job.job.is_none() {
            let request = &job.request;
            let receipt = cluster.receipt(&request.token, request.intent_at).await?;
            if let Err(standing) = named(job, receipt) {
                standings.insert(record.repository.clone(), standing);
                continue;
            }
            // The next look asks again when this cannot be kept.
            let _ = record.write(&bench.layout);
        }
        known.push(record);
    }
    let queries: Vec<JobQuery> = known.iter().filter_map(query).collect();
    let observations = cluster.observe(&queries).await?;
    for (mut record, seen) in known.into_iter().zip(observations) {
        let read = copy_log(bench, cluster, &mut record).await;
        let now = bench.env.now();
        let before = record.clone();
        let standing = standing(&record, &seen, now);
        let standing = with_log(&mut record, &seen, standing, read, now);
        if record != before {
            // The patience begins again where this cannot be kept.
            let _ = record.write(&bench.layout);
        }
        standings.insert(record.repository.clone(), standing);
    }
    Ok(standings)
}

/// Takes a job's number from a receipt; or how a loop without one is.
fn named(job: &mut Job, receipt: Receipt) -> Result<(), JobStanding> {
    let ended = |state, reason: String| JobStanding {
        state,
        reason: Some(reason),
        ..unknown(String::new())
    };
    match receipt {
        Receipt::Accepted { job: number, .. } => {
            job.job = Some(number);
            Ok(())
        }
        Receipt::Absent => Err(ended(
            State::Lost,
            "it was never submitted: the launcher ended before".to_owned(),
        )),
        Receipt::Refused { message, .. } => Err(ended(
            State::Failed,
            format!("the scheduler refused it: {message}"),
        )),
        // A loop is no item of a queue.
        Receipt::Claimed { .. } | Receipt::Earlier { .. } => {
            Err(unknown("it is being submitted".to_owned()))
        }
        Receipt::Unproven { message, .. }
        | Receipt::Nameless { message }
        | Receipt::Unreadable { message } => Err(unknown(message)),
    }
}

fn query(record: &LoopRecord) -> Option<JobQuery> {
    let job = record.job.as_ref()?;
    Some(JobQuery {
        token: Some(job.request.token.clone()),
        ..JobQuery::of(job.job?)
    })
}

fn unknown(why: String) -> JobStanding {
    JobStanding {
        state: State::Unknown,
        exit_code: None,
        reason: Some(why),
        ended: None,
    }
}

/// What an observation means for a loop.
fn standing(record: &LoopRecord, seen: &Observation, now: Timestamp) -> JobStanding {
    match &seen.sighting {
        Sighting::Seen(report) => of_report(report, record.stop_asked.is_some(), now),
        Sighting::Unknown { why } => unknown(why.clone()),
        Sighting::Absent { asked } => JobStanding {
            state: if now.duration_since(record.launched) > PATIENCE {
                State::Lost
            } else {
                State::Unknown
            },
            ..unknown(format!("no such job in {}", asked.join(", ")))
        },
    }
}

fn of_report(report: &JobReport, stop_asked: bool, now: Timestamp) -> JobStanding {
    let exit_code = report.exit.map(|exit| match exit.signal {
        0 => exit.code,
        signal => 128 + signal,
    });
    let word = report.state.to_string();
    let is_over = |ended: Timestamp| now.duration_since(ended) > PATIENCE;
    let state = match (report.finality(), &report.state) {
        (Finality::Alive, _) if report.state.is_started() => State::Running,
        (Finality::Alive, _) => State::Pending,
        (Finality::Provisional, _) if report.ended.is_some_and(is_over) => State::Lost,
        // The scheduler may start it again.
        (Finality::Provisional, _) => State::Unknown,
        (Finality::Final, JobState::Cancelled | JobState::Revoked) => State::Stopped,
        (Finality::Final, _) if stop_asked => State::Stopped,
        (Finality::Final, JobState::Completed) => State::Done,
        (Finality::Final, _) => State::Failed,
    };
    let is_plain = matches!(
        report.state,
        JobState::Completed | JobState::Failed | JobState::Running
    );
    JobStanding {
        state,
        exit_code: exit_code.filter(|_| state.is_final()),
        reason: (!is_plain).then(|| {
            report
                .reason
                .clone()
                .map_or(word.clone(), |why| format!("{word}: {why}"))
        }),
        ended: report.ended,
    }
}

/// How far a log was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// To its end, as it was then.
    Whole,
    /// There is none.
    Missing,
    /// There is more, or nobody knows.
    Part,
}

/// Copies what a log has grown by, and says how far that came. What is missing is fetched at the next look.
async fn copy_log(
    bench: &Workbench,
    cluster: &dyn ClusterBackend,
    record: &mut LoopRecord,
) -> Read {
    let log = bench.layout.log(&record.repository);
    let Some(job) = record.job.as_deref_mut() else {
        return Read::Missing;
    };
    let Some(number) = job.job else {
        return Read::Missing;
    };
    let before = job.fetched;
    let read = loop {
        let request = FetchRequest {
            project: job.request.project.clone(),
            job: number,
            token: Some(job.request.token.clone()),
            stream: Stream::Out,
            part: LogPart::From(job.fetched),
            limit: PIECE,
        };
        let Ok(report) = cluster.fetch(&request).await else {
            break Read::Part;
        };
        let Some(size) = report.size else {
            break Read::Missing;
        };
        if append::append_bytes(&log, &report.bytes).is_err() {
            break Read::Part;
        }
        // A log that is shorter than what was read of it was begun anew.
        job.fetched = report.offset + report.bytes.len() as u64;
        if job.fetched >= size {
            break Read::Whole;
        }
        if report.bytes.is_empty() {
            break Read::Part;
        }
    };
    if job.fetched != before {
        let _ = record.write(&bench.layout);
    }
    read
}

/// A job that has ended is over once its log is here, which says what it delivered. One whose log does not come is over
/// after a while.
fn with_log(
    record: &mut LoopRecord,
    seen: &Observation,
    standing: JobStanding,
    read: Read,
    now: Timestamp,
) -> JobStanding {
    let has_begun = matches!(&seen.sighting, Sighting::Seen(report) if report.started.is_some());
    let is_here = match read {
        Read::Whole => true,
        Read::Missing => !has_begun,
        Read::Part => false,
    };
    let Some(job) = record.job.as_deref_mut() else {
        return standing;
    };
    if is_here || !standing.state.is_final() {
        return standing;
    }
    let since = *job.log_missed.get_or_insert(now);
    if now.duration_since(since) > LOG_PATIENCE {
        return standing;
    }
    unknown("it has ended, and its log cannot be fetched yet".to_owned())
}

/// Asks the cluster to end the jobs of these loops. That they end is seen later.
pub(crate) fn cancel(bench: &Workbench, marked: &[Standing]) -> Result<(), Failure> {
    let jobs: Vec<JobId> = marked
        .iter()
        .filter_map(|standing| standing.record.job.as_ref()?.job)
        .collect();
    if jobs.is_empty() {
        return Ok(());
    }
    let cluster = backend(bench)?;
    block_on(cluster.cancel(&jobs))??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use ralph_core::backend::SubmitRequest;
    use ralph_core::env::Env;
    use ralph_core::id::RunId;

    use super::*;

    fn report(state: JobState, code: i32, ended: Timestamp) -> JobReport {
        let evidence = ralph_core::job::Evidence {
            source: String::new(),
            line: String::new(),
            at: ended,
        };
        JobReport {
            name: "ralph-loop".to_owned(),
            ended: Some(ended),
            exit: Some(ralph_core::job::ExitInfo { code, signal: 0 }),
            ..JobReport::new("1001".parse().unwrap(), state, evidence)
        }
    }

    #[test]
    fn what_a_jobs_state_means_for_its_loop() {
        let then = Timestamp::UNIX_EPOCH;
        let soon = then + SignedDuration::from_secs(5);
        let late = then + SignedDuration::from_hours(1);
        let state = |state: JobState, code, asked, now| {
            let found = of_report(&report(state, code, then), asked, now);
            (found.state, found.exit_code)
        };
        assert_eq!(
            state(JobState::Completed, 0, false, soon),
            (State::Done, Some(0))
        );
        assert_eq!(
            state(JobState::Completed, 0, true, soon),
            (State::Stopped, Some(0))
        );
        assert_eq!(
            state(JobState::Failed, 3, false, soon),
            (State::Failed, Some(3))
        );
        assert_eq!(state(JobState::Timeout, 0, false, soon).0, State::Failed);
        assert_eq!(
            state(JobState::OutOfMemory, 0, false, soon).0,
            State::Failed
        );
        assert_eq!(state(JobState::Cancelled, 0, false, soon).0, State::Stopped);
        assert_eq!(
            state(JobState::Pending, 0, false, soon),
            (State::Pending, None)
        );
        assert_eq!(
            state(JobState::Running, 0, false, soon),
            (State::Running, None)
        );
        // What a broken node took may be started again, for a while.
        assert_eq!(state(JobState::NodeFail, 0, false, soon).0, State::Unknown);
        assert_eq!(state(JobState::NodeFail, 0, false, late).0, State::Lost);
        let odd = JobState::Other("EXPEDITING".to_owned());
        assert_eq!(state(odd, 0, false, late).0, State::Pending);
    }

    #[test]
    fn a_job_is_over_once_its_log_is_here_or_patience_ends() {
        let then = Timestamp::UNIX_EPOCH;
        let run: RunId = "20261126_213300-00000001".parse().unwrap();
        let (env, _) = Env::fixed(then);
        let token = env.ids.token(&run);
        let request = SubmitRequest::new(token, run, "p".parse().unwrap(), "s", "", then);
        let mut record = LoopRecord {
            job: Some(Box::new(Job {
                kind: "slurm".to_owned(),
                request,
                job: None,
                branch: "b".to_owned(),
                fetched: 0,
                log_missed: None,
            })),
            ..LoopRecord::new("svc-a", "l", then)
        };
        let mut state = |started, read, at| {
            let report = JobReport {
                started,
                ..report(JobState::Completed, 0, then)
            };
            let seen = Observation {
                job: report.job,
                at,
                sighting: Sighting::Seen(Box::new(report)),
            };
            let found = standing(&record, &seen, at);
            with_log(&mut record, &seen, found, read, at).state
        };
        let late = then + SignedDuration::from_hours(20);
        let later = late + LOG_PATIENCE + SignedDuration::from_secs(1);
        let began = Some(then);
        assert_eq!(state(began, Read::Whole, then), State::Done);
        // One that never began has none.
        assert_eq!(state(None, Read::Missing, late), State::Done);
        // Who comes a day later begins to be patient then.
        assert_eq!(state(began, Read::Part, late), State::Unknown);
        assert_eq!(state(began, Read::Missing, late), State::Unknown);
        assert_eq!(state(began, Read::Missing, later), State::Done);
    }
}
