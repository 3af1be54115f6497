//! Whole lives of projects under faults and crashes, by seed: exactly one job per attempt, nothing lost, nothing
//! ended that lives, and rest at the end.
//!
//! The cluster draws outcomes and faults, a crash interrupts a dispatch at any of its crash points, and a person
//! mends what was left in DEBUG. Time is virtual; the same seed is the same life.

use std::collections::BTreeMap;

use ralph_docs::queue::{self, QueueSection};

use super::{Bed, told};
use crate::backend::ClusterBackend as _;
use crate::cluster::mock::{Fault, Simulation};
use crate::id::{JobId, Slug};
use crate::job::{Finality, JobState};
use crate::pipeline::{PipelineFile, RunStatus, RunView};
use crate::settings::CommandLine;
use crate::store::crash::simulate::crash_after;

const PROJECTS: [&str; 3] = ["chain", "loose", "pair"];

struct Life {
    bed: Bed,
    runtime: tokio::runtime::Runtime,
    draw: u64,
    log: Vec<String>,
    crashes: u32,
}

impl Life {
    fn new(seed: u64, faults: u8) -> Self {
        let mut bed = Bed::new();
        let cluster = std::mem::replace(&mut bed.cluster, Bed::new().cluster);
        let cluster = std::sync::Arc::into_inner(cluster).unwrap();
        bed.cluster =
            std::sync::Arc::new(cluster.simulated(Simulation::new(seed).with_faults(faults)));
        bed.settings.batch_size = 1;
        bed.settings.test_command = Some(CommandLine::Words(vec!["true".to_owned()]));
        bed.project(
            "chain",
            "RUN",
            &[
                ("Q-001", ""),
                ("Q-002", "- After: Q-001\n"),
                ("Q-003", "- After: Q-002\n"),
            ],
        );
        let own = |id: &str| format!("- Script: slurm/jobs/{id}.sbatch\n");
        bed.project(
            "loose",
            "RUN",
            &[
                ("Q-001", &own("q001")),
                ("Q-002", &own("q002")),
                ("Q-003", &own("q003")),
            ],
        );
        bed.project("pair", "INIT", &[("Q-001", ""), ("Q-002", "")]);
        Self {
            bed,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            draw: seed ^ 0x5eed,
            log: Vec::new(),
            crashes: 0,
        }
    }

    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.draw = self
            .draw
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.draw >> 33) % limit
    }

    fn dispatch(&mut self, crash: Option<u32>) -> bool {
        let before = self.texts();
        let bed = &self.bed;
        let report = crash_after(crash.unwrap_or(u32::MAX), || {
            self.runtime.block_on(bed.dispatch())
        });
        self.crashes += u32::from(crash.is_some());
        self.log
            .push(report.as_ref().map_or_else(|| "crashed".to_owned(), told));
        self.texts() != before
    }

    fn texts(&self) -> Vec<String> {
        PROJECTS
            .iter()
            .flat_map(|slug| {
                [
                    ".state/pipeline.json",
                    "documentation/queue.md",
                    "documentation/debugging.md",
                    "results/summary.md",
                ]
                .map(|path| self.bed.read(&format!("projects/{slug}/{path}")))
            })
            .collect()
    }

    fn runs(&self, slug: &str) -> (Vec<RunView>, Vec<RunView>) {
        let text = self
            .bed
            .read(&format!("projects/{slug}/.state/pipeline.json"));
        let view = PipelineFile::parse(text).unwrap().view();
        (view.active_runs, view.completed_runs)
    }

    /// Every job that the cluster ever started: its id, its project, its run.
    fn jobs(&self) -> Vec<(JobId, Slug, String)> {
        (1_001..)
            .map_while(|id| {
                let job = JobId::whole(id).unwrap();
                let request = self.bed.cluster.request(job)?;
                Some((job, request.project, request.run.to_string()))
            })
            .collect()
    }

    fn is_alive(&self, job: JobId) -> bool {
        let truth = self.bed.cluster.true_state(job).unwrap();
        truth.finality() == Finality::Alive
    }

    /// What must hold after every pass, whatever happened in it.
    fn check(&self) {
        for slug in PROJECTS {
            let (active, completed) = self.runs(slug);
            self.check_queue(slug);
            let mut ids: Vec<_> = active
                .iter()
                .chain(&completed)
                .map(|run| &run.key.run_id)
                .collect();
            ids.sort();
            let all = ids.len();
            ids.dedup();
            assert_eq!(
                ids.len(),
                all,
                "a run stands in two places\n{}",
                self.story()
            );
            for run in &completed {
                self.check_end(run);
            }
        }
        let mut per_token: BTreeMap<String, usize> = BTreeMap::new();
        for (job, slug, run) in self.jobs() {
            let request = self.bed.cluster.request(job).unwrap();
            *per_token.entry(request.token.to_string()).or_default() += 1;
            let (active, completed) = self.runs(slug.as_str());
            let booked = active.iter().chain(&completed).any(|known| {
                known.key.run_id.as_deref() == Some(&run)
                    && known.key.job_id == Some(job.to_string())
            });
            let intended = self
                .bed
                .path(&format!("projects/{slug}/.state/intents/{run}.json"))
                .exists();
            let interrupted = self
                .bed
                .path(&format!("projects/{slug}/.state/ops"))
                .exists()
                && self
                    .log
                    .last()
                    .is_some_and(|l| l.contains("panicked") || l == "crashed");
            assert!(
                booked || intended || interrupted,
                "job {job} of {run} is lost\n{}",
                self.story()
            );
        }
        assert!(
            per_token.values().all(|jobs| *jobs == 1),
            "{per_token:?}\n{}",
            self.story()
        );
    }

    /// Every item stands in exactly one section.
    fn check_queue(&self, slug: &str) {
        let text = self
            .bed
            .read(&format!("projects/{slug}/documentation/queue.md"));
        let mut ids: Vec<String> = queue::items(&text)
            .into_iter()
            .map(|item| item.id)
            .collect();
        ids.sort();
        let expected = if slug == "pair" { 2 } else { 3 };
        let expected: Vec<String> = (1..=expected).map(|n| format!("Q-00{n}")).collect();
        assert_eq!(ids, expected, "{text}\n{}", self.story());
        assert!(
            queue::items(&text)
                .iter()
                .all(|item| !matches!(item.section, QueueSection::Other(_)))
        );
    }

    /// No run is said to have ended whose job lives. An end that a requeue may undo is believed after a while,
    /// and this cluster takes up to an hour to requeue.
    fn check_end(&self, run: &RunView) {
        let job: JobId = run.key.job_id.as_deref().unwrap().parse().unwrap();
        let may_be_requeued =
            |class: &str| ["node_failure", "preempted", "boot_failure"].contains(&class);
        if run.failure_class.as_deref().is_some_and(may_be_requeued) {
            return;
        }
        assert!(!self.is_alive(job), "{:?} lives\n{}", run.key, self.story());
        let truth = self.bed.cluster.true_state(job).unwrap();
        let completed = run.status == RunStatus::Completed;
        assert_eq!(
            completed,
            truth == JobState::Completed,
            "{:?}\n{}",
            run.key,
            self.story()
        );
    }

    /// A person mends what is in DEBUG, and cancels what is held for ever.
    fn mend(&self) {
        let held = |job: &JobId| {
            let truth = self.bed.cluster.true_state(*job);
            truth == Some(JobState::SpecialExit)
        };
        let held: Vec<JobId> = self
            .jobs()
            .into_iter()
            .map(|(job, ..)| job)
            .filter(held)
            .collect();
        if !held.is_empty() {
            // A cancel that a fault swallows is asked for again the next time.
            let _ = self.runtime.block_on(self.bed.cluster.cancel(&held));
        }
        for slug in PROJECTS {
            let path = format!("projects/{slug}/documentation/debugging.md");
            let text = self.bed.read(&path);
            if self.bed.state(slug)["phase"] == "DEBUG" {
                self.bed.write(&path, &text.replace("- [ ] (D", "- [x] (D"));
            }
        }
    }

    fn story(&self) -> String {
        let from = self.log.len().saturating_sub(12);
        self.log[from..].join("\n--\n")
    }

    /// Passes with faults and crashes, then calm passes until nothing changes any more.
    fn live(&mut self, passes: u32, crash_percent: u64) {
        for _ in 0..passes {
            let seconds = 20 + self.below(1_500);
            self.bed.wait(seconds);
            let crash = (self.below(100) < crash_percent).then(|| self.below(60) as u32);
            self.dispatch(crash);
            self.check();
            if self.below(6) == 0 {
                self.mend();
            }
        }
        self.bed.cluster.standing_fault(Some(Fault::Pass));
        let mut quiet = 0;
        for _ in 0..120 {
            self.bed.wait(1_800);
            let changed = self.dispatch(None);
            self.check();
            self.mend();
            quiet = if changed { 0 } else { quiet + 1 };
            if quiet == 6 {
                return;
            }
        }
        panic!("it never rests\n{}", self.story());
    }

    /// Nothing waits, and every success is one run and one job.
    fn check_rest(&self) {
        for slug in PROJECTS {
            let (active, completed) = self.runs(slug);
            assert_eq!(active, [], "{}", self.story());
            let intents =
                std::fs::read_dir(self.bed.path(&format!("projects/{slug}/.state/intents")));
            assert_eq!(intents.map_or(0, Iterator::count), 0, "{}", self.story());
            let phase = self.bed.state(slug)["phase"].as_str().unwrap().to_owned();
            assert!(
                ["DONE", "IDLE"].contains(&phase.as_str()),
                "{slug} {phase}\n{}",
                self.story()
            );
            let text = self
                .bed
                .read(&format!("projects/{slug}/documentation/queue.md"));
            for item in queue::items(&text) {
                let runs = completed
                    .iter()
                    .filter(|run| run.queue_id.as_deref() == Some(&item.id));
                let successes = runs
                    .filter(|run| run.status == RunStatus::Completed)
                    .count();
                let done = item.section == QueueSection::Done;
                assert_eq!(
                    successes,
                    usize::from(done),
                    "{slug} {}\n{text}\n{}",
                    item.id,
                    self.story()
                );
            }
        }
        assert!(self.jobs().iter().all(|(job, ..)| !self.is_alive(*job)));
    }
}

fn lived(seed: u64, faults: u8, crash_percent: u64) -> Life {
    let mut life = Life::new(seed, faults);
    life.live(25, crash_percent);
    life.check_rest();
    life
}

#[test]
fn without_faults_every_item_comes_to_its_end() {
    for seed in 0..2 {
        lived(seed, 0, 0);
    }
}

#[test]
fn under_faults_every_attempt_is_one_job() {
    for seed in 10..14 {
        lived(seed, 30, 0);
    }
}

#[test]
fn under_faults_and_crashes_every_attempt_is_one_job() {
    let crashes: u32 = (20..26).map(|seed| lived(seed, 20, 40).crashes).sum();
    assert!(crashes > 10, "{crashes}");
}

#[test]
fn the_same_seed_is_the_same_life() {
    let [one, other] = [(); 2].map(|()| {
        let life = lived(7, 25, 30);
        (life.log.clone(), life.texts())
    });
    assert_eq!(one, other);
}
