//! Files that only grow: event lists, and local copies of logs.
//!
//! A crash or a full disk can cut the last line of a list off in the middle. That costs this one line: the next one
//! starts on its own, and the reader says what was cut off. What must never be here: a rewrite of what stands
//! already, and knowledge of what a line means.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::atomic::{self, StoreError};
use crate::crash_point;

/// Appends one line to a file of lines and brings it to disk. After a torn last line it starts a new one, so a
/// crash costs at most the line that was being written.
///
/// # Errors
/// As [`atomic::replace`]; a part of the line may be there, and [`read_lines`] passes over it.
pub fn append_line(path: &Path, line: &str) -> Result<(), StoreError> {
    let (file, is_new) = append(path, line)?;
    file.sync_all()
        .map_err(|source| StoreError::io("append to", path, source))?;
    if is_new {
        atomic::sync_dir(atomic::folder(path))?;
    }
    Ok(())
}

/// As [`append_line`], without bringing it to disk: it survives the end of this process, not a power cut.
///
/// # Errors
/// As [`append_line`].
pub fn append_line_unsynced(path: &Path, line: &str) -> Result<(), StoreError> {
    append(path, line).map(drop)
}

/// The file with its new last line, and whether it was made for that.
fn append(path: &Path, line: &str) -> Result<(File, bool), StoreError> {
    let fail = |source| StoreError::io("append to", path, source);
    let is_new =
        matches!(fs::metadata(path), Err(failure) if failure.kind() == io::ErrorKind::NotFound);
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(atomic::NEW_FILE_MODE)
        .open(path)
        .map_err(fail)?;
    let found = file.metadata().map_err(fail)?;
    if !found.is_file() {
        return Err(atomic::not_a_file(path, found.file_type()));
    }
    let mut text = String::with_capacity(line.len() + 2);
    if found.len() > 0 && last_byte(&mut file).map_err(fail)? != b'\n' {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
    // One write, so that lines of two processes do not mix.
    file.write_all(text.as_bytes()).map_err(fail)?;
    crash_point!("lines.appended");
    Ok((file, is_new))
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut last = [0_u8];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last[0])
}

/// Appends bytes to a file of ours, such as the local copy of a log. Not synced: what is lost is fetched again.
///
/// # Errors
/// [`StoreError::Io`].
pub fn append_bytes(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    atomic::create_dir(atomic::folder(path))?;
    let opened = File::options().append(true).create(true).open(path);
    let written = opened.and_then(|mut file| file.write_all(bytes));
    written.map_err(|source| StoreError::io("append to", path, source))
}

/// Renames a file of ours out of the way, to the same name with the next free number at its end. A file that is
/// not there is none to keep.
///
/// # Errors
/// [`StoreError::Io`].
pub fn keep_aside(path: &Path) -> Result<(), StoreError> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let mut number = 1;
    while numbered(number).exists() {
        number += 1;
    }
    match atomic::move_entry(path, &numbered(number)) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("rename", path, source))
        }
        _ => Ok(()),
    }
}

/// The complete lines of a file of lines; none where there is no file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    /// Every line that ends with a newline, without it; empty lines are left out. A line in the middle can
    /// still be torn: a crash came before the line that follows it.
    pub complete: Vec<String>,
    /// What stands after the last newline: the line that a crash cut off.
    pub torn: Option<String>,
}

/// Reads a file of lines that may end in the middle of one.
///
/// # Errors
/// As [`atomic::read`]. Bytes that are not UTF-8 are no error here, since a crash can cut a character in two.
pub fn read_lines(path: &Path) -> Result<Lines, StoreError> {
    let bytes = atomic::read(path)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let (whole, tail) = match text.rsplit_once('\n') {
        Some((whole, tail)) => (whole, tail),
        None => ("", text.as_ref()),
    };
    let lines = whole.lines().filter(|line| !line.is_empty());
    Ok(Lines {
        complete: lines.map(str::to_owned).collect(),
        torn: (!tail.is_empty()).then(|| tail.to_owned()),
    })
}
