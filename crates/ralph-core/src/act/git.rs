//! What a submission has to know from git: that a commit exists, is pushed, and holds the files. Reads only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend::GitCommit;
use crate::process::bounded::{Ended, Program, run};
use crate::process::guard::{Guard, GuardError, GuardProgram};
use crate::settle::words::one_line;

/// A question to git may take so long; a remote that hangs must not hold up a dispatch.
const LIMIT: Duration = Duration::from_secs(60);

/// Where the cluster clones, and the checkout that is submitted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSource {
    /// What the jobs clone; found in `git.url` of the cluster's configuration.
    pub url: String,
    /// The checkout.
    pub checkout: PathBuf,
    /// What git is started through.
    pub guard_program: GuardProgram,
}

impl GitSource {
    /// The commit that is checked out, proved to be pushed and to hold `paths` exactly as they are on disk
    /// (incidents 24 to 29). `paths` are relative to `folder`.
    ///
    /// # Errors
    /// Each problem in one sentence, with what to do.
    pub async fn pushed_commit(
        &self,
        folder: &Path,
        paths: &[&str],
    ) -> Result<GitCommit, Vec<String>> {
        let sha = self.head().await.map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        for path in paths {
            problems.extend(self.differs(&sha, folder, path).await);
        }
        problems.extend(self.not_pushed(&sha).await);
        if problems.is_empty() {
            Ok(GitCommit {
                url: self.url.clone(),
                sha,
            })
        } else {
            Err(problems)
        }
    }

    async fn head(&self) -> Result<String, String> {
        let ended = self
            .git(&["rev-parse", "--verify", "HEAD^{commit}"])
            .await?;
        let sha = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
        if ended.success() && sha.len() >= 40 && sha.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(sha)
        } else {
            Err(format!(
                "{}: there is no commit yet; commit the project first",
                self.checkout.display()
            ))
        }
    }

    async fn differs(&self, sha: &str, folder: &Path, path: &str) -> Option<String> {
        let full = folder.join(path);
        let relative = full.strip_prefix(&self.checkout).unwrap_or(&full);
        let relative = relative.to_string_lossy().into_owned();
        let short = sha.get(..12).unwrap_or(sha);
        // `./`: the workspace may be a folder of the repository, and git would count from its top.
        let blob = format!("{sha}:./{relative}");
        match self.git(&["cat-file", "-t", &blob]).await {
            Err(problem) => return Some(problem),
            Ok(ended) if !ended.success() || ended.stdout.trim_ascii() != b"blob" => {
                return Some(format!(
                    "{relative} is not in commit {short}; commit and push it"
                ));
            }
            Ok(_) => {}
        }
        match self.git(&["diff", "--quiet", sha, "--", &relative]).await {
            Err(problem) => Some(problem),
            Ok(ended) if ended.success() => None,
            Ok(_) => Some(format!(
                "{relative} differs from commit {short}; commit and push the change"
            )),
        }
    }

    /// The remote has this commit if a branch or tag points at it or at a descendant that is known here.
    async fn not_pushed(&self, sha: &str) -> Option<String> {
        let listed = self
            .git(&["ls-remote", "--quiet", "--heads", "--tags", "--", &self.url])
            .await;
        let ended = match listed {
            Ok(ended) => ended,
            Err(problem) => return Some(problem),
        };
        if !ended.success() {
            let error = String::from_utf8_lossy(&ended.stderr);
            return Some(format!(
                "{} cannot be asked for its branches: {}",
                self.url,
                complaint(&error)
            ));
        }
        let listing = String::from_utf8_lossy(&ended.stdout).into_owned();
        let tips: Vec<&str> = listing
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        if tips.contains(&sha) || self.is_reachable(sha, &tips).await {
            return None;
        }
        let short = sha.get(..12).unwrap_or(sha);
        Some(format!(
            "commit {short} is not pushed to {}; run `git push`",
            self.url
        ))
    }

    /// Whether one of these commits, as far as they are known here, contains `sha`. One question for all of them.
    async fn is_reachable(&self, sha: &str, tips: &[&str]) -> bool {
        let mut input = format!("{sha}\n");
        for tip in tips {
            input.push('^');
            input.push_str(tip);
            input.push('\n');
        }
        let arguments = ["rev-list", "--ignore-missing", "--max-count=1", "--stdin"];
        let missing = self.ask(&arguments, input.as_bytes()).await;
        missing.is_ok_and(|ended| ended.success() && ended.stdout.trim_ascii().is_empty())
    }

    async fn git(&self, arguments: &[&str]) -> Result<Ended, String> {
        self.ask(arguments, b"").await
    }

    async fn ask(&self, arguments: &[&str], input: &[u8]) -> Result<Ended, String> {
        let argv: Vec<String> = ["git"]
            .iter()
            .chain(arguments)
            .map(|word| (*word).to_owned())
            .collect();
        let variables = [
            ("GIT_TERMINAL_PROMPT", "0"),
            ("LC_ALL", "C"),
            ("GIT_OPTIONAL_LOCKS", "0"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let program = Program {
            argv: &argv,
            folder: &self.checkout,
            variables: &variables,
            input,
            limit: LIMIT,
        };
        let run = async { run(Guard::start(&self.guard_program)?, &program).await };
        run.await.map_err(|error| match error {
            GuardError::Program { reason, .. } => {
                format!("git cannot be started: {reason}; install git")
            }
            other => other.to_string(),
        })
    }
}

/// What git says went wrong: all of it, without the advice that it ends with whatever the cause is.
fn complaint(error: &str) -> String {
    let lines = error.lines().map(str::trim);
    let own = lines.take_while(|line| {
        !line.starts_with("Please make sure you have the correct access rights")
    });
    let told: Vec<&str> = own.filter(|line| !line.is_empty()).collect();
    one_line(&told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_is_told_without_its_standing_advice() {
        let advice =
            "\n\nPlease make sure you have the correct access rights\nand the repository exists.\n";
        let said = format!(
            "me@host: Permission denied (publickey).\nfatal: Could not read from remote repository.{advice}"
        );
        assert_eq!(
            complaint(&said),
            "me@host: Permission denied (publickey).; fatal: Could not read from remote repository."
        );
    }
}
