//! Sources and their order; rows 107 to 118 of the conformance table as far as they are about values.

use std::path::Path;

use clap::Parser as _;

use super::*;
use crate::args::Cli;

const CONF: &str =
    "REPOS=(\n\"name=svc-a;url=u\"\n\"name=svc-web;url=u\"\n\"name=svc-b;url=u\"\n)\n";

fn resolved(words: &[&str], variables: &[(&str, &str)], conf: &str) -> Result<Knobs, ResolveError> {
    let cli = Cli::try_parse_from(["wb-ralph-dispatch"].iter().chain(words)).unwrap();
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let conf = Conf::read(&format!("{conf}{CONF}"), Path::new("project.conf")).unwrap();
    resolve(&cli.flags, &variables, &conf)
}

fn error(words: &[&str], variables: &[(&str, &str)]) -> String {
    resolved(words, variables, "").unwrap_err().to_string()
}

#[test]
fn defaults() {
    let knobs = resolved(&[], &[], "").unwrap();
    assert_eq!(knobs.parallel, None);
    assert_eq!(knobs.max_tasks.value, None);
    assert_eq!(knobs.engine.value, Engine::Claude);
    assert_eq!(knobs.filter.value, Filter::All);
    assert_eq!(knobs.max_task_attempts.value, 1);
    assert_eq!(knobs.respawn_delay.value.0, "0");
    assert_eq!(workers(None, 7).value, 4);
    assert_eq!(workers(None, 2).value, 2);
    assert_eq!(workers(None, 0).value, 1);
}

/// Row 111.
#[test]
fn both_spellings_of_m_are_one() {
    for words in [
        ["--parallel", "3", "--max-tasks", "30"].as_slice(),
        &["--parallel", "3", "30"],
        &["--parallel", "3", "30", "--max-tasks", "30"],
        &["--parallel", "3", "30", "--no-tabs", "--respawn-delay", "5"],
    ] {
        let knobs = resolved(words, &[], "").unwrap();
        assert_eq!(knobs.parallel.unwrap().value, 3);
        assert_eq!(knobs.max_tasks.value, Some(30));
    }
    assert_eq!(
        error(&["--parallel", "3", "30", "--max-tasks", "40"], &[]),
        "--max-tasks 40 conflicts with --parallel 3 30"
    );
}

/// Row 113, and what else no knob takes.
#[test]
fn wrong_numbers_are_refused_wherever_they_stand() {
    for words in [
        ["--max-tasks", "0"].as_slice(),
        &["--max-tasks", "abc"],
        &["--max-tasks", "-3"],
        &["--max-tasks", "+3"],
        &["--max-tasks", "3.5"],
        &["--parallel", "3", "0"],
        &["--parallel", "3", "007"],
        &["--parallel", "x"],
        &["--parallel", "0"],
        &["--max-task-attempts", "0"],
    ] {
        let message = error(words, &[]);
        assert!(message.contains("positive integer"), "{words:?}: {message}");
    }
    assert_eq!(
        error(&[], &[("WB_RALPH_MAX_TASKS", "many")]),
        "environment: WB_RALPH_MAX_TASKS: expected a positive integer, found `many`"
    );
    assert_eq!(
        resolved(&[], &[], "\nWB_RALPH_PARALLEL=0\n")
            .unwrap_err()
            .to_string(),
        "project.conf:2: WB_RALPH_PARALLEL: expected a positive integer, found `0`"
    );
    for delay in ["abc", "-1", "1e3", ".", ".5.", "5.", "1.2.3", ""] {
        let message = error(&["--respawn-delay", delay], &[]);
        assert!(
            message.contains("a number of seconds"),
            "{delay}: {message}"
        );
    }
    for delay in ["0.5", ".5"] {
        let knobs = resolved(&["--respawn-delay", delay], &[], "").unwrap();
        assert_eq!(knobs.respawn_delay.value.0, "0.5");
    }
}

/// Rows 114 and 115.
#[test]
fn the_command_line_beats_the_environment_beats_the_file() {
    let conf = "WB_RALPH_MAX_TASKS=10\n";
    let variable = [("WB_RALPH_MAX_TASKS", "20")];
    let m = |words: &[&str], variables: &[(&str, &str)]| {
        let found = resolved(words, variables, conf).unwrap().max_tasks;
        (found.value, found.origin.to_string())
    };
    assert_eq!(
        m(&[], &[]),
        (Some(10), "project.conf:1: WB_RALPH_MAX_TASKS".to_owned())
    );
    assert_eq!(
        m(&[], &variable),
        (Some(20), "environment: WB_RALPH_MAX_TASKS".to_owned())
    );
    assert_eq!(
        m(&["--max-tasks", "50"], &variable),
        (Some(50), "--max-tasks".to_owned())
    );
    assert_eq!(
        m(&["--parallel", "2", "60"], &variable),
        (Some(60), "--parallel N M".to_owned())
    );
    // A variable that is exported and empty says nothing.
    assert_eq!(m(&[], &[("WB_RALPH_MAX_TASKS", "")]).0, Some(10));
    let tabs = resolved(&[], &[("WB_RALPH_DISABLE_TABS", "true")], "").unwrap();
    assert_eq!(tabs.no_tabs, Origin::Variable("WB_RALPH_DISABLE_TABS"));
    assert!(error(&[], &[("WB_RALPH_DISABLE_TABS", "maybe")]).contains("true or false"));
    let old = resolved(&[], &[], "RALPH_DISPATCH_PARALLEL=6\n").unwrap();
    assert_eq!(old.parallel.unwrap().value, 6);
}

/// Rows 117 and 118; the default differs from the replaced launcher's, which was devin.
#[test]
fn engines() {
    let engine = |words: &[&str], variables: &[(&str, &str)], conf: &str| {
        resolved(words, variables, conf).map(|knobs| knobs.engine.value)
    };
    for (name, expected) in [
        ("claude", Engine::Claude),
        ("codex", Engine::Codex),
        ("devin", Engine::Devin),
        ("command", Engine::Command),
    ] {
        assert_eq!(engine(&["--engine", name], &[], ""), Ok(expected));
        assert_eq!(engine(&["--agent", name], &[], ""), Ok(expected));
        assert_eq!(engine(&[], &[("WB_RALPH_ENGINE", name)], ""), Ok(expected));
    }
    let variable = [("WB_RALPH_ENGINE", "devin")];
    assert_eq!(
        engine(&["--engine", "codex"], &variable, ""),
        Ok(Engine::Codex)
    );
    let both = "RALPH_PLAN_ENGINE=claude\nRALPH_EXECUTION_ENGINE=devin\n";
    assert_eq!(engine(&[], &[], both), Ok(Engine::Devin));
    assert_eq!(
        engine(&[], &[], "RALPH_PLAN_ENGINE=codex\n"),
        Ok(Engine::Codex)
    );
    // These two are the file's only.
    let in_environment = [("RALPH_EXECUTION_ENGINE", "codex")];
    assert_eq!(engine(&[], &in_environment, ""), Ok(Engine::Claude));
    assert_eq!(engine(&[], &[], "DEVIN_DEFAULT=true\n"), Ok(Engine::Devin));
    assert_eq!(
        engine(&[], &[("DEVIN_DEFAULT", "true")], ""),
        Ok(Engine::Devin)
    );
    assert_eq!(engine(&[], &[], "DEVIN_DEFAULT=yes\n"), Ok(Engine::Claude));
    assert_eq!(
        engine(&["--agent", "codex"], &[], "DEVIN_DEFAULT=true\n"),
        Ok(Engine::Codex)
    );
    assert_eq!(
        error(&["--engine", "foo"], &[]),
        "unknown execution engine 'foo' (--engine)"
    );
    assert_eq!(
        error(&["--engine", "claude", "--agent", "codex"], &[]),
        "--agent codex conflicts with --engine claude"
    );
}

/// Rows 107 to 110. A subset of a higher source replaces one of a lower source, of either kind.
#[test]
fn subsets() {
    let only = |names: &[&str]| Filter::Only(names.iter().map(|n| (*n).to_owned()).collect());
    let filter = |words: &[&str], variables: &[(&str, &str)], conf: &str| {
        resolved(words, variables, conf).map(|knobs| knobs.filter.value)
    };
    assert_eq!(filter(&["--repos", "svc-a"], &[], ""), Ok(only(&["svc-a"])));
    assert_eq!(
        filter(&["--repos", " svc-web, ,svc-a,svc-web"], &[], ""),
        Ok(only(&["svc-web", "svc-a"]))
    );
    let variable = [("WB_RALPH_DISPATCH_REPOS", "svc-a")];
    assert_eq!(filter(&[], &variable, ""), Ok(only(&["svc-a"])));
    let except = Filter::Except(vec!["svc-a".to_owned()]);
    assert_eq!(filter(&["--exclude", "svc-a"], &[], ""), Ok(except.clone()));
    assert_eq!(filter(&["--exclude", "svc-a"], &variable, ""), Ok(except));
    assert_eq!(
        filter(
            &["--repos", "svc-b"],
            &[],
            "WB_RALPH_DISPATCH_EXCLUDE=svc-b\n"
        ),
        Ok(only(&["svc-b"]))
    );
    assert_eq!(
        error(&["--repos", "svc-a", "--exclude", "svc-b"], &[]),
        "--repos and --exclude cannot be combined"
    );
    let both = [
        ("WB_RALPH_DISPATCH_REPOS", "svc-a"),
        ("WB_RALPH_DISPATCH_EXCLUDE", "svc-b"),
    ];
    assert_eq!(
        error(&[], &both),
        "environment: WB_RALPH_DISPATCH_REPOS conflicts with environment: WB_RALPH_DISPATCH_EXCLUDE"
    );
    let unknown = resolved(&["--repos", "svc"], &[], "").unwrap_err();
    assert_eq!(unknown.to_string(), "--repos names unknown repo 'svc'");
    assert_eq!(
        unknown.hint().unwrap().0,
        "Registered are: svc-a, svc-web, svc-b."
    );
    assert_eq!(
        error(&["--repos", " ,"], &[]),
        "--repos names no repository"
    );
}

/// A stop obeys what a launch obeys.
#[test]
fn a_subset_of_what_runs() {
    let means = |words: &[&str], variables: &[(&str, &str)]| {
        let cli = Cli::try_parse_from(["wb-ralph-dispatch"].iter().chain(words)).unwrap();
        let variables = variables.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let conf = Conf::read(CONF, Path::new("project.conf")).unwrap();
        let chosen = subset(&cli.flags, &variables.collect(), &conf)
            .unwrap()
            .value;
        ["svc-a", "svc-b", "gone"].map(|name| chosen.means(name))
    };
    assert_eq!(means(&["--stop"], &[]), [true, true, true]);
    assert_eq!(
        means(&["--stop", "--repos", "svc-a"], &[]),
        [true, false, false]
    );
    assert_eq!(
        means(&["--stop", "--exclude", "svc-a"], &[]),
        [false, true, true]
    );
    let variable = [("WB_RALPH_DISPATCH_EXCLUDE", "svc-b")];
    assert_eq!(means(&["--stop"], &variable), [true, false, true]);
}

#[test]
fn selection_follows_the_file_and_passes_over_what_has_no_plan() {
    let registered = ["svc-a", "svc-web", "svc-b"].map(str::to_owned);
    let has_plan = |name: &str| name != "svc-web";
    let chosen = |filter| select(&Setting::default(filter, ""), &registered, &has_plan).unwrap();
    let all = chosen(Filter::All);
    assert_eq!(all.repositories, ["svc-a", "svc-b"]);
    assert_eq!(all.without_plan, ["svc-web"]);
    let named = chosen(Filter::Only(vec!["svc-b".into(), "svc-web".into()]));
    assert_eq!(named.repositories, ["svc-web", "svc-b"]);
    assert_eq!(named.without_plan, [""; 0]);
    let except = chosen(Filter::Except(vec!["svc-a".into()]));
    assert_eq!(except.repositories, ["svc-b"]);
    assert!(select(&Setting::default(Filter::All, ""), &[], &has_plan).is_err());
}
