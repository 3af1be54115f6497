//! I4: the names of the scheduler's and ssh's programs, as words of the code. Prose may name them.

use super::Finding;
use super::exceptions::{WORDS, covers};
use super::rust_source::Kind;
use super::tree::Tree;

/// Programs that only ralph-slurm starts or reads.
const PROGRAMS: [&str; 11] = [
    "sacct", "sacctmgr", "sbatch", "scancel", "scontrol", "sdiag", "sinfo", "squeue", "srun",
    "ssh", "sshd",
];

const HOME: &str = "crates/ralph-slurm/";

/// Refuses the words outside ralph-slurm.
pub(super) fn only_slurm_knows_the_programs(tree: &Tree) -> Vec<Finding> {
    occurrences(tree)
        .into_iter()
        .filter(|(path, _, word)| !covers(&WORDS, path, word))
        .map(|(path, line, word)| {
            let message = format!("`{word}` belongs into ralph-slurm, or needs an exception");
            Finding::new(&path, line, message)
        })
        .collect()
}

/// Path, line and word of every use outside ralph-slurm. A word out of a literal keeps a quote before it: an
/// exception for a name in code is none for a text that could be run.
pub(super) fn occurrences(tree: &Tree) -> Vec<(String, usize, String)> {
    let mut found = Vec::new();
    for source in tree
        .product()
        .filter(|source| !source.path.starts_with(HOME))
    {
        for token in source.code() {
            let (quote, words): (_, Vec<&str>) = match token.kind {
                Kind::Word => ("", vec![token.text.as_str()]),
                Kind::Literal => ("\"", words_of(&token.text).collect()),
                Kind::Mark | Kind::Open | Kind::Close => continue,
            };
            for word in words.into_iter().filter(|word| PROGRAMS.contains(word)) {
                found.push((source.path.clone(), token.line, format!("{quote}{word}")));
            }
        }
    }
    found
}

/// The words of a text; `ssh_config`, `.sbatch` and `sbatch_path` are other words than the programs.
fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '#')))
        .map(|word| word.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let tree = Tree::with(&[(path, text)]);
        only_slurm_knows_the_programs(&tree)
            .iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn a_program_is_refused_in_names_and_in_texts() {
        let bad = "fn run() {\n  let squeue = 1;\n  start(\"squeue --me\");\n  log(\"asking (ssh).\");\n}";
        assert_eq!(lines("crates/ralph-core/src/act.rs", bad), [2, 3, 4]);
        assert_eq!(lines("crates/ralph-slurm/src/lib.rs", bad), [0; 0]);
    }

    #[test]
    fn prose_and_other_words_are_no_programs() {
        let good = "//! Not sbatch.\n/// ssh\nfn f() { let sbatch_path = \"slurm/jobs/q001.sbatch\"; }\n// squeue\n";
        assert_eq!(lines("crates/ralph-core/src/act.rs", good), [0; 0]);
        let module = "use crate::sbatch::parse;";
        assert_eq!(lines("crates/ralph-core/src/act.rs", module), [0; 0]);
        let text = "fn f() { start(\"sbatch --parsable\"); }";
        assert_eq!(lines("crates/ralph-core/src/act.rs", text), [1]);
        let test = "#[cfg(test)]\nmod tests { fn f() { run(\"sacct\"); } }";
        assert_eq!(lines("crates/ralph-core/src/act.rs", test), [0; 0]);
    }
}
