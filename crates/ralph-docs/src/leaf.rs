//! The markers that begin a block on one line: headings, fences, breaks, list items.
//!
//! Each function looks at the content of one line, without its indentation. What a marker means where it
//! stands (it may continue a paragraph) is decided in [`crate::blocks`].

/// What a list item begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// `-`, `*` or `+`.
    Bullet {
        bullet: char,
        /// Whether nothing follows on the line.
        empty: bool,
    },
    /// A number with `.` or `)`.
    Ordered {
        digits: usize,
        /// Whether it is 1, the only number that may interrupt a paragraph.
        first: bool,
        /// Whether nothing follows on the line.
        empty: bool,
    },
}

impl Marker {
    /// The marker that `content` begins with.
    pub(crate) fn parse(content: &str) -> Option<Self> {
        let bullet = content.chars().next()?;
        if matches!(bullet, '-' | '*' | '+') {
            let empty = is_ended(content.get(1..)?)?;
            return Some(Self::Bullet { bullet, empty });
        }
        let digits = content.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        let after = content.get(digits..)?.strip_prefix(['.', ')'])?;
        Some(Self::Ordered {
            digits,
            first: content.get(..digits)?.parse() == Ok(1),
            empty: is_ended(after)?,
        })
    }

    /// Its length in bytes, which are ASCII.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Bullet { .. } => 1,
            Self::Ordered { digits, .. } => digits + 1,
        }
    }

    /// Whether an item with this marker can begin in the middle of a paragraph.
    pub(crate) fn may_interrupt(self) -> bool {
        match self {
            Self::Bullet { empty, .. } => !empty,
            Self::Ordered { first, empty, .. } => first && !empty,
        }
    }
}

/// Whether nothing but blank space follows a marker; `None` where it is no marker at all.
fn is_ended(after: &str) -> Option<bool> {
    if after.is_empty() || after.starts_with([' ', '\t']) {
        Some(after.trim_matches([' ', '\t']).is_empty())
    } else {
        None
    }
}

/// The opening line of a code fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fence {
    mark: char,
    length: usize,
}

impl Fence {
    /// The fence that `content` opens.
    pub(crate) fn open(content: &str) -> Option<Self> {
        let mark = content.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = run_length(content, mark);
        let info = content.get(length..)?;
        if length < 3 || (mark == '`' && info.contains('`')) {
            return None;
        }
        Some(Self { mark, length })
    }

    /// Whether `content` closes it.
    pub(crate) fn is_closed_by(self, content: &str) -> bool {
        let length = run_length(content, self.mark);
        let rest = content.get(length..).unwrap_or("");
        length >= self.length && rest.trim_matches([' ', '\t']).is_empty()
    }
}

fn run_length(content: &str, mark: char) -> usize {
    content.chars().take_while(|&c| c == mark).count()
}

/// The level of the `#` heading that `content` is.
pub(crate) fn atx_level(content: &str) -> Option<u8> {
    let level = run_length(content, '#');
    let rest = content.get(level..)?;
    let ended = rest.is_empty() || rest.starts_with([' ', '\t']);
    let level = u8::try_from(level).ok()?;
    ((1..=6).contains(&level) && ended).then_some(level)
}

/// The level that the line gives to the paragraph above it.
pub(crate) fn setext_level(content: &str) -> Option<u8> {
    let trimmed = content.trim_end_matches([' ', '\t']);
    let mark = trimmed.chars().next()?;
    let level = match mark {
        '=' => 1,
        '-' => 2,
        _ => return None,
    };
    trimmed.chars().all(|c| c == mark).then_some(level)
}

/// Whether the line is a rule of three or more `-`, `*` or `_`.
pub(crate) fn is_thematic_break(content: &str) -> bool {
    let Some(mark) = content
        .chars()
        .next()
        .filter(|c| matches!(c, '-' | '*' | '_'))
    else {
        return false;
    };
    let mut count = 0;
    for c in content.chars() {
        if c == mark {
            count += 1;
        } else if !matches!(c, ' ' | '\t') {
            return false;
        }
    }
    count >= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_markers() {
        let plain = Some(Marker::Bullet {
            bullet: '-',
            empty: false,
        });
        assert_eq!(Marker::parse("- x"), plain);
        assert_eq!(Marker::parse("-x"), None);
        assert_eq!(
            Marker::parse("-"),
            Some(Marker::Bullet {
                bullet: '-',
                empty: true
            })
        );
        let second = Some(Marker::Ordered {
            digits: 1,
            first: false,
            empty: false,
        });
        assert_eq!(Marker::parse("2) x"), second);
        assert_eq!(Marker::parse("1234567890. x"), None);
        assert!(Marker::parse("01. x").unwrap().may_interrupt());
        assert!(!Marker::parse("2. x").unwrap().may_interrupt());
        assert!(!Marker::parse("*").unwrap().may_interrupt());
        assert_eq!(Marker::parse("é"), None);
    }

    #[test]
    fn fences() {
        let fence = Fence::open("````rust").unwrap();
        assert!(!fence.is_closed_by("```"));
        assert!(!fence.is_closed_by("````x"));
        assert!(fence.is_closed_by("````` "));
        assert!(Fence::open("``` a`b").is_none());
        assert!(Fence::open("~~~ a`b").is_some());
        assert!(Fence::open("``").is_none());
    }

    #[test]
    fn headings_and_breaks() {
        assert_eq!(atx_level("## x"), Some(2));
        assert_eq!(atx_level("#"), Some(1));
        assert_eq!(atx_level("#x"), None);
        assert_eq!(atx_level("####### x"), None);
        assert_eq!(setext_level("=== "), Some(1));
        assert_eq!(setext_level("-"), Some(2));
        assert_eq!(setext_level("- -"), None);
        assert!(is_thematic_break("- - -"));
        assert!(is_thematic_break("***"));
        assert!(!is_thematic_break("--"));
        assert!(!is_thematic_break("--- x"));
    }
}
