//! One field of an item: its key in plain words, and its value as a text, a path or a list of names.
//!
//! Where fields stand in an item is not known here: see [`super::fields`].

use super::depend;

/// A `Key: value` line and the list items below it.
pub(super) struct Field {
    pub(super) line: usize,
    /// As it is written.
    pub(super) key: String,
    /// The key in lower case and in plain words: `depends_on` is `depends on`.
    pub(super) name: String,
    pub(super) value: String,
    pub(super) nested: Vec<String>,
}

impl Field {
    pub(super) fn new(line: usize, key: String, value: String, nested: Vec<String>) -> Self {
        Self {
            line,
            name: plain_key(&key),
            key,
            value,
            nested,
        }
    }

    pub(super) fn is_one_of(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    pub(super) fn text(&self) -> String {
        if self.nested.is_empty() || !self.value.is_empty() {
            return self.value.clone();
        }
        self.nested.join(", ")
    }

    /// The value and what is listed below it.
    pub(super) fn all(&self) -> String {
        let all = std::iter::once(&self.value).chain(&self.nested);
        let all: Vec<&str> = all
            .map(String::as_str)
            .filter(|text| !text.is_empty())
            .collect();
        all.join(", ")
    }

    /// The value as a path: what the first code span holds, or the value as it is. A sentence names none.
    pub(super) fn path(&self) -> Option<String> {
        let text = self.text();
        let code = text.strip_prefix('`').and_then(|rest| rest.split_once('`'));
        let path = code.map_or(text.as_str(), |(path, _)| path).trim();
        (!is_nothing(path) && looks_like_path(path)).then(|| path.to_owned())
    }

    fn pieces(&self) -> impl Iterator<Item = &str> {
        let all =
            std::iter::once(self.value.as_str()).chain(self.nested.iter().map(String::as_str));
        all.flat_map(|text| depend::pieces(text))
            .flat_map(|piece| piece.split(" and "))
            .map(bare_name)
            .filter(|piece| !is_nothing(piece))
    }

    pub(super) fn list(&self) -> Vec<String> {
        self.pieces().map(str::to_owned).collect()
    }
}

/// `**Depends_on**` as `depends on`, `📄 Script(s)` as `scripts`.
pub(super) fn plain_key(key: &str) -> String {
    let key = key.replace(['_', '-'], " ").replace("(s)", "s");
    let key = key.trim_matches(|c: char| !c.is_alphanumeric());
    key.to_lowercase()
}

/// Whether a value is a path with perhaps a remark behind it, and no list of settings such as `lr=1e-4, 2 layers`.
fn looks_like_path(value: &str) -> bool {
    const ENDINGS: [&str; 12] = [
        "json",
        "jsonc",
        "yaml",
        "yml",
        "toml",
        "ini",
        "cfg",
        "conf",
        "py",
        "gin",
        "libsonnet",
        "txt",
    ];
    let value = value.trim_start_matches("./");
    let word = bare_name(value)
        .split_whitespace()
        .next()
        .unwrap_or("")
        .trim_end_matches([',', ';']);
    let ending = word
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_lowercase());
    let is_file = ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()));
    let is_alone = !bare_name(value).contains([' ', '=']);
    let is_linked = word.starts_with('[') && value.contains("](");
    is_file || is_linked || is_alone || (word.contains('/') && !word.contains(['=', ':']))
}

/// A file's name without the backticks around it and the remark behind it.
fn bare_name(piece: &str) -> &str {
    let piece = piece.trim();
    let piece = piece.strip_prefix("and ").unwrap_or(piece).trim();
    match piece
        .strip_prefix('`')
        .and_then(|rest| rest.split_once('`'))
    {
        Some((name, _)) => name.trim(),
        None => piece
            .split(" (")
            .next()
            .unwrap_or(piece)
            .trim_matches('`')
            .trim(),
    }
}

/// Whether a value is left open or says that there is none.
pub(super) fn is_nothing(value: &str) -> bool {
    let bare = value
        .trim_matches(['(', ')', '`', '_', '*', ' ', '<', '>', '.'])
        .to_ascii_lowercase();
    [
        "", "none", "-", "—", "–", "n/a", "na", "tbd", "todo", "null", "?",
    ]
    .contains(&bare.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_a_path_or_prose() {
        for path in [
            "configs/a.json",
            "`configs/a.json`",
            "configs/a.yaml (seed 0)",
            "configs/a.json, seed 0",
            "a.yaml",
            "base",
            "[a](configs/a.json)",
            "configs/sweep",
        ] {
            assert!(looks_like_path(path), "{path}");
        }
        for prose in [
            "lr=1e-4, 2 layers",
            "rank 20, ood=False",
            "default settings",
            "lr=1e-4/2",
            "batch: 64/128",
        ] {
            assert!(!looks_like_path(prose), "{prose}");
        }
    }

    #[test]
    fn keys_are_compared_in_plain_words() {
        for (key, wanted) in [
            ("Depends_On", "depends on"),
            ("📄 Script(s)", "scripts"),
            ("SLURM-Script", "slurm script"),
        ] {
            assert_eq!(plain_key(key), wanted);
        }
    }
}
