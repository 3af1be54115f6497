//! `logs/ralph.log`: what happened in a repository's loops, in plain lines.

use std::path::{Path, PathBuf};

use ralph_core::env::Env;
use ralph_core::store::{append, atomic};
use ralph_core::time::stamp;

use crate::event::{Event, Sink};
use crate::outcome::Outcome;
use crate::redact::Redactor;

/// Bytes after which the log begins anew.
const LONGEST_LOG: u64 = 10 * 1024 * 1024;

/// `logs/ralph.log`: what happened, in plain lines, masked and bounded.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    env: Env,
    redactor: Redactor,
}

impl RunLog {
    /// The log in this folder. Above its bound the old one is put aside, as `ralph.log.1`.
    #[must_use]
    pub fn open(folder: &Path, env: Env, redactor: Redactor) -> Self {
        let path = folder.join("ralph.log");
        let is_long = std::fs::metadata(&path).is_ok_and(|found| found.len() > LONGEST_LOG);
        if is_long {
            // One old log is kept; without it the new one would go on growing.
            let _ = atomic::remove_unsynced(&folder.join("ralph.log.1"));
            let _ = append::keep_aside(&path);
        }
        Self {
            path,
            env,
            redactor,
        }
    }
}

impl Sink for RunLog {
    fn event(&self, event: &Event) {
        let lines = event.lines();
        if lines.is_empty() {
            return;
        }
        let (time, level) = (stamp(self.env.now()), level(event));
        let line = |line: &String| format!("[{time}] [{level}] {}\n", self.redactor.mask(line));
        let text: String = lines.iter().map(line).collect();
        // A log that cannot be written stops nothing.
        let _ = append::append_bytes(&self.path, text.as_bytes());
    }
}

fn level(event: &Event) -> &'static str {
    match event {
        Event::AttemptEnded { line, .. } if line.outcome == Outcome::Done => "SUCCESS",
        Event::AttemptEnded { line, .. } if line.spent => "ERROR",
        Event::AttemptEnded { .. }
        | Event::Waiting { .. }
        | Event::SkipListed { .. }
        | Event::Note { .. } => "WARN",
        Event::Began { .. } | Event::Ended { .. } => "LOOP",
        _ => "INFO",
    }
}
