//! Two clones submit one item, and the one that began is stopped: killed or held up before every line of the script from
//! where it looks at the turns to where it answers. One job comes of it, and both learn of it.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ralph_core::backend::{ClusterBackend as _, Receipt, SubmitRequest};
use ralph_slurm::{ExecRequest, Exit, Fault, Receiver, SlurmBackend, Transport, TransportError};

use crate::scheduler::Scheduler;
use crate::shared::{accepted, request};

const SCRIPT: &str = "#!/bin/bash\n#SBATCH --time=1\n\necho hello\n";
const SUBMIT: &str = include_str!("../../src/scripts/submit.sh");
/// A part of the script in which another clone may come in between.
struct Part {
    from: &'static str,
    to: &'static str,
    /// How often it is passed.
    rounds: u32,
}

/// The turns are looked at before one is taken and after.
const TURN: Part = Part {
    from: "is_its_turn() {",
    to: "# The folders that the job's logs go to",
    rounds: 2,
};
const CLAIM: Part = Part {
    from: "  if [ -n \"$item\" ] && ! is_its_turn",
    to: "# Writes every job's script",
    rounds: 1,
};
/// Dies; what the shell has started goes on.
const KILL: &str = "touch \"$HOME/state/stopped\"; kill -KILL $$";
/// Stands still until it is told to go on, or for a minute where the test has failed.
const HOLD: &str = "touch \"$HOME/state/stopped\"; rounds=0; until [ -e \"$HOME/state/go\" ] || [ \"$rounds\" = 1200 ]; do \
                    sleep 0.05; rounds=$((rounds + 1)); done";

/// A place in the script: before which line, and the how many-eth time that it is reached.
#[derive(Debug, Clone, Copy)]
struct Place {
    line: &'static str,
    at: usize,
    round: u32,
}

impl Part {
    /// Every place of the part.
    fn places(&self) -> Vec<Place> {
        let start = SUBMIT.find(self.from).unwrap();
        let end = start + SUBMIT[start..].find(self.to).unwrap();
        let mut at = start;
        let mut places = Vec::new();
        for line in SUBMIT[start..end].split_inclusive('\n') {
            let code = line.trim();
            let is_code =
                !code.is_empty() && !code.starts_with('#') && code != self.from && code != "}";
            if is_code {
                let place = |round| Place {
                    line: code,
                    at,
                    round,
                };
                places.extend((1..=self.rounds).map(place));
            }
            at += line.len();
        }
        places
    }
}

/// A transport that runs the script with one more line in it.
#[derive(Debug)]
struct Stopping {
    inner: Arc<dyn Transport>,
    place: Place,
    how: &'static str,
}

#[async_trait]
impl Transport for Stopping {
    fn host(&self) -> &str {
        self.inner.host()
    }

    async fn check(&self) -> Result<(), TransportError> {
        self.inner.check().await
    }

    async fn exec(
        &self,
        request: &ExecRequest<'_>,
        output: &mut Receiver<'_>,
    ) -> Result<Exit, TransportError> {
        let script = |input: &[u8]| {
            input
                .windows(SUBMIT.len())
                .position(|piece| piece == SUBMIT.as_bytes())
        };
        let Some(start) = script(request.input) else {
            return self.inner.exec(request, output).await;
        };
        let Place { at, round, .. } = self.place;
        let stop = format!(
            "reached=$((reached + 1)); [ \"$reached\" != {round} ] || {{ {}; }}\n",
            self.how
        );
        let (before, after) = request.input.split_at(start + at);
        let input = [before, stop.as_bytes(), after].concat();
        // The login shell is told how long the script is.
        let (head, rest) = request.command.rsplit_once(" ralph ").unwrap();
        let (length, rest) = rest.split_once(' ').unwrap();
        let length = length.parse::<usize>().unwrap() + stop.len();
        let command = format!("{head} ralph {length} {rest}");
        let stopped = ExecRequest {
            command: &command,
            input: &input,
            limit: request.limit,
        };
        self.inner
            .exec(&stopped, &mut |bytes| {
                let _ = output(bytes);
                ControlFlow::Continue(())
            })
            .await
    }
}

/// One cluster and the two clones' submissions of its item.
struct Race {
    cluster: Scheduler,
    first: SubmitRequest,
    second: SubmitRequest,
    place: Place,
}

impl Race {
    fn new(place: Place) -> Self {
        let cluster = Scheduler::new();
        let [first, second] = [0, 1].map(|_| SubmitRequest {
            item: Some("Q-001".parse().unwrap()),
            ..request(&cluster.env, SCRIPT)
        });
        Self {
            cluster,
            first,
            second,
            place,
        }
    }

    fn stopping(&self, how: &'static str) -> SlurmBackend {
        let place = self.place;
        self.cluster
            .backend_over(move |inner| Arc::new(Stopping { inner, place, how }))
    }

    fn is_stopped(&self) -> bool {
        self.cluster.state().join("stopped").exists()
    }

    /// Whether the first one may be at `sbatch`, or may have been.
    fn is_open(&self) -> bool {
        let folder = self.cluster.receipt_folder(self.first.token.as_str());
        folder.join("claim").exists() && !folder.join("rc").exists()
    }

    /// All that the clones have left on the cluster is so much older.
    fn wait(&self, seconds: u32) {
        let touched = Command::new("find")
            .arg(self.cluster.root().join(".ralph"))
            .args(["-type", "f", "-exec", "touch", "-d"])
            .args([&format!("{seconds} seconds ago"), "{}", "+"])
            .status();
        assert!(touched.unwrap().success());
    }

    async fn submit(&self, request: &SubmitRequest) -> Receipt {
        let answer = self.cluster.backend().submit(request).await.unwrap();
        assert!(self.cluster.jobs() <= 1, "{:?}: {answer:?}", self.place);
        answer
    }

    /// Whether the second one has learnt of the one job; else it is told to wait.
    fn knows(&self, answer: &Receipt) -> bool {
        match answer {
            Receipt::Accepted { .. } | Receipt::Earlier { .. } => {
                assert_eq!(self.cluster.jobs(), 1, "{:?}", self.place);
                true
            }
            Receipt::Refused {
                limit: true,
                message,
            } if message.contains("being submitted") => false,
            other => panic!("{:?}: {other:?}", self.place),
        }
    }

    /// In the end both of them know of one job, and it is the same.
    async fn ends_with_one_job(&self) {
        let jobs = [&self.second, &self.first].map(async |request| {
            let backend = self.cluster.backend();
            let looked = backend
                .receipt(&request.token, request.intent_at)
                .await
                .unwrap();
            match looked {
                Receipt::Accepted { job, .. } => job,
                // Its clone submits again, or gives up and does so with another token.
                Receipt::Absent | Receipt::Claimed { .. } => {
                    let token = self.cluster.env.ids.token(&request.run);
                    let again = match looked {
                        Receipt::Absent => request.clone(),
                        _ => SubmitRequest {
                            token,
                            ..request.clone()
                        },
                    };
                    match self.submit(&again).await {
                        Receipt::Accepted { job, .. } | Receipt::Earlier { job, .. } => job,
                        other => panic!("{:?}: {other:?}", self.place),
                    }
                }
                other => panic!("{:?}: {other:?}", self.place),
            }
        });
        let [second, first] = jobs;
        assert_eq!(second.await, first.await, "{:?}", self.place);
        assert_eq!(self.cluster.jobs(), 1, "{:?}", self.place);
    }
}

#[tokio::test]
async fn a_clone_that_was_killed_before_its_claim_blocks_the_other_for_two_minutes() {
    let [reached, blocked] = killed(&TURN).await;
    assert!(reached > 12 && blocked == 0, "{reached} {blocked}");
}

/// Of a claim without an answer a job may come for as long as `sbatch` tries.
#[tokio::test]
async fn a_clone_that_was_killed_after_its_claim_blocks_the_other_for_ten_minutes_or_has_a_job() {
    let [reached, blocked] = killed(&CLAIM).await;
    assert!(reached > 10 && blocked > 1, "{reached} {blocked}");
}

/// At how many places the first one was killed, and after how many the second one still waits two minutes later. No job
/// is lost or doubled anywhere.
async fn killed(part: &Part) -> [u32; 2] {
    let (mut reached, mut blocked) = (0, 0);
    for place in part.places() {
        let race = Race::new(place);
        let answer = race.stopping(KILL).submit(&race.first).await;
        if !race.is_stopped() {
            accepted(&answer.unwrap());
            continue;
        }
        reached += 1;
        settled(&race).await;
        let begun = race.is_open();
        race.knows(&race.submit(&race.second).await);
        race.wait(130);
        let learnt = race.knows(&race.submit(&race.second).await);
        assert_eq!(learnt, !begun || race.cluster.jobs() == 1, "{place:?}");
        blocked += u32::from(!learnt);
        race.wait(610);
        race.ends_with_one_job().await;
    }
    [reached, blocked]
}

/// `sbatch` goes on where the shell that waits for it is killed.
async fn settled(race: &Race) {
    let since = Instant::now();
    let is_at_work = race.place.line.starts_with("exec sbatch")
        || race.place.line.starts_with("printf '%s\\n' \"$said\"");
    while is_at_work && race.cluster.jobs() == 0 {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "{:?}",
            race.place
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_clone_that_was_held_up_before_its_claim_and_overtaken_submits_nothing_when_it_goes_on() {
    let [reached, overtaken] = held_up(&TURN).await;
    assert!(
        reached > 12 && overtaken == reached,
        "{reached} {overtaken}"
    );
}

#[tokio::test]
async fn a_clone_that_was_held_up_after_its_claim_is_not_overtaken() {
    let [reached, overtaken] = held_up(&CLAIM).await;
    assert!(
        reached > 10 && (1..=2).contains(&overtaken),
        "{reached} {overtaken}"
    );
}

/// At how many places the first one was held up for two minutes, and at how many the second one submitted meanwhile.
async fn held_up(part: &Part) -> [u32; 2] {
    let (mut reached, mut overtaken) = (0, 0);
    for place in part.places() {
        let race = Race::new(place);
        let backend = race.stopping(HOLD);
        let first = race.first.clone();
        let held = tokio::spawn(async move { backend.submit(&first).await });
        while !race.is_stopped() && !held.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if race.is_stopped() {
            reached += 1;
            race.wait(130);
            let answer = race.submit(&race.second).await;
            race.knows(&answer);
            overtaken += u32::from(matches!(answer, Receipt::Accepted { .. }));
        }
        go(&race.cluster.state());
        held.await.unwrap().unwrap();
        race.ends_with_one_job().await;
    }
    [reached, overtaken]
}

fn go(state: &Path) {
    std::fs::File::create(state.join("go")).unwrap();
}

/// What the reply says is on disk before it is sent.
#[tokio::test]
async fn a_clone_that_never_saw_the_answer_finds_it_and_so_does_the_other() {
    let race = Race::new(CLAIM.places()[0]);
    let lost = race.cluster.backend_with([Fault::LostReply]);
    lost.submit(&race.first).await.unwrap_err();
    assert!(race.knows(&race.submit(&race.second).await));
    race.ends_with_one_job().await;
}
