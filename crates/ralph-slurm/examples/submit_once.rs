//! Submits a job script exactly once and shows what the cluster knows of it: `submit_once CLUSTER_JSON FOLDER SCRIPT`.
//!
//! The session to the cluster has to be open (`ralph cluster connect`); nothing here ever asks for a password. Run it
//! again, or kill it wherever you like and run it again: the intent in FOLDER has the token that finds the job.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use ralph_core::backend::{ClusterBackend as _, Receipt, SubmitRequest};
use ralph_core::env::Env;
use ralph_core::error::Coded as _;
use ralph_core::id::RunId;
use ralph_core::job::{JobQuery, Sighting};
use ralph_core::store::atomic;
use ralph_slurm::{ClusterSettings, ControlMaster, Rate, Session, SlurmBackend, SlurmOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [settings, folder, script] = &args[..] else {
        return Err("expected the cluster's configuration, a folder and a script".into());
    };
    let (settings, _) = ClusterSettings::parse(&std::fs::read_to_string(settings)?)?;
    let env = Env::system("example", "nobody");
    let session = Session::new(settings.ssh.clone());
    let options = SlurmOptions {
        workspace: folder.into(),
        budget_folder: None,
        rate: Rate::default(),
    };
    let transport = Arc::new(ControlMaster::new(session));
    let cluster = SlurmBackend::new(&settings, options, transport, env.clone());

    let request = intent(Path::new(folder), script, &env)?;
    let receipt = match cluster.submit(&request).await {
        Ok(receipt) => receipt,
        // Nobody could be asked, so nothing is known: the intent stays, and the next run asks again.
        Err(error) => {
            println!("{}: {error}", error.code());
            return Ok(());
        }
    };
    let Receipt::Accepted { job, .. } = receipt else {
        println!("{receipt:?}");
        return Ok(());
    };
    let query = JobQuery {
        token: Some(request.token),
        ..JobQuery::of(job)
    };
    for seen in cluster.observe(&[query]).await? {
        match seen.sighting {
            Sighting::Seen(report) => println!("{job}: {}", report.state),
            // An accepted job that no source shows yet, or a source that did not answer: neither is an end.
            other => println!("{job}: {other:?}"),
        }
    }
    Ok(())
}

/// The submission as it was decided, or decided now and kept before anything is sent.
fn intent(folder: &Path, script: &str, env: &Env) -> Result<SubmitRequest, Box<dyn Error>> {
    let path = folder.join("intent.json");
    if let Some(kept) = atomic::read(&path)? {
        return Ok(serde_json::from_slice(&kept)?);
    }
    let (run, project): (RunId, _) = ("example_1".parse()?, "example".parse()?);
    let (token, text) = (env.ids.token(&run), std::fs::read_to_string(script)?);
    let request = SubmitRequest::new(token, run, project, script, text, env.now());
    atomic::replace(&path, &serde_json::to_vec_pretty(&request)?)?;
    Ok(request)
}
