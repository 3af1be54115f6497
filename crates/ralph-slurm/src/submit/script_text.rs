//! What a job script asks for, as far as a submission has to know: where it writes, where it starts, who reads it. Pure.

use ralph_core::id::Slug;
use ralph_core::sbatch::{self, Directive};

/// A script and what it asks for.
#[derive(Debug)]
pub(super) struct ScriptText<'a> {
    text: &'a str,
    directives: Vec<Directive>,
    components: usize,
}

/// Where the logs of a job go when its script does not say.
const DEFAULT_LOG: &str = "slurm/logs/%x_%j";
const DEFAULT_ARRAY_LOG: &str = "slurm/logs/%x_%A_%a";

impl<'a> ScriptText<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            directives: sbatch::parse(text),
            components: sbatch::components(text),
        }
    }

    /// How many components the job has: one, unless it is a heterogeneous job.
    pub(super) fn components(&self) -> usize {
        self.components
    }

    /// The value of a directive of the component that runs the script.
    pub(super) fn value(&self, option: &str) -> Option<&str> {
        sbatch::last(&self.directives, option)?.value.as_deref()
    }

    /// Whether the script sets this option.
    pub(super) fn sets(&self, option: &str) -> bool {
        sbatch::last(&self.directives, option).is_some()
    }

    /// All directives as one text: scripts with the same ones pass or fail the same preflight.
    pub(super) fn directive_text(&self) -> String {
        self.directives
            .iter()
            .map(|found| {
                format!(
                    "{}={}\n",
                    found.option,
                    found.value.as_deref().unwrap_or_default()
                )
            })
            .collect()
    }

    /// The shell that reads it, when it is one whose language the prologue is written in.
    pub(super) fn shell(&self) -> Option<&'static str> {
        let line = self.text.lines().next()?.strip_prefix("#!")?;
        let mut words = line.split_whitespace();
        let mut program = words.next()?;
        if program.ends_with("/env") {
            program = words.find(|word| !word.starts_with('-'))?;
        }
        let name = program.rsplit('/').next()?;
        ["bash", "sh", "dash", "ksh", "zsh"]
            .into_iter()
            .find(|known| *known == name)
    }

    /// The line before which the prologue goes, counted from one.
    pub(super) fn first_command(&self) -> Option<usize> {
        sbatch::first_command(self.text)
    }

    /// The folder that `sbatch` runs in, relative to the repository's: its root when the script's log paths start
    /// there, as most do that people wrote, else the project's folder.
    pub(super) fn work_folder(&self, project: &Slug) -> String {
        let home = format!("projects/{project}");
        let from_root = |option| {
            self.value(option)
                .is_some_and(|path| path.starts_with(&format!("{home}/")))
        };
        if from_root("output") || from_root("error") || from_root("chdir") {
            ".".to_owned()
        } else {
            home
        }
    }

    /// The pattern of standard output, and of standard error when it has a file of its own.
    pub(super) fn logs(&self) -> (String, Option<String>) {
        match (self.value("output"), self.value("error")) {
            (Some(out), err) => (out.to_owned(), err.map(str::to_owned)),
            (None, Some(err)) => (format!("{}.out", self.default_log()), Some(err.to_owned())),
            (None, None) => {
                let stem = self.default_log();
                (format!("{stem}.out"), Some(format!("{stem}.err")))
            }
        }
    }

    fn default_log(&self) -> &'static str {
        if self.sets("array") {
            DEFAULT_ARRAY_LOG
        } else {
            DEFAULT_LOG
        }
    }

    /// `pattern` relative to the repository's folder, or absolute as written.
    pub(super) fn place(&self, work_folder: &str, pattern: &str) -> String {
        let start = self
            .value("chdir")
            .map_or_else(|| work_folder.to_owned(), |chdir| join(work_folder, chdir));
        join(&start, pattern)
    }
}

fn join(folder: &str, path: &str) -> String {
    if path.starts_with('/') || folder == "." {
        path.to_owned()
    } else {
        format!(
            "{}/{}",
            folder.trim_end_matches('/'),
            path.trim_start_matches("./")
        )
    }
}

/// The folder of a log pattern, up to the first part that depends on the job.
pub(super) fn folder_of(pattern: &str) -> Option<&str> {
    let fixed = pattern.split('%').next().unwrap_or_default();
    let folder = fixed.rsplit_once('/')?.0;
    (!folder.is_empty()).then_some(folder)
}

/// A log pattern as a shell pattern: `%j`, `%A` and `%a` stay to be filled in, everything else that depends on the
/// job becomes `*`, because a name is not always what it was meant to be (incident 41).
pub(super) fn glob(pattern: &str) -> String {
    let mut glob = String::new();
    let mut characters = pattern.chars().peekable();
    while let Some(c) = characters.next() {
        if c != '%' {
            glob.push(c);
            continue;
        }
        let mut padded = false;
        while characters.next_if(char::is_ascii_digit).is_some() {
            padded = true;
        }
        match characters.next() {
            Some(c @ ('j' | 'A' | 'a')) if !padded => {
                glob.push('%');
                glob.push(c);
            }
            Some('%') => glob.push('?'),
            _ => glob.push('*'),
        }
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_folder_follows_the_log_paths() {
        let slug: Slug = "ired".parse().unwrap();
        let folder = |text: &str| ScriptText::new(text).work_folder(&slug);
        assert_eq!(
            folder("#!/bin/bash\n#SBATCH --output=projects/ired/slurm/logs/%x_%j.out\n"),
            "."
        );
        assert_eq!(
            folder("#!/bin/bash\n#SBATCH -o slurm/logs/%x_%j.out\n"),
            "projects/ired"
        );
        assert_eq!(
            folder("#!/bin/bash\n#SBATCH -o projects/ired2/x.out\n"),
            "projects/ired"
        );
        assert_eq!(folder("#!/bin/bash\necho\n"), "projects/ired");
    }

    #[test]
    fn log_patterns_become_folders_and_globs() {
        let cases = [
            (
                "projects/ired/slurm/logs/%x_%A_%a.out",
                Some("projects/ired/slurm/logs"),
                "projects/ired/slurm/logs/*_%A_%a.out",
            ),
            ("slurm-%j.out", None, "slurm-%j.out"),
            ("/abs/%u/log_%4a.err", Some("/abs"), "/abs/*/log_*.err"),
            ("100%%.out", None, "100?.out"),
            ("/x", None, "/x"),
        ];
        for (pattern, folder, shell) in cases {
            assert_eq!(
                (folder_of(pattern), glob(pattern).as_str()),
                (folder, shell),
                "{pattern}"
            );
        }
    }

    #[test]
    fn logs_are_both_streams_unless_only_one_file_is_named() {
        let logs = |text: &str| ScriptText::new(text).logs();
        let default = logs("#!/bin/sh\n");
        assert_eq!(
            default,
            (
                "slurm/logs/%x_%j.out".into(),
                Some("slurm/logs/%x_%j.err".into())
            )
        );
        assert_eq!(
            logs("#!/bin/sh\n#SBATCH -a 0-3\n").0,
            "slurm/logs/%x_%A_%a.out"
        );
        assert_eq!(
            logs("#!/bin/sh\n#SBATCH -o all.txt\n"),
            ("all.txt".into(), None)
        );
    }

    #[test]
    fn the_first_component_of_a_heterogeneous_job_runs_the_script() {
        let text = "#!/bin/sh\n#SBATCH -n 1 -o first.txt\n#SBATCH hetjob\n#SBATCH -n 2 -o second.txt\n#SBATCH packjob\ntrue\n#SBATCH hetjob\n";
        let script = ScriptText::new(text);
        assert_eq!(
            (script.components(), script.value("output")),
            (3, Some("first.txt"))
        );
        assert_eq!(
            script.directive_text(),
            "ntasks=1\noutput=first.txt\nntasks=2\noutput=second.txt\n"
        );
        assert_eq!(ScriptText::new("#SBATCH -n 1\n").components(), 1);
    }

    #[test]
    fn shells_are_known_by_their_name() {
        let shell = |line: &str| ScriptText::new(line).shell();
        assert_eq!(shell("#!/bin/bash -l"), Some("bash"));
        assert_eq!(shell("#!/usr/bin/env -S bash"), Some("bash"));
        assert_eq!(shell("#!/usr/bin/python3"), None);
        assert_eq!(shell("#!/bin/csh"), None);
        assert_eq!(shell("echo"), None);
    }
}
