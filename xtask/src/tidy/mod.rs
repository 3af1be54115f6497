//! `cargo xtask tidy`: what must never be in the sources, as checks. One function per check, one file per
//! theme; every check is tested with an example that it must refuse.
//!
//! A check reads the [`Tree`] and returns findings. It changes nothing and decides nothing for its neighbours.

mod dependencies;
mod documents;
mod effects;
mod exceptions;
mod hygiene;
mod layering;
mod modules;
mod purity;
mod rust_source;
mod scripts;
mod tree;
mod vocabulary;

use std::path::Path;
use std::process::ExitCode;

use tree::Tree;

/// Something that a check refuses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    /// Path relative to the root.
    path: String,
    /// Line, from one; zero when the whole file is meant.
    line: usize,
    /// What was found and what to do about it.
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

/// A check: its name, the law it holds, and the function.
struct Check {
    name: &'static str,
    law: &'static str,
    run: fn(&Tree) -> Vec<Finding>,
}

const fn check(name: &'static str, law: &'static str, run: fn(&Tree) -> Vec<Finding>) -> Check {
    Check { name, law, run }
}

const CHECKS: [Check; 30] = [
    check(
        "I1 docs",
        "ralph-docs is text in, edits out",
        purity::docs_crate_is_pure,
    ),
    check(
        "I1 layers",
        "crates depend downwards only",
        layering::crates_depend_downwards,
    ),
    check(
        "I2 plan",
        "planning is pure, and so is what it calls",
        purity::planning_is_pure,
    ),
    check(
        "I3 writing",
        "only store and journal write files",
        effects::only_the_store_writes,
    ),
    check(
        "I4 words",
        "only ralph-slurm knows the scheduler's and ssh's programs",
        vocabulary::only_slurm_knows_the_programs,
    ),
    check(
        "I4 remote",
        "only ralph-slurm depends on SSH libraries",
        layering::only_slurm_links_ssh,
    ),
    check(
        "I4 front",
        "only the binaries depend on clap and colours",
        layering::only_binaries_link_the_terminal,
    ),
    check(
        "I4 environment",
        "only ralph-front's environment module reads the environment",
        effects::one_module_reads_the_environment,
    ),
    check(
        "I4 exit",
        "only the binaries know exit codes of processes",
        effects::only_binaries_exit,
    ),
    check(
        "I6 intent",
        "only act and the clusters call submit",
        effects::only_act_submits,
    ),
    check(
        "I7 unsafe",
        "every package inherits the lints that forbid unsafe code",
        layering::lints_are_inherited,
    ),
    check(
        "I8 scripts",
        "text never becomes a program",
        effects::no_text_becomes_a_program,
    ),
    check(
        "exceptions",
        "an exception that nothing needs is removed",
        exceptions::none_is_stale,
    ),
    check(
        "modules",
        "a module says what it is",
        modules::say_what_they_are,
    ),
    check(
        "file size",
        "a file has at most 450 lines without tests",
        modules::are_short,
    ),
    check(
        "function size",
        "a function over 80 lines says why",
        modules::functions_are_short,
    ),
    check(
        "names",
        "no module is named after nothing",
        modules::have_telling_names,
    ),
    check(
        "parses",
        "every source file can be read",
        modules::can_be_read,
    ),
    check(
        "leftovers",
        "no unfinished work, no debugging",
        hygiene::nothing_is_unfinished,
    ),
    check(
        "attributes",
        "no lint is switched off, no test is ignored",
        hygiene::attributes_are_honest,
    ),
    check(
        "machine",
        "no path of a developer's machine",
        hygiene::no_path_of_a_machine,
    ),
    check(
        "registries",
        "no host or setting of a package registry",
        hygiene::no_registry,
    ),
    check("scripts", "shell scripts parse", scripts::parse),
    check(
        "dependencies",
        "every dependency has its line in docs/dependencies.md",
        dependencies::are_explained,
    ),
    check(
        "used",
        "every workspace dependency is used",
        dependencies::are_used,
    ),
    check(
        "count",
        "the lock file stays within its limit",
        dependencies::are_few,
    ),
    check(
        "generated",
        "generated documents are fresh",
        documents::are_fresh,
    ),
    check(
        "schemas",
        "every JSON output of a binary has its schema",
        documents::outputs_have_schemas,
    ),
    check(
        "readme",
        "the README has exactly two set-up commands",
        documents::readme_has_two_commands,
    ),
    check(
        "links",
        "links between documents lead somewhere",
        documents::links_lead_somewhere,
    ),
];

/// Runs all checks on the checkout and prints what they found.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let tree = Tree::read(root)?;
    let mut total = 0;
    for check in &CHECKS {
        let mut findings = (check.run)(&tree);
        findings.sort();
        findings.dedup();
        for finding in &findings {
            println!(
                "{}:{}: {} [{}: {}]",
                finding.path, finding.line, finding.message, check.name, check.law
            );
        }
        total += findings.len();
    }
    for note in &tree.notes {
        println!("note: {note}");
    }
    println!(
        "tidy: {} checks over {} files, {total} findings",
        CHECKS.len(),
        tree.files.len()
    );
    Ok(if total == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_checkout_is_tidy() -> anyhow::Result<()> {
        let tree = Tree::read(&crate::workspace::root())?;
        let found: Vec<String> = CHECKS
            .iter()
            .flat_map(|check| (check.run)(&tree))
            .map(|finding| format!("{}:{}: {}", finding.path, finding.line, finding.message))
            .collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
        Ok(())
    }

    #[test]
    fn names_of_checks_are_unique() {
        let mut names: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }
}
