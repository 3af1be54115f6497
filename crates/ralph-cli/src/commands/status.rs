//! `ralph status`: where every project stands. Reads only.

use std::time::Duration;

use jiff::tz::TimeZone;
use ralph_core::error::Code;
use ralph_core::id::Slug;
use ralph_core::project;

use crate::args::{Global, Status};
use crate::commands::{block_on, projects};
use crate::exit::{Failure, Outcome, printed};
use crate::output::Output;
use crate::render;
use crate::workspace::{Workspace, env};

/// How often `--watch` looks for changes.
const REFRESH: Duration = Duration::from_secs(1);

/// One row per project.
pub(crate) fn run(global: &Global, arguments: &Status, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    let known = workspace.dispatcher(output).slugs()?;
    let chosen = projects(&arguments.chosen.projects, &known)?;
    let slugs: Vec<Slug> = known
        .into_iter()
        .filter(|slug| chosen.is_empty() || chosen.contains(slug))
        .collect();
    if arguments.watch {
        return block_on(watch(&workspace, &slugs, arguments, output))?;
    }
    let text = draw(&workspace, &slugs, arguments, output)?;
    printed(output.print(&text))?;
    Ok(None)
}

fn draw(
    workspace: &Workspace,
    slugs: &[Slug],
    arguments: &Status,
    output: &Output,
) -> Result<String, Failure> {
    let now = env().now();
    let world = project::load_all(&workspace.root, slugs);
    let report = render::status::build(&world, now, &TimeZone::system());
    if output.is_json() {
        return serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::new(Code::Bug, error.to_string()));
    }
    Ok(render::status::human(
        &report,
        now,
        arguments.detailed,
        output,
    ))
}

/// Draws again whenever the text has changed, until interrupted; on anything but a terminal one text after another.
async fn watch(
    workspace: &Workspace,
    slugs: &[Slug],
    arguments: &Status,
    output: &Output,
) -> Outcome {
    let mut shown = String::new();
    loop {
        let text = draw(workspace, slugs, arguments, output)?;
        if text != shown {
            let clear = if output.on_terminal() && !output.is_json() {
                "\u{1b}[H\u{1b}[2J"
            } else {
                ""
            };
            printed(output.print(&format!("{clear}{text}")))?;
            shown = text;
        }
        tokio::select! {
            () = tokio::time::sleep(REFRESH) => {}
            _ = tokio::signal::ctrl_c() => return Ok(None),
        }
    }
}
