//! Looks at jobs: reads what their supervisors wrote, and asks the machine only about those that are gone.
//!
//! Read only: nothing is written, nobody is signalled.

use std::io;
use std::path::Path;

use super::dependency::Progress;
use super::layout::{Layout, PLAN, STATUS};
use super::plan::{FORMAT, JobPlan};
use super::status::{Aftermath, CancelNote, Cancels, Status};
use crate::id::{JobId, JobPart};
use crate::job::{JobQuery, JobReport, Observation, Sighting};
use crate::process::lock;
use crate::process::record::{LOCK, RECORD, Record, read_record, read_unsynced};
use crate::process::table::ProcessTable;
use crate::time::Timestamp;

/// One pass over jobs: which boot it is, when it is, and the processes, read once and only when needed.
#[derive(Debug)]
pub(super) struct Look<'a> {
    layout: &'a Layout,
    boot_id: &'a str,
    now: Timestamp,
    processes: Option<ProcessTable>,
}

impl<'a> Look<'a> {
    pub(super) fn new(layout: &'a Layout, boot_id: &'a str, now: Timestamp) -> Self {
        Self {
            layout,
            boot_id,
            now,
            processes: None,
        }
    }

    /// The answer to one query.
    pub(super) fn observe(&mut self, query: &JobQuery) -> Observation {
        let sighting = match self.find(query) {
            Ok(Some(report)) => Sighting::Seen(Box::new(report)),
            Ok(None) => Sighting::Absent {
                asked: vec!["records of the embedded cluster".to_owned()],
            },
            Err(error) => Sighting::Unknown {
                why: format!("{}: {error}", self.layout.job(query.job).display()),
            },
        };
        Observation {
            job: query.job,
            sighting,
            at: self.now,
        }
    }

    fn find(&mut self, query: &JobQuery) -> io::Result<Option<JobReport>> {
        let Some((plan, status)) = self.job(query.job)? else {
            return Ok(None);
        };
        let other = query
            .token
            .as_ref()
            .is_some_and(|token| *token != plan.token);
        let earlier = query.submitted_after.is_some_and(|at| plan.submitted < at);
        if other || earlier {
            return Ok(None);
        }
        Ok(select(query.job, self.report(&plan, &status)))
    }

    /// The report on a job or a task; `None` when there is no such job.
    ///
    /// # Errors
    /// A record cannot be read.
    pub(super) fn job_report(&mut self, job: JobId) -> io::Result<Option<JobReport>> {
        let found = self.job(job)?;
        Ok(found.and_then(|(plan, status)| select(job, self.report(&plan, &status))))
    }

    /// How far a job or a task is.
    pub(super) fn progress(&mut self, job: JobId) -> io::Result<Option<Progress>> {
        Ok(self.job_report(job)?.map(|report| Progress::of(&report)))
    }

    fn report(&self, plan: &JobPlan, status: &Status) -> JobReport {
        let source = self.layout.job(plan.job).join(STATUS);
        status.report(plan, &source.to_string_lossy(), self.now)
    }

    /// A job that was begun, and the truth about it. A folder without a record of its supervisor is no job yet.
    ///
    /// # Errors
    /// A record cannot be read, or was written by a newer version.
    pub(super) fn job(&mut self, job: JobId) -> io::Result<Option<(JobPlan, Status)>> {
        let directory = self.layout.job(job);
        let Some(plan) = read_plan(&directory)? else {
            return Ok(None);
        };
        let status = read_status(&directory)?;
        if let Some(over) = status.filter(Status::is_over)
            && !self.may_be_reopened(&over)
        {
            return Ok(Some((plan, over)));
        }
        let Some(record) = read_record::<Record>(&directory.join(RECORD))? else {
            return Ok(None);
        };
        // The lock first: a supervisor that ends after this look has written its last word before the next one.
        let supervised = lock::is_held(&directory.join(LOCK))?;
        let status = read_status(&directory)?.unwrap_or_else(|| Status::fresh(&plan));
        let status = if supervised {
            status
        } else {
            status.corrected(&self.aftermath(&directory, &record)?)
        };
        Ok(Some((plan, status)))
    }

    /// Whether an end was brought about by a signal to the supervisor, as a shutdown does.
    fn may_be_reopened(&self, status: &Status) -> bool {
        let terminated = Some(super::status::TERMINATED);
        status
            .tasks
            .values()
            .any(|task| task.reason.as_deref() == terminated)
    }

    fn aftermath(&mut self, directory: &Path, record: &Record) -> io::Result<Aftermath> {
        let restarted = record.supervisor.boot_id != self.boot_id;
        let orphans = if restarted {
            Vec::new()
        } else {
            let table = self.processes.get_or_insert_with(ProcessTable::read);
            let orphans = record.orphans(table).into_iter();
            orphans.map(|orphan| orphan.group).collect()
        };
        Ok(Aftermath {
            restarted,
            orphans,
            cancels: read_cancels(directory)?,
        })
    }
}

/// A job's plan.
///
/// # Errors
/// It cannot be read, or was written by a newer version.
pub(super) fn read_plan(directory: &Path) -> io::Result<Option<JobPlan>> {
    let plan: Option<JobPlan> = read_record(&directory.join(PLAN))?;
    match plan {
        Some(plan) if plan.format > FORMAT => Err(io::Error::other(format!(
            "job.json has format {}, this version reads up to {FORMAT}; use the version that wrote it",
            plan.format
        ))),
        plan => Ok(plan),
    }
}

/// What a job's supervisor last said. Where a loss of power has spoilt it the machine was restarted, which says enough.
///
/// # Errors
/// It cannot be read.
fn read_status(directory: &Path) -> io::Result<Option<Status>> {
    read_unsynced(&directory.join(STATUS))
}

/// The file of a cancel note: of the whole job, or of one task.
pub(super) fn cancel_file(task: Option<u32>) -> String {
    match task {
        None => "cancel-all.json".to_owned(),
        Some(index) => format!("cancel-{index}.json"),
    }
}

/// The cancel notes of a job.
///
/// # Errors
/// The folder or a note cannot be read.
pub(super) fn read_cancels(directory: &Path) -> io::Result<Cancels> {
    let mut cancels = Cancels {
        all: read_record(&directory.join(cancel_file(None)))?,
        ..Cancels::default()
    };
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let index = name
            .strip_prefix("cancel-")
            .and_then(|rest| rest.strip_suffix(".json"))
            .and_then(|index| index.parse().ok());
        if let Some(index) = index
            && let Some(note) = read_record::<CancelNote>(&directory.join(&name))?
        {
            cancels.tasks.insert(index, note);
        }
    }
    Ok(cancels)
}

/// The part of a report that was asked for.
fn select(job: JobId, report: JobReport) -> Option<JobReport> {
    match job.part() {
        JobPart::Whole => Some(report),
        JobPart::Task(_) => report.tasks.into_iter().find(|task| task.job == job),
        JobPart::Component(_) => None,
    }
}
