//! The books of one project while it is verified: what they say now, and where a change of them goes. That is the
//! project's files, under its lock, or in a dry run texts in memory, so that the plan that follows is the plan that a
//! real dispatch would make.

use std::path::PathBuf;

use crate::act::commit::{Committed, commit, on_disk, refused, rehearse, remember};
use crate::act::{ActError, Dispatcher};
use crate::change::{ChangeSet, FileEdit};
use crate::id::Slug;
use crate::project::{self, Texts};
use crate::settle;
use crate::store::lock::ProjectLock;
use crate::world::{Facts, Sightings};

/// The books of one project.
pub(super) struct Books<'a> {
    dispatcher: &'a Dispatcher,
    place: Place,
    /// What they say; never older than the last change.
    pub(super) facts: Facts,
}

/// Where changes go.
enum Place {
    /// The project's files, under its lock.
    Disk { folder: PathBuf, _lock: ProjectLock },
    /// Texts in memory.
    Memory(Texts),
}

impl<'a> Books<'a> {
    pub(super) fn open(
        dispatcher: &'a Dispatcher,
        slug: &Slug,
        dry_run: bool,
    ) -> Result<Self, ActError> {
        let folder = project::folder(&dispatcher.root, slug);
        let place = if dry_run {
            Place::Memory(project::texts(&folder)?)
        } else {
            Place::Disk {
                _lock: dispatcher.lock(slug, "verify")?,
                folder,
            }
        };
        Ok(Self {
            facts: read(dispatcher, slug, &place)?,
            dispatcher,
            place,
        })
    }

    pub(super) fn is_on_disk(&self) -> bool {
        matches!(self.place, Place::Disk { .. })
    }

    /// Reads what they say now: after a change that was not made through them.
    pub(super) fn read_again(&mut self) -> Result<(), ActError> {
        self.facts = read(self.dispatcher, &self.facts.slug, &self.place)?;
        Ok(())
    }

    pub(super) fn apply(&mut self, changes: ChangeSet) -> Result<Committed, ActError> {
        if changes.files.is_empty() {
            return Ok(Committed::default());
        }
        let committed = match &mut self.place {
            Place::Disk { folder, .. } => commit(folder, changes, &self.dispatcher.env)?,
            Place::Memory(texts) => rehearse(texts, changes)?,
        };
        self.read_again()?;
        Ok(committed)
    }

    /// As [`Books::apply`]; when the entry that the project has to wait for cannot be written, a person is asked instead:
    /// a failure must not be passed over because a document is broken.
    pub(super) fn apply_ending(&mut self, mut changes: ChangeSet) -> Result<Committed, ActError> {
        let refused = match &self.place {
            Place::Disk { folder, .. } => refused(&changes, &on_disk(folder)),
            Place::Memory(texts) => refused(&changes, &|path: &str| Ok(texts.get(path).cloned())),
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
            let now = self.dispatcher.env.now();
            settle::also_ask(&mut changes, &self.facts, &prompt, now);
        }
        self.apply(changes)
    }

    /// Keeps what this pass saw. A dry run keeps it for its own plan alone.
    pub(super) fn remember(&mut self, sightings: Sightings) -> Result<(), ActError> {
        if sightings != self.facts.sightings {
            if let Place::Disk { folder, .. } = &self.place {
                remember(folder, &sightings)?;
            }
            self.facts.sightings = sightings;
        }
        Ok(())
    }
}

fn read(dispatcher: &Dispatcher, slug: &Slug, place: &Place) -> Result<Facts, ActError> {
    match place {
        Place::Disk { .. } => dispatcher.read(slug),
        Place::Memory(texts) => Ok(project::facts(slug, texts)?),
    }
}
