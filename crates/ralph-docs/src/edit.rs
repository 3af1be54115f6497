//! Edits as data: byte ranges and the text that takes their place.
//!
//! An [`EditSet`] is sorted and free of overlaps from the moment it exists, so applying it is one pass.
//! Nothing here knows Markdown, and nothing here repairs an edit that does not fit.

use std::ops::Range;

use crate::error::DocError;

/// One replacement. An empty range inserts, an empty text cuts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The bytes of the original document that go.
    pub range: Range<usize>,
    /// The text that comes in their place.
    pub text: String,
}

impl Edit {
    /// Puts `text` at byte offset `at`.
    #[must_use]
    pub fn insert(at: usize, text: impl Into<String>) -> Self {
        Self {
            range: at..at,
            text: text.into(),
        }
    }

    /// Puts `text` in place of the bytes of `range`.
    #[must_use]
    pub fn replace(range: Range<usize>, text: impl Into<String>) -> Self {
        Self {
            range,
            text: text.into(),
        }
    }
}

/// Edits of one document: sorted by place, none touching what another one replaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EditSet {
    edits: Vec<Edit>,
}

impl EditSet {
    /// Sorts the edits and checks that they can all be applied to one text.
    ///
    /// # Errors
    /// A range is reversed, two ranges overlap, or two edits insert at the same place (their order would
    /// be a guess): [`Refused`](crate::DocErrorCode::Refused).
    pub fn new(mut edits: Vec<Edit>) -> Result<Self, DocError> {
        if let Some(edit) = edits.iter().find(|edit| edit.range.start > edit.range.end) {
            let (start, end) = (edit.range.start, edit.range.end);
            return Err(DocError::refused(format!(
                "an edit from byte {start} to byte {end} runs backwards."
            )));
        }
        edits.retain(|edit| !(edit.range.is_empty() && edit.text.is_empty()));
        edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
        for (one, next) in edits.iter().zip(edits.iter().skip(1)) {
            if next.range.start < one.range.end || next.range == one.range {
                return Err(DocError::refused(format!(
                    "two edits change the same place, byte {}; apply one, read the result, then apply the other.",
                    next.range.start
                )));
            }
        }
        Ok(Self { edits })
    }

    /// The set that changes nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The edits, in the order of their places.
    #[must_use]
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// The document with the edits applied. A set made for another text whose ranges do not fit this one
    /// (outside of it, or inside a character) changes nothing at all.
    #[must_use]
    pub fn apply(&self, doc: &str) -> String {
        self.try_apply(doc).unwrap_or_else(|| doc.to_owned())
    }

    /// Both sets as one; both must have been made for the same text.
    ///
    /// # Errors
    /// The two change the same place: [`Refused`](crate::DocErrorCode::Refused).
    pub fn merge(self, other: Self) -> Result<Self, DocError> {
        Self::new(self.edits.into_iter().chain(other.edits).collect())
    }

    pub(crate) fn try_apply(&self, doc: &str) -> Option<String> {
        let mut out = String::with_capacity(doc.len());
        let mut copied = 0;
        for edit in &self.edits {
            out.push_str(doc.get(copied..edit.range.start)?);
            doc.get(edit.range.clone())?;
            out.push_str(&edit.text);
            copied = edit.range.end;
        }
        out.push_str(doc.get(copied..)?);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DocErrorCode;

    #[test]
    fn edits_are_sorted_and_applied_in_one_pass() {
        let set = EditSet::new(vec![
            Edit::insert(5, "!"),
            Edit::replace(0..1, "J"),
            Edit::replace(2..4, ""),
        ])
        .unwrap();
        assert_eq!(set.apply("hello"), "Jeo!");
    }

    #[test]
    fn an_insert_may_touch_a_cut() {
        let set = EditSet::new(vec![Edit::replace(0..2, ""), Edit::insert(2, "x")]).unwrap();
        assert_eq!(set.apply("abc"), "xc");
    }

    #[test]
    fn overlaps_and_twin_inserts_are_refused() {
        let overlap = EditSet::new(vec![Edit::replace(0..3, ""), Edit::replace(2..4, "")]);
        assert_eq!(overlap.unwrap_err().code, DocErrorCode::Refused);
        let twins = EditSet::new(vec![Edit::insert(1, "a"), Edit::insert(1, "b")]);
        assert_eq!(twins.unwrap_err().code, DocErrorCode::Refused);
        let inside = EditSet::new(vec![Edit::replace(0..3, ""), Edit::insert(1, "b")]);
        assert_eq!(inside.unwrap_err().code, DocErrorCode::Refused);
    }

    #[test]
    #[expect(
        clippy::reversed_empty_ranges,
        reason = "the reversed range is what is tested"
    )]
    fn a_backward_range_is_refused() {
        let backward = EditSet::new(vec![Edit::replace(3..1, "")]);
        assert_eq!(backward.unwrap_err().code, DocErrorCode::Refused);
    }

    #[test]
    fn a_set_for_another_text_changes_nothing() {
        let set = EditSet::new(vec![Edit::insert(0, "x"), Edit::replace(4..5, "y")]).unwrap();
        assert_eq!(set.apply("abc"), "abc");
        let inside_a_character = EditSet::new(vec![Edit::replace(1..2, "y")]).unwrap();
        assert_eq!(inside_a_character.apply("äb"), "äb");
    }

    #[test]
    fn merging_keeps_both_or_refuses() {
        let one = EditSet::new(vec![Edit::replace(0..1, "A")]).unwrap();
        let two = EditSet::new(vec![Edit::replace(2..3, "C")]).unwrap();
        assert_eq!(one.clone().merge(two).unwrap().apply("abc"), "AbC");
        assert!(one.clone().merge(one).is_err());
        assert!(EditSet::empty().merge(EditSet::empty()).unwrap().is_empty());
    }
}
