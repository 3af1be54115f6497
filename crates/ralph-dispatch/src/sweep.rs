//! Completion: writes down what ended, once; sets the Exec cells; removes pidfiles of nobody.
//!
//! Every step may be repeated after a crash. The outcome is on disk before the pipeline says so, and the record says
//! that the pipeline does only after it does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ralph_core::crash_point;
use ralph_core::env::Env;
use ralph_core::error::{Code, Coded, Hint};
use ralph_core::process::lock::LifeLock;
use ralph_core::store::atomic::Staged;
use ralph_core::store::{StoreError, append, atomic};
use ralph_core::time::stamp;
use ralph_docs::DocError;
use ralph_front::failure::sentence;

use crate::carry::{self, Brought};
use crate::epic::{self, Change, Effect};
use crate::home::Homes;
use crate::layout::{Layout, PIPELINE};
use crate::record::{LoopRecord, RecordError, Settled, State, pid_file_paths};
use crate::standing::{Look, foreign_pid};

/// Why nothing was swept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    /// A record cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The workbench's lock.
    #[error("{path}: cannot be locked")]
    Lock {
        /// The lock file.
        path: String,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// The lock's folder cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for SweepError {
    fn code(&self) -> Code {
        match self {
            Self::Record(error) => error.code(),
            Self::Lock { .. } => Code::Failed,
            Self::Store(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Record(error) => error.hint(),
            Self::Lock { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Some(Hint::new(
                    "Do it as the user who launched the loops, or mend the permissions of ralph/state.",
                ))
            }
            Self::Lock { .. } => Some(Hint::new(
                "Check the file system of ralph/state and its free space.",
            )),
            Self::Store(error) => error.hint(),
        }
    }
}

/// What a sweep did.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// The loops whose end was written down, in the order of their names.
    pub(crate) settled: Vec<LoopRecord>,
    /// The cells that changed.
    pub(crate) cells: Vec<Change>,
    /// The pidfiles that were removed, relative to the workbench.
    pub(crate) pid_files: Vec<String>,
    /// Why the work of a repository's last job, which has ended, is not here.
    pub(crate) away: BTreeMap<String, String>,
    /// The repositories whose remotes somebody has still to ask for that.
    pub(crate) not_asked: Vec<String>,
    /// What is to be said, and is done nevertheless.
    pub(crate) notes: Vec<String>,
    /// What could not be done; the next sweep tries again.
    pub(crate) problems: Vec<String>,
}

/// Takes the workbench's lock: whoever launches, sweeps or stops holds it. Nothing under it waits for a
/// remote of git: it is held for seconds, so it is waited for.
///
/// # Errors
/// It cannot be locked at all.
pub(crate) fn lock(layout: &Layout) -> Result<LifeLock, SweepError> {
    let path = layout.lock();
    atomic::create_dir(path.parent().unwrap_or(&path))?;
    LifeLock::take(&path).map_err(|source| SweepError::Lock {
        path: layout.shown(&path),
        source,
    })
}

/// Sweeps. `_lock` shows that the caller holds the workbench's lock; `homes` was asked before it was taken.
///
/// # Errors
/// The records cannot be listed; a single one that cannot be read is a problem of the answer.
pub(crate) fn sweep(
    layout: &Layout,
    env: &Env,
    look: &Look<'_>,
    homes: &Homes,
    _lock: &LifeLock,
) -> Result<Swept, SweepError> {
    let (records, wrong) = LoopRecord::all(layout)?;
    let mut swept = Swept {
        problems: wrong.iter().map(|error| sentence(error)).collect(),
        ..Swept::default()
    };
    if wrong.is_empty() {
        prune(layout, &records, &mut swept);
    }
    let mut known = Vec::new();
    for record in records {
        known.push(settle(layout, env, look, homes, record, &mut swept));
    }
    // Of the launchers and sweeps that died here: whoever writes into these folders holds the lock.
    for folder in [&layout.root, &layout.pid_files()] {
        atomic::remove_leftovers(folder);
    }
    pipeline(layout, &mut known, &mut swept);
    pid_files(layout, &known, look, &mut swept);
    Ok(swept)
}

/// Launches that are kept, beside those that the last loop of any repository is of.
const LAUNCHES: usize = 50;

/// Removes old launches. Their names begin with the time, and no loop of them runs: a repository's record is that of its
/// last loop, before which each earlier one had ended.
fn prune(layout: &Layout, records: &[LoopRecord], swept: &mut Swept) {
    let mut names: Vec<_> = fs::read_dir(layout.launches())
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    let excess = names.len().saturating_sub(LAUNCHES);
    let is_used = |name: &String| records.iter().any(|record| record.launch == *name);
    for name in names.iter().take(excess).filter(|name| !is_used(name)) {
        if let Err(error) = atomic::remove_tree(&layout.launch(name)) {
            swept.problems.push(sentence(&error));
        }
    }
}

/// Writes down the end of a loop, when it has come to one.
fn settle(
    layout: &Layout,
    env: &Env,
    look: &Look<'_>,
    homes: &Homes,
    record: LoopRecord,
    swept: &mut Swept,
) -> LoopRecord {
    // Of a bare one too little is known: its file is mended or removed first.
    if record.settled.is_some() || record.is_bare {
        return record;
    }
    let standing = look.at(record);
    if !standing.state.is_final() {
        return standing.record;
    }
    // What is not home is not settled, so the next sweep tries again, and no launch forgets it.
    let name = standing.record.repository.clone();
    match carry::bring_home(layout, env, &standing.record, homes) {
        Brought::Home(note) => swept.notes.extend(note),
        Brought::NotAsked => {
            swept.not_asked.push(name);
            return standing.record;
        }
        Brought::Away(problem) => {
            swept.problems.push(problem.clone());
            swept.away.insert(name, problem);
            return standing.record;
        }
    }
    let settled = standing.settle(layout);
    let line = event(&standing.record.repository, &settled, env);
    let record = LoopRecord {
        settled: Some(settled),
        ..standing.record.clone()
    };
    if let Err(error) = record.write(layout) {
        swept.problems.push(sentence(&error));
        return standing.record;
    }
    crash_point!("dispatch.settled");
    // For people; the record is what counts.
    if let Err(error) = append::append_line(&layout.dispatch_log(), &line) {
        swept.problems.push(sentence(&error));
    }
    swept.settled.push(record.clone());
    record
}

/// One line of `ralph/dispatch.log`. Writing to a String cannot fail.
fn event(repository: &str, settled: &Settled, env: &Env) -> String {
    let mut line = format!(
        "{} {repository} swept {}",
        stamp(env.now()),
        settled.state.word()
    );
    if let Some(code) = settled.exit_code {
        let _ = write!(line, " exit={code}");
    }
    for url in &settled.pull_requests {
        let _ = write!(line, " pr={url}");
    }
    line
}

/// What a settled loop means for its rows.
fn effect(settled: &Settled) -> Effect {
    match settled.state {
        State::Done if !settled.pull_requests.is_empty() => Effect::Delivered,
        State::Failed => Effect::Failed,
        _ => Effect::Nothing,
    }
}

/// Sets the Exec cells, then writes down that they are set. A pipeline that cannot be written is a problem, and the
/// next sweep tries again.
fn pipeline(layout: &Layout, records: &mut [LoopRecord], swept: &mut Swept) {
    let is_fresh = |record: &&mut LoopRecord| {
        let settled = record.settled.as_ref();
        settled.is_some_and(|settled| !settled.in_pipeline)
    };
    let effects: BTreeMap<String, Effect> = records
        .iter()
        .filter_map(|record| Some((record.repository.clone(), effect(record.settled.as_ref()?))))
        .collect();
    let fresh: BTreeSet<String> = records
        .iter_mut()
        .filter(is_fresh)
        .map(|record| record.repository.clone())
        .collect();
    if fresh.is_empty() {
        return;
    }
    match write_pipeline(layout, &effects, &fresh) {
        Ok(cells) => swept.cells = cells,
        Err(problem) => {
            swept.problems.push(problem);
            return;
        }
    }
    crash_point!("dispatch.pipeline");
    for record in records.iter_mut().filter(is_fresh) {
        if let Some(settled) = &mut record.settled {
            settled.in_pipeline = true;
        }
        if let Err(error) = record.write(layout) {
            swept.problems.push(sentence(&error));
        }
    }
}

/// How often a pipeline that changes under us is read again.
const TRIES: usize = 5;

fn write_pipeline(
    layout: &Layout,
    effects: &BTreeMap<String, Effect>,
    fresh: &BTreeSet<String>,
) -> Result<Vec<Change>, String> {
    let path = layout.pipeline();
    let told = |error: StoreError| sentence(&error);
    for _ in 0..TRIES {
        let Some(text) = atomic::read_text(&path).map_err(told)? else {
            return Ok(Vec::new());
        };
        let (edits, changes) = epic::edits(&text, effects, fresh)
            .map_err(|error: DocError| format!("{PIPELINE}: {error}"))?;
        if edits.is_empty() {
            return Ok(Vec::new());
        }
        let new = edits.apply(&text);
        let staged = atomic::stage(&path, new.as_bytes(), None).map_err(told)?;
        if publish_over(staged, &path, &text).map_err(told)? {
            return Ok(changes);
        }
    }
    Err(format!(
        "{PIPELINE}: somebody keeps changing it; sweep again later"
    ))
}

/// Publishes a content if the file still says what it was made from, and says whether. The new content is on disk
/// before the look, so that nothing slow is left between that and the rename, which a person's edit could fall into.
fn publish_over(staged: Staged, path: &Path, old: &str) -> Result<bool, StoreError> {
    if atomic::read(path)?.as_deref() != Some(old.as_bytes()) {
        return Ok(false);
    }
    atomic::sync_dir(&staged.publish()?)?;
    Ok(true)
}

/// Removes the pidfiles that name no living loop.
fn pid_files(layout: &Layout, records: &[LoopRecord], look: &Look<'_>, swept: &mut Swept) {
    for path in pid_file_paths(layout) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let record = records.iter().find(|record| record.repository == name);
        let is_stale = match record {
            Some(record) => look.at(record.clone()).state.is_final(),
            None => foreign_pid(&path).is_some_and(|found| !found.is_alive),
        };
        if !is_stale {
            continue;
        }
        match atomic::remove(&path) {
            Ok(()) => swept.pid_files.push(layout.shown(&path)),
            Err(error) => swept.problems.push(sentence(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use ralph_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_sweep_removes_what_dead_launchers_left_half_written() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().to_owned());
        let jobs = BTreeMap::new();
        let (env, _) = Env::fixed(Timestamp::UNIX_EPOCH);
        let held = lock(&layout).unwrap();
        let left = [layout.root.clone(), layout.pid_files()].map(|at| at.join(".ralph-a1B2c3.tmp"));
        for path in &left {
            atomic::replace(path, b"half").unwrap();
        }
        atomic::replace(&layout.pipeline(), b"mine").unwrap();
        sweep(
            &layout,
            &env,
            &Look::new(&layout, &jobs),
            &Homes::default(),
            &held,
        )
        .unwrap();
        assert_eq!(left.map(|path| path.exists()), [false, false]);
        assert!(layout.pipeline().exists());
    }

    #[test]
    fn old_launches_go_but_for_those_of_a_last_loop() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().to_owned());
        let name = |number: usize| format!("20261126_21{number:04}-00000001");
        let now = Timestamp::UNIX_EPOCH;
        for number in 0..LAUNCHES + 3 {
            let path = layout.budget(&name(number)).join("ledger");
            atomic::create_dir(path.parent().unwrap()).unwrap();
            atomic::replace(&path, b"x").unwrap();
        }
        atomic::create_dir(&layout.loops()).unwrap();
        LoopRecord::new("svc-a", &name(1), now)
            .write(&layout)
            .unwrap();
        let (jobs, (env, _)) = (BTreeMap::new(), Env::fixed(now));
        let is_there = |number| layout.launch(&name(number)).exists();
        let unreadable = layout.record("svc-b");
        atomic::replace(&unreadable, b"{").unwrap();
        for expected in [[true; 4], [false, true, false, true]] {
            let held = lock(&layout).unwrap();
            let swept = sweep(
                &layout,
                &env,
                &Look::new(&layout, &jobs),
                &Homes::default(),
                &held,
            )
            .unwrap();
            assert_eq!([0, 1, 2, 3].map(is_there), expected);
            assert_eq!(swept.problems.is_empty(), !expected[0]);
            let _ = fs::remove_file(&unreadable);
        }
    }

    #[test]
    fn an_edit_that_came_while_the_new_content_was_brought_to_disk_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("EPIC-PIPELINE.md");
        let now = || fs::read_to_string(&path).unwrap();
        atomic::replace(&path, b"old").unwrap();
        let staged = || atomic::stage(&path, b"ours", None).unwrap();
        let ours = staged();
        atomic::replace(&path, b"a person's").unwrap();
        assert!(!publish_over(ours, &path, "old").unwrap());
        assert_eq!(now(), "a person's");
        assert!(publish_over(staged(), &path, "a person's").unwrap());
        assert_eq!(now(), "ours");
    }
}
