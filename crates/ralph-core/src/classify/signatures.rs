//! The texts that explain a failure, as data, and how they are found.
//!
//! All texts are searched for at once in one pass that is linear in the log. A text only counts on a line that
//! speaks for itself: not in a commit's subject, a printed configuration or a warning. Python's exceptions are not
//! here, because only the end of the last traceback decides; they are in [`super::python`].

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::class::FailureClass::{self, *};
use super::log::{LogText, floor_boundary};

/// How much of a long line is looked at around a hit, and how often a text is examined in one log: together
/// they bound the work for any input.
const WINDOW: usize = 2 * 1024;
const EXAMINED: usize = 64;
/// A scheduler's remark about an attempt that was requeued is only believed this close to the end of the log.
const LAST_LINES: usize = 200;

/// What a text proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Something ended there; stands even when the job reports success.
    Fatal,
    /// It explains a failure if there was one.
    Telling,
    /// As `Telling`, unless the program got as far as a Python traceback afterwards.
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
    near_end: bool,
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
            even_as_warning: false,
        }
    }

    const fn unless(mut self, others: &'static [&'static str]) -> Self {
        self.unless = others;
        self
    }

    const fn cured_by(mut self, text: &'static str) -> Self {
        self.cured_by = text;
        self
    }

    const fn at_start(mut self) -> Self {
        self.at_start = true;
        self
    }

    const fn near_end(mut self) -> Self {
        self.near_end = true;
        self
    }

    const fn even_as_warning(mut self) -> Self {
        self.even_as_warning = true;
        self
    }

    pub(super) fn needle(&self) -> &'static str {
        let longest = self.fragments.iter().max_by_key(|text| text.len());
        longest.copied().unwrap_or_default()
    }
}

const fn fatal(class: FailureClass, fragments: &'static [&'static str]) -> Signature {
    Signature::new(Weight::Fatal, class, fragments)
}

const fn tells(class: FailureClass, fragments: &'static [&'static str]) -> Signature {
    Signature::new(Weight::Telling, class, fragments)
}

const fn passing(class: FailureClass, fragments: &'static [&'static str]) -> Signature {
    Signature::new(Weight::Passing, class, fragments)
}

/// What a successful checkout prints; a script may fetch more and try again.
const CHECKED_OUT: &str = "HEAD is now at";

/// Within one rank of the precedence, the earlier row wins.
pub(super) const SIGNATURES: &[Signature] = &[
    // The scheduler's own lines. Ids in them are raw ids, so they are never compared with the job's.
    tells(SlurmTimeout, &["DUE TO TIME LIMIT"]),
    tells(Preempted, &["DUE TO PREEMPTION"]).near_end(),
    tells(NodeFailure, &["DUE TO NODE FAILURE"]).near_end(),
    tells(HostOomKill, &["oom_kill event"]),
    tells(HostOomKill, &["oom-kill event"]),
    tells(HostOomKill, &["Exceeded job memory limit"]),
    tells(HostOomKill, &["Exceeded step memory limit"]),
    tells(HostOomKill, &["Memory cgroup out of memory"]),
    tells(HostOomKill, &["task ", ": Out Of Memory"]),
    tells(SlurmSignal, &["CANCELLED AT", "DUE to SIGNAL"]),
    tells(SlurmSignal, &["CANCELLED AT", "DUE TO SIGNAL"]),
    tells(Cancelled, &["*** JOB ", " CANCELLED AT ", " ***"])
        .unless(&[" DUE "])
        .near_end(),
    passing(SlurmSignal, &["line ", ": ", " Killed "]),
    tells(SchedulerLimit, &["QOSMaxSubmitJobPerUserLimit"]),
    tells(SchedulerLimit, &["Job violates accounting/QOS policy"]),
    // Submission: what was sent cannot work. The job ends within seconds.
    fatal(GitMissingCommit, &["reference is not a tree"]).cured_by(CHECKED_OUT),
    fatal(GitMissingCommit, &["unable to read tree"]).cured_by(CHECKED_OUT),
    fatal(GitMissingCommit, &["upload-pack: not our ref"]).cured_by(CHECKED_OUT),
    fatal(GitMissingCommit, &["couldn't find remote ref"]).cured_by(CHECKED_OUT),
    fatal(GitMissingCommit, &["fatal: bad object"]).cured_by(CHECKED_OUT),
    fatal(
        GitMissingCommit,
        &["pathspec '", "did not match any file(s) known to git"],
    )
    .cured_by(CHECKED_OUT),
    fatal(
        GitMissingCommit,
        &["Server does not allow request for unadvertised object"],
    )
    .cured_by(CHECKED_OUT),
    fatal(
        GitMissingCommit,
        &["fatal: Remote branch ", " not found in upstream"],
    )
    .cured_by(CHECKED_OUT),
    // A script may only have asked for its version.
    tells(
        GitMissingCommit,
        &["fatal: ambiguous argument '", "unknown revision"],
    )
    .cured_by(CHECKED_OUT),
    tells(GitMissingCommit, &["fatal: Not a valid object name"]).cured_by(CHECKED_OUT),
    fatal(ShellSyntax, &["unexpected EOF while looking for matching"]),
    fatal(ShellSyntax, &["syntax error near unexpected token"]),
    fatal(ShellSyntax, &["syntax error: unexpected end of file"]),
    fatal(ShellUnboundVariable, &[": unbound variable"]),
    fatal(ShellUnboundVariable, &["parameter null or not set"]),
    fatal(ShellUnboundVariable, &[": parameter not set"]),
    fatal(CliBadArguments, &["error: unrecognized arguments:"]),
    fatal(
        CliBadArguments,
        &["error: the following arguments are required:"],
    ),
    fatal(CliBadArguments, &[": error: argument "]),
    fatal(CliBadArguments, &[": error: ambiguous option"]),
    fatal(CliBadArguments, &["error: no such option:"]),
    fatal(CliBadArguments, &["Error: No such option"]),
    fatal(CliBadArguments, &["Error: Missing option"]),
    fatal(CliBadArguments, &["Error: Got unexpected extra argument"]),
    fatal(CliBadArguments, &["FATAL Flags parsing error"]),
    fatal(CliBadArguments, &[": unrecognized option '"]),
    fatal(ScriptMissing, &["can't open file '", "[Errno 2]"]),
    fatal(ScriptMissing, &["sh: 0: cannot open "]),
    fatal(ScriptMissing, &["sh: 0: Can't open "]),
    fatal(
        AccountPartition,
        &["Invalid account or account/partition combination"],
    ),
    // Environment. A script without `errexit` runs on after most of these, so they pass.
    fatal(ModuleNotFound, &["python", ": No module named "]).unless(&["Error"]),
    passing(EnvModuleUnknown, &["The following module(s) are unknown"]),
    passing(EnvModuleUnknown, &["Unable to locate a modulefile for"]),
    passing(
        EnvModuleUnknown,
        &["exist but cannot be loaded as requested"],
    ),
    passing(EnvSetupFailed, &["EnvironmentNameNotFound"]),
    passing(EnvSetupFailed, &["EnvironmentLocationNotFound"]),
    passing(EnvSetupFailed, &["Could not find conda environment"]),
    passing(
        EnvSetupFailed,
        &["ERROR: No matching distribution found for"],
    ),
    passing(EnvSetupFailed, &["ERROR: Could not install packages"]),
    passing(EnvCommandNotFound, &[": command not found"]),
    passing(EnvCommandNotFound, &["command not found: "]),
    passing(
        EnvCommandNotFound,
        &["execve(): ", ": No such file or directory"],
    ),
    passing(
        EnvCommandNotFound,
        &["/env: ", ": No such file or directory"],
    ),
    passing(EnvCommandNotFound, &["exec: ", ": not found"]),
    passing(LibraryMismatch, &["error while loading shared libraries"]),
    tells(LibraryMismatch, &["version `", "' not found (required by"]),
    tells(
        LibraryMismatch,
        &["no kernel image is available for execution on the device"],
    )
    .even_as_warning(),
    tells(LibraryMismatch, &["CUDA driver version is insufficient"]).even_as_warning(),
    tells(
        LibraryMismatch,
        &["NVIDIA driver on your system is too old"],
    )
    .even_as_warning(),
    passing(GitAccess, &["Permission denied (publickey"]),
    passing(GitAccess, &["fatal: could not read Username for"]),
    passing(GitAccess, &["Host key verification failed"]),
    passing(GitAccess, &["remote: Repository not found"]),
    passing(GitAccess, &["fatal: Authentication failed for"]),
    // Storage. Data may be lost even when the script reports success.
    fatal(DiskQuota, &["Disk quota exceeded"]),
    fatal(DiskQuota, &["No space left on device"]),
    fatal(WriteFailed, &["PytorchStreamWriter failed writing file"]),
    fatal(WriteFailed, &["RuntimeError: File ", " cannot be opened"]),
    fatal(RsyncPartial, &["rsync error: "]).unless(&["(code 20)", "(code 24)"]),
    tells(NfsStale, &["tale file handle"]),
    tells(NfsStale, &["tale NFS file handle"]),
    tells(FilesystemError, &["Input/output error"]),
    tells(FilesystemError, &["Read-only file system"]),
    tells(FilesystemError, &["Transport endpoint is not connected"]),
    // Node, GPU and network. A caught error and a fatal one read the same, so nothing here is proof.
    tells(GpuErrState, &["uncorrectable ECC error"]),
    tells(GpuErrState, &["Unable to determine the device handle for"]),
    tells(GpuErrState, &["GPU has fallen off the bus"]),
    tells(GpuErrState, &["| ", "ERR!", "|"]),
    tells(
        CudaDeviceBusy,
        &["CUDA-capable device(s) is/are busy or unavailable"],
    ),
    tells(NcclDuplicateGpu, &["Duplicate GPU detected"]),
    tells(
        CudaIllegalAccess,
        &["an illegal memory access was encountered"],
    ),
    tells(
        CudaIllegalAccess,
        &["CUDA error: unspecified launch failure"],
    ),
    tells(CudaIllegalAccess, &["CUDA error: misaligned address"]),
    tells(CudaDriverInit, &["CUDA driver initialization failed"]).even_as_warning(),
    tells(CudaDriverInit, &["CUDA error: initialization error"]),
    tells(CudaDriverInit, &["No CUDA GPUs are available"]),
    tells(CudaDriverInit, &["no CUDA-capable device is detected"]),
    tells(CudaDriverInit, &["Found no NVIDIA driver on your system"]).even_as_warning(),
    tells(CudaDriverInit, &["Failed to initialize NVML"]),
    tells(
        CudaDriverInit,
        &["couldn't communicate with the NVIDIA driver"],
    ),
    tells(TorchrunPort, &["EADDRINUSE"]),
    tells(TorchrunPort, &["ddress already in use"]),
    tells(
        NcclWatchdog,
        &["Watchdog caught collective operation timeout"],
    ),
    tells(NcclWatchdog, &["NCCL watchdog thread terminated"]),
    tells(NcclWatchdog, &["NCCL ", "watchdog timeout"]),
    tells(NcclWatchdog, &["NCCL communicator was aborted"]),
    tells(NcclWatchdog, &["ncclRemoteError"]),
    tells(NcclWatchdog, &["ncclSystemError"]),
    tells(FilesystemHang, &["JOB NOT ENDING WITH SIGNALS"]),
    passing(Network, &["Temporary failure in name resolution"]),
    passing(Network, &["Could not resolve host"]),
    passing(Network, &["Failed to connect to ", " port "]),
    passing(Network, &["error: RPC failed"]),
    passing(Network, &["fatal: early EOF"]),
    passing(Network, &["fatal: the remote end hung up unexpectedly"]),
    // Memory of the GPU; many programs catch this and go on with a smaller batch.
    tells(CudaOom, &["CUDA out of memory"]),
    tells(CudaOom, &["HIP out of memory"]),
    tells(CudaOom, &["OutOfMemoryError: "]).unless(&["java"]),
    tells(CudaOom, &["torch.cuda.OutOfMemoryError"]),
    tells(CudaOom, &["CUDA error: out of memory"]),
    tells(CudaOom, &["CUBLAS_STATUS_ALLOC_FAILED"]),
    tells(CudaOom, &["RESOURCE_EXHAUSTED: Out of memory"]),
    // Python without a traceback.
    tells(
        DataloaderWorker,
        &["DataLoader worker (pid", "killed by signal"],
    ),
    tells(
        DataloaderWorker,
        &["DataLoader worker (pid", "exited unexpectedly"],
    ),
    fatal(LossNan, &["oss is nan, stopping"]),
    fatal(LossNan, &["oss is NaN, stopping"]),
    fatal(PyException, &["SyntaxError: "]).at_start(),
    fatal(PyException, &["IndentationError: "]).at_start(),
    fatal(PyException, &["TabError: "]).at_start(),
    // What explains only what nothing else explains: healthy jobs print these too.
    tells(CrashSignal, &["Segmentation fault"]),
    tells(CrashSignal, &["Bus error"]),
    tells(CrashSignal, &["(core dumped)"]),
    tells(
        CrashSignal,
        &["terminate called after throwing an instance"],
    ),
    tells(CrashSignal, &["Fatal Python error:"]),
    tells(PermissionDenied, &[": Permission denied"]),
    tells(ShellNoSuchFile, &[": No such file or directory"]).unless(&[
        "ls: ",
        "rm: ",
        "grep: ",
        "[Errno 2]",
        "Error: ",
    ]),
];

static SEARCH: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .build(SIGNATURES.iter().map(Signature::needle))
        .ok()
});

/// A text that was found: its row in the table, and the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) row: usize,
    pub(super) line: usize,
}

/// The first valid hit of every row, in the order of the table.
pub(super) fn search(log: &LogText) -> Vec<Hit> {
    let text = log.text();
    let mut found: Vec<Option<usize>> = vec![None; SIGNATURES.len()];
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
        if slot.is_some() || *count >= EXAMINED {
            continue;
        }
        *count += 1;
        let line = log.line_at(hit.start());
        if counts(signature, log, line, hit.start()) {
            *slot = Some(line);
        }
    }
    found
        .into_iter()
        .enumerate()
        .filter_map(|(row, line)| Some(Hit { row, line: line? }))
        .collect()
}

/// Whether a hit of the needle at `offset` is a hit of the whole row.
fn counts(signature: &Signature, log: &LogText, index: usize, offset: usize) -> bool {
    let Some(line) = log.line(index) else {
        return false;
    };
    let (window, at) = window(line.text, offset.saturating_sub(line.start));
    if signature.at_start && at != 0
        || signature.near_end && index + LAST_LINES < log.line_count()
        || !signature.even_as_warning && is_warning(window)
        || is_quotation(line.text)
        || signature.unless.iter().any(|other| window.contains(other))
        || !in_order(window, signature.fragments)
    {
        return false;
    }
    let after = log.text().get(offset..).unwrap_or_default();
    signature.cured_by.is_empty()
        || memchr::memmem::find(after.as_bytes(), signature.cured_by.as_bytes()).is_none()
}

/// The part of a line around an offset, and the offset in it.
fn window(line: &str, offset: usize) -> (&str, usize) {
    let start = floor_boundary(line, offset.saturating_sub(WINDOW));
    let end = floor_boundary(line, offset + WINDOW);
    (line.get(start..end).unwrap_or_default(), offset - start)
}

/// Whether all fragments occur one after the other.
fn in_order(line: &str, fragments: &[&str]) -> bool {
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
fn is_warning(line: &str) -> bool {
    line.contains("Warning: ")
        || line.contains("WARNING")
        || line.contains("warning: ")
        || line.contains("[W ")
}

/// Whether a line only repeats a text from elsewhere: a commit's subject, git's advice, a member of a printed
/// configuration, or a command that the shell echoes.
fn is_quotation(line: &str) -> bool {
    let trimmed = line.trim_start();
    let commit = trimmed.bytes().take_while(u8::is_ascii_hexdigit).count();
    trimmed.starts_with(CHECKED_OUT)
        || trimmed.starts_with("hint: ")
        || trimmed.starts_with("+ ")
        || trimmed.starts_with('"') && trimmed.contains("\": ")
        || (7..=40).contains(&commit)
            && trimmed.as_bytes().get(commit) == Some(&b' ')
            && line.len() == trimmed.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Stream;

    fn classes(text: &str) -> Vec<FailureClass> {
        let log = LogText::from_bytes("job.err", Stream::Err, text.as_bytes());
        search(&log)
            .into_iter()
            .map(|hit| SIGNATURES[hit.row].class)
            .collect()
    }

    #[test]
    fn every_row_finds_its_own_text() {
        for signature in SIGNATURES {
            let line = signature.fragments.join(" x ");
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
            "[W socket.cpp:436] The server socket has failed to bind (errno: 98 - Address already in use).",
            "[W socket.cpp:601] The IPv6 network addresses cannot be retrieved (errno: 97 - Address family not supported)",
            "ls: cannot access 'x': No such file or directory",
            "{'nan_count': 0, 'note': 'no NaN'}",
        ] {
            assert_eq!(classes(line), [], "{line}");
        }
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
