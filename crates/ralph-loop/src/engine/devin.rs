//! Devin, `devin -p --prompt-file FILE`: plain text out, so its exit code and its last lines are all there is.

use super::command::blocked;
use super::json::{self, text};
use super::words;
use super::{
    AgentOrder, Engine, EngineName, EngineSettings, Finish, Launch, Progress, Reading,
    StatusScanner, StreamReader, cut, how, inherit_without, shortened, variables,
};
use crate::outcome::{Usage, Verdict};

/// How many of the last lines of standard output may tell why it failed.
const LAST_LINES: usize = 5;
/// Characters of each of them.
const LONGEST_LINE: usize = 500;
/// Without somebody to ask, only this mode can work.
const PERMISSION_MODE: &str = "dangerous";

/// The engine `devin`.
#[derive(Debug)]
pub(super) struct Devin(EngineSettings);

impl Devin {
    pub(super) fn new(settings: &EngineSettings) -> Self {
        Self(settings.clone())
    }
}

impl Engine for Devin {
    fn name(&self) -> EngineName {
        EngineName::Devin
    }

    fn launch(&self, order: &AgentOrder) -> Launch {
        let (program, mut args) = self.0.program();
        args.push("-p".to_owned());
        if let Some(model) = &self.0.model {
            args.extend(["--model".to_owned(), model.clone()]);
        }
        let mode = self.0.permission_mode.as_deref().unwrap_or(PERMISSION_MODE);
        args.extend(["--permission-mode".to_owned(), mode.to_owned()]);
        args.extend([
            "--prompt-file".to_owned(),
            order.prompt_file.display().to_string(),
        ]);
        Launch {
            program: program.into(),
            args,
            inherit: inherit_without(&[]),
            variables: variables(order),
            stdin: Vec::new(),
        }
    }

    fn reader(&self) -> Box<dyn StreamReader> {
        Box::new(Reader::default())
    }
}

#[derive(Debug, Default)]
struct Reader {
    status: StatusScanner,
    last: Vec<String>,
    error: Option<String>,
    session_id: Option<String>,
}

impl StreamReader for Reader {
    fn line(&mut self, line: &str, _tell: &mut dyn FnMut(Progress)) {
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        if let Some(value) = json::object(line) {
            let session = text(&value, &["session_id"]).or_else(|| text(&value, &["sessionId"]));
            self.session_id = session
                .map(str::to_owned)
                .or_else(|| self.session_id.take());
            if value.get("is_error").and_then(serde_json::Value::as_bool) == Some(true) {
                let message = text(&value, &["result"]).or_else(|| text(&value, &["error"]));
                self.error = Some(message.unwrap_or("the agent reports an error").to_owned());
            }
        }
        self.status.line(line);
        if self.last.len() == LAST_LINES {
            self.last.remove(0);
        }
        self.last.push(cut(line, LONGEST_LINE));
    }

    fn has_result(&self) -> bool {
        // The block is the last thing that an agent is asked to print.
        self.status.block().is_some()
    }

    fn finish(&mut self, finish: &Finish<'_>) -> Reading {
        let failed = finish.exit.code != 0 || finish.exit.signal != 0;
        let verdict = if let Some(error) = &self.error {
            words::failure(error, finish.now, finish.zone)
        } else if failed {
            self.failure(finish)
        } else {
            blocked(&self.status).unwrap_or(Verdict::Finished)
        };
        Reading {
            verdict,
            usage: Usage::default(),
            session_id: self.session_id.clone(),
            summary: self.last.last().map(|line| shortened(line)),
            status: self.status.block().cloned(),
            denials: Vec::new(),
        }
    }
}

impl Reader {
    fn failure(&self, finish: &Finish<'_>) -> Verdict {
        let said = words::last_line(finish.stderr).into_iter();
        let mut said = said.chain(self.last.iter().rev().map(String::as_str));
        let telling = said
            .clone()
            .filter(|line| !json::is_event(line))
            .map(|line| words::failure(line, finish.now, finish.zone))
            .find(|verdict| !matches!(verdict, Verdict::Crashed { .. }));
        telling.unwrap_or_else(|| Verdict::Crashed {
            message: shortened(&format!(
                "{}: {}",
                how(finish.exit),
                said.next().unwrap_or("")
            )),
        })
    }
}
