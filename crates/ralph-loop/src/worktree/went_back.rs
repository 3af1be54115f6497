//! An agent that works on an older commit than it was given, such as after `git reset --hard HEAD~1`: its files lack what
//! the base has seen since. Taken against the start they would take that out of the base again, which nobody has asked
//! for; taken against the commit where the two parted they are a work on an older base, and are merged.

use std::fs;

use super::{Assigned, WorktreeError, Worktrees};
use crate::git::ObjectId;
use crate::git::changes::Change;
use crate::git::merged::Merged;

/// What git says of a new commit on top of the last one, and of one that takes its place: whoever amends has the files
/// of what is amended before him, and means what he takes out (git-reflog(1)).
const COMMITS: [&str; 3] = ["commit: ", "commit (merge): ", "commit (amend): "];

impl Worktrees {
    /// The commit that the work is to be taken against where the agent has left the start: the last one that both have.
    /// `None` where the start is below its last commit, where nothing is common, and where the files hold what the start
    /// has: a commit of the base that was put together with others is there under another name.
    pub(super) async fn parted_at(
        &self,
        assigned: &Assigned,
        head: &ObjectId,
        changes: &[Change],
    ) -> Result<Option<ObjectId>, WorktreeError> {
        let start = &assigned.start;
        let log = fs::read_to_string(assigned.git_dir.join("logs/HEAD")).unwrap_or_default();
        if stands_on(&log, head, start) {
            return Ok(None);
        }
        let common = self.git.merge_base(head, start).await?;
        let Some(common) = common.filter(|common| common != start) else {
            return Ok(None);
        };
        let left = self.git.changes_between(&common, start).await?;
        let is_undone = |step: &Change| changes.iter().any(|change| change.undoes(step));
        let lacks = left.iter().any(is_undone) || self.lacks(assigned, &common).await?;
        Ok(lacks.then_some(common))
    }

    /// Whether the files lack something of what the start has seen since an older commit. Where they and that conflict
    /// nobody can say, and the work is merged, or kept for that conflict.
    async fn lacks(&self, assigned: &Assigned, common: &ObjectId) -> Result<bool, WorktreeError> {
        let files = self.write_tree(assigned).await?;
        let both = self.git.merged_since(common, &assigned.start, &files);
        let Merged { tree, conflicts } = both.await?;
        if conflicts.iter().any(|path| !self.is_protected(path)) {
            return Ok(true);
        }
        let missing = self.git.changes_between(&files, &tree).await?;
        Ok(missing.iter().any(|change| self.is_work(change)))
    }
}

/// Whether the log of a worktree's HEAD shows that nothing but commits were made since the start, which is the usual
/// case and costs no run of git. "No" is always a safe answer.
fn stands_on(log: &str, head: &ObjectId, start: &ObjectId) -> bool {
    let is_commit = |message: &str| COMMITS.iter().any(|word| message.starts_with(word));
    leads(log, start, head, is_commit)
}

/// Whether a log shows how a reference came from one commit to another by nothing but such steps. Lines are
/// `OLD NEW NAME <EMAIL> TIME ZONE TAB MESSAGE`.
pub(super) fn leads(
    log: &str,
    from: &ObjectId,
    to: &ObjectId,
    is_step: impl Fn(&str) -> bool,
) -> bool {
    let mut at = to.as_str();
    for line in log.lines().rev() {
        if at == from.as_str() {
            return true;
        }
        let Some((ids, message)) = line.split_once('\t') else {
            return false;
        };
        match ids.split(' ').collect::<Vec<_>>()[..] {
            [old, new, ..] if new == at && is_step(message) => at = old,
            _ => return false,
        }
    }
    at == from.as_str()
}

#[cfg(test)]
mod tests {
    use super::super::{Assigned, Worktrees};
    use super::stands_on;
    use crate::git::ObjectId;
    use crate::git::sandbox::Sandbox;

    /// An attempt on a base with a commit that an agent may leave.
    async fn bench() -> (Sandbox, Worktrees, Assigned) {
        let sandbox = Sandbox::new();
        sandbox.write("theirs", "theirs");
        sandbox.write("README.md", "two\n");
        sandbox.commit_all("Theirs");
        let git = sandbox.open().await;
        let base = git.base(None, None).await.unwrap();
        let worktrees = Worktrees::open(&git, &base, "ralph-x").await.unwrap();
        let prepared = worktrees.prepare().await.unwrap();
        let assigned = worktrees.assign(prepared, "one").await.unwrap();
        (sandbox, worktrees, assigned)
    }

    /// What an agent does in its worktree, then the work that is found there.
    async fn changes_after(script: &str) -> (Vec<String>, bool) {
        let (sandbox, worktrees, assigned) = bench().await;
        for command in script.split("; ") {
            match command.strip_prefix("write ") {
                Some(path) => sandbox.write(&format!("../repo-worktrees/w1/{path}"), "mine"),
                None => {
                    let words: Vec<&str> = command.split(' ').collect();
                    sandbox.git_at(&assigned.path, &words);
                }
            }
        }
        let work = worktrees.capture(&assigned).await.unwrap();
        let found = work.changes.iter();
        let found = found.map(|change| format!("{} {}", change.status, change.path));
        (found.collect(), work.base == assigned.start)
    }

    #[tokio::test]
    async fn what_an_agent_does_on_an_older_commit_is_a_work_on_that() {
        for script in [
            "reset --quiet --hard HEAD~1; write mine",
            "checkout --quiet HEAD~1; write mine; add -A; commit --quiet -m Mine",
            "checkout --quiet -b other HEAD~1; write mine; add -A; commit --quiet -m Mine",
        ] {
            let (changes, is_on_start) = changes_after(script).await;
            assert_eq!(changes, ["A mine"], "{script}");
            assert!(!is_on_start, "{script}");
        }
        let (changes, is_on_start) =
            changes_after("reset --quiet --hard HEAD~1; write README.md; write theirs").await;
        assert_eq!(changes, ["M README.md", "A theirs"], "all of it is touched");
        assert!(!is_on_start);
    }

    #[tokio::test]
    async fn a_commit_of_the_base_under_another_name_is_left_in_it() {
        for script in [
            "write mine; add -A; commit --quiet --amend -m Amended",
            "reset --quiet --soft HEAD~1; write mine; add -A; commit --quiet -m Together",
            "reset --quiet HEAD~1; write mine",
        ] {
            let (changes, is_on_start) = changes_after(script).await;
            assert_eq!(changes, ["A mine"], "{script}");
            assert!(is_on_start, "{script}");
        }
    }

    #[tokio::test]
    async fn what_is_taken_out_by_a_revert_or_an_amended_commit_is_meant() {
        for (script, expected) in [
            ("revert --no-edit HEAD", &["M README.md", "D theirs"][..]),
            ("rm -q theirs; commit -q --amend -m Less", &["D theirs"]),
            (
                "rm -q theirs; commit -q --amend -m Less; write mine; add -A; commit -q -m Mine",
                &["A mine", "D theirs"],
            ),
        ] {
            let (changes, is_on_start) = changes_after(script).await;
            assert_eq!(changes, expected, "{script}");
            assert!(is_on_start, "{script}");
        }
    }

    #[test]
    fn only_a_log_of_nothing_but_commits_needs_no_look() {
        let id = |digit: &str| digit.repeat(40).parse::<ObjectId>().unwrap();
        let line = |old: &str, new: &str, message: &str| {
            format!("{} {} A <a@b> 0 +0000\t{message}\n", id(old), id(new))
        };
        let begin = line("0", "1", "checkout: moving from a to b");
        let one = line("1", "2", "commit: one");
        let two = line("2", "3", "commit (merge): two");
        let (start, head) = (id("1"), id("3"));
        assert!(stands_on(&format!("{begin}{one}{two}"), &head, &start));
        assert!(stands_on(&format!("{one}{two}"), &head, &start));
        let amended = line("2", "3", "commit (amend): two");
        assert!(stands_on(&format!("{one}{amended}"), &head, &start));
        assert!(stands_on("", &start, &start));
        for log in [
            format!("{begin}{one}"),
            format!("{begin}{two}"),
            format!("{}{amended}", line("1", "2", "reset: moving to x")),
            format!("{one}{}", line("2", "3", "reset: moving to x")),
            "torn".to_owned(),
            String::new(),
        ] {
            assert!(!stands_on(&log, &head, &start), "{log}");
        }
    }

    #[tokio::test]
    async fn an_agent_that_only_goes_back_has_done_nothing_and_leaves_nothing() {
        let (sandbox, worktrees, assigned) = bench().await;
        let older = sandbox.git(&["rev-parse", "HEAD~1"]);
        sandbox.git_at(&assigned.path, &["reset", "--quiet", "--hard", "HEAD~1"]);
        let work = worktrees.capture(&assigned).await.unwrap();
        assert!(work.is_empty());
        assert_eq!(work.went_back.as_ref().map(ObjectId::as_str), Some(&*older));
        let now = ralph_core::time::Timestamp::UNIX_EPOCH;
        let (kept, _) = worktrees.keep(&assigned, "x", now).await.unwrap();
        assert_eq!(kept, None);
        let branches = sandbox.git(&["branch", "--format=%(refname:short)"]);
        assert_eq!(branches, "main");
    }
}
