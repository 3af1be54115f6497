//! Pieces of logs, by offset and bounded, and which artifacts exist.
//!
//! A log that is not there is an empty answer: it may be written any moment.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::backend::{FetchReport, FetchRequest, Stream};
use crate::id::Slug;
use crate::job::JobReport;

/// The log that a report names. The master of an array has none; ask for a task.
pub(super) fn path_of(report: &JobReport, stream: Stream) -> Option<PathBuf> {
    match stream {
        Stream::Out => report.stdout.as_ref(),
        Stream::Err => report.stderr.as_ref(),
    }
    .map(PathBuf::from)
}

/// Reads at most `request.limit` bytes.
///
/// # Errors
/// The file is there and cannot be read.
pub(super) fn fetch(path: Option<&Path>, request: &FetchRequest) -> io::Result<FetchReport> {
    let mut report = FetchReport {
        path: path.map(|path| path.to_string_lossy().into_owned()),
        bytes: Vec::new(),
        offset: request.offset,
        size: None,
    };
    let Some(path) = path else {
        return Ok(report);
    };
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(report),
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    report.size = Some(size);
    if report.offset > size {
        // It was begun anew.
        report.offset = 0;
    }
    if request.from_end {
        report.offset = report.offset.max(size.saturating_sub(request.limit));
    }
    file.seek(SeekFrom::Start(report.offset))?;
    file.take(request.limit).read_to_end(&mut report.bytes)?;
    Ok(report)
}

/// Whether a file is there, relative to the project's folder, or to the workspace when its path says so.
pub(super) fn exists(workspace: &Path, project: &Slug, path: &str) -> bool {
    let folder = workspace.join("projects").join(project.as_str());
    let below = format!("projects/{project}/");
    let plain = path.trim_start_matches("./");
    folder.join(path).exists() || (plain.starts_with(&below) && workspace.join(plain).exists())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn piece(offset: u64, limit: u64, from_end: bool) -> (String, u64, Option<u64>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"0123456789").unwrap();
        let request = FetchRequest {
            project: "p".parse().unwrap(),
            job: "1001".parse().unwrap(),
            token: None,
            stream: Stream::Out,
            offset,
            limit,
            from_end,
        };
        let report = fetch(Some(file.path()), &request).unwrap();
        let text = String::from_utf8(report.bytes).unwrap();
        (text, report.offset, report.size)
    }

    #[test]
    fn pieces_are_bounded_and_say_where_they_begin() {
        assert_eq!(piece(0, 4, false), ("0123".into(), 0, Some(10)));
        assert_eq!(piece(8, 4, false), ("89".into(), 8, Some(10)));
        assert_eq!(piece(10, 4, false), (String::new(), 10, Some(10)));
        // It was begun anew.
        assert_eq!(piece(20, 4, false), ("0123".into(), 0, Some(10)));
        assert_eq!(piece(20, 4, true), ("6789".into(), 6, Some(10)));
        assert_eq!(piece(0, 4, true), ("6789".into(), 6, Some(10)));
        assert_eq!(piece(8, 4, true), ("89".into(), 8, Some(10)));
    }
}
