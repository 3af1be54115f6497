//! What a test run showed, as data, and the words for it. Pure: text in, verdict and text out.

use std::collections::BTreeSet;
use std::fmt::Write as _;

const MARK: &str = "SKIPPED:";

/// What a run of the tests showed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// How many tests ran.
    pub(super) tests: usize,
    /// How many of them failed.
    pub(super) failed: usize,
    /// Whether the runner itself was content.
    pub(super) passed: bool,
    /// Whether a doctest failed.
    pub(super) doctests_failed: bool,
    /// What tests said about what they did not do, without the mark, each text once.
    pub(super) skipped: BTreeSet<String>,
}

/// Something that must not have been skipped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    /// The word by which a skip is recognised.
    pub(super) word: &'static str,
    /// Whether the person asked for it.
    pub(super) is_made: bool,
}

impl Report {
    /// Reads nextest's JUnit file, in which the output of passing tests is kept.
    pub(super) fn from_junit(xml: &str, passed: bool) -> Self {
        let totals = xml
            .split_once("<testsuites")
            .and_then(|(_, rest)| rest.split_once('>'))
            .map_or("", |(attributes, _)| attributes);
        let lines: Vec<String> = xml.lines().map(plain_line).collect();
        Self {
            tests: attribute(totals, "tests"),
            failed: attribute(totals, "failures") + attribute(totals, "errors"),
            passed,
            doctests_failed: false,
            skipped: skips(&lines),
        }
    }

    /// Reads what `cargo test -- --show-output` printed.
    pub(super) fn from_lines(lines: &[String], passed: bool) -> Self {
        let sum = |word: &str| -> usize {
            lines
                .iter()
                .filter(|line| line.starts_with("test result:"))
                .map(|line| number_before(line, word))
                .sum()
        };
        let failed = sum(" failed;");
        Self {
            tests: sum(" passed;") + failed,
            failed,
            passed,
            doctests_failed: false,
            skipped: skips(lines),
        }
    }

    /// Whether the task succeeds.
    pub(super) fn is_good(&self, demands: &[Demand]) -> bool {
        self.passed
            && !self.doctests_failed
            && self.failed == 0
            && self.unmet(demands).next().is_none()
    }

    /// The closing words: totals, every skip, and what was demanded and skipped all the same.
    pub(super) fn text(&self, demands: &[Demand]) -> String {
        let mut text = format!("\n{} tests, {} failed", self.tests, self.failed);
        if self.doctests_failed {
            text += ", doctests failed";
        }
        text += match self.skipped.len() {
            0 => "; nothing was skipped\n",
            _ => "; skipped:\n",
        };
        for skip in &self.skipped {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  - {skip}");
        }
        for (demand, skip) in self.unmet(demands) {
            let _ = writeln!(
                text,
                "error: the {} was required, but a test was skipped: {skip}",
                demand.word
            );
        }
        text
    }

    fn unmet<'a>(&'a self, demands: &'a [Demand]) -> impl Iterator<Item = (&'a Demand, &'a str)> {
        let made = demands.iter().filter(|demand| demand.is_made);
        made.flat_map(|demand| {
            self.skipped
                .iter()
                .filter(|skip| skip.to_lowercase().contains(demand.word))
                .map(move |skip| (demand, skip.as_str()))
        })
    }
}

fn skips(lines: &[String]) -> BTreeSet<String> {
    lines
        .iter()
        .filter_map(|line| line.trim_start().strip_prefix(MARK))
        .map(|skip| skip.trim().to_owned())
        .collect()
}

/// A line of an XML text without the tag before and after it, its entities resolved.
fn plain_line(line: &str) -> String {
    let line = line.trim_start();
    let line = if line.starts_with('<') {
        line.split_once('>').map_or("", |(_, rest)| rest)
    } else {
        line
    };
    let line = line.split_once('<').map_or(line, |(text, _)| text);
    let quoted = line.replace("&quot;", "\"").replace("&apos;", "'");
    // The ampersand comes last, so that `&amp;lt;` stays a text about an entity.
    quoted
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn attribute(attributes: &str, name: &str) -> usize {
    attributes
        .split_once(&format!(" {name}=\""))
        .and_then(|(_, rest)| rest.split_once('"'))
        .and_then(|(digits, _)| digits.parse().ok())
        .unwrap_or(0)
}

fn number_before(line: &str, word: &str) -> usize {
    line.split_once(word)
        .and_then(|(before, _)| before.rsplit(' ').next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JUNIT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" failures="1" errors="0" uuid="x" time="0.1">
    <testsuite name="ralph-core" tests="3" disabled="0" errors="0" failures="1">
        <testcase name="a">
            <system-out>
running 1 test
</system-out>
            <system-err>SKIPPED: corpus: no &quot;corpus&quot; here &amp; no way
SKIPPED: cluster: cannot be brought up
</system-err>
        </testcase>
        <testcase name="b"><system-err>SKIPPED: cluster: cannot be brought up</system-err></testcase>
    </testsuite>
</testsuites>"#;

    const CLUSTER: Demand = Demand {
        word: "cluster",
        is_made: true,
    };

    #[test]
    fn skips_are_read_from_passing_tests_once_each() {
        let report = Report::from_junit(JUNIT, false);
        assert_eq!((report.tests, report.failed), (3, 1));
        assert_eq!(
            report.skipped.into_iter().collect::<Vec<_>>(),
            [
                "cluster: cannot be brought up",
                "corpus: no \"corpus\" here & no way"
            ]
        );
    }

    #[test]
    fn the_same_is_read_from_cargo_test() {
        let lines = [
            "test a ... ok",
            "SKIPPED: corpus: not here",
            "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            "test result: FAILED. 1 passed; 4 failed; 0 ignored",
        ]
        .map(str::to_owned);
        let report = Report::from_lines(&lines, false);
        assert_eq!((report.tests, report.failed), (7, 4));
        assert_eq!(report.skipped.len(), 1);
    }

    #[test]
    fn a_demand_turns_its_own_skips_into_failures() {
        let report = Report {
            tests: 5,
            passed: true,
            skipped: ["cluster: no root".to_owned()].into(),
            ..Report::default()
        };
        assert!(report.is_good(&[]));
        assert!(!report.is_good(&[CLUSTER]));
        assert!(report.is_good(&[Demand {
            is_made: false,
            ..CLUSTER
        }]));
        assert!(report.is_good(&[Demand {
            word: "corpus",
            is_made: true
        }]));
        assert!(
            report
                .text(&[CLUSTER])
                .contains("error: the cluster was required")
        );
    }

    #[test]
    fn any_failure_fails_the_task() {
        let good = Report {
            passed: true,
            ..Report::default()
        };
        assert!(good.is_good(&[]));
        for bad in [
            Report::default(),
            Report {
                passed: true,
                failed: 1,
                ..Report::default()
            },
            Report {
                passed: true,
                doctests_failed: true,
                ..Report::default()
            },
        ] {
            assert!(!bad.is_good(&[]), "{bad:?}");
        }
    }
}
