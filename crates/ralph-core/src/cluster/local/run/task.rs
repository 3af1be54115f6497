//! One start of the script: its log files, its process, the lines that the supervisor adds to its log.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::cluster::local::plan::JobPlan;
use crate::cluster::local::plan::Task;
use crate::env::Env;
use crate::job::ExitInfo;
use crate::process::ending::{Ended, Limits, Reach, attend};
use crate::process::{Ask, Ending};
use crate::time::stamp;

/// Both open log files; one file twice when both streams go there.
#[derive(Debug)]
pub(super) struct Logs {
    stdout: File,
    stderr: File,
}

/// Opens the logs, and makes their folders: a missing one is how a job fails without a trace (SLURM's `0:53`).
pub(super) fn open_logs(stdout: &Path, stderr: &Path, append: bool) -> Result<Logs, String> {
    let open = |path: &Path| {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Always at the end, so that two writers of one file do not overwrite each other.
        OpenOptions::new().create(true).append(true).open(path)
    };
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |error: io::Error| format!("cannot open {path}: {error}")
    };
    let first = open(stdout).map_err(at(stdout))?;
    let second = if stdout == stderr {
        first.try_clone()
    } else {
        open(stderr)
    };
    let logs = Logs {
        stdout: first,
        stderr: second.map_err(at(stderr))?,
    };
    if !append {
        // A device cannot be truncated, and need not be.
        let _ = logs.stdout.set_len(0);
        let _ = logs.stderr.set_len(0);
    }
    Ok(logs)
}

impl Logs {
    /// Writes down why the script did not start. The exit code is the system's error number, as with SLURM.
    pub(super) fn explain(&self, plan: &JobPlan, error: &io::Error) -> ExitInfo {
        let program = plan.interpreter.first().map_or("", String::as_str);
        self.say(&format!("cannot start the script with {program}: {error}"));
        ExitInfo {
            code: error.raw_os_error().unwrap_or(1),
            signal: 0,
        }
    }

    /// A log that cannot be written changes nothing for the job.
    fn say(&self, text: &str) {
        let _ = (&self.stderr).write_all(format!("ralph: error: {text}\n").as_bytes());
    }
}

/// All that a start needs.
pub(super) struct Start<'a> {
    pub(super) plan: &'a JobPlan,
    pub(super) script: PathBuf,
    pub(super) environment: BTreeMap<OsString, OsString>,
    pub(super) logs: &'a Logs,
}

impl Start<'_> {
    /// Starts the interpreter that the script names, in its own process group.
    pub(super) fn spawn(self) -> io::Result<Child> {
        let mut interpreter = self.plan.interpreter.iter();
        let program = interpreter.next().map_or("", String::as_str);
        // The kernel never searches the path for an interpreter: a bare name is a file of the working folder.
        Command::new(self.plan.workdir.join(program))
            .args(interpreter)
            .arg(self.script)
            .current_dir(&self.plan.workdir)
            .env_clear()
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(self.logs.stdout.try_clone()?)
            .stderr(self.logs.stderr.try_clone()?)
            .process_group(0)
            .spawn()
    }
}

/// Waits for the script's end or brings it about, and says so in its log first, where people look.
pub(super) fn attend_to(
    mut child: Child,
    plan: &JobPlan,
    task: Task,
    logs: Logs,
    mut stopped: watch::Receiver<bool>,
    env: &Env,
) -> impl Future<Output = io::Result<Ended>> + Send + 'static {
    let worker = child.id().unwrap_or(0);
    let reach = match plan.array {
        Some(_) => Reach::Branch(worker),
        None => Reach::All(worker),
    };
    let limits = Limits {
        time_limit: plan.time_limit,
        grace: plan.kill_wait,
        ask: Ask::Everything,
    };
    let (host, env) = (plan.host.clone(), env.clone());
    async move {
        let mut announce = |ending: Ending| {
            let why = match ending {
                Ending::TimeLimit => " DUE TO TIME LIMIT",
                Ending::Own | Ending::Stopped | Ending::NotStarted => "",
            };
            let (job, at) = (task.raw_id, stamp(env.now()));
            logs.say(&format!(
                "*** JOB {job} ON {host} CANCELLED AT {at}{why} ***"
            ));
        };
        attend(&mut child, reach, limits, &mut stopped, &mut announce).await
    }
}
