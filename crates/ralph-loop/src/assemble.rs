//! Puts a loop together from resolved settings: finds the repositories, the base, the remote, and what git must not
//! show. Reads; what it writes is git's own list of ignored paths and empty folders of ours.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::tz::TimeZone;
use ralph_core::env::Env;
use ralph_core::process::Identity;
use ralph_core::process::guard::GuardProgram;
use ralph_core::store::atomic;
use ralph_docs::fix_plan::Flavour;
use tokio::sync::watch;

use crate::account::{AccountGate, AccountName};
use crate::agent::Limits;
use crate::attempt::Attempts;
use crate::breaker::CostCeiling;
use crate::budget::{Budget, Terms, loop_name};
use crate::delivery::{Deliverer, DeliverySettings};
use crate::engine;
use crate::event::Sink;
use crate::gates::Gates;
use crate::git::{Git, GitError, GitProgram};
use crate::integrate::Integrator;
use crate::plan::{Owner, PlanFile};
use crate::pool::{Brakes, Line, PoolError, PoolSettings, Returns, Shop, Site, Stop};
use crate::record::Records;
use crate::redact::Redactor;
use crate::run::LoopLock;
use crate::settings::Settings;
use crate::worktree::{ControlFiles, Worktrees, check_top};

/// The folder of the loop in a repository or a workspace.
pub const FOLDER: &str = ".ralph";
/// The plan, below that.
pub const PLAN: &str = "fix_plan.md";
/// Our private state, below that.
pub const STATE: &str = "state";
/// The lock of a repository's loop in there, held for the loop's life.
pub const LOCK: &str = "loop.lock";

/// What git would show of ours where a repository does not ignore it.
const OURS: [&str; 10] = [
    ".ralph/state/",
    ".ralph/logs/",
    ".ralph/worktrees/",
    ".ralph/status.json",
    ".ralph/attempts.jsonl",
    ".ralph/.circuit_breaker_state",
    ".ralph/.circuit_breaker_history",
    ".ralph/.call_count",
    ".ralph/.last_reset",
    // What a crash leaves of a file that was being replaced there, until the next loop removes it.
    ".ralph/.ralph-*.tmp",
];
/// Pauses before a delivery that failed is tried again.
const DELIVERY_RETRIES: [Duration; 3] = [
    Duration::from_secs(2),
    Duration::from_secs(10),
    Duration::from_secs(60),
];

/// What a loop is put together from.
pub struct Assembly<'a> {
    /// Clock and ids.
    pub env: &'a Env,
    /// This process.
    pub owner: Identity,
    /// The folder that holds `.ralph`.
    pub root: &'a Path,
    /// The knobs.
    pub settings: &'a Settings,
    /// The repositories of a workspace plan that are looked at; `None` for a single repository.
    pub repositories: Option<BTreeSet<String>>,
    /// The only task, if one was named.
    pub task: Option<String>,
    /// A budget that other loops share.
    pub shared_budget: Option<PathBuf>,
    /// Where what all loops of this user share is kept.
    pub user_folder: PathBuf,
    /// What agents are started through.
    pub guard: GuardProgram,
    /// Which git.
    pub git: GitProgram,
    /// The local time zone.
    pub zone: TimeZone,
    /// What is masked in logs.
    pub redactor: Redactor,
    /// The user's prompt.
    pub prompt: Option<String>,
    /// How far the loop is told to stop.
    pub stop: watch::Receiver<Stop>,
    /// Where events go.
    pub sink: Arc<dyn Sink>,
}

/// The plan of a folder, for reading and for claiming in the name of a process.
#[must_use]
pub fn plan_file(root: &Path, flavour: Flavour, owner: Identity, host: &str) -> PlanFile {
    let folder = root.join(FOLDER);
    let owner = Owner::new(owner, host);
    PlanFile::new(&folder.join(PLAN), flavour, &folder.join(STATE), owner)
}

/// Puts a loop together. The caller holds the repository's loop lock.
///
/// # Errors
/// A repository, the budget or the account's gate cannot be used.
pub async fn assemble(assembly: Assembly<'_>) -> Result<Shop, PoolError> {
    let folder = assembly.root.join(FOLDER);
    let state = folder.join(STATE);
    for made in [state.clone(), folder.join("logs")] {
        atomic::create_dir(&made)?;
    }
    let flavour = match assembly.repositories {
        Some(_) => Flavour::Workspace,
        None => Flavour::Repository,
    };
    let plan = plan_file(
        assembly.root,
        flavour,
        assembly.owner.clone(),
        &assembly.env.host,
    );
    let sites = sites(&assembly).await?;
    let budget = budget(&assembly, &state)?;
    let settings = pool_settings(&assembly, &budget);
    let account = account(&assembly, &settings)?;
    let brakes = brakes(&assembly, &folder)?;
    let engine = engine::engine(&assembly.settings.agent.engine_settings())?;
    Ok(Shop {
        env: assembly.env.clone(),
        owner: assembly.owner,
        settings,
        plan: Arc::new(plan),
        sites,
        engine: Arc::from(engine),
        guard: assembly.guard,
        budget: Arc::new(budget),
        account: Arc::new(account),
        records: Records::new(&folder),
        attempts: Attempts::new(&state),
        folder,
        zone: assembly.zone,
        redactor: assembly.redactor,
        brakes: RefCell::new(brakes),
        history: RefCell::default(),
        named: OnceCell::new(),
        recovered_pull_requests: RefCell::default(),
        returns: Returns::default(),
        stop: assembly.stop,
        sink: assembly.sink,
    })
}

/// The account is the user's: that of the agent's own login, or that of a command.
fn account(assembly: &Assembly<'_>, pool: &PoolSettings) -> Result<AccountGate, PoolError> {
    let agent = &assembly.settings.agent;
    let command = agent.command.value.join("\0");
    let account = AccountName {
        engine: agent.engine.value,
        id: (!command.is_empty()).then_some(command.as_str()),
    };
    let settings = assembly.settings.limits.account_settings(pool.workers);
    let folder = assembly.user_folder.join("accounts");
    let owner = assembly.owner.clone();
    Ok(AccountGate::open(
        &folder,
        &account,
        settings,
        assembly.env,
        owner,
    )?)
}

fn brakes(assembly: &Assembly<'_>, folder: &Path) -> Result<Brakes, PoolError> {
    let limits = &assembly.settings.limits;
    let thresholds = limits.thresholds();
    let expected = assembly.settings.agent.max_cost.value;
    let cost = CostCeiling::new(limits.max_cost.value, expected);
    let calls = limits.calls_per_hour.value;
    Ok(Brakes::open(
        folder,
        thresholds,
        calls,
        cost,
        assembly.env.now(),
    )?)
}

async fn sites(assembly: &Assembly<'_>) -> Result<BTreeMap<Option<String>, Arc<Site>>, PoolError> {
    let mut sites = BTreeMap::new();
    match &assembly.repositories {
        None => {
            let site = site(assembly, None, assembly.root).await?;
            sites.insert(None, Arc::new(site));
        }
        Some(names) => {
            for name in names {
                let folder = assembly.root.join(name);
                let site = site(assembly, Some(name.clone()), &folder).await?;
                sites.insert(Some(name.clone()), Arc::new(site));
            }
        }
    }
    Ok(sites)
}

/// Tells git to ignore what a loop keeps in a repository.
///
/// # Errors
/// Git gives no answer; its file cannot be written.
pub async fn keep_out_of_git(git: &Git) -> Result<(), GitError> {
    git.exclude(&OURS).await
}

async fn site(
    assembly: &Assembly<'_>,
    name: Option<String>,
    folder: &Path,
) -> Result<Site, PoolError> {
    let work = &assembly.settings.work;
    let git = Git::open(assembly.git.clone(), folder).await?;
    check_top(&git)?;
    let ralph = git.top().join(FOLDER);
    atomic::create_dir(&ralph.join(STATE))?;
    // Before anything is refused, so that a loop that does not begin leaves nothing in `git status` either.
    keep_out_of_git(&git).await?;
    let held = match name {
        None => None,
        // Two loops would take each other's worktrees for what a crash left.
        Some(_) => Some(LoopLock::take(git.top())?),
    };
    let wished = work.base.value.as_deref();
    let remote = if work.pull_requests.value {
        remote(&git, wished).await?
    } else {
        None
    };
    let base = git.base(wished, remote.as_deref()).await?;
    let tracked_plan = match name {
        None => tracked_plan(&git).await?,
        Some(_) => None,
    };
    let strategy = work.merge_strategy.value;
    let lock = ralph.join(STATE).join("merge.lock");
    let delivery = match remote.as_deref() {
        Some(remote) => Some(delivery(assembly, &git, &base.branch, remote).await?),
        None => None,
    };
    let gates = gates_of(git.top(), assembly.settings, assembly.guard.clone());
    gates.check(git.top()).await?;
    Ok(Site {
        label: label(&git),
        spares: Mutex::default(),
        line: Line::default(),
        worktrees: Worktrees::open(&git, &base, &work.branch_prefix.value).await?,
        integrator: Arc::new(Integrator::new(&git, &base, strategy, lock)),
        gates,
        delivery,
        tracked_plan,
        plan_state: Mutex::default(),
        held,
        name,
        git,
        base,
    })
}

/// The remote that has the base. Where no base is wished it is that of the default branch, which follows another remote
/// than `origin` where that is a fork.
async fn remote(git: &Git, wished: Option<&str>) -> Result<Option<String>, GitError> {
    let first = git.remote(wished).await?;
    let (None, Some(remote)) = (wished, &first) else {
        return Ok(first);
    };
    let default = git.default_branch(remote).await?;
    let default = default.as_deref().unwrap_or("main");
    git.remote(Some(default)).await
}

/// Delivery to a remote, or to the fork of it that the user pushes to.
async fn delivery(
    assembly: &Assembly<'_>,
    git: &Git,
    base: &str,
    remote: &str,
) -> Result<Deliverer, GitError> {
    let onto = git.push_remote(base, remote).await?;
    let settings = DeliverySettings {
        draft: assembly.settings.work.draft.value,
        base_remote: remote.to_owned(),
        ..DeliverySettings::new(&onto, base, assembly.guard.clone())
    };
    Ok(Deliverer::new(git, settings))
}

/// The plan of a repository, from its top, where git tracks it.
async fn tracked_plan(git: &Git) -> Result<Option<String>, PoolError> {
    let files = ControlFiles::find(git.top());
    let Some(path) = files.plan() else {
        return Ok(None);
    };
    let is_tracked = git.is_tracked(Path::new(path)).await?;
    Ok(is_tracked.then(|| path.to_owned()))
}

/// The checks of a repository, as they are configured.
#[must_use]
pub fn gates_of(top: &Path, settings: &Settings, guard: GuardProgram) -> Gates {
    let gates = settings.work.gate_settings(settings.agent.grace.value);
    let baseline = top.join(FOLDER).join(STATE).join("baseline");
    Gates::new(gates, guard, baseline)
}

fn label(git: &Git) -> String {
    let name = git.top().file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn budget(assembly: &Assembly<'_>, state: &Path) -> Result<Budget, PoolError> {
    if let Some(shared) = &assembly.shared_budget {
        return Ok(Budget::open_as(shared, &loop_name(assembly.root))?);
    }
    let terms = Terms {
        workers: assembly.settings.pool.workers.value,
        attempts: assembly.settings.pool.attempts.value,
    };
    Ok(Budget::create(&state.join("budget"), &terms)?)
}

fn pool_settings(assembly: &Assembly<'_>, budget: &Budget) -> PoolSettings {
    let settings = assembly.settings;
    let agent = &settings.agent;
    let terms = budget.terms();
    PoolSettings {
        run: assembly.env.ids.op(assembly.env.now()).to_string(),
        workers: match assembly.task {
            // One task is one worker's.
            Some(_) => 1,
            None => settings.pool.workers.value.min(terms.workers),
        },
        attempts: terms.attempts,
        task_attempts: settings.pool.task_attempts.value,
        respawn_delay: settings.pool.respawn_delay.value,
        is_budget_shared: assembly.shared_budget.is_some(),
        task: assembly.task.clone(),
        repositories: assembly.repositories.clone(),
        limits: Limits {
            wall: Some(agent.wall.value),
            silence: agent.silence.value,
            after_result: agent.after_result.value,
            grace: agent.grace.value,
        },
        prompt: assembly.prompt.clone(),
        calls_per_hour: settings.limits.calls_per_hour.value,
        workspace_root: assembly
            .repositories
            .as_ref()
            .map(|_| assembly.root.to_owned()),
        delivery_retries: DELIVERY_RETRIES.to_vec(),
    }
}
