//! From a failure to the lines that explain it: to a person, or to the program that asked for JSON.

use std::ffi::OsString;

use anstyle::{AnsiColor, Style};
use clap::error::ErrorKind;
use ralph_core::error::Code;
use ralph_core::report::Problem;
use schemars::JsonSchema;
use serde::Serialize;

use crate::SCHEMA_VERSION;
use crate::failure::Failure;
use crate::output::{Format, Output, Printing};

/// An error with `--json`: one line on standard error.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorReport {
    /// Version of this shape.
    pub schema_version: u32,
    /// What went wrong.
    pub error: Problem,
}

/// Tells the person, or the program that asked for JSON, what went wrong.
pub fn explain(failure: &Failure, output: &Output) {
    if output.is_json() {
        let error = Problem::new(failure.code(), failure.message(), failure.advice());
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
    for (index, line) in failure.chain().iter().enumerate() {
        let (style, label) = if index == 0 {
            (red, "error")
        } else {
            (Style::new(), "caused by")
        };
        output.error_line(&format!("{style}{label}{style:#}: {line}"));
    }
    if let Some(hint) = failure.advice() {
        output.error_line(&format!("{cyan}hint{cyan:#}: {hint}"));
    }
}

/// Tells what is wrong with a command line, or shows the help that was asked for. Whoever asked for JSON on a line that
/// cannot be read gets it all the same.
#[must_use]
pub fn explain_usage(error: &clap::Error, arguments: &[OsString]) -> Option<Code> {
    if !error.use_stderr() || !asks_for_json(arguments) {
        // Where the message cannot be written there is nobody to read it.
        let _ = error.print();
    } else {
        let printing = Printing {
            format: Format::Json,
            ..Printing::default()
        };
        explain(&usage(error), &Output::new(&printing, None));
    }
    error.use_stderr().then_some(Code::Usage)
}

fn asks_for_json(arguments: &[OsString]) -> bool {
    let before = |words: &[OsString]| words[0] == "--format" && words[1] == "json";
    let alone = |word: &OsString| word == "--json" || word == "--format=json";
    arguments.iter().any(alone) || arguments.windows(2).any(before)
}

/// What clap says in paragraphs, as one sentence and what it advises.
fn usage(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let first = paragraphs.next().unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "a command is missing"
        }
        _ => first.strip_prefix("error: ").unwrap_or(first),
    };
    let tip = paragraphs.find_map(|paragraph| paragraph.strip_prefix("tip: "));
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    Failure::new(Code::Usage, message).hint(tip.unwrap_or("Try --help."))
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    #[test]
    fn a_wrong_command_line_is_one_sentence_and_an_advice() {
        let command = Command::new("it")
            .arg(Arg::new("width").long("width"))
            .arg_required_else_help(true);
        let told = |line: &str| {
            let error = command.clone().try_get_matches_from(line.split(' '));
            let failure = usage(&error.expect_err("a wrong line"));
            format!(
                "{} | {}",
                failure.message(),
                failure.advice().unwrap_or_default()
            )
        };
        assert_eq!(
            told("it --widht 3"),
            "unexpected argument '--widht' found | a similar argument exists: '--width'"
        );
        assert_eq!(told("it 3"), "unexpected argument '3' found | Try --help.");
        assert_eq!(told("it"), "a command is missing | Try --help.");
    }

    #[test]
    fn json_is_asked_for_by_a_word() {
        let asks = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            asks_for_json(&words)
        };
        assert!(asks("it --jsno --json"));
        assert!(asks("it --format json x"));
        assert!(asks("it --format=json"));
        assert!(!asks("it --format human json"));
    }
}
