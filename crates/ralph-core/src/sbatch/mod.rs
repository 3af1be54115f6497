//! Job scripts as `sbatch` reads them: directives, time limits, array specifications, log file names.
//!
//! Shared by the preflight, `ralph validate` and the embedded cluster, so that all three agree on what a script
//! asks for. Everything here takes text and gives values: no file is read, nothing is run, and what a site allows
//! is decided elsewhere.

mod names;
mod values;

pub use names::{Names, expand};
pub use values::{ArraySpec, array, time_limit};

/// One option of a `#SBATCH` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The long name without dashes; `-J` is `job-name`. A name that is not in the table is kept as written.
    pub option: String,
    /// The value, without its quotes; `None` for a flag, or when the value is missing.
    pub value: Option<String>,
    /// The line of the option, counted from one.
    pub line: usize,
}

/// Whether an option is followed by a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    /// Only as `--name=value`.
    Attached,
}

use Takes::{Attached, Nothing, Value};

/// Long name, short name, value; from sbatch(1). Options without a short name have a blank.
const OPTIONS: &[(&str, char, Takes)] = &[
    ("account", 'A', Value),
    ("acctg-freq", ' ', Value),
    ("array", 'a', Value),
    ("batch", ' ', Value),
    ("bb", ' ', Value),
    ("bbf", ' ', Value),
    ("begin", 'b', Value),
    ("chdir", 'D', Value),
    ("cluster-constraint", ' ', Value),
    ("clusters", 'M', Value),
    ("comment", ' ', Value),
    ("constraint", 'C', Value),
    ("container", ' ', Value),
    ("contiguous", ' ', Nothing),
    ("core-spec", 'S', Value),
    ("cores-per-socket", ' ', Value),
    ("cpu-freq", ' ', Value),
    ("cpus-per-gpu", ' ', Value),
    ("cpus-per-task", 'c', Value),
    ("deadline", ' ', Value),
    ("delay-boot", ' ', Value),
    ("dependency", 'd', Value),
    ("distribution", 'm', Value),
    ("error", 'e', Value),
    ("exclude", 'x', Value),
    ("exclusive", ' ', Attached),
    ("export", ' ', Value),
    ("export-file", ' ', Value),
    ("extra-node-info", 'B', Value),
    ("get-user-env", ' ', Attached),
    ("gid", ' ', Value),
    ("gpu-bind", ' ', Value),
    ("gpu-freq", ' ', Value),
    ("gpus", 'G', Value),
    ("gpus-per-node", ' ', Value),
    ("gpus-per-socket", ' ', Value),
    ("gpus-per-task", ' ', Value),
    ("gres", ' ', Value),
    ("gres-flags", ' ', Value),
    ("help", 'h', Nothing),
    ("hint", ' ', Value),
    ("hold", 'H', Nothing),
    ("ignore-pbs", ' ', Nothing),
    ("input", 'i', Value),
    ("job-name", 'J', Value),
    ("kill-on-invalid-dep", ' ', Value),
    ("licenses", 'L', Value),
    ("mail-type", ' ', Value),
    ("mail-user", ' ', Value),
    ("mcs-label", ' ', Value),
    ("mem", ' ', Value),
    ("mem-bind", ' ', Value),
    ("mem-per-cpu", ' ', Value),
    ("mem-per-gpu", ' ', Value),
    ("mincpus", ' ', Value),
    ("network", ' ', Value),
    ("nice", ' ', Attached),
    ("no-kill", 'k', Attached),
    ("no-requeue", ' ', Nothing),
    ("nodefile", 'F', Value),
    ("nodelist", 'w', Value),
    ("nodes", 'N', Value),
    ("ntasks", 'n', Value),
    ("ntasks-per-core", ' ', Value),
    ("ntasks-per-gpu", ' ', Value),
    ("ntasks-per-node", ' ', Value),
    ("ntasks-per-socket", ' ', Value),
    ("open-mode", ' ', Value),
    ("output", 'o', Value),
    ("overcommit", 'O', Nothing),
    ("oversubscribe", 's', Nothing),
    ("parsable", ' ', Attached),
    ("partition", 'p', Value),
    ("power", ' ', Value),
    ("prefer", ' ', Value),
    ("priority", ' ', Value),
    ("profile", ' ', Value),
    ("propagate", ' ', Attached),
    ("qos", 'q', Value),
    ("quiet", 'Q', Nothing),
    ("reboot", ' ', Nothing),
    ("requeue", ' ', Nothing),
    ("reservation", ' ', Value),
    ("signal", ' ', Value),
    ("sockets-per-node", ' ', Value),
    ("spread-job", ' ', Nothing),
    ("switches", ' ', Value),
    ("test-only", ' ', Nothing),
    ("thread-spec", ' ', Value),
    ("threads-per-core", ' ', Value),
    ("time", 't', Value),
    ("time-min", ' ', Value),
    ("tmp", ' ', Value),
    ("tres-bind", ' ', Value),
    ("tres-per-task", ' ', Value),
    ("uid", ' ', Value),
    ("usage", ' ', Nothing),
    ("use-min-nodes", ' ', Nothing),
    ("verbose", 'v', Nothing),
    ("version", 'V', Nothing),
    ("wait", 'W', Nothing),
    ("wait-all-nodes", ' ', Value),
    ("wckey", ' ', Value),
    ("wrap", ' ', Value),
];

/// Other spellings of long names that `sbatch` accepts.
const SYNONYMS: &[(&str, &str)] = &[
    ("cluster", "clusters"),
    ("mem_bind", "mem-bind"),
    ("share", "oversubscribe"),
    ("tasks", "ntasks"),
    ("tasks-per-node", "ntasks-per-node"),
    ("workdir", "chdir"),
];

/// The directives of a script, in their order; a later one wins, as in `sbatch`.
///
/// Only lines that start with `#SBATCH` count, and only before the first command; several options may stand on
/// one line, an unquoted `#` starts a comment. A word that is no option is skipped.
#[must_use]
pub fn parse(script: &str) -> Vec<Directive> {
    read(script).0
}

/// The words of directive lines that are no options and no values, with their lines: `sbatch` passes over them, such as
/// the `GB` of `--mem=4 GB` or an option that begins with a typographic dash.
#[must_use]
pub fn passed_over(script: &str) -> Vec<(String, usize)> {
    read(script).1
}

fn read(script: &str) -> (Vec<Directive>, Vec<(String, usize)>) {
    let mut words = directive_words(script).into_iter().peekable();
    let (mut found, mut passed_over) = (Vec::new(), Vec::new());
    while let Some((word, line)) = words.next() {
        let mut next_word = || words.next().map(|(value, _)| value);
        if let Some(long) = word.strip_prefix("--") {
            found.extend(long_option(long, line, &mut next_word));
        } else if let Some(short) = word.strip_prefix('-') {
            short_options(short, line, &mut next_word, &mut found);
        } else if !matches!(word.as_str(), "hetjob" | "packjob") {
            passed_over.push((word, line));
        }
    }
    (found, passed_over)
}

/// The last value given for an option: the one that `sbatch` uses.
#[must_use]
pub fn last<'a>(directives: &'a [Directive], option: &str) -> Option<&'a Directive> {
    directives.iter().rev().find(|found| found.option == option)
}

/// The lines that part the components of a heterogeneous job, counted from one; sbatch(1), "heterogeneous jobs".
///
/// The directives before the first one belong to the component that runs the script. None: a job of one piece.
#[must_use]
pub fn separators(script: &str) -> Vec<usize> {
    script
        .lines()
        .take_while(|line| is_comment(line))
        .zip(1..)
        .filter_map(|(line, number)| {
            let word = line.strip_prefix("#SBATCH")?.split_whitespace().next()?;
            matches!(word, "hetjob" | "packjob").then_some(number)
        })
        .collect()
}

/// The line of the first command, counted from one: where `sbatch` stops looking for directives.
#[must_use]
pub fn first_command(script: &str) -> Option<usize> {
    script
        .lines()
        .position(|line| !is_comment(line))
        .map(|index| index + 1)
}

/// Whether a line leaves `sbatch` looking for directives: blank, or a comment.
fn is_comment(line: &str) -> bool {
    let text = line.trim_start();
    text.is_empty() || text.starts_with('#')
}

/// The words of all directive lines with their line numbers. A value may stand on the next directive line.
fn directive_words(script: &str) -> Vec<(String, usize)> {
    script
        .lines()
        .take_while(|line| is_comment(line))
        .zip(1..)
        .filter_map(|(line, number)| Some((line.strip_prefix("#SBATCH")?, number)))
        .flat_map(|(rest, number)| {
            split_words(rest)
                .into_iter()
                .map(move |word| (word, number))
        })
        .collect()
}

/// Splits at blanks, with quotes and backslashes taken out; the rules are those of `sbatch`, not of a shell.
/// A quote that is never closed holds the rest of the line.
fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (_, '\\') => word.get_or_insert_default().extend(characters.next()),
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') => break,
            (None, _) if c.is_ascii_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// `--name=value`, `--name value` or `--name`.
fn long_option(
    text: &str,
    line: usize,
    next_word: &mut dyn FnMut() -> Option<String>,
) -> Option<Directive> {
    let (written, attached) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if written.is_empty() {
        return None;
    }
    let (option, takes) = canonical(written);
    let value = match (attached, takes) {
        (None, Value) => next_word(),
        (attached, _) => attached,
    };
    Some(Directive {
        option,
        value,
        line,
    })
}

/// The table's name for a long option, which may be shortened as long as it is unambiguous.
fn canonical(written: &str) -> (String, Takes) {
    let exact = SYNONYMS
        .iter()
        .find(|(other, _)| *other == written)
        .map_or(written, |(_, name)| name);
    let mut candidates = OPTIONS.iter().filter(|(name, ..)| name.starts_with(exact));
    let hit = OPTIONS
        .iter()
        .find(|(name, ..)| *name == exact)
        .or_else(|| match (candidates.next(), candidates.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        });
    hit.map_or_else(
        || (written.to_owned(), Attached),
        |(name, _, takes)| ((*name).to_owned(), *takes),
    )
}

/// `-J name`, `-Jname`, or several flags behind one dash.
fn short_options(
    text: &str,
    line: usize,
    next_word: &mut dyn FnMut() -> Option<String>,
    found: &mut Vec<Directive>,
) {
    for (at, letter) in text.char_indices() {
        let known = OPTIONS.iter().find(|(_, short, _)| *short == letter);
        let (option, takes) = known.map_or_else(
            || (letter.to_string(), Nothing),
            |(name, _, takes)| ((*name).to_owned(), *takes),
        );
        let rest = text.get(at + letter.len_utf8()..).unwrap_or_default();
        let value = match takes {
            Nothing => None,
            _ if !rest.is_empty() => Some(rest.to_owned()),
            Value => next_word(),
            Attached => None,
        };
        found.push(Directive {
            option,
            value,
            line,
        });
        if takes != Nothing {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(script: &str) -> String {
        parse(script)
            .into_iter()
            .map(|found| {
                let value = found.value.map(|value| format!("={value}"));
                format!(
                    "{} {}{}",
                    found.line,
                    found.option,
                    value.unwrap_or_default()
                )
            })
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn every_way_to_write_a_directive_is_read() {
        let script = "#!/bin/bash\n\
            #SBATCH --job-name=plain --time 01:00:00   # a comment\n\
            #SBATCH -J short -pgpu -c4\n\
            \n\
            # prose\n\
            #SBATCH --comment=\"two words\" --exclusive\n\
            #SBATCH -HQ --workdir=/tmp --mem-per-c=2G\n\
            #SBATCH --nonsense --time-m=5\n\
            ##SBATCH --time=1\n\
            # SBATCH --time=2\n\
            \x20#SBATCH --time=3\n\
            #SBATCH stray --output='it''s_%j.out' --error=a\\ b\r\n\
            #SBATCH --array\n\
            set -e\n\
            #SBATCH --time=4\n";
        insta::assert_snapshot!(shown(script), @r"
        2 job-name=plain
        2 time=01:00:00
        3 job-name=short
        3 partition=gpu
        3 cpus-per-task=4
        6 comment=two words
        6 exclusive
        7 hold
        7 quiet
        7 chdir=/tmp
        7 mem-per-cpu=2G
        8 nonsense
        8 time-min=5
        12 output=its_%j.out
        12 error=a b
        13 array
        ");
        let directives = parse(script);
        assert_eq!(
            last(&directives, "job-name").map(|found| found.line),
            Some(3)
        );
        assert_eq!(first_command(script), Some(14));
    }

    #[test]
    fn names_are_unique_and_sorted() {
        assert!(OPTIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let mut letters: Vec<char> = OPTIONS.iter().map(|(_, letter, _)| *letter).collect();
        letters.retain(|letter| *letter != ' ');
        letters.sort_unstable();
        assert!(letters.windows(2).all(|pair| pair[0] != pair[1]));
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(script in "(#SBATCH ?[ -~]{0,30}\n|.{0,20}\n){0,6}") {
            let lines = script.lines().count();
            prop_assert!(parse(&script).iter().all(|found| (1..=lines).contains(&found.line)));
        }
    }
}
