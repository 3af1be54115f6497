//! Where the changes of one project's verification go: its files under its lock, or in a dry run texts in memory,
//! so that the plan that follows is the plan that a real dispatch would make.

use std::path::PathBuf;

use crate::act::commit::{Committed, commit, on_disk, refused, rehearse, remember};
use crate::act::preflight::Prepared;
use crate::act::submit::Wanted;
use crate::act::view::rehearsed;
use crate::act::{ActError, Dispatcher};
use crate::change::{ChangeSet, FileEdit};
use crate::error::with_causes;
use crate::id::Slug;
use crate::journal::JournalError;
use crate::plan::{Plan, ProjectStep, Step};
use crate::project::{self, Texts};
use crate::report::{Problem, StepReport};
use crate::settle;
use crate::store::lock::ProjectLock;
use crate::store::{atomic, layout};
use crate::world::{Facts, ProjectState, Sightings, World};

/// Where the changes go.
pub(super) enum Target {
    /// The project's files, under its lock.
    Disk { folder: PathBuf, _lock: ProjectLock },
    /// Texts in memory.
    Memory(Texts),
}

impl Target {
    pub(super) fn is_disk(&self) -> bool {
        matches!(self, Self::Disk { .. })
    }

    /// Keeps what this pass saw. A dry run remembers nothing.
    pub(super) fn remember(&self, sightings: &Sightings) -> Result<(), ActError> {
        match self {
            Self::Disk { folder, .. } => remember(folder, sightings),
            Self::Memory(_) => Ok(()),
        }
    }
}

impl Dispatcher {
    pub(super) fn target(&self, slug: &Slug, dry_run: bool) -> Result<Target, ActError> {
        let folder = project::folder(&self.root, slug);
        if dry_run {
            return Ok(Target::Memory(project::texts(&folder)?));
        }
        Ok(Target::Disk {
            _lock: self.lock(slug, "verify")?,
            folder,
        })
    }

    pub(super) fn facts(&self, slug: &Slug, target: &Target) -> Result<Facts, ActError> {
        match target {
            Target::Disk { .. } => self.read(slug),
            Target::Memory(texts) => Ok(project::facts(slug, texts)?),
        }
    }

    pub(super) fn apply(
        &self,
        target: &mut Target,
        changes: ChangeSet,
    ) -> Result<Committed, ActError> {
        match target {
            Target::Disk { folder, .. } => commit(folder, changes, &self.env),
            Target::Memory(texts) => rehearse(texts, changes),
        }
    }

    /// As [`Dispatcher::apply`]; when the entry that the project has to wait for cannot be written, a person is
    /// asked instead: a failure must not be passed over because a document is broken.
    pub(super) fn apply_ending(
        &self,
        target: &mut Target,
        mut changes: ChangeSet,
        facts: &Facts,
    ) -> Result<Committed, ActError> {
        let refused = match &*target {
            Target::Disk { folder, .. } => refused(&changes, &on_disk(folder)),
            Target::Memory(texts) => refused(&changes, &|path: &str| Ok(texts.get(path).cloned())),
        };
        let unwritten =
            refused
                .iter()
                .find_map(|(index, reason)| match &changes.files.get(*index)?.edit {
                    FileEdit::DebuggingEntry(entry) if entry.blocking => {
                        Some(format!("{}. {reason}", entry.title))
                    }
                    _ => None,
                });
        if let Some(prompt) = unwritten {
            settle::also_ask(&mut changes, facts, &prompt, self.env.now());
        }
        self.apply(target, changes)
    }

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
