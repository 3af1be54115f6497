//! The last line that looks like an error, for a job whose end nothing known explains.
//!
//! It names what a person should read first: programs of every language say plainly why they ended, in words that no
//! table holds. A line that was survived, a warning or a metric is no such line. Only the form in which a language's
//! runtime reports an error that nothing caught decides a class, and that class is never submitted again by itself.

use super::aftermath::{is_progress, is_survival};
use super::log::LogText;
use super::signatures::{in_order, is_quotation, is_warning};

/// How far from the end of a log it may stand, and how many lines of progress may follow it.
const LAST_LINES: usize = 400;
const PROGRESS_AFTER: usize = 3;
/// How many lines after an error may say that it was survived.
const SURVIVED_WITHIN: usize = 5;

/// How much a line says about the cause; a greater one is believed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Voice {
    /// A launcher or an interpreter reports that something ended.
    Launcher,
    /// It has the words of an error.
    Words,
    /// It has the form in which a program reports an error.
    Form,
    /// It has the form in which a runtime reports what nothing caught, so the program ended there.
    Uncaught,
}

/// The forms of [`Voice::Uncaught`]: pieces that occur on one line in this order, and what stands somewhere below it;
/// empty where nothing else begins like that.
const UNCAUGHT: &[(&[&str], &str)] = &[
    // Julia, R, MATLAB.
    (&["ERROR: LoadError: "], ""),
    (&["ERROR: "], "Stacktrace:"),
    (&["Error in ", ":"], "Execution halted"),
    (&["Error: "], "Execution halted"),
    (&["Error using "], ""),
    (&["Undefined function"], "Error in "),
    (&["Unrecognized function or variable"], "Error in "),
    // Rust, Go, Java, Fortran.
    (&["thread '", "panicked at"], ""),
    (&["panic: "], "goroutine "),
    (&["fatal error: "], "goroutine "),
    (&["Exception in thread \""], ""),
    (&["Fortran runtime error: "], ""),
    (&["forrtl: severe ("], ""),
    // LAMMPS, GROMACS.
    (&["ERROR on proc ", " (", ".cpp:"], ""),
    (&["ERROR: ", " (", ".cpp:"], ""),
    (&["Fatal error:"], "For more information"),
    // MPI was handed what it cannot take; its other errors may be the network's.
    (&["*** MPI_ERR_TRUNCATE: "], ""),
    (&["*** MPI_ERR_", ": invalid "], ""),
    // A compiler, and below it the builder that gave up.
    (&[".", ":", ": error: "], "make: *** ["),
    (&[".", "(", "): error"], "make: *** ["),
    (&[".", ":", ": error: "], "ninja: build stopped"),
    (&[".", "(", "): error"], "ninja: build stopped"),
];

/// Pieces that occur on one line in this order, as they are written.
const FORMS: &[&[&str]] = &[
    &["Error in rule "],
    &["Error in ", " : "],
    &["ERROR: "],
    &["Undefined function"],
    &["Unrecognized function or variable"],
    &["License checkout failed"],
    &["panic: "],
    &["Can't locate ", " in @INC"],
    &["not enough slots available"],
    &["lost communication with"],
    &["Unable to create step"],
    &["Fatal error:"],
    &["NaN detected"],
    &[" - ERROR - "],
    &["[ERROR]"],
    &["CRITICAL"],
];

/// In lower case: who only reports that another program ended.
const LAUNCHERS: &[&str] = &[
    "mpi_abort was invoked",
    "called mpi_abort",
    "mpi_errors_are_fatal",
    "execution halted",
    "error termination",
    "mpirun",
    "mpiexec",
    "prterun",
    "srun: error:",
    "slurmstepd:",
    "make: ***",
    "exiting because a job execution failed",
    "exit code",
    "exit status",
    "exited with",
    "non-zero",
    "(line ",
];

/// In lower case: the words of an error.
const WORDS: &[&str] = &[
    "error:",
    "error -",
    "error in ",
    "error at ",
    "error while ",
    "error occurred",
    "error has occurred",
    "error_log",
    "ucx  error",
    "ucx error",
    "exception:",
    "exception in ",
    "fatal",
    "failed to ",
    "failed:",
    "failure:",
    "aborting",
    "unable to ",
    "exceeded",
    "cannot ",
    "can't ",
    "could not ",
    "not found",
    "not converged",
    "convergence failure",
    "dimensionmismatch",
    "there is no package called",
];

/// In lower case: what only sounds like an error, or was survived on the line itself.
const HARMLESS: &[&str] = &[
    "warn",
    "0 errors",
    "no error",
    "without error",
    "errors: 0",
    "0 failed",
    "if you see ",
    "ignor",
    "skipping",
    "continuing",
    "error rate",
    "unhandled task error",
];

/// The index of the log and of the line in it; the logs in the order in which they are believed.
pub(super) fn find(logs: &[&LogText]) -> Option<(usize, usize)> {
    strongest(logs).map(|(_, log, line)| (log, line))
}

/// The same, where a runtime reports an error that nothing caught.
pub(super) fn find_uncaught(logs: &[&LogText]) -> Option<(usize, usize)> {
    strongest(logs)
        .filter(|(voice, ..)| *voice == Voice::Uncaught)
        .map(|(_, log, line)| (log, line))
}

fn strongest(logs: &[&LogText]) -> Option<(Voice, usize, usize)> {
    let mut best: Option<(Voice, usize, usize)> = None;
    for (index, log) in logs.iter().enumerate() {
        if let Some((voice, line)) = last_of(log)
            && best.is_none_or(|(known, ..)| voice > known)
        {
            best = Some((voice, index, line));
        }
    }
    best
}

/// The last line of the strongest voice of one log.
fn last_of(log: &LogText) -> Option<(Voice, usize)> {
    let mut best: Option<(Voice, usize)> = None;
    let mut survived_at = usize::MAX;
    let mut progress = 0;
    let count = log.line_count();
    for (index, line) in (0..count).zip(log.lines()).rev().take(LAST_LINES) {
        if progress >= PROGRESS_AFTER {
            break;
        }
        if is_survival(line.text) {
            survived_at = index;
        }
        if survived_at <= index + SURVIVED_WITHIN {
            continue;
        }
        match voice(line.text, log.text().get(line.start..).unwrap_or_default()) {
            Some(voice) if best.is_none_or(|(known, _)| voice > known) => {
                best = Some((voice, said_at(log, index)));
            }
            Some(_) => {}
            None => progress += usize::from(is_progress(line.text)),
        }
    }
    best
}

/// The voice of a line; `onward` is the log from that line on.
fn voice(text: &str, onward: &str) -> Option<Voice> {
    let lower = text.to_ascii_lowercase();
    let any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if any(HARMLESS) || is_warning(text) || is_quotation(text) || is_metric(&lower) {
        return None;
    }
    let is_uncaught = |(form, below): &(&[&str], &str)| {
        in_order(text, form) && memchr::memmem::find(onward.as_bytes(), below.as_bytes()).is_some()
    };
    if UNCAUGHT.iter().any(is_uncaught) {
        Some(Voice::Uncaught)
    } else if FORMS.iter().any(|form| in_order(text, form)) {
        Some(Voice::Form)
    } else if any(LAUNCHERS) {
        Some(Voice::Launcher)
    } else {
        let is_said = any(WORDS) || begins_as_error(&lower) || lower.ends_with(" error");
        is_said.then_some(Voice::Words)
    }
}

/// `*** Error EDDDAV …` and `FATAL …`, in lower case.
fn begins_as_error(lower: &str) -> bool {
    let first = lower.trim_start_matches(|c: char| !c.is_alphanumeric());
    first.starts_with("error ") || first.starts_with("fatal ")
}

/// `error: 0.02` is a measurement.
fn is_metric(lower: &str) -> bool {
    lower.match_indices("error").any(|(at, word)| {
        let after = lower.get(at + word.len()..).unwrap_or_default();
        let number = after.trim_start_matches([':', '=', ' ']);
        let digits = number.trim_start_matches(|c: char| c.is_ascii_digit());
        digits.len() < number.len()
            && digits
                .strip_prefix('.')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// How far below its name Julia tells what ended a task.
const TASK: usize = 4;
const NESTED: &str = "nested task error: ";

/// Where a line is only a heading, what it announces stands on the next one; of a task of Julia's where the task's own
/// error stands.
fn said_at(log: &LogText, index: usize) -> usize {
    let heading = |text: &str| {
        let text = text.trim().to_ascii_lowercase();
        matches!(
            text.as_str(),
            "error:" | "errors:" | "fatal error:" | "fatal:"
        )
    };
    let says = |index: usize, fits: &dyn Fn(&str) -> bool| {
        log.line(index).is_some_and(|line| fits(line.text))
    };
    let of_task = says(index, &|text| text.ends_with("TaskFailedException"))
        .then(|| (index..=index + TASK).find(|at| says(*at, &|text| text.contains(NESTED))));
    let index = of_task.flatten().unwrap_or(index);
    let is_heading = says(index, &|text| {
        heading(text) || text.contains(NESTED) && text.ends_with(':')
    });
    index + usize::from(is_heading && index + 1 < log.line_count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Stream;

    fn found(text: &str) -> String {
        let log = LogText::from_bytes("job.err", Stream::Err, text.as_bytes());
        let place = find(&[&log]);
        let line = place.and_then(|(_, line)| log.line(line));
        line.map(|line| line.text.to_owned()).unwrap_or_default()
    }

    #[test]
    fn every_language_says_it_in_its_own_form() {
        for (line, after) in [
            (
                "Error in lm.fit(x, y) : incompatible dimensions",
                "Calls: lm -> lm.fit\nExecution halted",
            ),
            (
                "ERROR: LoadError: DimensionMismatch: A has size (2,3)",
                "Stacktrace:\n [1] main()\nin expression starting at /w/a.jl:3",
            ),
            (
                "Error using  * ",
                "Incorrect dimensions for matrix multiplication.\n\nError in fit (line 12)\nC = A * B;",
            ),
            ("License checkout failed.", "License Manager Error -4"),
            (
                "Undefined function 'foo' for input arguments of type 'double'.",
                "",
            ),
            (
                "Fortran runtime error: End of file",
                "\nError termination. Backtrace:\n#0  0x7f",
            ),
            (
                "Exception in thread \"main\" java.lang.NullPointerException: x",
                "\tat A.main(A.java:3)",
            ),
            (
                "thread 'main' panicked at src/main.rs:5:9:",
                "index out of bounds\nnote: run with `RUST_BACKTRACE=1`",
            ),
            (
                "panic: runtime error: index out of range [5] with length 3",
                "\ngoroutine 1 [running]:\nexit status 2",
            ),
            (
                "Can't locate JSON/XS.pm in @INC (you may need to install it)",
                "BEGIN failed--compilation aborted",
            ),
            (
                "ERROR: Unknown pair style (../force.cpp:123)",
                "MPI_ABORT was invoked on rank 0 in communicator MPI_COMM_WORLD\nmpirun has exited",
            ),
            (
                "srun: error: Unable to create step for job 5: Requested node configuration is not available",
                "srun: error: n1: task 0: Exited with exit code 1",
            ),
            (
                "There are not enough slots available in the system to satisfy the 64",
                "slots that were requested by the application:",
            ),
            (
                "Error in rule align:",
                "    jobid: 3\nShutting down, this might take some time.\nExiting because a job execution failed. Look below for error messages",
            ),
            (
                "2026-01-01 10:00:00 - root - ERROR - Failed to parse config.yml",
                "bye",
            ),
            ("ORTE was unable to reliably start one or more daemons.", ""),
            (
                "MPI_ABORT was invoked on rank 3 in communicator MPI_COMM_WORLD",
                "with errorcode 1.",
            ),
        ] {
            assert_eq!(found(&format!("starting\n{line}\n{after}\n")), line);
        }
        assert_eq!(
            found("Fatal error:\nNo such moleculetype SOL\n\nFor more information\n"),
            "No such moleculetype SOL"
        );
    }

    #[test]
    fn what_was_survived_or_only_sounds_bad_is_no_error() {
        for text in [
            "step 1\nstep 2\n",
            "ERROR: connection lost\nretrying in 5 s\ndone\n",
            "ERROR: bad sample, skipping\n",
            "WARNING: failed to load the fast path\n",
            "x.py:3: UserWarning: could not find it\n",
            "validation error: 0.034\n",
            "finished with 0 errors: fine\n",
            "ERROR: early\nepoch 1\nepoch 2\nepoch 3\n",
        ] {
            assert_eq!(found(text), "", "{text}");
        }
    }
}
