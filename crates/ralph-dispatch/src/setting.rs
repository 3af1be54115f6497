//! A value and where it comes from. Pure.

use std::fmt;

use serde::Serialize;

/// A value with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it was found.
    pub(crate) origin: Origin,
}

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The command line.
    Flag(&'static str),
    /// The environment.
    Variable(&'static str),
    /// `project.conf`.
    File {
        /// The key.
        key: &'static str,
        /// Its line, from 1.
        line: usize,
    },
    /// Nowhere; with the rule that gave the value.
    Default(String),
}

impl Origin {
    /// Whether somebody asked for the value.
    pub(crate) fn is_asked(&self) -> bool {
        !matches!(self, Self::Default(_))
    }

    /// How high it ranks: a flag over a variable over the file over nothing.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Flag(_) => 3,
            Self::Variable(_) => 2,
            Self::File { .. } => 1,
            Self::Default(_) => 0,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => f.write_str(name),
            Self::Variable(name) => write!(f, "environment: {name}"),
            Self::File { key, line } => write!(f, "project.conf:{line}: {key}"),
            Self::Default(rule) if rule.is_empty() => f.write_str("default"),
            Self::Default(rule) => write!(f, "default: {rule}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<T> Setting<T> {
    pub(crate) fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// A value that nobody asked for.
    pub(crate) fn default(value: T, rule: &str) -> Self {
        Self::new(value, Origin::Default(rule.to_owned()))
    }

    /// The same place with another value.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting {
            value: change(self.value),
            origin: self.origin,
        }
    }
}
