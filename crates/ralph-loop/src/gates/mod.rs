//! The repository's own checks, each with its limit, judged against the base commit.
//!
//! Every gate runs, also after another one failed. One that fails is run once more: if it passes then it is *flaky*,
//! which is written down. One that fails twice is run at the commit that the attempt started from, in a worktree of
//! its own, once per commit ([`Baseline`]): if it fails there too, that is proof that it *failed before*, and it is no
//! failure of this work. What must never be here: a judgement from an agent's words, a change to what is committed
//! (the tree was written before the gates run), a gate without an end.

mod baseline;
mod detect;
mod run;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ralph_core::error::{Code, Coded, Hint};
use ralph_core::process::guard::{GuardError, GuardProgram};
use ralph_core::settings::CommandLine;
use ralph_core::store::atomic::StoreError;
use ralph_core::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use baseline::Baseline;
pub use detect::{detect, install};

use self::run::Ran;
use crate::delivery::text::GateLine;
use crate::git::ObjectId;
use crate::redact::Redactor;
use crate::worktree::{WorktreeError, Worktrees};

/// Which gates there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum GateChoice {
    /// What the repository's files say.
    #[default]
    Auto,
    /// None.
    None,
    /// These command lines, for the shell.
    List(Vec<String>),
}

impl FromStr for GateChoice {
    type Err = std::convert::Infallible;

    /// `auto`, `none`, or command lines with `;` between them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.trim() {
            "auto" | "" => Self::Auto,
            "none" => Self::None,
            list => {
                let commands = list
                    .split(';')
                    .map(str::trim)
                    .filter(|line| !line.is_empty());
                Self::List(commands.map(str::to_owned).collect())
            }
        })
    }
}

/// How gates are run.
#[derive(Debug, Clone)]
pub struct GateSettings {
    /// Which.
    pub choice: GateChoice,
    /// How long each may take.
    pub limit: Duration,
    /// How long the installation of dependencies may take.
    pub install_limit: Duration,
    /// From TERM to KILL.
    pub grace: Duration,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            choice: GateChoice::Auto,
            limit: Duration::from_secs(600),
            install_limit: Duration::from_secs(600),
            grace: Duration::from_secs(5),
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// What it is called: its command line.
    pub command: String,
    /// How it is started.
    pub line: CommandLine,
    /// Whether a program that is missing is no failure: nobody asked for this gate by name.
    pub is_found: bool,
}

/// What became of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum GateOutcome {
    /// It passed.
    Passed,
    /// It failed, and passed when it was run again.
    Flaky,
    /// It fails at the base commit too.
    FailedBefore,
    /// It failed, and does not fail at the base commit.
    Failed,
    /// It did not end in time.
    TimedOut,
    /// Its program is not on this machine.
    Missing,
}

impl GateOutcome {
    /// Whether the work may be delivered as good.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// A gate that was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateResult {
    /// Its command line.
    pub command: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: GateOutcome,
    /// `exit 1`, `signal 9`, `time limit`: how its last run here ended.
    pub how: String,
    /// The time of its last run, in milliseconds.
    pub milliseconds: u64,
    /// The end of its output where it did not pass, without secrets.
    pub output: Option<String>,
}

impl fmt::Display for GateResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            GateOutcome::Passed => f.write_str("passed"),
            GateOutcome::Flaky => f.write_str("passed when run again (flaky)"),
            GateOutcome::FailedBefore => write!(f, "failed before too ({})", self.how),
            GateOutcome::Failed => write!(f, "failed ({})", self.how),
            GateOutcome::TimedOut => f.write_str("timed out"),
            GateOutcome::Missing => f.write_str("skipped: not installed"),
        }
    }
}

/// All gates of an attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateReport {
    /// In their order.
    pub gates: Vec<GateResult>,
    /// What went wrong before them, such as the installation of dependencies.
    pub notes: Vec<String>,
}

impl GateReport {
    /// Whether the work passed. No gates is a pass.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.gates.iter().all(|gate| gate.outcome.is_good())
    }

    /// As the text of a pull request shows them.
    #[must_use]
    pub fn lines(&self) -> Vec<GateLine> {
        let line = |gate: &GateResult| GateLine {
            command: gate.command.clone(),
            result: gate.to_string(),
            failure: gate.output.clone().filter(|_| !gate.outcome.is_good()),
        };
        self.gates.iter().map(line).collect()
    }
}

/// Where gates run for one attempt.
#[derive(Debug, Clone, Copy)]
pub struct GateRun<'a> {
    /// The attempt's worktree, or any checkout.
    pub folder: &'a Path,
    /// The commit that the attempt started from; `None` where failures are not to be compared.
    pub base: Option<&'a ObjectId>,
    /// Variables for every program, such as the attempt's id, by which what a crash left is found.
    pub variables: &'a BTreeMap<String, String>,
    /// What masks secrets in their output.
    pub redactor: &'a Redactor,
    /// Now.
    pub now: Timestamp,
}

/// A gate that could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum GatesError {
    /// The program that guards could not do it.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The output of a gate cannot be read.
    #[error("cannot read the output of `{command}`")]
    Output {
        /// Which.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The base commit cannot be checked out.
    #[error(transparent)]
    Worktree(#[from] WorktreeError),
    /// What is known of the base cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Coded for GatesError {
    fn code(&self) -> Code {
        match self {
            // A missing gate is not a missing agent.
            Self::Guard(_) | Self::Output { .. } => Code::Failed,
            Self::Worktree(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Guard(error) => error.hint(),
            Self::Output { .. } => None,
            Self::Worktree(error) => error.hint(),
            Self::Store(error) => error.hint(),
        }
    }
}

/// Runs the gates of one repository.
#[derive(Debug)]
pub struct Gates {
    settings: GateSettings,
    guard: GuardProgram,
    baseline: Baseline,
}

impl Gates {
    /// `state` is the loop's folder for what is known of base commits, `.ralph/state/baseline`.
    #[must_use]
    pub fn new(settings: GateSettings, guard: GuardProgram, state: PathBuf) -> Self {
        Self {
            settings,
            guard,
            baseline: Baseline::new(state),
        }
    }

    /// The gates of a checkout.
    #[must_use]
    pub fn of(&self, folder: &Path) -> Vec<Gate> {
        match &self.settings.choice {
            GateChoice::Auto => detect(folder),
            GateChoice::None => Vec::new(),
            GateChoice::List(commands) => {
                let gate = |command: &String| Gate {
                    command: command.clone(),
                    line: CommandLine::Shell(command.clone()),
                    is_found: false,
                };
                commands.iter().map(gate).collect()
            }
        }
    }

    /// Runs all gates. `worktrees` gives the base commit a place where a failure is compared.
    ///
    /// # Errors
    /// A gate can be neither run nor called missing. A gate that fails is no error.
    pub async fn run(
        &self,
        run: &GateRun<'_>,
        worktrees: &Worktrees,
    ) -> Result<GateReport, GatesError> {
        let mut report = GateReport::default();
        let gates = self.of(run.folder);
        if gates.is_empty() {
            return Ok(report);
        }
        report.notes.extend(self.prepare(run).await?);
        for gate in &gates {
            report.gates.push(self.judge(gate, run, worktrees).await?);
        }
        Ok(report)
    }

    /// Installs dependencies where they are missing. What goes wrong is a note: the gates will tell.
    async fn prepare(&self, run: &GateRun<'_>) -> Result<Option<String>, GatesError> {
        let Some(gate) = install(run.folder) else {
            return Ok(None);
        };
        let ran = self.start(&gate, run, self.settings.install_limit).await?;
        Ok((!ran.has_passed()).then(|| format!("`{}`: {}", gate.command, ran.how)))
    }

    async fn judge(
        &self,
        gate: &Gate,
        run: &GateRun<'_>,
        worktrees: &Worktrees,
    ) -> Result<GateResult, GatesError> {
        let first = self.start(gate, run, self.settings.limit).await?;
        if first.has_passed() {
            return Ok(first.result(gate, GateOutcome::Passed));
        }
        if first.is_missing {
            return Ok(first.result(gate, GateOutcome::Missing));
        }
        // A gate that hangs would only hang again.
        let last = if first.is_too_long {
            first
        } else {
            let second = self.start(gate, run, self.settings.limit).await?;
            if second.has_passed() {
                return Ok(first.result(gate, GateOutcome::Flaky));
            }
            second
        };
        let failed_before = match run.base {
            Some(base) => self.fails_at(base, gate, run, worktrees).await?,
            None => false,
        };
        let outcome = match (failed_before, last.is_too_long) {
            (true, _) => GateOutcome::FailedBefore,
            (false, true) => GateOutcome::TimedOut,
            (false, false) => GateOutcome::Failed,
        };
        Ok(last.result(gate, outcome))
    }

    /// Whether a gate fails at a commit; run there the first time that this is asked.
    async fn fails_at(
        &self,
        base: &ObjectId,
        gate: &Gate,
        run: &GateRun<'_>,
        worktrees: &Worktrees,
    ) -> Result<bool, GatesError> {
        let _turn = self.baseline.turn().await;
        if let Some(known) = self.baseline.failed(base, &gate.command)? {
            return Ok(known);
        }
        let scratch = worktrees.prepare_at(base).await?;
        let there = GateRun {
            folder: scratch.path(),
            ..*run
        };
        let failed = self.fails_twice(gate, &there).await;
        worktrees.discard(scratch).await?;
        let failed = failed?;
        self.baseline
            .remember(base, &gate.command, failed, run.now)?;
        Ok(failed)
    }

    async fn fails_twice(&self, gate: &Gate, run: &GateRun<'_>) -> Result<bool, GatesError> {
        self.prepare(run).await?;
        let first = self.start(gate, run, self.settings.limit).await?;
        if first.has_passed() {
            return Ok(false);
        }
        if first.is_too_long || first.is_missing {
            return Ok(true);
        }
        let second = self.start(gate, run, self.settings.limit).await?;
        Ok(!second.has_passed())
    }

    async fn start(
        &self,
        gate: &Gate,
        run: &GateRun<'_>,
        limit: Duration,
    ) -> Result<Ran, GatesError> {
        run::run(&self.guard, gate, run, limit, self.settings.grace).await
    }
}
