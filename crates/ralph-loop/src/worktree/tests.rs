//! Worktrees on real repositories: each step, twice, and after a crash before or behind it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use ralph_core::time::Timestamp;

use super::mark::Mark;
use super::{Assigned, Safe, WorktreeError, Worktrees, check_top};
use crate::git::import::{FileChange, NewFile};
use crate::git::sandbox::Sandbox;
use crate::git::{Git, ObjectId};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A new repository, its worktrees, and one of them that was given the attempt `one`.
pub(super) async fn assigned_one() -> (Sandbox, Worktrees, Assigned) {
    let sandbox = Sandbox::new();
    let git = sandbox.open().await;
    let base = git.base(None, None).await.unwrap();
    let worktrees = Worktrees::open(&git, &base, "ralph-x").await.unwrap();
    let prepared = worktrees.prepare().await.unwrap();
    let assigned = worktrees.assign(prepared, "one").await.unwrap();
    (sandbox, worktrees, assigned)
}

struct Bench {
    sandbox: Sandbox,
    git: Git,
    worktrees: Worktrees,
}

impl Bench {
    async fn of(sandbox: Sandbox) -> Self {
        let git = sandbox.open().await;
        let remote = git.remote(None).await.unwrap();
        let base = git.base(None, remote.as_deref()).await.unwrap();
        let worktrees = Worktrees::open(&git, &base, "ralph-claude").await.unwrap();
        Self {
            sandbox,
            git,
            worktrees,
        }
    }

    async fn new() -> Self {
        Self::of(Sandbox::new()).await
    }

    /// A repository with a plan and notes of the loop, as `ralph-enable` makes it: notes are ignored.
    async fn enabled() -> Self {
        let sandbox = Sandbox::new();
        sandbox.write(
            ".gitignore",
            ".ralph/*\n!.ralph/fix_plan.md\n!.ralph/PROMPT.md\n",
        );
        sandbox.write(".ralph/fix_plan.md", "- [ ] one\n- [ ] two\n");
        sandbox.write(".ralph/PROMPT.md", "prompt\n");
        sandbox.write(".ralph/AGENT.md", "notes\n");
        sandbox.write(".ralph/specs/api.md", "spec\n");
        sandbox.commit_all("Enable");
        Self::of(sandbox).await
    }

    async fn assigned(&self) -> Assigned {
        let prepared = self.worktrees.prepare().await.unwrap();
        self.worktrees
            .assign(prepared, "task-1a2b3c")
            .await
            .unwrap()
    }

    fn at(&self, assigned: &Assigned, arguments: &[&str]) -> String {
        self.sandbox.git_at(&assigned.path, arguments)
    }

    fn refs(&self) -> Vec<String> {
        let text = self
            .sandbox
            .git(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]);
        text.lines().map(str::to_owned).collect()
    }

    fn show(&self, name: &str) -> String {
        self.sandbox.git(&["show", name])
    }

    /// Nothing of ours is left but these branches beside `main`, and the user's checkout is as it was.
    async fn is_clean_with(&self, branches: &[&str]) {
        // What is ready for another attempt is nobody's.
        self.worktrees.sweep(&[], NOW).await.unwrap();
        let mut expected = vec!["main".to_owned()];
        expected.extend(branches.iter().map(|name| (*name).to_owned()));
        assert_eq!(self.refs(), expected);
        let listed = self.sandbox.git(&["worktree", "list", "--porcelain"]);
        assert_eq!(listed.matches("worktree ").count(), 1, "{listed}");
        assert_eq!(self.sandbox.git(&["status", "--porcelain"]), "");
        self.worktrees.close();
        assert!(!self.worktrees.folder().exists());
    }
}

#[expect(clippy::disallowed_methods, reason = "an agent's own files")]
fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn id(text: &str) -> ObjectId {
    text.parse().unwrap()
}

#[tokio::test]
async fn assigning_is_one_run_of_git_whether_or_not_the_base_has_moved() {
    let bench = Bench::new().await;
    let first = bench.worktrees.prepare().await.unwrap();
    let second = bench.worktrees.prepare().await.unwrap();
    let before = bench.git.calls();
    let first = bench.worktrees.assign(first, "one").await.unwrap();
    assert_eq!(bench.git.calls(), before + 1);
    assert_eq!(first.branch, "ralph-claude/one");
    assert_eq!(
        bench.at(&first, &["symbolic-ref", "HEAD"]),
        first.reference()
    );
    bench.sandbox.write("late.txt", "late");
    let moved = bench.sandbox.commit_all("Move the base");
    let before = bench.git.calls();
    let second = bench.worktrees.assign(second, "two").await.unwrap();
    assert_eq!(bench.git.calls(), before + 1);
    assert_eq!(second.start, id(&moved));
    assert_eq!(
        fs::read_to_string(second.path.join("late.txt")).unwrap(),
        "late"
    );
    assert_eq!(bench.at(&second, &["status", "--porcelain"]), "");
    assert!(
        first
            .path
            .starts_with(bench.sandbox.folder().join("repo-worktrees"))
    );
}

/// Such as one of a package that is not installed in a folder that is just being made.
#[tokio::test]
async fn a_hook_that_fails_keeps_nobody_from_a_worktree() {
    let bench = Bench::new().await;
    let hook = ".git/hooks/post-checkout";
    bench
        .sandbox
        .write(hook, "#!/bin/sh\necho no tool here >&2\nexit 1\n");
    let hook = bench.sandbox.top().join(hook);
    fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
    let assigned = bench.assigned().await;
    assert_eq!(bench.at(&assigned, &["status", "--porcelain"]), "");
    let tip = bench.git.tip("refs/heads/main").await.unwrap().unwrap();
    let look = bench.worktrees.prepare_at(&tip).await.unwrap();
    assert!(look.path().join("README.md").is_file());
    // Both were cut off: neither holds work.
    drop(look);
    let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
    assert_eq!(swept.len(), 2);
    bench.is_clean_with(&[]).await;
}

/// What would keep every attempt from a worktree, or its work from being taken down.
#[tokio::test]
async fn settings_and_tags_of_the_repository_keep_nobody_from_a_worktree() {
    let sandbox = Sandbox::new();
    sandbox.git(&["tag", "main"]);
    let from = sandbox.folder().join("lib").to_string_lossy().into_owned();
    sandbox.git(&["clone", "-q", ".", &from]);
    let allow = "protocol.file.allow=always";
    sandbox.git(&["-c", allow, "submodule", "--quiet", "add", &from, "sub"]);
    sandbox.commit_all("A submodule");
    sandbox.git(&["config", "submodule.recurse", "true"]);
    let bench = Bench::of(sandbox).await;
    let assigned = bench.assigned().await;
    write(&assigned.path, "work.txt", "x");
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    assert_eq!(work.changes.len(), 1);
}

#[tokio::test]
async fn a_branch_that_exists_here_or_at_the_remote_is_never_taken() {
    let sandbox = Sandbox::new().with_origin();
    sandbox.git(&["branch", "ralph-claude/here"]);
    sandbox.git(&["push", "-q", "origin", "main:ralph-claude/there"]);
    sandbox.git(&["fetch", "-q"]);
    let bench = Bench::of(sandbox).await;
    for (name, branch) in [
        ("here", "ralph-claude/here-2"),
        ("there", "ralph-claude/there-2"),
        ("there", "ralph-claude/there-3"),
        ("..weird name~^:", "ralph-claude/weird-name"),
        ("日本", "ralph-claude/task"),
    ] {
        let prepared = bench.worktrees.prepare().await.unwrap();
        let assigned = bench.worktrees.assign(prepared, name).await.unwrap();
        assert_eq!(assigned.branch, branch);
    }
    // One that was made after we looked.
    bench.sandbox.git(&["branch", "ralph-claude/later"]);
    let prepared = bench.worktrees.prepare().await.unwrap();
    let assigned = bench.worktrees.assign(prepared, "later").await.unwrap();
    assert_eq!(assigned.branch, "ralph-claude/later-2");
}

#[tokio::test]
async fn nothing_done_is_seen_with_one_run_of_git_and_leaves_nothing() {
    let bench = Bench::new().await;
    let assigned = bench.assigned().await;
    let before = bench.git.calls();
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    assert_eq!(bench.git.calls(), before + 1);
    assert!(work.is_empty() && work.tree.is_none());
    assert_eq!(
        bench.worktrees.keep(&assigned, "m", NOW).await.unwrap().0,
        None
    );
    bench.is_clean_with(&[]).await;
}

#[tokio::test]
async fn committed_and_uncommitted_work_is_one_work_and_is_kept_on_the_branch() {
    let bench = Bench::new().await;
    let assigned = bench.assigned().await;
    write(&assigned.path, "src/a.rs", "a\n");
    bench.at(&assigned, &["add", "-A"]);
    bench.at(&assigned, &["commit", "-q", "-m", "By the agent"]);
    write(&assigned.path, "src/b.rs", "b\n");
    fs::remove_file(assigned.path.join("README.md")).unwrap();
    // The agent was killed in the middle of a git command.
    write(&assigned.git_dir, "index.lock", "");
    write(&assigned.git_dir, "HEAD.lock", "");
    let lock = format!("{}.lock", assigned.reference());
    write(bench.git.common_dir(), &lock, "");
    let before = bench.git.calls();
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    assert_eq!(bench.git.calls(), before + 2);
    let seen: Vec<_> = work.changes.iter().map(|c| (c.status, &*c.path)).collect();
    assert_eq!(
        seen,
        [('D', "README.md"), ('A', "src/a.rs"), ('A', "src/b.rs")]
    );
    let kept = bench
        .worktrees
        .keep(&assigned, "Keep it\n", NOW)
        .await
        .unwrap()
        .0
        .unwrap();
    assert_eq!(kept.branch, assigned.branch);
    let log = bench
        .sandbox
        .git(&["log", "--format=%s", "ralph-claude/task-1a2b3c"]);
    assert_eq!(log, "Keep it\nBy the agent\nBegin");
    assert_eq!(bench.show("ralph-claude/task-1a2b3c:src/b.rs"), "b");
    bench.is_clean_with(&["ralph-claude/task-1a2b3c"]).await;
}

#[tokio::test]
async fn an_agent_that_committed_everything_gets_no_commit_of_ours() {
    let bench = Bench::new().await;
    let assigned = bench.assigned().await;
    write(&assigned.path, "a", "a");
    bench.at(&assigned, &["add", "-A"]);
    bench.at(&assigned, &["commit", "-q", "-m", "Mine"]);
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    let commit = bench
        .worktrees
        .commit(&assigned, &work, "m", Vec::new(), NOW)
        .await
        .unwrap();
    assert_eq!(commit, work.head);
}

#[tokio::test]
async fn control_files_are_as_they_were_in_the_commit_and_notes_are_not() {
    let bench = Bench::enabled().await;
    let assigned = bench.assigned().await;
    // What git ignores is there to be read, and there is no folder in the folder.
    assert_eq!(
        fs::read_to_string(assigned.path.join(".ralph/specs/api.md")).unwrap(),
        "spec\n"
    );
    assert!(!assigned.path.join(".ralph/.ralph").exists());
    write(
        &assigned.path,
        ".ralph/fix_plan.md",
        "- [x] one\n- [x] two\n",
    );
    write(&assigned.path, ".ralph/state/evil.json", "{}");
    write(&assigned.path, ".ralphrc", "AGENT_COMMAND=evil\n");
    fs::remove_file(assigned.path.join(".ralph/PROMPT.md")).unwrap();
    bench.at(&assigned, &["add", "-A", "-f"]);
    bench.at(&assigned, &["commit", "-q", "-m", "Everything"]);
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    assert!(work.is_empty(), "{:?}", work.changes);
    let protected = [
        ".ralph/PROMPT.md",
        ".ralph/fix_plan.md",
        ".ralph/state/evil.json",
        ".ralphrc",
    ];
    assert_eq!(work.protected, protected);
    write(&assigned.path, "real.txt", "work");
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    let tick = FileChange {
        path: b".ralph/fix_plan.md".to_vec(),
        file: NewFile::Content {
            mode: "100644".to_owned(),
            bytes: b"- [x] one\n- [ ] two\n".to_vec(),
        },
    };
    let commit = bench
        .worktrees
        .commit(&assigned, &work, "m", vec![tick], NOW)
        .await
        .unwrap();
    let changed = bench
        .sandbox
        .git(&["diff", "--name-status", "main", commit.as_str()]);
    assert_eq!(changed, "M\t.ralph/fix_plan.md\nA\treal.txt");
    assert_eq!(
        bench.show(&format!("{commit}:.ralph/fix_plan.md")),
        "- [x] one\n- [ ] two"
    );
    // A second time after a lost answer: the same commit is found, nothing is made.
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    let again = bench
        .worktrees
        .commit(&assigned, &work, "m", Vec::new(), NOW)
        .await
        .unwrap();
    assert_eq!(again, commit);
}

#[tokio::test]
async fn an_agent_that_deletes_the_loops_folder_changes_nothing() {
    let bench = Bench::enabled().await;
    let assigned = bench.assigned().await;
    fs::remove_dir_all(assigned.path.join(".ralph")).unwrap();
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    assert!(work.is_empty());
    assert_eq!(work.protected.len(), 2);
    assert_eq!(
        bench.worktrees.keep(&assigned, "m", NOW).await.unwrap().0,
        None
    );
    bench.is_clean_with(&[]).await;
}

#[tokio::test]
async fn notes_that_the_user_keeps_out_of_git_stay_out_of_it() {
    let bench = Bench::new().await;
    bench.sandbox.write(".ralph/specs/mine.md", "mine");
    let assigned = bench.assigned().await;
    write(&assigned.path, ".ralph/specs/new.md", "by the agent");
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    let seen: Vec<_> = work.changes.iter().map(|change| &*change.path).collect();
    assert_eq!(seen, [".ralph/specs/new.md"]);
}

#[tokio::test]
async fn commits_elsewhere_than_on_the_branch_are_found_and_none_is_lost() {
    let bench = Bench::new().await;
    let assigned = bench.assigned().await;
    write(&assigned.path, "one", "1");
    bench.at(&assigned, &["add", "-A"]);
    bench.at(&assigned, &["commit", "-q", "-m", "On the branch"]);
    let left = bench.at(&assigned, &["rev-parse", "HEAD"]);
    bench.at(&assigned, &["checkout", "-q", "--detach", "main"]);
    write(&assigned.path, "two", "2");
    bench.at(&assigned, &["add", "-A"]);
    bench.at(&assigned, &["commit", "-q", "-m", "Detached"]);
    let kept = bench
        .worktrees
        .keep(&assigned, "m", NOW)
        .await
        .unwrap()
        .0
        .unwrap();
    assert_eq!(bench.show(&format!("{}:two", kept.commit)), "2");
    let aside = format!("{}-aside", assigned.branch);
    assert_eq!(bench.sandbox.git(&["rev-parse", &aside]), left);
    // Its name is told once, and found again after a crash.
    let taken = bench.worktrees.take_asides(Some(&assigned));
    assert_eq!(taken, [aside.as_str()]);
    assert!(bench.worktrees.take_asides(None).is_empty());
    assert_eq!(bench.worktrees.find_asides(&assigned).await.unwrap(), taken);
    bench.is_clean_with(&[&assigned.branch, &aside]).await;
}

#[tokio::test]
async fn a_repository_inside_keeps_its_worktree() {
    let bench = Bench::new().await;
    let assigned = bench.assigned().await;
    let inner = assigned.path.join("vendor");
    fs::create_dir(&inner).unwrap();
    bench.sandbox.git_at(&inner, &["init", "-q"]);
    bench
        .sandbox
        .git_at(&inner, &["commit", "-q", "--allow-empty", "-m", "x"]);
    write(&assigned.path, "work", "x");
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    assert_eq!(work.embedded, ["vendor"]);
    assert_eq!(work.changes.len(), 1);
    let kept = bench.worktrees.keep(&assigned, "m", NOW).await;
    assert!(matches!(kept, Err(WorktreeError::Embedded { .. })));
    assert!(inner.is_dir());
    assert_eq!(bench.show(&format!("{}:work", assigned.branch)), "x");
    // It is the user's now, whatever becomes of it: no later start takes it up or removes it.
    assert!(!bench.worktrees.has(&assigned));
    write(&assigned.path, "work", "theirs");
    for _ in 0..2 {
        let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
        assert!(matches!(
            swept[0].problem,
            Some(WorktreeError::Embedded { .. })
        ));
    }
    fs::remove_dir_all(&inner).unwrap();
    let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
    assert!(swept[0].problem.is_some() && assigned.path.is_dir());
    assert_eq!(
        fs::read_to_string(assigned.path.join("work")).unwrap(),
        "theirs"
    );
    bench.at(&assigned, &["checkout", "-q", "--force", "HEAD"]);
    bench.is_clean_with(&[&assigned.branch]).await;
}

#[tokio::test]
async fn a_worktree_that_stays_goes_by_itself_once_the_repository_in_it_is_elsewhere() {
    for is_merged in [true, false] {
        let bench = Bench::enabled().await;
        let assigned = bench.assigned().await;
        let inner = assigned.path.join("vendor");
        fs::create_dir(&inner).unwrap();
        let commit = ["commit", "-q", "--allow-empty", "-m", "x"];
        for words in [&["init", "-q"][..], &commit] {
            bench.sandbox.git_at(&inner, words);
        }
        write(&assigned.path, "work", "x");
        // The agent's own tick is not the one of the commit.
        write(&assigned.path, ".ralph/fix_plan.md", "- [x] mine\n");
        let work = bench.worktrees.capture(&assigned).await.unwrap();
        let made = bench
            .worktrees
            .commit(&assigned, &work, "m", Vec::new(), NOW);
        let made = made.await.unwrap();
        let safe = if is_merged {
            bench
                .sandbox
                .git(&["merge", "-q", "--ff-only", &assigned.branch]);
            Safe::Merged(&made)
        } else {
            Safe::OnBranch(&made)
        };
        let released = bench.worktrees.release(&assigned, &work, safe).await;
        assert!(matches!(released, Err(WorktreeError::Embedded { .. })));
        let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
        assert!(swept[0].problem.is_some() && inner.is_dir());
        fs::remove_dir_all(&inner).unwrap();
        let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
        assert!(swept[0].problem.is_none(), "{:?}", swept[0].problem);
        let kept = [assigned.branch.as_str()];
        bench
            .is_clean_with(if is_merged { &[] } else { &kept })
            .await;
    }
}

#[tokio::test]
async fn files_outside_of_a_sparse_checkout_are_work_too() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a", "a");
    sandbox.write("out/b", "b");
    sandbox.commit_all("Folders");
    sandbox.git(&["sparse-checkout", "set", "in"]);
    let bench = Bench::of(sandbox).await;
    let assigned = bench.assigned().await;
    bench.at(&assigned, &["sparse-checkout", "set", "in"]);
    write(&assigned.path, "out/new", "x");
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    let seen: Vec<_> = work.changes.iter().map(|c| (c.status, &*c.path)).collect();
    assert_eq!(seen, [('A', "out/new")]);
}

#[tokio::test]
async fn a_hook_that_refuses_references_keeps_no_work_from_its_branch() {
    let bench = Bench::new().await;
    let hook = ".git/hooks/reference-transaction";
    bench.sandbox.write(hook, "#!/bin/sh\nexit 1\n");
    let hook = bench.sandbox.top().join(hook);
    fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
    let assigned = bench.assigned().await;
    write(&assigned.path, "work", "x");
    let kept = bench.worktrees.keep(&assigned, "m", NOW).await.unwrap().0;
    assert_eq!(kept.unwrap().branch, assigned.branch);
    bench.worktrees.sweep(&[], NOW).await.unwrap();
    let tip = bench.git.tip(&assigned.reference()).await.unwrap().unwrap();
    bench
        .git
        .remove_ref(&assigned.reference(), &tip)
        .await
        .unwrap();
    assert_eq!(bench.refs(), ["main"]);
}

#[tokio::test]
async fn work_that_git_does_not_take_down_stays_until_it_does() {
    let bench = Bench::new().await;
    let assigned = bench.assigned().await;
    write(&assigned.path, ".gitattributes", "*.x filter=broken\n");
    write(&assigned.path, "work.x", "x");
    bench
        .sandbox
        .git(&["config", "filter.broken.clean", "false"]);
    bench
        .sandbox
        .git(&["config", "filter.broken.required", "true"]);
    let captured = bench.worktrees.capture(&assigned).await;
    assert!(matches!(captured, Err(WorktreeError::Git(_))));
    let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
    assert!(swept[0].problem.is_some() && assigned.path.join("work.x").is_file());
    bench.sandbox.git(&["config", "filter.broken.clean", "cat"]);
    let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
    assert_eq!(swept[0].kept.as_ref().unwrap().branch, assigned.branch);
    assert_eq!(bench.show(&format!("{}:work.x", assigned.branch)), "x");
}

#[tokio::test]
async fn a_conflict_that_the_agent_left_is_seen_also_after_its_files_were_taken_down() {
    for command in ["merge", "rebase", "stash"] {
        let bench = Bench::new().await;
        let assigned = bench.assigned().await;
        if command == "stash" {
            write(&assigned.path, "README.md", "stashed\n");
            bench.at(&assigned, &["stash", "-q"]);
        }
        write(&assigned.path, "README.md", "mine\n");
        bench.at(&assigned, &["commit", "-qam", "Mine"]);
        bench.sandbox.write("README.md", "theirs\n");
        bench.sandbox.commit_all("Theirs");
        let script = format!("git {command} main || true; test -n \"$(git ls-files -u)\"");
        let script = script.replace("stash main", "stash pop");
        let alias = format!("alias.x=!{script}");
        bench.at(&assigned, &["-c", &alias, "x"]);
        for _ in 0..2 {
            let work = bench.worktrees.capture(&assigned).await.unwrap();
            let words = work.unfinished.unwrap();
            assert!(words.contains("conflicts in README.md"), "{words}");
        }
        let (kept, prepared) = bench.worktrees.keep(&assigned, "m", NOW).await.unwrap();
        // Everything is on the branch, and nothing of it is left for the next attempt.
        assert!(
            bench
                .show(&format!("{}:README.md", kept.unwrap().branch))
                .contains("<<<<<<<")
        );
        assert!(prepared.is_none() && !assigned.path.exists());
    }
}

#[tokio::test]
async fn a_rebase_that_waits_is_unfinished_and_a_merge_without_conflicts_is_not() {
    let bench = Bench::new().await;
    let assigned = bench.assigned().await;
    bench.sandbox.write("other", "x");
    bench.sandbox.commit_all("Theirs");
    write(&assigned.path, "mine", "x");
    bench.at(&assigned, &["add", "-A"]);
    bench.at(&assigned, &["commit", "-qm", "Mine"]);
    bench.at(
        &assigned,
        &["merge", "-q", "--no-ff", "--no-commit", "main"],
    );
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    assert_eq!(work.unfinished, None);
    bench.at(&assigned, &["merge", "--abort"]);
    bench.at(
        &assigned,
        &[
            "-c",
            "sequence.editor=sed -i 1ibreak",
            "rebase",
            "-qi",
            "main",
        ],
    );
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    assert_eq!(
        work.unfinished.unwrap(),
        "the agent left a rebase unfinished"
    );
}

#[tokio::test]
async fn a_worktree_goes_only_when_its_work_is_where_it_is_said_to_be() {
    let bench = Bench::new().await;
    let assigned = bench.assigned().await;
    write(&assigned.path, "work", "x");
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    let commit = bench
        .worktrees
        .commit(&assigned, &work, "m", Vec::new(), NOW)
        .await
        .unwrap();
    let merged = bench
        .worktrees
        .release(&assigned, &work, Safe::Merged(&commit))
        .await;
    assert!(matches!(merged, Err(WorktreeError::NotSafe { .. })));
    let elsewhere = bench
        .worktrees
        .release(&assigned, &work, Safe::OnBranch(&assigned.start))
        .await;
    assert!(matches!(elsewhere, Err(WorktreeError::NotSafe { .. })));
    assert!(assigned.path.is_dir());
    bench
        .sandbox
        .git(&["merge", "-q", "--ff-only", commit.as_str()]);
    for _ in 0..2 {
        bench
            .worktrees
            .release(&assigned, &work, Safe::Merged(&commit))
            .await
            .unwrap();
    }
    bench.is_clean_with(&[]).await;
}

#[tokio::test]
async fn what_others_keep_in_the_folder_of_worktrees_is_not_touched() {
    let bench = Bench::new().await;
    let ours = bench.assigned().await;
    let beside = |name: &str| bench.worktrees.folder().join(name);
    let add = |name: &str, branch: &str| {
        let path = beside(name);
        let path = path.to_string_lossy();
        bench
            .sandbox
            .git(&["worktree", "add", "-q", "-b", branch, &path]);
        write(&beside(name), "notes.txt", "precious");
    };
    add("feature", "feature");
    bench
        .sandbox
        .git(&["worktree", "lock", &beside("feature").to_string_lossy()]);
    // Named as ours are, and on a branch that is named as ours are.
    add("w77", "mine");
    add("attempt", "ralph-claude/mine");
    let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
    let paths: Vec<_> = swept.iter().map(|one| &one.path).collect();
    assert_eq!(paths, [&ours.path]);
    for name in ["feature", "w77", "attempt"] {
        assert!(beside(name).join("notes.txt").is_file(), "{name}");
    }
}

/// A cache of modules is made so, and then nobody could clean the worktree.
#[tokio::test]
async fn a_worktree_that_cannot_be_cleaned_goes_with_its_new_branch() {
    let bench = Bench::new().await;
    let assigned = bench.assigned().await;
    write(&assigned.path, "pkg/mod/file", "x");
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    let start = assigned.start.clone();
    let safe = Safe::Merged(&start);
    let prepared = bench.worktrees.release(&assigned, &work, safe).await;
    // A file where the notes' folder has to go: what root may clean, it cannot bring either.
    bench.sandbox.write(".ralph/specs", "tracked");
    bench.sandbox.git(&["add", "-f", ".ralph/specs"]);
    bench.sandbox.git(&["commit", "-qm", "A file"]);
    bench
        .sandbox
        .git(&["update-index", "--skip-worktree", ".ralph/specs"]);
    fs::remove_file(bench.sandbox.top().join(".ralph/specs")).unwrap();
    bench.sandbox.write(".ralph/specs/api.md", "spec");
    let before = bench.git.calls();
    let next = bench
        .worktrees
        .assign(prepared.unwrap().unwrap(), "two")
        .await;
    assert!(next.is_err(), "{next:?}");
    assert!(bench.git.calls() - before < 10);
    assert_eq!(bench.refs(), ["main"]);
    assert!(!assigned.path.exists());
}

#[tokio::test]
async fn a_sweep_saves_work_removes_the_rest_and_leaves_the_living_and_strangers() {
    let bench = Bench::new().await;
    let prepared = bench.worktrees.prepare().await.unwrap();
    let empty = bench.assigned().await;
    let worked = bench.assigned().await;
    write(&worked.path, "work", "x");
    let alive = bench.assigned().await;
    // Its agent removed the `.git` file and left its branch.
    let lost = bench.assigned().await;
    bench.at(&lost, &["checkout", "-q", "--detach"]);
    write(&lost.path, "lost", "x");
    fs::remove_file(lost.path.join(".git")).unwrap();
    // Cut off while it was being removed.
    let removing = bench.assigned().await;
    Mark::released(&removing).write(&removing.git_dir).unwrap();
    fs::remove_file(removing.path.join("README.md")).unwrap();
    // A folder that is gone, with a commit on no branch.
    let gone = bench.assigned().await;
    bench.at(&gone, &["checkout", "-q", "--detach"]);
    bench.at(
        &gone,
        &["commit", "-q", "--allow-empty", "-m", "On no branch"],
    );
    fs::remove_dir_all(&gone.path).unwrap();
    // Somebody else's.
    let theirs = bench.sandbox.folder().join("theirs");
    bench.sandbox.git(&[
        "worktree",
        "add",
        "-q",
        "--detach",
        &theirs.to_string_lossy(),
    ]);
    drop(prepared);
    let swept = bench
        .worktrees
        .sweep(std::slice::from_ref(&alive.path), NOW)
        .await
        .unwrap();
    assert_eq!(swept.len(), 6, "{swept:?}");
    assert!(swept.iter().all(|one| one.problem.is_none()), "{swept:?}");
    let kept: Vec<_> = swept.iter().filter_map(|one| one.kept.as_ref()).collect();
    assert_eq!(kept.len(), 3);
    assert_eq!(bench.show(&format!("{}:work", worked.branch)), "x");
    assert_eq!(bench.show(&format!("{}:lost", lost.branch)), "x");
    assert_eq!(
        bench
            .sandbox
            .git(&["log", "-1", "--format=%s", &kept[2].branch]),
        "On no branch"
    );
    assert!(alive.path.is_dir() && theirs.is_dir());
    assert!(!bench.refs().contains(&empty.branch));
    assert_eq!(
        bench
            .worktrees
            .sweep(&[alive.path], NOW)
            .await
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test]
async fn without_a_place_beside_the_repository_worktrees_lie_inside_unseen() {
    let sandbox = Sandbox::new();
    sandbox.write("../repo-worktrees", "a file in the way");
    let bench = Bench::of(sandbox).await;
    assert_eq!(
        bench.worktrees.folder(),
        bench.sandbox.top().join(".ralph/worktrees")
    );
    let assigned = bench.assigned().await;
    assert_eq!(bench.sandbox.git(&["status", "--porcelain"]), "");
    assert!(bench.worktrees.capture(&assigned).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lost_answer_about_a_release_harms_nobody_who_has_the_worktree_now() {
    let bench = Bench::new().await;
    let first = bench.assigned().await;
    write(&first.path, "one", "1");
    let work = bench.worktrees.capture(&first).await.unwrap();
    let (kept, prepared) = bench.worktrees.keep(&first, "m", NOW).await.unwrap();
    let second = bench
        .worktrees
        .assign(prepared.unwrap(), "second")
        .await
        .unwrap();
    assert_eq!(second.path, first.path);
    write(&second.path, "two", "2");
    let (again, prepared) = bench.worktrees.keep(&first, "m", NOW).await.unwrap();
    assert_eq!((&again, prepared.is_none()), (&kept, true));
    let commit = kept.unwrap().commit;
    let safe = Safe::OnBranch(&commit);
    let released = bench.worktrees.release(&first, &work, safe).await.unwrap();
    assert!(released.is_none());
    let captured = bench.worktrees.capture(&first).await;
    assert!(matches!(captured, Err(WorktreeError::Gone { .. })));
    let work = bench.worktrees.capture(&second).await.unwrap();
    assert_eq!(work.changes.len(), 1);
}

#[tokio::test]
async fn the_folder_may_be_a_link_to_where_there_is_room() {
    let sandbox = Sandbox::new();
    let room = sandbox.folder().join("room");
    fs::create_dir(&room).unwrap();
    std::os::unix::fs::symlink("room", sandbox.folder().join("repo-worktrees")).unwrap();
    let bench = Bench::of(sandbox).await;
    let assigned = bench.assigned().await;
    assert!(assigned.path.starts_with(&room));
    write(&assigned.path, "work.txt", "x");
    // The loop was killed.
    let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
    let kept = swept[0].kept.as_ref().unwrap();
    assert_eq!(bench.show(&format!("{}:work.txt", kept.branch)), "x");
    bench.worktrees.close();
    assert!(room.is_dir() && !assigned.path.exists());
}

#[tokio::test]
async fn an_agent_begins_no_loop_in_its_worktree() {
    let (sandbox, _, assigned) = assigned_one().await;
    let git = sandbox.open_at(&assigned.path).await.unwrap();
    let refused = check_top(&git).unwrap_err();
    assert!(matches!(&refused, WorktreeError::OfAnAttempt { path } if *path == assigned.path));
    // One that was left to the user is the user's, and so is the repository.
    Mark::Stays { branch: None }
        .write(&assigned.git_dir)
        .unwrap();
    for git in [git, sandbox.open().await] {
        check_top(&git).unwrap();
    }
}

/// Git 2.47 lists nothing in such a worktree, and deleted everything with the next commit.
#[tokio::test]
async fn a_split_index_loses_no_file() {
    let bench = Bench::enabled().await;
    bench.sandbox.git(&["config", "core.splitIndex", "true"]);
    bench.sandbox.git(&["config", "index.skipHash", "true"]);
    let assigned = bench.assigned().await;
    bench.at(&assigned, &["status", "--porcelain"]);
    write(&assigned.path, "new.txt", "new\n");
    bench.at(&assigned, &["add", "new.txt"]);
    let work = bench.worktrees.capture(&assigned).await.unwrap();
    let changes: Vec<_> = work
        .changes
        .iter()
        .map(|change| (change.status, &*change.path))
        .collect();
    assert_eq!(changes, [('A', "new.txt")]);
}

#[tokio::test]
async fn work_that_leaves_no_file_but_those_of_the_loop_is_told_from_work_that_deletes_much() {
    let deleted = async |remove: &[&str], add: &str| {
        let bench = Bench::enabled().await;
        let assigned = bench.assigned().await;
        for path in remove {
            fs::remove_file(assigned.path.join(path)).unwrap();
        }
        if !add.is_empty() {
            write(&assigned.path, add, "new\n");
        }
        let work = bench.worktrees.capture(&assigned).await.unwrap();
        bench.worktrees.deletes_everything(&work).await.unwrap()
    };
    let all = ["README.md", ".gitignore"];
    assert_eq!(deleted(&all, "").await, Some(2));
    assert_eq!(deleted(&all[..1], "").await, None);
    assert_eq!(deleted(&all, "new.txt").await, None);
}
