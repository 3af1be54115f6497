//! The verification half: one question about everything that is outstanding, then the books made true.
//!
//! In a dry run the same changes are applied to texts in memory, so that the plan that follows is the plan that a
//! real dispatch would make.

use std::path::PathBuf;

use crate::act::commit::{Committed, commit, rehearse, remember};
use crate::act::{ActError, Dispatcher, Options, logs};
use crate::backend::{BackendError, ClusterBackend};
use crate::change::ChangeSet;
use crate::classify::{Case, Diagnosis, classify};
use crate::error::{Code, Coded as _};
use crate::id::Slug;
use crate::job::JobReport;
use crate::phase::Phase;
use crate::pipeline::{RunKey, RunView};
use crate::plan::rules::SET_BY_SESSION;
use crate::plan::verify::{self, IntentVerdict, RunFinding, RunVerdict};
use crate::plan::{Questions, due};
use crate::project::{self, Texts};
use crate::report::{Problem, Verified};
use crate::settle::{finish, submission};
use crate::store::lock::ProjectLock;
use crate::world::{ClusterReach, Facts, Intent, Observations, Project, ProjectState, World};

/// What the verification of all projects came to.
#[derive(Debug, Default)]
pub(super) struct Verification {
    pub(super) cluster_problem: Option<Problem>,
    pub(super) verified: Vec<Verified>,
    pub(super) confirmed: usize,
}

/// Where the changes of one project go.
enum Target {
    /// The project's files, under its lock.
    Disk { folder: PathBuf, _lock: ProjectLock },
    /// Texts in memory.
    Memory(Texts),
}

impl Dispatcher {
    /// Asks the cluster once about everything that is outstanding.
    pub(super) async fn ask(&self, world: &World, options: &Options) -> Observations {
        let chosen = |project: &&Project| {
            options.projects.is_empty() || options.projects.contains(&project.slug)
        };
        let facts: Vec<&Facts> = world
            .projects
            .iter()
            .filter(chosen)
            .filter_map(readable)
            .collect();
        let questions = due(facts.iter().copied(), &self.context(self.env.now()));
        let steps_need_it = facts
            .iter()
            .any(|facts| matches!(facts.phase(), Phase::Run) || asked_for_session(facts));
        if questions.is_empty() && !steps_need_it {
            return Observations::none();
        }
        let mut seen = Observations::none();
        seen.cluster = match self.put(&questions, &mut seen).await {
            Ok(()) => ClusterReach::Answered,
            Err(error) => ClusterReach::Failed(error),
        };
        seen
    }

    async fn put(
        &self,
        questions: &Questions,
        seen: &mut Observations,
    ) -> Result<(), BackendError> {
        let backend = self.cluster.as_ref().map_err(Clone::clone)?;
        backend.check().await?;
        for intent in &questions.intents {
            let request = &intent.request;
            let receipt = backend.receipt(&request.token, request.intent_at).await;
            seen.receipts.insert(
                request.token.clone(),
                receipt.map_err(|error| error.to_string()),
            );
        }
        if !questions.jobs.is_empty() {
            let observations = backend.observe(&questions.jobs).await?;
            seen.jobs = observations
                .into_iter()
                .map(|observation| (observation.job, observation))
                .collect();
        }
        Ok(())
    }

    /// Judges the answers for every chosen project, makes the books true, and puts what changed into `world`.
    pub(super) async fn verify(
        &self,
        world: &mut World,
        seen: &Observations,
        options: &Options,
    ) -> Verification {
        let mut all = Verification::default();
        if let ClusterReach::Failed(error) = &seen.cluster {
            all.cluster_problem = Some(Problem::of(error));
        }
        for project in &mut world.projects {
            let chosen = options.projects.is_empty() || options.projects.contains(&project.slug);
            let Some(facts) = readable(project).filter(|_| chosen) else {
                continue;
            };
            if !self.concerns(facts, seen, &mut all) {
                continue;
            }
            let slug = project.slug.clone();
            self.say(&format!("{slug}: verifying"));
            match self
                .verify_project(&slug, seen, options, &mut all.verified)
                .await
            {
                Ok(state) => project.state = state,
                Err(error) => all.verified.push(failed(&slug, &error)),
            }
        }
        all
    }

    /// Whether anything has to be done about a project; what is as it is said to be is only counted.
    fn concerns(&self, facts: &Facts, seen: &Observations, all: &mut Verification) -> bool {
        let (findings, memory) = verify::runs(facts, seen, &self.context(self.env.now()));
        let as_said = |finding: &&RunFinding| match (&finding.verdict, run_of(facts, &finding.key))
        {
            (RunVerdict::Alive { status, .. }, Some(run)) => {
                finish::alive(facts, run, status, self.env.now())
                    .files
                    .is_empty()
            }
            _ => false,
        };
        let confirmed = findings.iter().filter(as_said).count();
        let idle = |finding: &RunFinding| {
            matches!(
                finding.verdict,
                RunVerdict::NoJob | RunVerdict::Unknown { .. }
            )
        };
        let quiet = findings.iter().filter(|finding| idle(finding)).count();
        all.confirmed += confirmed;
        confirmed + quiet < findings.len()
            || memory != facts.sightings
            || !facts.intents.is_empty()
            || self.session_change(facts, seen).is_some()
    }

    async fn verify_project(
        &self,
        slug: &Slug,
        seen: &Observations,
        options: &Options,
        verified: &mut Vec<Verified>,
    ) -> Result<ProjectState, ActError> {
        let mut target = self.target(slug, options.dry_run)?;
        let mut facts = self.facts(slug, &target)?;
        if let Some(changes) = self.session_change(&facts, seen) {
            self.apply(&mut target, changes)?;
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
        for finding in &findings {
            if let Some(found) = self.settle_run(&facts, finding, &mut target).await? {
                verified.push(found);
                facts = self.facts(slug, &target)?;
            }
        }
        if let Target::Disk { folder, .. } = &target
            && memory != facts.sightings
        {
            remember(folder, &memory)?;
        }
        facts.sightings = memory;
        Ok(ProjectState::Readable(Box::new(facts)))
    }

    fn target(&self, slug: &Slug, dry_run: bool) -> Result<Target, ActError> {
        let folder = project::folder(&self.root, slug);
        if !dry_run {
            return Ok(Target::Disk {
                _lock: self.lock(slug, "verify")?,
                folder,
            });
        }
        let texts = project::texts(&folder).map_err(unreadable)?;
        Ok(Target::Memory(texts))
    }

    fn facts(&self, slug: &Slug, target: &Target) -> Result<Facts, ActError> {
        match target {
            Target::Disk { .. } => self.read(slug),
            Target::Memory(texts) => project::facts(slug, texts).map_err(unreadable),
        }
    }

    fn apply(&self, target: &mut Target, changes: ChangeSet) -> Result<Committed, ActError> {
        match target {
            Target::Disk { folder, .. } => commit(folder, changes, &self.env),
            Target::Memory(texts) => rehearse(texts, changes),
        }
    }

    /// No session: the projects that need the cluster ask for one, nothing is marked failed, others go on.
    fn session_change(&self, facts: &Facts, seen: &Observations) -> Option<ChangeSet> {
        let now = self.env.now();
        let changes = match &seen.cluster {
            ClusterReach::Failed(BackendError::NoSession { .. }) => {
                let needs = matches!(facts.phase(), Phase::Run | Phase::WaitSlurm | Phase::Check);
                let live = facts.live_runs().next().is_some() || *facts.phase() == Phase::Run;
                (needs && live && !facts.view.needs_user_input.value)
                    .then(|| submission::no_session(facts, &self.session_prompt, now))
            }
            ClusterReach::Answered => {
                asked_for_session(facts).then(|| submission::session_is_open(facts, now))
            }
            _ => None,
        };
        changes.filter(|changes| !changes.files.is_empty())
    }

    async fn settle_intent(
        &self,
        facts: &Facts,
        intent: &Intent,
        seen: &Observations,
        target: &mut Target,
    ) -> Result<Verified, ActError> {
        let run = intent.request.run.to_string();
        let (verdict, sighted) = verify::intent(intent, facts, seen, self.env.now());
        if let Target::Disk { folder, .. } = &*target
            && let Some(sighted) = sighted
        {
            let mut sightings = facts.sightings.clone();
            sightings
                .entries
                .insert(intent.request.token.to_string(), sighted);
            remember(folder, &sightings)?;
        }
        let disk = matches!(target, Target::Disk { .. });
        let mut found = match verdict {
            IntentVerdict::Wait { why } => Verified {
                detail: why,
                ..found(facts, &run, "unsettled")
            },
            IntentVerdict::Abandon => {
                let changes = submission::abandoned(facts, intent, self.env.now());
                let committed = self.apply(target, changes)?;
                let detail =
                    "no source knows a job of this submission; the item may be submitted again"
                        .to_owned();
                with(
                    Verified {
                        detail,
                        ..found(facts, &run, "abandoned")
                    },
                    committed,
                )
            }
            IntentVerdict::Resend if disk => {
                let submitted = self.send(self.backend()?, facts, intent).await?;
                let word = if submitted.job.is_some() {
                    "submitted"
                } else {
                    "unsettled"
                };
                with(
                    Verified {
                        detail: submitted.outcome,
                        ..found(facts, &run, word)
                    },
                    submitted.committed,
                )
            }
            IntentVerdict::Resend => Verified {
                detail: "would be sent again".to_owned(),
                ..found(facts, &run, "unsettled")
            },
            IntentVerdict::Adopt(receipt) | IntentVerdict::Refused(receipt) if disk => {
                let settled = self.settle_receipt(facts, intent, &receipt)?;
                let word = if settled.job.is_some() {
                    "adopted"
                } else {
                    "refused"
                };
                with(
                    Verified {
                        detail: settled.outcome,
                        ..found(facts, &run, word)
                    },
                    settled.committed,
                )
            }
            IntentVerdict::Adopt(_) => Verified {
                detail: "the job is there and would be adopted".to_owned(),
                ..found(facts, &run, "adopted")
            },
            IntentVerdict::Refused(_) => Verified {
                detail: "was refused".to_owned(),
                ..found(facts, &run, "refused")
            },
        };
        if found.finding == "unsettled" && disk {
            let hint = "Nothing is lost: the next dispatch looks for the job before it does anything else.";
            found.problem = Some(Problem::new(
                Code::Unclear,
                found.detail.clone(),
                Some(hint.to_owned()),
            ));
        }
        Ok(found)
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
        let name = finish::name(&run.key);
        let now = self.env.now();
        Ok(match &finding.verdict {
            RunVerdict::Alive { status, .. } => {
                let committed = self.apply(target, finish::alive(facts, run, status, now))?;
                let detail = format!("the cluster says {status}");
                (!committed.files.is_empty()).then(|| {
                    with(
                        Verified {
                            detail,
                            ..found(facts, &name, status)
                        },
                        committed,
                    )
                })
            }
            RunVerdict::Misfiled => {
                let committed = self.apply(target, finish::misfiled(facts, &run.key, now))?;
                let detail = format!(
                    "its record says {}; filed under completed_runs",
                    run.status_text.as_deref().unwrap_or("ended")
                );
                Some(with(
                    Verified {
                        detail,
                        ..found(facts, &name, "filed")
                    },
                    committed,
                ))
            }
            RunVerdict::Ended { reports } => {
                Some(self.settle_ended(facts, run, reports, target).await?)
            }
            RunVerdict::Lost { since, asked } => {
                let diagnosis = finish::lost(run, *since, asked);
                Some(self.record_end(facts, run, &[], &diagnosis, &[], target, "lost")?)
            }
            RunVerdict::Unconfirmed => {
                let detail = "no source knows the job; that is not believed yet".to_owned();
                Some(Verified {
                    detail,
                    ..found(facts, &name, "unconfirmed")
                })
            }
            RunVerdict::Settling => {
                let detail = "ended, but may be requeued; believed after a minute".to_owned();
                Some(Verified {
                    detail,
                    ..found(facts, &name, "settling")
                })
            }
            RunVerdict::Unknown { .. } | RunVerdict::NoJob => None,
        })
    }

    async fn settle_ended(
        &self,
        facts: &Facts,
        run: &RunView,
        reports: &[JobReport],
        target: &mut Target,
    ) -> Result<Verified, ActError> {
        let backend = self.backend()?;
        let folder = project::folder(&self.root, &facts.slug);
        let keep = matches!(target, Target::Disk { .. });
        let collected = logs::collect(backend, &facts.slug, &folder, run, reports, keep).await?;
        let missing = self.missing_artifacts(backend, facts, run, reports).await?;
        let diagnosis = diagnose(reports, &collected, &missing);
        let status = verify::ended_status(reports);
        self.record_end(
            facts,
            run,
            reports,
            &diagnosis,
            &collected.paths,
            target,
            status,
        )
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one ending, each known to another caller"
    )]
    fn record_end(
        &self,
        facts: &Facts,
        run: &RunView,
        reports: &[JobReport],
        diagnosis: &Diagnosis,
        logs: &[String],
        target: &mut Target,
        word: &str,
    ) -> Result<Verified, ActError> {
        let ending = finish::Ending {
            run,
            reports,
            diagnosis,
            logs,
        };
        let changes = finish::ended(facts, &ending, &self.context(self.env.now()));
        let committed = self.apply(target, changes)?;
        let found = Verified {
            detail: finish::headline(diagnosis),
            ..found(facts, &finish::name(&run.key), word)
        };
        Ok(with(
            Verified {
                job: run.key.job_id.clone(),
                ..found
            },
            committed,
        ))
    }

    /// Files that the item says must exist, and that do not (incident 63). Only of a job that completed.
    async fn missing_artifacts(
        &self,
        backend: &dyn ClusterBackend,
        facts: &Facts,
        run: &RunView,
        reports: &[JobReport],
    ) -> Result<Vec<String>, BackendError> {
        let item = run.queue_id.as_deref().and_then(|id| facts.item(id));
        let Some(item) = item.filter(|item| {
            !item.artifacts.is_empty() && verify::ended_status(reports) == "completed"
        }) else {
            return Ok(Vec::new());
        };
        let there = backend.existing(&facts.slug, &item.artifacts).await?;
        let pairs = item
            .artifacts
            .iter()
            .zip(there.into_iter().chain(std::iter::repeat(false)));
        Ok(pairs
            .filter(|(_, there)| !there)
            .map(|(path, _)| path.clone())
            .collect())
    }
}

fn diagnose(reports: &[JobReport], collected: &logs::Collected, missing: &[String]) -> Diagnosis {
    let report = verify::decisive(reports);
    let Some(report) = report else {
        return classify(&Case {
            logs: &collected.texts,
            missing_artifacts: missing,
            ..Case::default()
        });
    };
    let told = report
        .tasks
        .iter()
        .find(|task| task.state == *report.verdict())
        .unwrap_or(report);
    classify(&Case::of(told, &collected.texts, missing))
}

fn readable(project: &Project) -> Option<&Facts> {
    match &project.state {
        ProjectState::Readable(facts) => Some(facts),
        ProjectState::Unreadable(_) => None,
    }
}

fn asked_for_session(facts: &Facts) -> bool {
    let input = &facts.view.needs_user_input;
    input.value && input.set_by.as_deref() == Some(SET_BY_SESSION)
}

fn unreadable(found: crate::world::Unreadable) -> ActError {
    ActError::Unreadable {
        code: found.code,
        message: found.message,
        hint: found.hint,
    }
}

/// The run as it stands now: earlier changes of this pass may have moved it.
fn run_of<'a>(facts: &'a Facts, key: &RunKey) -> Option<&'a RunView> {
    let same = |run: &&RunView| run.key.run_id == key.run_id && run.key.job_id == key.job_id;
    let mut runs = facts.view.active_runs.iter().filter(same);
    let first = runs.next()?;
    let exact = facts.view.active_runs.iter().find(|run| run.key == *key);
    if runs.next().is_some() {
        exact.or(Some(first))
    } else {
        Some(first)
    }
}

fn found(facts: &Facts, run: &str, finding: &str) -> Verified {
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

fn with(found: Verified, committed: Committed) -> Verified {
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

fn failed(slug: &Slug, error: &ActError) -> Verified {
    Verified {
        project: slug.to_string(),
        run: String::new(),
        job: None,
        finding: if error.code() == Code::Locked {
            "locked"
        } else {
            "error"
        }
        .to_owned(),
        detail: error.to_string(),
        files: Vec::new(),
        op: None,
        problem: Some(Problem::of(error)),
    }
}

impl Dispatcher {
    /// Finishes operations that a crash interrupted, in every project that has one.
    pub(super) fn finish_interrupted(&self, slugs: &[Slug]) -> Vec<Verified> {
        let mut found = Vec::new();
        for slug in slugs {
            let journal = crate::journal::Journal::open(&project::folder(&self.root, slug));
            match journal.has_unfinished() {
                Ok(false) => {}
                Ok(true) => found.extend(self.recover(slug, &journal)),
                Err(error) => found.push(failed(slug, &error.into())),
            }
        }
        found
    }

    fn recover(&self, slug: &Slug, journal: &crate::journal::Journal) -> Vec<Verified> {
        self.say(&format!("{slug}: finishing an interrupted operation"));
        // A project whose lock is held is being worked on: its operation is not interrupted.
        let recovered = self
            .lock(slug, "recover")
            .and_then(|_lock| Ok(journal.recover(&self.env)?));
        match recovered {
            Err(error) => vec![failed(slug, &error)],
            Ok(recovered) => recovered
                .into_iter()
                .map(|done| Verified {
                    project: slug.to_string(),
                    run: String::new(),
                    job: None,
                    finding: "recovered".to_owned(),
                    detail: format!("an interrupted operation was finished: {}", done.summary),
                    files: done.files,
                    op: Some(done.op.to_string()),
                    problem: None,
                })
                .collect(),
        }
    }
}
