//! `gh`, the forge's own program: looked for once, asked, told. Its words become no address and no state: those are
//! read from its JSON, and from the one line that names the new pull request (defect 8.22).

use std::path::{Path, PathBuf};
use std::time::Duration;

use ralph_core::process::bounded;
use ralph_core::process::guard::{Guard, GuardProgram};
use ralph_core::time::Timestamp;
use serde::Deserialize;

use super::error::{Retry, without_passwords};
use super::{Address, Delivered, DeliveryError, DeliverySettings, Parcel, Target};

/// How long one call may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The wait after a secondary limit where the forge names none: "at least one minute", says its documentation.
const SECONDARY_LIMIT: Duration = Duration::from_secs(90);

/// The wait after any other failure that may pass.
const SOON: Duration = Duration::from_secs(30);

/// What is asked of pull requests.
const MEMBERS: &str = "url,state,createdAt,headRefOid,isCrossRepository,headRepositoryOwner";

/// Words of a limit on how often things are made.
const LIMITS: [&str; 5] = [
    "secondary rate limit",
    "rate limit exceeded",
    "submitted too quickly",
    "abuse detection",
    "HTTP 429",
];

/// Words of what no second try changes.
const FINAL: [&str; 6] = [
    "No commits between",
    "HTTP 401",
    "HTTP 404",
    "Could not resolve to a Repository",
    "must be a collaborator",
    "unknown flag",
];

/// The program and where it runs.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) program: PathBuf,
    pub(super) variables: Vec<(String, String)>,
    pub(super) folder: PathBuf,
    pub(super) guard: GuardProgram,
}

/// The program, known to be there and logged in.
#[derive(Debug)]
pub(super) struct Forge {
    program: Program,
    repository: Option<String>,
    /// Who owns the fork that is pushed to; `None` where that is the repository which gets the pull request.
    fork_owner: Option<String>,
}

/// A call that did not do what it should.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) message: String,
    retry: Retry,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    url: String,
    state: String,
    #[serde(default)]
    head_ref_oid: String,
    #[serde(default)]
    created_at: String,
    #[serde(default)]
    is_cross_repository: bool,
    /// Not there for an old program, or where the fork is gone.
    head_repository_owner: Option<Owner>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    #[serde(default)]
    login: String,
}

impl Listed {
    /// Whether it is of this attempt: of its very commit, or made since the attempt began. Its head moves on when
    /// somebody brings the branch up to date or mends something on it.
    fn is_of(&self, parcel: &Parcel<'_>) -> bool {
        let created: Option<Timestamp> = self.created_at.parse().ok();
        self.head_ref_oid == parcel.commit.as_str()
            || created.is_some_and(|created| created >= parcel.started)
    }

    /// Whether its branch may be the one that we push: a fork of somebody else may have one of the same name.
    fn may_be_from(&self, fork_owner: Option<&str>) -> bool {
        match (fork_owner, &self.head_repository_owner) {
            (None, _) => !self.is_cross_repository,
            (Some(owner), Some(found)) => found.login.eq_ignore_ascii_case(owner),
            (Some(_), None) => true,
        }
    }
}

impl Failure {
    fn of(words: &str) -> Self {
        let holds = |list: &[&str]| list.iter().any(|word| words.contains(word));
        let retry = if holds(&LIMITS) {
            Retry::After(SECONDARY_LIMIT)
        } else if holds(&FINAL) {
            Retry::Never
        } else {
            Retry::After(SOON)
        };
        Self {
            message: without_passwords(words.trim()),
            retry,
        }
    }

    pub(super) fn is_there_already(&self) -> bool {
        self.message.contains("already exists")
    }

    pub(super) fn with(self, delivered: Delivered) -> DeliveryError {
        DeliveryError::PullRequest {
            delivered: Box::new(delivered),
            message: self.message,
            retry: self.retry,
        }
    }
}

impl Program {
    pub(super) async fn run(&self, arguments: &[&str], input: &str) -> Result<String, Failure> {
        let mut argv = vec![self.program.to_string_lossy().into_owned()];
        argv.extend(arguments.iter().map(|word| (*word).to_owned()));
        let mut variables: Vec<(String, String)> = [
            ("GH_PROMPT_DISABLED", "1"),
            ("GH_NO_UPDATE_NOTIFIER", "1"),
            ("NO_COLOR", "1"),
            // It outranks the other, and would colour the JSON as well.
            ("CLICOLOR_FORCE", "0"),
            ("LC_ALL", "C"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        variables.extend(self.variables.iter().cloned());
        let program = bounded::Program {
            argv: &argv,
            folder: &self.folder,
            variables: &variables,
            input: input.as_bytes(),
            limit: LIMIT,
        };
        let run = async { bounded::run(Guard::start(&self.guard)?, &program).await };
        let ended = run.await.map_err(|error| Failure::of(&error.to_string()))?;
        if ended.success() {
            return Ok(String::from_utf8_lossy(&ended.stdout).into_owned());
        }
        let words = String::from_utf8_lossy(&ended.stderr);
        Err(Failure::of(&format!("{} ({})", words.trim(), ended.how())))
    }

    fn name(&self) -> String {
        let name = Path::new(&self.program).file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

impl Forge {
    /// Asks whether the program is there and logged in; the error says what is missing.
    pub(super) async fn find_program(
        program: Program,
        target: Option<&Target>,
    ) -> Result<Self, String> {
        let name = program.name();
        let address = target.map(|target| &target.into);
        if let Err(failure) = program.run(&["--version"], "").await {
            tracing::debug!(failure.message, "no forge");
            return Err(format!("`{name}` is not there: no pull request was made"));
        }
        let mut question = vec!["auth", "status"];
        let host = address.map(|address| address.host.as_str());
        if let Some(host) = host {
            question.extend(["--hostname", host]);
        }
        if let Err(failure) = program.run(&question, "").await {
            tracing::debug!(failure.message, "not logged in");
            let host = host.unwrap_or("this remote");
            return Err(format!(
                "`{name}` is not logged in to {host}: no pull request was made"
            ));
        }
        Ok(Self {
            program,
            repository: address.and_then(Address::repository),
            fork_owner: target.and_then(|target| Some(target.fork.as_ref()?.owner().to_owned())),
        })
    }

    fn with_repository<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let mut all = arguments.to_vec();
        if let Some(repository) = &self.repository {
            all.extend(["--repo", repository]);
        }
        all
    }

    /// The pull request of a head branch: an open one, else one of this attempt, which a person has closed or merged
    /// meanwhile. Any other that is closed is of an earlier attempt, whose branch of the same name is gone.
    pub(super) async fn find(&self, parcel: &Parcel<'_>) -> Result<Option<String>, Failure> {
        let branch = parcel.branch;
        let answer = match self.list(branch, MEMBERS).await {
            // An old one cannot tell of which commit they are.
            Err(failure) if failure.message.contains("Unknown JSON field") => {
                self.list(branch, "url,state,createdAt").await?
            }
            answer => answer?,
        };
        let mut listed: Vec<Listed> = serde_json::from_str(answer.trim())
            .map_err(|error| Failure::of(&format!("the list of pull requests: {error}")))?;
        listed.retain(|one| one.may_be_from(self.fork_owner.as_deref()));
        let open = listed.iter().find(|one| one.state == "OPEN");
        let ours = || listed.iter().find(|one| one.is_of(parcel));
        Ok(open.or_else(ours).map(|one| one.url.clone()))
    }

    async fn list(&self, branch: &str, members: &str) -> Result<String, Failure> {
        let question = [
            "pr", "list", "--head", branch, "--state", "all", "--limit", "20", "--json", members,
        ];
        let question = self.with_repository(&question);
        self.program.run(&question, "").await
    }

    /// Makes a pull request; the answer is its address.
    pub(super) async fn make(
        &self,
        parcel: &Parcel<'_>,
        settings: &DeliverySettings,
    ) -> Result<String, Failure> {
        let head = match &self.fork_owner {
            Some(owner) => format!("{owner}:{}", parcel.branch),
            None => parcel.branch.to_owned(),
        };
        let mut order =
            self.with_repository(&["pr", "create", "--head", &head, "--base", &settings.base]);
        order.extend(["--title", parcel.title, "--body-file", "-"]);
        if settings.draft {
            order.push("--draft");
        }
        let answer = self.program.run(&order, parcel.body).await?;
        address_in(&answer).ok_or_else(|| {
            Failure::of(&format!(
                "the answer names no pull request: {}",
                answer.trim()
            ))
        })
    }
}

/// The last address of a pull request in a text.
fn address_in(text: &str) -> Option<String> {
    let words = text.split_whitespace().rev();
    let is_one = |word: &&str| {
        let number = word.rsplit_once("/pull/").map(|(_, number)| number);
        let is_number = |n: &str| !n.is_empty() && n.bytes().all(|digit| digit.is_ascii_digit());
        word.starts_with("http") && number.is_some_and(is_number)
    };
    words.into_iter().find(is_one).map(str::to_owned)
}
