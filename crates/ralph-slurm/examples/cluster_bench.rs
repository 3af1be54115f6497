//! Measures submission and observation on the tests' own cluster, beside the floor: the same number of `sbatch` in one
//! plain `ssh`. `cargo xtask bench slurm` runs it.
//!
//! Usage: `cluster_bench ENV_FILE submit|poll|dispatch RALPH`, where `ENV_FILE` is what `cargo xtask cluster up` prints and
//! `RALPH` is the product's binary. Standard output is one JSON object per case: its name, all times and those of the
//! floor in nanoseconds, the peak of memory in bytes, the limit in milliseconds. Everything else goes to standard error.

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
use ralph_core::job::{JobQuery, Sighting};
use ralph_core::time::SystemClock;
use ralph_slurm::{ClusterSettings, ControlMaster, Rate, Session, SlurmBackend, SlurmOptions};

type Outcome<T> = Result<T, Box<dyn Error>>;

const JOBS: usize = 100;
const TURNS: usize = 3;
const POLLS: [usize; 4] = [1, 100, 1_000, 5_000];

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, what, ralph] = arguments.as_slice() else {
        return Err("usage: cluster_bench ENV_FILE submit|poll|dispatch RALPH".into());
    };
    let bench = Bench::new(Path::new(file), Path::new(ralph))?;
    bench.control(&["reset"])?;
    bench.session.connect().await?;
    let outcome = match what.as_str() {
        "submit" => bench.submit().await,
        "dispatch" => bench.dispatch().await,
        _ => bench.poll().await,
    };
    bench.stop_counting();
    bench.control(&["reset"])?;
    bench.session.disconnect().await?;
    outcome
}

/// What one case found, for xtask.
struct Found {
    case: String,
    ours: Vec<Duration>,
    floor: Vec<Duration>,
    peak_bytes: Option<u64>,
    limit_ms: u64,
}

impl Found {
    fn print(&self) {
        let nanoseconds = |times: &[Duration]| -> Vec<u64> {
            let numbers = times.iter().map(Duration::as_nanos);
            numbers
                .map(|n| u64::try_from(n).unwrap_or(u64::MAX))
                .collect()
        };
        println!(
            "{}",
            serde_json::json!({
                "case": self.case,
                "ours": nanoseconds(&self.ours),
                "floor": nanoseconds(&self.floor),
                "peak_bytes": self.peak_bytes,
                "limit_ms": self.limit_ms,
            })
        );
    }
}

struct Bench {
    values: BTreeMap<String, String>,
    session: Session,
    backend: SlurmBackend,
    env: Env,
    folder: tempfile::TempDir,
    ralph: PathBuf,
}

impl Bench {
    fn new(file: &Path, ralph: &Path) -> Outcome<Self> {
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
            ralph: ralph.canonicalize()?,
        })
    }

    fn value(&self, key: &str) -> &str {
        self.values.get(key).map_or("", String::as_str)
    }

    fn control(&self, arguments: &[&str]) -> Outcome<String> {
        let output = Command::new("bash")
            .arg(self.value("RALPH_CLUSTER_CTL"))
            .args(arguments)
            .env("RALPH_CLUSTER_DIR", self.value("RALPH_CLUSTER_DIR"))
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
            item: None,
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

    /// The jobs are held: this cluster's nodes are the machine that is measured, and jobs that start while others are
    /// being submitted take most of it.
    async fn submit(&self) -> Outcome<()> {
        let options = "--time=1 --mem=10M --output=/dev/null --hold";
        for latency in ["0", "40"] {
            self.control(&["break", "latency", latency])?;
            let (mut ours, mut floor) = (Vec::new(), Vec::new());
            let connections = self.connections()?;
            for _ in 0..TURNS {
                self.drain().await?;
                let requests = self.requests(JOBS, options)?;
                let start = Instant::now();
                let jobs = self.submit_all(&requests).await?;
                ours.push(start.elapsed());
                self.backend.cancel(&jobs).await?;
                self.drain().await?;
                let (took, jobs) = self.floor(options)?;
                floor.push(took);
                self.backend.cancel(&jobs).await?;
            }
            let connections = self.connections()? - connections;
            let case = format!(
                "SLURM, bundle of {JOBS} held jobs, {latency} ms round trip, {} (beside: the floor, {}), new connections: {connections}",
                rate(&mut ours),
                rate(&mut floor)
            );
            self.found(case, ours, floor, 5_000)?.print();
        }
        Ok(())
    }

    /// A whole `ralph dispatch` of a hundred projects: every lock, preflight, intent and record is in it. Held, too.
    async fn dispatch(&self) -> Outcome<()> {
        for latency in ["0", "40"] {
            self.control(&["break", "latency", latency])?;
            self.drain().await?;
            let root = self.workspace(latency)?;
            let connections = self.connections()?;
            let start = Instant::now();
            let report = self.ralph(&root, &["dispatch", "--json"])?;
            let ours = start.elapsed();
            let connections = self.connections()? - connections;
            let report: serde_json::Value = serde_json::from_str(&report)?;
            let steps = report.get("steps").and_then(serde_json::Value::as_array);
            let jobs = steps.into_iter().flatten();
            let jobs = jobs.filter_map(|step| step.get("job")?.as_str()?.parse().ok());
            let jobs: Vec<JobId> = jobs.collect();
            if jobs.len() != JOBS {
                return Err(format!("not every project has a job: {report}").into());
            }
            self.backend.cancel(&jobs).await?;
            let case = format!(
                "SLURM, ralph dispatch of {JOBS} projects with held jobs, {latency} ms round trip, {}, new connections: {connections}",
                rate(&mut [ours])
            );
            self.found(case, vec![ours], Vec::new(), 5_000)?.print();
            self.ralph(&root, &["cluster", "disconnect"])?;
        }
        Ok(())
    }

    /// A hundred projects, each with a script and a config of 4 kB of its own, and an open session.
    fn workspace(&self, name: &str) -> Outcome<PathBuf> {
        let root = self.folder.path().join(format!("workspace-{name}"));
        let settings = serde_json::json!({
            "ssh": {
                "host": self.value("RALPH_SSH_ALIAS"),
                "config_file": self.value("RALPH_SSH_CONFIG"),
                "control_path": self.folder.path().join(format!("{name}-%C")),
            },
            "remote": {"repo_root": format!("{}/{name}-{}", self.value("RALPH_REMOTE_SCRATCH"), std::process::id())},
        });
        put(
            &root.join(".claude/cluster.local.json"),
            &settings.to_string(),
        )?;
        let config = serde_json::json!({"cluster": {"kind": "slurm"}, "batch_size": JOBS});
        put(&root.join(".claude/ralph/config.json"), &config.to_string())?;
        let filler = "# filler\n".repeat(440);
        for number in 0..JOBS {
            let project = root.join(format!("projects/p{number:03}"));
            let state = serde_json::json!({"phase": "RUN", "active_runs": [], "completed_runs": [], "events": []});
            put(&project.join(".state/pipeline.json"), &state.to_string())?;
            let item = "### Q-001: measure\n\n- Config: configs/a.json\n\n";
            let queue = format!(
                "# Queue\n\n## READY\n\n{item}## IN_PROGRESS\n\n(none)\n\n## DONE\n\n(none)\n"
            );
            put(&project.join("documentation/queue.md"), &queue)?;
            put(&project.join("configs/a.json"), &"x".repeat(4096))?;
            let script = format!(
                "#!/bin/bash\n#SBATCH --time=1 --mem=10M --hold --output=slurm/logs/%x_%j.out\n# {number}\n{filler}\ntrue\n"
            );
            put(&project.join("slurm/jobs/q001.sbatch"), &script)?;
        }
        self.ralph(&root, &["cluster", "connect"])?;
        Ok(root)
    }

    fn ralph(&self, root: &Path, arguments: &[&str]) -> Outcome<String> {
        let output = Command::new(&self.ralph)
            .args(arguments)
            .current_dir(root)
            .env("HOME", root)
            .env("XDG_RUNTIME_DIR", root)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(text),
            false => Err(format!("ralph {arguments:?}: {}: {text}", output.status).into()),
        }
    }

    fn found(
        &self,
        case: String,
        ours: Vec<Duration>,
        floor: Vec<Duration>,
        limit_ms: u64,
    ) -> Outcome<Found> {
        Ok(Found {
            case,
            ours,
            floor,
            peak_bytes: Some(peak_memory()?),
            limit_ms,
        })
    }

    /// The same number of `sbatch` in one plain `ssh`, all of one file that is there already.
    fn floor(&self, options: &str) -> Outcome<(Duration, Vec<JobId>)> {
        let folder = self.value("RALPH_REMOTE_SCRATCH");
        let script = format!(
            "cd {folder} && printf '#!/bin/bash\\ntrue\\n' >floor.sh && for i in $(seq {JOBS}); do \
             sbatch --parsable {options} floor.sh; done"
        );
        let words = ["sh", "-c", &script].map(str::to_owned);
        let start = Instant::now();
        let output = self.session.command(&words).stdin(Stdio::null()).output()?;
        let took = start.elapsed();
        let text = String::from_utf8_lossy(&output.stdout);
        let jobs: Vec<JobId> = text.lines().filter_map(|line| line.parse().ok()).collect();
        match jobs.len() {
            JOBS => Ok((took, jobs)),
            some => Err(format!("the floor submitted {some} jobs").into()),
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
                token: Some(request.token.clone()),
                submitted_after: Some(request.intent_at),
                ..JobQuery::of(*job)
            })
            .collect();
        self.count_commands()?;
        for count in POLLS {
            self.look("all in the queue", queries.get(..count).unwrap_or(&queries))
                .await?;
        }
        // Of every ten, one has left the queue: accounting is asked about those.
        let gone: Vec<JobId> = jobs.iter().copied().step_by(10).collect();
        self.backend.cancel(&gone).await?;
        self.until_forgotten(most - gone.len()).await?;
        for count in POLLS {
            self.look("a tenth gone", queries.get(..count).unwrap_or(&queries))
                .await?;
        }
        Ok(())
    }

    /// Looks a few times at these jobs; more than one call of either command per look is an error.
    async fn look(&self, what: &str, queries: &[JobQuery]) -> Outcome<()> {
        let log = Path::new(self.value("RALPH_REMOTE_HOME")).join("bench.log");
        put(&log, "")?;
        let mut times = Vec::new();
        for _ in 0..TURNS {
            let start = Instant::now();
            let seen = self.backend.observe(queries).await?;
            times.push(start.elapsed());
            let unknown = seen
                .iter()
                .find(|seen| !matches!(seen.sighting, Sighting::Seen(_)));
            if let Some(unknown) = unknown {
                return Err(format!("not seen: {unknown:?}").into());
            }
        }
        let text = std::fs::read_to_string(&log)?;
        let calls = |name: &str| text.lines().filter(|line| *line == name).count();
        let (queue, accounting) = (calls("squeue"), calls("sacct"));
        if queue != TURNS || accounting > TURNS {
            return Err(format!("{TURNS} looks took {queue} squeue and {accounting} sacct").into());
        }
        let case = format!(
            "SLURM, look at {} jobs, {what}, 40 ms round trip: {} squeue, {} sacct",
            queries.len(),
            queue / TURNS,
            accounting / TURNS
        );
        self.found(case, times, Vec::new(), 1_000)?.print();
        Ok(())
    }

    /// Puts shims in front of the scheduler's commands that note each call.
    fn count_commands(&self) -> Outcome<()> {
        let home = Path::new(self.value("RALPH_REMOTE_HOME"));
        for name in ["squeue", "sacct"] {
            let shim = home.join("bench-bin").join(name);
            let text = format!(
                "#!/bin/sh\necho {name} >>\"$HOME/bench.log\"\nexec /usr/bin/{name} \"$@\"\n"
            );
            put(&shim, &text)?;
            executable(&shim, 0o755)?;
        }
        put(&home.join("bench.log"), "")?;
        executable(&home.join("bench.log"), 0o666)?;
        put(&home.join(".bashrc"), "PATH=$HOME/bench-bin:$PATH\n")
    }

    fn stop_counting(&self) {
        let home = Path::new(self.value("RALPH_REMOTE_HOME"));
        // What was never made is not there.
        let _ = std::fs::remove_file(home.join(".bashrc"));
        let _ = std::fs::remove_dir_all(home.join("bench-bin"));
    }

    /// Waits until the queue holds only so many jobs.
    async fn until_forgotten(&self, left: usize) -> Outcome<()> {
        let listed = || -> Outcome<usize> {
            let text = self.control(&["admin", "squeue", "-h", "-t", "all", "-o", "%i"])?;
            Ok(text.lines().count())
        };
        while listed()? > left {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        // The database gets what the controller forgot in packets.
        tokio::time::sleep(Duration::from_secs(5)).await;
        Ok(())
    }

    fn connections(&self) -> Outcome<usize> {
        let folder = self.value("RALPH_CLUSTER_DIR");
        let log = std::fs::read(Path::new(folder).join("log/sshd.log"))?;
        Ok(String::from_utf8_lossy(&log)
            .matches("Connection from")
            .count())
    }
}

fn put(path: &Path, text: &str) -> Outcome<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::File::create(path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(())
}

fn executable(path: &Path, mode: u32) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(mode);
    Ok(std::fs::File::open(path)?.set_permissions(permissions)?)
}

/// The median as jobs per second, in words.
fn rate(times: &mut [Duration]) -> String {
    format!("{:.0} a second", JOBS as f64 / median(times).as_secs_f64())
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
