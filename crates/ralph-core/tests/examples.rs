//! The examples do what they say. They are programs of somebody who embeds the crate, so they are run as such.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ralph_core::store::atomic;

type Tested = Result<(), Box<dyn Error>>;

const STATE: &str = "{\"phase\": \"RUN\",  \"active_runs\": [], \"mine\": 1.50}\n";
const QUEUE: &str =
    "# Queue\n\n## READY\n### Q-001: Baseline\n- Script: slurm/jobs/q001.sbatch\n\n## RUNNING\n";
const LOG: &str = "Traceback (most recent call last):
  File \"train.py\", line 3, in <module>
    import torch
ModuleNotFoundError: No module named 'torch'
";
const SCRIPT: &str =
    "#!/bin/bash\n#SBATCH --job-name=q001\n#SBATCH --time=00:01:00\nsleep 0.3\necho hello\n";

/// Runs an example, which cargo puts beside the tests, and gives what it printed.
fn run(example: &str, args: &[&str]) -> Result<String, Box<dyn Error>> {
    let mut program = std::env::current_exe()?;
    program.pop();
    program.set_file_name("examples");
    let output = Command::new(program.join(example)).args(args).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// A workspace with one project that has one item to submit.
fn workspace(root: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let project = root.join("projects/alpha");
    for (path, text) in [
        (".state/pipeline.json", STATE),
        ("documentation/queue.md", QUEUE),
        ("slurm/jobs/q001.sbatch", SCRIPT),
    ] {
        let path = project.join(path);
        atomic::create_dir(path.parent().ok_or("no parent")?)?;
        atomic::replace(&path, text.as_bytes())?;
    }
    Ok(project)
}

fn text(path: &Path) -> Result<&str, Box<dyn Error>> {
    Ok(path.to_str().ok_or("not UTF-8")?)
}

#[test]
fn a_member_of_a_state_file_is_changed_and_nothing_else() -> Tested {
    let root = tempfile::tempdir()?;
    let project = workspace(root.path())?;
    run("edit_state", &[text(&project)?, "CHECK"])?;
    let now = fs::read_to_string(project.join(".state/pipeline.json"))?;
    assert_eq!(now, STATE.replace("RUN", "CHECK"));
    Ok(())
}

#[test]
fn a_plan_is_made_without_a_cluster_or_a_change() -> Tested {
    let root = tempfile::tempdir()?;
    let project = workspace(root.path())?;
    let said = run("plan", &[text(root.path())?])?;
    assert!(said.contains("alpha: Submit { item: "), "{said}");
    assert!(!project.join(".state/ops").exists());
    Ok(())
}

#[test]
fn the_embedded_cluster_runs_a_project_to_its_end() -> Tested {
    let root = tempfile::tempdir()?;
    let project = workspace(root.path())?;
    let said = run("dispatch", &[text(root.path())?])?;
    assert!(said.contains("Q-001 is job "), "{said}");
    let state = fs::read_to_string(project.join(".state/pipeline.json"))?;
    assert!(state.contains("\"phase\": \"DONE\""), "{state}\n{said}");
    Ok(())
}

#[test]
fn a_cluster_of_ones_own_is_asked_for_the_job_of_a_lost_reply() -> Tested {
    let root = tempfile::tempdir()?;
    workspace(root.path())?;
    let said = run("own_cluster", &[text(root.path())?])?;
    assert!(said.contains("called submit 1 times"), "{said}");
    assert!(said.contains("moved on to DONE"), "{said}");
    Ok(())
}

#[test]
fn a_guarded_program_is_ended_at_its_limit() -> Tested {
    let script = "echo up; setsid sleep 1000 & sleep 1000";
    let said = run("guarded", &["0", "sh", "-c", script])?;
    assert!(said.contains("exit 0:15, stopped true"), "{said}");
    Ok(())
}

#[test]
fn a_log_alone_says_why_its_job_failed() -> Tested {
    let root = tempfile::tempdir()?;
    let (script, log) = (root.path().join("job.sbatch"), root.path().join("job.err"));
    atomic::replace(&script, SCRIPT.as_bytes())?;
    atomic::replace(&log, LOG.as_bytes())?;
    let said = run("why_failed", &[text(&script)?, text(&log)?])?;
    assert!(said.contains(":3: time 00:01:00"), "{said}");
    assert!(said.contains("asks for 60 s"), "{said}");
    assert!(said.contains("module_not_found"), "{said}");
    Ok(())
}
