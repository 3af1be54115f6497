//! What the scheduler's commands print, as values.
//!
//! Pure and total: any bytes give an answer or a named refusal. Nothing here decides what an answer means for a run.

mod rows;
mod sbatch;

pub(crate) use rows::{Row, RowIds, accounting_rows, queue_rows};
pub(crate) use sbatch::{Verdict, accepted_job, judge};
