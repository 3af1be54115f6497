//! Plans of a folder of repositories: which sections are which repositories, and filters.
//!
//! A workspace is a folder with a plan that is no repository itself and holds some. A section of its plan belongs to
//! the repository of that name. What must never be here: git, and a guess at which repository a section could mean.

mod filter;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ralph_core::error::{Code, Coded, Hint};

pub use filter::{ENV_EXCLUDE, ENV_REPOS, FilterWords, RepositoryFilter};

use crate::plan::{Life, Plan, Standing};

/// The section for tasks that belong to no one repository. No worker can take them.
pub const CROSS_REPOSITORY: &str = "cross-repo";

/// The name of an entry without which a folder is no repository.
const GIT_DIR: &str = ".git";

/// A workspace that cannot be used, or a filter that cannot be honoured.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// The folder cannot be listed.
    #[error("failed to list the folder {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder holds no repository.
    #[error("{} holds no git repository; expected some right below it", path.display())]
    NoRepositories {
        /// Which.
        path: PathBuf,
    },
    /// A filter without a workspace.
    #[error("{flag} and its like only apply to --workspace mode")]
    NotAWorkspace {
        /// The option.
        flag: &'static str,
    },
    /// A filter without a name in it.
    #[error("{flag} requires the name of a repository, or several with commas between them")]
    Empty {
        /// The option or variable.
        flag: &'static str,
    },
    /// Both options.
    #[error("--repos and --exclude cannot be combined")]
    Combined,
    /// An option and the variable of the other one.
    #[error("{flag} conflicts with {variable}, which is set to {value:?}")]
    Conflict {
        /// The option.
        flag: &'static str,
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// Both variables.
    #[error("{ENV_REPOS} and {ENV_EXCLUDE} cannot both be set")]
    BothVariables,
    /// A name that is no repository's.
    #[error("unknown repo: {} (available: {})", unknown.join(", "), available.join(", "))]
    Unknown {
        /// The names.
        unknown: Vec<String>,
        /// Those that there are.
        available: Vec<String>,
    },
    /// Nothing is left.
    #[error("the filter has filtered out every repository (available: {})", available.join(", "))]
    NothingLeft {
        /// Those that there are.
        available: Vec<String>,
    },
}

impl Coded for WorkspaceError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::NoRepositories { .. } => Code::Failed,
            Self::NotAWorkspace { .. }
            | Self::Empty { .. }
            | Self::Combined
            | Self::Conflict { .. }
            | Self::BothVariables
            | Self::Unknown { .. }
            | Self::NothingLeft { .. } => Code::Usage,
        }
    }

    fn hint(&self) -> Option<Hint> {
        Some(Hint::new(match self {
            Self::Io { .. } => "Check that the folder exists and that you may read it.",
            Self::NoRepositories { .. } => {
                "Run it in the folder that holds your repositories, or in a repository without --workspace."
            }
            Self::NotAWorkspace { .. } => "Add --workspace, or leave the filter out.",
            Self::Empty { .. } => "Give names such as `--repos api,web`.",
            Self::Combined => "Use the one that is shorter.",
            Self::Conflict { .. } => "Unset the variable, or use the option that belongs to it.",
            Self::BothVariables => "Unset one of them.",
            Self::Unknown { .. } | Self::NothingLeft { .. } => {
                "Names are those of the folders, in the same case of letters."
            }
        }))
    }
}

/// The repositories right below a folder, by the names of their folders. A link to a repository counts; a hidden
/// folder does not, and neither does one whose `.git` is a file (a worktree, a submodule).
///
/// # Errors
/// [`WorkspaceError::Io`], [`WorkspaceError::NoRepositories`].
pub fn discover(root: &Path) -> Result<BTreeSet<String>, WorkspaceError> {
    let fail = |source| WorkspaceError::Io {
        path: root.to_owned(),
        source,
    };
    let mut repositories = BTreeSet::new();
    for entry in fs::read_dir(root).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        // A name that is no text cannot be a heading either.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !name.starts_with('.') && entry.path().join(GIT_DIR).is_dir() {
            repositories.insert(name);
        }
    }
    if repositories.is_empty() {
        return Err(WorkspaceError::NoRepositories {
            path: root.to_owned(),
        });
    }
    Ok(repositories)
}

/// Whether a folder is a workspace: it has the plan, is no repository itself, and holds at least one.
#[must_use]
pub fn is_workspace(root: &Path, plan: &Path) -> bool {
    plan.is_file() && !root.join(GIT_DIR).exists() && discover(root).is_ok()
}

/// What a person should know about the plan's sections: those with tasks left that are no repository's. Nothing is
/// said about sections that a filter of names leaves out.
#[must_use]
pub fn problems(plan: &Plan, known: &BTreeSet<String>, filter: &RepositoryFilter) -> Vec<String> {
    let mut sections: BTreeMap<&str, usize> = BTreeMap::new();
    for planned in plan
        .tasks
        .iter()
        .filter(|planned| planned.standing != Standing::Done)
    {
        let section = planned.task.row.section.as_str();
        sections.entry(section).or_insert(planned.task.line);
    }
    sections.retain(|section, _| !known.contains(*section) && filter.may_name(section));
    let mut lines: Vec<(usize, &str)> = sections
        .into_iter()
        .map(|(name, line)| (line, name))
        .collect();
    lines.sort_unstable();
    let message = |(line, section): (usize, &str)| {
        if section == CROSS_REPOSITORY {
            return format!(
                "line {line}: the tasks of `{CROSS_REPOSITORY}` belong to no one repository; they are left to a person"
            );
        }
        format!(
            "line {line}: there is no repository `{section}` in this folder; the tasks of this section are left"
        )
    };
    lines.into_iter().map(message).collect()
}

/// How many workers can have work at once: one per repository that has an open task and in which nobody else works.
/// `requested` limits it; zero asks for as many as there can be.
#[must_use]
pub fn effective_parallelism(plan: &Plan, chosen: &BTreeSet<String>, requested: usize) -> usize {
    let repository = |planned: &crate::plan::Planned| planned.task.repository.clone();
    let standing = |is: &dyn Fn(&Standing) -> bool| -> BTreeSet<String> {
        let tasks = plan.tasks.iter().filter(|planned| is(&planned.standing));
        tasks.filter_map(repository).collect()
    };
    let open = standing(&|standing| *standing == Standing::Open);
    let busy = standing(
        &|standing| matches!(standing, Standing::Claimed(claimant) if claimant.life != Life::Gone),
    );
    let free = open
        .intersection(chosen)
        .filter(|name| !busy.contains(*name));
    let free = free.count();
    if requested == 0 {
        free
    } else {
        free.min(requested)
    }
}

#[cfg(test)]
mod tests;
