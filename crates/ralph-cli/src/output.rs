//! Where text goes: results to standard output, everything else to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::AutoStream;
use serde::Serialize;

use crate::args::{Format, Global, When};
use crate::env_vars;
use crate::exit::{Failure, printed};

/// How this run prints.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    /// For people or for programs.
    pub(crate) format: Format,
    /// Say nothing but results and errors.
    pub(crate) quiet: bool,
    /// Say more.
    pub(crate) verbose: u8,
    color: When,
    silent: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let format = if global.json {
            Format::Json
        } else {
            global.format
        };
        Self {
            format,
            quiet: global.quiet,
            verbose: global.verbose,
            color: global.color,
            silent: false,
        }
    }

    /// Prints nothing: for verbs that are steps of another.
    pub(crate) fn silent() -> Self {
        Self {
            format: Format::Human,
            quiet: true,
            verbose: 0,
            color: When::Never,
            silent: true,
        }
    }

    /// Whether results are for a program.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether a person looks at standard output.
    pub(crate) fn on_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Columns of the terminal; of `COLUMNS` where there is none, else 100.
    pub(crate) fn width(&self) -> usize {
        let stated = || env_vars::text(env_vars::COLUMNS)?.parse::<usize>().ok();
        let terminal = || Some(usize::from(terminal_size::terminal_size()?.0.0));
        let width = if self.on_terminal() {
            terminal()
        } else {
            stated()
        };
        width.unwrap_or(100).clamp(40, 1_000)
    }

    /// Lines of the terminal; `None` where there is none.
    pub(crate) fn height(&self) -> Option<usize> {
        let (_, height) = terminal_size::terminal_size()?;
        self.on_terminal().then(|| usize::from(height.0))
    }

    /// Prints results.
    pub(crate) fn print(&self, text: &str) -> io::Result<()> {
        if self.silent {
            return Ok(());
        }
        let mut stdout = AutoStream::new(io::stdout().lock(), self.choice());
        stdout.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
        stdout.flush()
    }

    /// Prints bytes as they are, such as a log.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// Prints results for a program.
    pub(crate) fn json(&self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.bytes((text + "\n").as_bytes())
    }

    /// Prints one of several results for a program, each on a line of its own.
    pub(crate) fn json_line(&self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value).map_err(io::Error::other)?;
        self.bytes((text + "\n").as_bytes())
    }

    /// Prints what a verb answers: data for a program, words for a person.
    pub(crate) fn answer(&self, data: &impl Serialize, words: &str) -> Result<(), Failure> {
        self.answer_with(data, || words.to_owned())
    }

    /// As [`Output::answer`], where finding the words takes longer than finding the data.
    pub(crate) fn answer_with(
        &self,
        data: &impl Serialize,
        words: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        printed(if self.is_json() {
            self.json(data)
        } else {
            self.print(&words())
        })
    }

    /// Says what is going on, on standard error. That nobody reads it is no error.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.error_line(text);
        }
    }

    /// Says what is being waited for: only to a person who looks on.
    pub(crate) fn progress(&self, text: &str) {
        if io::stderr().is_terminal() {
            self.note(text);
        }
    }

    /// Prints an error line.
    pub(crate) fn error_line(&self, text: &str) {
        let mut stderr = AutoStream::new(io::stderr().lock(), self.choice());
        let _ = writeln!(stderr, "{text}");
    }

    fn choice(&self) -> anstream::ColorChoice {
        match self.color {
            When::Auto => anstream::ColorChoice::Auto,
            When::Always => anstream::ColorChoice::Always,
            When::Never => anstream::ColorChoice::Never,
        }
    }
}
