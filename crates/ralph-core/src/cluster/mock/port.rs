//! The cluster port over the mock's state: each call is counted, hit by its fault, carried out, kept, answered.
//!
//! What is true is changed in [`super::state`]; here it is only told, as whole, late, cut or wrong as the fault
//! wants it.

use async_trait::async_trait;

use super::fault::{Fault, Method};
use super::job::{Source, task_of};
use super::state::{Ask, MockState};
use super::{MockCluster, saved};
use crate::backend::{
    BackendError, Capabilities, ClusterBackend, FetchReport, FetchRequest, Receipt, SubmitRequest,
};
use crate::id::{JobId, Slug, Token};
use crate::job::{JobQuery, JobReport, JobState, Observation, Sighting};
use crate::time::Timestamp;

impl MockCluster {
    fn call<T>(
        &self,
        method: Method,
        fault: impl FnOnce(&mut MockState) -> Fault,
        act: impl FnOnce(&mut MockState, &Ask) -> T,
    ) -> Result<T, BackendError> {
        let mut state = self.state();
        *state.calls.entry(method).or_default() += 1;
        let ask = Ask {
            fault: fault(&mut state),
            now: self.time.now(),
        };
        let answer = match ask.fault.prevents(&state.settings.host) {
            Some(error) => Err(error),
            None => Ok(act(&mut state, &ask)),
        };
        if let Some(keeper) = &self.keeper {
            keeper.0(&saved(&state))?;
        }
        drop(state);
        if let Fault::Slow { seconds } = ask.fault {
            self.time.pass(seconds);
        }
        match ask.fault.spoils(method) {
            Some(error) if answer.is_ok() => Err(error),
            _ => answer,
        }
    }

    fn ask<T>(
        &self,
        method: Method,
        act: impl FnOnce(&mut MockState, &Ask) -> T,
    ) -> Result<T, BackendError> {
        self.call(method, |state| state.next_fault(method), act)
    }
}

#[async_trait]
impl ClusterBackend for MockCluster {
    fn kind(&self) -> &'static str {
        "mock"
    }

    async fn check(&self) -> Result<(), BackendError> {
        self.ask(Method::Check, |_, _| ())
    }

    async fn capabilities(&self) -> Result<Capabilities, BackendError> {
        self.ask(Method::Capabilities, |state, _| Capabilities {
            version: state.settings.version.clone(),
            accounting: state.settings.accounting,
            min_job_age_seconds: state.settings.min_job_age_seconds,
            max_array_size: state.settings.max_array_size,
        })
    }

    async fn submit(&self, request: &SubmitRequest) -> Result<Receipt, BackendError> {
        self.call(
            Method::Submit,
            |state| state.submission_fault(request),
            |state, ask| state.submit(request, ask),
        )
    }

    async fn receipt(&self, token: &Token, since: Timestamp) -> Result<Receipt, BackendError> {
        self.ask(Method::Receipt, |state, ask| {
            state.receipt(token, since, ask)
        })
    }

    async fn observe(&self, jobs: &[JobQuery]) -> Result<Vec<Observation>, BackendError> {
        self.ask(Method::Observe, |state, ask| observations(state, jobs, ask))
    }

    async fn cancel(&self, jobs: &[JobId]) -> Result<(), BackendError> {
        self.ask(Method::Cancel, |state, ask| state.cancel(jobs, ask))
    }

    async fn fetch(&self, request: &FetchRequest) -> Result<FetchReport, BackendError> {
        self.ask(Method::Fetch, |state, ask| fetched(state, request, ask))
    }

    async fn jobs(&self) -> Result<Vec<JobReport>, BackendError> {
        self.ask(Method::Jobs, |state, ask| queue_listing(state, ask))
    }

    async fn existing(&self, project: &Slug, paths: &[String]) -> Result<Vec<bool>, BackendError> {
        self.ask(Method::Existing, |state, ask| {
            let exists = |path: &String| file_exists(state, project, path, ask.now);
            paths.iter().map(exists).collect()
        })
    }
}

/// One observation per query; a cut reply leaves the second half unknown.
fn observations(state: &MockState, jobs: &[JobQuery], ask: &Ask) -> Vec<Observation> {
    let told = match ask.fault {
        Fault::HalfReply => jobs.len() / 2,
        _ => jobs.len(),
    };
    let mut strange = match &ask.fault {
        Fault::UnknownState { word } => Some(JobState::Other(word.clone())),
        _ => None,
    };
    let sighting = |(index, query): (usize, &JobQuery)| {
        let mut sighting = if index < told {
            sighting(state, query, ask)
        } else {
            Sighting::Unknown {
                why: "the reply ends before this job".to_owned(),
            }
        };
        if let Sighting::Seen(report) = &mut sighting
            && let Some(word) = strange.take()
        {
            report.state = word;
        }
        Observation {
            job: query.job,
            sighting,
            at: ask.now,
        }
    };
    jobs.iter().enumerate().map(sighting).collect()
}

/// The newest job that the query can mean, as the queue or else accounting tells it.
fn sighting(state: &MockState, query: &JobQuery, ask: &Ask) -> Sighting {
    let candidates = (0..state.jobs.len()).rev();
    candidates
        .filter_map(|position| row(state, position, query, ask))
        .next()
        .map_or_else(
            || absent(state, ask),
            |report| Sighting::Seen(Box::new(report)),
        )
}

/// The row of one job, when the query can mean it: the same id, token and task, and submitted late enough.
fn row(state: &MockState, position: usize, query: &JobQuery, ask: &Ask) -> Option<JobReport> {
    let job = state.jobs.get(position)?;
    let ours = job.id == query.job.master()
        && (query.token.is_none() || query.token.as_ref() == job.token());
    let (source, of) = ours.then(|| state.visible(position, ask)).flatten()?;
    let eligible = state.eligible(position, of);
    let telling = state.telling(source, of, ask);
    let report = match task_of(query.job) {
        Some(task) if job.tasks.contains(&task) => job.task_report(task, eligible, telling),
        Some(_) => return None,
        None => job.report(eligible, telling),
    };
    let late_enough = query
        .submitted_after
        .is_none_or(|after| report.submitted.is_some_and(|submitted| submitted >= after));
    late_enough.then_some(report)
}

/// Nobody knows the job; without an answer of the queue, that is no absence.
fn absent(state: &MockState, ask: &Ask) -> Sighting {
    if matches!(ask.fault, Fault::StaleAccounting { .. }) {
        return Sighting::Unknown {
            why: "the queue did not answer".to_owned(),
        };
    }
    let accounting = state.settings.accounting.then_some(Source::Accounting);
    Sighting::Absent {
        asked: [Source::Queue]
            .into_iter()
            .chain(accounting)
            .map(|source| source.as_str().to_owned())
            .collect(),
    }
}

/// Every job that the queue shows, ours or not.
fn queue_listing(state: &MockState, ask: &Ask) -> Vec<JobReport> {
    let copies = match ask.fault {
        Fault::DuplicateRows => 2,
        _ => 1,
    };
    let telling = state.telling(Source::Queue, ask.now, ask);
    state
        .jobs
        .iter()
        .enumerate()
        .filter(|(position, _)| state.in_queue(*position, ask.now))
        .map(|(position, job)| job.report(state.eligible(position, ask.now), telling))
        .flat_map(|report| std::iter::repeat_n(report, copies))
        .collect()
}

/// The piece of the log that was asked for; a cut reply brings its first half.
fn fetched(state: &MockState, request: &FetchRequest, ask: &Ask) -> FetchReport {
    let nothing = FetchReport {
        path: None,
        bytes: Vec::new(),
        offset: 0,
        size: None,
    };
    let Some(position) = state.position(request.job) else {
        return nothing;
    };
    let eligible = state.eligible(position, ask.now);
    let log = state.jobs.get(position).and_then(|job| {
        let text = job.log(request.stream, request.job, eligible, ask.now)?;
        Some((job.log_path(request.stream, request.job), text.into_bytes()))
    });
    let Some((path, text)) = log else {
        return nothing;
    };
    let size = match ask.fault {
        Fault::ShorterLog => text.len() as u64 / 2,
        _ => text.len() as u64,
    };
    let offset = request.part.begins(size, request.limit);
    let wanted = request.limit.min(size - offset);
    let brought = match ask.fault {
        Fault::HalfReply => wanted / 2,
        _ => wanted,
    };
    let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
    FetchReport {
        bytes: text[index(offset)..index(offset + brought)].to_vec(),
        path: Some(path),
        offset,
        size: Some(size),
    }
}

fn file_exists(state: &MockState, project: &Slug, path: &str, now: Timestamp) -> bool {
    let placed = state
        .files
        .get(project)
        .is_some_and(|files| files.contains(path));
    placed
        || state.jobs.iter().enumerate().any(|(position, job)| {
            job.project() == Some(project) && job.has_left(path, state.eligible(position, now), now)
        })
}
