//! What the tests of this crate share: the real documents, and random ones.

use std::path::{Path, PathBuf};

/// The folder of real documents, where the machine has it.
fn corpus() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test finds its data by an environment variable"
    )]
    let named = std::env::var_os("RALPH_CORPUS").map(PathBuf::from);
    let folder = named
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"));
    folder.is_dir().then_some(folder)
}

/// The real documents of one kind (`queue`, `debugging` or `todo`), sorted by name.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
pub(crate) fn corpus_of(kind: &str) -> Vec<(String, String)> {
    let Some(folder) = corpus().map(|corpus| corpus.join(kind)) else {
        eprintln!("SKIPPED: no corpus of {kind} documents; set RALPH_CORPUS");
        return Vec::new();
    };
    let mut documents: Vec<(String, String)> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| {
            (
                path.display().to_string(),
                std::fs::read_to_string(&path).unwrap(),
            )
        })
        .collect();
    documents.sort();
    assert!(!documents.is_empty(), "{} is empty", folder.display());
    documents
}

/// All real documents.
pub(crate) fn corpus_documents() -> Vec<(String, String)> {
    ["queue", "debugging", "todo"]
        .iter()
        .flat_map(|kind| corpus_of(kind))
        .collect()
}
