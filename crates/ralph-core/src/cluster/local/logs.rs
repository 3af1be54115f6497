//! Pieces of logs, by offset and bounded, and which artifacts exist.
//!
//! A log that is not there is an empty answer: it may be written any moment.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::backend::{FetchReport, FetchRequest, Stream};
use crate::id::Slug;
use crate::job::JobReport;
use crate::project;

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
        offset: 0,
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
    report.offset = request.part.begins(size, request.limit);
    file.seek(SeekFrom::Start(report.offset))?;
    file.take(request.limit).read_to_end(&mut report.bytes)?;
    Ok(report)
}

/// Whether a file is there, relative to the project's folder, or to the workspace when its path says so.
pub(super) fn exists(workspace: &Path, slug: &Slug, path: &str) -> bool {
    let folder = project::folder(workspace, slug);
    let below = format!("projects/{slug}/");
    let plain = path.trim_start_matches("./");
    folder.join(path).exists() || (plain.starts_with(&below) && workspace.join(plain).exists())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::backend::LogPart;

    fn piece(part: LogPart, limit: u64) -> (String, u64, Option<u64>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"0123456789").unwrap();
        let request = FetchRequest {
            project: "p".parse().unwrap(),
            job: "1001".parse().unwrap(),
            token: None,
            stream: Stream::Out,
            part,
            limit,
        };
        let report = fetch(Some(file.path()), &request).unwrap();
        let text = String::from_utf8(report.bytes).unwrap();
        (text, report.offset, report.size)
    }

    #[test]
    fn pieces_are_bounded_and_say_where_they_begin() {
        let from = |offset| piece(LogPart::From(offset), 4);
        assert_eq!(from(0), ("0123".into(), 0, Some(10)));
        assert_eq!(from(8), ("89".into(), 8, Some(10)));
        assert_eq!(from(10), (String::new(), 10, Some(10)));
        // It was begun anew.
        assert_eq!(from(20), ("0123".into(), 0, Some(10)));
        assert_eq!(piece(LogPart::End, 4), ("6789".into(), 6, Some(10)));
        let whole = piece(LogPart::End, 20);
        assert_eq!(whole, ("0123456789".into(), 0, Some(10)));
    }
}
