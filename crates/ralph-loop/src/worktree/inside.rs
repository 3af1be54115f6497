//! Repositories inside a worktree: clones, other worktrees, submodules. No commit of ours holds what is in them, so a
//! worktree goes only when all of it is elsewhere too. A clone in a folder that git ignores goes like everything there:
//! tests make such ones by the dozen. A worktree of this repository and a submodule count wherever they are.
//!
//! They are found by looking through the folders; git is asked about those that are there, and never where there are
//! none. What must never be here: a removal, a guess. What git does not answer counts as being nowhere else.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::index::{Index, START_INDEX};
use super::{Assigned, Worktrees};
use crate::git::{Call, ObjectId};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Inside {
    /// Folders with commits or files that exist nowhere else.
    pub(super) embedded: Vec<String>,
    /// Those of them that are submodules.
    pub(super) submodules: Vec<String>,
    /// All submodules, as git writes their paths.
    pub(super) linked: BTreeSet<Vec<u8>>,
    /// Worktrees of this repository that are clean, and whose commits are on a branch.
    pub(super) worktrees: Vec<PathBuf>,
    /// Folders that are repositories without a commit, and nothing else to git.
    pub(super) unborn: Vec<PathBuf>,
}

/// A repository below a worktree.
#[derive(Debug)]
struct Nested {
    /// Its folder, or its name where it has none any more.
    name: PathBuf,
    path: PathBuf,
    git_dir: PathBuf,
    has_files: bool,
}

/// What a repository is to the one around it.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Clone,
    Worktree,
    /// With the commit that the attempt began with, which somebody else has as well.
    Submodule(Option<ObjectId>),
}

impl Worktrees {
    /// Looks through a worktree. No run of git where there is no repository in it.
    pub(super) async fn inside(&self, assigned: &Assigned) -> Inside {
        let (top, git_dir) = (assigned.path.clone(), assigned.git_dir.clone());
        let found = tokio::task::spawn_blocking(move || {
            let mut found = repositories(&top);
            let modules = git_dir.join("modules");
            without_folder(&top, &modules, &modules, &mut found);
            found
        });
        let found = found.await.unwrap_or_default();
        let (now, start) = if found.is_empty() {
            (None, None)
        } else {
            (index(assigned, "index"), index(assigned, START_INDEX))
        };
        let mut inside = Inside::default();
        for nested in found {
            let path = nested.name.as_os_str().as_bytes();
            let kind = self.kind(assigned, &nested, start.as_ref());
            if kind == Kind::Clone && self.is_ignored(assigned, &nested).await {
                continue;
            }
            let is_unknown = now.as_ref().is_some_and(|now| now.what_is(path).is_none());
            if kind == Kind::Clone && is_unknown && !self.has_commit(&nested).await {
                inside.unborn.push(nested.name.clone());
            }
            let is_elsewhere = self.is_elsewhere(&nested, &kind).await;
            inside.add(nested, &kind, is_elsewhere);
        }
        inside
    }

    fn kind(&self, assigned: &Assigned, nested: &Nested, start: Option<&Index>) -> Kind {
        let worktrees = self.git.common_dir().join("worktrees");
        let known = start.and_then(|start| start.gitlink(nested.name.as_os_str().as_bytes()));
        if known.is_some() || nested.git_dir.starts_with(assigned.git_dir.join("modules")) {
            Kind::Submodule(known)
        } else if nested.git_dir.parent() == Some(&worktrees) {
            Kind::Worktree
        } else {
            Kind::Clone
        }
    }

    /// Whether nothing of a repository would be lost with its folder: no change that is not committed, and no commit
    /// that is not on a remote, or on a branch where the branches are those of this repository.
    async fn is_elsewhere(&self, nested: &Nested, kind: &Kind) -> bool {
        let status = [
            "status",
            "--porcelain",
            "--untracked-files=normal",
            "--ignore-submodules=none",
        ];
        if nested.has_files && !self.says_nothing(self.of(nested, &status)).await {
            return false;
        }
        let only_here: &[&str] = if *kind == Kind::Worktree {
            &["HEAD", "--not", "--branches", "--remotes"]
        } else {
            // Tags come along with a clone, whether or not a branch has their commits.
            &[
                "--exclude=refs/tags/*",
                "--exclude=refs/remotes/*",
                "--all",
                "--not",
                "--remotes",
            ]
        };
        let mut commits = self.of(nested, &["rev-list", "--max-count=1", "--ignore-missing"]);
        for argument in only_here {
            commits = commits.arg(argument);
        }
        // What a shallow clone ends at was fetched.
        for fetched in shallow(&nested.git_dir) {
            commits = commits.arg(fetched.as_str());
        }
        if let Kind::Submodule(Some(known)) = kind {
            commits = commits.arg(known.as_str());
        }
        self.says_nothing(commits).await
    }

    async fn is_ignored(&self, assigned: &Assigned, nested: &Nested) -> bool {
        let question = self.git.call(&["check-ignore", "--quiet", "--"]);
        let question = question.within(&assigned.path, &assigned.git_dir);
        let answer = question.arg(&nested.name).accepting(&[0, 1, 128]).await;
        answer.is_ok_and(|answer| answer.code == 0)
    }

    async fn has_commit(&self, nested: &Nested) -> bool {
        let head = self.of(nested, &["rev-parse", "--verify", "--quiet", "HEAD"]);
        head.run().await.is_ok()
    }

    async fn says_nothing(&self, call: Call<'_>) -> bool {
        call.run()
            .await
            .is_ok_and(|output| output.stdout.is_empty())
    }

    fn of(&self, nested: &Nested, arguments: &[&str]) -> Call<'_> {
        let call = self.git.call(arguments).without_hooks();
        call.within(&nested.path, &nested.git_dir)
    }

    /// Takes clean worktrees off the repository's list, so that none stands there without a folder and holds a branch.
    pub(super) async fn remove_inner(&self, worktrees: &[PathBuf]) {
        for path in worktrees {
            let call = self.git.call(&["worktree", "remove", "--force", "--force"]);
            if let Err(error) = call.arg(path).run().await {
                tracing::warn!(path = %path.display(), %error, "an inner worktree is left");
            }
        }
    }
}

impl Inside {
    fn add(&mut self, nested: Nested, kind: &Kind, is_elsewhere: bool) {
        let name = nested.name.display().to_string();
        if matches!(kind, Kind::Submodule(_)) {
            let path = nested.name.as_os_str().as_bytes();
            self.linked.insert(path.to_owned());
            if !is_elsewhere {
                self.submodules.push(name.clone());
            }
        }
        if !is_elsewhere {
            self.embedded.push(name);
        } else if *kind == Kind::Worktree {
            self.worktrees.push(nested.path);
        }
    }
}

fn index(assigned: &Assigned, name: &str) -> Option<Index> {
    Index::read(&assigned.git_dir.join(name), assigned.start.as_str().len())
}

/// The commits that a shallow clone ends at (gitrepository-layout(5): `shallow`).
fn shallow(git_dir: &Path) -> Vec<ObjectId> {
    let text = fs::read_to_string(git_dir.join("shallow")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// All repositories below a folder, also those within others. Links are not followed.
fn repositories(top: &Path) -> Vec<Nested> {
    let mut found = Vec::new();
    let mut left = vec![top.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name() == ".git" {
                if folder != top {
                    found.extend(git_dir(&folder).map(|git_dir| Nested {
                        name: folder.strip_prefix(top).unwrap_or(&folder).to_owned(),
                        path: folder.clone(),
                        git_dir,
                        has_files: true,
                    }));
                }
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(entry.path());
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Submodules of which git's folder is left alone, such as after `git submodule deinit`.
fn without_folder(top: &Path, modules: &Path, folder: &Path, found: &mut Vec<Nested>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if !path.join("HEAD").is_file() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                without_folder(top, modules, &path, found);
            }
            continue;
        }
        without_folder(top, modules, &path.join("modules"), found);
        if !found.iter().any(|nested| nested.git_dir == path) {
            found.push(Nested {
                name: path.strip_prefix(modules).unwrap_or(&path).to_owned(),
                path: top.to_owned(),
                git_dir: path,
                has_files: false,
            });
        }
    }
}

/// The git folder that `.git` in a folder is or names (gitrepository-layout(5)); `None` where git sees none either.
fn git_dir(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    if git.is_dir() {
        return git.join("HEAD").exists().then_some(git);
    }
    let text = fs::read_to_string(&git).ok()?;
    let named = folder.join(text.trim_end().strip_prefix("gitdir: ")?);
    Some(named.canonicalize().unwrap_or(named))
}

#[cfg(test)]
mod tests {
    use ralph_core::time::Timestamp;

    use super::super::{Assigned, Kept, Prepared, Safe, WorktreeError};
    use super::*;
    use crate::git::sandbox::Sandbox;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    pub(crate) struct Bench {
        pub(crate) sandbox: Sandbox,
        pub(crate) worktrees: Worktrees,
        pub(crate) assigned: Assigned,
    }

    impl Bench {
        async fn new() -> Self {
            let sandbox = Sandbox::new();
            sandbox.write(".gitignore", "ignored/\n");
            sandbox.commit_all("Ignore");
            Self::of(sandbox).await
        }

        async fn of(sandbox: Sandbox) -> Self {
            let git = sandbox.open().await;
            let base = git.base(None, None).await.unwrap();
            let worktrees = Worktrees::open(&git, &base, "ralph-x").await.unwrap();
            let prepared = worktrees.prepare().await.unwrap();
            let assigned = worktrees.assign(prepared, "one").await.unwrap();
            Self {
                sandbox,
                worktrees,
                assigned,
            }
        }

        fn write(&self, path: &str) {
            self.sandbox
                .write(&format!("../repo-worktrees/w1/{path}"), "x");
        }

        fn at(&self, path: &str, arguments: &[&str]) -> String {
            self.sandbox
                .git_at(&self.assigned.path.join(path), arguments)
        }

        /// A repository in it with a commit.
        fn nested(&self, path: &str) {
            self.write(&format!("{path}/file"));
            self.at(path, &["init", "-q"]);
            self.at(path, &["add", "-A"]);
            self.at(path, &["commit", "-q", "-m", "x"]);
        }

        async fn keep(&self) -> Result<(Option<Kept>, Option<Prepared>), WorktreeError> {
            self.worktrees.keep(&self.assigned, "m", NOW).await
        }

        async fn is_kept_for(&self, folders: &[&str]) {
            let work = self.worktrees.capture(&self.assigned).await.unwrap();
            assert_eq!(work.embedded, folders);
            assert!(matches!(
                self.keep().await,
                Err(WorktreeError::Embedded { .. })
            ));
            let swept = self.worktrees.sweep(&[], NOW).await.unwrap();
            assert!(swept[0].problem.is_some());
            assert!(self.assigned.path.is_dir());
        }
    }

    #[tokio::test]
    async fn a_repository_keeps_its_worktree_and_one_in_an_ignored_folder_goes_with_it() {
        let bench = Bench::new().await;
        bench.nested("deep/one");
        bench.nested("ignored/deep/two");
        bench.is_kept_for(&["deep/one"]).await;
        let bench = Bench::new().await;
        bench.nested("ignored/deep/two");
        let (kept, prepared) = bench.keep().await.unwrap();
        assert!(kept.is_none() && prepared.is_some());
    }

    #[tokio::test]
    async fn a_repository_without_a_commit_keeps_its_worktree_and_nothing_from_being_taken_down() {
        let bench = Bench::new().await;
        for path in ["new*/file", "work", "tracked/file"] {
            bench.write(path);
        }
        bench.at("", &["add", "tracked"]);
        bench.at("", &["commit", "-q", "-m", "Tracked"]);
        bench.write("tracked/more");
        for path in ["new*", "tracked"] {
            bench.at(path, &["init", "-q"]);
        }
        let work = bench.worktrees.capture(&bench.assigned).await.unwrap();
        let paths: Vec<&str> = work.changes.iter().map(|change| &*change.path).collect();
        assert_eq!(paths, ["tracked/file", "tracked/more", "work"]);
        bench.is_kept_for(&["new*", "tracked"]).await;
    }

    #[tokio::test]
    async fn a_work_that_was_committed_before_a_crash_still_has_its_repositories_in_it() {
        let bench = Bench::new().await;
        bench.nested("one");
        bench.write("work");
        let (worktrees, assigned) = (&bench.worktrees, &bench.assigned);
        let work = worktrees.capture(assigned).await.unwrap();
        let commit = worktrees
            .commit(assigned, &work, "m", Vec::new(), NOW)
            .await;
        let work = worktrees.capture(assigned).await.unwrap();
        assert!(work.is_committed && work.embedded == ["one"]);
        let safe = Safe::OnBranch(&commit.unwrap());
        assert!(worktrees.release(assigned, &work, safe).await.is_err());
        assert!(assigned.path.join("one/file").is_file());
    }

    #[tokio::test]
    async fn what_is_elsewhere_as_well_keeps_nothing_and_without_any_git_is_not_asked() {
        let bench = Bench::new().await;
        let from = bench.sandbox.top().to_string_lossy().into_owned();
        bench.write("ignored/not/a/repository");
        let before = bench.worktrees.git.calls();
        bench.worktrees.inside(&bench.assigned).await;
        assert_eq!(bench.worktrees.git.calls(), before);
        bench.at("", &["clone", "-q", &from, "ignored/clone"]);
        bench.at("", &["clone", "-q", &from, "clone"]);
        let (kept, prepared) = bench.keep().await.unwrap();
        assert!(kept.is_none() && prepared.is_some());
    }

    #[tokio::test]
    async fn a_clone_with_anything_of_its_own_keeps_its_worktree() {
        for change in [
            &["commit", "-q", "--allow-empty", "-m", "Mine"][..],
            &["rm", "-q", "README.md"],
            &["stash", "-q"],
        ] {
            let bench = Bench::new().await;
            let from = bench.sandbox.top().to_string_lossy().into_owned();
            bench.at("", &["clone", "-q", &from, "clone"]);
            bench
                .sandbox
                .write("../repo-worktrees/w1/clone/README.md", "changed\n");
            if change[0] != "stash" {
                bench.at("clone", &["checkout", "-q", "README.md"]);
            }
            bench.at("clone", change);
            bench.is_kept_for(&["clone"]).await;
        }
    }

    #[tokio::test]
    async fn a_worktree_within_goes_where_it_is_clean_and_leaves_no_entry() {
        let bench = Bench::new().await;
        let add = ["worktree", "add", "-q", "-b", "side", "ignored/w"];
        bench.at("", &add);
        bench.at("ignored/w", &["commit", "-q", "--allow-empty", "-m", "x"]);
        let (_, prepared) = bench.keep().await.unwrap();
        bench.worktrees.discard(prepared.unwrap()).await.unwrap();
        let listed = bench.sandbox.git(&["worktree", "list", "--porcelain"]);
        assert_eq!(listed.matches("worktree ").count(), 1, "{listed}");
        bench.sandbox.git(&["branch", "-q", "-D", "side"]);
    }

    #[tokio::test]
    async fn a_worktree_within_stays_with_changes_or_commits_on_no_branch() {
        let bench = Bench::new().await;
        bench.at("", &["worktree", "add", "-q", "-b", "side", "w"]);
        bench.write("w/new");
        bench.is_kept_for(&["w"]).await;
        let bench = Bench::new().await;
        bench.at("", &["worktree", "add", "-q", "--detach", "ignored/w"]);
        bench.at("ignored/w", &["commit", "-q", "--allow-empty", "-m", "x"]);
        bench.is_kept_for(&["ignored/w"]).await;
    }

    /// With a submodule `sub` that is checked out.
    async fn with_submodule() -> Bench {
        let sandbox = Sandbox::new();
        let from = sandbox.folder().join("lib").to_string_lossy().into_owned();
        sandbox.git(&["clone", "-q", ".", &from]);
        sandbox.git(&[
            ALLOW[0],
            ALLOW[1],
            "submodule",
            "--quiet",
            "add",
            &from,
            "sub",
        ]);
        sandbox.commit_all("A submodule");
        let bench = Bench::of(sandbox).await;
        let update = ["submodule", "--quiet", "update", "--init"];
        bench.at("", &[&ALLOW[..], &update].concat());
        bench
    }

    const ALLOW: [&str; 2] = ["-c", "protocol.file.allow=always"];

    #[tokio::test]
    async fn a_submodule_that_is_as_it_was_keeps_nothing() {
        let bench = with_submodule().await;
        let work = bench.worktrees.capture(&bench.assigned).await.unwrap();
        assert!(work.is_empty() && work.submodules.is_empty());
        bench.keep().await.unwrap();
        assert!(!bench.assigned.path.exists());
    }

    #[tokio::test]
    async fn work_in_a_submodule_keeps_the_worktree_until_it_is_pushed() {
        let bench = with_submodule().await;
        bench.write("sub/new");
        let work = bench.worktrees.capture(&bench.assigned).await.unwrap();
        assert!(work.is_empty());
        assert_eq!(work.submodules, ["sub"]);
        bench.at("sub", &["add", "-A"]);
        bench.at("sub", &["commit", "-q", "-m", "Mine"]);
        let work = bench.worktrees.capture(&bench.assigned).await.unwrap();
        assert_eq!(
            (work.changes.len(), &*work.submodules),
            (1, &["sub".to_owned()][..])
        );
        bench.at("sub", &["push", "-q", "origin", "HEAD:refs/heads/mine"]);
        let work = bench.worktrees.capture(&bench.assigned).await.unwrap();
        assert!(work.submodules.is_empty() && work.embedded.is_empty());
        bench.at("sub", &["commit", "-q", "--allow-empty", "-m", "More"]);
        bench.at("", &["submodule", "--quiet", "deinit", "-f", "sub"]);
        bench.is_kept_for(&["sub"]).await;
    }

    #[tokio::test]
    async fn a_new_submodule_is_part_of_the_work_and_another_repository_is_not() {
        let bench = Bench::new().await;
        let from = bench.sandbox.top().to_string_lossy().into_owned();
        let add = ["submodule", "--quiet", "add", &from, "sub"];
        bench.at("", &[&ALLOW[..], &add].concat());
        bench.at("", &["clone", "-q", &from, "clone"]);
        let work = bench.worktrees.capture(&bench.assigned).await.unwrap();
        let paths: Vec<&str> = work.changes.iter().map(|change| &*change.path).collect();
        assert_eq!(paths, [".gitmodules", "sub"]);
        let kept = bench.keep().await.unwrap().0.unwrap();
        let listed = bench.sandbox.git(&["ls-tree", "--name-only", &kept.branch]);
        assert_eq!(listed, ".gitignore\n.gitmodules\nREADME.md\nsub");
    }
}
