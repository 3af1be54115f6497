//! Taking one step of one project: lock, read again, plan again, act, commit, unlock.

use std::path::Path;

use crate::act::attempt::{TESTS, not_started};
use crate::act::commit::{Committed, commit, on_disk, refused, remember};
use crate::act::outbox::Seat;
use crate::act::submit::Wanted;
use crate::act::view::step_report;
use crate::act::{ActError, Dispatcher, agent};
use crate::change::ChangeSet;
use crate::error::{Code, with_causes};
use crate::id::{JobId, Slug};
use crate::job::{JobReport, JobState, Sighting};
use crate::ledger::{self, ResultLedger};
use crate::order::{OrderOutcome, WorkOrder};
use crate::pipeline::RunView;
use crate::plan::{PassedOver, ProjectStep, Step, pending, rules};
use crate::process::bounded::{Ended, Program};
use crate::process::guard::Guard;
use crate::project;
use crate::report::{Problem, StepReport};
use crate::settings::{AgentChoice, CommandLine};
use crate::settle::order::TestOutcome;
use crate::settle::words::one_line;
use crate::settle::{self, check, finish, order};
use crate::store::lock::ProjectLock;
use crate::words::plural;
use crate::world::{Facts, Observations, ProjectState};

/// A project that is locked and was read again.
struct Begun {
    lock: ProjectLock,
    facts: Facts,
    /// The step that it takes now: its files may have moved since the plan was made.
    step: Result<ProjectStep, PassedOver>,
}

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
        let (begun, taken) = match self.begin(planned, seen) {
            Ok(begun) => (begun.report(planned), self.perform(begun, seen, seat).await),
            Err(error) => (step_report(planned, String::new()), Err(error)),
        };
        let report = match taken {
            Ok(taken) => self.taken(begun, taken),
            Err(error) => self.failed(begun, &planned.slug, error),
        };
        let after = self.read(&planned.slug);
        StepReport {
            phase_after: after.map_or_else(|_| String::new(), |facts| facts.phase().to_string()),
            ..report
        }
    }

    fn begin(&self, planned: &ProjectStep, seen: &Observations) -> Result<Begun, ActError> {
        let lock = self.lock(&planned.slug, "dispatch")?;
        let facts = self.read(&planned.slug)?;
        let step = rules::next_step(&facts, seen, &self.context(self.env.now()));
        Ok(Begun { lock, facts, step })
    }

    async fn perform(
        &self,
        begun: Begun,
        seen: &Observations,
        seat: Option<Seat>,
    ) -> Result<Taken, ActError> {
        let Begun { lock, facts, step } = begun;
        let step = match step {
            Ok(step) => step,
            Err(passed) => {
                let outcome = format!("nothing to do any more: {}", passed.reason);
                return Ok(Taken::plain(outcome, Committed::default()));
            }
        };
        self.can_be_changed(&step.slug)?;
        self.say(&format!("{}: {}", step.slug, step.because));
        let (facts, because) = (&facts, &step.because);
        let context = self.context(self.env.now());
        match &step.step {
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
            Step::Poll => {
                let stuck = stuck(facts, seen);
                let words = asked(facts, seen, &stuck);
                self.settle(facts, &words, check::polled(facts, &stuck, &context))
            }
            Step::Check { runs } => self.check(facts, runs),
            Step::Advance { to } => self.settle(
                facts,
                &format!("moved on to {to}: {because}"),
                check::advanced(facts, to, because, &context),
            ),
            Step::Test(command) => self.test(facts, command, lock).await,
            Step::Order(order) => self.order(facts, order, lock).await,
        }
    }

    fn taken(&self, begun: StepReport, taken: Taken) -> StepReport {
        StepReport {
            outcome: taken.outcome,
            // What an agent has done is no order to the caller any more.
            order: begun
                .order
                .filter(|_| matches!(self.settings.agent, AgentChoice::Caller)),
            job: taken.job,
            problem: taken.problem,
            files: taken.committed.files,
            op: taken.committed.op.map(|op| op.to_string()),
            warnings: taken.committed.warnings,
            ..begun
        }
    }

    fn failed(&self, begun: StepReport, slug: &Slug, error: ActError) -> StepReport {
        self.recover_after(slug, &error);
        let report = StepReport {
            problem: Some(Problem::of(&error)),
            outcome: with_causes(&error),
            ..begun
        };
        match error {
            ActError::Preflight { files, op, .. } => StepReport {
                files,
                op: op.map(|op| op.to_string()),
                ..report
            },
            _ => report,
        }
    }

    fn settle(&self, facts: &Facts, outcome: &str, changes: ChangeSet) -> Result<Taken, ActError> {
        let folder = project::folder(&self.root, &facts.slug);
        let committed = commit(&folder, changes, &self.env)?;
        Ok(Taken::plain(outcome, committed))
    }

    fn check(&self, facts: &Facts, runs: &[(String, String)]) -> Result<Taken, ActError> {
        let folder = project::folder(&self.root, &facts.slug);
        let is_meant = |run: &&RunView| {
            let run = run.key.run_id.as_deref();
            runs.iter().any(|(id, _)| run == Some(id))
        };
        let finished = facts.view.completed_runs.iter().filter(is_meant);
        let finished: Vec<_> = finished.map(|run| (run, result_of(&folder, run))).collect();
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
        let (passed, how, tail) = match ended.await {
            Ok(ended) => (ended.success(), ended.how(), tail(&ended)),
            Err(error) => (false, not_started(error)?, String::new()),
        };
        let outcome = TestOutcome {
            passed,
            how,
            command: argv.join(" "),
            tail,
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

    async fn order(
        &self,
        facts: &Facts,
        asked: &WorkOrder,
        lock: ProjectLock,
    ) -> Result<Taken, ActError> {
        match &self.settings.agent {
            AgentChoice::Caller => {
                let context = self.context(self.env.now());
                let changes = order::settled(facts, asked, &OrderOutcome::HandedOut, &context);
                let words = format!("{}: {}", asked.kind.as_str(), asked.title);
                self.settle(facts, &words, changes)
            }
            AgentChoice::Command(command) => self.send_agent(&command.argv(), asked, lock).await,
            AgentChoice::Engine(engine) => Err(ActError::NoEngine {
                engine: engine.clone(),
            }),
        }
    }

    /// The lock is given back while an agent works: it takes minutes to hours, and edits the documents itself.
    async fn send_agent(
        &self,
        argv: &[String],
        asked: &WorkOrder,
        lock: ProjectLock,
    ) -> Result<Taken, ActError> {
        let work = format!("{} {}", asked.kind.as_str(), asked.target);
        let slug = &asked.project;
        let mut attempt = self.attempt(slug, &work).await?;
        drop(lock);
        let folder = project::folder(&self.root, slug);
        let guard = Guard::start(&self.guard_program)?;
        let limit = self.settings.agent_time_limit;
        let outcome = agent::perform(asked, argv, &folder, &mut attempt, guard, limit).await?;
        let _lock = self.lock(slug, "dispatch")?;
        let facts = self.read(slug)?;
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
            let message = format!("the agent failed: {reason}");
            taken.problem = Some(Problem::new(Code::Failed, message, None));
        }
        Ok(taken)
    }

    /// Reads a project anew.
    pub(super) fn read(&self, slug: &Slug) -> Result<Facts, ActError> {
        match project::load(&self.root, slug).state {
            ProjectState::Readable(facts) => Ok(*facts),
            ProjectState::Unreadable(found) => Err(found.into()),
        }
    }
}

impl Begun {
    /// Of the step that was planned, where it is still the one to take.
    fn report(&self, planned: &ProjectStep) -> StepReport {
        let other = self.step.as_ref().ok();
        let other = other.filter(|step| step.step != planned.step);
        step_report(other.unwrap_or(planned), self.facts.phase().to_string())
    }
}

/// What the ledger of a run says of its end.
fn result_of(folder: &Path, run: &RunView) -> Option<ResultLedger> {
    let id = run.key.run_id.as_deref()?.parse().ok()?;
    let text = std::fs::read_to_string(folder.join(ledger::path(&id, ledger::RESULT))).ok()?;
    serde_json::from_str(&text).ok()
}

/// What a person has to do about jobs that will not start by themselves.
fn stuck(facts: &Facts, seen: &Observations) -> Vec<String> {
    let stuck =
        |(run, report): (&RunView, &JobReport)| pending::stuck(report, &finish::name(&run.key));
    reports(facts, seen)
        .filter_map(stuck)
        .map(|told| one_line(&told))
        .collect()
}

/// That the cluster was asked, what it says keeps jobs from starting, and what is to be done about those that are stuck.
fn asked(facts: &Facts, seen: &Observations, stuck: &[String]) -> String {
    let mut words = "the cluster was asked; the next poll is set".to_owned();
    for (run, report) in reports(facts, seen) {
        let reason = report
            .reason
            .as_deref()
            .filter(|reason| !matches!(*reason, "" | "None"));
        if let (JobState::Pending, Some(reason)) = (&report.state, reason)
            && pending::stuck(report, &finish::name(&run.key)).is_none()
        {
            let (job, reason) = (report.job.to_string(), one_line(reason));
            words += &["; job ", &job, " is pending: ", &reason].concat();
        }
    }
    for told in stuck {
        words += &["; ", told].concat();
    }
    words
}

/// What the cluster says of the jobs of live runs.
fn reports<'a>(
    facts: &'a Facts,
    seen: &'a Observations,
) -> impl Iterator<Item = (&'a RunView, &'a JobReport)> {
    let jobs = |(run, jobs): (&'a RunView, Vec<JobId>)| jobs.into_iter().map(move |job| (run, job));
    facts
        .tracked_runs()
        .flat_map(jobs)
        .filter_map(|(run, job)| match &seen.jobs.get(&job)?.sighting {
            Sighting::Seen(report) => Some((run, report.as_ref())),
            Sighting::Absent { .. } | Sighting::Unknown { .. } => None,
        })
}

/// How many of the last lines of tests are kept.
const TAIL: usize = 20;

fn tail(ended: &Ended) -> String {
    let bytes = if ended.stderr.is_empty() {
        &ended.stdout
    } else {
        &ended.stderr
    };
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(TAIL);
    lines.get(last..).unwrap_or_default().join("\n")
}
