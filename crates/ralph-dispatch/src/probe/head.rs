//! Whether a repository's HEAD is one that a loop can begin from. Reads only.

use std::collections::BTreeMap;
use std::path::Path;

use ralph_core::store::atomic;
use ralph_loop::shell_file;

use super::git;
use crate::gate::Head;

/// How `git status --porcelain --branch` begins the line about HEAD.
pub(super) const HEADER: &str = "## ";

/// What that line says.
pub(super) fn told(status: &str) -> Head {
    let mut lines = status.lines();
    match lines.find_map(|line| line.strip_prefix(HEADER)) {
        Some("HEAD (no branch)") => Head::Detached,
        Some(line) if line.starts_with("No commits yet on ") => Head::NoCommit,
        _ => Head::Usable,
    }
}

/// A HEAD that is on no branch matters only where the loop would take its base from it: where no base is named, and there
/// is no remote that its pull requests go to.
pub(super) async fn as_a_loop_sees_it(
    head: Head,
    folder: &Path,
    variables: &BTreeMap<String, String>,
) -> Head {
    if head != Head::Detached {
        return head;
    }
    let path = folder.join(".ralphrc");
    let file = atomic::read_text(&path).ok().flatten();
    let file = file.and_then(|text| shell_file::read(&text, &path).ok());
    let said = |key: &str| {
        let stated = variables.get(key).cloned();
        let in_file = || Some(file.as_ref()?.scalar(key)?.value.clone());
        stated.or_else(in_file).filter(|value| !value.is_empty())
    };
    if said("PR_BASE_BRANCH").is_some() {
        return Head::Usable;
    }
    let has_requests = said("PR_ENABLED").is_none_or(|value| value != "false");
    let remotes = git(folder, &["remote"]).await.unwrap_or_default();
    if has_requests && !remotes.trim().is_empty() {
        Head::Usable
    } else {
        Head::Detached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_about_head() {
        assert_eq!(told("## HEAD (no branch)\n M a\n"), Head::Detached);
        assert_eq!(told("## No commits yet on main\n?? a\n"), Head::NoCommit);
        for fine in ["## main\n", "## main...origin/main\n", "## HEAD\n", ""] {
            assert_eq!(told(fine), Head::Usable, "{fine}");
        }
    }
}
