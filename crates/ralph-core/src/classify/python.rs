//! What the last Python exception of a job means.
//!
//! The rules look at the exception's name, its message and where it was raised; the first rule that fits
//! decides, and an exception that no rule knows is [`FailureClass::PyException`].

use super::class::{FailureClass, Rank, Scope};
use super::exceptions::RULES;
use super::log::LogText;
use super::traceback::{self, Standing, Traceback};

/// Signals that end programs: their names in lower case and the numbers that a launcher reports as negative codes.
const SIGNALS: &[(&str, &str, FailureClass)] = &[
    ("sigkill", "9", FailureClass::SlurmSignal),
    ("sigsegv", "11", FailureClass::CrashSignal),
    ("sigabrt", "6", FailureClass::CrashSignal),
    ("sigbus", "7", FailureClass::CrashSignal),
    ("sigfpe", "8", FailureClass::CrashSignal),
    ("sigill", "4", FailureClass::CrashSignal),
];
/// What stands before the name of a signal that has ended something: `subprocess`'s and `spawn`'s words, and in a
/// report below a traceback torchrun's.
const BEFORE_SIGNAL: &[&str] = &["<signals.", "with signal "];
const BEFORE_SIGNAL_BELOW: &[&str] = &["(", "<signals.", "with signal "];
/// What stands before a signal's number: torchrun's, DeepSpeed's, Intel MPI's and Open MPI's words.
const BEFORE_NUMBER: &[&str] = &[
    "(exitcode: -",
    "exitcode  : -",
    "return code = -",
    "killed by signal: ",
    "exited on signal ",
];
/// How many lines of a launcher's report are read; the first failure that was observed is the last one it names.
const REPORT: usize = 200;
/// How many lines above a launcher's own traceback its report may begin.
const ABOVE: usize = 5;
/// How many lines of a message below its heading are read.
const MESSAGE: usize = 12;

/// Folders of configurations: a file missing there is a submission older than its configuration (incident 28).
const CONFIG_FOLDERS: &[&str] = &["configs/", "config/", "conf/"];

/// What the deciding traceback of a job says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) class: FailureClass,
    pub(super) rank: Rank,
    pub(super) scope: Scope,
    /// Which of the job's logs.
    pub(super) log: usize,
    /// Index of the line where its traceback starts.
    pub(super) start: usize,
    /// Index of the line with the exception.
    pub(super) line: usize,
    /// File and line of the innermost frame of the user's own code.
    pub(super) source: Option<(String, usize)>,
    /// Whether the exception or the code that raised it names a GPU.
    pub(super) of_device: bool,
    /// Whether it ended a program, and is not itself what another process's end looks like.
    pub(super) is_cause: bool,
    /// Whether it only reports that another program failed.
    pub(super) is_wrapper: bool,
}

/// What an exception says, in lower case, that only shows that the other processes are gone or the GPU is broken.
const OF_THE_GROUP: &[&str] = &[
    "nccl",
    "cuda error",
    "distributed",
    "gloo",
    "process group",
    "rendezvous",
    "tcpstore",
    "socket",
    "connection reset",
    "connection closed",
    "broken pipe",
    "timed out",
];
/// What a GPU says of what the program wants of it: neither it nor the other processes failed.
const OF_THE_PROGRAM: &[&str] = &[
    "device-side assert",
    "invalid argument",
    "invalid configuration",
    "invalid device ordinal",
];
const NAMES_OF_THE_GROUP: &[&str] = &[
    "DistError",
    "DistStoreError",
    "DistNetworkError",
    "AcceleratorError",
    "KeyboardInterrupt",
    "SystemExit",
];

impl Verdict {
    /// Whether a line of a log belongs to the traceback, or to the first line of a message below it.
    pub(super) fn holds(&self, log: usize, line: usize) -> bool {
        self.log == log && (self.start..=self.line + 1).contains(&line)
    }
}

/// The meaning of the last traceback that ended the program. Standard error is believed before standard output,
/// which may only repeat it; the logs must come in that order. `believed` sees the line of each exception.
pub(super) fn decide(
    logs: &[&LogText],
    believed: impl Fn(&LogText, usize) -> bool,
) -> Option<Verdict> {
    let mut best: Option<(Standing, usize, Traceback<'_>)> = None;
    for (index, log) in logs.iter().enumerate() {
        for found in traceback::find(log) {
            if !believed(log, found.line) {
                continue;
            }
            let better = best.as_ref().is_none_or(|(standing, of, _)| {
                found.standing > *standing || found.standing == *standing && *of == index
            });
            if better {
                best = Some((found.standing, index, found));
            }
        }
    }
    let (standing, log, found) = best?;
    let text = logs.get(log)?;
    let verdict = verdict(&found, text, log);
    let is_wrapper = matches!(standing, Standing::Wrapper | Standing::CutOff);
    let from = found.start.saturating_sub(ABOVE);
    let ended = is_wrapper.then(|| by_signal(text, from, BEFORE_SIGNAL_BELOW));
    (standing > Standing::Ignored).then(|| match ended.flatten() {
        Some((class, line)) => Verdict {
            class,
            rank: Rank::Python,
            scope: class.scope(),
            line,
            source: None,
            ..verdict
        },
        None => verdict,
    })
}

/// What the end of a log without a traceback says of a program that a signal ended, and the line that says it.
pub(super) fn at_end_by_signal(log: &LogText) -> Option<(FailureClass, usize)> {
    by_signal(log, log.line_count().saturating_sub(REPORT), BEFORE_SIGNAL)
}

/// The signal that ended a launcher's program, and the line that says so.
fn by_signal(log: &LogText, from: usize, before_name: &[&str]) -> Option<(FailureClass, usize)> {
    let lines = log.lines().enumerate().skip(from).take(REPORT);
    let mut said =
        lines.filter_map(|(index, line)| Some((signal_of(line.text, before_name)?, index)));
    said.next_back()
}

fn signal_of(text: &str, before_name: &[&str]) -> Option<FailureClass> {
    let text = text.to_ascii_lowercase();
    let named = |name: &str| {
        text.match_indices(name).any(|(at, _)| {
            let before = text.get(..at).unwrap_or_default();
            before_name.iter().any(|words| before.ends_with(words))
        })
    };
    let numbered = BEFORE_NUMBER.iter().find_map(|words| {
        let after = text.get(text.find(words)? + words.len()..)?;
        after.split(|c: char| !c.is_ascii_digit()).next()
    });
    let mut signals = SIGNALS.iter();
    let found = signals.find(|(name, number, _)| numbered == Some(*number) || named(name));
    found.map(|(.., class)| *class)
}

/// The class by the first rule that fits; rank and scope follow the class, except for a missing configuration.
fn verdict(found: &Traceback<'_>, text: &LogText, log: usize) -> Verdict {
    let message = found.message.to_lowercase();
    let (class, line) = class_of(found, &message)
        .map(|class| (class, found.line))
        .or_else(|| below_heading(found, text))
        .unwrap_or((FailureClass::PyException, found.line));
    let line = if line == found.line {
        said_at(found, text)
    } else {
        line
    };
    let of_submission = class == FailureClass::PyFileNotFound
        && CONFIG_FOLDERS.iter().any(|folder| message.contains(folder));
    // A class of the scheduler that Python reports is still only Python's word.
    let rank = if of_submission {
        Rank::Submission
    } else {
        class.rank().clamp(Rank::Submission, Rank::Python)
    };
    Verdict {
        class,
        rank,
        scope: if of_submission {
            Scope::Submission
        } else {
            class.scope()
        },
        log,
        start: found.start,
        line,
        source: found.user_frame.map(|(path, line)| (path.to_owned(), line)),
        of_device: names_device(found, &message),
        is_wrapper: found.standing == Standing::Wrapper,
        is_cause: found.standing == Standing::Main
            && !NAMES_OF_THE_GROUP.contains(&found.name)
            && (OF_THE_PROGRAM.iter().any(|text| message.contains(text))
                || !OF_THE_GROUP.iter().any(|text| message.contains(text))),
    }
}

/// Where the message of an exception stands: below a line that has only its name.
fn said_at(found: &Traceback<'_>, text: &LogText) -> usize {
    let has = |index: usize, fits: &dyn Fn(&str) -> bool| {
        text.line(index).is_some_and(|line| fits(line.text.trim()))
    };
    let is_name = |line: &str| {
        line.strip_suffix(':')
            .is_some_and(|name| name.ends_with(found.name))
    };
    let speaks = |line: &str| line.contains(char::is_alphabetic);
    let is_below =
        !found.name.is_empty() && has(found.line, &is_name) && has(found.line + 1, &speaks);
    found.line + usize::from(is_below)
}

fn class_of(found: &Traceback<'_>, message: &str) -> Option<FailureClass> {
    let rule = RULES.iter().find(|rule| rule.fits(found, message));
    rule.map(|rule| rule.class)
}

/// The class of a message that is told below the line with the exception (TensorFlow: `Graph execution error:`), and
/// the line that tells it.
fn below_heading(found: &Traceback<'_>, text: &LogText) -> Option<(FailureClass, usize)> {
    let below = (found.line + 1..).map_while(|index| Some((index, text.line(index)?)));
    below
        .take(MESSAGE)
        .take_while(|(_, line)| found.is_heading && !line.text.starts_with("Traceback "))
        .find_map(|(index, line)| {
            let message = line.text.to_lowercase();
            Some((class_of(found, &message)?, index))
        })
}

fn names_device(found: &Traceback<'_>, message: &str) -> bool {
    let code = found.code.to_ascii_lowercase();
    found.innermost.contains("/cuda/")
        || ["cuda", "nvidia", "gpu"]
            .iter()
            .any(|word| message.contains(word) || code.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Stream;

    fn class_of(frame: &str, exception: &str) -> FailureClass {
        let text = format!(
            "Traceback (most recent call last):\n  File \"{frame}\", line 3, in f\n    g()\n{exception}\n"
        );
        let log = LogText::from_bytes("job.err", Stream::Err, text.as_bytes());
        decide(&[&log], |_, _| true).map_or(FailureClass::Unknown, |verdict| verdict.class)
    }

    #[test]
    fn exceptions_and_their_classes() {
        let table = [
            "ModuleNotFoundError: No module named 'matplotlib'",
            "ImportError: libcudart.so.11: cannot open shared object file: No such file or directory",
            "AttributeError: module 'torch.backends.cuda' has no attribute 'enable_cudnn_sdp'",
            "AttributeError: module 'helpers' has no attribute 'x'",
            "FileNotFoundError: [Errno 2] No such file or directory: 'data/a.npy'",
            "RuntimeError: Checkpoint not found: a.pt",
            "RuntimeError: Unrecognized checkpoint format. Keys: ['a']",
            "RuntimeError: Error(s) in loading state_dict for Net: size mismatch for w",
            "_pickle.UnpicklingError: invalid load key, 'v'.",
            "RuntimeError: The size of tensor a (4) must match the size of tensor b (2) at non-singleton dimension 1",
            "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x8 and 800x512)",
            "ValueError: operands could not be broadcast together with shapes (2,) (3,)",
            "RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn",
            "RuntimeError: Trying to backward through the graph a second time",
            "numpy.core._exceptions._ArrayMemoryError: Unable to allocate 3 GiB",
            "RuntimeError: DataLoader worker (pid 12) is killed by signal: Killed.",
            "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='x')",
            "ValueError: Loss is NaN at step 3",
            "ValueError: the loss of head 2 is nan",
            "ValueError: environment variable RANK expected, but not set",
            "KeyboardInterrupt",
            "TypeError: 'int' object is not callable",
            "KeyError: 'mu'",
            "AssertionError",
        ]
        .map(|text| format!("{:<22}{text}", class_of("/w/a.py", text).name()))
        .join("\n");
        insta::assert_snapshot!(table, @r"
        module_not_found      ModuleNotFoundError: No module named 'matplotlib'
        library_mismatch      ImportError: libcudart.so.11: cannot open shared object file: No such file or directory
        library_mismatch      AttributeError: module 'torch.backends.cuda' has no attribute 'enable_cudnn_sdp'
        py_exception          AttributeError: module 'helpers' has no attribute 'x'
        py_file_not_found     FileNotFoundError: [Errno 2] No such file or directory: 'data/a.npy'
        py_file_not_found     RuntimeError: Checkpoint not found: a.pt
        py_checkpoint_format  RuntimeError: Unrecognized checkpoint format. Keys: ['a']
        py_checkpoint_format  RuntimeError: Error(s) in loading state_dict for Net: size mismatch for w
        py_checkpoint_format  _pickle.UnpicklingError: invalid load key, 'v'.
        py_shape_mismatch     RuntimeError: The size of tensor a (4) must match the size of tensor b (2) at non-singleton dimension 1
        py_shape_mismatch     RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x8 and 800x512)
        py_shape_mismatch     ValueError: operands could not be broadcast together with shapes (2,) (3,)
        py_autograd           RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn
        py_autograd           RuntimeError: Trying to backward through the graph a second time
        host_memory           numpy.core._exceptions._ArrayMemoryError: Unable to allocate 3 GiB
        dataloader_worker     RuntimeError: DataLoader worker (pid 12) is killed by signal: Killed.
        network               requests.exceptions.ConnectionError: HTTPSConnectionPool(host='x')
        loss_nan              ValueError: Loss is NaN at step 3
        loss_nan              ValueError: the loss of head 2 is nan
        unset_environment     ValueError: environment variable RANK expected, but not set
        slurm_signal          KeyboardInterrupt
        py_exception          TypeError: 'int' object is not callable
        py_exception          KeyError: 'mu'
        py_exception          AssertionError
        ");
    }

    #[test]
    fn the_place_matters() {
        let key = "KeyError: 'ENTITY'";
        assert_eq!(
            class_of("/usr/lib/python3.10/os.py", key),
            FailureClass::UnsetEnvironment
        );
        let reset = "ConnectionResetError: [Errno 104] Connection reset by peer";
        assert_eq!(
            class_of("/usr/lib/python3.10/multiprocessing/connection.py", reset),
            FailureClass::DataloaderWorker
        );
        assert_eq!(class_of("/w/a.py", reset), FailureClass::PyException);
    }
}
