//! A cluster of one's own, rehearsed in no time: `own_cluster WORKSPACE` dispatches on a virtual clock, and the reply to
//! the first submission is lost. The next dispatch finds the job by its token instead of submitting a second one.
#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ralph_core::act::{Dispatcher, Options};
use ralph_core::backend::{
    BackendError, Capabilities, ClusterBackend, FetchReport, FetchRequest, Receipt, SubmitRequest,
};
use ralph_core::cluster::mock::{Fault, Method, MockCluster};
use ralph_core::env::Env;
use ralph_core::id::{JobId, Slug, Token};
use ralph_core::job::{JobQuery, JobReport, Observation};
use ralph_core::process::guard::{self, GuardProgram};
use ralph_core::time::Timestamp;

/// Where a real one would talk to its scheduler, this one asks the cluster in memory.
#[derive(Debug)]
struct Own {
    jobs: MockCluster,
}

#[async_trait]
impl ClusterBackend for Own {
    fn kind(&self) -> &'static str {
        "own"
    }
    async fn check(&self) -> Result<(), BackendError> {
        self.jobs.check().await
    }
    async fn capabilities(&self) -> Result<Capabilities, BackendError> {
        self.jobs.capabilities().await
    }
    async fn submit(&self, request: &SubmitRequest) -> Result<Receipt, BackendError> {
        self.jobs.submit(request).await
    }
    async fn receipt(&self, token: &Token, since: Timestamp) -> Result<Receipt, BackendError> {
        self.jobs.receipt(token, since).await
    }
    async fn observe(&self, jobs: &[JobQuery]) -> Result<Vec<Observation>, BackendError> {
        self.jobs.observe(jobs).await
    }
    async fn cancel(&self, jobs: &[JobId]) -> Result<(), BackendError> {
        self.jobs.cancel(jobs).await
    }
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchReport, BackendError> {
        self.jobs.fetch(request).await
    }
    async fn jobs(&self) -> Result<Vec<JobReport>, BackendError> {
        self.jobs.jobs().await
    }
    async fn existing(&self, project: &Slug, paths: &[String]) -> Result<Vec<bool>, BackendError> {
        self.jobs.existing(project, paths).await
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let word = std::env::args_os().nth(1).ok_or("expected a workspace")?;
    // What looks a script over runs under a guard: this program again, outside any async runtime.
    if word == "__guard" {
        return Ok(guard::main()?);
    }
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let root = PathBuf::from(word).canonicalize()?;
    runtime.enable_all().build()?.block_on(dispatch(root))
}

async fn dispatch(root: PathBuf) -> Result<(), Box<dyn Error>> {
    let (env, clock) = Env::fixed("2026-01-01T00:00:00Z".parse()?);
    let own = Arc::new(Own {
        jobs: MockCluster::new(Arc::clone(&clock)),
    });
    own.jobs.fault(Method::Submit, Fault::LostReply);
    let guard_program = GuardProgram {
        program: std::env::current_exe()?,
        args: vec!["__guard".to_owned()],
    };
    let dispatcher = Arc::new(Dispatcher::new(root, env, Ok(own.clone()), guard_program));
    for _ in 0..4 {
        let report = dispatcher.dispatch(&Options::default()).await?;
        for step in &report.steps {
            println!("{}: {}: {}", step.project, step.step, step.outcome);
        }
        clock.advance(Duration::from_secs(120));
    }
    println!("called submit {} times", own.jobs.calls(Method::Submit));
    Ok(())
}
