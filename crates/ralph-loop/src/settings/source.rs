//! Where a value comes from. The order is the command line, the environment, the files, the default; nothing here
//! knows a knob.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Problem;
use crate::shell_file::ShellFile;

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting<T> {
    /// The value in force.
    pub value: T,
    /// Where it was found.
    pub origin: Origin,
}

impl<T> Setting<T> {
    /// A value that nobody set.
    pub fn by_default(value: T) -> Self {
        Self {
            value,
            origin: Origin::Default,
        }
    }

    /// Another value from the same place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting {
            value: change(self.value),
            origin: self.origin,
        }
    }
}

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    CommandLine(&'static str),
    /// A variable of the environment.
    Environment(&'static str),
    /// A line of a file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from one.
        line: usize,
        /// The name that is assigned there.
        name: &'static str,
    },
    /// Nowhere.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine(flag) => f.write_str(flag),
            Self::Environment(name) => write!(f, "{name} in the environment"),
            Self::File { path, line, name } => write!(f, "{}:{line}: {name}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A file of assignments, by name.
#[derive(Debug, Clone, Copy)]
pub struct NamedFile<'a> {
    /// As it is called in messages.
    pub path: &'a Path,
    /// What it assigns.
    pub content: &'a ShellFile,
}

/// How a knob is called: a flag, and names that stand in the environment and in files. The first name that has a
/// value counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Knob {
    pub(super) flag: &'static str,
    pub(super) names: &'static [&'static str],
    /// Names that are too common for the environment.
    pub(super) file_names: &'static [&'static str],
}

/// Text that was found for a knob.
pub(super) struct Found {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// Looks values up, and gathers what is wrong with them.
#[derive(Debug)]
pub(super) struct Lookup<'a> {
    pub(super) environment: &'a BTreeMap<String, String>,
    pub(super) files: &'a [NamedFile<'a>],
    pub(super) problems: Vec<Problem>,
}

impl Lookup<'_> {
    /// The strongest text for a knob. An empty one counts as not set, as it does for the programs before this one.
    pub(super) fn find(&mut self, typed: Option<&str>, knob: &Knob) -> Option<Found> {
        if let Some(text) = typed {
            return Some(Found {
                text: text.to_owned(),
                origin: Origin::CommandLine(knob.flag),
            });
        }
        let is_set = |text: &&String| !text.trim().is_empty();
        for name in knob.names {
            if let Some(text) = self.environment.get(*name).filter(is_set) {
                return Some(Found {
                    text: text.clone(),
                    origin: Origin::Environment(name),
                });
            }
        }
        for file in self.files {
            for name in knob.names.iter().chain(knob.file_names) {
                if let Some(array) = file.content.array(name) {
                    self.problems.push(Problem::Array {
                        origin: at(file, name, array.line),
                    });
                }
                if let Some(scalar) = file.content.scalar(name)
                    && is_set(&&scalar.value)
                {
                    return Some(Found {
                        text: scalar.value.clone(),
                        origin: at(file, name, scalar.line),
                    });
                }
            }
        }
        None
    }

    /// The value of a knob. One that cannot be read is noted, and the default stands in for it.
    pub(super) fn get<T>(
        &mut self,
        typed: Option<&str>,
        knob: &Knob,
        read: impl Fn(&str) -> Result<T, &'static str>,
        default: T,
    ) -> Setting<T> {
        let Some(found) = self.find(typed, knob) else {
            return Setting::by_default(default);
        };
        match read(found.text.trim()) {
            Ok(value) => Setting {
                value,
                origin: found.origin,
            },
            Err(expected) => {
                self.refuse(&found, expected);
                Setting::by_default(default)
            }
        }
    }

    pub(super) fn refuse(&mut self, found: &Found, expected: &'static str) {
        self.problems.push(Problem::Value {
            origin: found.origin.clone(),
            expected,
            found: found.text.chars().take(120).collect(),
        });
    }
}

fn at(file: &NamedFile<'_>, name: &'static str, line: usize) -> Origin {
    Origin::File {
        path: file.path.to_owned(),
        line,
        name,
    }
}
