//! What callers branch on: the small `Code`, the `Coded` trait and the `Hint` a person is given.
//!
//! Every public error enum of the libraries implements [`Coded`]. The chain of sources is what people
//! read, the code is what programs branch on and what a binary exits with. No text is printed here.

use std::fmt;

/// The class of a failure; its number is the exit code of the binaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// An expected failure without a code of its own.
    Failed,
    /// The command line was wrong.
    Usage,
    /// Some projects or repositories failed, others were handled.
    Partial,
    /// Nothing was actionable, and the caller asked to be told so.
    Idle,
    /// Every actionable project waits for a person.
    NeedsUser,
    /// Somebody else holds the lock.
    Locked,
    /// A state file cannot be read as what it is meant to be.
    CorruptState,
    /// A file was written by a newer version: readable, never written.
    NewerFormat,
    /// A file changed under an operation, and the change no longer applies.
    Conflict,
    /// No cluster is configured.
    NoClusterConfig,
    /// There is no open SSH session.
    NoSession,
    /// The remote side has no scheduler.
    NoScheduler,
    /// The network or the remote side does not answer.
    Unreachable,
    /// The scheduler said no, and that proves that no job exists.
    Refused,
    /// It is not known whether a job exists; the next pass looks before it acts.
    Unclear,
    /// A work tree has uncommitted changes.
    Dirty,
    /// A repository has no plan, or an empty one.
    NoFixPlan,
    /// The coding agent's program is missing.
    NoEngine,
    /// A loop runs there already.
    AlreadyRunning,
    /// A broken invariant or a caught panic.
    Bug,
    /// Interrupted, after a clean stop.
    Interrupted,
}

impl Code {
    /// All codes, in the order of their numbers.
    pub const ALL: [Self; 21] = [
        Self::Failed,
        Self::Usage,
        Self::Partial,
        Self::Idle,
        Self::NeedsUser,
        Self::Locked,
        Self::CorruptState,
        Self::NewerFormat,
        Self::Conflict,
        Self::NoClusterConfig,
        Self::NoSession,
        Self::NoScheduler,
        Self::Unreachable,
        Self::Refused,
        Self::Unclear,
        Self::Dirty,
        Self::NoFixPlan,
        Self::NoEngine,
        Self::AlreadyRunning,
        Self::Bug,
        Self::Interrupted,
    ];

    /// The number a binary exits with.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        self.facts().0
    }

    /// The stable name used in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().1
    }

    /// One line for `docs/exit-codes.md` and for people.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.facts().2
    }

    fn facts(self) -> (u8, &'static str, &'static str) {
        match self {
            Self::Failed => (1, "failed", "failed, no code of its own"),
            Self::Usage => (
                2,
                "usage",
                "the command line is wrong (in `hook stop`: work remains)",
            ),
            Self::Partial => (
                3,
                "partial",
                "some projects or repositories failed, others were handled",
            ),
            Self::Idle => (
                4,
                "idle",
                "nothing was actionable (only with `--fail-if-idle`)",
            ),
            Self::NeedsUser => (
                5,
                "needs_user",
                "every actionable project waits for a person",
            ),
            Self::Locked => (10, "locked", "somebody else holds the lock"),
            Self::CorruptState => (11, "corrupt_state", "a state file cannot be read"),
            Self::NewerFormat => (12, "newer_format", "a file was written by a newer version"),
            Self::Conflict => (13, "conflict", "a file changed under an operation"),
            Self::NoClusterConfig => (20, "no_cluster_config", "no cluster is configured"),
            Self::NoSession => (21, "no_session", "there is no open SSH session"),
            Self::NoScheduler => (22, "no_scheduler", "the remote side has no scheduler"),
            Self::Unreachable => (23, "unreachable", "the cluster does not answer"),
            Self::Refused => (24, "refused", "the scheduler refused"),
            Self::Unclear => (25, "unclear", "outcome unclear, adoption is pending"),
            Self::Dirty => (30, "dirty", "a work tree has uncommitted changes"),
            Self::NoFixPlan => (31, "no_fix_plan", "a repository has no fix_plan"),
            Self::NoEngine => (32, "no_engine", "the agent or loop program is missing"),
            Self::AlreadyRunning => (33, "already_running", "a loop runs there already"),
            Self::Bug => (70, "bug", "a bug: a caught panic or a broken invariant"),
            Self::Interrupted => (130, "interrupted", "interrupted, after a clean stop"),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the person can do next, as one full sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint(pub String);

impl Hint {
    /// A hint from any text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The message of an error with those of its causes, each once: for whoever reads nothing else.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        // A transparent error repeats its source.
        if !message.ends_with(&words) {
            message = format!("{message}: {words}");
        }
        next = cause.source();
    }
    message
}

/// An error that says which branch to take and what to do next.
pub trait Coded: std::error::Error {
    /// The class of the failure.
    fn code(&self) -> Code;

    /// What to do about it, where something can be said.
    fn hint(&self) -> Option<Hint> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once_each() {
        /// By hand: this file is part of programs that have no derives for errors.
        #[derive(Debug)]
        struct Told(&'static str, Option<Box<Self>>);
        impl fmt::Display for Told {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
        impl std::error::Error for Told {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                self.1.as_ref().map(|cause| &**cause as _)
            }
        }
        let full = Told("the disk is full", None);
        let transparent = Told("the disk is full", Some(Box::new(full)));
        let told = Told("failed to write a.json", Some(Box::new(transparent)));
        assert_eq!(
            with_causes(&told),
            "failed to write a.json: the disk is full"
        );
    }

    #[test]
    fn numbers_and_names_are_unique_and_ascending() {
        let numbers: Vec<u8> = Code::ALL.iter().map(|code| code.exit_code()).collect();
        assert!(
            numbers.windows(2).all(|pair| pair[0] < pair[1]),
            "{numbers:?}"
        );
        let mut names: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
