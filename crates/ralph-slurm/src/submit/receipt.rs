//! What a receipt on the cluster says, and what follows from it together with the queue and accounting. Pure.

use std::collections::BTreeSet;

use ralph_core::backend::{BackendError, FoundBy, Receipt};
use ralph_core::id::{JobId, Token};
use ralph_core::time::Timestamp;

use crate::parse::{Verdict, accepted_job, judge};

/// What stands in a token's folder, or what a submission answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    state: State,
    said: String,
    complained: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// No folder.
    Absent,
    /// The repository's folder is gone, and with it every claim.
    Rootless,
    /// A folder without a result.
    Claimed(Timestamp),
    /// `sbatch` ended with this code.
    Ran(i32),
    /// Not submitted, and waiting helps: a dependency that cannot be checked yet, a full disk.
    Waits,
    /// Not submitted: a failed dependency, a syntax error, a preflight that the scheduler refused.
    Stopped,
    /// Not submitted: a job of an earlier submission of the item lives.
    Earlier(Receipt),
    /// The scheduler's preflight complained.
    Preflight,
    /// Not a word that this version knows.
    Unreadable(String),
}

impl Marker {
    /// Reads the first line's words and the `out` and `err` lines.
    pub(super) fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        for line in lines {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("out", rest) => said.push(rest),
                ("err", rest) => complained.push(rest),
                _ => {}
            }
        }
        Self {
            state: State::parse(first),
            said: said.join("\n"),
            complained: complained.join("\n"),
        }
    }

    /// What it says by itself, without a look at the queue, at this time of the cluster's clock.
    pub(super) fn receipt(&self, at: Timestamp) -> Receipt {
        let message = || self.complained.trim().to_owned();
        match &self.state {
            State::Absent => Receipt::Absent,
            State::Rootless => Receipt::Unreadable {
                message: "the repository's folder is not on the cluster, so no receipt can be seen"
                    .to_owned(),
            },
            State::Claimed(since) => Receipt::Claimed { since: *since, at },
            State::Ran(0) => match accepted_job(&self.said) {
                Some((job, cluster)) => Receipt::Accepted {
                    job,
                    cluster,
                    how: FoundBy::Marker,
                    remarks: message(),
                },
                None => Receipt::Nameless {
                    message: format!(
                        "sbatch reported success without a job id: `{}` {}",
                        self.said.trim(),
                        message()
                    ),
                },
            },
            State::Ran(code) => match judge(&self.complained) {
                Verdict::Refused => Receipt::Refused {
                    message: message(),
                    limit: false,
                },
                Verdict::Limit => Receipt::Refused {
                    message: message(),
                    limit: true,
                },
                Verdict::Unclear => Receipt::Unproven {
                    message: format!("sbatch ended with {code}: {}", message()),
                    at,
                },
            },
            State::Waits => Receipt::Refused {
                message: message(),
                limit: true,
            },
            State::Stopped => Receipt::Refused {
                message: message(),
                limit: false,
            },
            State::Earlier(receipt) => receipt.clone(),
            // The real submission was not tried, so whatever the preflight met, no job exists.
            State::Preflight => Receipt::Refused {
                limit: judge(&self.complained) != Verdict::Refused,
                message: message(),
            },
            State::Unreadable(word) => Receipt::Unreadable {
                message: format!("the receipt on the cluster cannot be read: `{word}`"),
            },
        }
    }
}

impl State {
    fn parse(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let (word, value) = (words.next().unwrap_or_default(), words.next());
        let unreadable = || Self::Unreadable(line.chars().take(80).collect());
        match word {
            "absent" => Self::Absent,
            "rootless" => Self::Rootless,
            "claimed" => value
                .and_then(|seconds| seconds.parse().ok())
                .and_then(|seconds| Timestamp::from_second(seconds).ok())
                .map_or_else(unreadable, Self::Claimed),
            "ran" => value
                .and_then(|code| code.parse().ok())
                .map_or_else(unreadable, Self::Ran),
            "storage" | "unsent" | "item" => Self::Waits,
            "earlier" => earlier(line).map_or_else(unreadable, Self::Earlier),
            "dependency" if value == Some("wait") => Self::Waits,
            "dependency" | "syntax" => Self::Stopped,
            "preflight" => Self::Preflight,
            _ => unreadable(),
        }
    }
}

/// `earlier JOB TOKEN same|other SECONDS RUN`.
fn earlier(line: &str) -> Option<Receipt> {
    let mut words = line.splitn(6, ' ').skip(1);
    Some(Receipt::Earlier {
        job: words.next()?.parse().ok()?,
        token: words.next()?.parse().ok()?,
        same: words.next()? == "same",
        intent_at: Timestamp::from_second(words.next()?.parse().ok()?).ok()?,
        run: words.next()?.parse().ok()?,
    })
}

/// Everything that one look learned about a token.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) marker: Marker,
    /// When it was found, by the cluster's clock.
    pub(super) at: Timestamp,
    /// Jobs of the queue that carry the token, or why the queue cannot be known.
    pub(super) queue: Result<Vec<JobId>, String>,
    /// Jobs of accounting that carry the token, or why accounting cannot be known.
    pub(super) accounting: Result<Vec<JobId>, String>,
}

/// The masters of the jobs that these lines name after the token, each once.
///
/// # Errors
/// There is none, and a job that may be the one is not told apart yet.
pub(super) fn jobs_of(token: &Token, text: &str) -> Result<Vec<JobId>, String> {
    let named = |wanted: &str| -> Vec<JobId> {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let jobs = lines
            .filter(|(word, _)| *word == wanted)
            .filter_map(|(_, job)| {
                let digits: String = job.chars().take_while(char::is_ascii_digit).collect();
                digits.parse().ok()
            });
        let jobs: BTreeSet<JobId> = jobs.collect();
        jobs.into_iter().collect()
    };
    let jobs = named(token.as_str());
    match named("?").first() {
        Some(job) if jobs.is_empty() => {
            Err(format!("the command line of job {job} is not there yet"))
        }
        _ => Ok(jobs),
    }
}

/// The verdict about a token. The marker is believed where it proves something; where it does not, the queue and
/// accounting are, and only both together prove that there is no job.
pub(super) fn conclude(findings: &Findings) -> Result<Receipt, BackendError> {
    let own = findings.marker.receipt(findings.at);
    let is_proof = match &own {
        Receipt::Accepted { .. } | Receipt::Refused { .. } | Receipt::Earlier { .. } => true,
        Receipt::Absent
        | Receipt::Claimed { .. }
        | Receipt::Unproven { .. }
        | Receipt::Nameless { .. }
        | Receipt::Unreadable { .. } => false,
    };
    if is_proof {
        return Ok(own);
    }
    let queued = findings.queue.iter().flatten().copied();
    let accounted = findings.accounting.iter().flatten().copied();
    let mut jobs: Vec<(JobId, FoundBy)> = queued
        .map(|job| (job, FoundBy::Queue))
        .chain(accounted.map(|job| (job, FoundBy::Accounting)))
        .collect();
    jobs.sort_by_key(|(job, _)| *job);
    jobs.dedup_by_key(|(job, _)| *job);
    match (jobs.as_slice(), &findings.queue, &findings.accounting) {
        ([(job, how)], ..) => Ok(Receipt::Accepted {
            job: *job,
            cluster: None,
            how: *how,
            remarks: findings.marker.complained.trim().to_owned(),
        }),
        // No receipt: one that is unclear is given up in the end, as if there were no job.
        ([first, .., last], ..) => Err(BackendError::Garbled {
            detail: format!(
                "more than one job carries this token, from {} to {}; cancel the ones that are not wanted by hand",
                first.0, last.0
            ),
        }),
        ([], Err(why), _) => Err(unreachable(format!("squeue failed: {why}"))),
        ([], Ok(_), _) if own == Receipt::Absent => Ok(own),
        ([], Ok(_), Err(why)) => Err(unreachable(format!(
            "whether the submission started a job cannot be proven without accounting, and sacct failed: {why}"
        ))),
        ([], Ok(_), Ok(_)) => Ok(own),
    }
}

fn unreachable(detail: String) -> BackendError {
    BackendError::Unreachable { detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u64) -> JobId {
        JobId::whole(number).unwrap()
    }

    fn verdict(
        marker: &str,
        queue: Result<&[u64], &str>,
        accounting: Result<&[u64], &str>,
    ) -> String {
        let jobs = |found: Result<&[u64], &str>| {
            found
                .map(|jobs| jobs.iter().map(|n| job(*n)).collect())
                .map_err(str::to_owned)
        };
        let found = conclude(&Findings {
            marker: Marker::parse(marker),
            at: Timestamp::UNIX_EPOCH,
            queue: jobs(queue),
            accounting: jobs(accounting),
        });
        match found {
            Ok(Receipt::Accepted { job, how, .. }) => format!("accepted {job} {how:?}"),
            Ok(Receipt::Refused { limit, .. }) => format!("refused limit={limit}"),
            Ok(Receipt::Claimed { .. }) => "claimed".to_owned(),
            Ok(Receipt::Unproven { .. }) => "unproven".to_owned(),
            Ok(Receipt::Nameless { .. }) => "nameless".to_owned(),
            Ok(Receipt::Unreadable { .. }) => "unreadable".to_owned(),
            Ok(Receipt::Earlier { job, run, same, .. }) => {
                format!("earlier {job} {run} same={same}")
            }
            Ok(Receipt::Absent) => "absent".to_owned(),
            Err(_) => "could not ask".to_owned(),
        }
    }

    #[test]
    fn every_row_of_the_verdict_table() {
        let timed_out = "ran 1\nerr sbatch: error: Batch job submission failed: Socket timed out on send/recv operation";
        let refused = "ran 1\nerr sbatch: error: invalid partition specified: nosuch";
        let limit = "ran 1\nerr sbatch: error: QOSMaxSubmitJobPerUserLimit";
        let none: Result<&[u64], &str> = Ok(&[]);
        let down: Result<&[u64], &str> = Err("down");
        let table = [
            ("absent", none, none, "absent"),
            ("absent", none, down, "absent"),
            ("absent", down, none, "could not ask"),
            ("absent", Ok(&[7][..]), none, "accepted 7 Queue"),
            ("rootless", none, none, "unreadable"),
            ("rootless", none, down, "could not ask"),
            ("rootless", none, Ok(&[7][..]), "accepted 7 Accounting"),
            ("ran 0\nout 7", down, down, "accepted 7 Marker"),
            ("ran 0\nout no id here", none, none, "nameless"),
            (refused, down, down, "refused limit=false"),
            (limit, down, down, "refused limit=true"),
            (timed_out, none, none, "unproven"),
            (timed_out, none, down, "could not ask"),
            (timed_out, down, none, "could not ask"),
            (timed_out, down, Ok(&[7][..]), "accepted 7 Accounting"),
            (timed_out, Ok(&[7][..]), Ok(&[7][..]), "accepted 7 Queue"),
            (timed_out, Ok(&[7, 9][..]), none, "could not ask"),
            ("claimed 1795184202", none, none, "claimed"),
            ("claimed 1795184202", Ok(&[7][..]), down, "accepted 7 Queue"),
            ("claimed 1795184202", none, down, "could not ask"),
            (
                "storage\nerr No space left on device",
                none,
                none,
                "refused limit=true",
            ),
            (
                "dependency wait\nerr wait: job 5 is NODE_FAIL",
                none,
                none,
                "refused limit=true",
            ),
            (
                "dependency no\nerr no: job 5 is FAILED",
                none,
                none,
                "refused limit=false",
            ),
            (
                "preflight\nerr sbatch: error: Unable to contact slurm controller",
                none,
                none,
                "refused limit=true",
            ),
            (
                "preflight\nerr allocation failure: Invalid qos specification",
                none,
                none,
                "refused limit=false",
            ),
            (
                "earlier 77 t-9 same 1795184202 läufe, alle zusammen",
                down,
                down,
                "earlier 77 läufe, alle zusammen same=true",
            ),
            (
                "earlier 77 t-9 other 1795184202 r1",
                down,
                down,
                "earlier 77 r1 same=false",
            ),
            ("earlier 77", none, none, "unreadable"),
            (
                "item\nerr it is being submitted already, as t-9",
                none,
                none,
                "refused limit=true",
            ),
            ("quantum", none, none, "unreadable"),
        ];
        for (marker, queue, accounting, expected) in table {
            assert_eq!(
                verdict(marker, queue, accounting),
                expected,
                "{marker} {queue:?} {accounting:?}"
            );
        }
    }

    #[test]
    fn jobs_are_found_by_their_token_and_each_once() {
        let text = "t-1 12_[0-3]\nt-1 12_7\nt-2 16+0\n? 40\nslurm: error\n";
        let jobs = |token: &str| jobs_of(&token.parse().unwrap(), text);
        assert_eq!(jobs("t-1"), Ok(vec![job(12)]));
        assert_eq!(jobs("t-2"), Ok(vec![job(16)]));
        // Job 40 may be it.
        assert!(jobs("t-3").is_err());
        assert_eq!(jobs_of(&"t-3".parse().unwrap(), "t-1 12\n"), Ok(Vec::new()));
    }
}
