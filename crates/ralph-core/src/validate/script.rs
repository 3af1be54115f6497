//! Job scripts: what makes a submission die at once, lose its log, or succeed without having worked. The text is
//! only looked at; `bash -n` and the scheduler's own test belong to the preflight.

use std::collections::BTreeSet;

use super::layout::exists;
use super::{Finding, Findings, Severity};
use crate::id::Slug;
use crate::sbatch::{self, Directive, Fault};

/// Checks one script. `path` and `names` are relative to the project's folder.
#[must_use]
pub fn check_script(path: &str, text: &str, slug: &Slug, names: &BTreeSet<String>) -> Vec<Finding> {
    let directives = sbatch::parse(text);
    let mut findings = Findings::of(path);
    shape(text, &mut findings);
    stray_directives(text, &mut findings);
    faults(text, &mut findings);
    values(&directives, &mut findings);
    log_files(&directives, slug, names, &mut findings);
    commands(text, &directives, &mut findings);
    findings.all
}

/// What `sbatch` refuses before it looks at any option.
fn shape(text: &str, findings: &mut Findings<'_>) {
    if !text.starts_with("#!") {
        let (message, fix) = if text.starts_with('\u{feff}') {
            (
                "a byte order mark stands before `#!`, so the scheduler sees no shell",
                "Remove it (`sed -i '1s/^\\xef\\xbb\\xbf//'`).",
            )
        } else {
            (
                "expected `#!` and a shell on the first line",
                "Start the script with `#!/bin/bash`.",
            )
        };
        findings.error("no_shell", message, fix).on_line(1);
    }
    if let Some(line) = text.split('\n').position(|line| line.ends_with('\r')) {
        let message = "the line ends as on DOS, which the scheduler refuses";
        findings
            .error(
                "dos_line_ends",
                message,
                "Convert the file (`sed -i 's/\\r$//'`).",
            )
            .on_line(line + 1);
    }
}

/// Lines that look like directives and are none.
/// They cost nothing at submission; the job then runs with defaults that nobody meant.
fn stray_directives(text: &str, findings: &mut Findings<'_>) {
    let first_command = sbatch::first_command(text).unwrap_or(usize::MAX);
    for (line, number) in text.lines().zip(1..) {
        let bare = line.trim_start().trim_start_matches('#').trim_start();
        let named = bare
            .get(..8)
            .is_some_and(|name| name.eq_ignore_ascii_case("SBATCH -"));
        let looks_like = line.trim_start().starts_with('#') && named;
        let late = number > first_command;
        let indented = !line.starts_with("#SBATCH") && !line.starts_with("##");
        let (message, fix) = match (looks_like, late, indented) {
            (true, true, false) if line.starts_with("#SBATCH") => (
                "a directive after the first command is ignored",
                "Move it above the first command.",
            ),
            (true, false, true) => (
                "only a line that starts with `#SBATCH` is a directive",
                "Write `#SBATCH` without blanks at the start of the line.",
            ),
            _ => continue,
        };
        findings
            .warning("not_a_directive", message, fix)
            .on_line(number);
    }
}

/// Lines of directives that `sbatch` cannot read.
fn faults(text: &str, findings: &mut Findings<'_>) {
    for (fault, line) in sbatch::faults(text) {
        let (severity, code, message, fix) = match fault {
            Fault::NoOption(word) => (
                Severity::Error,
                "not_an_option",
                format!(
                    "`{word}` is neither an option nor a value, so the scheduler refuses the script"
                ),
                "Write each option as `--option=value`: hyphens in front, and no blank in the value.",
            ),
            Fault::OpenQuote(quote) => (
                Severity::Error,
                "open_quote",
                format!(
                    "a `{quote}` opens a quotation that is never closed, so the scheduler refuses the script"
                ),
                "Close it on the same line, or write the value without it.",
            ),
            Fault::UnknownOption(name) => (
                Severity::Warning,
                "unknown_option",
                format!(
                    "`{name}` is no option in the scheduler's manual, nor the beginning of exactly one: a scheduler that \
                     does not know it refuses the script"
                ),
                "Look its name up in the manual of the cluster's version.",
            ),
            Fault::NoValue(name) => (
                Severity::Error,
                "no_value",
                format!("--{name} has no value, so the scheduler refuses the script"),
                "Write it as `--option=value`.",
            ),
            Fault::FlagWithValue(name) => (
                Severity::Error,
                "value_of_a_flag",
                format!("--{name} takes no value, so the scheduler refuses the script"),
                "Write it without `=`, or leave it out.",
            ),
        };
        findings.add(severity, code, message, fix).on_line(line);
    }
}

/// The values of directives that can be judged without knowing the site; what a partition allows is a policy
/// of the configuration and belongs to the preflight.
fn values(directives: &[Directive], findings: &mut Findings<'_>) {
    for directive in directives {
        // A missing value is a fault of its own.
        let Some(value) = directive.value.as_deref() else {
            continue;
        };
        let (severity, code, message, fix) = match directive.option.as_str() {
            "time" if sbatch::time_limit(value).is_none() => (
                Severity::Error,
                "bad_time",
                format!("`{value}` is no time limit"),
                "Write `hours:minutes:seconds` or `days-hours`.",
            ),
            "array" => match sbatch::array(value) {
                Ok(_) => continue,
                Err(why) => (
                    Severity::Error,
                    "bad_array",
                    why,
                    "Write it as `0-9%2` or `1,3,5`.",
                ),
            },
            option if !is_amount(option, value) => (
                Severity::Error,
                "bad_amount",
                format!(
                    "`{value}` is no amount for --{option}, so the scheduler refuses the script"
                ),
                "Write a whole number; of memory with `K`, `M`, `G` or `T` behind it.",
            ),
            "job-name" if value.contains('%') => (
                Severity::Warning,
                "symbol_in_job_name",
                format!("`{value}` is taken literally: symbols are not filled in a job's name"),
                "Use the symbol in --output, where it is filled.",
            ),
            "export" if export_is_cut(value) => (
                Severity::Error,
                "comma_in_export",
                format!("`{value}` is split at its commas, so a list keeps only its first value"),
                "Pass the list through a file or the configuration.",
            ),
            _ if value.starts_with("--") => (
                Severity::Warning,
                "option_as_value",
                format!(
                    "--{} has no value of its own and takes `{value}` for it",
                    directive.option
                ),
                "Write each option as `--option=value`.",
            ),
            _ if value.starts_with('=') => (
                Severity::Warning,
                "equals_sign_in_value",
                format!("the value is `{value}`, with its equals sign"),
                "Write a short option as `-p gpu`, a long one as `--partition=gpu`.",
            ),
            _ if value.contains('$') => (
                Severity::Warning,
                "variable_in_directive",
                format!("`{value}` is taken literally: no variable is filled in a directive"),
                "Write the value itself, or give the option when the job is submitted.",
            ),
            _ => continue,
        };
        findings
            .add(severity, code, message, fix)
            .on_line(directive.line);
    }
    // The default open mode is truncation, so the evidence of the first attempt is gone.
    let requeue = sbatch::last(directives, "requeue");
    let append = sbatch::last(directives, "open-mode").and_then(|found| found.value.as_deref());
    if let Some(requeue) = requeue.filter(|_| append != Some("append")) {
        let message = "a requeued job overwrites its log";
        let fix = "Add `#SBATCH --open-mode=append`.";
        findings
            .warning("log_overwritten", message, fix)
            .on_line(requeue.line);
    }
}

/// Whether an option of a number can have this value; of another option everything can be one.
fn is_amount(option: &str, value: &str) -> bool {
    match option {
        "cores-per-socket" | "cpus-per-gpu" | "cpus-per-task" | "mincpus" | "ntasks"
        | "ntasks-per-core" | "ntasks-per-gpu" | "ntasks-per-node" | "ntasks-per-socket"
        | "sockets-per-node" | "threads-per-core" => sbatch::is_count(value),
        "mem" | "mem-per-cpu" | "mem-per-gpu" | "tmp" => sbatch::is_size(value),
        "nodes" => sbatch::is_node_count(value),
        _ => true,
    }
}

/// Whether a part between commas is neither a name nor an assignment: it was meant to belong to a value.
fn export_is_cut(value: &str) -> bool {
    // What quotes that are left of a directive hold is one part, and nothing between two commas is passed over.
    let mut quote = None;
    let parts = value.split(|c: char| {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            _ => {}
        }
        c == ',' && quote.is_none()
    });
    let is_name = |text: &str| {
        !text.is_empty()
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    parts.filter(|part| !part.is_empty()).any(|part| {
        let part = part.trim_start_matches(['"', '\'']);
        !is_name(part.split('=').next().unwrap_or_default())
    })
}

/// Where the logs go: into a folder that exists, and each job into a file of its own.
fn log_files(
    directives: &[Directive],
    slug: &Slug,
    names: &BTreeSet<String>,
    findings: &mut Findings<'_>,
) {
    let in_array = sbatch::last(directives, "array").is_some();
    for option in ["output", "error"] {
        let Some(found) = sbatch::last(directives, option) else {
            continue;
        };
        let pattern = found.value.as_deref().unwrap_or_default();
        if let Some(folder) = missing_folder(pattern, slug, names) {
            let message = format!(
                "the folder `{folder}` of --{option} is not in the project: without it the job dies at once and \
                 leaves no log"
            );
            let fix = "Make the folder, or name one that exists, such as slurm/logs.";
            findings
                .error("no_log_folder", message, fix)
                .on_line(found.line);
        }
        if is_shared(pattern, in_array) {
            let message = format!(
                "`{pattern}` is the same file for several jobs or tasks, which overwrite each other"
            );
            let fix = if in_array {
                "Use `%A_%a` in the name."
            } else {
                "Use `%j` in the name."
            };
            findings
                .warning("shared_log_file", message, fix)
                .on_line(found.line);
        }
    }
}

/// The folder of a log file, when it should be in the project and is not.
fn missing_folder<'a>(pattern: &'a str, slug: &Slug, names: &BTreeSet<String>) -> Option<&'a str> {
    // Scripts name the folder from the project or from the root of the repository; a folder of another project
    // and an absolute one cannot be judged from here.
    let own = pattern
        .strip_prefix(&format!("projects/{slug}/"))
        .unwrap_or(pattern);
    if own.starts_with('/') || own.starts_with("projects/") {
        return None;
    }
    let (folder, _) = own.rsplit_once('/')?;
    (!folder.contains('%') && !exists(names, folder)).then_some(folder)
}

/// Whether several jobs, or several tasks of one array, would write the same file.
fn is_shared(pattern: &str, in_array: bool) -> bool {
    let symbols: &[char] = if in_array {
        &['a', 'j', 'J']
    } else {
        &['j', 'J', 'A']
    };
    let mut filled = pattern
        .split('%')
        .skip(1)
        .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    pattern != "/dev/null" && !filled.any(|rest| rest.starts_with(symbols))
}

/// The commands: do they stop at the first failure, and can the shell read them?
/// Textual on purpose: a false alarm costs one line of output, a missed one costs a night of a GPU.
fn commands(text: &str, directives: &[Directive], findings: &mut Findings<'_>) {
    if is_for_another_program(text) {
        return;
    }
    let shell = ShellOptions::of(text);
    if !shell.errexit {
        let message = "nothing stops the script at a failed command, so the job may report success";
        findings.warning(
            "no_errexit",
            message,
            "Start the commands with `set -euo pipefail`.",
        );
    }
    let array = sbatch::last(directives, "array").is_some();
    for (line, number) in text.lines().zip(1..) {
        if line.trim_start().starts_with('#') {
            continue;
        }
        if !shell.pipefail && line.contains("| tee ") {
            let message = "the exit code of `tee` hides that of the program";
            findings
                .warning("exit_code_lost", message, "Add `set -o pipefail`.")
                .on_line(number);
        }
        if apostrophe_in_expansion(line) {
            let message = "an apostrophe inside `${…}` opens a quotation, and the shell cannot read the script";
            findings
                .error(
                    "apostrophe_in_expansion",
                    message,
                    "Reword the text without an apostrophe.",
                )
                .on_line(number);
        }
        if !array && line.contains("SLURM_ARRAY_TASK_ID") && !line.contains("SLURM_ARRAY_TASK_ID:")
        {
            let message =
                "SLURM_ARRAY_TASK_ID is only set in an array, and the script asks for none";
            findings
                .warning(
                    "no_array",
                    message,
                    "Add `#SBATCH --array`, or give the variable a default.",
                )
                .on_line(number);
        }
    }
}

/// Whether the first line names an interpreter that is no shell, such as Python.
fn is_for_another_program(text: &str) -> bool {
    let first = text.lines().next().unwrap_or("");
    let mut words = first
        .strip_prefix("#!")
        .unwrap_or("sh")
        .split(['/', ' ', '\t']);
    !words.any(|word| word.ends_with("sh"))
}

/// What `set` switches on anywhere in a script.
struct ShellOptions {
    errexit: bool,
    pipefail: bool,
}

impl ShellOptions {
    fn of(text: &str) -> Self {
        let shell = text.lines().next().unwrap_or_default();
        let mut found = Self {
            errexit: shell.starts_with("#!") && shell.ends_with(" -e"),
            pipefail: false,
        };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            if words.next() != Some("set") {
                continue;
            }
            for word in words.take_while(|word| !word.starts_with('#')) {
                let flags = word.strip_prefix('-').unwrap_or_default();
                found.errexit |= flags.contains('e') || word == "errexit";
                found.pipefail |= word == "pipefail";
            }
        }
        found
    }
}

/// Whether `${NAME:?text}` or a sibling of it holds an odd number of apostrophes.
fn apostrophe_in_expansion(line: &str) -> bool {
    // Bash pairs apostrophes inside an expansion even between double quotes.
    line.split("${").skip(1).any(|rest| {
        let text = rest.split('}').next().unwrap_or_default();
        let name = text
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count();
        let word = text.get(name..).unwrap_or_default();
        let operator = word.starts_with([':', '?', '-', '=', '+']);
        name > 0 && operator && word.matches('\'').count() % 2 == 1 && !word.contains("\\'")
    })
}
