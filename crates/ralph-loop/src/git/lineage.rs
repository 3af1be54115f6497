//! Commits of the base that this process has made or asked about, each with one that it stands on: questions about them
//! cost no run of git.
//!
//! What is remembered of a commit never changes, so that no answer can be out of date. What must never be here: a
//! guess. What is not remembered is "not known", never "no".

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::ObjectId;

/// How many paths of changed files are remembered altogether.
const MOST_PATHS: usize = 8_192;
/// How many commits are.
const MOST_COMMITS: usize = 256;

/// The paths that a commit changes, in bytes as git has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Files that are there afterwards.
    pub changed: Vec<Vec<u8>>,
    /// Files that are not.
    pub deleted: Vec<Vec<u8>>,
}

impl Touched {
    fn len(&self) -> usize {
        self.changed.len() + self.deleted.len()
    }
}

#[derive(Debug, Clone)]
struct Step {
    commit: ObjectId,
    ancestor: ObjectId,
    touched: Arc<Touched>,
}

/// The memory of a process for the commits that the base was at.
#[derive(Debug, Default)]
pub struct Lineage {
    steps: Mutex<VecDeque<Step>>,
}

impl Lineage {
    /// Remembers a commit, its parent or an older ancestor, and what differs between the two.
    pub fn remember(&self, commit: &ObjectId, ancestor: &ObjectId, touched: Touched) {
        let mut steps = self.steps();
        steps.push_back(Step {
            commit: commit.clone(),
            ancestor: ancestor.clone(),
            touched: Arc::new(touched),
        });
        let mut paths: usize = steps.iter().map(|step| step.touched.len()).sum();
        while paths > MOST_PATHS || steps.len() > MOST_COMMITS {
            let Some(oldest) = steps.pop_front() else {
                break;
            };
            paths -= oldest.touched.len();
        }
    }

    /// What differs in each step from `old` to `new`, the newest first; `None` where one of them is not known.
    #[must_use]
    pub fn between(&self, old: &ObjectId, new: &ObjectId) -> Option<Vec<Arc<Touched>>> {
        let steps = self.steps();
        let mut at = new;
        let mut touched = Vec::new();
        // An ancestor is remembered before what stands on it.
        for step in steps.iter().rev() {
            if at == old {
                break;
            }
            if step.commit == *at {
                touched.push(Arc::clone(&step.touched));
                at = &step.ancestor;
            }
        }
        (at == old).then_some(touched)
    }

    fn steps(&self) -> std::sync::MutexGuard<'_, VecDeque<Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> ObjectId {
        format!("{number:040x}").parse().unwrap()
    }

    fn touched(paths: usize) -> Touched {
        Touched {
            changed: (0..paths)
                .map(|path| path.to_string().into_bytes())
                .collect(),
            deleted: Vec::new(),
        }
    }

    #[test]
    fn the_way_back_is_known_as_far_as_it_is_remembered() {
        let lineage = Lineage::default();
        for number in 1..=4 {
            lineage.remember(&id(number), &id(number - 1), touched(number));
        }
        // Another one on the same parent.
        lineage.remember(&id(9), &id(2), touched(9));
        let lengths = |old, new| {
            let between = lineage.between(&id(old), &id(new))?;
            Some(between.iter().map(|step| step.len()).collect::<Vec<_>>())
        };
        assert_eq!(lengths(0, 4), Some(vec![4, 3, 2, 1]));
        assert_eq!(lengths(2, 9), Some(vec![9]));
        assert_eq!(lengths(3, 3), Some(vec![]));
        assert_eq!(lengths(7, 7), Some(vec![]));
        assert_eq!(lengths(4, 2), None);
        assert_eq!(lengths(3, 9), None);
        assert_eq!(lengths(8, 4), None);
    }

    #[test]
    fn the_memory_is_bounded_and_what_is_forgotten_is_not_known() {
        let lineage = Lineage::default();
        lineage.remember(&id(1), &id(0), touched(MOST_PATHS));
        assert!(lineage.between(&id(0), &id(1)).is_some());
        lineage.remember(&id(2), &id(1), touched(1));
        assert!(lineage.between(&id(0), &id(2)).is_none());
        assert!(lineage.between(&id(1), &id(2)).is_some());
        lineage.remember(&id(3), &id(2), touched(MOST_PATHS + 1));
        assert!(lineage.between(&id(2), &id(3)).is_none());
        for number in 4..MOST_COMMITS + 100 {
            lineage.remember(&id(number), &id(number - 1), touched(0));
        }
        assert_eq!(lineage.steps().len(), MOST_COMMITS);
    }
}
