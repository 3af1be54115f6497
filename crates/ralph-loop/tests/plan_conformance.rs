//! What the loop that came before promised about its plan, case by case: numbers 1 to 63 of the table that was made of
//! its own tests, at the level of the library. Where ours is meant to differ, the test says what and why.
//!
//! | cases | about |
//! |---|---|
//! | 1 to 28 | the grammar, ids and choosing a task |
//! | 29 to 39 | claiming, completing, giving back |
//! | 40 to 45 | a worker's plan brought back into the main one |
//! | 46 to 63 | a folder of repositories |

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the tests write the files of users, and what fails fails the test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ralph_core::error::{Code, Coded as _};
use ralph_core::process::Identity;
use ralph_core::process::lock::LifeLock;
use ralph_core::time::Timestamp;
use ralph_docs::fix_plan::{self, Flavour, Mark, Marked, Reading, Row};
use ralph_loop::outcome::AttemptId;
use ralph_loop::plan::{Claim, Owner, Plan, PlanError, PlanFile, Settled, Wish};
use ralph_loop::task::{Task, TaskKey};
use ralph_loop::workspace_plan::{
    self, FilterWords, RepositoryFilter, WorkspaceError, discover, effective_parallelism,
};

static NONE: BTreeSet<TaskKey> = BTreeSet::new();

/// A plan in a folder of its own.
struct Place {
    folder: tempfile::TempDir,
    flavour: Flavour,
}

impl Place {
    fn of(text: &str, flavour: Flavour) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder, flavour };
        place.write(text);
        place
    }

    fn single(text: &str) -> Self {
        Self::of(text, Flavour::Repository)
    }

    fn workspace(text: &str) -> Self {
        Self::of(text, Flavour::Workspace)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("fix_plan.md")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    fn file(&self, owner: Owner) -> PlanFile {
        let state = self.folder.path().join("state");
        PlanFile::new(&self.path(), self.flavour, &state, owner)
            .with_lock_timeout(Duration::from_secs(60))
    }

    fn plan(&self) -> PlanFile {
        self.file(this_process())
    }

    fn read(&self) -> Plan {
        self.plan().read().unwrap()
    }
}

fn this_process() -> Owner {
    Owner::new(Identity::of(std::process::id()).unwrap(), "host")
}

fn attempt() -> AttemptId {
    "attempt".parse().unwrap()
}

fn now() -> Timestamp {
    "2026-11-26T21:00:00Z".parse().unwrap()
}

fn any() -> Wish<'static> {
    Wish {
        task: None,
        skip: &NONE,
        repositories: None,
    }
}

fn named(task: &str) -> Wish<'_> {
    Wish {
        task: Some(task),
        ..any()
    }
}

fn take(plan: &PlanFile, wish: &Wish<'_>) -> Result<Task, String> {
    match plan.claim(wish, &attempt(), now()) {
        Ok(Claim::Taken(task)) => Ok(task),
        Ok(Claim::NothingOpen { .. }) => Err("nothing open".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn rows(text: &str) -> Vec<Row> {
    fix_plan::rows(text, Flavour::Repository)
}

fn texts(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.key.text.as_str()).collect()
}

fn id(text: &str) -> String {
    rows(&format!("- [ ] {text}\n"))[0].id.clone()
}

/// Asks for a task by name and expects that exactly one character changed.
fn expect_taken(text: &str, query: &str, wanted: &str) {
    let place = Place::single(text);
    take(&place.plan(), &named(query))
        .unwrap_or_else(|error| panic!("{query} in {text:?}: {error}"));
    assert_eq!(place.text(), wanted, "{query}");
}

/// Asks for a task by name and expects a refusal that leaves the plan alone.
fn expect_refused(text: &str, query: &str) -> PlanError {
    let place = Place::single(text);
    let error = place
        .plan()
        .claim(&named(query), &attempt(), now())
        .unwrap_err();
    assert_eq!(place.text(), text);
    error
}

#[test]
fn case_01_a_bold_id() {
    expect_taken("- [ ] **E5** Do it\n", "E5", "- [~] **E5** Do it\n");
}

#[test]
fn case_02_a_bold_id_with_punctuation() {
    for form in ["**E5.**", "**E5:**", "**E5)**", "**E5]**"] {
        expect_taken(
            &format!("- [ ] {form} Do it\n"),
            "E5",
            &format!("- [~] {form} Do it\n"),
        );
    }
}

#[test]
fn case_03_an_id_in_lower_case() {
    // Ours also finds `**Ab1**` asked for as `ab1`, which theirs missed.
    for (form, query) in [("**E5**", "e5"), ("**E5.**", "e5"), ("**Ab1**", "ab1")] {
        expect_taken(
            &format!("- [ ] {form} Do it\n"),
            query,
            &format!("- [~] {form} Do it\n"),
        );
    }
}

#[test]
fn case_04_a_longer_id_is_another() {
    let error = expect_refused("- [ ] **E50.** Do it\n", "E5");
    assert!(matches!(error, PlanError::NotFound { .. }));
    assert_eq!(error.code().exit_code(), 1);
}

#[test]
fn case_05_plain_ids() {
    for form in ["[E5] text", "(E5) text", "E5: text", "E5. text", "E5) text"] {
        expect_taken(&format!("- [ ] {form}\n"), "E5", &format!("- [~] {form}\n"));
    }
}

#[test]
fn case_06_a_dot_is_a_dot() {
    expect_taken("- [ ] **v1.0.** ship\n", "v1.0", "- [~] **v1.0.** ship\n");
    expect_refused("- [ ] **v1x0.** ship\n", "v1.0");
}

#[test]
fn case_07_a_done_task() {
    let error = expect_refused("- [x] **E5** Do it\n", "E5");
    assert!(error.to_string().contains("completed"), "{error}");
    assert_eq!(error.code().exit_code(), 1);
}

#[test]
fn case_08_a_claimed_task() {
    // Theirs accepts it always, so that two processes do one task. Ours refuses while somebody has it, and accepts a
    // mark that nobody known has made.
    let place = Place::single("- [ ] **E5** Do it\n- [~] **E6** Do it\n");
    let plan = place.plan();
    take(&plan, &named("E5")).unwrap();
    let other = place
        .plan()
        .claim(&named("E5"), &attempt(), now())
        .unwrap_err();
    assert!(matches!(other, PlanError::Held { .. }));
    assert_eq!(take(&plan, &named("E6")).unwrap().line, 2);
}

#[test]
fn case_09_a_number_counts_every_state() {
    let text = "- [x] a\n- [~] b\n\n- [ ] c\n- [ ] d\n";
    expect_taken(text, "3", &text.replace("[ ] c", "[~] c"));
}

#[test]
fn case_10_a_number_beyond_the_end() {
    assert_eq!(expect_refused("- [ ] a\n", "99").code().exit_code(), 1);
}

#[test]
fn case_11_a_bead() {
    assert_eq!(id("[AUTH-01] Fix"), "AUTH-01");
}

#[test]
fn case_12_a_slug() {
    assert_eq!(id("Fix Authentication Bug"), "fix-authentication-bug");
}

#[test]
fn case_13_a_slug_is_clean() {
    assert_eq!(
        id("Fix --the-- BROKEN   endpoint!!!"),
        "fix-the-broken-endpoint"
    );
}

#[test]
fn case_14_a_long_title() {
    let text = format!("- [ ] {}\n", "long title ".repeat(14));
    let place = Place::single(&text);
    let task = &place.read().tasks[0].task;
    assert!(
        task.id.len() <= 50 && !task.id.ends_with('-'),
        "{}",
        task.id
    );
    assert!(task.name().ends_with(task.key.short()), "{}", task.name());
}

#[test]
fn case_15_a_box_holds_one_character() {
    assert_eq!(texts(&rows("- [] a\n- [  ] b\n- [ ] c\n")), ["c"]);
}

#[test]
fn case_16_other_brackets_are_no_boxes() {
    let text = "- [2026-01-29] a\n- [NOTE] b\n- [v1.0] c\n- [#123] d\n- [x] e\n";
    assert_eq!(texts(&rows(text)), ["e"]);
    assert!(fix_plan::is_complete(&rows(text)));
}

#[test]
fn case_17_both_ticks_are_done() {
    let marks: Vec<Mark> = rows("- [x] a\n- [X] b\n")
        .iter()
        .map(|row| row.mark)
        .collect();
    assert_eq!(marks, [Mark::Done, Mark::Done]);
}

#[test]
fn case_18_complete_is_all_done() {
    assert!(Place::single("- [x] a\n- [X] b\n").read().is_complete());
    assert!(!Place::single("- [x] a\n- [~] b\n").read().is_complete());
    assert!(!Place::single("- [x] a\n- [ ] b\n").read().is_complete());
}

#[test]
fn case_19_no_box_and_no_plan() {
    assert!(!Place::single("# Plan\n\ntext\n").read().is_complete());
    // Ours says that the plan is missing; theirs does not tell it from an empty one.
    let place = Place::single("");
    fs::remove_file(place.path()).unwrap();
    assert_eq!(place.plan().read().unwrap_err().code(), Code::NoFixPlan);
}

#[test]
fn case_20_other_line_ends() {
    let place = Place::workspace("## api\r\n- [ ] one\r\n");
    let task = take(&place.plan(), &any()).unwrap();
    assert_eq!(
        (task.repository.as_deref(), task.row.text.as_str()),
        (Some("api"), "one")
    );
    assert_eq!(place.text(), "## api\r\n- [~] one\r\n");
}

#[test]
fn case_21_blanks_behind_a_heading() {
    let task = take(&Place::workspace("## api  \t\n- [ ] one\n").plan(), &any()).unwrap();
    assert_eq!(task.repository.as_deref(), Some("api"));
}

#[test]
fn case_22_two_levels_of_headings() {
    let plan = Place::workspace("## api\n- [ ] a\n### web\n- [ ] b\n## cli\n- [ ] c\n").read();
    let sections: Vec<_> = plan
        .tasks
        .iter()
        .map(|planned| planned.task.row.section.as_str())
        .collect();
    assert_eq!(sections, ["api", "web", "cli"]);
}

#[test]
fn case_23_names_of_repositories() {
    for name in ["my-api", "my_api", "my.api", "A1"] {
        let plan = Place::workspace(&format!("## {name}\n- [ ] a\n")).read();
        assert_eq!(plan.tasks[0].task.repository.as_deref(), Some(name));
    }
}

#[test]
fn case_24_text_between_tasks() {
    let text = "intro\n- [ ] a\n  note\n\n* bullet\n> quote\n- [ ] b\n";
    assert_eq!(texts(&rows(text)), ["a", "b"]);
}

#[test]
fn case_25_indented_tasks_in_a_workspace() {
    let place = Place::workspace("## api\n  - [ ] sub\n- [ ] main\n  - [ ] sub\n");
    let plan = place.plan();
    assert_eq!(take(&plan, &any()).unwrap().row.text, "main");
    assert!(take(&plan, &any()).is_err());
}

#[test]
fn case_26_nothing_in_a_text_is_executed() {
    let text =
        "## \u{1f680} Launch\n- [ ] a|b `touch x` $HOME $(touch y) \"q\" 'q' (p) \u{e9}\u{4fee}\n";
    let place = Place::single(text);
    let plan = place.plan();
    let task = take(&plan, &any()).unwrap();
    // Theirs cut the text at the first `|`.
    assert!(task.row.text.starts_with("a|b `touch x` $HOME"));
    assert!(take(&plan, &any()).is_err());
    assert_eq!(place.text(), text.replace("[ ]", "[~]"));
    plan.revert(&task, &attempt()).unwrap();
    assert_eq!(place.text(), text);
    let names: BTreeSet<_> = fs::read_dir(place.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names, set(&["fix_plan.md", "state"]));
}

#[test]
fn case_27_an_empty_plan() {
    for text in ["", "# Plan\n", "## api\n"] {
        let place = Place::single(text);
        let claim = place.plan().claim(&any(), &attempt(), now()).unwrap();
        assert!(matches!(
            claim,
            Claim::NothingOpen {
                claimed_elsewhere: 0,
                ..
            }
        ));
        assert_eq!(place.text(), text);
    }
}

#[test]
fn case_28_fifty_repositories() {
    let section = |number: usize| format!("## repo-{number:02}\n{}", "- [ ] task\n".repeat(20));
    let text: String = (1..=50).map(section).collect();
    let place = Place::workspace(&text);
    assert_eq!(place.read().tasks.len(), 1_000);
    let task = take(&place.plan(), &any()).unwrap();
    assert_eq!(
        (task.repository.as_deref(), task.line),
        (Some("repo-01"), 2)
    );
    // Theirs stopped at 50; ours has no limit.
    let all = place
        .read()
        .tasks
        .into_iter()
        .filter_map(|planned| planned.task.repository.clone());
    assert_eq!(all.collect::<BTreeSet<_>>().len(), 50);
}

#[test]
fn case_29_the_first_open_task() {
    let place = Place::single("- [x] a\n- [~] b\n- [ ] c\n- [ ] d\n");
    take(&place.plan(), &any()).unwrap();
    assert_eq!(place.text(), "- [x] a\n- [~] b\n- [~] c\n- [ ] d\n");
}

#[test]
fn case_30_the_next_section() {
    let place = Place::workspace("## api\n- [x] a\n- [~] b\n## web\n- [ ] c\n");
    assert_eq!(
        take(&place.plan(), &any()).unwrap().repository.as_deref(),
        Some("web")
    );
}

#[test]
fn case_31_all_done() {
    let place = Place::single("- [x] a\n- [x] b\n");
    assert!(take(&place.plan(), &any()).is_err());
}

#[test]
fn case_32_completing() {
    let place = Place::single("- [ ] a\n- [ ] b\n- [ ] c\n");
    let task = take(&place.plan(), &named("2")).unwrap();
    assert_eq!(
        place.plan().complete(&task, &attempt()).unwrap(),
        Settled::Changed
    );
    assert_eq!(place.text(), "- [ ] a\n- [x] b\n- [ ] c\n");
}

#[test]
fn case_33_completing_and_giving_back_what_is_not_claimed() {
    let place = Place::single("- [x] a\n- [ ] b\n");
    let plan = place.plan();
    let [done, open] = [0, 1].map(|index| place.read().tasks[index].task.clone());
    let is = |settled: Result<Settled, PlanError>| settled.unwrap();
    assert_eq!(
        is(plan.revert(&done, &attempt())),
        Settled::Already(Mark::Done)
    );
    assert_eq!(
        is(plan.complete(&done, &attempt())),
        Settled::Already(Mark::Done)
    );
    assert_eq!(
        is(plan.revert(&open, &attempt())),
        Settled::Already(Mark::Open)
    );
    assert_eq!(place.text(), "- [x] a\n- [ ] b\n");
    // Theirs says success and loses the tick of a task whose mark somebody took away. Ours ticks: the work is done.
    assert_eq!(is(plan.complete(&open, &attempt())), Settled::Changed);
    // A task that is gone is said to be, and nothing changes.
    place.write("- [x] a\n");
    assert_eq!(is(plan.complete(&open, &attempt())), Settled::Gone);
    assert_eq!(is(plan.revert(&open, &attempt())), Settled::Gone);
    assert_eq!(place.text(), "- [x] a\n");
}

#[test]
fn case_34_giving_back_without_a_plan() {
    let place = Place::single("- [ ] a\n");
    let task = take(&place.plan(), &any()).unwrap();
    fs::remove_file(place.path()).unwrap();
    assert_eq!(
        place.plan().revert(&task, &attempt()).unwrap_err().code(),
        Code::NoFixPlan
    );
    // The empty line number of theirs cannot be said: a task is not addressed by its line.
}

fn race(pickers: usize, tasks: usize) -> (BTreeSet<usize>, String) {
    let text: String = (1..=tasks)
        .map(|number| format!("- [ ] task {number}\n"))
        .collect();
    let place = Place::single(&text);
    let lines = std::thread::scope(|scope| {
        let pick = || scope.spawn(|| take(&place.plan(), &any()).unwrap().line);
        let pickers: Vec<_> = (0..pickers).map(|_| pick()).collect();
        pickers
            .into_iter()
            .map(|picker| picker.join().unwrap())
            .collect()
    });
    (lines, place.text())
}

#[test]
fn case_35_five_pickers_five_tasks() {
    let (lines, text) = race(5, 5);
    assert_eq!((lines.len(), text.matches("[~]").count()), (5, 5));
}

#[test]
fn case_36_four_pickers_six_tasks() {
    let (lines, text) = race(4, 6);
    assert_eq!((lines.len(), text.matches("[~]").count()), (4, 4));
}

#[test]
fn case_37_three_pickers_of_a_workspace() {
    // Theirs: three rows, perhaps all of one repository. Ours: three repositories.
    let place = Place::workspace("## a\n- [ ] 1\n- [ ] 2\n## b\n- [ ] 3\n## c\n- [ ] 4\n");
    let racing: Vec<_> = std::thread::scope(|scope| {
        let pick = || take(&place.plan(), &any()).unwrap().repository.unwrap();
        let pickers: Vec<_> = (0..3).map(|_| scope.spawn(pick)).collect();
        pickers
            .into_iter()
            .map(|picker| picker.join().unwrap())
            .collect()
    });
    let distinct: BTreeSet<String> = racing.into_iter().collect();
    assert_eq!(distinct, set(&["a", "b", "c"]));
}

#[test]
fn case_38_a_lock_that_cannot_be_had() {
    let place = Place::single("- [ ] a\n");
    let plan = place.plan().with_lock_timeout(Duration::from_millis(5));
    plan.recover(&|_| true).unwrap();
    let _held = LifeLock::try_take_once(&place.folder.path().join("state/plan.lock")).unwrap();
    let error = plan.claim(&any(), &attempt(), now()).unwrap_err();
    // An error of its own; theirs reads as an empty queue.
    assert_eq!(error.code(), Code::Locked);
    assert_eq!(place.text(), "- [ ] a\n");
}

#[test]
fn case_39_the_lock_of_a_dead_process() {
    let place = Place::single("- [ ] a\n");
    let state = place.folder.path().join("state");
    fs::create_dir_all(&state).unwrap();
    // The file of a lock means nothing, and neither does the folder that theirs makes.
    fs::write(state.join("plan.lock"), "12345").unwrap();
    fs::create_dir(place.folder.path().join(".task_pick_lock")).unwrap();
    assert!(take(&place.plan(), &any()).is_ok());
}

/// A worker's tick as it is brought back: the mark of its own row, in the main plan as that is now. The worker's copy
/// of the plan is never read, so there is nothing to merge and nothing of a sibling to lose (defects 8.1, 8.2).
fn bring_back(main: &str, text: &str) -> Option<String> {
    let rows = rows(main);
    let key = &rows.iter().find(|row| row.key.text == text)?.key;
    let from = [Mark::Open, Mark::Claimed];
    match Reading::new(main.to_owned(), Flavour::Repository).set_mark(key, &from, Mark::Done) {
        Marked::Changed(changed) => Some(changed.text().to_owned()),
        Marked::Already(_) | Marked::Gone => None,
    }
}

#[test]
fn case_40_a_sibling_has_a_claim() {
    let merged = bring_back("- [~] a\n- [~] b\n", "a");
    assert_eq!(merged.as_deref(), Some("- [x] a\n- [~] b\n"));
}

#[test]
fn case_41_done_in_the_main_plan() {
    assert_eq!(bring_back("- [x] a\n", "a"), None);
    let place = Place::single("- [ ] a\n");
    let task = take(&place.plan(), &any()).unwrap();
    place.write("- [x] a\n");
    place.plan().revert(&task, &attempt()).unwrap();
    assert_eq!(place.text(), "- [x] a\n");
}

#[test]
fn case_42_the_main_plan_has_new_tasks() {
    let merged = bring_back("## New\n- [ ] n\n## Old\n- [~] a\n", "a");
    assert_eq!(
        merged.as_deref(),
        Some("## New\n- [ ] n\n## Old\n- [x] a\n")
    );
}

#[test]
fn case_43_the_main_plan_is_unchanged() {
    // Theirs takes the worker's version. Ours takes its tick and nothing else that the agent wrote into the plan.
    assert_eq!(bring_back("- [~] a\n", "a").as_deref(), Some("- [x] a\n"));
}

#[test]
fn case_44_there_is_no_main_plan() {
    let place = Place::single("- [ ] a\n");
    let task = take(&place.plan(), &any()).unwrap();
    fs::remove_file(place.path()).unwrap();
    assert!(place.plan().complete(&task, &attempt()).is_err());
    assert!(!place.path().exists());
}

#[test]
fn case_45_there_is_no_baseline() {
    // Theirs takes the worker's version then. Ours needs no baseline: the row is found by what it says.
    let merged = bring_back("changed\n\n- [ ] b\n- [ ] a\n", "a");
    assert_eq!(merged.as_deref(), Some("changed\n\n- [ ] b\n- [x] a\n"));
}

/// A folder with repositories, and a plan.
fn folder(repositories: &[&str], plan: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in repositories {
        fs::create_dir_all(folder.path().join(name).join(".git")).unwrap();
    }
    if let Some(text) = plan {
        fs::create_dir_all(folder.path().join(".ralph")).unwrap();
        fs::write(plan_of(folder.path()), text).unwrap();
    }
    folder
}

fn plan_of(root: &Path) -> PathBuf {
    root.join(".ralph/fix_plan.md")
}

#[test]
fn case_46_discovery() {
    let twenty: Vec<String> = (1..=20).map(|number| format!("repo-{number:02}")).collect();
    let mut names: Vec<&str> = twenty.iter().map(String::as_str).collect();
    names.extend([".hidden", "plain/inner"]);
    let place = folder(&names, Some(""));
    let elsewhere = folder(&["real"], None);
    std::os::unix::fs::symlink(elsewhere.path().join("real"), place.path().join("link")).unwrap();
    let found = discover(place.path()).unwrap();
    assert_eq!(found.len(), 21);
    assert!(found.contains("link") && !found.contains(".hidden") && !found.contains("plain"));
    assert!(discover(folder(&[], None).path()).is_err());
    assert!(discover(Path::new("/nonexistent/folder")).is_err());
}

#[test]
fn case_47_a_root_that_is_a_repository() {
    let place = folder(&["api", "."], Some(""));
    assert!(!workspace_plan::is_workspace(
        place.path(),
        &plan_of(place.path())
    ));
    assert_eq!(discover(place.path()).unwrap(), set(&["api"]));
}

#[test]
fn case_48_half_a_workspace() {
    let is = |place: &tempfile::TempDir| {
        workspace_plan::is_workspace(place.path(), &plan_of(place.path()))
    };
    assert!(!is(&folder(&[], Some(""))));
    assert!(!is(&folder(&["api"], None)));
    assert!(is(&folder(&["api"], Some(""))));
}

#[test]
fn case_49_a_section_without_a_repository() {
    let plan = Place::workspace("## api\n- [ ] a\n## gone\n- [ ] b\n- [ ] c\n").read();
    let known = set(&["api"]);
    let problems = workspace_plan::problems(&plan, &known, &RepositoryFilter::All);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("`gone`"), "{problems:?}");
    let only = RepositoryFilter::Only(set(&["api"]));
    assert!(workspace_plan::problems(&plan, &known, &only).is_empty());
}

#[test]
fn case_50_one_task_per_repository() {
    // Theirs skips a repository with any `[~]`, for ever if that is stale. Ours asks whether somebody works there.
    let text =
        "## cross-repo\n- [ ] x\n## a\n- [ ] 1\n- [ ] 2\n## b\n- [ ] 3\n- [~] 4\n## c\n- [ ] 5\n";
    let place = Place::workspace(text);
    let elsewhere = Owner {
        pid_namespace: Some("another".to_owned()),
        ..this_process()
    };
    let theirs = place.file(elsewhere);
    let c = set(&["c"]);
    let only_c = Wish {
        repositories: Some(&c),
        ..any()
    };
    take(&theirs, &only_c).unwrap();
    let known = set(&["a", "b", "c"]);
    let wish = Wish {
        repositories: Some(&known),
        ..any()
    };
    let taken: BTreeSet<String> = (0..2)
        .map(|_| take(&place.plan(), &wish).unwrap().repository.unwrap())
        .collect();
    assert!(take(&place.plan(), &wish).is_err());
    assert_eq!(taken, set(&["a", "b"]));
    assert!(place.text().starts_with("## cross-repo\n- [ ] x\n"));
}

#[test]
fn case_51_tasks_of_no_one_repository() {
    // Theirs picks such a task in sequential mode and fails, since there is no such folder. Ours never picks it where
    // repositories are given, which is always in a workspace, and says that it is left to a person.
    let place = Place::workspace("## cross-repo\n- [ ] x\n## api\n- [x] a\n");
    let known = set(&["api"]);
    let wish = Wish {
        repositories: Some(&known),
        ..any()
    };
    assert!(take(&place.plan(), &wish).is_err());
    let problems = workspace_plan::problems(&place.read(), &known, &RepositoryFilter::All);
    assert!(problems[0].contains("left to a person"), "{problems:?}");
}

#[test]
fn case_52_effective_parallelism() {
    let place = Place::workspace("## a\n- [ ] 1\n- [ ] 2\n## b\n- [ ] 3\n## c\n- [x] 4\n");
    let known = set(&["a", "b", "c"]);
    let effective = |requested| effective_parallelism(&place.read(), &known, requested);
    assert_eq!([effective(5), effective(1), effective(0)], [2, 1, 2]);
    take(&place.plan(), &any()).unwrap();
    assert_eq!(effective(5), 1);
    place.write("## a\n- [x] 1\n");
    assert_eq!(effective(0), 0);
}

#[test]
fn case_53_workers_in_a_workspace() {
    // `0`, `-1`, `abc` and no number at all are refused where the command line is read, as without a workspace. Here
    // a number that is too large is cut to what there is.
    let place = Place::workspace("## a\n- [ ] 1\n");
    assert_eq!(
        effective_parallelism(&place.read(), &set(&["a"]), usize::MAX),
        1
    );
}

#[test]
fn case_54_one_of_two_tasks_fails() {
    // The plan's share: the good one is ticked, the bad one open. The exit code and the logs are the loop's.
    let place = Place::workspace("## a\n- [ ] 1\n## b\n- [ ] 2\n");
    let plan = place.plan();
    let good = take(&plan, &any()).unwrap();
    let bad = take(&plan, &any()).unwrap();
    plan.complete(&good, &attempt()).unwrap();
    plan.revert(&bad, &attempt()).unwrap();
    assert_eq!(place.text(), "## a\n- [x] 1\n## b\n- [ ] 2\n");
}

/// The repositories that words leave of alpha, beta and gamma.
fn filtered(words: &FilterWords<'_>) -> Result<BTreeSet<String>, WorkspaceError> {
    RepositoryFilter::from_words(words)?.apply(&set(&["alpha", "beta", "gamma"]))
}

fn words() -> FilterWords<'static> {
    FilterWords {
        workspace: true,
        ..FilterWords::default()
    }
}

fn refusal(words: &FilterWords<'_>) -> String {
    let error = filtered(words).unwrap_err();
    // Theirs exits with 1; ours has a code of its own for a wrong command line.
    assert_eq!(error.code(), Code::Usage);
    error.to_string()
}

#[test]
fn case_55_lists_of_names() {
    for list in ["alpha,beta", " alpha , beta ", "alpha,,beta"] {
        let repos = Some(list);
        assert_eq!(
            filtered(&FilterWords { repos, ..words() }).unwrap(),
            set(&["alpha", "beta"])
        );
    }
}

#[test]
fn case_56_exclusion() {
    let exclude = Some("beta");
    assert_eq!(
        filtered(&FilterWords { exclude, ..words() }).unwrap(),
        set(&["alpha", "gamma"])
    );
}

#[test]
fn case_57_unknown_names() {
    let name = Some("delta");
    for words in [
        FilterWords {
            repos: name,
            ..words()
        },
        FilterWords {
            exclude: name,
            ..words()
        },
    ] {
        let text = refusal(&words);
        assert!(
            text.contains("unknown repo: delta") && text.contains("alpha, beta, gamma"),
            "{text}"
        );
    }
}

#[test]
fn case_58_nothing_left() {
    let exclude = Some("alpha,beta,gamma");
    let text = refusal(&FilterWords { exclude, ..words() });
    assert!(text.contains("filtered out every repository"), "{text}");
}

#[test]
fn case_59_both_options() {
    let text = refusal(&FilterWords {
        repos: Some("alpha"),
        exclude: Some("beta"),
        ..words()
    });
    assert!(text.contains("cannot be combined"), "{text}");
}

#[test]
fn case_60_an_option_and_the_other_variable() {
    let text = refusal(&FilterWords {
        repos: Some("alpha"),
        env_exclude: Some("beta"),
        ..words()
    });
    assert!(
        text.contains("conflicts with RALPH_WORKSPACE_EXCLUDE"),
        "{text}"
    );
    let text = refusal(&FilterWords {
        exclude: Some("alpha"),
        env_repos: Some("beta"),
        ..words()
    });
    assert!(
        text.contains("conflicts with RALPH_WORKSPACE_REPOS"),
        "{text}"
    );
    let text = refusal(&FilterWords {
        env_repos: Some("alpha"),
        env_exclude: Some("beta"),
        ..words()
    });
    assert!(text.contains("cannot both be set"), "{text}");
}

#[test]
fn case_61_an_option_beats_its_variable() {
    let both = FilterWords {
        repos: Some("alpha"),
        env_repos: Some("beta"),
        ..words()
    };
    assert_eq!(filtered(&both).unwrap(), set(&["alpha"]));
    let alone = FilterWords {
        env_exclude: Some("beta"),
        ..words()
    };
    assert_eq!(filtered(&alone).unwrap(), set(&["alpha", "gamma"]));
}

#[test]
fn case_62_filters_without_a_workspace_or_a_value() {
    let text = refusal(&FilterWords {
        repos: Some("alpha"),
        ..FilterWords::default()
    });
    assert!(text.contains("only apply to --workspace mode"), "{text}");
    let text = refusal(&FilterWords {
        exclude: Some(""),
        ..words()
    });
    assert!(text.contains("requires"), "{text}");
}

#[test]
fn case_63_a_filter_limits_the_workers() {
    let plan = Place::workspace("## alpha\n- [ ] 1\n## beta\n- [ ] 2\n## gamma\n- [ ] 3\n").read();
    let chosen = filtered(&FilterWords {
        repos: Some("alpha,gamma"),
        ..words()
    })
    .unwrap();
    assert_eq!(effective_parallelism(&plan, &chosen, 4), 2);
}
