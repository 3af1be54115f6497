//! From a failure to the lines that explain it: to a person, or to the program that asked for JSON.

use anstyle::{AnsiColor, Style};
use ralph_core::report::Problem;
use schemars::JsonSchema;
use serde::Serialize;

use crate::SCHEMA_VERSION;
use crate::failure::Failure;
use crate::output::Output;

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
