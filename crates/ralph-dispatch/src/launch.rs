//! Starts the loops: under the workbench's lock, each with its record on disk first and a supervisor of its own.
//!
//! Whoever looks later finds a loop by its record, also when this process died in the middle: a record without a
//! supervisor is a loop that never began, and one that is still on its way is called off before another is started.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ralph_core::crash_point;
use ralph_core::env::Env;
use ralph_core::error::{Code, Coded, Hint};
use ralph_core::process::hold::call_off;
use ralph_core::process::{Ask, SpawnError, SpawnRequest, Supervisor, spawn};
use ralph_core::store::{StoreError, append, atomic};
use ralph_core::time::{Timestamp, stamp};
use ralph_front::failure::sentence;
use ralph_loop::settings::{self, NamedFile};
use ralph_loop::shell_file;

use crate::layout::Layout;
use crate::log_text;
use crate::program::{self, Capabilities};
use crate::record::{Figures, LoopRecord, RecordError, Settled, State};

/// Time between the signal that asks a foreign loop and all it started to end, and the one that ends them.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// As long as one of our own loops may take beyond its agents' grace: to clear up behind those that ignore it, to keep
/// their work on its branch and to record the attempts. Work trees may be large, and their disk slow.
const MARGIN: Duration = Duration::from_secs(45);

/// How many supervisors are started at once; each is ready within milliseconds.
const AT_ONCE: usize = 8;

/// A log that is larger than this, in bytes, is put aside at the next launch.
const LARGEST_LOG: u64 = 64 * 1024 * 1024;

/// Why a loop was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// Its record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A folder or a log.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its supervisor.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// A start of a launcher that died was on its way, and has come first.
    #[error("another launcher's loop began just now")]
    Began,
}

impl Coded for LaunchError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Spawn(error) => error.code(),
            Self::Began => Code::AlreadyRunning,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Record(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Spawn(error) => error.hint(),
            Self::Began => None,
        }
    }
}

/// How a loop is ended by its supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manners {
    /// Who is asked.
    pub(crate) ask: Ask,
    /// How long is waited then.
    pub(crate) grace: Duration,
}

impl Manners {
    /// Our own loop ends its agents itself and needs longer than they may; of a foreign one nothing is known.
    pub(crate) fn of(program: Capabilities, stop_grace: Duration) -> Self {
        if program.budget {
            Self {
                ask: Ask::Worker,
                grace: stop_grace.saturating_add(MARGIN),
            }
        } else {
            Self {
                ask: Ask::Everything,
                grace: GRACE,
            }
        }
    }
}

/// How long the loop of a repository lets its agents end, as the loop itself will read it.
pub(crate) fn stop_grace(
    repository: &Path,
    engine: &str,
    variables: &BTreeMap<String, String>,
) -> Duration {
    let names = [format!(".ralphrc.{engine}"), ".ralphrc".to_owned()];
    let files = names.map(|name| {
        let path = repository.join(name);
        let text = atomic::read_text(&path).ok()??;
        let content = shell_file::read(&text, &path).ok()?;
        Some((path, content))
    });
    let files: Vec<NamedFile<'_>> = files
        .iter()
        .flatten()
        .map(|(path, content)| NamedFile { path, content })
        .collect();
    settings::stop_grace(variables, &files)
}

/// One loop to start.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// What is written down about it.
    pub(crate) record: LoopRecord,
    /// The loop's program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Variables on top of this process's own.
    pub(crate) variables: BTreeMap<String, String>,
    /// How it is ended.
    pub(crate) manners: Manners,
}

/// A loop that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launched {
    /// Its supervisor.
    pub(crate) pid: u32,
}

/// Starts the loops, several at a time, and returns when each is ready or has failed. The answers are in the order
/// of the orders. The caller holds the workbench's lock.
pub(crate) fn launch(
    layout: &Layout,
    env: &Env,
    supervisor: &Supervisor,
    orders: &[Order],
) -> Vec<Result<Launched, LaunchError>> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(orders.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(order) = orders.get(index) else {
                        return;
                    };
                    let answer = start(layout, env, supervisor, order);
                    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                    answers.push((index, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn start(
    layout: &Layout,
    env: &Env,
    supervisor: &Supervisor,
    order: &Order,
) -> Result<Launched, LaunchError> {
    let name = order.record.repository.clone();
    call_off_former(layout, &name)?;
    let log = layout.log(&name);
    if log_text::size(&log) > LARGEST_LOG {
        append::keep_aside(&log)?;
    }
    let record = LoopRecord {
        log_from: log_text::size(&log),
        ..order.record.clone()
    };
    atomic::create_dir(&record.directory(layout))?;
    record.write(layout)?;
    crash_point!("dispatch.recorded");
    let begun = begin(layout, env, supervisor, order, &record);
    crash_point!("dispatch.spawned");
    if let Err(error) = &begun {
        never_began(layout, record, error, env.now());
    }
    begun
}

fn begin(
    layout: &Layout,
    env: &Env,
    supervisor: &Supervisor,
    order: &Order,
    record: &LoopRecord,
) -> Result<Launched, LaunchError> {
    let name = &record.repository;
    let log = layout.log(name);
    let mut words = vec![order.program.display().to_string()];
    words.extend(order.arguments.iter().cloned());
    let words = program::shown(&words);
    let line = format!(
        "=== {} launch {}: {words}\n",
        stamp(env.now()),
        record.launch
    );
    append::append_bytes(&log, line.as_bytes())?;
    let request = SpawnRequest {
        name: name.clone(),
        program: order.program.clone(),
        args: order.arguments.clone(),
        workdir: layout.repository(name),
        variables: order.variables.clone(),
        stdout: log.clone(),
        stderr: log,
        time_limit: None,
        grace: order.manners.grace,
        ask: order.manners.ask,
        pid_file: Some(layout.pid_file(name)),
        event_log: Some(layout.dispatch_log()),
    };
    let spawned = spawn(&record.directory(layout), &request, supervisor)?;
    Ok(Launched { pid: spawned.pid() })
}

/// A start that a dead launcher left on its way must not come after ours.
fn call_off_former(layout: &Layout, name: &str) -> Result<(), LaunchError> {
    let Some(former) = LoopRecord::read(layout, name)? else {
        return Ok(());
    };
    let directory = former.directory(layout);
    let began = directory.join(ralph_core::process::record::RECORD).exists();
    if former.job.is_some() || former.settled.is_some() || began || !directory.is_dir() {
        return Ok(());
    }
    match call_off(&directory) {
        Ok(true) => Ok(()),
        Ok(false) => Err(LaunchError::Began),
        Err(source) => Err(StoreError::Io {
            action: "call off the start in",
            path: directory,
            source,
        }
        .into()),
    }
}

/// Writes down why a loop did not begin, where its supervisor could not.
fn never_began(layout: &Layout, record: LoopRecord, error: &LaunchError, now: Timestamp) {
    let directory = record.directory(layout);
    if fs::exists(directory.join(ralph_core::process::record::EXIT)).unwrap_or(false) {
        return;
    }
    if !matches!(call_off(&directory), Ok(true)) {
        return;
    }
    let settled = Settled {
        state: State::Failed,
        exit_code: None,
        reason: Some(sentence(error)),
        ended: Some(now),
        pull_requests: Vec::new(),
        figures: Figures::default(),
        in_pipeline: false,
    };
    let record = LoopRecord {
        settled: Some(settled),
        ..record
    };
    // The caller tells the reason in any case.
    let _ = record.write(layout);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_loop_is_asked_alone_and_has_longer_than_its_agents() {
        let own = Capabilities::read("--budget DIR");
        let grace = Duration::from_secs(600);
        let manners = Manners::of(own, grace);
        assert_eq!(manners.ask, Ask::Worker);
        assert!(manners.grace > grace, "{manners:?}");
        assert_eq!(Manners::of(own, Duration::MAX).grace, Duration::MAX);
        let foreign = Manners::of(Capabilities::default(), grace);
        assert_eq!((foreign.ask, foreign.grace), (Ask::Everything, GRACE));
    }

    #[test]
    fn the_agents_grace_is_the_loops_own() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            atomic::replace(&folder.path().join(name), text.as_bytes()).unwrap();
        };
        let mut variables = BTreeMap::new();
        let seconds = |variables: &BTreeMap<String, String>| {
            stop_grace(folder.path(), "codex", variables).as_secs()
        };
        assert_eq!(seconds(&variables), 10);
        write(".ralphrc", "RALPH_STOP_GRACE=60\n");
        assert_eq!(seconds(&variables), 60);
        write(".ralphrc.codex", "RALPH_STOP_GRACE=90\n");
        assert_eq!(seconds(&variables), 90);
        let _ = variables.insert("RALPH_STOP_GRACE".to_owned(), "120".to_owned());
        assert_eq!(seconds(&variables), 120);
    }
}
