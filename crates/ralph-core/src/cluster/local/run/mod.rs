//! A job's supervisor: waits for its turn, runs its tasks, writes down what became of them.
//!
//! One process for a whole job, array or not. It alone writes `status.json`. What it decides, it decides on the plan,
//! on cancel notes and on the ends of its tasks; it never looks at a clock to judge another job.

mod task;
mod waiting;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use self::task::Start;
use super::dependency::Judgement;
use super::environment::environment;
use super::layout::{Layout, PLAN, STATUS};
use super::observe::{read_cancels, read_plan};
use super::plan::{JobPlan, Task};

use super::status::{
    Cancels, DEPENDENCY, LAUNCH_FAILURE, NEVER_SATISFIED, RESOURCES, Status, TASK_LIMIT,
    TERMINATED, TaskStatus,
};
use crate::env::Env;
use crate::job::{ExitInfo, JobState};
use crate::process::ending::{Ended, clear_everything};
use crate::process::lock::LifeLock;
use crate::process::record::{Keep, write_record};
use crate::process::signal::{Signals, Told};
use crate::process::supervise::{runtime, say_failed, say_ready};
use crate::process::{Ending, Hold, Identity, SuperviseError, Tie};

/// How often the last word is tried to be written, once a second, before it is given up (a full disk).
const LAST_WORDS: u32 = 60;

/// What slurmd reports for a script that it could not start: exit code 0, "signal" 53.
const NOT_STARTED: ExitInfo = ExitInfo {
    code: 0,
    signal: 53,
};

/// Runs the job of a folder to its end; what the binary's hidden verb `__job DIR` calls, outside any async runtime.
///
/// `environment` is the binary's own, which it inherited from whoever submitted. The first line on `answer` is
/// `ready PID` or `failed REASON`. The binary prints the error, which then stands in the job's `supervisor.log`.
///
/// # Errors
/// The folder is not ours to use, its plan cannot be read, or the end could not be recorded.
pub fn run_job(
    directory: &Path,
    env: &Env,
    environment: BTreeMap<OsString, OsString>,
    answer: &mut dyn Write,
) -> Result<(), SuperviseError> {
    let outcome = runtime().and_then(|runtime| {
        let outcome = runtime.block_on(run(directory, env, environment, answer));
        // Threads that still wait for a lock are not waited for.
        runtime.shutdown_background();
        outcome
    });
    if let Err(error) = &outcome {
        say_failed(answer, error);
    }
    outcome
}

async fn run(
    directory: &Path,
    env: &Env,
    environment: BTreeMap<OsString, OsString>,
    answer: &mut dyn Write,
) -> Result<(), SuperviseError> {
    let signals = Signals::install().map_err(SuperviseError::Wait)?;
    let _hold = Hold::take(directory, env.now(), Tie::None)?;
    let plan = read_plan(directory)
        .and_then(|plan| plan.ok_or_else(|| io::ErrorKind::NotFound.into()))
        .map_err(|source| SuperviseError::Storage {
            path: directory.join(PLAN),
            source,
        })?;
    say_ready(answer);
    let mut job = Job {
        layout: Layout::of_job(directory),
        directory: directory.to_owned(),
        status: Status::fresh(&plan),
        plan,
        env: env.clone(),
        environment,
        orders: listen(signals, directory.to_owned()),
        running: JoinSet::new(),
        stops: BTreeMap::new(),
        place: None,
    };
    if job.wait_for_others().await {
        job.run_tasks().await;
    }
    clear_everything().await;
    job.say_last_words().await
}

/// What the supervisor was told so far.
#[derive(Debug, Clone, Default)]
struct Orders {
    terminated: bool,
    cancels: Cancels,
}

impl Orders {
    /// Whether a task has to end, and whose wish that was, if anybody's.
    fn on(&self, index: u32) -> Option<Option<u32>> {
        let note = self.cancels.of(index).map(|note| Some(note.by));
        note.or(self.terminated.then_some(None))
    }
}

/// Turns signals and notes into orders. A note that was left before the first signal is found at once.
fn listen(mut signals: Signals, directory: PathBuf) -> watch::Receiver<Orders> {
    let (publish, orders) = watch::channel(Orders::default());
    let read = move |publish: &watch::Sender<Orders>| {
        if let Ok(cancels) = read_cancels(&directory) {
            publish.send_modify(|orders| orders.cancels = cancels);
        }
    };
    read(&publish);
    tokio::spawn(async move {
        loop {
            match signals.next().await {
                Told::Stop => publish.send_modify(|orders| orders.terminated = true),
                Told::Look => read(&publish),
            }
        }
    });
    orders
}

/// A place among the jobs that may run, once it is free.
type Place = oneshot::Receiver<io::Result<LifeLock>>;

/// The job while its supervisor lives.
struct Job {
    directory: PathBuf,
    layout: Layout,
    plan: JobPlan,
    /// What `status.json` says, or is about to say.
    status: Status,
    env: Env,
    /// The caller's variables; held in memory only, because they may be secret.
    environment: BTreeMap<OsString, OsString>,
    orders: watch::Receiver<Orders>,
    /// The tasks that run, each until nothing of it is left.
    running: JoinSet<(u32, io::Result<Ended>)>,
    /// One flag per running task; raised, it ends the task.
    stops: BTreeMap<u32, watch::Sender<bool>>,
    /// The place that the next task waits for or has got.
    place: Option<Place>,
}

impl Job {
    /// Waits for the dependencies. False: the job is over before it began.
    async fn wait_for_others(&mut self) -> bool {
        let earlier = waiting::earlier(&self.layout, &self.plan);
        let dependency = self.plan.dependency.clone().with_singleton(&earlier);
        let mut news = waiting::watch(&self.layout, &dependency, self.env.now());
        loop {
            self.apply_orders();
            match waiting::judge(&self.layout, &dependency, self.env.now()) {
                _ if self.status.is_over() => return false,
                Judgement::Ready => return true,
                Judgement::Never => {
                    let now = self.env.now();
                    for task in self.pending() {
                        task.end(JobState::Cancelled, Some(NEVER_SATISFIED), now);
                    }
                    return false;
                }
                Judgement::Waiting => self.wait_because(DEPENDENCY),
            }
            tokio::select! {
                () = waiting::next(&mut news) => {}
                _ = self.orders.changed() => {}
            }
        }
    }

    /// Runs all tasks, as many at once as the array and the machine allow.
    async fn run_tasks(&mut self) {
        loop {
            self.apply_orders();
            let next = self.next_task();
            match next {
                Some(_) if self.place.is_none() => {
                    self.place = Some(waiting::place(self.layout.slots(), self.plan.slots));
                }
                None if self.running.is_empty() => return,
                // Whoever has no use for a place gives it back.
                None => self.place = None,
                Some(_) => {}
            }
            tokio::select! {
                biased;
                _ = self.orders.changed() => {}
                Some(ended) = self.running.join_next(), if !self.running.is_empty() => {
                    if let Ok((index, ended)) = ended {
                        self.settle(index, ended);
                    }
                }
                (task, place) = place_for(next, &mut self.place) => self.take_place(task, place),
            }
        }
    }

    /// The next task that may start. The others are told why they wait.
    fn next_task(&mut self) -> Option<Task> {
        let limit = self.plan.array.as_ref().and_then(|array| array.at_once);
        let full = limit.is_some_and(|limit| self.running.len() >= limit as usize);
        if full {
            self.wait_because(TASK_LIMIT);
            return None;
        }
        let tasks = self.plan.tasks();
        let pending = |task: &Task| {
            let status = self.status.tasks.get(&task.index);
            status.is_some_and(|status| status.state == JobState::Pending)
        };
        let next = tasks.into_iter().find(pending)?;
        self.wait_because(RESOURCES);
        Some(next)
    }

    /// Starts the task that a place was found for. A place that can never be had ends the task.
    fn take_place(&mut self, task: Task, place: io::Result<LifeLock>) {
        self.place = None;
        match place {
            Ok(place) => self.start(task, place),
            Err(error) => {
                let why = format!("{LAUNCH_FAILURE}: no place to run: {error}");
                self.fail(task, NOT_STARTED, &why);
            }
        }
    }

    /// Starts a task. That it starts is written down before, and whom it became after.
    fn start(&mut self, task: Task, place: LifeLock) {
        let (stdout, stderr) = self.plan.logs(task);
        let logs = task::open_logs(&stdout, &stderr, self.plan.append);
        let now = self.env.now();
        self.change(task.index, |status| {
            (status.state, status.reason) = (JobState::Running, None);
            status.started = Some(now);
            (status.stdout, status.stderr) = (Some(stdout), Some(stderr));
        });
        let logs = match logs {
            Ok(logs) => logs,
            Err(why) => return self.fail(task, NOT_STARTED, &format!("{LAUNCH_FAILURE}: {why}")),
        };
        let start = Start {
            plan: &self.plan,
            script: self.directory.join(super::layout::SCRIPT),
            environment: environment(&self.plan, task, &self.environment),
            logs: &logs,
        };
        match start.spawn() {
            Ok(child) => {
                let worker = child.id().and_then(Identity::of);
                self.change(task.index, |status| status.worker = worker);
                let (stop, stopped) = watch::channel(false);
                self.stops.insert(task.index, stop);
                let attended = task::attend_to(child, &self.plan, task, logs, stopped, &self.env);
                self.running.spawn(async move {
                    let ended = attended.await;
                    drop(place);
                    (task.index, ended)
                });
            }
            Err(error) => {
                let exit = logs.explain(&self.plan, &error);
                self.fail(task, exit, "NonZeroExitCode");
            }
        }
    }

    /// Ends a task that was not started.
    fn fail(&mut self, task: Task, exit: ExitInfo, reason: &str) {
        let now = self.env.now();
        self.change(task.index, |status| {
            status.exit = Some(exit);
            status.end(JobState::Failed, Some(reason), now);
        });
    }

    /// Changes what is known of a task and writes it down.
    fn change(&mut self, index: u32, change: impl FnOnce(&mut TaskStatus)) {
        if let Some(status) = self.status.tasks.get_mut(&index) {
            change(status);
        }
        self.save();
    }

    /// Writes down how a task ended.
    fn settle(&mut self, index: u32, ended: io::Result<Ended>) {
        self.stops.remove(&index);
        let now = self.env.now();
        let by = self.orders.borrow().on(index).flatten();
        self.change(index, |status| match ended {
            Ok(ended) => {
                status.exit = Some(ended.exit);
                let (state, reason) = verdict(&ended, by);
                if state == JobState::Cancelled {
                    status.cancelled_by = by;
                }
                status.end(state, reason.as_deref(), now);
            }
            Err(error) => {
                let why = format!("the script cannot be waited for: {error}");
                status.end(JobState::NodeFail, Some(&why), now);
            }
        });
    }

    /// Ends what was ordered to end: at once what waits, with the grace what runs.
    fn apply_orders(&mut self) {
        let orders = self.orders.borrow_and_update().clone();
        let now = self.env.now();
        let mut ended = false;
        for (index, task) in &mut self.status.tasks {
            let Some(by) = orders.on(*index) else {
                continue;
            };
            if task.state == JobState::Pending {
                let reason = by.is_none().then_some(TERMINATED);
                task.cancelled_by = by;
                task.end(JobState::Cancelled, reason, now);
                ended = true;
            } else if let Some(stop) = self.stops.get(index) {
                stop.send_replace(true);
            }
        }
        if ended {
            self.save();
        }
    }

    /// The tasks that have not been started.
    fn pending(&mut self) -> impl Iterator<Item = &mut TaskStatus> {
        let tasks = self.status.tasks.values_mut();
        tasks.filter(|task| task.state == JobState::Pending)
    }

    /// Tells what waits why it does; written down only when that is new.
    fn wait_because(&mut self, reason: &str) {
        let mut changed = false;
        for task in self.pending() {
            changed |= task.reason.as_deref() != Some(reason);
            task.reason = Some(reason.to_owned());
        }
        if changed {
            self.save();
        }
    }

    /// A word that cannot be written now is written with the next one; only the last is insisted on.
    fn save(&self) {
        let _ = self.write(Keep::WhileTheMachineRuns);
    }

    fn write(&self, keep: Keep) -> Result<(), SuperviseError> {
        let path = self.directory.join(STATUS);
        write_record(&path, &self.status, keep)
            .map_err(|source| SuperviseError::Storage { path, source })
    }

    async fn say_last_words(&self) -> Result<(), SuperviseError> {
        for _ in 1..LAST_WORDS {
            if self.write(Keep::Durably).is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.write(Keep::Durably)
    }
}

/// Waits for a place for the next task; for ever when there is none.
async fn place_for(next: Option<Task>, place: &mut Option<Place>) -> (Task, io::Result<LifeLock>) {
    match (next, place) {
        (Some(task), Some(place)) => {
            let gone = || Err(io::ErrorKind::BrokenPipe.into());
            (task, place.await.unwrap_or_else(|_| gone()))
        }
        _ => std::future::pending().await,
    }
}

/// SLURM's state and reason for an end.
fn verdict(ended: &Ended, cancelled_by: Option<u32>) -> (JobState, Option<String>) {
    let (state, mut reason) = match (ended.ending, ended.exit) {
        (Ending::TimeLimit, _) => (JobState::Timeout, Some("TimeLimit".to_owned())),
        (Ending::Stopped, _) => {
            let reason = cancelled_by.is_none().then(|| TERMINATED.to_owned());
            (JobState::Cancelled, reason)
        }
        (Ending::Own | Ending::NotStarted, exit) if exit.code == 0 && exit.signal == 0 => {
            (JobState::Completed, None)
        }
        (Ending::Own | Ending::NotStarted, exit) => {
            let reason = (exit.signal == 0).then(|| "NonZeroExitCode".to_owned());
            (JobState::Failed, reason)
        }
    };
    if !ended.remaining.is_empty() {
        let survivors = format!("processes that cannot be ended: {:?}", ended.remaining);
        reason = Some(reason.map_or(survivors.clone(), |reason| format!("{reason}; {survivors}")));
    }
    (state, reason)
}
