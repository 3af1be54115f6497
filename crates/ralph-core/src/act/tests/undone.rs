//! An operation that took a job into the books is undone, and the project is dispatched again: the job that lives is never
//! submitted a second time, and one that was cancelled is not passed off as one that lives.

use super::lost_books::{all_lost, bed, jobs};
use super::{Bed, told};
use crate::backend::ClusterBackend as _;
use crate::cluster::mock::{Fault, Method};
use crate::id::{JobId, OpId};
use crate::job::{Finality, JobState};
use crate::journal::Journal;

const STATE: &str = "projects/p/.state/pipeline.json";

fn first() -> JobId {
    "1001".parse().unwrap()
}

/// Undoes the newest operations, so many of them, newest first.
fn undo(bed: &Bed, count: usize) {
    let journal = Journal::open(&bed.path("projects/p"));
    let newest: Vec<OpId> = journal
        .list()
        .unwrap()
        .into_iter()
        .rev()
        .map(|record| record.op)
        .collect();
    assert!(newest.len() >= count, "{newest:?}");
    for op in &newest[..count] {
        journal.undo(op, &bed.env).unwrap();
    }
}

/// How a job came into the books.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// By its submission.
    Submitted,
    /// The reply was lost, and the next dispatch found the job by its token.
    Found,
    /// The books were lost, and the cluster named the job when its item was to be submitted again.
    TakenOver,
    /// The books were lost, and a person had the job put in.
    ByHand,
}

impl Way {
    async fn go(self, bed: &Bed) {
        match self {
            Self::Submitted => drop(bed.dispatch().await),
            Self::Found => {
                bed.cluster.fault(Method::Submit, Fault::LostReply);
                bed.dispatch().await;
                bed.wait(5);
                bed.dispatch().await;
            }
            Self::TakenOver => {
                bed.dispatch().await;
                all_lost(bed, "RUN");
                bed.dispatch().await;
            }
            Self::ByHand => {
                bed.dispatch().await;
                all_lost(bed, "RUN");
                bed.dispatcher()
                    .adopt(&"p".parse().unwrap(), first())
                    .await
                    .unwrap();
            }
        }
        let state = bed.read(STATE);
        assert!(state.contains("1001"), "{self:?}: {state}");
    }
}

const WAYS: [Way; 4] = [Way::Submitted, Way::Found, Way::TakenOver, Way::ByHand];

#[tokio::test]
async fn a_job_that_lives_is_taken_in_again_when_its_adoption_was_undone() {
    for way in WAYS {
        // The operation that took it in, and then also the one that announced its submission.
        let most = if matches!(way, Way::ByHand) { 1 } else { 2 };
        for count in 1..=most {
            let bed = bed();
            way.go(&bed).await;
            undo(&bed, count);
            assert!(
                !bed.read(STATE).contains("\"1001\""),
                "{way:?} {count}: {}",
                bed.read(STATE)
            );
            for _ in 0..2 {
                bed.wait(5);
                let report = bed.dispatch().await;
                assert_eq!(jobs(&bed), 1, "{way:?} {count}: {}", told(&report));
            }
            let runs = bed.state("p")["active_runs"].clone();
            assert_eq!(runs[0]["job_id"], "1001", "{way:?} {count}");
            assert_eq!(runs.as_array().map(Vec::len), Some(1), "{way:?} {count}");
        }
    }
}

#[tokio::test]
async fn a_job_that_was_cancelled_is_not_taken_for_alive_when_its_adoption_was_undone() {
    for way in WAYS {
        let most = if matches!(way, Way::ByHand) { 1 } else { 2 };
        for count in 1..=most {
            let bed = bed();
            way.go(&bed).await;
            undo(&bed, count);
            bed.cluster.cancel(&[first()]).await.unwrap();
            bed.wait(5);
            let is_over = bed
                .cluster
                .true_state(first())
                .map(|state| state.finality());
            assert_eq!(is_over, Some(Finality::Final), "{way:?} {count}");
            let mut last = String::new();
            for _ in 0..3 {
                bed.wait(5);
                last = told(&bed.dispatch().await);
            }
            // Where the token that it was sent with is still known, its end is written down; else nobody speaks of it any
            // more, and the item is submitted as the queue says.
            let is_known = matches!(way, Way::Submitted | Way::Found) && count == 1;
            let second = bed.cluster.true_state("1002".parse().unwrap());
            assert_eq!(second.is_none(), is_known, "{way:?} {count}: {last}");
            assert_eq!(bed.cluster.true_state(first()), Some(JobState::Cancelled));
            let state = bed.state("p");
            let (list, job) = match is_known {
                true => ("completed_runs", "1001"),
                false => ("active_runs", "1002"),
            };
            assert_eq!(state[list][0]["job_id"], job, "{way:?} {count}: {last}");
        }
    }
}
