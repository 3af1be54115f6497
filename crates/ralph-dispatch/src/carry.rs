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
use ralph_loop::plan::{PlanError, PlanFile};

use crate::home::{self, Found, Homes, Said, said};
use crate::layout::Layout;
use crate::record::LoopRecord;

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

/// What came of bringing a job's deliveries home.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Brought {
    /// All of it is here, with what is to be said about it.
    Home(Option<String>),
    /// Nobody has asked its remote yet.
    NotAsked,
    /// Its remote could not be asked, or nothing could be written; it is tried again.
    Away(String),
}

/// Writes down at home what a job that has ended delivered. Doing it again changes nothing.
pub(crate) fn bring_home(
    layout: &Layout,
    env: &Env,
    record: &LoopRecord,
    homes: &Homes,
) -> Brought {
    let Some(job) = &record.job else {
        return Brought::Home(None);
    };
    let name = &record.repository;
    let repository = layout.repository(name);
    let away = |why: String| Brought::Away(home::away(record, &repository, &why));
    let found = match homes.of(record) {
        None | Some(Ok(Found::NotAsked)) => return Brought::NotAsked,
        Some(Err(why)) => return away(format!("origin cannot be asked: {why}")),
        Some(Ok(found)) => found,
    };
    let said = said(layout, record);
    if said.is_nothing() {
        return Brought::Home(None);
    }
    if let Err(why) = written(&repository, env, &said, found) {
        return away(why);
    }
    let note = match found {
        Found::Gone => Some(format!(
            "{name}: the branch of its result, {}, is not on origin any more; pull what it was merged into",
            job.branch
        )),
        _ => None,
    };
    Brought::Home(note)
}

fn written(repository: &Path, env: &Env, said: &Said, found: &Found) -> Result<(), String> {
    let told = |error: PlanError| sentence(&error);
    let plan = plan_at_home(repository, env)?;
    kept_out(repository)?;
    for line in &said.lines {
        let _ = plan.take_delivery(line).map_err(told)?;
    }
    if let Found::Result(ticks) = found {
        let (began, theirs) = (ticks.began.clone(), ticks.theirs.clone());
        let _ = plan
            .take_ticks(began, theirs, &ticks.delivered)
            .map_err(told)?;
    }
    Ok(())
}

/// Keeps our files there out of git's sight.
fn kept_out(repository: &Path) -> Result<(), String> {
    let kept = block_on(async {
        let git = Git::open(GitProgram::default(), repository).await;
        let git = git.map_err(|error| sentence(&error))?;
        let kept = keep_out_of_git(&git).await;
        kept.map_err(|error| sentence(&error))
    });
    kept.map_err(|failure| failure.message())?.map(drop)
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
