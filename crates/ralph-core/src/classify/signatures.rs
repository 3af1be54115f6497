//! How the texts of [`super::texts`] are found in a log.
//!
//! All texts are searched for at once in one pass that is linear in the log. A text only counts on a line that
//! speaks for itself: not in a commit's subject, a printed configuration or a warning.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::class::{FailureClass, Rank};
use super::log::{LogText, floor_boundary};
use super::texts::{CHECKED_OUT, SIGNATURES};

/// How much of a long line is looked at around a hit, and how often a text is examined in one log: together
/// they bound the work for any input.
const WINDOW: usize = 2 * 1024;
const EXAMINED: usize = 64;
/// A scheduler's remark about an attempt that was requeued is only believed this close to the end of the log.
const LAST_LINES: usize = 200;
/// How many lines of usage a parser of arguments may print in front of its error.
const LONGEST_USAGE: usize = 200;
/// How many brackets of a line may hold a logger's level: the process's label stands before it.
const LABELS: usize = 3;

/// What a text proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Something ended there; stands even when the log claims that the script came to its end. Against the
    /// scheduler's word for a success no text stands alone.
    Fatal,
    /// It explains a failure if there was one.
    Telling,
    /// As `Telling`, unless the program got as far as a Python traceback afterwards, or worked for long.
    Passing,
}

/// One row of the table.
pub(super) struct Signature {
    pub(super) class: FailureClass,
    pub(super) weight: Weight,
    /// Must occur on one line in this order; the longest is what is searched for.
    fragments: &'static [&'static str],
    /// The line must not contain any of these.
    unless: &'static [&'static str],
    /// The hit is void when this follows later in the same log.
    cured_by: &'static str,
    at_start: bool,
    pub(super) near_end: bool,
    of_variable: bool,
    of_parser: bool,
    even_as_warning: bool,
}

impl Signature {
    const fn new(weight: Weight, class: FailureClass, fragments: &'static [&'static str]) -> Self {
        Self {
            class,
            weight,
            fragments,
            unless: &[],
            cured_by: "",
            at_start: false,
            near_end: false,
            of_variable: false,
            of_parser: false,
            even_as_warning: false,
        }
    }

    pub(super) const fn unless(mut self, others: &'static [&'static str]) -> Self {
        self.unless = others;
        self
    }

    pub(super) const fn cured_by(mut self, text: &'static str) -> Self {
        self.cured_by = text;
        self
    }

    pub(super) const fn at_start(mut self) -> Self {
        self.at_start = true;
        self
    }

    pub(super) const fn near_end(mut self) -> Self {
        self.near_end = true;
        self
    }

    /// The needle must be followed by a line's number and the name of a variable, as the shell says it.
    pub(super) const fn of_variable(mut self) -> Self {
        self.of_variable = true;
        self
    }

    /// A script's parser of arguments must have said it: the name of the script stands in front of the needle.
    pub(super) const fn of_parser(mut self) -> Self {
        self.of_parser = true;
        self
    }

    pub(super) const fn even_as_warning(mut self) -> Self {
        self.even_as_warning = true;
        self
    }

    /// Whether a line has the texts, whatever else it says.
    pub(super) fn is_in(&self, line: &str) -> bool {
        in_order(line, self.fragments)
    }

    pub(super) fn needle(&self) -> &'static str {
        let longest = self.fragments.iter().max_by_key(|text| text.len());
        longest.copied().unwrap_or_default()
    }
}

/// Rows of the tables.
pub(super) const fn fatal(class: FailureClass, fragments: &'static [&'static str]) -> Signature {
    Signature::new(Weight::Fatal, class, fragments)
}

pub(super) const fn tells(class: FailureClass, fragments: &'static [&'static str]) -> Signature {
    Signature::new(Weight::Telling, class, fragments)
}

pub(super) const fn passing(class: FailureClass, fragments: &'static [&'static str]) -> Signature {
    Signature::new(Weight::Passing, class, fragments)
}

static SEARCH: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .build(SIGNATURES.iter().map(|row| row.needle()))
        .ok()
});

/// A text that was found: its row in the table, and the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) row: usize,
    pub(super) line: usize,
    /// Whether the line calls itself a warning.
    pub(super) warned: bool,
}

/// The first valid hit of every row, in the order of the table; a warning only where nothing else was found.
pub(super) fn search(log: &LogText) -> Vec<Hit> {
    let text = log.text();
    let mut found: Vec<Option<(usize, bool)>> = vec![None; SIGNATURES.len()];
    let mut examined = vec![0_usize; SIGNATURES.len()];
    for hit in SEARCH
        .iter()
        .flat_map(|search| search.find_overlapping_iter(text))
    {
        let row = hit.pattern().as_usize();
        let (Some(slot), Some(count), Some(signature)) = (
            found.get_mut(row),
            examined.get_mut(row),
            SIGNATURES.get(row),
        ) else {
            continue;
        };
        if matches!(slot, Some((_, false))) || *count >= EXAMINED {
            continue;
        }
        *count += 1;
        let line = log.line_at(hit.start());
        if let Some(warned) = counts(signature, log, line, hit.start()) {
            slot.get_or_insert((line, warned));
            if !warned {
                *slot = Some((line, warned));
            }
        }
    }
    found
        .into_iter()
        .enumerate()
        .filter_map(|(row, place)| {
            let (line, warned) = place?;
            Some(Hit { row, line, warned })
        })
        .collect()
}

/// Whether a hit of the needle at `offset` is a hit of the whole row; if so, whether it stands in a warning.
fn counts(signature: &Signature, log: &LogText, index: usize, offset: usize) -> Option<bool> {
    let line = log.line(index)?;
    let (window, at) = window(line.text, offset.saturating_sub(line.start));
    let warned = is_warning(window);
    if signature.at_start && at != 0
        || signature.of_variable && !names_variable(window.get(at..).unwrap_or_default())
        || signature.of_parser && !says_parser(log, index, window, at, signature.needle())
        || signature.near_end && index + LAST_LINES < log.line_count()
        || !signature.even_as_warning && warned
        || is_quotation(line.text)
        || is_none(
            window
                .get(at + signature.needle().len()..)
                .unwrap_or_default(),
        )
        || signature.class.rank() == Rank::Submission
            && (is_in_quotes(window, at) || is_assertion(window))
        || signature.class.rank() == Rank::Scheduler && is_found_elsewhere(window)
        || signature.unless.iter().any(|other| window.contains(other))
        || !in_order(window, signature.fragments)
    {
        return None;
    }
    let after = log.text().get(offset..).unwrap_or_default();
    let cured = !signature.cured_by.is_empty()
        && memchr::memmem::find(after.as_bytes(), signature.cured_by.as_bytes()).is_some();
    (!cured).then_some(warned)
}

/// The part of a line around an offset, and the offset in it.
fn window(line: &str, offset: usize) -> (&str, usize) {
    let start = floor_boundary(line, offset.saturating_sub(WINDOW));
    let end = floor_boundary(line, offset + WINDOW);
    (line.get(start..end).unwrap_or_default(), offset - start)
}

/// Whether a text is only counted, and never occurred: `errors: 0` behind it.
fn is_none(after: &str) -> bool {
    let count = after.trim_start_matches('s').trim_start();
    let number = count.trim_start_matches([':', '=', ' ']);
    number.len() < count.len()
        && number.strip_prefix('0').is_some_and(|rest| {
            !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | ':'))
        })
}

/// Whether all fragments occur one after the other.
pub(super) fn in_order(line: &str, fragments: &[&str]) -> bool {
    let mut rest = line;
    fragments.iter().all(|fragment| {
        let after = rest
            .find(fragment)
            .and_then(|at| rest.get(at + fragment.len()..));
        rest = after.unwrap_or_default();
        after.is_some()
    })
}

/// Whether a line calls itself a warning (Python, its libraries, C++ logging).
pub(super) fn is_warning(line: &str) -> bool {
    line.contains("Warning: ")
        || line.contains("WARNING")
        || line.contains("warning: ")
        || line.contains("[W ")
        || line.contains(" NCCL INFO ")
        || is_below_error(line)
}

/// Whether a line of the C++ loggers (glog, TensorFlow, PyTorch) has the level of a warning or of information:
/// `W1103 11:20:01.0 …`, `[rank0]:[W1103 …`, `2026-03-04 09:59:58.302938: W tensorflow/…`.
fn is_below_error(line: &str) -> bool {
    let glog = line.split('[').take(LABELS).any(|start| {
        start.strip_prefix(['W', 'I']).is_some_and(|rest| {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            digits == 4 && rest.as_bytes().get(4) == Some(&b' ')
        })
    });
    let dated = line.starts_with(|c: char| c.is_ascii_digit())
        && [": W ", ": I "].iter().any(|level| {
            line.find(level)
                .is_some_and(|at| line.get(..at).is_some_and(is_date_and_time))
        });
    glog || dated
}

fn is_date_and_time(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || b"-:. ".contains(&byte))
}

/// `: line 6: CONFIG: …` in the shell's words, where what follows the name is not about a command or a path.
fn names_variable(text: &str) -> bool {
    let mut parts = text.trim_start_matches(": line ").splitn(3, ": ");
    let number = parts.next().unwrap_or_default();
    let name = parts.next().unwrap_or_default();
    let words = parts.next().unwrap_or_default();
    !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        && !REMARKS.contains(&name)
        && !is_rule_of_a_linter(name)
        && !words.is_empty()
        && !OF_A_COMMAND.iter().any(|known| words.starts_with(known))
}

/// What is written in capitals in front of a remark about a line.
const REMARKS: &[&str] = &[
    "BUG",
    "CRITICAL",
    "DEBUG",
    "DEPRECATED",
    "EOF",
    "ERR",
    "ERROR",
    "FAIL",
    "FAILED",
    "FATAL",
    "FIXME",
    "HACK",
    "HINT",
    "INFO",
    "NB",
    "NOTE",
    "NOTICE",
    "OK",
    "PASS",
    "SKIP",
    "SKIPPED",
    "TIP",
    "TODO",
    "WARN",
    "WARNING",
    "XXX",
];

/// `SC2086`, `E501`, `MD013`: letters and at least three digits.
fn is_rule_of_a_linter(name: &str) -> bool {
    let digits = name.trim_start_matches(|c: char| c.is_ascii_uppercase());
    digits.len() >= 3 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `NAME.py: error: …` is what a parser of arguments says (Python's argparse: the usage, then the error), and
/// not a metric of that script or a finding of a type checker in that file.
fn says_parser(log: &LogText, index: usize, line: &str, at: usize, needle: &str) -> bool {
    let (before, from) = line.split_at_checked(at).unwrap_or_default();
    let words = from.strip_prefix(needle).unwrap_or_default();
    let label = before.rsplit_once(' ').map_or("", |(label, _)| label);
    let is_labelled = label.is_empty() || label.ends_with([':', ']']);
    let shows_usage = || {
        let lines = (index.saturating_sub(LONGEST_USAGE)..index).filter_map(|at| log.line(at));
        let mut usages = lines.filter(|line| line.text.contains("usage: "));
        usages.next().is_some() && words.starts_with(|c: char| !c.is_ascii_digit())
    };
    is_labelled && (OF_ARGUMENTS.iter().any(|word| words.starts_with(word)) || shows_usage())
}

/// How a parser's own messages begin.
const OF_ARGUMENTS: &[&str] = &[
    "ambiguous option",
    "argument ",
    "expected ",
    "invalid ",
    "one of the arguments ",
    "the following arguments ",
    "unrecognized ",
];

/// What the shell says about a command or a path, or about a variable that is set.
const OF_A_COMMAND: &[&str] = &[
    "command not found",
    "No such file or directory",
    "Permission denied",
    "Is a directory",
    "Not a directory",
    "cannot execute",
    "readonly variable",
    "bad interpreter",
    "invalid variable name",
    "unbound variable",
];

/// Whether a line only repeats a text from elsewhere: a commit's subject, git's advice, a member of a printed
/// configuration, a command that the shell echoes, a test that provoked the error, or advice about it.
pub(super) fn is_quotation(line: &str) -> bool {
    let trimmed = line.trim_start();
    let commit = trimmed.bytes().take_while(u8::is_ascii_hexdigit).count();
    trimmed.starts_with(CHECKED_OUT)
        || trimmed.starts_with("hint: ")
        || trimmed.starts_with("+ ")
        || is_test_that_passed(trimmed)
        || trimmed.contains("if you see ")
        || trimmed.starts_with('"') && trimmed.contains("\": ")
        || (7..=40).contains(&commit)
            && trimmed.as_bytes().get(commit) == Some(&b' ')
            && line.len() == trimmed.len()
}

/// Whether a line is what a test expected or got: an assertion's message, or pytest's report of a failure.
fn is_assertion(line: &str) -> bool {
    line.starts_with("E   ") || line.contains("AssertionError: ")
}

/// Whether a line was found in the log of another job, as `grep` shows it.
fn is_found_elsewhere(line: &str) -> bool {
    let first = line.split(' ').next().unwrap_or_default();
    [".log:", ".err:", ".out:"]
        .iter()
        .any(|ending| first.contains(ending))
}

/// Whether a place in a line is between double quotes: an example of an error in a help or a manual.
pub(super) fn is_in_quotes(line: &str, at: usize) -> bool {
    let (before, after) = line.split_at_checked(at).unwrap_or_default();
    before.matches('"').count() % 2 == 1 && after.contains('"')
}

/// Whether a line is the report of a test that did what it should (pytest, unittest, cargo).
fn is_test_that_passed(line: &str) -> bool {
    line.contains("test") && (line.contains(" PASSED") || line.ends_with("... ok"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Stream;
    use crate::classify::class::FailureClass::{GitMissingCommit, Preempted};

    fn classes(text: &str) -> Vec<FailureClass> {
        let log = LogText::from_bytes("job.err", Stream::Err, text.as_bytes());
        search(&log)
            .into_iter()
            .map(|hit| SIGNATURES[hit.row].class)
            .collect()
    }

    #[test]
    fn every_row_finds_its_own_text() {
        for signature in SIGNATURES.iter() {
            if signature.of_variable {
                continue;
            }
            let mut line = signature.fragments.join(" x ");
            if signature.of_parser {
                line = format!("a{line}argument --n");
            }
            assert!(classes(&line).contains(&signature.class), "{line}");
        }
    }

    #[test]
    fn quotations_and_warnings_do_not_count() {
        for line in [
            "HEAD is now at 1234567 Fix PYTHONPATH: unbound variable",
            "1234567 Cope with Disk quota exceeded",
            "  \"notes\": \"second try after CUDA out of memory\",",
            "+ echo Disk quota exceeded",
            "x.py:3: UserWarning: No space left on device is possible",
            "[rank0]:[W1103 11:20:33.1 ProcessGroupNCCL.cpp:1250] Warning: ncclSystemError may follow",
            "W1103 11:20:33.1 2211 torch/distributed/run.py:792] EADDRINUSE is possible",
            "2026-03-04 09:59:58.302938: W tensorflow/dso_loader.cc:64] libx.so: No such file or directory",
            "job.sh: line 3: Tools: no directory",
            "  File \"/w/a.py\", line 3: HOME: words",
            "[W socket.cpp:436] The server socket has failed to bind (errno: 98 - Address already in use).",
            "[W socket.cpp:601] The IPv6 network addresses cannot be retrieved (errno: 97 - Address family not supported)",
            "ls: cannot access 'x': No such file or directory",
            "{'nan_count': 0, 'note': 'no NaN'}",
            "health: uncorrectable ECC errors: 0 volatile, Bus error = 0",
            "NOTICE: if you see No space left on device, clean up your scratch",
            "Example: \"a.py: error: argument --n: invalid int value\"",
            "test_disk_full ... No space left on device ... ok",
            "test_cli ... error: unrecognized arguments: --foo PASSED",
        ] {
            assert_eq!(classes(line), [], "{line}");
        }
    }

    #[test]
    fn a_variable_that_must_be_set_may_complain_in_any_words() {
        let unset = [FailureClass::ShellUnboundVariable];
        assert_eq!(
            classes("/spool/slurm_script: line 6: CONFIG: export it first"),
            unset
        );
        assert_eq!(
            classes("run.sh: line 16: _OUT2: no folder: give one"),
            unset
        );
        for line in [
            "run.sh: line 16: MPIRUN: No such file or directory",
            "run.sh: line 16: HOME: readonly variable",
            "run.sh: line 16: Config: is not there",
            "run.sh: line x: CONFIG: is not there",
            "docs: line 4: TODO: write this",
            "x.yaml: line 4: WARNING: two keys",
            "x.yaml: line 4: ERROR: two keys",
            "x.yaml: line 4: NOTE: two keys",
            "x.yaml: line 4: INFO: two keys",
            "run.sh: line 4: SC2086: quote it",
        ] {
            assert!(
                !classes(line).contains(&FailureClass::ShellUnboundVariable),
                "{line}"
            );
        }
    }

    #[test]
    fn an_error_of_a_script_is_about_its_arguments_where_its_parser_says_so() {
        let usage = "usage: a.py [-h] [--lr LR]\n         [--steps STEPS]\n";
        for line in [
            "a.py: error: argument --n: invalid int value: 'x'",
            "[rank0]: a.py: error: unrecognized arguments: --x",
            "3: a.py: error: the following arguments are required: --x",
            &format!("{usage}a.py: error: --lr has to be positive"),
        ] {
            let found = classes(line);
            assert!(found.contains(&FailureClass::CliBadArguments), "{line}");
        }
        for line in [
            "a.py: error: 0.034 on the test set",
            "src/a.py: error: Cannot find implementation or library stub",
            "a.py: error: Argument 1 to \"f\" has incompatible type",
            "E       a.py: error: unrecognized arguments: --foo",
            "AssertionError: a.py: error: argument --x is gone",
            &format!("{usage}a.py: error: 0.034"),
        ] {
            assert_eq!(classes(line), [], "{line}");
        }
    }

    #[test]
    fn a_line_of_another_jobs_log_says_nothing_about_this_one() {
        let line = "slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***";
        assert_eq!(classes(line), [FailureClass::SlurmTimeout]);
        assert_eq!(classes(&format!("old/a.log:12:{line}")), []);
        assert_eq!(classes("old/b.err: oom_kill events found: 0"), []);
    }

    #[test]
    fn a_second_checkout_cures_the_first() {
        let failed = "fatal: reference is not a tree: 0123\n";
        assert_eq!(classes(failed), [GitMissingCommit]);
        assert_eq!(classes(&format!("{failed}HEAD is now at 0123456 x\n")), []);
    }

    #[test]
    fn a_requeued_attempt_is_forgotten() {
        let line = "slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO PREEMPTION ***\n";
        assert_eq!(classes(line), [Preempted]);
        assert_eq!(classes(&format!("{line}{}", "step\n".repeat(300))), []);
    }

    #[test]
    fn one_endless_line_of_hits_is_cheap() {
        let text = "Warning: Disk quota exceeded ".repeat(8_000);
        assert_eq!(classes(&text), []);
    }
}
