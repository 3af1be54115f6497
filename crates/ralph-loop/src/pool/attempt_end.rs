//! How an attempt can end: what is recorded of each end, and what that means for its task and its worktree. Pure, and the
//! only place where an [`End`] is made.

use ralph_core::time::Timestamp;

use super::finish::Finishing;
use super::schedule::Ended;
use crate::attempt::{Closing, ForTask};
use crate::delivery::{Delivered as Sent, DeliveryError};
use crate::git::ObjectId;
use crate::integrate::Left;
use crate::outcome::Outcome;
use crate::plan::Delivered;
use crate::worktree::{Kept, Work};

/// Why nothing of an attempt is delivered.
#[derive(Debug)]
pub(super) struct Undelivered {
    pub(super) outcome: Outcome,
    pub(super) reason: String,
    pub(super) ended: Ended,
    pub(super) halt: Option<String>,
    pub(super) is_misconfigured: bool,
}

impl Undelivered {
    pub(super) fn new(outcome: Outcome, reason: impl Into<String>, ended: Ended) -> Self {
        Self {
            outcome,
            reason: reason.into(),
            ended,
            halt: None,
            is_misconfigured: false,
        }
    }
}

/// How an attempt ends.
pub(super) struct End {
    pub(super) closing: Closing,
    pub(super) ended: Ended,
    pub(super) halt: Option<String>,
    pub(super) is_misconfigured: bool,
    /// Its work, where that is safe and its worktree is still to be given back.
    pub(super) safe: Option<SafeWork>,
}

/// Work that is in a commit, on the base or on its branch.
pub(super) struct SafeWork {
    pub(super) commit: ObjectId,
    pub(super) work: Work,
}

impl End {
    fn new(closing: Closing, ended: Ended) -> Self {
        Self {
            closing,
            ended,
            halt: None,
            is_misconfigured: false,
            safe: None,
        }
    }

    pub(super) fn releasing(self, commit: ObjectId, work: &Work) -> Self {
        let work = work.clone();
        Self {
            safe: Some(SafeWork { commit, work }),
            ..self
        }
    }

    /// As it was written down before a crash.
    pub(super) fn known(closing: Closing) -> Self {
        Self::new(closing, Ended::Settled)
    }

    /// Nothing is delivered; work that is there is kept.
    pub(super) fn undelivered(why: Undelivered, kept: Option<Kept>) -> Self {
        let mut closing = Closing::new(why.outcome, Some(why.reason), ForTask::Open);
        if let Some(kept) = kept {
            closing.branch = Some(kept.branch);
            closing.commit = Some(kept.commit.to_string());
        }
        Self {
            halt: why.halt,
            is_misconfigured: why.is_misconfigured,
            ..Self::new(closing, why.ended)
        }
    }

    /// The work is in the base.
    pub(super) fn merged(commit: ObjectId, work: &Work) -> Self {
        let closing = Closing {
            commit: Some(commit.to_string()),
            merged: true,
            ..Closing::new(Outcome::Done, None, ForTask::Done)
        };
        Self::new(closing, Ended::Settled).releasing(commit, work)
    }

    /// The work is good, and the base cannot be moved to it.
    pub(super) fn waiting(
        attempt: &Finishing,
        commit: ObjectId,
        work: &Work,
        left: &Left,
        now: Timestamp,
    ) -> Self {
        let reason = Some(format!("not merged: {}", left_words(left)));
        let task = ForTask::Delivered(delivered(attempt, &commit, None, now));
        let closing = Closing::new(Outcome::Done, reason, task);
        Self::new(on_branch(attempt, &commit, closing), Ended::Settled).releasing(commit, work)
    }

    /// To fit is one of the checks: the task needs the agent again, on the base as it is now.
    pub(super) fn conflict(
        attempt: &Finishing,
        commit: ObjectId,
        work: &Work,
        paths: &[String],
    ) -> Self {
        let base = &attempt.site.base.branch;
        let reason = Some(format!("conflicts with {base} in {}", paths.join(", ")));
        let closing = Closing::new(Outcome::GatesFailed, reason, ForTask::Open);
        Self::new(on_branch(attempt, &commit, closing), Ended::Tried).releasing(commit, work)
    }

    /// The branch is on the remote.
    pub(super) fn sent(attempt: &Finishing, commit: &ObjectId, sent: Sent, now: Timestamp) -> Self {
        let task = match &attempt.site.tracked_plan {
            // The tick comes with the merge; until then the task is neither open nor done.
            Some(_) => {
                ForTask::Delivered(delivered(attempt, commit, sent.pull_request.clone(), now))
            }
            None => ForTask::Done,
        };
        let closing = Closing {
            pushed: true,
            pull_request: sent.pull_request,
            compare_url: sent.compare,
            ..Closing::new(Outcome::Done, None, task)
        };
        Self::new(on_branch(attempt, commit, closing), Ended::Settled)
    }

    /// The work is good and safe on its branch. The attempt is not over: its record stays for the next start.
    pub(super) fn not_sent(
        attempt: &Finishing,
        commit: &ObjectId,
        failure: &DeliveryError,
        now: Timestamp,
    ) -> Self {
        let task = ForTask::Delivered(delivered(attempt, commit, None, now));
        let closing = Closing::new(Outcome::DeliveryFailed, Some(failure.to_string()), task);
        Self::new(on_branch(attempt, commit, closing), Ended::Settled)
    }
}

fn on_branch(attempt: &Finishing, commit: &ObjectId, closing: Closing) -> Closing {
    Closing {
        branch: Some(attempt.assigned.branch.clone()),
        commit: Some(commit.to_string()),
        ..closing
    }
}

/// Where the work waits to be merged.
fn delivered(
    attempt: &Finishing,
    commit: &ObjectId,
    pull_request: Option<String>,
    now: Timestamp,
) -> Delivered {
    Delivered {
        branch: attempt.assigned.branch.clone(),
        commit: commit.to_string(),
        pull_request,
        delivered_at: now,
    }
}

fn left_words(left: &Left) -> String {
    match left {
        Left::BaseMoved => "the base branch keeps moving".to_owned(),
        Left::PlanIsCommitted => "the plan keeps changing".to_owned(),
        Left::Dirty { checkout, files } => format!(
            "{} has changes that no commit has ({})",
            checkout.display(),
            files.join(", ")
        ),
        Left::Busy { checkout } => format!("{} is being rebased", checkout.display()),
        Left::Refused { reason } => reason.clone(),
    }
}
