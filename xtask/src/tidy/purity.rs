//! I1 and I2: the parts that decide and edit, and so may not touch the world.
//!
//! A pure module of ralph-core may use other modules of the crate only when they are pure themselves, so the
//! whole of what planning calls is covered without following calls.

use super::Finding;
use super::rust_source::{Kind, RustSource, Token};
use super::tree::Tree;

const CORE: &str = "crates/ralph-core/src/";

/// Modules of ralph-core that decide: planning and what it calls.
const PURE: [&str; 16] = [
    "change", "classify", "error", "id", "job", "ledger", "order", "phase", "pipeline", "plan",
    "sbatch", "settings", "settle", "validate", "words", "world",
];

/// Modules that a pure one may name for their types, and the names in them that it may not use.
const TYPES: [(&str, &[&str]); 2] = [
    ("backend", &["ClusterBackend"]),
    ("time", &["Clock", "ManualClock", "SystemClock"]),
];

/// Modules of an impure one that hold nothing but names.
const NAMES: [(&str, &str); 1] = [("store", "layout")];

/// Parts of std and libraries that touch the world.
const WORLDLY: [&str; 11] = [
    "Instant",
    "SystemTime",
    "async",
    "await",
    "fs",
    "getrandom",
    "net",
    "process",
    "rustix",
    "thread",
    "tokio",
];

/// I1: ralph-docs.
pub(super) fn docs_crate_is_pure(tree: &Tree) -> Vec<Finding> {
    tree.product()
        .filter(|source| source.path.starts_with("crates/ralph-docs/"))
        .flat_map(|source| worldly(source, &[]))
        .collect()
}

/// I2: planning, and what it may call.
pub(super) fn planning_is_pure(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.product().filter(|source| is_pure(&source.path)) {
        findings.extend(worldly(source, &["HashMap", "HashSet"]));
        findings.extend(foreign_modules(source));
    }
    findings
}

fn is_pure(path: &str) -> bool {
    path.strip_prefix(CORE).is_some_and(|rest| {
        let module = rest.split(['/', '.']).next().unwrap_or(rest);
        PURE.contains(&module)
    })
}

/// Names of worldly parts. `fs` and its like count only in a path, so that a field may have the name.
fn worldly(source: &RustSource, also: &[&str]) -> Vec<Finding> {
    let code = source.code();
    let mut findings = Vec::new();
    for (at, token) in code.iter().enumerate() {
        let name = token.text.as_str();
        if token.kind != Kind::Word || !(WORLDLY.contains(&name) || also.contains(&name)) {
            continue;
        }
        let is_module = name.starts_with(|c: char| c.is_lowercase());
        let is_keyword = matches!(name, "async" | "await");
        if is_module && !is_keyword && !in_a_path(&code, at) {
            continue;
        }
        let message = format!("`{name}`: this part decides, and touches nothing");
        findings.push(Finding::new(&source.path, token.line, message));
    }
    findings
}

/// Whether `::` stands beside the word, or `std::{` opens the list that it stands in.
fn in_a_path(code: &[&Token], at: usize) -> bool {
    let text = |index: Option<usize>| {
        index
            .and_then(|index| code.get(index))
            .map_or("", |token| token.text.as_str())
    };
    let follows = text(at.checked_add(1)) == ":" && text(at.checked_add(2)) == ":";
    let precedes = text(at.checked_sub(1)) == ":" && text(at.checked_sub(2)) == ":";
    let depth = code[at].depth;
    let listed = code[..at]
        .iter()
        .rposition(|token| token.kind == Kind::Open && token.depth + 1 == depth)
        .is_some_and(|open| text(open.checked_sub(3)) == "std");
    follows || precedes || listed
}

/// Modules of the crate that are not pure, as `crate::module` or in `crate::{…}`.
fn foreign_modules(source: &RustSource) -> Vec<Finding> {
    let code = source.code();
    let mut findings = Vec::new();
    for at in (0..code.len()).filter(|at| code[*at].text == "crate") {
        for (module, from) in modules_after(&code, at + 1) {
            let inner = code.get(from + 2).map_or("", |token| token.text.as_str());
            let name = module.text.as_str();
            if PURE.contains(&name) || NAMES.contains(&(name, inner)) {
                continue;
            }
            let types = TYPES.iter().find(|(name, _)| *name == module.text);
            let Some((_, refused)) = types else {
                let message = format!("`crate::{}` is not pure", module.text);
                findings.push(Finding::new(&source.path, module.line, message));
                continue;
            };
            // Names up to the end of the statement: `use crate::time::{A, B};` or one path in code.
            let names = code[from..]
                .iter()
                .take_while(|token| token.text != ";" && token.line <= module.line + 8);
            for name in names.filter(|token| refused.contains(&token.text.as_str())) {
                let message = format!("`{}` touches the world", name.text);
                findings.push(Finding::new(&source.path, name.line, message));
            }
        }
    }
    findings
}

/// The modules named after `crate`, each with the index behind its name.
fn modules_after<'a>(code: &[&'a Token], at: usize) -> Vec<(&'a Token, usize)> {
    let text = |index: usize| code.get(index).map_or("", |token| token.text.as_str());
    if text(at) != ":" || text(at + 1) != ":" {
        return Vec::new();
    }
    let first = at + 2;
    if text(first) != "{" {
        let module = code.get(first).filter(|token| token.kind == Kind::Word);
        return module
            .map(|module| (*module, first + 1))
            .into_iter()
            .collect();
    }
    let depth = code[first].depth + 1;
    let inside = (first + 1..code.len()).take_while(|index| code[*index].depth >= depth);
    let starts = inside.filter(|index| {
        code[*index].depth == depth
            && code[*index].kind == Kind::Word
            && matches!(text(index - 1), "{" | ",")
    });
    starts.map(|index| (code[index], index + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Vec<String> {
        let tree = Tree::with(&[("crates/ralph-core/src/plan/verify.rs", text)]);
        let findings = planning_is_pure(&tree);
        findings
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn a_plan_that_touches_the_world_is_refused() {
        for bad in [
            "fn f() { std::fs::read(p); }",
            "use std::{fmt, fs};",
            "async fn f() {}",
            "use std::collections::HashMap;",
            "fn f() -> Instant { Instant::now() }",
            "fn f() { tokio::spawn(g()); }",
        ] {
            assert!(!plan(bad).is_empty(), "{bad}");
        }
    }

    #[test]
    fn a_plan_may_call_pure_modules_only() {
        let good = "use crate::job::JobState;\nuse crate::{id::Slug, time::Timestamp};\nfn f(a: crate::phase::Phase) { a.process; let fs = 1; }";
        assert_eq!(plan(good), [""; 0]);
        assert_eq!(
            plan("use crate::store::Store;"),
            ["`crate::store` is not pure"]
        );
        assert_eq!(
            plan("use crate::{id::Slug, journal};"),
            ["`crate::journal` is not pure"]
        );
        assert_eq!(plan("use crate::store::layout::PIPELINE;"), [""; 0]);
        assert_eq!(
            plan("use crate::time::{Timestamp, SystemClock};"),
            ["`SystemClock` touches the world"]
        );
    }

    #[test]
    fn documents_are_edited_without_io() {
        let tree = Tree::with(&[("crates/ralph-docs/src/edit.rs", "use std::fs;")]);
        assert_eq!(docs_crate_is_pure(&tree).len(), 1);
        assert_eq!(planning_is_pure(&tree), []);
    }
}
