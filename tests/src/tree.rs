//! What stands in a workspace, in a form in which two runs of the same story are equal: without the times, ids and
//! tokens that differ from run to run, and without the machine's own memory.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Folders and files that no person reads: locks, the journal, the embedded cluster, the last report.
const OWN: [&str; 9] = [
    // What a crash left of a file that nobody ever saw; the next writer of the folder removes it or git ignores it.
    ".claude/ralph/.ralph-",
    "projects/.ralph-",
    "/.state/lock",
    "/.state/ops",
    "/.state/sightings.json",
    ".claude/ralph/cluster",
    ".claude/ralph/dispatch.guard",
    ".claude/ralph/hook-index",
    ".claude/ralph/last-dispatch.json",
];

/// The text of every file below a folder, by its path, both redacted.
///
/// # Panics
/// The folder cannot be read.
#[must_use]
pub fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be listed") {
            let path = entry.expect("an entry").path();
            let name = path
                .strip_prefix(root)
                .expect("below the root")
                .to_string_lossy()
                .into_owned();
            if OWN.iter().any(|own| name.contains(own)) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                files.insert(
                    redact(&name, root),
                    redact(&String::from_utf8_lossy(&bytes), root),
                );
            }
        }
    }
    files
}

/// The bytes of every file below a folder, by its path.
///
/// # Panics
/// The folder cannot be read.
#[must_use]
pub fn bytes(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path
                .strip_prefix(root)
                .expect("below the root")
                .to_string_lossy()
                .into_owned();
            files.insert(name, fs::read(&path).unwrap_or_default());
        }
    }
    files
}

/// Without the folder's path, and with a word in the place of every time, number and token that another run has
/// differently.
#[must_use]
pub fn redact(text: &str, root: &Path) -> String {
    let text = text.replace(&*root.to_string_lossy(), "ROOT");
    let mut redacted = String::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        if is_shaped(rest, "0000-00-00T00:00:00") {
            redacted.push_str("TIME");
            rest = rest[19..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
            rest = rest.strip_prefix('Z').unwrap_or(rest);
            continue;
        }
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end.max(first.len_utf8()));
        redacted.push_str(shown(word));
        rest = tail;
    }
    redacted
}

/// How long the random part of a token is. One of two thousand has no letter in it, and is a token all the same.
const TOKEN: usize = 16;

/// What is shown for a word.
fn shown(word: &str) -> &str {
    let is_number = word.len() >= 6 && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_token = word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    match (is_number, is_token) {
        (true, _) if word.len() != TOKEN => "#",
        (_, true) => "TOKEN",
        _ => word,
    }
}

fn is_shaped(text: &str, shape: &str) -> bool {
    text.len() >= shape.len()
        && text
            .bytes()
            .zip(shape.bytes())
            .all(|(found, expected)| match expected {
                b'0' => found.is_ascii_digit(),
                _ => found == expected,
            })
}

/// Copies a folder with everything in it.
///
/// # Panics
/// Something cannot be copied.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder can be listed") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            let link = fs::read_link(entry.path()).expect("a link");
            std::os::unix::fs::symlink(link, &target).expect("a link");
        } else {
            fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}
