//! Which script a text names, and what it says beside it: read as a command, with arguments, or as prose, with remarks.
//!
//! Where the text stands is not known here: see [`super::script`].

use super::field::is_nothing;
use super::script::Script;
use super::words::{self, CONDITIONS, HOLDING, UNFINISHED, without_groups};
use crate::quote::quoted;

/// What a command submits; nothing where it names no script.
pub(super) fn command(text: &str) -> Script {
    let script = read(text, true);
    if script.path.as_deref().is_some_and(is_script) {
        script
    } else {
        Script::default()
    }
}

/// The first script that a text names, or the text's first word where nothing in it looks like one.
pub(super) fn read(text: &str, is_command: bool) -> Script {
    if is_nothing(text) {
        return Script::default();
    }
    let all: Vec<&str> = words(text).collect();
    let at = all.iter().position(|word| is_script(word));
    let first = at.and_then(|at| all.get(at)).copied();
    // A link has the file's name and its path.
    let is_first = |word: &str| is_script(word) && first.is_some_and(|first| is_same(first, word));
    let mut same = all.iter().copied().filter(|word| is_first(word));
    let path = same.clone().max_by_key(|word| word.len());
    let named = path.or_else(|| all.first().copied());
    let before = all.get(..at.unwrap_or(0)).unwrap_or(&[]).iter();
    let behind = all.get(at.map_or(1, |at| at + 1)..).unwrap_or(&[]).iter();
    let is_command = is_command || before.clone().any(|word| is_sbatch(word));
    let is_more = |word: &&&str| {
        is_option(word)
            || is_variable(word)
            || (is_script(word) && !path.is_some_and(|path| is_same(path, word)))
    };
    // Behind a script, a command has arguments where prose has a remark.
    let argument = behind.clone().find(|word| is_more(word));
    let argument = argument.or_else(|| {
        let outside = without_groups(text.split('#').next().unwrap_or(""));
        let is_argument = |word: &&&str| {
            outside
                .split_whitespace()
                .any(|part| part.trim_matches(['`', ';', '"', '\'']) == **word)
                && word.contains(char::is_alphanumeric)
        };
        behind
            .clone()
            .next()
            .filter(|word| is_command && is_argument(word))
    });
    let is_link = text.contains("](");
    let is_prose = !is_command;
    // `copy of a.sbatch` is another one, and so may be all that a mark of code holds.
    let parted = before
        .clone()
        .find(|word| is_prose && !is_link && !LEADS.contains(&word.to_lowercase().as_str()));
    let last = same.next_back().or(named);
    let rest = last
        .and_then(|last| text.rsplit_once(last))
        .map_or("", |(_, rest)| rest);
    let more = before.clone().find(is_more).or(argument).or(parted);
    let more = more.map(|word| (*word).to_owned());
    Script {
        path: named.map(|path| path.trim_start_matches("./").to_owned()),
        more: more.or_else(|| remark(rest, is_prose)),
    }
}

/// Words in front of a script that only point at it.
const LEADS: [&str; 9] = [
    "see", "use", "uses", "run", "submit", "the", "new", "existing", "file",
];

/// Words of a remark on a script that ask for more than to run it once as it is.
const OTHERWISE: [&str; 8] = [
    "twice", "thrice", "times", "again", "each", "every", "repeat", "repeated",
];

/// What a remark begins with that says where, when or why, and not how: `a.sbatch on the big partition`.
const DESCRIBES: [&str; 12] = [
    "on", "in", "at", "for", "from", "about", "as", "is", "auf", "für", "sur", "en",
];

/// What a text behind a script asks for beside it. What only describes the script is set off: `a.sbatch (2 h)`,
/// `a.sbatch - the baseline`; what is not, as in `a.sbatch x3`, means something else than the script alone.
fn remark(rest: &str, is_prose: bool) -> Option<String> {
    let rest = rest
        .trim_start_matches(['`', '"', '\'', '*', '_', ')', ']', '>'])
        .trim();
    let joins = |c: char| c.is_alphanumeric() || "×*+&=@$~".contains(c);
    let first = words::each(rest).next().unwrap_or_default();
    let is_described =
        DESCRIBES.contains(&first.as_str()) && !rest.contains(|c: char| c.is_ascii_digit());
    let is_joined = is_prose && rest.starts_with(joins) && !is_described;
    let bare = rest.trim_matches(|c: char| !c.is_alphanumeric() && c != '×');
    (is_joined || asks_for_more(rest)).then(|| quoted(bare, 60))
}

/// Whether a remark asks for several runs, for other values, or for something to be done first.
fn asks_for_more(rest: &str) -> bool {
    let all: Vec<String> = words::each(rest).collect();
    let is_count = |word: &str| !word.is_empty() && words::is_count(word);
    let is_times = |word: &String| {
        let mut counts = [word.strip_prefix(['x', '×']), word.strip_suffix(['x', '×'])].into_iter();
        counts.any(|count| count.is_some_and(is_count))
    };
    // `3 seeds, 2 GPUs` are in the script, `seed 2` is not.
    let names_a_seed = |part: &str| {
        let mut words =
            words::each(part).skip_while(|word| !["seed", "seeds"].contains(&word.as_str()));
        words
            .nth(1)
            .is_some_and(|value| value.starts_with(|c: char| c.is_ascii_digit()))
    };
    let of_a_seed = rest.split([',', ';']).any(names_a_seed);
    let mut following = all.iter().skip(1);
    let known = |word: &String| {
        let next = following.next();
        let needs_count = word == "needs"
            && next.is_some_and(|next| next.starts_with(|c: char| c.is_ascii_digit()));
        let known = [&OTHERWISE[..], &UNFINISHED, &HOLDING, &CONDITIONS];
        !needs_count && known.iter().any(|words| words.contains(&word.as_str()))
    };
    of_a_seed || rest.contains('×') || all.iter().any(is_times) || all.iter().any(known)
}

/// The words of a value, without code marks, brackets and commas. A path with spaces in it is one word where it is quoted.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let apart = |c: char| c.is_whitespace() || ",;()[]`\"'<>|".contains(c);
    let pieces = text.split(['`', '"', '\'']).enumerate();
    pieces.flat_map(move |(index, piece)| {
        let whole = (index > 0 && is_spaced(piece)).then(|| piece.trim());
        let parts = piece.split(apart).filter(move |_| whole.is_none());
        let parts = parts
            .map(|word| word.trim_matches(['*', '_']).trim_end_matches(['.', ':']))
            .filter(|word| !word.is_empty());
        whole.into_iter().chain(parts)
    })
}

/// Whether what stands between two quotes is one path with spaces in it: no command, and not two scripts.
fn is_spaced(piece: &str) -> bool {
    let mut parts = piece.split_whitespace();
    let Some(last) = parts.next_back() else {
        return false;
    };
    let mut before = parts.peekable();
    let is_other = |word: &str| {
        let is_shell = word.contains([';', '&', '|', '$', '<', '>', ',', '(', ')', '[', ']']);
        is_shell || is_sbatch(word) || is_script(word) || is_option(word) || is_variable(word)
    };
    before.peek().is_some() && is_script(last) && !before.any(is_other)
}

pub(super) fn is_script(word: &str) -> bool {
    [".sbatch", ".slurm", ".sh", ".job"]
        .iter()
        .any(|end| word.len() > end.len() && word.ends_with(end))
}

pub(super) fn is_option(word: &str) -> bool {
    let name = word.trim_start_matches('-');
    let dashes = word.len() - name.len();
    let is_named = name.starts_with(|c: char| c.is_ascii_alphabetic());
    is_named && (dashes == 2 || (dashes == 1 && (name.len() == 1 || word.contains('='))))
}

/// `SEED=3` in front of a command.
fn is_variable(word: &str) -> bool {
    let Some((name, _)) = word.split_once('=') else {
        return false;
    };
    let capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && name.chars().all(capital)
}

/// Whether two paths may be one file: `a.sbatch` and `slurm/jobs/a.sbatch`.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let ends = |long: &str, short: &str| {
        long.strip_suffix(short)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    ends(one, other) || ends(other, one)
}

pub(super) fn is_sbatch(word: &str) -> bool {
    word == "sbatch" || word.ends_with("/sbatch")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(script: &Script) -> String {
        let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
        format!("{} + {}", part(&script.path), part(&script.more))
    }

    #[test]
    fn one_script_and_what_stands_beside_it() {
        for (text, wanted) in [
            ("slurm/jobs/a.sbatch", "slurm/jobs/a.sbatch + -"),
            ("`./a.sbatch`", "a.sbatch + -"),
            ("[a](slurm/jobs/a.sbatch)", "slurm/jobs/a.sbatch + -"),
            (
                "[`a.sbatch`](slurm/jobs/a.sbatch)",
                "slurm/jobs/a.sbatch + -",
            ),
            (
                "slurm/ba.sbatch (see a.sbatch)",
                "slurm/ba.sbatch + a.sbatch",
            ),
            ("`a.sbatch` (2 h on the small card)", "a.sbatch + -"),
            ("a.sbatch - the baseline, 3 seeds", "a.sbatch + -"),
            ("`a.sbatch and b.sbatch`", "a.sbatch + b.sbatch"),
            ("`a.sbatch` and `b.sbatch`", "a.sbatch + b.sbatch"),
            ("a.sbatch, b.sbatch", "a.sbatch + b.sbatch"),
            ("a.sbatch, then a.sbatch again", "a.sbatch + again"),
            ("`a.sbatch --seed 3`", "a.sbatch + --seed"),
            ("sbatch --array=0-3 a.sbatch", "a.sbatch + --array=0-3"),
            ("sbatch -p gpu a.sbatch", "a.sbatch + -p"),
            ("SEED=3 sbatch a.sbatch", "a.sbatch + SEED=3"),
            ("sbatch a.sbatch", "a.sbatch + -"),
            ("sbatch a.sbatch 3", "a.sbatch + 3"),
            ("train", "train + -"),
            ("`q001 final.sbatch`", "q001 final.sbatch + -"),
            ("\"jobs/my run.sbatch\"", "jobs/my run.sbatch + -"),
            ("`./my run.sbatch` (2 h)", "my run.sbatch + -"),
            ("my run.sbatch", "run.sbatch + my"),
            ("`bash run.sh`", "bash run.sh + -"),
            ("a.sbatch x3", "a.sbatch + x3"),
            ("`a.sbatch` × 3", "a.sbatch + × 3"),
            ("**a.sbatch** x3", "a.sbatch + x3"),
            ("a.sbatch (twice)", "a.sbatch + twice"),
            ("a.sbatch, three times", "a.sbatch + three times"),
            ("a.sbatch with seed 1..5", "a.sbatch + with seed 1..5"),
            ("a.sbatch (seeds 0-4)", "a.sbatch + seeds 0-4"),
            ("a.sbatch (not written yet)", "a.sbatch + not written yet"),
            ("a.sbatch on the big partition", "a.sbatch + -"),
            ("a.sbatch on 4 GPUs", "a.sbatch + on 4 GPUs"),
            ("a.sbatch for each fold", "a.sbatch + for each fold"),
            ("copy of a.sbatch", "a.sbatch + copy"),
            ("see `a.sbatch`", "a.sbatch + -"),
            ("a.sbatch ✓", "a.sbatch + -"),
            ("a.sbatch → 3 seeds, 2 GPUs", "a.sbatch + -"),
            ("train x3", "train + x3"),
            ("(none)", "- + -"),
            ("TBD", "- + -"),
        ] {
            assert_eq!(shown(&read(text, false)), wanted, "{text}");
        }
    }

    #[test]
    fn a_command_has_arguments() {
        for (text, wanted) in [
            ("`sbatch slurm/jobs/a.sbatch`", "slurm/jobs/a.sbatch + -"),
            ("`sbatch a.sbatch 3`", "a.sbatch + 3"),
            (
                "sbatch a.sbatch configs/b.json",
                "a.sbatch + configs/b.json",
            ),
            ("cd projects/x && sbatch a.sbatch", "a.sbatch + -"),
            ("sbatch \"my run.sbatch\"", "my run.sbatch + -"),
            ("`sbatch a.sbatch` (twice)", "a.sbatch + twice"),
            ("sbatch a.sbatch  # two hours", "a.sbatch + -"),
            ("sbatch a.sbatch (two hours)", "a.sbatch + -"),
            ("python train.py --lr 1", "- + -"),
        ] {
            assert_eq!(shown(&command(text)), wanted, "{text}");
        }
    }
}
