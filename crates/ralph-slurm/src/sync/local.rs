//! What a project's folder holds for the cluster, and what of it cannot be sent. Reads, and changes nothing.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::pattern::Excludes;
use super::{FOLDERS, Stamp};

/// A file to be there.
#[derive(Debug)]
pub(super) struct LocalFile {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    pub(super) mode: u32,
}

/// A project's files.
#[derive(Debug, Default)]
pub(super) struct LocalFiles {
    /// By their path relative to the project's folder.
    pub(super) files: BTreeMap<String, LocalFile>,
    /// What nobody excluded and is not sent all the same: its path in the workspace, and why.
    pub(super) left_out: Vec<String>,
}

impl LocalFiles {
    /// Walks the folders that are sent.
    ///
    /// # Errors
    /// A folder that cannot be listed, and why.
    pub(super) fn of(folder: &Path, excludes: &Excludes) -> Result<Self, (PathBuf, io::Error)> {
        let mut found = Self::default();
        let mut open: Vec<String> = FOLDERS.iter().map(|&name| name.to_owned()).collect();
        while let Some(relative) = open.pop() {
            let path = folder.join(&relative);
            let fail = |error| (path.clone(), error);
            let entries = match std::fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(fail(error)),
            };
            for entry in entries {
                let entry = entry.map_err(fail)?;
                let name = entry.file_name();
                let shown = format!("{relative}/{}", name.to_string_lossy());
                let is_folder = entry.file_type().map_err(fail)?.is_dir();
                if excludes.leaves_out(&shown, is_folder) {
                    continue;
                }
                // Such a name cannot be told from another in the listing.
                if name.to_str().is_none_or(|name| name.contains('\n')) {
                    found.leave_out(
                        &entry.path(),
                        "its name is not UTF-8, or holds a line break",
                    );
                } else if is_folder {
                    open.push(shown);
                } else {
                    match regular(&entry.path()) {
                        Ok(file) => drop(found.files.insert(shown, file)),
                        Err(why) => found.leave_out(&entry.path(), &why),
                    }
                }
            }
        }
        found.left_out.sort();
        Ok(found)
    }

    fn leave_out(&mut self, path: &Path, why: &str) {
        self.left_out.push(format!("{path:?}: {why}"));
    }
}

/// A regular file, also behind a link; or why it is none.
fn regular(path: &Path) -> Result<LocalFile, String> {
    let metadata = std::fs::metadata(path).map_err(|error| match path.is_symlink() {
        true => format!("a link that leads nowhere: {error}"),
        false => error.to_string(),
    })?;
    if !metadata.is_file() {
        return Err(kind(&metadata).to_owned());
    }
    Ok(LocalFile {
        path: path.to_owned(),
        stamp: Stamp {
            size: metadata.len(),
            seconds: metadata.mtime(),
        },
        mode: metadata.mode() & 0o777,
    })
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        "a link to a folder"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_fifo() {
        "a named pipe"
    } else {
        "a device"
    }
}
