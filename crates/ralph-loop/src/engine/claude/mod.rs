//! Claude Code, `claude -p --output-format stream-json --verbose`, the prompt on standard input.

mod reading;
mod stream;

use sha2::{Digest as _, Sha256};

use super::{
    AgentOrder, Engine, EngineName, EngineSettings, Launch, StreamReader, inherit_without,
    variables,
};
use crate::outcome::AttemptId;

/// Denies what is not allowed instead of asking somebody who is not there. `default` and `plan` would wait for ever.
const PERMISSION_MODE: &str = "dontAsk";

/// Words by which earlier loops and other agents ask for no refusals at all.
const NO_REFUSALS: [&str; 2] = ["dangerous", "bypass"];
const BYPASS: &str = "bypassPermissions";

/// What needs no permission where nothing is configured: the files, and the usual programs that build and test.
const ALLOWED_TOOLS: [&str; 20] = [
    "Read",
    "Write",
    "Edit",
    "Glob",
    "Grep",
    "TodoWrite",
    "Bash(git *)",
    "Bash(cargo *)",
    "Bash(go *)",
    "Bash(make *)",
    "Bash(npm *)",
    "Bash(npx *)",
    "Bash(pnpm *)",
    "Bash(yarn *)",
    "Bash(bun *)",
    "Bash(pytest *)",
    "Bash(python *)",
    "Bash(python3 *)",
    "Bash(ruff *)",
    "Bash(uv *)",
];

/// In `-p` a key outranks the subscription that a person logged in with.
const API_KEYS: [&str; 2] = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"];

/// The engine `claude`.
#[derive(Debug)]
pub(super) struct Claude(EngineSettings);

impl Claude {
    pub(super) fn new(settings: &EngineSettings) -> Self {
        Self(settings.clone())
    }

    fn args(&self, order: &AgentOrder) -> Vec<String> {
        let mode = match self.0.permission_mode.as_deref() {
            None => PERMISSION_MODE,
            Some(mode) if NO_REFUSALS.contains(&mode) => BYPASS,
            Some(mode) => mode,
        };
        let session = session_id(&order.attempt);
        let mut args: Vec<String> = [
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            "--session-id",
            &session,
            "--permission-mode",
            mode,
            // The person's own hooks and servers are not the repository's.
            "--setting-sources",
            "project,local",
            "--strict-mcp-config",
        ]
        .map(str::to_owned)
        .into();
        let mut option = |name: &str, value: Option<String>| {
            args.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        };
        option("--model", self.0.model.clone());
        option(
            "--max-turns",
            self.0.max_turns.map(|turns| turns.to_string()),
        );
        option(
            "--max-budget-usd",
            self.0.max_budget_usd.map(|usd| usd.to_string()),
        );
        let configured = self.0.allowed_tools.iter().map(String::as_str);
        let mut tools: Vec<&str> = configured.collect();
        if tools.is_empty() && mode != BYPASS {
            tools.extend(ALLOWED_TOOLS);
        }
        if !tools.is_empty() {
            args.push("--allowedTools".to_owned());
            args.extend(tools.into_iter().map(str::to_owned));
        }
        args
    }
}

impl Engine for Claude {
    fn name(&self) -> EngineName {
        EngineName::Claude
    }

    fn launch(&self, order: &AgentOrder) -> Launch {
        let (program, mut args) = self.0.program();
        args.extend(self.args(order));
        let mut variables = variables(order);
        for (name, value) in [
            ("DISABLE_AUTOUPDATER", "1"),
            // What runs in the background dies with the turn anyway, a few seconds after the result.
            ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        let keys: &[&str] = if self.0.use_api_key { &[] } else { &API_KEYS };
        Launch {
            program: program.into(),
            args,
            inherit: inherit_without(keys),
            variables,
            stdin: order.prompt.clone().into_bytes(),
        }
    }

    fn reader(&self) -> Box<dyn StreamReader> {
        Box::new(stream::Reader::default())
    }
}

/// The session's id, a version 8 UUID (RFC 9562) made of the attempt's: it is known before the agent runs, and two
/// attempts never share one.
fn session_id(attempt: &AttemptId) -> String {
    let digest = Sha256::digest(attempt.as_str().as_bytes());
    let mut hex: Vec<char> = digest
        .iter()
        .flat_map(|byte| format!("{byte:02x}").into_bytes())
        .map(char::from)
        .take(32)
        .collect();
    // Version and variant; the digest is longer than both places.
    for (at, digit) in [(12, '8'), (16, 'a')] {
        if let Some(place) = hex.get_mut(at) {
            *place = digit;
        }
    }
    let hex: String = hex.into_iter().collect();
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let parts = parts.map(|(from, to)| hex.get(from..to).unwrap_or_default());
    parts.join("-")
}
