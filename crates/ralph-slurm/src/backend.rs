//! [`SlurmBackend`]: the cluster port over any transport.
//!
//! Thin on purpose: each method names the part of the crate that does it. No state of a job is kept here; what is known
//! lives on the cluster, in its accounting and in the local ledgers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ralph_core::backend::{
    BackendError, Capabilities, ClusterBackend, FetchReport, FetchRequest, Receipt, SubmitRequest,
};
use ralph_core::env::Env;
use ralph_core::id::{JobId, Slug, Token};
use ralph_core::job::{JobQuery, JobReport, Observation};
use ralph_core::time::Timestamp;
use tokio::sync::OnceCell;

use crate::budget::{Budget, Rate};
use crate::remote::Remote;
use crate::settings::ClusterSettings;
use crate::sync::{self, Excludes, Sent};
use crate::transport::Transport;
use crate::{capabilities, fetch, observe, submit};

/// What the backend needs besides the settings.
#[derive(Debug, Clone)]
pub struct SlurmOptions {
    /// The workspace on this machine: the folder that holds `projects/`.
    pub workspace: PathBuf,
    /// Where the call budgets of all processes of the user are kept; `None` for none (tests).
    pub budget_folder: Option<PathBuf>,
    /// How many calls the host gets.
    pub rate: Rate,
}

/// A SLURM cluster behind SSH.
#[derive(Debug)]
pub struct SlurmBackend {
    remote: Remote,
    workspace: PathBuf,
    excludes: Excludes,
    /// No `git.url`: the project's files are sent before its jobs.
    sends_files: bool,
    floor: Duration,
    capabilities: OnceCell<Capabilities>,
}

impl SlurmBackend {
    /// A backend over this transport; nothing is contacted.
    #[must_use]
    pub fn new(
        settings: &ClusterSettings,
        options: SlurmOptions,
        transport: Arc<dyn Transport>,
        env: Env,
    ) -> Self {
        let budget = options
            .budget_folder
            .as_deref()
            .map(|folder| Budget::new(folder, &settings.ssh.host, options.rate));
        Self {
            remote: Remote::new(
                transport,
                env,
                budget,
                settings.remote.repo_root.clone(),
                settings.remote.clusters.clone(),
            ),
            workspace: options.workspace,
            excludes: Excludes::new(&settings.remote.rsync_excludes),
            sends_files: settings.git.url.is_none(),
            floor: settings.min_interval.unwrap_or_default(),
            capabilities: OnceCell::new(),
        }
    }

    /// Brings the cluster's copy of `experiments/`, `configs/` and `slurm/jobs/` of a project up to date and gives the
    /// paths that were sent. Never deletes. [`ClusterBackend::submit`] does it by itself for requests without a commit
    /// when no `git.url` is configured.
    ///
    /// # Errors
    /// The cluster could not be asked, or a file could not be read or written.
    pub async fn synchronise(&self, project: &Slug) -> Result<Vec<String>, BackendError> {
        let mut sent = self.send(&BTreeSet::from([project])).await?;
        let sent = sent.remove(project).transpose()?;
        Ok(sent.map(|sent| sent.paths).unwrap_or_default())
    }

    async fn send(
        &self,
        projects: &BTreeSet<&Slug>,
    ) -> Result<BTreeMap<Slug, Result<Sent, BackendError>>, BackendError> {
        sync::synchronise(&self.remote, &self.workspace, projects, &self.excludes).await
    }

    /// Sends the files of the projects that need it.
    async fn send_files(
        &self,
        requests: &[SubmitRequest],
    ) -> BTreeMap<Slug, Result<Sent, BackendError>> {
        let projects: BTreeSet<&Slug> = requests
            .iter()
            .filter(|request| self.sends_files && request.git.is_none())
            .map(|request| &request.project)
            .collect();
        if projects.is_empty() {
            return BTreeMap::new();
        }
        match self.send(&projects).await {
            Ok(sent) => sent,
            Err(error) => projects
                .into_iter()
                .map(|project| (project.clone(), Err(error.clone())))
                .collect(),
        }
    }
}

#[async_trait]
impl ClusterBackend for SlurmBackend {
    fn kind(&self) -> &'static str {
        "slurm"
    }

    async fn check(&self) -> Result<(), BackendError> {
        capabilities::check(&self.remote).await
    }

    async fn capabilities(&self) -> Result<Capabilities, BackendError> {
        self.capabilities
            .get_or_try_init(|| capabilities::probe(&self.remote))
            .await
            .cloned()
    }

    async fn submit(&self, request: &SubmitRequest) -> Result<Receipt, BackendError> {
        let mut receipt = None;
        self.submit_all(std::slice::from_ref(request), &mut |_, found| {
            receipt = Some(found);
        })
        .await;
        receipt.unwrap_or_else(|| Err(submit::no_receipt(request)))
    }

    async fn submit_all(
        &self,
        requests: &[SubmitRequest],
        recorded: &mut (dyn FnMut(usize, Result<Receipt, BackendError>) + Send),
    ) {
        let files = self.send_files(requests).await;
        let files_of = |request: &SubmitRequest| {
            let sent = files.get(&request.project);
            sent.filter(|_| request.git.is_none())
        };
        let mut ready = Vec::new();
        for (index, request) in requests.iter().enumerate() {
            match files_of(request) {
                Some(Err(error)) => recorded(index, Err(error.clone())),
                _ => ready.push((index, request)),
            }
        }
        let mut with_omissions = |index: usize, mut receipt: Result<Receipt, BackendError>| {
            let sent = requests.get(index).and_then(files_of);
            if let (Ok(Receipt::Accepted { remarks, .. }), Some(Ok(sent))) = (&mut receipt, sent) {
                sent.remark(remarks);
            }
            recorded(index, receipt);
        };
        submit::submit_all(&self.remote, &ready, &mut with_omissions).await;
    }

    async fn receipt(&self, token: &Token, since: Timestamp) -> Result<Receipt, BackendError> {
        submit::look(&self.remote, token, since).await
    }

    async fn receipts(
        &self,
        asked: &[(Token, Timestamp)],
    ) -> Result<Vec<Result<Receipt, BackendError>>, BackendError> {
        submit::look_all(&self.remote, asked).await
    }

    async fn observe(&self, jobs: &[JobQuery]) -> Result<Vec<Observation>, BackendError> {
        observe::observe(&self.remote, jobs, self.floor).await
    }

    async fn cancel(&self, jobs: &[JobId]) -> Result<(), BackendError> {
        fetch::cancel(&self.remote, jobs).await
    }

    async fn fetch(&self, request: &FetchRequest) -> Result<FetchReport, BackendError> {
        fetch::fetch(&self.remote, request).await
    }

    async fn jobs(&self) -> Result<Vec<JobReport>, BackendError> {
        observe::jobs(&self.remote).await
    }

    async fn existing(&self, project: &Slug, paths: &[String]) -> Result<Vec<bool>, BackendError> {
        fetch::existing(&self.remote, project, paths).await
    }
}
