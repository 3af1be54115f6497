//! One job per token, whoever asks, however often, and whoever is killed in between.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::bed::block_on;
use crate::until::until;
use ralph_core::backend::{ClusterBackend as _, FoundBy, Receipt, SubmitRequest};
use ralph_core::id::JobId;
use ralph_core::job::JobState;
use ralph_core::process::variable::FOREIGN;

use crate::bed::{Bed, DETACHED, accepted, receipt, request, script};

/// A submission by another process, through this supervisor.
struct Submitter {
    request: SubmitRequest,
    file: PathBuf,
}

impl Submitter {
    fn new(bed: &Bed) -> Self {
        Self::of(bed, request(&script("", "echo ran >> ran")))
    }

    fn of(bed: &Bed, request: SubmitRequest) -> Self {
        let file = bed.folder.path().join(format!("{}.json", request.token));
        serde_json::to_writer(fs::File::create(&file).unwrap(), &request).unwrap();
        Self { request, file }
    }

    fn command(&self, bed: &Bed, supervisor: &[&str]) -> Command {
        let mut command = Command::new(DETACHED);
        command
            .arg("submit")
            .args([&bed.settings.state_dir, &bed.settings.workspace, &self.file])
            .args(supervisor)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    fn start(&self, bed: &Bed, supervisor: &[&str]) -> Child {
        self.command(bed, supervisor).spawn().unwrap()
    }

    /// Starts, and kills it once this file of the project is there.
    fn start_and_kill(&self, bed: &Bed, shell: &str, file: &str) {
        let mut child = self.start(bed, &["/bin/sh", "-c", shell, DETACHED]);
        bed.wait_for(file);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn submit(&self, bed: &Bed) -> JobId {
        accepted(&block_on(bed.cluster().submit(&self.request)).unwrap())
    }

    fn receipt(&self, bed: &Bed) -> Receipt {
        receipt(bed, &self.request.token)
    }

    fn ran_once(&self, bed: &Bed, job: JobId) {
        assert_eq!(bed.end(job).state, JobState::Completed);
        assert_eq!(bed.read("ran"), "ran\n");
        let found = self.receipt(bed);
        assert!(
            matches!(&found, Receipt::Accepted { job: found, .. } if *found == job),
            "{found:?}"
        );
        let begun = block_on(bed.cluster().jobs()).unwrap();
        assert_eq!(begun.len(), 1, "{begun:#?}");
    }
}

/// The project's folder, as seen from a job's record folder.
const PROJECT: &str = "../../../../../projects/demo";

#[test]
fn the_same_token_is_the_same_job() {
    let bed = Bed::new();
    let submitter = Submitter::new(&bed);
    assert_eq!(submitter.receipt(&bed), Receipt::Absent);
    let job = submitter.submit(&bed);
    assert_eq!(submitter.submit(&bed), job);
    let Receipt::Accepted { how, .. } = submitter.receipt(&bed) else {
        panic!("not accepted");
    };
    assert_eq!(how, FoundBy::Marker);
    submitter.ran_once(&bed, job);
    assert_eq!(submitter.submit(&bed), job, "also after its end");
    assert_ne!(Submitter::new(&bed).submit(&bed), job);
}

#[test]
fn a_refusal_lasts() {
    let bed = Bed::new();
    let bad = request("no script");
    let refused = block_on(bed.cluster().submit(&bad)).unwrap();
    assert!(matches!(refused, Receipt::Refused { .. }));
    assert_eq!(receipt(&bed, &bad.token), refused);
    let mended = SubmitRequest {
        script: script("", "true"),
        ..bad
    };
    assert_eq!(block_on(bed.cluster().submit(&mended)).unwrap(), refused);
}

#[test]
fn eight_at_once_are_one() {
    let bed = Bed::new();
    let submitter = Submitter::new(&bed);
    let processes: Vec<Child> = (0..4)
        .map(|_| submitter.start(&bed, &[DETACHED, "job"]))
        .collect();
    let jobs: Vec<JobId> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| submitter.submit(&bed)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    assert!(jobs.iter().all(|job| *job == jobs[0]), "{jobs:?}");
    submitter.ran_once(&bed, jobs[0]);
}

#[test]
fn killed_before_its_supervisor_begins() {
    let bed = Bed::new();
    let submitter = Submitter::new(&bed);
    let hang = format!(
        "touch {PROJECT}/hangs; while [ -d {PROJECT} ] && [ ! -e {PROJECT}/enough ]; do sleep 0.02; done"
    );
    submitter.start_and_kill(&bed, &hang, "hangs");
    assert_eq!(
        submitter.receipt(&bed),
        Receipt::Absent,
        "nothing runs, nothing will"
    );
    let job = submitter.submit(&bed);
    submitter.ran_once(&bed, job);
    bed.touch("enough");
}

#[test]
fn while_somebody_submits_the_token_is_claimed() {
    let bed = Bed::new();
    let submitter = Submitter::new(&bed);
    let slow = format!(
        "touch {PROJECT}/slow; while [ -d {PROJECT} ] && [ ! -e {PROJECT}/go ]; do sleep 0.02; done; exec \"$0\" job \"$1\""
    );
    let mut child = submitter.start(&bed, &["/bin/sh", "-c", &slow, DETACHED]);
    bed.wait_for("slow");
    assert!(matches!(submitter.receipt(&bed), Receipt::Claimed { .. }));
    bed.touch("go");
    assert!(child.wait().unwrap().success());
    let job = accepted(&submitter.receipt(&bed));
    submitter.ran_once(&bed, job);
}

/// A supervisor that begins only when told, and says when it is through.
fn late() -> String {
    format!(
        "touch {PROJECT}/late; while [ -d {PROJECT} ] && [ ! -e {PROJECT}/go ]; do sleep 0.02; done; \"$0\" job \"$1\"; touch {PROJECT}/through"
    )
}

#[test]
fn a_start_on_its_way_is_called_off_by_who_looks() {
    let bed = Bed::new();
    let submitter = Submitter::new(&bed);
    submitter.start_and_kill(&bed, &late(), "late");
    assert_eq!(submitter.receipt(&bed), Receipt::Absent);
    bed.touch("go");
    bed.wait_for("through");
    assert_eq!(
        submitter.receipt(&bed),
        Receipt::Absent,
        "and that stays true"
    );
    assert!(!bed.has("ran"));
    let job = submitter.submit(&bed);
    assert_eq!(job.base(), 1002, "an id is never used again");
    submitter.ran_once(&bed, job);
}

#[test]
fn a_start_on_its_way_finds_its_job_taken() {
    let bed = Bed::new();
    let submitter = Submitter::new(&bed);
    submitter.start_and_kill(&bed, &late(), "late");
    let job = submitter.submit(&bed);
    submitter.ran_once(&bed, job);
    bed.touch("go");
    bed.wait_for("through");
    submitter.ran_once(&bed, job);
}

#[test]
fn a_job_whose_submitter_heard_no_answer_is_found() {
    let bed = Bed::new();
    let submitter = Submitter::new(&bed);
    let mute = format!(
        "\"$0\" job \"$1\" > {PROJECT}/answer & while [ -d {PROJECT} ] && [ ! -e {PROJECT}/enough ]; do sleep 0.02; done"
    );
    submitter.start_and_kill(&bed, &mute, "ran");
    let Receipt::Accepted { job, how, .. } = submitter.receipt(&bed) else {
        panic!("not found");
    };
    assert_eq!(how, FoundBy::Queue);
    assert_eq!(submitter.submit(&bed), job);
    submitter.ran_once(&bed, job);
    bed.touch("enough");
}

#[test]
fn killed_anywhere_it_is_one_job_or_none() {
    // Each round kills a little later: after one more entry has appeared below the cluster's folder.
    let mut accepted_rounds = 0;
    for entries in 0..14 {
        let bed = Bed::new();
        let submitter = Submitter::new(&bed);
        let mut child = submitter.start(&bed, &[DETACHED, "job"]);
        until("the moment, or the end", || {
            let there = count(&bed.settings.state_dir);
            let ended = child.try_wait().unwrap().is_some();
            (there >= entries || ended).then_some(())
        });
        let _ = child.kill();
        child.wait().unwrap();
        if let Receipt::Accepted { .. } = submitter.receipt(&bed) {
            accepted_rounds += 1;
        }
        let job = submitter.submit(&bed);
        submitter.ran_once(&bed, job);
    }
    assert!(accepted_rounds > 0, "no round came as far as a job");
}

fn count(folder: &std::path::Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| {
            let below = entry.path();
            1 + if below.is_dir() { count(&below) } else { 0 }
        })
        .sum()
}

#[test]
fn an_item_has_one_living_job_also_where_its_books_were_lost() {
    let bed = Bed::new();
    let of_item = |body: &str| SubmitRequest {
        item: Some("Q-001".parse().unwrap()),
        ..request(&script("", body))
    };
    let [first, second] = [0, 1].map(|_| of_item("until [ -e go ]; do sleep 0.1; done"));
    let submit = |request: &SubmitRequest| block_on(bed.cluster().submit(request)).unwrap();
    let job = accepted(&submit(&first));
    for (request, expected) in [(&second, true), (&second, true), (&of_item("true"), false)] {
        let answer = submit(request);
        assert!(
            matches!(&answer, Receipt::Earlier { job: found, token, same, .. }
                if *found == job && *token == first.token && *same == expected),
            "{answer:?}"
        );
    }
    assert_eq!(receipt(&bed, &second.token), Receipt::Absent);
    fs::File::create(bed.folder.path().join("projects/demo/go")).unwrap();
    bed.end(job);
    assert_ne!(accepted(&submit(&second)), job);
}

/// Each by its own cluster, as two clones and two processes have them, and all at the same moment.
#[test]
fn of_many_submissions_of_an_item_at_once_one_has_a_job() {
    let bed = Bed::new();
    let all_at_once = std::sync::Barrier::new(8);
    let requests = [(); 8].map(|()| SubmitRequest {
        item: Some("Q-001".parse().unwrap()),
        ..request(&script("", "until [ -e go ]; do sleep 0.1; done"))
    });
    let answers: Vec<Receipt> = std::thread::scope(|scope| {
        let submitters = requests.each_ref().map(|request| {
            scope.spawn(|| {
                let cluster = bed.cluster();
                all_at_once.wait();
                block_on(cluster.submit(request)).unwrap()
            })
        });
        submitters.map(|one| one.join().unwrap()).into()
    });
    let jobs: Vec<JobId> = answers
        .iter()
        .filter_map(|answer| match answer {
            Receipt::Accepted { job, .. } => Some(*job),
            _ => None,
        })
        .collect();
    let [job] = *jobs.as_slice() else {
        panic!("{answers:?}");
    };
    let others = answers
        .iter()
        .filter(|answer| matches!(answer, Receipt::Earlier { job: found, .. } if *found == job));
    assert_eq!(others.count(), 7, "{answers:?}");
    bed.touch("go");
    bed.end(job);
}

/// What the dead one left on its way must not begin beside the job of the next.
#[test]
fn a_start_that_a_killed_submitter_left_is_called_off_by_the_next_of_its_item() {
    let bed = Bed::new();
    let of_item = SubmitRequest {
        item: Some("Q-001".parse().unwrap()),
        ..request(&script("", "echo ran >> ran"))
    };
    let killed = Submitter::of(&bed, of_item.clone());
    killed.start_and_kill(&bed, &late(), "late");
    let next = SubmitRequest {
        token: request("").token,
        ..of_item
    };
    let job = accepted(&block_on(bed.cluster().submit(&next)).unwrap());
    assert_eq!(bed.end(job).state, JobState::Completed);
    bed.touch("go");
    bed.wait_for("through");
    assert_eq!(bed.read("ran"), "ran\n");
    assert_eq!(killed.receipt(&bed), Receipt::Absent);
}

/// As from a hook of git, for which everything below asks the hook's repository.
#[test]
fn a_job_does_not_inherit_the_repository_of_a_surrounding_git() {
    let bed = Bed::new();
    let submitter = Submitter::of(
        &bed,
        request(&script("", "env | grep =/foreign >git; true")),
    );
    let mut submitting = submitter.command(&bed, &[DETACHED, "job"]);
    for name in FOREIGN {
        submitting.env(name, "/foreign");
    }
    assert!(submitting.status().unwrap().success());
    let job = accepted(&submitter.receipt(&bed));
    assert_eq!(bed.end(job).state, JobState::Completed);
    assert_eq!(bed.read("git"), "");
}
