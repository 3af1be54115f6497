//! Looking at jobs: one call for any number of them, three possible answers for each.
//!
//! This file asks; [`merge`] decides. Only a successful answer ever changes what is known of a job: a command that
//! could not be asked makes the jobs that depend on it unknown, never ended.

mod array;
mod merge;

use std::collections::BTreeSet;
use std::time::Duration;

use ralph_core::backend::BackendError;
use ralph_core::job::{JobQuery, JobReport, Observation, Sighting};
use ralph_core::time::{Timestamp, elapsed};

use crate::parse::{accounting_rows, queue_rows};
use crate::remote::{Call, Remote, Reply};
use crate::script::{JOBS, OBSERVE};
use merge::{ByJob, Records, Sources};

/// Accounting looks back this much further than the oldest intent: clocks differ, and jobs are adopted late.
const MARGIN_SECONDS: u64 = 86_400;
/// How far accounting looks back for a job whose intent is not known.
const UNKNOWN_AGE_SECONDS: u64 = 30 * 86_400;

/// One observation per query, in their order.
pub(crate) async fn observe(
    remote: &Remote,
    queries: &[JobQuery],
    floor: Duration,
) -> Result<Vec<Observation>, BackendError> {
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    if let Err(ago) = remote.look(floor) {
        return Ok(too_soon(queries, ago, floor, remote.now()));
    }
    let seconds = look_back(queries, remote.now());
    let reply = remote
        .call(Call {
            script: &OBSERVE,
            arguments: &[&seconds.to_string()],
            data: wanted(queries).as_bytes(),
            limit: Duration::from_secs(120),
        })
        .await?;
    conclude(&reply, queries)
}

/// All jobs of this user in the queue, arrays and heterogeneous jobs as one report each.
pub(crate) async fn jobs(remote: &Remote) -> Result<Vec<JobReport>, BackendError> {
    let reply = remote
        .call(Call {
            script: &JOBS,
            arguments: &[],
            data: b"",
            limit: Duration::from_secs(60),
        })
        .await?
        .whole()?;
    let queue = reply
        .answer("queue")
        .map_err(|detail| BackendError::Unreachable {
            detail: format!("squeue failed: {detail}"),
        })?;
    let sources = Sources {
        queue: Ok(queue_rows(&queue)),
        accounting: Err("it was not asked".to_owned()),
        records: Records::default(),
        skew_seconds: 0,
        at: reply.received,
    };
    let owners = reply.answer("owners").unwrap_or_default();
    Ok(merge::all(&sources)
        .into_iter()
        .map(|mut report| {
            if let Some(token) = token_of(&owners, &report) {
                report.evidence.line = format!("{} token={token}", report.evidence.line);
            }
            report
        })
        .collect())
}

/// The submission token in a job's comment or command, so that a job of ours is told from one that nobody knows.
fn token_of(owners: &str, report: &JobReport) -> Option<String> {
    let id = report.job.master().to_string();
    let line = owners.lines().find(|line| {
        let number: String = line.chars().take_while(char::is_ascii_digit).collect();
        number == id
    })?;
    let rest = line
        .split_once("ralph:")
        .or_else(|| line.split_once("/.ralph/receipts/"))
        .map(|(_, rest)| rest)?;
    let token: String = rest
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        .collect();
    (!token.is_empty()).then_some(token)
}

fn conclude(reply: &Reply, queries: &[JobQuery]) -> Result<Vec<Observation>, BackendError> {
    let sources = Sources {
        queue: reply.answer("queue").map(|text| queue_rows(&text)),
        // Where it was not asked, the queue spoke for every job; if it did not after all, nothing is known of that one.
        accounting: reply
            .answer("accounting")
            .map(|text| accounting_rows(&text)),
        records: Records::parse(&reply.answer("records").unwrap_or_default()),
        skew_seconds: reply.skew_seconds(),
        at: reply.received,
    };
    if let (Err(queue), Err(accounting)) = (&sources.queue, &sources.accounting) {
        return Err(neither(queue, accounting));
    }
    let rows = ByJob::new(&sources);
    Ok(queries
        .iter()
        .map(|query| Observation {
            job: query.job,
            sighting: merge::one(&rows, query),
            at: reply.received,
        })
        .collect())
}

fn neither(queue: &str, accounting: &str) -> BackendError {
    BackendError::Unreachable {
        detail: format!("squeue failed ({queue}), and so did sacct ({accounting})"),
    }
}

/// The lines of standard input: each job once, with its token.
fn wanted(queries: &[JobQuery]) -> String {
    let lines: BTreeSet<String> = queries
        .iter()
        .map(|query| {
            let token = query.token.as_ref().map_or("-", |token| token.as_str());
            format!("{} {token}\n", query.job.base())
        })
        .collect();
    lines.into_iter().collect()
}

fn look_back(queries: &[JobQuery], now: Timestamp) -> u64 {
    let age = |query: &JobQuery| {
        query
            .submitted_after
            .map_or(UNKNOWN_AGE_SECONDS, |at| elapsed(at, now).as_secs())
    };
    queries.iter().map(age).max().unwrap_or(UNKNOWN_AGE_SECONDS) + MARGIN_SECONDS
}

fn too_soon(
    queries: &[JobQuery],
    ago: Duration,
    floor: Duration,
    now: Timestamp,
) -> Vec<Observation> {
    let why = format!(
        "this host was asked {} s ago, and `min_interval_seconds` is {}",
        ago.as_secs(),
        floor.as_secs()
    );
    queries
        .iter()
        .map(|query| Observation {
            job: query.job,
            sighting: Sighting::Unknown { why: why.clone() },
            at: now,
        })
        .collect()
}
