//! What follows a place in a log: whether anything of substance comes after it, whether it was survived.
//!
//! A job that the scheduler calls completed is only doubted for a traceback that ends a log; one that a program
//! caught and went on from is part of a good run. Nothing here knows a failure class.

use super::log::LogText;

/// How many lines may follow the end of a program: the script's own report, a copy's summary, a clean-up.
const LAST_WORDS: usize = 20;

/// What stands in front of a number when a program reports how far it is.
const COUNTED: &[&str] = &[
    "epoch",
    "step",
    "iteration",
    "iter",
    "batch",
    "loss",
    "round",
    "trial",
    "fold",
];

/// What says that an error was survived, in lower case.
const SURVIVED: &[&str] = &[
    "falling back",
    "fallback",
    "fall back",
    "retry",
    "trying again",
    "try again",
    "second attempt",
    "recovered",
    "resuming",
    "resumed",
    "succeeded",
];

/// Whether a log ends there: few lines follow, and none of them shows the program at work or says that it went on.
pub(super) fn ends_log(log: &LogText, line: usize) -> bool {
    let after = log.lines().skip(line + 1);
    let mut count = 0;
    let mut last = None;
    for line in after.filter(|line| !line.text.starts_with("wandb:")) {
        count += usize::from(last != Some((line.number, line.exact)));
        last = Some((line.number, line.exact));
        if count > LAST_WORDS || is_progress(line.text) || is_survival(line.text) {
            return false;
        }
    }
    true
}

/// Whether a line shows a program at work: a counter with its number, or a bar that is full.
pub(super) fn is_progress(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("100%|")
        || COUNTED.iter().any(|word| {
            text.match_indices(word).any(|(at, _)| {
                let before = text.get(..at).unwrap_or_default();
                let after = text.get(at + word.len()..).unwrap_or_default();
                let own_word = !before.ends_with(|c: char| c.is_alphanumeric());
                let number = after.trim_start_matches([' ', ':', '=', '#', '[', '(']);
                own_word && number.starts_with(|c: char| c.is_ascii_digit())
            })
        })
}

/// How many lines between two others show a program at work; a summary that a logger prints at the end does not.
pub(super) fn progress(log: &LogText, from: usize, to: usize) -> usize {
    let between = log.lines().skip(from + 1).take(to.saturating_sub(from + 1));
    between
        .filter(|line| !line.text.starts_with("wandb:") && is_progress(line.text))
        .count()
}

/// How a process ends that crashes. An abort is none of them: whoever waited in vain for another one ends so.
const CRASHES: &[&str] = &["egmentation fault", "Bus error", "Illegal instruction"];
/// What torchrun calls the process that ended first, the signals that did not come from its own group, and how many
/// bytes of its report name them.
const ENDED_FIRST: &str = "Root Cause (first observed failure)";
const FIRST_SIGNALS: &[&str] = &["(SIGSEGV)", "(SIGBUS)", "(SIGILL)", "(SIGFPE)", "(SIGKILL)"];
const FIRST_REPORT: usize = 600;

/// Whether a process had crashed before the line with which another one gave up waiting, with at most so many lines of
/// progress in between; or the launcher says below it which signal ended the first.
pub(super) fn follows_crash(log: &LogText, line: usize, idle: usize) -> bool {
    let start = log.line(line).map_or(0, |line| line.start);
    let text = log.text().as_bytes();
    let (before, after) = text.split_at_checked(start).unwrap_or_default();
    let last = |text: &&str| memchr::memmem::rfind(before, text.as_bytes());
    let crash = CRASHES.iter().filter_map(last).max();
    let first_ended_by_signal = || {
        let at = memchr::memmem::find(after, ENDED_FIRST.as_bytes())?;
        let report = after.get(at..)?;
        let report = report.get(..FIRST_REPORT).unwrap_or(report);
        let mut names = FIRST_SIGNALS.iter();
        names.find(|name| memchr::memmem::find(report, name.as_bytes()).is_some())
    };
    crash.is_some_and(|at| progress(log, log.line_at(at), line) <= idle)
        || first_ended_by_signal().is_some()
}

/// Whether a line says that what stands before it was not the end. Where a number of attempts is exceeded, it was.
pub(super) fn is_survival(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    !text.contains("exceeded") && SURVIVED.iter().any(|word| text.contains(word))
}

/// What says that a program did something else where it could not go on, in lower case. Too weak to tell an end from
/// none; enough where the program ended later, of something else.
const WENT_ON: &[&str] = &[
    "halving",
    "instead",
    "on the cpu",
    "reducing ",
    "skipped",
    "skipping",
    "trying batch",
    "trying port",
    "trying the next",
    "using cpu",
    "using the cpu",
];

/// Whether a line says that the program found another way, or that what stands before it was not the end.
pub(super) fn is_way_around(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let tries_another = || {
        lower.match_indices("trying ").any(|(at, word)| {
            let next = lower.get(at + word.len()..).unwrap_or_default();
            next.starts_with(|c: char| c.is_ascii_digit())
        })
    };
    is_survival(text) || WENT_ON.iter().any(|word| lower.contains(word)) || tries_another()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Stream;

    #[test]
    fn progress_is_a_word_and_its_number() {
        for text in [
            "Epoch 3/30",
            "[rank0] step: 1200 lr 0.1",
            "train_loss 0.1 loss=0.25",
            "100%|████| 391/391 [00:10<00:00]",
        ] {
            assert!(is_progress(text), "{text}");
        }
        for text in [
            "Job completed at Tue Feb 24 13:02:39 EST 2026",
            "  3%|▏ | 1/30",
            "misstep 3",
            "All steps done",
        ] {
            assert!(!is_progress(text), "{text}");
        }
    }

    #[test]
    fn a_way_around_is_told_in_words() {
        for text in [
            "x.jpg: Input/output error, skipping",
            "port 29500 is taken, trying 29501",
            "Trying batch size 32",
            "out of memory, retrying",
        ] {
            assert!(is_way_around(text), "{text}");
        }
        assert!(!is_way_around("error while trying to connect"));
    }

    #[test]
    fn a_log_ends_where_only_last_words_follow() {
        let ends = |after: &str| {
            let text = format!("KeyError: 'mu'\n{after}");
            ends_log(&LogText::from_bytes("a", Stream::Err, text.as_bytes()), 0)
        };
        assert!(ends(""));
        assert!(ends(
            "Cleaning up work directory...\nJob completed at noon\n"
        ));
        assert!(ends(&"wandb: loss 0.1\n".repeat(40)));
        assert!(!ends("Epoch 2: loss 0.4\n"));
        assert!(!ends("cannot reach it, falling back to main\n"));
        assert!(!ends(&"copied\n".repeat(LAST_WORDS + 1)));
        assert!(ends(&"copied\n".repeat(LAST_WORDS)));
    }
}
