//! Codex, `codex exec --json -`, the prompt on standard input, which ends: an open one would be waited for.

use std::collections::BTreeSet;

use serde_json::Value;

use super::command::blocked;
use super::json::{self, count, elements, text};
use super::words;
use super::{
    AgentOrder, Engine, EngineName, EngineSettings, Finish, LONGEST_RULE, Launch, Prices, Progress,
    Reading, StatusScanner, StreamReader, cut, how, inherit_without, shortened, summary, variables,
};
use crate::outcome::{Usage, Verdict};

/// Mode words by which earlier loops asked for no sandbox at all.
const NO_SANDBOX: [&str; 3] = ["dangerous", "bypass", "danger-full-access"];
const SANDBOX: &str = "workspace-write";
/// What codex exits with when it does not know an argument.
const BAD_ARGUMENTS: i32 = 2;

/// The engine `codex`.
#[derive(Debug)]
pub(super) struct Codex(EngineSettings);

impl Codex {
    pub(super) fn new(settings: &EngineSettings) -> Self {
        Self(settings.clone())
    }

    fn args(&self, order: &AgentOrder) -> Vec<String> {
        let mut args = vec!["exec".to_owned(), "--json".to_owned()];
        match self.0.permission_mode.as_deref() {
            Some(mode) if NO_SANDBOX.contains(&mode) => {
                args.push("--dangerously-bypass-approvals-and-sandbox".to_owned());
            }
            mode => args.extend(["-s".to_owned(), mode.unwrap_or(SANDBOX).to_owned()]),
        }
        args.extend(["-C".to_owned(), order.worktree.display().to_string()]);
        args.push("--skip-git-repo-check".to_owned());
        if let Some(model) = &self.0.model {
            args.extend(["-m".to_owned(), model.clone()]);
        }
        args.push("-".to_owned());
        args
    }
}

impl Engine for Codex {
    fn name(&self) -> EngineName {
        EngineName::Codex
    }

    fn launch(&self, order: &AgentOrder) -> Launch {
        let (program, mut args) = self.0.program();
        args.extend(self.args(order));
        Launch {
            program: program.into(),
            args,
            inherit: inherit_without(&[]),
            variables: variables(order),
            stdin: order.prompt.clone().into_bytes(),
        }
    }

    fn reader(&self) -> Box<dyn StreamReader> {
        Box::new(Reader {
            prices: self.0.prices,
            ..Reader::default()
        })
    }
}

#[derive(Debug, Default)]
struct Reader {
    prices: Option<Prices>,
    thread: Option<String>,
    usage: Usage,
    /// How the last turn ended: with this error, or well.
    turn: Option<Result<(), String>>,
    /// An error that no completed turn has followed. Reconnects print such lines too, and go on.
    error: Option<String>,
    plain: Option<String>,
    words: Option<String>,
    denials: BTreeSet<String>,
    status: StatusScanner,
}

impl StreamReader for Reader {
    fn line(&mut self, line: &str, tell: &mut dyn FnMut(Progress)) {
        let Some(event) = json::object(line) else {
            if !line.trim().is_empty() && !json::is_event(line) {
                self.plain = Some(shortened(line));
            }
            return;
        };
        match text(&event, &["type"]) {
            Some("thread.started") => {
                if let Some(id) = text(&event, &["thread_id"]) {
                    self.thread = Some(id.to_owned());
                    tell(Progress::Session { id: id.to_owned() });
                }
            }
            Some("turn.started") => self.turn = None,
            Some("turn.completed") => self.completed(&event, tell),
            Some("turn.failed") => {
                let message = text(&event, &["error", "message"]).unwrap_or("the turn failed");
                self.turn = Some(Err(message.to_owned()));
            }
            Some("error") => {
                let message = text(&event, &["message"]).unwrap_or("an error without words");
                self.error = Some(message.to_owned());
                tell(Progress::Retrying {
                    reason: shortened(message),
                });
            }
            Some("item.started") => {
                if let Some(doing) = doing(&event) {
                    tell(Progress::Doing(doing));
                }
            }
            Some("item.completed") => self.item(&event, tell),
            _ => {}
        }
    }

    fn has_result(&self) -> bool {
        self.turn.is_some()
    }

    fn finish(&mut self, finish: &Finish<'_>) -> Reading {
        Reading {
            verdict: self.verdict(finish),
            usage: self.usage,
            session_id: self.thread.clone(),
            summary: self
                .words
                .as_deref()
                .or(self.plain.as_deref())
                .and_then(summary),
            status: self.status.block().cloned(),
            denials: self.denials.iter().cloned().collect(),
        }
    }
}

impl Reader {
    /// The numbers are the thread's so far, so the last ones count.
    fn completed(&mut self, event: &Value, tell: &mut dyn FnMut(Progress)) {
        let tokens = |name: &str| count(event, &["usage", name]);
        let cached = tokens("cached_input_tokens");
        self.usage = Usage {
            input_tokens: tokens("input_tokens").saturating_sub(cached),
            cached_tokens: cached.saturating_add(tokens("cache_write_input_tokens")),
            output_tokens: tokens("output_tokens"),
            cost_usd: None,
            turns: self.usage.turns + 1,
        };
        self.usage.cost_usd = self.prices.map(|prices| prices.cost(&self.usage));
        self.turn = Some(Ok(()));
        self.error = None;
        tell(Progress::Usage(self.usage));
    }

    fn item(&mut self, event: &Value, tell: &mut dyn FnMut(Progress)) {
        let kind = text(event, &["item", "type"]).or_else(|| text(event, &["item", "item_type"]));
        match kind {
            Some("agent_message" | "assistant_message") => {
                let words = text(event, &["item", "text"]).unwrap_or_default();
                self.status.text(words);
                self.words = Some(words.to_owned());
                if let Some(line) = words.trim().lines().next() {
                    tell(Progress::Doing(shortened(line)));
                }
            }
            Some("command_execution") if is_denied(event) => {
                let command = text(event, &["item", "command"]).unwrap_or("a command");
                self.denials.insert(cut(command, LONGEST_RULE));
            }
            Some("error") => {
                let message = text(event, &["item", "message"]).unwrap_or("an error without words");
                self.error = Some(message.to_owned());
            }
            _ => {}
        }
    }

    fn verdict(&self, finish: &Finish<'_>) -> Verdict {
        let failed = finish.exit.code != 0 || finish.exit.signal != 0;
        let message = match &self.turn {
            Some(Ok(())) if !failed => {
                return match blocked(&self.status) {
                    Some(_) if !self.denials.is_empty() => self.denied(),
                    Some(blocked) => blocked,
                    None => Verdict::Finished,
                };
            }
            Some(Err(message)) => message.clone(),
            _ => self.last_words(finish),
        };
        if finish.exit.code == BAD_ARGUMENTS && self.thread.is_none() {
            let message = words::last_line(finish.stderr).map_or(message, shortened);
            return Verdict::ConfigError {
                message: usage_error(finish.stderr).unwrap_or(message),
            };
        }
        words::failure(&message, finish.now, finish.zone)
    }

    fn denied(&self) -> Verdict {
        let commands: Vec<&str> = self.denials.iter().map(String::as_str).collect();
        Verdict::PermissionDenied {
            what: shortened(&commands.join(", ")),
        }
    }

    /// Standard error is full of notices, so an error of the stream comes first.
    fn last_words(&self, finish: &Finish<'_>) -> String {
        let last = || words::last_line(finish.stderr).or(self.plain.as_deref());
        match self.error.as_deref().or_else(last) {
            Some(words) => format!("{}: {words}", how(finish.exit)),
            None => format!("{}: it ended without completing its turn", how(finish.exit)),
        }
    }
}

/// `error: unexpected argument '--x' found`: the line that names the flag, not the advice below it.
fn usage_error(stderr: &str) -> Option<String> {
    let line = stderr
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("error:"))?;
    Some(shortened(line))
}

/// The sandbox refuses quietly: the run goes on and exits with zero.
fn is_denied(event: &Value) -> bool {
    if text(event, &["item", "status"]) == Some("declined") {
        return true;
    }
    let output = text(event, &["item", "aggregated_output"]).unwrap_or_default();
    let last = output.lines().rev().take(5);
    let failed = event
        .pointer("/item/exit_code")
        .and_then(Value::as_i64)
        .is_some_and(|code| code != 0);
    failed
        && last.into_iter().any(|line| {
            let line = line.to_ascii_lowercase();
            line.contains("sandbox") && (line.contains("denied") || line.contains("not permitted"))
        })
}

fn doing(event: &Value) -> Option<String> {
    let words = match text(event, &["item", "type"])? {
        "command_execution" => text(event, &["item", "command"])?.to_owned(),
        "file_change" => {
            let paths: Vec<&str> = elements(event, &["item", "changes"])
                .filter_map(|change| text(change, &["path"]))
                .collect();
            format!("edit {}", paths.join(" "))
        }
        "mcp_tool_call" => text(event, &["item", "tool"])?.to_owned(),
        "web_search" => text(event, &["item", "query"])?.to_owned(),
        _ => return None,
    };
    Some(shortened(&words))
}
