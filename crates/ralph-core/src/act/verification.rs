//! The verification half: the answers about everything that is outstanding are judged, and the books made true.
//!
//! Whatever fails for one run or one project is its own finding; the others go on.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::act::ask::{asked_for_session, readable_mut};
use crate::act::books::Books;
use crate::act::look::said;
use crate::act::{ActError, Dispatcher, Options};
use crate::backend::BackendError;
use crate::change::ChangeSet;
use crate::error::Code;
use crate::id::Slug;
use crate::phase::Phase;
use crate::pipeline::{RunKey, RunView};
use crate::plan::items;
use crate::plan::unsettled::{self, IntentVerdict};
use crate::plan::untracked::{Untracked, blocking, untracked};
use crate::plan::verify::{self, RunFinding, RunVerdict};
use crate::report::{Problem, Verified};
use crate::settle::{finish, submission};
use crate::world::{ClusterReach, Facts, Forgotten, Intent, Observations, ProjectState, World};

/// What the verification of all projects came to.
#[derive(Debug, Default)]
pub(super) struct Verification {
    pub(super) cluster_problem: Option<Problem>,
    pub(super) verified: Vec<Verified>,
    pub(super) confirmed: usize,
}

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
                    all.verified.push(Verified::failed(&project.slug, &error));
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
            _ => (Err(ActError::Panicked { slug: slug.clone() }), Vec::new()),
        }
    }

    /// One project, from what is lost to what has ended; each step sees what the one before it has changed.
    async fn verify_project(
        &self,
        slug: &Slug,
        seen: &Observations,
        dry_run: bool,
        verified: &mut Vec<Verified>,
    ) -> Result<ProjectState, ActError> {
        let mut books = Books::open(self, slug, dry_run)?;
        if let Some(changes) = self.session_change(&books.facts, seen) {
            books.apply(changes)?;
        }
        for lost in books.facts.forgotten.clone() {
            verified.push(self.restore(&mut books, &lost)?);
        }
        for intent in books.facts.intents.clone() {
            verified.push(self.settle_intent(&mut books, &intent, seen).await?);
        }
        let (findings, memory) = verify::runs(&books.facts, seen, &self.context(self.env.now()));
        verified.extend(self.mend(&mut books, &findings)?);
        for finding in &findings {
            match self.settle_run(&mut books, finding).await {
                Ok(found) => verified.extend(found),
                // What the cluster could not tell about one run does not keep the others waiting.
                Err(error @ ActError::Backend(_)) => verified.push(Verified {
                    run: finish::name(&finding.key),
                    ..Verified::failed(slug, &error)
                }),
                Err(error) => return Err(error),
            }
        }
        books.remember(memory)?;
        Ok(ProjectState::Readable(Box::new(books.facts)))
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
    fn restore(&self, books: &mut Books<'_>, lost: &Forgotten) -> Result<Verified, ActError> {
        let slug = books.facts.slug.clone();
        let changes = submission::restored(&books.facts, lost, &self.settings.poll, self.env.now());
        let detail = "its ledger says that it was submitted and the state file had lost it; it is in the books again";
        let found = Verified::of_run(&slug, &lost.run, "restored", detail);
        Ok(found
            .of_job(Some(lost.job.to_string()))
            .with(books.apply(changes)?))
    }

    async fn settle_intent(
        &self,
        books: &mut Books<'_>,
        intent: &Intent,
        seen: &Observations,
    ) -> Result<Verified, ActError> {
        let now = self.env.now();
        let (slug, run) = (books.facts.slug.clone(), intent.request.run.as_str());
        let (verdict, sighted) = unsettled::intent(intent, &books.facts, seen, now);
        if let Some(sighted) = sighted {
            let mut sightings = books.facts.sightings.clone();
            let key = intent.request.token.to_string();
            sightings.entries.insert(key, sighted);
            books.remember(sightings)?;
        }
        let found = |finding, detail: String| Verified::of_run(&slug, run, finding, detail);
        Ok(match verdict {
            IntentVerdict::Wait { why } => Verified::unsettled(&slug, run, why),
            IntentVerdict::Abandon => {
                let changes = submission::abandoned(&books.facts, intent, now);
                let detail = "there is no job of this submission; the item may be submitted again";
                found("abandoned", detail.to_owned()).with(books.apply(changes)?)
            }
            IntentVerdict::Resend if !books.is_on_disk() => {
                found("unsettled", "it would be sent again".to_owned())
            }
            IntentVerdict::Resend => {
                let sent = self
                    .send(self.backend()?, &books.facts, intent, None)
                    .await?;
                books.read_again()?;
                let finding = match (&sent.job, &sent.problem) {
                    (Some(_), _) => "submitted",
                    (None, Some(problem)) if problem.code == Code::Unclear.name() => "unsettled",
                    (None, _) => "refused",
                };
                Verified {
                    problem: sent.problem,
                    ..found(finding, sent.outcome).with(sent.committed)
                }
            }
            IntentVerdict::Adopt(receipt) | IntentVerdict::Refused(receipt) => {
                let settled = self.settlement(&books.facts, intent, &receipt);
                let finding = match settled.job {
                    Some(_) => "adopted",
                    None => "refused",
                };
                Verified {
                    problem: settled.problem,
                    ..found(finding, settled.outcome).with(books.apply(settled.changes)?)
                }
            }
        })
    }

    /// Records that only stand in the wrong list or show an old word, all in one operation.
    fn mend(
        &self,
        books: &mut Books<'_>,
        findings: &[RunFinding],
    ) -> Result<Vec<Verified>, ActError> {
        let (mending, told) = mendings(&books.facts, findings);
        let committed = books.apply(finish::mended(&books.facts, &mending, self.env.now()))?;
        let with_it = |told: Verified| told.with(committed.clone());
        Ok(told.into_iter().map(with_it).collect())
    }

    async fn settle_run(
        &self,
        books: &mut Books<'_>,
        finding: &RunFinding,
    ) -> Result<Option<Verified>, ActError> {
        let Some(run) = run_of(&books.facts, &finding.key) else {
            return Ok(None);
        };
        let (changes, found) = match &finding.verdict {
            RunVerdict::Ended { reports } => self.explain_end(books, run, reports).await?,
            RunVerdict::Lost { since, asked } => {
                self.explain_loss(&books.facts, run, *since, asked)
            }
            RunVerdict::Unconfirmed | RunVerdict::Settling => {
                return Ok(said(&books.facts, finding));
            }
            RunVerdict::Misfiled
            | RunVerdict::FiledTwice
            | RunVerdict::Alive { .. }
            | RunVerdict::Unknown { .. }
            | RunVerdict::NoJob => return Ok(None),
        };
        Ok(Some(found.with(books.apply_ending(changes)?)))
    }
}

/// The records that only have to be put right, and what is said of each.
fn mendings(facts: &Facts, findings: &[RunFinding]) -> (finish::Mending, Vec<Verified>) {
    let mut mending = finish::Mending::default();
    let mut told = Vec::new();
    for finding in findings {
        let Some(run) = run_of(facts, &finding.key) else {
            continue;
        };
        let (word, detail) = match &finding.verdict {
            RunVerdict::Misfiled => {
                mending.misfiled.push(run.key.clone());
                let word = run.status_text.as_deref().unwrap_or("ended");
                let detail = format!("its record says {word}; filed under completed_runs");
                ("filed", detail)
            }
            RunVerdict::FiledTwice => {
                mending.twice.push(run.key.clone());
                let detail = "completed_runs says how it ended; taken out of active_runs";
                ("filed", detail.to_owned())
            }
            RunVerdict::Alive { status, .. } if finish::says_otherwise(run, status) => {
                mending.alive.push((run.key.clone(), *status));
                (*status, format!("the cluster says {status}"))
            }
            _ => continue,
        };
        let run = finish::name(&run.key);
        told.push(Verified::of_run(&facts.slug, run, word, detail));
    }
    (mending, told)
}

/// A job that only a sentence has.
fn told(facts: &Facts, named: &Untracked) -> Verified {
    Verified::of_project(&facts.slug, "untracked", named.advice(facts))
        .of_job(Some(named.job.to_string()))
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
