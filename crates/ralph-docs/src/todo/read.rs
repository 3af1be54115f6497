//! Reading the todo list: which list items are tasks, and which of them are next.

use super::{Stray, Task};
use crate::blocks::ItemBlock;
use crate::document::Document;
use crate::items::{TaskMark, list_item};
use crate::lines::LineKind;
use crate::machine::split_field;
use crate::outline::Span;
use crate::quote::quoted;
use crate::section::{innermost, normalise, with_ancestors};
use crate::table;

/// A task and where its mark is.
pub(super) struct Found {
    pub(super) task: Task,
    /// `None` for a list item without one.
    pub(super) mark: Option<TaskMark>,
    /// The byte offset of the text behind the bullet.
    pub(super) content_at: usize,
    pub(super) index: usize,
}

/// Which list items count.
#[derive(Clone, Copy)]
struct Rules {
    /// Only what stands under `Ready` is next.
    only_ready: bool,
    /// An item under `Ready` needs no box: none there has one, ticked or not.
    bare: bool,
}

/// What stands under `Ready` is next; where nothing is open there, what is open below headings without a meaning.
pub(super) fn read(document: &Document<'_>) -> Vec<Found> {
    let all = |only_ready, bare| read_as(document, Rules { only_ready, bare });
    let has_next = |span: &Span| Shelf::of(span).is_some_and(Shelf::is_next);
    if document.spans.iter().any(has_next) {
        let boxed = all(true, false);
        if boxed.iter().any(|found| found.task.ready) {
            return boxed;
        }
        if !has_boxes(document, &boxed) {
            let bare = all(true, true);
            if bare.iter().any(|found| found.task.ready) {
                return bare;
            }
        }
    }
    all(false, false)
}

/// Whether boxes tell what is a task: one under `Ready`, be it ticked, or an open one that may be next. Beside those, a
/// bullet is a remark. What is put off or blocked has boxes of its own.
fn has_boxes(document: &Document<'_>, boxed: &[Found]) -> bool {
    boxed.iter().any(|found| {
        let around = with_ancestors(document, innermost(document, found.task.line - 1));
        match Shelf::around(around) {
            Some(shelf) if !shelf.is_next() => false,
            Some(_) => true,
            None => found.mark.is_some_and(TaskMark::is_open),
        }
    })
}

fn read_as(document: &Document<'_>, rules: Rules) -> Vec<Found> {
    let items = document.blocks.items.iter().enumerate();
    let tasks = items.filter(|(_, item)| !item.quoted);
    tasks
        .filter_map(|(index, item)| task(document, index, item, rules))
        .collect()
}

fn task(document: &Document<'_>, index: usize, block: &ItemBlock, rules: Rules) -> Option<Found> {
    let item = list_item(document, block);
    let nearest = innermost(document, block.first);
    let around: Vec<&Span> = with_ancestors(document, nearest).collect();
    let shelf = Shelf::around(around.iter().copied());
    let bare = rules.bare && block.depth == 0 && shelf.is_some_and(Shelf::is_next);
    if item.task.is_none() && (!bare || says_nothing(&item.text)) {
        return None;
    }
    let reachable = match shelf {
        Some(shelf) => {
            shelf == Shelf::Ready || (shelf == Shelf::Next && (bare || !rules.only_ready))
        }
        None => !rules.only_ready,
    };
    let finished = around.iter().any(|span| is_marked_finished(&span.title));
    let is_open = item.task.is_none_or(TaskMark::is_open) && !item.text.starts_with("~~");
    let task = Task {
        id: item.id,
        text: item.text,
        done: item.task.is_some_and(TaskMark::is_done),
        state: item.task.map_or(' ', |mark| mark.state),
        section: section_title(&around),
        heading: nearest.map(|span| span.title.clone()).unwrap_or_default(),
        ready: is_open && reachable && !finished && !is_blocked(document, block),
        line: item.line,
        depth: item.depth,
        range: item.range,
    };
    Some(Found {
        task,
        mark: item.task,
        content_at: block.content_at,
        index,
    })
}

/// Whether a list item says that there is nothing, or is a remark about the list.
fn says_nothing(text: &str) -> bool {
    let bare = text
        .trim_matches(|c: char| !c.is_alphanumeric())
        .to_lowercase();
    let none = [
        "",
        "none",
        "none yet",
        "nothing",
        "nothing yet",
        "empty",
        "n a",
        "n/a",
        "tbd",
    ];
    let remarks = [
        "note",
        "notes",
        "legend",
        "format",
        "updated",
        "last updated",
        "owner",
        "goal",
        "see",
    ];
    let key = split_field(text).map(|(key, _)| key.to_lowercase());
    none.contains(&bare.as_str()) || key.is_some_and(|key| remarks.contains(&key.as_str()))
}

/// What may be meant as tasks and is not read as any: a list or a table where there is no task at all, and what stands
/// under `Ready` where nothing there is one.
pub(super) fn strays(document: &Document<'_>) -> Vec<Stray> {
    let found = read(document);
    if found.iter().any(|found| found.task.ready) {
        return Vec::new();
    }
    let is_taken = |line: usize| {
        let at = document.start_of(line);
        found.iter().any(|found| found.task.range.contains(&at))
    };
    let wanted = |line: usize| {
        let shelf = Shelf::around(with_ancestors(document, innermost(document, line)));
        let mut around = with_ancestors(document, innermost(document, line));
        let finished = around.any(|span| is_marked_finished(&span.title));
        let open = shelf.is_some_and(Shelf::is_next) || (shelf.is_none() && found.is_empty());
        open && !finished && !is_taken(line)
    };
    let lists = document
        .blocks
        .items
        .iter()
        .filter(|block| block.depth == 0 && !block.quoted);
    let lists = lists.filter_map(|block| {
        let item = list_item(document, block);
        let text = document.line_text(block.first).trim();
        (!says_nothing(&item.text) && !item.text.starts_with("~~"))
            .then_some((block.first, text.to_owned()))
    });
    let tables = table::read(document, 0..document.count()).into_iter();
    let rows = tables.filter_map(|table| {
        let ended = |text: &str| {
            let first = text
                .split(|c: char| !c.is_alphanumeric())
                .find(|word| !word.is_empty());
            let ended = [
                "done",
                "completed",
                "complete",
                "finished",
                "blocked",
                "backlog",
            ];
            text.contains(['✅', '✓', '✔', '☑'])
                || first.is_some_and(|word| ended.contains(&word.to_lowercase().as_str()))
        };
        let open = |row: &&table::Row| !row.cells.iter().any(|cell| ended(&cell.text));
        let row = table.rows.iter().find(open)?;
        Some((
            row.line - 1,
            document.line_text(row.line - 1).trim().to_owned(),
        ))
    });
    let mut strays: Vec<Stray> = lists
        .chain(rows)
        .filter(|(line, _)| wanted(*line))
        .map(|(line, text)| Stray {
            line: line + 1,
            text: quoted(&text, 80),
        })
        .collect();
    strays.sort_by_key(|stray| stray.line);
    strays
}

/// Whether a task says in capitals that it is blocked, at the beginning of its text or of one of its own bullets, or
/// behind a dash, a colon or a bracket; or `(blocked …)` in any case.
fn is_blocked(document: &Document<'_>, block: &ItemBlock) -> bool {
    let own = (block.first..block.last + 1).filter(|&line| {
        document
            .line(line)
            .is_some_and(|line| line.kind == LineKind::Text && line.depth <= block.depth + 2)
    });
    own.into_iter().any(|line| {
        let text = document.line_text(line);
        let lower = text.to_lowercase();
        if ["(blocked", "[blocked", "(waiting", "[waiting", "(on hold"]
            .iter()
            .any(|mark| lower.contains(mark))
        {
            return true;
        }
        let marks = text.match_indices("BLOCKED").filter(|(at, word)| {
            let behind = text.get(at + word.len()..).unwrap_or("");
            let before = text
                .get(..*at)
                .unwrap_or("")
                .trim_end_matches(['*', '_', ' ']);
            let is_marked =
                before.is_empty() || before.ends_with(['-', '–', '—', ':', '(', '[', ']', '+']);
            is_marked && !behind.starts_with(char::is_alphanumeric)
        });
        marks.count() > 0
    })
}

fn section_title(around: &[&Span]) -> String {
    let named = around.iter().find(|span| Shelf::of(span).is_some());
    let second = || around.iter().find(|span| span.level == 2);
    let span = named.or_else(second).or_else(|| around.first());
    span.map(|span| span.title.clone()).unwrap_or_default()
}

/// The sections with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    Ready,
    /// What is next where there is no `Ready`.
    Next,
    Backlog,
    Blocked,
    Completed,
}

impl Shelf {
    pub(super) fn of(span: &Span) -> Option<Self> {
        Self::named(&normalise(&span.title))
    }

    /// The meaning of the headings around a place: the innermost counts, but `In progress` in `Ready` is ready.
    fn around<'d>(spans: impl Iterator<Item = &'d Span>) -> Option<Self> {
        let shelves: Vec<Self> = spans.filter_map(Self::of).collect();
        let decided = shelves.iter().find(|shelf| **shelf != Self::Next);
        decided.or(shelves.first()).copied()
    }

    pub(super) fn is_next(self) -> bool {
        matches!(self, Self::Ready | Self::Next)
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "ready" | "ready tasks" | "ready to start" => Some(Self::Ready),
            "todo" | "to do" | "next" | "next up" | "up next" | "next steps" | "open"
            | "open tasks" | "pending" | "tasks" | "current" | "in progress" | "doing" | "now" => {
                Some(Self::Next)
            }
            "backlog" | "future" | "future work" | "ideas" | "nice to have" | "later"
            | "someday" | "wishlist" | "optional" | "stretch" | "stretch goals" | "icebox"
            | "deferred" | "parked" | "out of scope" | "notes" => Some(Self::Backlog),
            "blocked" | "blocked tasks" | "on hold" | "waiting" => Some(Self::Blocked),
            "completed" | "done" | "finished" | "completed tasks" | "done tasks" | "complete"
            | "archive" | "archived" => Some(Self::Completed),
            _ => None,
        }
    }
}

/// Whether a heading says that all below it is done: `Phase 0: Analysis [COMPLETED]`, `Phase 1 ✅`, `Phase 2 — DONE`.
fn is_marked_finished(title: &str) -> bool {
    let title = title.trim_end();
    let last = title
        .trim_end_matches([')', ']'])
        .rsplit(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap_or("");
    let before = title
        .trim_end_matches([')', ']'])
        .strip_suffix(last)
        .unwrap_or("")
        .trim_end_matches(['*', ' ']);
    let is_apart = before.ends_with(['[', '(', '-', '–', '—', ':', '✅', '✓']);
    let signs = ['✅', '✓', '✔', '☑'];
    title.ends_with(signs)
        || title.trim_end_matches('\u{fe0f}').ends_with(signs)
        || title.starts_with(signs)
        || (is_apart && ["COMPLETED", "COMPLETE", "DONE", "FINISHED"].contains(&last))
}
