//! Third-party packages: each is explained, each is used, and there are not more than agreed.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::Tree;

const DOCUMENT: &str = "docs/dependencies.md";
const MANIFEST: &str = "Cargo.toml";
const LOCK: &str = "Cargo.lock";

/// The words around the limit, in the document.
const LIMIT: (&str, &str) = ("The lock file holds at most ", " packages");

/// Every direct dependency has a line that starts with its name, and every line has its dependency.
pub(super) fn are_explained(tree: &Tree) -> Vec<Finding> {
    let explained = explained(tree);
    let used = used(tree);
    let missing = used
        .iter()
        .filter(|name| !explained.iter().any(|(_, found)| found == *name))
        .map(|name| {
            let message = format!("`{name}` has no line; say what it is for and why this one");
            Finding::new(DOCUMENT, 0, message)
        });
    let left = explained
        .iter()
        .filter(|(_, name)| !used.contains(name))
        .map(|(line, name)| {
            Finding::new(
                DOCUMENT,
                *line,
                format!("nothing depends on `{name}` any more"),
            )
        });
    missing.chain(left).collect()
}

/// Every entry of `[workspace.dependencies]` is used by a member.
pub(super) fn are_used(tree: &Tree) -> Vec<Finding> {
    let used: BTreeSet<&str> = tree
        .packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .map(|dependency| dependency.name.as_str())
        .collect();
    workspace_dependencies(tree.text(MANIFEST).unwrap_or_default())
        .into_iter()
        .filter(|(_, name)| !used.contains(name.as_str()))
        .map(|(line, name)| Finding::new(MANIFEST, line, format!("no member uses `{name}`")))
        .collect()
}

/// The lock file stays within the limit that the document names.
pub(super) fn are_few(tree: &Tree) -> Vec<Finding> {
    let lock = tree.text(LOCK).unwrap_or_default();
    let count = lock.lines().filter(|line| *line == "[[package]]").count();
    match limit(tree.text(DOCUMENT).unwrap_or_default()) {
        None => vec![Finding::new(
            DOCUMENT,
            0,
            format!("`{}…{}` is missing", LIMIT.0, LIMIT.1),
        )],
        Some(most) if count > most => {
            let message = format!("{count} packages, {most} agreed in {DOCUMENT}");
            vec![Finding::new(LOCK, 0, message)]
        }
        Some(_) => Vec::new(),
    }
}

/// The names of all direct dependencies that are not members.
fn used(tree: &Tree) -> BTreeSet<String> {
    let members: BTreeSet<&str> = tree.packages.iter().map(|p| p.name.as_str()).collect();
    tree.packages
        .iter()
        .flat_map(|package| &package.dependencies)
        .filter(|dependency| !members.contains(dependency.name.as_str()))
        .map(|dependency| dependency.name.clone())
        .collect()
}

/// The list items of the form "- `name`: …", with their lines.
fn explained(tree: &Tree) -> Vec<(usize, String)> {
    let text = tree.text(DOCUMENT).unwrap_or_default();
    text.lines()
        .enumerate()
        .filter_map(|(number, line)| {
            let (name, reason) = line.strip_prefix("- `")?.split_once("`: ")?;
            (reason.len() > 10).then(|| (number + 1, name.to_owned()))
        })
        .collect()
}

fn workspace_dependencies(manifest: &str) -> Vec<(usize, String)> {
    manifest
        .lines()
        .enumerate()
        .skip_while(|(_, line)| line.trim() != "[workspace.dependencies]")
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('['))
        .filter_map(|(number, line)| {
            let (name, _) = line.split_once('=')?;
            Some((number + 1, name.trim().to_owned()))
        })
        .collect()
}

fn limit(text: &str) -> Option<usize> {
    let (_, after) = text.split_once(LIMIT.0)?;
    let (digits, _) = after.split_once(LIMIT.1)?;
    digits.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Dependency, Package};
    use super::*;

    fn tree(document: &str, manifest: &str, dependencies: &[&str]) -> Tree {
        let lock = "[[package]]\nname = \"a\"\n[[package]]\nname = \"b\"\n";
        let mut tree = Tree::with(&[(DOCUMENT, document), (MANIFEST, manifest), (LOCK, lock)]);
        tree.packages = vec![Package {
            name: "ralph-core".to_owned(),
            manifest: "crates/ralph-core/Cargo.toml".to_owned(),
            dependencies: dependencies
                .iter()
                .map(|name| Dependency {
                    name: (*name).to_owned(),
                    only_tests: false,
                })
                .collect(),
        }];
        tree
    }

    #[test]
    fn a_dependency_without_its_line_is_refused_and_so_is_the_reverse() {
        let document = "- `serde`: reading and writing our own files.\n- `gone`: was needed once.\n- `jiff`: no\n";
        let found: Vec<String> = are_explained(&tree(document, "", &["serde", "jiff"]))
            .into_iter()
            .map(|finding| finding.message)
            .collect();
        assert_eq!(
            found,
            [
                "`jiff` has no line; say what it is for and why this one",
                "nothing depends on `gone` any more"
            ]
        );
    }

    #[test]
    fn a_dependency_that_no_member_uses_is_refused() {
        let manifest = "[package]\nold = \"1\"\n[workspace.dependencies]\nserde = \"1\"\nidle = { version = \"1\" }\n\n[profile.dev]\ndebug = 1\n";
        let found = are_used(&tree("", manifest, &["serde"]));
        assert_eq!(found, [Finding::new(MANIFEST, 5, "no member uses `idle`")]);
    }

    #[test]
    fn more_packages_than_agreed_are_refused() {
        let limit = |most: &str| format!("{}{most}{}.", LIMIT.0, LIMIT.1);
        assert_eq!(are_few(&tree(&limit("2"), "", &[])), []);
        assert_eq!(are_few(&tree(&limit("1"), "", &[])).len(), 1);
        assert_eq!(are_few(&tree("no limit", "", &[])).len(), 1);
    }
}
