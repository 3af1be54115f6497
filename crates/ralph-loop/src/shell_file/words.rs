//! One word of bash: quotes, escapes, and what bash would expand in it. No statement and no name has a meaning here.

use super::ShellFileError;
use super::cursor::{Cursor, METACHARACTERS, is_name_character};

/// Where a word stands, which decides what bash would expand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// After `NAME=`: no splitting, no matching against files, no braces.
    Value(&'a str),
    /// After `export NAME=`: braces are expanded.
    Operand(&'a str),
    /// Inside `NAME=(…)`: everything is expanded.
    Element,
}

impl Cursor<'_> {
    /// One word, which may be empty after `NAME=`.
    pub(super) fn word(&mut self, place: Place<'_>) -> Result<String, ShellFileError> {
        let mut word = String::new();
        let mut before = None;
        while let Some(next) = self.rest.chars().next() {
            match next {
                _ if self.newline().is_some() || METACHARACTERS.contains(&next) => break,
                '\'' => self.single_quoted(&mut word)?,
                '"' => self.double_quoted(&mut word, place)?,
                '\\' => self.escaped(&mut word),
                '$' => self.dollar(&mut word, place)?,
                '`' => return Err(self.substitution(place)),
                _ => {
                    self.expanded(next, before, place)?;
                    word.push(next);
                    self.advance(next.len_utf8());
                }
            }
            before = Some(next);
        }
        // A parenthesis ends an array, and nothing else that is read here.
        let is_end = place == Place::Element && self.rest.starts_with(')');
        if self.rest.starts_with(['&', '|', '<', '>', '(', ')']) && !is_end {
            return Err(self.operator());
        }
        Ok(word)
    }

    /// Passes over `${NAME:-text}` as the whole value of `NAME`, quoted or not, and returns the text: how scripts let
    /// the environment win over the file.
    pub(super) fn own_default(&mut self, name: &str) -> Option<String> {
        let quote = usize::from(self.rest.starts_with('"'));
        let (text, length) = default_of(&self.rest[quote..], name)?;
        let text = text.to_owned();
        let after = &self.rest[quote + length..];
        let after = if quote == 1 {
            after.strip_prefix('"')?
        } else {
            after
        };
        let is_whole = after.is_empty()
            || after.starts_with([' ', '\t', '\n', ';'])
            || after.starts_with("\r\n");
        if !is_whole {
            return None;
        }
        self.advance(length + 2 * quote);
        Some(text)
    }

    fn single_quoted(&mut self, word: &mut String) -> Result<(), ShellFileError> {
        let inside = &self.rest[1..];
        let Some(length) = inside.find('\'') else {
            return Err(self.open_quote());
        };
        word.push_str(&inside[..length]);
        self.advance(length + 2);
        Ok(())
    }

    fn double_quoted(&mut self, word: &mut String, place: Place<'_>) -> Result<(), ShellFileError> {
        let opening = self.clone();
        self.advance(1);
        while let Some(next) = self.rest.chars().next() {
            match next {
                '"' => {
                    self.advance(1);
                    return Ok(());
                }
                '\\' => {
                    let after = self.rest[1..].chars().next();
                    // Only these lose their backslash (bash(1), *Double Quotes*).
                    if matches!(after, Some('$' | '`' | '"' | '\\' | '\n')) {
                        self.escaped(word);
                    } else {
                        word.push('\\');
                        self.advance(1);
                    }
                }
                '$' if self.rest[1..].starts_with(['\'', '"']) => {
                    word.push('$');
                    self.advance(1);
                }
                '$' => self.dollar(word, place)?,
                '`' => return Err(self.substitution(place)),
                _ => {
                    word.push(next);
                    self.advance(next.len_utf8());
                }
            }
        }
        Err(opening.open_quote())
    }

    /// A backslash and what it protects. Before the end of a line both vanish.
    fn escaped(&mut self, word: &mut String) {
        self.advance(1);
        if let Some(length) = self.newline() {
            self.advance(length);
        } else if let Some(next) = self.rest.chars().next() {
            word.push(next);
            self.advance(next.len_utf8());
        } else {
            word.push('\\');
        }
    }

    fn dollar(&mut self, word: &mut String, place: Place<'_>) -> Result<(), ShellFileError> {
        let after = &self.rest[1..];
        if after.starts_with('\'') {
            return self.ansi_quoted(word);
        }
        if after.starts_with('"') {
            return Err(self.needs_running(
                "a translated string",
                "Write the string without the dollar sign.",
            ));
        }
        if after.starts_with('(') {
            return Err(self.substitution(place));
        }
        let is_special = |c: char| is_name_character(c) || "{[@*#?-$!".contains(c);
        if after.starts_with(is_special) {
            return Err(self.expansion());
        }
        word.push('$');
        self.advance(1);
        Ok(())
    }

    /// `$'…'` (bash(1), QUOTING).
    fn ansi_quoted(&mut self, word: &mut String) -> Result<(), ShellFileError> {
        let opening = self.clone();
        self.advance(2);
        while let Some(next) = self.rest.chars().next() {
            match next {
                '\'' => {
                    self.advance(1);
                    return Ok(());
                }
                '\\' => {
                    let after = self.rest[1..].chars().next();
                    let Some(decoded) = after.and_then(ansi_escape) else {
                        return Err(self.malformed(
                            "an escape that is not read here",
                            r#"Write the character itself; \n, \t, \r, \e, \a, \b, \f, \v, \\, \' and \" are read."#
                                .to_owned(),
                        ));
                    };
                    word.push(decoded);
                    self.advance(2);
                }
                _ => {
                    word.push(next);
                    self.advance(next.len_utf8());
                }
            }
        }
        Err(opening.open_quote())
    }

    /// An error where bash would make something else of an unquoted character. `before` is the character before it,
    /// `None` at the start of the word.
    fn expanded(
        &self,
        next: char,
        before: Option<char>,
        place: Place<'_>,
    ) -> Result<(), ShellFileError> {
        let starts_a_path = match (before, place) {
            (None | Some(':'), _) => true,
            (Some(before), Place::Element) => before == '=',
            _ => false,
        };
        let what = match (next, place) {
            ('~', _) if starts_a_path => "a home folder",
            ('*' | '?' | '[', Place::Element) => "a pattern of file names",
            ('{', Place::Element | Place::Operand(_)) => "a brace expansion",
            _ => return Ok(()),
        };
        let instead = if next == '~' {
            "Write the full path of the folder, or quote it if the character is meant."
        } else {
            "Put the value into double quotes."
        };
        Err(self.needs_running(what, instead))
    }

    fn expansion(&self) -> ShellFileError {
        self.needs_running(
            "an expansion",
            "Write the value itself, or put it into single quotes if the dollar sign is meant.",
        )
    }

    fn substitution(&self, place: Place<'_>) -> ShellFileError {
        let instead = match place {
            Place::Value(name) | Place::Operand(name) => format!(
                "Write what the command prints, as `{name}=\"…\"`, or set {name} in the environment."
            ),
            Place::Element => "Write what the command prints, in double quotes.".to_owned(),
        };
        self.needs_running("a command substitution", instead)
    }
}

fn ansi_escape(after: char) -> Option<char> {
    Some(match after {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'e' | 'E' => '\u{1b}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '\\' | '\'' | '"' | '?' => after,
        _ => return None,
    })
}

/// The `text` of `${NAME:-text}`, and how long all of it is.
fn default_of<'a>(rest: &'a str, name: &str) -> Option<(&'a str, usize)> {
    let inside = rest.strip_prefix("${")?.strip_prefix(name)?;
    let inside = ["-", ":-", "=", ":="]
        .iter()
        .find_map(|mark| inside.strip_prefix(mark))?;
    let default = inside.split('}').next()?;
    let length = rest.len() - inside.len() + default.len() + 1;
    let is_plain = !default.contains(['$', '`', '"', '\'', '\\', '{', '~', '\n']);
    (is_plain && length <= rest.len()).then_some((default, length))
}
