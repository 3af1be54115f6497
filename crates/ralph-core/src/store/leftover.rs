//! Temporary files that a killed process left: what they are, and who may remove them when.
//!
//! What must never be here: a name that [`super::atomic::stage`] does not give.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::atomic::TEMPORARY;

/// Whether a file of this name is what a crash left of [`stage`](super::atomic::stage).
#[must_use]
pub fn is_leftover(name: &str) -> bool {
    name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1)
}

/// Removes what a crash left of [`stage`](super::atomic::stage) in a folder in which nobody else writes now, which is
/// what a lock is for. What cannot be removed is left: it is clutter, no danger.
pub fn remove_leftovers(dir: &Path) {
    remove(dir, |_| true);
}

/// As [`remove_leftovers`], in a folder in which others may be writing: only what nobody has touched for `age` before
/// `now`, since to write such a file and to rename it takes moments.
pub fn remove_old_leftovers(dir: &Path, age: Duration, now: SystemTime) {
    let is_old = |entry: &fs::DirEntry| {
        let touched = entry.metadata().and_then(|found| found.modified());
        touched.is_ok_and(|at| now.duration_since(at).is_ok_and(|since| since >= age))
    };
    remove(dir, is_old);
}

fn remove(dir: &Path, chosen: impl Fn(&fs::DirEntry) -> bool) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if is_leftover(&entry.file_name().to_string_lossy()) && chosen(&entry) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
