//! Everything a mock cluster is, as data: its jobs, what it recorded of each submission, its rules and faults.
//!
//! Here a call changes what is true: a submission is recorded under its token before anything else, so that the
//! same token finds its record and can never start a second job. No clock is read and no reply is spoiled here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::course::{JobScript, later};
use super::fault::{Fault, Method};
use super::job::{Cancel, MockJob, Source, Telling, array_tasks, task_of};
use super::rule::Rule;
use super::simulation::Simulation;
use crate::backend::{FoundBy, Receipt, SubmitRequest};
use crate::id::{JobId, Slug, Token};
use crate::job::{Finality, JobState};
use crate::sbatch;
use crate::time::{SignedDuration, Timestamp};

/// The version of the format that is written.
pub(super) const FORMAT: u32 = 1;

/// What is fixed about a mock cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MockSettings {
    /// The scheduler and version it claims to be.
    pub version: String,
    /// The host it claims to be.
    pub host: String,
    /// Seconds that an ended job stays in the queue listing; `None` is for ever.
    pub min_job_age_seconds: Option<u64>,
    /// Whether accounting answers.
    pub accounting: bool,
    /// By how many seconds accounting is behind the queue.
    pub accounting_lag_seconds: u64,
    /// Largest array size.
    pub max_array_size: Option<u32>,
    /// By how many seconds the cluster's clock is ahead of ours; negative is behind.
    pub clock_skew_seconds: i64,
    /// The user id that a cancel is attributed to.
    pub uid: u32,
    /// How many jobs the user may have in the queue, each task counted (incident 37); `None` is any number.
    pub max_submitted: Option<u32>,
}

impl Default for MockSettings {
    fn default() -> Self {
        Self {
            version: "mock 1".to_owned(),
            host: "mock".to_owned(),
            min_job_age_seconds: Some(300),
            accounting: true,
            accounting_lag_seconds: 0,
            max_array_size: Some(1001),
            clock_skew_seconds: 0,
            uid: 1000,
            max_submitted: None,
        }
    }
}

/// What the submitting side left on the cluster for one token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Marker {
    /// A claim and nothing more.
    Claimed { since: Timestamp },
    /// The scheduler printed an id.
    Accepted { job: JobId },
    /// The scheduler's message proves that there is no job.
    Refused { message: String, limit: bool },
    /// The scheduler's message proves nothing.
    Unclear { message: String },
}

/// The cluster. Serialized, it is a scenario with a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MockState {
    pub(super) format: u32,
    #[serde(default)]
    pub(super) settings: MockSettings,
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
    #[serde(default)]
    pub(super) faults: BTreeMap<Method, VecDeque<Fault>>,
    /// Hits every call whose own queue of faults is empty.
    #[serde(default)]
    pub(super) standing: Option<Fault>,
    #[serde(default)]
    pub(super) simulation: Option<Simulation>,
    /// Files that are there without a job having left them.
    #[serde(default)]
    pub(super) files: BTreeMap<Slug, BTreeSet<String>>,
    #[serde(default = "first_id")]
    pub(super) next_id: JobId,
    /// In the order of submission; a position never changes.
    #[serde(default)]
    pub(super) jobs: Vec<MockJob>,
    #[serde(default)]
    pub(super) markers: BTreeMap<Token, Marker>,
    #[serde(default)]
    pub(super) calls: BTreeMap<Method, u64>,
}

fn first_id() -> JobId {
    JobId::whole(1001).unwrap_or_else(|_| unreachable!("1001 is a job id"))
}

/// What `sbatch` prints when the controller does not answer in time; the job may exist.
const SOCKET_TIMED_OUT: &str =
    "Batch job submission failed: Socket timed out on send/recv operation";

impl Default for MockState {
    fn default() -> Self {
        Self {
            format: FORMAT,
            settings: MockSettings::default(),
            rules: Vec::new(),
            faults: BTreeMap::new(),
            standing: None,
            simulation: None,
            files: BTreeMap::new(),
            next_id: first_id(),
            jobs: Vec::new(),
            markers: BTreeMap::new(),
            calls: BTreeMap::new(),
        }
    }
}

/// One call: when, and with which fault.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) now: Timestamp,
    pub(super) fault: Fault,
}

impl MockState {
    /// The fault that hits the next call of `method`.
    pub(super) fn next_fault(&mut self, method: Method) -> Fault {
        let queued = self.faults.get_mut(&method).and_then(VecDeque::pop_front);
        let own = queued.or_else(|| self.standing.clone());
        match (own, &mut self.simulation) {
            (Some(fault), _) => fault,
            (None, Some(simulation)) => simulation.fault(method),
            (None, None) => Fault::Pass,
        }
    }

    /// The fault that hits this submission: its rule's, else the next of the method.
    pub(super) fn submission_fault(&mut self, request: &SubmitRequest) -> Fault {
        let known = self.markers.contains_key(&request.token);
        self.rules
            .iter_mut()
            .find(|rule| !known && rule.applies_to(request))
            .and_then(|rule| rule.faults.pop_front())
            .unwrap_or_else(|| self.next_fault(Method::Submit))
    }

    /// Submits. A token that has a marker is only looked up.
    pub(super) fn submit(&mut self, request: &SubmitRequest, ask: &Ask) -> Receipt {
        if self.markers.contains_key(&request.token) {
            return self.receipt(&request.token, Timestamp::MIN, ask);
        }
        if let Some(earlier) = self.earlier(request, ask.now) {
            return earlier;
        }
        let refused = match &ask.fault {
            Fault::Refused { message, limit } => Some((message.clone(), *limit)),
            _ => self.refusal(request, ask.now),
        };
        if let Some((message, limit)) = refused {
            let marker = Marker::Refused { message, limit };
            self.markers.insert(request.token.clone(), marker);
            return self.receipt(&request.token, Timestamp::MIN, ask);
        }
        let job = ask
            .fault
            .lets_job_start()
            .then(|| self.start(request, ask.now));
        let marker = match (&ask.fault, job) {
            (Fault::SocketTimeout { .. }, _) => Marker::Unclear {
                message: SOCKET_TIMED_OUT.to_owned(),
            },
            (Fault::ClaimedAndDead { .. }, _) | (_, None) => Marker::Claimed {
                since: self.cluster_time(ask),
            },
            (_, Some(job)) => Marker::Accepted { job },
        };
        let reply = match &ask.fault {
            Fault::UnclearReply => Receipt::Unproven {
                message: "the connection closed before the reply ended".to_owned(),
                at: self.cluster_time(ask),
            },
            _ => marker_receipt(&marker, self.cluster_time(ask)),
        };
        self.markers.insert(request.token.clone(), marker);
        reply
    }

    /// The job of an earlier submission of the same item that lives.
    fn earlier(&self, request: &SubmitRequest, now: Timestamp) -> Option<Receipt> {
        let lives = |position: usize, job: &MockJob| {
            let truth = job.whole(self.eligible(position, now), now);
            truth.state.finality() == Finality::Alive
        };
        self.jobs.iter().enumerate().find_map(|(position, job)| {
            let sent = job.request.as_ref()?;
            let is_of_item = sent.item.is_some()
                && (&sent.project, &sent.item) == (&request.project, &request.item);
            (is_of_item && lives(position, job)).then(|| Receipt::Earlier {
                job: job.id,
                token: sent.token.clone(),
                run: sent.run.clone(),
                intent_at: sent.intent_at,
                same: sent.fingerprint() == request.fingerprint(),
            })
        })
    }

    /// Why the scheduler would refuse, and whether waiting helps.
    fn refusal(&self, request: &SubmitRequest, now: Timestamp) -> Option<(String, bool)> {
        if request
            .after
            .iter()
            .any(|job| self.position(*job).is_none())
        {
            return Some(("Job dependency problem".to_owned(), false));
        }
        let limit = self.settings.max_submitted?;
        let queued = |(position, job): (usize, &MockJob)| match self.is_alive(position, now) {
            true => job.tasks.len().max(1),
            false => 0,
        };
        let tasks = array_tasks(&sbatch::parse(&request.script), &self.script_for(request));
        let wanted = tasks.len().max(1) + self.jobs.iter().enumerate().map(queued).sum::<usize>();
        (u32::try_from(wanted).unwrap_or(u32::MAX) > limit)
            .then(|| ("Job violates accounting/QOS policy".to_owned(), true))
    }

    /// Makes the job. The only place that does.
    fn start(&mut self, request: &SubmitRequest, now: Timestamp) -> JobId {
        let script = self.script_for(request);
        if let Some(rule) = self.rules.iter_mut().find(|rule| rule.applies_to(request)) {
            rule.spend();
        }
        let after = request
            .after
            .iter()
            .filter_map(|job| self.position(*job))
            .collect();
        let id = self.take_id();
        let mut job = MockJob::new(id, now, Some(request.clone()), script);
        job.after = after;
        self.jobs.push(job);
        id
    }

    /// Adds a job that nobody submitted through the port.
    pub(super) fn add_foreign(&mut self, name: &str, script: JobScript, now: Timestamp) -> JobId {
        let id = self.take_id();
        let mut job = MockJob::new(id, now, None, script);
        name.clone_into(&mut job.name);
        self.jobs.push(job);
        id
    }

    fn take_id(&mut self) -> JobId {
        let id = self.next_id.master();
        self.next_id = JobId::whole(id.base() + 1).unwrap_or_else(|_| first_id());
        id
    }

    fn script_for(&self, request: &SubmitRequest) -> JobScript {
        let rule = self.rules.iter().find(|rule| rule.applies_to(request));
        match (rule, &self.simulation) {
            (Some(rule), _) => rule.job.clone(),
            (None, Some(simulation)) => simulation.script_for(&request.token),
            (None, None) => JobScript::of([(1, "RUNNING"), (60, "COMPLETED")]),
        }
    }

    /// What the cluster knows of a token: its marker, or where that proves nothing, its job.
    pub(super) fn receipt(&self, token: &Token, since: Timestamp, ask: &Ask) -> Receipt {
        let Some(marker) = self.markers.get(token) else {
            return Receipt::Absent;
        };
        if matches!(marker, Marker::Claimed { .. } | Marker::Unclear { .. })
            && let Some(found) = self.find_by_token(token, since, ask)
        {
            return found;
        }
        marker_receipt(marker, self.cluster_time(ask))
    }

    fn find_by_token(&self, token: &Token, since: Timestamp, ask: &Ask) -> Option<Receipt> {
        let (position, job) = self
            .jobs
            .iter()
            .enumerate()
            .find(|(_, job)| job.token() == Some(token))?;
        let (source, _) = self.visible(position, ask)?;
        let submitted = job.submitted.saturating_add(self.skew(ask)).ok()?;
        (submitted >= since).then(|| Receipt::Accepted {
            job: job.id,
            cluster: None,
            how: match source {
                Source::Queue => FoundBy::Queue,
                Source::Accounting => FoundBy::Accounting,
            },
            remarks: String::new(),
        })
    }

    /// Who can be seen to know the job, and the moment that is told of: the queue until it forgets an ended
    /// job, then accounting, which is behind.
    pub(super) fn visible(&self, position: usize, ask: &Ask) -> Option<(Source, Timestamp)> {
        let job = self.jobs.get(position)?;
        let lag = match ask.fault {
            Fault::StaleAccounting { seconds } => seconds,
            _ => self.settings.accounting_lag_seconds,
        };
        if !matches!(ask.fault, Fault::StaleAccounting { .. }) && self.in_queue(position, ask.now) {
            return Some((Source::Queue, ask.now));
        }
        let told = earlier(ask.now, lag);
        (self.settings.accounting && job.submitted <= told).then_some((Source::Accounting, told))
    }

    /// Whether the queue listing shows the job.
    pub(super) fn in_queue(&self, position: usize, now: Timestamp) -> bool {
        self.jobs.get(position).is_some_and(|job| {
            let ended = job.whole(self.eligible(position, now), now).ended;
            match (ended, self.settings.min_job_age_seconds) {
                (Some(ended), Some(age)) => now < later(ended, age),
                _ => true,
            }
        })
    }

    fn is_alive(&self, position: usize, now: Timestamp) -> bool {
        self.jobs.get(position).is_some_and(|job| {
            let truth = job.whole(self.eligible(position, now), now);
            truth.state.finality() != Finality::Final
        })
    }

    /// When the job could start, as known at `now`; `None` while a job that it waits for has not completed.
    pub(super) fn eligible(&self, position: usize, now: Timestamp) -> Option<Timestamp> {
        let job = self.jobs.get(position)?;
        job.after.iter().try_fold(job.submitted, |start, earlier| {
            let truth = self
                .jobs
                .get(*earlier)?
                .whole(self.eligible(*earlier, now), now);
            let ended = truth.ended.filter(|_| truth.state == JobState::Completed)?;
            Some(start.max(ended))
        })
    }

    /// The newest job with this id: a reused id means the later one.
    pub(super) fn position(&self, id: JobId) -> Option<usize> {
        self.jobs.iter().rposition(|job| job.id == id.master())
    }

    /// Cancels, as far as it goes; an id that is not known or has ended is no error, as for `scancel`.
    pub(super) fn cancel(&mut self, ids: &[JobId], ask: &Ask) {
        if ask.fault == Fault::Ignored {
            return;
        }
        let by = self.settings.uid;
        for id in ids {
            if let Some(job) = self
                .position(*id)
                .and_then(|position| self.jobs.get_mut(position))
            {
                job.cancels.push(Cancel {
                    at: ask.now,
                    by,
                    task: task_of(*id),
                });
            }
        }
    }

    /// By how much the cluster's clock is ahead in this call.
    pub(super) fn skew(&self, ask: &Ask) -> SignedDuration {
        let more = match ask.fault {
            Fault::ClockSkew { seconds } => seconds,
            _ => 0,
        };
        SignedDuration::from_secs(self.settings.clock_skew_seconds.saturating_add(more))
    }

    /// The cluster's own time.
    fn cluster_time(&self, ask: &Ask) -> Timestamp {
        ask.now.saturating_add(self.skew(ask)).unwrap_or(ask.now)
    }

    /// How a moment is told in this call.
    pub(super) fn telling(&self, source: Source, of: Timestamp, ask: &Ask) -> Telling {
        Telling {
            source,
            of,
            at: ask.now,
            skew: self.skew(ask),
        }
    }
}

/// What a marker alone says, at this time of the cluster's clock.
fn marker_receipt(marker: &Marker, at: Timestamp) -> Receipt {
    match marker {
        Marker::Claimed { since } => Receipt::Claimed { since: *since, at },
        Marker::Accepted { job } => Receipt::Accepted {
            job: *job,
            cluster: None,
            how: FoundBy::Marker,
            remarks: String::new(),
        },
        Marker::Refused { message, limit } => Receipt::Refused {
            message: message.clone(),
            limit: *limit,
        },
        Marker::Unclear { message } => Receipt::Unproven {
            message: message.clone(),
            at,
        },
    }
}

/// `now` less so many seconds; a difference out of range is the beginning of time.
fn earlier(now: Timestamp, seconds: u64) -> Timestamp {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| now.checked_sub(SignedDuration::from_secs(seconds)).ok())
        .unwrap_or(Timestamp::MIN)
}
