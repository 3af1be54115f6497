//! Why a state file cannot be read or changed, and what a person can do about it.
//!
//! Everything a message says is worked out here from a [`Fault`] and the text around it. The path of the file
//! is not known here; callers put it in front. What must never be here: a decision.

use std::fmt;

use super::fault::{Fault, FaultKind};
use super::grammar::Kind;
use super::lines::{Lines, Place};
use super::tree::{self, Duplicate, Node};
use crate::error::{Code, Coded, Hint};

/// A state file that cannot be read, or an edit that was not made. Nothing was written in either case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The text is not strict JSON (incidents 1 and 2). Unreadable is not empty.
    #[error("{line}:{column}: expected {expected}, found {found}")]
    Corrupt {
        /// Line of what has to be changed, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
        /// The likely fix, as one sentence.
        fix: String,
    },
    /// An object has the same key twice; other readers silently use the last one (incident 3).
    #[error(
        "{line}:{column}: expected each key once in an object, found {key:?} again (first in line {first_line})"
    )]
    DuplicateKey {
        /// The key.
        key: String,
        /// Line of the second occurrence, from 1.
        line: usize,
        /// Column of the second occurrence in characters, from 1.
        column: usize,
        /// Line of the first occurrence, from 1.
        first_line: usize,
    },
    /// The text is JSON, but no object.
    #[error("{line}:{column}: expected an object, found {found}")]
    NotAnObject {
        /// Line of the value, from 1.
        line: usize,
        /// Column of the value in characters, from 1.
        column: usize,
        /// What kind of value it is.
        found: &'static str,
    },
    /// The edit does not apply to what the file holds now.
    #[error("{path}: expected {expected}, found {found}")]
    Conflict {
        /// The member or the record, such as `active_runs[3].job_id`.
        path: String,
        /// What the edit needs there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The edit would have dropped a record of a run (incidents 4 and 5). A defect of the program.
    #[error(
        "expected every record to be kept, found that run {run_id} with job {job_id} (line {line}) would be lost"
    )]
    RecordLost {
        /// The run, `-` when it has no id.
        run_id: String,
        /// The job, `-` when it has no id.
        job_id: String,
        /// Line of the record in the text as it was, from 1.
        line: usize,
    },
    /// The file says that a newer version wrote it: it can be read, and is never written.
    #[error("expected format {ours} or older, found format {found}")]
    NewerFormat {
        /// The number in the file.
        found: String,
        /// The newest format that this version writes.
        ours: u64,
    },
    /// The edited text did not hold exactly what was intended. A defect of the program.
    #[error("expected only the intended change, found another at {path}: {detail}")]
    UnintendedChange {
        /// Where the two trees differ first.
        path: String,
        /// How they differ.
        detail: String,
    },
}

impl Coded for PipelineError {
    fn code(&self) -> Code {
        match self {
            Self::Corrupt { .. } | Self::DuplicateKey { .. } | Self::NotAnObject { .. } => {
                Code::CorruptState
            }
            Self::Conflict { .. } => Code::Conflict,
            Self::NewerFormat { .. } => Code::NewerFormat,
            Self::RecordLost { .. } | Self::UnintendedChange { .. } => Code::Bug,
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint(match self {
            Self::Corrupt { fix, .. } => fix.clone(),
            Self::DuplicateKey {
                key,
                line,
                first_line,
                ..
            } => format!(
                "Merge the two {key:?} of lines {first_line} and {line} into one; other programs read only the second."
            ),
            Self::NotAnObject { .. } => PUT_BACK.to_owned(),
            Self::Conflict { path, .. } => {
                format!("Look at {path} in the file; it was left as it is.")
            }
            Self::NewerFormat { .. } => {
                "Use the newer version of ralph that wrote the file.".to_owned()
            }
            Self::RecordLost { .. } | Self::UnintendedChange { .. } => {
                "Nothing was written. Please report this as a bug, with the file.".to_owned()
            }
        }))
    }
}

impl PipelineError {
    /// The error for a text that is not strict JSON.
    pub(crate) fn corrupt(bytes: &[u8], fault: Fault) -> Self {
        let Place { line, column } = Lines::of(bytes).place(bytes, fault.at);
        let after = bytes.get(fault.at..).unwrap_or_default();
        Self::Corrupt {
            line,
            column,
            expected: expected(fault.kind).to_owned(),
            found: found(fault.kind, after),
            fix: fix(fault.kind, after, Where { line, column }),
        }
    }

    /// The error for an object with two equal keys.
    pub(super) fn duplicate(text: &str, duplicate: &Duplicate) -> Self {
        let lines = Lines::of(text.as_bytes());
        let Place { line, column } = lines.place(text.as_bytes(), duplicate.second.start);
        let key = tree::decode(text.get(duplicate.second.clone()).unwrap_or_default());
        Self::DuplicateKey {
            key: key.into_owned(),
            line,
            column,
            first_line: lines.line(duplicate.first),
        }
    }

    /// The error for a document that is no object.
    pub(super) fn not_an_object(text: &str, root: Node) -> Self {
        let Place { line, column } = Lines::of(text.as_bytes()).place(text.as_bytes(), root.start);
        Self::NotAnObject {
            line,
            column,
            found: match root.kind {
                Kind::Null => "null",
                Kind::Bool => "true or false",
                Kind::Number => "a number",
                Kind::Text => "a string",
                Kind::List => "a list",
                Kind::Object => "an object",
            },
        }
    }
}

/// `line 214, column 6`.
#[derive(Clone, Copy)]
struct Where {
    line: usize,
    column: usize,
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What has to stand where the fault is.
fn expected(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Truncated => "the rest of an object or a list",
        FaultKind::Empty => "an object",
        FaultKind::TrailingComma => "another value after the comma",
        FaultKind::MissingComma => "a comma after the value",
        FaultKind::AfterValue => "a comma or a closing bracket",
        FaultKind::MissingColon => "`:` after the key",
        FaultKind::Key => "a key in double quotes",
        FaultKind::Value => "a value",
        FaultKind::WrongBracket => "the bracket that closes what was opened last",
        FaultKind::OpenString => "a closing quote on the same line",
        FaultKind::Control => "no control character inside a string",
        FaultKind::Escape => "an escape that JSON has",
        FaultKind::Surrogate => "both halves of a surrogate pair",
        FaultKind::Number => "a number as JSON writes it",
        FaultKind::Range => "a number that a 64-bit float can hold",
        FaultKind::Depth => "at most 127 nested objects and lists",
        FaultKind::Rest => "nothing after the end of the document",
        FaultKind::Utf8 => "UTF-8",
    }
}

/// What stands there. `after` begins at the fault.
fn found(kind: FaultKind, after: &[u8]) -> String {
    match (kind, after.first()) {
        (_, None) => "the end of the file".to_owned(),
        (FaultKind::TrailingComma, _) => "a closing bracket".to_owned(),
        (FaultKind::MissingComma, _) => {
            format!("{} directly after it", excerpt(after.trim_ascii_start()))
        }
        (FaultKind::Utf8, Some(byte)) => format!("the byte 0x{byte:02X}"),
        (_, Some(byte)) if *byte < 0x20 => format!("the control character 0x{byte:02X}"),
        _ => excerpt(after),
    }
}

/// The word or the character at the start of `after`, cut to what fits in a message.
fn excerpt(after: &[u8]) -> String {
    if let Some(unseen) = invisible(after) {
        return format!("the character U+{:04X}", u32::from(unseen));
    }
    let window = after.get(..after.len().min(96)).unwrap_or_default();
    let text = String::from_utf8_lossy(window);
    let word = |c: char| !c.is_whitespace() && !",:[]{}".contains(c);
    let mut cut: String = text.chars().take_while(|c| word(*c)).take(24).collect();
    if cut.is_empty() {
        cut = text.chars().take(1).collect();
    }
    format!("`{cut}`")
}

/// The likely fix, as one sentence. It names the place again, because it is read on its own.
fn fix(kind: FaultKind, after: &[u8], place: Where) -> String {
    let line = place.line;
    match kind {
        FaultKind::TrailingComma => format!("Remove the comma at {place}."),
        FaultKind::MissingComma if is_joined(after) => whole_value(place),
        FaultKind::MissingComma => format!("Add a comma at {place}."),
        FaultKind::MissingColon => format!("Add a colon at {place}."),
        FaultKind::OpenString if !after.contains(&b'\n') => format!(
            "Close the string that begins at {place}, or put back the last good version of the file: it ends there."
        ),
        FaultKind::OpenString => format!("Close the string that begins at {place}."),
        FaultKind::Control => format!("Write the character at {place} as an escape such as \\n."),
        FaultKind::Escape => {
            format!("Write the backslash at {place} as \\\\, or use an escape that JSON has.")
        }
        FaultKind::Surrogate => format!("Write the whole character at {place}, not half of it."),
        FaultKind::Utf8 => "Save the file as UTF-8.".to_owned(),
        FaultKind::Truncated | FaultKind::Empty | FaultKind::Depth => PUT_BACK.to_owned(),
        FaultKind::WrongBracket => format!("Compare the brackets up to {place}."),
        FaultKind::Rest => format!("Remove what follows the end of the document from {place} on."),
        FaultKind::Key
        | FaultKind::Value
        | FaultKind::AfterValue
        | FaultKind::Number
        | FaultKind::Range => fix_by_sight(kind, after, place)
            .unwrap_or_else(|| format!("Correct line {line} at column {}.", place.column)),
    }
}

/// What is done where a file is beyond mending.
const PUT_BACK: &str =
    "Put back the last good version of the file, for instance with `git checkout`.";

/// Whether what follows a value belongs to it: `2026-01-12`, `0x1F`, `"he said "no""`.
fn is_joined(after: &[u8]) -> bool {
    after
        .first()
        .is_some_and(|byte| !byte.is_ascii_whitespace() && !b"\"{[".contains(byte))
}

fn whole_value(place: Where) -> String {
    format!(
        "Write the whole value that stands at {place} in double quotes, and each quote inside it as \\\"."
    )
}

/// A character that cannot be seen.
fn invisible(after: &[u8]) -> Option<char> {
    let window = String::from_utf8_lossy(after.get(..after.len().min(4)).unwrap_or_default());
    let first = window.chars().next().filter(|c| !c.is_ascii())?;
    let is_unseen = first.is_whitespace()
        || ('\u{200B}'..='\u{200F}').contains(&first)
        || ['\u{2060}', '\u{FEFF}'].contains(&first);
    is_unseen.then_some(first)
}

/// The fix for the things that people and other programs take for JSON.
fn fix_by_sight(kind: FaultKind, after: &[u8], place: Where) -> Option<String> {
    const MARKERS: [&[u8]; 4] = [b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||"];
    const QUOTES: [&str; 6] = ["'", "“", "”", "„", "‘", "’"];
    const WORDS: [(&[u8], &str); 8] = [
        (b"undefined", "null"),
        (b"NaN", "null"),
        (b"Infinity", "null"),
        (b"-Infinity", "null"),
        (b"-NaN", "null"),
        (b"True", "true"),
        (b"False", "false"),
        (b"None", "null"),
    ];
    let starts = |word: &[u8]| after.starts_with(word);
    if MARKERS.iter().any(|marker| starts(marker)) {
        return Some(format!(
            "Resolve the merge conflict that is marked in line {}.",
            place.line
        ));
    }
    if let Some((_, right)) = WORDS.iter().find(|(wrong, _)| starts(wrong)) {
        return Some(format!("Write `{right}` at {place}."));
    }
    if starts(b"//") || starts(b"/*") || starts(b"#") {
        return Some(format!("Remove the comment at {place}; JSON has none."));
    }
    let is_value = kind == FaultKind::Value;
    if is_value && (place.line, place.column) == (1, 1) {
        return Some(match after.contains(&b'{') {
            true => "Remove what stands in front of the first `{`.".to_owned(),
            false => PUT_BACK.to_owned(),
        });
    }
    if starts(b",") {
        let or_null = if is_value {
            ", or write a value such as null in front of it"
        } else {
            ""
        };
        return Some(format!("Remove the comma at {place}{or_null}."));
    }
    if invisible(after).is_some() {
        return Some(format!("Remove the character at {place}."));
    }
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.:/-+".contains(byte);
    if kind == FaultKind::AfterValue && after.first().is_some_and(is_word) {
        return Some(whole_value(place));
    }
    let is_quoted = QUOTES.iter().any(|quote| starts(quote.as_bytes()));
    if is_quoted || after.first().is_some_and(u8::is_ascii_alphabetic) {
        return Some(format!("Write the text at {place} in double quotes."));
    }
    None
}
