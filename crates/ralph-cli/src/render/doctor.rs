//! What `ralph doctor` found: as data and as lines.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::render::table::{beginnings, cell};
use crate::render::{BOLD, CYAN, GREEN, RED, SCHEMA_VERSION, YELLOW, paint};

/// `ralph doctor --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct DoctorReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// What was looked at.
    pub(crate) checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Check {
    /// What.
    pub(crate) what: String,
    /// How it is.
    pub(crate) verdict: Verdict,
    /// What was found.
    pub(crate) found: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// As it should be.
    Ok,
    /// Something does not work without it.
    Warning,
    /// Nothing works without it.
    Error,
}

impl Check {
    /// As it should be.
    pub(crate) fn ok(what: &str, found: impl Into<String>) -> Self {
        Self {
            what: what.to_owned(),
            verdict: Verdict::Ok,
            found: found.into(),
            advice: None,
        }
    }

    /// Something to do about it.
    pub(crate) fn bad(
        verdict: Verdict,
        what: &str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            what: what.to_owned(),
            verdict,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }
}

impl DoctorReport {
    /// The report of these checks.
    pub(crate) fn new(checks: Vec<Check>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            checks,
        }
    }

    /// Whether something is an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.checks
            .iter()
            .any(|check| check.verdict == Verdict::Error)
    }
}

/// One line per check, and what to do below the line that needs it.
pub(crate) fn human(report: &DoctorReport) -> String {
    let look = |verdict| match verdict {
        Verdict::Ok => (GREEN, "✓"),
        Verdict::Warning => (YELLOW, "!"),
        Verdict::Error => (RED, "✗"),
    };
    let rows = report.checks.iter().map(|check| {
        let (style, symbol) = look(check.verdict);
        vec![cell(style, symbol), cell(BOLD, &check.what)]
    });
    let (lines, width) = beginnings(&rows.collect::<Vec<_>>());
    let mut text = String::new();
    for (check, line) in report.checks.iter().zip(lines) {
        text.push_str(&[&line, &check.found, "\n"].concat());
        if let Some(advice) = &check.advice {
            let _ = writeln!(
                text,
                "{}{} {advice}",
                " ".repeat(width),
                paint(CYAN, "hint:")
            );
        }
    }
    text.push_str(&footer(report));
    text
}

fn footer(report: &DoctorReport) -> String {
    let count = |verdict| {
        report
            .checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    };
    let (errors, warnings) = (count(Verdict::Error), count(Verdict::Warning));
    match (errors, warnings) {
        (0, 0) => "\nEverything is ready.\n".to_owned(),
        (0, _) => format!(
            "\nReady, with {}.\n",
            ralph_core::words::plural(warnings, "warning")
        ),
        _ => format!(
            "\n{} to mend.\n",
            ralph_core::words::plural(errors, "error")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_stands_below_what_was_found() {
        let report = DoctorReport::new(vec![
            Check::ok("git", "git version 2.39.5"),
            Check::bad(
                Verdict::Error,
                "cluster",
                "none is configured",
                "Run `ralph init --cluster local`.",
            ),
        ]);
        let text = anstream::adapter::strip_str(&human(&report)).to_string();
        insta::assert_snapshot!(text, @r"
        ✓  git      git version 2.39.5
        ✗  cluster  none is configured
                    hint: Run `ralph init --cluster local`.

        1 error to mend.
        ");
    }
}
