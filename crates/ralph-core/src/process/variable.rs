//! Environment variables: what of a text can be the value of one, and which ones no program inherits. Pure; nothing here
//! starts a program.

/// Variables of a surrounding git, as in a hook, that turn every git below it to another repository (git(1)).
pub const FOREIGN: [&str; 10] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_CEILING_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
];

/// As much of a text as stands in a variable, in bytes. Linux starts no program with a variable of 128 KiB or more
/// (execve(2), `MAX_ARG_STRLEN`).
pub const LONGEST: usize = 32 * 1024;

/// The beginning of a text, as long as a variable may be, cut between characters and without NUL, at which a variable
/// would end and for which no program starts.
#[must_use]
pub fn value(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    kept.chars().filter(|c| *c != '\0').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_has_no_nul() {
        assert_eq!(value("a\0b"), "ab");
        assert_eq!(value(&"x".repeat(LONGEST)).len(), LONGEST);
        let wide = value(&format!("x{}", "\u{20ac}".repeat(LONGEST)));
        assert_eq!(wide.len(), 1 + (LONGEST - 1) / 3 * 3);
    }
}
