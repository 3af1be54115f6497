//! A submission that is killed at any point is one job after the next dispatch.

use std::fs;

use ralph_tests::Workspace;

/// Every crash point that a submitting dispatch passes, in order.
fn points() -> Vec<String> {
    let workspace = Workspace::local();
    workspace.project("toy", "RUN", &[("Q-001", "echo once >> started")]);
    let log = workspace.path("points");
    let status = workspace
        .command(&["dispatch"])
        .env("RALPH_CRASH_LOG", &log)
        .status()
        .expect("ralph");
    assert!(status.success());
    let text = fs::read_to_string(log)
        .expect("the points that were passed; is the feature `crash-points` on?");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn killed_at_any_point_the_job_starts_exactly_once() {
    let points = points();
    assert!(
        points.iter().any(|point| point.starts_with("submit.")),
        "{points:?}"
    );
    // Each point has a workspace of its own, and a life is mostly waiting for polls.
    std::thread::scope(|scope| {
        for part in points.chunks(points.len().div_ceil(4)) {
            scope.spawn(|| part.iter().for_each(|at| once_after_a_crash(at)));
        }
    });
}

/// One life with a crash at this point: the job starts once, and the project gets to its end.
fn once_after_a_crash(at: &str) {
    let workspace = Workspace::local();
    workspace.project("toy", "RUN", &[("Q-001", "echo once >> started")]);
    let status = workspace
        .command(&["dispatch"])
        .env("RALPH_CRASH_AT", at)
        .status()
        .expect("ralph");
    assert!(!status.success(), "{at}");
    let rest = workspace.ralph(&["dispatch", "--until-idle"]);
    let state = workspace.state("toy");
    assert_eq!(
        state["phase"], "DONE",
        "{at}\n{}\n{}",
        rest.stdout, rest.stderr
    );
    assert_eq!(workspace.read("projects/toy/started"), "once\n", "{at}");
    assert_eq!(
        state["completed_runs"].as_array().map(Vec::len),
        Some(1),
        "{at}"
    );
}

#[test]
fn two_dispatches_at_once_submit_one_job() {
    let workspace = Workspace::local();
    workspace.project("toy", "RUN", &[("Q-001", "echo once >> started")]);
    let mut children: Vec<_> = (0..4)
        .map(|_| workspace.command(&["dispatch"]).spawn().expect("ralph"))
        .collect();
    for child in &mut children {
        let _ = child.wait().expect("an end");
    }
    let _ = workspace.ralph(&["dispatch", "--until-idle"]).ended(0);
    assert_eq!(workspace.read("projects/toy/started"), "once\n");
    assert_eq!(workspace.jobs(), 1);
}

#[test]
fn eight_people_submit_the_same_item_and_one_job_runs() {
    let workspace = Workspace::local();
    workspace.project("toy", "RUN", &[("Q-001", "echo once >> started")]);
    let mut children: Vec<_> = (0..8)
        .map(|_| {
            workspace
                .command(&["submit", "--project", "toy"])
                .stderr(std::process::Stdio::null())
                .spawn()
                .expect("ralph")
        })
        .collect();
    let accepted = children
        .iter_mut()
        .map(|child| child.wait().expect("an end"))
        .filter(std::process::ExitStatus::success)
        .count();
    assert_eq!(accepted, 1);
    assert_eq!(workspace.jobs(), 1);
}
