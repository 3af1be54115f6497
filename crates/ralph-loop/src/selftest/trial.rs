//! One run of the agent in one circumstance, and everything that can be seen of it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ralph_core::process::Identity;
use ralph_core::process::guard::{Guard, Leftovers, sweep};
use ralph_core::store::{StoreError, atomic};
use ralph_docs::fix_plan::RowKey;
use tokio::sync::watch;

use super::ground::{Ground, Plot, Traces, WISH};
use super::{Kit, SelftestError};
use crate::agent::{self, AgentEnd, AgentError, AgentEvent, AgentRun, Limits};
use crate::engine::{AgentOrder, Engine, EngineName, Launch, StreamReader};
use crate::prompt::{PromptParts, prompt};
use crate::task::{Task, TaskKey};

/// More than one argument of a program may hold (execve(2), `MAX_ARG_STRLEN`: 128 KiB).
const LONG_ORDER: usize = 256 * 1024;
/// How long an agent is asked to wait where it is to be interrupted.
const WAIT_SECONDS: u64 = 30;
/// From a result to the end.
const AFTER_RESULT: Duration = Duration::from_secs(30);
/// Where nobody listens: the discard port of this machine.
const NOWHERE: &str = "http://127.0.0.1:9";
const PROXIES: [&str; 6] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
];
/// Programs that reach out, and that fail as they do without a network.
const REACHING: [&str; 5] = ["curl", "wget", "gh", "nc", "ping"];
const UNREACHABLE: &str = "#!/bin/sh\necho 'could not resolve host' >&2\nexit 6\n";
/// Pause between two looks at a process that ends.
const LOOK: Duration = Duration::from_millis(20);

/// What a loop may do to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Circumstance {
    Plain,
    LongOrder,
    DirtyTree,
    NoNetwork,
    Pair,
    Stopped,
    Killed,
}

impl Circumstance {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Plain => "a small task",
            Self::LongOrder => "an order of 256 KiB",
            Self::DirtyTree => "a work tree with changes",
            Self::NoNetwork => "no network",
            Self::Pair => "two at once",
            Self::Stopped => "TERM in the middle",
            Self::Killed => "KILL in the middle",
        }
    }

    pub(super) fn runs(self) -> usize {
        if self == Self::Pair { 2 } else { 1 }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::LongOrder => "long-order",
            Self::DirtyTree => "dirty-tree",
            Self::NoNetwork => "no-network",
            Self::Pair => "pair",
            Self::Stopped => "stopped",
            Self::Killed => "killed",
        }
    }
}

/// A run that is about to be.
pub(super) struct Trial<'a> {
    pub(super) kit: &'a Kit,
    pub(super) ground: &'a Ground,
    pub(super) engine: &'a dyn Engine,
    pub(super) circumstance: Circumstance,
}

/// What was seen of one run.
#[derive(Debug)]
pub(super) struct Seen {
    /// How it ended; `None` where it was killed.
    pub(super) end: Option<Result<AgentEnd, AgentError>>,
    /// How long it ran.
    pub(super) took: Duration,
    /// How long it took from the word to end to its end, where there was one.
    pub(super) closing: Option<Duration>,
    /// What it left in files.
    pub(super) traces: Traces,
    /// Processes of it that were alive after its end.
    pub(super) survivors: usize,
    /// Whether it said what became of its order in words that are understood.
    pub(super) has_said: bool,
}

impl Trial<'_> {
    /// Runs it; two runs give two answers.
    pub(super) async fn run(&self) -> Result<Vec<Seen>, SelftestError> {
        let name = self.circumstance.name();
        if self.circumstance == Circumstance::Pair {
            let names = [1, 2].map(|number| format!("{name}-{number}"));
            let both = names.each_ref().map(|name| self.single(name));
            let [one, other] = both;
            let (one, other) = tokio::try_join!(one, other)?;
            return Ok(vec![one, other]);
        }
        Ok(vec![self.single(name).await?])
    }

    async fn single(&self, name: &str) -> Result<Seen, SelftestError> {
        let plot = self.ground.plot(name).await?;
        if self.circumstance == Circumstance::DirtyTree {
            Ground::soil(&plot)?;
        }
        let word = format!("ralph-{name}");
        let order = self.order(&plot, &word)?;
        let clock = &self.kit.env.clock;
        let began = clock.monotonic();
        let (end, closing, guard) = self.attempt(&plot, &order).await?;
        let took = clock.monotonic().saturating_sub(began);
        let survivors = survivors(order.attempt.as_str(), guard.as_ref(), self.kit.grace).await;
        Ok(Seen {
            has_said: self.has_said(&plot, end.as_ref()),
            end,
            took,
            closing,
            traces: self.ground.look(&plot, &word).await?,
            survivors,
        })
    }

    async fn attempt(&self, plot: &Plot, order: &AgentOrder) -> Result<Attempted, SelftestError> {
        let started = watch::channel(None::<Identity>).0;
        let mut tell = |event: AgentEvent| {
            if let AgentEvent::Started { guard, .. } = event {
                started.send_replace(guard);
            }
        };
        let (raise, stop) = watch::channel(false);
        let told = Cell::new(None);
        let log = self.ground.log(plot);
        let offline = Offline {
            engine: self.engine,
            variables: self.variables()?,
        };
        let running = agent::run(
            match Guard::start(&self.kit.guard) {
                Ok(guard) => guard,
                Err(source) => return Ok((Some(Err(not_started(self, source))), None, None)),
            },
            AgentRun {
                engine: &offline,
                order,
                limits: self.limits(),
                env: &self.kit.env,
                zone: &self.kit.zone,
                redactor: &self.kit.redactor,
                log: &log,
                stop,
                tell: &mut tell,
            },
        );
        let interrupt = async {
            if !matches!(
                self.circumstance,
                Circumstance::Stopped | Circumstance::Killed
            ) {
                return std::future::pending().await;
            }
            let mut started = started.subscribe();
            let _ = started.wait_for(Option::is_some).await;
            tokio::time::sleep(self.kit.pause).await;
            if self.circumstance == Circumstance::Stopped {
                told.set(Some(self.kit.env.clock.monotonic()));
                raise.send_replace(true);
                std::future::pending::<()>().await;
            }
        };
        // Dropping the run is what the end of a loop does to it.
        let end = tokio::select! {
            end = running => Some(end),
            () = interrupt => None,
        };
        let now = self.kit.env.clock.monotonic();
        let closing = told.get().map(|told: Duration| now.saturating_sub(told));
        let guard = started.borrow().clone();
        Ok((end, closing, guard))
    }

    fn limits(&self) -> Limits {
        Limits {
            wall: Some(self.kit.limit),
            silence: None,
            after_result: AFTER_RESULT.min(self.kit.limit),
            grace: self.kit.grace,
        }
    }

    /// Variables that make the circumstance.
    fn variables(&self) -> Result<BTreeMap<String, String>, StoreError> {
        if self.circumstance != Circumstance::NoNetwork {
            return Ok(BTreeMap::new());
        }
        let folder = self.kit.folder.join("unreachable");
        atomic::create_dir(&folder)?;
        for name in REACHING {
            let path = folder.join(name);
            drop(atomic::stage(&path, UNREACHABLE.as_bytes(), Some(0o755))?.publish()?);
        }
        let path = format!("{}:{}", folder.display(), self.kit.search_path);
        let mut variables: BTreeMap<String, String> = PROXIES
            .map(|name| (name.to_owned(), NOWHERE.to_owned()))
            .into();
        variables.insert("PATH".to_owned(), path);
        Ok(variables)
    }

    fn order(&self, plot: &Plot, word: &str) -> Result<AgentOrder, SelftestError> {
        let wait = match self.circumstance {
            Circumstance::Stopped | Circumstance::Killed => {
                format!("Wait for {WAIT_SECONDS} seconds, then write")
            }
            _ => "Write".to_owned(),
        };
        let text =
            format!("{wait} the single word `{word}` into the file `{WISH}` of this folder.");
        let row = RowKey {
            section: "Selftest".to_owned(),
            text,
            occurrence: 0,
        };
        let task = Task {
            key: TaskKey::of(None, &row),
            id: plot.name.clone(),
            row,
            repository: None,
            line: 3,
        };
        let id = self.kit.env.ids.op(self.kit.env.now()).to_string();
        let prompt = self.prompt(plot, &task);
        let prompt_file = self
            .kit
            .folder
            .join("logs")
            .join(format!("{}.md", plot.name));
        atomic::replace(&prompt_file, prompt.as_bytes())?;
        Ok(AgentOrder {
            attempt: id.parse().map_err(|_| SelftestError::Id(id))?,
            task,
            prompt,
            prompt_file,
            worktree: plot.tree.clone(),
            branch: plot.branch.clone(),
            project: "project".to_owned(),
        })
    }

    fn prompt(&self, plot: &Plot, task: &Task) -> String {
        let filler = match self.circumstance {
            Circumstance::LongOrder => {
                let line = "This line is only here to make the order long; pass over it.\n";
                line.repeat(LONG_ORDER / line.len() + 1)
            }
            _ => String::new(),
        };
        let instructions = format!("Do exactly what the task says, and nothing else.\n\n{filler}");
        prompt(&PromptParts {
            task,
            worktree: &plot.tree.display().to_string(),
            repository: &self.ground.top().display().to_string(),
            branch: &plot.branch,
            gates: &[],
            history: None,
            instructions: Some(&instructions),
        })
    }

    /// An engine with a stream of its own always says; any other program by a status block or a line of JSON.
    fn has_said(&self, plot: &Plot, end: Option<&Result<AgentEnd, AgentError>>) -> bool {
        let has_block = matches!(end, Some(Ok(end)) if end.status.is_some());
        let log = || atomic::read_text(&self.ground.log(plot)).ok().flatten();
        let is_line = |line: &str| {
            line.starts_with('{') && line.contains("\"ralph\"") && line.contains("\"outcome\"")
        };
        has_block
            || self.engine.name() != EngineName::Command
            || log().is_some_and(|text| text.lines().any(is_line))
    }
}

type Attempted = (
    Option<Result<AgentEnd, AgentError>>,
    Option<Duration>,
    Option<Identity>,
);

fn not_started(trial: &Trial<'_>, source: ralph_core::process::guard::GuardError) -> AgentError {
    AgentError::Start {
        engine: trial.engine.name().to_string(),
        source,
    }
}

/// Waits until the guard is gone and counts what is left; then ends that too.
async fn survivors(attempt: &str, guard: Option<&Identity>, grace: Duration) -> usize {
    let deadline = tokio::time::Instant::now() + grace + Duration::from_secs(10);
    while guard.is_some_and(Identity::is_alive) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK).await;
    }
    let values = BTreeSet::from([attempt.to_owned()]);
    let guards: Vec<Identity> = guard.into_iter().cloned().collect();
    let look = move || {
        let leftovers = Leftovers {
            variable: "RALPH_ATTEMPT_ID",
            values: &values,
            guards: &guards,
        };
        let alive = leftovers.alive().len();
        let _ = sweep(&leftovers, Duration::ZERO);
        alive
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
}

/// An engine whose agent has more variables.
#[derive(Debug)]
struct Offline<'a> {
    engine: &'a dyn Engine,
    variables: BTreeMap<String, String>,
}

impl Engine for Offline<'_> {
    fn name(&self) -> EngineName {
        self.engine.name()
    }

    fn launch(&self, order: &AgentOrder) -> Launch {
        let mut launch = self.engine.launch(order);
        launch.variables.extend(self.variables.clone());
        launch
    }

    fn reader(&self) -> Box<dyn StreamReader> {
        self.engine.reader()
    }
}
