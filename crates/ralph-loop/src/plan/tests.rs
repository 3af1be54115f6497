//! Claims, marks and what crashes leave, on real files.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use ralph_core::error::{Code, Coded as _};
use ralph_core::process::Identity;
use ralph_core::process::lock::LifeLock;

use super::*;

mod contention;
mod crashes;
mod interleavings;

const NONE: &BTreeSet<TaskKey> = &BTreeSet::new();

/// A plan in a folder of its own.
struct Place {
    folder: tempfile::TempDir,
    flavour: Flavour,
}

impl Place {
    fn new(text: &str) -> Self {
        Self::of(text, Flavour::Repository)
    }

    fn of(text: &str, flavour: Flavour) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            flavour,
        };
        place.edit(text);
        place
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("fix_plan.md")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the user who writes the file"
    )]
    fn edit(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn plan(&self) -> PlanFile {
        self.plan_of(this_process())
    }

    fn plan_of(&self, owner: Owner) -> PlanFile {
        PlanFile::new(&self.path(), self.flavour, &self.state(), owner)
            .with_lock_timeout(Duration::from_millis(20))
    }

    /// The marks, in the order of their lines.
    fn marks(&self) -> String {
        let plan = self.plan().read().unwrap();
        plan.tasks
            .iter()
            .map(|task| task.mark.character())
            .collect()
    }

    /// The standings, one letter each.
    fn standings(&self) -> String {
        let plan = self.plan().read().unwrap();
        let letter = |planned: &Planned| match &planned.standing {
            Standing::Open => '.',
            Standing::Claimed(claimant) if claimant.life == Life::Gone => 'g',
            Standing::Claimed(_) => 'c',
            Standing::ClaimedByNobodyKnown => '?',
            Standing::Delivered(_) => 'd',
            Standing::Done => 'x',
        };
        plan.tasks.iter().map(letter).collect()
    }
}

fn this_process() -> Owner {
    Owner::new(Identity::of(std::process::id()).unwrap(), "host")
}

fn dead_process() -> Owner {
    let mut owner = this_process();
    owner.process.start_ticks -= 1;
    owner
}

fn attempt(name: &str) -> AttemptId {
    name.parse().unwrap()
}

fn now() -> Timestamp {
    "2026-11-26T21:00:00Z".parse().unwrap()
}

fn any() -> Wish<'static> {
    Wish {
        task: None,
        skip: NONE,
        repositories: None,
    }
}

fn named(task: &str) -> Wish<'_> {
    Wish {
        task: Some(task),
        ..any()
    }
}

fn take(plan: &PlanFile, wish: &Wish<'_>, name: &str) -> Option<Task> {
    match plan.claim(wish, &attempt(name), now()).unwrap() {
        Claim::Taken(task) => Some(task),
        Claim::NothingOpen { .. } => None,
    }
}

fn delivered() -> Delivered {
    Delivered {
        branch: "ralph/a".to_owned(),
        commit: "c0ffee".to_owned(),
        pull_request: None,
        delivered_at: now(),
    }
}

#[test]
fn a_task_goes_from_open_to_claimed_to_done() {
    let place = Place::new("## A\n- [ ] one\n- [ ] two\n");
    let plan = place.plan();
    let one = take(&plan, &any(), "a1").unwrap();
    assert_eq!((one.id.as_str(), one.line), ("one", 2));
    assert_eq!(place.text(), "## A\n- [~] one\n- [ ] two\n");
    assert_eq!(place.standings(), "c.");
    assert_eq!(
        plan.complete(&one, &attempt("a1")).unwrap(),
        Settled::Changed
    );
    assert_eq!(place.text(), "## A\n- [x] one\n- [ ] two\n");
    assert_eq!(place.standings(), "x.");
    // Twice, and back: done stays done.
    let done = Settled::Already(Mark::Done);
    assert_eq!(plan.complete(&one, &attempt("a1")).unwrap(), done);
    assert_eq!(plan.revert(&one, &attempt("a1")).unwrap(), done);
    assert_eq!(place.standings(), "x.");
}

#[test]
fn a_task_that_is_given_back_is_open() {
    let before = "## A\r\n- [ ] one | `$(x)`\r\n  note\r\n- [x] two";
    let place = Place::new(before);
    let plan = place.plan();
    let one = take(&plan, &any(), "a1").unwrap();
    assert!(take(&plan, &any(), "a2").is_none());
    assert_eq!(plan.revert(&one, &attempt("a1")).unwrap(), Settled::Changed);
    assert_eq!(place.text(), before);
    assert_eq!(
        plan.revert(&one, &attempt("a1")).unwrap(),
        Settled::Already(Mark::Open)
    );
}

#[test]
fn a_second_revert_does_not_touch_the_next_attempt() {
    let place = Place::new("- [ ] one\n");
    let plan = place.plan();
    let one = take(&plan, &any(), "a1").unwrap();
    plan.revert(&one, &attempt("a1")).unwrap();
    take(&plan, &any(), "a2").unwrap();
    assert_eq!(plan.revert(&one, &attempt("a1")).unwrap(), Settled::NotOurs);
    assert_eq!(place.standings(), "c");
    let other = place.plan_of(Owner {
        host: "elsewhere".to_owned(),
        ..this_process()
    });
    assert_eq!(
        other.revert(&one, &attempt("a2")).unwrap(),
        Settled::NotOurs
    );
    assert_eq!(place.marks(), "~");
}

#[test]
fn the_record_counts_and_not_the_mark() {
    let place = Place::new("- [ ] one\n- [~] two\n");
    let plan = place.plan();
    let one = take(&plan, &any(), "a1").unwrap();
    // Somebody takes the mark away: the task is still had, and its end still ticks it.
    place.edit("- [ ] one\n- [~] two\n");
    assert_eq!(place.standings(), "c?");
    assert!(take(&plan, &any(), "a2").is_none());
    plan.complete(&one, &attempt("a1")).unwrap();
    assert_eq!(place.marks(), "x~");
    // A mark of nobody known is left alone, but whoever names the task gets it.
    assert!(take(&plan, &any(), "a3").is_none());
    assert!(take(&plan, &named("2"), "a3").is_some());
    assert_eq!(place.standings(), "xc");
}

#[test]
fn a_task_is_followed_wherever_it_goes() {
    let place = Place::new("## A\n- [ ] one\n- [ ] two\n## B\n");
    let plan = place.plan();
    let one = take(&plan, &any(), "a1").unwrap();
    place.edit("# New title\n\n## B\n- [ ] zero\n- [~] one\n## A\n- [ ] two\n");
    let view = plan.read().unwrap();
    assert_eq!(view.tasks[1].task.key, one.key);
    assert_eq!(place.standings(), ".c.");
    plan.complete(&one, &attempt("a1")).unwrap();
    assert_eq!(
        place.text(),
        "# New title\n\n## B\n- [ ] zero\n- [x] one\n## A\n- [ ] two\n"
    );
    assert!(take(&plan, &any(), "a2").is_some_and(|task| task.id == "zero"));
}

#[test]
fn a_row_that_is_reworded_while_it_is_had_gets_its_mark() {
    let place = Place::new("## A\n- [ ] loginn\n- [ ] two\n## B\n- [~] other\n");
    let plan = place.plan();
    let one = take(&plan, &any(), "a1").unwrap();
    place.edit("## A\n- [~] login\n- [ ] two\n## B\n- [~] other\n");
    assert_eq!(place.standings(), "c.?");
    let two = take(&plan, &any(), "a2").unwrap();
    assert_eq!(place.standings(), "cc?");
    assert_eq!(
        plan.complete(&one, &attempt("a1")).unwrap(),
        Settled::Changed
    );
    assert_eq!(place.marks(), "x~~");
    // git sees its mark with the other words that it finds there.
    let lifted = plan.lift_marks().unwrap();
    assert_eq!(place.marks(), "x ~");
    lifted.restore().unwrap();
    // The same for one that is given back, also when it is told twice.
    place.edit("## A\n- [x] login\n- [~] deux\n## B\n- [~] other\n");
    let lifted = plan.lift_marks().unwrap();
    lifted.restore().unwrap();
    assert_eq!(place.marks(), "x~~");
    assert_eq!(plan.revert(&two, &attempt("a2")).unwrap(), Settled::Changed);
    assert_eq!(plan.revert(&two, &attempt("a2")).unwrap(), Settled::Gone);
    assert_eq!(place.marks(), "x ~");
}

#[test]
fn a_reworded_row_is_not_guessed() {
    // Somebody else's mark was there before.
    let place = Place::new("- [ ] one\n- [~] theirs\n");
    take(&place.plan(), &any(), "a1").unwrap();
    place.edit("- [~] uno\n- [x] theirs\n");
    assert_eq!(place.standings(), "?x");
    // Two are lost, and each might be the other.
    let place = Place::new("- [ ] one\n- [ ] two\n");
    take(&place.plan(), &any(), "a1").unwrap();
    take(&place.plan(), &any(), "a2").unwrap();
    place.edit("- [~] uno\n");
    assert_eq!(place.standings(), "?");
    // One is lost, and two might be it.
    let place = Place::new("- [ ] one\n");
    take(&place.plan(), &any(), "a1").unwrap();
    place.edit("- [~] uno\n- [~] un\n");
    assert_eq!(place.standings(), "??");
    // A mark elsewhere is another one.
    let place = Place::new("## A\n- [ ] one\n## B\n");
    take(&place.plan(), &any(), "a1").unwrap();
    place.edit("## A\n## B\n- [~] uno\n");
    assert_eq!(place.standings(), "?");
}

#[test]
fn a_twin_is_not_taken_for_a_task_that_was_deleted() {
    let place = Place::new("## A\n- [ ] one\n## B\n- [ ] one\n");
    let plan = place.plan();
    let one = take(&plan, &any(), "a1").unwrap();
    place.edit("## A\n## B\n- [ ] one\n");
    assert_eq!(place.standings(), ".");
    assert_eq!(plan.complete(&one, &attempt("a1")).unwrap(), Settled::Gone);
    assert_eq!(place.marks(), " ");
}

#[test]
fn of_a_claimed_row_and_its_copy_above_it_the_one_with_the_mark_is_settled() {
    for (settled, marks) in [("complete", " x"), ("revert", "  ")] {
        let place = Place::new("- [ ] one\n- [ ] two\n");
        let plan = place.plan();
        let one = take(&plan, &any(), "a1").unwrap();
        place.edit("- [ ] one\n- [~] one\n");
        assert_eq!(place.standings(), ".c");
        // The copy is a task of its own, which somebody may take meanwhile.
        let copy = take(&plan, &any(), "a2").unwrap();
        assert_ne!(copy.key, one.key);
        assert_eq!(place.standings(), "cc");
        plan.revert(&copy, &attempt("a2")).unwrap();
        place.edit("- [ ] one\n- [~] one\n");
        let done = match settled {
            "complete" => plan.complete(&one, &attempt("a1")).unwrap(),
            _ => plan.revert(&one, &attempt("a1")).unwrap(),
        };
        assert_eq!((done, &*place.marks()), (Settled::Changed, marks));
    }
    // Copied with its mark, either is the one; the other stays somebody's.
    let place = Place::new("- [ ] one\n");
    let plan = place.plan();
    let one = take(&plan, &any(), "a1").unwrap();
    place.edit("- [~] one\n- [~] one\n");
    plan.complete(&one, &attempt("a1")).unwrap();
    assert_eq!(
        (place.marks(), place.standings()),
        ("x~".into(), "x?".into())
    );
}

#[test]
fn what_was_delivered_is_not_open() {
    let place = Place::new("- [ ] one\n- [ ] two\n");
    let plan = place.plan();
    let one = take(&plan, &any(), "a1").unwrap();
    plan.record_delivered(&one, &attempt("a1"), &delivered())
        .unwrap();
    assert_eq!(place.text(), "- [ ] one\n- [ ] two\n");
    assert_eq!(place.standings(), "d.");
    let two = take(&plan, &any(), "a2").unwrap();
    assert_eq!(two.id, "two");
    assert_eq!(
        plan.claim(&any(), &attempt("a3"), now()).unwrap(),
        Claim::NothingOpen {
            claimed_elsewhere: 0,
            delivered: 1,
            withheld: 0
        }
    );
    // Moved, it is still delivered; its branch gone, it is open.
    place.edit("## Later\n- [ ] one\n- [~] two\n");
    assert_eq!(place.standings(), "dc");
    assert!(plan.recover(&|_| true).unwrap().forgotten.is_empty());
    let recovered = plan.recover(&|branch| branch != "ralph/a").unwrap();
    assert_eq!(recovered.forgotten.len(), 1);
    assert_eq!(place.standings(), ".c");
    assert!(!plan.forget_delivered(&one.key).unwrap());
}

#[test]
fn what_was_delivered_elsewhere_is_not_open_here() {
    let (there, here) = (
        Place::new("- [ ] one\n- [ ] two\n"),
        Place::new("- [ ] one\n- [ ] two\n- [ ] three\n"),
    );
    let one = take(&there.plan(), &any(), "a1").unwrap();
    there
        .plan()
        .record_delivered(&one, &attempt("a1"), &delivered())
        .unwrap();
    let lines = there.plan().deliveries().unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        here.plan().take_delivery(&lines[0]).unwrap(),
        Some(delivered())
    );
    assert_eq!(here.standings(), "d..");
    assert_eq!(here.plan().take_delivery(&lines[0]).unwrap(), None);
    assert_eq!(here.plan().deliveries().unwrap(), lines);
    // A key that is no name of a file, another one than the record's, and no record at all.
    let (key, text) = lines[0].split_once(' ').unwrap();
    let other = format!("{} {text}", "0".repeat(key.len()));
    for line in [&format!("../x {text}"), &other, &format!("{key} {{}}"), ""] {
        assert_eq!(here.plan().take_delivery(line).unwrap(), None, "{line}");
    }

    // What is ticked on a branch waits there; what is done or delivered here is left as it is.
    here.edit("- [ ] one\n- [ ] two\n- [x] three\n");
    let ticked = "- [x] one\n- [x] two\n- [x] three\n".to_owned();
    let result = Delivered {
        branch: "ralph-claude/result".into(),
        ..delivered()
    };
    let began = || "- [ ] one\n- [ ] two\n- [ ] three\n".to_owned();
    let taken = |ticked: &str| {
        let plan = here.plan();
        plan.take_ticks(began(), ticked.to_owned(), &result)
            .unwrap()
    };
    assert_eq!(taken(&ticked), 1);
    assert_eq!(here.standings(), "ddx");
    assert_eq!(taken(&ticked), 0);
    let branches: Vec<String> = here.plan().deliveries().unwrap();
    assert!(
        branches
            .iter()
            .any(|line| line.starts_with(key) && !line.contains("result"))
    );
}

/// A job began where one was ticked already; somebody has opened that one again at home while it ran.
#[test]
fn a_tick_that_a_branch_began_with_is_none_of_its_work() {
    let here = Place::new("- [ ] one\n- [ ] two\n- [ ] three\n");
    let began = "- [x] one\n- [ ] two\n- [ ] three\n".to_owned();
    let theirs = "- [x] one\n- [x] two\n- [ ] three\n".to_owned();
    let taken = here.plan().take_ticks(began, theirs, &delivered());
    assert_eq!(taken.unwrap(), 1);
    assert_eq!(here.standings(), ".d.");
}

#[test]
fn a_named_task_that_cannot_be_taken_says_why() {
    let place = Place::new("- [x] **E1** a\n- [ ] **E2** b\n- [ ] **E3** c\n- [ ] **E4** d\n");
    let plan = place.plan();
    let three = take(&plan, &named("E3"), "a3").unwrap();
    plan.record_delivered(&three, &attempt("a3"), &delivered())
        .unwrap();
    take(&plan, &named("e2"), "a2").unwrap();
    take(&place.plan_of(dead_process()), &named("E4"), "a4").unwrap();
    let mut text = String::new();
    for query in ["E1", "E2", "E3", "E4", "E9", "99"] {
        let error = plan.claim(&named(query), &attempt("b"), now()).unwrap_err();
        let shown = error
            .to_string()
            .replace(&place.path().display().to_string(), "PLAN")
            .replace(&std::process::id().to_string(), "PID");
        let hint = error.hint().unwrap();
        writeln!(text, "{query} {} {shown}\n   {hint}", error.code()).unwrap();
    }
    insta::assert_snapshot!(text, @"
    E1 failed PLAN, line 1: the task `e1-a` is completed already
       Change its mark to `[ ]` if it is to be done again.
    E2 locked PLAN, line 2: the task `e2-b` is claimed by attempt a2 of process PID on host, since 2026-11-26T21:00:00Z
       Wait for that process, or stop it.
    E3 failed PLAN, line 3: the task `e3-c` is delivered on the branch ralph/a and not merged
       Merge that branch, or delete it if the task is to be done again.
    E4 locked PLAN, line 4: the task `e4-d` is claimed by attempt a4 of process PID on host, since 2026-11-26T21:00:00Z, which is gone
       Start `ralph loop` once without naming a task: it cleans up after that process.
    E9 failed PLAN: no task of the plan is named `E9`
       Give a task's number in the plan, counted over all states, or its id.
    99 failed PLAN: there is no task number 99; the plan has 4
       Give a task's number in the plan, counted over all states, or its id.
    ");
    assert_eq!(place.standings(), "xcdg");
}

#[test]
fn a_task_has_names_that_we_print() {
    let place = Place::new("- [ ] one\n- [ ] two\n");
    let plan = place.plan();
    let two = Task::clone(&plan.read().unwrap().tasks[1].task);
    let by_key = take(&plan, &named(two.key.as_str()), "a").unwrap();
    assert_eq!(by_key, two);
    plan.revert(&two, &attempt("a")).unwrap();
    assert_eq!(take(&plan, &named(&two.name()), "a").unwrap(), two);
}

#[test]
fn wishes_are_respected() {
    let text = "## api\n- [ ] one\n- [ ] two\n## web\n- [ ] three\n## Notes\n- [ ] four\n";
    let place = Place::of(text, Flavour::Workspace);
    let plan = place.plan();
    let names = |names: &[&str]| {
        names
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
    };
    let known = names(&["api", "web"]);
    let wish = Wish {
        repositories: Some(&known),
        ..any()
    };
    let one = take(&plan, &wish, "a").unwrap();
    let three = take(&plan, &wish, "a").unwrap();
    assert_eq!(three.repository.as_deref(), Some("web"));
    let left = plan.claim(&wish, &attempt("b"), now()).unwrap();
    assert_eq!(
        left,
        Claim::NothingOpen {
            claimed_elsewhere: 0,
            delivered: 0,
            withheld: 2
        }
    );
    plan.revert(&one, &attempt("a")).unwrap();
    let skip = BTreeSet::from([one.key]);
    let wish = Wish {
        skip: &skip,
        repositories: Some(&known),
        ..any()
    };
    assert_eq!(take(&plan, &wish, "c").unwrap().id, "two");
}

#[test]
fn another_process_keeps_its_repository() {
    let place = Place::of("## api\n- [ ] one\n- [ ] two\n", Flavour::Workspace);
    let elsewhere = Owner {
        pid_namespace: Some("another".to_owned()),
        ..this_process()
    };
    take(&place.plan_of(elsewhere), &any(), "a").unwrap();
    assert!(take(&place.plan(), &any(), "b").is_none());
    let gone = Place::of("## api\n- [ ] one\n- [ ] two\n", Flavour::Workspace);
    take(&gone.plan_of(dead_process()), &any(), "a").unwrap();
    assert!(take(&gone.plan(), &any(), "b").is_some());
}

#[test]
fn mode_and_link_are_kept() {
    let place = Place::new("");
    let real = place.folder.path().join("real.md");
    fs::remove_file(place.path()).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the user who writes the file"
    )]
    fs::write(&real, "- [ ] one\n").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("real.md", place.path()).unwrap();
    take(&place.plan(), &any(), "a").unwrap();
    assert!(fs::symlink_metadata(place.path()).unwrap().is_symlink());
    assert_eq!(place.text(), "- [~] one\n");
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o640
    );
}

#[test]
fn a_plan_that_cannot_be_used_is_an_error_and_never_no_work() {
    let place = Place::new("- [ ] one\n");
    let plan = place.plan();
    take(&plan, &any(), "a").unwrap();
    let lock = LifeLock::try_take_once(&place.state().join("plan.lock")).unwrap();
    let held = plan.claim(&any(), &attempt("b"), now()).unwrap_err();
    assert_eq!(held.code(), Code::Locked);
    drop(lock);
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the user who writes the file"
    )]
    fs::write(place.path(), b"- [ ] \xff\n").unwrap();
    assert_eq!(plan.read().unwrap_err().code(), Code::CorruptState);
    fs::remove_file(place.path()).unwrap();
    let missing = plan.claim(&any(), &attempt("b"), now()).unwrap_err();
    assert_eq!(missing.code(), Code::NoFixPlan);
}

#[test]
fn reading_writes_nothing() {
    let place = Place::new("- [ ] one\n");
    place.plan().read().unwrap();
    assert!(!place.state().exists());
}

#[test]
fn marks_are_lifted_and_put_back() {
    let place = Place::new("- [ ] one\n- [~] nobody's\n- [ ] two\n- [ ] three\n");
    let plan = place.plan();
    let one = take(&plan, &any(), "a1").unwrap();
    take(&plan, &any(), "a2").unwrap();
    let lifted = plan.lift_marks().unwrap();
    assert_eq!(place.marks(), " ~  ");
    let before = place.text();
    // Meanwhile git writes the plan anew, and the half of it that is there has a row that looks like another one.
    place.edit("- [ ] one\n- [~] nobody's\n- [ ] two\n- [ ] th");
    assert_eq!(plan.read().unwrap().tasks.len(), 4);
    assert_eq!(take(&plan, &any(), "a3").unwrap().id, "three");
    place.edit(&before.replace("[ ] one", "[x] one"));
    assert_eq!(place.marks(), "x~  ");
    let other = place.plan_of(dead_process());
    // Another process waits, and nothing lifts twice.
    assert_eq!(
        other
            .claim(&any(), &attempt("b"), now())
            .unwrap_err()
            .code(),
        Code::Locked
    );
    assert_eq!(plan.lift_marks().unwrap_err().code(), Code::Locked);
    lifted.restore().unwrap();
    assert_eq!(place.marks(), "x~~~");
    plan.revert(&one, &attempt("a1")).unwrap();
    assert_eq!(place.standings(), "x?cc");
    assert_eq!(plan.with_marks_lifted(|| place.marks()).unwrap(), "x~  ");
    assert_eq!(place.marks(), "x~~~");
    assert!(take(&other, &any(), "b").is_none());
}

#[test]
fn a_task_that_ends_while_the_marks_are_lifted_is_ticked_when_they_are_back() {
    let place = Place::new("- [ ] one\n- [ ] two\n");
    let plan = place.plan();
    let one = take(&plan, &any(), "a1").unwrap();
    let two = take(&plan, &any(), "a2").unwrap();
    let lifted = plan.lift_marks().unwrap();
    let whole = place.text();
    place.edit("- [ ] o");
    // To give a task back takes nothing but its record; to tick it takes the file.
    assert_eq!(
        plan.revert(&two, &attempt("a2")).unwrap(),
        Settled::Already(Mark::Open)
    );
    std::thread::scope(|scope| {
        // Whether it comes before the marks are back or after: it never goes by half a plan.
        let ticking = scope.spawn(|| plan.complete(&one, &attempt("a1")));
        // git may take longer than any other process is waited for.
        let began = std::time::Instant::now();
        while !ticking.is_finished() && began.elapsed() < Duration::from_millis(100) {
            std::thread::yield_now();
        }
        assert_eq!(place.text(), "- [ ] o");
        place.edit(&whole);
        lifted.restore().unwrap();
        assert_eq!(ticking.join().unwrap().unwrap(), Settled::Changed);
    });
    assert_eq!(place.marks(), "x ");
    assert_eq!(place.standings(), "x.");
}

#[test]
fn a_plan_that_was_committed_with_marks_is_as_committed_for_a_moment() {
    let place = Place::new("- [ ] one\n- [~] nobody's\n- [ ] two\n- [ ] three\n");
    let plan = place.plan();
    let one = take(&plan, &any(), "a1").unwrap();
    let committed = place.text();
    take(&plan, &any(), "a2").unwrap();
    let rows = plan.committed_marks(&committed).unwrap().unwrap();
    assert!(rows.contains(&one.row), "{rows:?}");
    let seen = plan.with_plan_as(&committed, || {
        let seen = place.text();
        place.edit("- [x] one\n- [~] nobody's\n- [ ] two\n- [ ] three\n");
        seen
    });
    assert_eq!(seen.unwrap(), committed);
    assert_eq!(place.marks(), "x~~ ");
    // What a person changes is theirs, and stays in the file.
    place.edit("- [x] one\n- [~] nobody's\n- [~] two\n- [ ] four\n");
    assert_eq!(plan.committed_marks(&committed).unwrap(), None);
    let seen = plan.with_plan_as(&committed, || place.text());
    assert_eq!(
        seen.unwrap(),
        "- [x] one\n- [~] nobody's\n- [ ] two\n- [ ] four\n"
    );
    // No mark of ours is committed.
    let other = Place::new("- [ ] one\n- [~] nobody's\n");
    let committed = other.text();
    let plan = other.plan();
    take(&plan, &any(), "a1").unwrap();
    assert_eq!(plan.committed_marks(&committed).unwrap(), None);
}

#[test]
fn a_tick_does_not_wait_for_ever() {
    let place = Place::new("- [ ] one\n");
    let plan = place.plan().with_lock_timeout(Duration::from_millis(1));
    let one = take(&plan, &any(), "a1").unwrap();
    let lifted = plan.lift_marks().unwrap();
    let late = plan.complete(&one, &attempt("a1")).unwrap_err();
    assert_eq!(late.code(), Code::Locked);
    lifted.restore().unwrap();
    assert_eq!(place.standings(), "c");
}

#[test]
fn marks_come_back_also_after_a_panic() {
    let place = Place::new("- [ ] one\n");
    let plan = place.plan();
    take(&plan, &any(), "a1").unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = plan.with_marks_lifted(|| std::panic::resume_unwind(Box::new(())));
    }));
    assert!(panicked.is_err());
    assert_eq!(place.marks(), "~");
    assert!(take(&place.plan_of(dead_process()), &any(), "b").is_none());
}
