//! One file per verb: resolve, call the library, print. No verb decides anything itself.

mod cancel;
mod cluster;
mod demo;
mod dispatch;
mod doctor;
mod hook;
mod init;
mod lock;
mod logs;
mod looping;
mod mcp;
mod new;
mod ops;
mod report;
mod results;
mod runs;
mod schema;
mod selftest;
mod shell;
mod shim;
mod status;
mod submit;
mod switch;
mod validate;

use std::path::Path;

use ralph_core::error::Code;
use ralph_core::id::Slug;
pub(crate) use ralph_front::machine::block_on;

use crate::args::{Chosen, Cli, Hook, Verb};
use crate::env_vars;
use crate::workspace::env;
use ralph_front::failure::{Failure, Outcome};
use ralph_front::output::Output;

/// Runs the verb of a command line.
pub(crate) fn run(cli: Cli, output: &Output) -> Outcome {
    let global = &cli.global;
    match cli.verb {
        Verb::Init(arguments) => init::run(global, &arguments, output),
        Verb::New(arguments) => new::run(global, &arguments, output),
        Verb::Dispatch(arguments) => dispatch::run(global, &arguments, output),
        Verb::Verify(arguments) => dispatch::verify(global, &arguments, output),
        Verb::Status(arguments) => status::run(global, &arguments, output),
        Verb::Results(arguments) => results::run(global, &arguments, output),
        Verb::Submit(arguments) => submit::run(global, &arguments, output),
        Verb::Runs(arguments) => runs::run(global, &arguments, output),
        Verb::Logs(arguments) => logs::run(global, &arguments, output),
        Verb::Cancel(arguments) => cancel::run(global, &arguments, output),
        Verb::Cluster(arguments) => cluster::run(global, &arguments, output),
        Verb::Lock(arguments) => lock::run(&arguments, output),
        Verb::On => switch::on(global, output),
        Verb::Off => switch::off(global, output),
        Verb::Hook(Hook::Stop) => hook::stop(global, output),
        Verb::Validate(arguments) => validate::run(global, &arguments, output),
        Verb::Ops(arguments) => ops::run(global, &arguments, output),
        Verb::Loop(arguments) => looping::run(global, &arguments, output),
        Verb::Selftest(arguments) => selftest::run(global, &arguments, output),
        Verb::Mcp => mcp::run(global, output),
        Verb::Report(arguments) => report::run(global, &arguments, output),
        Verb::Doctor => doctor::run(global, output),
        Verb::Demo(arguments) => demo::run(&arguments, output),
        Verb::Completions(arguments) => shell::completions(&arguments, output),
        Verb::Man => shell::man(output),
        Verb::Supervise(arguments) => supervise(&arguments.dir),
        Verb::Job(arguments) => job(&arguments.dir),
        Verb::Shim(arguments) => shim::run(global, &arguments, output),
        Verb::Schema => schema::run(output),
    }
}

/// The hidden verbs answer on standard output, to the process that started them.
fn supervised(outcome: Result<(), String>) -> Outcome {
    outcome
        .map(|()| None)
        .map_err(|error| Failure::new(Code::Failed, error))
}

fn supervise(dir: &Path) -> Outcome {
    let done = ralph_core::process::supervise::main(dir, &env(), &mut std::io::stdout());
    supervised(done.map(drop).map_err(|error| error.to_string()))
}

fn job(dir: &Path) -> Outcome {
    let done =
        ralph_core::cluster::local::run_job(dir, &env(), env_vars::all(), &mut std::io::stdout());
    supervised(done.map(drop).map_err(|error| error.to_string()))
}

/// The names that there are, those that begin as the wrong one does first; of many only a few.
fn those_there_are(wrong: &str, known: &[Slug]) -> String {
    const MOST: usize = 8;
    let alike = |slug: &Slug| {
        let same = slug.as_str().chars().zip(wrong.chars());
        same.take_while(|(one, other)| one.eq_ignore_ascii_case(other))
            .count()
    };
    let mut names: Vec<&Slug> = known.iter().collect();
    names.sort_by_key(|slug| std::cmp::Reverse(alike(slug)));
    let shown: Vec<&str> = names.iter().take(MOST).map(|slug| slug.as_str()).collect();
    match names.len().saturating_sub(MOST) {
        _ if names.is_empty() => "There are none; `ralph new SLUG` makes one.".to_owned(),
        0 => format!("There are: {}.", shown.join(", ")),
        more => format!(
            "There are: {} and {more} more (`ralph status` lists all).",
            shown.join(", ")
        ),
    }
}

/// Names of projects, parsed; a name that no project has is a usage error that lists those there are.
pub(crate) fn projects(
    names: &[String],
    known: &[Slug],
) -> Result<std::collections::BTreeSet<Slug>, Failure> {
    let mut chosen = std::collections::BTreeSet::new();
    for name in names {
        match known.iter().find(|slug| slug.as_str() == name) {
            Some(slug) => drop(chosen.insert(slug.clone())),
            None => {
                let hint = those_there_are(name, known);
                return Err(Failure::new(
                    Code::Usage,
                    format!("there is no project {name:?} in projects/"),
                )
                .hint(hint));
            }
        }
    }
    Ok(chosen)
}

/// The project of this name, where one is named.
pub(crate) fn one_project(name: Option<&str>, known: &[Slug]) -> Result<Option<Slug>, Failure> {
    let named: Vec<String> = name.map(str::to_owned).into_iter().collect();
    Ok(projects(&named, known)?.pop_first())
}

/// The projects that are meant: those named, else all there are.
pub(crate) fn selected(chosen: &Chosen, known: &[Slug]) -> Result<Vec<Slug>, Failure> {
    let named = projects(&chosen.projects, known)?;
    Ok(known
        .iter()
        .filter(|slug| named.is_empty() || named.contains(*slug))
        .cloned()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_those_that_begin_alike_are_shown() {
        let known: Vec<Slug> = (0..20)
            .map(|n| format!("p{n:02}"))
            .chain(["ired".to_owned()])
            .filter_map(|name| name.parse().ok())
            .collect();
        insta::assert_snapshot!(those_there_are("ire", &known), @"There are: ired, p00, p01, p02, p03, p04, p05, p06 and 13 more (`ralph status` lists all).");
        insta::assert_snapshot!(those_there_are("x", &known[..2]), @"There are: p00, p01.");
        insta::assert_snapshot!(those_there_are("x", &[]), @"There are none; `ralph new SLUG` makes one.");
    }
}
