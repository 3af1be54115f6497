//! The task that a person means by a number or a name. Nothing here looks at whether it can be worked on.

use super::{Mark, Row};

/// What may stand between a name and the blank behind it: `E5:`, `**E5.**`, `[E5]`.
const BEHIND: [char; 7] = ['.', ':', ')', ']', '*', '`', ','];
/// What may stand in front of a name.
const BEFORE: [char; 4] = ['[', '(', '*', '`'];

/// A name that no task answers to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// The plan has fewer tasks.
    #[error("there is no task number {asked}; the plan has {count}")]
    NoSuchNumber {
        /// The number.
        asked: String,
        /// How many tasks there are, of every state.
        count: usize,
    },
    /// No task has this id, and none mentions it.
    #[error("no task of the plan is named `{asked}`")]
    NotFound {
        /// The name.
        asked: String,
    },
}

/// The task that `query` means. A number without a leading zero counts the tasks of every state. Anything else is
/// a name, in any case of letters: best of all the id of a task or what its text begins with (`E5:`, `**E5.**`,
/// `[E5]`), else a word anywhere in the text. Of several equally good ones the first that is open is meant, else
/// the first that is claimed, else the first.
///
/// # Errors
/// There is none.
pub fn select<'r>(rows: &'r [Row], query: &str) -> Result<&'r Row, SelectError> {
    let query = query.trim();
    let is_number = query.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && query.starts_with(|c: char| c != '0') {
        let number: Option<usize> = query.parse().ok();
        let row = number.and_then(|number| rows.get(number.checked_sub(1)?));
        return row.ok_or_else(|| SelectError::NoSuchNumber {
            asked: shown(query),
            count: rows.len(),
        });
    }
    let name = query.to_lowercase();
    let ranked = rows.iter().filter_map(|row| {
        let match_ = rank(row, &name)?;
        Some(((match_, standing(row.mark), row.ordinal), row))
    });
    ranked
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, row)| row)
        .ok_or_else(|| SelectError::NotFound {
            asked: shown(query),
        })
}

/// How well a row answers to a name, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It is its id, or its text begins with it.
    Name,
    /// Its text has it somewhere.
    Mention,
}

fn rank(row: &Row, name: &str) -> Option<Rank> {
    if !name.chars().any(char::is_alphanumeric) {
        return None;
    }
    if row.id.to_lowercase() == name {
        return Some(Rank::Name);
    }
    let text = row.key.text.to_lowercase();
    let mut best = None;
    for (at, _) in text.match_indices(name) {
        let (before, rest) = text.split_at_checked(at)?;
        let behind = rest.get(name.len()..)?;
        if !is_delimited(before, behind) {
            continue;
        }
        if before.chars().all(|c| c == ' ' || BEFORE.contains(&c)) {
            return Some(Rank::Name);
        }
        best = Some(Rank::Mention);
    }
    best
}

/// Whether a name ends where it does: `E5` is not in `E50`, `E5-b` or `E5.1`.
fn is_delimited(before: &str, behind: &str) -> bool {
    let begins = before
        .chars()
        .next_back()
        .is_none_or(|c| c.is_whitespace() || BEFORE.contains(&c));
    let rest = behind.trim_start_matches(BEHIND);
    // A bold name may go on: `**E5: a title**`.
    begins && rest.chars().next().is_none_or(char::is_whitespace)
}

fn standing(mark: Mark) -> u8 {
    match mark {
        Mark::Open => 0,
        Mark::Claimed => 1,
        Mark::Done => 2,
    }
}

/// A name as it is repeated to the person who gave it.
fn shown(query: &str) -> String {
    query.chars().filter(|c| !c.is_control()).take(80).collect()
}
