//! The `---RALPH_STATUS---` block: an agent's own word about its task.
//!
//! Fields are anchored at the start of a line, so `TESTS_STATUS:` is never taken for `STATUS:` (defect 8.31), and a
//! value that still offers a choice, as `COMPLETE | BLOCKED`, is an echo of the instructions and says nothing.

use serde::{Deserialize, Serialize};

use super::cut;

const BEGIN: &str = "---RALPH_STATUS---";
const END: &str = "---END_RALPH_STATUS---";

/// The longest block that is read, in lines. Longer ones are no block.
const LONGEST: usize = 64;

/// Characters of a value that are kept.
const LONGEST_VALUE: usize = 500;

/// What an agent says about its task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusBlock {
    /// How the task stands.
    pub status: Option<StatusWord>,
    /// Whether it asks that the loop ends.
    pub exit_signal: Option<bool>,
    /// How many tasks it says it completed.
    pub tasks_completed: Option<u64>,
    /// How many files it says it changed.
    pub files_modified: Option<u64>,
    /// `PASSING`, `FAILING`, `NOT_RUN`, or its own word.
    pub tests: Option<String>,
    /// `IMPLEMENTATION`, `TESTING`, or its own word.
    pub work_type: Option<String>,
    /// One line for people.
    pub recommendation: Option<String>,
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusWord {
    /// There is more to do.
    InProgress,
    /// It is done.
    Complete,
    /// It cannot go on.
    Blocked,
}

impl StatusBlock {
    /// Whether the agent says that its work is complete; an explicit exit signal outranks the word.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.exit_signal
            .unwrap_or(self.status == Some(StatusWord::Complete))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn set(&mut self, line: &str) {
        let Some((name, value)) = line.split_once(':') else {
            return;
        };
        let value = value.trim();
        if value.is_empty() || value.contains('|') {
            return;
        }
        let text = || Some(cut(value, LONGEST_VALUE));
        match name.trim() {
            "STATUS" => self.status = StatusWord::parse(value),
            "EXIT_SIGNAL" => self.exit_signal = value.to_ascii_lowercase().parse().ok(),
            "TASKS_COMPLETED_THIS_LOOP" => self.tasks_completed = value.parse().ok(),
            "FILES_MODIFIED" => self.files_modified = value.parse().ok(),
            "TESTS_STATUS" => self.tests = text(),
            "WORK_TYPE" => self.work_type = text(),
            "RECOMMENDATION" => self.recommendation = text(),
            _ => {}
        }
    }
}

impl StatusWord {
    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().replace([' ', '-'], "_").as_str() {
            "IN_PROGRESS" => Some(Self::InProgress),
            "COMPLETE" | "COMPLETED" | "DONE" => Some(Self::Complete),
            "BLOCKED" | "NEEDS_INPUT" => Some(Self::Blocked),
            _ => None,
        }
    }
}

/// Finds blocks in a text that comes line by line; the last complete one counts.
#[derive(Debug, Clone, Default)]
pub struct StatusScanner {
    open: Option<(StatusBlock, usize)>,
    last: Option<StatusBlock>,
}

impl StatusScanner {
    /// Takes one line. Quotation and list marks before a field are passed over.
    pub fn line(&mut self, line: &str) {
        let line = line.trim_matches(|c: char| c.is_whitespace() || matches!(c, '>' | '`' | '*'));
        if line == BEGIN {
            self.open = Some((StatusBlock::default(), 0));
            return;
        }
        let Some((block, lines)) = &mut self.open else {
            return;
        };
        if line == END {
            if let Some((block, _)) = self.open.take().filter(|(block, _)| !block.is_empty()) {
                self.last = Some(block);
            }
            return;
        }
        *lines += 1;
        if *lines > LONGEST {
            self.open = None;
            return;
        }
        block.set(line);
    }

    /// Takes a text of several lines.
    pub fn text(&mut self, text: &str) {
        text.lines().for_each(|line| self.line(line));
    }

    /// The last complete block.
    #[must_use]
    pub fn block(&self) -> Option<&StatusBlock> {
        self.last.as_ref()
    }
}
