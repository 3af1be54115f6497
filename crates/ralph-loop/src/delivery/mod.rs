//! The pushed branch and its pull request, a state of its own that is retried without the agent.
//!
//! [`Deliverer::deliver`] takes what is known so far and returns what is known then, so that it can be called again
//! after a failure, a crash or a lost reply: a branch is pushed once, and a pull request is looked for by its head
//! branch before one is made. Pull requests are made by `gh` where it is there and logged in; else the answer holds a
//! link by which a person makes one. What must never be here: a force push over a tip that we did not put there, an
//! address with a password in an answer, a printed line.

mod address;
mod error;
mod forge;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

use ralph_core::process::guard::GuardProgram;
use ralph_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;

pub(crate) use address::Address;
pub(crate) use error::without_passwords;
pub(crate) use error::{DeliveryError, Retry};

use self::forge::{Forge, Program};
use crate::git::{Git, GitError, ObjectId};

/// How long a push may take, with the user's own checks before it.
const PUSH_LIMIT: Duration = Duration::from_secs(900);

/// How work is delivered.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// The remote that branches are pushed to.
    pub remote: String,
    /// The remote that has the base, and gets the pull requests; another one where work is pushed to a fork.
    pub base_remote: String,
    /// The branch that pull requests are for.
    pub base: String,
    /// Whether they are drafts.
    pub draft: bool,
    /// Shortest time between two new pull requests, so that neither CI nor the forge is flooded.
    pub interval: Duration,
    /// The program that makes them, `gh`.
    pub forge_program: PathBuf,
    /// The program that knows what the user calls a host, `ssh`.
    pub ssh_program: PathBuf,
    /// Variables for both, on top of the inherited ones.
    pub forge_variables: Vec<(String, String)>,
    /// What it is started through.
    pub guard: GuardProgram,
}

impl DeliverySettings {
    /// The defaults, for a remote and a base.
    #[must_use]
    pub fn new(remote: &str, base: &str, guard: GuardProgram) -> Self {
        Self {
            remote: remote.to_owned(),
            base_remote: remote.to_owned(),
            base: base.to_owned(),
            draft: false,
            interval: Duration::from_secs(2),
            forge_program: PathBuf::from("gh"),
            ssh_program: PathBuf::from("ssh"),
            forge_variables: Vec::new(),
            guard,
        }
    }
}

/// What is to be delivered.
#[derive(Debug, Clone)]
pub struct Parcel<'a> {
    /// The local branch, which is also the remote one's name.
    pub branch: &'a str,
    /// Its commit.
    pub commit: &'a ObjectId,
    /// When the attempt began: a closed pull request that is older is of another one.
    pub started: Timestamp,
    /// The title of the pull request.
    pub title: &'a str,
    /// Its text.
    pub body: &'a str,
}

/// What is known of a delivery; kept in the attempt's record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The branch.
    pub branch: String,
    /// The commit that was put on the remote branch, by us.
    pub pushed: Option<ObjectId>,
    /// The address of the pull request.
    pub pull_request: Option<String>,
    /// Where a person can make one, if we could not.
    pub compare: Option<String>,
    /// What else a person should know, such as that there is no `gh`.
    pub notes: Vec<String>,
}

/// Which repositories a pull request is about.
#[derive(Debug, Clone)]
struct Target {
    /// The one that has the base.
    into: Address,
    /// The one that has the branch, where that is another one.
    fork: Option<Address>,
}

impl Target {
    /// Where a person makes a pull request.
    fn compare(&self, base: &str, branch: &str) -> Option<String> {
        match &self.fork {
            Some(fork) => self.into.compare_fork(base, fork, branch),
            None => self.into.compare(base, branch),
        }
    }
}

/// Delivers the work of one repository's attempts.
#[derive(Debug)]
pub struct Deliverer {
    git: Git,
    settings: DeliverySettings,
    target: OnceCell<Option<Target>>,
    forge: OnceCell<Result<Forge, String>>,
    pace: Pace,
}

impl Deliverer {
    /// For one repository. Nothing is asked yet.
    #[must_use]
    pub fn new(git: &Git, settings: DeliverySettings) -> Self {
        Self {
            git: git.clone(),
            settings,
            target: OnceCell::new(),
            forge: OnceCell::new(),
            pace: Pace::default(),
        }
    }

    /// Pushes the branch and sees to its pull request. `known` is the last answer about this attempt, the default
    /// where there is none.
    ///
    /// # Errors
    /// [`DeliveryError`] says what is left to do, whether it may help to try again, and holds what is known now.
    pub async fn deliver(
        &self,
        parcel: &Parcel<'_>,
        known: &Delivered,
    ) -> Result<Delivered, DeliveryError> {
        self.deliver_until(parcel, known, std::future::pending())
            .await
    }

    /// As [`Deliverer::deliver`], but given up when `stop` ends; what runs then is told to end.
    ///
    /// # Errors
    /// As [`Deliverer::deliver`], and [`DeliveryError::Stopped`].
    pub async fn deliver_until(
        &self,
        parcel: &Parcel<'_>,
        known: &Delivered,
        stop: impl Future<Output = ()>,
    ) -> Result<Delivered, DeliveryError> {
        let mut delivered = Delivered {
            branch: parcel.branch.to_owned(),
            notes: Vec::new(),
            ..known.clone()
        };
        let is_stopped = tokio::select! {
            done = self.steps(parcel, &mut delivered) => { done?; false }
            () = stop => true,
        };
        if is_stopped {
            return Err(DeliveryError::Stopped {
                delivered: Box::new(delivered),
            });
        }
        Ok(delivered)
    }

    async fn steps(
        &self,
        parcel: &Parcel<'_>,
        delivered: &mut Delivered,
    ) -> Result<(), DeliveryError> {
        if delivered.pushed.as_ref() != Some(parcel.commit) {
            self.push(parcel, delivered.pushed.as_ref()).await?;
            delivered.pushed = Some(parcel.commit.clone());
        }
        let target = self.target().await;
        let (base, branch) = (&self.settings.base, parcel.branch);
        let forge = self.forge(target.as_ref()).await;
        // Also for a person who has to do what the forge refuses, as to every branch in a fork of an organization.
        delivered.compare = target.and_then(|target| target.compare(base, branch));
        match forge {
            Ok(forge) => {
                let made = self.pull_request(forge, parcel, delivered).await;
                made.map_err(|failure| failure.with(delivered.clone()))?;
                delivered.compare = None;
            }
            Err(reason) => {
                delivered.notes.push(reason.clone());
            }
        }
        Ok(())
    }

    async fn push(
        &self,
        parcel: &Parcel<'_>,
        ours: Option<&ObjectId>,
    ) -> Result<(), DeliveryError> {
        let remote = &self.settings.remote;
        let target = format!("refs/heads/{}", parcel.branch);
        let refspec = format!("{}:{target}", parcel.commit);
        // The user's own tags are no work of ours, also where `push.followTags` would send them along (git-push(1)).
        let mut arguments = vec!["push", "--quiet", "--no-follow-tags"];
        // Only over a tip that we have put there ourselves (git-push(1), --force-with-lease).
        let lease = ours.map(|tip| format!("--force-with-lease={target}:{tip}"));
        arguments.extend(lease.as_deref());
        arguments.extend(["--", remote.as_str(), refspec.as_str()]);
        // Of a loop that was killed it would still be at work beside the push of the next one.
        let call = self.git.call(&arguments).limit(PUSH_LIMIT);
        let pushed = call.guarded(&self.settings.guard).await;
        match pushed {
            Ok(_) => Ok(()),
            Err(GitError::Failed { stderr, .. }) => {
                Err(DeliveryError::push(parcel.branch, remote, &stderr))
            }
            Err(error) => Err(DeliveryError::Git(error)),
        }
    }

    /// Finds the pull request of the branch or makes one.
    async fn pull_request(
        &self,
        forge: &Forge,
        parcel: &Parcel<'_>,
        delivered: &mut Delivered,
    ) -> Result<(), forge::Failure> {
        if delivered.pull_request.is_none() {
            let url = match forge.find(parcel).await? {
                Some(url) => url,
                None => self.make(forge, parcel).await?,
            };
            delivered.pull_request = Some(url);
        }
        Ok(())
    }

    async fn make(&self, forge: &Forge, parcel: &Parcel<'_>) -> Result<String, forge::Failure> {
        let made = self
            .pace
            .turn(self.settings.interval, forge.make(parcel, &self.settings));
        let made = made.await;
        match made {
            Err(failure) if failure.is_there_already() => {
                // Its answer was lost.
                let found = forge.find(parcel).await?;
                found.ok_or(failure)
            }
            made => made,
        }
    }

    /// A pull request goes to the repository that has the base, as far as both are seen to be at one forge; else to the one
    /// that is pushed to.
    async fn target(&self) -> Option<Target> {
        let ask = || async {
            let pushed = self.git.push_url(&self.settings.remote).await.ok()?;
            let fetched = self.git.fetch_url(&self.settings.base_remote).await.ok()?;
            let head = self.address(&pushed).await?;
            let base = match fetched == pushed {
                true => None,
                false => self.address(&fetched).await,
            };
            let (into, fork) = match base.filter(|base| head.is_fork_of(base)) {
                Some(base) => (base, Some(head)),
                None => (head, None),
            };
            Some(Target { into, fork })
        };
        self.target.get_or_init(ask).await.clone()
    }

    async fn address(&self, url: &str) -> Option<Address> {
        let address = Address::parse(url)?;
        if !Address::is_ssh(url) {
            return Some(address);
        }
        let program = self.program(&self.settings.ssh_program);
        let shown = program.run(&["-G", "--", &address.host], "").await;
        Some(address.at(&shown.unwrap_or_default()))
    }

    /// The forge's program, looked for once; or why there is none.
    async fn forge(&self, target: Option<&Target>) -> Result<&Forge, &String> {
        let program = || self.program(&self.settings.forge_program);
        let find = || Forge::find_program(program(), target);
        self.forge.get_or_init(find).await.as_ref()
    }

    fn program(&self, program: &Path) -> Program {
        Program {
            program: program.to_owned(),
            variables: self.settings.forge_variables.clone(),
            folder: self.git.top().to_owned(),
            guard: self.settings.guard.clone(),
        }
    }
}

/// One at a time, and not too soon after the last one.
#[derive(Debug, Default)]
struct Pace {
    last: Mutex<Option<Instant>>,
}

impl Pace {
    async fn turn<T>(&self, interval: Duration, make: impl Future<Output = T>) -> T {
        let mut last = self.last.lock().await;
        if let Some(last) = *last {
            tokio::time::sleep_until(last + interval).await;
        }
        let made = make.await;
        *last = Some(Instant::now());
        made
    }
}
