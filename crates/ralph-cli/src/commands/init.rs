//! `ralph init`: makes a workspace here. Never overwrites a file that exists.

mod claude;
mod files;

use std::path::PathBuf;

use ralph_core::error::Code;
use ralph_core::settings::ClusterKind;
use ralph_core::store::{atomic, layout};

use crate::args::{Cluster, Global, Init};
use crate::env_vars;
use crate::render::SCHEMA_VERSION;
use crate::render::answers::{InitDone, InitFile, InitReport};
use crate::render::table::{beginnings, cell};
use crate::render::{DIM, GREEN, YELLOW};
use crate::workspace::Workspace;
use files::Files;
use ralph_front::failure::{Failure, Outcome};
use ralph_front::output::Output;

const CONFIG: &str = include_str!("../templates/config.json");
const CLUSTER_EXAMPLE: &str = include_str!("../templates/cluster.example.json");
const PROJECTS: &str = include_str!("../templates/PROJECTS.md");
const IGNORED: &str = include_str!("../templates/gitignore");

/// Makes the workspace and says what was made, what was there, and what to do next.
pub(crate) fn run(global: &Global, arguments: &Init, output: &Output) -> Outcome {
    let root = folder(global)?;
    let wanted = match arguments.cluster {
        Some(Cluster::Slurm) => "slurm",
        Some(Cluster::Local) => "local",
        None if root.join(layout::CLUSTER_CONFIG).exists() => "slurm",
        None => "local",
    };
    let mut files = Files::new(&root);
    files.make(layout::CONFIG, &CONFIG.replace("KIND", wanted))?;
    files.make(layout::PROJECTS_LIST, PROJECTS)?;
    if wanted == "slurm" {
        files.make(".claude/cluster.example.json", CLUSTER_EXAMPLE)?;
    }
    files.add_lines(".gitignore", IGNORED)?;
    if arguments.claude {
        claude::install(&mut files)?;
    }
    let files = files.done();
    // A configuration that was there has the last word.
    let cluster = Workspace::read(root.clone())?
        .cluster_kind()
        .map(|kind| match kind {
            ClusterKind::Local => "local",
            ClusterKind::Slurm => "slurm",
        });
    let words = words(&files, wanted, cluster);
    let report = InitReport {
        schema_version: SCHEMA_VERSION,
        root: root.display().to_string(),
        cluster: cluster.map(str::to_owned),
        files,
    };
    output.answer(&report, &words)?;
    Ok(None)
}

fn folder(global: &Global) -> Result<PathBuf, Failure> {
    let current = env_vars::current_dir().map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("the current folder cannot be read: {error}"),
        )
    })?;
    let root = global
        .root
        .as_ref()
        .map_or_else(|| current.clone(), |root| current.join(root));
    atomic::create_dir(&root)?;
    Ok(root)
}

fn words(files: &[InitFile], wanted: &str, cluster: Option<&str>) -> String {
    let rows = files.iter().map(|file| {
        let (style, symbol, word) = match file.done {
            InitDone::Made => (GREEN, "+", "made"),
            InitDone::Extended => (YELLOW, "~", "extended"),
            InitDone::Kept => (DIM, "=", "kept"),
        };
        vec![cell(style, symbol), cell(style, word)]
    });
    let (lines, _) = beginnings(&rows.collect::<Vec<_>>());
    let mut text: String = lines
        .iter()
        .zip(files)
        .map(|(line, file)| [line, &file.path, "\n"].concat())
        .collect();
    text.push('\n');
    let next = match cluster {
        Some(kind) if kind != wanted => {
            format!("{} was there and says that the cluster is `{kind}`; it was kept.\n", layout::CONFIG)
        }
        None => format!("{} was there and names no cluster; add {{\"cluster\": {{\"kind\": \"{wanted}\"}}}}.\n", layout::CONFIG),
        Some("slurm") => "Next: copy .claude/cluster.example.json to .claude/cluster.local.json, fill it in, then `ralph doctor`.\n".to_owned(),
        Some(_) => "Jobs run on this machine. Next: `ralph new my-project`.\n".to_owned(),
    };
    text + &next
}
