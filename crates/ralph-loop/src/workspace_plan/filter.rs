//! `--repos` and `--exclude`, and the variables that say the same. Pure.

use std::collections::BTreeSet;

use super::WorkspaceError;

/// The variable that says what `--repos` says.
pub const ENV_REPOS: &str = "RALPH_WORKSPACE_REPOS";
/// The variable that says what `--exclude` says.
pub const ENV_EXCLUDE: &str = "RALPH_WORKSPACE_EXCLUDE";

const REPOS: &str = "--repos";
const EXCLUDE: &str = "--exclude";

/// What the command line and the environment say; an empty variable says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct FilterWords<'a> {
    /// Whether a workspace is worked on at all.
    pub workspace: bool,
    /// The value of `--repos`.
    pub repos: Option<&'a str>,
    /// The value of `--exclude`.
    pub exclude: Option<&'a str>,
    /// The value of [`ENV_REPOS`].
    pub env_repos: Option<&'a str>,
    /// The value of [`ENV_EXCLUDE`].
    pub env_exclude: Option<&'a str>,
}

/// Which repositories are worked on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RepositoryFilter {
    /// All.
    #[default]
    All,
    /// These.
    Only(BTreeSet<String>),
    /// All but these.
    Except(BTreeSet<String>),
}

impl RepositoryFilter {
    /// The filter that was asked for: an option beats its own variable and conflicts with the other one's. Blanks
    /// around names and empty names do not count. The variables mean nothing outside of a workspace.
    ///
    /// # Errors
    /// Two of them contradict each other, one has no name in it, or an option is given without a workspace.
    pub fn from_words(words: &FilterWords<'_>) -> Result<Self, WorkspaceError> {
        let variable = |value: Option<&'_ str>| value.is_some_and(|value| !value.trim().is_empty());
        let conflict = |flag, variable, value: Option<&str>| WorkspaceError::Conflict {
            flag,
            variable,
            value: value.unwrap_or_default().to_owned(),
        };
        let (env_repos, env_exclude) = (variable(words.env_repos), variable(words.env_exclude));
        let flag = words
            .repos
            .map(|_| REPOS)
            .or(words.exclude.map(|_| EXCLUDE));
        if let (Some(flag), false) = (flag, words.workspace) {
            return Err(WorkspaceError::NotAWorkspace { flag });
        }
        match (words.repos, words.exclude) {
            (Some(_), Some(_)) => Err(WorkspaceError::Combined),
            (Some(_), None) if env_exclude => Err(conflict(REPOS, ENV_EXCLUDE, words.env_exclude)),
            (None, Some(_)) if env_repos => Err(conflict(EXCLUDE, ENV_REPOS, words.env_repos)),
            (Some(repos), None) => names(REPOS, repos).map(Self::Only),
            (None, Some(exclude)) => names(EXCLUDE, exclude).map(Self::Except),
            (None, None) if !words.workspace => Ok(Self::All),
            (None, None) if env_repos && env_exclude => Err(WorkspaceError::BothVariables),
            (None, None) => match (words.env_repos, words.env_exclude) {
                (Some(repos), _) if env_repos => names(ENV_REPOS, repos).map(Self::Only),
                (_, Some(exclude)) if env_exclude => names(ENV_EXCLUDE, exclude).map(Self::Except),
                _ => Ok(Self::All),
            },
        }
    }

    /// The repositories that are left of those that there are.
    ///
    /// # Errors
    /// [`WorkspaceError::Unknown`]: a filter that cannot be honoured must not turn into a wider one.
    /// [`WorkspaceError::NothingLeft`].
    pub fn apply(&self, known: &BTreeSet<String>) -> Result<BTreeSet<String>, WorkspaceError> {
        let available = || known.iter().cloned().collect();
        let (names, left): (_, BTreeSet<String>) = match self {
            Self::All => return Ok(known.clone()),
            Self::Only(names) => (names, known.intersection(names).cloned().collect()),
            Self::Except(names) => (names, known.difference(names).cloned().collect()),
        };
        let unknown: Vec<String> = names.difference(known).cloned().collect();
        if !unknown.is_empty() {
            return Err(WorkspaceError::Unknown {
                unknown,
                available: available(),
            });
        }
        if left.is_empty() {
            return Err(WorkspaceError::NothingLeft {
                available: available(),
            });
        }
        Ok(left)
    }

    /// Whether a repository of this name could be among those that are left.
    #[must_use]
    pub fn may_name(&self, repository: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(repository),
            Self::Except(names) => !names.contains(repository),
        }
    }
}

fn names(flag: &'static str, list: &str) -> Result<BTreeSet<String>, WorkspaceError> {
    let names = list.split(',').map(str::trim);
    let names: BTreeSet<String> = names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Err(WorkspaceError::Empty { flag });
    }
    Ok(names)
}
