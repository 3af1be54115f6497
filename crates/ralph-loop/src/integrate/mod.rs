//! Work onto the base branch without touching the user's checkout.
//!
//! One commit on top of the base's tip is computed from objects alone, with the tick of the task's row in it, and the
//! attempt's branch is set to it ([`Integrator::onto_base`]). Then the base moves there, where that takes nothing
//! from anybody ([`Integrator::fast_forward`]): in a clean checkout of it, or where nobody has it checked out. In
//! every other case, and on a conflict, the branch stays. One at a time, under a lock of the repository; those that
//! wait for it and touch other files than the base has touched since go together, a commit each
//! ([`Integrator::in_line`]).
//!
//! What must never be here: a stash, a forced checkout, a merge commit in the user's work tree, a base that moves
//! other than forward.

mod error;
mod fast_forward;
mod fit;
mod line;
mod merge;
mod rebase;
#[cfg(test)]
mod tests;
mod tick;
mod undo;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ralph_core::id::IdError;
use ralph_core::process::lock::{LifeLock, holder};
use ralph_core::time::Timestamp;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep};

pub(crate) use error::IntegrateError;
pub(crate) use fast_forward::{Forwarded, Left};
pub(crate) use tick::Tick;

use self::tick::Plans;
use crate::git::import::{FileChange, NewCommit, Parent};
use crate::git::merged::Merged;
use crate::git::refs::Base;
use crate::git::{Git, ObjectId};
use crate::worktree::{Assigned, Work, Worktrees};

/// How long another process may hold the lock: a merge of a large repository, and some.
const PATIENCE: Duration = Duration::from_secs(120);
/// Pause between two looks at it.
const PAUSE: Duration = Duration::from_millis(10);

/// How work becomes part of the base.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// As one commit.
    #[default]
    Squash,
    /// By a merge commit; the agent's commits stay as they are. As one commit where the base has left what they stand on:
    /// they would bring it back.
    Merge,
    /// Commit by commit on top of the base; as one commit where that does not go through.
    Rebase,
}

impl FromStr for Strategy {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text {
            "squash" => Ok(Self::Squash),
            "merge" => Ok(Self::Merge),
            "rebase" => Ok(Self::Rebase),
            _ => Err(IdError {
                expected: "a merge strategy: squash, merge or rebase",
                found: text.chars().take(120).collect(),
            }),
        }
    }
}

/// What is to be integrated.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The attempt's worktree.
    pub assigned: &'a Assigned,
    /// Its work.
    pub work: &'a Work,
    /// The message of the commit.
    pub message: &'a str,
    /// The row of the tracked plan that it completes.
    pub tick: Option<Tick<'a>>,
    /// The time of the commit.
    pub now: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Integrated {
    /// The attempt's branch is at a commit on top of the base.
    Made(Made),
    /// The work and the base changed the same places. The branch holds the work as it was.
    Conflict {
        /// The commit on the branch.
        commit: ObjectId,
        /// Where.
        paths: Vec<String>,
    },
}

/// A commit that the base can be moved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The commit.
    pub commit: ObjectId,
    /// The tip of the base that it stands on.
    pub onto: ObjectId,
    /// Whether it ticks the task's row: not where the committed plan does not have the row.
    pub is_ticked: bool,
}

/// The right to integrate; given back when it is dropped.
#[derive(Debug)]
#[must_use = "dropped at once it protects nothing"]
pub struct Turn {
    _here: OwnedMutexGuard<()>,
    _everywhere: LifeLock,
}

/// Integrates the work of one repository's attempts.
#[derive(Debug)]
pub struct Integrator {
    git: Git,
    base: Base,
    strategy: Strategy,
    lock: PathBuf,
    here: Arc<Mutex<()>>,
    plans: Plans,
    /// Where the base was seen last.
    seen: std::sync::Mutex<Option<ObjectId>>,
}

impl Integrator {
    /// For a local base. `lock` is the file that all loops of the repository lock, `.ralph/state/merge.lock`.
    #[must_use]
    pub fn new(git: &Git, base: &Base, strategy: Strategy, lock: PathBuf) -> Self {
        Self {
            git: git.clone(),
            base: base.clone(),
            strategy,
            lock,
            here: Arc::default(),
            plans: Plans::default(),
            seen: std::sync::Mutex::default(),
        }
    }

    /// Waits for the right to integrate: first within this process, then among all.
    ///
    /// # Errors
    /// [`IntegrateError::Locked`] after two minutes; the lock file cannot be opened.
    pub async fn turn(&self) -> Result<Turn, IntegrateError> {
        let here = Arc::clone(&self.here).lock_owned().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let taken = LifeLock::try_take_once(&self.lock);
            let taken = taken.map_err(|source| IntegrateError::Lock {
                path: self.lock.clone(),
                source,
            })?;
            if let Some(everywhere) = taken {
                return Ok(Turn {
                    _here: here,
                    _everywhere: everywhere,
                });
            }
            if Instant::now() >= deadline {
                return Err(IntegrateError::Locked {
                    path: self.lock.clone(),
                    holder: holder(&self.lock),
                    waited: PATIENCE,
                });
            }
            sleep(PAUSE).await;
        }
    }

    /// The plan as the base has it.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn committed_plan(&self, path: &str) -> Result<Option<String>, IntegrateError> {
        let tip = self.git.base_tip(&self.base).await?;
        let plan = self.plans.read(&self.git, &tip, path).await?;
        Ok(plan.map(|plan| plan.text().to_owned()))
    }

    /// Puts the work on top of the base's tip and sets the attempt's branch to the result. Where the base has not
    /// moved this is one run of git. Done again after a crash or a lost reply, it finds what it made.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn onto_base(
        &self,
        _turn: &Turn,
        worktrees: &Worktrees,
        order: &Order<'_>,
    ) -> Result<Integrated, IntegrateError> {
        let tip = self.git.base_tip(&self.base).await?;
        let work = order.work;
        if work.is_committed && self.is_finished(order, &tip).await? {
            return Ok(Integrated::Made(Made {
                commit: work.head.clone(),
                onto: tip,
                is_ticked: order.tick.is_some(),
            }));
        }
        match worktrees.alone(order.assigned, work).await? {
            Some(alone) => {
                let order = Order {
                    work: &alone,
                    ..*order
                };
                self.on_tip(worktrees, &order, &tip).await
            }
            None => self.on_tip(worktrees, order, &tip).await,
        }
    }

    async fn on_tip(
        &self,
        worktrees: &Worktrees,
        order: &Order<'_>,
        tip: &ObjectId,
    ) -> Result<Integrated, IntegrateError> {
        let work = order.work;
        let has_moved = *tip != work.base || work.is_committed;
        if self.strategy == Strategy::Rebase
            && let Some(made) = self.rebased(worktrees, order, tip, has_moved).await?
        {
            return Ok(Integrated::Made(made));
        }
        if self.strategy != Strategy::Merge && !has_moved {
            self.clear_the_way(worktrees, order).await?;
            let made = self
                .finish(worktrees, order, vec![tip], work.tree.as_ref(), tip)
                .await?;
            return Ok(Integrated::Made(made));
        }
        self.on_merged(worktrees, order, tip).await
    }

    /// Whether the work's own commit is what would be made: it is in the base, or on its tip and ticked. One that stands
    /// on a commit which the base has left since would bring that back.
    async fn is_finished(&self, order: &Order<'_>, tip: &ObjectId) -> Result<bool, IntegrateError> {
        let head = &order.work.head;
        if self.git.is_ancestor(head, tip).await? {
            return Ok(true);
        }
        let tick = self.plans.tick(&self.git, head, order.tick).await?;
        let is_on_tip = tick.is_none() && self.git.is_ancestor(tip, head).await?;
        Ok(is_on_tip && self.git.is_ancestor(&order.work.base, tip).await?)
    }

    /// Commits the work on its branch with the tick of its row, for a pull request. The base is not looked at.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn on_branch(
        &self,
        worktrees: &Worktrees,
        order: &Order<'_>,
    ) -> Result<ObjectId, IntegrateError> {
        let (assigned, work) = (order.assigned, order.work);
        let is_on_start = work.base == assigned.start
            && (work.head == work.base || self.git.is_ancestor(&work.base, &work.head).await?);
        if !is_on_start && let Some(commit) = self.brought_forward(worktrees, order).await? {
            return Ok(commit);
        }
        let with_plan = if work.is_committed {
            &work.head
        } else {
            &assigned.start
        };
        let ticked = self.plans.tick(&self.git, with_plan, order.tick).await?;
        let more = change(ticked.as_ref(), order.tick).into_iter().collect();
        let made = worktrees.commit(assigned, work, order.message, more, order.now);
        Ok(made.await?)
    }

    /// A work on an older commit, or on an amended start, put onto the start as one commit: the plan of its row may be
    /// younger, and would conflict where it is ticked there, and what an amended commit lacks would come back. `None`
    /// where the work itself conflicts.
    async fn brought_forward(
        &self,
        worktrees: &Worktrees,
        order: &Order<'_>,
    ) -> Result<Option<ObjectId>, IntegrateError> {
        let start = &order.assigned.start;
        let commit = self.plain_commit(worktrees, order).await?;
        let both = self.git.merged_since(&order.work.base, start, &commit);
        let Merged { tree, conflicts } = both.await?;
        if !conflicts.is_empty() {
            // As it was: what comes next makes a commit of its own.
            if commit != order.work.head {
                let back = worktrees.set_back(order.assigned, order.work, &commit);
                back.await?;
            }
            return Ok(None);
        }
        let made = self.finish(worktrees, order, vec![start], Some(&tree), start);
        Ok(Some(made.await?.commit))
    }

    /// Keeps commits of the branch that are not part of the work before the branch is set anew.
    async fn clear_the_way(
        &self,
        worktrees: &Worktrees,
        order: &Order<'_>,
    ) -> Result<(), IntegrateError> {
        if let Some(branch) = self.git.tip(&order.assigned.reference()).await? {
            worktrees
                .set_aside(order.assigned, order.work, &branch)
                .await?;
        }
        Ok(())
    }

    /// The work as a commit of its own, which merging needs.
    async fn plain_commit(
        &self,
        worktrees: &Worktrees,
        order: &Order<'_>,
    ) -> Result<ObjectId, IntegrateError> {
        let (assigned, work) = (order.assigned, order.work);
        let made = worktrees.commit(assigned, work, order.message, Vec::new(), order.now);
        Ok(made.await?)
    }

    /// Makes the commit that the base is to be at: with the files of `tree`, or with the changes of the work where
    /// there is none.
    async fn finish(
        &self,
        worktrees: &Worktrees,
        order: &Order<'_>,
        parents: Vec<&ObjectId>,
        tree: Option<&ObjectId>,
        tip: &ObjectId,
    ) -> Result<Made, IntegrateError> {
        let reference = order.assigned.reference();
        let ticked = self.plans.tick(&self.git, tip, order.tick).await?;
        let plan = match (&ticked, order.tick) {
            (Some(ticked), _) => Some(ticked.clone()),
            // What was made on an older base has its plan.
            (None, Some(at)) if order.work.is_committed => {
                self.plans.read(&self.git, tip, at.path).await?
            }
            (None, _) => None,
        };
        let branch = self.git.tip(&reference).await?;
        worktrees.announce(order.assigned, branch.as_ref(), tip)?;
        let mut changes = match tree {
            Some(_) => Vec::new(),
            None => order.work.file_changes(),
        };
        changes.extend(change(plan.as_ref(), order.tick));
        let commit = NewCommit {
            reference: &reference,
            parents: parents.into_iter().map(Parent::Known).collect(),
            tree,
            changes,
            message: order.message,
            when: order.now,
        };
        let commit = self.git.commit(commit).await?;
        let is_ticked = ticked.is_some();
        if let Some(plan) = ticked {
            self.plans.made(&commit, plan);
        }
        Ok(Made {
            commit,
            onto: tip.clone(),
            is_ticked,
        })
    }
}

/// A plan as a change of a commit that completes a row of it.
fn change(plan: Option<&tick::Plan>, tick: Option<Tick<'_>>) -> Option<FileChange> {
    Some(plan?.change(tick?.path))
}
