//! Looks at everything that a launch depends on, all at once. Reads only; what it means is decided in the gate.

mod head;
mod own;
mod running;

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use ralph_core::act::git::GitSource;
use ralph_front::programs;
use ralph_loop::engine::split_command;
use ralph_loop::git::FOREIGN;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::own::{is_dirty_by_claims, told, without_own};
use self::running::unreadable;
pub(crate) use self::running::{by_hand, running};
use crate::env_vars;
use crate::gate::{Head, MissingEngine, PlanProbe, Probes, RepositoryProbe, WorkTree};
use crate::layout::{Layout, PLAN};
use crate::program::{Capabilities, LoopProgram, name_for};
use crate::resolve::{Engine, Knobs, Place};
use crate::standing::{JobStanding, Look};

/// How many programs of a probe run at once.
const AT_ONCE: usize = 16;

/// How long git may take; a work tree on a slow disk takes seconds.
const GIT_LIMIT: Duration = Duration::from_secs(120);

/// How long a program may take to print its help.
const HELP_LIMIT: Duration = Duration::from_secs(20);

/// What is probed from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) knobs: &'a Knobs,
    pub(crate) variables: &'a BTreeMap<String, String>,
    pub(crate) search_path: &'a [PathBuf],
    /// The running program, beside which the loop's may be.
    pub(crate) own: Option<&'a Path>,
    /// This machine's name.
    pub(crate) host: &'a str,
    /// What the cluster says about loops that run there.
    pub(crate) jobs: &'a BTreeMap<String, JobStanding>,
    /// Why the work of a repository's last job is not here, by the repository.
    pub(crate) away: &'a BTreeMap<String, String>,
}

/// What was found, and the loop's program when it can be used.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) probes: Probes,
    pub(crate) program: Option<LoopProgram>,
}

/// Probes everything concurrently.
pub(crate) async fn probe(site: Site<'_>, names: &[String]) -> Found {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let trees = {
        let mut folders = vec![(None, site.layout.root.clone())];
        folders.extend(names.iter().map(|name| {
            let folder = site.layout.repository(name);
            (Some(name.clone()), folder)
        }));
        let trees = folders.into_iter().map(|(name, folder)| {
            let (host, variables) = (site.host.to_owned(), site.variables.clone());
            async move {
                let (tree, head) = work_tree(&folder, name.is_some()).await;
                let is_by_claims =
                    name.is_some() && is_dirty_by_claims(&tree, &folder, &host).await;
                let head = match name {
                    Some(_) => head::as_a_loop_sees_it(head, &folder, &variables).await,
                    None => Head::Usable,
                };
                let tree = if is_by_claims { WorkTree::Clean } else { tree };
                (name, (tree, head))
            }
        });
        at_once(&permits, trees)
    };
    let (mut trees, program, pushed) = tokio::join!(
        trees,
        loop_program(&site),
        not_pushed(&site, names, &permits)
    );
    let at = trees.iter().position(|(name, _)| name.is_none());
    let workbench = at.map_or(WorkTree::Clean, |at| trees.swap_remove(at).1.0);
    let mut trees: BTreeMap<_, _> = trees.into_iter().collect();
    let mut pushed: BTreeMap<_, _> = pushed.into_iter().collect();
    let look = Look::new(site.layout, site.jobs);
    let mut known = BTreeMap::new();
    let repositories = names.iter().map(|name| {
        let folder = site.layout.repository(name);
        let tree = trees.remove(&Some(name.clone()));
        let (work_tree, head) = tree.unwrap_or((WorkTree::Missing, Head::Usable));
        let first = folder.canonicalize().ok().map(|place| {
            let first = known.entry(place).or_insert_with(|| name.clone());
            first.clone()
        });
        RepositoryProbe {
            name: name.clone(),
            folder,
            work_tree,
            // A job clones the branch that is pushed.
            head: match site.knobs.place.value {
                Place::Here => head,
                Place::Cluster => Head::Usable,
            },
            same_as: first.filter(|first| first != name),
            plan: plan(&site.layout.plan(name)),
            running: running(site.layout, &look, name),
            unreadable: unreadable(site.layout, name),
            away: site.away.get(name).cloned(),
            not_pushed: pushed.remove(name).unwrap_or_default(),
        }
    });
    let (program, wrong) = match program {
        Ok(program) => (Some(program), None),
        Err(wrong) => (None, Some(wrong)),
    };
    Found {
        probes: Probes {
            workbench: without_own(workbench, site.layout).await,
            repositories: repositories.collect(),
            program: wrong,
            engine: missing_engine(&site, names),
        },
        program,
    }
}

/// Runs futures, some at a time.
pub(crate) async fn at_once<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    all: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut set = JoinSet::new();
    for one in all {
        let permits = Arc::clone(permits);
        set.spawn(async move {
            let _permit = permits.acquire_owned().await;
            one.await
        });
    }
    set.join_all().await
}

/// A work tree and its HEAD as `git status --porcelain --branch` shows them. A repository has to be one of its own, or git would answer for
/// the workbench around it.
async fn work_tree(folder: &Path, of_its_own: bool) -> (WorkTree, Head) {
    let without = |tree| (tree, Head::Usable);
    if !folder.is_dir() {
        return without(WorkTree::Missing);
    }
    if of_its_own && fs::symlink_metadata(folder.join(".git")).is_err() {
        return without(WorkTree::NoRepository);
    }
    let arguments = ["status", "--porcelain", "--branch", "--no-ahead-behind"];
    let mut command = git_command(folder, &arguments);
    if of_its_own && let Some(around) = folder.canonicalize().ok().as_deref().and_then(Path::parent)
    {
        // Where its `.git` is damaged, git would walk on upward and answer for the workbench, too.
        command.env("GIT_CEILING_DIRECTORIES", around);
    }
    match answer(command, GIT_LIMIT).await {
        Ok(text) => (told(&text), head::told(&text)),
        Err(why) if why.contains("not a git repository") => without(WorkTree::NoRepository),
        Err(why) => without(WorkTree::Unknown(why)),
    }
}

/// What git prints in a folder.
///
/// # Errors
/// Its last words, or why it could not be asked.
pub(crate) async fn git(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    answer(git_command(folder, arguments), GIT_LIMIT).await
}

/// The same, for no longer than that.
///
/// # Errors
/// As [`git`].
pub(crate) async fn git_within(
    folder: &Path,
    arguments: &[&str],
    limit: Duration,
) -> Result<String, String> {
    answer(git_command(folder, arguments), limit).await
}

fn git_command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0");
    for name in FOREIGN {
        command.env_remove(name);
    }
    command
}

async fn answer(command: Command, limit: Duration) -> Result<String, String> {
    let (success, stdout, stderr) = run(command, limit).await?;
    if success {
        Ok(stdout)
    } else {
        let last = stderr
            .trim()
            .lines()
            .next_back()
            .unwrap_or("no reason given");
        Err(last.to_owned())
    }
}

/// Runs a program: whether it ended with 0, and what it printed.
async fn run(mut command: Command, limit: Duration) -> Result<(bool, String, String), String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(limit, command.output()).await;
    let output = ended
        .map_err(|_| format!("no answer within {} s", limit.as_secs()))?
        .map_err(|error| format!("cannot be started: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    ))
}

/// A plan as a launch asks for it: there, and not empty. To a loop, one of blank lines is empty.
pub(crate) fn plan(path: &Path) -> PlanProbe {
    let is_blank = || fs::read(path).is_ok_and(|text| text.trim_ascii().is_empty());
    match path.metadata() {
        Ok(found) if found.is_file() && is_blank() => PlanProbe::Empty,
        Ok(found) if found.is_file() => PlanProbe::Present,
        _ => PlanProbe::Missing,
    }
}

/// Why repositories cannot go to a cluster: what it would clone is not there yet.
async fn not_pushed(
    site: &Site<'_>,
    names: &[String],
    permits: &Arc<Semaphore>,
) -> Vec<(String, Vec<String>)> {
    if site.knobs.place.value == Place::Here {
        return Vec::new();
    }
    let all = names.iter().map(|name| {
        let (name, folder) = (name.clone(), site.layout.repository(name));
        async move {
            let problems = match source(&folder).await {
                Ok(source) => source.pushed_commit(&folder, &[PLAN]).await,
                Err(problem) => Err(vec![problem]),
            };
            (name, problems.err().unwrap_or_default())
        }
    });
    at_once(permits, all).await
}

/// Where a cluster clones a repository from: its remote `origin`.
///
/// # Errors
/// It has none.
pub(crate) async fn source(folder: &Path) -> Result<GitSource, String> {
    let url = git(folder, &["remote", "get-url", "origin"]).await?;
    Ok(GitSource {
        url: url.trim().to_owned(),
        checkout: folder.to_owned(),
        guard_program: env_vars::guard_program().map_err(|error| error.to_string())?,
    })
}

/// The loop's program and what it can do: the one that was named, else `ralph` on the PATH, else the one beside this
/// program; and of a family of programs that know one engine each, the engine's.
///
/// # Errors
/// What is wrong, and what to do.
async fn loop_program(site: &Site<'_>) -> Result<LoopProgram, (String, String)> {
    if site.knobs.place.value == Place::Cluster {
        // It runs where only the job can see it; the job's log says when it is not there.
        let help = "--parallel N M --max-task-attempts --respawn-delay --no-tabs --engine";
        return Ok(LoopProgram {
            path: PathBuf::from(&site.knobs.job_program.value),
            capabilities: Capabilities::read(help),
        });
    }
    let missing = |name: &str| {
        (
            format!("there is no loop program `{name}` on the PATH"),
            "Install this project's ralph, or name a program with --ralph.".to_owned(),
        )
    };
    if let Some(named) = &site.knobs.program {
        let path = find(&named.value, site).ok_or_else(|| missing(&named.value))?;
        return probed(path).await;
    }
    let beside =
        || Some(site.own?.with_file_name("ralph")).filter(|path| programs::is_program(path));
    let general = match find("ralph", site).or_else(beside) {
        Some(path) => Some(probed(path).await?),
        None => None,
    };
    let name = name_for(site.knobs.engine.value);
    match general {
        Some(program) if name == "ralph" || program.capabilities.engine => Ok(program),
        _ => probed(find(name, site).ok_or_else(|| missing(name))?).await,
    }
}

async fn probed(path: PathBuf) -> Result<LoopProgram, (String, String)> {
    let mut command = Command::new(&path);
    command.arg("--help");
    let (_, stdout, stderr) = run(command, HELP_LIMIT).await.map_err(|why| {
        (
            format!("{} --help: {why}", path.display()),
            "Mend the program, or name another with --ralph.".to_owned(),
        )
    })?;
    let capabilities = Capabilities::read(&(stdout + &stderr));
    Ok(LoopProgram { path, capabilities })
}

/// The engines' programs that a loop would look for and not find.
fn missing_engine(site: &Site<'_>, names: &[String]) -> Option<MissingEngine> {
    if site.knobs.place.value == Place::Cluster {
        return None;
    }
    let engine = site.knobs.engine.value;
    let configured = |name: &String, key: &str| {
        let path = site.layout.repository(name).join(".ralphrc");
        let text = fs::read_to_string(&path).ok()?;
        let file = ralph_loop::shell_file::read(&text, &path).ok()?;
        Some(file.scalar(key)?.value.clone())
    };
    let stated = |variable: &str| site.variables.get(variable).cloned();
    let command = site.knobs.agent_command.as_ref();
    let command = command.map(|found| found.value.clone());
    // Only these two names can be configured; the others are what their vendors call them.
    let program_of = |name: &String| {
        let line = match engine {
            Engine::Claude => {
                stated("CLAUDE_CODE_CMD").or_else(|| configured(name, "CLAUDE_CODE_CMD"))
            }
            Engine::Command => command
                .clone()
                .or_else(|| configured(name, "AGENT_COMMAND")),
            Engine::Codex | Engine::Devin => None,
        };
        let line = line.unwrap_or_else(|| match engine {
            Engine::Command => String::new(),
            engine => engine.name().to_owned(),
        });
        // As the loop will read it; one that it cannot read is no program's name either.
        let words = split_command(&line).ok();
        let first = words.and_then(|words| words.into_iter().next());
        first.unwrap_or(line)
    };
    let missing = names
        .iter()
        .map(program_of)
        .find(|program| find(program, site).is_none())?;
    Some(MissingEngine {
        engine: engine.name(),
        program: if missing.is_empty() {
            "--agent-command, WB_RALPH_AGENT_COMMAND or AGENT_COMMAND".to_owned()
        } else {
            missing
        },
    })
}

/// A program by its name or path. A path is taken from the workbench.
fn find(program: &str, site: &Site<'_>) -> Option<PathBuf> {
    programs::find(program, &site.layout.root, site.search_path)
}
