//! Taking one step of one project: lock, read again, plan again, act, commit, unlock.

use crate::act::attempt::{TESTS, not_started};
use crate::act::commit::{Committed, commit, on_disk, refused, remember};
use crate::act::outbox::Seat;
use crate::act::submit::Wanted;
use crate::act::view::step_report;
use crate::act::{ActError, Dispatcher, agent};
use crate::change::ChangeSet;
use crate::error::with_causes;
use crate::job::{JobState, Sighting};
use crate::ledger::ResultLedger;
use crate::order::{OrderOutcome, WorkOrder};
use crate::plan::rules::plural;
use crate::plan::{ProjectStep, Step, rules};
use crate::process::bounded::{Ended, Program};
use crate::process::guard::Guard;
use crate::project;
use crate::report::{Problem, StepReport};
use crate::settings::{AgentChoice, CommandLine};
use crate::settle::order::TestOutcome;
use crate::settle::words::one_line;
use crate::settle::{self, check, order};
use crate::store::lock::ProjectLock;
use crate::world::{Facts, Observations, ProjectState};

/// What a step did.
struct Taken {
    outcome: String,
    committed: Committed,
    job: Option<String>,
    problem: Option<Problem>,
}

impl Taken {
    fn plain(outcome: impl Into<String>, committed: Committed) -> Self {
        Self {
            outcome: outcome.into(),
            committed,
            job: None,
            problem: None,
        }
    }
}

impl Dispatcher {
    /// Takes a planned step; whatever goes wrong is in its report.
    pub(super) async fn take_step(
        &self,
        planned: &ProjectStep,
        seen: &Observations,
        seat: Option<Seat>,
    ) -> StepReport {
        let mut report = step_report(planned, String::new());
        match self.locked_step(planned, seen, seat, &mut report).await {
            Ok(taken) => {
                report.outcome = taken.outcome;
                if !matches!(self.settings.agent, AgentChoice::Caller) {
                    // What the agent has done is no order to the caller any more.
                    report.order = None;
                }
                report.job = taken.job;
                report.problem = taken.problem;
                report.files = taken.committed.files;
                report.op = taken.committed.op.map(|op| op.to_string());
                report.warnings = taken.committed.warnings;
            }
            Err(error) => {
                self.recover_after(&planned.slug, &error);
                report.problem = Some(Problem::of(&error));
                report.outcome = with_causes(&error);
                if let ActError::Preflight { files, op, .. } = error {
                    report.files = files;
                    report.op = op.map(|op| op.to_string());
                }
            }
        }
        if let Ok(facts) = self.read(&planned.slug) {
            report.phase_after = facts.phase().to_string();
        }
        report
    }

    async fn locked_step(
        &self,
        planned: &ProjectStep,
        seen: &Observations,
        seat: Option<Seat>,
        report: &mut StepReport,
    ) -> Result<Taken, ActError> {
        let lock = self.lock(&planned.slug, "dispatch")?;
        let facts = self.read(&planned.slug)?;
        report.phase_before = facts.phase().to_string();
        // The files may have moved since the plan was made: what they say now counts.
        let step = match rules::next_step(&facts, seen, &self.context(self.env.now())) {
            Ok(step) => step,
            Err(passed) => {
                return Ok(Taken::plain(
                    format!("nothing to do any more: {}", passed.reason),
                    Committed::default(),
                ));
            }
        };
        if step.step != planned.step {
            *report = step_report(&step, report.phase_before.clone());
        }
        self.can_be_changed(&step.slug)?;
        self.say(&format!("{}: {}", step.slug, step.because));
        self.perform(&facts, &step, lock, (seen, seat)).await
    }

    async fn perform(
        &self,
        facts: &Facts,
        planned: &ProjectStep,
        lock: ProjectLock,
        (seen, seat): (&Observations, Option<Seat>),
    ) -> Result<Taken, ActError> {
        let now = self.env.now();
        let context = self.context(now);
        match &planned.step {
            Step::Submit { item, attempt } => {
                let wanted = Wanted::of_queue(facts, item, *attempt)?;
                let submitted = self.submit(facts, wanted, seat).await?;
                drop(lock);
                Ok(Taken {
                    problem: submitted.problem,
                    job: submitted.job.map(|job| job.to_string()),
                    ..Taken::plain(submitted.outcome, submitted.committed)
                })
            }
            Step::Poll => self.settle(facts, &asked(facts, seen), check::polled(facts, &context)),
            Step::Check { runs } => self.check(facts, runs),
            Step::Advance { to } => {
                let because = &planned.because;
                self.settle(
                    facts,
                    &format!("moved on to {to}: {because}"),
                    check::advanced(facts, to, because, &context),
                )
            }
            Step::Test(command) => self.test(facts, command, lock).await,
            Step::Order(order) => self.order(facts, order, lock).await,
        }
    }

    fn settle(&self, facts: &Facts, outcome: &str, changes: ChangeSet) -> Result<Taken, ActError> {
        let committed = commit(
            &project::folder(&self.root, &facts.slug),
            changes,
            &self.env,
        )?;
        Ok(Taken::plain(outcome, committed))
    }

    fn check(&self, facts: &Facts, runs: &[(String, String)]) -> Result<Taken, ActError> {
        let folder = project::folder(&self.root, &facts.slug);
        let completed = facts.view.completed_runs.iter();
        let finished: Vec<_> = completed
            .filter(|run| {
                runs.iter()
                    .any(|(id, _)| run.key.run_id.as_deref() == Some(id))
            })
            .map(|run| {
                let id = run.key.run_id.as_deref().unwrap_or("");
                let text =
                    std::fs::read_to_string(folder.join("runs").join(id).join("result.json")).ok();
                (
                    run,
                    text.and_then(|text| serde_json::from_str::<ResultLedger>(&text).ok()),
                )
            })
            .collect();
        let now = self.env.now();
        let changes = check::checked(facts, &finished, &self.context(now));
        let words = format!("results of {} recorded", plural(finished.len(), "run"));
        let taken = self.settle(facts, &words, changes)?;
        if !taken.committed.warnings.is_empty() {
            // The queue does not take its edit. That is reported once, not tried for ever.
            remember(&folder, &check::remembered(facts, runs, now))?;
        }
        Ok(taken)
    }

    /// The lock is given back while the tests run: they take minutes, and read only what is theirs.
    async fn test(
        &self,
        facts: &Facts,
        command: &CommandLine,
        lock: ProjectLock,
    ) -> Result<Taken, ActError> {
        let mut attempt = self.attempt(&facts.slug, TESTS).await?;
        drop(lock);
        let argv = command.argv();
        let folder = project::folder(&self.root, &facts.slug);
        let program = Program {
            argv: &argv,
            folder: &folder,
            variables: &[attempt.variable()],
            input: b"",
            limit: self.settings.test_time_limit,
        };
        let ended = attempt.run(Guard::start(&self.guard_program)?, &program);
        let outcome = match ended.await {
            Ok(ended) => TestOutcome {
                passed: ended.success(),
                how: ended.how(),
                command: argv.join(" "),
                tail: tail(&ended),
            },
            Err(error) => TestOutcome {
                passed: false,
                how: not_started(error)?,
                command: argv.join(" "),
                tail: String::new(),
            },
        };
        let _lock = self.lock(&facts.slug, "dispatch")?;
        let facts = self.read(&facts.slug)?;
        let words = if outcome.passed {
            "the tests pass".to_owned()
        } else {
            format!("the tests fail: {}", outcome.how)
        };
        let changes = order::tested(&facts, &outcome, &self.context(self.env.now()));
        let taken = self.settle(&facts, &words, changes)?;
        attempt.end()?;
        Ok(taken)
    }

    /// The lock is given back while an agent works: it takes minutes to hours, and edits the documents itself.
    async fn order(
        &self,
        facts: &Facts,
        asked: &WorkOrder,
        lock: ProjectLock,
    ) -> Result<Taken, ActError> {
        let argv = match &self.settings.agent {
            AgentChoice::Caller => {
                let changes = order::settled(
                    facts,
                    asked,
                    &OrderOutcome::HandedOut,
                    &self.context(self.env.now()),
                );
                return self.settle(
                    facts,
                    &format!("{}: {}", asked.kind.as_str(), asked.title),
                    changes,
                );
            }
            AgentChoice::Command(command) => command.argv(),
            AgentChoice::Engine(engine) => {
                return Err(ActError::NoEngine {
                    engine: engine.clone(),
                });
            }
        };
        let work = format!("{} {}", asked.kind.as_str(), asked.target);
        let mut attempt = self.attempt(&facts.slug, &work).await?;
        drop(lock);
        let folder = project::folder(&self.root, &facts.slug);
        let guard = Guard::start(&self.guard_program)?;
        let limit = self.settings.agent_time_limit;
        let outcome = agent::perform(asked, &argv, &folder, &mut attempt, guard, limit).await?;
        let _lock = self.lock(&facts.slug, "dispatch")?;
        let facts = self.read(&facts.slug)?;
        let now = self.env.now();
        let mut changes = order::settled(&facts, asked, &outcome, &self.context(now));
        let unwritten = refused(&changes, &on_disk(&folder));
        if let Some(reason) = unwritten.into_values().next() {
            // Without its tick the same order would be handed out again and again.
            let prompt = format!("{} is done, but {reason}", asked.target);
            settle::also_ask(&mut changes, &facts, &prompt, now);
        }
        let words = format!("{work}: {}", order::word(&outcome));
        let mut taken = self.settle(&facts, &words, changes)?;
        attempt.end()?;
        if let OrderOutcome::Failed { reason } = &outcome {
            taken.problem = Some(Problem::new(
                crate::error::Code::Failed,
                format!("the agent failed: {reason}"),
                None,
            ));
        }
        Ok(taken)
    }

    /// Reads a project anew.
    pub(super) fn read(&self, slug: &crate::id::Slug) -> Result<Facts, ActError> {
        match project::load(&self.root, slug).state {
            ProjectState::Readable(facts) => Ok(*facts),
            ProjectState::Unreadable(found) => Err(found.into()),
        }
    }
}

/// That the cluster was asked, and what it says keeps jobs from starting: one that is held waits until somebody
/// releases it.
fn asked(facts: &Facts, seen: &Observations) -> String {
    let mut words = "the cluster was asked; the next poll is set".to_owned();
    for job in facts.tracked_runs().flat_map(|(_, jobs)| jobs) {
        let Some(Sighting::Seen(report)) = seen.jobs.get(&job).map(|found| &found.sighting) else {
            continue;
        };
        let reason = report
            .reason
            .as_deref()
            .filter(|reason| !matches!(*reason, "" | "None"));
        if let (JobState::Pending, Some(reason)) = (&report.state, reason) {
            let (job, reason) = (job.to_string(), one_line(reason));
            words += &["; job ", &job, " is pending: ", &reason].concat();
        }
    }
    words
}

fn tail(ended: &Ended) -> String {
    let bytes = if ended.stderr.is_empty() {
        &ended.stdout
    } else {
        &ended.stderr
    };
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(20))
        .copied()
        .collect::<Vec<_>>()
        .join("\n")
}
