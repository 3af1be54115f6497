//! Effects by the way they are written: I3 writing, I4 environment and exit, I6 submitting, I8 programs made
//! from text.

use super::Finding;
use super::exceptions::{PROGRAMS, READERS, WRITERS, covers};
use super::rust_source::RustSource;
use super::tree::Tree;

/// The modules that write files.
const STORE: [&str; 2] = [
    "crates/ralph-core/src/store/",
    "crates/ralph-core/src/journal/",
];

/// Functions of `fs` that change a file. Making a folder is no change of a file.
const FS_CHANGES: [&str; 9] = [
    "copy",
    "hard_link",
    "remove_dir",
    "remove_dir_all",
    "remove_file",
    "rename",
    "set_permissions",
    "symlink",
    "write",
];

/// Settings of an open file by which it can be changed.
const OPENS_FOR_WRITING: [&str; 5] = ["append", "create", "create_new", "truncate", "write"];

/// How such an opening is called in a finding and in an exception.
const OPENING: &str = "opening for writing";

/// The only module that reads the environment.
const ENVIRONMENT: &str = "crates/ralph-front/src/environment.rs";

const READS_OF_ENV: [&str; 11] = [
    "args",
    "args_os",
    "current_dir",
    "current_exe",
    "home_dir",
    "set_current_dir",
    "temp_dir",
    "var",
    "var_os",
    "vars",
    "vars_os",
];

/// I3.
pub(super) fn only_the_store_writes(tree: &Tree) -> Vec<Finding> {
    refuse(
        writing_calls(tree)
            .into_iter()
            .filter(|(path, _, call)| !covers(&WRITERS, path, call)),
        "files are written through ralph_core::store; go through it, or give an exception its reason",
    )
}

/// Path, line and call of everything that changes a file outside the store.
pub(super) fn writing_calls(tree: &Tree) -> Vec<(String, usize, String)> {
    let outside = tree
        .product()
        .filter(|source| !STORE.iter().any(|place| source.path.starts_with(place)));
    let mut found = Vec::new();
    for source in outside {
        for change in FS_CHANGES {
            let call = format!("fs::{change}");
            found.extend(occurrences(source, &["fs", ":", ":", change], &call));
        }
        for create in ["create", "create_new"] {
            let call = format!("File::{create}");
            found.extend(occurrences(source, &["File", ":", ":", create], &call));
        }
        for setting in OPENS_FOR_WRITING {
            let words = [".", setting, "(", "true", ")"];
            found.extend(occurrences(source, &words, OPENING));
        }
        for name in ["NamedTempFile", "tempfile"] {
            found.extend(occurrences(source, &[name], name));
        }
    }
    found
}

/// I4: the environment. Arguments and the current folder belong to it.
pub(super) fn one_module_reads_the_environment(tree: &Tree) -> Vec<Finding> {
    refuse(
        reads_of_environment(tree)
            .into_iter()
            .filter(|(path, _, read)| !covers(&READERS, path, read)),
        "only ralph-front's environment module reads the environment",
    )
}

/// Path, line and call of everything that reads the environment outside its module.
pub(super) fn reads_of_environment(tree: &Tree) -> Vec<(String, usize, String)> {
    let others = tree.product().filter(|source| source.path != ENVIRONMENT);
    let found = others.flat_map(|source| {
        READS_OF_ENV.iter().flat_map(move |read| {
            let words = ["env", ":", ":", read];
            occurrences(source, &words, &format!("env::{read}"))
        })
    });
    found.collect()
}

/// I4: the exit of a process.
pub(super) fn only_binaries_exit(tree: &Tree) -> Vec<Finding> {
    let found = tree.libraries().flat_map(|source| {
        let mut found = occurrences(source, &["process", ":", ":", "exit"], "process::exit");
        found.extend(occurrences(source, &["ExitCode"], "ExitCode"));
        found
    });
    refuse(
        found,
        "a library returns, and a binary chooses its exit code",
    )
}

/// I6: there is one place that sends work to a cluster, and it writes the intent first.
pub(super) fn only_act_submits(tree: &Tree) -> Vec<Finding> {
    const ALLOWED: [&str; 5] = [
        // The loops' jobs: each has its record on disk before it is submitted.
        "crates/ralph-dispatch/src/cluster/",
        "crates/ralph-core/src/act/",
        "crates/ralph-core/src/backend.rs",
        "crates/ralph-core/src/cluster/",
        "crates/ralph-slurm/src/",
    ];
    let others = tree
        .product()
        .filter(|source| !ALLOWED.iter().any(|place| source.path.starts_with(place)));
    let found = others.flat_map(|source| {
        let mut found = occurrences(source, &[".", "submit", "("], "submit");
        found.extend(occurrences(source, &[".", "submit_all", "("], "submit_all"));
        found
    });
    refuse(
        found,
        "only ralph_core::act submits: it writes the intent first",
    )
}

/// I8: no shell gets its program as a text; a shell gets a fixed script, and values as arguments.
pub(super) fn no_text_becomes_a_program(tree: &Tree) -> Vec<Finding> {
    refuse(
        programs_from_text(tree)
            .into_iter()
            .filter(|(path, _, what)| !covers(&PROGRAMS, path, what)),
        "a shell gets a fixed script and quoted arguments, never a text as its program",
    )
}

/// Path, line and flag of every `-c` or the like among the arguments of a shell.
pub(super) fn programs_from_text(tree: &Tree) -> Vec<(String, usize, String)> {
    const SHELLS: [&str; 6] = ["bash", "dash", "sh", "zsh", "/bin/bash", "/bin/sh"];
    const FLAGS: [&str; 4] = ["-c", "-ec", "-lc", "-xc"];
    /// As far back as a shell's name stands from its flag: `Command::new("sh").arg("-c")` and the like.
    const NEAR: usize = 12;
    let mut found = Vec::new();
    for source in tree.product() {
        let code = source.code();
        for (at, token) in code.iter().enumerate() {
            let flag = token.text.trim_matches('"');
            let before = &code[at.saturating_sub(NEAR)..at];
            let of_a_shell = || {
                before
                    .iter()
                    .any(|word| SHELLS.contains(&word.text.trim_matches('"')))
            };
            if token.text.starts_with('"') && FLAGS.contains(&flag) && of_a_shell() {
                found.push((source.path.clone(), token.line, flag.to_owned()));
            }
        }
    }
    found
}

fn occurrences(source: &RustSource, words: &[&str], name: &str) -> Vec<(String, usize, String)> {
    source
        .lines_with(words)
        .into_iter()
        .map(|line| (source.path.clone(), line, name.to_owned()))
        .collect()
}

fn refuse(found: impl IntoIterator<Item = (String, usize, String)>, why: &str) -> Vec<Finding> {
    found
        .into_iter()
        .map(|(path, line, what)| Finding::new(&path, line, format!("`{what}`: {why}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(path: &str, body: &str) -> Tree {
        Tree::with(&[(path, &format!("fn f() {{ {body} }}"))])
    }

    #[test]
    fn writing_is_refused_outside_the_store() {
        for body in [
            "std::fs::write(a, b);",
            "fs::remove_file(a);",
            "File::create(a);",
            "OpenOptions::new().append(true);",
            "tempfile::tempdir();",
        ] {
            assert_eq!(
                only_the_store_writes(&tree("crates/ralph-core/src/act/mod.rs", body)).len(),
                1,
                "{body}"
            );
            let store = tree("crates/ralph-core/src/store/atomic.rs", body);
            assert_eq!(only_the_store_writes(&store), []);
        }
        let reading = "fs::read(a); fs::create_dir_all(b); File::open(c); OpenOptions::new().read(true).write(false);";
        assert_eq!(
            only_the_store_writes(&tree("crates/ralph-core/src/act/mod.rs", reading)),
            []
        );
    }

    #[test]
    fn the_environment_is_read_in_one_module() {
        let body = "std::env::var(\"A\"); crate::env::Env::fixed(now);";
        for (path, count) in [
            (ENVIRONMENT, 0),
            ("crates/ralph-front/src/lib.rs", 1),
            ("crates/ralph-cli/src/lib.rs", 1),
            ("crates/ralph-core/src/config.rs", 1),
        ] {
            assert_eq!(
                one_module_reads_the_environment(&tree(path, body)).len(),
                count,
                "{path}"
            );
        }
    }

    #[test]
    fn a_library_that_exits_is_refused() {
        let body = "std::process::exit(1); ExitCode::from(2);";
        assert_eq!(
            only_binaries_exit(&tree("crates/ralph-core/src/act.rs", body)).len(),
            2
        );
        assert_eq!(
            only_binaries_exit(&tree("crates/ralph-cli/src/lib.rs", body)),
            []
        );
    }

    #[test]
    fn a_second_way_to_submit_is_refused() {
        let body = "backend.submit(&request); backend.submit_all(&r, f);";
        assert_eq!(
            only_act_submits(&tree("crates/ralph-cli/src/lib.rs", body)).len(),
            2
        );
        assert_eq!(
            only_act_submits(&tree("crates/ralph-core/src/act/submit.rs", body)),
            []
        );
    }

    #[test]
    fn a_shell_with_a_text_is_refused() {
        let body = "Command::new(\"sh\").arg(\"-c\").arg(text);";
        assert_eq!(
            no_text_becomes_a_program(&tree("crates/ralph-slurm/src/lib.rs", body)).len(),
            1
        );
        let list = "[\"bash\", \"-lc\", text]";
        assert_eq!(
            no_text_becomes_a_program(&tree("crates/ralph-slurm/src/lib.rs", list)).len(),
            1
        );
        let git = "Command::new(\"git\").args([\"-c\", \"user.name=a\"]);";
        assert_eq!(
            no_text_becomes_a_program(&tree("crates/ralph-cli/src/lib.rs", git)),
            []
        );
        let fixed = "Command::new(\"sh\").args([\"-s\", \"--\", value]);";
        assert_eq!(
            no_text_becomes_a_program(&tree("crates/ralph-slurm/src/lib.rs", fixed)),
            []
        );
    }
}
