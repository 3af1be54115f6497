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
    let titled: Vec<bool> = blocks
        .headings
        .iter()
        .map(|heading| is_section(&title(text, blocks, heading)))
        .collect();
    if !titled.contains(&true) {
        add_bold_titles(text, blocks);
    }
    nest_items(text, blocks);
}

fn title(text: &str, blocks: &Blocks, heading: &Heading) -> String {
    title_of(text, blocks, heading.first..heading.last + 1)
}

fn is_section(title: &str) -> bool {
    QueueSection::from_title(title).is_some()
}

/// Makes a heading of each paragraph that is nothing but a section's title in bold.
fn add_bold_titles(text: &str, blocks: &mut Blocks) {
    let lines: Vec<usize> = (0..blocks.lines.len())
        .filter(|&line| is_bold_title(text, blocks, line))
        .collect();
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
}

fn is_bold_title(text: &str, blocks: &Blocks, line: usize) -> bool {
    let is_text = |line: Option<usize>| {
        let line = line.and_then(|line| blocks.lines.get(line));
        line.is_some_and(|line| line.kind == LineKind::Text && line.depth == 0 && !line.quoted)
    };
    if !is_text(Some(line)) || is_text(line.checked_sub(1)) || is_text(Some(line + 1)) {
        return false;
    }
    let found = blocks.lines.get(line);
    let own = found.and_then(|found| text.get(found.start..found.text_end));
    let own = own.unwrap_or("").trim();
    let marked = own.trim_start_matches(|c: char| !c.is_alphanumeric() && !"*_".contains(c));
    let inner = ["**", "__"]
        .iter()
        .find_map(|mark| marked.strip_prefix(*mark)?.split_once(*mark));
    let Some((inner, behind)) = inner else {
        return false;
    };
    let outside = super::held::without_groups(behind);
    is_section(inner) && !outside.contains(char::is_alphanumeric)
}

/// Puts items that stand at the level of their section, and what is in them, one level deeper.
fn nest_items(text: &str, blocks: &mut Blocks) {
    let titles: Vec<String> = blocks
        .headings
        .iter()
        .map(|heading| title(text, blocks, heading))
        .collect();
    let mut section: Option<u8> = None;
    let mut inside = false;
    for (heading, title) in blocks.headings.iter_mut().zip(&titles) {
        let level = heading.level;
        if section.is_some_and(|section| level < section) {
            (section, inside) = (None, false);
        }
        let deeper = inside && section.is_some_and(|section| level > section);
        if is_section(title) && !deeper {
            (section, inside) = (Some(level), false);
        } else if section == Some(level) {
            inside = id::leading(title).is_some_and(|leading| leading.form != id::Form::Described);
            section = section.filter(|_| inside);
        }
        if inside
            && section.is_some_and(|section| level >= section)
            && (deeper || !is_section(title))
        {
            heading.level = level + 1;
        }
    }
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
            (
                "## READY\n### Q-001: a\n\n**Running**\n",
                "2 READY|3 Q-001: a",
            ),
        ] {
            assert_eq!(outline(text), wanted);
        }
    }
}
