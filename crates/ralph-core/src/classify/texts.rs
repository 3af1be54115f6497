//! The texts that explain a failure, as data.
//!
//! Python's exceptions are not here, because only the end of the last traceback decides; they are in
//! [`super::python`]. How a text is looked for is in [`super::signatures`].

use std::sync::LazyLock;

use super::class::FailureClass::*;
use super::signatures::{Signature, fatal, passing, tells};
use super::texts_of_machines::OF_MACHINES;

/// What a successful checkout prints; a script may fetch more and try again.
pub(super) const CHECKED_OUT: &str = "HEAD is now at";

/// The copy of the script that SLURM itself lays down: where it is missing, the node is at fault and not the submission.
const OWN_SCRIPT: &[&str] = &["/slurm_script:"];

/// All texts. Within one rank of the precedence, the earlier row wins.
pub(super) static SIGNATURES: LazyLock<Vec<&'static Signature>> =
    LazyLock::new(|| OF_JOBS.iter().chain(OF_MACHINES).collect());

/// What the scheduler, git, the shell, and what prepares a job say; storage, GPUs and programs are in
/// [`super::texts_of_machines`].
const OF_JOBS: &[Signature] = &[
    // The scheduler's own lines. Ids in them are raw ids, so they are never compared with the job's.
    tells(SlurmTimeout, &["DUE TO TIME LIMIT"]),
    tells(Preempted, &["DUE TO PREEMPTION"]).near_end(),
    tells(NodeFailure, &["DUE TO NODE FAILURE"]).near_end(),
    tells(NodeFailure, &["error: Node failure on "]).near_end(),
    tells(HostOomKill, &["oom", "kill event"]),
    tells(HostOomKill, &["Exceeded ", " memory limit"]),
    tells(HostOomKill, &["exceeded memory limit", "being killed"]),
    tells(HostOomKill, &["Memory cgroup out of memory"]),
    tells(HostOomKill, &["Out of memory: Killed process "]),
    tells(HostOomKill, &["task", ": Out Of Memory"]),
    tells(SlurmSignal, &["CANCELLED AT", "DUE to SIGNAL"]),
    tells(SlurmSignal, &["CANCELLED AT", "DUE TO SIGNAL"]),
    tells(Cancelled, &["*** JOB ", " CANCELLED AT ", " ***"])
        .unless(&[" DUE "])
        .near_end(),
    passing(SlurmSignal, &["line ", ": ", " Killed "]),
    passing(SlurmSignal, &["line ", ": ", " Terminated "]),
    passing(SlurmSignal, &["line ", ": ", " User defined signal "]),
    tells(Cancelled, &[": forcing job termination"]).near_end(),
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
    fatal(ShellSyntax, &["syntax error near unexpected token"]).unless(&["[SC"]),
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
    fatal(CliBadArguments, &[".py: error: "]).of_parser(),
    fatal(CliBadArguments, &["error: unexpected argument '"]),
    fatal(
        CliBadArguments,
        &["error: the following required arguments were not provided"],
    ),
    fatal(CliBadArguments, &["ERROR: Could not consume arg: "]),
    fatal(CliBadArguments, &["│ Missing option '"]),
    fatal(CliBadArguments, &["│ Missing argument '"]),
    fatal(CliBadArguments, &["│ Invalid value for '"]),
    fatal(CliBadArguments, &["rror: unknown option "]),
    tells(CliBadArguments, &["Could not override '"]),
    tells(CliBadArguments, &["Could not append to config."]),
    tells(CliBadArguments, &["Error merging override "]),
    tells(CliBadArguments, &["In '", "': Could not find '"]),
    passing(CliBadArguments, &[": invalid option -- '"]),
    fatal(CliBadArguments, &["FATAL Flags parsing error"]),
    fatal(CliBadArguments, &[": unrecognized option '"]),
    fatal(ScriptMissing, &["can't open file '", "[Errno 2]"]),
    fatal(
        ScriptMissing,
        &["execve(): ", "/", ": No such file or directory"],
    )
    .unless(OWN_SCRIPT),
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
    tells(ModuleNotFound, &["Error: Cannot find module '"]),
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
    passing(
        EnvModuleUnknown,
        &["==> Error: Spec '", "matches no installed packages"],
    ),
    // The interpreter itself did not start: PYTHONHOME or a moved environment.
    passing(EnvSetupFailed, &["Fatal Python error: init"]),
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
    passing(EnvSetupFailed, &["ERROR: Cannot install "]),
    passing(EnvSetupFailed, &["ERROR: ResolutionImpossible"]),
    passing(EnvSetupFailed, &["ERROR: THESE PACKAGES DO NOT MATCH"]),
    passing(EnvSetupFailed, &["Could not solve for environment specs"]),
    passing(EnvSetupFailed, &["NoWritableEnvsDirError"]),
    passing(EnvSetupFailed, &["error: No virtual environment found"]),
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
    passing(EnvSetupFailed, &[": .: Can't open ", "/activate"]),
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
    passing(EnvSetupFailed, &["NotWritableError: "]),
    passing(EnvSetupFailed, &["CondaVerificationError: "]),
    passing(EnvSetupFailed, &["CondaError: "]),
    passing(EnvSetupFailed, &["UnsatisfiableError: "]),
    passing(EnvSetupFailed, &["CreateCondaEnvironmentException:"]),
    passing(EnvSetupFailed, &["ERROR: ", " failed for package "]),
    passing(
        EnvSetupFailed,
        &["ERROR: dependenc", " available for package "],
    ),
    // Containers. Apptainer and Singularity pad the level of their messages.
    passing(EnvSetupFailed, &["FATAL:   "]).unless(&[
        "o space left on device",
        "isk quota exceeded",
        "dial tcp",
        "executable file not found",
        "pull rate limit",
    ]),
    passing(EnvSetupFailed, &["error: pyxis: "]),
    passing(EnvCommandNotFound, &[": command not found"]),
    passing(EnvCommandNotFound, &["command not found: "]),
    passing(EnvCommandNotFound, &["executable file not found in $PATH"]),
    passing(
        EnvCommandNotFound,
        &["execve(): ", ": No such file or directory"],
    )
    .unless(OWN_SCRIPT),
    passing(
        EnvCommandNotFound,
        &[": bad interpreter: No such file or directory"],
    ),
    passing(
        EnvCommandNotFound,
        &["/env: ", ": No such file or directory"],
    ),
    passing(EnvCommandNotFound, &["exec: ", ": not found"]),
    passing(EnvCommandNotFound, &["slurm_script: ", ": not found"]),
    passing(EnvCommandNotFound, &["sh: 1: ", ": not found"]),
    passing(LibraryMismatch, &["error while loading shared libraries"]),
    passing(LibraryMismatch, &["unable to load shared object '"]),
    passing(LibraryMismatch, &["FATAL: kernel too old"]),
    tells(LibraryMismatch, &["HIP error: invalid device function"]),
    tells(LibraryMismatch, &["hipErrorNoBinaryForGpu"]),
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
    // What a server of large files answers.
    passing(GitAccess, &["Smudge error: ", "batch response: "]).unless(&["ate limit"]),
    passing(GitAccess, &["batch response: ", "/info/lfs/"]).unless(&["ate limit"]),
];
