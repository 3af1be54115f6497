//! Reading projects from disk: which there are, and what each says. Reads only.
//!
//! One project that cannot be read never hides the others (incident 22).

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ralph_docs::{debugging, projects, queue, todo};

use crate::error::{Code, Coded as _};
use crate::id::Slug;
use crate::ledger::{RESULT, SUBMIT, SubmitLedger, SubmittedRun};
use crate::pipeline::{JobRef, PipelineFile, PipelineView};
use crate::store::{atomic, layout};
use crate::validate;
use crate::world::{
    Facts, Forgotten, INTENT_VERSION, Intent, Project, ProjectState, Sightings, Unreadable, World,
    jobs_of,
};

/// The texts of one project that planning reads, by path relative to its folder.
pub type Texts = BTreeMap<String, String>;

/// The folder of a project.
#[must_use]
pub fn folder(root: &Path, slug: &Slug) -> PathBuf {
    root.join(layout::PROJECTS).join(slug.as_str())
}

/// The documents of which one is enough to know a project by, where its state file is lost.
const DOCUMENTS: [&str; 3] = [layout::QUEUE, layout::TODO, layout::DEBUGGING];

/// The projects under `projects/`, one level deep, in the order of their names: folders with a state file, and those
/// that show that they had one, because its folder or a document is there or PROJECTS.md lists them. A project that has
/// lost its state is reported, never forgotten with its jobs.
///
/// # Errors
/// `projects/` itself cannot be listed. A workspace without it has no projects.
pub fn discover(root: &Path) -> io::Result<Vec<Slug>> {
    let projects = root.join(layout::PROJECTS);
    let entries = match fs::read_dir(&projects) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut slugs = Vec::new();
    let list = OnceCell::new();
    let listed = |slug: &Slug| {
        let read = || fs::read_to_string(root.join(layout::PROJECTS_LIST)).unwrap_or_default();
        projects::lists(list.get_or_init(read), slug.as_str())
    };
    for entry in entries {
        let entry = entry?;
        let slug = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<Slug>().ok());
        if let Some(slug) = slug
            && (has_state(&entry.path())
                || had_state(&entry.path())
                || is_folder(&entry.path()) && listed(&slug))
        {
            slugs.push(slug);
        }
    }
    slugs.sort();
    Ok(slugs)
}

/// A state file that cannot be looked at is one all the same: an unreadable project is reported, never hidden.
fn has_state(folder: &Path) -> bool {
    match fs::symlink_metadata(folder.join(layout::PIPELINE)) {
        Ok(_) => true,
        Err(error) => !matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ),
    }
}

fn is_folder(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_dir())
}

/// Whether a folder is a project's by what else is in it.
fn had_state(folder: &Path) -> bool {
    let mut rest = DOCUMENTS.iter();
    is_folder(&folder.join(layout::STATE_DIR)) || rest.any(|path| folder.join(path).is_file())
}

/// Reads all these projects, on as many threads as there are processors.
#[must_use]
pub fn load_all(root: &Path, slugs: &[Slug]) -> World {
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(slugs.len().div_ceil(16))
        .max(1);
    let share = slugs.len().div_ceil(threads).max(1);
    let mut projects = Vec::with_capacity(slugs.len());
    std::thread::scope(|scope| {
        let readers: Vec<_> = slugs
            .chunks(share)
            .map(|chunk| {
                scope.spawn(move || {
                    chunk
                        .iter()
                        .map(|slug| load(root, slug))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        // A reader cannot panic: each project is caught on its own.
        projects.extend(
            readers
                .into_iter()
                .flat_map(|reader| reader.join().unwrap_or_default()),
        );
    });
    World { projects }
}

/// Reads one project. Whatever goes wrong, even a panic, is this project's outcome.
#[must_use]
pub fn load(root: &Path, slug: &Slug) -> Project {
    let read = || facts(slug, &texts(&folder(root, slug))?);
    let state = match std::panic::catch_unwind(read) {
        Ok(Ok(facts)) => ProjectState::Readable(Box::new(facts)),
        Ok(Err(found)) => ProjectState::Unreadable(Unreadable {
            // Relative to the workspace, as an editor opens it.
            message: format!("{}/{slug}/{}", layout::PROJECTS, found.message),
            ..found
        }),
        Err(_) => ProjectState::Unreadable(panicked()),
    };
    Project {
        slug: slug.clone(),
        state,
    }
}

fn panicked() -> Unreadable {
    Unreadable {
        code: Code::Bug,
        message: "reading the project failed in a way that is a bug of ralph".to_owned(),
        hint: Some("Please report it with the project's files.".to_owned()),
    }
}

/// The texts of a project that planning reads. Absent documents are simply not there.
///
/// # Errors
/// A file that exists cannot be read.
pub fn texts(folder: &Path) -> Result<Texts, Unreadable> {
    let mut texts = Texts::new();
    let fixed = [
        layout::PIPELINE,
        layout::QUEUE,
        layout::TODO,
        layout::DEBUGGING,
        layout::SIGHTINGS,
        layout::ORDER,
    ];
    for path in fixed {
        read_into(&mut texts, folder, path)?;
    }
    for name in intent_names(&folder.join(layout::INTENTS))? {
        read_into(&mut texts, folder, &format!("{}/{name}", layout::INTENTS))?;
    }
    let state = texts.get(layout::PIPELINE).map_or("", String::as_str);
    for name in unnamed_runs(folder, state) {
        read_into(
            &mut texts,
            folder,
            &format!("{}/{name}/{SUBMIT}", layout::RUNS),
        )?;
    }
    Ok(texts)
}

/// The runs that have a folder and no end, and that the state does not name. Which those are is a matter of a glance:
/// there may be a thousand of them that it names.
fn unnamed_runs(folder: &Path, state: &str) -> Vec<String> {
    let runs = folder.join(layout::RUNS);
    let entries = fs::read_dir(&runs).into_iter().flatten();
    let names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    if names.is_empty() {
        return names;
    }
    let named: HashSet<&str> = state.split('"').collect();
    let is_open = |name: &String| {
        !named.contains(name.as_str())
            && runs.join(name).join(SUBMIT).is_file()
            && !runs.join(name).join(RESULT).exists()
    };
    let mut names: Vec<String> = names.into_iter().filter(is_open).collect();
    names.sort();
    names
}

fn intent_names(intents: &Path) -> Result<Vec<String>, Unreadable> {
    let entries = match fs::read_dir(intents) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(layout::INTENTS, &error)),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".json")).collect();
    names.sort();
    Ok(names)
}

fn read_into(texts: &mut Texts, folder: &Path, path: &str) -> Result<(), Unreadable> {
    // A pipe in the place of a file is an error, not something to wait for.
    let bytes = match atomic::read(&folder.join(path)) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(()),
        Err(error) => {
            return Err(Unreadable {
                code: Code::CorruptState,
                message: format!("{path}: {error}"),
                hint: error.hint().map(|hint| hint.0),
            });
        }
    };
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // The state file's own reader says where the bad byte is; a document is read as well as it can be.
        Err(error) if path == layout::PIPELINE => {
            let error = match PipelineFile::parse_bytes(error.into_bytes()) {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            return Err(state_error(path, &error));
        }
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    };
    texts.insert(path.to_owned(), text);
    Ok(())
}

fn unreadable(path: &str, error: &io::Error) -> Unreadable {
    Unreadable {
        code: Code::CorruptState,
        message: format!("{path}: expected a readable file: {error}"),
        hint: Some("Check its type and permissions; nothing was changed.".to_owned()),
    }
}

fn state_error(path: &str, error: &crate::pipeline::PipelineError) -> Unreadable {
    Unreadable {
        code: error.code(),
        message: format!("{path}:{error}"),
        hint: error.hint().map(|hint| hint.0),
    }
}

/// The facts of a project, from its texts.
///
/// # Errors
/// The state file or a file of ours cannot be read as what it is meant to be.
pub fn facts(slug: &Slug, texts: &Texts) -> Result<Facts, Unreadable> {
    let text = |path: &str| texts.get(path).map_or("", String::as_str);
    if text(layout::PIPELINE).trim().is_empty() {
        return Err(lost(slug, texts.contains_key(layout::PIPELINE)));
    }
    let pipeline = PipelineFile::parse(text(layout::PIPELINE).to_owned());
    let pipeline = pipeline.map_err(|error| state_error(layout::PIPELINE, &error))?;
    let intents = texts
        .range(layout::INTENTS.to_owned()..)
        .filter(|(path, _)| path.starts_with(layout::INTENTS));
    let intents = intents
        .map(|(path, text)| intent(path, text))
        .collect::<Result<Vec<_>, _>>()?;
    let view = pipeline.view();
    let forgotten = texts
        .range(format!("{}/", layout::RUNS)..)
        .take_while(|(path, _)| path.starts_with(layout::RUNS))
        .filter_map(|(_, text)| forgotten(slug, text, &view, &intents))
        .collect();
    let (items, strays) = queue::items_and_strays(text(layout::QUEUE));
    let optional = |path: &str| texts.get(path).map(|text| (path.to_owned(), text));
    Ok(Facts {
        slug: slug.clone(),
        view,
        queue: validate::below_project(items, slug.as_str()),
        strays,
        tasks: todo::tasks(text(layout::TODO)),
        task_strays: todo::strays(text(layout::TODO)),
        debugging: debugging::entries(text(layout::DEBUGGING)),
        intents,
        forgotten,
        // A memory that cannot be read is forgotten: it only makes the next passes more careful.
        sightings: optional(layout::SIGHTINGS)
            .and_then(|(_, text)| serde_json::from_str::<Sightings>(text).ok())
            .unwrap_or_default(),
        order: optional(layout::ORDER).and_then(|(_, text)| serde_json::from_str(text).ok()),
    })
}

/// A run by its ledger, where that says that it was submitted and neither the state nor an intent knows it, under its
/// name or by its job. A ledger of another program says nothing reliable about what became of the run.
fn forgotten(
    slug: &Slug,
    text: &str,
    view: &PipelineView,
    intents: &[Intent],
) -> Option<Forgotten> {
    // A folder that was copied from another project has that one's runs.
    let SubmittedRun {
        ledger,
        queue_id,
        job,
    } = SubmitLedger::submitted(text, slug).ok()?;
    let lists = [
        &view.active_runs,
        &view.completed_runs,
        &view.cancelled_runs,
    ];
    let has_job = |jobs: &JobRef| {
        let mut jobs = jobs_of(jobs).into_iter().flatten();
        jobs.any(|known| known.master() == job.master())
    };
    let is_known = lists
        .into_iter()
        .flatten()
        .any(|run| run.key.run_id.as_deref() == Some(ledger.run_id.as_str()) || has_job(&run.jobs));
    let is_under_way = intents
        .iter()
        .any(|intent| intent.request.run.as_str() == ledger.run_id);
    if is_known || is_under_way {
        return None;
    }
    Some(Forgotten {
        queue_id,
        job,
        record: ledger.record(job),
        run: ledger.run_id,
    })
}

/// A state file without a state: nothing is known of the project's jobs, so nothing is done for it.
fn lost(slug: &Slug, is_there: bool) -> Unreadable {
    let found = if is_there { "an empty file" } else { "none" };
    Unreadable {
        code: Code::CorruptState,
        message: format!(
            "{}: expected the project's state, found {found}",
            layout::PIPELINE
        ),
        hint: Some(format!(
            "Put it back with `git checkout`, from a copy, or from the newest operation of `ralph ops list --project \
             {slug}`, which keeps the texts under {}; a project that never had one is finished by `ralph new {slug}`.",
            layout::OPS
        )),
    }
}

/// An intent that cannot be read stops the project: it may stand for a job.
fn intent(path: &str, text: &str) -> Result<Intent, Unreadable> {
    let hint = "Restore it, or look for the job on the cluster and remove the file.";
    let intent: Intent = serde_json::from_str(text).map_err(|error| Unreadable {
        code: Code::CorruptState,
        message: format!(
            "{path}:{}:{}: expected a file written by ralph: {error}",
            error.line(),
            error.column()
        ),
        hint: Some(hint.to_owned()),
    })?;
    if intent.version > INTENT_VERSION {
        return Err(Unreadable {
            code: Code::NewerFormat,
            message: format!(
                "{path}: expected format {INTENT_VERSION} or less, found {}",
                intent.version
            ),
            hint: Some("Use the newer ralph that wrote it.".to_owned()),
        });
    }
    Ok(intent)
}
