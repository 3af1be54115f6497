//! Which repositories are meant: a subset by registered names, or all that have a plan. Pure.

use super::{ResolveError, Sources};
use crate::args::Flags;
use crate::conf::Conf;
use crate::setting::Setting;

/// Which of the registered repositories are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    All,
    Only(Vec<String>),
    Except(Vec<String>),
}

impl Filter {
    /// Whether a repository is meant.
    pub(crate) fn means(&self, name: &str) -> bool {
        let is_in = |names: &[String]| names.iter().any(|one| one == name);
        match self {
            Self::All => true,
            Self::Only(names) => is_in(names),
            Self::Except(names) => !is_in(names),
        }
    }
}

/// The subset: the highest source that names one counts, and it may name only one.
pub(super) fn filter(
    flags: &Flags,
    sources: &Sources<'_>,
) -> Result<Setting<Filter>, ResolveError> {
    let repos = sources.find(
        flags.repos.as_deref().map(|text| ("--repos", text)),
        "WB_RALPH_DISPATCH_REPOS",
        &["WB_RALPH_DISPATCH_REPOS"],
    );
    let exclude = sources.find(
        flags.exclude.as_deref().map(|text| ("--exclude", text)),
        "WB_RALPH_DISPATCH_EXCLUDE",
        &["WB_RALPH_DISPATCH_EXCLUDE"],
    );
    let (chosen, is_exclude) = match (repos, exclude) {
        (None, None) => return Ok(Setting::default(Filter::All, "all with a fix_plan")),
        (Some(repos), None) => (repos, false),
        (None, Some(exclude)) => (exclude, true),
        (Some(repos), Some(exclude)) => match repos.origin.rank().cmp(&exclude.origin.rank()) {
            std::cmp::Ordering::Greater => (repos, false),
            std::cmp::Ordering::Less => (exclude, true),
            std::cmp::Ordering::Equal if flags.repos.is_some() => {
                return Err(ResolveError::Combined);
            }
            std::cmp::Ordering::Equal => {
                return Err(ResolveError::Conflict {
                    one: repos.origin.to_string(),
                    other: exclude.origin.to_string(),
                });
            }
        },
    };
    let names = names(&chosen, sources.conf)?;
    Ok(chosen.map(|_| {
        if is_exclude {
            Filter::Except(names)
        } else {
            Filter::Only(names)
        }
    }))
}

/// The names of a comma list, blanks trimmed, empty ones dropped, each once; all have to be registered.
fn names(list: &Setting<String>, conf: &Conf) -> Result<Vec<String>, ResolveError> {
    let registered = conf.names();
    let mut names: Vec<String> = Vec::new();
    let words = list.value.split(',').map(str::trim);
    for word in words.filter(|word| !word.is_empty()) {
        if !registered.iter().any(|name| name == word) {
            return Err(ResolveError::Repository {
                origin: list.origin.to_string(),
                found: word.to_owned(),
                registered,
            });
        }
        if !names.iter().any(|name| name == word) {
            names.push(word.to_owned());
        }
    }
    if names.is_empty() {
        return Err(ResolveError::Nothing(format!(
            "{} names no repository",
            list.origin
        )));
    }
    Ok(names)
}

/// The repositories that a launch is about, and those that it passes over for want of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    /// In the order of `project.conf`.
    pub(crate) repositories: Vec<String>,
    /// Registered, not excluded, and without a plan; only where nobody named them.
    pub(crate) without_plan: Vec<String>,
}

/// Selects. A repository that was named is meant even without a plan: the gate then refuses it.
///
/// # Errors
/// [`ResolveError::Nothing`].
pub(crate) fn select(
    filter: &Setting<Filter>,
    registered: &[String],
    has_plan: &dyn Fn(&str) -> bool,
) -> Result<Selection, ResolveError> {
    if registered.is_empty() {
        return Err(ResolveError::Nothing(
            "project.conf registers no repository".to_owned(),
        ));
    }
    let all = registered.iter();
    let (repositories, without_plan) = match &filter.value {
        Filter::Only(names) => (all.filter(|n| names.contains(n)).cloned().collect(), vec![]),
        Filter::All => all.cloned().partition(|name| has_plan(name)),
        Filter::Except(names) => all
            .filter(|name| !names.contains(name))
            .cloned()
            .partition(|name| has_plan(name)),
    };
    Ok(Selection {
        repositories,
        without_plan,
    })
}
