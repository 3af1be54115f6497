//! Making files that are not there, and adding to those that are; nothing is ever overwritten.

use std::path::Path;

use ralph_core::error::Code;
use ralph_core::store::atomic;

use crate::render::answers::{InitDone, InitFile};
use ralph_front::failure::Failure;

/// A workspace that is being made, and what was done so far.
pub(super) struct Files<'a> {
    root: &'a Path,
    done: Vec<InitFile>,
}

impl<'a> Files<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self {
            root,
            done: Vec::new(),
        }
    }

    /// What was done with each file, in the order in which it was.
    pub(super) fn done(self) -> Vec<InitFile> {
        self.done
    }

    pub(super) fn note(&mut self, path: &str, done: InitDone) {
        self.done.push(InitFile {
            path: path.to_owned(),
            done,
        });
    }

    /// The text of a file; `None` where there is none.
    pub(super) fn text(&self, path: &str) -> Result<Option<String>, Failure> {
        Ok(atomic::read_text(&self.root.join(path))?)
    }

    /// Writes a file that is not there yet, and says whether it did.
    pub(super) fn make(&mut self, path: &str, text: &str) -> Result<bool, Failure> {
        let full = self.root.join(path);
        if full.exists() {
            self.note(path, InitDone::Kept);
            return Ok(false);
        }
        if let Some(folder) = full.parent() {
            atomic::create_dir(folder)?;
        }
        atomic::create_new(&full, text.as_bytes())?;
        self.note(path, InitDone::Made);
        Ok(true)
    }

    /// The same, for a file that can be run.
    pub(super) fn make_script(&mut self, path: &str, text: &str) -> Result<(), Failure> {
        use std::os::unix::fs::PermissionsExt as _;
        if self.make(path, text)? {
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(self.root.join(path), executable).map_err(|error| {
                Failure::new(
                    Code::Failed,
                    format!("{path}: cannot be made executable: {error}"),
                )
            })?;
        }
        Ok(())
    }

    /// Puts a text in the place of one that was read before.
    pub(super) fn replace(
        &mut self,
        path: &str,
        before: Option<&str>,
        text: &str,
    ) -> Result<(), Failure> {
        if let Some(folder) = self.root.join(path).parent() {
            atomic::create_dir(folder)?;
        }
        atomic::replace(&self.root.join(path), text.as_bytes())?;
        self.note(
            path,
            if before.is_some() {
                InitDone::Extended
            } else {
                InitDone::Made
            },
        );
        Ok(())
    }

    /// Adds the lines that a file does not have yet, at its end.
    pub(super) fn add_lines(&mut self, path: &str, lines: &str) -> Result<(), Failure> {
        let before = self.text(path)?;
        let have = before.clone().unwrap_or_default();
        let is_missing = |line: &&str| !have.lines().any(|found| found.trim() == *line);
        let missing: Vec<&str> = lines.lines().filter(is_missing).collect();
        if missing.is_empty() {
            self.note(path, InitDone::Kept);
            return Ok(());
        }
        let end = if have.is_empty() || have.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let text = [&have, end, &missing.join("\n"), "\n"].concat();
        self.replace(path, before.as_deref(), &text)
    }
}
