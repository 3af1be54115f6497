//! From an agent's end to what is done with its work. Pure.

use crate::agent::Ending;
use crate::outcome::{Hang, Outcome, Verdict};
use crate::pool::schedule::Ended;

/// Why a loop stops whose account is refused.
pub(super) const NO_LOGIN: &str = "the agent's account is not logged in, or not paid";

/// What is done with an attempt whose agent has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Its work is checked and delivered, if there is any.
    Check,
    /// It is over; work that is there is kept on its branch.
    Over {
        /// Its outcome.
        outcome: Outcome,
        /// Why, in words.
        reason: String,
        /// What that means for the task.
        ended: Ended,
        /// Why the loop stops, when this can only happen again.
        halt: Option<String>,
    },
}

/// Judges an end. An agent that has given a good result and does not go away has done its work: it is ended, and the
/// work is checked like any other (claude-code 25629).
#[must_use]
pub fn judge(ending: Ending, verdict: &Verdict) -> Judgement {
    match (ending, verdict) {
        (Ending::Stopped, _) => after(Outcome::Interrupted, "stopped by us", Ended::Untried),
        (Ending::Own | Ending::Hung(Hang::AfterResult), Verdict::Finished) => Judgement::Check,
        (Ending::Hung(hang), Verdict::Finished | Verdict::Crashed { .. }) => {
            after(Outcome::Hung, words(hang), Ended::Tried)
        }
        // It counts: an agent that ends its guard does so each time.
        (Ending::Unguarded, Verdict::Finished | Verdict::Crashed { .. }) => {
            after(Outcome::Crashed, "somebody ended its guard", Ended::Tried)
        }
        (_, verdict) => of_verdict(verdict),
    }
}

fn words(hang: Hang) -> &'static str {
    match hang {
        Hang::Wall => "its time was over",
        Hang::Idle => "it gave no sign of life",
        Hang::AfterResult => "it did not end after its result",
    }
}

fn of_verdict(verdict: &Verdict) -> Judgement {
    match verdict {
        Verdict::Finished => Judgement::Check,
        Verdict::UsageLimit { message, .. } => after(Outcome::UsageLimit, message, Ended::Untried),
        Verdict::Throttled { message, .. } => after(Outcome::Throttled, message, Ended::Untried),
        Verdict::Auth { message } => halting(Outcome::Auth, message, NO_LOGIN),
        // Tried again it would end the same way; it counts for the task, though not for the budget.
        Verdict::Budget { message } => after(Outcome::Budget, message, Ended::Tried),
        Verdict::PermissionDenied { what } => after(Outcome::PermissionDenied, what, Ended::Tried),
        Verdict::NeedsInput { prompt } => after(
            Outcome::NoChange,
            &format!("needs input: {prompt}"),
            Ended::NeedsPerson,
        ),
        Verdict::Blocked { reason } => after(
            Outcome::NoChange,
            &format!("blocked: {reason}"),
            Ended::NeedsPerson,
        ),
        Verdict::ConfigError { message } => halting(
            Outcome::ConfigError,
            message,
            "the agent cannot be started as configured",
        ),
        Verdict::Crashed { message } => after(Outcome::Crashed, message, Ended::Tried),
    }
}

fn after(outcome: Outcome, reason: &str, ended: Ended) -> Judgement {
    Judgement::Over {
        outcome,
        reason: reason.to_owned(),
        ended,
        halt: None,
    }
}

fn halting(outcome: Outcome, reason: &str, halt: &str) -> Judgement {
    Judgement::Over {
        outcome,
        reason: reason.to_owned(),
        ended: Ended::Untried,
        halt: Some(format!("{halt}: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(ending: Ending, verdict: &Verdict) -> Option<(Outcome, Ended)> {
        match judge(ending, verdict) {
            Judgement::Check => None,
            Judgement::Over { outcome, ended, .. } => Some((outcome, ended)),
        }
    }

    #[test]
    fn an_end_of_ours_is_never_the_agents_fault() {
        let crashed = Verdict::Crashed {
            message: "signal 15".to_owned(),
        };
        let stopped = outcome(Ending::Stopped, &crashed);
        assert_eq!(stopped, Some((Outcome::Interrupted, Ended::Untried)));
        let hung = outcome(Ending::Hung(Hang::Idle), &crashed);
        assert_eq!(hung, Some((Outcome::Hung, Ended::Tried)));
        assert_eq!(
            outcome(Ending::Hung(Hang::Wall), &Verdict::Finished),
            Some((Outcome::Hung, Ended::Tried))
        );
    }

    #[test]
    fn an_agent_that_ends_its_guard_has_had_its_attempt_and_is_not_tried_for_ever() {
        let killed = Verdict::Crashed {
            message: "signal 9".to_owned(),
        };
        for verdict in [&killed, &Verdict::Finished] {
            let unguarded = outcome(Ending::Unguarded, verdict);
            assert_eq!(unguarded, Some((Outcome::Crashed, Ended::Tried)));
        }
    }

    #[test]
    fn a_result_outranks_a_process_that_does_not_go_away() {
        assert_eq!(
            outcome(Ending::Hung(Hang::AfterResult), &Verdict::Finished),
            None
        );
    }

    #[test]
    fn limits_do_not_spend_and_a_wrong_start_stops_the_loop() {
        let limit = Verdict::UsageLimit {
            resets_at: None,
            window: None,
            message: "limit".to_owned(),
        };
        let (of_limit, ended) = outcome(Ending::Own, &limit).expect("over");
        assert!(!of_limit.spends() && ended == Ended::Untried);
        let wrong = Verdict::ConfigError {
            message: "unknown option".to_owned(),
        };
        let Judgement::Over { halt, .. } = judge(Ending::Own, &wrong) else {
            panic!("over");
        };
        assert!(halt.is_some_and(|halt| halt.contains("unknown option")));
    }

    #[test]
    fn a_limit_that_ends_in_a_hang_is_a_limit() {
        let limit = Verdict::UsageLimit {
            resets_at: None,
            window: None,
            message: "limit".to_owned(),
        };
        let (found, _) = outcome(Ending::Hung(Hang::Idle), &limit).expect("over");
        assert_eq!(found, Outcome::UsageLimit);
    }
}
