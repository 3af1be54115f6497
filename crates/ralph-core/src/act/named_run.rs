//! Which run a person means by an id, or by the beginning of one.

use crate::act::{ActError, Dispatcher};
use crate::error::Code;
use crate::id::Slug;
use crate::pipeline::RunView;
use crate::project;
use crate::world::{Project, ProjectState};

/// As many of the runs that may be meant are named.
const NAMED: usize = 10;

impl Dispatcher {
    /// The run of this id, or the only one whose id begins so, in the project that is named or in whichever has it. Two
    /// projects whose items were submitted in the same second have runs of the same id; which one is meant only a person
    /// knows.
    pub(super) fn find_run(
        &self,
        project: Option<&Slug>,
        run: &str,
    ) -> Result<(Slug, RunView), ActError> {
        let slugs = match project {
            Some(slug) => vec![slug.clone()],
            None => self.slugs()?,
        };
        let projects = project::load_all(&self.root, &slugs).projects;
        let mut found = runs(&projects, |id| id == run);
        if found.is_empty() && !run.is_empty() {
            found = runs(&projects, |id| id.starts_with(run));
        }
        if found.len() > 1 {
            return Err(several(run, &found));
        }
        found.pop().ok_or_else(|| {
            let unread = projects
                .iter()
                .filter(|project| matches!(project.state, ProjectState::Unreadable(_)));
            let unread: Vec<&str> = unread.map(|project| project.slug.as_str()).collect();
            let unread = match unread.as_slice() {
                [] => String::new(),
                names => format!(" ({} cannot be read)", names.join(", ")),
            };
            let message = format!("no project has a run {run:?}{unread}");
            ActError::refused(Code::Failed, message, "See `ralph runs`.")
        })
    }
}

/// The runs whose id is one that is meant; of several with the same id in one project a live one, else the newest.
fn runs(projects: &[Project], is_meant: impl Fn(&str) -> bool) -> Vec<(Slug, RunView)> {
    let mut found: Vec<(Slug, RunView)> = Vec::new();
    for project in projects {
        let ProjectState::Readable(facts) = &project.state else {
            continue;
        };
        let ended = facts.view.completed_runs.iter().rev();
        for view in facts.view.active_runs.iter().chain(ended) {
            let id = &view.key.run_id;
            let is_known =
                |(slug, known): &(Slug, RunView)| *slug == project.slug && known.key.run_id == *id;
            if id.as_deref().is_some_and(&is_meant) && !found.iter().any(is_known) {
                found.push((project.slug.clone(), view.clone()));
            }
        }
    }
    found
}

fn several(run: &str, found: &[(Slug, RunView)]) -> ActError {
    let id = |(_, view): &(Slug, RunView)| view.key.run_id.clone().unwrap_or_default();
    if found.iter().all(|one| id(one) == id(&found[0])) {
        let names: Vec<&str> = found.iter().map(|(slug, _)| slug.as_str()).collect();
        return ActError::refused(
            Code::Usage,
            format!(
                "{} is a run of several projects: {}",
                id(&found[0]),
                names.join(", ")
            ),
            "Name the one that is meant with --project SLUG.",
        );
    }
    let named = found.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|one| format!("{} ({})", id(one), one.0))
        .collect();
    let more = match found.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    ActError::refused(
        Code::Usage,
        format!(
            "{run} is the beginning of several runs: {}{more}",
            named.join(", ")
        ),
        "Write as much of its id as only the one that is meant has.",
    )
}
