//! A position in a bash file: what ends a statement, an array and a line, and the errors that name it. No name has a
//! meaning here, and no quote.

use std::path::Path;

use super::words::Place;
use super::{Assigned, ShellFileError};

/// Characters that end an unquoted word (bash(1), *metacharacter*).
pub(super) const METACHARACTERS: [char; 10] = [' ', '\t', '\n', ';', '&', '|', '<', '>', '(', ')'];

/// A position in the text.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a str,
    line: usize,
    path: &'a Path,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, path: &'a Path) -> Self {
        Self {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            line: 1,
            path,
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.path
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// Passes over blank lines and comments; false at the end of the text.
    pub(super) fn next_statement(&mut self) -> bool {
        loop {
            self.skip_blanks_and_comment();
            match self.newline() {
                Some(length) => self.advance(length),
                None => return !self.rest.is_empty(),
            }
        }
    }

    /// A statement begins with a word.
    pub(super) fn begins(&self) -> Result<(), ShellFileError> {
        if self.rest.starts_with(METACHARACTERS) {
            return Err(self.operator());
        }
        Ok(())
    }

    /// Passes over blanks and a comment; true at the end of the statement. An operator that would connect it with
    /// another command is an error.
    pub(super) fn at_end_of_statement(&mut self) -> Result<bool, ShellFileError> {
        self.skip_blanks_and_comment();
        if self.rest.is_empty() || self.newline().is_some() {
            return Ok(true);
        }
        let is_separator = self.rest.starts_with(';') && !self.rest.starts_with(";;");
        if !is_separator {
            self.begins()?;
        }
        Ok(is_separator)
    }

    pub(super) fn skip_separator(&mut self) {
        if self.rest.starts_with(';') {
            self.advance(1);
        }
    }

    /// Passes over `NAME=` or `NAME+=`, if it is here; true where it appends.
    pub(super) fn assignment(&mut self) -> Option<(&'a str, bool)> {
        let length = self.rest.find(|c: char| !is_name_character(c))?;
        let (name, after) = self.rest.split_at(length);
        if !is_name(name) {
            return None;
        }
        let appends = after.starts_with("+=");
        if !appends && !after.starts_with('=') {
            return None;
        }
        self.advance(length + if appends { 2 } else { 1 });
        Some((name, appends))
    }

    /// Passes over a name that is declared without a value, which leaves its value as it is.
    pub(super) fn declared_name(&mut self) -> Result<(), ShellFileError> {
        let word = self.plain_word();
        if !is_name(word) {
            return Err(self.malformed(
                "neither a name nor an assignment",
                "Write `export NAME=value`, without blanks around `=`.".to_owned(),
            ));
        }
        self.skip_plain_word();
        Ok(())
    }

    /// The text up to the next metacharacter, with quotes as they stand.
    pub(super) fn plain_word(&self) -> &'a str {
        self.rest
            .split(METACHARACTERS)
            .next()
            .unwrap_or_default()
            .trim_end_matches('\r')
    }

    pub(super) fn skip_plain_word(&mut self) {
        self.advance(self.plain_word().len());
    }

    /// What follows [`Cursor::plain_word`].
    pub(super) fn after_plain_word(&self) -> &'a str {
        &self.rest[self.plain_word().len()..]
    }

    /// Passes over the opening of an array.
    pub(super) fn enters_array(&mut self) -> bool {
        let is_array = self.rest.starts_with('(');
        if is_array {
            self.advance(1);
        }
        is_array
    }

    /// The elements of an array up to its end; `since` is the line of its name.
    pub(super) fn elements(
        &mut self,
        since: usize,
    ) -> Result<Vec<Assigned<String>>, ShellFileError> {
        let opening = self.clone();
        let mut elements = Vec::new();
        loop {
            if !self.next_statement() {
                let instead = format!("Close the array of line {since} with `)`.");
                return Err(opening.malformed("an array without its end", instead));
            }
            if self.rest.starts_with(')') {
                self.advance(1);
                return self.after_array().map(|()| elements);
            }
            if self.rest.starts_with(METACHARACTERS) {
                return Err(self.operator());
            }
            let line = self.line;
            if self.rest.starts_with('[') && self.plain_word().contains("]=") {
                return Err(self.needs_running(
                    "an element with an index",
                    "Write the elements in their order, without indexes.",
                ));
            }
            let value = self.word(Place::Element)?;
            elements.push(Assigned { value, line });
        }
    }

    /// Nothing may stick to the end of an array.
    fn after_array(&self) -> Result<(), ShellFileError> {
        if self.newline().is_some()
            || self.rest.is_empty()
            || self.rest.starts_with([' ', '\t', ';'])
        {
            return Ok(());
        }
        Err(self.malformed(
            "text right after an array",
            "Put it on a line of its own.".to_owned(),
        ))
    }

    pub(super) fn operator(&self) -> ShellFileError {
        self.needs_running(
            "an operator",
            "Put the value into double quotes, or remove the command.",
        )
    }

    pub(super) fn open_quote(&self) -> ShellFileError {
        self.malformed(
            "a quote that is never closed",
            "Close the quote at the end of its value.".to_owned(),
        )
    }

    /// The error for what stands here.
    pub(super) fn needs_running(
        &self,
        what: &'static str,
        instead: impl Into<String>,
    ) -> ShellFileError {
        ShellFileError::NeedsRunning {
            path: self.path.to_owned(),
            line: self.line,
            what,
            found: self.excerpt(),
            instead: instead.into(),
        }
    }

    /// The error for what stands here.
    pub(super) fn malformed(&self, what: &'static str, instead: String) -> ShellFileError {
        ShellFileError::Malformed {
            path: self.path.to_owned(),
            line: self.line,
            what,
            found: self.excerpt(),
            instead,
        }
    }

    /// The start of what stands here, at most 60 characters of its line.
    fn excerpt(&self) -> String {
        let line = self.rest.lines().next().unwrap_or_default();
        line.chars().take(60).collect()
    }

    /// The length of the end of a line, if it is here. A carriage return before it belongs to it, since editors
    /// elsewhere write one.
    pub(super) fn newline(&self) -> Option<usize> {
        match self.rest.as_bytes() {
            [b'\n', ..] => Some(1),
            [b'\r', b'\n', ..] => Some(2),
            [b'\r'] => Some(1),
            _ => None,
        }
    }

    fn skip_blanks_and_comment(&mut self) {
        loop {
            let blanks = self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len();
            self.advance(blanks);
            if self.rest.starts_with("\\\n") {
                self.advance(2);
            } else if self.rest.starts_with("\\\r\n") {
                self.advance(3);
            } else {
                break;
            }
        }
        if self.rest.starts_with('#') {
            self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
    }

    pub(super) fn advance(&mut self, length: usize) {
        let (passed, rest) = self.rest.split_at(length);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }
}

/// Whether a text is a name of a variable.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| is_name_character(c) && !c.is_ascii_digit())
        && text.chars().all(is_name_character)
}

pub(super) fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
