//! The tick of a task's row, as a change of the tracked plan inside a commit.

use std::sync::{Mutex, PoisonError};

use ralph_docs::fix_plan::{Flavour, Mark, Marked, Reading, RowKey};

use crate::git::import::{FileChange, NewFile};
use crate::git::{Git, GitError, ObjectId};

/// The modes of a regular file. A plan that is a link is not followed into a commit.
const FILES: [&str; 2] = ["100644", "100755"];

/// The row that a commit completes.
#[derive(Debug, Clone, Copy)]
pub struct Tick<'a> {
    /// The plan, from the top of the work tree.
    pub path: &'a str,
    /// The row.
    pub row: &'a RowKey,
    /// Rows whose `[~]` is a claim of ours that somebody has committed with the plan: their marks are lifted along with it.
    pub marks: &'a [RowKey],
}

/// A plan as a commit has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    mode: String,
    reading: Reading,
}

impl Plan {
    /// Its text.
    pub(super) fn text(&self) -> &str {
        self.reading.text()
    }

    /// The plan with the row ticked; `None` where there is no such row, or it is ticked already.
    pub(super) fn ticked(&self, tick: Tick<'_>) -> Option<Self> {
        let from = [Mark::Open, Mark::Claimed];
        let marks: Vec<&RowKey> = tick.marks.iter().filter(|row| *row != tick.row).collect();
        let lifted = self.reading.set_marks(&marks, &[Mark::Claimed], Mark::Open);
        let Marked::Changed(reading) = lifted.set_mark(tick.row, &from, Mark::Done) else {
            return None;
        };
        Some(Self {
            mode: self.mode.clone(),
            reading,
        })
    }

    /// The plan as a change of a commit.
    pub(super) fn change(&self, path: &str) -> FileChange {
        FileChange {
            path: path.as_bytes().to_owned(),
            file: NewFile::Content {
                mode: self.mode.clone(),
                bytes: self.reading.text().as_bytes().to_owned(),
            },
        }
    }
}

/// The plan of the commit that was last looked at or made: in a quiet repository the next one stands on it.
#[derive(Debug, Default)]
pub(super) struct Plans {
    last: Mutex<Option<(ObjectId, Option<Plan>)>>,
}

impl Plans {
    /// The plan of a commit with the row ticked; `None` where there is no plan, no such row, or it is ticked already.
    pub(super) async fn tick(
        &self,
        git: &Git,
        commit: &ObjectId,
        tick: Option<Tick<'_>>,
    ) -> Result<Option<Plan>, GitError> {
        let Some(tick) = tick else {
            return Ok(None);
        };
        let plan = self.read(git, commit, tick.path).await?;
        Ok(plan.and_then(|plan| plan.ticked(tick)))
    }

    /// Remembers the plan of a commit that was made with it.
    pub(super) fn made(&self, commit: &ObjectId, plan: Plan) {
        *self.last() = Some((commit.clone(), Some(plan)));
    }

    /// The plan of a commit; `None` where there is none.
    pub(super) async fn read(
        &self,
        git: &Git,
        commit: &ObjectId,
        path: &str,
    ) -> Result<Option<Plan>, GitError> {
        let last = self.last().clone();
        if let Some((_, plan)) = last.filter(|(of, _)| of == commit) {
            return Ok(plan);
        }
        let plan = read(git, commit, path).await?;
        *self.last() = Some((commit.clone(), plan.clone()));
        Ok(plan)
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<(ObjectId, Option<Plan>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(git: &Git, commit: &ObjectId, path: &str) -> Result<Option<Plan>, GitError> {
    let call = git.call(&["ls-tree", "-z", "--full-tree", commit.as_str(), "--"]);
    let listed = call.arg(path).run().await?.text();
    // "MODE blob ID\tPATH\0" (git-ls-tree(1)).
    let mut words = listed.split(['\t', '\0']).next().unwrap_or("").split(' ');
    let (Some(mode), Some("blob"), Some(blob)) = (words.next(), words.next(), words.next()) else {
        return Ok(None);
    };
    if !FILES.contains(&mode) {
        return Ok(None);
    }
    let bytes = git.call(&["cat-file", "blob", blob]).run().await?.stdout;
    let plan = String::from_utf8(bytes).ok().map(|text| Plan {
        mode: mode.to_owned(),
        reading: Reading::new(text, Flavour::Repository),
    });
    Ok(plan)
}
