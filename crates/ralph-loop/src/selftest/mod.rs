//! Runs a person's own agent command through what a loop will do to it: orders that are long, work trees that are
//! dirty, two at once, no network, TERM and KILL. Every run is in a repository made for it, below one folder.
//!
//! [`Kit`] says which agent and where, [`run`] does it, and [`Finding`]s say what was seen, what that means for a loop
//! and what to do about it. What must never be here: a look at the person's own repository, or a terminal.

mod ground;
mod trial;
mod verdict;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use ralph_core::env::Env;
use ralph_core::error::{Code, Coded, Hint};
use ralph_core::process::guard::GuardProgram;
use ralph_core::store::StoreError;

use crate::engine::{Engine, EngineSettings, SettingsError, engine};
use crate::git::{GitError, GitProgram};
use crate::redact::Redactor;
use ground::Ground;
use trial::{Circumstance, Trial};

/// What is tested, and with what.
#[derive(Debug)]
pub struct Kit {
    /// The agent.
    pub engine: EngineSettings,
    /// Clock and ids.
    pub env: Env,
    /// What agents are started through.
    pub guard: GuardProgram,
    /// Which git.
    pub git: GitProgram,
    /// The local time zone.
    pub zone: TimeZone,
    /// What is masked in logs.
    pub redactor: Redactor,
    /// A folder of its own that does not exist yet. It is left as it is for whoever wants to read the logs.
    pub folder: PathBuf,
    /// The `PATH` that agents have.
    pub search_path: String,
    /// How long one run may take.
    pub limit: Duration,
    /// Time between TERM and KILL.
    pub grace: Duration,
    /// How long a run goes on before it is told to end.
    pub pause: Duration,
    /// Only the first run, which costs least.
    pub is_quick: bool,
}

/// How good something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// As a loop needs it.
    Pass,
    /// Could not be seen with this agent.
    Skipped,
    /// A loop copes, with a loss.
    Warn,
    /// A loop with this agent does not work.
    Fail,
}

impl Mark {
    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skipped => "skipped",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, as `ends on TERM`.
    pub check: &'static str,
    /// How it is.
    pub mark: Mark,
    /// What was seen.
    pub found: String,
    /// What that means for a loop; empty where all is well.
    pub means: &'static str,
    /// What to do about it; empty where all is well.
    pub advice: &'static str,
}

/// What happens during a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A run begins.
    Begins {
        /// Which, from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// In what circumstance.
        what: &'static str,
    },
    /// Something was found.
    Found(Finding),
}

/// Why nothing could be tested.
#[derive(Debug, thiserror::Error)]
pub enum SelftestError {
    /// The agent's settings are wrong.
    #[error(transparent)]
    Engine(#[from] SettingsError),
    /// No repository could be made.
    #[error("no repository to test in could be made")]
    Git(#[from] GitError),
    /// A file could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An id is none: a bug.
    #[error("{0:?} is no id of an attempt")]
    Id(String),
}

impl Coded for SelftestError {
    fn code(&self) -> Code {
        match self {
            Self::Engine(error) => error.code(),
            Self::Git(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Id(_) => Code::Bug,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Engine(error) => error.hint(),
            Self::Git(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Id(_) => None,
        }
    }
}

/// How often the agent is run.
#[must_use]
pub fn runs(is_quick: bool) -> usize {
    circumstances(is_quick)
        .iter()
        .map(|circumstance| circumstance.runs())
        .sum()
}

fn circumstances(is_quick: bool) -> &'static [Circumstance] {
    const ALL: [Circumstance; 7] = [
        Circumstance::Plain,
        Circumstance::LongOrder,
        Circumstance::DirtyTree,
        Circumstance::NoNetwork,
        Circumstance::Pair,
        Circumstance::Stopped,
        Circumstance::Killed,
    ];
    if is_quick { &ALL[..1] } else { &ALL }
}

/// Runs the agent in every circumstance. Where the first run shows that every other would fail the same way, the rest
/// is not tried. Dropping the future ends the agent and all that it started.
///
/// # Errors
/// Nothing can be tested: no git, no place, no command.
pub async fn run(kit: &Kit, tell: &mut dyn FnMut(Step)) -> Result<Vec<Finding>, SelftestError> {
    let agent: Arc<dyn Engine> = Arc::from(engine(&kit.engine)?);
    let ground = Ground::make(kit).await?;
    let list = circumstances(kit.is_quick);
    let mut findings = Vec::new();
    let mut number = 1;
    for circumstance in list {
        tell(Step::Begins {
            number,
            of: runs(kit.is_quick),
            what: circumstance.words(),
        });
        number += circumstance.runs();
        let trial = Trial {
            kit,
            ground: &ground,
            engine: agent.as_ref(),
            circumstance: *circumstance,
        };
        let seen = trial.run().await?;
        let found = verdict::judge(*circumstance, &seen, kit);
        let is_hopeless = found.iter().any(|finding| finding.mark == Mark::Fail)
            && *circumstance == Circumstance::Plain;
        for finding in found {
            tell(Step::Found(finding.clone()));
            findings.push(finding);
        }
        if is_hopeless {
            break;
        }
    }
    Ok(findings)
}
