//! The lock against threads, processes, old scripts, kill -9 and file systems without the services it wants.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::attempt::Attempt;
use super::system::System;
use super::visible::Life;
use super::visible::{Bare, Link};
use super::*;
use crate::env::RandomIds;
use crate::process::identity::{self, Identity};
use crate::store::tests::{memory, put, spawn, wait_until, words};
use crate::time::SystemClock;

const CHILD: &str = "store::lock::tests::child";

fn real_env() -> Env {
    Env {
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(RandomIds::default()),
        host: "host".to_owned(),
        user: "user".to_owned(),
        pid: std::process::id(),
    }
}

fn request(project: &Path, env: &Env) -> LockRequest {
    LockRequest {
        timeout: Duration::ZERO,
        ..LockRequest::new(project, "test", env)
    }
}

fn ago(env: &Env, seconds: i64) -> Timestamp {
    Timestamp::from_second(env.clock.now().as_second() - seconds).unwrap()
}

/// A directory as `lock.sh` leaves it.
fn leave_script_lock(project: &Path, pid: u32, acquired_at: Timestamp) {
    put(&project.join(".state/lock/pid"), &format!("{pid}\n"));
    put(
        &project.join(".state/lock/acquired_at"),
        &format!("{}\n", stamp(acquired_at)),
    );
}

/// A process id that was in use and is not any more.
fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// A process that does nothing until it is killed.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Self {
        Self(
            Command::new("sleep")
                .arg("600")
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        )
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn increment(counter: &Path) {
    let text = fs::read_to_string(counter).unwrap();
    let next: u64 = text.trim().parse::<u64>().unwrap() + 1;
    put(counter, &next.to_string());
}

fn count(counter: &Path) -> u64 {
    fs::read_to_string(counter).unwrap().trim().parse().unwrap()
}

/// What the processes of these tests do: `increment PROJECT TIMES`, `shell PROJECT TIMES` or `tally PROJECT NAME`.
#[test]
#[ignore = "run by other tests, as a process of its own"]
fn child() {
    let words = words();
    let [what, project, rest] = &words[..] else {
        return;
    };
    let project = Path::new(project);
    let env = real_env();
    let counter = project.join("counter");
    let mut request = request(project, &env);
    request.timeout = Duration::from_secs(60);
    match what.as_str() {
        "increment" => {
            for _ in 0..rest.parse::<u32>().unwrap() {
                let lock = ProjectLock::acquire(&request, &env).unwrap();
                increment(&counter);
                drop(lock);
            }
        }
        "shell" => {
            for _ in 0..rest.parse::<u32>().unwrap() {
                acquire_for(&request, &env).unwrap();
                increment(&counter);
                assert_eq!(release_for(&request, &env).unwrap(), Release::Released);
            }
        }
        _ => {
            // Until it is killed. The tally is written after the lock is released, so it can only be too low.
            for own in 1.. {
                let lock = ProjectLock::acquire(&request, &env).unwrap();
                let next = count(&counter) + 1;
                super::super::atomic::replace(&counter, next.to_string().as_bytes()).unwrap();
                drop(lock);
                let tally = project.join("tally").join(rest);
                super::super::atomic::replace(&tally, own.to_string().as_bytes()).unwrap();
            }
        }
    }
}

fn project_with_counter(project: TempDir) -> TempDir {
    put(&project.path().join("counter"), "0");
    project
}

fn assert_success(children: Vec<Child>) {
    for child in children {
        let end = child.wait_with_output().unwrap();
        assert!(
            end.status.success(),
            "{}",
            String::from_utf8_lossy(&end.stderr)
        );
    }
}

#[test]
fn twelve_processes_lose_no_increment() {
    let project = project_with_counter(memory());
    let path = project.path().to_str().unwrap();
    assert_success(
        (0..12)
            .map(|_| spawn(CHILD, &["increment", path, "200"]))
            .collect(),
    );
    assert_eq!(count(&project.path().join("counter")), 12 * 200);
    assert_eq!(
        status(project.path(), DEFAULT_GRACE, &real_env()),
        LockStatus::Free
    );
    assert_eq!(entries(project.path()), ["lock.guard"]);
}

fn entries(project: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(project.join(".state"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// An old user as far as it is interoperable: the same directory, a process that lives while it holds, and no
/// stealing.
const OLD_USER: &str = r#"
    project=$1 times=$2
    for _ in $(seq "$times"); do
        until mkdir "$project/.state/lock" 2>/dev/null; do sleep 0.005; done
        echo $$ > "$project/.state/lock/pid"
        date -u +%Y-%m-%dT%H:%M:%SZ > "$project/.state/lock/acquired_at"
        n=$(cat "$project/counter"); echo $((n + 1)) > "$project/counter"
        rm -rf "$project/.state/lock"
    done
"#;

#[test]
fn old_shell_users_processes_and_new_shell_users_exclude_each_other() {
    let project = project_with_counter(TempDir::new().unwrap());
    fs::create_dir(project.path().join(".state")).unwrap();
    let path = project.path().to_str().unwrap();
    let old = |_| {
        let mut bash = Command::new("bash");
        bash.args(["-c", OLD_USER, "old-user", path, "25"]);
        bash.stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut children: Vec<Child> = (0..4).map(old).collect();
    children.extend((0..4).map(|_| spawn(CHILD, &["increment", path, "60"])));
    children.extend((0..4).map(|_| spawn(CHILD, &["shell", path, "60"])));
    assert_success(children);
    assert_eq!(count(&project.path().join("counter")), 4 * 25 + 8 * 60);
}

#[test]
fn holders_that_are_killed_lose_nothing_of_the_others() {
    let project = project_with_counter(memory());
    let path = project.path().to_str().unwrap();
    let tally = project.path().join("tally");
    fs::create_dir(&tally).unwrap();
    let mut killed = 0;
    let mut done: u64 = 0;
    for round in 0..6 {
        let name = |n: u32| format!("{round}-{n}");
        let children = (0..3).map(|n| (name(n), spawn(CHILD, &["tally", path, &name(n)])));
        for (name, mut child) in children.collect::<Vec<_>>() {
            wait_until("the child has worked", || tally.join(&name).exists());
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            done += count(&tally.join(&name));
        }
    }
    // Each killed process may have counted once without noting it; a lost increment would make this negative.
    let env = real_env();
    let lock = ProjectLock::acquire(&request(project.path(), &env), &env).unwrap();
    let extra = count(&project.path().join("counter")).checked_sub(done);
    assert!(extra.is_some_and(|extra| extra <= killed), "{extra:?}");
    drop(lock);
    assert_eq!(entries(project.path()), ["lock.guard"]);
}

#[test]
fn an_old_script_sees_a_live_process_while_a_lock_is_held() {
    let project = TempDir::new().unwrap();
    let env = real_env();
    let lock = ProjectLock::acquire(&request(project.path(), &env), &env).unwrap();
    let text =
        |name: &str| fs::read_to_string(project.path().join(".state/lock").join(name)).unwrap();
    assert_eq!(text("pid"), format!("{}\n", std::process::id()));
    assert!(
        text("acquired_at")
            .trim()
            .parse::<Timestamp>()
            .is_ok_and(|at| at <= env.now())
    );
    let mkdir = Command::new("mkdir")
        .arg(project.path().join(".state/lock"))
        .stderr(Stdio::null())
        .status();
    assert!(!mkdir.unwrap().success());
    drop(lock);
    assert_eq!(entries(project.path()), ["lock.guard"]);
}

#[test]
fn a_second_one_is_told_who_holds_it_and_how_long_it_waited() {
    let project = TempDir::new().unwrap();
    let env = real_env();
    let _lock = ProjectLock::acquire(&request(project.path(), &env), &env).unwrap();
    let second = LockRequest {
        timeout: Duration::from_millis(30),
        ..request(project.path(), &env)
    };
    let error = ProjectLock::acquire(&second, &env).unwrap_err();
    assert_eq!(error.code(), Code::Locked);
    let LockError::Held { holder, waited, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(holder.pid, Some(std::process::id()));
    assert_eq!(holder.op.as_deref(), Some("test"));
    assert!(*waited >= second.timeout);
    assert!(matches!(
        status(project.path(), DEFAULT_GRACE, &env),
        LockStatus::Held { .. }
    ));
    // A clock that stands still must not make the wait endless.
    let (still, _) = Env::fixed(env.now());
    assert!(ProjectLock::acquire(&second, &still).is_err());
}

#[test]
fn a_lock_whose_visible_half_was_stolen_still_excludes_and_leaves_the_thief_alone() {
    let project = TempDir::new().unwrap();
    let env = real_env();
    let lock = ProjectLock::acquire(&request(project.path(), &env), &env).unwrap();
    fs::remove_dir_all(project.path().join(".state/lock")).unwrap();
    let now = status(project.path(), DEFAULT_GRACE, &env);
    assert!(matches!(now, LockStatus::Held { .. }), "{now:?}");
    assert!(ProjectLock::acquire(&request(project.path(), &env), &env).is_err());
    leave_script_lock(project.path(), std::process::id(), env.now());
    drop(lock);
    assert_eq!(entries(project.path()), ["lock", "lock.guard"]);
}

#[test]
fn a_panic_releases() {
    let project = TempDir::new().unwrap();
    let env = real_env();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _lock = ProjectLock::acquire(&request(project.path(), &env), &env).unwrap();
        std::panic::resume_unwind(Box::new("a panic"));
    }));
    assert!(panicked.is_err());
    assert_eq!(
        status(project.path(), DEFAULT_GRACE, &env),
        LockStatus::Free
    );
    drop(ProjectLock::acquire(&request(project.path(), &env), &env).unwrap());
}

#[test]
fn a_shells_lock_stays_until_its_owner_releases_it() {
    let project = TempDir::new().unwrap();
    let env = real_env();
    let (shell, stranger) = (Sleeper::new(), Sleeper::new());
    let of = |owner: &Sleeper| LockRequest {
        owner: Owner { pid: owner.pid() },
        ..request(project.path(), &env)
    };
    assert_eq!(release_for(&of(&shell), &env).unwrap(), Release::WasFree);
    assert_eq!(acquire_for(&of(&shell), &env).unwrap(), []);
    // Nobody gets it now: not a process, not another shell, not even the same one.
    for other in [&request(project.path(), &env), &of(&stranger), &of(&shell)] {
        let error = acquire_for(other, &env).unwrap_err();
        let LockError::Held { holder, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(holder.pid, Some(shell.pid()));
    }
    let error = release_for(&of(&stranger), &env).unwrap_err();
    assert!(matches!(error, LockError::NotOwner { .. }), "{error}");
    assert_eq!(error.code(), Code::Locked);
    assert_eq!(release_for(&of(&shell), &env).unwrap(), Release::Released);
    assert_eq!(
        status(project.path(), DEFAULT_GRACE, &env),
        LockStatus::Free
    );
}

#[test]
fn a_shells_lock_ends_with_the_shell() {
    let project = TempDir::new().unwrap();
    let env = real_env();
    let mut shell = Sleeper::new();
    let of_shell = LockRequest {
        owner: Owner { pid: shell.pid() },
        ..request(project.path(), &env)
    };
    acquire_for(&of_shell, &env).unwrap();
    shell.kill();
    let LockStatus::Stale {
        why, takeover_at, ..
    } = status(project.path(), DEFAULT_GRACE, &env)
    else {
        panic!("the shell is dead");
    };
    assert_eq!(why, StaleReason::OwnerGone);
    assert!(takeover_at <= env.now());
    let lock = ProjectLock::acquire(&request(project.path(), &env), &env).unwrap();
    let note = &lock.notes()[0];
    assert!(
        note.to_string().contains("its owner no longer runs"),
        "{note}"
    );
    drop(lock);
    let error = acquire_for(&of_shell, &env).unwrap_err();
    assert!(matches!(error, LockError::OwnerGone { .. }), "{error}");
}

#[test]
fn a_scripts_directory_is_honoured_alive_and_for_a_while_when_dead() {
    let project = TempDir::new().unwrap();
    let env = real_env();
    let sleeper = Sleeper::new();
    let acquire = || ProjectLock::acquire(&request(project.path(), &env), &env);

    leave_script_lock(project.path(), sleeper.pid(), env.now());
    assert!(matches!(acquire().unwrap_err(), LockError::Held { .. }));
    assert!(matches!(
        release_for(&request(project.path(), &env), &env).unwrap_err(),
        LockError::NotOwner { .. }
    ));

    leave_script_lock(project.path(), dead_pid(), ago(&env, 590));
    assert!(matches!(acquire().unwrap_err(), LockError::Held { .. }));
    let LockStatus::Stale { takeover_at, .. } = status(project.path(), DEFAULT_GRACE, &env) else {
        panic!("the script is dead");
    };
    assert!(takeover_at > env.now());

    leave_script_lock(project.path(), dead_pid(), ago(&env, 601));
    let lock = acquire().unwrap();
    assert!(matches!(
        lock.notes(),
        [LockNote::TookOver {
            why: StaleReason::OwnerGone,
            ..
        }]
    ));
    assert_eq!(entries(project.path()), ["lock", "lock.guard"]);
}

#[test]
fn a_committed_directory_with_a_reused_process_id_does_not_block_for_ever() {
    let project = TempDir::new().unwrap();
    let env = real_env();
    let sleeper = Sleeper::new();
    leave_script_lock(project.path(), sleeper.pid(), ago(&env, 400_000_000));
    let lock = ProjectLock::acquire(&request(project.path(), &env), &env).unwrap();
    assert!(matches!(
        lock.notes(),
        [LockNote::TookOver {
            why: StaleReason::ProcessIdReused,
            ..
        }]
    ));
}

#[test]
fn a_link_of_the_later_script_is_respected_by_its_own_rules() {
    let project = TempDir::new().unwrap();
    let env = real_env();
    let sleeper = Sleeper::new();
    let ticks = Identity::of(sleeper.pid()).unwrap().start_ticks;
    let began = identity::started_at(sleeper.pid()).unwrap().as_second();
    let boot = identity::boot_id().unwrap();
    let now = env.now().as_second();
    fs::create_dir(project.path().join(".state")).unwrap();
    let path = project.path().join(".state/lock");
    let try_with = |target: String| {
        let _ = fs::remove_file(&path);
        symlink(target, &path).unwrap();
        match ProjectLock::acquire(&request(project.path(), &env), &env) {
            Ok(lock) => match lock.notes() {
                [LockNote::TookOver { why, .. }] => Some(*why),
                other => panic!("{other:?}"),
            },
            Err(LockError::Held { .. }) => {
                assert!(path.is_symlink());
                None
            }
            Err(error) => panic!("{error}"),
        }
    };
    let (pid, gone) = (sleeper.pid(), dead_pid());
    for start in [
        ticks.to_string(),
        began.to_string(),
        "Fri Nov 20 10:00:00 2026".to_owned(),
        String::new(),
    ] {
        assert_eq!(
            try_with(format!("host|{boot}|{pid}|{start}|{now}|x")),
            None,
            "{start}"
        );
    }
    assert_eq!(
        try_with(format!("host|{boot}|{pid}|{}|{now}|x", ticks + 7)),
        Some(StaleReason::ProcessIdReused)
    );
    assert_eq!(
        try_with(format!("host|{boot}|{gone}|{ticks}|{now}|x")),
        Some(StaleReason::OwnerGone)
    );
    assert_eq!(
        try_with(format!("other|{boot}|{gone}|{ticks}|{now}|x")),
        None
    );
    assert_eq!(
        try_with(format!("other|{boot}|{gone}|{ticks}|{}|x", now - 6 * 3600)),
        Some(StaleReason::ForeignTooOld)
    );
    assert_eq!(try_with("nonsense".to_owned()), None);
}

#[test]
fn a_lock_that_changed_after_it_was_judged_is_put_back() {
    let project = TempDir::new().unwrap();
    let env = real_env();
    let path = project.path().join(".state/lock");
    leave_script_lock(project.path(), dead_pid(), ago(&env, 10_000));
    let judged = visible::look(&path);
    leave_script_lock(project.path(), std::process::id(), env.now());
    assert!(!visible::take_away(&path, &judged, "token").unwrap());
    assert_eq!(visible::look(&path).holder().pid, Some(std::process::id()));
    assert_eq!(entries(project.path()), ["lock"]);
    // Another's lock is not even moved for a moment.
    let touched = || {
        fs::metadata(&path)
            .map(|found| (found.ctime(), found.ctime_nsec()))
            .unwrap()
    };
    let before = touched();
    assert!(!visible::remove_own(&path, "token").unwrap());
    assert_eq!(touched(), before);
}

#[test]
fn leftovers_of_a_killed_process_are_cleared() {
    let project = TempDir::new().unwrap();
    let env = real_env();
    put(&project.path().join(".state/lock.x.new/pid"), "1");
    put(&project.path().join(".state/lock.x.old/pid"), "1");
    drop(ProjectLock::acquire(&request(project.path(), &env), &env).unwrap());
    assert_eq!(entries(project.path()), ["lock.guard"]);
}

#[test]
fn without_advisory_locks_the_visible_one_still_excludes_and_a_note_says_so() {
    let project = TempDir::new().unwrap();
    let env = real_env();
    let asked = request(project.path(), &env);
    let no_flock = System {
        try_lock: |_| Err(TryLockError::Error(io::Error::from_raw_os_error(37))),
        ..System::REAL
    };
    let taken = Attempt::new(&asked, &env, no_flock).take().unwrap();
    assert!(taken.guard.is_none());
    assert!(taken.notes[0].to_string().contains("no advisory locks"));
    assert!(matches!(
        Attempt::new(&asked, &env, no_flock).take().unwrap_err(),
        LockError::Held { .. }
    ));
    assert!(visible::remove_own(&project.path().join(".state/lock"), &taken.token).unwrap());

    let no_rename = System {
        rename_new: |_, _| Err(io::Error::from_raw_os_error(22)),
        ..System::REAL
    };
    let taken = Attempt::new(&asked, &env, no_rename).take().unwrap();
    assert_eq!(taken.notes, [LockNote::NoExclusiveRename]);
    drop(taken);
    assert!(matches!(
        Attempt::new(&asked, &env, no_rename).take().unwrap_err(),
        LockError::Held { .. }
    ));
    assert_eq!(entries(project.path()), ["lock", "lock.guard"]);

    let root = TempDir::new().unwrap();
    let guard =
        WorkspaceGuard::acquire_with(root.path(), "dispatch", Duration::ZERO, &env, no_flock)
            .unwrap();
    assert!(matches!(
        guard.note(),
        Some(LockNote::NoAdvisoryLock { .. })
    ));
}

#[test]
fn a_project_that_does_not_exist_is_not_created() {
    let root = TempDir::new().unwrap();
    let env = real_env();
    let error =
        ProjectLock::acquire(&request(&root.path().join("missing"), &env), &env).unwrap_err();
    assert_eq!(error.code(), Code::Usage);
    assert!(!root.path().join("missing").exists());
    assert_eq!(
        status(&root.path().join("missing"), DEFAULT_GRACE, &env),
        LockStatus::Free
    );
}

#[test]
fn one_dispatch_per_workspace() {
    let root = TempDir::new().unwrap();
    let env = real_env();
    let guard = WorkspaceGuard::acquire(root.path(), "dispatch", Duration::ZERO, &env).unwrap();
    assert_eq!(guard.note(), None);
    let error = WorkspaceGuard::acquire(root.path(), "verify", Duration::ZERO, &env).unwrap_err();
    assert!(
        error.to_string().contains(&format!(
            "process {} on host (dispatch)",
            std::process::id()
        )),
        "{error}"
    );
    drop(guard);
    drop(WorkspaceGuard::acquire(root.path(), "verify", Duration::ZERO, &env).unwrap());
}

#[test]
fn holders_read_like_speech() {
    let holder = Holder {
        pid: Some(12),
        host: Some("node7".to_owned()),
        since: Some("2026-11-20T13:45:00.5Z".parse().unwrap()),
        op: Some("dispatch".to_owned()),
    };
    insta::assert_snapshot!(holder, @"process 12 on node7 (dispatch), since 2026-11-20T13:45:00Z");
    insta::assert_snapshot!(Holder::default(), @"a process that is not named");
    let error = LockError::Held {
        path: "p/.state/lock".into(),
        holder,
        waited: Duration::from_secs(30),
    };
    insta::assert_snapshot!(error, @"p/.state/lock is held by process 12 on node7 (dispatch), since 2026-11-20T13:45:00Z; waited 30 s");
}

fn here(now: Timestamp) -> Here {
    Here {
        host: "node7".to_owned(),
        boot_id: Some("11111111-2222-3333-4444-555555555555".to_owned()),
        pid_namespace: Some("pid:[1]".to_owned()),
        now,
    }
}

fn record(host: &str, boot: &str, namespace: &str, acquired_at: Timestamp) -> Found {
    let record = serde_json::json!({
        "format": 1, "made_by": "ralph 0.1.0", "host": host, "boot_id": boot, "pid": 7, "pid_namespace": namespace,
        "start_ticks": 1, "token": "t", "op": "o", "acquired_at": acquired_at, "of a later version": true,
    });
    Found::Record(serde_json::from_value(record).unwrap())
}

#[test]
fn every_kind_of_record_has_its_verdict() {
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let recent = at("2026-11-20T11:59:00Z");
    let boot = "11111111-2222-3333-4444-555555555555";
    let check = |found: &Found, life: Life| match judge(found, &here(now), life, DEFAULT_GRACE) {
        Verdict::Free => "free".to_owned(),
        Verdict::Held(_) => "held".to_owned(),
        Verdict::Abandoned { why, from, .. } => format!("{why:?} from {}", stamp(from)),
    };
    let ours = record("node7", boot, "pid:[1]", recent);
    assert_eq!(check(&Found::Nothing, Life::Dead), "free");
    assert_eq!(check(&ours, Life::Alive), "held");
    assert_eq!(
        check(&ours, Life::Dead),
        "OwnerGone from 2026-11-20T11:59:00Z"
    );
    assert_eq!(
        check(
            &record("NODE7.cluster.org", boot, "pid:[1]", recent),
            Life::Alive
        ),
        "held"
    );
    // What cannot be seen from here is believed for six hours, whatever the local process table says.
    assert_eq!(
        check(&record("node8", boot, "pid:[1]", recent), Life::Dead),
        "held"
    );
    assert_eq!(
        check(&record("node7", boot, "pid:[2]", recent), Life::Dead),
        "held"
    );
    let old = record("node8", boot, "pid:[1]", at("2026-11-20T06:00:00Z"));
    assert_eq!(
        check(&old, Life::Alive),
        "ForeignTooOld from 2026-11-20T12:00:00Z"
    );
    // A clock that was set back does not keep the dead in possession.
    let ahead = record("node7", boot, "pid:[1]", at("2026-11-20T13:00:00Z"));
    assert_eq!(
        check(&ahead, Life::Dead),
        "OwnerGone from 2026-11-20T12:00:00Z"
    );
    let rebooted = record("node7", "another boot", "pid:[1]", recent);
    assert_eq!(
        check(&rebooted, Life::Dead),
        "Rebooted from 2026-11-20T12:09:00Z"
    );

    let bare = |pid, acquired_at, changed_at| {
        Found::Bare(Bare {
            pid,
            acquired_at,
            changed_at,
        })
    };
    assert_eq!(
        check(&bare(Some(7), Some(recent), None), Life::Dead),
        "OwnerGone from 2026-11-20T12:09:00Z"
    );
    assert_eq!(
        check(&bare(None, None, Some(recent)), Life::Dead),
        "NoOwner from 2026-11-20T12:09:00Z"
    );
    assert_eq!(
        check(&bare(None, None, None), Life::Dead),
        "NoOwner from 2026-11-20T12:10:00Z"
    );
    // Local time marked as UTC: the directory's own time counts.
    let future = Some(at("2026-11-20T16:00:00Z"));
    assert_eq!(
        check(&bare(Some(7), future, Some(recent)), Life::Dead),
        "OwnerGone from 2026-11-20T12:09:00Z"
    );
}

proptest! {
    /// Whatever stands there, it is judged, and a live process of this machine is never robbed.
    #[test]
    fn any_link_is_judged(target in "[a-z0-9|: .-]{0,60}", alive in any::<bool>()) {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let project = TempDir::new().unwrap();
        let path = project.path().join("lock");
        prop_assume!(symlink(&target, &path).is_ok());
        let found = visible::look(&path);
        prop_assert!(matches!(found, Found::Link(_)));
        let life = if alive { Life::Alive } else { Life::Dead };
        let verdict = judge(&found, &here(now), life, DEFAULT_GRACE);
        let Found::Link(Link { host, pid, since, boot_id, .. }) = &found else { unreachable!() };
        if alive && host == "node7" && pid.is_some() && since.is_some() && boot_id.is_none() {
            prop_assert!(matches!(verdict, Verdict::Held(_)), "{verdict:?}");
        }
        visible::life(&found);
    }

    /// Whatever the files of a directory contain, looking never fails.
    #[test]
    fn any_directory_is_judged(pid in any::<Vec<u8>>(), at in any::<Vec<u8>>(), owner in any::<Vec<u8>>()) {
        let project = TempDir::new().unwrap();
        for (name, bytes) in [("pid", &pid), ("acquired_at", &at), ("owner.json", &owner)] {
            io::Write::write_all(&mut File::create(project.path().join(name)).unwrap(), bytes).unwrap();
        }
        let found = visible::look(project.path());
        let env = real_env();
        judge(&found, &Here::of(&env), visible::life(&found), DEFAULT_GRACE);
    }
}
