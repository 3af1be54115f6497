//! What a crash left: operations of the journal that were begun and not finished, agents and tests that were not waited
//! for.

use std::time::Duration;

use crate::act::commit::Committed;
use crate::act::{ActError, Dispatcher};
use crate::id::Slug;
use crate::journal::{Journal, JournalError};
use crate::project;
use crate::report::Verified;
use crate::store::{atomic, layout};

/// A temporary file that nobody has touched for so long has nobody who is going to rename it.
const LEFTOVER_AGE: Duration = Duration::from_secs(600);

impl Dispatcher {
    /// Removes temporary files that a killed process left beside files of the whole workspace, in which others write
    /// too; those of a project go when its operation is finished.
    pub(super) fn sweep_leftovers(&self) {
        for folder in [layout::RALPH_DIR, layout::PROJECTS] {
            let folder = self.root.join(folder);
            atomic::remove_old_leftovers(&folder, LEFTOVER_AGE, self.env.now().into());
        }
    }

    /// Finishes operations that a crash interrupted, and ends what it left running, in every project that has any.
    pub(super) async fn finish_interrupted(&self, slugs: &[Slug]) -> Vec<Verified> {
        let mut found = Vec::new();
        for slug in slugs {
            let journal = Journal::open(&project::folder(&self.root, slug));
            match journal.has_unfinished() {
                Ok(false) => {}
                Ok(true) => found.extend(self.recover(slug, &journal)),
                Err(error) => found.push(Verified::failed(slug, &error.into())),
            }
            found.extend(self.end_interrupted(slug).await);
        }
        found
    }

    /// What a commit met that the look at the newest operations had missed is finished now, for the next dispatch.
    pub(super) fn recover_after(&self, slug: &Slug, error: &ActError) -> Vec<Verified> {
        match error {
            ActError::Journal(JournalError::Unfinished { .. }) => {
                let folder = project::folder(&self.root, slug);
                self.recover(slug, &Journal::open(&folder))
            }
            _ => Vec::new(),
        }
    }

    fn recover(&self, slug: &Slug, journal: &Journal) -> Vec<Verified> {
        self.say(&format!("{slug}: finishing an interrupted operation"));
        // A project whose lock is held is being worked on: its operation is not interrupted.
        let recovered = self
            .lock(slug, "recover")
            .and_then(|_lock| Ok(journal.recover(&self.env)?));
        match recovered {
            Err(error) => vec![Verified::failed(slug, &error)],
            Ok(recovered) => recovered
                .into_iter()
                .map(|done| {
                    let detail = format!("an interrupted operation was finished: {}", done.summary);
                    Verified::of_project(slug, "recovered", detail).with(Committed {
                        op: Some(done.op),
                        files: done.files,
                        warnings: Vec::new(),
                    })
                })
                .collect(),
        }
    }
}
