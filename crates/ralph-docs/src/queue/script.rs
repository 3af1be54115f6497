//! The script that an item means, wherever the item says so: in a field, as a command, in its title.
//!
//! One item is one script, and nothing is passed to it but what stands in it. So whatever else is named beside it is kept
//! as [`Script::more`]: another script, an option, a variable. It is for a person, and never dropped.

use std::ops::Range;

use super::QueueItem;
use super::field::{Field, is_nothing, plain_key};
use crate::document::Document;
use crate::key::LINE_MARK;
use crate::lines::LineKind;
use crate::quote::plain;

/// The keys that name the script of an item.
pub(super) const KEYS: [&str; 12] = [
    "script",
    "scripts",
    "slurm script",
    "job script",
    "sbatch",
    "sbatch script",
    "sbatch file",
    "submission script",
    "submit script",
    "batch script",
    "slurm job",
    "job file",
];

/// Those that name a script whatever it looks like; the others are used for prose and numbers as well.
const PLAIN: [&str; 3] = ["script", "scripts", "slurm script"];

/// The keys that say how it is submitted.
pub(super) const COMMANDS: [&str; 10] = [
    "command",
    "commands",
    "cmd",
    "submit",
    "submit with",
    "submit command",
    "launch",
    "launch command",
    "run with",
    "run command",
];

/// The keys of what somebody would pass to it.
const PASSED: [&str; 10] = [
    "args",
    "arguments",
    "options",
    "flags",
    "extra args",
    "sbatch args",
    "sbatch options",
    "sbatch flags",
    "slurm options",
    "slurm args",
];

/// The keys of variables that it would be given.
const VARIABLES: [&str; 4] = ["env", "environment", "environment variables", "export"];

/// A script, and what stands beside it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) path: Option<String>,
    /// Another script, an option or an argument that would not be run or passed on.
    pub(super) more: Option<String>,
}

/// The script that the fields name; else the one in the title or in a fence with a command.
pub(super) fn of(
    fields: &[Field],
    title: &str,
    document: &Document<'_>,
    lines: Range<usize>,
) -> Script {
    let mut found = Script::default();
    for field in fields.iter().filter(|field| field.is_one_of(&KEYS)) {
        let said = read(&field.all(), false);
        let is_path = |path: &str| is_script(path) || path.contains(['/', '.']);
        if field.is_one_of(&PLAIN) || said.path.as_deref().is_some_and(is_path) {
            found.take(said);
        }
    }
    for field in fields.iter().filter(|field| field.is_one_of(&COMMANDS)) {
        found.take(command(&field.all()));
    }
    // Also beside a field: its options would be lost.
    found.take(code(document, lines.clone()));
    for span in lines.clone().flat_map(|line| code_spans(document, line)) {
        if span.split(APART).any(is_sbatch) {
            found.take(command(span));
        }
    }
    let passed = fields.iter().find_map(|field| {
        let is_variables = field.is_one_of(&VARIABLES);
        if !is_variables && !field.is_one_of(&PASSED) {
            return None;
        }
        let said = field.all();
        // `python=3.11` tells of a software that is there.
        let is_set = |word: &str| match word.split_once('=') {
            Some((name, _)) => !is_variables || !name.contains(|c: char| c.is_ascii_lowercase()),
            None => false,
        };
        let mut words = words(&said).filter(|word| is_option(word) || is_set(word));
        words.next().map(str::to_owned)
    });
    found.more = found.more.or(passed);
    let is_batch = |word: &&str| word.ends_with(".sbatch") || word.ends_with(".slurm");
    if found.path.is_none() {
        let mut named = words(title).filter(is_batch);
        found.path = named.next().map(str::to_owned);
        found.more = found.more.or_else(|| named.next().map(str::to_owned));
    }
    if found.path.is_none() {
        // Prose may mean the script of this item or of another one: that is for whoever knows which files there are.
        let own = lines
            .clone()
            .filter(|&line| !document.line_text(line).contains(LINE_MARK));
        let mut mentioned = own.flat_map(|line| words(document.line_text(line)));
        found.more = found
            .more
            .or_else(|| mentioned.find(|word| is_batch(word)).map(str::to_owned));
    }
    found
}

impl Script {
    /// Takes what another field says: a second script is more.
    fn take(&mut self, other: Self) {
        match (&self.path, other.path) {
            (None, path) => self.path = path,
            (Some(path), Some(second)) if is_same(path, &second) => {
                let longer = if second.len() > path.len() {
                    second
                } else {
                    path.clone()
                };
                self.path = Some(longer);
            }
            (Some(_), Some(second)) => {
                self.more.get_or_insert(second);
            }
            _ => {}
        }
        if let Some(more) = other.more {
            self.more.get_or_insert(more);
        }
    }
}

/// The commands in the blocks of code of these lines.
fn code(document: &Document<'_>, lines: Range<usize>) -> Script {
    let mut found = Script::default();
    let commands = commands(document, lines);
    let submits = |text: &&String| text.split(APART).any(is_sbatch);
    for text in commands.iter().filter(submits) {
        let said = command(text);
        match said.path {
            Some(_) => found.take(said),
            // Whatever it submits, it is not what would be run.
            None => {
                found.more.get_or_insert_with(|| plain(text, 60));
            }
        }
    }
    if found != Script::default() {
        // A loop submits several, and a variable that is set around it would not be.
        let first = |text: &String| {
            text.split(APART)
                .find(|word| !word.is_empty())
                .map(str::to_owned)
        };
        let around = commands.iter().find(|text| {
            first(text).is_some_and(|word| AROUND.contains(&word.as_str()) || is_assignment(&word))
                || text.split(APART).any(|word| LOOPS.contains(&word)) && submits(text)
        });
        if let Some(text) = around {
            found.more.get_or_insert_with(|| plain(text, 60));
        }
    }
    found
}

/// The spans of code in a line of prose.
fn code_spans<'t>(document: &Document<'t>, line: usize) -> impl Iterator<Item = &'t str> {
    let is_said = document
        .line(line)
        .is_some_and(|line| line.kind == LineKind::Text && !line.quoted);
    let text = document.line_text(line);
    text.split('`').skip(1).step_by(2).filter(move |_| is_said)
}

/// What separates the words of a command.
const APART: [char; 10] = [' ', '\t', ';', '&', '|', '(', ')', '`', '"', '$'];

/// Words that submit what follows more than once, or not at all.
const LOOPS: [&str; 7] = ["for", "while", "until", "if", "xargs", "parallel", "seq"];

/// What a line begins with that changes what the next ones submit.
const AROUND: [&str; 5] = ["for", "while", "until", "if", "export"];

/// `seed=3` in a shell.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

fn is_sbatch(word: &str) -> bool {
    word == "sbatch" || word.ends_with("/sbatch")
}

/// The lines of code, each with the lines that it goes on in behind a `\`, without remarks.
fn commands(document: &Document<'_>, lines: Range<usize>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in lines {
        if document.kind(line) != Some(LineKind::Code) {
            goes_on = false;
            continue;
        }
        let text = document.line_text(line).trim();
        let text = text.trim_start_matches(['$', '>', '%']).trim_start();
        let (text, is_open) = match text.strip_suffix('\\') {
            Some(rest) => (rest.trim_end(), true),
            None => (text, false),
        };
        if text.starts_with('#') && !goes_on {
            continue;
        }
        match all.last_mut().filter(|_| goes_on) {
            Some(last) => *last = format!("{last} {text}"),
            None => all.push(text.to_owned()),
        }
        goes_on = is_open;
    }
    all
}

/// Whether a field of the item names its script, and not only its title or a block of code.
pub(super) fn is_in_a_field(item: &QueueItem) -> bool {
    let Some(path) = &item.script else {
        return false;
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    let names_it = |(key, value): &(String, String)| {
        let key = plain_key(key);
        let is_key = KEYS.contains(&key.as_str()) || COMMANDS.contains(&key.as_str());
        is_key && value.contains(name)
    };
    item.fields.iter().any(names_it)
}

/// Whether two paths may be one file: `a.sbatch` and `slurm/jobs/a.sbatch`.
fn is_same(one: &str, other: &str) -> bool {
    let ends = |long: &str, short: &str| {
        long.strip_suffix(short)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    ends(one, other) || ends(other, one)
}

/// What a command submits; nothing where it names no script.
fn command(text: &str) -> Script {
    let script = read(text, true);
    if script.path.as_deref().is_some_and(is_script) {
        script
    } else {
        Script::default()
    }
}

/// The first script that a text names, or the text's first word where nothing in it looks like one.
fn read(text: &str, is_command: bool) -> Script {
    if is_nothing(text) {
        return Script::default();
    }
    let all: Vec<&str> = words(text).collect();
    let at = all.iter().position(|word| is_script(word));
    let first = at.and_then(|at| all.get(at)).copied();
    // A link has the file's name and its path.
    let same = all
        .iter()
        .filter(|word| is_script(word) && first.is_some_and(|first| is_same(first, word)));
    let path = same.max_by_key(|word| word.len()).copied();
    let named = path.or_else(|| all.first().copied());
    let before = all.get(..at.unwrap_or(0)).unwrap_or(&[]).iter();
    let behind = all.get(at.map_or(1, |at| at + 1)..).unwrap_or(&[]).iter();
    let is_more = |word: &&&str| {
        is_option(word)
            || is_variable(word)
            || (is_script(word) && !path.is_some_and(|path| is_same(path, word)))
    };
    // Behind a script, a command has arguments where prose has a remark.
    let argument = behind.clone().find(|word| is_more(word));
    let argument = argument.or_else(|| {
        let outside = super::held::without_groups(text.split('#').next().unwrap_or(""));
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
    // `q001 final.sbatch` is one name, which nothing here can take.
    let is_name = text.starts_with('`') && !before.clone().any(|word| is_sbatch(word));
    let parted = before.clone().next().filter(|_| is_name && !is_command);
    let more = before.clone().find(is_more).or(argument).or(parted);
    Script {
        path: named.map(|path| path.trim_start_matches("./").to_owned()),
        more: more.map(|word| (*word).to_owned()),
    }
}

/// The words of a value, without code marks, brackets and commas.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let apart = |c: char| c.is_whitespace() || ",;()[]`\"'<>|".contains(c);
    text.split(apart)
        .map(|word| word.trim_matches(['*', '_']).trim_end_matches(['.', ':']))
        .filter(|word| !word.is_empty())
}

fn is_script(word: &str) -> bool {
    [".sbatch", ".slurm", ".sh", ".job"]
        .iter()
        .any(|end| word.len() > end.len() && word.ends_with(end))
}

fn is_option(word: &str) -> bool {
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
            ("a.sbatch, then a.sbatch again", "a.sbatch + -"),
            ("`a.sbatch --seed 3`", "a.sbatch + --seed"),
            ("sbatch --array=0-3 a.sbatch", "a.sbatch + --array=0-3"),
            ("sbatch -p gpu a.sbatch", "a.sbatch + -p"),
            ("SEED=3 sbatch a.sbatch", "a.sbatch + SEED=3"),
            ("sbatch a.sbatch", "a.sbatch + -"),
            ("train", "train + -"),
            ("`q001 final.sbatch`", "final.sbatch + q001"),
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
            ("sbatch a.sbatch  # two hours", "a.sbatch + -"),
            ("sbatch a.sbatch (two hours)", "a.sbatch + -"),
            ("python train.py --lr 1", "- + -"),
        ] {
            assert_eq!(shown(&command(text)), wanted, "{text}");
        }
    }
}
