//! `ralph status`: where every project stands. Reads only.

use std::time::Duration;

use jiff::tz::TimeZone;
use ralph_core::error::Code;
use ralph_core::id::Slug;
use ralph_core::plan::Context;
use ralph_core::project;

use crate::args::{Global, Status};
use crate::commands::{block_on, selected};
use crate::render::status::build;
use crate::render::status_table::{Drawing, human};
use crate::workspace::{Workspace, env};
use ralph_front::failure::{Failure, Outcome, printed};
use ralph_front::output::Output;

/// How often `--watch` looks for changes.
const REFRESH: Duration = Duration::from_secs(1);
const CLEAR_SCREEN: &str = "\u{1b}[2J";
const TO_THE_TOP: &str = "\u{1b}[H";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_BELOW: &str = "\u{1b}[J";

/// One row per project.
pub(crate) fn run(global: &Global, arguments: &Status, output: &Output) -> Outcome {
    let workspace = match Workspace::open(global, output) {
        Ok(workspace) => workspace,
        // In a repository with a plan the loop is meant, unless there is a workspace of projects.
        Err(failure) => {
            let of_loop = super::looping::status_of_repository(global, arguments.watch, output);
            return of_loop.unwrap_or(Err(failure));
        }
    };
    let slugs = selected(&arguments.chosen, &workspace.dispatcher(output).slugs()?)?;
    if arguments.watch {
        let draw = |height| {
            let text = draw(&workspace, &slugs, arguments, output, height)?;
            Ok(Drawn {
                text,
                is_last: false,
            })
        };
        return block_on(watch(output, draw))?;
    }
    let text = draw(&workspace, &slugs, arguments, output, None)?;
    printed(output.print(&text))?;
    Ok(None)
}

fn draw(
    workspace: &Workspace,
    slugs: &[Slug],
    arguments: &Status,
    output: &Output,
    height: Option<usize>,
) -> Result<String, Failure> {
    let now = env().now();
    let world = project::load_all(&workspace.root, slugs);
    let zone = TimeZone::system();
    let context = Context {
        settings: &workspace.settings,
        now,
        zone: &zone,
    };
    let report = build(&world, &context);
    if output.is_json() {
        return serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::new(Code::Bug, error.to_string()));
    }
    let drawing = Drawing {
        now,
        width: output.width(),
        height,
        detailed: arguments.detailed,
    };
    Ok(human(&report, &drawing))
}

/// What is shown at one moment.
pub(crate) struct Drawn {
    pub(crate) text: String,
    /// Whether nothing comes after it.
    pub(crate) is_last: bool,
}

/// Draws again whenever the text has changed, until there is nothing more to come or it is interrupted; on anything but a
/// terminal one text after another.
pub(crate) async fn watch(
    output: &Output,
    draw: impl Fn(Option<usize>) -> Result<Drawn, Failure>,
) -> Outcome {
    let mut shown = String::new();
    loop {
        let height = output.height().filter(|_| !output.is_json());
        let Drawn { text, is_last } = draw(height)?;
        if text != shown {
            let drawn = if height.is_some() {
                over(&text, shown.is_empty())
            } else {
                text.clone()
            };
            // Nobody looks any more when the text can no longer be printed.
            if output.print(&drawn).is_err() {
                return Ok(None);
            }
            shown = text;
        }
        if is_last {
            return Ok(None);
        }
        tokio::select! {
            () = tokio::time::sleep(REFRESH) => {}
            _ = tokio::signal::ctrl_c() => return Ok(None),
        }
    }
}

/// Draws over what is on the screen line by line, so that nothing flickers.
fn over(text: &str, is_first: bool) -> String {
    let clear = if is_first { CLEAR_SCREEN } else { "" };
    let lines: String = text
        .lines()
        .map(|line| [line, CLEAR_LINE, "\n"].concat())
        .collect();
    [clear, TO_THE_TOP, &lines, CLEAR_BELOW].concat()
}
