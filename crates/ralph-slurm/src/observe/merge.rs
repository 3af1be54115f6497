//! From the rows of the queue and of accounting to one verdict per job. Pure.
//!
//! The queue is believed first while it says that a job is alive. What has ended is taken from accounting, which knows
//! how, once all of its record is there; the controller's own word stands when accounting is late. A job that neither knows is absent only when both
//! answered. `COMPLETED` needs the job's own record not to contradict it.

use std::collections::BTreeMap;

use ralph_core::id::{JobId, JobPart};
use ralph_core::job::{Evidence, ExitInfo, Finality, JobQuery, JobReport, JobState, Sighting};
use ralph_core::time::Timestamp;

use super::array;
use crate::parse::{Row, RowIds};

/// Seconds by which a report may be older than its intent: scheduler and login node keep their own time.
const TOLERANCE_SECONDS: i64 = 120;

/// An ended job whose name accounting does not have after so many seconds has none.
const ARRIVES_WITHIN_SECONDS: i64 = 60;

/// More components than SLURM lets a job have; a number that was damaged must not fill the memory.
const MOST_COMPONENTS: u32 = 128;

/// Everything that one call learned.
#[derive(Debug)]
pub(super) struct Sources {
    /// Rows of the queue, or why there are none.
    pub(super) queue: Result<Vec<Row>, String>,
    /// Rows of accounting, or why there are none.
    pub(super) accounting: Result<Vec<Row>, String>,
    /// What the jobs recorded themselves.
    pub(super) records: Records,
    /// How far the cluster's clock is ahead of ours.
    pub(super) skew_seconds: i64,
    /// Our clock.
    pub(super) at: Timestamp,
}

/// How a job's script ended, by its own record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    code: i32,
    at: Option<Timestamp>,
}

/// What the receipt folders hold about jobs that have ended.
#[derive(Debug, Default)]
pub(super) struct Records {
    ended: BTreeMap<JobId, Record>,
    /// The tasks or components that each job of several parts was submitted with.
    parts: BTreeMap<JobId, Vec<JobId>>,
}

impl Records {
    /// Reads the lines `ended JOB CODE SECONDS RESTARTS`, `array JOB SPEC` and `components JOB COUNT`; without `stat`
    /// there are no seconds.
    pub(super) fn parse(text: &str) -> Self {
        let mut records = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (kind, job) = (
                words.next(),
                words.next().and_then(|word| word.parse::<JobId>().ok()),
            );
            match (kind, job, words.next()) {
                (Some("ended"), Some(job), Some(code)) => {
                    let Ok(code) = code.parse() else { continue };
                    let at = words.next().and_then(|word| word.parse().ok());
                    let at = at.and_then(|seconds| Timestamp::from_second(seconds).ok());
                    records.ended.insert(job, Record { code, at });
                }
                (Some("array"), Some(job), Some(spec)) => {
                    if let Ok(spec) = ralph_core::sbatch::array(spec) {
                        let tasks = spec.indices.into_iter().map(|index| job.task(index));
                        records.parts.insert(job, tasks.collect());
                    }
                }
                (Some("components"), Some(job), Some(count)) => {
                    let count = count.parse().unwrap_or(0).min(MOST_COMPONENTS);
                    let components = (0..count).map(|index| job.component(index));
                    records.parts.insert(job, components.collect());
                }
                _ => {}
            }
        }
        records
    }
}

/// The rows of a call by the jobs that they are about: a look at thousands of jobs, or at one of thousands of tasks, goes
/// through them once.
#[derive(Debug)]
pub(super) struct ByJob<'a> {
    sources: &'a Sources,
    queue: Sorted<'a>,
    accounting: Sorted<'a>,
}

/// The rows of one source, in its order.
#[derive(Debug, Default)]
struct Sorted<'a> {
    of_master: BTreeMap<JobId, Vec<&'a Row>>,
    /// Of a job as it is named: the whole, or one part.
    of_job: BTreeMap<JobId, Vec<&'a Row>>,
}

impl<'a> ByJob<'a> {
    pub(super) fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            queue: Sorted::of(&sources.queue),
            accounting: Sorted::of(&sources.accounting),
        }
    }
}

impl<'a> Sorted<'a> {
    fn of(rows: &'a Result<Vec<Row>, String>) -> Self {
        let mut sorted = Self::default();
        for row in rows.iter().flatten() {
            sorted.of_master.entry(row.master).or_default().push(row);
            for job in row.jobs() {
                sorted.of_job.entry(job).or_default().push(row);
            }
        }
        sorted
    }
}

/// The verdict about one job.
pub(super) fn one(rows: &ByJob<'_>, query: &JobQuery) -> Sighting {
    let sources = rows.sources;
    let floor = query
        .submitted_after
        .map(|at| at.as_second() + sources.skew_seconds - TOLERANCE_SECONDS);
    let master = query.job.master();
    let queue = ours(rows.queue.of_master.get(&master), floor).collect::<Vec<_>>();
    let accounting = ours(rows.accounting.of_master.get(&master), floor).collect();
    if let Some(row) = queue.iter().find(|row| row.ids == RowIds::Unreadable) {
        return Sighting::Unknown {
            why: format!(
                "squeue prints a list of tasks that cannot be read: {}",
                row.line
            ),
        };
    }
    let recorded = sources.records.parts.get(&query.job);
    let facts = Facts {
        sources,
        rows,
        floor,
        expected: recorded.unwrap_or(&query.parts),
        queue,
        accounting,
    };
    match query.job.part() {
        JobPart::Whole if facts.has_parts() => array::whole(&facts, query.job),
        _ => facts.single(query.job),
    }
}

/// Of these rows those of jobs that were submitted after a time, in seconds: ids are used again.
fn ours<'a>(
    rows: Option<&'a Vec<&'a Row>>,
    floor: Option<i64>,
) -> impl Iterator<Item = &'a Row> + use<'a> {
    let is_ours = move |row: &&Row| match (floor, row.submitted) {
        (Some(floor), Some(submitted)) => submitted.as_second() >= floor,
        _ => true,
    };
    rows.into_iter().flatten().copied().filter(is_ours)
}

/// One report per job of the queue.
pub(super) fn all(sources: &Sources) -> Vec<JobReport> {
    let rows = ByJob::new(sources);
    rows.queue
        .of_master
        .keys()
        .copied()
        .filter_map(|job| match one(&rows, &JobQuery::of(job)) {
            Sighting::Seen(report) => Some(*report),
            _ => None,
        })
        .collect()
}

/// The rows that are about one job and its parts.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    sources: &'a Sources,
    rows: &'a ByJob<'a>,
    /// Rows of jobs that were submitted before are another's.
    floor: Option<i64>,
    /// The tasks or components that a job of several parts is known to have.
    pub(super) expected: &'a [JobId],
    pub(super) queue: Vec<&'a Row>,
    pub(super) accounting: Vec<&'a Row>,
}

impl Facts<'_> {
    /// Whether a row is about a part, or says of a job that is known to have parts that all of it has ended: for a
    /// while, accounting shows the first component of a heterogeneous job as if it were the whole.
    fn has_parts(&self) -> bool {
        let in_parts = !self.expected.is_empty();
        self.queue
            .iter()
            .chain(&self.accounting)
            .any(|row| !row.is_whole() || (in_parts && row.state.finality() != Finality::Alive))
    }

    /// The verdict about a job without parts, or about one part.
    pub(super) fn single(&self, job: JobId) -> Sighting {
        let queued = ours(self.rows.queue.of_job.get(&job), self.floor).next();
        let accounted = self.latest(job);
        match (queued, accounted) {
            (Some(row), _) if row.state.finality() == Finality::Alive => {
                self.seen(job, row, "squeue")
            }
            // The attempt that accounting knows as ended is the one that the queue shows.
            (Some(row), Some(account))
                if account.state.finality() != Finality::Alive
                    && account.submitted == row.submitted =>
            {
                self.seen(job, account, "sacct")
            }
            (Some(row), _) => self.seen(job, row, "squeue"),
            (None, Some(account)) if account.state.finality() == Finality::Alive => {
                self.not_in_queue(account)
            }
            (None, Some(account)) if self.is_arriving(account) => Sighting::Unknown {
                why: "it has ended, and not all of its record is in accounting yet".to_owned(),
            },
            (None, Some(account)) => self.seen(job, account, "sacct"),
            (None, None) => self.absent(job),
        }
    }

    /// The row of the latest attempt: accounting keeps the earlier ones of a requeued job.
    fn latest(&self, job: JobId) -> Option<&Row> {
        self.accounts(job).reduce(|best, row| {
            if row.submitted >= best.submitted {
                row
            } else {
                best
            }
        })
    }

    fn accounts(&self, job: JobId) -> impl Iterator<Item = &Row> {
        ours(self.rows.accounting.of_job.get(&job), self.floor)
    }

    /// Whether a row is the first half of a record: state and end come before the name, which is wanted for the logs.
    fn is_arriving(&self, row: &Row) -> bool {
        let now = self.sources.at.as_second() + self.sources.skew_seconds;
        let is_young = |ended: Timestamp| now - ended.as_second() < ARRIVES_WITHIN_SECONDS;
        row.name.is_empty() && row.ended.is_some_and(is_young)
    }

    fn restarts(&self, job: JobId) -> u32 {
        let rows = self.accounts(job).count();
        u32::try_from(rows.saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Accounting still calls it alive. Where the queue answered, the end is on its way; where it did not,
    /// accounting's word is all there is.
    fn not_in_queue(&self, account: &Row) -> Sighting {
        match &self.sources.queue {
            Ok(_) => Sighting::Unknown {
                why: format!(
                    "it has left the queue, and accounting still says {}",
                    account.state
                ),
            },
            Err(why) => Sighting::Unknown {
                why: format!(
                    "accounting says {}, but squeue failed: {why}",
                    account.state
                ),
            },
        }
    }

    fn absent(&self, job: JobId) -> Sighting {
        match (&self.sources.queue, &self.sources.accounting) {
            (Ok(_), Ok(_)) => Sighting::Absent {
                asked: vec!["squeue".to_owned(), "sacct".to_owned()],
            },
            (Ok(_), Err(why)) if no_accounting(why) => self.by_record(job),
            (Ok(_), Err(why)) => Sighting::Unknown {
                why: format!("it has left the queue, and sacct failed: {why}"),
            },
            (Err(why), _) => Sighting::Unknown {
                why: format!("accounting does not know it, and squeue failed: {why}"),
            },
        }
    }

    /// On a cluster that keeps no accounting, the job's own record is the witness of its end.
    fn by_record(&self, job: JobId) -> Sighting {
        let Some(record) = self.sources.records.ended.get(&job) else {
            return Sighting::Absent {
                asked: vec!["squeue".to_owned(), "the job's own record".to_owned()],
            };
        };
        let state = if record.code == 0 {
            JobState::Completed
        } else {
            JobState::Failed
        };
        let mut report = self.blank(job, state, "the job's own record");
        report.ended = record.at;
        report.exit = Some(ExitInfo {
            code: record.code,
            signal: 0,
        });
        report.evidence.line = format!("exit code {}", record.code);
        Sighting::Seen(Box::new(report))
    }

    fn seen(&self, job: JobId, row: &Row, source: &str) -> Sighting {
        Sighting::Seen(Box::new(self.report(job, row, source)))
    }

    fn report(&self, job: JobId, row: &Row, source: &str) -> JobReport {
        let ended = row.state.finality() != Finality::Alive;
        let record = self.record_of(job, row);
        let exit = row.exit.or_else(|| {
            record.map(|record| ExitInfo {
                code: record.code,
                signal: 0,
            })
        });
        JobReport {
            name: self.name(row),
            submitted: row.submitted,
            started: row.started.filter(|_| row.state.is_started()),
            // The queue prints when a running job would end at the latest; that is no end.
            ended: row.ended.filter(|_| ended),
            // `0:0` of a job that is alive is no exit.
            exit: exit.filter(|_| ended),
            nodes: row.nodes.clone(),
            reason: row.reason.clone(),
            cancelled_by: row.cancelled_by,
            restarts: self.restarts(job),
            evidence: Evidence {
                source: source.to_owned(),
                line: row.line.clone(),
                at: self.sources.at,
            },
            ..self.blank(job, witnessed(&row.state, record), source)
        }
    }

    /// The row's name, or the one that another row of the job has.
    fn name(&self, row: &Row) -> String {
        let rows = std::iter::once(row).chain(self.queue.iter().chain(&self.accounting).copied());
        rows.map(|row| &row.name)
            .find(|name| !name.is_empty())
            .cloned()
            .unwrap_or_default()
    }

    /// The job's record, when it is about this attempt and not about one before a requeue.
    fn record_of(&self, job: JobId, row: &Row) -> Option<Record> {
        let record = self.sources.records.ended.get(&job).copied()?;
        let stale = matches!((record.at, row.started), (Some(at), Some(started)) if at < started);
        (!stale && row.state.finality() == Finality::Final).then_some(record)
    }

    pub(super) fn blank(&self, job: JobId, state: JobState, source: &str) -> JobReport {
        let evidence = Evidence {
            source: source.to_owned(),
            line: String::new(),
            at: self.sources.at,
        };
        JobReport::new(job, state, evidence)
    }
}

/// Success needs two witnesses that agree; a contradiction is a state of its own, which only a person can settle.
fn witnessed(state: &JobState, record: Option<Record>) -> JobState {
    match record {
        Some(Record { code, .. }) if code != 0 && *state == JobState::Completed => JobState::Other(
            format!("COMPLETED, but its script recorded exit code {code}"),
        ),
        _ => state.clone(),
    }
}

/// Whether the cluster keeps no accounting at all, rather than not answering now.
fn no_accounting(why: &str) -> bool {
    why.contains("accounting storage is disabled") || why.starts_with("exit code 127")
}
