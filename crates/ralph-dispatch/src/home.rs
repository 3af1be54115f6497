//! What the remotes have of the jobs that ended: fetched before the workbench's lock is taken, because a network is slow
//! and a launch, a sweep and a stop wait for that lock. Nothing is written down here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ralph_core::env::Env;
use ralph_core::time::Timestamp;
use ralph_front::failure::Failure;
use ralph_front::machine::block_on;
use ralph_loop::plan::Delivered;
use tokio::sync::Semaphore;

use crate::layout::{Layout, PLAN};
use crate::log_text;
use crate::probe;
use crate::record::LoopRecord;
use crate::standing::Look;

/// How long a remote may take to answer; one that does not is asked again by the next sweep.
const LIMIT: Duration = Duration::from_secs(15);

/// How many remotes are asked at once.
const AT_ONCE: usize = 8;

/// Every branch that a job pushes. Named, because a clone of a single branch fetches no other by itself.
const BRANCHES: &str = "+refs/heads/ralph-*:refs/remotes/origin/ralph-*";

/// How a job's script begins the line of a delivery.
const DELIVERED: &str = "ralph: delivered: ";
/// How it begins the line of the branch that its result is on.
const RESULT: &str = "ralph: result: branch ";

/// What a job said of its work, in the copy of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// Its deliveries.
    pub(crate) lines: Vec<String>,
    /// Whether it pushed a branch with what it merged.
    pub(crate) has_result: bool,
}

impl Said {
    /// Whether nothing of it has to come home.
    pub(crate) fn is_nothing(&self) -> bool {
        self.lines.is_empty() && !self.has_result
    }
}

/// What the job of a record said.
pub(crate) fn said(layout: &Layout, record: &LoopRecord) -> Said {
    let log = layout.log(&record.repository);
    let results = log_text::marked(&log, record.log_from, RESULT);
    let branch = record.job.as_ref().map(|job| &job.branch);
    Said {
        lines: log_text::marked(&log, record.log_from, DELIVERED),
        has_result: branch.is_some_and(|branch| results.contains(branch)),
    }
}

/// Whether remotes may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetching {
    /// Yes.
    Now,
    /// No: whoever only looks does not wait for a network.
    Later,
}

/// The branch that a job's result is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticks {
    /// The branch, as a delivery.
    pub(crate) delivered: Delivered,
    /// The plan at the commit that the job began with.
    pub(crate) began: String,
    /// The plan as it is on the branch.
    pub(crate) theirs: String,
}

/// What a remote has of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// The job named no result.
    Nothing,
    /// The result.
    Result(Box<Ticks>),
    /// The remote answered, and has no such branch any more.
    Gone,
    /// It is not asked now.
    NotAsked,
}

/// The answers, by the repository, each with the launch that it is about: another launcher may come first.
#[derive(Debug, Default)]
pub(crate) struct Homes(BTreeMap<String, (String, Result<Found, String>)>);

impl Homes {
    /// The answer about a record's job.
    pub(crate) fn of(&self, record: &LoopRecord) -> Option<Result<&Found, &str>> {
        let (launch, found) = self.0.get(&record.repository)?;
        (*launch == record.launch).then(|| found.as_ref().map_err(String::as_str))
    }

    /// Asks the remotes of the jobs that have ended and are not settled.
    ///
    /// # Errors
    /// The records cannot be listed, or nothing can be waited for.
    pub(crate) fn ask(
        layout: &Layout,
        env: &Env,
        look: &Look<'_>,
        fetching: Fetching,
    ) -> Result<Self, Failure> {
        let mut homes = Self::default();
        let mut asked = Vec::new();
        for record in ended(layout, look)? {
            let said = said(layout, &record);
            let found = match fetching {
                _ if said.is_nothing() => Found::Nothing,
                Fetching::Later => Found::NotAsked,
                Fetching::Now => {
                    let folder = layout.repository(&record.repository);
                    asked.push(ask_one(record, folder, said, env.now()));
                    continue;
                }
            };
            let answer = (record.launch, Ok(found));
            homes.0.insert(record.repository, answer);
        }
        if !asked.is_empty() {
            let permits = Arc::new(Semaphore::new(AT_ONCE));
            let answers = block_on(probe::at_once(&permits, asked.into_iter()))?;
            homes.0.extend(answers);
        }
        Ok(homes)
    }
}

/// The last loops that were jobs, have ended and are not settled.
fn ended(layout: &Layout, look: &Look<'_>) -> Result<Vec<LoopRecord>, Failure> {
    let (records, _) = LoopRecord::all(layout)?;
    let ended = records.into_iter().filter_map(|record| {
        let standing = look.at(record);
        let is_new = standing.record.job.is_some() && standing.record.settled.is_none();
        (is_new && standing.state.is_final()).then_some(standing.record)
    });
    Ok(ended.collect())
}

/// Why the work of jobs that ended could not be brought home now, by the repository. The remotes are asked whether they
/// answer, and nothing is fetched.
///
/// # Errors
/// As [`Homes::ask`].
pub(crate) fn out_of_reach(
    layout: &Layout,
    look: &Look<'_>,
) -> Result<BTreeMap<String, String>, Failure> {
    let meant = ended(layout, look)?.into_iter();
    let meant = meant.filter(|record| !said(layout, record).is_nothing());
    let asked = meant.map(|record| {
        let folder = layout.repository(&record.repository);
        async move {
            let question = ["ls-remote", "--quiet", "origin", "HEAD"];
            let answer = probe::git_within(&folder, &question, LIMIT).await;
            answer.err().map(|why| {
                let why = away(&record, &folder, &format!("origin cannot be asked: {why}"));
                (record.repository, why)
            })
        }
    });
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let answers = block_on(probe::at_once(&permits, asked))?;
    Ok(answers.into_iter().flatten().collect())
}

/// Work that is not here, and how it comes.
pub(crate) fn away(record: &LoopRecord, folder: &Path, why: &str) -> String {
    let (name, job) = (&record.repository, record.job.as_ref());
    let (folder, branch) = (folder.display(), job.map_or("", |job| &job.branch));
    format!(
        "{name}: what its job delivered is not here yet: {why}; it is on origin, with branch {branch}: once \
         `git -C {folder} fetch origin` works, wb-ralph-dispatch --sweep brings it home"
    )
}

async fn ask_one(
    record: LoopRecord,
    folder: PathBuf,
    said: Said,
    now: Timestamp,
) -> (String, (String, Result<Found, String>)) {
    let found = fetched(&record, &folder, &said, now).await;
    (record.repository, (record.launch, found))
}

async fn fetched(
    record: &LoopRecord,
    folder: &Path,
    said: &Said,
    now: Timestamp,
) -> Result<Found, String> {
    let git = async |arguments: &[&str]| probe::git_within(folder, arguments, LIMIT).await;
    let _ = git(&["fetch", "--quiet", "origin", BRANCHES]).await?;
    let Some(job) = record.job.as_ref().filter(|_| said.has_result) else {
        return Ok(Found::Nothing);
    };
    let tip = format!("refs/remotes/origin/{}", job.branch);
    let commit = git(&["for-each-ref", "--format=%(objectname)", &tip]).await?;
    let commit = commit.trim().to_owned();
    if commit.is_empty() {
        return Ok(Found::Gone);
    }
    let began = match &job.request.git {
        Some(began) => plan_at(folder, &began.sha).await?,
        None => String::new(),
    };
    Ok(Found::Result(Box::new(Ticks {
        began,
        theirs: plan_at(folder, &commit).await?,
        delivered: Delivered {
            branch: job.branch.clone(),
            commit,
            pull_request: None,
            delivered_at: now,
        },
    })))
}

/// The plan at a commit; empty where there is none.
async fn plan_at(folder: &Path, commit: &str) -> Result<String, String> {
    let names = probe::git(folder, &["ls-tree", "--name-only", commit, "--", PLAN]).await?;
    if names.trim().is_empty() {
        return Ok(String::new());
    }
    probe::git(folder, &["show", &format!("{commit}:./{PLAN}")]).await
}
