//! The script that an item means, wherever the item says so: in a field, as a command, in its title.
//!
//! One item is one script, and nothing is passed to it but what stands in it. So whatever else is named beside it is kept
//! as [`Script::more`]: another script, an option, a variable. It is for a person, and never dropped.

use std::ops::Range;

use super::QueueItem;
use super::field::{Field, is_nothing, plain_key};
use super::named::{command, is_option, is_same, is_sbatch, is_script, read, words};
use crate::document::Document;
use crate::key::LINE_MARK;
use crate::lines::LineKind;
use crate::quote::{plain, quoted};

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

/// The keys of how often it would be run.
const REPEATS: [&str; 4] = ["repeat", "repeats", "repetitions", "times"];

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
    let mut repeats = fields.iter().filter(|field| field.is_one_of(&REPEATS));
    let repeats =
        repeats.find(|field| !["1", "no", "once"].contains(&field.text().to_lowercase().as_str()));
    let repeats = repeats.filter(|field| !is_nothing(&field.text()));
    let repeats = repeats.map(|field| format!("{}: {}", field.key, quoted(&field.all(), 60)));
    found.more = found.more.or(passed).or(repeats);
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
