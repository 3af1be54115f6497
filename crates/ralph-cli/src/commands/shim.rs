//! `ralph __cluster`: what the files in `scripts/cluster/` call. They keep the arguments, the output and the exit codes
//! that callers of the old scripts know; the protocols and the books are those of every other verb.

use std::os::unix::process::CommandExt as _;

use ralph_core::act::{Extras, SubmittedNow};
use ralph_core::backend::BackendError;
use ralph_core::error::Code;
use ralph_core::id::{JobId, Slug};
use ralph_core::job::{JobReport, Sighting};
use ralph_slurm::shims::{self, ShimError};
use ralph_slurm::{Session, SessionState, TransportKind};

use crate::args::{Global, ShimVerb as Shim, Words};
use crate::commands::block_on;
use crate::env_vars;
use crate::workspace::Workspace;
use ralph_front::cluster as slurm;
use ralph_front::failure::{Failure, Outcome, printed};
use ralph_front::output::Output;

/// The scripts' own number for a project that is not there; elsewhere it means that there is no scheduler.
const NO_PROJECT: Code = Code::NoScheduler;

/// Runs what one of the scripts asks for.
pub(crate) fn run(global: &Global, verb: &Shim, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    match verb {
        Shim::Submit(arguments) => submit(&workspace, arguments, output),
        Shim::Status(arguments) => status(&workspace, arguments, output),
        Shim::Fetch(arguments) => fetch(&workspace, arguments, output),
        Shim::Run(arguments) => command(&workspace, arguments),
    }
}

fn submit(workspace: &Workspace, arguments: &Words, output: &Output) -> Outcome {
    let (slug, script) = shims::submission(&arguments.words).map_err(refused)?;
    let extras = extras().map_err(refused)?;
    let dispatcher = workspace.dispatcher(output);
    known(&slug, &dispatcher.slugs()?)?;
    let submitted = block_on(dispatcher.submit_script(&slug, &script, extras))??;
    match submitted {
        SubmittedNow { job: Some(job), .. } => {
            printed(output.print(&format!("Submitted batch job {job}\n")))?;
            Ok(None)
        }
        SubmittedNow {
            unclear, outcome, ..
        } => {
            output.error_line(&outcome);
            Ok(Some(if unclear {
                Code::Unclear
            } else {
                Code::Refused
            }))
        }
    }
}

/// What the caller's environment adds.
fn extras() -> Result<Extras, ShimError> {
    let text = |name| env_vars::text(name).unwrap_or_default();
    let nodes = text(env_vars::SBATCH_EXCLUDE);
    let nodes = nodes.split(',').map(str::trim);
    Ok(Extras {
        variables: shims::exports(&text(env_vars::SBATCH_EXPORTS))?,
        after: shims::dependency(&text(env_vars::SBATCH_DEPENDENCY))?,
        exclude: nodes
            .filter(|node| !node.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

fn status(workspace: &Workspace, arguments: &Words, output: &Output) -> Outcome {
    let [job] = arguments.words.as_slice() else {
        return Err(Failure::new(Code::Usage, "expected one argument, JOB_ID"));
    };
    let job: JobId = job
        .parse()
        .map_err(|error| Failure::new(Code::Usage, format!("JOB_ID: {error}")))?;
    let seen = block_on(workspace.dispatcher(output).sighting(job))??;
    let words = match seen {
        Sighting::Seen(report) => states(&report),
        // Not knowing is no end: a job may be too young for accounting, or too old for the queue.
        Sighting::Absent { asked } => {
            output.error_line(&format!(
                "job {job} is not known to {}",
                asked.join(" and ")
            ));
            "UNKNOWN\n".to_owned()
        }
        Sighting::Unknown { why } => {
            output.error_line(&format!("job {job}: {why}"));
            "UNKNOWN\n".to_owned()
        }
    };
    printed(output.print(&words))?;
    Ok(None)
}

/// The state of the job, then one line per part of it.
fn states(report: &JobReport) -> String {
    let word = |report: &JobReport| report.verdict().as_str().to_owned();
    let parts = report.tasks.iter();
    let parts = parts.map(|part| format!("{} {}\n", part.job, word(part)));
    std::iter::once(word(report) + "\n").chain(parts).collect()
}

fn fetch(workspace: &Workspace, arguments: &Words, output: &Output) -> Outcome {
    let slug = shims::project(&arguments.words).map_err(refused)?;
    let dispatcher = workspace.dispatcher(output);
    known(&slug, &dispatcher.slugs()?)?;
    let paths = block_on(dispatcher.fetch_logs(&slug))??;
    let lines = paths.iter().map(|path| format!("projects/{slug}/{path}\n"));
    printed(output.print(&lines.collect::<String>()))?;
    Ok(None)
}

/// A command of the user on the login node, with the terminal and the exit code that it would have there.
fn command(workspace: &Workspace, arguments: &Words) -> Outcome {
    if arguments.words.is_empty() {
        return Err(Failure::new(Code::Usage, "expected a command"));
    }
    let (settings, _) = slurm::settings(&workspace.root)?;
    if settings.ssh.transport != TransportKind::Openssh {
        let message = "`ssh.transport` is one that shares no session with commands of yours";
        return Err(Failure::new(Code::Usage, message)
            .hint("Set it to \"openssh\", or use your own client."));
    }
    let session = Session::new(settings.ssh);
    if let SessionState::Closed { .. } = block_on(session.state())?? {
        let host = session.host().to_owned();
        return Err(BackendError::NoSession { host }.into());
    }
    // In the place of this process: the command's exit code, whichever it is, is the script's.
    let error = session.command(&arguments.words).exec();
    let message = format!("the client cannot be started: {error}");
    Err(Failure::new(Code::Failed, message))
}

fn known(slug: &Slug, slugs: &[Slug]) -> Result<(), Failure> {
    if slugs.contains(slug) {
        return Ok(());
    }
    let message = format!("there is no project {:?} in projects/", slug.as_str());
    Err(Failure::new(NO_PROJECT, message).hint("Name it as NAME or projects/NAME."))
}

fn refused(error: ShimError) -> Failure {
    let code = match error {
        ShimError::Project { .. } => NO_PROJECT,
        ShimError::Exports { .. } | ShimError::Dependency { .. } => Code::Usage,
    };
    Failure::new(code, error.to_string())
}
