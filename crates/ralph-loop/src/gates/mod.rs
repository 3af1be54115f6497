//! The repository's own checks, each with its limit, judged against the base commit.
//!
//! Every gate runs, also after another one failed. One that fails is run once more: if it passes then it is *flaky*,
//! which is written down. One that fails twice is run at the commit that the attempt started from, in a worktree of
//! its own, once per commit ([`Baseline`]): if it fails there too, that is proof that it *failed before*, and it is no
//! failure of this work. A gate that cannot even be started proves nothing: that is a mistake in the configuration, told
//! before any agent starts where it can be ([`Gates::check`]). What must never be here: a judgement from an agent's words, a change to what is committed
//! (the tree was written before the gates run), a gate without an end.

mod baseline;
mod detect;
mod error;
mod list;
mod run;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ralph_core::process::guard::GuardProgram;
use ralph_core::settings::CommandLine;
use ralph_core::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use baseline::Baseline;
pub use detect::{detect, install};
pub use error::GatesError;

use self::run::Ran;
use crate::delivery::text::GateLine;
use crate::git::ObjectId;
use crate::redact::Redactor;
use crate::worktree::Worktrees;

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

    /// `auto`, `none`, or command lines with `;` between them, which quotation keeps.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.trim() {
            "auto" | "" => Self::Auto,
            "none" => Self::None,
            text => Self::List(list::split(text)),
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
    /// The shell cannot start it, here and at the base commit: it is written down wrongly.
    Unusable,
}

impl GateOutcome {
    /// Whether the work may be delivered as good.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !matches!(self, Self::Failed | Self::TimedOut | Self::Unusable)
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
            GateOutcome::Unusable => write!(f, "cannot be started ({})", self.how),
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

    /// The first gate that is written down wrongly, if there is one.
    #[must_use]
    pub fn unusable(&self) -> Option<&GateResult> {
        self.of(&GateOutcome::Unusable).next()
    }

    /// Those of which this became.
    pub fn of<'a>(&'a self, outcome: &'a GateOutcome) -> impl Iterator<Item = &'a GateResult> {
        self.gates
            .iter()
            .filter(move |gate| gate.outcome == *outcome)
    }

    /// As the text of a pull request shows them.
    #[must_use]
    pub fn lines(&self) -> Vec<GateLine> {
        let line = |gate: &GateResult| GateLine {
            command: gate.command.clone(),
            result: gate.to_string(),
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

/// How a gate ends at the base commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// At least once of two times.
    Passes,
    Fails,
    /// The shell does not find it, or may not run it: no failure of the base either.
    CannotStart,
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

    /// Whether a shell can start the gates that a person has written down; found out before an agent works for nothing.
    ///
    /// # Errors
    /// [`GatesError::Unusable`] for the first that it cannot.
    pub async fn check(&self, folder: &Path) -> Result<(), GatesError> {
        for gate in self.of(folder).into_iter().filter(|gate| !gate.is_found) {
            if let Some(why) = list::trouble(&gate.command, folder).await {
                let command = gate.command;
                return Err(GatesError::Unusable { command, why });
            }
        }
        Ok(())
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
        // It would do so again, at the base as well, and nothing is known of the work.
        if first.is_unguarded {
            return Ok(first.result(gate, GateOutcome::Failed));
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
        let before = match run.base {
            Some(base) => self.at(base, gate, run, worktrees).await?,
            None => Before::Passes,
        };
        let outcome = match before {
            Before::Fails => GateOutcome::FailedBefore,
            Before::CannotStart if last.cannot_start(gate) => GateOutcome::Unusable,
            Before::Passes | Before::CannotStart if last.is_too_long => GateOutcome::TimedOut,
            Before::Passes | Before::CannotStart => GateOutcome::Failed,
        };
        Ok(last.result(gate, outcome))
    }

    /// How a gate ends at a commit; run there the first time that this is asked.
    async fn at(
        &self,
        base: &ObjectId,
        gate: &Gate,
        run: &GateRun<'_>,
        worktrees: &Worktrees,
    ) -> Result<Before, GatesError> {
        let _turn = self.baseline.turn().await;
        if let Some(failed) = self.baseline.failed(base, &gate.command)? {
            return Ok(if failed {
                Before::Fails
            } else {
                Before::Passes
            });
        }
        let scratch = worktrees.prepare_at(base).await?;
        let there = GateRun {
            folder: scratch.path(),
            ..*run
        };
        let before = self.twice(gate, &there).await;
        worktrees.discard(scratch).await?;
        let before = before?;
        // What cannot be started is a matter of this machine, which may be mended in a minute.
        if before != Before::CannotStart {
            let failed = before == Before::Fails;
            self.baseline
                .remember(base, &gate.command, failed, run.now)?;
        }
        Ok(before)
    }

    async fn twice(&self, gate: &Gate, run: &GateRun<'_>) -> Result<Before, GatesError> {
        self.prepare(run).await?;
        let first = self.start(gate, run, self.settings.limit).await?;
        if first.cannot_start(gate) {
            return Ok(Before::CannotStart);
        }
        if first.is_too_long || first.is_missing {
            return Ok(Before::Fails);
        }
        if first.has_passed()
            || self
                .start(gate, run, self.settings.limit)
                .await?
                .has_passed()
        {
            return Ok(Before::Passes);
        }
        Ok(Before::Fails)
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
