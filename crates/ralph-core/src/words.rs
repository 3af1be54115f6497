//! Words that several crates write for people. What must never be here: a sentence of one command.

/// `1 run`, `2 runs`.
#[must_use]
pub fn plural(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}
