//! Every phase, the order among projects, and why a project has no step.

use super::{check_plan, planned};
use crate::fixture::Fixture;
use crate::phase::Phase;
use crate::plan::{PassedBecause, Selection, due, next_due, plan};
use crate::time::{Timestamp, stamp};

const EMPTY: &str = "# Queue\n\n## READY\n\n(none)\n";

/// A project with a phase, an item that is READY and a task that is open.
fn busy(slug: &str, phase: &str) -> String {
    format!(
        "//- {slug}/.state/pipeline.json\n{{\"phase\": {phase:?}, \"active_runs\": [], \"completed_runs\": []}}\n\
         //- {slug}/documentation/queue.md\n## READY\n\n### Q-001: first\n\n### Q-002: second\n\n- After: Q-001\n\
         //- {slug}/documentation/implementation-todo.md\n## Ready\n\n- [ ] (T1) write it\n"
    )
}

/// A project whose runs are not read, or whose tasks are not, never goes on as if it had none.
#[test]
fn what_is_not_read_is_asked_about() {
    let queue = "//- x/documentation/queue.md\n## READY\n\n### Q-001: first\n";
    let waiting = "//- a/.state/pipeline.json\n{\"phase\": \"WAIT_SLURM\", \"active_runs\": {\"r\": {\"job_id\": 1}}}\n";
    insta::assert_snapshot!(check_plan(&format!("{waiting}{}", queue.replace("x/", "a/"))), @"a: - NeedsInput: .state/pipeline.json:1: `active_runs` is no list, so its jobs are not looked after; write each run as an object with `run_id`, `job_id` and `status` in the list `active_runs`");
    let table = "//- a/.state/pipeline.json\n{\"phase\": \"IMPLEMENT\", \"active_runs\": []}\n\
                 //- a/documentation/implementation-todo.md\n## Ready\n\n| ID | Task |\n|---|---|\n| T1 | write it |\n";
    insta::assert_snapshot!(check_plan(table), @"a: - NeedsInput: documentation/implementation-todo.md:5: `| T1 | write it |` may be a task and is not read as one; write each as `- [ ] (T1) text` below `## Ready`, or put it below `## Completed` or `## Notes`");
    let outside = "//- a/.state/pipeline.json\n{\"phase\": \"RUN\", \"active_runs\": []}\n\
                   //- a/documentation/queue.md\n# Queue\n\n## Q-001: first\n";
    insta::assert_snapshot!(check_plan(outside), @"a: - NeedsInput: documentation/queue.md:3: `Q-001: first` stands under no heading that says READY, so it is never submitted; write `## READY` above what may be, and `## BLOCKED` or `## DONE` above the rest");
}

/// A run that names its item in another spelling is still a run of it.
#[test]
fn a_live_run_holds_back_its_item_however_the_id_is_joined() {
    let run = "//- a/.state/pipeline.json\n{\"phase\": \"RUN\", \"active_runs\": [{\"run_id\": \"r\", \"job_id\": \"7\", \
               \"status\": \"running\", \"queue_id\": \"q1\"}]}\n//- a/documentation/queue.md\n## READY\n\n### Q-001: first\n";
    assert!(
        !check_plan(run).contains("submit Q-001"),
        "{}",
        check_plan(run)
    );
    let other = run.replace("q1", "q2");
    assert!(
        check_plan(&other).contains("submit Q-001"),
        "{}",
        check_plan(&other)
    );
}

/// Whoever submitted an item by hand and left it under READY is asked; what the books know of is run again.
#[test]
fn an_item_that_tells_of_a_run_nobody_knows_is_asked_about() {
    let doc = |line: &str, runs: &str| {
        check_plan(&format!(
            "//- a/.state/pipeline.json\n{{\"phase\": \"RUN\", \"active_runs\": [], \"completed_runs\": [{runs}]}}\n\
             //- a/documentation/queue.md\n## READY\n\n### Q-001: first\n{line}\n"
        ))
    };
    insta::assert_snapshot!(doc("- **Job ID**: 56186268", ""), @"a: - NeedsInput: documentation/queue.md:3: Q-001 stands under READY and says `Job ID: 56186268`, and the books have no run of it; take a living job into them with `ralph cluster jobs --adopt JOB --project a`, move what has run to its section, or remove the line when it is to run");
    let known = "{\"run_id\": \"q001_1\", \"job_id\": \"56186268\", \"status\": \"failed\", \"queue_id\": \"Q-001\"}";
    insta::assert_snapshot!(doc("- **Job ID**: 56186268", known), @"a: submit Q-001 #2 [Run] Q-001 is the first READY item");
    for line in [
        "- Submitted: 2026-01-21 by Ada",
        "- Run_ID: q001_20260121_075508",
        "- Completed: 2026-01-21T16:12:40Z",
    ] {
        assert!(!doc(line, "").contains("submit Q-001"), "{line}");
    }
    for line in [
        "- Submitted: no",
        "- Job ID: (none yet)",
        "- Job: slurm/jobs/q001.sbatch",
        "- Job: slurm/jobs/width_2048.sbatch",
        "- Submitted: not yet (planned for 2026-12-01)",
    ] {
        assert!(doc(line, "").contains("submit Q-001"), "{line}");
    }
}

/// A run that has ended is checked against its item, however it spells the id; and two spellings of one id are told.
#[test]
fn a_run_finds_its_item_however_the_id_is_joined() {
    let ended = "//- a/.state/pipeline.json\n{\"phase\": \"RUN\", \"active_runs\": [], \"completed_runs\": [{\"run_id\": \"r\", \
                 \"job_id\": \"7\", \"status\": \"completed\", \"queue_id\": \"q1\"}]}\n//- a/documentation/queue.md\n\
                 ## IN_PROGRESS\n\n### Q-001: first\n";
    insta::assert_snapshot!(check_plan(ended), @"a: check r [Check] 1 run finished");
    let two = "//- a/.state/pipeline.json\n{\"phase\": \"RUN\"}\n//- a/documentation/queue.md\n\
               ## READY\n\n### Q1: first\n\n## DONE\n\n### Q-001: first\n";
    insta::assert_snapshot!(check_plan(two), @"a: -> IDLE [Idle] no READY item can be submitted: Q1 stands in the queue more than once, also as Q-001");
    let facts = crate::fixture::Fixture::parse(two).facts();
    assert_eq!(
        facts.item("q-001").map(|item| item.id.as_str()),
        Some("Q-001")
    );
    assert_eq!(facts.item("Q1").map(|item| item.id.as_str()), Some("Q1"));
    assert!(facts.item("Q-01").is_none());
}

#[test]
fn every_phase_has_its_step() {
    let phases = [
        "IDLE",
        "INIT",
        "IMPLEMENT",
        "TEST",
        "RUN",
        "WAIT_SLURM",
        "CHECK",
        "DEBUG",
        "DEBATE",
        "DONE",
        "training the big one, gates G1 to G3 passed",
    ];
    let projects: String = phases
        .iter()
        .map(|phase| {
            let word = phase.split(' ').next().unwrap_or("").to_lowercase();
            busy(&word, phase)
        })
        .collect();
    insta::assert_snapshot!(
        check_plan(&format!("//- settings\n{{\"batch_size\": 99, \"test_command\": [\"make\", \"test\"]}}\n{projects}")),
        @r"
    test: test `make test` [Test] the tests are next
    run: submit Q-001 #1 [Run] Q-001 is the first READY item
    implement: order implement T1 [Implement] write it waits for a person or an agent
    debate: order debate what should be tried next, and why [Debate] what should be tried next, and why waits for a person or an agent
    check: -> RUN [Idle] no finished run is left to check
    debug: -> RUN [Idle] no blocking entry of documentation/debugging.md is open
    done: -> RUN [Idle] there is something new to do
    init: -> IMPLEMENT [Idle] the project has tasks or experiments
    wait_slurm: -> CHECK [Idle] no live run is left
    idle: - Nothing: the phase is IDLE; set it to RUN to submit Q-001
    training: - External: the phase is not one that ralph steps: training the big one, gates G1 to G3 passed
    "
    );
}

#[test]
fn an_alias_is_the_phase_it_stands_for() {
    let aliases = [
        ("IDLE", vec!["", "idle"]),
        ("INIT", vec!["SETUP", "setup"]),
        ("RUN", vec!["SUBMIT", "READY", "ready"]),
        (
            "WAIT_SLURM",
            vec!["RUNNING", "WAITING", "SUBMITTED", "POLL", "wait_slurm"],
        ),
        (
            "CHECK",
            vec!["CHECK_RESULTS", "EVALUATION", "ANALYSIS", "check/poll"],
        ),
        ("DONE", vec!["COMPLETE", "COMPLETED"]),
    ];
    for (canonical, words) in aliases {
        let expected = check_plan(&busy("p", canonical));
        for word in words {
            assert_eq!(check_plan(&busy("p", word)), expected, "{word}");
        }
    }
    let absent = busy("p", "IDLE").replace("\"phase\": \"IDLE\", ", "");
    assert_eq!(check_plan(&absent), check_plan(&busy("p", "IDLE")));
}

#[test]
fn what_is_blocked_comes_first_then_what_is_untouched_longest_then_the_name() {
    let touched = |slug: &str, phase: &str, at: &str| {
        let events = format!("\"events\": [{{\"ts\": {at:?}}}], \"phase\"");
        busy(slug, phase).replace("\"phase\"", &events)
    };
    let debug = busy("z-debug", "DEBUG")
        + "//- z-debug/documentation/debugging.md\n## BLOCKING\n\n### DBG-001: it burns\n";
    let check = "//- y-check/.state/pipeline.json\n{\"phase\": \"CHECK\", \"completed_runs\": [\
        {\"run_id\": \"q1\", \"job_id\": \"7\", \"queue_id\": \"Q-001\", \"status\": \"completed\"}]}\n\
        //- y-check/documentation/queue.md\n## IN_PROGRESS\n\n### Q-001: first\n";
    let world = [
        busy("a-done", "DONE"),
        busy("b-debate", "DEBATE"),
        busy("c-implement", "IMPLEMENT"),
        touched("d-run-late", "RUN", "2026-11-20T11:00:00Z"),
        touched("e-run-early", "RUN", "2026-11-20T10:00:00Z"),
        touched("f-run-future", "RUN", "2031-01-01T00:00:00Z"),
        touched("g-run-now", "RUN", "2026-11-20T12:00:00Z"),
        busy("h-run-never", "RUN"),
        busy("x-test", "TEST"),
        check.to_owned(),
        debug,
    ]
    .concat();
    let config = |size| format!("//- settings\n{{\"batch_size\": {size}}}\n{world}");
    insta::assert_snapshot!(check_plan(&config(99)), @r"
    z-debug: order debug DBG-001 [Debug] it burns waits for a person or an agent
    y-check: check q1 [Check] 1 run finished
    x-test: order test [Test] run the project's tests waits for a person or an agent
    h-run-never: submit Q-001 #1 [Run] Q-001 is the first READY item
    e-run-early: submit Q-001 #1 [Run] Q-001 is the first READY item
    d-run-late: submit Q-001 #1 [Run] Q-001 is the first READY item
    f-run-future: submit Q-001 #1 [Run] Q-001 is the first READY item
    g-run-now: submit Q-001 #1 [Run] Q-001 is the first READY item
    c-implement: order implement T1 [Implement] write it waits for a person or an agent
    b-debate: order debate what should be tried next, and why [Debate] what should be tried next, and why waits for a person or an agent
    a-done: -> RUN [Idle] there is something new to do
    ");
    insta::assert_snapshot!(check_plan(&config(3)), @r"
    z-debug: order debug DBG-001 [Debug] it burns waits for a person or an agent
    y-check: check q1 [Check] 1 run finished
    x-test: order test [Test] run the project's tests waits for a person or an agent
    a-done: - BatchFull: there is something new to do; its turn comes in a later batch
    b-debate: - BatchFull: what should be tried next, and why waits for a person or an agent; its turn comes in a later batch
    c-implement: - BatchFull: write it waits for a person or an agent; its turn comes in a later batch
    d-run-late: - BatchFull: Q-001 is the first READY item; its turn comes in a later batch
    e-run-early: - BatchFull: Q-001 is the first READY item; its turn comes in a later batch
    f-run-future: - BatchFull: Q-001 is the first READY item; its turn comes in a later batch
    g-run-now: - BatchFull: Q-001 is the first READY item; its turn comes in a later batch
    h-run-never: - BatchFull: Q-001 is the first READY item; its turn comes in a later batch
    ");
}

#[test]
fn named_projects_are_stepped_whatever_the_batch_size() {
    let text = ["a", "b", "c"].map(|slug| busy(slug, "RUN")).concat();
    let fixture = Fixture::parse(&format!("//- settings\n{{\"batch_size\": 1}}\n{text}"));
    let chosen = ["a", "c"].map(|slug| slug.parse().unwrap()).into();
    let plan = plan(
        &fixture.world(),
        &fixture.seen,
        &Selection::Projects(chosen),
        &fixture.context(),
    );
    insta::assert_snapshot!(super::shown(&plan), @r"
    a: submit Q-001 #1 [Run] Q-001 is the first READY item
    c: submit Q-001 #1 [Run] Q-001 is the first READY item
    b: - NotSelected: not named by --project
    ");
}

#[test]
fn an_order_that_was_handed_out_takes_no_place() {
    let issued = |attempts: u32| {
        format!(
            "//- a/.state/order.json\n{{\"version\": 1, \"kind\": \"implement\", \"target\": \"T1\", \
             \"issued_at\": \"2026-11-20T09:00:00Z\", \"attempts\": {attempts}}}\n"
        )
    };
    let world = busy("a", "IMPLEMENT") + &busy("b", "IMPLEMENT") + &busy("c", "IMPLEMENT");
    let settings = "//- settings\n{\"batch_size\": 1}\n";
    insta::assert_snapshot!(check_plan(&format!("{settings}{world}{}", issued(0))), @r"
    a: order implement T1 (again) [Implement] write it waits for a person or an agent
    b: order implement T1 [Implement] write it waits for a person or an agent
    c: - BatchFull: write it waits for a person or an agent; its turn comes in a later batch
    ");
    // An agent is sent anew, which is a step; so is an order of which an agent made nothing.
    let command = "//- settings\n{\"batch_size\": 1, \"agent\": {\"command\": [\"fix\"]}}\n";
    insta::assert_snapshot!(check_plan(&format!("{command}{world}{}", issued(0))), @r"
    a: order implement T1 [Implement] write it waits for a person or an agent
    b: - BatchFull: write it waits for a person or an agent; its turn comes in a later batch
    c: - BatchFull: write it waits for a person or an agent; its turn comes in a later batch
    ");
    insta::assert_snapshot!(check_plan(&format!("{settings}{world}{}", issued(1))), @r"
    a: order implement T1 [Implement] write it waits for a person or an agent
    b: - BatchFull: write it waits for a person or an agent; its turn comes in a later batch
    c: - BatchFull: write it waits for a person or an agent; its turn comes in a later batch
    ");
}

#[test]
fn an_agents_usage_limit_is_waited_for_and_nobody_is_sent() {
    let order = "//- a/.state/order.json\n{\"version\": 1, \"kind\": \"implement\", \"target\": \"T1\", \
         \"issued_at\": \"2026-11-20T09:00:00Z\", \"attempts\": 0, \"not_before\": \"2026-11-20T13:00:00Z\"}\n";
    let agent = "//- settings\n{\"agent\": {\"command\": [\"fix\"]}}\n";
    let text = format!("{agent}{}{order}", busy("a", "IMPLEMENT"));
    insta::assert_snapshot!(check_plan(&text), @"a: - Waiting until 2026-11-20T13:00:00Z: the agent's usage limit resets at 2026-11-20T13:00:00Z");
    let mut later = Fixture::parse(&text);
    assert_eq!(
        next_due(&later.world(), &later.context())
            .map(stamp)
            .as_deref(),
        Some("2026-11-20T13:00:00Z")
    );
    later.now = "2026-11-20T13:00:01Z".parse().unwrap();
    insta::assert_snapshot!(planned(&later), @"a: order implement T1 [Implement] write it waits for a person or an agent");
}

/// A project that waits for a job.
fn waiting(phase: &str, more: &str) -> String {
    format!(
        "//- p/.state/pipeline.json\n{{\"phase\": {phase:?}, {more} \"active_runs\": [{{\"run_id\": \"r1\", \
         \"job_id\": \"1001\", \"status\": \"running\"}}]}}\n//- p/documentation/queue.md\n{EMPTY}"
    )
}

#[test]
fn input_that_a_person_owes_pauses_stepping_and_not_verification() {
    for input in [
        "true",
        "{\"value\": true, \"prompt\": \"which seed?\"}",
        "\"which seed?\"",
    ] {
        let text = waiting("WAIT_SLURM", &format!("\"needs_user_input\": {input},"));
        let fixture = Fixture::parse(&(text + "//- cluster\n1001 RUNNING\n"));
        let world = fixture.world();
        let selection = Selection::Batch(9);
        let plan = plan(&world, &fixture.seen, &selection, &fixture.context());
        assert!(plan.steps.is_empty());
        let because: Vec<_> = plan.passed_over.iter().map(|p| p.because).collect();
        assert_eq!(because, [PassedBecause::NeedsInput]);
        assert_eq!(due([&fixture.facts()], &fixture.context()).jobs.len(), 1);
    }
}

#[test]
fn an_external_phase_is_verified_and_never_stepped() {
    let due_poll = "\"slurm_wait\": {\"next_poll_after\": \"2026-11-20T11:00:00Z\"},";
    for phase in ["AUTORESEARCH", "RUN of the sweep", "waiting for the PI"] {
        let text = waiting(phase, due_poll) + "//- cluster\n1001 COMPLETED\n";
        assert!(check_plan(&text).starts_with("p: - External"), "{phase}");
        let fixture = Fixture::parse(&text);
        assert_eq!(due([&fixture.facts()], &fixture.context()).jobs.len(), 1);
    }
    insta::assert_snapshot!(check_plan(&waiting("AUTORESEARCH (round 3)", due_poll)), @"p: - External until 2026-11-20T11:00:00Z: the phase is not one that ralph steps: AUTORESEARCH (round 3); 1 live run is verified");
}

#[test]
fn a_poll_waits_until_it_is_due_and_stays_due_without_an_answer() {
    let at = |time: &str| format!("\"slurm_wait\": {{\"next_poll_after\": {time}}},");
    let check = |time: &str, cluster: &str| {
        check_plan(&format!(
            "{}//- cluster\n{cluster}\n",
            waiting("WAIT_SLURM", &at(time))
        ))
    };
    insta::assert_snapshot!(check("\"2026-11-20T12:00:01Z\"", "1001 RUNNING"), @"p: - Waiting until 2026-11-20T12:00:01Z: 1 live run; the next poll is due at 2026-11-20T12:00:01Z");
    for due in [
        "\"2026-11-20T12:00:00Z\"",
        "null",
        "\"PENDING\"",
        "\"2026-11-20T08:00:00\"",
        "7",
    ] {
        assert!(check(due, "1001 RUNNING").contains("p: poll"), "{due}");
    }
    insta::assert_snapshot!(check("null", "1001 unknown"), @"p: - ClusterUnreachable: job 1001 could not be asked about: half a reply");
    insta::assert_snapshot!(check("null", "unreachable"), @"p: - ClusterUnreachable: the cluster does not answer: the test says so");
    let unnamed = waiting("WAIT_SLURM", "").replace("\"1001\"", "null");
    insta::assert_snapshot!(check_plan(&unnamed), @"p: - Waiting: no job that could be asked about is named by 1 live run; write its `job_id` into active_runs of .state/pipeline.json");
}

#[test]
fn polls_are_sixty_seconds_then_fifteen_minutes_doubled_to_an_hour() {
    let intervals = |more: &str| {
        let mut fixture = Fixture::parse(&waiting("WAIT_SLURM", more));
        let mut found = Vec::new();
        for _ in 0..5 {
            let before = fixture.now;
            let changes = crate::settle::check::polled(&fixture.facts(), &[], &fixture.context());
            fixture.apply(&changes);
            fixture.now = fixture.facts().next_poll(&jiff::tz::TimeZone::UTC).unwrap();
            found.push(crate::time::elapsed(before, fixture.now).as_secs());
        }
        found
    };
    let submitted = "\"slurm_wait\": {\"next_poll_after\": \"2026-11-20T12:00:00Z\", \"last_polled_at\": null},";
    assert_eq!(intervals(submitted), [900, 1800, 3600, 3600, 3600]);
    let own = "\"slurm_wait\": {\"poll_interval_seconds\": 120},";
    assert_eq!(intervals(own), [120; 5]);
    let odd = "\"slurm_wait\": {\"poll_interval_seconds\": \"soon\"},";
    assert_eq!(intervals(odd), [900, 1800, 3600, 3600, 3600]);
    let settings = crate::settings::Settings::default();
    let now: Timestamp = crate::fixture::NOW.parse().unwrap();
    let first = crate::plan::backoff::first(&settings.poll, now);
    assert_eq!(stamp(first), "2026-11-20T12:01:00Z");
}

#[test]
fn a_limit_is_waited_for_longer_each_time_and_no_failure() {
    let seen = |passes: u32, last: &str| {
        format!(
            "{}//- p/.state/sightings.json\n{{\"version\": 1, \"entries\": {{\"limit:Q-001\": {{\"since\": \
             \"2026-11-20T11:00:00Z\", \"last\": {last:?}, \"passes\": {passes}, \"what\": \"limit\"}}}}}}\n",
            busy("p", "RUN")
        )
    };
    let until = |passes| {
        let plan = check_plan(&seen(passes, "2026-11-20T12:00:00Z"));
        assert!(plan.contains("Waiting"), "{plan}");
        plan.split(" until ").nth(1).unwrap()[11..19].to_owned()
    };
    assert_eq!(
        [1, 2, 3, 6, 7, 40].map(until),
        [
            "12:01:00", "12:02:00", "12:04:00", "12:32:00", "13:00:00", "13:00:00"
        ]
    );
    assert!(check_plan(&seen(1, "2026-11-20T11:58:59Z")).contains("submit Q-001"));
}

#[test]
fn an_item_waits_for_what_it_depends_on() {
    let queue = |text: &str| {
        check_plan(&format!(
            "//- p/.state/pipeline.json\n{{\"phase\": \"RUN\"}}\n//- p/documentation/queue.md\n{text}"
        ))
    };
    let second = "## READY\n\n### Q-002: b\n\n- After: Q-001\n";
    insta::assert_snapshot!(queue(&format!("{second}\n## DONE\n\n### Q-001: a\n")), @"p: submit Q-002 #1 [Run] Q-002 is the first READY item");
    insta::assert_snapshot!(queue(&format!("{second}\n## FAILED\n\n### Q-001: a\n")), @"p: -> IDLE [Idle] no READY item can be submitted: Q-002 waits for Q-001, which stands under FAILED");
    insta::assert_snapshot!(queue(&format!("{second}\n### Q-003: c\n")), @"p: submit Q-003 #1 [Run] Q-003 is the first READY item");
    insta::assert_snapshot!(queue("## READY\n\n### Q-001: a\n\n- After: Q-001\n"), @"p: -> IDLE [Idle] no READY item can be submitted: Q-001 waits for Q-001");
    insta::assert_snapshot!(queue("## READY\n\n### Q-001: a\n\n### Q-001: b\n"), @"p: -> IDLE [Idle] no READY item can be submitted: Q-001 stands in the queue more than once");
    insta::assert_snapshot!(queue("## READY\n\n(none)\n"), @"p: -> DONE [Idle] no item is READY");
}

#[test]
fn work_that_is_done_or_must_wait_is_not_submitted() {
    let queue = |text: &str| {
        check_plan(&format!(
            "//- p/.state/pipeline.json\n{{\"phase\": \"RUN\"}}\n//- p/documentation/queue.md\n## READY\n\n{text}"
        ))
    };
    insta::assert_snapshot!(queue("- [x] **Q-001**: finished by hand\n"), @"p: -> IDLE [Idle] no READY item can be submitted: Q-001 is held back, its box is ticked");
    insta::assert_snapshot!(queue("### ~~Q-001~~: x\n"), @"p: -> IDLE [Idle] no READY item can be submitted: Q-001 is held back, it is struck out");
    insta::assert_snapshot!(queue("### Q-001: x\n**Status**: on hold\n\n### Q-002: y\n"), @"p: submit Q-002 #1 [Run] Q-002 is the first READY item; Q-001 is held back, its status is `on hold`");
    insta::assert_snapshot!(queue("### Q-001: x\n- Status: BLOCKED on the disk\n"), @"p: -> IDLE [Idle] no READY item can be submitted: Q-001 is held back, its status is `BLOCKED on the disk`");
    for key in [
        "Dependencies",
        "Depends on",
        "Dependency",
        "After",
        "Requires",
        "Blocked by",
    ] {
        let second = format!("### Q-002: b\n- **{key}**: Q-001 must complete successfully\n\n");
        let failed = queue(&format!("{second}## FAILED\n### Q-001: a\n"));
        assert!(
            failed.ends_with("Q-002 waits for Q-001, which stands under FAILED"),
            "{failed}"
        );
        let done = queue(&format!(
            "{second}## DONE\n### Q-001: a\n\n## FAILED\n### Q-001: first attempt\n"
        ));
        assert!(done.starts_with("p: submit Q-002"), "{done}");
    }
    insta::assert_snapshot!(queue("### Q-001: x\n- Dependencies: after the data has arrived\n"), @"p: - NeedsInput: documentation/queue.md:3: Q-001 depends on `after the data has arrived`, which names no item of the queue; write the id of one, or remove it when it is so");
}

/// Without a word, what the queue holds back would be known only when everything else has been done.
#[test]
fn who_goes_on_past_a_held_item_names_it() {
    let of = |phase: &str, queue: &str| {
        let todo = "## Ready\n\n- [ ] (T1) write it\n";
        check_plan(&format!(
            "//- p/.state/pipeline.json\n{{\"phase\": \"{phase}\"}}\n//- p/documentation/queue.md\n{queue}\
             //- p/documentation/implementation-todo.md\n{todo}"
        ))
    };
    let held = "## READY\n\n### Q-001: x (draft)\n\n### Q-002: y (blocked)\n";
    insta::assert_snapshot!(of("CHECK", held), @"p: -> IMPLEMENT [Idle] no finished run is left to check; Q-001 is held back, its heading says `draft`, and so is 1 more");
    insta::assert_snapshot!(of("RUN", held), @"p: -> IMPLEMENT [Idle] no READY item can be submitted: Q-001 is held back, its heading says `draft`");
    let with_free = format!("{held}\n### Q-003: z\n\n### Q-004: a (draft)\n");
    insta::assert_snapshot!(of("CHECK", &with_free), @"p: -> RUN [Idle] no finished run is left to check");
    insta::assert_snapshot!(of("RUN", &with_free), @"p: submit Q-003 #1 [Run] Q-003 is the first READY item; Q-001 is held back, its heading says `draft`, and so is 1 more");
    let behind = "## READY\n\n### Q-001: x\n\n### Q-002: y (blocked)\n";
    insta::assert_snapshot!(of("RUN", behind), @"p: submit Q-001 #1 [Run] Q-001 is the first READY item");
}

#[test]
fn a_project_never_comes_to_rest_over_work_that_is_not_read() {
    let plan = |phase: &str| {
        check_plan(&format!(
            "//- p/.state/pipeline.json\n{{\"phase\": \"{phase}\"}}\n//- p/documentation/queue.md\n## READY\n\n### Baseline\n\n### Ablation\n"
        ))
    };
    insta::assert_snapshot!(plan("RUN"), @"p: - NeedsInput: documentation/queue.md:3: 2 things under READY are no items (`Baseline`); write `### Q-001: title` with its fields below, or remove it");
    insta::assert_snapshot!(plan("CHECK"), @"p: -> RUN [Idle] no finished run is left to check");
    insta::assert_snapshot!(plan("DONE"), @"p: -> RUN [Idle] there is something new to do");
}

#[test]
fn an_item_whose_run_lives_is_not_submitted_again() {
    let text = "//- p/.state/pipeline.json\n{\"phase\": \"RUN\", \"active_runs\": [{\"run_id\": \"r1\", \
        \"job_id\": \"1001\", \"queue_id\": \"q-001\", \"status\": \"pending\"}]}\n\
        //- p/documentation/queue.md\n## READY\n\n### Q-001: a\n";
    insta::assert_snapshot!(check_plan(text), @"p: -> WAIT_SLURM [Idle] no READY item can be submitted: a run of Q-001 is alive");
    let other = format!("{text}\n### Q-002: b\n");
    insta::assert_snapshot!(check_plan(&other), @"p: submit Q-002 #1 [Run] Q-002 is the first READY item");
}

#[test]
fn a_project_that_is_done_goes_on_when_something_new_appears() {
    let with = |queue: &str, todo: &str| {
        check_plan(&format!(
            "//- p/.state/pipeline.json\n{{\"phase\": \"COMPLETED\"}}\n//- p/documentation/queue.md\n{queue}\
             //- p/documentation/implementation-todo.md\n{todo}"
        ))
    };
    let none = "## Ready\n\n- [x] (T1) done\n";
    insta::assert_snapshot!(with("## READY\n\n### Q-009: new\n", none), @"p: -> RUN [Idle] there is something new to do");
    insta::assert_snapshot!(with(EMPTY, "## Ready\n\n- [ ] (T2) new\n"), @"p: -> IMPLEMENT [Idle] there is something new to do");
    insta::assert_snapshot!(with(EMPTY, none), @"p: - Nothing: the project is done");
    insta::assert_snapshot!(with("## FAILED\n\n### Q-001: a\n", none), @"p: - Nothing: the project is done");
}

/// What a person set to rest rests; what came to rest by itself goes on when what it waited for has come.
#[test]
fn a_project_that_came_to_rest_goes_on_when_it_can() {
    let with = |last_event: &str, queue: &str| {
        check_plan(&format!(
            "//- p/.state/pipeline.json\n{{\"phase\": \"IDLE\", \"events\": [{last_event}]}}\n\
             //- p/documentation/queue.md\n{queue}"
        ))
    };
    let rested = "{\"action\": \"ADVANCE\", \"detail\": \"CHECK to IDLE: no finished run is left to check\"}";
    let left = format!("{rested}, {{\"action\": \"ADVANCE\", \"detail\": \"IDLE to RUN: x\"}}");
    let item = "## READY\n\n### Q-002: b\n\n- After: Q-001\n\n";
    let met = format!("{item}## DONE\n\n### Q-001: a\n");
    let unmet = format!("{item}## FAILED\n\n### Q-001: a\n");
    insta::assert_snapshot!(with(rested, &met), @"p: -> RUN [Idle] Q-002 can be submitted now");
    insta::assert_snapshot!(with(rested, &unmet), @"p: - Nothing: no READY item can be submitted: Q-002 waits for Q-001, which stands under FAILED; it goes on when that has changed");
    insta::assert_snapshot!(with(rested, "## READY\n\n### Baseline\n"), @"p: -> RUN [Idle] there is something new to do");
    insta::assert_snapshot!(with("", &met), @"p: - Nothing: the phase is IDLE; set it to RUN to submit Q-002");
    insta::assert_snapshot!(with(&left, &met), @"p: - Nothing: the phase is IDLE; set it to RUN to submit Q-002");
    insta::assert_snapshot!(with("7", "## FAILED\n\n### Q-001: a\n"), @"p: - Nothing: no item is READY; move one of FAILED back to READY in documentation/queue.md, or add one");
    insta::assert_snapshot!(with("", EMPTY), @"p: - Nothing: no item is READY; add one in documentation/queue.md and set the phase to RUN");
}

/// A job that stands in no run is never asked about; to go on would write over the only trace of it.
#[test]
fn a_job_that_only_a_sentence_has_is_asked_about() {
    let with = |state: &str| check_plan(&format!("//- p/.state/pipeline.json\n{{{state}}}\n"));
    let next = "\"phase\": \"WAIT_SLURM\", \"next_action\": \"wait for job #1001\"";
    insta::assert_snapshot!(with(next), @"p: - NeedsInput: `next_action` of .state/pipeline.json speaks of job 1001, which is in no run, so nobody asks about it; while it lives `ralph cluster jobs --adopt 1001 --project p` takes it into the books, and when it has ended the sentence is to be changed");
    let known = format!(
        "{next}, \"completed_runs\": [{{\"run_id\": \"r1\", \"job_id\": 1001, \"status\": \"failed\"}}]"
    );
    insta::assert_snapshot!(with(&known), @"p: -> CHECK [Idle] no live run is left");
}

#[test]
fn a_fresh_project_waits_for_its_plan() {
    let fresh = |todo: &str| {
        check_plan(&format!(
            "//- p/.state/pipeline.json\n{{\"phase\": \"INIT\"}}\n//- p/documentation/implementation-todo.md\n{todo}"
        ))
    };
    insta::assert_snapshot!(fresh("## Ready\n\n- [ ] (T1) <what is to be done>\n"), @"p: - NeedsInput: a fresh project: write documentation/implementation-todo.md and documentation/queue.md");
    insta::assert_snapshot!(fresh("## Ready\n\n- [ ] (T1) the loader\n"), @"p: -> IMPLEMENT [Idle] the project has tasks or experiments");
}

const DEBUGGING: &str = "## Active Issues\n\n- [ ] (D3) by hand\n- [ ] (D2) beside the point <!-- ralph: r2/8 -->\n  - Error: x\n\
    - [ ] (D1) the failure <!-- ralph: r1/7 -->\n  - Error: y\n  - Blocking: yes\n";

#[test]
fn debug_waits_for_what_blocks_and_for_nothing_else() {
    let with = |text: &str| {
        check_plan(&(busy("p", "DEBUG") + "//- p/documentation/debugging.md\n" + text))
    };
    insta::assert_snapshot!(with(DEBUGGING), @"p: order debug r1/7 [Debug] the failure waits for a person or an agent");
    insta::assert_snapshot!(with(&DEBUGGING.replace("[ ] (D1)", "[x] (D1)")), @"p: order debug D3 [Debug] by hand waits for a person or an agent");
    let mended = DEBUGGING
        .replace("[ ] (D1)", "[x] (D1)")
        .replace("[ ] (D3)", "[x] (D3)");
    insta::assert_snapshot!(with(&mended), @"p: -> RUN [Idle] no blocking entry of documentation/debugging.md is open");
    insta::assert_snapshot!(with("## Active Issues\n\n| ID | What |\n|---|---|\n| D1 | a |\n"), @"p: order debug D1 | a [Debug] D1 | a waits for a person or an agent");
    insta::assert_snapshot!(with(""), @"p: -> RUN [Idle] no blocking entry of documentation/debugging.md is open");
}

#[test]
fn while_a_caller_mends_a_failure_finished_runs_are_checked() {
    let text = format!(
        "//- p/.state/pipeline.json\n{{\"phase\": \"DEBUG\", \"completed_runs\": [{{\"run_id\": \"q2\", \
         \"job_id\": \"9\", \"queue_id\": \"Q-002\", \"status\": \"completed\"}}]}}\n\
         //- p/documentation/queue.md\n## IN_PROGRESS\n\n### Q-002: b\n\
         //- p/documentation/debugging.md\n{DEBUGGING}"
    );
    insta::assert_snapshot!(check_plan(&text), @"p: order debug r1/7 [Debug] the failure waits for a person or an agent");
    let order = "//- p/.state/order.json\n{\"version\": 1, \"kind\": \"debug\", \"target\": \"r1/7\", \
        \"issued_at\": \"2026-11-20T09:00:00Z\", \"attempts\": 0}\n";
    insta::assert_snapshot!(check_plan(&(text + order)), @"p: check q2 [Check] 1 run finished");
}

#[test]
fn a_finished_run_is_checked_whatever_the_phase() {
    for phase in [
        "IMPLEMENT",
        "TEST",
        "RUN",
        "WAIT_SLURM",
        "CHECK",
        "DEBATE",
        "DONE",
        "INIT",
    ] {
        let text = format!(
            "//- p/.state/pipeline.json\n{{\"phase\": {phase:?}, \"completed_runs\": [{{\"run_id\": \"q2\", \
             \"job_id\": \"9\", \"queue_id\": \"Q-002\", \"status\": \"completed\"}}]}}\n\
             //- p/documentation/queue.md\n## IN_PROGRESS\n\n### Q-002: b\n"
        );
        assert!(check_plan(&text).contains("check q2 [Check]"), "{phase}");
        let other = text.replace(
            "### Q-002: b\n",
            "### Q-002: b\n\n- Run: q3 <!-- ralph -->\n",
        );
        assert!(!check_plan(&other).contains("check q2"), "{phase}");
    }
}

#[test]
fn an_item_that_could_not_be_submitted_is_looked_at_again_when_there_is_room() {
    let asked = |by: &str| {
        let input = format!(
            "\"needs_user_input\": {{\"value\": true, \"prompt\": \"mend it\", \"set_by\": {by:?}}}, \"phase\""
        );
        busy("a", "RUN").replace("\"phase\"", &input) + &busy("b", "IMPLEMENT")
    };
    let settings = "//- settings\n{\"batch_size\": 1}\n";
    insta::assert_snapshot!(check_plan(&format!("{settings}{}", asked("ralph:preflight:Q-001"))), @r"
    b: order implement T1 [Implement] write it waits for a person or an agent
    a: - BatchFull: Q-001 is looked at again; its turn comes in a later batch
    ");
    insta::assert_snapshot!(check_plan(&asked("ralph:refused:Q-001:abc")), @r"
    b: order implement T1 [Implement] write it waits for a person or an agent
    a: submit Q-001 #1 [Recheck] Q-001 is looked at again
    ");
    insta::assert_snapshot!(check_plan(&asked("ralph:session")), @r"
    b: order implement T1 [Implement] write it waits for a person or an agent
    a: - NeedsInput: mend it
    ");
}

#[test]
fn the_question_of_a_debate_stays_the_question() {
    let debate = |more: &str| {
        check_plan(&format!(
            "//- p/.state/pipeline.json\n{{\"phase\": \"DEBATE\", \"next_action\": {{\"command\": \"/dispatch\", \
             \"reason\": \"r\", \"hint\": \"more data or a better loss?\"}}}}\n{more}"
        ))
    };
    insta::assert_snapshot!(debate(""), @"p: order debate more data or a better loss? [Debate] more data or a better loss? waits for a person or an agent");
    let order = "//- p/.state/order.json\n{\"version\": 1, \"kind\": \"debate\", \"target\": \"which loss?\", \
        \"issued_at\": \"2026-11-20T09:00:00Z\", \"attempts\": 0}\n";
    insta::assert_snapshot!(debate(order), @"p: order debate which loss? (again) [Debate] which loss? waits for a person or an agent");
}

#[test]
fn unreadable_projects_are_in_the_plan_with_their_place() {
    let text = "//- p/.state/pipeline.json\n{\n  \"phase\": \"RUN\",\n  \"active_runs\": [\n    {},\n  ]\n}\n\
        //- q/.state/pipeline.json\n{\"phase\": \"RUN\"}\n//- q/.state/intents/r1.json\n{\"version\": 1\n\
        //- r/.state/pipeline.json\n[]\n";
    insta::assert_snapshot!(check_plan(text), @r"
    p: - Unreadable: .state/pipeline.json:4:7: expected another value after the comma, found a closing bracket; Remove the comma at line 4, column 7.
    q: - Unreadable: .state/intents/r1.json:2:0: expected a file written by ralph: EOF while parsing an object at line 2 column 0; Restore it, or look for the job on the cluster and remove the file.
    r: - Unreadable: .state/pipeline.json:1:1: expected an object, found a list; Put back the last good version of the file, for instance with `git checkout`.
    ");
}

#[test]
fn every_outstanding_job_is_asked_about_once_and_only_our_own_time_guards_against_a_reused_id() {
    let text = "//- a/.state/pipeline.json\n{\"phase\": \"a sentence\", \"active_runs\": [\
        {\"run_id\": \"r1\", \"job_id\": \"1001,1002\", \"submitted_at\": \"2026-11-20T11:59:00Z\"},\
        {\"run_id\": \"r2\", \"job_id\": 1002, \"status\": \"queued\"},\
        {\"run_id\": \"r3\", \"job_id\": \"1003\", \"status\": \"completed\"},\
        {\"run_id\": \"r4\", \"job_id\": \"n/a\"},\
        {\"run_id\": \"r5\", \"job_id\": \"1005\", \"submitted_at\": \"2026-11-20T11:59:00Z\", \"attempt\": 1}]}\n";
    let fixture = Fixture::parse(text);
    let asked = due([&fixture.facts()], &fixture.context());
    let shown: Vec<String> = asked
        .jobs
        .iter()
        .map(|query| format!("{} {:?}", query.job, query.submitted_after.map(stamp)))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    1001 None
    1002 None
    1005 Some("2026-11-20T11:44:00Z")
    "#);
}

#[test]
fn the_next_time_is_never_now() {
    let due_at = |text: &str| {
        let fixture = Fixture::parse(text);
        next_due(&fixture.world(), &fixture.context()).map(|at| stamp(at)[11..].to_owned())
    };
    let poll = |at: &str| {
        let wait = format!("\"slurm_wait\": {{\"next_poll_after\": {at:?}}},");
        due_at(&waiting("AUTORESEARCH", &wait))
    };
    assert_eq!(poll("2026-11-20T12:30:00Z").as_deref(), Some("12:30:00Z"));
    assert_eq!(poll("2026-11-20T11:00:00Z").as_deref(), Some("12:15:00Z"));
    let unnamed = waiting("WAIT_SLURM", "").replace("\"1001\"", "null");
    assert_eq!(due_at(&unnamed), None);
    assert_eq!(due_at(&busy("p", "RUN")), None);
    assert_eq!(Phase::parse("AUTORESEARCH").as_str(), "AUTORESEARCH");
}
