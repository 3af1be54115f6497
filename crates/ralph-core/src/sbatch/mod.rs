//! Job scripts as `sbatch` reads them: directives, time limits, array specifications, log file names.
//!
//! Shared by the preflight, `ralph validate` and the embedded cluster, so that all three agree on what a script
//! asks for. Everything here takes text and gives values: no file is read, nothing is run, and what a site allows
//! is decided elsewhere.

mod names;
mod values;

pub use names::{Names, expand};
pub use values::{ArraySpec, array, is_count, is_node_count, is_size, time_limit};

/// One option of a `#SBATCH` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The long name without dashes; `-J` is `job-name`. A name that is not in the table is kept as written.
    pub option: String,
    /// The value, without its quotes; `None` for a flag, or when the value is missing.
    pub value: Option<String>,
    /// The line of the option, counted from one.
    pub line: usize,
    /// The component of a heterogeneous job that it belongs to, counted from zero; the first one runs the script.
    pub component: usize,
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

/// What is found in a script, with its line, counted from one.
type Placed<T> = Vec<(T, usize)>;

/// A word of a directive.
struct Word {
    text: String,
    line: usize,
    component: usize,
}

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
    ("consolidate-segments", ' ', Nothing),
    ("constraint", 'C', Value),
    ("container", ' ', Value),
    ("container-id", ' ', Value),
    ("context", ' ', Value),
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
    ("external", ' ', Nothing),
    ("extra", ' ', Value),
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
    ("mem-update", ' ', Value),
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
    ("ntasks-per-tres", ' ', Value),
    ("oom-kill-step", ' ', Attached),
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
    ("requeue", ' ', Attached),
    ("reservation", ' ', Value),
    ("resources", ' ', Value),
    ("resv-ports", ' ', Attached),
    ("runtime", ' ', Value),
    ("segment", ' ', Value),
    ("signal", ' ', Value),
    ("sockets-per-node", ' ', Value),
    ("spread-job", ' ', Nothing),
    ("spread-segments", ' ', Nothing),
    ("stepmgr", ' ', Nothing),
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
/// one line, an unquoted `#` starts a comment. What `sbatch` cannot read is skipped; [`faults`] tells of it.
#[must_use]
pub fn parse(script: &str) -> Vec<Directive> {
    read(script).0
}

/// What `sbatch` refuses about a line of directives (what 22.05 does, run, and what the source of 26.11 says).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A word that is no option and no value, such as the `GB` of `--mem=4 GB` or an option that begins with a
    /// typographic dash. Up to 18.08 it was passed over.
    NoOption(String),
    /// A quote that is never closed.
    OpenQuote(char),
    /// An option that is not in sbatch(1), or the beginning of several; a newer SLURM may know it.
    UnknownOption(String),
    /// An option that ends the directives, and whose value is missing.
    NoValue(String),
    /// A flag with a value behind `=`.
    FlagWithValue(String),
}

/// The faults of a script's directives with their lines, counted from one.
#[must_use]
pub fn faults(script: &str) -> Vec<(Fault, usize)> {
    let (directives, mut faults) = read(script);
    faults.extend(directives.into_iter().filter_map(|found| {
        let known = OPTIONS.iter().find(|(name, ..)| *name == found.option);
        let fault = match (known, &found.value) {
            (None, _) => Fault::UnknownOption(found.option),
            (Some((.., Value)), None) => Fault::NoValue(found.option),
            (Some((.., Nothing)), Some(_)) => Fault::FlagWithValue(found.option),
            _ => return None,
        };
        Some((fault, found.line))
    }));
    faults
}

fn read(script: &str) -> (Vec<Directive>, Placed<Fault>) {
    let (words, mut faults) = directive_words(script);
    let mut found = Vec::new();
    for component in words.chunk_by(|one, next| one.component == next.component) {
        let mut words = component.iter();
        let mut options_ended = false;
        while let Some(word) = words.next() {
            let mut next_word = || words.next().map(|value| value.text.clone());
            let mut option = |option, value| {
                found.push(Directive {
                    option,
                    value,
                    line: word.line,
                    component: word.component,
                });
            };
            match word.text.strip_prefix('-') {
                Some("-") if !options_ended => options_ended = true,
                Some(rest) if !rest.is_empty() && !options_ended => match rest.strip_prefix('-') {
                    Some(long) => long_option(long, &mut next_word, &mut option),
                    None => short_options(rest, &mut next_word, &mut option),
                },
                _ => faults.push((Fault::NoOption(word.text.clone()), word.line)),
            }
        }
    }
    (found, faults)
}

/// The last value given for an option: the one that `sbatch` uses. Of a heterogeneous job's directives, those of the
/// first component count that is among them.
#[must_use]
pub fn last<'a>(directives: &'a [Directive], option: &str) -> Option<&'a Directive> {
    let component = directives.first()?.component;
    directives
        .iter()
        .rev()
        .find(|found| found.component == component && found.option == option)
}

/// How many components a job has: one, unless it is a heterogeneous job; sbatch(1), "heterogeneous jobs".
#[must_use]
pub fn components(script: &str) -> usize {
    let comments = script.lines().take_while(|line| is_comment(line));
    1 + comments.filter(|line| opens_component(line)).count()
}

/// Whether a directive line parts two components: its first word says so.
fn opens_component(line: &str) -> bool {
    let words = line.strip_prefix("#SBATCH").unwrap_or_default();
    words
        .split_ascii_whitespace()
        .next()
        .is_some_and(is_separator)
}

fn is_separator(word: &str) -> bool {
    ["hetjob", "packjob"]
        .iter()
        .any(|separator| word.eq_ignore_ascii_case(separator))
}

/// The line of the first command, counted from one: where `sbatch` stops looking for directives.
#[must_use]
pub fn first_command(script: &str) -> Option<usize> {
    script
        .lines()
        .position(|line| !is_comment(line))
        .map(|index| index + 1)
}

/// Whether a line leaves `sbatch` looking for directives: blank, or a comment. A blank of another alphabet is a command.
fn is_comment(line: &str) -> bool {
    let text = line.trim_ascii_start();
    text.is_empty() || text.starts_with('#')
}

/// The words of all directive lines, and the quotes that are never closed. A value may stand on the next directive line.
fn directive_words(script: &str) -> (Vec<Word>, Placed<Fault>) {
    let (mut words, mut faults) = (Vec::new(), Vec::new());
    let mut component = 0;
    let comments = script.lines().take_while(|line| is_comment(line));
    for (text, line) in comments.zip(1..) {
        component += usize::from(opens_component(text));
        let (found, open) = split_words(text.strip_prefix("#SBATCH").unwrap_or_default());
        let found = found.into_iter().filter(|word| !is_separator(word));
        words.extend(found.map(|text| Word {
            text,
            line,
            component,
        }));
        faults.extend(open.map(|quote| (Fault::OpenQuote(quote), line)));
    }
    (words, faults)
}

/// Splits at blanks, with quotes and backslashes taken out; the rules are those of `sbatch`, not of a shell: outside
/// quotes a blank ends a word even behind a backslash (up to 23.11), and an empty word ends the line. A quote that is
/// never closed holds the rest of the line.
fn split_words(text: &str) -> (Vec<String>, Option<char>) {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let (c, is_escaped) = match c {
            '\\' => (characters.next().unwrap_or(' '), true),
            _ => (c, false),
        };
        match quote {
            Some(open) if c == open && !is_escaped => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c.is_ascii_whitespace() => match word.take() {
                Some(empty) if empty.is_empty() => return (words, None),
                ended => words.extend(ended),
            },
            None if is_escaped => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c == '#' => break,
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.filter(|word| !word.is_empty()));
    (words, quote)
}

/// `--name=value`, `--name value` or `--name`.
fn long_option(
    text: &str,
    next_word: &mut dyn FnMut() -> Option<String>,
    found: &mut dyn FnMut(String, Option<String>),
) {
    let (written, attached) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    let (option, takes) = canonical(written);
    let value = match (attached, takes) {
        (None, Value) => next_word(),
        (attached, _) => attached,
    };
    found(option, value);
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
    next_word: &mut dyn FnMut() -> Option<String>,
    found: &mut dyn FnMut(String, Option<String>),
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
        found(option, value);
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
            #SBATCH stray --output='it''s_%j.out' --error=\"a\\ b\" \\\r\n\
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
    fn the_first_component_runs_the_script() {
        let script =
            "#SBATCH -o a -n 2\n#SBATCH HetJob -o b\n#SBATCH -n 1\n#SBATCH packjob\ntrue\n";
        let directives = parse(script);
        let value = |found: Option<&Directive>| found.and_then(|found| found.value.clone());
        assert_eq!(value(last(&directives, "output")).as_deref(), Some("a"));
        assert_eq!(value(last(&directives, "ntasks")).as_deref(), Some("2"));
        assert_eq!(
            value(last(&directives[2..], "output")).as_deref(),
            Some("b")
        );
        assert_eq!(components(script), 3);
        assert_eq!(components("#!/bin/sh\n"), 1);
    }

    /// Each as `sbatch --test-only` of SLURM 22.05 takes it or refuses it.
    #[test]
    fn what_sbatch_refuses_is_told_with_its_line() {
        let told = |lines: &str| faults(&format!("#!/bin/sh\n{lines}\ntrue\n#SBATCH 'x y\n"));
        for line in [
            "#SBATCH -J x --time=0:30 \\",
            "#SBATCH --comment='a \"b' -n 2 # it's a remark",
            "#SBATCH -n 2\n#SBATCH hetjob\n#SBATCH --cpus-per-t 2",
            "##SBATCH stray",
            "#SBATCH --tasks=2 -HQ",
            "#SBATCH -J \"\" passed over\n#SBATCH named",
            "#SBATCH -n 2\n#SBATCH PackJob -n 2 hetjob --requeue=expedite --",
        ] {
            assert_eq!(told(line), [], "{line}");
        }
        let word = |word: &str| Fault::NoOption(word.to_owned());
        let option = |name: &str| Fault::UnknownOption(name.to_owned());
        for (line, wanted) in [
            ("#SBATCH --mem=4 GB", word("GB")),
            ("#SBATCH --nice 5", word("5")),
            ("#SBATCH --comment=a\\ b", word("b")),
            ("#SBATCHES -n 2", word("ES")),
            ("#SBATCH --comment=it's fine", Fault::OpenQuote('\'')),
            ("#SBATCH -J \"x", Fault::OpenQuote('"')),
            ("#SBATCH --memory=4G", option("memory")),
            ("#SBATCH --cpus=4", option("cpus")),
            ("#SBATCH -z", option("z")),
            ("#SBATCH -", word("-")),
            ("#SBATCH -- -n", word("-n")),
            ("#SBATCH --hold=1", Fault::FlagWithValue("hold".to_owned())),
            ("#SBATCH -n 2 -p", Fault::NoValue("partition".to_owned())),
            (
                "#SBATCH --gres\n#SBATCH hetjob\n#SBATCH -n 2",
                Fault::NoValue("gres".to_owned()),
            ),
            (
                "#SBATCH -n\n\u{a0}\n#SBATCH 2",
                Fault::NoValue("ntasks".to_owned()),
            ),
        ] {
            assert_eq!(told(line), [(wanted, 2)], "{line}");
        }
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
