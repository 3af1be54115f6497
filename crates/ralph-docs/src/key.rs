//! Our marks in other people's documents: comments that are not shown, and that say what is ours.
//!
//! `<!-- ralph -->` ends a line that the machine wrote and may update; `<!-- ralph: KEY -->` names an entry
//! so that writing it a second time finds the first. Whoever removes a mark takes the text over for good.
//! Text from outside cannot contain a mark, because [`crate::quote`] escapes `<`.

/// The end of a line that is the machine's own.
pub(crate) const LINE_MARK: &str = "<!-- ralph -->";

const OPEN: &str = "<!-- ralph: ";
const CLOSE: &str = " -->";

/// The comment that carries a key.
pub(crate) fn comment(key: &str) -> String {
    format!("{OPEN}{}{CLOSE}", encode(key))
}

/// The key in the comment that a line carries.
pub(crate) fn in_line(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(OPEN)?;
    let (key, _) = rest.split_once(CLOSE)?;
    decode(key)
}

/// A line without its comment.
pub(crate) fn without(line: &str) -> &str {
    line.split_once(OPEN)
        .map_or(line, |(text, _)| text)
        .trim_end()
}

/// A key is percent-encoded where it would end the comment, break the line or not be ASCII text; `--` is
/// not allowed in comments by older readers.
fn encode(key: &str) -> String {
    let mut out = String::new();
    let mut previous = ' ';
    for c in key.chars() {
        let plain = c.is_ascii_graphic() && !matches!(c, '%' | '<' | '>') || c.is_alphanumeric();
        let second_dash = c == '-' && previous == '-';
        if plain && !second_dash {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push('%');
                out.push(hex(byte >> 4));
                out.push(hex(byte & 15));
            }
        }
        previous = c;
    }
    out
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap_or('0')
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.get(..2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_readable_where_they_can_be() {
        assert_eq!(
            comment("q001_20260112_233413/123_4"),
            "<!-- ralph: q001_20260112_233413/123_4 -->"
        );
        assert_eq!(
            comment("a--b --> c"),
            "<!-- ralph: a-%2db%20-%2d%3e%20c -->"
        );
        assert_eq!(without("- [ ] (D1) x <!-- ralph: k -->"), "- [ ] (D1) x");
        assert_eq!(in_line("- a <!-- ralph -->"), None);
        assert_eq!(in_line("<!-- ralph: %zz -->"), None);
        assert_eq!(in_line("<!-- ralph: %é -->"), None);
    }

    proptest! {
        #[test]
        fn any_key_can_be_read_back(key in any::<String>()) {
            let comment = comment(&key);
            prop_assert_eq!(in_line(&format!("- x {comment}")), Some(key));
            let inner = &comment[4..comment.len() - 3];
            prop_assert!(!inner.contains("--") && !inner.contains('>') && !inner.contains('\n'));
        }
    }
}
