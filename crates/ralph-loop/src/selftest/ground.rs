//! The repository that a test runs in: made, looked at afterwards, never the person's own.

use std::path::{Path, PathBuf};

use ralph_core::store::atomic;

use super::{Kit, SelftestError};
use crate::git::{Git, GitError};

/// The file that an agent is asked to write.
pub(super) const WISH: &str = "hello.txt";
/// A tracked file that a person is editing.
pub(super) const EDITED: &str = "notes.txt";
/// What stands in it.
pub(super) const EDIT: &str = "an edit that nobody has committed\n";

const PLAN: &str = ".ralph/fix_plan.md";
const PLAN_TEXT: &str = "# Plan\n\n- [ ] Write the file that is asked for\n";

/// A repository with one commit.
#[derive(Debug)]
pub(super) struct Ground {
    git: Git,
    folder: PathBuf,
    head: String,
}

/// The work tree of one run.
#[derive(Debug, Clone)]
pub(super) struct Plot {
    pub(super) name: String,
    pub(super) tree: PathBuf,
    pub(super) branch: String,
}

/// What a run left in files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Traces {
    /// Whether the file that was asked for holds the word.
    pub(super) has_wish: bool,
    /// What changed in the checkout that it had to leave alone.
    pub(super) outside: Vec<String>,
    /// Whether its branch is still checked out.
    pub(super) is_on_branch: bool,
    /// Whether it left the plan alone.
    pub(super) has_kept_plan: bool,
    /// Whether a change that was there before is still there.
    pub(super) has_kept_edit: bool,
    /// Whether git's lock is left in its work tree.
    pub(super) has_lock: bool,
}

impl Ground {
    pub(super) async fn make(kit: &Kit) -> Result<Self, SelftestError> {
        let top = kit.folder.join("project");
        for folder in [&top, &kit.folder.join("trees"), &kit.folder.join("logs")] {
            atomic::create_dir(folder)?;
        }
        let git = Git::init(kit.git.clone(), &top).await?;
        for (path, text) in [
            ("README.md", "# A repository to test an agent in\n"),
            (EDITED, "notes\n"),
            (PLAN, PLAN_TEXT),
        ] {
            atomic::create_dir(top.join(path).parent().unwrap_or(&top))?;
            atomic::replace(&top.join(path), text.as_bytes())?;
        }
        git.call(&["add", "-A"]).run().await?;
        let commit = [
            "commit",
            "-q",
            "--no-verify",
            "--no-gpg-sign",
            "-m",
            "Begin",
        ];
        git.call(&commit)
            .setting("user.name=ralph selftest")
            .setting("user.email=selftest@localhost")
            .run()
            .await?;
        let head = git.call(&["rev-parse", "HEAD"]).run().await?.text();
        Ok(Self {
            git,
            folder: kit.folder.clone(),
            head,
        })
    }

    /// The checkout that agents have to leave alone.
    pub(super) fn top(&self) -> &Path {
        self.git.top()
    }

    pub(super) fn log(&self, plot: &Plot) -> PathBuf {
        self.folder.join("logs").join(format!("{}.log", plot.name))
    }

    /// A work tree on a branch of its own.
    pub(super) async fn plot(&self, name: &str) -> Result<Plot, SelftestError> {
        let plot = Plot {
            name: name.to_owned(),
            tree: self.folder.join("trees").join(name),
            branch: format!("selftest/{name}"),
        };
        // `-B`: a run that meets another work tree half made is repeated, and may have made the branch already.
        let call = self
            .git
            .call(&["worktree", "add", "-q", "-B", &plot.branch]);
        call.arg(&plot.tree).run().await?;
        Ok(plot)
    }

    /// Makes the work tree one that somebody has worked in.
    pub(super) fn soil(plot: &Plot) -> Result<(), SelftestError> {
        atomic::replace(&plot.tree.join(EDITED), EDIT.as_bytes())?;
        atomic::replace(&plot.tree.join("scratch.txt"), b"not tracked\n")?;
        Ok(())
    }

    /// What a run left.
    pub(super) async fn look(&self, plot: &Plot, word: &str) -> Result<Traces, SelftestError> {
        let text = |path: &Path| atomic::read_text(path).ok().flatten().unwrap_or_default();
        let tree = &plot.tree;
        Ok(Traces {
            has_wish: text(&tree.join(WISH)).contains(word),
            outside: self.outside().await?,
            is_on_branch: self.branch(tree).await? == plot.branch,
            has_kept_plan: text(&tree.join(PLAN)) == PLAN_TEXT,
            has_kept_edit: text(&tree.join(EDITED)) == EDIT,
            has_lock: self.has_lock(tree).await?,
        })
    }

    async fn outside(&self) -> Result<Vec<String>, GitError> {
        let status = ["status", "--porcelain", "--untracked-files=all"];
        let text = self.git.call(&status).run().await?.text();
        let mut changed: Vec<String> = text.lines().map(str::to_owned).collect();
        let head = self.git.call(&["rev-parse", "HEAD"]).run().await?.text();
        if head != self.head {
            changed.push("the branch that is checked out moved".to_owned());
        }
        Ok(changed)
    }

    async fn branch(&self, tree: &Path) -> Result<String, GitError> {
        let call = self
            .git
            .call(&["symbolic-ref", "--quiet", "--short", "HEAD"]);
        Ok(call.at(tree).accepting(&[0, 1, 128]).await?.text())
    }

    async fn has_lock(&self, tree: &Path) -> Result<bool, GitError> {
        let call = self.git.call(&["rev-parse", "--git-path", "index.lock"]);
        let output = call.at(tree).accepting(&[0, 128]).await?;
        Ok(output.code == 0 && tree.join(output.text()).exists())
    }
}
