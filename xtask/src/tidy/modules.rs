//! The shape of modules: what they say about themselves, how long they and their functions are, their names.

use super::Finding;
use super::tree::Tree;

const MOST_LINES: usize = 450;
const MOST_FUNCTION_LINES: usize = 80;

/// The start of the comment that gives the reason for a long function.
const REASON: &str = "// Long because ";

/// Names under which anything could be found, and so nothing is.
const EMPTY_NAMES: [&str; 10] = [
    "common", "helper", "helpers", "manager", "mgr", "misc", "stuff", "tools", "util", "utils",
];

/// Every module starts with `//!`.
pub(super) fn say_what_they_are(tree: &Tree) -> Vec<Finding> {
    let silent = tree.rust.iter().filter(|source| {
        let first = source.lines.iter().find(|line| !line.trim().is_empty());
        !first.is_some_and(|line| line.starts_with("//! "))
    });
    silent
        .map(|source| {
            Finding::new(
                &source.path,
                1,
                "starts without `//!`: say what lives here and what must never",
            )
        })
        .collect()
}

/// Every file can be read as Rust; otherwise no other check would see into it.
pub(super) fn can_be_read(tree: &Tree) -> Vec<Finding> {
    let broken = tree
        .rust
        .iter()
        .filter_map(|source| Some((source, source.error.as_ref()?)));
    broken
        .map(|(source, error)| Finding::new(&source.path, 0, error.clone()))
        .collect()
}

/// No file of the product or of xtask is longer than it may be, tests aside.
pub(super) fn are_short(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust.iter().filter(|source| !source.is_test) {
        let lines = source.lines_without_tests();
        if lines > MOST_LINES {
            let message = format!("{lines} lines without tests; split it by concept");
            findings.push(Finding::new(&source.path, 0, message));
        }
    }
    findings
}

/// A long function carries its reason on a line of its own, above it or inside.
pub(super) fn functions_are_short(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust.iter().filter(|source| !source.is_test) {
        for function in source.functions() {
            let (first, last) = function.lines;
            let length = last + 1 - first;
            let around = source.lines.iter().take(last).skip(first.saturating_sub(8));
            let has_reason = || {
                around
                    .map(|line| line.trim_start())
                    .any(|line| line.starts_with(REASON))
            };
            if length > MOST_FUNCTION_LINES && !function.is_test && !has_reason() {
                let message = format!(
                    "`{}` has {length} lines; split it, or give the reason in a comment `{REASON}…`",
                    function.name
                );
                findings.push(Finding::new(&source.path, first, message));
            }
        }
    }
    findings
}

/// No module has an empty name.
pub(super) fn have_telling_names(tree: &Tree) -> Vec<Finding> {
    let named = |path: &str| {
        let mut parts = path.trim_end_matches(".rs").split('/');
        parts.any(|part| EMPTY_NAMES.contains(&part))
    };
    tree.rust
        .iter()
        .filter(|source| named(&source.path))
        .map(|source| Finding::new(&source.path, 0, "name it after what it holds"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = "//! What lives here, and what must never.\n";

    fn function_of(lines: usize) -> String {
        format!(
            "{DOC}fn long() {{\n{}}}\n",
            "    step();\n".repeat(lines - 2)
        )
    }

    fn tree(text: &str) -> Tree {
        Tree::with(&[("crates/a/src/b.rs", text)])
    }

    #[test]
    fn a_silent_module_is_refused() {
        assert_eq!(say_what_they_are(&tree(DOC)), []);
        for silent in ["", "fn f() {}", "// Not a doc.\n", "//!\n"] {
            assert_eq!(say_what_they_are(&tree(silent)).len(), 1, "{silent}");
        }
    }

    #[test]
    fn a_long_file_is_refused_unless_tests_make_it_long() {
        let code = format!("{DOC}{}", "const A: u8 = 1;\n".repeat(MOST_LINES));
        assert_eq!(are_short(&tree(&code)).len(), 1);
        let tests = format!(
            "{DOC}#[cfg(test)]\nmod tests {{\n{}}}\n",
            "const A: u8 = 1;\n".repeat(MOST_LINES)
        );
        assert_eq!(are_short(&tree(&tests)), []);
    }

    #[test]
    fn a_long_function_is_refused_without_its_reason() {
        assert_eq!(
            functions_are_short(&tree(&function_of(MOST_FUNCTION_LINES))),
            []
        );
        let long = function_of(MOST_FUNCTION_LINES + 1);
        assert_eq!(functions_are_short(&tree(&long)).len(), 1);
        let explained = long.replacen("fn long", "// Long because it is one table.\nfn long", 1);
        assert_eq!(functions_are_short(&tree(&explained)), []);
    }

    #[test]
    fn an_empty_name_and_a_broken_file_are_refused() {
        let bad = Tree::with(&[
            ("crates/a/src/utils/mod.rs", DOC),
            ("crates/a/src/x.rs", "fn ("),
        ]);
        assert_eq!(have_telling_names(&bad).len(), 1);
        assert_eq!(can_be_read(&bad).len(), 1);
        assert_eq!(have_telling_names(&tree(DOC)), []);
        assert_eq!(can_be_read(&tree(DOC)), []);
    }
}
