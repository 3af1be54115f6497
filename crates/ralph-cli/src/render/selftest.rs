//! What `ralph selftest` found: as data and as a table. Nothing here decides anything.

use std::fmt::Write as _;

use ralph_loop::selftest::{Finding, Mark};
use schemars::JsonSchema;
use serde::Serialize;

use crate::render::table::{beginnings, cell};
use crate::render::{BOLD, CYAN, DIM, GREEN, RED, SCHEMA_VERSION, YELLOW, cut, paint, wrapped};

/// `ralph selftest --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SelftestReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// The agent that was run.
    pub(crate) agent: String,
    /// Whether a loop with it would work.
    pub(crate) passed: bool,
    /// What was looked at.
    pub(crate) checks: Vec<SelftestCheck>,
    /// Where repositories and logs are, if they were kept.
    pub(crate) kept: Option<String>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SelftestCheck {
    /// What.
    pub(crate) check: String,
    /// `pass`, `warn` (a loop copes, with a loss), `fail` (a loop does not work) or `skipped`.
    pub(crate) mark: String,
    /// What was seen.
    pub(crate) found: String,
    /// What that means for a loop.
    pub(crate) means: Option<String>,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

impl SelftestReport {
    /// The report of these findings.
    pub(crate) fn new(agent: String, findings: &[Finding], kept: Option<String>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            agent,
            passed: passed(findings),
            checks: findings.iter().map(check).collect(),
            kept,
        }
    }
}

/// Whether a loop would work.
pub(crate) fn passed(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.mark != Mark::Fail)
}

fn check(finding: &Finding) -> SelftestCheck {
    let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    SelftestCheck {
        check: finding.check.to_owned(),
        mark: finding.mark.name().to_owned(),
        found: finding.found.clone(),
        means: said(finding.means),
        advice: said(finding.advice),
    }
}

/// The table; below a line that needs it, what it means and what to do.
pub(crate) fn human(findings: &[Finding], kept: Option<&str>, width: usize) -> String {
    let rows = findings.iter().map(|finding| {
        let (style, word) = match finding.mark {
            Mark::Pass => (GREEN, "PASS"),
            Mark::Skipped => (DIM, "SKIP"),
            Mark::Warn => (YELLOW, "WARN"),
            Mark::Fail => (RED, "FAIL"),
        };
        vec![cell(style, word), cell(BOLD, finding.check)]
    });
    let rows: Vec<_> = rows.collect();
    let (lines, indent) = beginnings(&rows);
    let room = width.saturating_sub(indent);
    let mut text = String::new();
    for (finding, line) in findings.iter().zip(lines) {
        let found = cut(&finding.found, room.max(20));
        let _ = writeln!(text, "{}", format!("{line}{found}").trim_end());
        for (style, more) in [(DIM, finding.means), (CYAN, finding.advice)] {
            for line in wrapped(more, width.saturating_sub(6).max(30)) {
                let _ = writeln!(text, "      {}", paint(style, &line));
            }
        }
    }
    text.push_str(&sums(findings));
    if let Some(kept) = kept {
        let _ = writeln!(
            text,
            "Kept to be looked at, and removed by nobody else: {kept}"
        );
    }
    text
}

fn sums(findings: &[Finding]) -> String {
    let count = |mark| findings.iter().filter(|found| found.mark == mark).count();
    let (passed, warned, failed) = (count(Mark::Pass), count(Mark::Warn), count(Mark::Fail));
    let (style, words) = match (failed, warned) {
        (0, 0) => (GREEN, "A loop with this agent works."),
        (0, _) => (YELLOW, "A loop with this agent works, with these losses."),
        _ => (RED, "A loop with this agent does not work yet."),
    };
    format!(
        "\n{} {passed} passed, {warned} warned, {failed} failed.\n",
        paint(style, words)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_means_and_what_to_do_stand_below_what_was_found() {
        let findings = [
            Finding {
                check: "starts",
                mark: Mark::Pass,
                found: "it could be started".to_owned(),
                means: "",
                advice: "",
            },
            Finding {
                check: "ends on TERM",
                mark: Mark::Warn,
                found: "not within 2 s; KILL ended it".to_owned(),
                means: "What it was writing at that moment is lost.",
                advice: "Let TERM through to it (in a shell script: `exec`), or raise RALPH_STOP_GRACE.",
            },
        ];
        let text = human(&findings, Some("/tmp/x"), 60);
        let text = anstream::adapter::strip_str(&text).to_string();
        insta::assert_snapshot!(text, @r"
        PASS  starts        it could be started
        WARN  ends on TERM  not within 2 s; KILL ended it
              What it was writing at that moment is lost.
              Let TERM through to it (in a shell script: `exec`), or
              raise RALPH_STOP_GRACE.

        A loop with this agent works, with these losses. 1 passed, 1 warned, 0 failed.
        Kept to be looked at, and removed by nobody else: /tmp/x
        ");
    }
}
