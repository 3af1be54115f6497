//! The submissions of one dispatch, gathered so that they reach the cluster in few calls.
//!
//! Each step writes its intent, hands its request in, and gets its own receipt back as soon as that arrives, to record
//! it at once. Nothing is decided here, and nothing is written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::backend::{BackendError, ClusterBackend, Receipt, SubmitRequest};

/// So long is waited for one more request: a project whose lock or git keeps it waiting must not hold up the others.
const LINGER: Duration = Duration::from_secs(3);

type Answer = Result<Receipt, BackendError>;

#[derive(Debug)]
struct Letter {
    order: usize,
    request: SubmitRequest,
    answer: oneshot::Sender<Answer>,
}

/// The part of a step that may submit: its way into the outbox, and its place among the steps that are at work.
#[derive(Debug)]
pub(crate) struct Seat {
    order: usize,
    letters: mpsc::UnboundedSender<Letter>,
    place: Option<OwnedSemaphorePermit>,
}

/// Opens the outbox for these steps, by their places in the plan. What is handed in is sent as soon as every seat was
/// used or dropped, or when nobody has come for a while. When the task is dropped, nothing more is sent: what was
/// handed in has an intent on disk, and is looked for.
pub(crate) fn open(
    backend: Arc<dyn ClusterBackend>,
    steps: impl Iterator<Item = usize>,
) -> (JoinSet<()>, BTreeMap<usize, Seat>) {
    let (letters, arriving) = mpsc::unbounded_channel();
    let seat = |order| Seat {
        order,
        letters: letters.clone(),
        place: None,
    };
    let seats = steps.map(|order| (order, seat(order))).collect();
    let mut task = JoinSet::new();
    task.spawn(deliver(backend, arriving));
    (task, seats)
}

impl Seat {
    /// Takes the place of the step along, to be given back when its request is handed in.
    pub(crate) fn at(self, place: Option<OwnedSemaphorePermit>) -> Self {
        Self { place, ..self }
    }

    /// Hands a request in whose intent is on disk, and waits for what the cluster says about it.
    ///
    /// # Errors
    /// The cluster could not be asked.
    pub(crate) async fn submit(self, request: SubmitRequest) -> Answer {
        let (answer, receipt) = oneshot::channel();
        let letter = Letter {
            order: self.order,
            request,
            answer,
        };
        let handed_in = self.letters.send(letter);
        drop((self.letters, self.place));
        let lost = || BackendError::Unreachable {
            detail: "the submission was not sent to its end".to_owned(),
        };
        handed_in.map_err(|_| lost())?;
        receipt.await.unwrap_or_else(|_| Err(lost()))
    }
}

async fn deliver(backend: Arc<dyn ClusterBackend>, mut letters: mpsc::UnboundedReceiver<Letter>) {
    while let Some(first) = letters.recv().await {
        let mut bundle = vec![first];
        while let Ok(Some(letter)) = timeout(LINGER, letters.recv()).await {
            bundle.push(letter);
        }
        bundle.sort_by_key(|letter| letter.order);
        let (requests, mut answers): (Vec<_>, Vec<_>) = bundle
            .into_iter()
            .map(|letter| (letter.request, Some(letter.answer)))
            .unzip();
        let mut recorded = |index: usize, answer: Answer| {
            if let Some(waiting) = answers.get_mut(index).and_then(Option::take) {
                // A step that was ended does not wait any more; its intent is looked for.
                let _ = waiting.send(answer);
            }
        };
        backend.submit_all(&requests, &mut recorded).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::backend::{Capabilities, FetchReport, FetchRequest};
    use crate::id::{JobId, Slug, Token};
    use crate::job::{JobQuery, JobReport, Observation};
    use crate::time::Timestamp;

    /// A cluster that only notes what it is given, and gives each request its own job.
    #[derive(Debug, Default)]
    struct Bundles(Mutex<Vec<Vec<String>>>);

    #[async_trait]
    impl ClusterBackend for Bundles {
        fn kind(&self) -> &'static str {
            "bundles"
        }
        async fn check(&self) -> Result<(), BackendError> {
            Err(not_asked())
        }
        async fn capabilities(&self) -> Result<Capabilities, BackendError> {
            Err(not_asked())
        }
        async fn submit(&self, request: &SubmitRequest) -> Answer {
            let number = request.run.as_str().trim_start_matches('q').parse();
            Ok(Receipt::Accepted {
                job: JobId::whole(number.unwrap()).unwrap(),
                cluster: None,
                how: crate::backend::FoundBy::Marker,
                remarks: String::new(),
            })
        }
        async fn submit_all(
            &self,
            requests: &[SubmitRequest],
            recorded: &mut (dyn FnMut(usize, Answer) + Send),
        ) {
            let runs = requests.iter().map(|request| request.run.to_string());
            self.0.lock().unwrap().push(runs.collect());
            for (index, request) in requests.iter().enumerate() {
                recorded(index, self.submit(request).await);
            }
        }
        async fn receipt(&self, _: &Token, _: Timestamp) -> Answer {
            Err(not_asked())
        }
        async fn observe(&self, _: &[JobQuery]) -> Result<Vec<Observation>, BackendError> {
            Err(not_asked())
        }
        async fn cancel(&self, _: &[JobId]) -> Result<(), BackendError> {
            Err(not_asked())
        }
        async fn fetch(&self, _: &FetchRequest) -> Result<FetchReport, BackendError> {
            Err(not_asked())
        }
        async fn jobs(&self) -> Result<Vec<JobReport>, BackendError> {
            Err(not_asked())
        }
        async fn existing(&self, _: &Slug, _: &[String]) -> Result<Vec<bool>, BackendError> {
            Err(not_asked())
        }
    }

    fn not_asked() -> BackendError {
        BackendError::NoConfig {
            detail: "an outbox only submits".to_owned(),
        }
    }

    fn request(number: usize) -> SubmitRequest {
        let run = format!("q{number}").parse().unwrap();
        SubmitRequest {
            token: format!("token-{number}").parse().unwrap(),
            run,
            item: None,
            project: "demo".parse().unwrap(),
            script_path: String::new(),
            script: String::new(),
            script_sha256: String::new(),
            config_path: None,
            config: None,
            variables: BTreeMap::new(),
            git: None,
            after: Vec::new(),
            exclude: Vec::new(),
            intent_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn submitted(seats: &mut BTreeMap<usize, Seat>, number: usize) -> JoinSet<Answer> {
        let seat = seats.remove(&number).unwrap();
        let mut task = JoinSet::new();
        task.spawn(seat.submit(request(number)));
        task
    }

    async fn job_of(mut task: JoinSet<Answer>) -> String {
        match task.join_next().await.unwrap().unwrap() {
            Ok(Receipt::Accepted { job, .. }) => job.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn all_that_submit_are_one_bundle_in_the_order_of_the_plan() {
        let cluster = Arc::new(Bundles::default());
        let (_task, mut seats) = open(Arc::clone(&cluster) as _, 1..=4);
        // One finds nothing to submit; the others do not wait for it once it has ended.
        let idle = seats.remove(&2);
        let tasks: Vec<_> = [4, 1, 3].map(|n| submitted(&mut seats, n)).into();
        drop(idle);
        let mut jobs = Vec::new();
        for task in tasks {
            jobs.push(job_of(task).await);
        }
        assert_eq!(jobs, ["4", "1", "3"]);
        assert_eq!(*cluster.0.lock().unwrap(), [["q1", "q3", "q4"]]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_come_does_not_keep_the_others_waiting() {
        let cluster = Arc::new(Bundles::default());
        let (_task, mut seats) = open(Arc::clone(&cluster) as _, 1..=2);
        assert_eq!(job_of(submitted(&mut seats, 1)).await, "1");
        assert_eq!(job_of(submitted(&mut seats, 2)).await, "2");
        assert_eq!(*cluster.0.lock().unwrap(), [["q1"], ["q2"]]);
    }

    #[tokio::test]
    async fn what_is_not_sent_any_more_is_said_to_be_unknown() {
        let (mut task, mut seats) = open(Arc::new(Bundles::default()), 1..=2);
        task.shutdown().await;
        let answer = job_of(submitted(&mut seats, 1)).await;
        assert!(answer.contains("Unreachable"), "{answer}");
    }
}
