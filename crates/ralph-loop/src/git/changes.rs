//! Files that differ between two trees, in git's raw format (git-diff-index(1), "raw output format"): the one place that
//! reads it.

use super::import::{FileChange, NewFile};
use super::{Call, Git, GitError, ObjectId};

/// The mode of an entry that is another repository.
const GITLINK: &str = "160000";

/// A file that differs between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// From the top of the work tree. Bytes that are no text are replaced in it; see `raw_path`.
    pub path: String,
    /// `A`, `D`, `M` or `T`.
    pub status: char,
    /// The path as git has it, which knows no encoding.
    pub(crate) raw_path: Vec<u8>,
    /// As git writes them; `000000` where there is no file.
    pub(crate) old_mode: String,
    pub(crate) new_mode: String,
    pub(crate) old: ObjectId,
    pub(crate) new: ObjectId,
}

impl Change {
    /// A change of a path, with mode and object before and after it.
    pub(crate) fn new(
        path: Vec<u8>,
        status: char,
        (old_mode, old): (String, ObjectId),
        (new_mode, new): (String, ObjectId),
    ) -> Self {
        Self {
            path: String::from_utf8_lossy(&path).into_owned(),
            status,
            raw_path: path,
            old_mode,
            new_mode,
            old,
            new,
        }
    }

    /// The same for a new commit.
    pub(crate) fn file_change(&self) -> FileChange {
        let file = if self.status == 'D' {
            NewFile::Gone
        } else {
            NewFile::Known {
                mode: self.new_mode.clone(),
                id: self.new.clone(),
            }
        };
        FileChange {
            path: self.raw_path.clone(),
            file,
        }
    }

    /// Whether a repository is where none was.
    pub(crate) fn is_new_repository(&self) -> bool {
        self.new_mode == GITLINK && self.old_mode != GITLINK
    }

    /// Whether the path is afterwards as it was before the other change.
    pub(crate) fn undoes(&self, other: &Self) -> bool {
        self.raw_path == other.raw_path && self.new_mode == other.old_mode && self.new == other.old
    }
}

impl Git {
    /// What differs between two commits.
    pub(crate) async fn changes_between(
        &self,
        old: &ObjectId,
        new: &ObjectId,
    ) -> Result<Vec<Change>, GitError> {
        Ok(raw_changes(&self.between(old, new).run().await?.stdout))
    }

    /// The same where nothing else can go on meanwhile.
    pub(crate) fn changes_between_blocking(
        &self,
        old: &ObjectId,
        new: &ObjectId,
    ) -> Result<Vec<Change>, GitError> {
        Ok(raw_changes(&self.between(old, new).blocking(&[0])?.stdout))
    }

    fn between(&self, old: &ObjectId, new: &ObjectId) -> Call<'_> {
        let question = [
            "diff-tree",
            "-r",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
        ];
        self.call(&question).arg(old.as_str()).arg(new.as_str())
    }
}

/// Reads `:OLDMODE NEWMODE OLD NEW STATUS NUL PATH NUL`.
pub(crate) fn raw_changes(answer: &[u8]) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut parts = answer.split(|byte| *byte == 0);
    while let (Some(head), Some(path)) = (parts.next(), parts.next()) {
        let head = String::from_utf8_lossy(head);
        let mut words = head.trim_start_matches(':').split(' ').map(str::to_owned);
        let mut next = || words.next();
        let (Some(old_mode), Some(new_mode), Some(old), Some(new), Some(status)) =
            (next(), next(), next(), next(), next())
        else {
            continue;
        };
        let (Ok(old), Ok(new), Some(status)) = (old.parse(), new.parse(), status.chars().next())
        else {
            continue;
        };
        let (old, new) = ((old_mode, old), (new_mode, new));
        changes.push(Change::new(path.to_owned(), status, old, new));
    }
    changes
}
