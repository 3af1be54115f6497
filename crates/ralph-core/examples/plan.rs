//! What a dispatch would do next, and why: `plan WORKSPACE`. Reads files, asks no cluster, changes nothing.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::path::PathBuf;

use ralph_core::env::Env;
use ralph_core::plan::{Context, Selection, due, plan};
use ralph_core::project;
use ralph_core::settings::Settings;
use ralph_core::time::TimeZone;
use ralph_core::world::{Observations, ProjectState};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(std::env::args().nth(1).ok_or("expected a workspace")?);
    let world = project::load_all(&root, &project::discover(&root)?);
    let settings = Settings::default();
    let context = Context {
        settings: &settings,
        now: Env::system("example", "nobody").now(),
        zone: &TimeZone::UTC,
    };

    let readable = world
        .projects
        .iter()
        .filter_map(|project| match &project.state {
            ProjectState::Readable(facts) => Some(&**facts),
            ProjectState::Unreadable(_) => None,
        });
    let questions = due(readable, &context);
    println!(
        "to be asked about: {} jobs, {} submissions",
        questions.jobs.len(),
        questions.intents.len()
    );

    // The answers of a cluster would stand here, see `ClusterBackend::observe` and `ClusterBackend::receipts`.
    let seen = Observations::none();
    let plan = plan(&world, &seen, &Selection::Batch(3), &context);
    for step in &plan.steps {
        println!("{}: {:?}, because {}", step.slug, step.step, step.because);
    }
    for passed in &plan.passed_over {
        println!("{}: passed over: {}", passed.slug, passed.reason);
    }
    Ok(())
}
