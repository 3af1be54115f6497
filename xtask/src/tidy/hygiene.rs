//! What was left behind: unfinished work, switched-off lints, paths of a developer's machine, registries.

use super::Finding;
use super::rust_source::{Kind, RustSource};
use super::tree::{TextFile, Tree};

/// Words of unfinished work. They are put together here so that this file does not hold them.
const UNFINISHED: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
];

/// The only reason to keep a test out of a run: it is the body of a process that another test starts.
const CHILD: &str = "\"run by other tests, as a process of its own\"";

const MACROS: [&str; 3] = ["dbg", "todo", "unimplemented"];

/// Hosts and settings of package registries; where packages come from is the machine's business.
const REGISTRIES: [&str; 9] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("crates.io/", "api"),
    concat!("py", "pi.org"),
    concat!("python", "hosted.org"),
    concat!("registry.", "npmjs"),
    concat!("proxy.", "golang.org"),
    concat!("index", "-url"),
    concat!("[sour", "ce."),
];

/// No word of unfinished work anywhere, and no macro that stands for it in code.
pub(super) fn nothing_is_unfinished(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in written(tree) {
        for (number, line) in file.text.lines().enumerate() {
            let mut words =
                prose(&file.path, line).split(|c: char| !(c.is_alphanumeric() || c == '_'));
            if let Some(word) = words.find(|word| UNFINISHED.contains(word)) {
                let message = format!("`{word}`: do it, or open an issue");
                findings.push(Finding::new(&file.path, number + 1, message));
            }
        }
    }
    for source in &tree.rust {
        for name in MACROS {
            let lines = source.tokens.windows(2).filter(|pair| {
                pair[0].kind == Kind::Word && pair[0].text == name && pair[1].text == "!"
            });
            findings.extend(lines.map(|pair| {
                Finding::new(
                    &source.path,
                    pair[0].line,
                    format!("`{name}!` in the sources"),
                )
            }));
        }
    }
    findings
}

/// The part of a line that is written for people: a comment, or all of it where nothing is code. The heading
/// of a document may name the list that it heads.
fn prose<'a>(path: &str, line: &'a str) -> &'a str {
    let mark = match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("rs") => "//",
        Some("sh" | "py" | "toml" | "sbatch") => "#",
        Some("md") if line.starts_with("# ") => return "",
        _ => return line,
    };
    line.split_once(mark).map_or("", |(_, comment)| comment)
}

/// No `allow`, no `expect` without its reason, no ignored test but the body of a process.
pub(super) fn attributes_are_honest(tree: &Tree) -> Vec<Finding> {
    tree.rust.iter().flat_map(dishonest).collect()
}

fn dishonest(source: &RustSource) -> Vec<Finding> {
    let mut findings = Vec::new();
    let tokens = &source.tokens;
    for (at, token) in tokens.iter().enumerate() {
        let is_attribute = token.kind == Kind::Word
            && at > 0
            && tokens[at - 1].text == "["
            && tokens[..at - 1]
                .iter()
                .rev()
                .take(2)
                .any(|before| before.text == "#");
        if !is_attribute {
            continue;
        }
        let end = tokens[at..]
            .iter()
            .position(|next| next.text == "]" && next.depth < token.depth)
            .map_or(tokens.len(), |length| at + length);
        let names = |word: &str| tokens[at..end].iter().any(|next| next.text == word);
        let message = match token.text.as_str() {
            "allow" => "`allow` hides for ever; use `expect` with a reason",
            "expect" if !names("reason") => "`expect` without its reason",
            "cfg_attr" if names("allow") => "`allow` hides for ever; use `expect` with a reason",
            "ignore" if !names(CHILD) => {
                "an ignored test tests nothing; make it quick, or say SKIPPED where it cannot run"
            }
            _ => continue,
        };
        findings.push(Finding::new(&source.path, token.line, message));
    }
    findings
}

/// No path of the machine on which the check runs.
pub(super) fn no_path_of_a_machine(tree: &Tree) -> Vec<Finding> {
    let folders: Vec<&str> = tree.private_folders.iter().map(String::as_str).collect();
    lines_with(written(tree), &folders, "is a path of this machine")
}

/// No host or setting of a registry. The lock file names the registry of every package, as cargo writes it.
pub(super) fn no_registry(tree: &Tree) -> Vec<Finding> {
    lines_with(
        written(tree),
        &REGISTRIES,
        "names a registry; where packages come from is the machine's business",
    )
}

/// The files that people write.
fn written(tree: &Tree) -> impl Iterator<Item = &TextFile> {
    tree.files.iter().filter(|file| file.path != "Cargo.lock")
}

fn lines_with<'a>(
    files: impl Iterator<Item = &'a TextFile>,
    parts: &[&str],
    why: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(part) = parts.iter().find(|part| line.contains(**part)) {
                let message = format!("`{part}` {why}");
                findings.push(Finding::new(&file.path, number + 1, message));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Tree {
        Tree::with(&[("crates/a/src/b.rs", text)])
    }

    #[test]
    fn unfinished_work_is_refused_even_in_prose() {
        let word = UNFINISHED[0];
        assert_eq!(
            nothing_is_unfinished(&tree(&format!("// {word}: later\n"))).len(),
            1
        );
        assert_eq!(
            nothing_is_unfinished(&tree(&format!("// {word}S_LIST is a name\n"))),
            []
        );
        assert_eq!(
            nothing_is_unfinished(&tree(&format!("const {word}: u8 = 1; // A name.\n"))),
            []
        );
        let macros = format!("fn f() {{ {}!(); {}!(1); }}", MACROS[1], MACROS[0]);
        assert_eq!(nothing_is_unfinished(&tree(&macros)).len(), 2);
        assert_eq!(
            nothing_is_unfinished(&tree("fn f() { todo(); let dbg = 1; }")),
            []
        );
        let list = Tree::with(&[("a.md", &format!("# {word} list\n\n## {word}\n"))]);
        assert_eq!(nothing_is_unfinished(&list).len(), 1);
        let script = Tree::with(&[("a.sh", &format!("# {}\n", UNFINISHED[1]))]);
        assert_eq!(nothing_is_unfinished(&script).len(), 1);
    }

    #[test]
    fn a_switched_off_lint_and_an_ignored_test_are_refused() {
        for bad in [
            "#[allow(dead_code)]\nfn f() {}",
            "#![allow(dead_code)]\nfn f() {}",
            "#[expect(dead_code)]\nfn f() {}",
            "#[cfg_attr(unix, allow(dead_code))]\nfn f() {}",
            "#[test]\n#[ignore]\nfn f() {}",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
        ] {
            assert_eq!(attributes_are_honest(&tree(bad)).len(), 1, "{bad}");
        }
        for good in [
            "#[expect(dead_code, reason = \"an example\")]\nfn f() {}",
            "#[test]\n#[ignore = \"run by other tests, as a process of its own\"]\nfn f() {}",
            "fn f() { allow(1); x.expect(\"a\"); [expect, ignore]; }",
        ] {
            assert_eq!(attributes_are_honest(&tree(good)), [], "{good}");
        }
    }

    #[test]
    fn paths_of_the_machine_and_registries_are_refused() {
        let mut bad = tree("// see /somewhere/private/notes\n");
        bad.private_folders = ["/somewhere/private/".to_owned()].into();
        assert_eq!(no_path_of_a_machine(&bad).len(), 1);
        assert_eq!(no_path_of_a_machine(&tree("// see /elsewhere/\n")), []);
        assert_eq!(
            no_registry(&tree(&format!("// {}\n", REGISTRIES[0]))).len(),
            1
        );
        let lock = Tree::with(&[("Cargo.lock", REGISTRIES[0])]);
        assert_eq!(no_registry(&lock), []);
    }
}
