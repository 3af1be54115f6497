//! The headings of a document as sections: a title, and the byte ranges of the heading and of its body.
//!
//! A heading counts where Markdown counts it: outside of fences, indented code, comments, quotes and list
//! items; `#` and underlined alike. Nothing here knows what a section is for.

use std::ops::Range;

use crate::blocks::Blocks;
use crate::document::Document;
use crate::lines::LineKind;

/// A heading and what it governs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// 1 to 6.
    pub level: u8,
    /// The heading's text as it is written, without the `#` marks.
    pub title: String,
    /// The heading's lines, in bytes, with the line ending.
    pub heading: Range<usize>,
    /// From behind the heading to the next heading of the same or a higher level, in bytes.
    pub body: Range<usize>,
}

/// The sections of a document, in the order of their headings. A section's body holds its subsections.
#[must_use]
pub fn sections(doc: &str) -> Vec<Section> {
    let document = Document::new(doc);
    let section = |span: &Span| Section {
        level: span.level,
        title: span.title.clone(),
        heading: document.bytes_of(span.first..span.body.start),
        body: document.bytes_of(span.body.clone()),
    };
    document.spans.iter().map(section).collect()
}

/// A section in lines, counted from 0.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) level: u8,
    pub(crate) title: String,
    /// The heading's first line; the body begins behind its last one.
    pub(crate) first: usize,
    pub(crate) body: Range<usize>,
    /// The end of what stands before the first subsection.
    pub(crate) direct_end: usize,
    /// The section around this one, by its place in the list.
    pub(crate) parent: Option<usize>,
}

impl Span {
    /// The lines between the heading and the first subsection.
    pub(crate) fn direct(&self) -> Range<usize> {
        self.body.start..self.direct_end
    }
}

/// The sections of scanned blocks.
pub(crate) fn spans(doc: &str, blocks: &Blocks) -> Vec<Span> {
    let end = blocks.lines.len();
    let mut spans: Vec<Span> = Vec::with_capacity(blocks.headings.len());
    let mut open: Vec<usize> = Vec::new();
    for heading in &blocks.headings {
        while let Some(span) = open.last().and_then(|&top| spans.get_mut(top)) {
            if span.level < heading.level {
                break;
            }
            span.body.end = heading.first;
            open.pop();
        }
        if let Some(previous) = spans.last_mut() {
            previous.direct_end = heading.first;
        }
        let parent = open.last().copied();
        open.push(spans.len());
        spans.push(Span {
            level: heading.level,
            title: title_of(doc, blocks, heading.first..heading.last + 1),
            first: heading.first,
            body: heading.last + 1..end,
            direct_end: end,
            parent,
        });
    }
    spans
}

/// The text of the heading on these lines.
pub(crate) fn title_of(doc: &str, blocks: &Blocks, lines: Range<usize>) -> String {
    let lines = blocks.lines.get(lines).unwrap_or(&[]);
    let underlined = lines
        .last()
        .is_some_and(|line| line.kind == LineKind::Underline);
    let texts = lines.iter().filter(|line| line.kind == LineKind::Heading);
    let texts: Vec<&str> = texts
        .map(|line| doc.get(line.start..line.text_end).unwrap_or("").trim())
        .collect();
    if underlined {
        return texts.join(" ");
    }
    let text = texts.first().copied().unwrap_or("").trim_start_matches('#');
    let unclosed = text.trim_end_matches('#');
    let closed = unclosed.is_empty() || unclosed.ends_with([' ', '\t']);
    if closed { unclosed } else { text }.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_nest_by_level() {
        let doc = "# a\n\n## b #\nx\n### c\n## d\n\ne\n-\nf";
        let found: Vec<String> = sections(doc)
            .into_iter()
            .map(|s| {
                format!(
                    "{} {:?} {:?} {:?}",
                    s.level, s.title, &doc[s.heading], &doc[s.body]
                )
            })
            .collect();
        insta::assert_snapshot!(found.join("\n"), @r####"
        1 "a" "# a\n" "\n## b #\nx\n### c\n## d\n\ne\n-\nf"
        2 "b" "## b #\n" "x\n### c\n"
        3 "c" "### c\n" ""
        2 "d" "## d\n" "\n"
        2 "e" "e\n-\n" "f"
        "####);
    }

    #[test]
    fn titles_keep_what_is_not_a_closing_mark() {
        let titles = |doc: &str| {
            sections(doc)
                .into_iter()
                .map(|s| s.title)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            titles("## Learn C#\n## x ## \n#\n# # #\n"),
            ["Learn C#", "x", "", "#"]
        );
        assert_eq!(titles("two\nlines\n===\n"), ["two lines"]);
    }

    #[test]
    fn parents_are_the_sections_around() {
        let document = Document::new("### a\n# b\n## c\n#### d\n## e\n");
        let parents: Vec<_> = document.spans.iter().map(|span| span.parent).collect();
        assert_eq!(parents, [None, None, Some(1), Some(2), Some(1)]);
    }
}
