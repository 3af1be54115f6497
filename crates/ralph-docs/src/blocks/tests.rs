//! The scanner against hand-made documents, and against a full parser as an oracle.

use proptest::prelude::*;
use pulldown_cmark::{Event, HeadingLevel, Parser, Tag};

use super::*;
use crate::test_support::corpus_documents;

fn kinds(doc: &str) -> String {
    let letter = |kind| match kind {
        LineKind::Blank => '.',
        LineKind::Text => 't',
        LineKind::Heading => 'H',
        LineKind::Underline => 'u',
        LineKind::Code => 'c',
        LineKind::Html => 'h',
        LineKind::Break => '-',
    };
    scan(doc)
        .lines
        .iter()
        .map(|line| letter(line.kind))
        .collect()
}

#[test]
fn a_fence_hides_what_looks_like_a_heading() {
    assert_eq!(kinds("# a\n```\n# b\n```\n## c\n"), "HcccH");
    assert_eq!(kinds("~~~~\n```\n~~~\n# b\n~~~~\n# c"), "cccccH");
}

#[test]
fn an_indented_fence_in_a_list_item_ends_with_the_item() {
    assert_eq!(kinds("- a\n  ```bash\n  # b\n  ```\n- c\n"), "tccct");
    assert_eq!(kinds("- a\n  ```\n  # b\n# c\n"), "tccH");
    assert_eq!(kinds("- a\n\n      # code\n"), "t.c");
}

#[test]
fn comments_hide_too() {
    assert_eq!(kinds("<!-- a\n# b\n-->\n# c\n"), "hhhH");
    assert_eq!(kinds("text <!-- a\n# b\n"), "tH");
    assert_eq!(kinds("<div>\n# b\n\n# c\n"), "hh.H");
}

#[test]
fn underlined_headings_and_breaks() {
    assert_eq!(kinds("a\n---\n\n---\nb\n===\n"), "Hu.-Hu");
    assert_eq!(kinds("- a\n---\n"), "t-");
    assert_eq!(kinds("> a\n---\n"), "t-");
}

#[test]
fn what_is_open_at_the_end_is_known() {
    assert_eq!(scan("a\n```\nb").unclosed, Some(1));
    assert_eq!(scan("a\n<!--\nb").unclosed, Some(1));
    assert_eq!(scan("a\n<div>\nb").unclosed, None);
    assert_eq!(scan("- ```\n\na").unclosed, None);
    assert_eq!(scan("- ```\n").unclosed, None);
}

#[test]
fn items_know_their_lines_and_parents() {
    let blocks = scan("- a\n  more\n  - b\n\n    second\n- c\nlazy\n\n1. d\n");
    let lines: Vec<_> = blocks
        .items
        .iter()
        .map(|i| (i.first, i.text_last, i.last, i.depth, i.parent))
        .collect();
    assert_eq!(
        lines,
        [
            (0, 1, 4, 0, None),
            (2, 2, 4, 1, Some(0)),
            (5, 6, 6, 0, None),
            (8, 8, 8, 0, None)
        ]
    );
}

#[test]
fn line_endings_of_all_kinds() {
    let blocks = scan("\u{feff}# a\r\n\r# b\n\nc");
    let places: Vec<_> = blocks
        .lines
        .iter()
        .map(|l| (l.start, l.text_end, l.end))
        .collect();
    assert_eq!(
        places,
        [
            (3, 6, 8),
            (8, 8, 9),
            (9, 12, 13),
            (13, 13, 14),
            (14, 15, 15)
        ]
    );
    assert_eq!(blocks.headings.len(), 2);
}

/// What the scanner and the oracle must agree on: headings outside of containers, and list items.
#[derive(Debug, PartialEq)]
struct Structure {
    headings: Vec<(u8, usize)>,
    items: Vec<(usize, usize)>,
}

fn ours(doc: &str) -> Structure {
    let blocks = scan(doc);
    let start = |line: usize| blocks.lines.get(line).map_or(0, |line| line.start);
    Structure {
        headings: blocks
            .headings
            .iter()
            .map(|h| (h.level, start(h.first)))
            .collect(),
        items: blocks
            .items
            .iter()
            .map(|i| (i.marker_at, i.depth))
            .collect(),
    }
}

fn oracle(doc: &str) -> Structure {
    let line_start = |at: usize| {
        doc.get(..at)
            .and_then(|head| head.rfind('\n'))
            .map_or(0, |n| n + 1)
    };
    let (mut headings, mut items) = (Vec::new(), Vec::new());
    let (mut containers, mut depth) = (0, 0);
    for (event, range) in Parser::new(doc).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) if containers == 0 => {
                let level = match level {
                    HeadingLevel::H1 => 1,
                    HeadingLevel::H2 => 2,
                    HeadingLevel::H3 => 3,
                    HeadingLevel::H4 => 4,
                    HeadingLevel::H5 => 5,
                    HeadingLevel::H6 => 6,
                };
                headings.push((level, line_start(range.start)));
            }
            Event::Start(Tag::BlockQuote(_)) => containers += 1,
            Event::End(pulldown_cmark::TagEnd::BlockQuote(_)) => containers -= 1,
            Event::Start(Tag::Item) => {
                let blanks = doc.get(range.start..).unwrap_or("");
                let at = range.start + blanks.len() - blanks.trim_start_matches([' ', '\t']).len();
                items.push((at, depth));
                depth += 1;
                containers += 1;
            }
            Event::End(pulldown_cmark::TagEnd::Item) => {
                depth -= 1;
                containers -= 1;
            }
            _ => {}
        }
    }
    Structure { headings, items }
}

#[test]
fn agrees_with_a_full_parser_on_every_corpus_document() {
    for (name, doc) in corpus_documents() {
        assert_eq!(ours(&doc), oracle(&doc), "{name}");
    }
}

/// Lines that a full parser and the scanner must read alike in any order.
fn line() -> impl Strategy<Value = String> {
    let indent = prop_oneof![4 => Just(""), 1 => Just(" "), 2 => Just("  "), 1 => Just("    "), 1 => Just("      ")];
    let prefix = prop_oneof![6 => Just(""), 3 => Just("- "), 1 => Just("> "), 1 => Just("1. "), 1 => Just("* ")];
    let body = prop::sample::select(vec![
        "",
        "",
        "text",
        "# one",
        "## two",
        "```",
        "```",
        "~~~",
        "````",
        "<!-- c",
        "-->",
        "<div>",
        "<b>",
        "---",
        "***",
        "===",
        "- [ ] (T1) x",
        "- y",
        "2. z",
        "1. w",
        "| a | b |",
        "\ttab",
        "(none)",
        "*em*",
    ]);
    (indent, prefix, body).prop_map(|(indent, prefix, body)| format!("{indent}{prefix}{body}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_full_parser_on_random_documents(lines in prop::collection::vec(line(), 0..10)) {
        let doc = lines.join("\n");
        prop_assert_eq!(ours(&doc), oracle(&doc), "{:?}", doc);
    }

    #[test]
    fn every_byte_is_in_one_line(doc in "\\PC*|[a-z#\\-> `\r\n\t\u{feff}]*") {
        let blocks = scan(&doc);
        let mut at = if doc.starts_with('\u{feff}') { 3 } else { 0 };
        for line in &blocks.lines {
            prop_assert_eq!(line.start, at);
            prop_assert!(line.start <= line.text_end && line.text_end <= line.end);
            at = line.end;
        }
        prop_assert_eq!(at, doc.len());
    }
}
