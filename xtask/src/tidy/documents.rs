//! The documents: generated ones are fresh, the README keeps its promise, links lead somewhere.

use std::collections::BTreeSet;

use super::Finding;
use super::rust_source::RustSource;
use super::tree::Tree;
use crate::generate;

const README: &str = "README.md";

/// The README's promise: two commands do all the set-up.
const COMMANDS: [&str; 2] = ["cargo xtask demo", "cargo xtask test"];

/// The heading under which they stand.
const SET_UP: &str = "## Set-up";

/// Every generated document is what would be generated now.
pub(super) fn are_fresh(tree: &Tree) -> Vec<Finding> {
    stale(tree, &generate::documents())
}

fn stale(tree: &Tree, documents: &[(&str, String)]) -> Vec<Finding> {
    documents
        .iter()
        .filter(|(path, text)| tree.text(path) != Some(text))
        .map(|(path, _)| Finding::new(path, 0, "is stale; run `cargo xtask generate`"))
        .collect()
}

/// Every JSON output of a binary has its schema: whatever carries a version of its shape is named in the module that
/// lists the schemas of its program.
pub(super) fn outputs_have_schemas(tree: &Tree) -> Vec<Finding> {
    let fronts = || {
        tree.product().filter(|source| {
            let front = ["ralph-cli", "ralph-dispatch", "ralph-front"];
            let of = |name: &&str| source.path.starts_with(&format!("crates/{name}/"));
            front.iter().any(of)
        })
    };
    let listed: BTreeSet<&str> = fronts()
        .filter(|source| source.path.ends_with("/schemas.rs"))
        .flat_map(|source| source.code())
        .map(|token| token.text.as_str())
        .collect();
    fronts()
        .flat_map(|source| {
            let named = versioned(source).into_iter();
            named.map(move |(name, line)| (source, name, line))
        })
        .filter(|(_, name, _)| !listed.contains(name))
        .map(|(source, name, line)| {
            let message = format!("`{name}` is printed as JSON and is named in no `schemas.rs`");
            Finding::new(&source.path, line, message)
        })
        .collect()
}

/// The structs with a member `schema_version`, and the lines of their names.
fn versioned(source: &RustSource) -> Vec<(&str, usize)> {
    let code = source.code();
    let mut found = Vec::new();
    let mut last = None;
    for (at, token) in code.iter().enumerate() {
        let follows = |text: &str| code.get(at + 1).is_some_and(|next| next.text == text);
        match token.text.as_str() {
            "struct" => last = code.get(at + 1).map(|name| (name.text.as_str(), name.line)),
            // Where a value of the struct is made the name has been taken.
            "schema_version" if follows(":") => found.extend(last.take()),
            "fn" | "impl" => last = None,
            _ => {}
        }
    }
    found
}

/// The code block under "Set-up" holds the two commands and no other.
pub(super) fn readme_has_two_commands(tree: &Tree) -> Vec<Finding> {
    let text = tree.text(README).unwrap_or_default();
    let commands: Vec<&str> = text
        .lines()
        .skip_while(|line| *line != SET_UP)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .skip_while(|line| !line.starts_with("```"))
        .skip(1)
        .take_while(|line| !line.starts_with("```"))
        .map(|line| line.split('#').next().unwrap_or(line).trim())
        .filter(|line| !line.is_empty())
        .collect();
    if commands == COMMANDS {
        Vec::new()
    } else {
        let message = format!("the block under `{SET_UP}` is to be {COMMANDS:?}, not {commands:?}");
        vec![Finding::new(README, 0, message)]
    }
}

/// Every relative link of a Markdown file names a file or a folder of the project.
pub(super) fn links_lead_somewhere(tree: &Tree) -> Vec<Finding> {
    let known: BTreeSet<&str> = tree
        .files
        .iter()
        .flat_map(|file| ancestors(&file.path))
        .collect();
    let mut findings = Vec::new();
    let own = |path: &str| path.ends_with(".md") && !path.contains("/fixtures/");
    for file in tree.files.iter().filter(|file| own(&file.path)) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (number, target) in links(&file.text) {
            let path = resolve(folder, target);
            if !known.contains(path.as_str()) {
                findings.push(Finding::new(
                    &file.path,
                    number,
                    format!("`{target}` is not there"),
                ));
            }
        }
    }
    findings
}

/// A path and all folders above it.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let cuts = path.match_indices('/').map(|(at, _)| &path[..at]);
    cuts.chain([path])
}

/// The relative targets of inline links outside of fenced blocks, with their lines and without fragments.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        }
        if is_fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let Some((target, _)) = line[at + 2..].split_once(')') else {
                continue;
            };
            let target = target.split('#').next().unwrap_or(target);
            if !target.is_empty() && !target.contains(':') {
                found.push((number + 1, target));
            }
        }
    }
    found
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_document_is_refused() {
        let documents = [("docs/a.md", "new".to_owned())];
        assert_eq!(stale(&Tree::with(&[("docs/a.md", "new")]), &documents), []);
        assert_eq!(
            stale(&Tree::with(&[("docs/a.md", "old")]), &documents).len(),
            1
        );
        assert_eq!(stale(&Tree::default(), &documents).len(), 1);
    }

    #[test]
    fn an_output_without_a_schema_is_refused() {
        let report = "/// What.\nstruct Report {\n    /// Version.\n    schema_version: u32,\n}\nstruct Part { a: u32 }\nfn f() -> Report { Report { schema_version: 1 } }\n";
        let refused = |listing: &str| {
            outputs_have_schemas(&Tree::with(&[
                ("crates/ralph-cli/src/render/report.rs", report),
                ("crates/ralph-cli/src/render/schemas.rs", listing),
                ("crates/ralph-loop/src/record.rs", report),
            ]))
        };
        assert_eq!(refused("fn all() { of::<Report>(\"report\"); }"), []);
        let found = refused("fn all() { of::<Part>(\"part\"); }");
        let places: Vec<_> = found.iter().map(|f| (f.path.as_str(), f.line)).collect();
        assert_eq!(places, [("crates/ralph-cli/src/render/report.rs", 2)]);
    }

    #[test]
    fn a_third_command_breaks_the_promise() {
        let readme =
            |block: &str| format!("# ralph\n\n## Set-up\n\nTwo:\n\n```sh\n{block}```\n\n## Next\n");
        let check = |text: &str| readme_has_two_commands(&Tree::with(&[(README, text)]));
        assert_eq!(
            check(&readme("cargo xtask demo   # shows it\ncargo xtask test\n")),
            []
        );
        assert_eq!(check(&readme("cargo xtask demo\n")).len(), 1);
        assert_eq!(
            check(&readme(
                "apt-get install x\ncargo xtask demo\ncargo xtask test\n"
            ))
            .len(),
            1
        );
        assert_eq!(check("").len(), 1);
    }

    #[test]
    fn a_link_to_nowhere_is_refused() {
        let tree = Tree::with(&[
            (
                "README.md",
                "[a](docs/a.md#part) [web](https://example.org) [top](#top) [dir](docs)\n```\n[x](no)\n```\n",
            ),
            ("docs/a.md", "[up](../README.md) [lost](b.md)\n"),
        ]);
        assert_eq!(
            links_lead_somewhere(&tree),
            [Finding::new("docs/a.md", 1, "`b.md` is not there")]
        );
    }
}
