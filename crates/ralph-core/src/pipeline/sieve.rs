//! Reading a text strictly while keeping only some members of its root.
//!
//! Most of a state file is finished runs, which the Stop hook never looks at. Their text is judged like the rest, byte
//! for byte and key by key, but leaves no nodes behind: memory that is never touched costs nothing. What must never be
//! here: a message. A text that is not plainly in order is only said to be odd; the careful way says what it is.

use super::grammar::{self, Kind, Sink};
use super::tree::{Builder, Tree};

/// So many keys of one object are compared on the way; objects with more are rare.
const MOST_KEYS: usize = 64;

/// What came of a text.
#[derive(Debug)]
pub(super) enum Sifted {
    /// Strict JSON with an object at the top and no key twice. Members that were not asked for have no children.
    Plain(Tree),
    /// Something else, or something that this look cannot tell apart.
    Odd,
}

/// Reads a text and keeps what stands in the `wanted` members of its root.
pub(super) fn sift(text: &str, wanted: &[&str]) -> Sifted {
    let mut sieve = Sieve {
        text,
        wanted,
        kept: Builder::new(text, 256),
        passing: Vec::new(),
        keys: Vec::with_capacity(MOST_KEYS),
        odd: false,
    };
    let read = grammar::scan(text.as_bytes(), &mut sieve);
    if read.is_err() || sieve.odd {
        return Sifted::Odd;
    }
    match sieve.kept.finish() {
        (tree, None) if tree.node(Tree::ROOT).kind == Kind::Object => Sifted::Plain(tree),
        _ => Sifted::Odd,
    }
}

/// Keeps the nodes of some members, and of everything else only the keys of what is open.
struct Sieve<'t, 'w> {
    text: &'t str,
    wanted: &'w [&'w str],
    kept: Builder<'t>,
    /// The objects and lists that are passed over and have not ended, the innermost last.
    passing: Vec<Passing>,
    /// The spans of their keys.
    keys: Vec<(usize, usize)>,
    odd: bool,
}

/// One object or list that is passed over.
struct Passing {
    /// The first of its keys.
    first: usize,
    /// A bit for each of its keys, so that most are known to be new without a comparison.
    seen: u64,
}

impl Sieve<'_, '_> {
    fn pass(&mut self) {
        self.passing.push(Passing {
            first: self.keys.len(),
            seen: 0,
        });
    }

    /// Notes a key of what is passed over; an equal one before it makes the text odd.
    #[inline]
    fn note(&mut self, start: usize, end: usize) {
        let text = self.text.as_bytes();
        let raw = |(start, end): (usize, usize)| text.get(start + 1..end - 1);
        let key = raw((start, end)).unwrap_or_default();
        let Some(object) = self.passing.last_mut() else {
            return;
        };
        let bit = 1_u64 << (mix(key) >> 58);
        if object.seen & bit != 0 {
            let mut before = self.keys.iter().skip(object.first);
            self.odd |=
                before.any(|other| other.1 - other.0 == end - start && raw(*other) == Some(key));
        }
        object.seen |= bit;
        self.keys.push((start, end));
        self.odd |= self.keys.len() - object.first > MOST_KEYS;
    }
}

/// Mixes the length and both ends of a key into the top bits.
#[inline]
fn mix(key: &[u8]) -> u64 {
    let byte = |at: usize| u64::from(key.get(at).copied().unwrap_or(0));
    let length = key.len();
    let word = byte(0) | byte(length / 2) << 8 | byte(length.saturating_sub(1)) << 16;
    (word | (length as u64) << 24).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Sink for Sieve<'_, '_> {
    #[inline]
    fn open(&mut self, kind: Kind, at: usize) {
        if !self.passing.is_empty() {
            self.pass();
        } else if self.kept.is_at_unwanted_member(self.wanted) {
            self.kept.scalar(kind, at, at);
            self.pass();
        } else {
            self.kept.open(kind, at);
        }
    }

    #[inline]
    fn close(&mut self, end: usize) {
        match self.passing.pop() {
            Some(passed) => self.keys.truncate(passed.first),
            None => self.kept.close(end),
        }
    }

    #[inline]
    fn key(&mut self, start: usize, end: usize, escaped: bool) {
        if self.passing.is_empty() {
            self.kept.key(start, end, escaped);
        } else {
            self.odd |= escaped;
            self.note(start, end);
        }
    }

    #[inline]
    fn scalar(&mut self, kind: Kind, start: usize, end: usize) {
        if self.passing.is_empty() {
            self.kept.scalar(kind, start, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_plain(text: &str) -> bool {
        matches!(sift(text, &["phase"]), Sifted::Plain(_))
    }

    #[test]
    fn what_was_not_asked_for_is_judged_all_the_same() {
        assert!(is_plain(
            r#"{"a": {"x": [{"k": 1}, {"k": 2}]}, "phase": {"k": 1}}"#
        ));
        for odd in [
            r#"{"a": {"x": 1,}}"#,
            r#"{"a": [{"k": 1, "k": 2}]}"#,
            r#"{"a": {"k": {"k": 1}, "k": 2}}"#,
            r#"{"a": {"\u006b": 1}}"#,
            r#"{"a": 1, "a": 2}"#,
            r#"{"phase": {"k": 1, "k": 2}}"#,
            r"[]",
            "",
        ] {
            assert!(!is_plain(odd), "{odd}");
        }
    }

    #[test]
    fn any_two_equal_keys_are_found_among_as_many_as_are_compared() {
        let object = |keys: &[String]| {
            let members: Vec<String> = keys.iter().map(|key| format!("\"{key}\": 0")).collect();
            format!("{{\"a\": {{{}}}}}", members.join(", "))
        };
        let keys: Vec<String> = (0..MOST_KEYS).map(|n| format!("key_{n}")).collect();
        assert!(is_plain(&object(&keys)));
        for (one, other) in [(0, 1), (0, 63), (31, 62), (62, 63)] {
            let mut twice = keys.clone();
            twice[other].clone_from(&keys[one]);
            assert!(!is_plain(&object(&twice)), "{one} and {other}");
        }
        let more: Vec<String> = (0..=MOST_KEYS).map(|n| format!("key_{n}")).collect();
        assert!(!is_plain(&object(&more)));
    }

    #[test]
    fn only_what_was_asked_for_is_kept() {
        let text = r#"{"a": [1, 2, {"b": 3}], "phase": [4, 5], "c": 6}"#;
        let Sifted::Plain(tree) = sift(text, &["phase"]) else {
            panic!("{text} is plain");
        };
        let members: Vec<(String, usize)> = tree
            .children(Tree::ROOT)
            .map(|id| (tree.key(text, id).into_owned(), tree.children(id).count()))
            .collect();
        let expected = [("a", 0), ("phase", 2), ("c", 0)];
        assert_eq!(
            members,
            expected.map(|(key, count)| (key.to_owned(), count))
        );
    }
}
