//! Where text goes: results to standard output, everything else to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use anstream::AutoStream;
use clap::{ArgAction, Args, ValueEnum};
use serde::Serialize;

use crate::failure::{Failure, printed};
use crate::wrapping;

/// `--format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs; carries `schema_version`.
    Json,
}

/// `--color`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The options that say how a run prints. They stand below the options of the verb itself, one line each.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Printing {
    /// How results are printed: human, or json, which carries `schema_version`
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub format: Format,
    /// The same as --format json
    #[arg(long, global = true, conflicts_with = "format")]
    pub json: bool,
    /// When colours are used: auto, always or never (NO_COLOR is honoured)
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = true
    )]
    pub color: When,
    /// Say more of what is going on
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// How this run prints.
#[derive(Debug, Clone)]
pub struct Output {
    /// For people or for programs.
    pub format: Format,
    /// Say nothing but results and errors.
    pub quiet: bool,
    /// Say more.
    pub verbose: u8,
    color: When,
    stated: Option<usize>,
    silent: bool,
}

impl Output {
    /// As the options of the command line say. `columns` is the width where standard output is no terminal, as the
    /// environment states it; a text that is no number states none.
    #[must_use]
    pub fn new(options: &Printing, columns: Option<&str>) -> Self {
        Self {
            format: if options.json {
                Format::Json
            } else {
                options.format
            },
            quiet: options.quiet,
            verbose: options.verbose,
            color: options.color,
            stated: columns.and_then(|text| text.parse().ok()),
            silent: false,
        }
    }

    /// Prints nothing: for verbs that are steps of another.
    #[must_use]
    pub fn silent() -> Self {
        Self {
            format: Format::Human,
            quiet: true,
            verbose: 0,
            color: When::Never,
            stated: None,
            silent: true,
        }
    }

    /// Whether results are for a program.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether a person looks at standard output.
    #[must_use]
    pub fn on_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Columns of the terminal; those stated where there is none, else 100.
    #[must_use]
    pub fn width(&self) -> usize {
        let terminal = || Some(usize::from(terminal_size::terminal_size()?.0.0));
        let width = if self.on_terminal() {
            terminal()
        } else {
            self.stated
        };
        width.unwrap_or(100).clamp(40, 1_000)
    }

    /// Lines of the terminal; `None` where there is none.
    #[must_use]
    pub fn height(&self) -> Option<usize> {
        let (_, height) = terminal_size::terminal_size()?;
        self.on_terminal().then(|| usize::from(height.0))
    }

    /// Columns and lines of the terminal as they are, however few; `None` where there is none.
    #[must_use]
    pub fn size(&self) -> Option<(usize, usize)> {
        let (width, height) = terminal_size::terminal_size()?;
        let size = (usize::from(width.0), usize::from(height.0));
        self.on_terminal().then_some(size)
    }

    /// Columns of the terminal that shows results; `None` where there is none.
    #[must_use]
    pub fn columns(&self) -> Option<usize> {
        self.size().map(|(columns, _)| columns)
    }

    /// Prints results.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn print(&self, text: &str) -> io::Result<()> {
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
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// Prints results for a program.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn json(&self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.bytes((text + "\n").as_bytes())
    }

    /// Prints one of several results for a program, each on a line of its own.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn json_line(&self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value).map_err(io::Error::other)?;
        self.bytes((text + "\n").as_bytes())
    }

    /// Prints what a verb answers: data for a program, words for a person.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn answer(&self, data: &impl Serialize, words: &str) -> Result<(), Failure> {
        self.answer_with(data, || words.to_owned())
    }

    /// As [`Output::answer`], where finding the words takes longer than finding the data.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn answer_with(
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
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.error_words(text);
        }
    }

    /// Says what is being waited for: only to a person who looks on.
    pub fn progress(&self, text: &str) {
        if io::stderr().is_terminal() {
            self.note(text);
        }
    }

    /// Prints words for a person on standard error. On a terminal a line ends between two words; elsewhere it stays one, as
    /// programs that look for it expect.
    pub fn error_words(&self, text: &str) {
        match terminal_size::terminal_size_of(io::stderr()) {
            Some((width, _)) => self.error_line(&wrapping::fitted(text, usize::from(width.0))),
            None => self.error_line(text),
        }
    }

    /// Prints an error line as it is.
    pub fn error_line(&self, text: &str) {
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
