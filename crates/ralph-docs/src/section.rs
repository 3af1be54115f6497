//! Sections by meaning: `## IN_PROGRESS / SUBMITTED`, `## Running` and `## 🚀 In-flight` are one.
//!
//! Titles are compared as people write them, never rewritten. A section that is missing is appended at
//! the end; nothing is ever reordered. Of two sections with one meaning the first is used.

use std::ops::Range;

use crate::document::Document;
use crate::edit::Edit;
use crate::lines::LineKind;
use crate::outline::Span;

/// A title without what people decorate it with: case, underscores, emoji, emphasis, trailing parentheses
/// and brackets, whatever follows ` / `, and `Status:` in front.
pub(crate) fn normalise(title: &str) -> String {
    let title = strip_trailing_group(title);
    let title = title.split(" / ").next().unwrap_or("");
    let title = strip_trailing_group(title);
    let words = title
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let words = words.map(str::to_lowercase).collect::<Vec<_>>().join(" ");
    words
        .strip_prefix("status ")
        .map_or(words.clone(), str::to_owned)
}

/// Takes off `(…)` and `[…]` at the end, with what emphasis is around them.
fn strip_trailing_group(title: &str) -> &str {
    let mut title = title.trim();
    loop {
        let bare = title.trim_end_matches(|c: char| !(c.is_alphanumeric() || c == ')' || c == ']'));
        let open = match bare.chars().next_back() {
            Some(')') => '(',
            Some(']') => '[',
            _ => return title,
        };
        match bare.rfind(open).and_then(|at| bare.get(..at)) {
            Some(rest) => title = rest.trim_end(),
            None => return title,
        }
    }
}

/// The first section of level 1 or 2 whose normalised title is one of `names`.
pub(crate) fn find<'d>(document: &'d Document<'_>, names: &[&str]) -> Option<&'d Span> {
    find_within(document, names, 2)
}

/// The first section of at most the given level whose normalised title is one of `names`.
pub(crate) fn find_within<'d>(
    document: &'d Document<'_>,
    names: &[&str],
    level: u8,
) -> Option<&'d Span> {
    let named =
        |span: &&Span| span.level <= level && names.contains(&normalise(&span.title).as_str());
    document.spans.iter().find(named)
}

/// The section in whose direct or indirect body a line stands: the innermost.
pub(crate) fn innermost<'d>(document: &'d Document<'_>, line: usize) -> Option<&'d Span> {
    let behind = document.spans.partition_point(|span| span.first <= line);
    document.spans.get(behind.checked_sub(1)?)
}

/// A section and those around it, the innermost first.
pub(crate) fn with_ancestors<'d>(
    document: &'d Document<'_>,
    span: Option<&'d Span>,
) -> impl Iterator<Item = &'d Span> {
    std::iter::successors(span, |span| document.spans.get(span.parent?))
}

/// The line of a placeholder such as `(none)` or `...` that is all there is in the range.
pub(crate) fn placeholder(document: &Document<'_>, lines: Range<usize>) -> Option<usize> {
    let mut content = lines.filter(|&line| document.has_content(line));
    let (only, more) = (content.next()?, content.next());
    let text = document
        .line_text(only)
        .trim()
        .trim_start_matches(['-', '*', '+'])
        .trim();
    let text = text
        .trim_matches(['_', '*', '(', ')'])
        .trim_end_matches('.')
        .to_lowercase();
    let dots = document.line_text(only).trim() == "...";
    let known = dots || ["none", "none yet", "nothing yet", "empty", "…"].contains(&text.as_str());
    (more.is_none() && known).then_some(only)
}

/// Where in a section a block of lines goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// Directly below the heading: the newest first.
    Top,
    /// Below what stands before the first subsection.
    Bottom,
}

/// Puts a block of whole lines into a section, with blank lines where they are needed. A lone placeholder
/// gives way to it.
pub(crate) fn place(document: &Document<'_>, span: &Span, block: &str, position: Position) -> Edit {
    if let Some(line) = placeholder(document, span.direct()) {
        return replace_line(document, line, block);
    }
    let content = document.trimmed(span.direct());
    let at = match position {
        Position::Bottom => content.end,
        Position::Top => span
            .direct()
            .find(|&line| document.kind(line) != Some(LineKind::Blank))
            .filter(|_| !content.is_empty())
            .unwrap_or(span.body.start),
    };
    let newline = document.style.newline.as_str();
    let is_list = is_list(block);
    let mut text = String::new();
    if needs_blank_before(document, span, at, is_list) {
        text.push_str(newline);
    }
    text.push_str(block);
    if needs_blank_after(document, at, is_list) {
        text.push_str(newline);
    }
    document.insertion(at, &text)
}

/// Appends a section of level 2 with the block in it.
pub(crate) fn append(document: &Document<'_>, title: &str, block: &str) -> Edit {
    append_below(document, &format!("## {title}"), block)
}

/// Appends the block below a heading that is written as given.
pub(crate) fn append_below(document: &Document<'_>, heading: &str, block: &str) -> Edit {
    insert_below(document, document.count(), heading, block)
}

/// Puts the block below a heading that is written as given, before a line or behind the last one.
pub(crate) fn insert_below(
    document: &Document<'_>,
    before: usize,
    heading: &str,
    block: &str,
) -> Edit {
    let newline = document.style.newline.as_str();
    let gap = |needed: bool| if needed { newline } else { "" };
    let above = before.checked_sub(1).and_then(|last| document.kind(last));
    let above = gap(above.is_some_and(|kind| kind != LineKind::Blank));
    let between = gap(document.style.blank_after_heading);
    let below = gap(before < document.count());
    let text = format!("{above}{heading}{newline}{between}{block}{below}");
    document.insertion(before, &text)
}

/// Puts a block of whole lines in the place of one line; the blank lines around it stay.
fn replace_line(document: &Document<'_>, line: usize, block: &str) -> Edit {
    let Some(found) = document.line(line) else {
        return Edit::insert(document.text.len(), "");
    };
    if found.end == found.text_end {
        let unended = block.trim_end_matches(['\n', '\r']);
        return Edit::replace(found.start..found.end, unended);
    }
    let next = document.kind(line + 1);
    let gap = matches!(next, Some(kind) if kind != LineKind::Blank);
    let gap = if gap {
        document.style.newline.as_str()
    } else {
        ""
    };
    Edit::replace(found.start..found.end, format!("{block}{gap}"))
}

fn is_list(block: &str) -> bool {
    crate::blocks::scan(block)
        .items
        .first()
        .is_some_and(|item| item.first == 0)
}

fn needs_blank_before(document: &Document<'_>, span: &Span, at: usize, is_list: bool) -> bool {
    if at == span.body.start {
        return match document.kind(at) {
            Some(LineKind::Blank) => true,
            Some(LineKind::Heading) | None => document.style.blank_after_heading,
            Some(_) => false,
        };
    }
    let Some(before) = at.checked_sub(1).and_then(|line| document.line(line)) else {
        return false;
    };
    let continues_list = is_list && before.depth > 0;
    before.kind != LineKind::Blank && !continues_list
}

fn needs_blank_after(document: &Document<'_>, at: usize, is_list: bool) -> bool {
    let before_list = is_list && document.item_at(at).is_some();
    document
        .kind(at)
        .is_some_and(|kind| kind != LineKind::Blank)
        && !before_list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_compared_without_their_decoration() {
        for (title, wanted) in [
            ("READY", "ready"),
            ("IN_PROGRESS / SUBMITTED", "in progress"),
            (
                "READY (pending user go-ahead — do not stack mechanisms)",
                "ready",
            ),
            ("🚀 In-flight", "in flight"),
            ("**Done** ✓", "done"),
            ("Ready (a / b) [3]", "ready"),
            ("Phase 0: Results [COMPLETED]", "phase 0 results"),
            ("COMPLETED / PAIRED COMPARISON RESULTS", "completed"),
            ("Active Issues:", "active issues"),
            ("NON-BLOCKING", "non blocking"),
            ("Status: RUNNING", "running"),
            ("(none)", ""),
            ("a) b)", "a b"),
            ("", ""),
        ] {
            assert_eq!(normalise(title), wanted, "{title}");
        }
    }

    #[test]
    fn only_a_lone_placeholder_is_one() {
        let is_placeholder = |text: &str| {
            let document = Document::new(text);
            placeholder(&document, 0..document.count()).is_some()
        };
        for text in [
            "(none)",
            "\n(none yet)\n\n",
            "...",
            "- (none)",
            "_None._",
            "(none)\n\n---\n",
            "…",
        ] {
            assert!(is_placeholder(text), "{text:?}");
        }
        for text in [
            "",
            "(none - BLOCKED on Q-001)",
            "(none)\n(none)",
            "none of these",
            "....",
            "```\n```",
        ] {
            assert!(!is_placeholder(text), "{text:?}");
        }
    }

    fn placed(doc: &str, block: &str, position: Position) -> String {
        let document = Document::new(doc);
        let edit = place(&document, document.spans.first().unwrap(), block, position);
        crate::EditSet::new(vec![edit]).unwrap().apply(doc)
    }

    #[test]
    fn blank_lines_are_put_where_they_are_needed() {
        let cases = [
            ("## a\n\n## b\n", "### x\n", "## a\n\n### x\n\n## b\n"),
            ("## a\n## b\n", "### x\n", "## a\n\n### x\n\n## b\n"),
            ("## a\n(none)\n\n## b\n", "### x\n", "## a\n### x\n\n## b\n"),
            ("## a\n(none)\n## b\n", "### x\n", "## a\n### x\n\n## b\n"),
            (
                "## a\nintro\n\n### y\n",
                "### x\n",
                "## a\nintro\n\n### x\n\n### y\n",
            ),
            ("## a\n- y\n", "- x\n", "## a\n- y\n- x\n"),
            ("## a\n\n- y\n\n---\n", "- x\n", "## a\n\n- y\n- x\n\n---\n"),
            ("## a\ntext", "- x\n", "## a\ntext\n\n- x"),
            ("## a", "- x\n", "## a\n\n- x"),
        ];
        for (doc, block, wanted) in cases {
            assert_eq!(placed(doc, block, Position::Bottom), wanted, "{doc:?}");
        }
    }

    #[test]
    fn the_top_is_below_the_heading() {
        let cases = [
            ("## a\n- y\n", "- x\n", "## a\n- x\n- y\n"),
            ("## a\n\ntext\n", "- x\n", "## a\n\n- x\n\ntext\n"),
            ("## a\n\n### y\n", "- x\n", "## a\n\n- x\n\n### y\n"),
            ("## a\n\n---\n", "- x\n", "## a\n\n- x\n\n---\n"),
        ];
        for (doc, block, wanted) in cases {
            assert_eq!(placed(doc, block, Position::Top), wanted, "{doc:?}");
        }
    }

    #[test]
    fn a_missing_section_is_appended() {
        let appended = |doc: &str| {
            let document = Document::new(doc);
            crate::EditSet::new(vec![append(&document, "b", "- x\n")])
                .unwrap()
                .apply(doc)
        };
        assert_eq!(appended(""), "## b\n\n- x\n");
        assert_eq!(appended("\u{feff}"), "\u{feff}## b\n\n- x\n");
        assert_eq!(
            appended("# a\r\ntext\r\n"),
            "# a\r\ntext\r\n\r\n## b\r\n\r\n- x\n"
        );
        assert_eq!(appended("text"), "text\n\n## b\n\n- x");
        assert_eq!(appended("## a\nx\n\n"), "## a\nx\n\n## b\n- x\n");
    }
}
