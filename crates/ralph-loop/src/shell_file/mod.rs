//! Assignments of a bash file, read without running it: `.ralphrc` and `project.conf`.
//!
//! Both are files that bash programs source. What such a file says by plain assignments is read exactly as bash reads
//! it (bash(1), QUOTING and PARAMETERS): scalars, arrays, all four kinds of quotes, comments, `export` and its kin, and
//! `NAME=${NAME:-text}`, which the template of the old loop's file has. Whatever could only be known by running something is an error with its line and what to write instead. It is never
//! guessed, and never run.
//!
//! Own code because no parser fits: the maintained ones are under the GPL, or bring four times the packages that the
//! lock file has left, for a tree of commands of which all but one kind would be refused here.
//!
//! What must never be here: the meaning of a name, the environment, a file that is opened.

mod cursor;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ralph_core::error::{Code, Coded, Hint};

use cursor::Cursor;
use words::Place;

/// A value and the line of its assignment, from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned<T> {
    /// What was assigned.
    pub value: T,
    /// Where, from one; for a name that is assigned more than once, the last time.
    pub line: usize,
}

/// What a file assigns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShellFile {
    scalars: BTreeMap<String, Assigned<String>>,
    arrays: BTreeMap<String, Array>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Array {
    assigned: Assigned<Vec<String>>,
    /// The line of each element.
    lines: Vec<usize>,
}

impl ShellFile {
    /// A single value; `None` where the name is not assigned, or is an array. Of `NAME=${NAME:-text}` it is the text:
    /// whoever reads settings asks the environment first.
    #[must_use]
    pub fn scalar(&self, name: &str) -> Option<&Assigned<String>> {
        self.scalars.get(name)
    }

    /// The elements of an array; `None` where the name is not assigned, or is a single value.
    #[must_use]
    pub fn array(&self, name: &str) -> Option<&Assigned<Vec<String>>> {
        self.arrays.get(name).map(|array| &array.assigned)
    }

    /// The line, from one, at which an element of an array begins.
    #[must_use]
    pub fn element_line(&self, name: &str, index: usize) -> Option<usize> {
        self.arrays.get(name)?.lines.get(index).copied()
    }

    /// Every assigned name, single values and arrays, in the order of the alphabet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<&str> = self.scalars.keys().map(String::as_str).collect();
        names.extend(self.arrays.keys().map(String::as_str));
        names.sort_unstable();
        names.into_iter()
    }

    /// The line at which a name was last assigned.
    #[must_use]
    pub fn line(&self, name: &str) -> Option<usize> {
        let scalar = self.scalar(name).map(|assigned| assigned.line);
        scalar.or_else(|| Some(self.array(name)?.line))
    }

    fn assign(&mut self, name: &str, line: usize, value: String) {
        let assigned = Assigned { value, line };
        self.scalars.insert(name.to_owned(), assigned);
    }

    fn assign_array(&mut self, name: &str, line: usize, elements: Vec<Assigned<String>>) {
        self.scalars.remove(name);
        let lines = elements.iter().map(|element| element.line).collect();
        let value = elements.into_iter().map(|element| element.value).collect();
        let assigned = Assigned { value, line };
        self.arrays
            .insert(name.to_owned(), Array { assigned, lines });
    }

    /// What `NAME+=(…)` starts from: the array, or the single value as its first element.
    fn elements(&self, name: &str) -> Vec<Assigned<String>> {
        if let Some(scalar) = self.scalar(name) {
            return vec![scalar.clone()];
        }
        let Some(array) = self.arrays.get(name) else {
            return Vec::new();
        };
        let elements = array.assigned.value.iter().zip(&array.lines);
        elements
            .map(|(value, line)| Assigned {
                value: value.clone(),
                line: *line,
            })
            .collect()
    }
}

/// A file that cannot be read as assignments. Nothing of it is used then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShellFileError {
    /// Something whose meaning only a run can tell.
    #[error("{}:{line}: {what} (`{found}`), but this file is read and never run", path.display())]
    NeedsRunning {
        /// The file.
        path: PathBuf,
        /// The line, from one.
        line: usize,
        /// What it is, with its article.
        what: &'static str,
        /// The start of it, as it stands there.
        found: String,
        /// What to write instead, as a sentence.
        instead: String,
    },
    /// Something that bash would not read either.
    #[error("{}:{line}: {what} (`{found}`)", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from one, at which it begins.
        line: usize,
        /// What is wrong.
        what: &'static str,
        /// The start of it, as it stands there.
        found: String,
        /// What to write instead, as a sentence.
        instead: String,
    },
    /// A single value for a name that is an array: bash would change its first element and keep the others.
    #[error("{}:{line}: `{name}` is an array since line {since} and gets a single value here", path.display())]
    Mixed {
        /// The file.
        path: PathBuf,
        /// The line, from one.
        line: usize,
        /// The name.
        name: String,
        /// The line of the array.
        since: usize,
    },
}

impl ShellFileError {
    /// The line, from one, that the error is about.
    #[must_use]
    pub fn line(&self) -> usize {
        match self {
            Self::NeedsRunning { line, .. }
            | Self::Malformed { line, .. }
            | Self::Mixed { line, .. } => *line,
        }
    }
}

impl Coded for ShellFileError {
    fn code(&self) -> Code {
        Code::Usage
    }

    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::NeedsRunning { instead, .. } | Self::Malformed { instead, .. } => {
                Hint::new(instead)
            }
            Self::Mixed { name, .. } => Hint(format!("Write `{name}=(…)` with all its elements.")),
        })
    }
}

/// Builtins whose operands are assignments, and the options of theirs that leave a value as it is written.
const DECLARING: [(&str, &str); 4] = [
    ("declare", "agrx"),
    ("export", ""),
    ("readonly", "a"),
    ("typeset", "agrx"),
];

/// Words that begin a compound command.
const KEYWORDS: [&str; 16] = [
    "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac",
    "select", "function", "{", "[[",
];

/// Reads the text of a file; `path` is for messages only.
///
/// # Errors
/// [`ShellFileError`] for the first line that is more than assignments.
pub fn read(text: &str, path: &Path) -> Result<ShellFile, ShellFileError> {
    let mut reader = Reader {
        cursor: Cursor::new(text, path),
        file: ShellFile::default(),
    };
    while reader.cursor.next_statement() {
        reader.statement()?;
    }
    Ok(reader.file)
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    file: ShellFile,
}

impl Reader<'_> {
    /// One simple command, which has to be assignments only.
    fn statement(&mut self) -> Result<(), ShellFileError> {
        self.cursor.begins()?;
        let start = self.cursor.clone();
        let is_declaration = self.declaration()?;
        let mut is_first = true;
        while !self.cursor.at_end_of_statement()? {
            if let Some((name, appends)) = self.cursor.assignment() {
                self.assignment(name, appends, is_declaration)?;
            } else if is_declaration {
                self.cursor.declared_name()?;
            } else {
                return Err(self.command(is_first));
            }
            is_first = false;
        }
        if is_first {
            return Err(start.needs_running(
                "a command that prints",
                "Name what it declares, as `export NAME=value`.",
            ));
        }
        self.cursor.skip_separator();
        Ok(())
    }

    /// Passes over a declaring builtin and its options, if there is one here.
    fn declaration(&mut self) -> Result<bool, ShellFileError> {
        let word = self.cursor.plain_word();
        let Some((_, known)) = DECLARING.iter().find(|(name, _)| *name == word) else {
            return Ok(false);
        };
        self.cursor.skip_plain_word();
        while !self.cursor.at_end_of_statement()? {
            let Some(options) = self.cursor.plain_word().strip_prefix('-') else {
                break;
            };
            if options.is_empty() || !options.chars().all(|option| known.contains(option)) {
                return Err(self.cursor.needs_running(
                    "an option that changes values",
                    "Write the assignment alone, with the value as it is meant.",
                ));
            }
            self.cursor.skip_plain_word();
        }
        Ok(true)
    }

    fn assignment(
        &mut self,
        name: &str,
        appends: bool,
        is_declaration: bool,
    ) -> Result<(), ShellFileError> {
        let line = self.cursor.line();
        if self.cursor.enters_array() {
            let mut elements = if appends {
                self.file.elements(name)
            } else {
                Vec::new()
            };
            elements.extend(self.cursor.elements(line)?);
            self.file.assign_array(name, line, elements);
            return Ok(());
        }
        // Only where nothing in the file comes before it: then the file has just this to say.
        if !appends
            && self.file.line(name).is_none()
            && let Some(value) = self.cursor.own_default(name)
        {
            self.file.assign(name, line, value);
            return Ok(());
        }
        let place = if is_declaration {
            Place::Operand(name)
        } else {
            Place::Value(name)
        };
        let mut value = self.cursor.word(place)?;
        if let Some(array) = self.file.array(name) {
            return Err(ShellFileError::Mixed {
                path: self.cursor.path().to_owned(),
                line,
                name: name.to_owned(),
                since: array.line,
            });
        }
        if appends && let Some(before) = self.file.scalar(name) {
            value.insert_str(0, &before.value);
        }
        self.file.assign(name, line, value);
        Ok(())
    }

    /// The error for a word that is neither an assignment nor declares one.
    fn command(&self, is_first: bool) -> ShellFileError {
        let word = self.cursor.plain_word();
        let rest = self.cursor.after_plain_word();
        let is_name = cursor::is_name(word);
        if is_first && is_name && rest.trim_start_matches([' ', '\t']).starts_with('=') {
            let instead = format!("Write `{word}=value`, without blanks around `=`.");
            return self.cursor.malformed("blanks around `=`", instead);
        }
        if is_name && rest.trim_start().starts_with('(') {
            return self.cursor.needs_running(
                "a function",
                "Remove it; only assignments of the form NAME=value are read.",
            );
        }
        if word
            .split_once('[')
            .is_some_and(|(name, rest)| cursor::is_name(name) && rest.contains(']'))
        {
            return self.cursor.needs_running(
                "an assignment to one element",
                "Write the whole array, as `NAME=(\"first\" \"second\")`.",
            );
        }
        if KEYWORDS.contains(&word) || word == "!" {
            return self.cursor.needs_running(
                "a compound command",
                "Write the assignments that it would make, without the condition or the loop.",
            );
        }
        if matches!(word, "source" | ".") {
            return self.cursor.needs_running(
                "another file",
                "Write the assignments of that file into this one.",
            );
        }
        if word == ":" {
            return self.cursor.needs_running(
                "a command",
                "Write `NAME=value`: the environment wins over this file anyway.",
            );
        }
        self.cursor.needs_running(
            "a command",
            "Remove it, or quote the value that it belongs to: NAME=\"a value with blanks\".",
        )
    }
}

#[cfg(test)]
mod tests;
