//! What a worktree is used for, in a file of its git folder: whoever finds it after a crash knows whether it may hold
//! work. Without the file nobody has worked there. Its last line counts: a new file for each of the three words of an
//! attempt costs more than the words.

use std::path::Path;

use ralph_core::store::append;
use ralph_core::store::atomic::{self, StoreError};
use serde::{Deserialize, Serialize};

use super::Assigned;
use crate::git::ObjectId;

/// The name of the file.
const FILE: &str = "ralph.json";
/// How long it may get before it is begun anew, in bytes: some twenty attempts.
const LONGEST: u64 = 8 * 1024;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Mark {
    /// An agent works or has worked there.
    Assigned {
        /// The branch.
        branch: String,
        /// Where it starts.
        start: ObjectId,
    },
    /// The work is being committed on the branch. Once the branch is elsewhere than at `head`, that has happened, and
    /// what lies in the folder says nothing any more: the commit may stand on a newer base.
    Committing {
        /// The branch.
        branch: String,
        /// Where the work starts.
        start: ObjectId,
        /// Where the branch was before.
        head: ObjectId,
        /// Whether the commit may stand on that of another attempt: its own changes are those since its parent.
        #[serde(default)]
        in_line: bool,
        /// What the commit's own changes are against: the tip of the base that it stands on, or the start.
        #[serde(default)]
        onto: Option<ObjectId>,
    },
    /// Its work is safe, and what lies there is none, also while it is made ready for another attempt.
    Released {
        /// The branch of the attempt that had it; `None` where no attempt did.
        branch: Option<String>,
    },
    /// Its work is safe, and it holds repositories with something in them that is nowhere else: it is the user's.
    Stays {
        /// The branch of the attempt that had it, which goes once the base has what is on it.
        #[serde(default)]
        branch: Option<String>,
    },
}

/// What is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nobody has worked there.
    Nothing,
    /// The file says this.
    Mark(Mark),
    /// The file is there and cannot be understood: a power cut. It may hold work.
    Unreadable,
}

impl Mark {
    pub(super) fn assigned(assigned: &Assigned) -> Self {
        Self::Assigned {
            branch: assigned.branch.clone(),
            start: assigned.start.clone(),
        }
    }

    pub(super) fn released(assigned: &Assigned) -> Self {
        Self::Released {
            branch: Some(assigned.branch.clone()),
        }
    }

    /// The attempt's branch.
    pub(super) fn branch(&self) -> Option<&str> {
        match self {
            Self::Assigned { branch, .. } | Self::Committing { branch, .. } => Some(branch),
            Self::Released { branch } => branch.as_deref(),
            Self::Stays { .. } => None,
        }
    }

    pub(super) fn committing(
        assigned: &Assigned,
        head: &ObjectId,
        onto: &ObjectId,
        in_line: bool,
    ) -> Self {
        Self::Committing {
            branch: assigned.branch.clone(),
            start: assigned.start.clone(),
            head: head.clone(),
            in_line,
            onto: Some(onto.clone()),
        }
    }

    /// Writes a line. Not synced: after a power cut a worktree that is on a branch counts as assigned anyway.
    pub(super) fn write(&self, git_dir: &Path) -> Result<(), StoreError> {
        let path = git_dir.join(FILE);
        let line = serde_json::to_string(self).unwrap_or_default();
        let is_long = std::fs::metadata(&path).is_ok_and(|file| file.len() > LONGEST);
        if is_long {
            let staged = atomic::stage_unsynced(&path, (line + "\n").as_bytes(), None)?;
            return staged.publish().map(drop);
        }
        append::append_line_unsynced(&path, &line)
    }

    pub(super) fn read(git_dir: &Path) -> Found {
        match atomic::read(&git_dir.join(FILE)) {
            Ok(None) => Found::Nothing,
            Ok(Some(bytes)) => last(&bytes).map_or(Found::Unreadable, Found::Mark),
            Err(_) => Found::Unreadable,
        }
    }
}

/// The last line's mark; none where it was torn, whatever the line before it says.
fn last(bytes: &[u8]) -> Option<Mark> {
    let lines = bytes.split(|byte| *byte == b'\n');
    serde_json::from_slice(lines.rev().find(|line| !line.is_empty())?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn released(name: &str) -> Mark {
        let branch = Some(name.to_owned());
        Mark::Released { branch }
    }

    #[test]
    fn the_last_word_counts_and_one_that_was_torn_may_hold_work() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Mark::read(folder.path()), Found::Nothing);
        for name in ["a", "b"] {
            released(name).write(folder.path()).unwrap();
            assert_eq!(Mark::read(folder.path()), Found::Mark(released(name)));
        }
        let path = folder.path().join(FILE);
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(b"{\"state\":\"rel");
        #[expect(clippy::disallowed_methods, reason = "a power cut")]
        std::fs::write(&path, &torn).unwrap();
        assert_eq!(Mark::read(folder.path()), Found::Unreadable);
        released("c").write(folder.path()).unwrap();
        assert_eq!(Mark::read(folder.path()), Found::Mark(released("c")));
    }

    #[test]
    fn the_file_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..2_000 {
            released(&format!("branch-{number}"))
                .write(folder.path())
                .unwrap();
        }
        assert_eq!(
            Mark::read(folder.path()),
            Found::Mark(released("branch-1999"))
        );
        let length = std::fs::metadata(folder.path().join(FILE)).unwrap().len();
        assert!(length <= LONGEST + 100, "{length} bytes");
    }
}
