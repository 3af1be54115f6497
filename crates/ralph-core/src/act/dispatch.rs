//! One dispatch from beginning to end.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::act::{ActError, Dispatcher};
use crate::error::Code;
use crate::id::Slug;
use crate::plan::{PassedBecause, PassedOver, Plan, ProjectStep, Selection, plan};
use crate::project;
use crate::report::{DispatchReport, PassedReport, Problem, SCHEMA_VERSION, StepReport};
use crate::store::lock::WorkspaceGuard;
use crate::time::Timestamp;
use crate::world::{ProjectState, World};

/// So many projects are worked on at once.
const AT_ONCE: usize = 4;

/// What a dispatch is asked to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only these projects; empty means all.
    pub projects: BTreeSet<Slug>,
    /// Projects that advance; `None` takes the workspace's setting. Ignored when `projects` are named.
    pub batch_size: Option<usize>,
    /// Print the plan, change nothing.
    pub dry_run: bool,
    /// Verification alone, without steps.
    pub verify_only: bool,
}

impl Dispatcher {
    /// Verifies every outstanding job, then advances up to `batch_size` projects by one step each.
    ///
    /// # Errors
    /// Only what concerns the workspace as a whole: another dispatch runs, `projects/` cannot be listed. Whatever
    /// concerns one project stands in the report.
    pub async fn dispatch(self: &Arc<Self>, options: &Options) -> Result<DispatchReport, ActError> {
        let started_at = self.env.now();
        let _guard = if options.dry_run {
            None
        } else {
            Some(WorkspaceGuard::acquire(
                &self.root,
                "dispatch",
                self.lock_timeout,
                &self.env,
            )?)
        };
        let slugs = self.slugs()?;
        let recovered = if options.dry_run {
            Vec::new()
        } else {
            self.finish_interrupted(&slugs)
        };
        let mut world = project::load_all(&self.root, &slugs);
        let seen = self.ask(&world, options).await;
        let mut verification = self.verify(&mut world, &seen, options).await;
        verification.verified.splice(0..0, recovered);
        let now = self.env.now();
        let plan = if options.verify_only {
            nothing_planned(&world)
        } else {
            plan(&world, &seen, &self.selection(options), &self.context(now))
        };
        let steps = if options.dry_run {
            rehearsed(&plan, &world)
        } else {
            self.take(&plan, &world, &seen).await
        };
        let passed_over: Vec<PassedReport> = plan.passed_over.iter().map(passed_report).collect();
        Ok(DispatchReport {
            schema_version: SCHEMA_VERSION,
            started_at,
            finished_at: self.env.now(),
            dry_run: options.dry_run,
            cluster_problem: verification.cluster_problem,
            verified: verification.verified,
            runs_confirmed: verification.confirmed,
            next_due: if options.dry_run {
                self.next_due(&world, now)
            } else {
                self.next_due(&project::load_all(&self.root, &slugs), now)
            },
            steps,
            passed_over,
        })
    }

    /// The projects of the workspace.
    ///
    /// # Errors
    /// `projects/` cannot be listed.
    pub fn slugs(&self) -> Result<Vec<Slug>, ActError> {
        project::discover(&self.root).map_err(|error| ActError::Unreadable {
            code: Code::Failed,
            message: format!(
                "{}: expected a folder that can be listed: {error}",
                self.root.join("projects").display()
            ),
            hint: Some("Check its permissions, or name the workspace with --root.".to_owned()),
        })
    }

    fn selection(&self, options: &Options) -> Selection {
        if options.projects.is_empty() {
            Selection::Batch(options.batch_size.unwrap_or(self.settings.batch_size))
        } else {
            Selection::Projects(options.projects.clone())
        }
    }

    /// Takes the steps, a few projects at a time. A panic in one is that project's outcome.
    async fn take(
        self: &Arc<Self>,
        plan: &Plan,
        world: &World,
        seen: &crate::world::Observations,
    ) -> Vec<StepReport> {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let seen = Arc::new(seen.clone());
        let mut tasks = JoinSet::new();
        let mut reports: Vec<Option<StepReport>> = Vec::new();
        for (index, step) in plan.steps.iter().enumerate() {
            reports.push(None);
            let (this, places, seen, step) = (
                Arc::clone(self),
                Arc::clone(&places),
                Arc::clone(&seen),
                step.clone(),
            );
            tasks.spawn(async move {
                let _place = places.acquire_owned().await;
                (index, this.take_step(&step, &seen).await)
            });
        }
        while let Some(joined) = tasks.join_next().await {
            if let Ok((index, report)) = joined
                && let Some(place) = reports.get_mut(index)
            {
                *place = Some(report);
            }
        }
        let or_panicked = |(step, report): (&ProjectStep, Option<StepReport>)| {
            report.unwrap_or_else(|| panicked(step, world))
        };
        plan.steps.iter().zip(reports).map(or_panicked).collect()
    }

    /// When something becomes due by itself, over all projects.
    fn next_due(&self, world: &World, now: Timestamp) -> Option<Timestamp> {
        let facts = world
            .projects
            .iter()
            .filter_map(|project| match &project.state {
                ProjectState::Readable(facts) => Some(facts),
                ProjectState::Unreadable(_) => None,
            });
        let waiting =
            facts.filter(|facts| facts.live_runs().next().is_some() || !facts.intents.is_empty());
        let polls = waiting.filter_map(|facts| facts.next_poll(&self.zone));
        let limits = world
            .projects
            .iter()
            .filter_map(|project| match &project.state {
                ProjectState::Readable(facts) => {
                    let limits = facts
                        .sightings
                        .entries
                        .iter()
                        .filter(|(key, _)| key.starts_with("limit:"));
                    limits
                        .map(|(_, seen)| {
                            crate::plan::backoff::after_limit(seen, &self.settings.poll)
                        })
                        .min()
                }
                ProjectState::Unreadable(_) => None,
            });
        polls.chain(limits).map(|at| at.max(now)).min()
    }
}

fn panicked(step: &ProjectStep, world: &World) -> StepReport {
    let mut report = step_report(step, phase_of(world, &step.slug));
    let hint = format!(
        "Please report it; `ralph ops list` of {} shows what was begun.",
        step.slug
    );
    report.problem = Some(Problem::new(
        Code::Bug,
        "the step panicked, which is a bug of ralph",
        Some(hint),
    ));
    report
}

pub(super) fn phase_of(world: &World, slug: &Slug) -> String {
    let project = world.projects.iter().find(|project| project.slug == *slug);
    match project.map(|project| &project.state) {
        Some(ProjectState::Readable(facts)) => facts.phase().to_string(),
        _ => String::new(),
    }
}

pub(super) fn step_report(step: &ProjectStep, phase: String) -> StepReport {
    use crate::plan::Step;
    let order = match &step.step {
        Step::Order(order) => Some(order.clone()),
        _ => None,
    };
    let word = match &step.step {
        Step::Submit { .. } => "submit",
        Step::Poll => "poll",
        Step::Check { .. } => "check",
        Step::Test(_) => "test",
        Step::Order(order) => order.kind.as_str(),
        Step::Advance { .. } => "advance",
    };
    StepReport {
        project: step.slug.to_string(),
        step: word.to_owned(),
        because: step.because.clone(),
        outcome: String::new(),
        phase_before: phase.clone(),
        phase_after: phase,
        job: None,
        order,
        files: Vec::new(),
        op: None,
        warnings: Vec::new(),
        problem: None,
    }
}

fn rehearsed(plan: &Plan, world: &World) -> Vec<StepReport> {
    use crate::plan::Step;
    let would = |step: &ProjectStep| match &step.step {
        Step::Submit { item, attempt } => format!("would submit {item} (attempt {attempt})"),
        Step::Poll => "would set the next poll".to_owned(),
        Step::Check { runs } => format!(
            "would record the results of {}",
            crate::plan::rules::plural(runs.len(), "run")
        ),
        Step::Test(command) => format!("would run `{}`", command.argv().join(" ")),
        Step::Order(order) => format!("would hand out: {} {}", order.kind.as_str(), order.title),
        Step::Advance { to } => format!("would move on to {to}"),
    };
    let report = |step: &ProjectStep| StepReport {
        outcome: would(step),
        ..step_report(step, phase_of(world, &step.slug))
    };
    plan.steps.iter().map(report).collect()
}

fn passed_report(passed: &PassedOver) -> PassedReport {
    let because = match passed.because {
        PassedBecause::Unreadable => "unreadable",
        PassedBecause::NeedsInput => "needs_input",
        PassedBecause::Waiting => "waiting",
        PassedBecause::ClusterUnreachable => "cluster_unreachable",
        PassedBecause::External => "external",
        PassedBecause::Nothing => "nothing",
        PassedBecause::BatchFull => "batch_full",
        PassedBecause::NotSelected => "not_selected",
    };
    PassedReport {
        project: passed.slug.to_string(),
        because: because.to_owned(),
        reason: passed.reason.clone(),
        next_due: passed.next_due,
    }
}

/// A verification takes no steps, but an unreadable project is reported all the same.
fn nothing_planned(world: &World) -> Plan {
    let unreadable = world
        .projects
        .iter()
        .filter_map(|project| match &project.state {
            ProjectState::Unreadable(found) => Some(PassedOver {
                slug: project.slug.clone(),
                because: PassedBecause::Unreadable,
                reason: found.message.clone(),
                next_due: None,
            }),
            ProjectState::Readable(_) => None,
        });
    Plan {
        steps: Vec::new(),
        passed_over: unreadable.collect(),
    }
}
