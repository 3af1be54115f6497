//! The phases of a project: the canonical table, its aliases, and everything else kept as found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A project's phase. A canonical word is only written when the machine itself changes the phase; an alias
/// or a sentence that was read is never rewritten just because it was read (section D of the field study).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Phase {
    /// Nothing to do.
    Idle,
    /// A fresh project; what follows is IMPLEMENT.
    Init,
    /// Somebody has to write code.
    Implement,
    /// The configured test command runs.
    Test,
    /// The first READY queue item is submitted.
    Run,
    /// Jobs are on the cluster; polled when due.
    WaitSlurm,
    /// Finished runs are processed.
    Check,
    /// A failure was diagnosed and waits for a fix.
    Debug,
    /// A question is argued out before work goes on.
    Debate,
    /// The project has reached its end.
    Done,
    /// Anything else: preserved, verified, reported, never stepped.
    External(String),
}

/// Canonical word, then the aliases accepted for it (compared without case).
const TABLE: [(Phase, &[&str]); 10] = [
    (Phase::Idle, &["IDLE", ""]),
    (Phase::Init, &["INIT", "SETUP"]),
    (Phase::Implement, &["IMPLEMENT"]),
    (Phase::Test, &["TEST"]),
    (Phase::Run, &["RUN", "SUBMIT", "READY"]),
    (
        Phase::WaitSlurm,
        &["WAIT_SLURM", "RUNNING", "WAITING", "SUBMITTED", "POLL"],
    ),
    (
        Phase::Check,
        &[
            "CHECK",
            "CHECK_RESULTS",
            "EVALUATION",
            "ANALYSIS",
            "CHECK/POLL",
        ],
    ),
    (Phase::Debug, &["DEBUG"]),
    (Phase::Debate, &["DEBATE"]),
    (Phase::Done, &["DONE", "COMPLETE", "COMPLETED"]),
];

impl Phase {
    /// Reads a phase as found on disk.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let word = text.trim();
        TABLE
            .iter()
            .find(|(_, names)| names.iter().any(|name| name.eq_ignore_ascii_case(word)))
            .map_or_else(
                || Self::External(text.to_owned()),
                |(phase, _)| phase.clone(),
            )
    }

    /// The word that is written; for [`Phase::External`] the text as found.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if let Self::External(text) = self {
            return text;
        }
        TABLE
            .iter()
            .find(|(phase, _)| phase == self)
            .map_or("IDLE", |(_, names)| names[0])
    }

    /// Whether the state machine may take a step here.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        !matches!(self, Self::External(_))
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_read_and_sentences_are_kept() {
        assert_eq!(Phase::parse("wait_slurm"), Phase::WaitSlurm);
        assert_eq!(Phase::parse(" CHECK/POLL "), Phase::Check);
        assert_eq!(Phase::parse("Complete"), Phase::Done);
        assert_eq!(Phase::parse(""), Phase::Idle);
        let sentence = "RUN of the k-head sweep, gates G1 to G3 passed";
        assert_eq!(Phase::parse(sentence).as_str(), sentence);
        assert!(!Phase::parse("AUTORESEARCH").is_canonical());
        for (phase, names) in &TABLE {
            assert_eq!(&Phase::parse(phase.as_str()), phase);
            assert!(names.iter().all(|name| &Phase::parse(name) == phase));
        }
    }
}
