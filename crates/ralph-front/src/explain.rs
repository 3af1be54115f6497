//! From a failure to the lines that explain it: to a person, or to the program that asked for JSON.

use std::any::Any;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};

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
        output.error_words(&format!("{style}{label}{style:#}: {line}"));
    }
    if let Some(hint) = failure.advice() {
        output.error_words(&format!("{cyan}hint{cyan:#}: {hint}"));
    }
}

/// Runs a whole program. A panic, which has said on standard error where it happened, ends with the code of a bug and with
/// what to report.
#[must_use]
pub fn caught(arguments: &[OsString], work: impl FnOnce() -> u8) -> u8 {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let failure = bug(&*panic);
        explain(&failure, &printer(arguments));
        failure.code().exit_code()
    })
}

fn bug(panic: &(dyn Any + Send)) -> Failure {
    let words = panic.downcast_ref::<&str>().copied();
    let words = words.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = format!(
        "this is a bug in ralph {}: {}",
        env!("CARGO_PKG_VERSION"),
        words.unwrap_or("a panic without words")
    );
    Failure::new(Code::Bug, message).hint(concat!(
        "What was begun is found and finished by the next run. Report the command line and all lines above at ",
        env!("CARGO_PKG_REPOSITORY"),
        "/issues."
    ))
}

/// What prints where no verb has been read yet, or none is running any more.
fn printer(arguments: &[OsString]) -> Output {
    let format = if asks_for_json(arguments) {
        Format::Json
    } else {
        Format::Human
    };
    let printing = Printing {
        format,
        ..Printing::default()
    };
    Output::new(&printing, None)
}

/// Tells what is wrong with a command line, or shows the help that was asked for. Whoever asked for JSON on a line that
/// cannot be read gets it all the same.
#[must_use]
pub fn explain_usage(error: &clap::Error, arguments: &[OsString]) -> Option<Code> {
    if !error.use_stderr() || !asks_for_json(arguments) {
        // Where the message cannot be written there is nobody to read it.
        let _ = error.print();
    } else {
        explain(&usage(error), &printer(arguments));
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
    fn a_panic_is_a_bug_and_says_so() {
        let caught = |work: fn() -> u8| caught(&["ralph".into(), "--json".into()], work);
        assert_eq!(caught(|| 3), 3);
        assert_eq!(caught(|| panic!("on purpose")), 70);
        assert_eq!(bug(&"x").message().rsplit(": ").next(), Some("x"));
        assert_eq!(
            bug(&"y".to_owned()).message().rsplit(": ").next(),
            Some("y")
        );
    }

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
