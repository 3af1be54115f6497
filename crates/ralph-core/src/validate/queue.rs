//! What the items of `documentation/queue.md` point at. Which script an item means is decided here once, for the
//! check and for the submission alike. Nothing here moves or reads a file.

use std::collections::BTreeSet;

use ralph_docs::queue::{self, QueueItem, QueueSection, is_same_id};

use super::layout::exists;
use super::{Findings, ProjectFiles};
use crate::store::layout::SLURM_JOBS;

/// The script that an item names; `None` where it names none.
#[must_use]
pub fn named_script(item: &QueueItem) -> Option<String> {
    item.script.clone().filter(|path| !path.is_empty())
}

/// The configuration that an item names; `None` where it names none.
#[must_use]
pub fn named_config(item: &QueueItem) -> Option<String> {
    item.config.clone().filter(|path| !path.is_empty())
}

/// The items of a queue, as [`below_project`] names what is in them.
#[must_use]
pub fn items_of(text: &str, slug: &str) -> Vec<QueueItem> {
    below_project(queue::items(text), slug)
}

/// Items with what they name below the workspace (`projects/demo/slurm/a.sbatch`) as a path below the
/// project, which all of them are relative to.
#[must_use]
pub fn below_project(mut items: Vec<QueueItem>, slug: &str) -> Vec<QueueItem> {
    for item in &mut items {
        let named = [&mut item.script, &mut item.config].into_iter().flatten();
        for path in named.chain(&mut item.artifacts) {
            *path = within_project(path, slug).to_owned();
        }
    }
    items
}

fn within_project<'p>(path: &'p str, slug: &str) -> &'p str {
    let below = path.trim_start_matches("./").strip_prefix("projects/");
    below
        .and_then(|rest| rest.strip_prefix(slug)?.strip_prefix('/'))
        .unwrap_or(path)
}

/// The script of a queue item: the one it names; else `slurm/jobs/<id>[suffix].sbatch` with the id in lower case
/// and without what joins its letters and its number; else the only script there. `queue` are the items of the project,
/// `names` the paths that exist in it. A script that only a title or a block of code names is not taken from another
/// item, nor in the place of the item's own.
///
/// # Errors
/// Why there is none, as a fragment for a message.
pub fn script_of(
    item: &QueueItem,
    queue: &[QueueItem],
    names: &BTreeSet<String>,
) -> Result<String, String> {
    if let Some(named) = named_script(item) {
        if let Some(more) = &item.script_more {
            return Err(format!(
                "names `{more}` beside its script `{named}`, which would not be run or passed on"
            ));
        }
        if !item.has_script_field() {
            told_aside(item, queue, names, &named)?;
        }
        // A bare name is a script in the folder of scripts.
        let in_jobs = format!("{SLURM_JOBS}/{named}");
        return if !named.contains('/') && names.contains(&in_jobs) {
            Ok(in_jobs)
        } else if names.contains(&named) {
            Ok(named)
        } else {
            Err(format!("names the script `{named}`, which does not exist"))
        };
    }
    let script = by_id(item, queue, names)?;
    let is_meant = |more: &str| script == more || script.ends_with(&format!("/{more}"));
    match item.script_more.as_deref().filter(|more| !is_meant(more)) {
        Some(more) => Err(format!(
            "names no script in a field of its own, so `{script}` would be run, and its text mentions `{more}`"
        )),
        None => Ok(script),
    }
}

/// Whether a script that only the title or a block of code names may be meant at all.
fn told_aside(
    item: &QueueItem,
    queue: &[QueueItem],
    names: &BTreeSet<String>,
    named: &str,
) -> Result<(), String> {
    let file = file_name(named);
    if let Some(other) = owner(file, item, queue) {
        return Err(format!(
            "names the script `{named}` of {other} in its title or in a block of code, and none in a field of its own"
        ));
    }
    let mut own = scripts(names).filter(|name| is_called_after(name, &item.id));
    match own.next() {
        Some(own) if !is_called_after(file, &item.id) => Err(format!(
            "names `{named}` in its title or in a block of code, and there is `{SLURM_JOBS}/{own}.sbatch` of its own name"
        )),
        _ => Ok(()),
    }
}

/// The names of the scripts in the folder of scripts, without their ending.
fn scripts(names: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    names
        .iter()
        .filter_map(|name| name.strip_prefix(SLURM_JOBS)?.strip_prefix('/'))
        .filter_map(|name| name.strip_suffix(".sbatch"))
        .filter(|name| !name.contains('/'))
}

/// The script of an item that names none.
fn by_id(
    item: &QueueItem,
    queue: &[QueueItem],
    names: &BTreeSet<String>,
) -> Result<String, String> {
    let scripts: Vec<&str> = scripts(names).collect();
    let is_own =
        |name: &&str| is_called_after(name, &item.id) && owner(name, item, queue).is_none();
    let exact = scripts.iter().find(|name| is_exactly(name, &item.id));
    let own: Vec<&str> = scripts.iter().copied().filter(is_own).collect();
    let stem = bare_stem(&item.id);
    match (exact, own.as_slice(), scripts.as_slice()) {
        (Some(name), ..) | (None, [name], _) => Ok(format!("{SLURM_JOBS}/{name}.sbatch")),
        (None, [], [name]) => match owner(name, item, queue) {
            Some(other) => Err(format!(
                "names no script, and the only one in `{SLURM_JOBS}/` is `{name}.sbatch` of {other}"
            )),
            None => Ok(format!("{SLURM_JOBS}/{name}.sbatch")),
        },
        (None, [], _) => Err(format!(
            "names no script, and there is no `{SLURM_JOBS}/{stem}.sbatch`"
        )),
        (None, several, _) => Err(format!(
            "names no script, and {} scripts in `{SLURM_JOBS}/` start with `{stem}`",
            several.len()
        )),
    }
}

/// Whose script this is by its name, where it is not the item's: that of an item of the queue, or of one that is not
/// there any more but has the item's word and another number.
fn owner(file: &str, item: &QueueItem, queue: &[QueueItem]) -> Option<String> {
    if is_exactly(file, &item.id) {
        return None;
    }
    let others = || {
        queue
            .iter()
            .filter(|other| !is_same_id(&other.id, &item.id))
    };
    if let Some(other) = others().find(|other| is_exactly(file, &other.id)) {
        return Some(other.id.clone());
    }
    if is_called_after(file, &item.id) {
        return None;
    }
    if let Some(other) = others().find(|other| is_called_after(file, &other.id)) {
        return Some(other.id.clone());
    }
    let (own, other) = (word_and_number(&item.id)?, word_and_number(file)?);
    (own.0 == other.0 && own.1 != other.1).then(|| "another item".to_owned())
}

/// `("q", "1")` of `Q-001` and of `q001_pilot`.
fn word_and_number(name: &str) -> Option<(String, String)> {
    let name = name.to_ascii_lowercase();
    let at = name.find(|c: char| c.is_ascii_digit())?;
    let (word, rest) = name.split_at_checked(at)?;
    let word = word.replace(JOINERS, "");
    let number = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    (!word.is_empty()).then(|| (word, number.trim_start_matches('0').to_owned()))
}

/// What joins the letters and the number of an id.
const JOINERS: [char; 3] = ['-', '_', '.'];

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `Q-001`, `q_001` and `q001` are one; a dash or underscore behind the first digit stays.
fn stem_of(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let number = name.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
    let (word, number) = name.split_at_checked(number).unwrap_or(("", &name));
    format!("{}{number}", word.replace(JOINERS, ""))
}

/// The stem of an id as it is usual in a file's name: `q001b` of `Q-001-b`. Between digits a dash tells numbers apart.
fn bare_stem(id: &str) -> String {
    let stem = stem_of(id);
    let mut bare = String::new();
    let mut rest = stem.chars().peekable();
    while let Some(c) = rest.next() {
        let is_digit = |c: Option<&char>| c.is_some_and(char::is_ascii_digit);
        let parts = is_digit(bare.chars().last().as_ref()) && is_digit(rest.peek());
        if c != '-' || parts {
            bare.push(c);
        }
    }
    bare
}

/// Whether a script's name is an id and nothing else.
fn is_exactly(name: &str, id: &str) -> bool {
    let name = stem_of(name.strip_suffix(".sbatch").unwrap_or(name));
    name == stem_of(id) || name == bare_stem(id)
}

/// Whether a script's name begins with an id: `q001_pilot.sbatch` and `q001-pilot.sbatch` belong to `Q-001`, `q0012` and
/// `q001b` do not.
pub(crate) fn is_called_after(name: &str, id: &str) -> bool {
    let name = stem_of(name);
    let begins = |stem: &str| {
        name.strip_prefix(stem)
            .is_some_and(|suffix| !suffix.starts_with(|c: char| c.is_ascii_alphanumeric()))
    };
    begins(&stem_of(id)) || begins(&bare_stem(id))
}

/// Follows READY items to their files: the others have been submitted, or are not meant to be.
pub(super) fn check(project: &ProjectFiles, text: &str, findings: &mut Findings<'_>) {
    let strays = queue::strays(text);
    if let Some(first) = strays.first() {
        let message = match strays.len() {
            _ if first.is_outside => format!(
                "`{}` stands under no heading that says READY, so it is never submitted",
                first.text
            ),
            1 => format!("1 thing under READY is no item: `{}`", first.text),
            count => {
                let lines: Vec<String> =
                    strays.iter().map(|stray| stray.line.to_string()).collect();
                let lines = lines.join(", ");
                format!(
                    "{count} things under READY are no items (lines {lines}), first `{}`",
                    first.text
                )
            }
        };
        let fix = match first.is_outside {
            true => {
                "Write `## READY` above what may be submitted, and `## BLOCKED` or `## DONE` above the rest."
            }
            false => {
                "Write each as `### Q-001: title` with its fields below, or move it to another section."
            }
        };
        findings
            .error("not_an_item", message, fix)
            .on_line(first.line);
    }
    let items = items_of(text, project.slug.as_str());
    for item in items
        .iter()
        .filter(|item| item.section == QueueSection::Ready)
    {
        if let Err(why) = script_of(item, &items, &project.names) {
            let message = format!("`{}` is READY and {why}", item.id);
            let fix = "Write the script, or correct the item's `- Script:` line.";
            findings
                .error("missing_script", message, fix)
                .on_line(item.line);
        }
        if let Some(config) = named_config(item).filter(|path| !exists(&project.names, path)) {
            let message = format!(
                "`{}` is READY and its configuration `{config}` does not exist",
                item.id
            );
            let fix = "Write the file and commit it, or correct the item's `- Config:` line.";
            findings
                .error("missing_config", message, fix)
                .on_line(item.line);
        }
    }
}
