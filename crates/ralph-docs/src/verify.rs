//! The last look at every edit before it is handed out: nothing but what was meant may change.
//!
//! Two laws are checked on the text that the edits would make. Of bytes: the result without the inserted
//! ranges is the original without the cut ranges. Of structure: every line that stays is still the kind
//! of line it was, as deep in lists and quotes as it was, so that no insertion can swallow what follows.

use std::collections::BTreeMap;

use crate::document::Document;
use crate::edit::{Edit, EditSet};
use crate::error::{DocError, DocErrorCode};
use crate::lines::{Line, LineKind};

/// The edits as a set, if they change nothing else.
///
/// # Errors
/// The edits overlap or do not fit, or a line that stays would become something else: `Refused`. Text
/// would come below a fence or comment that is never closed: `Malformed`.
pub(crate) fn checked(document: &Document<'_>, edits: Vec<Edit>) -> Result<EditSet, DocError> {
    checked_result(document, edits, |_| true)
}

/// The edits as a set, if they change nothing else and the result is what was meant.
///
/// # Errors
/// As [`checked`]; or `meant` does not hold for the result: `Refused`.
pub(crate) fn checked_result(
    document: &Document<'_>,
    edits: Vec<Edit>,
    meant: impl FnOnce(&Document<'_>) -> bool,
) -> Result<EditSet, DocError> {
    let set = EditSet::new(edits)?;
    if set.is_empty() {
        return Ok(set);
    }
    refuse_below_open_fence(document, &set)?;
    let result = set
        .try_apply(document.text)
        .filter(|result| keeps_bytes(document.text, result, &set))
        .ok_or_else(|| {
            DocError::refused("the edit would change text around it; nothing was changed.")
        })?;
    let after = document.again(&result);
    if let Some(line) = first_changed_line(document, &after, &set) {
        return Err(DocError::new(
            DocErrorCode::Refused,
            Some(line + 1),
            "the edit would change how this line is read (as heading, list, code or text); edit the file by hand.",
        ));
    }
    if !meant(&after) {
        return Err(DocError::refused(
            "the edit would not be read back as what was meant; edit the file by hand.",
        ));
    }
    Ok(set)
}

/// Nothing that is inserted below an open fence would be read as what it is, and no line that stays would tell.
fn refuse_below_open_fence(document: &Document<'_>, set: &EditSet) -> Result<(), DocError> {
    let Some(open) = document.blocks.unclosed else {
        return Ok(());
    };
    let from = document.start_of(open);
    let below = |edit: &Edit| edit.range.start > from && !edit.text.is_empty();
    if !set.edits().iter().any(below) {
        return Ok(());
    }
    Err(DocError::new(
        DocErrorCode::Malformed,
        Some(open + 1),
        "a fence or comment opens here and is never closed, so text below it would become part of it; close it.",
    ))
}

/// Whether `result` without what `set` inserts is `before` without what it cuts.
fn keeps_bytes(before: &str, result: &str, set: &EditSet) -> bool {
    let (mut kept_before, mut kept_after) = (String::new(), String::new());
    let (mut at_before, mut at_after) = (0, 0);
    for edit in set.edits() {
        let Some(kept) = before.get(at_before..edit.range.start) else {
            return false;
        };
        let end = at_after + kept.len();
        let Some(same) = result.get(at_after..end) else {
            return false;
        };
        if result.get(end..end + edit.text.len()) != Some(edit.text.as_str()) {
            return false;
        }
        kept_before.push_str(kept);
        kept_after.push_str(same);
        at_before = edit.range.end;
        at_after = end + edit.text.len();
    }
    kept_before.push_str(before.get(at_before..).unwrap_or(""));
    kept_after.push_str(result.get(at_after..).unwrap_or(""));
    kept_before == kept_after
}

/// The first line that stays but is read differently afterwards.
fn first_changed_line(before: &Document<'_>, after: &Document<'_>, set: &EditSet) -> Option<usize> {
    let by_start: BTreeMap<usize, &Line> = after
        .blocks
        .lines
        .iter()
        .map(|line| (line.start, line))
        .collect();
    let mut edits = set.edits().iter().peekable();
    let (mut inserted, mut cut, mut cut_to) = (0, 0, 0);
    before.blocks.lines.iter().position(|line| {
        while let Some(edit) = edits.next_if(|edit| edit.range.start <= line.start) {
            inserted += edit.text.len();
            cut += edit.range.len();
            cut_to = edit.range.end;
        }
        if line.start < cut_to || line.kind == LineKind::Blank {
            return false;
        }
        let place = (line.start + inserted).saturating_sub(cut);
        by_start
            .get(&place)
            .is_none_or(|found| !is_read_alike(line, found))
    })
}

fn is_read_alike(one: &Line, other: &Line) -> bool {
    (one.kind, one.depth, one.quoted) == (other.kind, other.depth, other.quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(doc: &str, edit: Edit) -> Result<String, (DocErrorCode, Option<usize>)> {
        checked(&Document::new(doc), vec![edit])
            .map(|set| set.apply(doc))
            .map_err(|error| (error.code, error.line))
    }

    #[test]
    fn a_harmless_insertion_passes() {
        assert_eq!(
            check("# a\n\n# b\n", Edit::insert(4, "- x\n")).unwrap(),
            "# a\n- x\n\n# b\n"
        );
    }

    #[test]
    fn text_that_swallows_what_follows_is_refused() {
        let fence = check("# a\n\n# b\n", Edit::insert(4, "```\n"));
        assert_eq!(fence.unwrap_err(), (DocErrorCode::Refused, Some(3)));
        let comment = check("# a\n\n# b\n", Edit::insert(4, "<!--\n"));
        assert_eq!(comment.unwrap_err(), (DocErrorCode::Refused, Some(3)));
        let list = check("# a\n  - x\n", Edit::insert(4, "- y\n"));
        assert_eq!(list.unwrap_err(), (DocErrorCode::Refused, Some(2)));
        let underline = check("# a\n\n---\n", Edit::replace(4..5, "text\n"));
        assert_eq!(underline.unwrap_err(), (DocErrorCode::Refused, Some(3)));
    }

    #[test]
    fn an_open_fence_is_named() {
        let doc = "# a\n```\ncode\n";
        let below = check(doc, Edit::insert(doc.len(), "# b\n"));
        assert_eq!(below.unwrap_err(), (DocErrorCode::Malformed, Some(2)));
        assert!(check(doc, Edit::insert(4, "text\n")).is_ok());
    }

    #[test]
    fn a_result_that_was_not_meant_is_refused() {
        let document = Document::new("a\n");
        let edits = || vec![Edit::insert(2, "b\n")];
        assert!(checked_result(&document, edits(), |after| after.count() == 2).is_ok());
        let refused = checked_result(&document, edits(), |after| after.count() == 3);
        assert_eq!(refused.unwrap_err().code, DocErrorCode::Refused);
    }

    #[test]
    fn edits_that_do_not_fit_are_refused() {
        assert_eq!(
            check("ä", Edit::insert(1, "x")).unwrap_err().0,
            DocErrorCode::Refused
        );
        assert_eq!(
            check("a", Edit::insert(2, "x")).unwrap_err().0,
            DocErrorCode::Refused
        );
    }

    #[test]
    fn the_law_of_bytes_sees_a_wrong_result() {
        let set = EditSet::new(vec![Edit::replace(1..2, "xy")]).unwrap();
        assert!(keeps_bytes("abc", "axyc", &set));
        assert!(!keeps_bytes("abc", "axyd", &set));
        assert!(!keeps_bytes("abc", "axc", &set));
        assert!(!keeps_bytes("abc", "axycd", &set));
    }
}
