//! What is planned for whole worlds, one fixture each.

mod laws;
mod phases;
mod verification;
mod written;

use super::*;
use crate::fixture::Fixture;
use crate::order::OrderKind;

/// The plan of a fixture: one line per step in their order, then one per project without a step.
pub(super) fn planned(fixture: &Fixture) -> String {
    let selection = Selection::Batch(fixture.settings.batch_size);
    shown(&plan(
        &fixture.world(),
        &fixture.seen,
        &selection,
        &fixture.context(),
    ))
}

fn shown(plan: &Plan) -> String {
    let steps = plan.steps.iter().map(|step| {
        let what = match &step.step {
            Step::Submit { item, attempt } => format!("submit {item} #{attempt}"),
            Step::Poll => "poll".to_owned(),
            Step::Check { runs } => {
                let runs: Vec<&str> = runs.iter().map(|(run, _)| run.as_str()).collect();
                format!("check {}", runs.join(" "))
            }
            Step::Test(command) => format!("test `{}`", command.argv().join(" ")),
            Step::Order(order) if order.kind == OrderKind::Test => "order test".to_owned(),
            Step::Order(order) => format!("order {} {}", order.kind.as_str(), order.target),
            Step::Advance { to } => format!("-> {to}"),
        };
        let again = if step.again { " (again)" } else { "" };
        format!(
            "{}: {what}{again} [{:?}] {}",
            step.slug, step.precedence, step.because
        )
    });
    let passed = plan.passed_over.iter().map(|passed| {
        let due = passed.next_due.map(crate::time::stamp);
        let due = due.map_or_else(String::new, |due| format!(" until {due}"));
        format!(
            "{}: - {:?}{due}: {}",
            passed.slug, passed.because, passed.reason
        )
    });
    steps.chain(passed).collect::<Vec<_>>().join("\n")
}

/// The plan that a fixture's text leads to.
pub(super) fn check_plan(text: &str) -> String {
    planned(&Fixture::parse(text))
}
