//! What a person should mend, in any of the documents: names that are used twice, fences left open.
//!
//! Problems are reported, never repaired: which of two entries should give up its id is not for a machine to
//! say.

use std::collections::BTreeMap;

use crate::document::Document;
use crate::error::{DocError, DocErrorCode};

/// The names that are there more than once, with the lines they are on (counted from 1).
pub(crate) fn repeated(
    names: impl Iterator<Item = (String, usize)>,
    advice: &str,
) -> Vec<DocError> {
    let mut lines: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (name, line) in names {
        lines.entry(name).or_default().push(line);
    }
    lines.retain(|_, lines| lines.len() > 1);
    let problem = |(name, lines): (&String, &Vec<usize>)| DocError::ambiguous(name, lines, advice);
    lines.iter().map(problem).collect()
}

/// The fence or comment that is open at the end, which hides everything below it.
pub(crate) fn unclosed(document: &Document<'_>) -> Option<DocError> {
    document.blocks.unclosed.map(|line| {
        DocError::new(
            DocErrorCode::Malformed,
            Some(line + 1),
            "a fence or comment opens here and is never closed; everything below it is part of it.",
        )
    })
}

/// The problems in the order of their lines.
pub(crate) fn sorted(mut problems: Vec<DocError>) -> Vec<DocError> {
    problems.sort_by_key(|problem| problem.line);
    problems
}
