//! `.claude/ralph/config.json`: read leniently, each wrong value named, unknown keys kept and reported once.
//!
//! Pure: the text comes in, the settings go out. Which file it was is the caller's business.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::classify::FailureClass;
use crate::sbatch;

/// Everything that `dispatch`, `verify` and `hook stop` can be told by the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Projects that advance in one dispatch.
    pub batch_size: usize,
    /// Stop hook: how often a session may be kept going.
    pub max_iterations: u64,
    /// Stop hook: seconds between two blocks.
    pub min_seconds_between_blocks: u64,
    /// Which cluster; `None` when the file does not say.
    pub cluster: Option<ClusterKind>,
    /// Who does what the machine cannot.
    pub agent: AgentChoice,
    /// Seconds that one work order may take.
    pub agent_time_limit: Duration,
    /// The command of the TEST phase.
    pub test_command: Option<CommandLine>,
    /// How long `test_command` may take.
    pub test_time_limit: Duration,
    /// When to ask again.
    pub poll: PollSettings,
    /// Automatic resubmissions, per failure class, over the policy of the class.
    pub retry: BTreeMap<String, u32>,
    /// What may be asked of which partition.
    pub partitions: PartitionPolicy,
    /// Absent from every source for so long: lost, for a person to look at.
    pub lost_after: Duration,
}

/// `cluster.kind`: where jobs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterKind {
    /// The embedded cluster: jobs run on this machine.
    Local,
    /// SLURM over SSH.
    Slurm,
}

/// `agent.engine`, with what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentChoice {
    /// The order is handed back to whoever called.
    Caller,
    /// A program takes the order on standard input.
    Command(CommandLine),
    /// A coding agent by name (`claude`, `codex`, `devin`).
    Engine(String),
}

/// A command: words are run without a shell; one string is run by `sh -c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// Program and arguments.
    Words(Vec<String>),
    /// For the shell.
    Shell(String),
}

impl CommandLine {
    /// Program and arguments to start.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        match self {
            Self::Words(words) => words.clone(),
            Self::Shell(text) => ["sh", "-c", text].map(str::to_owned).to_vec(),
        }
    }
}

/// `poll`, in seconds: 60 after a submission, then 900, doubled up to 3,600 (contradiction 8 of the field study).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollSettings {
    /// After a submission.
    pub first: Duration,
    /// After the first poll.
    pub base: Duration,
    /// Never longer than this.
    pub cap: Duration,
}

/// `partitions`: policy lives in the configuration, not in code (contradiction 17).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionPolicy {
    /// When not empty, only these.
    pub allow: Vec<String>,
    /// Never these (incident 39).
    pub deny: Vec<String>,
    /// Longest time limit, per partition.
    pub max_time: BTreeMap<String, Duration>,
    /// Most jobs of ours at once, per partition (incident 37).
    pub max_submit: BTreeMap<String, usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_size: 3,
            max_iterations: 25,
            min_seconds_between_blocks: 0,
            cluster: None,
            agent: AgentChoice::Caller,
            agent_time_limit: Duration::from_secs(3_600),
            test_command: None,
            test_time_limit: Duration::from_secs(900),
            poll: PollSettings {
                first: Duration::from_secs(60),
                base: Duration::from_secs(900),
                cap: Duration::from_secs(3_600),
            },
            retry: BTreeMap::new(),
            partitions: PartitionPolicy::default(),
            lost_after: Duration::from_secs(600),
        }
    }
}

/// What a configuration file says that cannot be used; the default stands in for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsProblem {
    /// The key, with dots.
    pub key: String,
    /// What was expected, and what was found.
    pub message: String,
}

/// Reads the object of `config.json`.
#[must_use]
pub fn read(object: &Map<String, Value>) -> (Settings, Vec<SettingsProblem>) {
    let mut reader = Reader {
        problems: Vec::new(),
    };
    let mut settings = Settings::default();
    for (key, value) in object {
        reader.member(&mut settings, key, value);
    }
    (settings, reader.problems)
}

struct Reader {
    problems: Vec<SettingsProblem>,
}

impl Reader {
    fn member(&mut self, settings: &mut Settings, key: &str, value: &Value) {
        match key {
            "batch_size" => settings.batch_size = self.count(key, value, 1).unwrap_or(3) as usize,
            "max_iterations" => settings.max_iterations = self.count(key, value, 0).unwrap_or(25),
            "min_seconds_between_blocks" => {
                settings.min_seconds_between_blocks = self.count(key, value, 0).unwrap_or(0);
            }
            "cluster" => settings.cluster = self.cluster(value),
            "agent" => self.agent(settings, value),
            "test_command" => settings.test_command = self.command(key, value),
            "test_time_limit_seconds" => self.seconds(key, value, &mut settings.test_time_limit),
            "lost_after_seconds" => self.seconds(key, value, &mut settings.lost_after),
            "poll" => self.poll(&mut settings.poll, value),
            "retry" => {
                for (class, budget) in self.counts(key, value) {
                    self.retry(settings, class, budget as u32);
                }
            }
            "partitions" => self.partitions(&mut settings.partitions, value),
            _ => self.problem(
                key,
                "a key that ralph does not know; it is kept and ignored",
            ),
        }
    }

    fn retry(&mut self, settings: &mut Settings, class: String, budget: u32) {
        let known = FailureClass::from_name(&class);
        match known.map(|class| class.scope().takes_a_retry_budget()) {
            None => self.problem(
                &format!("retry.{class}"),
                "no class of failures; `failure_class` of a run names its own",
            ),
            Some(false) if budget > 0 => self.problem(
                &format!("retry.{class}"),
                "failures of this class are for a person to look into; none is tried again by itself",
            ),
            Some(_) => {
                settings.retry.insert(class, budget);
            }
        }
    }

    fn problem(&mut self, key: &str, message: impl Into<String>) {
        self.problems.push(SettingsProblem {
            key: key.to_owned(),
            message: message.into(),
        });
    }

    fn count(&mut self, key: &str, value: &Value, least: u64) -> Option<u64> {
        let found = value.as_u64().filter(|n| (least..=1_000_000).contains(n));
        if found.is_none() {
            self.problem(
                key,
                format!("expected a whole number from {least} to 1000000, found {value}"),
            );
        }
        found
    }

    fn seconds(&mut self, key: &str, value: &Value, target: &mut Duration) {
        match value.as_f64().filter(|s| (0.0..=1e9).contains(s)) {
            Some(seconds) => *target = Duration::from_secs_f64(seconds),
            None => self.problem(key, format!("expected seconds, found {value}")),
        }
    }

    fn cluster(&mut self, value: &Value) -> Option<ClusterKind> {
        match value.get("kind").unwrap_or(value).as_str() {
            Some("local") => Some(ClusterKind::Local),
            Some("slurm") => Some(ClusterKind::Slurm),
            _ => {
                self.problem(
                    "cluster",
                    format!(
                        "expected {{\"kind\": \"local\"}} or {{\"kind\": \"slurm\"}}, found {value}"
                    ),
                );
                None
            }
        }
    }

    fn agent(&mut self, settings: &mut Settings, value: &Value) {
        if let Some(limit) = value.get("time_limit_seconds") {
            self.seconds(
                "agent.time_limit_seconds",
                limit,
                &mut settings.agent_time_limit,
            );
        }
        let command = value.get("command");
        match value.get("engine").and_then(Value::as_str) {
            Some("caller") | None if command.is_none() => settings.agent = AgentChoice::Caller,
            Some("command") | None => {
                match command.and_then(|command| self.command("agent.command", command)) {
                    Some(command) => settings.agent = AgentChoice::Command(command),
                    None => self.problem("agent.command", "engine `command` needs a command line"),
                }
            }
            Some("caller") => settings.agent = AgentChoice::Caller,
            Some(engine) => settings.agent = AgentChoice::Engine(engine.to_owned()),
        }
    }

    fn command(&mut self, key: &str, value: &Value) -> Option<CommandLine> {
        match value {
            Value::Null => None,
            Value::String(text) if !text.trim().is_empty() => {
                Some(CommandLine::Shell(text.clone()))
            }
            Value::Array(words) if !words.is_empty() && words.iter().all(Value::is_string) => {
                Some(CommandLine::Words(
                    words
                        .iter()
                        .filter_map(Value::as_str)
                        .map(str::to_owned)
                        .collect(),
                ))
            }
            _ => {
                self.problem(
                    key,
                    format!("expected a list of words or one shell line, found {value}"),
                );
                None
            }
        }
    }

    fn poll(&mut self, poll: &mut PollSettings, value: &Value) {
        for (key, target) in [
            ("first", &mut poll.first),
            ("base", &mut poll.base),
            ("cap", &mut poll.cap),
        ] {
            if let Some(value) = value.get(key) {
                self.seconds(&format!("poll.{key}"), value, target);
            }
        }
    }

    fn counts(&mut self, key: &str, value: &Value) -> Vec<(String, u64)> {
        let Some(members) = value.as_object() else {
            self.problem(key, format!("expected an object of numbers, found {value}"));
            return Vec::new();
        };
        members
            .iter()
            .filter_map(|(name, value)| {
                Some((
                    name.clone(),
                    self.count(&format!("{key}.{name}"), value, 0)?,
                ))
            })
            .collect()
    }

    fn partitions(&mut self, policy: &mut PartitionPolicy, value: &Value) {
        for (key, target) in [("allow", &mut policy.allow), ("deny", &mut policy.deny)] {
            let words = value
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            target.extend(words.filter_map(Value::as_str).map(str::to_owned));
        }
        for (name, limit) in value
            .get("max_time")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let seconds = limit.as_u64().map(Duration::from_secs);
            match seconds.or_else(|| limit.as_str().and_then(sbatch::time_limit).flatten()) {
                Some(limit) => drop(policy.max_time.insert(name.clone(), limit)),
                None => self.problem(
                    &format!("partitions.max_time.{name}"),
                    format!("expected seconds or a time such as \"12:00:00\", found {limit}"),
                ),
            }
        }
        if let Some(counts) = value.get("max_submit") {
            let counts = self.counts("partitions.max_submit", counts);
            policy
                .max_submit
                .extend(counts.into_iter().map(|(name, n)| (name, n as usize)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> (Settings, Vec<String>) {
        let object = serde_json::from_str(text).unwrap();
        let (settings, problems) = read(&object);
        (
            settings,
            problems
                .into_iter()
                .map(|p| format!("{}: {}", p.key, p.message))
                .collect(),
        )
    }

    #[test]
    fn an_empty_file_is_the_defaults_and_wrong_values_are_named() {
        assert_eq!(settings("{}"), (Settings::default(), vec![]));
        let (found, problems) =
            settings(r#"{"batch_size": "many", "poll": {"first": 5}, "colour": 1}"#);
        assert_eq!(found.batch_size, 3);
        assert_eq!(found.poll.first, Duration::from_secs(5));
        insta::assert_debug_snapshot!(problems, @r#"
        [
            "batch_size: expected a whole number from 1 to 1000000, found \"many\"",
            "colour: a key that ralph does not know; it is kept and ignored",
        ]
        "#);
    }

    #[test]
    fn a_retry_budget_that_does_nothing_is_named() {
        let text = r#"{"retry": {"slurm_timeout": 2, "disk_quota": 1, "lost": 0, "dsik": 1}}"#;
        let (found, problems) = settings(text);
        let set: Vec<_> = found.retry.into_iter().collect();
        assert_eq!(
            set,
            [("lost".to_owned(), 0), ("slurm_timeout".to_owned(), 2)]
        );
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems
                .iter()
                .any(|problem| problem.starts_with("retry.disk_quota: failures"))
        );
    }

    #[test]
    fn an_agent_is_a_caller_a_command_or_an_engine() {
        let agent = |text: &str| settings(text).0.agent;
        assert_eq!(
            agent(r#"{"agent": {"engine": "caller"}}"#),
            AgentChoice::Caller
        );
        assert_eq!(
            agent(r#"{"agent": {"engine": "claude"}}"#),
            AgentChoice::Engine("claude".into())
        );
        let words = CommandLine::Words(vec!["fix".into(), "--now".into()]);
        assert_eq!(
            agent(r#"{"agent": {"engine": "command", "command": ["fix", "--now"]}}"#),
            AgentChoice::Command(words)
        );
    }
}
