//! What is remembered of states that have not changed: never a fact about one that may have.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::memory::Memory;
use super::super::scan::{Found, scan};
use super::*;
use crate::process::boot_id;
use crate::time::{Clock as _, SignedDuration, SystemClock};

const PROJECTS: usize = 70;
const IDLE: &str = r#"{"phase": "IDLE"}"#;

impl Workspace {
    /// Projects with nothing to do, at a time at which their files have come to rest.
    fn at_rest() -> Self {
        let mut workspace = Self::new();
        for number in 0..PROJECTS {
            workspace.project(&slug(number), IDLE);
        }
        workspace.come_to_rest();
        workspace
    }

    /// Lets so much time pass that no file can change any more without a trace.
    fn come_to_rest(&mut self) {
        self.env = Env::fixed(SystemClock::default().now() + SignedDuration::from_mins(1)).0;
    }

    fn index(&self) -> Vec<u8> {
        fs::read(self.path(INDEX)).unwrap_or_default()
    }

    /// What a look finds, and how many files it reads, with the index as it is.
    fn look(&self) -> (Vec<Found>, usize) {
        let reads = AtomicUsize::new(0);
        let counting = |bytes: &[u8]| {
            reads.fetch_add(1, Ordering::Relaxed);
            skim(bytes)
        };
        let index = self.index();
        let memory = Memory::parse(&index, boot_id().unwrap());
        let found = scan(self.folder.path(), &memory, counting);
        (found, reads.into_inner())
    }
}

const INDEX: &str = ".claude/ralph/hook-index";

fn slug(number: usize) -> String {
    format!("p{number:02}")
}

fn state_of(number: usize) -> String {
    format!("projects/{}/.state/pipeline.json", slug(number))
}

#[test]
fn a_state_that_is_the_same_is_not_read_again_and_says_the_same() {
    let workspace = Workspace::at_rest();
    let full = r#"{"phase": "waiting for  Godot", "next_action": {"command": "x"}, "next_poll_after": "2199-01-01T00:00:00",
        "active_runs": [{"run_id": "a", "next_poll_after": "2199-01-01T00:00:00+01:00"}, {"run_id": "b", "next_poll_after": "soon"}]}"#;
    workspace.project(&slug(3), full);
    // This one has no line of its own to be remembered in.
    workspace.project(&slug(4), r#"{"phase": "one\nand another"}"#);
    let (fresh, reads) = workspace.look();
    assert_eq!(reads, PROJECTS);
    assert_eq!(workspace.exit("{}"), 2);
    let (recalled, reads) = workspace.look();
    assert_eq!(reads, 1);
    let projects = |found: Vec<Found>| -> Vec<ProjectGlance> {
        found.into_iter().map(|found| found.project).collect()
    };
    assert_eq!(projects(recalled), projects(fresh));
    assert_eq!(workspace.exit("{}"), 2);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whatever can happen to a file")]
fn whatever_is_done_to_a_state_it_is_read_again() {
    let workspace = Workspace::at_rest();
    assert_eq!(workspace.exit("{}"), 0);
    let path = |number| workspace.path(&state_of(number));
    let times = |number| fs::metadata(path(number)).unwrap().modified().unwrap();
    let [first, second, third] = [1, 2, 3].map(times);
    // As long as before, with the time of before: only the change of status tells.
    let same_length = r#"{"phase": "TEST"}"#;
    fs::write(path(1), same_length).unwrap();
    File::options()
        .write(true)
        .open(path(1))
        .unwrap()
        .set_modified(first)
        .unwrap();
    let beside = path(2).with_extension("new");
    fs::write(&beside, same_length).unwrap();
    File::options()
        .write(true)
        .open(&beside)
        .unwrap()
        .set_modified(second)
        .unwrap();
    fs::rename(&beside, path(2)).unwrap();
    fs::set_permissions(path(3), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(times(3), third);
    fs::write(path(4), "{").unwrap();
    fs::remove_file(path(5)).unwrap();
    let (found, reads) = workspace.look();
    assert_eq!((found.len(), reads), (PROJECTS - 1, 4));
    let outcome = workspace.run("{}");
    assert_eq!(outcome.exit, 2);
    assert!(
        outcome
            .stderr
            .starts_with("Ralph loop: 2 projects have actionable work: p01 (TEST), p02 (TEST).")
    );
    // An unreadable one is named each time.
    for _ in 0..2 {
        assert!(workspace.run("{}").stderr.contains("p04 ("));
    }
}

#[test]
fn what_may_still_change_within_the_same_tick_is_not_remembered() {
    let mut workspace = Workspace::at_rest();
    workspace.env = Env::fixed(SystemClock::default().now()).0;
    assert_eq!(workspace.exit("{}"), 0);
    assert_eq!(workspace.index(), b"");
}

#[test]
fn a_few_small_states_are_not_worth_an_index() {
    let mut workspace = Workspace::new();
    workspace.come_to_rest();
    workspace.project("a", IDLE);
    assert_eq!(workspace.exit("{}"), 0);
    assert_eq!(workspace.index(), b"");
    let large = format!("{{\"phase\": \"IDLE\"{}}}", " ".repeat(300 * 1024));
    workspace.project("b", &large);
    assert_eq!(workspace.exit("{}"), 0);
    assert_eq!(workspace.look().1, 0);
}

#[test]
fn an_index_of_another_boot_or_version_or_a_damaged_one_is_none() {
    let workspace = Workspace::at_rest();
    assert_eq!(workspace.exit("{}"), 0);
    let text = String::from_utf8(workspace.index()).unwrap();
    let boot = boot_id().unwrap();
    for other in [
        text.replace(boot, "another"),
        text.replace("index-1", "index-0"),
        text[..text.len() / 2].to_owned(),
        String::new(),
    ] {
        assert_ne!(other, text);
        workspace.put(INDEX, &other);
        assert_eq!(workspace.look().1, PROJECTS);
        // It is mended in passing.
        assert_eq!(workspace.exit("{}"), 0);
        assert_eq!(workspace.look().1, 0);
    }
}

#[test]
fn an_index_that_cannot_be_written_is_no_reason_to_say_anything() {
    let workspace = Workspace::at_rest();
    fs::create_dir(workspace.path(INDEX)).unwrap();
    let outcome = workspace.run("{}");
    assert_eq!((outcome.exit, outcome.stderr.as_str()), (0, ""));
}
