//! The plan that was read last, so that only what has changed in it is read anew. Nothing here reads the file: whoever
//! wants the plan reads all of it each time, and the answer is that of a plan that nobody knew.

use std::sync::{Arc, Mutex, PoisonError};

use ralph_docs::fix_plan::{Flavour, Reading, Row};

use crate::task::{Task, TaskKey};

/// A plan with its rows as tasks.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) reading: Reading,
    /// Beside the rows of the reading. A mark is no part of a task.
    pub(super) tasks: Arc<[Arc<Task>]>,
}

impl Known {
    fn of(reading: Reading) -> Self {
        let flavour = reading.flavour();
        let tasks = reading
            .rows()
            .iter()
            .map(|row| Arc::new(task(row, flavour)));
        Self {
            tasks: tasks.collect(),
            reading,
        }
    }

    fn follow(&self, text: String) -> Self {
        let reading = self.reading.follow(text);
        if reading.has_tasks_of(&self.reading) {
            let tasks = Arc::clone(&self.tasks);
            Self { reading, tasks }
        } else {
            Self::of(reading)
        }
    }

    /// The text that was read.
    pub(super) fn text(&self) -> &str {
        self.reading.text()
    }
}

fn task(row: &Row, flavour: Flavour) -> Task {
    let repository = (flavour == Flavour::Workspace).then_some(row.key.section.as_str());
    Task {
        key: TaskKey::of(repository, &row.key),
        id: row.id.clone(),
        row: row.key.clone(),
        repository: repository.map(str::to_owned),
        line: row.line,
    }
}

/// What was read last.
#[derive(Debug, Default)]
pub(super) struct Last(Mutex<Option<Known>>);

impl Last {
    /// Reads a plan.
    pub(super) fn read(&self, text: String, flavour: Flavour) -> Known {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match last.take() {
            Some(known) if known.text() == text => known,
            Some(known) => known.follow(text),
            None => Known::of(Reading::new(text, flavour)),
        };
        last.insert(known).clone()
    }
}
