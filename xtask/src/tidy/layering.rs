//! The crates' dependencies: I1, I4 and I7 as far as `Cargo.toml` shows them.

use super::Finding;
use super::tree::{Package, Tree};

/// Which crates of the workspace a crate may use, tests aside. A package that is not here is a finding, so
/// that a new one gets its place on purpose.
const LAYERS: [(&str, &[&str]); 9] = [
    ("ralph-docs", &[]),
    ("ralph-core", &["ralph-docs"]),
    ("ralph-slurm", &["ralph-core", "ralph-docs"]),
    ("ralph-loop", &["ralph-core", "ralph-docs"]),
    ("ralph-front", &["ralph-core", "ralph-docs", "ralph-slurm"]),
    (
        "ralph-cli",
        &[
            "ralph-core",
            "ralph-docs",
            "ralph-front",
            "ralph-loop",
            "ralph-slurm",
        ],
    ),
    (
        "ralph-dispatch",
        &[
            "ralph-core",
            "ralph-docs",
            "ralph-front",
            "ralph-loop",
            "ralph-slurm",
        ],
    ),
    // The end-to-end tests build the product's binary as their own, with crash points in it.
    (
        "ralph-tests",
        &[
            "ralph-cli",
            "ralph-core",
            "ralph-dispatch",
            "ralph-docs",
            "ralph-loop",
            "ralph-slurm",
        ],
    ),
    ("xtask", &[]),
];

/// What ralph-docs may use at all.
const DOCS_MAY_USE: [&str; 3] = ["memchr", "pulldown-cmark", "thiserror"];

const FRONT: [&str; 3] = ["ralph-cli", "ralph-dispatch", "ralph-front"];

/// What only a program that faces a person has a use for.
const TERMINAL: [&str; 10] = [
    "anstream",
    "anstyle",
    "anyhow",
    "clap",
    "clap_complete",
    "clap_mangen",
    "comfy-table",
    "indicatif",
    "terminal_size",
    "tracing-subscriber",
];

const SSH: [&str; 3] = ["openssh", "russh", "ssh2"];

/// I1 and the layers of docs/ARCHITECTURE.md.
pub(super) fn crates_depend_downwards(tree: &Tree) -> Vec<Finding> {
    let members: Vec<&str> = tree.packages.iter().map(|p| p.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in &tree.packages {
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == package.name) else {
            findings.push(Finding::new(
                &package.manifest,
                0,
                format!("{} has no place in the layers; give it one", package.name),
            ));
            continue;
        };
        for name in used(package) {
            if members.contains(&name) && !below.contains(&name) {
                findings.push(refusal(package, name, "it is not below it"));
            }
            if package.name == "ralph-docs" && !DOCS_MAY_USE.contains(&name) {
                findings.push(refusal(package, name, "it edits texts and nothing else"));
            }
        }
    }
    findings
}

/// I4: SSH libraries.
pub(super) fn only_slurm_links_ssh(tree: &Tree) -> Vec<Finding> {
    refuse(tree, &SSH, &["ralph-slurm"], "only ralph-slurm speaks SSH")
}

/// I4: command lines, colours, tables, logs.
pub(super) fn only_binaries_link_the_terminal(tree: &Tree) -> Vec<Finding> {
    let mut allowed = FRONT.to_vec();
    // Its tasks print and fail with context, but take no options: anyhow is all it needs.
    allowed.push("xtask");
    refuse(tree, &TERMINAL, &allowed, "only the binaries face a person")
}

/// I7: the lints of the workspace forbid unsafe code, and every package inherits them.
pub(super) fn lints_are_inherited(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let root = tree.text("Cargo.toml").unwrap_or_default();
    if !section(root, "[workspace.lints.rust]").any(|line| line == "unsafe_code = \"forbid\"") {
        findings.push(Finding::new(
            "Cargo.toml",
            0,
            "`unsafe_code = \"forbid\"` is missing",
        ));
    }
    for package in &tree.packages {
        let manifest = tree.text(&package.manifest).unwrap_or_default();
        if !section(manifest, "[lints]").any(|line| line == "workspace = true") {
            findings.push(Finding::new(
                &package.manifest,
                0,
                "`[lints] workspace = true` is missing",
            ));
        }
    }
    findings
}

fn used(package: &Package) -> impl Iterator<Item = &str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| !dependency.only_tests)
        .map(|dependency| dependency.name.as_str())
}

fn refuse(tree: &Tree, names: &[&str], allowed: &[&str], why: &str) -> Vec<Finding> {
    let bound = tree
        .packages
        .iter()
        .filter(|package| !allowed.contains(&package.name.as_str()));
    bound
        .flat_map(|package| {
            used(package)
                .filter(|name| names.contains(name))
                .map(move |name| refusal(package, name, why))
        })
        .collect()
}

fn refusal(package: &Package, name: &str, why: &str) -> Finding {
    Finding::new(
        &package.manifest,
        0,
        format!("{} must not depend on {name}: {why}", package.name),
    )
}

/// The lines of one section of a TOML text.
fn section<'a>(text: &'a str, heading: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .map(str::trim)
        .skip_while(move |line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::super::tree::Dependency;
    use super::*;

    fn tree(packages: &[(&str, &[(&str, bool)])]) -> Tree {
        Tree {
            packages: packages
                .iter()
                .map(|(name, dependencies)| Package {
                    name: (*name).to_owned(),
                    manifest: format!("crates/{name}/Cargo.toml"),
                    dependencies: dependencies
                        .iter()
                        .map(|(name, only_tests)| Dependency {
                            name: (*name).to_owned(),
                            only_tests: *only_tests,
                        })
                        .collect(),
                })
                .collect(),
            ..Tree::default()
        }
    }

    fn messages(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|f| f.message.as_str()).collect()
    }

    #[test]
    fn a_dependency_upwards_is_refused_and_tests_may_look_up() {
        let good = tree(&[
            ("ralph-docs", &[("thiserror", false), ("insta", true)]),
            (
                "ralph-core",
                &[("ralph-docs", false), ("ralph-slurm", true)],
            ),
            ("ralph-slurm", &[("ralph-core", false)]),
        ]);
        assert_eq!(crates_depend_downwards(&good), []);
        let bad = tree(&[
            ("ralph-docs", &[("tokio", false)]),
            ("ralph-core", &[("ralph-slurm", false)]),
            ("ralph-slurm", &[]),
            ("ralph-new", &[]),
        ]);
        assert_eq!(
            messages(&crates_depend_downwards(&bad)),
            [
                "ralph-docs must not depend on tokio: it edits texts and nothing else",
                "ralph-core must not depend on ralph-slurm: it is not below it",
                "ralph-new has no place in the layers; give it one",
            ]
        );
    }

    #[test]
    fn ssh_and_the_terminal_have_their_places() {
        let good = tree(&[
            ("ralph-slurm", &[("openssh", false)]),
            ("ralph-cli", &[("clap", false)]),
        ]);
        assert_eq!(only_slurm_links_ssh(&good), []);
        assert_eq!(only_binaries_link_the_terminal(&good), []);
        let bad = tree(&[("ralph-core", &[("ssh2", false), ("clap", false)])]);
        assert_eq!(only_slurm_links_ssh(&bad).len(), 1);
        assert_eq!(only_binaries_link_the_terminal(&bad).len(), 1);
    }

    #[test]
    fn a_package_without_the_lints_is_refused() {
        let lints = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n";
        let mut good = Tree::with(&[
            ("Cargo.toml", lints),
            ("crates/a/Cargo.toml", "[lints]\nworkspace = true\n"),
        ]);
        good.packages = tree(&[("a", &[])]).packages;
        assert_eq!(lints_are_inherited(&good), []);
        let mut bad = Tree::with(&[
            (
                "Cargo.toml",
                "[workspace.lints.rust]\n[other]\nunsafe_code = \"forbid\"\n",
            ),
            ("crates/a/Cargo.toml", "[package]\nworkspace = true\n"),
        ]);
        bad.packages = tree(&[("a", &[])]).packages;
        assert_eq!(lints_are_inherited(&bad).len(), 2);
    }
}
