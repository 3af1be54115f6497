//! `ralph mcp`: the verbs as tools for an agent, over standard input and output (Model Context Protocol).
//!
//! Each call is a `ralph` of its own: its answer is its `--json` output, and one that ends badly takes nothing along. What
//! must never be here: anything else on standard output, a verb done in another way than on the command line.

mod protocol;
mod verbs;

use std::collections::HashMap;
use std::io::BufRead as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use ralph_core::error::Code;
use ralph_front::output::Output;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};
use tokio::process::Command;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use self::protocol::Heard;
use self::verbs::Verb;
use crate::args::Global;
use crate::commands::block_on;
use crate::env_vars;
use ralph_front::failure::{Failure, Outcome, printed};

/// What an agent is told about all of them.
const INSTRUCTIONS: &str = "Runs research projects on a cluster. Start with `status`. `dispatch` verifies every \
outstanding job and advances each project by one step; call it again when it says that something is due. A step that needs you \
comes back as a work order. Exit code 5 means that every project waits for a person.";

/// Serves until standard input ends.
pub(crate) fn run(global: &Global, output: &Output) -> Outcome {
    let program = env_vars::program().map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("the running program cannot be found: {error}"),
        )
    })?;
    let server = Server {
        ralph: Arc::new(Ralph {
            program,
            root: global.root.clone(),
        }),
        verbs: verbs::all(&crate::command()),
        calls: JoinSet::new(),
        wanted: HashMap::new(),
    };
    if output.on_terminal() {
        output.note(
            "An agent talks to this over standard input; for Claude Code: claude mcp add ralph -- ralph mcp",
        );
    }
    block_on(server.serve(output))??;
    Ok(None)
}

/// How a verb is started.
#[derive(Debug)]
struct Ralph {
    program: PathBuf,
    root: Option<PathBuf>,
}

#[derive(Debug)]
struct Server {
    ralph: Arc<Ralph>,
    verbs: Vec<Verb>,
    /// Calls under way, with the ids of their requests; `None` where the answer is not wanted any more.
    calls: JoinSet<Option<(Value, Value)>>,
    /// How they are told so, by the text of the id.
    wanted: HashMap<String, oneshot::Sender<()>>,
}

impl Server {
    /// Answers in the order in which answers are there: a long call keeps nothing waiting. What still runs when the input
    /// ends goes on to its end.
    async fn serve(mut self, output: &Output) -> Result<(), Failure> {
        let mut lines = listen();
        let mut is_open = true;
        while is_open || !self.calls.is_empty() {
            let answer = tokio::select! {
                line = lines.recv(), if is_open => match line {
                    Some(line) => self.hear(&line),
                    None => {
                        is_open = false;
                        None
                    }
                },
                Some(ended) = self.calls.join_next() => match ended {
                    Ok(Some((id, answer))) => {
                        self.wanted.remove(&id.to_string());
                        Some(protocol::result(&id, &answer))
                    }
                    Ok(None) => None,
                    Err(error) => return Err(Failure::new(Code::Bug, error.to_string())),
                },
            };
            if let Some(answer) = answer {
                printed(output.json_line(&answer))?;
            }
        }
        Ok(())
    }

    /// What is to be said at once.
    fn hear(&mut self, line: &[u8]) -> Option<Value> {
        match protocol::hear(line, INSTRUCTIONS) {
            Heard::Answer(answer) => Some(answer),
            Heard::Tools { id } => {
                let tools: Vec<Value> = self.verbs.iter().map(Verb::tool).collect();
                Some(protocol::result(&id, &json!({ "tools": tools })))
            }
            Heard::Call {
                id,
                tool,
                arguments,
            } => self.call(id, &tool, &arguments),
            Heard::Cancel { id } => {
                drop(self.wanted.remove(&id.to_string()));
                None
            }
            Heard::Nothing => None,
        }
    }

    fn call(&mut self, id: Value, tool: &str, arguments: &Map<String, Value>) -> Option<Value> {
        let Some(verb) = self.verbs.iter().find(|verb| verb.name() == tool) else {
            let message = format!("there is no tool `{tool}`");
            return Some(protocol::bad_parameters(&id, &message));
        };
        let words = match verb.words(arguments) {
            Ok(words) => words,
            Err(wrong) => return Some(protocol::result(&id, &said(&[&wrong], true))),
        };
        let (wanted, unwanted) = oneshot::channel();
        self.wanted.insert(id.to_string(), wanted);
        let ralph = Arc::clone(&self.ralph);
        self.calls.spawn(async move {
            let answer = ralph.run(words, unwanted).await?;
            Some((id, answer))
        });
        None
    }
}

/// The lines of standard input, whatever bytes they are of, until it ends.
fn listen() -> mpsc::Receiver<Vec<u8>> {
    let (sender, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n').map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}

impl Ralph {
    /// Runs a verb to its end. One whose answer is not wanted any more is interrupted as a person would do it, and has no
    /// answer.
    async fn run(&self, words: Vec<String>, unwanted: oneshot::Receiver<()>) -> Option<Value> {
        let mut command = Command::new(&self.program);
        if let Some(root) = &self.root {
            command.arg("--root").arg(root);
        }
        let child = command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) => {
                let text = format!("{}: cannot be started: {error}", self.program.display());
                return Some(said(&[&text], true));
            }
        };
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let ended = child.wait_with_output();
        tokio::pin!(ended);
        tokio::select! {
            ended = &mut ended => Some(match ended {
                Ok(ended) => answer(
                    &String::from_utf8_lossy(&ended.stdout),
                    &String::from_utf8_lossy(&ended.stderr),
                    ended.status,
                ),
                Err(error) => said(&[&error.to_string()], true),
            }),
            _ = unwanted => {
                if let Some(pid) = pid.and_then(Pid::from_raw) {
                    // It may have ended just now.
                    let _ = kill_process(pid, Signal::INT);
                }
                let _ = ended.await;
                None
            }
        }
    }
}

/// What a verb said, and how it ended where that was not well. A verb that answers has not failed, whatever its code says
/// about what it found.
fn answer(stdout: &str, stderr: &str, status: ExitStatus) -> Value {
    let data: Option<Value> = serde_json::from_str(stdout).ok();
    let end = match status.code() {
        Some(0) => String::new(),
        Some(code) => format!("exit code {code}"),
        None => "ended by a signal".to_owned(),
    };
    let mut answer = said(&[stdout, stderr, &end], !status.success() && data.is_none());
    if let Some(data) = data.filter(Value::is_object) {
        answer["structuredContent"] = data;
    }
    answer
}

/// The result of a call in words.
fn said(texts: &[&str], is_error: bool) -> Value {
    let texts = texts.iter().map(|text| text.trim_end());
    let content: Vec<Value> = texts
        .filter(|text| !text.is_empty())
        .map(|text| json!({ "type": "text", "text": text }))
        .collect();
    json!({ "content": content, "isError": is_error })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_verb_that_answers_has_not_failed() {
        let ended = |code: i32| ExitStatus::from_raw(code << 8);
        let waits = answer("{\"steps\": []}\n", "", ended(5));
        assert_eq!(waits["isError"], false);
        assert_eq!(waits["content"][1]["text"], "exit code 5");
        assert!(waits["structuredContent"].is_object());
        let broken = answer("", "{\"error\": {}}\n", ended(11));
        assert_eq!(broken["isError"], true);
        assert_eq!(broken["content"].as_array().map(Vec::len), Some(2));
        assert!(broken["structuredContent"].is_null());
        let killed = answer("", "", ExitStatus::from_raw(9));
        assert_eq!(
            (&killed["isError"], &killed["content"][0]["text"]),
            (&json!(true), &json!("ended by a signal"))
        );
    }
}
