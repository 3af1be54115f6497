//! Exactly one job per token, whoever asks, however often, and whoever dies in between.
//!
//! A token's folder is locked for as long as somebody submits it, so the next one finds a finished answer, or what
//! a dead one left, and goes on from there:
//!
//! | found in `receipts/<token>/` | and in the job's folder | what it proves |
//! |---|---|---|
//! | `answer.json` | | the answer |
//! | `claim.json` | `record.json` | the job has begun; only the answer was not written |
//! | `claim.json` | neither record nor lock | not begun; a start still on its way can be called off |
//! | neither | | nothing has happened |
//!
//! A job begins when its supervisor writes its record under the lock of the job's folder, which happens at most once
//! ([`crate::process::Hold`]). Nothing else starts anything.
//!
//! Two tokens of one item of the queue, as two clones or a second intent have them, exclude each other by the item's
//! lock: who has it sees what the others began, and calls off what a dead one left on its way.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::dependency::Condition;
use super::layout::{Layout, PLAN, SCRIPT, create_private};
use super::observe::{Look, read_plan};
use super::plan::{Desk, JobPlan, remarks};
use crate::backend::{FoundBy, Receipt, SubmitRequest};
use crate::crash_point;
use crate::id::{JobId, Token};
use crate::job::Finality;
use crate::process::hold::{VOID, call_off};
use crate::process::lock::LifeLock;
use crate::process::record::{Keep, RECORD, read_record, read_unsynced, replace, write_record};
use crate::process::spawn::{SpawnError, Spawned, Supervisor, launch_apart};
use crate::time::Timestamp;

/// A submission that has an id and may have a job.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    job: JobId,
    since: Timestamp,
}

/// The lasting answer to a token.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum Answer {
    Accepted { job: JobId, remarks: String },
    Refused { message: String },
}

impl From<Answer> for Receipt {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Accepted { job, remarks } => accepted(job, FoundBy::Marker, remarks),
            Answer::Refused { message } => Self::Refused {
                message,
                limit: false,
            },
        }
    }
}

/// Why a submission came to no answer. Nothing has begun then, or the next call will find it.
#[derive(Debug, thiserror::Error)]
pub(super) enum SubmitError {
    /// A file cannot be read or written.
    #[error("cannot use {}", .0.display())]
    Storage(PathBuf, #[source] io::Error),
    /// The job's supervisor did not begin.
    #[error("the job's supervisor did not begin")]
    Start(PathBuf, #[source] SpawnError),
}

/// One submission's files and hands.
pub(super) struct Submission<'a> {
    pub(super) layout: &'a Layout,
    pub(super) desk: Desk<'a>,
    pub(super) supervisor: &'a Supervisor,
    pub(super) boot_id: &'a str,
    pub(super) now: Timestamp,
}

const ANSWER: &str = "answer.json";
const CLAIM: &str = "claim.json";
const TOKEN_LOCK: &str = "lock";

impl Submission<'_> {
    /// Submits, or finds what came of it before. A supervisor that was started here is the second half.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub(super) fn submit(
        &self,
        request: &SubmitRequest,
    ) -> Result<(Receipt, Option<Spawned>), SubmitError> {
        let folder = self.layout.receipt(&request.token);
        let at = |path: &Path| storage(path);
        self.layout.create().map_err(at(&folder))?;
        create_private(&folder).map_err(at(&folder))?;
        let _lock = LifeLock::take(&folder.join(TOKEN_LOCK)).map_err(at(&folder))?;
        if let Some(answer) = answer(&folder)? {
            return Ok((answer.into(), None));
        }
        crash_point!("local.locked");
        // Always after the token's own, so that no two wait for each other.
        let _turn = self.turn(request)?;
        crash_point!("local.turn");
        if let Some(earlier) = self.earlier(request)? {
            return Ok((earlier, None));
        }
        let (answer, spawned) = match self.plan(request)? {
            Ok(plan) => {
                let remarks = remarks(&request.script);
                let (job, spawned) = self.begin(&folder, plan, &request.script)?;
                (Answer::Accepted { job, remarks }, spawned)
            }
            Err(message) => (Answer::Refused { message }, None),
        };
        crash_point!("local.begun");
        write_record(&folder.join(ANSWER), &answer, Keep::WhileTheMachineRuns)
            .map_err(at(&folder))?;
        Ok((answer.into(), spawned))
    }

    /// The lock of the request's item.
    fn turn(&self, request: &SubmitRequest) -> Result<Option<LifeLock>, SubmitError> {
        let Some(item) = &request.item else {
            return Ok(None);
        };
        let path = self.layout.item(&request.project, item);
        create_private(path.parent().unwrap_or(&path))
            .and_then(|()| LifeLock::take(&path))
            .map(Some)
            .map_err(storage(&path))
    }

    /// What stands against a submission of the item, whose lock is held: a job of an earlier one that lives, or a start
    /// that cannot be called off. A job whose plan cannot be read is nobody's; one of the item whose state cannot be
    /// read may live.
    fn earlier(&self, request: &SubmitRequest) -> Result<Option<Receipt>, SubmitError> {
        let Some(item) = &request.item else {
            return Ok(None);
        };
        let mut look = Look::new(self.layout, self.boot_id, self.now);
        let jobs = self.layout.jobs();
        let jobs = jobs.map_err(storage(&self.layout.receipt(&request.token)))?;
        for job in jobs.into_iter().rev() {
            let directory = self.layout.job(job);
            let plan = read_plan(&directory).ok().flatten();
            let Some(plan) = plan.filter(|plan| {
                plan.item.as_ref() == Some(item)
                    && plan.project == request.project
                    && plan.token != request.token
            }) else {
                continue;
            };
            let report = look.job_report(job).map_err(storage(&directory))?;
            match report {
                Some(report) if report.finality() == Finality::Alive => {
                    return Ok(Some(Receipt::Earlier {
                        same: plan.fingerprint == request.fingerprint(),
                        intent_at: plan.submitted,
                        token: plan.token,
                        run: plan.run,
                        job,
                    }));
                }
                Some(_) => {}
                // Its submitter is gone, or the item's lock would not be ours.
                None if call_off(&directory).map_err(storage(&directory))? => {}
                None => {
                    return Ok(Some(Receipt::Refused {
                        message: format!("it is being submitted already, as {}", plan.token),
                        limit: true,
                    }));
                }
            }
        }
        Ok(None)
    }

    /// The plan, or the refusal.
    fn plan(&self, request: &SubmitRequest) -> Result<Result<JobPlan, String>, SubmitError> {
        let refused = |why: &str| Ok(Err(format!("{}: {why}", request.script_path)));
        let plan = match JobPlan::read(request, &self.desk, self.now) {
            Ok(plan) => plan,
            Err(why) => return refused(&why),
        };
        if !plan.workdir.is_dir() {
            let folder = plan.workdir.display();
            return refused(&format!("the job's folder {folder} does not exist"));
        }
        let mut look = Look::new(self.layout, self.boot_id, self.now);
        for condition in plan.dependency.conditions() {
            let Some(job) = condition.job() else { continue };
            let known = look.progress(job);
            if known.map_err(storage(&self.layout.job(job)))?.is_none() {
                let start = matches!(condition, Condition::After(_));
                let what = if start { "start" } else { "end" };
                return refused(&format!(
                    "job dependency problem: waits for the {what} of {job}, which this cluster does not know"
                ));
            }
        }
        Ok(Ok(plan))
    }

    /// Begins the job of a token, or finds that it has begun. The token's lock is held.
    fn begin(
        &self,
        folder: &Path,
        mut plan: JobPlan,
        script: &str,
    ) -> Result<(JobId, Option<Spawned>), SubmitError> {
        plan.job = self.claim(folder, plan.tasks().len() as u64)?;
        crash_point!("local.claimed");
        let directory = self.layout.job(plan.job);
        let at = storage(&directory);
        if directory.join(RECORD).exists() {
            return Ok((plan.job, None));
        }
        replace(
            &directory.join(SCRIPT),
            script.as_bytes(),
            Keep::WhileTheMachineRuns,
        )
        .and_then(|()| write_record(&directory.join(PLAN), &plan, Keep::Durably))
        .map_err(at)?;
        crash_point!("local.planned");
        match launch_apart(&directory, self.supervisor) {
            Ok(spawned) => Ok((plan.job, Some(spawned))),
            // A start of an earlier submitter was still on its way and has come first.
            Err(_) if directory.join(RECORD).exists() => Ok((plan.job, None)),
            Err(error) => Err(SubmitError::Start(directory, error)),
        }
    }

    /// The id of the token's job: the one that was claimed, or a new one.
    fn claim(&self, folder: &Path, count: u64) -> Result<JobId, SubmitError> {
        let path = folder.join(CLAIM);
        let claim: Option<Claim> = read_record(&path).map_err(storage(&path))?;
        if let Some(claim) = claim
            && !self.layout.job(claim.job).join(VOID).exists()
        {
            return Ok(claim.job);
        }
        let job = self.layout.allocate(count).map_err(storage(folder))?;
        crash_point!("local.allocated");
        let since = self.now;
        write_record(&path, &Claim { job, since }, Keep::Durably).map_err(storage(&path))?;
        Ok(job)
    }
}

/// What became of a token. A start that a dead submitter left on its way is called off, so that
/// [`Receipt::Absent`] stays true.
///
/// # Errors
/// A file cannot be read or written.
pub(super) fn receipt(
    layout: &Layout,
    token: &Token,
    now: Timestamp,
) -> Result<Receipt, SubmitError> {
    let folder = layout.receipt(token);
    let at = |path: &Path| storage(path);
    if !folder.is_dir() {
        return Ok(Receipt::Absent);
    }
    if let Some(answer) = answer(&folder)? {
        return Ok(answer.into());
    }
    let claim_path = folder.join(CLAIM);
    let claim: Option<Claim> = read_record(&claim_path).map_err(at(&claim_path))?;
    // Tried more than once: a process that another thread is just starting holds a copy until it runs.
    let Some(_lock) = LifeLock::try_take(&folder.join(TOKEN_LOCK)).map_err(at(&folder))? else {
        let since = claim.map_or(now, |claim| claim.since);
        return Ok(Receipt::Claimed { since, at: now });
    };
    // Between the first look and the lock, somebody may have finished.
    if let Some(answer) = answer(&folder)? {
        return Ok(answer.into());
    }
    let Some(claim) = read_record::<Claim>(&claim_path).map_err(at(&claim_path))? else {
        return Ok(Receipt::Absent);
    };
    let directory = layout.job(claim.job);
    if call_off(&directory).map_err(at(&directory))? {
        return Ok(Receipt::Absent);
    }
    if directory.join(RECORD).exists() {
        return Ok(accepted(claim.job, FoundBy::Queue, String::new()));
    }
    Ok(Receipt::Claimed {
        since: claim.since,
        at: now,
    })
}

/// What was answered. An answer that was lost or spoilt is found again from the claim.
fn answer(folder: &Path) -> Result<Option<Answer>, SubmitError> {
    read_unsynced(&folder.join(ANSWER)).map_err(storage(folder))
}

fn accepted(job: JobId, how: FoundBy, remarks: String) -> Receipt {
    Receipt::Accepted {
        job,
        cluster: None,
        how,
        remarks,
    }
}

fn storage(path: &Path) -> impl FnOnce(io::Error) -> SubmitError + use<> {
    let path = path.to_owned();
    move |source| SubmitError::Storage(path, source)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::env::Env;
    use crate::store::crash::simulate::crash_after;

    /// Begins at most once per folder, as a real supervisor does, and writes down that it did.
    const SUPERVISOR: &str = r#"
        set -C
        [ ! -e "$0/void" ] || { echo "failed called off"; exit 1; }
        echo begun > "$0/record.json" || { echo "failed used"; exit 1; }
        set +C
        echo begun >> "$0/../../begun"
        echo "ready $$""#;

    struct Place {
        folder: tempfile::TempDir,
        layout: Layout,
        supervisor: Supervisor,
        env: Env,
        request: SubmitRequest,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir_all(folder.path().join("projects/demo")).unwrap();
            let (env, _clock) = Env::fixed(Timestamp::UNIX_EPOCH);
            let run = "q001".parse().unwrap();
            let request = SubmitRequest {
                token: env.ids.token(&run),
                run,
                item: None,
                project: "demo".parse().unwrap(),
                script_path: "slurm/jobs/q001.sbatch".to_owned(),
                script: "#!/bin/sh\n".to_owned(),
                script_sha256: String::new(),
                config_path: None,
                config: None,
                variables: BTreeMap::new(),
                git: None,
                after: Vec::new(),
                exclude: Vec::new(),
                intent_at: env.now(),
            };
            Self {
                layout: Layout::new(folder.path().join("cluster")),
                folder,
                supervisor: Supervisor {
                    program: "/bin/sh".into(),
                    args: vec!["-c".to_owned(), SUPERVISOR.to_owned()],
                },
                env,
                request,
            }
        }

        fn submit(&self) -> Receipt {
            let submission = Submission {
                layout: &self.layout,
                desk: Desk {
                    workspace: self.folder.path(),
                    host: &self.env.host,
                    user: &self.env.user,
                    slots: 1,
                    kill_wait: Duration::ZERO,
                },
                supervisor: &self.supervisor,
                boot_id: "this boot",
                now: self.env.now(),
            };
            submission.submit(&self.request).unwrap().0
        }

        fn receipt(&self) -> Receipt {
            receipt(&self.layout, &self.request.token, self.env.now()).unwrap()
        }

        fn begun(&self) -> usize {
            let file = self.folder.path().join("cluster/begun");
            fs::read_to_string(file).unwrap_or_default().lines().count()
        }
    }

    /// A loss of power leaves the name of a file that nobody waited for, and none of its bytes.
    #[test]
    fn an_answer_that_was_spoilt_is_found_again() {
        let place = Place::new();
        let Receipt::Accepted { job, .. } = place.submit() else {
            panic!("not accepted");
        };
        let spoil = || {
            let path = place.layout.receipt(&place.request.token).join(ANSWER);
            replace(&path, b"", Keep::WhileTheMachineRuns).unwrap();
        };
        spoil();
        let looked = place.receipt();
        assert!(matches!(looked, Receipt::Accepted { job: found, .. } if found == job));
        spoil();
        let again = place.submit();
        assert!(matches!(again, Receipt::Accepted { job: found, .. } if found == job));
        assert_eq!(place.begun(), 1);
    }

    /// Crashes at each point there is, with and without a look in between.
    #[test]
    fn a_crash_anywhere_leaves_one_job_or_none() {
        for look_between in [false, true] {
            let mut points = 0;
            loop {
                let place = Place::new();
                let done = crash_after(points, || place.submit()).is_some();
                assert!(place.begun() <= 1);
                if look_between {
                    let found = place.receipt();
                    assert_eq!(place.receipt(), found, "a look changes nothing");
                    assert_eq!(found == Receipt::Absent, place.begun() == 0, "{found:?}");
                }
                let Receipt::Accepted { job, .. } = place.submit() else {
                    panic!("not accepted after a crash at point {points}");
                };
                assert_eq!(place.begun(), 1, "after a crash at point {points}");
                assert!(
                    matches!(place.receipt(), Receipt::Accepted { job: found, .. } if found == job)
                );
                if done {
                    break;
                }
                points += 1;
            }
            assert!(points >= 12, "only {points} points were passed");
        }
    }
}
