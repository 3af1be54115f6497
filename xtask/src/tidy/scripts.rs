//! Shell scripts: each is parsed by the shell of its first line, and read by shellcheck where that is
//! installed. Nothing is run.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Finding;
use super::tree::{TextFile, Tree};
use crate::setup::on_path;

/// A part may use a name that another part sets, and set one that another part uses.
const SHARED_NAMES: &str = "--exclude=SC2034,SC2154";

/// Every shell script parses.
pub(super) fn parse(tree: &Tree) -> Vec<Finding> {
    let checked = has_shellcheck();
    let mut findings = Vec::new();
    for (file, shell) in tree
        .files
        .iter()
        .filter_map(|file| Some((file, shell_of(file)?)))
    {
        let mut commands = vec![(shell, vec!["-n"])];
        if checked {
            let mut args = vec!["--severity=warning", "--shell", shell];
            if is_part_of_a_script(tree, &file.path) {
                args.push(SHARED_NAMES);
            }
            commands.push(("shellcheck", args));
        }
        for (program, args) in commands {
            if let Some(complaint) = complaint(&tree.root, program, &args, &file.path) {
                let message = format!("{program}: {complaint}");
                findings.push(Finding::new(&file.path, 0, message));
            }
        }
    }
    findings
}

/// Whether shellcheck can be started.
pub(super) fn has_shellcheck() -> bool {
    on_path("shellcheck")
}

/// Whether the script is sent together with the `prelude.sh` beside it.
fn is_part_of_a_script(tree: &Tree, path: &str) -> bool {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    tree.text(&format!("{folder}/prelude.sh")).is_some()
}

/// The shell that a script is written for: by its first line, else by its name.
fn shell_of(file: &TextFile) -> Option<&'static str> {
    let first = file.text.lines().next().unwrap_or_default();
    match first.strip_prefix("#!") {
        Some(interpreter) if interpreter.contains("bash") => Some("bash"),
        Some(interpreter) if interpreter.trim_end().ends_with("sh") => Some("sh"),
        Some(_) => None,
        None => file.path.ends_with(".sh").then_some("sh"),
    }
}

fn complaint(root: &Path, program: &str, args: &[&str], path: &str) -> Option<String> {
    let output = Command::new(program)
        .args(args)
        .arg(path)
        .current_dir(root)
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            Some(String::from_utf8_lossy(&said).trim().to_owned())
        }
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_first_line_names_the_shell() {
        for (path, text, shell) in [
            ("a", "#!/usr/bin/env bash\n", Some("bash")),
            ("a", "#!/bin/sh\n", Some("sh")),
            ("a.sh", "echo\n", Some("sh")),
            ("a.sh", "#!/usr/bin/env python3\n", None),
            ("a.rs", "//! No script.\n", None),
        ] {
            assert_eq!(shell_of(&file(path, text)), shell, "{text}");
        }
    }

    #[test]
    fn parts_of_a_script_are_known_by_their_prelude() {
        let tree = Tree::with(&[("a/prelude.sh", ""), ("a/b.sh", ""), ("c/d.sh", "")]);
        assert!(is_part_of_a_script(&tree, "a/b.sh"));
        assert!(!is_part_of_a_script(&tree, "c/d.sh"));
    }

    #[test]
    fn a_script_that_does_not_parse_is_refused() -> anyhow::Result<()> {
        let sh = xshell::Shell::new()?;
        let folder = sh.create_temp_dir()?;
        let mut tree = Tree::with(&[
            ("good.sh", "#!/bin/sh\nif true; then echo yes; fi\n"),
            ("bad.sh", "#!/usr/bin/env bash\nif true; then echo yes\n"),
        ]);
        for file in &tree.files {
            sh.write_file(folder.path().join(&file.path), &file.text)?;
        }
        tree.root = folder.path().to_path_buf();
        let findings = parse(&tree);
        assert!(!findings.is_empty());
        assert!(
            findings.iter().all(|finding| finding.path == "bad.sh"),
            "{findings:?}"
        );
        Ok(())
    }
}
