//! The index of a worktree, read without a run of git (gitformat-index(5)): which files git has taken down.
//!
//! Only what an ordinary index looks like is read: version 2, every entry a whole one, no part of it elsewhere. For
//! anything else there is no answer, and whoever asked has to ask git. Nothing is ever written here.

use std::cmp::Ordering;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ralph_core::store::StoreError;
use ralph_core::store::link::second_name;

use crate::git::ObjectId;
use crate::git::changes::Change;

/// The index of a worktree as it was when its attempt began, in its git folder.
pub(super) const START_INDEX: &str = "ralph-index";

/// Where an entry has its mode, and the length of all before its hash: times, device, inode, mode, owner, size.
const MODE: usize = 24;
const STAT: usize = 40;
/// The flag of an entry that git was told to take as unchanged, and the bits of one that is in conflict.
const ASSUME_VALID: u16 = 0x8000;
const STAGE: u16 = 0x3000;
/// The kind of a file in its mode.
const KIND: u32 = 0o170_000;
const GITLINK: u32 = 0o160_000;

/// An index.
#[derive(Debug)]
pub(super) struct Index {
    bytes: Vec<u8>,
    /// Sorted by name, as git sorts.
    entries: Vec<Entry>,
    hash: usize,
}

/// Where the parts of an entry are.
#[derive(Debug)]
struct Entry {
    at: usize,
    name: std::ops::Range<usize>,
}

/// Keeps the index as it is now for [`Index::since`]: a second name of its file, since git never changes one in place.
/// Where none can be given, git is asked later.
pub(super) fn keep(git_dir: &Path) -> Result<(), StoreError> {
    second_name(&git_dir.join("index"), &git_dir.join(START_INDEX)).map(drop)
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Submodule,
}

impl Index {
    /// Reads the file of an index. `digits` is the length of the name of an object.
    pub(super) fn read(file: &Path, digits: usize) -> Option<Self> {
        Self::parse(fs::read(file).ok()?, digits / 2)
    }

    fn parse(bytes: Vec<u8>, hash: usize) -> Option<Self> {
        let count = count(&bytes)?;
        let mut entries = Vec::with_capacity(count.min(bytes.len() / (STAT + hash)));
        let mut at = 12;
        for _ in 0..count {
            let flags = at + STAT + hash;
            let start = flags + 2;
            let flags = u16::from_be_bytes(bytes.get(flags..start)?.try_into().ok()?);
            if flags & (ASSUME_VALID | STAGE) != 0 {
                return None;
            }
            let length = bytes.get(start..)?.iter().position(|byte| *byte == 0)?;
            entries.push(Entry {
                at,
                name: start..start + length,
            });
            // One to eight zeros, up to a multiple of eight.
            at += (STAT + hash + 2 + length + 8) / 8 * 8;
        }
        has_no_other_part(&bytes, at, hash).then_some(Self {
            bytes,
            entries,
            hash,
        })
    }

    /// What differs between two indexes, from the older one to this.
    pub(super) fn since(&self, old: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let (mut olds, mut news) = (
            old.entries.iter().peekable(),
            self.entries.iter().peekable(),
        );
        loop {
            let order = match (olds.peek(), news.peek()) {
                (None, None) => return changes,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => old.name(before).cmp(self.name(after)),
            };
            let before = olds.next_if(|_| order != Ordering::Greater);
            let after = news.next_if(|_| order != Ordering::Less);
            changes.extend(self.change(old, before, after));
        }
    }

    fn change(&self, old: &Self, before: Option<&Entry>, after: Option<&Entry>) -> Option<Change> {
        let before_is = before.map(|entry| old.object(entry));
        let after_is = after.map(|entry| self.object(entry));
        let status = match (before_is, after_is) {
            (None, _) => 'A',
            (_, None) => 'D',
            (Some(before), Some(after)) if before == after => return None,
            (Some((before, _)), Some((after, _))) if before & KIND != after & KIND => 'T',
            _ => 'M',
        };
        let name = after.map(|entry| self.name(entry));
        let name = name.or(before.map(|entry| old.name(entry)))?;
        let side = |object: Option<(u32, &[u8])>| {
            let (mode, hash) = object.unwrap_or((0, &[]));
            let id = ObjectId::of_bytes(hash).unwrap_or_else(|| ObjectId::null(self.hash * 2));
            (format!("{mode:06o}"), id)
        };
        let change = Change::new(name.to_owned(), status, side(before_is), side(after_is));
        Some(change)
    }

    /// Whether a worktree holds nothing but what is in the index, neither ignored nor not, and git's own file at its
    /// top. What is in a submodule is its own.
    pub(super) fn is_all_of(&self, worktree: &Path) -> bool {
        let mut left = vec![(worktree.to_owned(), Vec::new())];
        while let Some((folder, prefix)) = left.pop() {
            let Ok(found) = fs::read_dir(&folder) else {
                return false;
            };
            for entry in found {
                let Ok(entry) = entry else { return false };
                let Ok(kind) = entry.file_type() else {
                    return false;
                };
                let name = entry.file_name();
                if prefix.is_empty() && name == ".git" {
                    continue;
                }
                let mut path = [prefix.as_slice(), name.as_bytes()].concat();
                match self.what_is(&path) {
                    Some(Kind::File) if !kind.is_dir() => {}
                    Some(Kind::Submodule) if kind.is_dir() => {}
                    Some(Kind::Folder) if kind.is_dir() => {
                        path.push(b'/');
                        left.push((entry.path(), path));
                    }
                    _ => return false,
                }
            }
        }
        true
    }

    /// What a path is to the index; `None` where it has nothing there or below it.
    pub(super) fn what_is(&self, path: &[u8]) -> Option<Kind> {
        if let Some(found) = self.from(path).filter(|found| self.name(found) == path) {
            let is_submodule = self.object(found).0 & KIND == GITLINK;
            return Some(if is_submodule {
                Kind::Submodule
            } else {
                Kind::File
            });
        }
        let folder = [path, b"/"].concat();
        let below = self.from(&folder)?;
        self.name(below)
            .starts_with(&folder)
            .then_some(Kind::Folder)
    }

    /// The first entry that is not before a path.
    fn from(&self, path: &[u8]) -> Option<&Entry> {
        let before = |entry: &Entry| self.name(entry) < path;
        self.entries.get(self.entries.partition_point(before))
    }

    /// The commit that a submodule is at.
    pub(super) fn gitlink(&self, path: &[u8]) -> Option<ObjectId> {
        let entry = self.from(path).filter(|entry| self.name(entry) == path)?;
        let (mode, hash) = self.object(entry);
        (mode & KIND == GITLINK).then(|| ObjectId::of_bytes(hash))?
    }

    /// The mode and the hash of an entry.
    fn object(&self, entry: &Entry) -> (u32, &[u8]) {
        let mode = entry.at + MODE;
        let mode = self
            .bytes
            .get(mode..mode + 4)
            .and_then(|word| word.try_into().ok());
        let hash = entry.at + STAT;
        let hash = self.bytes.get(hash..hash + self.hash).unwrap_or_default();
        (mode.map_or(0, u32::from_be_bytes), hash)
    }

    fn name(&self, entry: &Entry) -> &[u8] {
        self.bytes.get(entry.name.clone()).unwrap_or_default()
    }
}

/// How many entries an index of version 2 has. Version 3 is there for entries that are left out, and 4 compresses names.
fn count(bytes: &[u8]) -> Option<usize> {
    let word = |at: usize| {
        let word = bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes(word.try_into().ok()?))
    };
    let is_plain = bytes.get(..4) == Some(b"DIRC") && word(4) == Some(2);
    is_plain.then_some(())?;
    usize::try_from(word(8)?).ok()
}

/// Whether all that follows the entries may be ignored: extensions with a capital letter in front, then the hash of it
/// all. One of the others says that entries are elsewhere, or that some stand for whole folders.
fn has_no_other_part(bytes: &[u8], mut at: usize, hash: usize) -> bool {
    while bytes.len().saturating_sub(at) > hash {
        let Some(&[first, _, _, _, a, b, c, d]) = bytes.get(at..at + 8) else {
            return false;
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if !first.is_ascii_uppercase() {
            return false;
        }
        at = at.saturating_add(8).saturating_add(length);
    }
    bytes.len() == at.saturating_add(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::changes::raw_changes;
    use crate::git::sandbox::Sandbox;

    fn index(sandbox: &Sandbox) -> Option<Index> {
        Index::read(&sandbox.top().join(".git/index"), 40)
    }

    #[test]
    fn flags_versions_and_parts_elsewhere_are_not_read() {
        let sandbox = Sandbox::new();
        for number in 0..20 {
            sandbox.write(&format!("d/{}", "x".repeat(number + 1)), "");
        }
        sandbox.git(&["add", "-A"]);
        assert_eq!(index(&sandbox).unwrap().entries.len(), 21);
        for (unusual, usual) in [
            (
                &["update-index", "--assume-unchanged", "d/xxxxx"][..],
                &["update-index", "--no-assume-unchanged", "d/xxxxx"][..],
            ),
            (
                &["update-index", "--skip-worktree", "d/xxxxx"],
                &["update-index", "--no-skip-worktree", "d/xxxxx"],
            ),
            (
                &["update-index", "--index-version", "4"],
                &["update-index", "--index-version", "2"],
            ),
            (
                &["update-index", "--split-index"],
                &["update-index", "--no-split-index"],
            ),
        ] {
            sandbox.git(unusual);
            assert!(index(&sandbox).is_none(), "{unusual:?}");
            sandbox.git(usual);
            assert!(index(&sandbox).is_some(), "{usual:?}");
        }
        let whole = fs::read(sandbox.top().join(".git/index")).unwrap();
        for end in 0..whole.len() {
            let cut = Index::parse(whole[..end].to_owned(), 20);
            assert!(cut.is_none_or(|cut| cut.entries.len() == 21), "{end}");
        }
    }

    #[test]
    fn the_difference_of_two_is_what_git_says_it_is() {
        let sandbox = Sandbox::new();
        for path in ["a/b", "a/c", "a.b", "gone", "link", "same", "run.sh", "x/y"] {
            sandbox.write(path, path);
        }
        sandbox.commit_all("Before");
        let before = index(&sandbox).unwrap();
        sandbox.write("a/b", "new");
        sandbox.write("a-new", "new");
        sandbox.write("zz/top", "new");
        let top = sandbox.top();
        std::fs::remove_file(top.join("gone")).unwrap();
        std::fs::remove_file(top.join("link")).unwrap();
        std::os::unix::fs::symlink("same", top.join("link")).unwrap();
        std::fs::remove_dir_all(top.join("x")).unwrap();
        sandbox.write("x", "a file now");
        sandbox.git(&["add", "-A"]);
        sandbox.git(&["update-index", "--chmod=+x", "run.sh"]);
        let after = index(&sandbox).unwrap();
        let arguments = [
            "-C",
            &top.display().to_string(),
            "diff-index",
            "--cached",
            "--raw",
        ];
        let asked = std::process::Command::new("git")
            .args(arguments)
            .args(["-z", "--no-abbrev", "--no-renames", "HEAD"])
            .output()
            .unwrap();
        let expected = raw_changes(&asked.stdout);
        assert_eq!(expected.len(), 8);
        assert_eq!(after.since(&before), expected);
        assert_eq!(after.since(&after), []);
    }

    #[test]
    fn whatever_is_not_in_the_index_is_seen() {
        let sandbox = Sandbox::new();
        sandbox.write(".gitignore", "*.o\n");
        sandbox.write("d/e/f", "x");
        sandbox.write("d-e", "x");
        sandbox.git(&["add", "-A"]);
        let top = sandbox.top();
        let is_all = || index(&sandbox).unwrap().is_all_of(top);
        assert!(is_all());
        for more in ["new", "d/e/x.o", "d/.git", "d/e/g/h"] {
            sandbox.write(more, "x");
            assert!(!is_all(), "{more}");
            std::fs::remove_file(top.join(more)).unwrap();
            let _ = std::fs::remove_dir(top.join("d/e/g"));
            assert!(is_all(), "{more}");
        }
        std::fs::create_dir(top.join("empty")).unwrap();
        assert!(!is_all());
        std::fs::remove_dir(top.join("empty")).unwrap();
        std::fs::remove_file(top.join("d-e")).unwrap();
        std::fs::create_dir(top.join("d-e")).unwrap();
        assert!(!is_all(), "a folder in the place of a file");
        assert!(!index(&sandbox).unwrap().is_all_of(&top.join("none")));
    }
}
