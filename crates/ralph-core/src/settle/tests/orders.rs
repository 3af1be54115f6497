//! What becomes of work orders and tests.

use super::PROJECT;
use crate::fixture::Fixture;
use crate::order::{OrderOutcome, WorkOrder};
use crate::plan::rules::next_step;
use crate::plan::{Context, Step};
use crate::settle::order::{TestOutcome, settled, tested};

const TASKS: &str = "//- demo/documentation/implementation-todo.md\n# Plan\n\n## Ready\n\n- [ ] (T1) write the loader\n  - by Ada\n- [ ] (T2) speed\n";
const ENTRY: &str = "//- demo/documentation/debugging.md\n## Active Issues\n\n- [ ] (D1) Q-001: it burns <!-- ralph: q001_1/1001 -->\n  - Error: x\n  - Blocking: yes\n";

fn project(phase: &str, more: &str) -> Fixture {
    Fixture::parse(&(PROJECT.replace("\"RUN\"", &format!("{phase:?}")) + more))
}

/// The order that the project is given now.
fn order(fixture: &Fixture, context: &Context<'_>) -> WorkOrder {
    match next_step(&fixture.facts(), &fixture.seen, context)
        .unwrap()
        .step
    {
        Step::Order(order) => order,
        other => panic!("{other:?}"),
    }
}

fn settle(fixture: &mut Fixture, outcome: &OrderOutcome) -> String {
    let order = order(fixture, &fixture.context());
    let changes = settled(&fixture.facts(), &order, outcome, &fixture.context());
    fixture.apply(&changes)
}

fn done(summary: &str) -> OrderOutcome {
    OrderOutcome::Done {
        summary: summary.to_owned(),
    }
}

#[test]
fn an_order_is_handed_out_once_and_done_with_a_tick() {
    let mut fixture = project("IMPLEMENT", TASKS);
    insta::assert_snapshot!(settle(&mut fixture, &OrderOutcome::HandedOut), @r#"
    == .state/order.json
    +{
    +  "version": 1,
    +  "kind": "implement",
    +  "target": "T1",
    +  "issued_at": "2026-11-20T12:00:00Z",
    +  "attempts": 0
    +}
    == .state/pipeline.json
    -  "events": []
    +  "events": [],
    +  "next_action": {
    +    "command": "/dispatch --project demo",
    +    "reason": "write the loader",
    +    "hint": "its checkbox is ticked in documentation/implementation-todo.md"
    +  }
    "#);
    assert_eq!(settle(&mut fixture, &OrderOutcome::HandedOut), "");
    insta::assert_snapshot!(settle(&mut fixture, &done("reads **all** shards")), @r#"
    == documentation/implementation-todo.md
    -- [ ] (T1) write the loader
    +- [x] (T1) write the loader
    +  - Done: reads \*\*all\*\* shards (2026-11-20T12:00:00Z) <!-- ralph -->
    == .state/pipeline.json
    -  "events": [],
    +  "events": [
    +    {
    +      "id": "evt-0001",
    +      "ts": "2026-11-20T12:00:00Z",
    +      "action": "IMPLEMENT",
    +      "detail": "T1: reads **all** shards"
    +    }
    +  ],
    -    "reason": "write the loader",
    -    "hint": "its checkbox is ticked in documentation/implementation-todo.md"
    +    "reason": "T1: reads **all** shards",
    +    "hint": "dispatch takes the next step"
    == .state/order.json
    -{
    -  "version": 1,
    -  "kind": "implement",
    -  "target": "T1",
    -  "issued_at": "2026-11-20T12:00:00Z",
    -  "attempts": 0
    -}
    "#);
    assert!(fixture.facts().order.is_none());
}

#[test]
fn an_agent_without_a_result_is_tried_again_and_then_a_person_is_asked() {
    let mut fixture = project("IMPLEMENT", TASKS);
    let nothing = OrderOutcome::NoChange {
        summary: String::new(),
    };
    settle(&mut fixture, &nothing);
    let facts = fixture.facts();
    assert_eq!(
        (
            facts.order.unwrap().attempts,
            facts.view.needs_user_input.value
        ),
        (1, false)
    );
    let reason = "exit 7: boom".to_owned();
    let mut again = project("IMPLEMENT", TASKS);
    std::mem::swap(&mut again, &mut fixture);
    insta::assert_snapshot!(settle(&mut again, &OrderOutcome::Failed { reason }), @r#"
    == .state/order.json
    -  "attempts": 1
    +  "attempts": 2
    == .state/pipeline.json
    -  "needs_user_input": {"value": false, "prompt": "", "goal": "kept"},
    +  "needs_user_input": {"value": true, "prompt": "The agent ended 2 times without a result on T1: failed. exit 7: boom", "goal": "kept", "set_by": "ralph:agent", "set_at": "2026-11-20T12:00:00Z"},
    +    },
    +    {
    +      "id": "evt-0002",
    +      "ts": "2026-11-20T12:00:00Z",
    +      "action": "AGENT",
    +      "detail": "implement T1: failed (attempt 2). exit 7: boom"
    "#);
    let prompt = again.facts().view.needs_user_input;
    assert_eq!(prompt.set_by.as_deref(), Some("ralph:agent"));
}

#[test]
fn a_usage_limit_spends_nothing_and_names_its_end() {
    let mut fixture = project("IMPLEMENT", TASKS);
    let resets_at = Some("2026-11-20T17:00:00Z".parse().unwrap());
    insta::assert_snapshot!(settle(&mut fixture, &OrderOutcome::UsageLimit { resets_at }), @r#"
    == .state/order.json
    +{
    +  "version": 1,
    +  "kind": "implement",
    +  "target": "T1",
    +  "issued_at": "2026-11-20T12:00:00Z",
    +  "attempts": 0,
    +  "not_before": "2026-11-20T17:00:00Z"
    +}
    "#);
    let mut fixture = project("IMPLEMENT", TASKS);
    settle(&mut fixture, &OrderOutcome::UsageLimit { resets_at: None });
    let until = fixture.facts().order.unwrap().not_before.unwrap();
    assert_eq!(crate::time::stamp(until), "2026-11-20T12:15:00Z");
}

#[test]
fn a_mended_failure_runs_again() {
    let failed = "\"completed_runs\": [{\"run_id\": \"q001_1\", \"job_id\": \"1001\", \"queue_id\": \"Q-001\", \"status\": \"failed\"}]";
    let text = PROJECT
        .replace("\"RUN\"", "\"DEBUG\"")
        .replace("\"completed_runs\": []", failed)
        .replace(
            "## READY\n",
            "## FAILED\n\n### Q-001: mine\n\n- Note: keep\n\n## READY\n",
        )
        .replace("### Q-001: the baseline ✓", "### Q-009: the baseline ✓");
    let mut fixture = Fixture::parse(&(text + ENTRY));
    insta::assert_snapshot!(settle(&mut fixture, &done("mended the shape")), @r#"
    == documentation/debugging.md
    -- [ ] (D1) Q-001: it burns <!-- ralph: q001_1/1001 -->
    +- [x] (D1) Q-001: it burns <!-- ralph: q001_1/1001 -->
    +  - Resolved: mended the shape (2026-11-20T12:00:00Z) <!-- ralph -->
    == documentation/queue.md
    +(none)
    +## READY
    +- Status: mended; it runs again <!-- ralph -->
    -## READY
    == .state/pipeline.json
    -  "phase": "DEBUG",
    +  "phase": "RUN",
    -  "events": []
    +  "events": [
    +    {
    +      "id": "evt-0001",
    +      "ts": "2026-11-20T12:00:00Z",
    +      "action": "DEBUG",
    +      "detail": "q001_1/1001: mended the shape"
    +    }
    +  ],
    +  "next_action": {
    +    "command": "/dispatch --project demo",
    +    "reason": "q001_1/1001: mended the shape",
    +    "hint": "dispatch takes the next step"
    +  }
    "#);
}

#[test]
fn what_the_agent_has_moved_itself_stays_where_it_is() {
    let mut fixture = project("DEBUG", ENTRY);
    let order = order(&fixture, &fixture.context());
    let texts = fixture.projects.values_mut().next().unwrap();
    let state = texts.get_mut(".state/pipeline.json").unwrap();
    *state = state.replace("\"DEBUG\"", "\"DEBATE\"");
    let changes = settled(
        &fixture.facts(),
        &order,
        &done("it is a question"),
        &fixture.context(),
    );
    fixture.apply(&changes);
    assert_eq!(fixture.facts().phase().as_str(), "DEBATE");
}

#[test]
fn a_debate_is_noted_and_leads_on() {
    let question = "\"next_action\": \"more data or a better loss?\", \"gates\"";
    let text = PROJECT
        .replace("\"RUN\"", "\"DEBATE\"")
        .replace("\"gates\"", question);
    let mut fixture = Fixture::parse(&text);
    settle(&mut fixture, &OrderOutcome::HandedOut);
    insta::assert_snapshot!(order(&fixture, &fixture.context()).target, @"more data or a better loss?");
    insta::assert_snapshot!(settle(&mut fixture, &done("a better loss")), @r#"
    == documentation/debates.md
    +## Debates
    +- [ ] more data or a better loss? <!-- ralph: more%20data%20or%20a%20better%20loss?/2026-11-20T12:00:00Z -->
    +  - Decided 2026-11-20T12:00:00Z.
    +  - a better loss
    == .state/pipeline.json
    -  "phase": "DEBATE",
    -  "next_action": "more data or a better loss?", "gates": {"G1": "passed 1.460"},
    +  "phase": "RUN",
    +  "next_action": {
    +    "command": "/dispatch --project demo",
    +    "reason": "more data or a better loss?: a better loss",
    +    "hint": "dispatch takes the next step"
    +  }, "gates": {"G1": "passed 1.460"},
    -  "events": []
    +  "events": [
    +    {
    +      "id": "evt-0001",
    +      "ts": "2026-11-20T12:00:00Z",
    +      "action": "DEBATE",
    +      "detail": "more data or a better loss?: a better loss"
    +    }
    +  ]
    == .state/order.json
    -{
    -  "version": 1,
    -  "kind": "debate",
    -  "target": "more data or a better loss?",
    -  "issued_at": "2026-11-20T12:00:00Z",
    -  "attempts": 0
    -}
    "#);
}

#[test]
fn tests_lead_to_run_or_to_debug_with_an_entry() {
    let outcome = |passed: bool| TestOutcome {
        passed,
        how: if passed { "exit 0" } else { "exit 1" }.to_owned(),
        command: "make test".to_owned(),
        tail: "FAILED test_loader.py\n```\n## not a heading".to_owned(),
    };
    let mut fixture = project("TEST", "");
    let changes = tested(&fixture.facts(), &outcome(true), &fixture.context());
    insta::assert_snapshot!(fixture.apply(&changes), @r#"
    == .state/pipeline.json
    -  "phase": "TEST",
    +  "phase": "RUN",
    -  "events": []
    +  "events": [
    +    {
    +      "id": "evt-0001",
    +      "ts": "2026-11-20T12:00:00Z",
    +      "action": "TEST",
    +      "detail": "`make test`: exit 0"
    +    }
    +  ],
    +  "next_action": {
    +    "command": "/dispatch --project demo",
    +    "reason": "the tests pass",
    +    "hint": "dispatch submits the next item"
    +  }
    "#);
    let mut fixture = project("TEST", "");
    let changes = tested(&fixture.facts(), &outcome(false), &fixture.context());
    insta::assert_snapshot!(fixture.apply(&changes), @r#"
    == documentation/debugging.md
    +- [ ] (D1) the tests fail: exit 1 <!-- ralph: test/2026-11-20T12:00:00Z -->
    +  - Error: \`make test\`: exit 1
    +  - Root cause: Not known; the last lines of the output are below.
    +  - Time: 2026-11-20T12:00:00Z
    +  - Blocking: yes
    +  - Last lines:
    +    ````text
    +    FAILED test_loader.py
    +    ```
    +    ## not a heading
    +    ````
    == .state/pipeline.json
    -  "phase": "TEST",
    +  "phase": "DEBUG",
    -  "events": []
    +  "events": [
    +    {
    +      "id": "evt-0001",
    +      "ts": "2026-11-20T12:00:00Z",
    +      "action": "TEST",
    +      "detail": "`make test`: exit 1"
    +    }
    +  ],
    +  "next_action": {
    +    "command": "/dispatch --project demo",
    +    "reason": "the tests fail",
    +    "hint": "see documentation/debugging.md"
    +  }
    "#);
    let mut moved = project("IMPLEMENT", "");
    let changes = tested(&moved.facts(), &outcome(true), &moved.context());
    moved.apply(&changes);
    assert_eq!(moved.facts().phase().as_str(), "IMPLEMENT");
}
