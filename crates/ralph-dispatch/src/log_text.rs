//! Logs of loops: their end, and the pull requests that they name. Reads only; a log that is gone is empty.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use ralph_docs::ansi::visible;

/// As much of a log's end as is looked at, in bytes.
const TAIL: u64 = 64 * 1024;

/// As much as is looked at for one line; a status shows hundreds of them.
const TELLING: u64 = 16 * 1024;

/// The longest line that is searched for links, in bytes.
const LONGEST_LINE: u64 = 64 * 1024;

/// The longest line that a job's script says to the launcher, in bytes.
const LONGEST_MARKED: u64 = 1024 * 1024;

/// The last lines from an offset on, oldest first; blank ones at the end are left out. Control characters are gone.
pub(crate) fn last_lines(path: &Path, from: u64, count: usize) -> Vec<String> {
    let text = end_of(path, from, TAIL).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<String> = text.trim_end().lines().map(harmless).collect();
    lines[lines.len().saturating_sub(count)..].to_vec()
}

/// What a job's script says to the launcher, and to nobody else.
const FOR_THE_LAUNCHER: &str = "ralph: ";

/// The line that tells most of what the end of a log says: the last one that is neither the launcher's own nor a detail
/// of one above it.
pub(crate) fn telling_line(path: &Path, from: u64) -> String {
    let text = end_of(path, from, TELLING).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let is_ours = |line: &str| {
        let header = line
            .strip_prefix("=== ")
            .is_some_and(|rest| rest.contains(" launch "));
        let marked = line.strip_prefix(FOR_THE_LAUNCHER);
        header
            || marked
                .is_some_and(|rest| rest.starts_with("status: ") || rest.starts_with("delivered: "))
    };
    let is_detail = |line: &str| {
        line.starts_with([' ', '\t']) || line.starts_with("caused by:") || line.starts_with("hint:")
    };
    let lines = text.lines().rev().map(harmless);
    let mut telling = lines.filter(|line| !line.trim().is_empty() && !is_ours(line));
    let Some(last) = telling.next() else {
        return String::new();
    };
    let head = if is_detail(&last) {
        telling.find(|line| !is_detail(line))
    } else {
        None
    };
    head.unwrap_or(last).trim().to_owned()
}

/// What is behind a mark at the beginning of lines, in their order.
pub(crate) fn marked(path: &Path, from: u64, mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    // As with links: a log that cannot be read to its end says what it says until there.
    let _ = each_line(path, from, LONGEST_MARKED, |line| {
        if let Some(rest) = line.strip_prefix(mark) {
            found.push(rest.trim_end().to_owned());
        }
    });
    found
}

/// The size of a log in bytes; 0 where there is none.
pub(crate) fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |found| found.len())
}

fn end_of(path: &Path, from: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Vec::new());
    }
    let start = start_in(metadata.len(), from).max(metadata.len().saturating_sub(most));
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where a loop's part begins; a log that was deleted or cut since is the loop's as a whole.
fn start_in(size: u64, from: u64) -> u64 {
    if from > size { 0 } else { from }
}

/// A line as a terminal would leave it: what a carriage return wrote over is gone, and nothing colours it.
fn harmless(line: &str) -> String {
    let text = visible(line).replace('\t', " ");
    let mut written = text.rsplit('\r');
    let last = written.find(|part| !part.trim().is_empty());
    last.unwrap_or_default().to_owned()
}

/// The pull requests that a loop's part of a log names, each once, in their order.
pub(crate) fn pull_requests(path: &Path, from: u64) -> Vec<String> {
    let mut found = Vec::new();
    // A log that cannot be read to its end names what it names until there.
    let _ = each_line(path, from, LONGEST_LINE, |line| {
        for url in links(line) {
            if !found.contains(&url) {
                found.push(url);
            }
        }
    });
    found
}

/// Hands over each line of a loop's part of a log; one that is longer comes in pieces of that many bytes.
fn each_line(path: &Path, from: u64, longest: u64, mut hear: impl FnMut(&str)) -> io::Result<()> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(());
    }
    file.seek(SeekFrom::Start(start_in(metadata.len(), from)))?;
    let mut reader = BufReader::new(file.take(metadata.len()));
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.by_ref().take(longest).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        hear(&String::from_utf8_lossy(&line));
    }
}

/// Links to pull requests (`…/pull/12`) and merge requests (`…/merge_requests/12`), cut behind the number.
fn links(line: &str) -> Vec<String> {
    let starts = line
        .match_indices("https://")
        .chain(line.match_indices("http://"));
    let mut starts: Vec<usize> = starts.map(|(at, _)| at).collect();
    starts.sort_unstable();
    starts
        .into_iter()
        .filter_map(|at| {
            let text = line.get(at..)?;
            let end = text
                .find(|c: char| c.is_whitespace() || c.is_control() || "\"'<>`|".contains(c))
                .unwrap_or(text.len());
            let url = text.get(..end)?;
            ["/pull/", "/merge_requests/"].into_iter().find_map(|part| {
                let number = url.find(part)? + part.len();
                let digits = url.get(number..)?;
                let count = digits.bytes().take_while(u8::is_ascii_digit).count();
                (count > 0).then(|| url.get(..number + count).map(str::to_owned))?
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ralph_core::store::append;

    use super::*;

    #[test]
    fn links_are_cut_behind_their_number() {
        let line = "PR created: https://github.com/o/r/pull/12. see https://x.y/o/r/-/merge_requests/3#note and https://github.com/o/r/issues/1 (https://github.com/o/r/pull/new)";
        assert_eq!(
            links(line),
            [
                "https://github.com/o/r/pull/12",
                "https://x.y/o/r/-/merge_requests/3"
            ]
        );
        assert_eq!(
            links("Warning: 3 uncommitted\u{1b}[0mhttps://h/o/r/pull/7\u{1b}[0m"),
            ["https://h/o/r/pull/7"]
        );
    }

    #[test]
    fn the_telling_line_is_no_detail_and_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let told = |text: &str| {
            ralph_core::store::atomic::replace(&path, text.as_bytes()).unwrap();
            telling_line(&path, 0)
        };
        let header =
            "=== 2026-11-27T20:22:54Z launch 20261127_202254-05871481: ralph --parallel 3\n";
        assert_eq!(told(header), "");
        assert_eq!(
            told(&format!(
                "{header}error: no branch\ncaused by: x\nhint: Check out.\n"
            )),
            "error: no branch"
        );
        assert_eq!(
            told("target reached (1): 1 done\n  1 waits\n    here\n\n"),
            "target reached (1): 1 done"
        );
        assert_eq!(told("  only details\n  of nothing\n"), "of nothing");
        assert_eq!(
            told("done\nralph: delivered: 0 {}\nralph: status: {  \"a\": 1}\n"),
            "done"
        );
        assert_eq!(
            told("ralph: status: {}\nralph: result: branch b\n"),
            "ralph: result: branch b"
        );
        assert_eq!(told("10%\r60%\r99%\r\n"), "99%");
        assert_eq!(told("\u{1b}]0;title\u{7}\u{1b}[31mred\u{1b}[0m\n"), "red");
        assert_eq!(
            marked(&path, 0, "\u{1b}"),
            ["]0;title\u{7}\u{1b}[31mred\u{1b}[0m"]
        );
    }

    #[test]
    fn the_end_of_a_log_is_this_loops_and_harmless() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        assert_eq!(telling_line(&path, 0), "");
        let old = "PR created: https://h/o/r/pull/1\n";
        let text = format!(
            "{old}one\n\u{1b}[31mtwo\u{1b}[0m\u{7}\nPR created: https://h/o/r/pull/2\nlast\n\n \n"
        );
        append::append_bytes(&path, text.as_bytes()).unwrap();
        let from = old.len() as u64;
        assert_eq!(telling_line(&path, from), "last");
        assert_eq!(
            last_lines(&path, from, 3),
            ["two", "PR created: https://h/o/r/pull/2", "last"]
        );
        assert_eq!(last_lines(&path, from, 30).len(), 4);
        assert_eq!(pull_requests(&path, from), ["https://h/o/r/pull/2"]);
        // A log that is shorter than what was there at the launch was made anew since.
        assert_eq!(
            pull_requests(&path, 10_000),
            ["https://h/o/r/pull/1", "https://h/o/r/pull/2"]
        );
        fs::remove_file(&path).unwrap();
        assert_eq!(last_lines(&path, from, 3), [""; 0]);
        assert_eq!(pull_requests(Path::new("/dev/full"), 0), [""; 0]);
    }
}
