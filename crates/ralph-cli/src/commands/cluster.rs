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
use serde_json::{Value, json};

use crate::args::{ClusterVerb as Cluster, Global};
use crate::commands::{block_on, projects};
use crate::exit::{Failure, Outcome, printed};
use crate::output::Output;
use crate::render;
use crate::slurm;
use crate::workspace::{Workspace, env};

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
        return check(workspace, output);
    };
    let text = match block_on(opened(&session))?? {
        Some(Connected::Already) => format!("The session to {} is open already.", session.host()),
        Some(Connected::New) => format!("The session to {} is open.", session.host()),
        None => return Ok(Some(Code::Interrupted)),
    };
    printed(output.print(&text))?;
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
    block_on(cluster.check())??;
    let capabilities = block_on(cluster.capabilities())??;
    if output.is_json() {
        printed(output.json(
            &json!({ "schema_version": 1, "kind": cluster.kind(), "capabilities": capabilities }),
        ))?;
    } else {
        printed(output.print(&format!("{}: {}", cluster.kind(), capabilities.version)))?;
    }
    Ok(None)
}

fn disconnect(workspace: &Workspace, output: &Output) -> Outcome {
    let closed = match session(workspace)? {
        Some(session) => block_on(session.disconnect())??,
        None => false,
    };
    printed(output.print(if closed {
        "The session is closed."
    } else {
        "There was no open session."
    }))?;
    Ok(None)
}

/// Lists this user's jobs and marks those that no project knows (incident 10).
fn jobs(workspace: &Workspace, output: &Output) -> Outcome {
    let cluster = workspace.cluster(&env())?;
    let reports = block_on(cluster.jobs())??;
    let known = known(workspace, output)?;
    let rows: Vec<Value> = reports
        .iter()
        .map(|report| row(report, known.get(&report.job.master().base())))
        .collect();
    if output.is_json() {
        printed(output.json(&json!({ "schema_version": 1, "jobs": rows })))?;
        return Ok(None);
    }
    let mut table = render::table(&["Job", "State", "Name", "Project", "Run"], output.width());
    for row in &rows {
        let text = |key: &str| {
            row.get(key)
                .and_then(Value::as_str)
                .unwrap_or("")
                .to_owned()
        };
        table.add_row(["job", "state", "name", "project", "run_id"].map(text));
    }
    let unknown = rows
        .iter()
        .filter(|row| row.get("run_id").is_some_and(Value::is_null))
        .count();
    let mut text = if rows.is_empty() {
        "No jobs.\n".to_owned()
    } else {
        render::lines(&table)
    };
    if unknown > 0 {
        text.push_str(&ralph_core::plan::rules::plural(unknown, "job"));
        text.push_str(" in no project's books; `ralph cluster jobs --adopt JOB --project SLUG` takes one in.\n");
    }
    printed(output.print(&text))?;
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
    printed(output.print(&format!("{slug}: job {job} is run {run}")))?;
    Ok(None)
}

fn row(report: &JobReport, known: Option<&(String, Option<String>)>) -> Value {
    json!({
        "job": report.job.to_string(),
        "state": report.verdict().as_str(),
        "name": report.name,
        "project": known.map(|(project, _)| project),
        "run_id": known.and_then(|(_, run)| run.clone()),
    })
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
                output.note(&format!("{}: {}", project.slug, found.message));
            }
        }
    }
    Ok(known)
}
