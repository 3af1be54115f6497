//! Cancelling: a note in the job's folder, then a signal to its supervisor, which does the rest.
//!
//! Only where the supervisor is gone are processes ended from here. An ended or unknown job is left alone.

use std::io;

use super::layout::Layout;
use super::observe::{Look, cancel_file};
use super::status::CancelNote;
use crate::id::{JobId, JobPart};
use crate::process::ending::{end_orphans, end_orphans_of};
use crate::process::record::{Keep, RECORD, Record, read_record, write_record};
use crate::process::spawn::ask_to_look;
use crate::time::Timestamp;

/// Cancels a job, or one task of an array.
///
/// # Errors
/// A record cannot be read, or the note cannot be written.
pub(super) fn cancel(layout: &Layout, job: JobId, boot_id: &str, now: Timestamp) -> io::Result<()> {
    let directory = layout.job(job);
    let task = match job.part() {
        JobPart::Whole => None,
        JobPart::Task(index) => Some(index),
        JobPart::Component(_) => return Ok(()),
    };
    let mut look = Look::new(layout, boot_id, now);
    let Some((plan, status)) = look.job(job)? else {
        return Ok(());
    };
    let concerned = |index: u32| task.is_none_or(|wanted| wanted == index);
    let mut tasks = status.tasks.iter();
    if !tasks.any(|(index, task)| concerned(*index) && !task.is_over()) {
        return Ok(());
    }
    let note = CancelNote {
        by: rustix::process::getuid().as_raw(),
        at: now,
    };
    write_record(&directory.join(cancel_file(task)), &note, Keep::Durably)?;
    let Some(record) = read_record::<Record>(&directory.join(RECORD))? else {
        return Ok(());
    };
    if ask_to_look(&record) || record.supervisor.boot_id != boot_id {
        return Ok(());
    }
    // A whole job is everything its supervisor ever started, one task of an array is its process groups.
    let _remaining = match task {
        None => end_orphans(&record, plan.kill_wait),
        Some(index) => end_orphans_of(&record, plan.kill_wait, |group| {
            status.owner_of(group) == Some(index)
        }),
    };
    Ok(())
}
