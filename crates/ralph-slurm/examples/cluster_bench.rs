//! Measures submission and observation on the tests' own cluster, beside the floor: the same number of `sbatch` in one
//! plain `ssh`. `cargo xtask bench slurm` runs it.
//!
//! Usage: `cluster_bench ENV_FILE submit|poll`, where `ENV_FILE` is what `cargo xtask cluster up` prints. The last line
//! of standard output is `OURS FLOOR` in nanoseconds (submit) or `OURS PEAK` in nanoseconds and bytes of memory (poll);
//! everything else goes to standard error.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a person and for xtask"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ralph_core::backend::{ClusterBackend as _, Receipt, SubmitRequest};
use ralph_core::env::{Env, RandomIds};
use ralph_core::id::JobId;
use ralph_core::job::JobQuery;
use ralph_core::time::SystemClock;
use ralph_slurm::{ClusterSettings, ControlMaster, Rate, Session, SlurmBackend, SlurmOptions};

type Outcome<T> = Result<T, Box<dyn Error>>;

const JOBS: usize = 100;
const TURNS: usize = 3;
const POLLS: [usize; 4] = [1, 100, 1_000, 5_000];

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, what] = arguments.as_slice() else {
        return Err("usage: cluster_bench ENV_FILE submit|poll".into());
    };
    let bench = Bench::new(Path::new(file))?;
    bench.control(&["reset"])?;
    bench.session.connect().await?;
    let outcome = match what.as_str() {
        "submit" => bench.submit().await,
        _ => bench.poll().await,
    };
    bench.control(&["reset"])?;
    bench.session.disconnect().await?;
    outcome
}

struct Bench {
    values: BTreeMap<String, String>,
    session: Session,
    backend: SlurmBackend,
    env: Env,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(file: &Path) -> Outcome<Self> {
        let text = std::fs::read_to_string(file)?;
        let values: BTreeMap<String, String> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let value = |key: &str| {
            let found = values.get(key).cloned();
            found.ok_or(format!("{key} is not in {}", file.display()))
        };
        let folder = tempfile::tempdir()?;
        let settings = serde_json::json!({
            "ssh": {
                "host": value("RALPH_SSH_ALIAS")?,
                "port": value("RALPH_SSH_PORT")?,
                "config_file": value("RALPH_SSH_CONFIG")?,
                "control_path": folder.path().join("%C"),
            },
            "remote": {"repo_root": value("RALPH_REMOTE_SCRATCH")?},
        });
        let (settings, _) = ClusterSettings::parse(&settings.to_string())?;
        let session = Session::new(settings.ssh.clone());
        let env = Env {
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(RandomIds::default()),
            host: String::new(),
            user: String::new(),
            pid: std::process::id(),
        };
        let options = SlurmOptions {
            workspace: PathBuf::from("/nonexistent"),
            budget_folder: None,
            rate: Rate::default(),
        };
        let transport = Arc::new(ControlMaster::new(session.clone()));
        Ok(Self {
            backend: SlurmBackend::new(&settings, options, transport, env.clone()),
            values,
            session,
            env,
            folder,
        })
    }

    fn control(&self, arguments: &[&str]) -> Outcome<String> {
        let value = |key: &str| self.values.get(key).map_or("", String::as_str);
        let output = Command::new("bash")
            .arg(value("RALPH_CLUSTER_CTL"))
            .args(arguments)
            .env("RALPH_CLUSTER_DIR", value("RALPH_CLUSTER_DIR"))
            .output()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into())
        }
    }

    /// A request whose script and config are 4 kB each, and its own.
    fn request(&self, number: usize, options: &str) -> Outcome<SubmitRequest> {
        let run = format!("q{number:05}_20261120_140000").parse()?;
        let filler = "# filler\n".repeat(440);
        let script = format!("#!/bin/bash\n#SBATCH {options}\n# {number}\n{filler}\ntrue\n");
        Ok(SubmitRequest {
            token: self.env.ids.token(&run),
            run,
            project: "bench".parse()?,
            script_path: format!("slurm/jobs/q{number:05}.sbatch"),
            script_sha256: self.sha256(&script)?,
            script,
            config_path: Some("configs/a.json".to_owned()),
            config: Some("x".repeat(4096)),
            variables: BTreeMap::new(),
            git: None,
            after: Vec::new(),
            exclude: Vec::new(),
            intent_at: self.env.now(),
        })
    }

    fn sha256(&self, text: &str) -> Outcome<String> {
        let path = self.folder.path().join("script");
        std::io::Write::write_all(&mut std::fs::File::create(&path)?, text.as_bytes())?;
        let output = Command::new("sha256sum").arg(&path).output()?;
        let line = String::from_utf8(output.stdout)?;
        Ok(line.split(' ').next().unwrap_or_default().to_owned())
    }

    fn requests(&self, count: usize, options: &str) -> Outcome<Vec<SubmitRequest>> {
        (0..count).map(|n| self.request(n, options)).collect()
    }

    async fn submit_all(&self, requests: &[SubmitRequest]) -> Outcome<Vec<JobId>> {
        let mut jobs = Vec::new();
        let mut take = |_, receipt| {
            if let Ok(Receipt::Accepted { job, .. }) = receipt {
                jobs.push(job);
            }
        };
        self.backend.submit_all(requests, &mut take).await;
        match jobs.len() {
            all if all == requests.len() => Ok(jobs),
            some => Err(format!("{some} of {} jobs were accepted", requests.len()).into()),
        }
    }

    /// Waits until nothing is left in the queue.
    async fn drain(&self) -> Outcome<()> {
        while !self.control(&["admin", "squeue", "-h"])?.trim().is_empty() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        Ok(())
    }

    async fn submit(&self) -> Outcome<()> {
        let options = "--time=1 --mem=10M --output=/dev/null";
        let mut last = (Duration::ZERO, Duration::ZERO);
        for latency in ["0", "40"] {
            self.control(&["break", "latency", latency])?;
            let (mut ours, mut floor) = (Vec::new(), Vec::new());
            let connections = self.connections()?;
            for _ in 0..TURNS {
                self.drain().await?;
                let requests = self.requests(JOBS, options)?;
                let start = Instant::now();
                self.submit_all(&requests).await?;
                ours.push(start.elapsed());
                self.drain().await?;
                floor.push(self.floor(options)?);
            }
            last = (median(&mut ours), median(&mut floor));
            let rate = |time: Duration| JOBS as f64 / time.as_secs_f64();
            eprintln!(
                "{JOBS} jobs, {latency} ms round trip: {:.2?} ({:.0}/s), floor {:.2?} ({:.0}/s), new SSH connections: {}",
                last.0,
                rate(last.0),
                last.1,
                rate(last.1),
                self.connections()? - connections
            );
        }
        println!("{} {}", last.0.as_nanos(), last.1.as_nanos());
        Ok(())
    }

    /// The same number of `sbatch` in one plain `ssh`, all of one file that is there already.
    fn floor(&self, options: &str) -> Outcome<Duration> {
        let folder = self
            .values
            .get("RALPH_REMOTE_SCRATCH")
            .map_or("", String::as_str);
        let script = format!(
            "cd {folder} && printf '#!/bin/bash\\ntrue\\n' >floor.sh && for i in $(seq {JOBS}); do \
             sbatch --parsable {options} floor.sh; done"
        );
        let words = ["sh", "-c", &script].map(str::to_owned);
        let start = Instant::now();
        let output = self.session.command(&words).stdin(Stdio::null()).output()?;
        let took = start.elapsed();
        match String::from_utf8_lossy(&output.stdout).lines().count() {
            JOBS => Ok(took),
            lines => Err(format!("the floor submitted {lines} jobs").into()),
        }
    }

    async fn poll(&self) -> Outcome<()> {
        self.control(&["break", "latency", "40"])?;
        let most = POLLS.into_iter().max().unwrap_or(1);
        let requests = self.requests(most, "--time=1 --mem=10M --output=/dev/null --hold")?;
        let start = Instant::now();
        let jobs = self.submit_all(&requests).await?;
        eprintln!(
            "{} held jobs submitted in {:.1?}",
            jobs.len(),
            start.elapsed()
        );
        let queries: Vec<JobQuery> = jobs
            .iter()
            .zip(&requests)
            .map(|(job, request)| JobQuery {
                job: *job,
                token: Some(request.token.clone()),
                submitted_after: Some(request.intent_at),
            })
            .collect();
        let mut last = Duration::ZERO;
        for count in POLLS {
            self.control(&["admin", "sdiag", "-r"])?;
            let mut times = Vec::new();
            for _ in 0..TURNS {
                let start = Instant::now();
                self.backend
                    .observe(queries.get(..count).unwrap_or(&queries))
                    .await?;
                times.push(start.elapsed());
            }
            last = median(&mut times);
            eprintln!(
                "poll of {count} jobs, 40 ms round trip: {last:.2?}; {}",
                self.remote_calls()?
            );
        }
        println!("{} {}", last.as_nanos(), peak_memory()?);
        Ok(())
    }

    /// What the controller counted since it was reset: questions about jobs, per turn.
    fn remote_calls(&self) -> Outcome<String> {
        let text = self.control(&["admin", "sdiag"])?;
        let calls: Vec<String> = text
            .lines()
            .take_while(|line| !line.contains("by user"))
            .filter(|line| line.contains("_JOB_") && line.contains("INFO"))
            .filter_map(|line| {
                let name = line.split_whitespace().next()?;
                let (_, count) = line.split_once("count:")?;
                let count: usize = count.split_whitespace().next()?.parse().ok()?;
                Some(format!("{name} {}", count as f64 / TURNS as f64))
            })
            .collect();
        Ok(format!("controller calls per poll: {}", calls.join(", ")))
    }

    fn connections(&self) -> Outcome<usize> {
        let folder = self
            .values
            .get("RALPH_CLUSTER_DIR")
            .map_or("", String::as_str);
        let log = std::fs::read(Path::new(folder).join("log/sshd.log"))?;
        Ok(String::from_utf8_lossy(&log)
            .matches("Connection from")
            .count())
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The greatest resident memory of this process in bytes, as the kernel noted it.
fn peak_memory() -> Outcome<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.ok_or("the kernel notes no VmHWM")?.trim().parse()?;
    Ok(kib * 1024)
}
