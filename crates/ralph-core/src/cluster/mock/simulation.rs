//! The seedable simulator: outcomes, durations and faults drawn from a seed, the same for the same seed.
//!
//! What becomes of a job depends on the seed and its token alone, so it does not change when another job is
//! submitted before it. Faults depend on the seed and the number of the call. Nothing here is fit for secrets.

use serde::{Deserialize, Serialize};

use super::course::{JobScript, Step};
use super::fault::{Fault, Method};
use crate::id::Token;
use crate::job::{ExitInfo, JobState};

/// A source of outcomes and faults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulation {
    seed: u64,
    /// How many of a hundred calls are hit by a fault.
    #[serde(default)]
    fault_percent: u8,
    /// The calls so far.
    #[serde(default)]
    calls: u64,
}

impl Simulation {
    /// Outcomes from `seed`, without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            fault_percent: 0,
            calls: 0,
        }
    }

    /// Adds faults, to so many of a hundred calls.
    #[must_use]
    pub fn with_faults(self, percent: u8) -> Self {
        Self {
            fault_percent: percent,
            ..self
        }
    }

    /// What becomes of the job with this token.
    #[must_use]
    pub fn script_for(&self, token: &Token) -> JobScript {
        let mut draw = Draw(self.seed ^ fingerprint(token.as_str()));
        let outcome = draw.pick(&OUTCOMES);
        let waiting = draw.below(600);
        let mut script = JobScript::default();
        let mut at = waiting;
        for word in outcome {
            script.steps.push(Step {
                nodes: Some(format!("node{:03}", draw.below(40) + 1)),
                ..Step::new(at, JobState::parse(word))
            });
            at += 1 + draw.below(3_600);
        }
        let ended = script.steps.last().map_or(0, |step| step.after_seconds);
        script
            .last_step(|step| details(step, &mut draw))
            .prints(waiting, format!("run {token} starts\n"))
            .prints(ended, "last line\n")
    }

    /// What hits the next call of `method`.
    pub(super) fn fault(&mut self, method: Method) -> Fault {
        self.calls += 1;
        let mut draw = Draw(self.seed ^ self.calls.rotate_left(32));
        if draw.below(100) >= u64::from(self.fault_percent) {
            return Fault::Pass;
        }
        let seconds = 1 + draw.below(900);
        let coin = draw.below(2) == 0;
        draw.pick(&match method {
            Method::Submit => submission_faults(seconds, coin),
            Method::Observe | Method::Receipt => reading_faults(seconds, coin),
            _ => vec![
                Fault::BeforeSend,
                Fault::LostReply,
                Fault::NoSession,
                Fault::HalfReply,
            ],
        })
    }
}

/// What can hit a submission. No permanent refusal: a run that was refused for good proves nothing.
fn submission_faults(seconds: u64, accepted: bool) -> Vec<Fault> {
    vec![
        Fault::BeforeSend,
        Fault::LostReply,
        Fault::UnclearReply,
        Fault::SocketTimeout { accepted },
        Fault::ClaimedAndDead { accepted },
        Fault::Refused {
            message: "Job violates accounting/QOS policy".to_owned(),
            limit: true,
        },
        Fault::Garbage,
        Fault::NoSession,
        Fault::Slow { seconds },
    ]
}

/// What can hit a question about jobs. The clock is wrong by less than any tolerance for it.
fn reading_faults(seconds: u64, ahead: bool) -> Vec<Fault> {
    vec![
        Fault::BeforeSend,
        Fault::HalfReply,
        Fault::StaleAccounting { seconds },
        Fault::UnknownState {
            word: "EXPEDITING".to_owned(),
        },
        Fault::ClockSkew {
            seconds: if ahead { 5 } else { -5 },
        },
        Fault::Garbage,
        Fault::NoSession,
    ]
}

/// The words that a job goes through after it was pending; good ends stand more than once, to be likelier.
const OUTCOMES: [&[&str]; 24] = [
    &["RUNNING", "COMPLETED"],
    &["RUNNING", "COMPLETED"],
    &["RUNNING", "COMPLETED"],
    &["RUNNING", "COMPLETED"],
    &["CONFIGURING", "RUNNING", "COMPLETING", "COMPLETED"],
    &["RUNNING", "STAGE_OUT", "COMPLETED"],
    &["RUNNING", "RESIZING", "RUNNING", "COMPLETED"],
    &["RUNNING", "SUSPENDED", "RUNNING", "COMPLETED"],
    &["RUNNING", "FAILED"],
    &["RUNNING", "FAILED"],
    &["RUNNING", "COMPLETING", "FAILED"],
    &["RUNNING", "TIMEOUT"],
    &["RUNNING", "OUT_OF_MEMORY"],
    &["RUNNING", "CANCELLED"],
    &["CANCELLED"],
    &["RUNNING", "DEADLINE"],
    &["REVOKED"],
    &[
        "CONFIGURING",
        "BOOT_FAIL",
        "REQUEUED",
        "PENDING",
        "RUNNING",
        "COMPLETED",
    ],
    &["RUNNING", "NODE_FAIL"],
    &[
        "RUNNING",
        "NODE_FAIL",
        "REQUEUE_HOLD",
        "PENDING",
        "RUNNING",
        "COMPLETED",
    ],
    &[
        "RUNNING",
        "PREEMPTED",
        "REQUEUE_FED",
        "PENDING",
        "RUNNING",
        "FAILED",
    ],
    &["RUNNING", "SIGNALING", "STOPPED", "RUNNING", "COMPLETED"],
    &["RUNNING", "SPECIAL_EXIT"],
    &["RESV_DEL_HOLD", "PENDING", "RUNNING", "COMPLETED"],
];

/// What the scheduler tells of an end besides its word.
fn details(step: &mut Step, draw: &mut Draw) {
    match step.state {
        JobState::Failed => {
            let (code, signal) = draw.pick(&[(1, 0), (2, 0), (0, 53), (120, 0), (0, 11)]);
            step.exit = Some(ExitInfo { code, signal });
        }
        JobState::Cancelled => step.cancelled_by = Some(draw.pick(&[0, 1000, 61_001])),
        _ => {}
    }
}

/// The splitmix64 generator (Steele, Lea and Flood 2014): one word of state, good enough for outcomes.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let first = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let second = (first ^ (first >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        second ^ (second >> 31)
    }

    /// A number below `limit`; the bias of the remainder does not matter here.
    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// One of `values`, which is not empty.
    fn pick<T: Clone>(&mut self, values: &[T]) -> T {
        let index = self.below(values.len() as u64);
        values[usize::try_from(index).unwrap_or(0)].clone()
    }
}

/// The FNV-1a hash: the same on every machine and in every version, unlike the standard library's.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_splitmix64() {
        // The first outputs for seed 1234567, as the reference implementation prints them.
        let mut draw = Draw(1_234_567);
        assert_eq!(
            [draw.next(), draw.next(), draw.next()],
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }
}
