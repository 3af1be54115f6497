//! The verification half: the answers about everything that is outstanding are judged, and the books made true.
//!
//! Whatever fails for one run or one project is its own finding; the others go on.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::act::ask::{asked_for_session, readable_mut};
use crate::act::commit::Committed;
use crate::act::look::said;
use crate::act::target::Target;
use crate::act::{ActError, Dispatcher, Options};
use crate::backend::BackendError;
use crate::change::ChangeSet;
use crate::error::{Code, Coded as _, with_causes};
use crate::id::Slug;
use crate::phase::Phase;
use crate::pipeline::{RunKey, RunView};
use crate::plan::items;
use crate::plan::unsettled::{self, IntentVerdict};
use crate::plan::untracked::{Untracked, blocking, untracked};
use crate::plan::verify::{self, RunFinding, RunVerdict};
use crate::report::{Problem, Verified};
use crate::settle::{ending, entry, finish, submission};
use crate::world::{ClusterReach, Facts, Forgotten, Intent, Observations, ProjectState, World};

/// What the verification of all projects came to.
#[derive(Debug, Default)]
pub(super) struct Verification {
    pub(super) cluster_problem: Option<Problem>,
    pub(super) verified: Vec<Verified>,
    pub(super) confirmed: usize,
}

/// What stands in the way of an answer is told with this.
pub(super) const NOTHING_IS_LOST: &str =
    "Nothing is lost: the next dispatch looks for the job before it does anything else.";

/// What verifying one project came to: its facts afterwards, and what is to be said.
type Outcome = (Result<ProjectState, ActError>, Vec<Verified>);

impl Dispatcher {
    /// Judges the answers for every chosen project, makes the books true, and puts what changed into `world`.
    pub(super) async fn verify(
        self: &Arc<Self>,
        world: &mut World,
        seen: &Arc<Observations>,
        options: &Options,
    ) -> Verification {
        let mut all = Verification::default();
        if let ClusterReach::Failed(error) = &seen.cluster {
            all.cluster_problem = Some(Problem::of(error));
        }
        for project in &mut world.projects {
            let chosen = options.chooses(&project.slug);
            let Some(facts) = readable_mut(project).filter(|_| chosen) else {
                continue;
            };
            // Where the plan stops at such a job, it says so itself.
            if options.verify_only || blocking(facts).is_none() {
                let jobs = untracked(facts);
                all.verified.extend(jobs.iter().map(|job| told(facts, job)));
            }
            let look = self.look(facts, seen);
            all.confirmed += look.confirmed;
            if look.is_as_said(facts) {
                continue;
            }
            // A dry run remembers nothing on disk, so where no file would change there is nothing to read again.
            if options.dry_run && !look.changes {
                let said = look.findings.iter().filter_map(|found| said(facts, found));
                all.verified.extend(said);
                facts.sightings = look.memory;
                continue;
            }
            self.say(&format!("{}: verifying", project.slug));
            let (state, found) = self
                .verify_apart(&project.slug, seen, options.dry_run)
                .await;
            all.verified.extend(found);
            match state {
                Ok(state) => project.state = state,
                Err(error) => {
                    all.verified.push(failed(&project.slug, &error));
                    all.verified
                        .extend(self.recover_after(&project.slug, &error));
                }
            }
        }
        all
    }

    /// In a task of its own, so that a panic is this project's outcome and not the end of the dispatch.
    async fn verify_apart(
        self: &Arc<Self>,
        slug: &Slug,
        seen: &Arc<Observations>,
        dry_run: bool,
    ) -> Outcome {
        let (this, seen, own) = (Arc::clone(self), Arc::clone(seen), slug.clone());
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut found = Vec::new();
            let state = this.verify_project(&own, &seen, dry_run, &mut found).await;
            (state, found)
        });
        match task.join_next().await {
            Some(Ok(outcome)) => outcome,
            _ => (Err(ActError::panicked(slug)), Vec::new()),
        }
    }

    async fn verify_project(
        &self,
        slug: &Slug,
        seen: &Observations,
        dry_run: bool,
        verified: &mut Vec<Verified>,
    ) -> Result<ProjectState, ActError> {
        let mut target = self.target(slug, dry_run)?;
        let mut facts = self.facts(slug, &target)?;
        if let Some(changes) = self.session_change(&facts, seen) {
            self.apply(&mut target, changes)?;
            facts = self.facts(slug, &target)?;
        }
        for lost in facts.forgotten.clone() {
            verified.push(self.restore(&facts, &lost, &mut target)?);
            facts = self.facts(slug, &target)?;
        }
        for intent in facts.intents.clone() {
            verified.push(
                self.settle_intent(&facts, &intent, seen, &mut target)
                    .await?,
            );
            facts = self.facts(slug, &target)?;
        }
        let (findings, memory) = verify::runs(&facts, seen, &self.context(self.env.now()));
        let mended = self.mend(&facts, &findings, &mut target)?;
        if mended.iter().any(has_changed) {
            facts = self.facts(slug, &target)?;
        }
        verified.extend(mended);
        for finding in &findings {
            let name = finish::name(&finding.key);
            match self.settle_run(&facts, finding, &mut target).await {
                Ok(None) => continue,
                Ok(Some(found)) => {
                    if has_changed(&found) {
                        facts = self.facts(slug, &target)?;
                    }
                    verified.push(found);
                }
                // What the cluster could not tell about one run does not keep the others waiting.
                Err(error @ ActError::Backend(_)) => verified.push(Verified {
                    run: name,
                    ..failed(slug, &error)
                }),
                Err(error) => return Err(error),
            }
        }
        if memory != facts.sightings {
            target.remember(&memory)?;
        }
        facts.sightings = memory;
        Ok(ProjectState::Readable(Box::new(facts)))
    }

    /// No session: the projects that need the cluster ask for one, nothing is marked failed, others go on.
    pub(super) fn session_change(&self, facts: &Facts, seen: &Observations) -> Option<ChangeSet> {
        let now = self.env.now();
        let changes = match &seen.cluster {
            ClusterReach::Failed(BackendError::NoSession { .. }) => {
                let has_live = facts.live_runs().next().is_some() || !facts.intents.is_empty();
                let needs = match facts.phase() {
                    Phase::Run => has_live || items::ready_item(facts).is_some(),
                    Phase::WaitSlurm | Phase::Check => has_live,
                    _ => false,
                };
                (needs && !facts.view.needs_user_input.value)
                    .then(|| submission::no_session(facts, &self.session_prompt, now))
            }
            ClusterReach::Answered => {
                asked_for_session(facts).then(|| submission::session_is_open(facts, now))
            }
            _ => None,
        };
        changes.filter(|changes| !changes.files.is_empty())
    }

    /// Puts a run back that the state file has lost.
    fn restore(
        &self,
        facts: &Facts,
        lost: &Forgotten,
        target: &mut Target,
    ) -> Result<Verified, ActError> {
        let changes = submission::restored(facts, lost, &self.settings.poll, self.env.now());
        let committed = self.apply(target, changes)?;
        let found = Verified {
            job: Some(lost.job.to_string()),
            detail: "its ledger says that it was submitted and the state file had lost it; it is in the books again"
                .to_owned(),
            ..found(facts, &lost.run, "restored")
        };
        Ok(with(found, committed))
    }

    async fn settle_intent(
        &self,
        facts: &Facts,
        intent: &Intent,
        seen: &Observations,
        target: &mut Target,
    ) -> Result<Verified, ActError> {
        let run = intent.request.run.to_string();
        let now = self.env.now();
        let (verdict, sighted) = unsettled::intent(intent, facts, seen, now);
        if let Some(sighted) = sighted {
            let mut sightings = facts.sightings.clone();
            let key = intent.request.token.to_string();
            sightings.entries.insert(key, sighted);
            target.remember(&sightings)?;
        }
        let found = |finding: &str, detail: String| Verified {
            detail,
            ..found(facts, &run, finding)
        };
        Ok(match verdict {
            IntentVerdict::Wait { why } => not_settled(found("unsettled", why)),
            IntentVerdict::Abandon => {
                let committed = self.apply(target, submission::abandoned(facts, intent, now))?;
                let detail = "there is no job of this submission; the item may be submitted again";
                with(found("abandoned", detail.to_owned()), committed)
            }
            IntentVerdict::Resend if !target.is_disk() => {
                found("unsettled", "it would be sent again".to_owned())
            }
            IntentVerdict::Resend => {
                let sent = self.send(self.backend()?, facts, intent, None).await?;
                match sent.job {
                    Some(_) => with(found("submitted", sent.outcome), sent.committed),
                    None if sent.problem.is_none() => {
                        with(found("refused", sent.outcome), sent.committed)
                    }
                    None => Verified {
                        problem: sent.problem,
                        ..with(found("unsettled", sent.outcome), sent.committed)
                    },
                }
            }
            IntentVerdict::Adopt(receipt) | IntentVerdict::Refused(receipt) => {
                let settled = self.settlement(facts, intent, &receipt);
                let committed = self.apply(target, settled.changes)?;
                let word = if settled.job.is_some() {
                    "adopted"
                } else {
                    "refused"
                };
                Verified {
                    problem: settled.problem,
                    ..with(found(word, settled.outcome), committed)
                }
            }
        })
    }

    /// Records that only stand in the wrong list or show an old word, all in one operation.
    fn mend(
        &self,
        facts: &Facts,
        findings: &[RunFinding],
        target: &mut Target,
    ) -> Result<Vec<Verified>, ActError> {
        let mut mending = finish::Mending::default();
        let mut said = Vec::new();
        for finding in findings {
            let Some(run) = run_of(facts, &finding.key) else {
                continue;
            };
            let name = finish::name(&run.key);
            match &finding.verdict {
                RunVerdict::Misfiled => {
                    mending.misfiled.push(run.key.clone());
                    let word = run.status_text.as_deref().unwrap_or("ended");
                    let detail = format!("its record says {word}; filed under completed_runs");
                    said.push((name, "filed", detail));
                }
                RunVerdict::FiledTwice => {
                    mending.twice.push(run.key.clone());
                    let detail = "completed_runs says how it ended; taken out of active_runs";
                    said.push((name, "filed", detail.to_owned()));
                }
                RunVerdict::Alive { status, .. } if finish::says_otherwise(run, status) => {
                    mending.alive.push((run.key.clone(), status));
                    said.push((name, status, format!("the cluster says {status}")));
                }
                _ => {}
            }
        }
        let committed = self.apply(target, finish::mended(facts, &mending, self.env.now()))?;
        let verified = |(name, word, detail): (String, &str, String)| {
            let found = found(facts, &name, word);
            with(Verified { detail, ..found }, committed.clone())
        };
        Ok(said.into_iter().map(verified).collect())
    }

    async fn settle_run(
        &self,
        facts: &Facts,
        finding: &RunFinding,
        target: &mut Target,
    ) -> Result<Option<Verified>, ActError> {
        let Some(run) = run_of(facts, &finding.key) else {
            return Ok(None);
        };
        match &finding.verdict {
            RunVerdict::Ended { reports } => {
                Ok(Some(self.settle_ended(facts, run, reports, target).await?))
            }
            RunVerdict::Lost { since, asked } => {
                let diagnosis = entry::lost(run, *since, asked);
                let ending = ending::Ending {
                    run,
                    reports: &[],
                    diagnosis: &diagnosis,
                    logs: &[],
                };
                Ok(Some(self.record_end(facts, &ending, target, "lost")?))
            }
            RunVerdict::Unconfirmed | RunVerdict::Settling => Ok(said(facts, finding)),
            RunVerdict::Misfiled
            | RunVerdict::FiledTwice
            | RunVerdict::Alive { .. }
            | RunVerdict::Unknown { .. }
            | RunVerdict::NoJob => Ok(None),
        }
    }
}

/// A job that only a sentence has.
fn told(facts: &Facts, named: &Untracked) -> Verified {
    Verified {
        job: Some(named.job.to_string()),
        detail: named.advice(facts),
        ..found(facts, "", "untracked")
    }
}

/// Whether the project has to be read again: a finding that changed no file left it as it was.
fn has_changed(found: &Verified) -> bool {
    found.op.is_some() || !found.files.is_empty()
}

/// The run as it stands now: earlier changes of this pass may have moved it.
pub(super) fn run_of<'a>(facts: &'a Facts, key: &RunKey) -> Option<&'a RunView> {
    let runs = &facts.view.active_runs;
    if let Some(exact) = runs.get(key.index).filter(|run| run.key == *key) {
        return Some(exact);
    }
    let same = |run: &&RunView| run.key.run_id == key.run_id && run.key.job_id == key.job_id;
    runs.iter().find(same)
}

/// A finding without a detail yet.
pub(super) fn found(facts: &Facts, run: &str, finding: &str) -> Verified {
    Verified {
        project: facts.slug.to_string(),
        run: run.to_owned(),
        job: None,
        finding: finding.to_owned(),
        detail: String::new(),
        files: Vec::new(),
        op: None,
        problem: None,
    }
}

/// A finding with what it changed.
pub(super) fn with(found: Verified, committed: Committed) -> Verified {
    let detail = match committed.warnings.as_slice() {
        [] => found.detail,
        warnings => format!("{} ({})", found.detail, warnings.join("; ")),
    };
    Verified {
        files: committed.files,
        op: committed.op.map(|op| op.to_string()),
        detail,
        ..found
    }
}

fn not_settled(found: Verified) -> Verified {
    let hint = Some(NOTHING_IS_LOST.to_owned());
    Verified {
        problem: Some(Problem::new(Code::Unclear, found.detail.clone(), hint)),
        ..found
    }
}

/// A project that could not be verified.
pub(super) fn failed(slug: &Slug, error: &ActError) -> Verified {
    let word = match error.code() {
        Code::Locked => "locked",
        _ => "error",
    };
    Verified {
        project: slug.to_string(),
        run: String::new(),
        job: None,
        finding: word.to_owned(),
        detail: with_causes(error),
        files: Vec::new(),
        op: None,
        problem: Some(Problem::of(error)),
    }
}
