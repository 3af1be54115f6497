//! The documents: what a person should mend in them, as `ralph-docs` finds it, and whether the project is listed.
//! Nothing here edits a document.

use ralph_docs::error::{DocError, DocErrorCode};
use ralph_docs::{debugging, projects, queue, todo};

use super::{Finding, Findings, ProjectFiles, Severity};
use crate::store::layout::{DEBUGGING, QUEUE, TODO};

/// What finds the problems of a document's text.
type Problems = fn(&str) -> Vec<DocError>;

/// The documents that are read, and what finds their problems.
pub(super) const DOCUMENTS: [(&str, Problems); 3] = [
    (DEBUGGING, debugging::problems),
    (QUEUE, queue::problems),
    (TODO, todo::problems),
];

/// What a person should mend in a document: most often a name that two entries share, which is why neither of
/// them can be edited.
pub(super) fn check(text: &str, problems: Problems, findings: &mut Findings<'_>) {
    for problem in problems(text) {
        tell(&problem, findings);
    }
}

/// What may be tasks of the todo list and is not read as any.
pub(super) fn unread_tasks(text: &str, findings: &mut Findings<'_>) {
    let Some(first) = todo::strays(text).into_iter().next() else {
        return;
    };
    let message = format!("`{}` may be a task and is not read as one", first.text);
    let fix = "Write each as `- [ ] (T1) text` below `## Ready`, or put it below `## Completed` or `## Notes`.";
    findings
        .warning("not_a_task", message, fix)
        .on_line(first.line);
}

fn tell(problem: &DocError, findings: &mut Findings<'_>) {
    let (code, fix) = match problem.code {
        DocErrorCode::Ambiguous => (
            "ambiguous_name",
            "Give each of them a name of its own, or remove the copy.",
        ),
        DocErrorCode::Unread => (
            "unread_section",
            "Write each issue as a list item of its own, or `(none)` where there is none.",
        ),
        DocErrorCode::Malformed | DocErrorCode::NotFound | DocErrorCode::Refused => (
            "malformed_document",
            "Correct the line; what stands below it cannot be edited until then.",
        ),
    };
    let message = problem.detail.trim_end_matches('.');
    findings.warning(code, message, fix).line = problem.line;
}

/// Whether the list of projects names this one, where there is a list. To list it again would change nothing then.
pub(super) fn listed(project: &ProjectFiles) -> Option<Finding> {
    let list = project.project_list.as_deref()?;
    let slug = project.slug.as_str();
    let edits = projects::register(list, slug, "").ok()?;
    let message = format!("the list of projects does not name `{slug}`");
    let fix = "Add a line for it, so that people find it.";
    let unlisted = || {
        Finding::new(
            Severity::Warning,
            "../PROJECTS.md",
            "not_listed",
            message,
            fix,
        )
    };
    (!edits.is_empty()).then(unlisted)
}
