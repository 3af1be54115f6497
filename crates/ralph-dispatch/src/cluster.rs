//! `--on cluster`: each loop as a job of the configured cluster, under the same records, sweep and stop.
//!
//! A submission is in its record on disk before it is made, and its token finds the job again when the answer was
//! lost. Logs are copied here as they grow. What the cluster did not say is no state.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ralph_core::backend::{
    BackendError, ClusterBackend, FetchRequest, GitCommit, Receipt, Stream, SubmitRequest,
};
use ralph_core::crash_point;
use ralph_core::error::Code;
use ralph_core::id::{IdError, JobId};
use ralph_core::job::{Finality, JobQuery, JobReport, JobState, Observation, Sighting};
use ralph_core::settings::{self, ClusterKind};
use ralph_core::store::{append, atomic, layout as files};
use ralph_core::time::{SignedDuration, Timestamp};
use ralph_front::cluster::Site;
use ralph_front::failure::{Failure, sentence};
use ralph_front::machine::block_on;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::env_vars;
use crate::probe;
use crate::record::{Figures, Job, LoopRecord, Settled, State};
use crate::report::LaunchReport;
use crate::resolve::Knobs;
use crate::standing::{JobStanding, Standing};
use crate::sweep;
use crate::workbench::Workbench;

/// What the job runs; a shell reads it as it is, and every value comes by a variable.
const SCRIPT: &str = include_str!("scripts/loop.sh");

/// What every job asks for; a person's own options follow.
const DIRECTIVES: &str = "#SBATCH --job-name=ralph-loop\n#SBATCH --output=slurm/logs/%x_%j.out\n";

/// As much of a log as is copied at once, in bytes.
const PIECE: u64 = 1024 * 1024;

/// A job that the cluster does not know, or that it took from a broken node, is given up after this long.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

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
    let _lock = sweep::lock(&bench.layout)?;
    let records = unsettled(bench)?;
    let asked = match backend(bench) {
        Ok(cluster) => ask(bench, cluster.as_ref(), records.clone()).await,
        Err(error) => Err(error),
    };
    Ok(asked.unwrap_or_else(|error| {
        let why = sentence(&error);
        let names = records.into_iter().map(|record| record.repository);
        names.map(|name| (name, unknown(why.clone()))).collect()
    }))
}

fn unsettled(bench: &Workbench) -> Result<Vec<LoopRecord>, Failure> {
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
        copy_log(bench, cluster, &mut record).await;
        let standing = standing(&record, &seen, bench.env.now());
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
        Receipt::Claimed { .. } => Err(unknown("it is being submitted".to_owned())),
        Receipt::Unclear { message } => Err(unknown(message)),
    }
}

fn query(record: &LoopRecord) -> Option<JobQuery> {
    let job = record.job.as_ref()?;
    Some(JobQuery {
        job: job.job?,
        token: Some(job.request.token.clone()),
        submitted_after: None,
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

/// Copies what a log has grown by. One that cannot be fetched is fetched at the next look.
async fn copy_log(bench: &Workbench, cluster: &dyn ClusterBackend, record: &mut LoopRecord) {
    let log = bench.layout.log(&record.repository);
    let Some(job) = record.job.as_deref_mut() else {
        return;
    };
    let Some(number) = job.job else { return };
    let before = job.fetched;
    loop {
        let request = FetchRequest {
            project: job.request.project.clone(),
            job: number,
            token: Some(job.request.token.clone()),
            stream: Stream::Out,
            offset: job.fetched,
            limit: PIECE,
            from_end: false,
        };
        let Ok(report) = cluster.fetch(&request).await else {
            break;
        };
        let count = report.bytes.len() as u64;
        if count == 0 || append::append_bytes(&log, &report.bytes).is_err() {
            break;
        }
        job.fetched += count;
        if count < PIECE {
            break;
        }
    }
    if job.fetched != before {
        let _ = record.write(&bench.layout);
    }
}

/// What a job's loop said about its work, from the copy of its log.
pub(crate) fn work(log: &Path, from: u64) -> (Figures, Vec<String>) {
    const MARK: &str = "ralph: status: ";
    let lines = crate::log_text::last_lines(log, from, 40);
    let status = lines.iter().rev().find_map(|line| line.strip_prefix(MARK));
    let Some(Ok(status)) = status.map(serde_json::from_str::<ralph_loop::record::Status>) else {
        return (Figures::default(), Vec::new());
    };
    let left = status.tasks.open + status.tasks.claimed;
    let figures = Figures {
        attempts: Some(status.totals.spent),
        tasks_left: u64::try_from(left).ok(),
        cost_usd: Some(status.totals.cost_usd),
    };
    (figures, status.totals.pull_requests)
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

/// Submits the loops, each with its record on disk first. The caller holds the workbench's lock.
pub(crate) fn submit(
    bench: &Workbench,
    records: &[LoopRecord],
    knobs: &Knobs,
    arguments: &[Vec<String>],
    report: &mut LaunchReport,
) -> Result<(), Failure> {
    let cluster = backend(bench)?;
    block_on(cluster.check())??;
    let script = script(knobs.job_options.as_ref().map(|found| found.value.as_str()))?;
    for ((record, arguments), row) in records.iter().zip(arguments).zip(&mut report.loops) {
        let submitted = block_on(submit_one(
            bench,
            cluster.as_ref(),
            record,
            knobs,
            arguments,
            &script,
        ))?;
        match submitted {
            Ok(job) => row.job = Some(job.to_string()),
            Err(failure) => row.error = Some(failure.message()),
        }
    }
    Ok(())
}

async fn submit_one(
    bench: &Workbench,
    cluster: &dyn ClusterBackend,
    record: &LoopRecord,
    knobs: &Knobs,
    arguments: &[String],
    script: &str,
) -> Result<JobId, Failure> {
    let layout = &bench.layout;
    let request = request(bench, record, knobs, arguments, script).await?;
    let folder = layout
        .cluster()
        .join("projects")
        .join(request.project.as_str());
    atomic::create_dir(&folder)?;
    let branch = request
        .variables
        .get("LOOP_BRANCH")
        .cloned()
        .unwrap_or_default();
    let mut record = LoopRecord {
        log_from: crate::log_text::size(&layout.log(&record.repository)),
        job: Some(Box::new(Job {
            kind: cluster.kind().to_owned(),
            request: request.clone(),
            job: None,
            branch,
            fetched: 0,
        })),
        ..record.clone()
    };
    record.write(layout)?;
    crash_point!("dispatch.job-intended");
    let receipt = cluster.submit(&request).await?;
    crash_point!("dispatch.job-submitted");
    let Some(job) = record.job.as_deref_mut() else {
        return Err(Failure::new(Code::Bug, "a job's record lost its job"));
    };
    let refused = match named(job, receipt) {
        Ok(()) => None,
        Err(standing) => Some(standing),
    };
    if let Some(standing) = refused {
        let reason = standing.reason.clone().unwrap_or_default();
        if standing.state.is_final() {
            record.settled = Some(settled(&standing, bench.env.now()));
            record.write(layout)?;
            return Err(Failure::new(Code::Refused, reason));
        }
        let code = Code::Unclear;
        return Err(Failure::new(code, reason).hint("The next look asks the cluster again."));
    }
    let number = job.job;
    record.write(layout)?;
    number.ok_or_else(|| Failure::new(Code::Bug, "an accepted job has no number"))
}

fn settled(standing: &JobStanding, now: Timestamp) -> Settled {
    Settled {
        state: standing.state,
        exit_code: standing.exit_code,
        reason: standing.reason.clone(),
        ended: Some(now),
        pull_requests: Vec::new(),
        figures: Figures::default(),
        in_pipeline: false,
    }
}

/// The submission of one loop: its commit was found pushed by the gate.
async fn request(
    bench: &Workbench,
    record: &LoopRecord,
    knobs: &Knobs,
    arguments: &[String],
    script: &str,
) -> Result<SubmitRequest, Failure> {
    let folder = bench.layout.repository(&record.repository);
    let git = |arguments: &'static [&'static str]| {
        let folder = folder.clone();
        async move {
            probe::git(&folder, arguments)
                .await
                .map(|text| text.trim().to_owned())
        }
    };
    let failed =
        |why: String| Failure::new(Code::Failed, format!("{}: git: {why}", record.repository));
    let source = probe::source(&folder).await.map_err(failed)?;
    let sha = git(&["rev-parse", "HEAD"]).await.map_err(failed)?;
    let base = git(&["rev-parse", "--abbrev-ref", "HEAD"])
        .await
        .map_err(failed)?;
    let mut variables = BTreeMap::from([
        ("LOOP_REPOSITORY", record.repository.clone()),
        (
            "LOOP_BASE",
            if base == "HEAD" {
                "main".to_owned()
            } else {
                base
            },
        ),
        (
            "LOOP_BRANCH",
            format!("ralph-{}/cluster-{}", record.engine, record.launch),
        ),
        ("LOOP_PROGRAM", knobs.job_program.value.clone()),
        ("LOOP_ARGUMENTS", arguments.join("\n")),
    ]);
    if let Some(command) = &knobs.agent_command {
        variables.insert("RALPH_AGENT_COMMAND", command.value.clone());
    }
    // The clone has none of this user's configuration.
    if let Ok(name) = git(&["config", "user.name"]).await {
        variables.insert("GIT_AUTHOR_NAME", name.clone());
        variables.insert("GIT_COMMITTER_NAME", name);
    }
    if let Ok(email) = git(&["config", "user.email"]).await {
        variables.insert("GIT_AUTHOR_EMAIL", email.clone());
        variables.insert("GIT_COMMITTER_EMAIL", email);
    }
    let wrong = |error: IdError| Failure::new(Code::Bug, error.to_string());
    let run = record.launch.parse().map_err(wrong)?;
    Ok(SubmitRequest {
        token: bench.env.ids.token(&run),
        run,
        project: format!("loop-{}", record.repository)
            .parse()
            .map_err(wrong)?,
        script_path: "slurm/jobs/loop.sbatch".to_owned(),
        script: script.to_owned(),
        script_sha256: hash(script.as_bytes()),
        config_path: None,
        config: None,
        variables: variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        git: Some(GitCommit {
            url: source.url,
            sha,
        }),
        after: Vec::new(),
        exclude: Vec::new(),
        intent_at: bench.env.now(),
    })
}

/// The job's script: directives, then the fixed text. The user's options become comment lines, which no shell runs.
fn script(options: Option<&str>) -> Result<String, Failure> {
    let (shebang, rest) = SCRIPT.split_once('\n').unwrap_or((SCRIPT, ""));
    let mut text = format!("{shebang}\n{DIRECTIVES}");
    for word in options.unwrap_or_default().split_whitespace() {
        if !word.starts_with('-') {
            let message = format!(
                "WB_RALPH_JOB_OPTIONS: expected an option such as --partition=gpu, found `{word}`"
            );
            return Err(Failure::new(Code::Usage, message));
        }
        text.push_str("#SBATCH ");
        text.push_str(word);
        text.push('\n');
    }
    text.push_str(rest);
    Ok(text)
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_directives_and_nothing_else_does() {
        let text = script(Some("--partition=gpu  --time=4:00:00")).unwrap();
        let lines: Vec<&str> = text.lines().take(6).collect();
        assert_eq!(
            lines[..5],
            [
                "#!/bin/bash",
                "#SBATCH --job-name=ralph-loop",
                "#SBATCH --output=slurm/logs/%x_%j.out",
                "#SBATCH --partition=gpu",
                "#SBATCH --time=4:00:00",
            ]
        );
        assert!(lines[5].starts_with("# The loop of one repository"));
        assert!(script(Some("rm -rf")).is_err());
    }

    fn report(state: JobState, code: i32, ended: Timestamp) -> JobReport {
        JobReport {
            job: "1001".parse().unwrap(),
            state,
            name: "ralph-loop".to_owned(),
            submitted: None,
            started: None,
            ended: Some(ended),
            exit: Some(ralph_core::job::ExitInfo { code, signal: 0 }),
            nodes: None,
            reason: None,
            cancelled_by: None,
            restarts: 0,
            stdout: None,
            stderr: None,
            tasks: Vec::new(),
            evidence: ralph_core::job::Evidence {
                source: String::new(),
                line: String::new(),
                at: ended,
            },
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
}
