//! Submitting one item: ledger and intent on disk, then the cluster, then the books. Exactly once.
//!
//! A crash at any instruction leaves either no intent, or an intent that the next verification settles by
//! looking before it acts.

use std::collections::BTreeMap;
use std::path::Path;

use ralph_docs::queue::QueueItem;

use crate::act::commit::{Committed, commit, on_disk, refused};
use crate::act::finding::NOTHING_IS_LOST;
use crate::act::outbox::Seat;
use crate::act::preflight::{self, Prepared};
use crate::act::{ActError, Dispatcher, limits};
use crate::backend::{ClusterBackend, Receipt, SubmitRequest};
use crate::change::ChangeSet;
use crate::classify::{FailureClass, RetryPolicy};
use crate::crash_point;
use crate::error::Code;
use crate::id::{JobId, QueueId, RunId};
use crate::project;
use crate::report::Problem;
use crate::sbatch;
use crate::settle::{submission, words};
use crate::store::{atomic, layout};
use crate::time::{Timestamp, compact};
use crate::world::{Facts, INTENT_VERSION, Intent};

/// What a caller adds to a script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// Variables for the job.
    pub variables: BTreeMap<String, String>,
    /// Jobs that must have succeeded before.
    pub after: Vec<JobId>,
    /// Nodes to avoid.
    pub exclude: Vec<String>,
}

/// What is to be submitted.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// The id of the item.
    pub(crate) id: QueueId,
    /// The item.
    pub(crate) item: &'a QueueItem,
    /// Which attempt at it, from 1.
    pub(crate) attempt: u32,
    /// What the caller adds.
    pub(crate) extras: Extras,
    /// Whether it is sent also when the scheduler refused the very same before, since a person asks for it.
    pub(crate) again: bool,
}

impl<'a> Wanted<'a> {
    /// An item of the queue, as it is.
    ///
    /// # Errors
    /// The queue has none with this id, or two.
    pub(crate) fn of_queue(facts: &'a Facts, id: &QueueId, attempt: u32) -> Result<Self, ActError> {
        let item = facts.item(id.as_str()).ok_or_else(|| ActError::NoItem {
            slug: facts.slug.clone(),
            item: id.to_string(),
        })?;
        Ok(Self {
            id: id.clone(),
            item,
            attempt,
            extras: Extras::default(),
            again: false,
        })
    }
}

/// What came of an attempt to submit.
#[derive(Debug)]
pub(crate) struct Submitted {
    /// One sentence.
    pub(crate) outcome: String,
    /// The job.
    pub(crate) job: Option<JobId>,
    /// What changed on disk.
    pub(crate) committed: Committed,
    /// Refused, or not known yet (exit codes 24 and 25). A limit is no problem: the item waits.
    pub(crate) problem: Option<Problem>,
}

/// What a receipt means for the books.
#[derive(Debug)]
pub(crate) struct Settlement {
    /// What changes.
    pub(crate) changes: ChangeSet,
    /// One sentence.
    pub(crate) outcome: String,
    /// The job.
    pub(crate) job: Option<JobId>,
    /// As in [`Submitted`].
    pub(crate) problem: Option<Problem>,
}

impl Dispatcher {
    /// Submits an item of a project whose lock is held; with a seat, together with those of other projects.
    pub(crate) async fn submit(
        &self,
        facts: &Facts,
        wanted: Wanted<'_>,
        seat: Option<Seat>,
    ) -> Result<Submitted, ActError> {
        let backend = self.backend()?;
        let folder = project::folder(&self.root, &facts.slug);
        let item = &wanted.id;
        let prepared = match self.prepare(facts, &wanted).await {
            Ok(prepared) => prepared,
            Err(problems) => {
                let now = self.env.now();
                let changes = submission::preflight_failed(facts, item, &problems, now);
                let committed = commit(&folder, changes, &self.env)?;
                return Err(ActError::Preflight {
                    outcome: format!("{item} cannot be submitted: {}", problems.join("; ")),
                    files: committed.files,
                    op: committed.op,
                });
            }
        };
        if let Some(refused) = self.refused_before(facts, &wanted, &prepared.script_sha256) {
            return Err(refused);
        }
        if let Some(full) = self.limit_reached(&prepared.script)? {
            let changes = submission::limited(facts, item, self.env.now());
            return Ok(Submitted {
                outcome: format!("{item} stays READY: {full}"),
                job: None,
                committed: commit(&folder, changes, &self.env)?,
                problem: None,
            });
        }
        let intent = self.intent(facts, wanted, prepared);
        self.can_be_written_down(facts, &intent)?;
        crash_point!("submit.before_intent");
        let intended = submission::intended(facts, &intent, self.env.now());
        let mut committed = commit(&folder, intended, &self.env)?;
        crash_point!("submit.after_intent");
        let submitted = self.send(backend, facts, &intent, seat).await?;
        committed.absorb(submitted.committed);
        Ok(Submitted {
            committed,
            ..submitted
        })
    }

    /// The preflight, and whether the books can be kept: an item that the queue would go on to call READY would be
    /// submitted again.
    async fn prepare(&self, facts: &Facts, wanted: &Wanted<'_>) -> Result<Prepared, Vec<String>> {
        let folder = project::folder(&self.root, &facts.slug);
        let policy = &self.settings.partitions;
        let item = &wanted.id;
        let prepared = preflight::prepare(
            wanted.item,
            &facts.queue,
            &folder,
            self.git.as_ref(),
            policy,
            &self.guard_program,
        )
        .await?;
        let moved = submission::moved_on(item, "run", "job");
        let changes = ChangeSet {
            project: facts.slug.clone(),
            summary: String::new(),
            // A script that no item means is in no section that it could stay in.
            files: facts
                .item(item.as_str())
                .map(|_| moved)
                .into_iter()
                .collect(),
        };
        let refused: Vec<String> = refused(&changes, &on_disk(&folder)).into_values().collect();
        if !refused.is_empty() {
            return Err(refused);
        }
        Ok(prepared)
    }

    /// What the scheduler has refused of an item and would refuse again. The question stays as it was put: it is what
    /// keeps the same script from being sent again.
    fn refused_before(&self, facts: &Facts, wanted: &Wanted<'_>, script: &str) -> Option<ActError> {
        let input = &facts.view.needs_user_input;
        let as_refused = submission::refusal_of(&wanted.id, script);
        let prompt = input.prompt.as_deref().unwrap_or_default();
        (!wanted.again && input.value && input.set_by.as_ref() == Some(&as_refused)).then(|| ActError::Preflight {
            outcome: format!(
                "{prompt} (its script has not changed since; `ralph submit --project {} --queue-id {}` sends it as it is)",
                facts.slug, wanted.id
            ),
            files: Vec::new(),
            op: None,
        })
    }

    /// Whether the state file takes what this submission will have to write into it. A job that runs and stands nowhere
    /// is worse than one that waits: nothing is sent before.
    pub(super) fn can_be_written_down(
        &self,
        facts: &Facts,
        intent: &Intent,
    ) -> Result<(), ActError> {
        let folder = project::folder(&self.root, &facts.slug);
        let text = atomic::read_text(&folder.join(layout::PIPELINE))?;
        let books = submission::books(facts, intent, &self.settings.poll, self.env.now());
        match books.apply(text.as_deref()) {
            Ok(_) => Ok(()),
            Err(error) => Err(ActError::Edit {
                path: layout::PIPELINE.to_owned(),
                error,
            }),
        }
    }

    /// Whether `partitions.max_submit` leaves no room, over all projects (incident 37). Runs of people count too.
    fn limit_reached(&self, script: &str) -> Result<Option<String>, ActError> {
        let policy = &self.settings.partitions;
        if policy.max_submit.is_empty() {
            return Ok(None);
        }
        let world = project::load_all(&self.root, &self.slugs()?);
        let live = limits::live_by_partition(&world);
        Ok(limits::full(&sbatch::parse(script), policy, &live))
    }

    /// Sends an intent that is on disk, and settles what the cluster says.
    pub(crate) async fn send(
        &self,
        backend: &dyn ClusterBackend,
        facts: &Facts,
        intent: &Intent,
        seat: Option<Seat>,
    ) -> Result<Submitted, ActError> {
        let receipt = match seat {
            Some(seat) => seat.submit(intent.request.clone()).await,
            None => backend.submit(&intent.request).await,
        };
        crash_point!("submit.after_send");
        let settlement = match receipt {
            Ok(receipt) => self.settlement(facts, intent, &receipt),
            // It is not known what the cluster did: the intent stays and is looked for before anything else.
            Err(error) => unsettled(
                submission::unsettled(facts, self.env.now()),
                format!("{} is not settled: {error}", intent.request.run),
            ),
        };
        let folder = project::folder(&self.root, &facts.slug);
        let committed = commit(&folder, settlement.changes, &self.env)?;
        crash_point!("submit.after_commit");
        Ok(Submitted {
            outcome: settlement.outcome,
            job: settlement.job,
            committed,
            problem: settlement.problem,
        })
    }

    /// What the cluster said about an intent, for the books.
    pub(crate) fn settlement(
        &self,
        facts: &Facts,
        intent: &Intent,
        receipt: &Receipt,
    ) -> Settlement {
        let now = self.env.now();
        let item = &intent.queue_id;
        match receipt {
            Receipt::Accepted { job, remarks, .. } => Settlement {
                changes: submission::accepted(facts, intent, receipt, &self.settings.poll, now),
                outcome: match remarks.trim() {
                    "" => format!("{item} is job {job}"),
                    remarks => format!("{item} is job {job}; {}", words::one_line(remarks)),
                },
                job: Some(*job),
                problem: None,
            },
            Receipt::Refused { message, limit } => {
                let message = &with_exclusion(message, &intent.request.exclude);
                let why = match limit {
                    true => "a limit of the scheduler; it stays READY",
                    false => "refused by the scheduler",
                };
                let outcome = format!("{item}: {why}: {}", words::one_line(message));
                let hint = "Mend its script; a changed one is sent again by itself.";
                let refused = || Problem::new(Code::Refused, &outcome, Some(hint.to_owned()));
                Settlement {
                    changes: match limit {
                        true => submission::refused_by_limit(facts, intent, message, now),
                        false => submission::refused(facts, intent, message, now),
                    },
                    job: None,
                    problem: (!limit).then(refused),
                    outcome,
                }
            }
            Receipt::Earlier { job, run, .. } => {
                let poll = &self.settings.poll;
                let taken = submission::taken_over(facts, intent, receipt, poll, now);
                let why = submission::earlier_lives(facts, *job, run);
                let found =
                    format!("is job {job} already, by the run {run} that these books did not have");
                Settlement {
                    job: taken.is_some().then_some(*job),
                    outcome: match taken {
                        Some(_) => format!("{item} {found}"),
                        None => format!("{item} stays READY: {why}"),
                    },
                    changes: taken
                        .unwrap_or_else(|| submission::refused_by_limit(facts, intent, &why, now)),
                    problem: None,
                }
            }
            Receipt::Absent
            | Receipt::Claimed { .. }
            | Receipt::Unproven { .. }
            | Receipt::Nameless { .. }
            | Receipt::Unreadable { .. } => unsettled(
                submission::unsettled(facts, now),
                format!(
                    "{}: it is not known yet whether there is a job; the next dispatch looks",
                    intent.request.run
                ),
            ),
        }
    }

    pub(super) fn intent(&self, facts: &Facts, wanted: Wanted<'_>, prepared: Prepared) -> Intent {
        let now = self.env.now();
        let folder = project::folder(&self.root, &facts.slug);
        let run = new_run_id(facts, &folder, &wanted.id, now);
        let mut variables = wanted.extras.variables;
        if let Some(git) = &prepared.git {
            variables.insert("GIT_URL".to_owned(), git.url.clone());
            variables.insert("GIT_SHA".to_owned(), git.sha.clone());
        }
        let exclude = exclude(facts, &wanted.id, &prepared.script, wanted.extras.exclude);
        let request = SubmitRequest {
            token: self.env.ids.token(&run),
            item: Some(wanted.id.clone()),
            project: facts.slug.clone(),
            script_path: prepared.script_path,
            script: prepared.script,
            script_sha256: prepared.script_sha256,
            config_path: prepared.config_path,
            config: prepared.config,
            variables,
            git: prepared.git,
            // An item is READY only when what it depends on is done.
            after: wanted.extras.after,
            exclude,
            intent_at: now,
            run,
        };
        Intent {
            version: INTENT_VERSION,
            queue_id: wanted.id,
            attempt: wanted.attempt,
            request,
        }
    }
}

/// What was asked of the scheduler beside what the script says belongs to why it refused.
fn with_exclusion(message: &str, exclude: &[String]) -> String {
    match exclude {
        [] => message.to_owned(),
        nodes => format!("{message} (it was sent with --exclude={})", nodes.join(",")),
    }
}

fn unsettled(changes: ChangeSet, outcome: String) -> Settlement {
    let hint = Some(NOTHING_IS_LOST.to_owned());
    Settlement {
        changes,
        job: None,
        problem: Some(Problem::new(Code::Unclear, &outcome, hint)),
        outcome,
    }
}

/// `q001_20260112_233413`, with a letter where two fall into one second (incident 44). A run that was given up or
/// refused stands in no list, but its folder is taken.
fn new_run_id(facts: &Facts, folder: &Path, item: &QueueId, now: Timestamp) -> RunId {
    let stem = format!(
        "{}_{}",
        item.as_str().to_lowercase().replace('-', ""),
        compact(now)
    );
    let listed = || {
        let runs = facts.view.active_runs.iter();
        let runs = runs.chain(&facts.view.completed_runs);
        runs.filter_map(|run| run.key.run_id.as_deref())
    };
    let is_free = |id: &RunId| {
        let mut listed = listed();
        !listed.any(|taken| taken == id.as_str()) && !folder.join(layout::run_dir(id)).exists()
    };
    let letters = ('b'..='z').map(|letter| format!("{stem}{letter}"));
    let more = (1..).map(|number| format!("{stem}_{number}"));
    std::iter::once(stem.clone())
        .chain(letters)
        .chain(more)
        .filter_map(|candidate| candidate.parse().ok())
        .find(is_free)
        .unwrap_or_else(|| unreachable!("a queue id, a time and a number are a path segment"))
}

/// `nodes`, and those on which this item failed for the node's own reasons: not again there (incident 66), unless the
/// script itself names its nodes, which the scheduler refuses together with the opposite.
fn exclude(facts: &Facts, item: &QueueId, script: &str, mut nodes: Vec<String>) -> Vec<String> {
    if sbatch::last(&sbatch::parse(script), "nodelist").is_some() {
        return nodes;
    }
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
    nodes.extend(failed.filter_map(|run| run.nodes.clone()));
    nodes.sort();
    nodes.dedup();
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn where_an_item_failed_it_is_not_sent_again_unless_its_script_names_the_nodes() {
        let text = "//- p/.state/pipeline.json\n{\"phase\": \"RUN\", \"completed_runs\": [{\"run_id\": \"r1\", \
            \"job_id\": 7, \"queue_id\": \"Q-001\", \"status\": \"failed\", \"failure_class\": \"node_failure\", \
            \"nodes\": \"cpu02\"}]}\n";
        let fixture = Fixture::parse(text);
        let item = "Q-001".parse().unwrap();
        let excluded = |script: &str| exclude(&fixture.facts(), &item, script, Vec::new());
        assert_eq!(excluded("#!/bin/bash\n#SBATCH --time=1\n"), ["cpu02"]);
        assert!(excluded("#!/bin/bash\n#SBATCH -w cpu02\n").is_empty());
        assert!(excluded("#!/bin/bash\n#SBATCH --nodelist=cpu02\n").is_empty());
        assert_eq!(
            with_exclusion("no such node", &["cpu02".to_owned()]),
            "no such node (it was sent with --exclude=cpu02)"
        );
    }
}
