//! The settings that all worktrees of a repository share, which an agent changes for the user too: compared before and after.
//!
//! What must never be here: a setting that is set back although it may be the user's. Who wrote it cannot be known, but what
//! nobody can want is: that git does not work at all or does not find the work tree, or a path into a worktree that goes with
//! its attempt.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use ralph_core::store::atomic;

use super::{WorktreeError, Worktrees};
use crate::delivery::without_passwords;
use crate::git::{Git, GitError};

/// The settings without which no git finds the work tree, or finds another one (git-config(1)).
const HIDING: [&str; 2] = ["core.bare", "core.worktree"];

/// What git exits with where it cannot work at all.
const FATAL: i32 = 128;
/// Where the settings are kept with which it cannot, beside those that are used.
const UNUSABLE: &str = "config.unusable";

/// Each key with its values, in their order.
type Entries = BTreeMap<String, Vec<String>>;

/// A key with what it was and what it is.
type Change<'a> = (&'a str, &'a [String], &'a [String]);

pub(super) fn file_of(git: &Git) -> PathBuf {
    git.common_dir().join("config")
}

/// The file as it is; empty where there is none.
pub(super) fn read(git: &Git) -> Vec<u8> {
    fs::read(file_of(git)).unwrap_or_default()
}

impl Worktrees {
    /// Sets back what nobody can want, tells the rest. Nothing is asked as long as the file is the one that it was.
    ///
    /// # Errors
    /// Git gives no answer; the file cannot be written.
    pub(crate) async fn mend_settings(&self) -> Result<(), WorktreeError> {
        // Held until the file is as it should be: another look meanwhile would take that for a change.
        let mut seen = self.watch.settings.lock().await;
        let now = read(&self.git);
        if *seen == now || seen.is_empty() {
            return Ok(());
        }
        let (Some(had), Some(has)) = (self.entries(&seen).await?, self.entries(&now).await?) else {
            return self.set_back_if_unusable(&seen, &now).await.map(drop);
        };
        let (unwanted, others): (Vec<_>, Vec<_>) = changes(&had, &has)
            .into_iter()
            .filter(|(key, ..)| !self.is_of_our_branches(key))
            .partition(|change| self.is_unwanted(change));
        for change in &unwanted {
            self.restore_setting(change).await?;
        }
        // Some values end every git, and are seen by asking it only.
        if !others.is_empty() && self.set_back_if_unusable(&seen, &now).await? {
            return Ok(());
        }
        *seen = if unwanted.is_empty() {
            now
        } else {
            read(&self.git)
        };
        if !others.is_empty() {
            self.watch.note(told(&file_of(&self.git), &others));
        }
        Ok(())
    }

    /// Sets all of it back where git cannot work with what is there, which is kept beside. Whether that was so.
    async fn set_back_if_unusable(&self, had: &[u8], has: &[u8]) -> Result<bool, WorktreeError> {
        let call = self.git.call(&["rev-parse", "--git-dir"]);
        let answer = call.accepting(&[0, FATAL]).await?;
        if answer.code == 0 {
            return Ok(false);
        }
        let file = file_of(&self.git);
        let kept = file.with_file_name(UNUSABLE);
        atomic::replace(&kept, has)?;
        atomic::replace(&file, had)?;
        self.watch.note(format!(
            "git could not work any more with the settings in {}, as an agent or you have changed them ({}); they are as they \
             were again, and what they had become is in {}",
            file.display(),
            answer.words(),
            kept.display()
        ));
        Ok(true)
    }

    /// `None` where git cannot work, be it for these settings or for those that are in force.
    async fn entries(&self, file: &[u8]) -> Result<Option<Entries>, GitError> {
        let call = self
            .git
            .call(&["config", "--no-includes", "--file", "-", "--list", "-z"]);
        let answer = call.input(file.to_vec()).accepting(&[0, FATAL]).await?;
        if answer.code != 0 {
            return Ok(None);
        }
        let listed = String::from_utf8_lossy(&answer.stdout).into_owned();
        let mut entries = Entries::new();
        for entry in listed.split_terminator('\0') {
            let (key, value) = entry.split_once('\n').unwrap_or((entry, ""));
            entries
                .entry(key.to_owned())
                .or_default()
                .push(value.to_owned());
        }
        Ok(Some(entries))
    }

    /// What a push with `--set-upstream` says of a branch of ours is nobody's concern.
    fn is_of_our_branches(&self, key: &str) -> bool {
        key.starts_with(&format!("branch.{}/", self.prefix))
    }

    fn is_unwanted(&self, (key, _, has): &Change<'_>) -> bool {
        let folder = format!("{}/", self.folder.display());
        HIDING.contains(key) || has.iter().any(|value| value.contains(&folder))
    }

    async fn restore_setting(&self, (key, had, has): &Change<'_>) -> Result<(), GitError> {
        let file = file_of(&self.git);
        let call = |option: &str| {
            let call = self.git.call(&["config", "--file"]).arg(&file);
            call.arg(option).arg(key)
        };
        // Where there is none any more, that is the answer (git-config(1)).
        call("--unset-all").accepting(&[0, 5]).await?;
        for value in *had {
            call("--add").arg(value).run().await?;
        }
        let why = if HIDING.contains(key) {
            "with which git does not find your files"
        } else {
            "which goes with its worktree"
        };
        self.watch.note(format!(
            "an agent has set {key} to {} in {}, {why}; it is {} again",
            words(has),
            file.display(),
            words(had)
        ));
        Ok(())
    }
}

fn changes<'a>(had: &'a Entries, has: &'a Entries) -> Vec<Change<'a>> {
    let keys = had
        .keys()
        .chain(has.keys().filter(|key| !had.contains_key(*key)));
    let both = keys.map(|key| {
        let of = |entries: &'a Entries| entries.get(key).map_or(&[][..], Vec::as_slice);
        (key.as_str(), of(had), of(has))
    });
    both.filter(|(_, had, has)| had != has).collect()
}

fn told(file: &std::path::Path, changes: &[Change<'_>]) -> String {
    let each = changes.iter().map(|(key, had, has)| {
        // An address with a password stands in a key as well (`url.<address>.insteadOf`).
        let shown = without_passwords(key);
        if is_secret(key) {
            return format!("{shown} (its value is not shown)");
        }
        format!("{shown} is {} (was {})", words(has), words(had))
    });
    let each: Vec<_> = each.collect();
    format!(
        "settings in {} were changed while an agent worked, by it or by you, and stay so: {}",
        file.display(),
        each.join(", ")
    )
}

/// Whether its value lets somebody in: `http.extraHeader` carries an `Authorization`.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let name = key.rsplit('.').next().unwrap_or(&key);
    ["extraheader", "token", "password", "secret"]
        .iter()
        .any(|word| name.contains(word))
}

fn words(values: &[String]) -> String {
    if values.is_empty() {
        return "unset".to_owned();
    }
    without_passwords(&values.join(" and "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_lets_somebody_in_is_not_told() {
        let set = |value: &str| vec![value.to_owned()];
        let header = set("Authorization: basic QWxhZGRpbg");
        let address = set("git@example.org:");
        let plain = set("hooks");
        let changes: [Change<'_>; 3] = [
            ("http.https://example.org/.extraheader", &[], &header),
            (
                "url.https://ada:letmein@example.org/.insteadof",
                &[],
                &address,
            ),
            ("core.hookspath", &[], &plain),
        ];
        assert_eq!(
            told(Path::new("config"), &changes),
            "settings in config were changed while an agent worked, by it or by you, and stay so: \
             http.https://example.org/.extraheader (its value is not shown), \
             url.https://example.org/.insteadof is git@example.org: (was unset), core.hookspath is hooks (was unset)"
        );
    }
}
