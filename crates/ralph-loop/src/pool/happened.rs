//! What the pool waits for: the ends of what it has begun. Without an opinion on any of them.

use super::PoolError;
use super::finish::Finished;
use super::permit::Answer;
use super::ready::Ready;
use super::work::Worked;
use crate::outcome::AttemptId;
use crate::task::Task;

/// Something that was waited for.
pub(super) enum Happened {
    /// With the number of ends that were known when the plan was asked.
    Prepared(u64, Result<Option<Box<Ready>>, PoolError>),
    Answered(Result<Answer, PoolError>),
    Worked(Box<Worked>),
    Freed(usize),
    Finished(Box<Over>),
    Released(Result<(), PoolError>),
}

/// An attempt whose end was to be recorded.
pub(super) struct Over {
    pub(super) attempt: AttemptId,
    pub(super) task: Task,
    pub(super) finished: Result<Finished, PoolError>,
}
