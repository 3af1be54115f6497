//! Where the loop is: its repository or workspace, its files of settings, its environment.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ralph_core::error::Code;
use ralph_core::store::atomic;
use ralph_front::failure::Failure;
use ralph_front::output::Output;
use ralph_loop::assemble::{FOLDER, PLAN, plan_file};
use ralph_loop::plan::PlanFile;
use ralph_loop::settings::{self, CommandLine, NamedFile, Settings};
use ralph_loop::shell_file::{self, ShellFile};
use ralph_loop::workspace_plan::{self, FilterWords, RepositoryFilter, discover};

use crate::args::{Global, Loop};
use crate::env_vars;
use ralph_docs::fix_plan::Flavour;

const SETTINGS: &str = ".ralphrc";

/// The folder that holds `.ralph`.
#[derive(Debug)]
pub(super) struct Here {
    /// Where the person is: the current folder, or the one of `--root`.
    pub(super) start: PathBuf,
    pub(super) root: PathBuf,
    pub(super) flavour: Flavour,
}

/// The repositories of a workspace that were asked for.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) names: BTreeSet<String>,
    known: BTreeSet<String>,
    filter: RepositoryFilter,
}

/// The settings, and the texts that they come from.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) settings: Settings,
    pub(super) environment: BTreeMap<String, String>,
}

impl Here {
    /// The repository that holds the current folder, or with `--workspace` that folder.
    pub(super) fn find(global: &Global, arguments: &Loop) -> Result<Self, Failure> {
        let start = start(global)?;
        if arguments.workspace {
            return Ok(Self {
                root: start.clone(),
                start,
                flavour: Flavour::Workspace,
            });
        }
        let root = start
            .ancestors()
            .find(|folder| folder.join(".git").exists())
            .map(Path::to_owned);
        let root = root.ok_or_else(|| {
            Failure::new(
                Code::Failed,
                format!("{}: expected a git repository, here or above", start.display()),
            )
            .hint("Run it in a repository, name one with --root, or use --workspace in a folder of repositories.")
        })?;
        Ok(Self {
            root,
            start,
            flavour: Flavour::Repository,
        })
    }

    /// The repository or workspace with a plan that holds the current folder, if any.
    pub(super) fn of_loop(global: &Global) -> Option<Self> {
        Self::above(global, |folder| folder.join(FOLDER).join(PLAN).is_file())
    }

    /// The same, with a plan or without.
    pub(super) fn of_loop_folder(global: &Global) -> Option<Self> {
        Self::above(global, |folder| folder.join(FOLDER).is_dir())
    }

    fn above(global: &Global, is_it: impl Fn(&Path) -> bool) -> Option<Self> {
        let start = start(global).ok()?;
        let root = start.ancestors().find(|folder| is_it(folder))?.to_owned();
        let flavour = if root.join(".git").exists() {
            Flavour::Repository
        } else {
            Flavour::Workspace
        };
        Some(Self {
            root,
            start,
            flavour,
        })
    }

    /// The repository that holds the current folder, else that folder.
    pub(super) fn of_folder(global: &Global) -> Result<Self, Failure> {
        let start = start(global)?;
        let root = start
            .ancestors()
            .find(|folder| folder.join(".git").exists());
        Ok(Self {
            root: root.unwrap_or(&start).to_owned(),
            start,
            flavour: Flavour::Repository,
        })
    }

    /// `.ralph`.
    pub(super) fn folder(&self) -> PathBuf {
        self.root.join(FOLDER)
    }

    /// The plan, in the name of this process.
    pub(super) fn plan(&self) -> Result<PlanFile, Failure> {
        let owner = super::run::identity()?;
        let host = crate::workspace::env().host;
        Ok(plan_file(&self.root, self.flavour, owner, &host))
    }

    /// Every knob. What is wrong is told at once, with its place.
    pub(super) fn resolve(&self, arguments: &Loop) -> Result<Resolved, Failure> {
        self.resolve_typed(&super::typed(arguments))
    }

    /// Every knob, of a command line whose words are settings.
    pub(super) fn resolve_typed(&self, typed: &CommandLine) -> Result<Resolved, Failure> {
        let environment = env_vars::all_text();
        let general = self.settings_file(SETTINGS)?;
        let files: Vec<NamedFile<'_>> = general.iter().map(named).collect();
        let engine = settings::engine(typed, &environment, &files)?;
        let special = self.settings_file(&format!("{SETTINGS}.{}", engine.value))?;
        let files: Vec<NamedFile<'_>> = special.iter().chain(&general).map(named).collect();
        let settings = settings::resolve(typed, &environment, &files)?;
        Ok(Resolved {
            settings,
            environment,
        })
    }

    fn settings_file(&self, name: &str) -> Result<Option<(PathBuf, ShellFile)>, Failure> {
        let path = self.root.join(name);
        let Some(text) = atomic::read_text(&path)? else {
            return Ok(None);
        };
        let name = PathBuf::from(name);
        let file = shell_file::read(&text, &name)?;
        Ok(Some((name, file)))
    }

    /// The repositories of a workspace plan that were asked for; `None` in a single repository.
    pub(super) fn repositories(&self, arguments: &Loop) -> Result<Option<Chosen>, Failure> {
        let repos = env_vars::text(env_vars::RALPH_WORKSPACE_REPOS);
        let exclude = env_vars::text(env_vars::RALPH_WORKSPACE_EXCLUDE);
        let filter = RepositoryFilter::from_words(&FilterWords {
            workspace: self.flavour == Flavour::Workspace,
            repos: arguments.repos.as_deref(),
            exclude: arguments.exclude.as_deref(),
            env_repos: repos.as_deref(),
            env_exclude: exclude.as_deref(),
        })?;
        if self.flavour == Flavour::Repository {
            return Ok(None);
        }
        let known = discover(&self.root)?;
        Ok(Some(Chosen {
            names: filter.apply(&known)?,
            known,
            filter,
        }))
    }

    /// Says which tasks of a workspace plan nobody takes: those of sections that are no repository.
    pub(super) fn sections_left(&self, chosen: &Chosen, output: &Output) -> Result<(), Failure> {
        if !self.folder().join(PLAN).exists() {
            return Ok(());
        }
        let plan = self.plan()?.read()?;
        for problem in workspace_plan::problems(&plan, &chosen.known, &chosen.filter) {
            output.note(&format!(
                "{}: {problem}",
                self.folder().join(PLAN).display()
            ));
        }
        Ok(())
    }
}

fn named((path, content): &(PathBuf, ShellFile)) -> NamedFile<'_> {
    NamedFile { path, content }
}

fn start(global: &Global) -> Result<PathBuf, Failure> {
    let current = env_vars::current_dir().map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("the current folder cannot be read: {error}"),
        )
    })?;
    let folder = match &global.root {
        Some(root) => current.join(root),
        None => current,
    };
    folder.canonicalize().map_err(|error| {
        Failure::new(
            Code::Usage,
            format!("{}: expected a folder: {error}", folder.display()),
        )
        .hint("Check --root.")
    })
}
