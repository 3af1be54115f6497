//! One field of an item: its key in plain words, and its value as a text, a path or a list of names.
//!
//! Where fields stand in an item is not known here: see [`super::fields`].

use super::depend;
use super::words::{self, UNFINISHED};
use crate::quote::plain;

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

    /// The value as a path: what is quoted, where the link leads, or the first word. A sentence names none.
    pub(super) fn path(&self) -> Option<String> {
        let text = self.text();
        (!is_nothing(&text)
            && !is_open(&text)
            && !depend::begins_with_none(&text)
            && looks_like_path(&text))
        .then(|| bare_path(&text).to_owned())
    }

    /// Why the file that this field is to name is not known yet: `TBD`, `configs/<name>.yaml`, `a.yaml or b.yaml`.
    pub(super) fn unsettled(&self) -> Option<String> {
        let said = self.all();
        if is_open(&said) || said.trim_end().ends_with('?') {
            return Some(format!("its {} is still `{}`", self.name, plain(&said, 60)));
        }
        let is_config = super::fields::CONFIG.contains(&self.name.as_str());
        let remark = said
            .split_once(bare_path(&said))
            .map_or("", |(_, rest)| rest);
        if is_config && looks_like_path(&said) && begins_unfinished(remark) {
            return Some(format!("it says `{}: {}`", self.key, plain(&said, 60)));
        }
        let files = self.pieces().flat_map(|piece| piece.split(" or "));
        let files = files.filter(|piece| is_file(bare_path(piece))).count();
        let files = files.max(paths_in(&said));
        (is_config && files > 1).then(|| {
            format!(
                "its {} names {files} files: `{}`",
                self.name,
                plain(&said, 60)
            )
        })
    }

    /// Whether what the run needs to know is left open: `Seeds: TBD`, `Rate: ???`.
    pub(super) fn is_left_open(&self) -> bool {
        let said = self.text();
        let all: Vec<String> = words::each(&said).take(3).collect();
        let first = all.first().map_or("", String::as_str);
        let chosen = ["decided", "determined", "defined", "chosen", "confirmed"];
        let is_to_be = matches!(&all[..], [to, be, what] if to == "to" && be == "be" && chosen.contains(&what.as_str()));
        is_to_be || said.contains("???") || ["tbd", "tba", "tbc", "todo", "fixme"].contains(&first)
    }

    /// Whether it tells of a result that is there: a fraction or a share, `FID 26.88`. A path to where it will be does not.
    pub(super) fn has_result(&self) -> bool {
        let said = self.all();
        let is_measured = |word: &str| {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '%');
            let digits = word.trim_end_matches('%').split('.');
            (word.contains('.') || word.ends_with('%'))
                && digits.clone().count() <= 2
                && digits
                    .clone()
                    .all(|part| !part.is_empty() && words::is_count(part))
        };
        said.split_whitespace().any(is_measured)
            && !words::has_word(
                &said,
                &["expected", "expect", "target", "below", "above", "should"],
            )
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

/// How many paths of files a text names outside of parentheses, but for one that the first is told to be like or to come
/// from: `b.yaml, a copy of configs/a.yaml`.
fn paths_in(text: &str) -> usize {
    let outside = words::without_groups(text);
    let likened = ["from", "of", "as", "on", "like", "than", "was"];
    let named = outside.split_whitespace().scan("", |before, word| {
        let is_likened = likened.contains(&std::mem::replace(before, word));
        let word = word.trim_matches([',', ';', '.', '`', '"']);
        Some(!is_likened && word.contains('/') && is_file(word))
    });
    named.filter(|is_named| *is_named).count()
}

/// `**Depends_on**` as `depends on`, `📄 Script(s)` as `scripts`.
pub(super) fn plain_key(key: &str) -> String {
    let key = key.replace(['_', '-'], " ").replace("(s)", "s");
    let key = key.trim_matches(|c: char| !c.is_alphanumeric());
    key.to_lowercase()
}

/// The endings of configurations.
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

fn is_file(word: &str) -> bool {
    let ending = word
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// Whether a value is a path with perhaps a remark behind it, and no list of settings such as `lr=1e-4, 2 layers`.
fn looks_like_path(value: &str) -> bool {
    let word = bare_path(value);
    let is_alone = !bare_name(value).contains([' ', '=']);
    is_file(word) || is_alone || (word.contains('/') && !word.contains(['=', ':']))
}

/// The path that a value begins with: what is quoted, where a link leads, or the first word.
fn bare_path(value: &str) -> &str {
    let value = value.trim();
    let quoted = |mark: char| {
        let (inner, _) = value.strip_prefix(mark)?.split_once(mark)?;
        Some(inner)
    };
    let linked = || {
        let (_, target) = value.strip_prefix('[')?.split_once("](")?;
        target.split(')').next()
    };
    let word = ['`', '"', '\'']
        .into_iter()
        .find_map(quoted)
        .or_else(linked)
        .unwrap_or_else(|| value.split_whitespace().next().unwrap_or(""));
    word.trim()
        .trim_start_matches("./")
        .trim_end_matches([',', ';'])
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

/// Whether a remark asks for work: `(edit the rate first)`. `(as in the draft)` does not.
fn begins_unfinished(remark: &str) -> bool {
    let first = words::each(remark).next().unwrap_or_default();
    UNFINISHED.contains(&first.as_str())
}

/// Whether a value still has to be written: `TBD`, `???`, `(fill in)`, `to be written`, `configs/<name>.yaml`.
fn is_open(value: &str) -> bool {
    let all: Vec<String> = words::each(value).collect();
    let first = all.first().map_or("", String::as_str);
    let pair = all.get(..2).map(|pair| pair.join(" ")).unwrap_or_default();
    let is_blank = |part: &str| {
        part.split_once('>').is_some_and(|(name, _)| {
            name != "br"
                && !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_alphanumeric() || " _-".contains(c))
        })
    };
    value.contains("??")
        || all.is_empty() && value.contains('?')
        || ["tbd", "tba", "tbc", "todo", "fixme", "xxx"].contains(&first)
        || ["fill in", "fill me", "to be", "to do", "not yet", "will be"].contains(&pair.as_str())
        || all
            .iter()
            .any(|word| word.len() > 2 && word.bytes().all(|b| b == b'x'))
        || value.split('<').skip(1).any(is_blank)
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
    fn a_path_is_taken_out_of_what_stands_around_it() {
        for (text, wanted) in [
            ("configs/a.json", "configs/a.json"),
            ("`configs/a.json` (seed 0)", "configs/a.json"),
            ("./configs/a.json, seed 0", "configs/a.json"),
            ("[a](configs/a.json) new", "configs/a.json"),
            ("`configs/my run.json`", "configs/my run.json"),
            ("\"configs/my run.json\"", "configs/my run.json"),
            ("'configs/a.json'", "configs/a.json"),
        ] {
            assert_eq!(bare_path(text), wanted, "{text}");
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
