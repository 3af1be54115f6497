//! Atomic files, and what the tests of locks and journal share: children that run a part of this test binary.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::append;
use super::atomic::{self, StoreError};
use crate::error::{Code, Coded as _};

/// A child process that runs the ignored test `name` of this binary, with `words` as its only input.
pub(crate) fn spawn(name: &str, words: &[&str]) -> Child {
    start(
        &mut Command::new(std::env::current_exe().unwrap()),
        name,
        words,
    )
}

pub(crate) fn start(command: &mut Command, name: &str, words: &[&str]) -> Child {
    let mut child = command
        .args(["--exact", name, "--ignored", "--nocapture", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(words.join("\n").as_bytes()).unwrap();
    child
}

/// The words given to [`spawn`]; none when the test was started by hand.
pub(crate) fn words() -> Vec<String> {
    let mut lines = std::io::stdin().lines();
    std::iter::from_fn(|| lines.next()?.ok()).collect()
}

/// A folder in memory where there is one: for tests of what is written, and not of how the disk takes it.
pub(crate) fn memory() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

/// Waits until something is so. The limit is only there so that a broken test ends.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..20_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("still waiting until {what}");
}

/// Writes a file as a person's editor might: in place.
pub(crate) fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("pipeline.json");
    (folder, path)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn replacing_keeps_the_mode_and_leaves_nothing_beside() {
    let (folder, path) = folder();
    put(&path, "old");
    for mode in [0o600, 0o640, 0o666, 0o755] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        atomic::replace(&path, b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
    }
    assert_eq!(names(folder.path()), ["pipeline.json"]);
    assert_eq!(atomic::read(&path).unwrap().as_deref(), Some(&b"new"[..]));
}

#[test]
fn a_new_file_is_readable_by_others_as_far_as_the_umask_allows() {
    let (folder, path) = folder();
    atomic::replace(&path, b"x").unwrap();
    let plain = folder.path().join("plain");
    put(&plain, "x");
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&path), mode(&plain) & 0o644);
}

#[test]
fn a_symbolic_link_stays_and_its_file_is_replaced() {
    let (folder, path) = folder();
    let target = folder.path().join("elsewhere/real.json");
    put(&target, "old");
    symlink("elsewhere/real.json", folder.path().join("middle")).unwrap();
    symlink("middle", &path).unwrap();
    atomic::replace(&path, b"new").unwrap();
    assert!(path.is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "new");

    // A link to nothing names the file to create; a circle is an error.
    fs::remove_file(&target).unwrap();
    atomic::replace(&path, b"again").unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "again");
    let circle = folder.path().join("circle");
    symlink("circle", &circle).unwrap();
    let error = atomic::replace(&circle, b"x").unwrap_err();
    assert!(
        matches!(error, StoreError::NotAFile { .. } | StoreError::Io { .. }),
        "{error}"
    );
    assert!(circle.is_symlink());
}

#[test]
fn what_is_not_a_file_is_named_and_left() {
    let (folder, path) = folder();
    fs::create_dir(&path).unwrap();
    for error in [
        atomic::replace(&path, b"x").unwrap_err(),
        atomic::create_new(&path, b"x").unwrap_err(),
        atomic::read(&path).unwrap_err(),
        atomic::read_text(&path).unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            format!("{} is a folder; expected a regular file", path.display())
        );
        assert!(error.hint().is_some());
    }
    assert!(append::append_line(&path, "x").is_err() && atomic::remove(&path).is_err());
    assert!(path.is_dir());
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    // Opening a pipe that nobody writes to would block for ever.
    assert!(
        atomic::read(&pipe)
            .unwrap_err()
            .to_string()
            .contains("a named pipe")
    );
}

#[test]
fn creating_never_replaces_and_removing_twice_is_no_error() {
    let (folder, path) = folder();
    atomic::create_new(&path, b"first").unwrap();
    let error = atomic::create_new(&path, b"second").unwrap_err();
    assert_eq!(error.code(), Code::Conflict);
    assert_eq!(fs::read_to_string(&path).unwrap(), "first");
    assert_eq!(names(folder.path()), ["pipeline.json"]);
    atomic::remove(&path).unwrap();
    atomic::remove(&path).unwrap();
    assert_eq!(atomic::read(&path).unwrap(), None);
}

#[test]
fn bad_text_is_named_with_its_place() {
    let (_folder, path) = folder();
    atomic::replace(&path, b"one\ntw\xffo\n").unwrap();
    let error = atomic::read_text(&path).unwrap_err();
    assert!(
        matches!(error, StoreError::NotText { at: 6, line: 2, .. }),
        "{error}"
    );
    assert_eq!(error.code(), Code::CorruptState);
}

#[test]
fn a_torn_line_costs_itself_only() {
    let (_folder, path) = folder();
    assert_eq!(append::read_lines(&path).unwrap(), append::Lines::default());
    append::append_line(&path, "one").unwrap();
    File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all("tw\u{e4}".as_bytes().split_last().unwrap().1)
        .unwrap();
    let read = append::read_lines(&path).unwrap();
    assert_eq!(read.complete, ["one"]);
    assert_eq!(read.torn.as_deref(), Some("tw\u{fffd}"));
    append::append_line(&path, "three").unwrap();
    let read = append::read_lines(&path).unwrap();
    assert_eq!(read.complete, ["one", "tw\u{fffd}", "three"]);
    assert_eq!(read.torn, None);
}

#[test]
fn a_log_that_begins_anew_is_kept_beside_the_new_one() {
    let (folder, path) = folder();
    append::keep_aside(&path).unwrap();
    assert_eq!(names(folder.path()), [""; 0]);
    for text in ["first", "second", "third"] {
        append::keep_aside(&path).unwrap();
        append::append_bytes(&path, &text.as_bytes()[..1]).unwrap();
        append::append_bytes(&path, &text.as_bytes()[1..]).unwrap();
    }
    let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(text("pipeline.json"), "third");
    assert_eq!(text("pipeline.json.1"), "first");
    assert_eq!(text("pipeline.json.2"), "second");
}

#[test]
fn leftovers_of_a_crash_are_removed_and_nothing_else() {
    let (folder, path) = folder();
    put(&path, "x");
    put(&folder.path().join(".ralph-abc.tmp"), "x");
    put(&folder.path().join(".ralph-notes"), "x");
    atomic::remove_leftovers(folder.path());
    assert_eq!(names(folder.path()), [".ralph-notes", "pipeline.json"]);
}

#[test]
fn where_others_write_only_old_leftovers_are_removed() {
    let (folder, path) = folder();
    put(&path, "x");
    put(&folder.path().join(".ralph-abc.tmp"), "x");
    let written = fs::metadata(folder.path().join(".ralph-abc.tmp")).unwrap();
    let now = written.modified().unwrap();
    let hour = std::time::Duration::from_secs(3600);
    atomic::remove_old_leftovers(folder.path(), hour, now);
    atomic::remove_old_leftovers(folder.path(), hour, now - 2 * hour);
    assert_eq!(names(folder.path()), [".ralph-abc.tmp", "pipeline.json"]);
    atomic::remove_old_leftovers(folder.path(), hour, now + 2 * hour);
    assert_eq!(names(folder.path()), ["pipeline.json"]);
}

/// Tries to replace the file named by the first word and says what the error was.
#[test]
#[ignore = "run by other tests, as a process of its own"]
fn replace_and_report() {
    let words = words();
    let [path, report, size] = &words[..] else {
        return;
    };
    let bytes = vec![b'n'; size.parse().unwrap()];
    let text = match atomic::replace(Path::new(path), &bytes) {
        Ok(()) => "replaced".to_owned(),
        Err(error) => format!(
            "{error}\n{}",
            error.hint().map(|hint| hint.0).unwrap_or_default()
        ),
    };
    File::create(report)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

/// Runs [`replace_and_report`] under `command` on a file with the content `old`.
fn report_of(command: &mut Command, path: &Path, report: &Path, size: &str) -> String {
    let name = "store::tests::replace_and_report";
    let words = [path.to_str().unwrap(), report.to_str().unwrap(), size];
    let end = start(command, name, &words).wait_with_output().unwrap();
    assert!(
        end.status.success(),
        "{}",
        String::from_utf8_lossy(&end.stderr)
    );
    fs::read_to_string(report).unwrap()
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let (folder, path) = folder();
    put(&path, "old");
    // A limit on the size of files makes every write behind it fail, as a quota does.
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -f 64; trap '' XFSZ; exec \"$0\" \"$@\""]);
    command.arg(std::env::current_exe().unwrap());
    let report = report_of(&mut command, &path, &folder.path().join("report"), "200000");
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(folder.path()), ["pipeline.json", "report"]);
    assert!(
        report.starts_with(&format!("failed to write beside {}", path.display())),
        "{report}"
    );
    assert!(report.contains("free some space"), "{report}");

    let small = folder.path().join("small");
    fs::create_dir(&small).unwrap();
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=64k none \"$1\" || exit 77; cd \"$1\"; echo old > f; shift; \"$@\"; r=$?; cat f > ../left; ls -A >> ../left; exit $r";
    command.args(["--mount", "--map-root-user", "bash", "-c", script, "-"]);
    let possible = Command::new("unshare")
        .args(["--mount", "--map-root-user", "mount", "-t", "tmpfs", "none"])
        .arg(&small)
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
        {
            eprintln!("SKIPPED: no private mounts here, so no real full disk");
        }
        return;
    }
    command.arg(&small).arg(std::env::current_exe().unwrap());
    let report = report_of(
        &mut command,
        &small.join("f"),
        &folder.path().join("report"),
        "200000",
    );
    assert!(report.contains("Free some space"), "{report}");
    assert_eq!(
        fs::read_to_string(folder.path().join("left")).unwrap(),
        "old\nf\n"
    );
}

#[test]
fn a_folder_that_may_not_be_written_is_named() {
    let (folder, path) = folder();
    put(&path, "old");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let reports = TempDir::new().unwrap();
    fs::set_permissions(reports.path(), Permissions::from_mode(0o777)).unwrap();
    // Root may write everywhere, so the child is somebody else.
    let mut command = Command::new(std::env::current_exe().unwrap());
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(65_534).gid(65_534);
    } else {
        fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    }
    let report = report_of(&mut command, &path, &reports.path().join("report"), "3");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(
        report,
        format!(
            "failed to write beside {0}\nCheck who owns {0} and its folder (`ls -ld`), and that you may write there.",
            path.display()
        )
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
}
