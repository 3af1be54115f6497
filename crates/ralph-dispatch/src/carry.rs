//! What is delivered and waits to be merged travels with a loop: a job is told of it, and what the job delivered itself
//! comes home with its log and its branch. A clone on a node is gone with its job, and the next one would do all of it
//! again.

use std::collections::BTreeMap;
use std::path::Path;

use ralph_core::env::Env;
use ralph_core::error::Code;
use ralph_core::process::Identity;
use ralph_docs::fix_plan::Flavour;
use ralph_front::failure::{Failure, sentence};
use ralph_front::machine::block_on;
use ralph_loop::assemble::{keep_out_of_git, plan_file};
use ralph_loop::git::{Git, GitProgram};
use ralph_loop::plan::{Delivered, PlanError, PlanFile};

use crate::layout::Layout;
use crate::log_text;
use crate::probe;
use crate::record::LoopRecord;

/// How a job's script begins the line of a delivery.
const DELIVERED: &str = "ralph: delivered: ";
/// How it begins the line of the branch that its result is on.
const RESULT: &str = "ralph: result: branch ";

/// The variables that tell a job of deliveries are this and a number.
const VARIABLE: &str = "LOOP_DELIVERED_";
/// A variable holds at most so many bytes: half of what Linux takes for one.
const PER_VARIABLE: usize = 64 * 1024;
/// All of them together: half of what Linux gives a process for its variables.
const ALTOGETHER: usize = 1024 * 1024;

/// What a job is told of deliveries: lines, as many in a variable as it holds.
///
/// # Errors
/// They are too many for a job's variables.
pub(crate) fn told(lines: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let sum: usize = lines.iter().map(|line| line.len() + 1).sum();
    let longest = lines.iter().map(String::len).max().unwrap_or(0);
    if sum > ALTOGETHER || longest >= PER_VARIABLE {
        let message = format!(
            "{} tasks wait on their branches to be merged, more than a job can be told of",
            lines.len()
        );
        return Err(Failure::new(Code::Conflict, message).hint("Merge some of them first."));
    }
    let mut parts: Vec<String> = Vec::new();
    for line in lines {
        match parts.last_mut() {
            Some(part) if part.len() + line.len() < PER_VARIABLE => {
                part.push('\n');
                part.push_str(line);
            }
            _ => parts.push(line.clone()),
        }
    }
    let numbered = parts.into_iter().enumerate();
    Ok(numbered
        .map(|(number, part)| (format!("{VARIABLE}{number:04}"), part))
        .collect())
}

/// The plan of a repository at home.
///
/// # Errors
/// This process cannot be identified.
pub(crate) fn plan_at_home(repository: &Path, env: &Env) -> Result<PlanFile, String> {
    let nobody = Identity::of(std::process::id());
    let nobody = nobody.ok_or("the running process cannot be identified")?;
    Ok(plan_file(
        repository,
        Flavour::Repository,
        nobody,
        &env.host,
    ))
}

/// Writes down at home what a job that has ended delivered. Doing it again changes nothing.
///
/// # Errors
/// What kept it from being written; it can be tried again.
pub(crate) fn bring_home(layout: &Layout, env: &Env, record: &LoopRecord) -> Result<(), String> {
    let Some(job) = &record.job else {
        return Ok(());
    };
    let log = layout.log(&record.repository);
    let lines = log_text::marked(&log, record.log_from, DELIVERED);
    let results = log_text::marked(&log, record.log_from, RESULT);
    let has_result = results.contains(&job.branch);
    if lines.is_empty() && !has_result {
        return Ok(());
    }
    let repository = layout.repository(&record.repository);
    let failed = |error: &PlanError| format!("{}: {}", record.repository, sentence(error));
    let plan = plan_at_home(&repository, env)?;
    prepared(&repository).map_err(|why| format!("{}: {why}", record.repository))?;
    for line in &lines {
        let _ = plan.take_delivery(line).map_err(|error| failed(&error))?;
    }
    if has_result {
        let (delivered, text) = result(&repository, &job.branch, env)
            .map_err(|why| format!("{}: git: {why}", record.repository))?;
        let _ = plan
            .take_ticks(text, &delivered)
            .map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Makes the repository ready: our files out of git's sight, and the branches there that a loop at home looks for.
fn prepared(repository: &Path) -> Result<(), String> {
    let asked = block_on(async {
        let git = Git::open(GitProgram::default(), repository).await;
        let git = git.map_err(|error| sentence(&error))?;
        let kept = keep_out_of_git(&git).await;
        kept.map_err(|error| sentence(&error))?;
        let fetched = probe::git(repository, &["fetch", "--quiet", "origin"]).await;
        fetched.map_err(|why| format!("its results cannot be fetched: {why}"))
    });
    asked.map_err(|failure| failure.message())?.map(drop)
}

/// The branch that a job's result is on, as a delivery, and the plan as it is there.
fn result(repository: &Path, branch: &str, env: &Env) -> Result<(Delivered, String), String> {
    let tip = format!("refs/remotes/origin/{branch}");
    let plan = format!("{tip}:./.ralph/fix_plan.md");
    let asked = block_on(async {
        let commit = probe::git(repository, &["rev-parse", "--verify", &tip]).await?;
        let text = probe::git(repository, &["show", &plan]).await?;
        Ok::<_, String>((commit, text))
    });
    let (commit, text) = asked.map_err(|failure| failure.message())??;
    let delivered = Delivered {
        branch: branch.to_owned(),
        commit: commit.trim().to_owned(),
        pull_request: None,
        delivered_at: env.now(),
    };
    Ok((delivered, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_variable_holds_more_than_it_may_and_nothing_is_lost() {
        assert_eq!(told(&[]).unwrap(), BTreeMap::new());
        let lines: Vec<String> = (0..300)
            .map(|n| format!("{n:016x} {}", "x".repeat(600)))
            .collect();
        let variables = told(&lines).unwrap();
        assert!(variables.len() > 2 && variables.values().all(|text| text.len() <= PER_VARIABLE));
        let names: Vec<&String> = variables.keys().collect();
        assert_eq!(names[..2], ["LOOP_DELIVERED_0000", "LOOP_DELIVERED_0001"]);
        let all: Vec<&str> = variables.values().flat_map(|text| text.lines()).collect();
        assert_eq!(all, lines);
        let many = vec!["x".repeat(1000); 2_000];
        assert_eq!(told(&many).unwrap_err().code(), Code::Conflict);
    }
}
