//! Many at once: no task is had twice, no tick and no edit of anybody is lost.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;

fn numbered(count: usize) -> String {
    (1..=count)
        .map(|number| format!("- [ ] task {number}\n"))
        .collect()
}

fn patient(place: &Place) -> PlanFile {
    place.plan().with_lock_timeout(Duration::from_secs(120))
}

/// Once the plan stands still for long enough; until then nothing was written.
fn again<T>(mut step: impl FnMut() -> Result<T, PlanError>) -> T {
    loop {
        match step() {
            Err(PlanError::Changing { .. }) => {}
            done => return done.unwrap(),
        }
    }
}

/// Claims whatever is open until nothing is, and completes or gives back.
fn work(plan: &PlanFile, worker: usize, held: &[AtomicBool], done: &AtomicUsize) {
    let mut round = 0;
    loop {
        round += 1;
        let name = format!("w{worker}-{round}");
        let Some(task) = take(plan, &any(), &name) else {
            return;
        };
        let number: usize = task.id.trim_start_matches("task-").parse().unwrap();
        assert!(
            !held[number].swap(true, Ordering::SeqCst),
            "{} twice",
            task.id
        );
        held[number].store(false, Ordering::SeqCst);
        if (round + worker).is_multiple_of(3) {
            assert_eq!(
                plan.revert(&task, &attempt(&name)).unwrap(),
                Settled::Changed
            );
        } else {
            assert_eq!(
                plan.complete(&task, &attempt(&name)).unwrap(),
                Settled::Changed
            );
            done.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn twelve_workers_have_no_task_twice_and_lose_no_tick() {
    const TASKS: usize = 60;
    let place = Place::new(&numbered(TASKS));
    let held: Vec<AtomicBool> = (0..=TASKS).map(|_| AtomicBool::new(false)).collect();
    let done = AtomicUsize::new(0);
    // Each has a file of its own, so that only the lock keeps them apart, as in twelve processes.
    std::thread::scope(|scope| {
        for worker in 0..12 {
            let (plan, held, done) = (patient(&place), &held, &done);
            scope.spawn(move || work(&plan, worker, held, done));
        }
    });
    assert_eq!(done.load(Ordering::SeqCst), TASKS);
    assert_eq!(place.marks(), "x".repeat(TASKS));
    assert_eq!(
        fs::read_dir(place.state().join("claims")).unwrap().count(),
        0
    );
}

#[test]
fn many_completions_at_once_lose_none() {
    // A thousand of them take too long without optimization; `cargo xtask bench plan` does that.
    const TASKS: usize = 160;
    let place = Place::new(&numbered(TASKS));
    let tasks: Vec<Arc<Task>> = patient(&place)
        .read()
        .unwrap()
        .tasks
        .into_iter()
        .map(|planned| planned.task)
        .collect();
    let tasks = Arc::new(tasks);
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let (plan, tasks) = (patient(&place), Arc::clone(&tasks));
            scope.spawn(move || {
                for task in tasks.iter().skip(worker).step_by(8) {
                    let settled = plan.complete(task, &attempt("a")).unwrap();
                    assert_eq!(settled, Settled::Changed);
                }
            });
        }
    });
    assert_eq!(place.marks(), "x".repeat(TASKS));
}

#[test]
fn an_editor_that_knows_no_lock_loses_nothing_it_saved_before() {
    let place = Place::new(&numbered(20));
    let plan = patient(&place);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The editor may save faster than we read; then nothing is written, and we come again.
            while let Claim::Taken(task) = again(|| plan.claim(&any(), &attempt("a"), now())) {
                again(|| plan.complete(&task, &attempt("a")));
            }
        });
        for line in 0..30 {
            // As an editor saves: a new file over the old one, from what it has read.
            let text = format!("{}note {line}\n", place.text());
            ralph_core::store::atomic::replace(&place.path(), text.as_bytes()).unwrap();
            std::thread::yield_now();
        }
    });
    // The editor may overwrite a mark of ours (it knows no lock), but nothing is torn and no text is invented.
    let text = place.text();
    assert_eq!(text.matches("task ").count(), 20);
    assert!(
        text.lines()
            .all(|line| line.starts_with("- [") || line.starts_with("note "))
    );
}

#[test]
fn a_plan_that_changed_since_it_was_read_is_not_overwritten() {
    let place = Place::new("- [ ] one\n");
    let text = place.text();
    place.edit("- [ ] one\n- [ ] two\n");
    let written = edit::write(&place.path(), &text, "- [~] one\n").unwrap();
    assert_eq!(written, Written::No);
    assert_eq!(place.text(), "- [ ] one\n- [ ] two\n");
    // The change is made again on what is there now.
    take(&place.plan(), &any(), "a").unwrap();
    assert_eq!(place.text(), "- [~] one\n- [ ] two\n");
}

/// git replaces the plan of a checkout by removing it and writing it anew; nobody may take that for a missing plan.
#[test]
fn a_plan_that_git_writes_anew_is_neither_missing_nor_empty() {
    const TEXT: &str = "- [ ] one\n- [ ] two\n";
    let place = Place::new(TEXT);
    let plan = place.plan();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                fs::remove_file(place.path()).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(2));
                place.edit(TEXT);
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        let read: Vec<_> = (0..200)
            .map(|_| plan.read().map(|plan| plan.tasks.len()))
            .collect();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(read.iter().all(|found| matches!(found, Ok(2))), "{read:?}");
    });
}
