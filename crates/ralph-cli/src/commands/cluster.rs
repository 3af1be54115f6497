//! `ralph cluster connect|check|disconnect|jobs`.

use std::collections::BTreeMap;
use std::time::Duration;

use ralph_core::backend::BackendError;
use ralph_core::error::Code;
use ralph_core::job::JobReport;
use ralph_core::project;
use ralph_core::settings::ClusterKind;
use ralph_core::world::{ProjectState, jobs_of};
use ralph_slurm::{Connected, Session, SessionState, TransportKind};

use crate::args::{ClusterVerb as Cluster, Global};
use crate::commands::{block_on, projects};
use crate::render::answers::AdoptReport;
use crate::render::cluster::{ClusterReport, JobRow, JobsReport, SessionReport};
use crate::render::{self, SCHEMA_VERSION};
use crate::workspace::{Workspace, env};
use ralph_front::cluster as slurm;
use ralph_front::failure::{Failure, Outcome};
use ralph_front::output::Output;

/// After an interrupt, `ssh` has so long to end by itself.
const SSH_ENDS_WITHIN: Duration = Duration::from_secs(5);

/// The verbs that concern the cluster itself.
pub(crate) fn run(global: &Global, verb: &Cluster, output: &Output) -> Outcome {
    let workspace = Workspace::open(global, output)?;
    match verb {
        Cluster::Connect => connect(&workspace, output),
        Cluster::Check => check(&workspace, output),
        Cluster::Disconnect => disconnect(&workspace, output),
        Cluster::Jobs(arguments) => match &arguments.adopt {
            Some(job) => adopt(&workspace, job, arguments.project.as_deref(), output),
            None => jobs(&workspace, output),
        },
    }
}

/// The session that the configuration names; the embedded cluster has none.
fn session(workspace: &Workspace) -> Result<Option<Session>, BackendError> {
    if workspace.cluster_kind() == Some(ClusterKind::Local) {
        return Ok(None);
    }
    let (settings, _) = slurm::settings(&workspace.root)?;
    let shared = settings.ssh.transport == TransportKind::Openssh;
    Ok(shared.then(|| Session::new(settings.ssh)))
}

/// Opens the shared session on this terminal: password, code and host key are asked by `ssh` itself.
fn connect(workspace: &Workspace, output: &Output) -> Outcome {
    let Some(session) = session(workspace)? else {
        // Nothing is to be opened, and that the cluster answers is all that can be found out.
        block_on(workspace.cluster(&env())?.capabilities())??;
        return output
            .answer(&SessionReport::unneeded(), "No session is needed.")
            .map(|()| None);
    };
    let (changed, words) = match block_on(opened(&session))?? {
        Some(Connected::Already) => (false, "is open already"),
        Some(Connected::New) => (true, "is open"),
        None => return Ok(Some(Code::Interrupted)),
    };
    let report = SessionReport {
        schema_version: SCHEMA_VERSION,
        open: true,
        changed,
        host: Some(session.host().to_owned()),
    };
    output.answer(
        &report,
        &format!("The session to {} {words}.", session.host()),
    )?;
    Ok(None)
}

/// Opens the session; `None` when a person interrupted it, and then none is left open. The interrupt reaches `ssh` on
/// the same terminal, and `ssh` has to put that right before it ends.
async fn opened(session: &Session) -> Result<Option<Connected>, Failure> {
    let connecting = session.connect();
    tokio::pin!(connecting);
    tokio::select! {
        connected = &mut connecting => return Ok(Some(connected?)),
        signal = tokio::signal::ctrl_c() => signal.map_err(|error| {
            Failure::new(Code::Failed, format!("signals cannot be received: {error}"))
        })?,
    }
    // How it ends does not matter any more; what came to be open in the last moment is closed again.
    let _ = tokio::time::timeout(SSH_ENDS_WITHIN, connecting).await;
    session.disconnect().await?;
    Ok(None)
}

/// Exit 0 with a session and a scheduler, 20 without a configuration, 21 without a session.
fn check(workspace: &Workspace, output: &Output) -> Outcome {
    if let Some(session) = session(workspace)?
        && let SessionState::Closed { .. } = block_on(session.state())??
    {
        return Err(BackendError::NoSession {
            host: session.host().to_owned(),
        }
        .into());
    }
    let cluster = workspace.cluster(&env())?;
    let report = ClusterReport {
        schema_version: SCHEMA_VERSION,
        kind: cluster.kind().to_owned(),
        capabilities: block_on(cluster.capabilities())??,
    };
    output.answer(
        &report,
        &render::cluster::reached(&report.kind, &report.capabilities),
    )?;
    Ok(None)
}

fn disconnect(workspace: &Workspace, output: &Output) -> Outcome {
    let session = session(workspace)?;
    let changed = match &session {
        Some(session) => block_on(session.disconnect())??,
        None => false,
    };
    let report = SessionReport {
        schema_version: SCHEMA_VERSION,
        open: false,
        changed,
        host: session.map(|session| session.host().to_owned()),
    };
    output.answer(
        &report,
        if changed {
            "The session is closed."
        } else {
            "There was no open session."
        },
    )?;
    Ok(None)
}

/// Lists this user's jobs and marks those that no project knows (incident 10).
fn jobs(workspace: &Workspace, output: &Output) -> Outcome {
    let cluster = workspace.cluster(&env())?;
    let reports = block_on(cluster.jobs())??;
    let known = known(workspace, output)?;
    let row = |report: &JobReport| row(report, known.get(&report.job.master().base()));
    let report = JobsReport {
        schema_version: SCHEMA_VERSION,
        jobs: reports.iter().map(row).collect(),
    };
    output.answer(&report, &render::cluster::jobs(&report, output.width()))?;
    Ok(None)
}

/// Takes a job into the books of a project.
fn adopt(workspace: &Workspace, job: &str, project: Option<&str>, output: &Output) -> Outcome {
    let dispatcher = workspace.dispatcher(output);
    let job = job
        .parse()
        .map_err(|error| Failure::new(Code::Usage, format!("--adopt: {error}")))?;
    let named: Vec<String> = project.map(str::to_owned).into_iter().collect();
    let slug = projects(&named, &dispatcher.slugs()?)?.into_iter().next();
    let slug = slug.ok_or_else(|| Failure::new(Code::Usage, "--adopt needs --project SLUG"))?;
    let run = block_on(dispatcher.adopt(&slug, job))??;
    let report = AdoptReport {
        schema_version: SCHEMA_VERSION,
        project: slug.to_string(),
        job: job.to_string(),
        run_id: run.to_string(),
    };
    output.answer(&report, &format!("{slug}: job {job} is run {run}"))?;
    Ok(None)
}

fn row(report: &JobReport, known: Option<&(String, Option<String>)>) -> JobRow {
    JobRow {
        job: report.job.to_string(),
        state: report.verdict().as_str().to_owned(),
        name: report.name.clone(),
        project: known.map(|(project, _)| project.clone()),
        run_id: known.and_then(|(_, run)| run.clone()),
    }
}

/// Project and run of every job in the books, by the number of the job's master.
fn known(
    workspace: &Workspace,
    output: &Output,
) -> Result<BTreeMap<u64, (String, Option<String>)>, Failure> {
    let slugs = project::discover(&workspace.root)
        .map_err(|error| Failure::new(Code::Failed, format!("projects/: {error}")))?;
    let mut known = BTreeMap::new();
    for project in project::load_all(&workspace.root, &slugs).projects {
        match project.state {
            ProjectState::Readable(facts) => {
                for run in facts
                    .view
                    .active_runs
                    .iter()
                    .chain(&facts.view.completed_runs)
                {
                    for job in jobs_of(&run.jobs).into_iter().flatten() {
                        known.insert(
                            job.base(),
                            (project.slug.to_string(), run.key.run_id.clone()),
                        );
                    }
                }
            }
            ProjectState::Unreadable(found) => {
                output.note(&found.message);
            }
        }
    }
    Ok(known)
}
