//! Whether changes go on top of a base that has moved just as they are, without being merged. Pure.
//!
//! "No" is always a safe answer: then git merges, and says what conflicts.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use crate::git::lineage::Touched;

/// Whether a merge of `work` with what the base has seen since would take every file from the one side that has
/// changed it. That is so where no file is changed on both sides, no file of one is a folder of the other, and
/// nothing is deleted: only what was deleted can have been renamed, and a change of the other side would have to
/// follow it (git-merge(1), rename detection of the `ort` strategy).
pub(super) fn fits<T: Borrow<Touched>>(work: &Touched, since: &[T]) -> bool {
    let mut since = since.iter().map(Borrow::borrow).peekable();
    if since.peek().is_none() {
        return true;
    }
    if !work.deleted.is_empty() {
        return false;
    }
    let ours: BTreeSet<&[u8]> = work.changed.iter().map(Vec::as_slice).collect();
    since.all(|step| {
        step.deleted.is_empty() && step.changed.iter().all(|theirs| is_apart(&ours, theirs))
    })
}

/// Whether a file is one of those that the work changes, or in the way of one.
pub(super) fn touches(work: &Touched, path: &str) -> bool {
    let all = work.changed.iter().chain(&work.deleted);
    !is_apart(&all.map(Vec::as_slice).collect(), path.as_bytes())
}

/// Whether a path is none of these, holds none of them, and lies in none of them.
fn is_apart(paths: &BTreeSet<&[u8]>, path: &[u8]) -> bool {
    let mut folder = path.to_owned();
    folder.push(b'/');
    let inside = paths.range(folder.as_slice()..).next();
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let mut above = ends.map(|(end, _)| &path[..end]);
    !paths.contains(path)
        && inside.is_none_or(|inside| !inside.starts_with(&folder))
        && !above.any(|above| paths.contains(above))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn touched(changed: &[&str], deleted: &[&str]) -> Touched {
        let bytes = |paths: &[&str]| paths.iter().map(|path| path.as_bytes().to_vec()).collect();
        Touched {
            changed: bytes(changed),
            deleted: bytes(deleted),
        }
    }

    #[test]
    fn other_files_fit_and_the_same_ones_do_not() {
        let since = [touched(&["a", "d/e/f"], &[]), touched(&["b.c"], &[])];
        for (path, is_fit) in [
            ("c", true),
            ("b", true),
            ("d/e/g", true),
            ("d/e/f.g", true),
            ("a-b", true),
            ("a", false),
            ("b.c", false),
            // A file where the base has a folder, and the other way round.
            ("d/e", false),
            ("d", false),
            ("a/b", false),
            ("d/e/f/g", false),
        ] {
            assert_eq!(fits(&touched(&[path], &[]), &since), is_fit, "{path}");
        }
    }

    #[test]
    fn a_file_is_touched_by_its_change_by_its_deletion_and_by_what_takes_its_place() {
        let work = touched(&["a/b", "c"], &["d"]);
        for (path, is_touched) in [
            ("a/b", true),
            ("d", true),
            ("a", true),
            ("c/d", true),
            ("e", false),
        ] {
            assert_eq!(touches(&work, path), is_touched, "{path}");
        }
    }

    #[test]
    fn what_is_deleted_may_have_been_renamed_and_is_merged() {
        let (deletes, adds) = (touched(&["x"], &["y"]), touched(&["z"], &[]));
        assert!(!fits(&deletes, std::slice::from_ref(&adds)));
        assert!(!fits(&adds, std::slice::from_ref(&deletes)));
        assert!(
            fits::<Touched>(&deletes, &[]),
            "on the base that it was made on"
        );
    }

    proptest! {
        #[test]
        fn it_is_the_same_seen_from_either_side(
            ours in proptest::collection::vec("[ab](/[ab.]){0,2}", 1..4),
            theirs in proptest::collection::vec("[ab](/[ab.]){0,2}", 1..4),
        ) {
            let of = |paths: &[String]| {
                let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
                touched(&paths, &[])
            };
            let (ours, theirs) = (of(&ours), of(&theirs));
            let one = std::slice::from_ref::<Touched>;
            prop_assert_eq!(fits(&ours, one(&theirs)), fits(&theirs, one(&ours)));
        }
    }
}
