//! What a crash left, put right at the start: claims of processes that are gone, deliveries whose branch is.

use std::path::{Path, PathBuf};

use ralph_core::store::atomic;
use ralph_docs::fix_plan::Mark;

use super::edit::{self, Written};
use super::record::{self, CLAIMS, Claimant, DELIVERED, Delivered, Life, Owner, Records};
use super::view::{Plan, Standing};
use super::{PlanError, PlanFile, TRIES};
use crate::outcome::AttemptId;
use crate::task::Task;

/// A claim that was given back because its process is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveredClaim {
    /// The task, which is open again unless it is done or gone from the plan.
    pub task: Task,
    /// The attempt that had it.
    pub attempt: AttemptId,
    /// The process that is gone.
    pub owner: Owner,
}

/// What [`PlanFile::recover`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// The claims that were given back.
    pub claims: Vec<RecoveredClaim>,
    /// Tasks that count as delivered no more, because their branch is gone; open again.
    pub forgotten: Vec<(Task, Delivered)>,
    /// Claims that stay because their process may live, or their record cannot be read. For people: if the process is
    /// known to be gone, its record can be deleted.
    pub standing: Vec<Claimant>,
}

impl PlanFile {
    /// Gives back the claims of processes that are gone, known by their identity and never by age or line, and
    /// forgets deliveries that were merged or whose branch is gone. A `[~]` without a record is left alone. Doing it
    /// again changes nothing.
    ///
    /// What those processes had started must have been ended before, and claims that are to go on be adopted
    /// ([`PlanFile::adopt`]). Only for who holds the repository's loop lock, since what a crash left of half-written
    /// files beside the plan is removed as well.
    ///
    /// # Errors
    /// As [`PlanFile::revert`].
    pub fn recover(&self, branch_exists: &dyn Fn(&str) -> bool) -> Result<Recovered, PlanError> {
        let _turn = self.turn()?;
        for folder in [CLAIMS, DELIVERED] {
            atomic::remove_leftovers(&self.state_dir.join(folder));
        }
        if let Some(folder) = self.path.parent() {
            atomic::remove_leftovers(folder);
        }
        let records = self.records()?;
        let mut recovered = Recovered::default();
        for (key, found) in &records.claims {
            let Some(claim) = &found.record else {
                recovered.standing.push(unreadable(&found.path));
                continue;
            };
            let life = claim.owner.life(&self.owner);
            if life == Life::Gone {
                recovered.claims.push(RecoveredClaim {
                    task: Task {
                        key: key.clone(),
                        ..claim.task.clone()
                    },
                    attempt: claim.attempt.clone(),
                    owner: claim.owner.clone(),
                });
            } else if claim.owner != self.owner {
                recovered.standing.push(Claimant {
                    who: Some((claim.attempt.clone(), claim.owner.clone())),
                    since: Some(claim.claimed_at),
                    life,
                    record: found.path.clone(),
                });
            }
        }
        let plan = self.reopen(&recovered.claims)?;
        for claim in &recovered.claims {
            record::remove_claim(&self.state_dir, &claim.task.key)?;
        }
        recovered.forgotten = self.forget(&plan, &records, branch_exists)?;
        Ok(recovered)
    }

    /// Takes the marks of lost claims away; returns the plan as it was before.
    fn reopen(&self, claims: &[RecoveredClaim]) -> Result<Plan, PlanError> {
        for _ in 0..TRIES {
            let known = self.known(self.text()?);
            let records = self.records()?;
            let plan = self.view(&known, &records);
            let rows: Vec<_> = claims
                .iter()
                .filter_map(|claim| plan.row_of(&claim.task, &records, self.flavour))
                .collect();
            let keys: Vec<_> = rows.iter().collect();
            let marked = known.reading.set_marks(&keys, &[Mark::Claimed], Mark::Open);
            if edit::write(&self.path, known.text(), marked.text())? != Written::No {
                return Ok(plan);
            }
        }
        Err(self.changing())
    }

    /// Removes the records of deliveries that are merged, and of those whose branch is gone; returns the latter.
    fn forget(
        &self,
        plan: &Plan,
        records: &Records,
        branch_exists: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<(Task, Delivered)>, PlanError> {
        let mut forgotten = Vec::new();
        for (key, found) in &records.delivered {
            let Some(record) = &found.record else {
                continue;
            };
            let planned = plan.tasks.iter().find(|planned| planned.task.key == *key);
            let merged = planned.is_some_and(|planned| planned.standing == Standing::Done);
            if !merged && branch_exists(&record.delivered.branch) {
                continue;
            }
            record::remove_delivered(&self.state_dir, key)?;
            if !merged {
                forgotten.push((record.task.clone(), record.delivered.clone()));
            }
        }
        Ok(forgotten)
    }
}

fn unreadable(path: &Path) -> Claimant {
    Claimant {
        who: None,
        since: None,
        life: Life::Unknown,
        record: PathBuf::from(path),
    }
}
