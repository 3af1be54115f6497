//! `ralph report`: one page about everything that happened here. Reads only, but for the file that `-o` names.

use std::path::Path;

use jiff::tz::TimeZone;
use ralph_core::error::Code;
use ralph_core::plan::Context;
use ralph_core::project;
use ralph_core::settings::Settings;
use ralph_core::store::atomic;
use ralph_front::output::Output;

use crate::args::{Global, Report};
use crate::env_vars;
use crate::render::SCHEMA_VERSION;
use crate::render::answers::WrittenReport;
use crate::render::page::{PageReport, build, html};
use crate::workspace::{Workspace, env};
use ralph_front::failure::{Failure, Outcome, printed};

/// The page, or with `--json` its data; of the workspace, of the loop in this folder, or of both.
pub(crate) fn run(global: &Global, arguments: &Report, output: &Output) -> Outcome {
    let report = gather(global, output)?;
    let file = arguments.output.as_ref();
    let file = file.filter(|path| path.as_os_str() != "-");
    if output.is_json() && file.is_none() {
        printed(output.json(&report))?;
        return Ok(None);
    }
    let page = html::page(&report)
        .map_err(|error| Failure::new(Code::Bug, format!("the page cannot be made: {error}")))?;
    let Some(path) = file else {
        printed(output.print(&page))?;
        if output.on_terminal() {
            output.note("that was the page: `ralph report -o report.html` writes it to a file");
        }
        return Ok(None);
    };
    write(path, &page, output)?;
    Ok(None)
}

fn gather(global: &Global, output: &Output) -> Result<PageReport, Failure> {
    let here = super::looping::attempts_of_folder(global);
    let workspace = match (Workspace::open(global, output), &here) {
        (Ok(workspace), _) => Some(workspace),
        (Err(_), Some(_)) => None,
        (Err(failure), None) => return Err(failure),
    };
    let world = match &workspace {
        Some(workspace) => {
            let slugs = workspace.dispatcher(output).slugs()?;
            Some(project::load_all(&workspace.root, &slugs))
        }
        None => None,
    };
    let (folder, attempts) = match here {
        Some(here) => here?,
        None => (Path::new("").to_owned(), Vec::new()),
    };
    let (folder, settings) = match workspace {
        Some(workspace) => (workspace.root, workspace.settings),
        None => (folder, Settings::default()),
    };
    let zone = TimeZone::system();
    let context = Context {
        settings: &settings,
        now: env().now(),
        zone: &zone,
    };
    Ok(build(
        folder.display().to_string(),
        world.as_ref(),
        &attempts,
        &context,
    ))
}

fn write(path: &Path, page: &str, output: &Output) -> Result<(), Failure> {
    let here = env_vars::current_dir().map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("the current folder cannot be read: {error}"),
        )
    })?;
    let path = here.join(path);
    atomic::replace(&path, page.as_bytes())?;
    let written = WrittenReport {
        schema_version: SCHEMA_VERSION,
        path: path.display().to_string(),
        bytes: page.len(),
    };
    output.answer(&written, &format!("{}\n", path.display()))
}
