//! Another project's `ralph`: it gets its part of N and M and what its help knows, or a clear refusal.

use ralph_tests::workbench::{BATCH, Workbench};

#[test]
fn n_and_m_are_divided_so_that_the_sums_hold() {
    let bench = Workbench::new(&["svc-a", "svc-b", "svc-c"]);
    let _ = bench.run(&["--wait", "--parallel", "4", "10"]).ended(0);
    let given = ["svc-a", "svc-b", "svc-c"].map(|name| bench.given(name));
    assert_eq!(
        given,
        [
            "ralph --parallel 2 4 --no-tabs\n",
            "ralph --parallel 1 3 --no-tabs\n",
            "ralph --parallel 1 3 --no-tabs\n"
        ]
    );
    // Where N is not said, each loop has one worker: four would be less than one each for five.
    let _ = bench.run(&["--wait", "--no-tabs"]).ended(0);
    assert_eq!(
        bench.given("svc-b"),
        "ralph --parallel 1 3 --no-tabs\nralph --parallel 1\n"
    );
}

#[test]
fn what_cannot_be_divided_is_refused() {
    let bench = Workbench::new(&["svc-a", "svc-b", "svc-c"]);
    let ran = bench.run(&["--parallel", "2", "10"]).ended(2);
    assert!(
        ran.stderr
            .contains("2 workers cannot be divided over 3 loops that do not share a budget"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("Allow at least 3 workers"));
    assert_eq!(bench.given("svc-a"), "");
}

#[test]
fn what_it_does_not_advertise_is_refused_and_never_dropped() {
    let bench = Workbench::new(&["svc-a"]);
    bench.write("stub/help", BATCH);
    for (arguments, what) in [
        (["--max-tasks", "5"], "continuous mode (M)"),
        (["--max-task-attempts", "2"], "attempts per task (K)"),
        (["--respawn-delay", "1"], "a respawn delay"),
    ] {
        let ran = bench.run(&arguments).ended(32);
        assert!(
            ran.stderr.contains(&format!("does not know {what}")),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(bench.given("svc-a"), "");
    // Batch mode it knows; tabs it has none of, so there is nothing to refuse.
    let _ = bench.run(&["--wait", "--no-tabs"]).ended(0);
    assert_eq!(bench.given("svc-a"), "ralph --parallel 1\n");
}
