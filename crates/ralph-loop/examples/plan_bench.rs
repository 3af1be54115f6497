//! Measures the plan: a pick, contended claims, completions at once. `cargo xtask bench plan` runs it.
//!
//! Usage: `plan_bench FOLDER pick|claims|completions|kills [COUNT]`. It works in `FOLDER`, whose file system is part of what is
//! measured: every change is brought to disk. The last line of standard output is two numbers, the median and the
//! least in nanoseconds: of one pick on a plan of 1,000 tasks, of one claim with its return while twelve processes do
//! the same, of one completion of 1,000, or of one recovery after three processes were killed. Anything that is wrong, such as a task that two have, ends it with an error.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for a person and for xtask, which makes its own files"
)]

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ralph_core::process::Identity;
use ralph_core::time::Timestamp;
use ralph_docs::fix_plan::Flavour;
use ralph_loop::outcome::AttemptId;
use ralph_loop::plan::{Claim, Owner, PlanFile, Settled, Wish};
use ralph_loop::task::Task;

type Outcome<T> = Result<T, Box<dyn Error>>;

const TASKS: usize = 1_000;
const PROCESSES: usize = 12;
const CLAIMS: usize = 100_000;
const TURNS: usize = 21;
const KILLS: usize = 200;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, what, count) = match arguments.as_slice() {
        [folder, what] => (folder, what, None),
        [folder, what, count] => (folder, what, Some(count.parse()?)),
        _ => return Err("usage: plan_bench FOLDER pick|claims|completions|kills [COUNT]".into()),
    };
    let place = Place {
        folder: PathBuf::from(folder),
    };
    let times = match what.as_str() {
        "pick" => place.pick()?,
        "claims" => place.claims(count.unwrap_or(CLAIMS))?,
        "completions" => place.completions(count.unwrap_or(TASKS))?,
        "kills" => place.kills(count.unwrap_or(KILLS))?,
        "endless-worker" => return place.endless_worker(count.unwrap_or(0)),
        "claim-worker" => return place.claim_worker(count.unwrap_or(0)),
        "completion-worker" => return place.completion_worker(count.unwrap_or(0)),
        other => return Err(format!("there is no measurement {other}").into()),
    };
    let mut times = times;
    times.sort_unstable();
    let (median, least) = (times.get(times.len() / 2), times.first());
    let (Some(median), Some(least)) = (median, least) else {
        return Err("nothing was measured".into());
    };
    println!("{} {}", median.as_nanos(), least.as_nanos());
    Ok(())
}

/// The folder of a measurement.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn path(&self) -> PathBuf {
        self.folder.join("fix_plan.md")
    }

    fn held(&self) -> PathBuf {
        self.folder.join("held")
    }

    /// A new plan with so many open tasks.
    fn begin(&self, tasks: usize) -> Outcome<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder)?;
        }
        fs::create_dir_all(self.held())?;
        let line = |number: usize| {
            let section = if number % 20 == 1 {
                "\n## Part\n\n"
            } else {
                ""
            };
            format!("{section}- [ ] **T{number}.** Do what is number {number} of the plan\n")
        };
        let text: String = (1..=tasks).map(line).collect();
        Ok(fs::write(self.path(), text)?)
    }

    fn plan(&self) -> Outcome<PlanFile> {
        let process = Identity::of(std::process::id()).ok_or("no /proc")?;
        let owner = Owner::new(process, "bench");
        let plan = PlanFile::new(
            &self.path(),
            Flavour::Repository,
            &self.folder.join("state"),
            owner,
        );
        Ok(plan.with_lock_timeout(Duration::from_secs(600)))
    }

    /// Claims on a plan whose only open task is the last one, and gives back.
    fn pick(&self) -> Outcome<Vec<Duration>> {
        self.begin(TASKS)?;
        let text = fs::read_to_string(self.path())?.replace("[ ]", "[x]");
        let (done, last) = text.rsplit_once("[x]").ok_or("an empty plan")?;
        fs::write(self.path(), format!("{done}[ ]{last}"))?;
        let plan = self.plan()?;
        let mut times = Vec::new();
        for _ in 0..TURNS {
            let started = Instant::now();
            let task = take(&plan)?.ok_or("the last task was not found")?;
            times.push(started.elapsed());
            plan.revert(&task, &attempt()?)?;
        }
        Ok(times)
    }

    /// Many processes claim and give back on one plan; each task that one of them has is marked by a file that
    /// must not exist.
    fn claims(&self, count: usize) -> Outcome<Vec<Duration>> {
        self.begin(2 * PROCESSES)?;
        let each = count.div_ceil(PROCESSES);
        let started = Instant::now();
        self.run("claim-worker", |_| each)?;
        let one = started.elapsed() / u32::try_from(each * PROCESSES)?;
        let text = fs::read_to_string(self.path())?;
        if text.matches("- [ ]").count() != 2 * PROCESSES {
            return Err("a claim was left".into());
        }
        Ok(vec![one])
    }

    fn claim_worker(&self, count: usize) -> Outcome<()> {
        let (plan, attempt) = (self.plan()?, attempt()?);
        for _ in 0..count {
            let task = take(&plan)?.ok_or("there are more tasks than workers")?;
            let held = self.held().join(task.key.as_str());
            File::create_new(&held).map_err(|_| format!("{} is had twice", task.id))?;
            fs::remove_file(&held)?;
            if plan.revert(&task, &attempt)? != Settled::Changed {
                return Err("a claim was lost".into());
            }
        }
        Ok(())
    }

    /// Many processes tick different tasks of one plan.
    fn completions(&self, count: usize) -> Outcome<Vec<Duration>> {
        self.begin(count)?;
        let started = Instant::now();
        self.run("completion-worker", |worker| worker)?;
        let one = started.elapsed() / u32::try_from(count)?;
        let done = fs::read_to_string(self.path())?.matches("- [x]").count();
        if done != count {
            return Err(format!("{} ticks were lost", count - done).into());
        }
        Ok(vec![one])
    }

    fn completion_worker(&self, worker: usize) -> Outcome<()> {
        let (plan, attempt) = (self.plan()?, attempt()?);
        let tasks = plan.read()?.tasks.into_iter().map(|planned| planned.task);
        let tasks: Vec<_> = tasks.collect();
        for task in tasks.iter().skip(worker).step_by(PROCESSES) {
            if plan.complete(task, &attempt)? != Settled::Changed {
                return Err(format!("{} was ticked by another", task.id).into());
            }
        }
        Ok(())
    }

    /// Kills three processes that claim, tick and give back, each time a little later in what they do. What recovery
    /// leaves is whole: no claim, no `[~]`, no half-written file, every task there, no tick lost.
    fn kills(&self, count: usize) -> Outcome<Vec<Duration>> {
        self.begin(TASKS)?;
        let plan = self.plan()?;
        let (mut times, mut ticks) = (Vec::new(), 0);
        for kill in 0..count {
            let start = |worker| self.start("endless-worker", kill * 3 + worker);
            let mut workers: Vec<Child> = (0..3).map(start).collect::<Outcome<_>>()?;
            while self.ticks()? == ticks {
                std::thread::sleep(Duration::from_micros(200));
            }
            std::thread::sleep(Duration::from_micros(u64::try_from(kill * 137 % 5_000)?));
            for worker in &mut workers {
                worker.kill()?;
                worker.wait()?;
            }
            let before = self.ticks()?;
            let started = Instant::now();
            plan.recover(&|_| true)?;
            times.push(started.elapsed());
            let text = fs::read_to_string(self.path())?;
            let left = fs::read_dir(self.folder.join("state/claims"))?.count();
            let files = fs::read_dir(&self.folder)?.count();
            let open = text.matches("- [ ]").count();
            ticks = self.ticks()?;
            if (left, files, open + ticks) != (0, 3, TASKS) || ticks < before {
                return Err(format!(
                    "kill {kill}: {left} claims, {files} files, {open} open, {ticks} done"
                )
                .into());
            }
            if open < TASKS / 2 {
                fs::write(self.path(), text.replace("[x]", "[ ]"))?;
                ticks = 0;
            }
        }
        Ok(times)
    }

    fn ticks(&self) -> Outcome<usize> {
        Ok(fs::read_to_string(self.path())?.matches("- [x]").count())
    }

    fn endless_worker(&self, seed: usize) -> Outcome<()> {
        let plan = self.plan()?;
        for round in seed.. {
            let attempt: AttemptId = format!("a{round}").parse()?;
            let Some(task) = take(&plan)? else {
                return Ok(());
            };
            // The attempt of `take` has the task until this one adopts it.
            plan.adopt(&task.key, &attempt)?;
            if round % 3 == 0 {
                plan.revert(&task, &attempt)?;
            } else {
                plan.complete(&task, &attempt)?;
            }
        }
        Ok(())
    }

    /// Starts this program once per worker and expects all to end well.
    fn run(&self, what: &str, count: impl Fn(usize) -> usize) -> Outcome<()> {
        let start = |worker| self.start(what, count(worker));
        let workers: Vec<Child> = (0..PROCESSES).map(start).collect::<Outcome<_>>()?;
        for mut worker in workers {
            if !worker.wait()?.success() {
                return Err(format!("a {what} failed").into());
            }
        }
        Ok(())
    }

    fn start(&self, what: &str, count: usize) -> Outcome<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(&self.folder).arg(what).arg(count.to_string());
        Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?)
    }
}

fn attempt() -> Outcome<AttemptId> {
    Ok("bench".parse()?)
}

fn take(plan: &PlanFile) -> Outcome<Option<Task>> {
    let skip = BTreeSet::new();
    let wish = Wish {
        task: None,
        skip: &skip,
        repositories: None,
    };
    match plan.claim(&wish, &attempt()?, Timestamp::UNIX_EPOCH)? {
        Claim::Taken(task) => Ok(Some(task)),
        Claim::NothingOpen { .. } => Ok(None),
    }
}
