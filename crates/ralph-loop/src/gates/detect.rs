//! Which gates a repository has, read off its files. Nothing is run here.

use std::path::Path;

use ralph_core::settings::CommandLine;
use ralph_core::store::atomic;

use super::Gate;

/// Scripts of a `package.json` that are gates, in the order in which they run.
const SCRIPTS: [&str; 4] = ["lint", "typecheck", "test", "build"];

/// Targets of a `Makefile` that are gates.
const TARGETS: [&str; 2] = ["lint", "test"];

/// What `npm init` writes for a package without tests; it always fails.
const NO_TESTS: &str = "no test specified";

/// Package managers by their lock files, the first that is there; and how each installs exactly what the lock says.
const MANAGERS: [(&str, &str, &[&str]); 6] = [
    ("pnpm-lock.yaml", "pnpm", &["install", "--frozen-lockfile"]),
    ("bun.lock", "bun", &["install", "--frozen-lockfile"]),
    ("bun.lockb", "bun", &["install", "--frozen-lockfile"]),
    ("yarn.lock", "yarn", &["install", "--frozen-lockfile"]),
    ("package-lock.json", "npm", &["ci"]),
    ("npm-shrinkwrap.json", "npm", &["ci"]),
];

/// The gates that the files of a checkout speak of.
#[must_use]
pub fn detect(folder: &Path) -> Vec<Gate> {
    let has = |name: &str| folder.join(name).is_file();
    let mut gates = scripts(folder);
    if ["pyproject.toml", "pytest.ini", "setup.py"]
        .iter()
        .any(|name| has(name))
    {
        let speaks_of_ruff = read(folder, "pyproject.toml").contains("ruff");
        if speaks_of_ruff || has("ruff.toml") || has(".ruff.toml") {
            gates.push(gate(&["ruff", "check", "."]));
        }
        gates.push(gate(&["pytest"]));
    }
    if has("go.mod") {
        gates.push(gate(&["go", "vet", "./..."]));
        gates.push(gate(&["go", "test", "./..."]));
    }
    if has("Cargo.toml") {
        gates.push(gate(&["cargo", "clippy", "--all-targets"]));
        gates.push(gate(&["cargo", "test"]));
    }
    let makefile = ["GNUmakefile", "makefile", "Makefile"].map(|name| read(folder, name));
    let targets = TARGETS.iter().filter(|target| {
        let rules = makefile.iter().flat_map(|text| text.lines());
        rules.into_iter().any(|line| is_rule(line, target))
    });
    gates.extend(targets.map(|target| gate(&["make", target])));
    gates
}

/// How the dependencies of a checkout are installed, where they are not.
#[must_use]
pub fn install(folder: &Path) -> Option<Gate> {
    if !folder.join("package.json").is_file() || folder.join("node_modules").exists() {
        return None;
    }
    let (_, manager, arguments) = manager(folder)?;
    let mut words = vec![manager];
    words.extend(arguments);
    Some(gate(&words))
}

fn manager(folder: &Path) -> Option<(&'static str, &'static str, &'static [&'static str])> {
    MANAGERS
        .into_iter()
        .find(|(file, ..)| folder.join(file).is_file())
}

fn scripts(folder: &Path) -> Vec<Gate> {
    let package: serde_json::Value =
        serde_json::from_str(&read(folder, "package.json")).unwrap_or_default();
    let manager = manager(folder).map_or("npm", |(_, manager, _)| manager);
    let is_gate = |name: &&str| {
        let script = package.get("scripts").and_then(|scripts| scripts.get(name));
        script
            .and_then(|script| script.as_str())
            .is_some_and(|text| !text.contains(NO_TESTS))
    };
    let wanted = SCRIPTS.into_iter().filter(is_gate);
    wanted.map(|name| gate(&[manager, "run", name])).collect()
}

/// Whether a line of a makefile is the rule of a target, and no assignment.
fn is_rule(line: &str, target: &str) -> bool {
    let rest = line.strip_prefix(target).map(str::trim_start);
    rest.and_then(|rest| rest.strip_prefix(':'))
        .is_some_and(|rest| !rest.starts_with(['=', ':']))
}

fn gate(words: &[&str]) -> Gate {
    Gate {
        command: words.join(" "),
        line: CommandLine::Words(words.iter().map(|word| (*word).to_owned()).collect()),
        is_found: true,
    }
}

/// A file's text; one that is not there, or is no file or no text, speaks of nothing. An agent may have made it anything.
fn read(folder: &Path, name: &str) -> String {
    let text = atomic::read_text(&folder.join(name)).ok().flatten();
    text.unwrap_or_default()
}
