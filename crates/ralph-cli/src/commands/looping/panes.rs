//! One window of tmux per worker that follows its log: only where a person sits in tmux, and never an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::{JoinHandle, spawn};

use ralph_loop::event::Event;

/// More windows than this are no help to anybody.
const MOST: usize = 8;

/// The windows of a loop. They are closed with it, and close by themselves when it is killed.
#[derive(Debug)]
pub(super) struct Panes {
    say: Option<Sender<(usize, PathBuf)>>,
    keeper: Option<JoinHandle<()>>,
}

impl Panes {
    /// Windows that open as workers start.
    pub(super) fn open() -> Self {
        let (say, heard) = channel::<(usize, PathBuf)>();
        // tmux may be slow, and no agent waits for it.
        let keeper = spawn(move || {
            let mut panes = BTreeMap::new();
            for (worker, log) in heard {
                follow(&mut panes, worker, &log);
            }
            for pane in panes.values() {
                let _ = tmux(&["kill-pane", "-t", pane]);
            }
        });
        Self {
            say: Some(say),
            keeper: Some(keeper),
        }
    }

    /// Takes an event in; only starts of agents matter.
    pub(super) fn event(&self, event: &Event) {
        if let (Event::AgentStarted { worker, log, .. }, Some(say)) = (event, &self.say)
            && *worker <= MOST
        {
            // A keeper that is gone keeps nothing.
            let _ = say.send((*worker, log.clone()));
        }
    }
}

impl Drop for Panes {
    fn drop(&mut self) {
        drop(self.say.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Shows another log in a worker's window, which is made when it is not there. Whatever window the person looks at
/// stays the one that is looked at: that is why a pane is respawned, and not its window.
fn follow(panes: &mut BTreeMap<usize, String>, worker: usize, log: &Path) {
    let log = log.display().to_string();
    // `--pid` ends it with this process, however that ends.
    let owner = format!("--pid={}", std::process::id());
    let tail = ["tail", owner.as_str(), "-n", "+1", "-F", log.as_str()];
    if let Some(pane) = panes.get(&worker) {
        let respawn = ["respawn-pane", "-k", "-t", pane];
        if tmux(&[&respawn[..], &tail].concat()).is_some() {
            return;
        }
    }
    let name = format!("ralph-{worker}");
    let new = ["new-window", "-d", "-P", "-F", "#{pane_id}", "-n", &name];
    if let Some(pane) = tmux(&[&new[..], &tail].concat()) {
        panes.insert(worker, pane);
    }
}

/// What tmux prints; `None` where it does not do what it is told.
fn tmux(words: &[&str]) -> Option<String> {
    let output = Command::new("tmux")
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
