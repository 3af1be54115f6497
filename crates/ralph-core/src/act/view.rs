//! A plan as the report shows it: steps before they are taken, steps that are only rehearsed, projects without one.
//! Words only; nothing here decides or acts.

use crate::act::Options;
use crate::error::Code;
use crate::id::Slug;
use crate::plan::{PassedBecause, PassedOver, Plan, ProjectStep, Step};
use crate::report::{PassedReport, Problem, StepReport};
use crate::words::plural;
use crate::world::{ProjectState, World};

/// A step that ended in a panic.
pub(super) fn panicked(step: &ProjectStep, world: &World) -> StepReport {
    let mut report = step_report(step, phase_of(world, &step.slug));
    let hint = format!(
        "Please report it; `ralph ops list` of {} shows what was begun.",
        step.slug
    );
    report.problem = Some(Problem::new(
        Code::Bug,
        "the step panicked, which is a bug of ralph",
        Some(hint),
    ));
    report
}

fn phase_of(world: &World, slug: &Slug) -> String {
    let project = world.projects.iter().find(|project| project.slug == *slug);
    match project.map(|project| &project.state) {
        Some(ProjectState::Readable(facts)) => facts.phase().to_string(),
        _ => String::new(),
    }
}

/// A step that is about to be taken.
pub(super) fn step_report(step: &ProjectStep, phase: String) -> StepReport {
    let order = match &step.step {
        Step::Order(order) => Some(order.clone()),
        _ => None,
    };
    let word = match &step.step {
        Step::Submit { .. } => "submit",
        Step::Poll => "poll",
        Step::Check { .. } => "check",
        Step::Test(_) => "test",
        Step::Order(order) => order.kind.as_str(),
        Step::Advance { .. } => "advance",
    };
    StepReport {
        project: step.slug.to_string(),
        step: word.to_owned(),
        because: step.because.clone(),
        outcome: String::new(),
        phase_before: phase.clone(),
        phase_after: phase,
        job: None,
        order,
        files: Vec::new(),
        op: None,
        warnings: Vec::new(),
        problem: None,
    }
}

/// The steps of a dry run.
pub(super) fn rehearsed(plan: &Plan, world: &World) -> Vec<StepReport> {
    let would = |step: &ProjectStep| match &step.step {
        Step::Submit { item, attempt } => format!("would submit {item} (attempt {attempt})"),
        Step::Poll => "would set the next poll".to_owned(),
        Step::Check { runs } => {
            format!("would record the results of {}", plural(runs.len(), "run"))
        }
        Step::Test(command) => format!("would run `{}`", command.argv().join(" ")),
        Step::Order(order) => format!("would hand out: {} {}", order.kind.as_str(), order.title),
        Step::Advance { to } => format!("would move on to {to}"),
    };
    let report = |step: &ProjectStep| StepReport {
        outcome: would(step),
        ..step_report(step, phase_of(world, &step.slug))
    };
    plan.steps.iter().map(report).collect()
}

/// A project without a step.
pub(super) fn passed_report(passed: &PassedOver) -> PassedReport {
    let because = match passed.because {
        PassedBecause::Unreadable => "unreadable",
        PassedBecause::NeedsInput => "needs_input",
        PassedBecause::Waiting => "waiting",
        PassedBecause::ClusterUnreachable => "cluster_unreachable",
        PassedBecause::External => "external",
        PassedBecause::Nothing => "nothing",
        PassedBecause::BatchFull => "batch_full",
        PassedBecause::NotSelected => "not_selected",
    };
    PassedReport {
        project: passed.slug.to_string(),
        because: because.to_owned(),
        reason: passed.reason.clone(),
        next_due: passed.next_due,
    }
}

/// A verification takes no steps, but an unreadable project is reported all the same.
pub(super) fn nothing_planned(world: &World, options: &Options) -> Plan {
    let unreadable = world
        .projects
        .iter()
        .filter(|project| options.chooses(&project.slug))
        .filter_map(|project| match &project.state {
            ProjectState::Unreadable(found) => Some(PassedOver {
                slug: project.slug.clone(),
                because: PassedBecause::Unreadable,
                reason: found.words(),
                next_due: None,
            }),
            ProjectState::Readable(_) => None,
        });
    Plan {
        steps: Vec::new(),
        passed_over: unreadable.collect(),
    }
}
