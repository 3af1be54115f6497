//! From what happened to the lines that explain it and the code that a binary exits with.

use std::io;

use anstyle::{AnsiColor, Style};
use ralph_core::error::{Code, Coded, Hint};
use ralph_core::report::Problem;
use schemars::JsonSchema;
use serde::Serialize;

use crate::SCHEMA_VERSION;
use crate::output::Output;

/// An error on its way to the person: what branch it is, what to do, and the chain of causes.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    hint: Option<Hint>,
    source: anyhow::Error,
}

/// What a verb returns: the exit code that success has here.
pub type Outcome = Result<Option<Code>, Failure>;

/// An error with `--json`: one line on standard error.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorReport {
    /// Version of this shape.
    pub schema_version: u32,
    /// What went wrong.
    pub error: Problem,
}

impl Failure {
    /// A failure of this class.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            hint: None,
            source: anyhow::Error::msg(message.into()),
        }
    }

    /// Its class.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// What happened, with its causes.
    #[must_use]
    pub fn message(&self) -> String {
        chain(&self.source).join(": ")
    }

    /// What to do about it, if something can be said.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        self.hint.as_ref().map(|hint| hint.0.clone())
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
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

/// An error with its causes, in one sentence.
#[must_use]
pub fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(source) = next {
        parts.push(source.to_string());
        next = source.source();
    }
    parts.dedup();
    parts.join(": ")
}

/// Standard output that nobody reads any more is no error; any other trouble with it is.
///
/// # Errors
/// Standard output cannot be written.
pub fn printed(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(
            Code::Failed,
            format!("standard output: cannot be written: {error}"),
        )),
        Ok(()) => Ok(()),
    }
}

/// Tells the person, or the program that asked for JSON, what went wrong.
pub fn explain(failure: &Failure, output: &Output) {
    if output.is_json() {
        let error = Problem::new(failure.code, failure.message(), failure.advice());
        let report = ErrorReport {
            schema_version: SCHEMA_VERSION,
            error,
        };
        if let Ok(text) = serde_json::to_string(&report) {
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
