//! How things are said in a state file, a document and a report. No decision and no edit.

use crate::classify::Diagnosis;

/// What happened, without the class: the line that decided and where it stands.
#[must_use]
pub(crate) fn headline(diagnosis: &Diagnosis) -> String {
    let class = format!("{}: ", diagnosis.label());
    one_line(
        diagnosis
            .summary
            .strip_prefix(&class)
            .unwrap_or(&diagnosis.summary),
    )
}

/// What happened, for a heading: the line that decided, or its meaning where the node wrote it: `slurmstepd` names the job
/// and the node, and comes to the point late.
pub(crate) fn subject(diagnosis: &Diagnosis) -> String {
    let line = headline(diagnosis);
    if line.starts_with("slurmstepd") && !diagnosis.cause.is_empty() {
        return one_line(diagnosis.cause.trim_end_matches('.'));
    }
    line
}

/// The machine's own lines of an item, as keys and texts.
pub(crate) fn lines<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs
        .into_iter()
        .map(|(key, text)| (key.to_owned(), text.to_owned()))
        .collect()
}

/// One line of at most 400 characters without control characters, for the state file. Documents escape what they
/// are given themselves.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.chars().filter(|c| !c.is_control()).collect())
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(&line)),
        None => line,
    }
}
