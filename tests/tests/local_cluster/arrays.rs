//! Arrays: their tasks, their limit, their parts.

use std::collections::BTreeSet;

use ralph_core::job::{Finality, JobState};

use crate::bed::Bed;

#[test]
fn tasks_have_their_own_ids_variables_and_logs() {
    let bed = Bed::new();
    let job = bed.submit(
        "--array=1,4-6:2\n--job-name=sweep",
        "echo $SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID $SLURM_ARRAY_TASK_COUNT $SLURM_ARRAY_TASK_MIN $SLURM_ARRAY_TASK_MAX; touch own-$SLURM_JOB_ID; exit $((SLURM_ARRAY_TASK_ID == 4))",
    );
    let report = bed.end(job);
    let tasks: Vec<String> = report
        .tasks
        .iter()
        .map(|task| format!("{} {}", task.job, task.state))
        .collect();
    assert_eq!(
        tasks,
        ["1001_1 COMPLETED", "1001_4 FAILED", "1001_6 COMPLETED"]
    );
    assert_eq!(
        (&report.state, report.verdict()),
        (&JobState::Failed, &JobState::Failed)
    );
    assert_eq!(report.exit.unwrap().to_string(), "1:0");
    assert_eq!(report.stdout, None);
    for (task, index) in report.tasks.iter().zip([1, 4, 6]) {
        let log = format!("slurm/logs/sweep_1001_{index}.out");
        assert!(task.stdout.as_ref().unwrap().ends_with(&log));
        assert_eq!(bed.read(log), format!("1001 {index} 3 1 6\n"));
        assert_eq!(bed.report(job.task(index)).state, task.state);
    }
    let raw: BTreeSet<bool> = [1001, 1002, 1003]
        .map(|id| bed.has(&format!("own-{id}")))
        .into();
    assert_eq!(
        raw,
        BTreeSet::from([true]),
        "every task has an id of its own"
    );
    assert_eq!(bed.submit("", "true").base(), 1004);
}

#[test]
fn no_more_tasks_at_once_than_the_limit_and_no_fewer() {
    let bed = Bed::new();
    // The first two meet each other, so that two really run at once; then each writes down how many it sees.
    let job = bed.submit(
        "--array=0-7%2",
        "i=$SLURM_ARRAY_TASK_ID; mkdir -p running; touch running/$i
         if [ $i -lt 2 ]; then touch met-$i; until [ -e met-0 ] && [ -e met-1 ]; do sleep 0.01; done; fi
         ls running | wc -l > seen-$i; sleep 0.02; ls running | wc -l >> seen-$i; rm running/$i",
    );
    bed.wait_state(job, &JobState::Running);
    let report = bed.end(job);
    assert_eq!(report.state, JobState::Completed);
    let seen: BTreeSet<u32> = (0..8)
        .flat_map(|i| {
            bed.read(format!("seen-{i}"))
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .map(|line| line.trim().parse().unwrap())
        .collect();
    assert_eq!(seen.last(), Some(&2), "{seen:?}");
}

#[test]
fn an_array_is_over_when_its_last_task_is() {
    let bed = Bed::new();
    let job = bed.submit(
        "--array=0-2%1",
        "[ $SLURM_ARRAY_TASK_ID = 0 ] && exit 1; until [ -e go ]; do sleep 0.01; done",
    );
    let first = crate::until::until("the first task's end", || {
        let report = bed.report(job);
        (report.tasks[0].state == JobState::Failed).then_some(report)
    });
    assert_eq!(first.finality(), Finality::Alive);
    assert_eq!((&first.state, first.ended), (&JobState::Running, None));
    let waiting = crate::until::until("a reason", || {
        let task = bed.report(job.task(2));
        (task.reason.as_deref() == Some("JobArrayTaskLimit")).then_some(task)
    });
    assert_eq!(waiting.state, JobState::Pending);
    bed.touch("go");
    let report = bed.end(job);
    assert_eq!(report.finality(), Finality::Final);
    assert_eq!(report.state, JobState::Failed);
}

#[test]
fn the_machines_places_are_shared_by_all() {
    let mut bed = Bed::new();
    bed.settings.max_parallel = 2;
    let body = "mkdir running 2>/dev/null; touch running/$SLURM_JOB_ID; ls running | wc -l >> seen-$SLURM_JOB_ID; sleep 0.02; rm running/$SLURM_JOB_ID";
    let jobs = [
        bed.submit("--array=0-3", body),
        bed.submit("--array=0-3", body),
        bed.submit("", body),
    ];
    for job in jobs {
        assert_eq!(bed.end(job).state, JobState::Completed);
    }
    let most = (1001..=1009)
        .map(|id| {
            bed.read(format!("seen-{id}"))
                .trim()
                .parse::<u32>()
                .unwrap()
        })
        .max();
    assert!(most <= Some(2), "{most:?}");
}

#[test]
fn one_task_can_be_cancelled() {
    let bed = Bed::new();
    let job = bed.submit(
        "--array=0-3%3",
        "touch up-$SLURM_ARRAY_TASK_ID; until [ -e go ]; do sleep 0.01; done",
    );
    for task in 0..3 {
        bed.wait_for(&format!("up-{task}"));
    }
    bed.cancel(job.task(3));
    bed.cancel(job.task(1));
    let report = crate::until::until("both cancelled", || {
        let report = bed.report(job);
        let over = |task: usize| report.tasks[task].state == JobState::Cancelled;
        (over(1) && over(3)).then_some(report)
    });
    assert_eq!(report.tasks[3].started, None);
    assert_eq!(report.tasks[0].state, JobState::Running);
    bed.touch("go");
    let report = bed.end(job);
    let states: Vec<&str> = report
        .tasks
        .iter()
        .map(|task| task.state.as_str())
        .collect();
    assert_eq!(states, ["COMPLETED", "CANCELLED", "COMPLETED", "CANCELLED"]);
    assert!(!bed.has("up-3"));
}

#[test]
fn a_whole_array_can_be_cancelled() {
    let bed = Bed::new();
    let job = bed.submit("--array=0-5%2", "touch up-$SLURM_ARRAY_TASK_ID; sleep 1000");
    bed.wait_for("up-0");
    bed.wait_for("up-1");
    bed.cancel(job);
    let report = bed.end(job);
    assert!(
        report
            .tasks
            .iter()
            .all(|task| task.state == JobState::Cancelled)
    );
    assert!(!bed.has("up-2"));
}

#[test]
fn orphaned_tasks_are_told_apart() {
    let bed = Bed::new();
    let job = bed.submit(
        "--array=0-2%2",
        "i=$SLURM_ARRAY_TASK_ID; echo $$ > pid-$i; until [ -e go-$i ]; do sleep 0.01; done",
    );
    let pids = [bed.pid("pid-0"), bed.pid("pid-1")];
    bed.kill_supervisor(job);
    bed.touch("go-0");
    crate::until::until("the first task gone", || {
        (!crate::bed::is_alive(pids[0])).then_some(())
    });
    let states = |bed: &Bed| -> Vec<String> {
        let report = bed.report(job);
        report
            .tasks
            .iter()
            .map(|task| task.state.to_string())
            .collect()
    };
    assert_eq!(states(&bed), ["NODE_FAIL", "RUNNING", "NODE_FAIL"]);
    bed.cancel(job.task(1));
    crate::until::until("the second task gone", || {
        (!crate::bed::is_alive(pids[1])).then_some(())
    });
    assert_eq!(states(&bed), ["NODE_FAIL", "CANCELLED", "NODE_FAIL"]);
}
