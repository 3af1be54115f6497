//! Which ids are one, and the ids that a queue has.

use std::collections::HashMap;

/// Whether two ids are one, however their parts are joined: `Q1` means `Q-001`.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || (!other.is_empty() && parts(one) == parts(other))
}

/// Ids by what [`same`] compares, so that a long queue is not compared with itself.
pub(super) struct Known<'i> {
    /// The first id of each spelling, in lower case.
    exactly: HashMap<String, &'i str>,
    /// The first id of each name, however its parts are joined.
    alike: HashMap<Vec<String>, &'i str>,
}

impl<'i> Known<'i> {
    pub(super) fn new(ids: impl IntoIterator<Item = &'i str>) -> Self {
        let mut known = Self {
            exactly: HashMap::new(),
            alike: HashMap::new(),
        };
        for id in ids {
            known.exactly.entry(id.to_ascii_lowercase()).or_insert(id);
            known.alike.entry(parts(id)).or_insert(id);
        }
        known
    }

    /// The id that a word means: the one that is spelled so, else the first that is the same.
    pub(super) fn get(&self, word: &str) -> Option<&'i str> {
        let exactly = self.exactly.get(&word.to_ascii_lowercase());
        let alike = || self.alike.get(&parts(word)).filter(|_| !word.is_empty());
        exactly.or_else(alike).copied()
    }
}

/// The letters and numbers of an id, without what joins them and without leading zeros.
pub(super) fn parts(id: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut last_digit = None;
    for c in id.to_lowercase().chars() {
        let digit = c.is_alphanumeric().then(|| c.is_ascii_digit());
        match (digit, parts.last_mut()) {
            (Some(_), Some(part)) if digit == last_digit => part.push(c),
            (Some(_), _) => parts.push(c.to_string()),
            (None, _) => {}
        }
        last_digit = digit;
    }
    for part in &mut parts {
        let bare = part.trim_start_matches('0').len();
        part.drain(..part.len().saturating_sub(bare.max(1)));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ids_are_one_however_they_are_joined() {
        for (one, other) in [("Q-001", "Q1"), ("exp3", "Exp_03"), ("Q-001a", "q001A")] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("Q-001", "Q-002"),
            ("Q-001", "Q-001a"),
            ("Q-1", "EXP-1"),
            ("Q-1", ""),
        ] {
            assert!(!same(one, other), "{one} {other}");
        }
        let known = Known::new(["Q-001", "Q1", "exp3", "EXP-3"]);
        for (word, wanted) in [
            ("q-001", Some("Q-001")),
            ("q1", Some("Q1")),
            ("Q_01", Some("Q-001")),
            ("exp-3", Some("EXP-3")),
            ("Exp 3", Some("exp3")),
            ("Q-002", None),
            ("", None),
        ] {
            assert_eq!(known.get(word), wanted, "{word}");
        }
    }
}
