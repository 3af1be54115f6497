//! What an agent shares with the user and the loop, and can spoil for them from its worktree: the base, and the settings that
//! say where the work tree is. Looked at when an agent has ended. Commits that the base has lost get a branch, the settings
//! are set back, and whoever runs the loop is told.
//!
//! What must never be here: a base that is moved back to where it was. Whoever moved it may be the user.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::went_back::leads;
use super::{Assigned, WorktreeError, Worktrees};
use crate::git::refs::Base;
use crate::git::{Git, GitError, ObjectId};

/// The settings without which no git finds the work tree, or finds another one (git-config(1)).
const SETTINGS: [&str; 2] = ["core.bare", "core.worktree"];

/// What the log of a branch says of a step forward: of a commit, of our own, and of a merge or a pull (git-reflog(1)).
const FORWARD: [&str; 3] = ["commit: ", "commit (merge): ", "ralph"];
const FAST_FORWARD: &str = ": Fast-forward";

/// What was seen last, and what is to be told.
#[derive(Debug)]
pub(super) struct Watch {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The tip of the local base.
    tip: Option<ObjectId>,
    /// The file of the settings, as it was when the loop began.
    settings: Vec<u8>,
    /// What nobody has been told of.
    notes: Vec<String>,
}

impl Watch {
    pub(super) async fn begin(git: &Git, base: &Base) -> Result<Self, GitError> {
        let state = State {
            tip: git.tip(&base.local()).await?,
            settings: fs::read(settings_of(git)).unwrap_or_default(),
            notes: Vec::new(),
        };
        Ok(Self {
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn settings_of(git: &Git) -> PathBuf {
    git.common_dir().join("config")
}

impl Worktrees {
    /// What was found since somebody asked, in words.
    pub(crate) fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.watch.state().notes)
    }

    /// Looks after the agent of an attempt has ended. No run of git as long as nothing but the loop has moved the base.
    pub(super) async fn look_around(&self, assigned: &Assigned) -> Result<(), WorktreeError> {
        self.mend_settings().await?;
        let Some(tip) = self.git.tip(&self.base.local()).await? else {
            return Ok(());
        };
        let seen = self.watch.state().tip.replace(tip.clone());
        if let Some(seen) = seen.filter(|seen| *seen != tip)
            && !self.keep_lost(&seen, &tip).await?
            && self.is_behind_its_checkout(&seen, &tip)
        {
            self.tell_moved(&tip);
        }
        // A loop that was killed has not looked after its agents.
        if self.base.remote.is_none() && assigned.start != tip {
            self.keep_lost(&assigned.start, &tip).await?;
        }
        Ok(())
    }

    /// Keeps what the base had and has not any more. Whether there is such a thing.
    async fn keep_lost(&self, had: &ObjectId, tip: &ObjectId) -> Result<bool, WorktreeError> {
        if self.went_forward(had, tip) || self.git.is_ancestor(had, tip).await? {
            return Ok(false);
        }
        let first = format!("{}/{}-before", self.prefix, super::plain(&self.base.branch));
        let reference = |name: &str| format!("refs/heads/{name}");
        let name = match self.git.tip(&reference(&first)).await? {
            Some(there) if self.git.is_ancestor(had, &there).await? => return Ok(true),
            Some(_) => format!("{first}-{}", had.short()),
            None => first,
        };
        if self.git.tip(&reference(&name)).await?.is_none() {
            self.git.move_ref(&reference(&name), None, had).await?;
            let (base, had, tip) = (&self.base.branch, had.short(), tip.short());
            self.watch.state().notes.push(format!(
                "{base} was moved back or elsewhere, from {had} to {tip}, and not by the loop; what it had is on {name}"
            ));
        }
        Ok(true)
    }

    /// Whether the log of the base shows that it only went forward. "No" is always a safe answer.
    fn went_forward(&self, had: &ObjectId, tip: &ObjectId) -> bool {
        let log = self.git.common_dir().join("logs").join(self.base.local());
        let log = fs::read_to_string(log).unwrap_or_default();
        leads(&log, had, tip, |message| {
            FORWARD.iter().any(|word| message.starts_with(word)) || message.ends_with(FAST_FORWARD)
        })
    }

    /// Whether the user's checkout is on the base, and knows nothing of the step: the log of its HEAD ends elsewhere, as no
    /// git that was run there has moved the base (gitrepository-layout(5)).
    fn is_behind_its_checkout(&self, seen: &ObjectId, tip: &ObjectId) -> bool {
        if self.git.lineage().between(seen, tip).is_some() {
            return false;
        }
        let head = fs::read_to_string(self.git.git_dir().join("HEAD")).unwrap_or_default();
        let is_here = head.trim_end().strip_prefix("ref: ") == Some(&self.base.local());
        let log = fs::read_to_string(self.git.git_dir().join("logs/HEAD")).unwrap_or_default();
        let last = log
            .lines()
            .next_back()
            .and_then(|line| line.split(' ').nth(1));
        is_here && last.is_some_and(|last| last != tip.as_str())
    }

    fn tell_moved(&self, tip: &ObjectId) {
        let (base, top) = (&self.base.branch, self.git.top().display());
        self.watch.state().notes.push(format!(
            "{base} was moved to {} from another worktree, as an agent can: in {top} `git status` shows that as changes; \
             where you have none of your own there, `git reset --hard` brings its files to it",
            tip.short()
        ));
    }

    /// Sets back what makes every git of the repository fail. Nothing is asked as long as the file is the one that it was.
    async fn mend_settings(&self) -> Result<(), WorktreeError> {
        let file = settings_of(&self.git);
        let before = self.watch.state().settings.clone();
        let now = fs::read(&file).unwrap_or_default();
        if before == now || before.is_empty() {
            return Ok(());
        }
        for key in SETTINGS {
            let (had, has) = (
                self.setting(Path::new("-"), key, &before).await?,
                self.setting(&file, key, &[]).await?,
            );
            if had == has {
                continue;
            }
            let call = self.git.call(&["config", "--file"]).arg(&file);
            let call = match &had {
                Some(value) => call.arg("--replace-all").arg(key).arg(value),
                None => call.arg("--unset-all").arg(key),
            };
            call.run().await?;
            let text = |value: Option<String>| value.unwrap_or_else(|| "unset".to_owned());
            self.watch.state().notes.push(format!(
                "an agent has set {key} to {} in {}, with which git does not find your files; it is {} again",
                text(has),
                file.display(),
                text(had)
            ));
        }
        Ok(())
    }

    async fn setting(
        &self,
        file: &Path,
        key: &str,
        input: &[u8],
    ) -> Result<Option<String>, GitError> {
        let call = self.git.call(&["config", "--file"]).arg(file);
        let call = call.arg("--get").arg(key).input(input.to_vec());
        let output = call.accepting(&[0, 1]).await?;
        Ok((output.code == 0).then(|| output.text()))
    }
}
