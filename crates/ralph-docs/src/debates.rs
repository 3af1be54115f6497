//! `documentation/debates.md`: questions that wait for an opinion, the newest first.
//!
//! A debate is an entry like those of [`crate::debugging`]: a list item with a task mark and a hidden key. The
//! argument below it is written by others and never touched.

use crate::document::Document;
use crate::edit::EditSet;
use crate::error::DocError;
use crate::keyed::{self, EntryText, entry_line, places, render};
use crate::section::{self, Position};
use crate::verify::checked_result;

/// The headings that hold what is open.
const OPEN: [&str; 5] = [
    "debates",
    "open debates",
    "active debates",
    "open questions",
    "open",
];

/// Writes a question and the lines that explain it below the heading of the open debates (`Debates`, `Open
/// Debates`, `Open Questions`, `Open`), or in a section `Debates` that is appended. A debate whose key is
/// there already changes nothing.
///
/// # Errors
/// The text could not be added without changing how the rest is read: `Malformed` for a fence that is
/// never closed, `Refused` otherwise.
pub fn add(doc: &str, title: &str, key: &str, body: &[String]) -> Result<EditSet, DocError> {
    let document = Document::new(doc);
    if !places(&document, key).is_empty() {
        return Ok(EditSet::empty());
    }
    let text = EntryText {
        id: None,
        title,
        key,
        lines: body.iter().map(|line| entry_line(line)).collect(),
        quote: None,
    };
    let section = section::find(&document, &OPEN);
    let block = render(&document, section, &text);
    let edit = match section {
        Some(span) => section::place(&document, span, &block, Position::Top),
        None => section::append(&document, "Debates", &block),
    };
    checked_result(&document, vec![edit], |after| places(after, key).len() == 1)
}

/// Ticks the debate with a key and notes how it was decided in an own line `- Resolved: note`.
///
/// # Errors
/// No debate has the key, or more than one has; the edit would change how the text around it is read.
pub fn resolve(doc: &str, key: &str, note: &str) -> Result<EditSet, DocError> {
    keyed::resolve(doc, key, note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debate_is_added_once_and_resolved() {
        let body = ["Option A: stop".to_owned(), "- Option B: go on".to_owned()];
        let doc = "# Debates\n\nHow we decide.\n";
        let added = add(doc, "Scale up?", "scale-up", &body).unwrap().apply(doc);
        assert!(
            add(&added, "Scale up?", "scale-up", &body)
                .unwrap()
                .is_empty()
        );
        let resolved = resolve(&added, "scale-up", "no").unwrap().apply(&added);
        insta::assert_snapshot!(resolved, @r#"
        # Debates

        - [x] Scale up? <!-- ralph: scale-up -->
          - Option A: stop
          - \- Option B: go on
          - Resolved: no <!-- ralph -->

        How we decide.
        "#);
        assert!(resolve(&resolved, "scale-up", "no").unwrap().is_empty());
    }

    #[test]
    fn into_an_empty_file_and_into_its_own_section() {
        assert_eq!(
            add("", "q", "k", &[]).unwrap().apply(""),
            "## Debates\n\n- [ ] q <!-- ralph: k -->\n"
        );
        let doc = "## Decided\n\n## Open Questions\n- [ ] old\n";
        let result = add(doc, "q", "k", &[]).unwrap().apply(doc);
        assert_eq!(
            result,
            "## Decided\n\n## Open Questions\n- [ ] q <!-- ralph: k -->\n- [ ] old\n"
        );
    }
}
