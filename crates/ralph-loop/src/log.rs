//! The log of one attempt: what its agent printed, without secrets, harmless on a terminal, and bounded.
//!
//! A long log is three files: its beginning (`<name>.first`), the part before the current one (`<name>.previous`)
//! and the current end (`<name>`), each of limited size; what was between them is gone, and a line says so. Nothing
//! is synced: a log is for people, and no decision is made from it.
//!
//! What must never be here: an unmasked byte of an agent, a judgement of what it says.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use ralph_core::error::{Code, Coded, Hint};
use ralph_core::store::atomic::{self, StoreError};
use ralph_docs::ansi::visible;

use crate::redact::{KeyLines, Redactor};

/// Bytes that are held back before they are written; each agent has such a buffer.
const BUFFER: usize = 4 * 1024;
/// Bytes of one of the three files.
pub const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

/// Why a log cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The folder, or a former log.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: io::Error,
    },
}

impl Coded for LogError {
    fn code(&self) -> Code {
        match self {
            Self::Store(error) => error.code(),
            Self::Write { .. } => Code::Failed,
        }
    }

    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Write { .. } => Some(Hint::new("Check the permissions and the free space.")),
        }
    }
}

/// Where a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The agent's standard output.
    Stdout,
    /// Its standard error; shown with a mark.
    Stderr,
    /// The loop itself; shown with another.
    Loop,
}

/// An open log.
#[derive(Debug)]
pub struct AttemptLog {
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
    limit: u64,
    segments: u64,
    stdout: KeyLines,
    stderr: KeyLines,
}

impl AttemptLog {
    /// Begins a log; its folder is made. One that is there already is continued: an attempt has one log.
    ///
    /// # Errors
    /// The folder or the file cannot be made.
    pub fn create(path: &Path, segment_bytes: u64) -> Result<Self, LogError> {
        atomic::create_dir(path.parent().unwrap_or(Path::new(".")))?;
        let file = open(path)?;
        let written = file.metadata().map_or(0, |found| found.len());
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(BUFFER, file),
            written,
            limit: segment_bytes,
            segments: u64::from(beside(path, "first").exists()),
            stdout: KeyLines::default(),
            stderr: KeyLines::default(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one line, without its secrets and without anything that a terminal would obey.
    ///
    /// # Errors
    /// [`LogError::Write`]; whoever runs an agent goes on without a log.
    pub fn line(
        &mut self,
        source: Source,
        line: &str,
        redactor: &Redactor,
    ) -> Result<(), LogError> {
        let (mark, lines) = match source {
            Source::Stdout => ("", &mut self.stdout),
            Source::Stderr => ("stderr: ", &mut self.stderr),
            Source::Loop => ("ralph: ", &mut KeyLines::default()),
        };
        let line = visible(line.trim_end_matches('\r')).replace('\r', "\n");
        let line = redactor.mask_line(&line, lines);
        self.write(mark, &line)
    }

    /// Brings what was written so far where a reader sees it.
    ///
    /// # Errors
    /// [`LogError::Write`].
    pub fn flush(&mut self) -> Result<(), LogError> {
        self.file.flush().map_err(|source| self.failed(source))
    }

    fn write(&mut self, mark: &str, line: &str) -> Result<(), LogError> {
        let length = (mark.len() + line.len() + 1) as u64;
        if self.written > 0 && self.written + length > self.limit {
            self.turn()?;
        }
        for part in [mark, line, "\n"] {
            self.file
                .write_all(part.as_bytes())
                .map_err(|source| self.failed(source))?;
        }
        self.written += length;
        Ok(())
    }

    /// Begins the next part. The first is kept for good, of the others only the last.
    fn turn(&mut self) -> Result<(), LogError> {
        self.flush()?;
        let name = if self.segments == 0 {
            "first"
        } else {
            "previous"
        };
        let target = beside(&self.path, name);
        atomic::move_entry(&self.path, &target).map_err(|source| self.failed(source))?;
        self.file = BufWriter::with_capacity(BUFFER, open(&self.path)?);
        self.segments += 1;
        self.written = 0;
        let note = match self.segments {
            1 => "the beginning of this log is in the file `.first` beside it".to_owned(),
            2 => "what came before is in the files `.previous` and `.first` beside it".to_owned(),
            parts => format!(
                "{} parts between `.first` and `.previous` were not kept",
                parts - 2
            ),
        };
        self.write("ralph: ", &note)
    }

    fn failed(&self, source: io::Error) -> LogError {
        LogError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

fn open(path: &Path) -> Result<File, LogError> {
    File::options()
        .append(true)
        .create(true)
        .open(path)
        .map_err(|source| LogError::Write {
            path: path.to_owned(),
            source,
        })
}

fn beside(path: &Path, part: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(part);
    PathBuf::from(name)
}

/// How much of the logs of former attempts is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Files at most.
    pub files: usize,
    /// Bytes at most, all files together.
    pub bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            files: 400,
            bytes: 256 * 1024 * 1024,
        }
    }
}

/// Removes the oldest logs of a folder until the rest is within bounds. Names begin with the attempt's id and so
/// sort by time. Files for which `in_use` is true stay; how many were removed.
///
/// # Errors
/// The folder cannot be read, or a file cannot be removed.
pub fn prune(
    folder: &Path,
    retention: Retention,
    in_use: &dyn Fn(&str) -> bool,
) -> Result<usize, LogError> {
    let failed = |source| LogError::Write {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other.map_err(failed)?,
    };
    let mut files: Vec<(String, u64)> = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let found = entry.metadata().map_err(failed)?;
        if found.is_file() && name.contains(".log") {
            files.push((name, found.len()));
        }
    }
    let excess = excess(files, retention, in_use);
    for name in &excess {
        atomic::remove_unsynced(&folder.join(name))?;
    }
    Ok(excess.len())
}

/// The oldest files that are over the bounds.
fn excess(
    mut files: Vec<(String, u64)>,
    retention: Retention,
    in_use: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    files.sort();
    let mut count = files.len();
    let mut bytes: u64 = files.iter().map(|(_, length)| length).sum();
    let mut excess = Vec::new();
    for (name, length) in files {
        if count <= retention.files && bytes <= retention.bytes {
            break;
        }
        if !in_use(&name) {
            count -= 1;
            bytes -= length;
            excess.push(name);
        }
    }
    excess
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).expect("a log")
    }

    #[test]
    fn lines_are_masked_harmless_and_marked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("logs/a.log");
        let mut log = AttemptLog::create(&path, SEGMENT_BYTES).expect("a log");
        let token = format!("ghp_{}", "a1".repeat(20));
        let redactor = Redactor::default();
        for (source, line) in [
            (Source::Stdout, format!("\u{1b}[31mred\u{1b}[0m {token}\r")),
            (Source::Stderr, "\u{1b}]0;title\u{7}10%\r20%".to_owned()),
            (Source::Loop, "ended".to_owned()),
        ] {
            log.line(source, &line, &redactor).expect("written");
        }
        log.flush().expect("flushed");
        assert_eq!(
            read(&path),
            "red ghp_[masked]\nstderr: 10%\n20%\nralph: ended\n"
        );
    }

    #[test]
    fn a_token_that_is_cut_by_an_escape_sequence_is_masked_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        let mut log = AttemptLog::create(&path, SEGMENT_BYTES).expect("a log");
        let line = format!("ghp_{}\u{1b}[1m{}", "a1".repeat(8), "b2".repeat(12));
        log.line(Source::Stdout, &line, &Redactor::default())
            .expect("written");
        log.flush().expect("flushed");
        assert_eq!(read(&path), "ghp_[masked]\n");
    }

    #[test]
    fn a_long_log_keeps_its_beginning_and_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.log");
        let redactor = Redactor::default();
        for round in 0..2 {
            // A log that is opened again goes on where it was.
            let mut log = AttemptLog::create(&path, 1000).expect("a log");
            for number in 0..1000 {
                let line = format!("line {}", round * 1000 + number);
                log.line(Source::Stdout, &line, &redactor).expect("written");
            }
            log.flush().expect("flushed");
        }
        let [first, previous, last] =
            ["a.log.first", "a.log.previous", "a.log"].map(|name| read(&folder.path().join(name)));
        assert!(first.starts_with("line 0\nline 1\n"));
        assert!(last.ends_with("line 1999\n") && last.starts_with("ralph: "));
        assert!(
            [&first, &previous, &last]
                .iter()
                .all(|text| text.len() <= 1000)
        );
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 3);
    }

    #[test]
    fn the_oldest_logs_go_first_and_those_in_use_stay() {
        let file = |name: &str, length| (name.to_owned(), length);
        let files = vec![
            file("3.log", 5),
            file("1.log", 5),
            file("2.log", 5),
            file("2.log.first", 5),
        ];
        let keep = |files, bytes| Retention { files, bytes };
        let decide = |retention| excess(files.clone(), retention, &|name| name.starts_with('1'));
        assert_eq!(decide(keep(4, 20)), Vec::<String>::new());
        assert_eq!(decide(keep(3, 20)), ["2.log"]);
        assert_eq!(decide(keep(9, 10)), ["2.log", "2.log.first"]);
        assert_eq!(decide(keep(0, 0)), ["2.log", "2.log.first", "3.log"]);
    }

    #[test]
    fn pruning_twice_removes_nothing_more() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..5 {
            AttemptLog::create(&folder.path().join(format!("{number}.log")), 10).expect("a log");
        }
        let retention = Retention {
            files: 2,
            bytes: 100,
        };
        let prune = || prune(folder.path(), retention, &|_| false).expect("pruned");
        assert_eq!((prune(), prune()), (3, 0));
        let absent = super::prune(&folder.path().join("none"), retention, &|_| false);
        assert_eq!(absent.expect("none"), 0);
    }
}
