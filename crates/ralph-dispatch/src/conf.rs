//! `project.conf`: the registered repositories and the knobs, read without running the file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ralph_core::error::{Code, Coded, Hint};
use ralph_core::id::Slug;
use ralph_loop::shell_file::{self, ShellFile, ShellFileError};

/// Why `project.conf` cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfError {
    /// The file cannot be read.
    #[error("{}: cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
    /// It holds what only a run can tell, or is no bash.
    #[error(transparent)]
    Shell(#[from] ShellFileError),
    /// An entry of `REPOS` is wrong.
    #[error("{}:{line}: {what}", .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry's line.
        line: usize,
        /// What was expected and what was found.
        what: String,
    },
}

impl Coded for ConfError {
    fn code(&self) -> Code {
        match self {
            Self::Read { .. } => Code::Failed,
            Self::Shell(error) => error.code(),
            Self::Entry { .. } => Code::Usage,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Read { .. } => Some(Hint::new("Check the file's permissions.")),
            Self::Shell(error) => error.hint(),
            Self::Entry { .. } => Some(Hint::new(
                "An entry is \"name=svc-a;url=https://host/owner/svc-a\", one per line of REPOS=( … ).",
            )),
        }
    }
}

/// A registered repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    /// Its name, and its folder's below `repos/`.
    pub(crate) name: Slug,
}

/// The file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conf {
    file: ShellFile,
    /// The repositories, in their order.
    pub(crate) repositories: Vec<Registered>,
}

impl Conf {
    /// Reads the file.
    ///
    /// # Errors
    /// See [`ConfError`].
    pub(crate) fn open(path: &Path) -> Result<Self, ConfError> {
        let text = fs::read_to_string(path).map_err(|source| ConfError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::read(&text, path)
    }

    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// See [`ConfError`].
    pub(crate) fn read(text: &str, path: &Path) -> Result<Self, ConfError> {
        let file = shell_file::read(text, path)?;
        let mut repositories: Vec<Registered> = Vec::new();
        let entries = file.array("REPOS").map(|found| found.value.as_slice());
        for (index, entry) in entries.unwrap_or_default().iter().enumerate() {
            let line = file.element_line("REPOS", index).unwrap_or_default();
            let wrong = |what: String| ConfError::Entry {
                path: path.to_owned(),
                line,
                what,
            };
            let name = name_of(entry)
                .ok_or_else(|| wrong(format!("expected `name=…` in the entry `{entry}`")))?;
            let name: Slug = name
                .parse()
                .map_err(|error| wrong(format!("the name of a repository: {error}")))?;
            if repositories.iter().any(|known| known.name == name) {
                return Err(wrong(format!("{name} is registered a second time")));
            }
            repositories.push(Registered { name });
        }
        Ok(Self { file, repositories })
    }

    /// A knob: its text and its line. One that is empty counts as not there, as in the environment.
    pub(crate) fn knob(&self, key: &str) -> Option<(&str, usize)> {
        let found = self.file.scalar(key)?;
        let text = found.value.trim();
        (!text.is_empty()).then_some((text, found.line))
    }

    /// The same with more names: of repositories that were taken out of the file while their loops run.
    pub(crate) fn with_names<'n>(mut self, names: impl Iterator<Item = &'n str>) -> Self {
        for name in names.filter_map(|name| name.parse::<Slug>().ok()) {
            if !self.repositories.iter().any(|known| known.name == name) {
                self.repositories.push(Registered { name });
            }
        }
        self
    }

    /// The names of the repositories.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.repositories.iter();
        names.map(|found| found.name.to_string()).collect()
    }
}

/// The value of `name` in `name=svc-a;url=…`; order and unknown keys do not matter.
fn name_of(entry: &str) -> Option<&str> {
    let pairs = entry.split(';').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.trim(), value.trim()))
        .find(|(key, value)| *key == "name" && !value.is_empty())
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Conf, String> {
        Conf::read(text, Path::new("project.conf")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_repositories_and_the_knobs_are_read() {
        let conf = read(
            "# A workbench\nWORKBENCH_NAME=demo\nexport WB_RALPH_PARALLEL=3 # workers\nEPICS=\"\"\nREPOS=(\n  \"name=svc-a;url=https://host/o/svc-a;role=service\"\n  \"url=https://host/o/web;name=svc-web\"\n)\n",
        )
        .unwrap();
        assert_eq!(conf.names(), ["svc-a", "svc-web"]);
        assert_eq!(conf.knob("WB_RALPH_PARALLEL"), Some(("3", 3)));
        assert_eq!(conf.knob("EPICS"), None);
        assert_eq!(conf.knob("WB_RALPH_MAX_TASKS"), None);
    }

    #[test]
    fn a_wrong_entry_is_named_with_its_line() {
        assert_eq!(
            read("REPOS=(\n  \"url=x\"\n)\n").unwrap_err(),
            "project.conf:2: expected `name=…` in the entry `url=x`"
        );
        assert!(
            read("REPOS=(\"name=a\" \"name=a\")\n")
                .unwrap_err()
                .contains("a second time")
        );
        assert!(
            read("REPOS=(\"name=../x\")\n")
                .unwrap_err()
                .starts_with("project.conf:1: the name of a repository: \"../x\" is not")
        );
        assert!(
            read("X=1\nY=$(date)\n")
                .unwrap_err()
                .starts_with("project.conf:2: ")
        );
    }
}
