//! Submitting one item: ledger and intent on disk, then the cluster, then the books. Exactly once.
//!
//! A crash at any instruction leaves either no intent, or an intent that the next verification settles by
//! looking before it acts.

use std::collections::BTreeMap;

use crate::act::commit::{Committed, commit};
use crate::act::preflight::{self, Prepared};
use crate::act::{ActError, Dispatcher};
use crate::backend::{ClusterBackend, Receipt, SubmitRequest};
use crate::classify::{FailureClass, RetryPolicy};
use crate::crash_point;
use crate::id::{JobId, QueueId, RunId};
use crate::pipeline::RunStatus;
use crate::project;
use crate::settle::submission;
use crate::time::{Timestamp, compact};
use crate::world::{Facts, Intent};

/// What came of an attempt to submit.
#[derive(Debug)]
pub(crate) struct Submitted {
    /// One sentence.
    pub(crate) outcome: String,
    /// The job.
    pub(crate) job: Option<JobId>,
    /// What changed on disk.
    pub(crate) committed: Committed,
    /// Whether the outcome is not known yet (exit code 25).
    pub(crate) unclear: bool,
}

impl Dispatcher {
    /// Submits an item of a project whose lock is held.
    pub(crate) async fn submit(
        &self,
        facts: &Facts,
        item: &QueueId,
        attempt: u32,
    ) -> Result<Submitted, ActError> {
        let backend = self.backend()?;
        let folder = project::folder(&self.root, &facts.slug);
        let found = facts.item(item.as_str()).ok_or_else(|| ActError::NoItem {
            slug: facts.slug.clone(),
            item: item.to_string(),
        })?;
        let live = live_by_partition(facts);
        let prepared = preflight::prepare(
            found,
            &folder,
            self.git.as_ref(),
            &self.settings.partitions,
            &live,
        )
        .await;
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(problems) => {
                let committed = commit(
                    &folder,
                    submission::preflight_failed(facts, item, &problems, self.env.now()),
                    &self.env,
                )?;
                let outcome = format!("{item} cannot be submitted: {}", problems.join("; "));
                return Err(ActError::Preflight {
                    outcome,
                    files: committed.files,
                    op: committed.op,
                });
            }
        };
        let intent = self.intent(facts, item, attempt, prepared);
        crash_point!("submit.before_intent");
        let mut committed = commit(
            &folder,
            submission::intended(facts, &intent, self.env.now()),
            &self.env,
        )?;
        crash_point!("submit.after_intent");
        let submitted = self.send(backend, facts, &intent).await?;
        committed.absorb(submitted.committed);
        Ok(Submitted {
            committed,
            ..submitted
        })
    }

    /// Sends an intent that is on disk, and settles what the cluster says.
    pub(crate) async fn send(
        &self,
        backend: &dyn ClusterBackend,
        facts: &Facts,
        intent: &Intent,
    ) -> Result<Submitted, ActError> {
        let receipt = backend.submit(&intent.request).await;
        crash_point!("submit.after_send");
        match receipt {
            Ok(receipt) => self.settle_receipt(facts, intent, &receipt),
            // It is not known what the cluster did: the intent stays and is looked for before anything else.
            Err(error) => Ok(Submitted {
                outcome: format!("{} is not settled: {error}", intent.request.run),
                job: None,
                committed: Committed::default(),
                unclear: true,
            }),
        }
    }

    /// Takes what the cluster said about an intent into the books.
    pub(crate) fn settle_receipt(
        &self,
        facts: &Facts,
        intent: &Intent,
        receipt: &Receipt,
    ) -> Result<Submitted, ActError> {
        let folder = project::folder(&self.root, &facts.slug);
        let now = self.env.now();
        let (changes, outcome, job, unclear) = match receipt {
            Receipt::Accepted { job, .. } => {
                let changes =
                    submission::accepted(facts, intent, receipt, &self.settings.poll, now);
                (
                    changes,
                    format!("{} is job {job}", intent.queue_id),
                    Some(*job),
                    false,
                )
            }
            Receipt::Refused { message, limit } => {
                let changes = submission::refused(facts, intent, message, *limit, now);
                let why = if *limit {
                    "a limit of the scheduler; it stays READY"
                } else {
                    "refused by the scheduler"
                };
                (
                    changes,
                    format!(
                        "{}: {why}: {}",
                        intent.queue_id,
                        submission::one_line(message)
                    ),
                    None,
                    false,
                )
            }
            Receipt::Absent | Receipt::Claimed { .. } | Receipt::Unclear { .. } => {
                let outcome = format!(
                    "{}: it is not known yet whether there is a job; the next dispatch looks",
                    intent.request.run
                );
                (submission::unsettled(facts, now), outcome, None, true)
            }
        };
        let committed = commit(&folder, changes, &self.env)?;
        crash_point!("submit.after_commit");
        Ok(Submitted {
            outcome,
            job,
            committed,
            unclear,
        })
    }

    fn intent(&self, facts: &Facts, item: &QueueId, attempt: u32, prepared: Prepared) -> Intent {
        let now = self.env.now();
        let run = new_run_id(facts, item, now);
        let mut variables = BTreeMap::new();
        if let Some(git) = &prepared.git {
            variables.insert("GIT_URL".to_owned(), git.url.clone());
            variables.insert("GIT_SHA".to_owned(), git.sha.clone());
        }
        let request = SubmitRequest {
            token: self.env.ids.token(&run),
            project: facts.slug.clone(),
            script_path: prepared.script_path,
            script: prepared.script,
            script_sha256: prepared.script_sha256,
            config_path: prepared.config_path,
            config: prepared.config,
            variables,
            git: prepared.git,
            // An item is READY only when what it depends on is done.
            after: Vec::new(),
            exclude: exclude(facts, item),
            intent_at: now,
            run,
        };
        Intent {
            version: 1,
            queue_id: item.clone(),
            attempt,
            request,
        }
    }
}

/// `q001_20260112_233413`, with a letter where two fall into one second (incident 44).
fn new_run_id(facts: &Facts, item: &QueueId, now: Timestamp) -> RunId {
    let stem = format!(
        "{}_{}",
        item.as_str().to_lowercase().replace('-', ""),
        compact(now)
    );
    let runs = facts
        .view
        .active_runs
        .iter()
        .chain(&facts.view.completed_runs);
    let taken: Vec<&str> = runs.filter_map(|run| run.key.run_id.as_deref()).collect();
    let mut candidates =
        std::iter::once(stem.clone()).chain(('b'..='z').map(|letter| format!("{stem}{letter}")));
    let free = candidates
        .find(|candidate| !taken.contains(&candidate.as_str()))
        .unwrap_or(stem);
    free.parse()
        .unwrap_or_else(|_| unreachable!("a queue id and a time are a path segment"))
}

/// Nodes on which this item failed for the node's own reasons: not again there (incident 66).
fn exclude(facts: &Facts, item: &QueueId) -> Vec<String> {
    let own = facts
        .view
        .completed_runs
        .iter()
        .filter(|run| run.queue_id.as_deref() == Some(item.as_str()));
    let of_the_node = |class: &str| {
        FailureClass::from_name(class).is_some_and(|class| {
            matches!(
                class.retry(),
                RetryPolicy::Once {
                    suggest_exclude: true
                }
            )
        })
    };
    let failed = own.filter(|run| run.failure_class.as_deref().is_some_and(of_the_node));
    let mut nodes: Vec<String> = failed.filter_map(|run| run.nodes.clone()).collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

fn live_by_partition(facts: &Facts) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let live = facts
        .view
        .active_runs
        .iter()
        .filter(|run| run.status == RunStatus::Live);
    for partition in live.filter_map(|run| run.partition.clone()) {
        *counts.entry(partition).or_insert(0) += 1;
    }
    counts
}
