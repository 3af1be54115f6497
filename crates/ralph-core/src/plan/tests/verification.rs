//! What the cluster's answers mean, one pass after the other.

use std::time::Duration;

use crate::backend::Receipt;
use crate::fixture::Fixture;
use crate::id::Token;
use crate::plan::unsettled;
use crate::plan::verify::{self, RunVerdict};
use crate::time::SignedDuration;
use crate::world::{Facts, Intent, Observations};

/// Judges a project in several passes, each `minutes` after the one before, and shows every verdict.
fn passes(state: &str, minutes: i64, answers: &[&str]) -> Vec<String> {
    let text = format!(
        "//- p/.state/pipeline.json\n{{\"phase\": \"WAIT_SLURM\", \"active_runs\": [{state}]}}\n"
    );
    let mut fixture = Fixture::parse(&text);
    let mut facts = fixture.facts();
    let mut shown = Vec::new();
    for answer in answers {
        fixture.seen = Fixture::parse(&format!("//- cluster\n{answer}\n")).seen;
        let (findings, memory) = verify::runs(&facts, &fixture.seen, &fixture.context());
        let words: Vec<String> = findings
            .iter()
            .map(|finding| word(&finding.verdict))
            .collect();
        shown.push(words.join(", "));
        facts.sightings = memory;
        fixture.now += SignedDuration::from_mins(minutes);
    }
    shown
}

fn word(verdict: &RunVerdict) -> String {
    match verdict {
        RunVerdict::Alive { status, .. } => format!("alive {status}"),
        RunVerdict::Ended { reports } => format!("ended {}", verify::ended_status(reports)),
        RunVerdict::Lost { asked, .. } => format!("lost ({})", asked.join("+")),
        other => format!("{other:?}")
            .split([' ', '{'])
            .next()
            .unwrap()
            .to_lowercase(),
    }
}

fn one(answer: &str) -> String {
    passes("{\"run_id\": \"r\", \"job_id\": \"7\"}", 0, &[answer]).concat()
}

#[test]
fn every_state_is_alive_or_an_end() {
    for state in [
        "PENDING",
        "REQUEUED",
        "REQUEUE_HOLD",
        "SPECIAL_EXIT",
        "EXPEDITING",
        "RESV_DEL_HOLD",
    ] {
        assert!(one(&format!("7 {state}")).starts_with("alive"), "{state}");
    }
    for state in [
        "RUNNING",
        "SUSPENDED",
        "COMPLETING",
        "CONFIGURING",
        "STAGE_OUT",
        "STOPPED",
        "SIGNALING",
    ] {
        assert_eq!(one(&format!("7 {state}")), "alive running", "{state}");
    }
    for (state, word) in [
        ("COMPLETED", "completed"),
        ("FAILED", "failed"),
        ("OUT_OF_MEMORY", "failed"),
        ("DEADLINE", "failed"),
        ("TIMEOUT", "timeout"),
        ("CANCELLED", "cancelled"),
        ("REVOKED", "cancelled"),
    ] {
        assert_eq!(
            one(&format!("7 {state}")),
            format!("ended {word}"),
            "{state}"
        );
    }
}

#[test]
fn an_absence_is_confirmed_over_time_and_by_answers_only() {
    let run = "{\"run_id\": \"r\", \"job_id\": \"7\"}";
    let judged = |minutes, answers: &[&str]| passes(run, minutes, answers).join(" | ");
    insta::assert_snapshot!(judged(4, &["7 absent"; 5]), @"unconfirmed | unconfirmed | unconfirmed | lost (squeue+sacct) | lost (squeue+sacct)");
    insta::assert_snapshot!(judged(60, &["7 absent", "7 absent"]), @"unconfirmed | lost (squeue+sacct)");
    // One answer in between begins anew; a pass without an answer neither confirms nor refutes.
    insta::assert_snapshot!(judged(6, &["7 absent", "7 RUNNING", "7 absent", "7 absent", "7 absent"]), @"unconfirmed | alive running | unconfirmed | unconfirmed | lost (squeue+sacct)");
    insta::assert_snapshot!(judged(6, &["7 absent", "7 unknown", "8 RUNNING", "7 absent"]), @"unconfirmed | unknown | unknown | lost (squeue+sacct)");
}

#[test]
fn an_end_that_a_requeue_may_undo_is_believed_after_a_while() {
    let run = "{\"run_id\": \"r\", \"job_id\": \"7\"}";
    let text = format!(
        "//- p/.state/pipeline.json\n{{\"active_runs\": [{run}]}}\n//- cluster\n7 NODE_FAIL\n"
    );
    let mut fixture = Fixture::parse(&text);
    let mut facts = fixture.facts();
    let mut judge = |seconds: i64, ended: i64| {
        let crate::job::Sighting::Seen(report) =
            &mut fixture.seen.jobs.first_entry().unwrap().into_mut().sighting
        else {
            panic!("seen")
        };
        report.ended = Some(
            crate::fixture::NOW
                .parse::<crate::time::Timestamp>()
                .unwrap()
                + SignedDuration::from_secs(ended),
        );
        fixture.now = crate::fixture::NOW
            .parse::<crate::time::Timestamp>()
            .unwrap()
            + SignedDuration::from_secs(seconds);
        let (findings, memory) = verify::runs(&facts, &fixture.seen, &fixture.context());
        facts.sightings = memory;
        word(&findings[0].verdict)
    };
    assert_eq!(judge(0, 0), "settling");
    assert_eq!(judge(59, 0), "settling");
    assert_eq!(judge(60, 0), "ended failed");
    // A cluster whose clock is ahead does not delay it for ever.
    assert_eq!(judge(61, 3_600), "ended failed");
}

#[test]
fn a_run_of_many_jobs_lives_as_long_as_one_of_them() {
    let run = "{\"run_id\": \"r\", \"job_id\": \"1,2,3\"}";
    let judged = |answers: &[&str]| passes(run, 11, answers).join(" | ");
    insta::assert_snapshot!(judged(&["1 COMPLETED\n2 PENDING\n3 COMPLETED"]), @"alive running");
    insta::assert_snapshot!(judged(&["1 COMPLETED\n2 COMPLETED\n3 COMPLETED"]), @"ended completed");
    insta::assert_snapshot!(judged(&["1 COMPLETED\n2 TIMEOUT\n3 COMPLETED"]), @"ended timeout");
    // Records of the first may be purged while the last still runs.
    insta::assert_snapshot!(judged(&["1 absent\n2 absent\n3 RUNNING"; 3]), @"alive running | alive running | alive running");
    insta::assert_snapshot!(judged(&["1 absent\n2 COMPLETED\n3 COMPLETED"; 3]), @"unconfirmed | lost (squeue+sacct) | lost (squeue+sacct)");
    insta::assert_snapshot!(judged(&["1 COMPLETED\n2 unknown\n3 RUNNING"]), @"alive running");
    insta::assert_snapshot!(judged(&["1 COMPLETED\n2 unknown\n3 COMPLETED"]), @"unknown");
}

#[test]
fn an_array_ends_when_all_its_tasks_have() {
    assert_eq!(one("7 RUNNING 0=COMPLETED 1=RUNNING"), "alive running");
    assert_eq!(one("7 PENDING 0=COMPLETED 1=PENDING"), "alive running");
    assert_eq!(one("7 COMPLETED 0=COMPLETED 1=PENDING"), "alive running");
    assert_eq!(one("7 COMPLETED 0=COMPLETED 1=FAILED"), "ended failed");
    assert_eq!(
        one("7 COMPLETED 0=COMPLETED 1=COMPLETED"),
        "ended completed"
    );
}

#[test]
fn a_record_that_says_its_end_is_only_in_the_wrong_list() {
    let runs = [
        "completed",
        "failed",
        "timeout",
        "cancelled",
        "superseded",
        "pending",
        "??",
        "",
    ]
    .map(|status| {
        format!("{{\"run_id\": \"{status}\", \"job_id\": \"7\", \"status\": \"{status}\"}}")
    });
    insta::assert_snapshot!(passes(&runs.join(","), 0, &["7 RUNNING"]).concat(), @"misfiled, misfiled, misfiled, misfiled, misfiled, alive running, alive running, alive running");
    assert_eq!(passes("{\"run_id\": \"r\"}", 0, &["7 RUNNING"]), ["nojob"]);
}

/// Judges an unsettled submission in several passes.
fn submission(queue: &str, minutes: i64, answers: &[&str]) -> String {
    let text = format!(
        "//- p/.state/pipeline.json\n{{\"phase\": \"RUN\"}}\n//- p/documentation/queue.md\n{queue}\n"
    );
    let mut fixture = Fixture::parse(&text);
    let mut facts = fixture.facts();
    let intent = crate::settle::tests::intent("Q-001");
    facts.intents = vec![intent.clone()];
    let mut shown = Vec::new();
    for answer in answers {
        fixture.seen = Fixture::parse(&format!("//- cluster\n{answer}\n")).seen;
        for receipt in fixture.seen.receipts.values_mut() {
            if let Ok(Receipt::Claimed { at, .. } | Receipt::Unproven { at, .. }) = receipt {
                *at = fixture.now;
            }
        }
        shown.push(judged(&intent, &mut facts, &fixture.seen, &fixture));
        fixture.now += SignedDuration::from_mins(minutes);
    }
    shown.join(" | ")
}

fn judged(intent: &Intent, facts: &mut Facts, seen: &Observations, fixture: &Fixture) -> String {
    let token: &Token = &intent.request.token;
    let (verdict, sighted) = unsettled::intent(intent, facts, seen, fixture.now);
    facts.sightings.entries.remove(token.as_str());
    facts
        .sightings
        .entries
        .extend(sighted.map(|seen| (token.to_string(), seen)));
    format!("{verdict:?}")
        .split([' ', '{', '('])
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn a_submission_is_given_up_after_two_passes_that_both_clocks_hold_apart() {
    use unsettled::{Absence, Doubt, is_given_up};
    let table = [
        (Doubt::Unproven, 2, 120, 120, true),
        (Doubt::Unproven, 2, 119, 120, false),
        (Doubt::Unproven, 2, 120, 119, false),
        (Doubt::Unproven, 1, 9999, 9999, false),
        (Doubt::Unproven, 9, 9999, 3, false),
        (Doubt::Unproven, 9, 3, 9999, false),
        (Doubt::Claimed, 2, 599, 9999, false),
        (Doubt::Claimed, 2, 9999, 599, false),
        (Doubt::Claimed, 2, 600, 600, true),
        (Doubt::Claimed, 1, 600, 600, false),
    ];
    for (doubt, passes, here, there, expected) in table {
        let absence = Absence {
            passes,
            here: Duration::from_secs(here),
            there: Duration::from_secs(there),
        };
        assert_eq!(
            is_given_up(doubt, absence),
            expected,
            "{doubt:?} {absence:?}"
        );
    }
}

/// Seconds by this machine's clock and by the cluster's, of passes that see an unproven submission.
#[test]
fn a_clock_that_is_set_shortens_no_wait() {
    let shown = |passes: &[(i64, i64)]| {
        let mut fixture = Fixture::parse("//- p/.state/pipeline.json\n{\"phase\": \"RUN\"}\n");
        let intent = crate::settle::tests::intent("Q-001");
        let mut facts = fixture.facts();
        let start = fixture.now;
        let mut shown = Vec::new();
        for (here, there) in passes {
            fixture.now = start + SignedDuration::from_secs(*here);
            let receipt = Receipt::Unproven {
                message: "Socket timed out".to_owned(),
                at: start + SignedDuration::from_secs(*there),
            };
            let mut seen = Observations::none();
            seen.receipts
                .insert(intent.request.token.clone(), Ok(receipt));
            shown.push(judged(&intent, &mut facts, &seen, &fixture));
        }
        shown.join(" ")
    };
    assert_eq!(shown(&[(0, 7), (60, 67), (120, 127)]), "Wait Wait Abandon");
    // Ours is set forward by an hour, theirs is, ours back and then right again.
    assert_eq!(
        shown(&[(0, 0), (3600, 2), (3718, 120)]),
        "Wait Wait Abandon"
    );
    assert_eq!(
        shown(&[(0, 0), (2, 3600), (120, 3718)]),
        "Wait Wait Abandon"
    );
    assert_eq!(
        shown(&[(3600, 0), (60, 60), (120, 120), (180, 180)]),
        "Wait Wait Wait Abandon"
    );
    assert_eq!(
        shown(&[(0, 3600), (60, 60), (120, 120), (180, 180)]),
        "Wait Wait Wait Abandon"
    );
    // A machine that slept has waited.
    assert_eq!(shown(&[(0, 0), (7200, 7200)]), "Wait Abandon");
}

#[test]
fn a_submission_is_adopted_sent_again_or_given_up_for_a_reason() {
    let ready = "## READY\n\n### Q-001: a\n";
    let token = "ralph-q001-t1";
    let with = |answers: &[&str]| {
        let answers: Vec<String> = answers
            .iter()
            .map(|answer| format!("{token} {answer}"))
            .collect();
        let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
        submission(ready, 1, &answers)
    };
    assert_eq!(with(&["accepted 1001"]), "Adopt");
    assert_eq!(with(&["absent"]), "Resend");
    assert_eq!(with(&["refused invalid account"]), "Refused");
    assert_eq!(
        with(&["unproven", "unproven", "unproven"]),
        "Wait | Wait | Abandon"
    );
    // `sbatch` may be at work on what is claimed, for two minutes of its own retries and as long as its calls take.
    let mut claimed = ["claimed"; 11];
    let waits = |passes: usize| "Wait | ".repeat(passes) + "Abandon";
    assert_eq!(with(&claimed), waits(10));
    claimed[1..10].fill("none");
    assert_eq!(with(&claimed), waits(10));
    assert_eq!(
        with(&["none", "none", "none", "none"]),
        "Wait | Wait | Wait | Wait"
    );
    // The scheduler has taken it, or nothing can be seen of it: no length of time proves that there is no job.
    for answer in ["nameless", "unreadable"] {
        assert_eq!(with(&[answer; 30]), ["Wait"; 30].join(" | "), "{answer}");
    }
    // What had been claimed for ten minutes has ended this moment: its own wait begins.
    claimed.fill("claimed");
    let mut late = claimed[..10].to_vec();
    late.extend(["unproven"; 3]);
    assert_eq!(with(&late), waits(12));
    // Nothing was sent, and the person took the item back: it is not sent after all.
    let parked = "## PARKED\n\n### Q-001: a\n";
    assert_eq!(submission(parked, 1, &["ralph-q001-t1 absent"]), "Abandon");
    assert_eq!(
        submission(parked, 1, &["ralph-q001-t1 accepted 7"]),
        "Adopt"
    );
}
