//! A plan that was read, and the changes of its marks.
//!
//! Which of its three characters stands in a box decides nothing about how any line is read. So a change of a mark is one
//! byte at a place that is known, and a text that differs in nothing but marks is not scanned again: a loop reads its
//! plan several times for each task, and hardly ever finds anything else changed.

use std::sync::Arc;

use super::{Flavour, Mark, Row, RowKey, find, problems_of, rows_of};
use crate::document::Document;
use crate::error::DocError;

/// A plan's text with its tasks. Cheap to copy: the rows are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    text: String,
    flavour: Flavour,
    rows: Vec<Arc<Row>>,
    /// The bytes in which the marks of the rows stand.
    places: Arc<[usize]>,
    problems: Arc<[DocError]>,
}

/// What [`Reading::set_mark`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marked {
    /// The plan with one character changed.
    Changed(Reading),
    /// The mark is not one of those that may change, or is what was asked for already; this is the mark.
    Already(Mark),
    /// There is no such task any more.
    Gone,
}

impl Reading {
    /// Reads a plan.
    #[must_use]
    pub fn new(text: String, flavour: Flavour) -> Self {
        let document = Document::new(&text);
        let (rows, places) = rows_of(&document, flavour);
        let problems = problems_of(&document, flavour);
        Self {
            rows: rows.into_iter().map(Arc::new).collect(),
            places: places.into(),
            problems: problems.into(),
            flavour,
            text,
        }
    }

    /// Reads the same plan as it is now; the answer is that of [`Reading::new`].
    #[must_use]
    pub fn follow(&self, text: String) -> Self {
        match self.marks_in(&text) {
            Some(marks) => self.with_marks(text, marks),
            None => Self::new(text, self.flavour),
        }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whose plan it is.
    #[must_use]
    pub fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// The tasks, in the order of their lines.
    #[must_use]
    pub fn rows(&self) -> &[Arc<Row>] {
        &self.rows
    }

    /// What a person should mend: a fence or comment that hides the tasks below it, and, in the plan of a workspace,
    /// tasks before the first repository.
    #[must_use]
    pub fn problems(&self) -> &[DocError] {
        &self.problems
    }

    /// Whether its tasks are at the same places as those of another one, with the same names: that nothing but marks
    /// differs.
    #[must_use]
    pub fn has_tasks_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.places, &other.places)
    }

    /// Changes the mark of a task if it is one of `from`.
    #[must_use]
    pub fn set_mark(&self, key: &RowKey, from: &[Mark], to: Mark) -> Marked {
        let Some(row) = find(&self.rows, self.flavour, key) else {
            return Marked::Gone;
        };
        if row.mark == to || !from.contains(&row.mark) {
            return Marked::Already(row.mark);
        }
        Marked::Changed(self.changed(&[row], to))
    }

    /// Changes the marks of many tasks at once; those that are gone, or whose mark is not one of `from`, stay.
    #[must_use]
    pub fn set_marks(&self, keys: &[&RowKey], from: &[Mark], to: Mark) -> Self {
        let found = keys
            .iter()
            .filter_map(|key| find(&self.rows, self.flavour, key));
        let found: Vec<_> = found.filter(|row| from.contains(&row.mark)).collect();
        self.changed(&found, to)
    }

    fn changed(&self, rows: &[&Arc<Row>], to: Mark) -> Self {
        let mut text = self.text.clone();
        let mut marks: Vec<Mark> = self.rows.iter().map(|row| row.mark).collect();
        for row in rows {
            let index = row.ordinal - 1;
            // A capital `X` stays one.
            let Some((mark, &place)) = marks.get_mut(index).zip(self.places.get(index)) else {
                continue;
            };
            if *mark != to {
                *mark = to;
                text.replace_range(place..=place, to.character().encode_utf8(&mut [0; 4]));
            }
        }
        self.with_marks(text, marks)
    }

    fn with_marks(&self, text: String, marks: Vec<Mark>) -> Self {
        let rows = self.rows.iter().zip(marks).map(|(row, mark)| {
            if row.mark == mark {
                Arc::clone(row)
            } else {
                Arc::new(Row {
                    mark,
                    ..Row::clone(row)
                })
            }
        });
        Self {
            rows: rows.collect(),
            text,
            flavour: self.flavour,
            places: Arc::clone(&self.places),
            problems: Arc::clone(&self.problems),
        }
    }

    /// The marks of the rows in a text that differs in nothing else; `None` where it does.
    fn marks_in(&self, text: &str) -> Option<Vec<Mark>> {
        let (now, before) = (text.as_bytes(), self.text.as_bytes());
        if now.len() != before.len() {
            return None;
        }
        let mut marks = Vec::with_capacity(self.places.len());
        let mut from = 0;
        for &place in &*self.places {
            if now.get(from..place)? != before.get(from..place)? {
                return None;
            }
            marks.push(Mark::of(char::from(*now.get(place)?))?);
            from = place + 1;
        }
        (now.get(from..)? == before.get(from..)?).then_some(marks)
    }
}
