//! One dispatch from beginning to end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::act::outbox::{self, Seat};
use crate::act::view::{nothing_planned, panicked, passed_report};
use crate::act::{ActError, Dispatcher};
use crate::error::Code;
use crate::id::Slug;
use crate::plan::{Plan, ProjectStep, Selection, Step, next_due, plan};
use crate::project;
use crate::report::{DispatchReport, SCHEMA_VERSION, StepReport};
use crate::store::layout;
use crate::store::lock::WorkspaceGuard;
use crate::world::{Observations, Unreadable, World};

/// So many projects are worked on at once.
const AT_ONCE: u32 = 4;

/// What a dispatch is asked to do. The default is everything, as the workspace is set up.
#[derive(Debug, Clone, Default)]
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
        let _guard = match options.dry_run {
            true => None,
            false => Some(self.guard("dispatch")?),
        };
        let slugs = self.slugs()?;
        let mut verified = match options.dry_run {
            true => Vec::new(),
            false => {
                self.sweep_leftovers();
                self.finish_interrupted(&slugs).await
            }
        };
        let mut world = project::load_all(&self.root, &slugs);
        let seen = Arc::new(self.ask(&world, options).await);
        let verification = self.verify(&mut world, &seen, options).await;
        verified.extend(verification.verified);
        let plan = match options.verify_only {
            true => nothing_planned(&world, options),
            false => {
                let context = self.context(self.env.now());
                plan(&world, &seen, &self.selection(options), &context)
            }
        };
        let steps = match options.dry_run {
            true => self.rehearsed(&plan, &world),
            false => self.take(&plan, &mut world, &seen).await,
        };
        Ok(DispatchReport {
            schema_version: SCHEMA_VERSION,
            started_at,
            finished_at: self.env.now(),
            dry_run: options.dry_run,
            projects: slugs.iter().filter(|slug| options.chooses(slug)).count(),
            cluster_problem: verification.cluster_problem,
            verified,
            runs_confirmed: verification.confirmed,
            next_due: next_due(&world, &self.context(self.env.now())),
            steps,
            passed_over: plan.passed_over.iter().map(passed_report).collect(),
        })
    }

    /// Two dispatches at once would verify and submit the same things.
    pub(super) fn guard(&self, operation: &str) -> Result<WorkspaceGuard, ActError> {
        let timeout = self.lock_timeout;
        Ok(WorkspaceGuard::acquire(
            &self.root, operation, timeout, &self.env,
        )?)
    }

    /// The projects of the workspace.
    ///
    /// # Errors
    /// `projects/` cannot be listed.
    pub fn slugs(&self) -> Result<Vec<Slug>, ActError> {
        project::discover(&self.root).map_err(|error| {
            ActError::Unreadable(Unreadable {
                code: Code::Failed,
                message: format!(
                    "{}: expected a folder that can be listed: {error}",
                    self.root.join(layout::PROJECTS).display()
                ),
                hint: Some("Check its permissions, or name the workspace with --root.".to_owned()),
            })
        })
    }

    fn selection(&self, options: &Options) -> Selection {
        if options.projects.is_empty() {
            Selection::Batch(options.batch_size.unwrap_or(self.settings.batch_size))
        } else {
            Selection::Projects(options.projects.clone())
        }
    }

    /// Takes the steps, a few projects at a time, and reads their projects anew. A panic in one is that project's
    /// outcome.
    async fn take(
        self: &Arc<Self>,
        plan: &Plan,
        world: &mut World,
        seen: &Arc<Observations>,
    ) -> Vec<StepReport> {
        let places = Arc::new(Semaphore::new(AT_ONCE as usize));
        let mut tasks = JoinSet::new();
        let mut reports: Vec<Option<StepReport>> = vec![None; plan.steps.len()];
        let (_outbox, mut seats) = self.outbox(plan);
        for (index, step) in plan.steps.iter().enumerate() {
            let (this, seen) = (Arc::clone(self), Arc::clone(seen));
            let (places, step) = (Arc::clone(&places), step.clone());
            let needed = self.places_for(&step.step);
            let seat = seats.remove(&index);
            tasks.spawn(async move {
                let mut place = places.acquire_many_owned(needed).await.ok();
                let seat = seat.map(|seat| seat.at(place.take()));
                (index, this.take_step(&step, &seen, seat).await)
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
        let taken = plan.steps.iter().zip(reports).map(or_panicked).collect();
        let stepped: BTreeSet<&Slug> = plan.steps.iter().map(|step| &step.slug).collect();
        for project in &mut world.projects {
            if stepped.contains(&project.slug) {
                *project = project::load(&self.root, &project.slug);
            }
        }
        taken
    }

    /// Where the submissions of a plan meet; a seat for each of its steps that submits.
    fn outbox(&self, plan: &Plan) -> (JoinSet<()>, BTreeMap<usize, Seat>) {
        let submits = |(index, step): (usize, &ProjectStep)| {
            matches!(step.step, Step::Submit { .. }).then_some(index)
        };
        match &self.cluster {
            Ok(backend) => outbox::open(
                Arc::clone(backend),
                plan.steps.iter().enumerate().filter_map(submits),
            ),
            Err(_) => Default::default(),
        }
    }

    /// Submissions that count each other must not happen at the same time.
    fn places_for(&self, step: &Step) -> u32 {
        let counts = !self.settings.partitions.max_submit.is_empty();
        match step {
            Step::Submit { .. } if counts => AT_ONCE,
            _ => 1,
        }
    }
}

impl Options {
    /// Whether a project is to be verified and may be stepped.
    #[must_use]
    pub fn chooses(&self, slug: &Slug) -> bool {
        self.projects.is_empty() || self.projects.contains(slug)
    }
}
