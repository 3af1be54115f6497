//! The ids that people put in front of titles and tasks, as they really write them.
//!
//! Only the shape is judged here. An id keeps the case and the zeros it was written with.

/// Splits off a numbered id such as `Q-001` or `IRED-CD-004`: capital words joined by dashes (or a lone
/// `q`), then a dash and a number with whatever is attached to it.
pub(crate) fn split_numbered(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !is_id_char(c)).unwrap_or(text.len());
    let id = text.get(..end)?.trim_end_matches(['.', '-', '_']);
    let digit = id.find(|c: char| c.is_ascii_digit())?;
    let words = id.get(..digit)?.strip_suffix('-')?;
    let is_capital = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase());
    let fits = id.len() <= 60 && (words == "q" || words.split('-').all(is_capital));
    if fits {
        text.split_at_checked(id.len())
    } else {
        None
    }
}

/// Splits off a short id: one to four letters, then a number with parts joined by `.` or `-`: `T1`, `T0.1`,
/// `P1-12`, `Q-004`.
pub(crate) fn split_short(text: &str) -> Option<(&str, &str)> {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    let rest = text.get(letters..)?;
    let number = rest.strip_prefix('-').unwrap_or(rest);
    if !(1..=4).contains(&letters) || !number.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let end = text.find(|c: char| !is_id_char(c)).unwrap_or(text.len());
    let end = text.get(..end)?.trim_end_matches(['.', '-', '_']).len();
    text.split_at_checked(end)
}

/// The short id in front of a list item's text, and what follows it. In parentheses or in bold an id needs
/// nothing more; a bare one is followed by a colon.
pub(crate) fn leading_short(text: &str) -> Option<(&str, &str)> {
    let inner = text.trim_start_matches('*');
    let bold = inner.len() < text.len();
    let (id, after, enclosed) = match inner.strip_prefix('(') {
        Some(inner) => {
            let (id, after) = split_short(inner)?;
            (id, after.strip_prefix(')')?, true)
        }
        None => {
            let (id, after) = split_short(inner)?;
            (id, after, bold && after.starts_with("**"))
        }
    };
    let after = after.trim_start_matches('*');
    let rest = match after.strip_prefix(':') {
        Some(rest) => rest.trim_start_matches('*'),
        None if enclosed => after,
        None => return None,
    };
    let separated = rest.is_empty() || rest.starts_with([' ', '\t']);
    separated.then(|| (id, rest.trim_start()))
}

/// The numbers of all ids of one letter in parentheses, such as the 3 of `(D3)`.
pub(crate) fn numbers_in<'t>(text: &'t str, letter: char) -> impl Iterator<Item = u32> + 't {
    text.split('(').skip(1).filter_map(move |rest| {
        let digits = rest.strip_prefix(letter)?.split_once(')')?.0;
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    })
}

/// Whether a character can be part of an id.
pub(crate) fn is_id_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_as_they_are_written_in_the_wild() {
        let id = |text| leading_short(text).map(|(id, rest)| format!("{id}|{rest}"));
        assert_eq!(id("(T1) Create it").as_deref(), Some("T1|Create it"));
        assert_eq!(id("(T0.1) Correct").as_deref(), Some("T0.1|Correct"));
        assert_eq!(id("**(R1)** Run").as_deref(), Some("R1|Run"));
        assert_eq!(id("S9: Implement").as_deref(), Some("S9|Implement"));
        assert_eq!(id("P1-12: Compute").as_deref(), Some("P1-12|Compute"));
        assert_eq!(id("**Q-004**: Larger").as_deref(), Some("Q-004|Larger"));
        assert_eq!(id("**Q-004:** Larger").as_deref(), Some("Q-004|Larger"));
        assert_eq!(id("(T1)").as_deref(), Some("T1|"));
        for none in [
            "Import errors (timm)",
            "P9 without a colon",
            "(none)",
            "(a) one",
            "GPU: x",
            "10: y",
            "A1:b",
        ] {
            assert_eq!(id(none), None, "{none}");
        }
    }

    #[test]
    fn numbered_ids() {
        let id = |text| split_numbered(text).map(|(id, rest)| format!("{id}|{rest}"));
        assert_eq!(id("Q-001: x").as_deref(), Some("Q-001|: x"));
        assert_eq!(id("IRED-CD-004.").as_deref(), Some("IRED-CD-004|."));
        assert_eq!(id("q-7b").as_deref(), Some("q-7b|"));
        for none in [
            "Q001",
            "Q-",
            "x-1",
            "-1",
            "2026-06-04",
            "IRED-CD Experiments",
        ] {
            assert_eq!(id(none), None, "{none}");
        }
    }

    #[test]
    fn numbers_of_a_letter() {
        let numbers: Vec<u32> =
            numbers_in("(D1) (D07) (Dx) (D2 (E3) (D99999999999)", 'D').collect();
        assert_eq!(numbers, [1, 7]);
    }
}
