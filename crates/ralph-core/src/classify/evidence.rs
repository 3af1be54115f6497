//! All that the logs of a case say, in the order in which it decides. Nothing here weighs the scheduler's record.

use super::class::{FailureClass, Rank, Scope};
use super::log::LogText;
use super::signatures::{self, Weight};
use super::texts::SIGNATURES;
use super::{Case, aftermath, last_error, python, traceback};
use crate::backend::Stream;
use crate::job::JobState;

/// How close to the end of a log the script's own report of its end must stand.
const LAST_LINES: usize = 50;

/// How many lines of progress other processes may print until they wait for one that has ended.
const STEPS_UNTIL_IDLE: usize = 5;
/// How many lines of progress show that a script had all that its program needs.
const STEPS_OF_WORK: usize = 20;
/// How many lines above the report of its failure a program's own words may begin.
const ABOVE_WRAPPER: usize = 10;
/// How many lines from an error on may say that it was survived.
const SURVIVED_WITHIN: usize = 3;

/// How many lines below an exception its message may go on, when the line is about a GPU: the frameworks explain
/// there what happened on the device.
const DEVICE_MESSAGE: usize = 12;

/// What a script prints as its last act, in lower case and at the start of a line. What a program prints about
/// its own part (`Training completed`) is not the end of the job.
const ENDINGS: &[&str] = &[
    "job completed",
    "job complete",
    "job finished",
    "job done",
    "cleaning up work",
];

/// Whether the job says of itself that it succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Success {
    /// Accounting says `COMPLETED`.
    Reported,
    /// Accounting says nothing, and the log says that the script came to its end.
    Claimed,
    /// Neither.
    No,
}

/// Evidence for one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) class: FailureClass,
    pub(super) rank: Rank,
    pub(super) scope: Scope,
    /// Index of the log in [`Evidence::logs`] and of the line in it.
    pub(super) place: Option<(usize, usize)>,
    /// What is searched for in the line.
    pub(super) text: &'static str,
    pub(super) source: Option<(String, usize)>,
    /// Whether it may decide; the rest is only shown.
    decisive: bool,
    /// Whether it is only a warning, which decides where nothing else says anything: every job without a GPU that
    /// imports torch prints one.
    pub(super) warned: bool,
    /// Whether the program ended with another error that has nothing to do with it: the order of precedence holds, but
    /// nobody should submit again because of it.
    pub(super) doubted: bool,
}

impl Candidate {
    /// A class without a line.
    pub(super) fn bare(class: FailureClass) -> Self {
        Self {
            class,
            rank: class.rank(),
            scope: class.scope(),
            place: None,
            text: "",
            source: None,
            decisive: true,
            warned: false,
            doubted: false,
        }
    }
}

/// What the logs say.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    /// Standard error first: standard output often only repeats it.
    pub(super) logs: Vec<&'a LogText>,
    /// In the order of precedence.
    pub(super) candidates: Vec<Candidate>,
    pub(super) success: Success,
    /// Whether a log says that the script came to its end, whatever accounting says.
    pub(super) came_to_end: bool,
    raised: bool,
}

impl<'a> Evidence<'a> {
    pub(super) fn gather(case: &Case<'a>) -> Self {
        let mut logs: Vec<&LogText> = case.logs.iter().collect();
        logs.sort_by_key(|log| log.stream() == Stream::Out);
        let came_to_end = logs.iter().any(|log| says_end(log));
        let success = success(case, came_to_end);
        let raised = python::decide(&logs, |log, line| {
            success != Success::Reported || aftermath::ends_log(log, line)
        });
        let mut candidates: Vec<Candidate> = logs
            .iter()
            .enumerate()
            .flat_map(|(index, log)| hits(index, log, success, raised.as_ref()))
            .collect();
        let told = raised
            .as_ref()
            .is_none_or(|found| found.is_wrapper)
            .then(|| uncaught(&logs, &candidates, success))
            .flatten();
        let killed = (raised.is_none() && told.is_none() && success == Success::No)
            .then(|| by_signal(&logs))
            .flatten();
        let ended = raised.is_some() || told.is_some();
        for found in &mut candidates {
            let of_another =
                told.is_some() || raised.as_ref().is_some_and(|end| is_other(end, found));
            found.doubted = found.rank == Rank::Device && of_another;
            // Who asks the network in vain often goes on; what ended the program then is another matter.
            found.decisive &= !(of_another && is_of_the_network(found.class));
        }
        candidates.extend(told);
        candidates.extend(killed);
        candidates.extend(raised.as_ref().map(|end| from_python(end, &logs)));
        for found in &mut candidates {
            found.doubted |= found.class == FailureClass::Network && is_refusal(&logs, found);
        }
        // Stable: within a rank the table's order decides, then standard error.
        candidates.sort_by_key(|found| (found.rank, row_of(found)));
        Self {
            logs,
            candidates,
            success,
            came_to_end,
            raised: ended,
        }
    }

    /// Whether something ended with an error that nothing caught.
    pub(super) fn raised(&self) -> bool {
        self.raised
    }

    /// The first decisive evidence of this rank or a later one.
    pub(super) fn first(&self, from: Rank) -> Option<Candidate> {
        let mut decisive = self.decisive().filter(|found| !found.warned);
        decisive.find(|found| found.rank >= from).cloned()
    }

    /// The first warning that may explain what nothing else does.
    pub(super) fn first_warning(&self) -> Option<Candidate> {
        self.decisive().find(|found| found.warned).cloned()
    }

    /// Where the last line stands that looks like an error, known or not.
    pub(super) fn last_error(&self) -> Option<(usize, usize)> {
        last_error::find(&self.logs)
    }

    fn decisive(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().filter(|found| found.decisive)
    }

    /// The first decisive evidence of exactly this rank.
    pub(super) fn first_of(&self, rank: Rank) -> Option<Candidate> {
        self.first(rank).filter(|found| found.rank == rank)
    }

    /// The class that was decided elsewhere, with its line in the logs if there is one.
    pub(super) fn of_class(&self, class: FailureClass) -> Candidate {
        let known = self.candidates.iter().find(|found| found.class == class);
        known.cloned().unwrap_or_else(|| Candidate::bare(class))
    }
}

/// Rows of the table first, then what Python raised.
fn row_of(found: &Candidate) -> usize {
    SIGNATURES
        .iter()
        .position(|row| row.class == found.class && row.needle() == found.text)
        .unwrap_or(SIGNATURES.len())
}

/// What the table finds in one log, and whether it may decide. Where the log claims success, only what proves that
/// something ended speaks against it, and the scheduler is believed before the script. Where the scheduler reports
/// success, a text only says more about the exception that ended the log: alone, it may be advice, a test, or an
/// attempt that was repeated (section F: COMPLETED is doubted for a traceback or a missing artifact).
fn hits(
    index: usize,
    log: &LogText,
    success: Success,
    raised: Option<&python::Verdict>,
) -> Vec<Candidate> {
    let last_traceback = traceback::last_start(log);
    let tracebacks = traceback::find(log);
    let candidate = |hit: signatures::Hit| {
        let signature = SIGNATURES.get(hit.row)?;
        let of_wrapped = raised.is_some_and(|end| wraps(end, index, hit.line));
        let answered = last_traceback > Some(hit.line) && !of_wrapped;
        let enough = match signature.class.rank() {
            Rank::Device if raised.is_none() => STEPS_UNTIL_IDLE,
            _ if signature.weight == Weight::Passing => STEPS_OF_WORK,
            _ => usize::MAX,
        };
        let passed =
            signature.weight == Weight::Passing && answered || went_on(log, signature, enough);
        let proves = match success {
            Success::No => true,
            Success::Claimed => {
                signature.weight == Weight::Fatal || signature.class.rank() == Rank::Scheduler
            }
            Success::Reported => raised.is_some_and(|found| found.holds(index, hit.line)),
        };
        let follows = signature.class == FailureClass::NcclWatchdog
            && (raised.is_some_and(|found| is_cause(found, index, log, hit.line))
                || aftermath::follows_crash(log, hit.line, STEPS_UNTIL_IDLE));
        let mentioned =
            raised.is_some_and(|found| is_mention(found, index, log, hit.line, signature));
        // What ended an attempt that was requeued is survived too, where its log was appended to.
        let survived = signature.weight == Weight::Telling
            && (signature.class.rank() > Rank::Submission || signature.near_end)
            && raised.is_some_and(|found| is_survived(found, index, log, hit.line));
        let again = raised
            .filter(|_| survived)
            .and_then(|found| said_by(found, log, signature));
        let hit = signatures::Hit {
            line: again.unwrap_or(hit.line),
            ..hit
        };
        Some(Candidate {
            place: Some((index, hit.line)),
            text: signature.needle(),
            decisive: proves && !passed && !follows && !mentioned && (!survived || again.is_some()),
            warned: hit.warned && raised.is_none_or(|found| !found.of_device),
            source: source(&tracebacks, log, hit.line, signature.class),
            ..Candidate::bare(signature.class)
        })
    };
    signatures::search(log)
        .into_iter()
        .filter_map(candidate)
        .collect()
}

/// Whether a line before the exception that ended the program only has a text in quotes, such as a help, a printed
/// configuration or the name of something. A line that reports an error may quote it.
fn is_mention(
    found: &python::Verdict,
    index: usize,
    log: &LogText,
    line: usize,
    signature: &signatures::Signature,
) -> bool {
    const REPORTS: [&str; 6] = ["error", "exception", "fail", "fatal", "message", "msg"];
    let needle = signature.needle();
    let is_quoted = |text: &str| {
        let quoted = text
            .find(needle)
            .filter(|at| signatures::is_in_quotes(text, *at));
        quoted.is_some_and(|at| {
            let before = text.get(..at).unwrap_or_default().to_ascii_lowercase();
            !REPORTS.iter().any(|word| before.contains(word))
        })
    };
    found.is_cause
        && found.log == index
        && line < found.start
        && log.line(line).is_some_and(|line| is_quoted(line.text))
}

/// Whether a text stands where the program speaks of whose failure an exception only reports.
fn wraps(end: &python::Verdict, index: usize, line: usize) -> bool {
    end.is_wrapper && end.log == index && (line..=line + ABOVE_WRAPPER).contains(&end.start)
}

/// Whether a program went on after the line of a text, until another exception ended it: a batch that was too large
/// for the GPU and was tried again is not why the job failed.
fn is_survived(found: &python::Verdict, index: usize, log: &LogText, line: usize) -> bool {
    if !found.is_cause || found.log != index || line >= found.start {
        return false;
    }
    let until = found.start - line;
    let said = log.lines().skip(line).take(until.min(SURVIVED_WITHIN));
    said.into_iter()
        .any(|line| aftermath::is_way_around(line.text))
        || aftermath::progress(log, line, found.start) > STEPS_UNTIL_IDLE
}

/// Whether a program worked for more than so many steps after the last line with a text, so that the script did not
/// need what was missing: a module, a command, the network.
fn went_on(log: &LogText, signature: &signatures::Signature, steps: usize) -> bool {
    let text = log.text().as_bytes();
    let last = memchr::memmem::rfind(text, signature.needle().as_bytes());
    last.is_some_and(|at| aftermath::progress(log, log.line_at(at), log.line_count()) > steps)
}

/// The line of the exception that ended the program, where it has the text too.
fn said_by(
    found: &python::Verdict,
    log: &LogText,
    signature: &signatures::Signature,
) -> Option<usize> {
    (found.start..=found.line + 1).find(|index| {
        log.line(*index)
            .is_some_and(|line| signature.is_in(line.text))
    })
}

/// Whether the exception that ended the program neither is a piece of evidence nor is about a GPU or the network.
fn is_other(end: &python::Verdict, found: &Candidate) -> bool {
    let held = found.place.is_some_and(|(log, line)| end.holds(log, line));
    end.is_cause && !end.of_device && !held
}

/// Whether a class is about a connection that a program asked for.
fn is_of_the_network(class: FailureClass) -> bool {
    matches!(class, FailureClass::Network | FailureClass::TorchrunPort)
}

/// Whether the line of a failed connection says that the other side answered and refused: the next attempt is told the
/// same.
fn is_refusal(logs: &[&LogText], found: &Candidate) -> bool {
    const REFUSED: [&str; 6] = [
        "certificate",
        "HTTP 40",
        " 407 ",
        // The settings forbid the question.
        "OfflineMode",
        "ffline mode",
        "outgoing traffic has been disabled",
    ];
    let line = found
        .place
        .and_then(|(log, line)| logs.get(log)?.line(line));
    line.is_some_and(|line| REFUSED.iter().any(|text| line.text.contains(text)))
}

/// Whether an exception of one process explains that the others waited for it in vain: it stands before their
/// watchdog's line, and the log shows no work in between, as it does after an exception that was caught.
fn is_cause(found: &python::Verdict, index: usize, log: &LogText, watchdog: usize) -> bool {
    let idle = || aftermath::progress(log, found.line, watchdog) <= STEPS_UNTIL_IDLE;
    found.is_cause && (found.log != index || found.line < watchdog && idle())
}

/// Where in the user's code the line of a text was raised, as far as the log says it.
fn source(
    tracebacks: &[traceback::Traceback<'_>],
    log: &LogText,
    line: usize,
    class: FailureClass,
) -> Option<(String, usize)> {
    let more = match class.rank() {
        Rank::Device | Rank::DeviceMemory => DEVICE_MESSAGE,
        _ => 1,
    };
    let place = traceback::place_of(tracebacks, line, more).or_else(|| match class {
        FailureClass::PyException => source_before(log, line),
        FailureClass::CrashSignal => traceback::place_of_crash(log, line),
        _ => None,
    });
    place.map(|(path, number)| (path.to_owned(), number))
}

/// The place that Python prints above a syntax error.
fn source_before(log: &LogText, line: usize) -> Option<(&str, usize)> {
    (line.saturating_sub(4)..line)
        .rev()
        .find_map(|index| traceback::frame(log.line(index)?.text))
}

/// The error that ended a program of another language, unless its line or the next one says what kind of error it is.
/// The scheduler's word for a success is doubted as for a traceback: where the log ends there.
fn uncaught(logs: &[&LogText], known: &[Candidate], success: Success) -> Option<Candidate> {
    let (log, line) = last_error::find_uncaught(logs)?;
    let ends = || {
        logs.get(log)
            .is_some_and(|log| aftermath::ends_log(log, line))
    };
    let is_told = |found: &Candidate| {
        let mut places = [(log, line), (log, line + 1)].into_iter();
        found.decisive && places.any(|place| found.place == Some(place))
    };
    let believed = success != Success::Reported || ends();
    (believed && !known.iter().any(is_told)).then(|| Candidate {
        place: Some((log, line)),
        ..Candidate::bare(FailureClass::ProgramError)
    })
}

/// The signal that a launcher reports without raising anything itself. That is a program's word, not the scheduler's.
fn by_signal(logs: &[&LogText]) -> Option<Candidate> {
    let mut said = logs.iter().enumerate().filter_map(|(index, log)| {
        let (class, line) =
            python::at_end_by_signal(log).filter(|(_, line)| aftermath::ends_log(log, *line))?;
        Some(Candidate {
            place: Some((index, line)),
            rank: Rank::Python,
            ..Candidate::bare(class)
        })
    });
    said.next()
}

fn from_python(verdict: &python::Verdict, logs: &[&LogText]) -> Candidate {
    let follows = verdict.class == FailureClass::NcclWatchdog
        && logs
            .get(verdict.log)
            .is_some_and(|log| aftermath::follows_crash(log, verdict.start, STEPS_UNTIL_IDLE));
    Candidate {
        decisive: !follows,
        class: verdict.class,
        rank: verdict.rank,
        scope: verdict.scope,
        place: Some((verdict.log, verdict.line)),
        text: "",
        source: verdict.source.clone(),
        ..Candidate::bare(verdict.class)
    }
}

/// An exit code of zero proves nothing by itself; another one disproves what the log claims.
fn success(case: &Case<'_>, came_to_end: bool) -> Success {
    let clean_exit = case
        .exit
        .is_none_or(|exit| exit.code == 0 && exit.signal == 0);
    match case.state {
        Some(JobState::Completed) => Success::Reported,
        None if came_to_end && clean_exit => Success::Claimed,
        _ => Success::No,
    }
}

fn says_end(log: &LogText) -> bool {
    log.lines().rev().take(LAST_LINES).any(|line| {
        let start: String = line.text.trim_start().chars().take(20).collect();
        let start = start.to_ascii_lowercase();
        ENDINGS.iter().any(|ending| start.starts_with(ending))
    })
}
