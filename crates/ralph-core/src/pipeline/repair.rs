//! The one repair: a comma in front of a closing bracket, left behind when the last element was removed by hand
//! (incidents 1 and 2).
//!
//! What must never be here: any other repair. Everything else is reported with its place and left to a person.

use super::lines::Lines;
use super::read_tree;

/// A comma that was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repaired {
    /// Line in the text as it was, from 1.
    pub line: usize,
    /// Column in the text as it was, in characters, from 1.
    pub column: usize,
}

/// Takes out every comma that stands in front of `]` or `}`. `None` when there is none, or when the text is
/// unreadable for another reason too: then nothing is repaired.
#[must_use]
pub fn repair_trailing_commas(text: &str) -> Option<(String, Vec<Repaired>)> {
    let commas = trailing_commas(text.as_bytes());
    if commas.is_empty() {
        return None;
    }
    let lines = Lines::of(text.as_bytes());
    let mut mended = String::with_capacity(text.len());
    let mut done = 0;
    for comma in &commas {
        mended.push_str(text.get(done..*comma)?);
        done = comma + 1;
    }
    mended.push_str(text.get(done..)?);
    read_tree(&mended).ok()?;
    let places = commas.iter().map(|comma| {
        let place = lines.place(text.as_bytes(), *comma);
        Repaired {
            line: place.line,
            column: place.column,
        }
    });
    Some((mended, places.collect()))
}

/// Offsets of the commas outside strings whose next character, blanks aside, is a closing bracket.
fn trailing_commas(bytes: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut comma = None;
    let mut in_string = false;
    let mut escaped = false;
    for (at, byte) in bytes.iter().enumerate() {
        if in_string {
            in_string = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b']' | b'}' => found.extend(comma),
            b'"' => in_string = true,
            _ => {}
        }
        comma = (*byte == b',').then_some(at);
    }
    found
}
