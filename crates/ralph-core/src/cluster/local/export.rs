//! What `--export` asks for, and what a job takes over from its caller by it.
//!
//! Pure. What a scheduler or an outer job left in the caller's environment (`SLURM_*`, `SBATCH_*`) never reaches a job.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use serde::{Deserialize, Serialize};

/// What `--export` asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Export {
    base: Base,
    /// Variables to take over from the caller.
    names: Vec<String>,
    /// Variables with a value.
    values: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Base {
    /// Everything.
    #[default]
    All,
    /// What a login has.
    None,
    /// Nothing.
    Nil,
}

/// What remains of the caller's environment with `NONE`.
const LOGIN: [&str; 5] = ["HOME", "PATH", "USER", "SHELL", "LOGNAME"];

/// The path of a caller that has none.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

impl Export {
    /// Reads `ALL`, `NONE`, `NIL`, or a list of names and `NAME=value`, with or without `ALL`. A list without it
    /// starts from a login environment, as with SLURM.
    ///
    /// # Errors
    /// What is wrong with it, as a fragment for a message.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut export = Self {
            base: Base::None,
            ..Self::default()
        };
        for part in text.split(',').map(str::trim) {
            match part {
                "ALL" => export.base = Base::All,
                "NIL" => export.base = Base::Nil,
                "NONE" | "" => {}
                _ => {
                    let (name, value) = part.split_once('=').unwrap_or((part, ""));
                    if !is_name(name) {
                        return Err(format!("`{name}` in `{text}` is not a variable's name"));
                    }
                    if part.contains('=') {
                        export.values.insert(name.to_owned(), value.to_owned());
                    } else {
                        export.names.push(name.to_owned());
                    }
                }
            }
        }
        Ok(export)
    }

    /// What a job takes over from its caller.
    pub(super) fn apply(
        &self,
        caller: &BTreeMap<OsString, OsString>,
    ) -> BTreeMap<OsString, OsString> {
        let wanted = |name: &OsStr| match self.base {
            Base::All => true,
            Base::None => LOGIN.iter().any(|login| name == *login),
            Base::Nil => false,
        };
        let mut job: BTreeMap<OsString, OsString> = self
            .values
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        // With `ALL` the caller's value outranks a given one (sbatch(1), --export).
        for (name, value) in caller.iter().filter(|(name, _)| !is_schedulers(name)) {
            let named = self.names.iter().any(|known| name == known.as_str());
            if wanted(name) || named {
                let given = self.values.contains_key(&*name.to_string_lossy());
                if self.base == Base::All || !given {
                    job.insert(name.clone(), value.clone());
                }
            }
        }
        if self.base != Base::Nil {
            job.entry("PATH".into()).or_insert_with(|| PATH.into());
        }
        job
    }
}

/// Whether a variable belongs to a scheduler.
fn is_schedulers(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    [b"SLURM".as_slice(), b"SBATCH_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Whether a shell would take it as a variable.
pub(super) fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(export: &str) -> String {
        let caller = [
            ("HOME", "/home/me"),
            ("PATH", "/bin"),
            ("EDITOR", "vi"),
            ("TMPDIR", "/scratch"),
            ("SLURM_JOB_ID", "99"),
            ("SLURMD_NODENAME", "outer"),
            ("SBATCH_PARTITION", "gpu"),
        ];
        let caller = caller.map(|(name, value)| (name.into(), value.into()));
        Export::parse(export)
            .unwrap()
            .apply(&BTreeMap::from(caller))
            .iter()
            .map(|(name, value)| format!("{}={} ", name.display(), value.display()))
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    #[test]
    fn every_form_of_export() {
        for (export, expected) in [
            ("ALL", "EDITOR=vi HOME=/home/me PATH=/bin TMPDIR=/scratch"),
            ("NONE", "HOME=/home/me PATH=/bin"),
            ("NIL", ""),
            ("EDITOR", "EDITOR=vi HOME=/home/me PATH=/bin"),
            ("EDITOR=ed,A=b=c", "A=b=c EDITOR=ed HOME=/home/me PATH=/bin"),
            (
                "ALL,EDITOR=ed,NEW=1",
                "EDITOR=vi HOME=/home/me NEW=1 PATH=/bin TMPDIR=/scratch",
            ),
            ("NIL,EDITOR", "EDITOR=vi"),
            ("SLURM_JOB_ID", "HOME=/home/me PATH=/bin"),
        ] {
            assert_eq!(apply(export), expected, "{export}");
        }
        assert!(Export::parse("A-B=1").is_err());
        assert!(Export::parse("ALL,x y").is_err());
    }

    #[test]
    fn a_caller_without_a_path_gets_one() {
        let job = Export::default().apply(&BTreeMap::new());
        assert_eq!(job.len(), 1);
        assert!(job.contains_key(OsStr::new("PATH")));
    }
}
