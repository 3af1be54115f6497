//! The examples do what they say. They are programs of somebody who embeds the crate, so they are run as such.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ralph_core::store::atomic;
use ralph_loop::budget::{Budget, Terms};

type Tested = Result<(), Box<dyn Error>>;

const AGENT: &str =
    "cat >/dev/null; echo hello >hello.txt; git add hello.txt; git commit --quiet -m Hello\n";

/// An example, which cargo puts beside the tests.
fn example(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let mut program = std::env::current_exe()?;
    program.pop();
    program.set_file_name("examples");
    Ok(program.join(name))
}

fn git(folder: &Path, args: &[&str]) -> Result<String, Box<dyn Error>> {
    let who = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
    let mut command = Command::new("git");
    let output = command.current_dir(folder).args(who).args(args).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn an_agent_does_one_task_and_its_work_is_merged() -> Tested {
    let root = tempfile::tempdir()?;
    let (repository, agent) = (root.path().join("repository"), root.path().join("agent.sh"));
    atomic::create_dir(&repository.join(".ralph"))?;
    atomic::replace(&agent, AGENT.as_bytes())?;
    atomic::replace(
        &repository.join(".ralph/fix_plan.md"),
        b"# Plan\n\n- [ ] Say hello\n- [ ] Say goodbye\n",
    )?;
    git(&repository, &["init", "--quiet", "--initial-branch=main"])?;
    git(&repository, &["config", "user.name", "A"])?;
    git(&repository, &["config", "user.email", "a@example.org"])?;
    git(&repository, &["add", "."])?;
    git(&repository, &["commit", "--quiet", "-m", "One"])?;

    let mut command = Command::new(example("one_task")?);
    let output = command.arg(&repository).arg("sh").arg(&agent).output()?;
    let said = String::from_utf8(output.stdout)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("say-hello: Done"), "{said}{errors}");
    assert!(said.contains("1 attempts spent"), "{said}");
    assert_eq!(git(&repository, &["show", "main:hello.txt"])?, "hello\n");
    let plan = fs::read_to_string(repository.join(".ralph/fix_plan.md"))?;
    assert_eq!(plan, "# Plan\n\n- [x] Say hello\n- [ ] Say goodbye\n");
    Ok(())
}

#[test]
fn three_processes_spend_four_attempts_in_all() -> Tested {
    let folder = tempfile::tempdir()?;
    let terms = Terms {
        workers: 2,
        attempts: Some(4),
    };
    // Kept open: a budget that nobody has open begins anew.
    let _open = Budget::create(folder.path(), &terms)?;
    let started = (0..3).map(|_| {
        let mut command = Command::new(example("shared_budget")?);
        let command = command.arg(folder.path()).args(["2", "4"]);
        Ok(command.stdout(Stdio::piped()).spawn()?)
    });
    let started = started.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let mut worked = 0;
    for process in started {
        let output = process.wait_with_output()?;
        let said = String::from_utf8(output.stdout)?;
        assert!(said.ends_with("4 of 4 attempts are spent\n"), "{said}");
        worked += said.lines().filter(|line| line.ends_with(" works")).count();
    }
    assert_eq!(worked, 4);
    Ok(())
}
