//! `MockCluster`: a cluster in memory, on a clock that is moved by hand, that does what a script says.
//!
//! It is for tests, for simulation and for a rehearsal of the real thing. Jobs go through any states, arrays
//! have tasks, logs grow, accounting is behind the queue, ids are reused, and every call can be hit by a
//! [`Fault`]. It counts what it was asked, and never starts a second job for a token, whatever the faults: that
//! is the contract under test, so the mock must not be what breaks it.
//!
//! What becomes of a submission is decided by the first [`Rule`] that applies, else drawn by a [`Simulation`],
//! else the job runs for a minute and completes. The whole cluster is one JSON text ([`scenario`]), so that it
//! can live on between processes.
//!
//! Nothing here sleeps, reads a file, or reads any clock but the one it was given.

mod course;
mod fault;
mod job;
mod port;
mod rule;
pub mod scenario;
mod simulation;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use course::{Artifact, JobScript, LogPart, Step};
pub use fault::{Fault, Method};
pub use rule::Rule;
pub use scenario::ScenarioError;
pub use simulation::Simulation;
pub use state::MockSettings;

use self::state::MockState;
use crate::backend::{BackendError, SubmitRequest};
use crate::id::{JobId, RunId, Slug, Token};
use crate::job::JobState;
use crate::time::{Clock, ManualClock, Timestamp};

/// A cluster in memory.
#[derive(Debug)]
pub struct MockCluster {
    time: Time,
    state: Mutex<MockState>,
    keeper: Option<Keeper>,
}

/// The clock, and whether it can be moved.
#[derive(Debug)]
enum Time {
    Virtual(Arc<ManualClock>),
    Given(Arc<dyn Clock>),
}

impl Time {
    fn now(&self) -> Timestamp {
        match self {
            Self::Virtual(clock) => clock.now(),
            Self::Given(clock) => clock.now(),
        }
    }

    /// Lets a slow reply take its time, which only a virtual clock can do without anybody waiting.
    fn pass(&self, seconds: u64) {
        if let Self::Virtual(clock) = self {
            clock.advance(Duration::from_secs(seconds));
        }
    }
}

/// Takes the saved cluster and puts it somewhere.
type Keep = dyn Fn(&str) -> Result<(), BackendError> + Send + Sync;

/// Who is given the saved cluster after every change.
struct Keeper(Box<Keep>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

impl MockCluster {
    /// An empty cluster on a virtual clock; a slow reply moves the clock on.
    #[must_use]
    pub fn new(clock: Arc<ManualClock>) -> Self {
        Self {
            time: Time::Virtual(clock),
            state: Mutex::default(),
            keeper: None,
        }
    }

    /// A cluster from a [`scenario`] or from what [`MockCluster::save`] gave; its jobs go on with `clock`.
    ///
    /// # Errors
    /// The text is neither, or a newer version wrote it.
    pub fn from_scenario(text: &str, clock: Arc<dyn Clock>) -> Result<Self, ScenarioError> {
        Ok(Self {
            time: Time::Given(clock),
            state: Mutex::new(scenario::read(text)?),
            keeper: None,
        })
    }

    /// The whole cluster as a text for [`MockCluster::from_scenario`].
    #[must_use]
    pub fn save(&self) -> String {
        saved(&self.state())
    }

    /// Hands the saved cluster to `keep` after every call that reached it and before the reply is given, so
    /// that no job is lost when the process is killed. An error of `keep` becomes the call's.
    #[must_use]
    pub fn kept_by(
        self,
        keep: impl Fn(&str) -> Result<(), BackendError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            keeper: Some(Keeper(Box::new(keep))),
            ..self
        }
    }

    /// Draws what no rule decides.
    #[must_use]
    pub fn simulated(self, simulation: Simulation) -> Self {
        self.state().simulation = Some(simulation);
        self
    }

    /// Changes what is fixed about the cluster.
    pub fn set(&self, change: impl FnOnce(&mut MockSettings)) {
        change(&mut self.state().settings);
    }

    /// Adds a rule behind the others.
    pub fn rule(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// Puts a fault at the end of those that wait for the calls of `method`.
    pub fn fault(&self, method: Method, fault: Fault) {
        self.state()
            .faults
            .entry(method)
            .or_default()
            .push_back(fault);
    }

    /// Sets or clears the fault of every call that has none of its own.
    pub fn standing_fault(&self, fault: Option<Fault>) {
        self.state().standing = fault;
    }

    /// Sets the id of the next job; one that was given before is reused.
    pub fn next_id(&self, id: JobId) {
        self.state().next_id = id.master();
    }

    /// Adds a job of this user that was not submitted through the port.
    pub fn add_foreign(&self, name: &str, script: JobScript) -> JobId {
        self.state().add_foreign(name, script, self.time.now())
    }

    /// Puts a file into the project's folder.
    pub fn add_file(&self, project: &Slug, path: &str) {
        let mut state = self.state();
        let files = state.files.entry(project.clone()).or_default();
        files.insert(path.to_owned());
    }

    /// How often a method was called, faults included.
    #[must_use]
    pub fn calls(&self, method: Method) -> u64 {
        self.state().calls.get(&method).copied().unwrap_or(0)
    }

    /// The jobs that were ever started for a token, as the scheduler counts them: the exactly-once assertion.
    #[must_use]
    pub fn jobs_for_token(&self, token: &Token) -> Vec<JobId> {
        self.jobs_where(|request| request.token == *token)
    }

    /// The jobs that were ever started for a run, under whichever token.
    #[must_use]
    pub fn jobs_for_run(&self, run: &RunId) -> Vec<JobId> {
        self.jobs_where(|request| request.run == *run)
    }

    /// What a job was submitted with; `None` for a job that did not come through the port.
    #[must_use]
    pub fn request(&self, job: JobId) -> Option<SubmitRequest> {
        let state = self.state();
        let found = state.jobs.get(state.position(job)?)?;
        found.request.clone()
    }

    /// What is true of a job now, whatever the cluster says of it; `None` for an id that was never given.
    #[must_use]
    pub fn true_state(&self, job: JobId) -> Option<JobState> {
        let now = self.time.now();
        let state = self.state();
        let position = state.position(job)?;
        let truth = state.jobs.get(position)?;
        Some(truth.whole(state.eligible(position, now), now).state)
    }

    fn jobs_where(&self, wanted: impl Fn(&SubmitRequest) -> bool) -> Vec<JobId> {
        self.state()
            .jobs
            .iter()
            .filter(|job| job.request.as_ref().is_some_and(&wanted))
            .map(|job| job.id)
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, MockState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn saved(state: &MockState) -> String {
    serde_json::to_string_pretty(state)
        .unwrap_or_else(|_| unreachable!("every key of the state is a text"))
}
