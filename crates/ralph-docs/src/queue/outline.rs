//! How the headings of a queue nest, where people mean more than Markdown says.
//!
//! Two habits are known. A section's title is a line in bold where no heading is one of the four sections. Items stand
//! at the level of their section (`## READY`, then `## Q-001`), and belong to it all the same. Both are told here, once,
//! so that whoever reads or edits a queue sees sections with items in them.

use super::QueueSection;
use super::id;
use crate::blocks::{Blocks, Heading};
use crate::document::Document;
use crate::lines::LineKind;
use crate::outline::title_of;

/// A queue with its structure.
pub(super) fn document(text: &str) -> Document<'_> {
    Document::arranged(text, arrange)
}

fn arrange(text: &str, blocks: &mut Blocks) {
    let sections = |blocks: &Blocks| {
        let titles = blocks.headings.iter();
        titles
            .map(|heading| title(text, blocks, heading))
            .map(|title| (QueueSection::from_title(&title), title))
            .collect::<Vec<_>>()
    };
    let mut titles = sections(blocks);
    if titles.iter().all(|(section, _)| section.is_none()) && add_bold_titles(text, blocks) {
        titles = sections(blocks);
    }
    nest_items(blocks, &titles);
}

fn title(text: &str, blocks: &Blocks, heading: &Heading) -> String {
    title_of(text, blocks, heading.first..heading.last + 1)
}

/// Whether titles in bold are the sections of the queue and no captions in its items: there are two at least, the first
/// stands in no item, and none below an item says that what follows is ready.
fn are_sections(text: &str, blocks: &Blocks, titles: &[(usize, QueueSection)]) -> bool {
    let in_item = |line: usize| {
        let behind = blocks
            .headings
            .partition_point(|heading| heading.first < line);
        let above = behind.checked_sub(1).and_then(|at| blocks.headings.get(at));
        above.is_some_and(|heading| id::leading(&title(text, blocks, heading)).is_some())
    };
    let Some((first, section)) = titles.first() else {
        return false;
    };
    let others = titles.iter().any(|(_, other)| other != section);
    let mut ready = titles
        .iter()
        .filter(|(_, section)| *section == QueueSection::Ready);
    others && !in_item(*first) && !ready.any(|(line, _)| in_item(*line))
}

/// Makes a heading of each paragraph that is nothing but a section's title in bold; false where none is.
fn add_bold_titles(text: &str, blocks: &mut Blocks) -> bool {
    let titles: Vec<(usize, QueueSection)> = (0..blocks.lines.len())
        .filter_map(|line| Some((line, bold_title(text, blocks, line)?)))
        .collect();
    if !are_sections(text, blocks, &titles) {
        return false;
    }
    let lines = titles.into_iter().map(|(line, _)| line);
    let mut level: Option<u8> = None;
    let mut headings: Vec<Heading> = Vec::new();
    let mut real = std::mem::take(&mut blocks.headings).into_iter().peekable();
    for line in lines {
        while let Some(heading) = real.next_if(|heading| heading.first < line) {
            if level.is_none_or(|level| heading.level < level) {
                level = None;
            }
            headings.push(heading);
        }
        let around = || headings.last().map_or(1, |heading| heading.level);
        let own = *level.get_or_insert_with(around);
        headings.push(Heading {
            level: own,
            first: line,
            last: line,
        });
        if let Some(found) = blocks.lines.get_mut(line) {
            found.kind = LineKind::Heading;
        }
    }
    headings.extend(real);
    blocks.headings = headings;
    true
}

fn bold_title(text: &str, blocks: &Blocks, line: usize) -> Option<QueueSection> {
    let is_text = |line: Option<usize>| {
        let line = line.and_then(|line| blocks.lines.get(line));
        line.is_some_and(|line| line.kind == LineKind::Text && line.depth == 0 && !line.quoted)
    };
    if !is_text(Some(line)) || is_text(line.checked_sub(1)) || is_text(Some(line + 1)) {
        return None;
    }
    let found = blocks.lines.get(line);
    let own = found.and_then(|found| text.get(found.start..found.text_end));
    let own = own.unwrap_or("").trim();
    let marked = own.trim_start_matches(|c: char| !c.is_alphanumeric() && !"*_".contains(c));
    let (inner, behind) = ["**", "__"]
        .iter()
        .find_map(|mark| marked.strip_prefix(*mark)?.split_once(*mark))?;
    let outside = super::words::without_groups(behind);
    QueueSection::from_title(inner).filter(|_| !outside.contains(char::is_alphanumeric))
}

/// Puts items that stand at the level of their section, and what is in them, one level deeper. A section READY that holds
/// anything itself, be it a placeholder, has said what is in it: the heading behind it is no item of it.
fn nest_items(blocks: &mut Blocks, titles: &[(Option<QueueSection>, String)]) {
    let open: Vec<bool> = (0..titles.len())
        .map(|index| may_hold(blocks, titles, index))
        .collect();
    let mut section: Option<u8> = None;
    let mut inside = false;
    let headings = blocks.headings.iter_mut().zip(titles).zip(open);
    for ((heading, (meaning, title)), open) in headings {
        let is_section = meaning.is_some();
        let level = heading.level;
        if section.is_some_and(|section| level < section) {
            (section, inside) = (None, false);
        }
        let deeper = inside && section.is_some_and(|section| level > section);
        if is_section && !deeper {
            (section, inside) = (Some(level).filter(|_| open), false);
        } else if section == Some(level) {
            inside = id::leading(title).is_some_and(|leading| leading.is_title());
            section = section.filter(|_| inside);
        }
        if inside && section.is_some_and(|section| level >= section) && (deeper || !is_section) {
            heading.level = level + 1;
        }
    }
}

/// Whether items may stand behind a section at its own level: not where READY has text or items of its own.
fn may_hold(blocks: &Blocks, titles: &[(Option<QueueSection>, String)], index: usize) -> bool {
    let section = titles.get(index).and_then(|(section, _)| section.as_ref());
    if section != Some(&QueueSection::Ready) {
        return section.is_some();
    }
    let Some(heading) = blocks.headings.get(index) else {
        return false;
    };
    let next = blocks.headings.get(index + 1);
    let end = next.map_or(blocks.lines.len(), |next| next.first);
    let own = blocks.lines.get(heading.last + 1..end).unwrap_or(&[]);
    let is_empty = own
        .iter()
        .all(|line| matches!(line.kind, LineKind::Blank | LineKind::Break));
    is_empty && next.is_none_or(|next| next.level <= heading.level)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(text: &str) -> String {
        let spans = document(text).spans;
        let line = |span: &crate::outline::Span| format!("{} {}", span.level, span.title);
        spans.iter().map(line).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn items_at_the_level_of_their_section_are_in_it() {
        for (text, wanted) in [
            (
                "# READY\n## Q-001: a\n### x\n# DONE\n",
                "1 READY|2 Q-001: a|3 x|1 DONE",
            ),
            (
                "## READY\n## Q-001: a\n### x\n## exp2: b\n## DONE\n## Notes\n## Q-003: c\n",
                "2 READY|3 Q-001: a|4 x|3 exp2: b|2 DONE|2 Notes|2 Q-003: c",
            ),
            (
                "## DONE\n### Q-001: a\n### Running\n## READY\n### Q-002: b\n",
                "2 DONE|3 Q-001: a|3 Running|2 READY|3 Q-002: b",
            ),
            (
                "## READY\n(none)\n## Q-003: results\n",
                "2 READY|2 Q-003: results",
            ),
            (
                "## READY\n### Q-001: a\n## Q-003: results\n",
                "2 READY|3 Q-001: a|2 Q-003: results",
            ),
            ("## READY\n## Q-003 results\n", "2 READY|2 Q-003 results"),
            (
                "## READY\n## Q-003 (results)\n",
                "2 READY|2 Q-003 (results)",
            ),
        ] {
            assert_eq!(outline(text), wanted);
        }
    }

    #[test]
    fn a_line_in_bold_is_a_section_where_no_heading_is() {
        for (text, wanted) in [
            (
                "# Queue\n\n**READY**\n\n### Q-001: a\n#### x\n\n**DONE** (2)\n\n- y\n",
                "1 Queue|1 **READY**|3 Q-001: a|4 x|1 **DONE** (2)",
            ),
            (
                "## Queue\n**🚀 Ready:**\n\n- [ ] Q-001: a\n\n__Running__\n\n## Notes\n",
                "2 Queue|2 **🚀 Ready:**|2 __Running__|2 Notes",
            ),
            ("**READY** items run in order.\n", ""),
            ("text\n**READY**\n", ""),
            ("- **READY**\n", ""),
            ("# Queue\n**READY**\n\n### Q-001: a\n", "1 Queue|3 Q-001: a"),
            (
                "# E\n## Ideas\n### Q-001: a\n\n**To run:**\n\n**Done:**\n\n### Q-002: b\n",
                "1 E|2 Ideas|3 Q-001: a|3 Q-002: b",
            ),
            (
                "**DONE**\n\n### Q-001: a\n\n**To run**\n\n### Q-002: b\n",
                "3 Q-001: a|3 Q-002: b",
            ),
            (
                "## READY\n### Q-001: a\n\n**Running**\n",
                "2 READY|3 Q-001: a",
            ),
        ] {
            assert_eq!(outline(text), wanted);
        }
    }
}
