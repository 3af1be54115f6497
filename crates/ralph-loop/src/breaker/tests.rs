//! Rows 94 to 97 and 99 of the conformance table, as far as they are decisions, and the laws behind them.
//!
//! Rows 94 and 95 are meant to differ: there, an agent's words ("done" said twice, five "completion indicators", three
//! runs that only tested) ended the loop. Here an [`Observation`] has no words in it: only the plan can be done.

use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use ralph_core::store::atomic;
use ralph_core::time::{SignedDuration, Timestamp};

use super::files;
use super::{
    Admission, CallAnswer, Calls, Circuit, CircuitState, CostAnswer, CostCeiling, Observation,
    Thresholds,
};
use crate::outcome::{AttemptId, Outcome};

const THRESHOLDS: Thresholds = Thresholds {
    no_progress: 3,
    same_error: 5,
    permission_denials: 2,
    cooldown: Duration::from_secs(30 * 60),
    auto_reset: false,
};

fn at(minutes: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_mins(30_000_000 + minutes)
}

fn ended(outcome: Outcome, changed: bool, error: &str) -> Observation {
    Observation::of(outcome, changed, Some(error)).unwrap()
}

fn nothing() -> Observation {
    ended(Outcome::NoChange, false, "")
}

fn done() -> Observation {
    ended(Outcome::Done, true, "")
}

/// The states after each of the observations.
fn states(circuit: &mut Circuit, observations: &[Observation]) -> Vec<CircuitState> {
    let state = |observation: &Observation| {
        circuit.record(observation, &THRESHOLDS, at(0));
        circuit.state
    };
    observations.iter().map(state).collect()
}

fn opened() -> Circuit {
    let mut circuit = Circuit::new(at(0));
    states(&mut circuit, &[nothing(), nothing(), nothing()]);
    assert_eq!(circuit.state, CircuitState::Open);
    circuit
}

#[test]
fn it_opens_without_progress_and_progress_closes_a_half_open_one() {
    use CircuitState::{Closed, HalfOpen, Open};
    let mut circuit = Circuit::new(at(0));
    let observations = [
        nothing(),
        nothing(),
        done(),
        nothing(),
        nothing(),
        nothing(),
        done(),
    ];
    let expected = [Closed, HalfOpen, Closed, Closed, HalfOpen, Open, Open];
    assert_eq!(states(&mut circuit, &observations), expected);
    assert_eq!(circuit.reason, "no progress in 3 attempts in a row");
    assert_eq!((circuit.total_opens, circuit.last_progress_loop), (1, 7));
    assert_eq!(circuit.admits(), Admission::Refused);
}

#[test]
fn it_opens_after_the_same_error_and_not_after_different_ones() {
    let crash = |error: &str| ended(Outcome::Crashed, true, error);
    let mut circuit = Circuit::new(at(0));
    let different = ["a", "b", "a", "b", "a", "b"].map(crash);
    assert!(!states(&mut circuit, &different).contains(&CircuitState::Open));
    // Numbers, and places with a number in them, differ each time.
    let same: Vec<Observation> = (0..5)
        .map(|n| {
            crash(&format!(
                "Error at /tmp/w{n}/x.rs:{n}  line {n}: no such table"
            ))
        })
        .collect();
    let states = states(&mut circuit, &same);
    assert_eq!(states[3..], [CircuitState::Closed, CircuitState::Open]);
    assert_eq!(
        circuit.reason,
        "5 attempts in a row failed with: error at # line # no such table"
    );
}

#[test]
fn it_opens_after_two_refused_tools() {
    let denied = ended(Outcome::PermissionDenied, true, "Bash(make)");
    let mut circuit = Circuit::new(at(0));
    states(&mut circuit, &[denied.clone(), done(), denied.clone()]);
    assert_eq!(circuit.state, CircuitState::Closed);
    states(&mut circuit, &[denied]);
    assert_eq!(circuit.state, CircuitState::Open);
}

#[test]
fn limits_signals_and_delivery_say_nothing() {
    let all = [
        Outcome::DeliveryFailed,
        Outcome::UsageLimit,
        Outcome::Throttled,
        Outcome::Auth,
        Outcome::Budget,
        Outcome::Interrupted,
    ];
    for outcome in all {
        assert_eq!(
            Observation::of(outcome, false, Some("x")),
            None,
            "{outcome}"
        );
    }
}

/// 96.
#[test]
fn an_open_circuit_is_tried_again_after_its_time() {
    let mut circuit = opened();
    assert_eq!(circuit.retry_at(&THRESHOLDS), Some(at(30)));
    assert_eq!(circuit.start(&THRESHOLDS, at(29)), None);
    assert_eq!(circuit.state, CircuitState::Open);
    let transition = circuit.start(&THRESHOLDS, at(30)).unwrap();
    let (from, to) = (transition.from_state, transition.to_state);
    assert_eq!((from, to), (CircuitState::Open, CircuitState::HalfOpen));
    // One attempt decides: it may not be one of many.
    assert_eq!(circuit.admits(), Admission::Alone);
    let mut good = circuit.clone();
    states(&mut good, &[done()]);
    assert_eq!(
        (good.state, good.admits()),
        (CircuitState::Closed, Admission::Allowed)
    );
    states(&mut circuit, &[nothing()]);
    assert_eq!(
        (circuit.state, circuit.total_opens),
        (CircuitState::Open, 2)
    );
}

/// 96.
#[test]
fn a_clock_that_went_back_leaves_it_open_and_no_cooldown_opens_it_at_once() {
    let mut circuit = opened();
    assert_eq!(circuit.start(&THRESHOLDS, at(-500)), None);
    let at_once = Thresholds {
        cooldown: Duration::ZERO,
        ..THRESHOLDS
    };
    assert!(circuit.start(&at_once, at(-500)).is_some());
}

/// 96.
#[test]
fn without_its_time_of_opening_the_last_change_counts_and_without_both_it_stays() {
    let mut circuit = opened();
    circuit.opened_at = None;
    assert_eq!(circuit.clone().start(&THRESHOLDS, at(29)), None);
    assert!(circuit.clone().start(&THRESHOLDS, at(31)).is_some());
    circuit.last_change = "yesterday".to_owned();
    assert_eq!(circuit.start(&THRESHOLDS, at(9999)), None);
}

/// 96.
#[test]
fn a_reset_closes_it_and_keeps_how_often_it_was_open() {
    let auto = Thresholds {
        auto_reset: true,
        ..THRESHOLDS
    };
    let mut circuit = opened();
    assert!(circuit.start(&auto, at(1)).is_some());
    assert_eq!(
        (circuit.state, circuit.total_opens),
        (CircuitState::Closed, 1)
    );
    assert_eq!(circuit.consecutive_no_progress, 0);
    let mut circuit = opened();
    assert!(circuit.reset(at(1), "by hand").is_some());
    assert_eq!(circuit.reset(at(1), "by hand"), None);
    assert_eq!(
        (circuit.state, circuit.reason.as_str()),
        (CircuitState::Closed, "by hand")
    );
}

/// 74 and 96: the files have the names and shapes that they always had.
#[test]
fn the_state_of_the_old_loop_is_read_and_ours_has_its_shape() {
    let folder = tempfile::tempdir().unwrap();
    let control = folder.path();
    assert_eq!(files::load(control, at(0)).unwrap(), Circuit::new(at(0)));
    let put = |text: &str| {
        atomic::replace(&control.join(".circuit_breaker_state"), text.as_bytes()).unwrap();
        files::load(control, at(0)).unwrap()
    };
    let old = put(
        r#"{"state":"OPEN","last_change":"2026-01-01T10:00:00+00:00","consecutive_no_progress":3,
        "consecutive_same_error":0,"last_progress_loop":2,"total_opens":4,"reason":"x","current_loop":7,
        "opened_at":"2026-01-01T10:00:00+00:00","more":1}"#,
    );
    assert_eq!((old.state, old.total_opens), (CircuitState::Open, 4));
    assert!(old.retry_at(&THRESHOLDS).is_some());
    assert_eq!(put("{nonsense"), Circuit::new(at(0)));

    let mut circuit = Circuit::new(at(0));
    let observations = [nothing(), nothing(), nothing()];
    for observation in &observations {
        let transition = circuit.record(observation, &THRESHOLDS, at(0));
        files::save(control, &circuit, transition.as_ref()).unwrap();
    }
    assert_eq!(files::load(control, at(0)).unwrap(), circuit);
    let text = |name: &str| atomic::read_text(&control.join(name)).unwrap().unwrap();
    insta::assert_snapshot!(text(".circuit_breaker_state") + &text(".circuit_breaker_history"));
}

#[test]
fn the_history_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut circuit = opened();
    for _ in 0..110 {
        let closed = circuit.reset(at(0), "by hand");
        files::save(folder.path(), &circuit, closed.as_ref()).unwrap();
        circuit = opened();
        circuit.state = CircuitState::HalfOpen;
        let opened = circuit.record(&nothing(), &THRESHOLDS, at(0));
        files::save(folder.path(), &circuit, opened.as_ref()).unwrap();
    }
    let path = folder.path().join(".circuit_breaker_history");
    let history: Vec<serde_json::Value> =
        serde_json::from_str(&atomic::read_text(&path).unwrap().unwrap()).unwrap();
    assert_eq!(history.len(), 200);
    assert_eq!(history[199]["to_state"], "OPEN");
}

/// 97, and defect 8.10: the budget of calls is kept.
#[test]
fn calls_are_counted_by_the_clock_hour() {
    let now = at(20).to_zoned(TimeZone::UTC);
    let later = at(60).to_zoned(TimeZone::UTC);
    let calls = |count: &str| Calls::read(Some(count), Some("2027011520\n"));
    assert_eq!(now.strftime("%Y%m%d%H").to_string(), "2027011508");
    let hour = now.strftime("%Y%m%d%H").to_string();
    let this_hour = |count: &str| Calls::read(Some(count), Some(&hour));
    let wait = CallAnswer::Wait(Duration::from_secs(40 * 60));
    assert_eq!(this_hour("99\n").ask(Some(100), &now), CallAnswer::Allowed);
    assert_eq!(this_hour("100\n").ask(Some(100), &now), wait);
    assert_eq!(this_hour("100\n").ask(None, &now), CallAnswer::Allowed);
    assert_eq!(this_hour("100").ask(Some(100), &later), CallAnswer::Allowed);
    assert_eq!(calls("100").ask(Some(100), &now), CallAnswer::Allowed);
    assert_eq!(this_hour("many").ask(Some(1), &now), CallAnswer::Allowed);
    assert_eq!(
        Calls::read(None, None).ask(Some(1), &now),
        CallAnswer::Allowed
    );

    let folder = tempfile::tempdir().unwrap();
    let mut counted = files::load_calls(folder.path()).unwrap();
    counted.count(&now);
    counted.count(&now);
    files::save_calls(folder.path(), &counted).unwrap();
    let again = files::load_calls(folder.path()).unwrap();
    assert_eq!((again.made(&now), again.made(&later)), (2, 0));
    assert_eq!(again.ask(Some(2), &now), wait);
    assert_eq!(again, counted);
}

fn attempt(number: usize) -> AttemptId {
    format!("a{number}").parse().unwrap()
}

#[test]
fn money_is_set_aside_before_an_attempt_starts() {
    let mut money = CostCeiling::new(Some(10.0), Some(4.0));
    let ask = |money: &mut CostCeiling, number| money.reserve(&attempt(number));
    assert_eq!(ask(&mut money, 1), CostAnswer::Granted);
    assert_eq!(ask(&mut money, 1), CostAnswer::Granted);
    assert_eq!(ask(&mut money, 2), CostAnswer::Granted);
    assert_eq!(ask(&mut money, 3), CostAnswer::Wait);
    money.settle(&attempt(1), Some(1.0));
    assert_eq!(ask(&mut money, 3), CostAnswer::Granted);
    money.settle(&attempt(2), None);
    money.settle(&attempt(3), Some(f64::NAN));
    assert!((money.spent() - 9.0).abs() < 1e-9);
    assert_eq!(ask(&mut money, 4), CostAnswer::Exhausted);
}

#[test]
fn the_dearest_attempt_so_far_stands_for_the_next_and_no_ceiling_refuses_nothing() {
    let mut money = CostCeiling::new(Some(5.0), None);
    assert_eq!(money.reserve(&attempt(1)), CostAnswer::Granted);
    money.settle(&attempt(1), Some(3.0));
    assert_eq!(money.reserve(&attempt(2)), CostAnswer::Exhausted);
    let mut free = CostCeiling::new(None, Some(1e9));
    for number in 0..100 {
        assert_eq!(free.reserve(&attempt(number)), CostAnswer::Granted);
    }
}

#[test]
fn while_no_price_is_known_one_agent_at_a_time_runs() {
    let mut money = CostCeiling::new(Some(5.0), None);
    assert_eq!(money.reserve(&attempt(1)), CostAnswer::Granted);
    assert_eq!(money.reserve(&attempt(2)), CostAnswer::Wait);
    // One that says nothing, or ends before it has cost anything, leaves it unknown.
    money.settle(&attempt(1), None);
    assert_eq!(money.reserve(&attempt(2)), CostAnswer::Granted);
    assert_eq!(money.reserve(&attempt(3)), CostAnswer::Wait);
    money.settle(&attempt(2), Some(1.0));
    for number in 3..7 {
        assert_eq!(money.reserve(&attempt(number)), CostAnswer::Granted);
    }
    assert_eq!(money.reserve(&attempt(7)), CostAnswer::Wait);
}

#[test]
fn what_a_running_agent_tells_counts_before_it_ends() {
    let mut money = CostCeiling::new(Some(5.0), Some(1.0));
    assert_eq!(money.reserve(&attempt(1)), CostAnswer::Granted);
    money.told(&attempt(1), 0.5);
    money.told(&attempt(1), 4.5);
    money.told(&attempt(1), f64::NAN);
    money.told(&attempt(2), 9.0);
    assert!((money.reserved() - 4.5).abs() < 1e-9);
    assert_eq!(money.reserve(&attempt(2)), CostAnswer::Wait);
    money.settle(&attempt(1), None);
    assert!((money.spent() - 4.5).abs() < 1e-9);
    assert_eq!(money.reserve(&attempt(2)), CostAnswer::Exhausted);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn money_never_exceeds_the_ceiling_when_attempts_keep_to_theirs(
        steps in proptest::collection::vec((0_usize..8, 0_u8..2, 0.0_f64..1.0), 1..60),
        ceiling in 1.0_f64..10.0,
    ) {
        let mut money = CostCeiling::new(Some(ceiling), Some(1.0));
        let mut running = std::collections::BTreeSet::new();
        for (number, what, cost) in steps {
            if what == 0 {
                if money.reserve(&attempt(number)) == CostAnswer::Granted {
                    running.insert(number);
                }
            } else if running.remove(&number) {
                money.settle(&attempt(number), Some(cost));
            }
            prop_assert!(money.spent() + money.reserved() <= ceiling + 1e-9);
        }
    }

    #[test]
    fn it_is_open_exactly_when_a_row_of_failures_was_long_enough(
        changes in proptest::collection::vec(any::<bool>(), 1..30),
    ) {
        let mut circuit = Circuit::new(at(0));
        let mut row = 0;
        for changed in changes {
            let observation = ended(Outcome::NoChange, changed, "");
            circuit.record(&observation, &THRESHOLDS, at(0));
            row = if changed { 0 } else { row + 1 };
            if row == 3 {
                prop_assert_eq!(circuit.state, CircuitState::Open);
                break;
            }
            prop_assert_ne!(circuit.state, CircuitState::Open);
            prop_assert_eq!(circuit.state == CircuitState::HalfOpen, row == 2);
        }
    }
}
