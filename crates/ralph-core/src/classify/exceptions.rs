//! The names and messages of Python's exceptions and the classes that they mean, as data.
//!
//! Which traceback of a log decides is not said here but in [`super::python`].

use super::class::FailureClass;
use super::signatures::in_order;
use super::traceback::Traceback;

/// One row: names are compared without their module, texts without case; an empty list fits everything.
pub(super) struct Rule {
    names: &'static [&'static str],
    message: &'static [&'static str],
    /// The innermost frame's path must contain this.
    raised_in: &'static str,
    pub(super) class: FailureClass,
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

    /// Whether the rule is about this exception; the message in lower case.
    pub(super) fn fits(&self, found: &Traceback<'_>, message: &str) -> bool {
        (self.names.is_empty() || self.names.contains(&found.name))
            && (self.message.is_empty() || self.says(message))
            && found.innermost.contains(self.raised_in)
    }

    /// Whether one of the texts stands in a message; what is between the stars of a text in this order.
    fn says(&self, message: &str) -> bool {
        self.message.iter().any(|text| match text.split_once('*') {
            Some((first, then)) => in_order(message, &[first, then]),
            None => message.contains(text),
        })
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
pub(super) const RULES: &[Rule] = &[
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
            "the version torch was compiled with",
            "the version that was used to compile",
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
        &["MemoryError", "_ArrayMemoryError", "ArrowMemoryError"],
        &[],
        FailureClass::HostMemory,
    ),
    rule(
        &[],
        &[
            "cannot allocate memory",
            "can't allocate memory",
            "defaultcpuallocator",
            "c error: out of memory",
        ],
        FailureClass::HostMemory,
    ),
    rule(
        &[],
        &[
            "dataloader worker (pid",
            "items of ancdata",
            "file </torch_",
            "object </torch_",
        ],
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
    rule(
        &[],
        &[
            "environment variable*not set",
            "environment variable*must be set",
            "environment variable*not defined",
            "must be set*environment variable",
            "please set*environment variable",
        ],
        FailureClass::UnsetEnvironment,
    ),
    rule(
        &["FileNotFoundError"],
        &[],
        FailureClass::EnvCommandNotFound,
    )
    .raised_in("/subprocess.py"),
    rule(&["FileNotFoundError"], &[], FailureClass::PyFileNotFound),
    // It was asked for what it cannot do.
    rule(
        &[],
        &["nccl*invalid argument", "nccl*invalid usage"],
        FailureClass::PyException,
    ),
    rule(
        &[
            "DistStoreError",
            "DistBackendError",
            "DistNetworkError",
            "RendezvousTimeoutError",
            "RendezvousConnectionError",
            "RendezvousClosedError",
        ],
        &[],
        FailureClass::NcclWatchdog,
    ),
    rule(
        &[],
        &[
            "store based barrier",
            "the client socket has ",
            "gloo/transport",
            "monitoredbarrier",
            "barrier timed out",
            "deadline_exceeded",
            "heartbeat timeout",
            "nccl*unhandled system error",
            "nccl*unhandled cuda error",
            "nccl*remote process exited",
            "timeout waiting for key",
        ],
        FailureClass::NcclWatchdog,
    ),
    rule(
        &["RuntimeError"],
        &["socket timeout"],
        FailureClass::NcclWatchdog,
    )
    .raised_in("/torch/distributed/"),
    rule(
        &[],
        &[
            "no such file or directory",
            "checkpoint not found",
            "file not found",
            "failed to find any matching files",
            "no checkpoint found",
            "no valid checkpoint found",
        ],
        FailureClass::PyFileNotFound,
    ),
    rule(&["PermissionError"], &[], FailureClass::PermissionDenied),
    rule(&["GatedRepoError"], &[], FailureClass::PermissionDenied),
    rule(
        &["CommError"],
        &["permission"],
        FailureClass::PermissionDenied,
    ),
    rule(
        &[],
        &[
            "gated repo",
            "401 client error",
            "403 client error",
            "http error 401",
            "http error 403",
            "401 unauthorized",
            "403 forbidden",
            "(accessdenied)",
            "(expiredtoken)",
            "permission_denied:",
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
            "RateLimitError",
            "APIConnectionError",
            "APITimeoutError",
            "EndpointConnectionError",
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
            "[errno 110]",
            "[errno 111]",
            "[errno 113]",
            "connection refused",
            "connection timed out",
            "timed out trying to connect",
            "couldn't connect to 'http",
            "too many requests",
            "429 client error",
            "http error 429",
            "error code: 429",
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
            "state dict has ",
            "state dict keys",
            "when loading weights",
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
            // A pickle of no bytes.
            "ran out of input",
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
    rule(&["EinopsError"], &[], FailureClass::PyShapeMismatch),
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
            "must have the same first dimension",
            "-dimensional input",
            "(batched) input",
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
            "loss*is nan",
            "loss*is not finite",
            "loss scale already at minimum",
            "probability tensor contains either",
        ],
        FailureClass::LossNan,
    ),
    rule(&["FloatingPointError"], &[], FailureClass::LossNan),
];
