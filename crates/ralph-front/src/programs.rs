//! Where a program is that somebody named. The folders of the search path are handed in.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A program as a shell in `root` would find it (sh(1p), command search): a name in the first of `folders` that has it,
/// anything with a slash from `root`.
#[must_use]
pub fn find(program: &str, root: &Path, folders: &[PathBuf]) -> Option<PathBuf> {
    if program.is_empty() {
        return None;
    }
    if program.contains('/') {
        return Some(root.join(program)).filter(|path| is_program(path));
    }
    // A relative folder of the search path, or an empty one, is taken from where the shell is.
    let places = folders.iter().map(|folder| root.join(folder).join(program));
    places.into_iter().find(|path| is_program(path))
}

/// Whether there is a file that somebody may execute.
#[must_use]
pub fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, Permissions};

    fn file(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        File::create(path).expect("created");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn a_name_is_looked_for_in_the_folders_and_a_path_from_the_root() {
        let place = tempfile::tempdir().expect("a folder");
        let root = place.path().join("repository");
        file(&root.join("agent"), 0o755);
        file(&root.join("tools/lint"), 0o755);
        let (first, second) = (place.path().join("first"), place.path().join("second"));
        file(&first.join("claude"), 0o644);
        fs::create_dir_all(first.join("codex")).expect("created");
        file(&second.join("claude"), 0o755);
        file(&second.join("codex"), 0o755);
        let folders = [first, second.clone()];
        let find = |program: &str| find(program, &root, &folders);

        assert_eq!(
            find("claude"),
            Some(second.join("claude")),
            "one that can be executed"
        );
        assert_eq!(find("codex"), Some(second.join("codex")), "no folder");
        assert_eq!(find("./agent"), Some(root.join("./agent")));
        assert_eq!(find("agent"), None, "the root is not searched");
        let absolute = second.join("claude");
        assert_eq!(find(&absolute.display().to_string()), Some(absolute));
        assert_eq!(find(""), None);
        assert_eq!(find("no/such"), None);
    }

    #[test]
    fn relative_folders_of_the_search_path_are_of_the_root() {
        let place = tempfile::tempdir().expect("a folder");
        file(&place.path().join("tools/lint"), 0o755);
        file(&place.path().join("agent"), 0o755);
        let find = |program, folder: &str| find(program, place.path(), &[PathBuf::from(folder)]);
        assert_eq!(find("lint", "tools"), Some(place.path().join("tools/lint")));
        assert_eq!(find("agent", ""), Some(place.path().join("agent")));
    }
}
