//! A dry run's steps: those that the real one would take, and what would keep it from writing down their results.
//! Nothing here changes anything.

use crate::act::preflight::Prepared;
use crate::act::submit::Wanted;
use crate::act::view::rehearsed;
use crate::act::{ActError, Dispatcher};
use crate::change::FileEdit;
use crate::error::with_causes;
use crate::id::Slug;
use crate::journal::JournalError;
use crate::plan::{Plan, ProjectStep, Step};
use crate::project;
use crate::report::{Problem, StepReport};
use crate::store::{atomic, layout};
use crate::world::{ProjectState, World};

impl Dispatcher {
    /// The steps of a dry run. One whose result the state file would not take says so, as the real one does.
    pub(super) fn rehearsed(&self, plan: &Plan, world: &World) -> Vec<StepReport> {
        let mut reports = rehearsed(plan, world);
        for (report, step) in reports.iter_mut().zip(&plan.steps) {
            if let Err(error) = self.is_taken(step, world) {
                report.problem = Some(Problem::of(&error));
                report.outcome = with_causes(&error);
            }
        }
        reports
    }

    /// Whether the state file takes the result of a step, and the record of a submission.
    fn is_taken(&self, step: &ProjectStep, world: &World) -> Result<(), ActError> {
        self.can_be_changed(&step.slug)?;
        let project = world.projects.iter().find(|one| one.slug == step.slug);
        match (project.map(|project| &project.state), &step.step) {
            (Some(ProjectState::Readable(facts)), Step::Submit { item, attempt }) => {
                let wanted = Wanted::of_queue(facts, item, *attempt)?;
                let intent = self.intent(facts, wanted, Prepared::default());
                self.can_be_written_down(facts, &intent)
            }
            _ => Ok(()),
        }
    }

    /// Whether the state file can be changed at all: one that a newer version wrote is never written, so no step of its
    /// project could be recorded, and no agent works for nothing.
    pub(super) fn can_be_changed(&self, slug: &Slug) -> Result<(), ActError> {
        let path = project::folder(&self.root, slug).join(layout::PIPELINE);
        let nothing = FileEdit::Pipeline { edits: Vec::new() };
        let changed = nothing.apply(atomic::read_text(&path)?.as_deref());
        changed.map(drop).map_err(|source| {
            let path = layout::PIPELINE.to_owned();
            JournalError::Edit { path, source }.into()
        })
    }
}
