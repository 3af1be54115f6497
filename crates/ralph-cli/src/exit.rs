//! From what happened to an exit code, and to the lines that explain it.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use ralph_core::error::{Code, Coded, Hint};

use crate::args::{Cli, Hook, Verb};
use crate::commands;
use crate::output::Output;
use crate::render::SCHEMA_VERSION;
use crate::render::answers::ErrorReport;

/// An error on its way to the person: what branch it is, what to do, and the chain of causes.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    hint: Option<Hint>,
    source: anyhow::Error,
}

/// What a verb returns: the exit code that success has here.
pub(crate) type Outcome = Result<Option<Code>, Failure>;

impl Failure {
    /// A failure of this class.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            hint: None,
            source: anyhow::Error::msg(message.into()),
        }
    }

    /// What happened, with its causes.
    pub(crate) fn message(&self) -> String {
        chain(&self.source).join(": ")
    }

    /// What to do about it, if something can be said.
    pub(crate) fn advice(&self) -> Option<String> {
        self.hint.as_ref().map(|hint| hint.0.clone())
    }

    /// What to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(Hint::new(hint));
        self
    }
}

impl<E: Coded + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            code: error.code(),
            hint: error.hint(),
            source: error.into(),
        }
    }
}

/// Standard output that nobody reads any more is no error; any other trouble with it is.
pub(crate) fn printed(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(
            Code::Failed,
            format!("standard output: cannot be written: {error}"),
        )),
        Ok(()) => Ok(()),
    }
}

/// Runs the verb. The Stop hook never ends with any code but 0 and 2.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let output = Output::new(&cli.global);
    let is_hook = matches!(cli.verb, Verb::Hook(Hook::Stop));
    let code = match commands::run(cli, &output) {
        Ok(code) => code.map_or(0, Code::exit_code),
        Err(failure) => {
            explain(&failure, &output);
            // A hook's 2 means that work remains, which no failure may say.
            if is_hook { 0 } else { failure.code.exit_code() }
        }
    };
    ExitCode::from(if is_hook && code != 2 { 0 } else { code })
}

fn explain(failure: &Failure, output: &Output) {
    if output.is_json() {
        let problem =
            ralph_core::report::Problem::new(failure.code, failure.message(), failure.advice());
        if let Ok(text) = serde_json::to_string(&ErrorReport {
            schema_version: SCHEMA_VERSION,
            error: problem,
        }) {
            output.error_line(&text);
        }
        return;
    }
    let red = AnsiColor::Red.on_default().bold();
    let cyan = AnsiColor::Cyan.on_default();
    for (index, line) in chain(&failure.source).iter().enumerate() {
        let (style, label) = if index == 0 {
            (red, "error")
        } else {
            (Style::new(), "caused by")
        };
        output.error_line(&format!("{style}{label}{style:#}: {line}"));
    }
    if let Some(hint) = &failure.hint {
        output.error_line(&format!("{cyan}hint{cyan:#}: {hint}"));
    }
}

/// The messages of an error and its causes, each once: a transparent error repeats its source.
fn chain(error: &anyhow::Error) -> Vec<String> {
    let mut lines: Vec<String> = error.chain().map(ToString::to_string).collect();
    lines.dedup();
    lines
}

/// A command line that cannot be parsed, and `--help`.
pub(crate) fn usage(error: &clap::Error, arguments: Vec<OsString>) -> ExitCode {
    // Where the message cannot be written there is nobody to read it.
    let _ = error.print();
    let hook = arguments.get(1).is_some_and(|word| word == "hook");
    if !error.use_stderr() || hook {
        return ExitCode::SUCCESS;
    }
    ExitCode::from(Code::Usage.exit_code())
}
