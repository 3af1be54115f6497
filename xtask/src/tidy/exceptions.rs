//! Where an invariant is not meant literally, and why. An exception names a file or a folder, what it may
//! hold, and the reason; one that nothing needs any more is a finding.

use super::Finding;
use super::tree::Tree;
use super::{effects, vocabulary};

/// A place that may hold what the check refuses elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exception {
    /// A file, or a folder with a `/` at its end.
    pub(super) place: &'static str,
    /// What it may hold.
    pub(super) what: &'static str,
    /// Why that breaks no law; for the reader.
    pub(super) reason: &'static str,
}

const fn except(place: &'static str, what: &'static str, reason: &'static str) -> Exception {
    Exception {
        place,
        what,
        reason,
    }
}

/// Names of programs (I4) that stand for something else than the program.
pub(super) const WORDS: [Exception; 7] = [
    except(
        "crates/ralph-core/src/plan/pending.rs",
        "\"scontrol",
        "what a person is told to run; it is shown",
    ),
    except(
        "crates/ralph-loop/src/delivery/mod.rs",
        "\"ssh",
        "asks what host a remote's name stands for; connects to nothing",
    ),
    except(
        "crates/ralph-core/src/classify/last_error.rs",
        "\"srun",
        "what a log says; it is read",
    ),
    except(
        "crates/ralph-docs/src/queue/",
        "\"sbatch",
        "how people call the field that names a script",
    ),
    except(
        "crates/ralph-core/src/",
        "sbatch",
        "the module that reads the directives of job scripts; a name in code starts nothing",
    ),
    except(
        "crates/ralph-cli/src/",
        "ssh",
        "a field of the cluster's settings; a name in code starts nothing",
    ),
    except(
        "crates/ralph-front/src/",
        "ssh",
        "a field of the cluster's settings; a name in code starts nothing",
    ),
];

/// Writers of files (I3) beside store and journal.
pub(super) const WRITERS: [Exception; 8] = [
    except(
        "crates/ralph-dispatch/src/commands/link.rs",
        "fs::symlink",
        "a second name of the installed program; no file is changed",
    ),
    except(
        "crates/ralph-cli/src/commands/init/files.rs",
        "fs::set_permissions",
        "a script that was just made becomes executable; no content is changed",
    ),
    except(
        "crates/ralph-core/src/cluster/local/run/task.rs",
        "opening for writing",
        "the logs of a job, which the job writes itself",
    ),
    except(
        "crates/ralph-core/src/process/lock.rs",
        "opening for writing",
        "a lock file is opened so that every system lets it be locked; nothing is written",
    ),
    except(
        "crates/ralph-core/src/process/spawn.rs",
        "opening for writing",
        "the supervisor's own log, appended to by a process that has no store",
    ),
    except(
        "crates/ralph-core/src/process/supervise.rs",
        "opening for writing",
        "the outputs of the worker, which writes them itself",
    ),
    except(
        "crates/ralph-loop/src/log.rs",
        "opening for writing",
        "the log of an agent, written line by line as it is printed; no decision is made from it",
    ),
    except(
        "crates/ralph-slurm/src/budget.rs",
        "opening for writing",
        "a counter that is rewritten under its lock; losing it costs one early call",
    ),
];

/// Programs (I8) that are started from a text.
pub(super) const PROGRAMS: [Exception; 1] = [except(
    "crates/ralph-core/src/settings.rs",
    "-c",
    "a command that a person configured as one line, run on this machine as they wrote it",
)];

/// Places that may look at the environment (I4).
pub(super) const READERS: [Exception; 1] = [except(
    "crates/ralph-core/src/process/guard/inside.rs",
    "env::vars_os",
    "a guard is a program of its own: it hands its owner's variables on and looks at none of them",
)];

/// Whether one of the exceptions covers `what` at `path`.
pub(super) fn covers(exceptions: &[Exception], path: &str, what: &str) -> bool {
    exceptions
        .iter()
        .any(|exception| exception.what == what && is_at(exception, path))
}

/// Exceptions whose place is there and does not hold what it may.
pub(super) fn none_is_stale(tree: &Tree) -> Vec<Finding> {
    let mut findings = stale(tree, &WORDS, &vocabulary::occurrences(tree));
    findings.extend(stale(tree, &WRITERS, &effects::writing_calls(tree)));
    findings.extend(stale(tree, &PROGRAMS, &effects::programs_from_text(tree)));
    findings.extend(stale(tree, &READERS, &effects::reads_of_environment(tree)));
    findings
}

fn stale(tree: &Tree, exceptions: &[Exception], found: &[(String, usize, String)]) -> Vec<Finding> {
    let is_there = |exception: &&Exception| {
        tree.rust
            .iter()
            .any(|source| is_at(exception, &source.path))
    };
    let is_needed = |exception: &Exception| {
        found
            .iter()
            .any(|(path, _, what)| what == exception.what && is_at(exception, path))
    };
    exceptions
        .iter()
        .filter(is_there)
        .filter(|exception| !is_needed(exception))
        .map(|exception| {
            let message = format!(
                "holds no `{}` any more; remove its exception ({})",
                exception.what, exception.reason
            );
            Finding::new(exception.place, 0, message)
        })
        .collect()
}

fn is_at(exception: &Exception, path: &str) -> bool {
    path == exception.place || (exception.place.ends_with('/') && path.starts_with(exception.place))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: [Exception; 1] = [except("crates/a/src/", "ssh", "an example")];

    #[test]
    fn an_exception_covers_its_place_and_its_word_only() {
        assert!(covers(&SAMPLE, "crates/a/src/deep/b.rs", "ssh"));
        assert!(!covers(&SAMPLE, "crates/a/src/b.rs", "sacct"));
        assert!(!covers(&SAMPLE, "crates/a/srcs.rs", "ssh"));
    }

    #[test]
    fn an_exception_that_nothing_needs_is_refused() {
        let tree = Tree::with(&[("crates/a/src/b.rs", "fn f() {}")]);
        assert_eq!(stale(&tree, &SAMPLE, &[]).len(), 1);
        let used = [("crates/a/src/b.rs".to_owned(), 1, "ssh".to_owned())];
        assert_eq!(stale(&tree, &SAMPLE, &used), []);
        // The place is not there yet, so nothing can be said about it.
        assert_eq!(stale(&Tree::default(), &SAMPLE, &[]), []);
    }
}
