//! What the last Python exception of a job means.
//!
//! The rules look at the exception's name, its message and where it was raised; the first rule that fits
//! decides, and an exception that no rule knows is [`FailureClass::PyException`].

use super::class::{FailureClass, Rank, Scope};
use super::log::LogText;
use super::traceback::{self, Standing, Traceback};

/// One row: names are compared without their module, texts without case; an empty list fits everything.
struct Rule {
    names: &'static [&'static str],
    message: &'static [&'static str],
    /// The innermost frame's path must contain this.
    raised_in: &'static str,
    class: FailureClass,
}

const fn rule(
    names: &'static [&'static str],
    message: &'static [&'static str],
    class: FailureClass,
) -> Rule {
    Rule {
        names,
        message,
        raised_in: "",
        class,
    }
}

impl Rule {
    const fn raised_in(mut self, path: &'static str) -> Self {
        self.raised_in = path;
        self
    }

    fn fits(&self, found: &Traceback<'_>, message: &str) -> bool {
        (self.names.is_empty() || self.names.contains(&found.name))
            && (self.message.is_empty() || self.message.iter().any(|text| message.contains(text)))
            && found.innermost.contains(self.raised_in)
    }
}

/// Libraries whose missing attribute means a version that does not fit, not a mistake in the program.
const LIBRARIES: &[&str] = &[
    "module 'torch",
    "module 'numpy",
    "module 'scipy",
    "module 'pandas",
    "module 'jax",
    "module 'tensorflow",
    "module 'transformers",
    "module 'diffusers",
    "module 'accelerate",
    "module 'sklearn",
    "module 'matplotlib",
    "module 'timm",
    "module 'triton",
    "module 'cv2",
    "module 'pil",
    "module 'lightning",
    "module 'pytorch_lightning",
    "module 'datasets",
    "module 'huggingface_hub",
    "module 'wandb",
    "module 'flash_attn",
    "module 'xformers",
];

/// From the specific to the general: a checkpoint whose tensors do not fit is a matter of the checkpoint, so its
/// rule stands before that of shapes.
const RULES: &[Rule] = &[
    rule(&["KeyboardInterrupt"], &[], FailureClass::SlurmSignal),
    rule(
        &["ImportError", "OSError"],
        &[
            "cannot open shared object file",
            "glibc",
            "undefined symbol",
        ],
        FailureClass::LibraryMismatch,
    ),
    rule(
        &["HfArgumentParserError", "OverrideParseException"],
        &[],
        FailureClass::CliBadArguments,
    ),
    rule(
        &[],
        &["not used by the hfargumentparser"],
        FailureClass::CliBadArguments,
    ),
    rule(
        &["ModuleNotFoundError", "ImportError"],
        &[],
        FailureClass::ModuleNotFound,
    ),
    rule(
        &[],
        &[
            "may indicate binary incompatibility",
            "not compiled with cuda enabled",
            "numpy is not available",
            "compiled using numpy 1.x",
        ],
        FailureClass::LibraryMismatch,
    ),
    rule(
        &["AttributeError"],
        LIBRARIES,
        FailureClass::LibraryMismatch,
    ),
    rule(
        &["MemoryError", "_ArrayMemoryError"],
        &[],
        FailureClass::HostMemory,
    ),
    rule(
        &[],
        &[
            "cannot allocate memory",
            "can't allocate memory",
            "defaultcpuallocator",
        ],
        FailureClass::HostMemory,
    ),
    rule(
        &[],
        &["dataloader worker (pid"],
        FailureClass::DataloaderWorker,
    ),
    rule(
        &[
            "ConnectionResetError",
            "EOFError",
            "BrokenPipeError",
            "ConnectionRefusedError",
        ],
        &[],
        FailureClass::DataloaderWorker,
    )
    .raised_in("/multiprocessing/"),
    rule(&["KeyError"], &[], FailureClass::UnsetEnvironment).raised_in("/os.py"),
    rule(&["FileNotFoundError"], &[], FailureClass::PyFileNotFound),
    rule(
        &["DistStoreError", "DistBackendError"],
        &[],
        FailureClass::NcclWatchdog,
    ),
    rule(
        &[],
        &[
            "store based barrier",
            "the client socket has ",
            "gloo/transport",
            "rendezvous",
        ],
        FailureClass::NcclWatchdog,
    ),
    rule(
        &[],
        &[
            "no such file or directory",
            "checkpoint not found",
            "file not found",
        ],
        FailureClass::PyFileNotFound,
    ),
    rule(&["PermissionError"], &[], FailureClass::PermissionDenied),
    rule(&["GatedRepoError"], &[], FailureClass::PermissionDenied),
    rule(
        &[],
        &[
            "gated repo",
            "401 client error",
            "403 client error",
            "http error 401",
            "http error 403",
        ],
        FailureClass::PermissionDenied,
    ),
    rule(
        &[
            "ConnectionError",
            "ConnectTimeout",
            "ReadTimeout",
            "ReadTimeoutError",
            "ProxyError",
            "ConnectError",
            "ChunkedEncodingError",
            "IncompleteRead",
            "RemoteDisconnected",
            "RemoteProtocolError",
            "ServerDisconnectedError",
            "ClientConnectorError",
            "ConnectTimeoutError",
            "URLError",
            "gaierror",
            "SSLError",
            "MaxRetryError",
            "NewConnectionError",
        ],
        &[],
        FailureClass::Network,
    ),
    rule(
        &[],
        &[
            "temporary failure in name resolution",
            "max retries exceeded",
            "network is unreachable",
            "couldn't connect to 'http",
            "too many requests",
            "429 client error",
            "http error 429",
            "500 server error",
            "502 server error",
            "503 server error",
            "504 server error",
            "http error 50",
            "run initialization has timed out",
            "trying to locate the file on the hub",
        ],
        FailureClass::Network,
    ),
    rule(
        &["UnpicklingError", "SafetensorError"],
        &[],
        FailureClass::PyCheckpointFormat,
    ),
    rule(&["EOFError"], &[], FailureClass::PyCheckpointFormat).raised_in("/torch/serialization.py"),
    rule(
        &[],
        &[
            "loading state_dict",
            "key(s) in state_dict",
            "checkpoint format",
            "in checkpoint",
            "in the checkpoint",
            "from checkpoint",
            "incompatible checkpoint",
            "invalid checkpoint",
            "corrupt checkpoint",
            "checkpoint is ",
            "checkpoint does not",
            "checkpoint has ",
            "checkpoint missing",
            "pytorchstreamreader failed",
            "invalid load key",
            "weights only load failed",
        ],
        FailureClass::PyCheckpointFormat,
    ),
    rule(
        &["KeyError"],
        &["state_dict"],
        FailureClass::PyCheckpointFormat,
    ),
    rule(
        &["RuntimeError", "NotImplementedError"],
        &[
            "does not require grad",
            "does not have a grad_fn",
            "modified by an inplace operation",
            "backward through the graph",
            "implicitly created only for scalar",
            "not have been used in the graph",
            "requires grad. use",
            "leaf variable that requires grad",
            "inference tensors",
            "derivative for",
        ],
        FailureClass::PyAutograd,
    ),
    rule(
        &[],
        &[
            "must match the size of tensor",
            "shapes cannot be multiplied",
            "size mismatch",
            "is invalid for input of size",
            "could not be broadcast",
            "not broadcastable",
            "sizes of tensors must match",
            "stack expects each tensor",
            "inhomogeneous",
            "expected input",
            "shape mismatch",
            "same number of dimensions",
            "must have the same shape",
            "not aligned:",
            "input and weight",
            "expanded size of the tensor",
            "mismatch in shape",
            "dimension mismatch",
            "size of axis is",
            "did not match indexed array",
            "must be the same as input size",
            "does not broadcast with",
            "except for the concatenation axis",
            "dimensions to have the same shape",
            "inconsistent numbers of samples",
            "is expecting",
            "incompatible shapes",
            "incompatible with the layer",
            "does not match length of index",
            "must be of the same length",
            "cannot reshape",
            "to match target batch_size",
        ],
        FailureClass::PyShapeMismatch,
    ),
    rule(
        &[],
        &[
            "loss is nan",
            "loss nan",
            "nan loss",
            "nan in loss",
            "loss became nan",
            "loss is not finite",
            "non-finite loss",
            "nan gradient",
            "gradient is nan",
            "nan in gradient",
            "loss diverged",
            "training diverged",
            "loss is inf",
            "returned nan values in its",
        ],
        FailureClass::LossNan,
    ),
    rule(&["FloatingPointError"], &[], FailureClass::LossNan),
];

/// What a launcher says of a program that a signal ended, in lower case.
const ENDED_BY_SIGNAL: &[(&str, FailureClass)] = &[
    ("signal 9 (sigkill)", FailureClass::SlurmSignal),
    ("<signals.sigkill", FailureClass::SlurmSignal),
    ("signal 11 (sigsegv)", FailureClass::CrashSignal),
    ("<signals.sigsegv", FailureClass::CrashSignal),
    ("signal 6 (sigabrt)", FailureClass::CrashSignal),
    ("<signals.sigabrt", FailureClass::CrashSignal),
    ("signal 7 (sigbus)", FailureClass::CrashSignal),
    ("<signals.sigbus", FailureClass::CrashSignal),
    ("signal 8 (sigfpe)", FailureClass::CrashSignal),
    ("<signals.sigfpe", FailureClass::CrashSignal),
    ("signal 4 (sigill)", FailureClass::CrashSignal),
    ("<signals.sigill", FailureClass::CrashSignal),
];
/// How many lines of a launcher's report are read; the first failure that was observed is the last one it names.
const REPORT: usize = 200;

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
    (standing > Standing::Ignored).then(|| {
        let ended = (standing == Standing::Wrapper)
            .then(|| by_signal(logs.get(log)?, &found))
            .flatten();
        let verdict = verdict(&found, log);
        ended.map_or(verdict.clone(), |(class, line)| Verdict {
            class,
            rank: Rank::Python,
            scope: class.scope(),
            line,
            source: None,
            ..verdict
        })
    })
}

/// The signal that ended a launcher's program, and the line that says so.
fn by_signal(log: &LogText, found: &Traceback<'_>) -> Option<(FailureClass, usize)> {
    let lines = log.lines().enumerate().skip(found.line).take(REPORT);
    let said = lines.filter_map(|(index, line)| {
        let text = line.text.to_ascii_lowercase();
        let (_, class) = ENDED_BY_SIGNAL
            .iter()
            .find(|(words, _)| text.contains(words))?;
        Some((*class, index))
    });
    said.last()
}

/// The class by the first rule that fits; rank and scope follow the class, except for a missing configuration.
fn verdict(found: &Traceback<'_>, log: usize) -> Verdict {
    let message = found.message.to_lowercase();
    let class = RULES
        .iter()
        .find(|rule| rule.fits(found, &message))
        .map_or(FailureClass::PyException, |rule| rule.class);
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
        line: found.line,
        source: found.user_frame.map(|(path, line)| (path.to_owned(), line)),
        of_device: names_device(found, &message),
        is_cause: found.standing == Standing::Main
            && !NAMES_OF_THE_GROUP.contains(&found.name)
            && !OF_THE_GROUP.iter().any(|text| message.contains(text)),
    }
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
