//! How each loop is now. Facts are looked at, never guessed from a pid; nothing is written or signalled.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use ralph_core::job::ExitInfo;
use ralph_core::process::table::ProcessTable;
use ralph_core::process::{Ending, ExitRecord, Facts, Record, Verdict, identity, verdict};
use ralph_core::store::atomic;
use ralph_core::time::Timestamp;

use crate::layout::Layout;
use crate::log_text;
use crate::record::{LoopRecord, Settled, State, process_record};
use crate::work::{self, Work};

/// How a loop is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    /// What is written down about it.
    pub(crate) record: LoopRecord,
    /// How it is.
    pub(crate) state: State,
    /// Whom to look at: the supervisor, or the loop itself where that is orphaned.
    pub(crate) pid: Option<u32>,
    /// Exit code, or 128 and the signal.
    pub(crate) exit_code: Option<i32>,
    /// Why, where more is known than the code.
    pub(crate) reason: Option<String>,
    /// When it ended.
    pub(crate) ended: Option<Timestamp>,
}

/// What the cluster says about a loop's job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobStanding {
    /// How it is.
    pub(crate) state: State,
    /// Exit code, or 128 and the signal.
    pub(crate) exit_code: Option<i32>,
    /// Why, in the scheduler's word.
    pub(crate) reason: Option<String>,
    /// When it ended.
    pub(crate) ended: Option<Timestamp>,
}

/// One look at many loops: the table of processes is read once, and only when a loop needs it.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    layout: &'a Layout,
    jobs: &'a BTreeMap<String, JobStanding>,
    processes: OnceCell<ProcessTable>,
}

impl<'a> Look<'a> {
    /// `jobs` holds what the cluster said, by repository.
    pub(crate) fn new(layout: &'a Layout, jobs: &'a BTreeMap<String, JobStanding>) -> Self {
        Self {
            layout,
            jobs,
            processes: OnceCell::new(),
        }
    }

    /// The same look, later: the processes are read anew.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.layout, self.jobs)
    }

    /// Looks at one loop.
    pub(crate) fn at(&self, record: LoopRecord) -> Standing {
        if let Some(settled) = record.settled.clone() {
            return Standing {
                state: settled.state,
                pid: None,
                exit_code: settled.exit_code,
                reason: settled.reason,
                ended: settled.ended,
                record,
            };
        }
        if record.job.is_some() {
            return self.at_job(record);
        }
        let directory = record.directory(self.layout);
        let facts = Facts::read_with(&directory, &self.processes);
        let judged = match &facts {
            Ok(facts) => judge(facts, record.stop_asked.is_some()),
            Err(error) => Judged {
                state: State::Unknown,
                exit_code: None,
                reason: Some(hidden(self.layout, &directory, error)),
            },
        };
        let process = process_record(&directory).ok().flatten();
        // Somebody has removed its files, and only the pidfile is left to tell.
        if judged.state == State::Lost
            && !directory.exists()
            && let Some(pid) = living(self.layout, &record.repository)
        {
            return Standing {
                state: State::Unknown,
                pid: Some(pid),
                exit_code: None,
                reason: Some(format!("its files are gone; end it with: kill {pid}")),
                ended: None,
                record,
            };
        }
        Standing {
            state: judged.state,
            pid: process.as_ref().and_then(|found| whom(judged.state, found)),
            exit_code: judged.exit_code,
            reason: judged.reason.or_else(|| {
                let never = judged.state == State::Lost && process.is_none();
                never.then(|| "it was never started: the launcher ended before".to_owned())
            }),
            ended: facts.ok().and_then(|facts| Some(facts.exit?.ended)),
            record,
        }
    }

    fn at_job(&self, record: LoopRecord) -> Standing {
        let unasked = || JobStanding {
            state: State::Unknown,
            exit_code: None,
            reason: Some("the cluster was not asked".to_owned()),
            ended: None,
        };
        let found = self.jobs.get(&record.repository).cloned();
        let found = found.unwrap_or_else(unasked);
        Standing {
            state: found.state,
            pid: None,
            exit_code: found.exit_code,
            reason: found.reason,
            ended: found.ended,
            record,
        }
    }
}

impl Standing {
    /// Whether it is a loop of this machine that cannot be looked at, such as another user's.
    pub(crate) fn is_hidden(&self) -> bool {
        self.state == State::Unknown && self.record.job.is_none()
    }

    /// Whether somebody has still to write down how it ended, or will have to when it has.
    pub(crate) fn is_unswept(&self) -> bool {
        self.record.settled.is_none() && !self.record.is_bare
    }

    /// What the loop came to so far.
    pub(crate) fn work(&self, layout: &Layout) -> Work {
        match &self.record.settled {
            Some(settled) => Work {
                figures: settled.figures,
                pull_requests: settled.pull_requests.clone(),
            },
            None => work::look(layout, &self.record, self.state.is_final()),
        }
    }

    /// The outcome to be written down, once there is one.
    pub(crate) fn settle(&self, layout: &Layout) -> Settled {
        let work = work::at_the_end(layout, &self.record);
        Settled {
            state: self.state,
            exit_code: self.exit_code,
            reason: self.reason.clone(),
            ended: self.ended,
            pull_requests: work.pull_requests,
            figures: work.figures,
            in_pipeline: false,
        }
    }

    /// The last telling line of its log; where more is known than it says, why it ended.
    pub(crate) fn last_line(&self, layout: &Layout) -> String {
        let log = layout.log(&self.record.repository);
        let line = log_text::telling_line(&log, self.record.log_from);
        match (&self.reason, self.state, self.exit_code) {
            (Some(reason), State::Failed | State::Lost | State::Unknown, _) if line.is_empty() => {
                reason.clone()
            }
            (Some(reason), State::Failed | State::Lost | State::Unknown, _) => {
                format!("{reason}; last: {line}")
            }
            (_, State::Lost, _) if line.is_empty() => "gone without a word".to_owned(),
            (_, State::Lost, _) => format!("gone without a word; last: {line}"),
            (_, State::Failed, Some(code)) if line.is_empty() => {
                format!("exit code {code}, without a word")
            }
            _ => line,
        }
    }
}

struct Judged {
    state: State,
    exit_code: Option<i32>,
    reason: Option<String>,
}

/// What the facts mean. A loop that was asked to stop was stopped, however it then ended: that it had nothing left to
/// do cannot be seen from its exit code.
fn judge(facts: &Facts, stop_asked: bool) -> Judged {
    let plain = |state| Judged {
        state,
        exit_code: None,
        reason: None,
    };
    let code = match verdict(facts) {
        Verdict::Running => return plain(State::Running),
        Verdict::Orphaned => return plain(State::Orphaned),
        Verdict::Lost => return plain(State::Lost),
        Verdict::Exited(code) => code,
    };
    let ending = facts.exit.as_ref().map(|exit| exit.ending);
    let state = match ending {
        Some(Ending::NotStarted) => State::Failed,
        Some(Ending::Stopped) => State::Stopped,
        _ if stop_asked => State::Stopped,
        _ if code == 0 => State::Done,
        _ => State::Failed,
    };
    Judged {
        state,
        exit_code: Some(code),
        reason: facts.exit.as_ref().and_then(why),
    }
}

/// Why a loop cannot be looked at. Its supervisor's files are private: a request may hold secrets.
fn hidden(layout: &Layout, directory: &Path, error: &io::Error) -> String {
    match directory.metadata() {
        Ok(found) if error.kind() == io::ErrorKind::PermissionDenied => format!(
            "another user's loop (uid {}): only that user can see how it is, and stop it",
            found.uid()
        ),
        _ => format!(
            "{}: {error}; the process in its pidfile watches over it",
            layout.shown(directory)
        ),
    }
}

fn why(exit: &ExitRecord) -> Option<String> {
    let signal = match exit.exit {
        ExitInfo { signal: 0, .. } => None,
        ExitInfo { signal, .. } => Some(format!("ended by signal {signal}")),
    };
    exit.reason.clone().or(signal)
}

fn whom(state: State, process: &Record) -> Option<u32> {
    match state {
        State::Running => Some(process.supervisor.pid),
        State::Orphaned => process.worker.as_ref().map(|worker| worker.pid),
        _ => None,
    }
}

/// A pidfile that no record of ours stands behind: another launcher's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ForeignPid {
    /// What is written in it, if it is a pid.
    pub(crate) pid: Option<u32>,
    /// Whether it may still be the process that is meant.
    pub(crate) is_alive: bool,
}

/// Reads a pidfile of another launcher; `None` where there is none. A process that is younger than the file has got
/// the pid of one that is gone.
pub(crate) fn foreign_pid(path: &Path) -> Option<ForeignPid> {
    let bytes = atomic::read(path).ok()??;
    let text = String::from_utf8_lossy(&bytes);
    let pid: Option<u32> = text.trim().parse().ok();
    let written = path.metadata().and_then(|found| found.modified()).ok();
    let written = written.and_then(|time| Timestamp::try_from(time).ok());
    let is_alive = pid.is_some_and(|pid| {
        let is_younger = match (identity::started_at(pid), written) {
            (Some(started), Some(written)) => started > written + TOLERANCE,
            _ => false,
        };
        identity::is_pid_alive(pid) && !is_younger
    });
    Some(ForeignPid { pid, is_alive })
}

/// The living process that the pidfile of a repository names.
fn living(layout: &Layout, repository: &str) -> Option<u32> {
    let found = foreign_pid(&layout.pid_file(repository))?;
    found.pid.filter(|_| found.is_alive)
}

/// The start of a process is known to the second, and a file's time by another clock.
const TOLERANCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(exit: Option<(i32, i32, Ending)>, lock_held: bool, worker_alive: bool) -> Facts {
        Facts {
            lock_held,
            worker_alive,
            exit: exit.map(|(code, signal, ending)| ExitRecord {
                exit: ExitInfo { code, signal },
                ending,
                reason: (ending == Ending::NotStarted).then(|| "no such file".to_owned()),
                ended: Timestamp::UNIX_EPOCH,
                remaining: Vec::new(),
            }),
        }
    }

    #[test]
    fn the_states_of_the_table() {
        let state = |facts: &Facts, asked| {
            let judged = judge(facts, asked);
            (judged.state, judged.exit_code)
        };
        let own = |code| facts(Some((code, 0, Ending::Own)), false, false);
        assert_eq!(
            state(&facts(None, true, true), false),
            (State::Running, None)
        );
        assert_eq!(
            state(&facts(None, false, true), false),
            (State::Orphaned, None)
        );
        assert_eq!(
            state(&facts(None, false, false), false),
            (State::Lost, None)
        );
        assert_eq!(state(&facts(None, false, false), true), (State::Lost, None));
        assert_eq!(state(&own(0), false), (State::Done, Some(0)));
        assert_eq!(state(&own(1), false), (State::Failed, Some(1)));
        assert_eq!(state(&own(0), true), (State::Stopped, Some(0)));
        assert_eq!(state(&own(130), true), (State::Stopped, Some(130)));
        let killed = facts(Some((0, 9, Ending::Own)), false, false);
        assert_eq!(state(&killed, false), (State::Failed, Some(137)));
        assert_eq!(
            judge(&killed, false).reason.as_deref(),
            Some("ended by signal 9")
        );
        let stopped = facts(Some((0, 15, Ending::Stopped)), false, false);
        assert_eq!(state(&stopped, false), (State::Stopped, Some(143)));
        let never = facts(Some((127, 0, Ending::NotStarted)), false, false);
        assert_eq!(state(&never, true), (State::Failed, Some(127)));
        assert_eq!(judge(&never, true).reason.as_deref(), Some("no such file"));
    }

    #[test]
    fn another_users_loop_is_called_that() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().to_owned());
        let told = |kind: io::ErrorKind| hidden(&layout, &layout.root, &kind.into());
        let owner = folder.path().metadata().unwrap().uid();
        assert_eq!(
            told(io::ErrorKind::PermissionDenied),
            format!(
                "another user's loop (uid {owner}): only that user can see how it is, and stop it"
            )
        );
        assert!(told(io::ErrorKind::InvalidData).contains("pidfile"));
    }

    #[test]
    fn a_pid_that_went_to_a_younger_process_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pid");
        assert_eq!(foreign_pid(&path), None);
        atomic::replace(&path, format!("{}\n", std::process::id()).as_bytes()).unwrap();
        assert!(foreign_pid(&path).unwrap().is_alive);
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        file.set_modified(long_ago).unwrap();
        assert!(!foreign_pid(&path).unwrap().is_alive);
        atomic::replace(&path, b"not a pid").unwrap();
        assert_eq!(
            foreign_pid(&path),
            Some(ForeignPid {
                pid: None,
                is_alive: false
            })
        );
    }
}
