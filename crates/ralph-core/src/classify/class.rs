//! The table of failure classes: name, rank in the precedence, scope, retry policy, and what to tell a person.
//!
//! Facts only: what a text means is in [`super::signatures`] and [`super::python`], what a state means in
//! [`super::accounting`]. A sentence that is a guess belongs into the guess column, never into the fact (incident 74).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who or what has to change before the job can succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Nothing failed.
    None,
    /// What was submitted: the commit, the script, its arguments or its variables.
    Submission,
    /// Modules, packages and programs on the cluster.
    Environment,
    /// Time or memory that was asked for.
    Resource,
    /// Disk space, quota or a file system.
    Storage,
    /// One machine or its GPU.
    Node,
    /// The cluster or the network.
    Infrastructure,
    /// The program itself.
    Code,
    /// The experiment: it ran, and its result is no result.
    Science,
    /// A person or a script that ended the job.
    Operator,
    /// Not known.
    Unknown,
}

impl Scope {
    /// Whether a workspace may let failures of this scope be tried again by themselves. Where the same would only fail
    /// again, where a person is to look first (storage: incident 70), and where a job may still live (unknown), no
    /// setting answers for that person.
    #[must_use]
    pub fn takes_a_retry_budget(self) -> bool {
        match self {
            Self::Environment | Self::Resource | Self::Node | Self::Infrastructure => true,
            Self::None
            | Self::Submission
            | Self::Storage
            | Self::Code
            | Self::Science
            | Self::Operator
            | Self::Unknown => false,
        }
    }

    /// The word that stands in the documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Submission => "submission",
            Self::Environment => "environment",
            Self::Resource => "resource",
            Self::Storage => "storage",
            Self::Node => "node",
            Self::Infrastructure => "infrastructure",
            Self::Code => "code",
            Self::Science => "science",
            Self::Operator => "operator",
            Self::Unknown => "unknown",
        }
    }
}

/// What may happen without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case")]
pub enum RetryPolicy {
    /// The same submission would fail again.
    Never,
    /// One more attempt; a second failure of the same class is asked about (incident 70).
    Once {
        /// Whether the nodes of the failed attempt should be avoided.
        suggest_exclude: bool,
    },
    /// A person decides.
    Ask,
    /// No failure of the run: submit again when the limit that refused it has room.
    Wait,
}

/// The order in which evidence decides (section F of the field study): the smallest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// What the scheduler says, in accounting or in the log.
    Scheduler,
    Submission,
    Environment,
    Storage,
    /// A node, its GPU, or the network between nodes.
    Device,
    DeviceMemory,
    Python,
    /// Texts and exit codes that explain only what nothing else explains.
    Fallback,
}

/// The columns of the table.
pub(super) struct Facts {
    pub(super) name: &'static str,
    pub(super) rank: Rank,
    pub(super) scope: Scope,
    pub(super) retry: RetryPolicy,
    /// What is known when the class was found.
    pub(super) fact: &'static str,
    /// What may be behind it; empty where the fact is the cause.
    pub(super) guess: &'static str,
    pub(super) advice: &'static str,
}

macro_rules! classes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $rank:ident, $scope:ident, $retry:expr,
        $fact:literal, $guess:literal, $advice:literal;)*) => {
        /// Why a job failed. The names are stable: they stand in state files and ledgers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum FailureClass {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl FailureClass {
            /// All classes, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub(super) fn facts(self) -> &'static Facts {
                match self {
                    $(Self::$variant => &Facts {
                        name: $name, rank: Rank::$rank, scope: Scope::$scope, retry: $retry,
                        fact: $fact, guess: $guess, advice: $advice,
                    },)*
                }
            }
        }
    };
}

const NEVER: RetryPolicy = RetryPolicy::Never;
const ASK: RetryPolicy = RetryPolicy::Ask;
const ELSEWHERE: RetryPolicy = RetryPolicy::Once {
    suggest_exclude: true,
};
const AGAIN: RetryPolicy = RetryPolicy::Once {
    suggest_exclude: false,
};

classes! {
    /// No failure was found.
    NoFailure = "none", Fallback, None, NEVER,
        "No failure was found", "", "Nothing to do.";
    /// Nothing decisive was found; stays unknown (incident 60).
    Unknown = "unknown", Fallback, Unknown, ASK,
        "No known cause was found, neither in the scheduler's record nor in the logs", "",
        "Read the last lines of the logs, and ask the scheduler for the job's record.";
    /// No source knows the job any more (incident 50): never found in a log, decided by verification.
    Lost = "lost", Fallback, Unknown, ASK,
        "No source knows the job any more",
        "it belongs to another cluster or account, or its records were purged",
        "Look for its output on the cluster before it is submitted again.";
    /// The job reported success although its payload failed (incidents 61 and 63); see [`super::Diagnosis::inner`].
    FalseSuccess = "false_success", Python, Code, NEVER,
        "The job reported success although its payload failed", "",
        "Let the script stop at the first failure (`set -euo pipefail`) before it is submitted again.";

    /// Ended at its time limit.
    SlurmTimeout = "slurm_timeout", Scheduler, Resource, ASK,
        "The job was ended at its time limit", "",
        "Ask for more time, or resume from the last checkpoint.";
    /// Killed for its memory on the node.
    HostOomKill = "host_oom_kill", Scheduler, Resource, ASK,
        "The kernel killed a process of the job because the job's memory on the node was used up", "",
        "Ask for more memory (`--mem`), or use fewer loader workers or a smaller batch.";
    /// A node failed under the job.
    NodeFailure = "node_failure", Scheduler, Infrastructure, ELSEWHERE,
        "A node failed while the job ran on it", "",
        "Submit again, if possible without that node.";
    /// A node did not boot.
    BootFailure = "boot_failure", Scheduler, Infrastructure, ELSEWHERE,
        "A node did not start for the job", "",
        "Submit again, if possible without that node.";
    /// Preempted by another job.
    Preempted = "preempted", Scheduler, Infrastructure, AGAIN,
        "The job had to make room for another one", "",
        "Submit again; write checkpoints more often than such interruptions come.";
    /// Ended at its deadline.
    Deadline = "deadline", Scheduler, Resource, ASK,
        "The job was ended at its deadline", "",
        "Move or drop the deadline.";
    /// Cancelled by a person.
    Cancelled = "cancelled", Scheduler, Operator, NEVER,
        "The job was cancelled", "",
        "Submit again only if the cancellation was a mistake.";
    /// A sibling of a federated job ran instead.
    Revoked = "revoked", Scheduler, Operator, NEVER,
        "The job was revoked because its sibling on another cluster was started", "",
        "Follow the sibling.";
    /// Ended by a signal from outside.
    SlurmSignal = "slurm_signal", Scheduler, Operator, ASK,
        "A signal from outside ended the job",
        "it was cancelled by a person or an administrator, or SIGKILL stands for used-up memory",
        "Find out who sent the signal before submitting again.";
    /// Ended by SIGPIPE.
    Sigpipe = "sigpipe", Scheduler, Infrastructure, AGAIN,
        "The job died of SIGPIPE: the reader of one of its pipes was gone",
        "a `tee` or another reader lost its file system, or a `head` had read enough, which `pipefail` calls a failure",
        "Submit again; write logs without a pipe.";
    /// A job that it depends on cannot succeed any more (incident 48).
    DependencyDead = "dependency_dead", Scheduler, Submission, NEVER,
        "A job that this one depends on did not end as required", "",
        "Mend the job it depends on, then submit both.";
    /// A limit on submissions was reached: not a failure (incident 37).
    SchedulerLimit = "scheduler_limit", Scheduler, Resource, RetryPolicy::Wait,
        "A limit of the scheduler on this user's jobs was reached", "",
        "Wait until other jobs have ended; an array counts once per task.";

    /// The commit is not in the repository that was cloned (incidents 24 to 28).
    GitMissingCommit = "git_missing_commit", Submission, Submission, NEVER,
        "The commit that was asked for is not in the repository that the job cloned",
        "it was never pushed, or the clone is too shallow",
        "Push the commit, then submit again with its 40 digits.";
    /// The job script is no valid shell script (incident 43).
    ShellSyntax = "shell_syntax", Submission, Submission, NEVER,
        "The shell could not parse the job script", "",
        "Check the script with `bash -n`; an apostrophe inside `${NAME:?…}` is the usual culprit.";
    /// A variable of the script was not set (incident 35).
    ShellUnboundVariable = "shell_unbound_variable", Submission, Submission, NEVER,
        "The job script used a variable that was not set", "",
        "Pass the variable with the submission, or give it a default in the script.";
    /// A variable that the program reads was not set.
    UnsetEnvironment = "unset_environment", Submission, Submission, NEVER,
        "The program read an environment variable that was not set", "",
        "Pass the variable with the submission.";
    /// The program does not know an argument.
    CliBadArguments = "cli_bad_arguments", Submission, Submission, NEVER,
        "The program did not accept its command line",
        "script and commit do not belong together",
        "Submit a commit that has the option, or mend the script.";
    /// The program's file does not exist.
    ScriptMissing = "script_missing", Submission, Submission, NEVER,
        "The program that the job script starts does not exist at that path",
        "the path is relative to another folder, or the file is not in the submitted commit",
        "Correct the path, or commit and push the file.";
    /// The account may not use the partition (incident 39).
    AccountPartition = "account_partition", Submission, Submission, NEVER,
        "The account may not use that partition", "",
        "Choose another partition or account.";

    /// A module does not exist.
    EnvModuleUnknown = "env_module_unknown", Environment, Environment, ASK,
        "A module that the script loads does not exist on the cluster", "",
        "Look its present name up with `module spider`.";
    /// A program is not on the path.
    EnvCommandNotFound = "env_command_not_found", Environment, Environment, ASK,
        "A command of the script was not found", "",
        "Load the module or activate the environment that provides the command.";
    /// A package of the program's language is missing.
    ModuleNotFound = "module_not_found", Environment, Environment, ASK,
        "A module or package that the program needs was not found",
        "it is not installed there, or the search path or the commit is another one",
        "Install the package in the job's environment, or mend the search path.";
    /// A library is of another version than the program expects.
    LibraryMismatch = "library_mismatch", Environment, Environment, ASK,
        "A library or driver does not offer what the program needs", "",
        "Pin the version, or choose a node whose driver fits.";
    /// Preparing the environment failed.
    EnvSetupFailed = "env_setup_failed", Environment, Environment, ASK,
        "The job could not prepare its environment", "",
        "Prepare the environment once, before the job, and only activate it there.";
    /// The repository could not be read.
    GitAccess = "git_access", Environment, Environment, ASK,
        "The job was not allowed to read the repository", "",
        "Give the cluster's user access, or use a URL that needs none.";

    /// A disk or a quota is full (incidents 58, 62 and 70).
    DiskQuota = "disk_quota", Storage, Storage, ASK,
        "A disk or a quota is full", "",
        "Free space first (`df` does not show a group's quota); check whether the results were complete before.";
    /// The final copy was incomplete.
    RsyncPartial = "rsync_partial", Storage, Storage, ASK,
        "A copy was incomplete, so results may be lost",
        "a quota is full, or ownership cannot be set on the target",
        "Look at the lines above the error; copy again while the source still exists.";
    /// A file vanished under an open handle (incident 32).
    NfsStale = "nfs_stale", Storage, Storage, ASK,
        "A file was removed on the server while the job had it open",
        "a clean-up or a synchronisation deleted the folder of a running job",
        "Find out what deletes there before submitting again.";
    /// A file could not be written.
    WriteFailed = "write_failed", Storage, Storage, ASK,
        "A file could not be written",
        "the disk or the quota is full, or the folder does not exist",
        "Check quota and folder first.";
    /// The file system reported an error.
    FilesystemError = "filesystem_error", Storage, Storage, ASK,
        "The file system reported an error", "",
        "Check the file system; ask the cluster's operators if it stays.";

    /// The GPU is held by another process.
    CudaDeviceBusy = "cuda_device_busy", Device, Node, ELSEWHERE,
        "The GPU of the node was busy or unavailable", "", "Submit again without that node.";
    /// The GPU reported an illegal access.
    CudaIllegalAccess = "cuda_illegal_access", Device, Node, ELSEWHERE,
        "The GPU reported an illegal memory access",
        "the node is bad, or the program has a bug; the same node failing twice speaks for the node",
        "Submit once more without that node.";
    /// The GPU's driver did not start.
    CudaDriverInit = "cuda_driver_init", Device, Node, ELSEWHERE,
        "The node offered no working GPU",
        "the node's driver is broken, or the job asked for no GPU",
        "Submit again without that node; check `--gres`.";
    /// The GPU is broken.
    GpuErrState = "gpu_err_state", Device, Node, ELSEWHERE,
        "The GPU of the node is in an error state", "", "Submit again without that node, and report the node.";
    /// Two ranks got the same GPU.
    NcclDuplicateGpu = "nccl_duplicate_gpu", Device, Node, ELSEWHERE,
        "Two processes were given the same GPU",
        "the node offers slices of one GPU",
        "Use a partition with whole GPUs.";
    /// Communication between GPUs stalled or broke (incident 69).
    NcclWatchdog = "nccl_watchdog", Device, Infrastructure, ELSEWHERE,
        "The communication between the processes stalled or broke",
        "one of them had failed or hung before; look at its log first",
        "Submit once more; if it happens again, look for the process that stopped first.";
    /// A port was taken.
    TorchrunPort = "torchrun_port", Device, Infrastructure, AGAIN,
        "A network port that the job wanted was taken", "",
        "Submit again; choose the port from the job's id.";
    /// Processes hung in the file system.
    FilesystemHang = "filesystem_hang", Device, Infrastructure, ELSEWHERE,
        "Processes of the job could not even be killed",
        "reads hang in the file system",
        "Submit again without that node, and report it.";
    /// The network did not answer.
    Network = "network", Device, Infrastructure, AGAIN,
        "The network did not answer", "", "Submit again.";

    /// The GPU's memory was used up.
    CudaOom = "cuda_oom", DeviceMemory, Resource, ASK,
        "The memory of the GPU was used up", "",
        "Use a smaller batch or a GPU with more memory; a slice of a GPU has less than its name says.";

    /// A file that the program reads is missing.
    PyFileNotFound = "py_file_not_found", Python, Code, NEVER,
        "The program opened a file that does not exist", "",
        "Check the path and who should have written the file.";
    /// Tensors do not fit together.
    PyShapeMismatch = "py_shape_mismatch", Python, Code, NEVER,
        "Tensors or arrays do not fit together", "", "Mend the program.";
    /// Gradients cannot be computed.
    PyAutograd = "py_autograd", Python, Code, NEVER,
        "A gradient could not be computed", "", "Mend the program.";
    /// A checkpoint is not what the program expects.
    PyCheckpointFormat = "py_checkpoint_format", Python, Code, NEVER,
        "A checkpoint is not what the program expects",
        "it was written by other code, or only in part",
        "Load it with the code that wrote it, or write it again.";
    /// The program could not get memory on the node.
    HostMemory = "host_memory", Python, Resource, ASK,
        "The program could not get the memory it asked the node for", "",
        "Ask for more memory, or make the arrays smaller.";
    /// A loader worker died.
    DataloaderWorker = "dataloader_worker", Python, Resource, ASK,
        "A worker process that loads data died",
        "the job's memory or its shared memory was used up",
        "Use fewer workers or more memory.";
    /// The loss is no number any more.
    LossNan = "loss_nan", Python, Science, NEVER,
        "The training diverged", "", "Change the experiment: learning rate, clipping, precision or data.";
    /// Any other exception.
    PyException = "py_exception", Python, Code, NEVER,
        "The program raised an exception that nothing caught", "", "Mend the program.";

    /// A program of another language than Python ended with an error of its own.
    ProgramError = "program_error", Python, Code, NEVER,
        "The program ended with an error that nothing caught", "", "Mend the program or its input.";

    /// The program crashed (exit 134, 135, 136, 139).
    CrashSignal = "crash_signal", Fallback, Code, ASK,
        "The program crashed inside native code",
        "a broken input file, a library that does not fit, or a bad node",
        "Run it once more on another node; if it crashes again, look at the last input.";
    /// Something may not be read, written or run.
    PermissionDenied = "permission_denied", Fallback, Environment, ASK,
        "The job was not allowed to read, write or run something", "",
        "Check the mode and the owner of the path.";
    /// A path of the script does not exist.
    ShellNoSuchFile = "shell_no_such_file", Fallback, Submission, NEVER,
        "A path that the script uses does not exist",
        "its folder is never created, or the path is relative to another folder",
        "Create the folder in the script, or correct the path.";
    /// Ended before the script wrote anything (incidents 42 and 59).
    DiedBeforeScript = "died_before_script", Fallback, Unknown, ASK,
        "The job ended before its script could write a log",
        "either the place of its log file is full, over quota or missing, or the scheduler killed it for a QOS limit; \
         the exit code 0:53 stands for both",
        "Check the folder of the log file, the quota there, and the limits of the QOS.";
    /// The files that a success must leave are not there (incident 63).
    MissingArtifact = "missing_artifact", Fallback, Unknown, ASK,
        "Files that a success leaves behind are missing",
        "a variable was not exported, a copy failed, or a clean-up removed them",
        "Check the log for what was written, and where.";
}

impl FailureClass {
    /// The stable name, such as `host_oom_kill`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Reads a stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.name() == name)
    }

    /// Who or what has to change.
    #[must_use]
    pub fn scope(self) -> Scope {
        self.facts().scope
    }

    /// What may happen without asking.
    #[must_use]
    pub fn retry(self) -> RetryPolicy {
        self.facts().retry
    }

    pub(super) fn rank(self) -> Rank {
        self.facts().rank
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_is_written_and_read() -> Result<(), Box<dyn std::error::Error>> {
        for class in FailureClass::ALL {
            assert_eq!(FailureClass::from_name(class.name()), Some(*class));
            assert_eq!(serde_json::to_string(class)?, format!("\"{class}\""));
        }
        Ok(())
    }

    #[test]
    fn policies_follow_the_scopes() {
        for class in FailureClass::ALL {
            match class.scope() {
                Scope::Code | Scope::Science | Scope::Submission
                    if *class != FailureClass::CrashSignal =>
                {
                    assert_eq!(class.retry(), RetryPolicy::Never, "{class}");
                }
                Scope::Storage => assert_eq!(class.retry(), RetryPolicy::Ask, "{class}"),
                Scope::Node | Scope::Infrastructure => {
                    assert!(matches!(class.retry(), RetryPolicy::Once { .. }), "{class}");
                }
                _ => {}
            }
        }
    }
}
