//! Whatever happens to ralph during a submission, the cluster is given one job.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;

use ralph_tests::slurm::{Site, cluster};
use ralph_tests::{Ran, wait_until};

const ITEM: (&str, &str) = ("Q-001", "echo once");

/// So many crashed submissions are looked at side by side.
const AT_ONCE: usize = 4;

/// Every crash point that a submitting dispatch passes, in order.
fn points(site: &Site<'_>) -> Vec<String> {
    site.project("toy", "RUN", &[ITEM]);
    let log = site.workspace.path("points");
    let mut dispatch = site.command(&["dispatch"]);
    let _ = Ran::of_command(dispatch.env("RALPH_CRASH_LOG", &log)).ended(0);
    let text = fs::read_to_string(log).expect("the points that were passed");
    text.lines().map(str::to_owned).collect()
}

/// Kills ralph at a point of its submission, and lets the next dispatches go on.
fn crash(beside: &Site<'_>, at: &str) {
    let site = Site::beside(beside);
    site.project("toy", "RUN", &[ITEM]);
    let mut dispatch = site.command(&["dispatch"]);
    let crashed = Ran::of_command(dispatch.env("RALPH_CRASH_AT", at));
    assert!(crashed.code > 128, "{at}: {crashed:?}");
    let next = [site.ralph(&["dispatch"]), site.ralph(&["dispatch"])];
    let state = site.state("toy");
    let runs = ["active_runs", "completed_runs"].map(|list| state[list].as_array().cloned());
    let runs: Vec<_> = runs.into_iter().flatten().flatten().collect();
    let [run] = runs.as_slice() else {
        panic!("{at}: {next:?}\n{state}");
    };
    let job = run["job_id"].as_str().expect("a job");
    assert_eq!(site.jobs(), [job], "{at}: {next:?}");
}

#[test]
fn killed_at_any_point_the_next_dispatch_has_one_job() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = Site::connected(&cluster);
    let points = points(&site);
    let named = |point: &String| point.starts_with("submit.after_send:");
    assert!(points.iter().any(named), "{points:?}");
    let left = Mutex::new(points.iter());
    let worker = || {
        while let Some(at) = { left.lock().expect("no thread failed").next() } {
            crash(&site, at);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(worker);
        }
    });
}

#[test]
fn two_dispatches_and_eight_submissions_at_once_are_one_job() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = Site::connected(&cluster);
    site.project("both", "RUN", &[ITEM]);
    let start = |arguments: &[&str]| {
        let mut command = site.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("ralph")
    };
    let ends = |children: Vec<std::process::Child>| -> Vec<bool> {
        let end = |mut child: std::process::Child| child.wait().expect("an end").success();
        children.into_iter().map(end).collect()
    };
    ends((0..2).map(|_| start(&["dispatch"])).collect());
    assert_eq!(site.jobs().len(), 1);

    site.project("many", "RUN", &[ITEM]);
    let submit = ["submit", "--project", "many", "--queue-id", "Q-001"];
    let accepted = ends((0..8).map(|_| start(&submit)).collect());
    assert_eq!(
        accepted.iter().filter(|ended| **ended).count(),
        1,
        "{accepted:?}"
    );
    assert_eq!(site.jobs().len(), 2);

    let _ = site.ralph(&["dispatch", "--until-idle"]).ended(0);
    assert_eq!(site.jobs().len(), 2);
    for slug in ["both", "many"] {
        assert_eq!(
            site.state(slug)["completed_runs"].as_array().map(Vec::len),
            Some(1),
            "{slug}"
        );
    }
}

/// An `sbatch` in front of the real one, for every command over SSH: a submission says that it is here, and waits to
/// be let through; the first one may pass. Gone when dropped.
struct HeldSbatch(PathBuf);

impl HeldSbatch {
    fn new(site: &Site<'_>, first_passes: bool) -> Self {
        let held = Self(PathBuf::from(site.cluster.value("RALPH_REMOTE_HOME")));
        fs::create_dir_all(held.0.join("held")).expect("a folder");
        let root = site.root.display();
        let waits = match first_passes {
            true => format!("! mkdir \"{root}/passed\" 2>/dev/null"),
            false => "true".to_owned(),
        };
        let sbatch = format!(
            "#!/bin/bash\ncase $* in *--parsable*) if {waits}; then touch \"{root}/here\"; {}; fi ;; esac\nexec /usr/bin/sbatch \"$@\"\n",
            site.gate("go"),
        );
        held.write("held/sbatch", &sbatch);
        held.write(".bashrc", "PATH=$HOME/held:$PATH\n");
        held
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = File::create(self.0.join(name)).expect("a file");
        file.write_all(text.as_bytes()).expect("its text");
        file.set_permissions(Permissions::from_mode(0o755))
            .expect("its mode");
    }
}

impl Drop for HeldSbatch {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.join(".bashrc"));
        let _ = fs::remove_dir_all(self.0.join("held"));
    }
}

#[test]
fn killed_while_the_scheduler_has_the_script_its_job_is_found() {
    let Some(cluster) = cluster(true) else {
        return;
    };
    let site = Site::connected(&cluster);
    site.project("toy", "RUN", &[ITEM]);
    let held = HeldSbatch::new(&site, false);
    let mut ralph = site
        .command(&["dispatch"])
        .stdout(Stdio::null())
        .spawn()
        .expect("ralph");
    wait_until("sbatch runs", || site.root.join("here").exists());
    ralph.kill().expect("a running ralph");
    let _ = ralph.wait().expect("an end");

    // Begun, and no job yet: nobody submits a second time.
    let early = site.ralph(&["dispatch"]);
    assert!(
        early
            .stdout
            .contains("the submission was begun on the cluster"),
        "{}",
        early.stdout
    );
    assert!(site.jobs().is_empty());
    drop(held);
    site.open_gate("go");
    wait_until("the job exists", || site.jobs().len() == 1);
    let rest = site.ralph(&["dispatch", "--until-idle"]).ended(0);
    assert_eq!(site.state("toy")["phase"], "DONE", "{}", rest.stdout);
    assert_eq!(site.jobs().len(), 1);
}

#[test]
fn killed_between_two_receipts_of_one_call_every_project_has_one_job() {
    let Some(cluster) = cluster(true) else {
        return;
    };
    let site = Site::connected(&cluster);
    let slugs = ["first", "second", "third"];
    for slug in slugs {
        site.project(slug, "RUN", &[ITEM]);
    }
    let held = HeldSbatch::new(&site, true);
    let mut ralph = site
        .command(&["dispatch"])
        .stdout(Stdio::null())
        .spawn()
        .expect("ralph");
    wait_until("the second sbatch runs", || site.root.join("here").exists());
    // The first receipt is in the books while the call that brought it still runs.
    let jobs = || {
        let has_job = |slug: &&str| site.state(slug)["active_runs"][0]["job_id"].is_string();
        slugs.iter().filter(|slug| has_job(slug)).count()
    };
    wait_until("one job is recorded", || jobs() == 1);
    ralph.kill().expect("a running ralph");
    let _ = ralph.wait().expect("an end");
    drop(held);
    site.open_gate("go");
    let rest = site.ralph(&["dispatch", "--until-idle"]).ended(0);
    for slug in slugs {
        let state = site.state(slug);
        let runs = state["completed_runs"].as_array().map(Vec::len);
        assert_eq!(
            (runs, &state["phase"]),
            (Some(1), &"DONE".into()),
            "{slug}: {}",
            rest.stdout
        );
    }
    assert_eq!(site.jobs().len(), 3);
}

/// As after `git clean -fdx`, or in a fresh clone.
#[test]
fn jobs_that_live_when_all_books_are_lost_are_taken_over_and_not_submitted_again() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = Site::connected(&cluster);
    let gate = site.gate("end");
    let array = format!("#SBATCH --array=0-1\n{gate}");
    let projects = [("one", gate.as_str()), ("tasks", array.as_str())];
    let make = || projects.map(|(slug, script)| site.project(slug, "RUN", &[("Q-001", script)]));
    make();
    let _ = site.ralph(&["dispatch"]).ended(0);
    let jobs = projects.map(|(slug, _)| site.live_run(slug).1);
    fs::remove_dir_all(site.workspace.path("projects")).expect("no books");
    make();
    let again = site.ralph(&["dispatch"]).ended(0);
    let found = projects.map(|(slug, _)| site.live_run(slug).1);
    assert_eq!(found, jobs, "{}", again.stdout);
    // Which of the two came first is not known.
    let all = BTreeSet::from(jobs);
    let submitted = || BTreeSet::from_iter(site.jobs());
    assert_eq!(submitted(), all, "{}", again.stdout);
    site.open_gate("end");
    let rest = site.ralph(&["dispatch", "--until-idle"]).ended(0);
    for (slug, _) in projects {
        assert_eq!(site.state(slug)["phase"], "DONE", "{}", rest.stdout);
    }
    assert_eq!(submitted(), all);
}
