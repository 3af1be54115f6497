//! The texts that explain a failure, as data.
//!
//! Python's exceptions are not here, because only the end of the last traceback decides; they are in
//! [`super::python`]. How a text is looked for is in [`super::signatures`].

use super::class::FailureClass::{self, *};
use super::signatures::{Signature, Weight};

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
pub(super) const CHECKED_OUT: &str = "HEAD is now at";

/// Within one rank of the precedence, the earlier row wins.
pub(super) const SIGNATURES: &[Signature] = &[
    // The scheduler's own lines. Ids in them are raw ids, so they are never compared with the job's.
    tells(SlurmTimeout, &["DUE TO TIME LIMIT"]),
    tells(Preempted, &["DUE TO PREEMPTION"]).near_end(),
    tells(NodeFailure, &["DUE TO NODE FAILURE"]).near_end(),
    tells(NodeFailure, &["error: Node failure on "]).near_end(),
    tells(HostOomKill, &["oom_kill event"]),
    tells(HostOomKill, &["oom-kill event"]),
    tells(HostOomKill, &["Exceeded job memory limit"]),
    tells(HostOomKill, &["Exceeded step memory limit"]),
    tells(HostOomKill, &["exceeded memory limit", "being killed"]),
    tells(HostOomKill, &["Memory cgroup out of memory"]),
    tells(HostOomKill, &["task ", ": Out Of Memory"]),
    tells(HostOomKill, &["tasks ", ": Out Of Memory"]),
    tells(SlurmSignal, &["CANCELLED AT", "DUE to SIGNAL"]),
    tells(SlurmSignal, &["CANCELLED AT", "DUE TO SIGNAL"]),
    tells(Cancelled, &["*** JOB ", " CANCELLED AT ", " ***"])
        .unless(&[" DUE "])
        .near_end(),
    passing(SlurmSignal, &["line ", ": ", " Killed "]),
    tells(SchedulerLimit, &["QOSMaxSubmitJobPerUserLimit"]),
    tells(SchedulerLimit, &["AssocMaxSubmitJobLimit"]),
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
    // Carriage returns in a script are the cause of what bash finds wrong with it afterwards.
    tells(ShellSyntax, &["$'\\r': command not found"]),
    tells(ShellSyntax, &["^M: bad interpreter"]),
    fatal(ShellSyntax, &["unexpected EOF while looking for matching"]),
    fatal(ShellSyntax, &["syntax error near unexpected token"]),
    fatal(ShellSyntax, &["syntax error: unexpected end of file"]),
    passing(ShellSyntax, &["syntax error: operand expected"]),
    passing(ShellSyntax, &["syntax error in expression"]),
    passing(ShellSyntax, &["slurm_script: ", ": Syntax error: "]),
    passing(ShellSyntax, &["sh: ", ": Syntax error: "]),
    passing(ShellSyntax, &["line ", ": bad substitution"]),
    passing(ShellSyntax, &["slurm_script: ", ": Bad substitution"]),
    passing(ShellSyntax, &["sh: ", ": Bad substitution"]),
    passing(
        ShellSyntax,
        &["line ", ": conditional binary operator expected"],
    ),
    fatal(ShellUnboundVariable, &[": unbound variable"]),
    fatal(ShellUnboundVariable, &["parameter null or not set"]),
    fatal(ShellUnboundVariable, &[": parameter not set"]),
    // `${NAME:?any words}`.
    fatal(ShellUnboundVariable, &[": line ", ": "]).of_variable(),
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
    fatal(CliBadArguments, &["Error: Invalid value for '"]),
    fatal(CliBadArguments, &["Error: Missing argument '"]),
    fatal(CliBadArguments, &["Error: No such command '"]),
    fatal(CliBadArguments, &["No such option: --"]),
    fatal(CliBadArguments, &[".py: error: "]),
    fatal(CliBadArguments, &["error: unexpected argument '"]),
    fatal(
        CliBadArguments,
        &["error: the following required arguments were not provided"],
    ),
    fatal(CliBadArguments, &["ERROR: Could not consume arg: "]),
    fatal(CliBadArguments, &["│ Missing option '"]),
    fatal(CliBadArguments, &["│ Missing argument '"]),
    fatal(CliBadArguments, &["│ Invalid value for '"]),
    tells(CliBadArguments, &["Could not override '"]),
    tells(CliBadArguments, &["In '", "': Could not find '"]),
    passing(CliBadArguments, &[": invalid option -- '"]),
    fatal(CliBadArguments, &["FATAL Flags parsing error"]),
    fatal(CliBadArguments, &[": unrecognized option '"]),
    fatal(ScriptMissing, &["can't open file '", "[Errno 2]"]),
    fatal(
        ScriptMissing,
        &["execve(): ", "/", ": No such file or directory"],
    ),
    fatal(ScriptMissing, &["sh: 0: cannot open "]),
    fatal(ScriptMissing, &["sh: 0: Can't open "]),
    fatal(ScriptMissing, &["Fatal error: cannot open file '"]),
    fatal(ScriptMissing, &["Error: Unable to access jarfile "]),
    tells(ScriptMissing, &[": error: Unable to open file ", ".sbatch"]),
    fatal(
        AccountPartition,
        &["Invalid account or account/partition combination"],
    ),
    fatal(AccountPartition, &["error: invalid partition specified: "]),
    fatal(AccountPartition, &["Invalid partition name specified"]),
    fatal(AccountPartition, &["Invalid qos specification"]),
    fatal(
        AccountPartition,
        &["User's group not permitted to use this partition"],
    ),
    // Environment. A script without `errexit` runs on after most of these, so they pass.
    fatal(ModuleNotFound, &["python", ": No module named "]).unless(&["Error"]),
    fatal(
        ModuleNotFound,
        &["Error while finding module specification for '"],
    ),
    tells(
        ModuleNotFound,
        &["Error in ", "there is no package called "],
    ),
    tells(
        ModuleNotFound,
        &["ArgumentError: Package ", " not found in current path"],
    ),
    tells(ModuleNotFound, &["Can't locate ", " in @INC"]),
    tells(ModuleNotFound, &["Could not find or load main class "]),
    tells(ModuleNotFound, &["java.lang.NoClassDefFoundError"]),
    passing(EnvModuleUnknown, &["The following module(s) are unknown"]),
    passing(EnvModuleUnknown, &["Unable to locate a modulefile for"]),
    passing(
        EnvModuleUnknown,
        &["exist but cannot be loaded as requested"],
    ),
    passing(
        EnvModuleUnknown,
        &["Lmod has detected the following error:"],
    ),
    passing(EnvSetupFailed, &["EnvironmentNameNotFound"]),
    passing(EnvSetupFailed, &["EnvironmentLocationNotFound"]),
    passing(EnvSetupFailed, &["Could not find conda environment"]),
    passing(
        EnvSetupFailed,
        &["ERROR: No matching distribution found for"],
    ),
    passing(EnvSetupFailed, &["ERROR: Could not install packages"]),
    passing(
        EnvSetupFailed,
        &["ERROR: Could not find a version that satisfies the requirement"],
    ),
    passing(EnvSetupFailed, &["ERROR: Could not open requirements file"]),
    passing(EnvSetupFailed, &["ERROR: Failed building wheel for "]),
    passing(
        EnvSetupFailed,
        &["ERROR: Failed to build installable wheels"],
    ),
    passing(EnvSetupFailed, &["error: externally-managed-environment"]),
    passing(
        EnvSetupFailed,
        &["No solution found when resolving dependencies"],
    ),
    passing(
        EnvSetupFailed,
        &["Your shell has not been properly configured to use 'conda"],
    ),
    passing(
        EnvSetupFailed,
        &["CondaError: Run 'conda init' before 'conda "],
    ),
    passing(EnvSetupFailed, &["PackagesNotFoundError: "]),
    passing(EnvSetupFailed, &["ResolvePackageNotFound"]),
    passing(EnvSetupFailed, &["LibMambaUnsatisfiableError"]),
    passing(EnvSetupFailed, &["critical libmamba "]),
    passing(
        EnvSetupFailed,
        &["/bin/activate: No such file or directory"],
    ),
    passing(EnvSetupFailed, &["/conda.sh: No such file or directory"]),
    // A compiler without a header or a module; in a program's own words it would be a path of the script.
    passing(
        EnvSetupFailed,
        &["fatal error: ", ": No such file or directory"],
    ),
    passing(
        EnvSetupFailed,
        &["Fatal Error: Cannot open module file '", ": No such file"],
    ),
    // Containers.
    passing(EnvSetupFailed, &["FATAL: ", "could not open image "]),
    passing(EnvSetupFailed, &["FATAL: ", "container creation failed"]),
    passing(EnvSetupFailed, &["pyxis: failed to import"]),
    passing(EnvSetupFailed, &["pyxis: container start failed"]),
    passing(EnvCommandNotFound, &[": command not found"]),
    passing(EnvCommandNotFound, &["command not found: "]),
    passing(EnvCommandNotFound, &["executable file not found in $PATH"]),
    passing(
        EnvCommandNotFound,
        &["execve(): ", ": No such file or directory"],
    ),
    passing(
        EnvCommandNotFound,
        &["/env: ", ": No such file or directory"],
    ),
    passing(EnvCommandNotFound, &["exec: ", ": not found"]),
    passing(EnvCommandNotFound, &["slurm_script: ", ": not found"]),
    passing(EnvCommandNotFound, &["sh: 1: ", ": not found"]),
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
        &["PTX was compiled with an unsupported toolchain"],
    ),
    tells(
        LibraryMismatch,
        &["forward compatibility was attempted on non supported HW"],
    )
    .even_as_warning(),
    tells(
        LibraryMismatch,
        &["NVIDIA driver on your system is too old"],
    )
    .even_as_warning(),
    passing(GitAccess, &["Permission denied (publickey"]),
    passing(GitAccess, &["fatal: could not read Username for"]),
    passing(GitAccess, &["fatal: detected dubious ownership in "]),
    passing(GitAccess, &["Host key verification failed"]),
    passing(GitAccess, &["remote: Repository not found"]),
    passing(GitAccess, &["ERROR: Repository not found"]),
    passing(GitAccess, &["fatal: repository '", "' not found"]),
    passing(GitAccess, &["The requested URL returned error: 401"]),
    passing(GitAccess, &["The requested URL returned error: 403"]),
    passing(GitAccess, &["HTTP Basic: Access denied"]),
    passing(
        GitAccess,
        &["Support for password authentication was removed"],
    ),
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
    tells(
        FilesystemError,
        &["Cannot send after transport endpoint shutdown"],
    ),
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
    tells(
        CudaIllegalAccess,
        &["CUDA error: an illegal instruction was encountered"],
    ),
    tells(CudaDriverInit, &["CUDA driver initialization failed"]).even_as_warning(),
    tells(CudaDriverInit, &["CUDA error: initialization error"]),
    tells(CudaDriverInit, &["CUDA unknown error - this may be due to"]),
    tells(CudaDriverInit, &["Error 802: system not yet initialized"]).even_as_warning(),
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
    passing(Network, &["unable to resolve host address"]),
    passing(Network, &["Temporary failure in name resolution"]),
    passing(Network, &["dial tcp", ": no such host"]),
    passing(Network, &["dial tcp", ": i/o timeout"]),
    passing(Network, &["dial tcp", ": connection refused"]),
    passing(Network, &["Could not resolve host"]),
    passing(Network, &["Failed to connect to ", " port "]),
    passing(Network, &[": connect to host ", " port "]),
    passing(Network, &["error: RPC failed"]),
    passing(Network, &["fatal: early EOF"]),
    passing(Network, &["fatal: the remote end hung up unexpectedly"]),
    // Memory of the GPU; many programs catch this and go on with a smaller batch.
    tells(CudaOom, &["CUDA out of memory"]),
    tells(CudaOom, &["Cuda failure ", "'out of memory'"]),
    tells(CudaOom, &["HIP out of memory"]),
    tells(CudaOom, &["OutOfMemoryError: "]).unless(&["java", "running low on memory"]),
    tells(CudaOom, &["torch.cuda.OutOfMemoryError"]),
    tells(CudaOom, &["CUDA error: out of memory"]),
    tells(CudaOom, &["CUDA_ERROR_OUT_OF_MEMORY"]),
    tells(CudaOom, &["cudaErrorMemoryAllocation"]),
    tells(CudaOom, &["OOM when allocating tensor"]),
    tells(CudaOom, &["No available memory for the cache blocks"]),
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
    tells(LossNan, &["NaN detected", "bort"]),
    fatal(PyException, &["SyntaxError: "]).at_start(),
    fatal(PyException, &["IndentationError: "]).at_start(),
    fatal(PyException, &["TabError: "]).at_start(),
    // A file that a program of another language reads.
    tells(
        PyFileNotFound,
        &["cannot open file '", ": No such file or directory"],
    ),
    tells(
        PyFileNotFound,
        &["Fortran runtime error: ", "No such file or directory"],
    ),
    tells(
        PyFileNotFound,
        &["SystemError: opening file ", ": No such file or directory"],
    ),
    tells(PyFileNotFound, &["java.io.FileNotFoundException: "]),
    tells(PyFileNotFound, &["java.nio.file.NoSuchFileException: "]),
    tells(PyFileNotFound, &["kind: NotFound, message: \"No such file"]),
    tells(PyFileNotFound, &["Unable to find file or directory '"]),
    tells(PyFileNotFound, &["Cannot find primary config '"]),
    // Memory of the node, by other languages' names.
    tells(HostMemory, &["std::bad_alloc"]),
    tells(HostMemory, &["java.lang.OutOfMemoryError"]),
    tells(HostMemory, &["ERROR: ", "OutOfMemoryError()"]),
    tells(HostMemory, &["OutOfMemoryError: ", "running low on memory"]),
    tells(HostMemory, &["cannot allocate vector of size"]),
    tells(HostMemory, &["fork: ", "Cannot allocate memory"]),
    tells(HostMemory, &["virtual memory exhausted"]),
    // What explains only what nothing else explains: healthy jobs print these too.
    // First the program's own words, then the shell's.
    tells(
        CrashSignal,
        &["terminate called after throwing an instance"],
    ),
    tells(CrashSignal, &["Fatal Python error:"]),
    tells(CrashSignal, &["double free or corruption"]),
    tells(CrashSignal, &["free(): invalid "]),
    tells(CrashSignal, &["stack smashing detected"]),
    tells(CrashSignal, &["egmentation fault"]),
    tells(CrashSignal, &["Bus error"]),
    tells(CrashSignal, &["Illegal instruction"]),
    tells(CrashSignal, &["(core dumped)"]),
    tells(PermissionDenied, &[": Permission denied"]),
    tells(ShellNoSuchFile, &[": No such file or directory"]).unless(&[
        "ls: ",
        "rm: ",
        "grep: ",
        "[Errno 2]",
        "Error: ",
        "fatal error: ",
    ]),
];
