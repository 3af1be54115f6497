//! The files `scripts/cluster/*.sh` that `ralph init --claude` writes, and how the arguments of their callers are read.
//!
//! A shim finds the workspace and calls `ralph`; it never holds logic of its own. Nothing here writes a file or reads
//! an environment variable.

use std::collections::BTreeMap;

use ralph_core::id::{JobId, Slug};

/// One file below `scripts/cluster/`, to be written executable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shim {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! shims {
    ($($name:literal,)*) => {
        /// Every shim.
        pub const ALL: &[Shim] = &[$(Shim { name: $name, text: include_str!($name) },)*];
    };
}

shims! {
    "ensure_session.sh",
    "ssh_bootstrap.sh",
    "ssh.sh",
    "status.sh",
    "remote_status.sh",
    "submit.sh",
    "remote_submit.sh",
    "remote_fetch.sh",
}

/// What a shim was called with that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShimError {
    /// No project among the arguments (exit code 22 of the shims).
    #[error("no project is named by {found:?}; expected PROJECT, or PROJECT SCRIPT to submit")]
    Project {
        /// The arguments.
        found: Vec<String>,
    },
    /// Variables that cannot be told apart (exit code 2 of the shims).
    #[error(
        "`{found}` in SBATCH_EXPORTS is no NAME=VALUE; a value with a comma has to go into the script's config"
    )]
    Exports {
        /// The piece between two commas.
        found: String,
    },
    /// A dependency of another kind than `afterok`.
    #[error("`{found}` in SBATCH_DEPENDENCY is not afterok:JOB[:JOB]...")]
    Dependency {
        /// The text.
        found: String,
    },
}

/// The project of `remote_fetch.sh`: a name or `projects/NAME`.
///
/// # Errors
/// [`ShimError::Project`].
pub fn project(arguments: &[String]) -> Result<Slug, ShimError> {
    let fail = || ShimError::Project {
        found: arguments.to_vec(),
    };
    let [project] = arguments else {
        return Err(fail());
    };
    slug(project).ok_or_else(fail)
}

fn slug(project: &str) -> Option<Slug> {
    let name = project.trim_end_matches('/');
    let name = name.strip_prefix("./").unwrap_or(name);
    name.strip_prefix("projects/").unwrap_or(name).parse().ok()
}

/// Project and script of `submit.sh`, in either order: a project is a name or `projects/NAME`, a script is a path, also
/// one through `projects/NAME/`, or a bare name below `slurm/jobs/`. The script comes back relative to the project.
///
/// # Errors
/// [`ShimError::Project`].
pub fn submission(arguments: &[String]) -> Result<(Slug, String), ShimError> {
    let fail = || ShimError::Project {
        found: arguments.to_vec(),
    };
    let [first, second] = arguments else {
        return Err(fail());
    };
    let (project, script) = if is_script(first) && !is_script(second) {
        (second, first)
    } else {
        (first, second)
    };
    let slug = slug(project).ok_or_else(fail)?;
    let script = script.strip_prefix("./").unwrap_or(script);
    let script = script
        .strip_prefix(&format!("projects/{slug}/"))
        .unwrap_or(script);
    let script = if script.contains('/') {
        script.to_owned()
    } else if is_script(script) {
        format!("slurm/jobs/{script}")
    } else {
        format!("slurm/jobs/{script}.sbatch")
    };
    Ok((slug, script))
}

fn is_script(argument: &str) -> bool {
    [".sbatch", ".sh", ".slurm"]
        .iter()
        .any(|end| argument.ends_with(end))
}

/// The variables of `SBATCH_EXPORTS`. A word without `=`, such as `ALL`, adds nothing.
///
/// # Errors
/// [`ShimError::Exports`] for a piece that looks like the rest of a value that held a comma (incident 33).
pub fn exports(text: &str) -> Result<BTreeMap<String, String>, ShimError> {
    let mut variables = BTreeMap::new();
    for piece in text
        .split(',')
        .map(str::trim)
        .filter(|piece| !matches!(*piece, "" | "ALL" | "NONE"))
    {
        let fail = || ShimError::Exports {
            found: piece.to_owned(),
        };
        let (name, value) = piece.split_once('=').ok_or_else(fail)?;
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !plain || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(fail());
        }
        variables.insert(name.to_owned(), value.to_owned());
    }
    Ok(variables)
}

/// The jobs of `SBATCH_DEPENDENCY`.
///
/// # Errors
/// [`ShimError::Dependency`].
pub fn dependency(text: &str) -> Result<Vec<JobId>, ShimError> {
    let fail = || ShimError::Dependency {
        found: text.to_owned(),
    };
    let text = text.trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let jobs = text.strip_prefix("afterok:").ok_or_else(fail)?;
    jobs.split(':')
        .map(|job| job.parse().map_err(|_| fail()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn both_orders_and_all_spellings_name_the_same_script() {
        for arguments in [
            ["projects/ired", "q103_multiseed"],
            ["ired", "q103_multiseed.sbatch"],
            ["ired", "slurm/jobs/q103_multiseed.sbatch"],
            ["./projects/ired/slurm/jobs/q103_multiseed.sbatch", "ired"],
            [
                "projects/ired/slurm/jobs/q103_multiseed.sbatch",
                "projects/ired/",
            ],
        ] {
            let (slug, script) = submission(&words(&arguments)).unwrap();
            assert_eq!(
                (slug.as_str(), script.as_str()),
                ("ired", "slurm/jobs/q103_multiseed.sbatch"),
                "{arguments:?}"
            );
        }
        for bad in [
            &["a.sbatch"][..],
            &["..", "a.sbatch"],
            &[],
            &["a", "b", "c"],
        ] {
            assert!(submission(&words(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_value_that_was_cut_at_its_comma_is_refused() {
        assert_eq!(
            exports("ALL,A=1,B=x=y")
                .unwrap()
                .into_iter()
                .collect::<Vec<_>>(),
            [
                ("A".to_owned(), "1".to_owned()),
                ("B".to_owned(), "x=y".to_owned())
            ]
        );
        assert_eq!(
            exports("SEEDS=1,2,3"),
            Err(ShimError::Exports {
                found: "2".to_owned()
            })
        );
        assert!(exports("A B=1").is_err());
    }

    #[test]
    fn dependencies_are_jobs() {
        assert_eq!(dependency("afterok:12:13_4").unwrap().len(), 2);
        assert_eq!(dependency(" "), Ok(Vec::new()));
        assert!(dependency("singleton").is_err() && dependency("afterok:").is_err());
    }

    #[test]
    fn every_shim_hands_its_arguments_to_ralph_in_the_workspace() {
        use std::io::Write as _;
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let scripts = folder.path().join("work space/scripts/cluster");
        std::fs::create_dir_all(&scripts).unwrap();
        let write = |path: &std::path::Path, text: &str| {
            std::fs::File::create(path)
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        write(
            &folder.path().join("ralph"),
            "#!/bin/sh\nprintf '<%s>' \"$@\"\nexit 21\n",
        );
        let mut lines = String::new();
        for shim in ALL {
            write(&scripts.join(shim.name), shim.text);
            let output = std::process::Command::new(scripts.join(shim.name))
                .args(["a b", "$c"])
                .env_remove("CLAUDE_PROJECT_DIR")
                .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(21), "{}", shim.name);
            let text = String::from_utf8(output.stdout).unwrap();
            let shown = text.replace(folder.path().to_str().unwrap(), "");
            lines.extend([shim.name, ": ", &shown, "\n"]);
        }
        insta::assert_snapshot!(lines, @r"
        ensure_session.sh: <--root></work space><cluster><check>
        ssh_bootstrap.sh: <--root></work space><cluster><connect>
        ssh.sh: <--root></work space><__cluster><run><--><a b><$c>
        status.sh: <--root></work space><__cluster><status><--><a b><$c>
        remote_status.sh: <--root></work space><__cluster><status><--><a b><$c>
        submit.sh: <--root></work space><__cluster><submit><--><a b><$c>
        remote_submit.sh: <--root></work space><__cluster><submit><--><a b><$c>
        remote_fetch.sh: <--root></work space><__cluster><fetch><--><a b><$c>
        ");
    }
}
