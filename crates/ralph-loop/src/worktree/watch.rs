//! What an agent shares with the user and the loop, and can spoil for them from its worktree: the base, the settings
//! ([`config`]), and some more ([`super::shared`]). Looked at when an agent has ended. Commits that the base has lost get a branch, and whoever runs the loop is
//! told.
//!
//! What must never be here: a base that is moved back to where it was. Whoever moved it may be the user.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, PoisonError};

use super::shared::Shared;
use super::went_back::leads;
use super::{Assigned, WorktreeError, Worktrees, config};
use crate::git::refs::Base;
use crate::git::{Git, GitError, ObjectId};

/// What the log of a branch says of a step forward: of a commit, of our own, and of a merge or a pull (git-reflog(1)).
const FORWARD: [&str; 3] = ["commit: ", "commit (merge): ", "ralph"];
const FAST_FORWARD: &str = ": Fast-forward";

/// What was seen last, and what is to be told.
#[derive(Debug)]
pub(super) struct Watch {
    state: Mutex<State>,
    /// The file of the settings, as it was seen last.
    pub(super) settings: tokio::sync::Mutex<Vec<u8>>,
}

#[derive(Debug, Default)]
struct State {
    /// The tip of the local base.
    tip: Option<ObjectId>,
    shared: Shared,
    /// Branches whose stashes were told.
    stashed: BTreeSet<String>,
    /// What nobody has been told of.
    notes: Vec<String>,
}

impl Watch {
    pub(super) async fn begin(git: &Git, base: &Base) -> Result<Self, GitError> {
        let state = State {
            tip: git.tip(&base.local()).await?,
            shared: Shared::see(git.common_dir()),
            ..State::default()
        };
        Ok(Self {
            state: Mutex::new(state),
            settings: tokio::sync::Mutex::new(config::read(git)),
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, note: String) {
        self.state().notes.push(note);
    }
}

impl Worktrees {
    /// What was found since somebody asked, in words.
    pub(crate) fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.watch.state().notes)
    }

    /// Looks after the agent of an attempt has ended. No run of git as long as nothing but the loop has moved the base.
    pub(super) async fn look_around(&self, assigned: &Assigned) -> Result<(), WorktreeError> {
        self.mend_settings().await?;
        self.tell_shared(assigned);
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

    /// All worktrees share one stash: the user's next `git stash pop` would take out what the agent has put there.
    fn tell_shared(&self, assigned: &Assigned) {
        let now = Shared::see(self.git.common_dir());
        let mut state = self.watch.state();
        let mut notes = self.differences(&state.shared, &now);
        let branch = &assigned.branch;
        if now.has_stashed(branch) && state.stashed.insert(branch.clone()) {
            notes.push(format!(
                "an agent has left changes of {branch} in the stash, which is yours too, and in no commit: see \
                 `git stash list` before the next `git stash pop`"
            ));
        }
        state.notes.extend(notes);
        state.shared = now;
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
            self.watch.note(format!(
                "{base} was moved back or elsewhere, from {had} to {tip}, and not by the loop; what it had is on {name}. Where that was \
                 you, as by an amend or a rebase, `git branch -D {name}` removes it"
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
        self.watch.note(format!(
            "{base} was moved to {} from another worktree, as an agent can: in {top} `git status` shows that as changes; \
             where you have none of your own there, `git reset --hard` brings its files to it",
            tip.short()
        ));
    }
}
