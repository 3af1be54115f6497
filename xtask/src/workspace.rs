//! Where the checkout, its target folder and its binaries are. Reads cargo's answers, changes nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

/// The folder of the workspace's `Cargo.toml`: the one above this package's.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// What `cargo metadata` says about the members, without resolving anything.
pub(crate) fn metadata(root: &Path) -> anyhow::Result<Value> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    let text = cmd!(sh, "cargo metadata --format-version 1 --no-deps --offline")
        .quiet()
        .read()
        .with_context(|| format!("asking cargo about {}", root.display()))?;
    serde_json::from_str(&text).context("reading the answer of `cargo metadata`")
}

/// The folder that cargo builds into.
pub(crate) fn target_folder(root: &Path) -> anyhow::Result<PathBuf> {
    match metadata(root)?
        .get("target_directory")
        .and_then(Value::as_str)
    {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => bail!("`cargo metadata` names no target folder"),
    }
}

/// How a build is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// What is measured and shipped.
    Release,
}

/// Builds the two binaries and returns the folder that holds them.
pub(crate) fn build_binaries(
    root: &Path,
    profile: Profile,
    flags: &[String],
) -> anyhow::Result<PathBuf> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    let (release, folder): (&[&str], _) = match profile {
        Profile::Dev => (&[], "debug"),
        Profile::Release => (&["--release"], "release"),
    };
    cmd!(
        sh,
        "cargo build --package ralph-cli --package ralph-dispatch {release...} {flags...}"
    )
    .run()?;
    Ok(target_folder(root)?.join(folder))
}
