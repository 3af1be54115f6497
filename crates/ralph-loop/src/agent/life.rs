//! Signs of life of an agent that prints nothing: processor time, processes that come and go, files that change.
//!
//! Looked for only when the output has been silent for long, because a look reads all processes and a folder. An
//! agent that waits for its network uses almost nothing, and one that compiles uses a lot without a word.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ralph_core::process::table::{ProcessTable, processor_ticks};

/// Clock ticks per second (`USER_HZ`).
const TICKS_PER_SECOND: u128 = 100;
/// An interpreter that only waits wakes up now and then; more than this share of one processor is work.
const BUSY_PER_CENT: u128 = 2;
/// Files and folders that are looked at. In a larger tree the other signs have to do.
const MOST_ENTRIES: usize = 20_000;
/// Folders that are large and change with work that also uses the processor.
const PASSED_OVER: [&str; 4] = [".git", "node_modules", "target", ".venv"];

/// What was seen at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signs {
    processes: BTreeSet<u32>,
    ticks: u64,
    newest: Option<SystemTime>,
    entries: usize,
}

impl Signs {
    /// Looks at the descendants of the guard and at the worktree. Takes some milliseconds.
    pub(super) fn look(guard: u32, worktree: &Path) -> Self {
        let processes = ProcessTable::read().descendants(guard);
        let ticks = processes
            .iter()
            .filter_map(|pid| processor_ticks(*pid))
            .sum();
        let (newest, entries) = newest(worktree);
        Self {
            processes,
            ticks,
            newest,
            entries,
        }
    }

    /// Whether something happened since an earlier look, so long ago.
    pub(super) fn show_life_since(&self, earlier: &Self, ago: Duration) -> bool {
        let used = u128::from(self.ticks.saturating_sub(earlier.ticks));
        let least = ago.as_millis() * TICKS_PER_SECOND * BUSY_PER_CENT / 100 / 1000;
        used > least.max(1)
            || !self.processes.is_subset(&earlier.processes)
            || (self.newest, self.entries) != (earlier.newest, earlier.entries)
    }
}

/// The latest change below a folder, and how many entries there are.
fn newest(folder: &Path) -> (Option<SystemTime>, usize) {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    let (mut newest, mut entries) = (None, 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            entries += 1;
            if entries >= MOST_ENTRIES {
                return (newest, entries);
            }
            // Of a link itself, so no loop and no other tree is entered.
            let Ok(found) = entry.metadata() else {
                continue;
            };
            newest = newest.max(found.modified().ok());
            if found.is_dir() && !PASSED_OVER.iter().any(|name| entry.file_name() == *name) {
                folders.push(entry.path());
            }
        }
    }
    (newest, entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGO: Duration = Duration::from_secs(60);

    fn signs(processes: &[u32], ticks: u64, entries: usize) -> Signs {
        Signs {
            processes: processes.iter().copied().collect(),
            ticks,
            newest: None,
            entries,
        }
    }

    #[test]
    fn waiting_is_no_life_and_work_is() {
        let before = signs(&[1, 2], 1000, 5);
        assert!(!signs(&[1, 2], 1000, 5).show_life_since(&before, AGO));
        assert!(
            !signs(&[1], 1100, 5).show_life_since(&before, AGO),
            "a timer now and then"
        );
        assert!(
            signs(&[1, 2], 1200, 5).show_life_since(&before, AGO),
            "the processor"
        );
        assert!(
            signs(&[1, 2, 3], 1000, 5).show_life_since(&before, AGO),
            "a new process"
        );
        assert!(
            signs(&[1, 2], 1000, 6).show_life_since(&before, AGO),
            "a new file"
        );
    }

    #[test]
    fn a_changed_file_is_seen_and_links_are_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        fs::create_dir(root.join("sub")).expect("made");
        std::os::unix::fs::symlink(root, root.join("sub/loop")).expect("linked");
        let before = Signs::look(u32::MAX, root);
        assert_eq!(before, Signs::look(u32::MAX, root));
        fs::File::create_new(root.join("sub/file")).expect("written");
        assert!(Signs::look(u32::MAX, root).show_life_since(&before, AGO));
    }
}
