//! List items: their task mark, the id in front of their text, and how they nest.
//!
//! An item reaches as far as Markdown says, by indentation, with the fences and paragraphs inside it. Items
//! in block quotes are someone else's words: they are marked, and no document's tasks or entries. What an
//! id means is decided by the kind of document.

use std::ops::Range;

use crate::blocks::ItemBlock;
use crate::document::Document;
use crate::ids::leading_short;

/// `[ ]`, `[x]` and their relatives in front of an item's text, or a sign such as `☐`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskMark {
    /// The character between the brackets, or the sign: a blank is open, `x` and `X` are done.
    pub state: char,
    /// The byte offset of that character in the document.
    pub at: usize,
}

/// Signs of a task that is open, of one that is done, and of one that is neither.
const OPEN_SIGNS: [char; 6] = ['☐', '⬜', '◻', '□', '▢', '🔲'];
const DONE_SIGNS: [char; 6] = ['☑', '✅', '✔', '✓', '☒', '🗹'];
const OTHER_SIGNS: [char; 9] = ['❌', '✗', '✘', '⏳', '🔄', '🚧', '⏸', '⛔', '🚫'];

impl TaskMark {
    /// Whether the task is done.
    #[must_use]
    pub fn is_done(self) -> bool {
        matches!(self.state, 'x' | 'X') || DONE_SIGNS.contains(&self.state)
    }

    /// Whether the task is open and nobody has begun it.
    #[must_use]
    pub fn is_open(self) -> bool {
        self.state == ' ' || OPEN_SIGNS.contains(&self.state)
    }

    /// The mark that a text begins with, at offset 1 of that text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut chars = text.strip_prefix('[')?.chars();
        let state = chars.next().filter(|c| " xX~-!/>?".contains(*c))?;
        let closed = chars.next() == Some(']');
        let ended = chars.next().is_none_or(|c| matches!(c, ' ' | '\t'));
        (closed && ended).then_some(Self { state, at: 1 })
    }

    /// The mark that a text begins with, in brackets or as a sign, and what stands behind it.
    pub(crate) fn split(text: &str) -> Option<(Self, &str)> {
        if let Some(mark) = Self::parse(text) {
            return Some((mark, text.get(3..)?.trim_start()));
        }
        let state = text.chars().next()?;
        let signs = [&OPEN_SIGNS[..], &DONE_SIGNS, &OTHER_SIGNS];
        let is_sign = signs.iter().any(|signs| signs.contains(&state));
        let rest = text.get(state.len_utf8()..)?.trim_start_matches('\u{fe0f}');
        is_sign.then(|| (Self { state, at: 0 }, rest.trim_start()))
    }

    /// The character for a task in the same notation that is done, or is not.
    pub(crate) fn with(self, done: bool) -> char {
        let sign = !" xX~-!/>?".contains(self.state);
        match (sign, done) {
            (false, true) => 'x',
            (false, false) => ' ',
            (true, true) if self.state == '☐' => '☑',
            (true, true) => '✅',
            (true, false) if self.state == '☑' => '☐',
            (true, false) => '⬜',
        }
    }
}

/// A list item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListItem {
    /// From its first line to its last line with content, in bytes, with the line ending.
    pub range: Range<usize>,
    /// Its first line, counted from 1.
    pub line: usize,
    /// How many list items are around it.
    pub depth: usize,
    /// The item around it, by its place in the list.
    pub parent: Option<usize>,
    /// Whether a block quote is around it.
    pub quoted: bool,
    /// Its task mark, where it has one.
    pub task: Option<TaskMark>,
    /// The id in front of its text: `(T1)`, `T0.1:`, `**Q-004**`.
    pub id: Option<String>,
    /// The text of its first paragraph on one line, without the task mark and the id.
    pub text: String,
}

/// The list items of a document, in the order of their first lines.
#[must_use]
pub fn list_items(doc: &str) -> Vec<ListItem> {
    let document = Document::new(doc);
    document
        .blocks
        .items
        .iter()
        .map(|block| list_item(&document, block))
        .collect()
}

pub(crate) fn list_item(document: &Document<'_>, block: &ItemBlock) -> ListItem {
    let content = content_of(document, block);
    let task = TaskMark::split(content.first).map(|(mark, _)| TaskMark {
        at: mark.at + block.content_at,
        ..mark
    });
    let text = content.joined();
    let text = TaskMark::split(&text).map_or(text.as_str(), |(_, rest)| rest);
    let (id, text) = match leading_short(text) {
        Some((id, rest)) => (Some(id.to_owned()), rest),
        None => (None, text),
    };
    ListItem {
        range: document.bytes_of(document.item_lines(block)),
        line: block.first + 1,
        depth: block.depth,
        parent: block.parent,
        quoted: block.quoted,
        task,
        id,
        text: text.to_owned(),
    }
}

/// The paragraph that an item begins with.
struct Content<'a> {
    first: &'a str,
    more: Vec<&'a str>,
}

impl Content<'_> {
    fn joined(&self) -> String {
        let mut text = self.first.trim().to_owned();
        for line in &self.more {
            text.push(' ');
            text.push_str(line.trim());
        }
        text
    }
}

fn content_of<'a>(document: &Document<'a>, block: &ItemBlock) -> Content<'a> {
    let end = document.line(block.first).map_or(0, |line| line.text_end);
    let more = block.first + 1..block.text_last + 1;
    Content {
        first: document.slice(block.content_at..end),
        more: more.map(|line| document.line_text(line)).collect(),
    }
}

/// The text of the paragraph that an item begins with, on one line, with its marks.
pub(crate) fn item_text(document: &Document<'_>, block: &ItemBlock) -> String {
    content_of(document, block).joined()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_text_and_nesting() {
        let doc = "- [x] (T1) one\n  more\n  - sub\n\n    ```\n    - no\n    ```\n* [ ] two\n> - [ ] quoted\n1. [-] three";
        let found: Vec<String> = list_items(doc)
            .into_iter()
            .map(|i| {
                let state = i.task.map(|t| &doc[t.at..t.at + 1]);
                format!(
                    "{} {} {:?} {} {state:?} {:?} {:?} {:?}",
                    i.line, i.depth, i.parent, i.quoted, i.id, i.text, i.range
                )
            })
            .collect();
        insta::assert_snapshot!(found.join("\n"), @r#"
        1 0 None false Some("x") Some("T1") "one more" 0..56
        3 1 Some(0) false None None "sub" 22..56
        8 0 None false Some(" ") None "two" 56..66
        9 0 None true Some(" ") None "quoted" 66..81
        10 0 None false Some("-") None "three" 81..93
        "#);
    }

    #[test]
    fn what_is_no_task_mark() {
        assert_eq!(TaskMark::parse("[1] reference"), None);
        assert_eq!(TaskMark::parse("[x](link)"), None);
        assert_eq!(TaskMark::parse("[]"), None);
        assert_eq!(TaskMark::parse("[x]").map(TaskMark::is_done), Some(true));
        assert_eq!(TaskMark::parse("[~] x").map(TaskMark::is_done), Some(false));
    }
}
