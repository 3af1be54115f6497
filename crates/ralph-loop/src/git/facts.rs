//! Questions to a repository. Reads only, but for the list of files that git is told to ignore here.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ralph_core::store::atomic;

use super::{Git, GitError, Signature};

/// The line above what [`Git::exclude`] has written, for whoever opens the file.
const EXCLUDE_TITLE: &str = "# State of ralph's loop:";

/// Why a repository is refused whose paths no answer of git can be read with, and no order to an agent be written with.
pub(super) const ODD_PATH: &str = "its path has a line break, or is not UTF-8";

/// The top of the work tree, its git folder, the folder that all work trees share.
pub(super) async fn locate(
    git: &Git,
    folder: &Path,
) -> Result<(PathBuf, PathBuf, PathBuf), GitError> {
    let question = [
        "rev-parse",
        "--path-format=absolute",
        "--show-toplevel",
        "--git-dir",
        "--git-common-dir",
    ];
    let call = git.call(&question).at(folder);
    let output = call.accepting(&[0, 128]).await?;
    if output.code != 0 {
        return Err(GitError::NotARepository {
            folder: folder.to_owned(),
            reason: output.words(),
        });
    }
    let text = String::from_utf8(output.stdout).unwrap_or_default();
    let lines: Vec<PathBuf> = text.lines().map(PathBuf::from).collect();
    let [top, git_dir, common_dir] = &lines[..] else {
        return Err(GitError::NotARepository {
            folder: folder.to_owned(),
            reason: ODD_PATH.to_owned(),
        });
    };
    match passed_over(folder, top) {
        None => Ok((top.clone(), git_dir.clone(), common_dir.clone())),
        Some(damaged) => Err(GitError::NotARepository {
            reason: format!(
                "git cannot use {} and answers for {}",
                damaged.join(".git").display(),
                top.display()
            ),
            folder: damaged,
        }),
    }
}

/// The folder between these two whose `.git` git has passed over: where that is damaged, git walks on upward and answers
/// for whatever repository is around it. Work must not get in there.
fn passed_over(folder: &Path, top: &Path) -> Option<PathBuf> {
    let (folder, top) = (folder.canonicalize().ok()?, top.canonicalize().ok()?);
    let below = folder.ancestors().take_while(|at| **at != top);
    folder.starts_with(&top).then_some(())?;
    let mut below = below.filter(|at| at.join(".git").symlink_metadata().is_ok());
    below.next().map(Path::to_owned)
}

/// Who the user is to git. A user whom git does not know is no error: work is not lost for the want of a name.
pub(super) async fn signature(git: &Git, top: &Path) -> Result<Signature, GitError> {
    let call = git.call(&["var", "GIT_COMMITTER_IDENT"]).at(top);
    let output = call.accepting(&[0, 1, 128]).await?;
    Ok(Signature::parse(&output.text()).unwrap_or_else(Signature::ours))
}

impl Git {
    /// The branch that is checked out; `None` where HEAD is detached.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn current_branch(&self) -> Result<Option<String>, GitError> {
        // Not `--short`, which says `heads/main` where there is a tag of that name, too.
        let call = self.call(&["symbolic-ref", "--quiet", "HEAD"]);
        let output = call.accepting(&[0, 1]).await?.text();
        let branch = output.strip_prefix("refs/heads/");
        Ok(branch
            .filter(|branch| !branch.is_empty())
            .map(str::to_owned))
    }

    /// Tracked files of a work tree that differ from its HEAD, staged or not; empty means clean. Files that git
    /// does not track do not count.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn changed_files(&self, work_tree: &Path) -> Result<Vec<String>, GitError> {
        let output = self.status_call(work_tree).run().await?;
        Ok(changed_paths(&output.stdout))
    }

    pub(crate) fn changed_files_blocking(&self, work_tree: &Path) -> Result<Vec<String>, GitError> {
        let output = self.status_call(work_tree).blocking(&[0])?;
        Ok(changed_paths(&output.stdout))
    }

    fn status_call(&self, work_tree: &Path) -> super::Call<'_> {
        let question = [
            "status",
            "--porcelain=v2",
            "-z",
            "--untracked-files=no",
            "--no-renames",
            "--ignore-submodules=dirty",
        ];
        self.call(&question).at(work_tree)
    }

    /// Whether git tracks a file of the user's work tree; the path is relative to its top.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn is_tracked(&self, path: &Path) -> Result<bool, GitError> {
        let call = self.call(&["ls-files", "-z", "--"]).arg(path);
        Ok(!call
            .setting("core.quotePath=false")
            .run()
            .await?
            .stdout
            .is_empty())
    }

    /// The remote to deliver to: the one that `branch` follows, else `origin`, else the only one.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn remote(&self, branch: Option<&str>) -> Result<Option<String>, GitError> {
        let listed = self.call(&["remote"]).run().await?.text();
        let remotes: Vec<&str> = listed.lines().collect();
        if remotes.is_empty() {
            return Ok(None);
        }
        if let Some(branch) = branch {
            let key = format!("branch.{branch}.remote");
            let call = self.call(&["config", "--get", &key]);
            let followed = call.accepting(&[0, 1]).await?.text();
            if remotes.contains(&followed.as_str()) {
                return Ok(Some(followed));
            }
        }
        let chosen = remotes.iter().find(|name| **name == "origin");
        let only = || remotes.first().filter(|_| remotes.len() == 1);
        Ok(chosen.or_else(only).map(|name| (*name).to_owned()))
    }

    /// The remote that work for `branch` is pushed to, which git takes from `followed`: `branch.<name>.pushRemote`, else
    /// `remote.pushDefault`, as where a fork is pushed to (git-config(1)), else `followed`. Either may be an address.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn push_remote(&self, branch: &str, followed: &str) -> Result<String, GitError> {
        let listed = self.call(&["remote"]).run().await?.text();
        let own = format!("branch.{branch}.pushRemote");
        for key in [own.as_str(), "remote.pushDefault"] {
            let call = self.call(&["config", "--get", key]);
            let named = call.accepting(&[0, 1]).await?.text();
            if listed.lines().any(|remote| remote == named) || is_address(&named) {
                return Ok(named);
            }
        }
        Ok(followed.to_owned())
    }

    /// The address of a remote, as git would fetch from it.
    ///
    /// # Errors
    /// There is no such remote.
    pub async fn fetch_url(&self, remote: &str) -> Result<String, GitError> {
        let call = self.call(&["remote", "get-url", "--", remote]);
        Ok(call.run().await?.text())
    }

    /// The address of a remote, as git would push to it.
    ///
    /// # Errors
    /// There is no such remote.
    pub async fn push_url(&self, remote: &str) -> Result<String, GitError> {
        if is_address(remote) {
            return Ok(remote.to_owned());
        }
        let call = self.call(&["remote", "get-url", "--push", "--", remote]);
        Ok(call.run().await?.text())
    }

    /// The branch that a remote calls its own, as far as it was ever fetched.
    ///
    /// # Errors
    /// Git gives no answer.
    pub async fn default_branch(&self, remote: &str) -> Result<Option<String>, GitError> {
        let name = format!("refs/remotes/{remote}/HEAD");
        let call = self.call(&["symbolic-ref", "--quiet", &name]);
        let output = call.accepting(&[0, 1]).await?.text();
        let prefix = format!("refs/remotes/{remote}/");
        Ok(output.strip_prefix(&prefix).map(str::to_owned))
    }

    /// Tells git to ignore these paths of the work tree, in this clone only (gitignore(5): `info/exclude`). What
    /// the repository ignores already is left out, so that nothing is written where nothing is needed. Paths are
    /// relative to the top, with a `/` at the end of a folder. Git does not look behind links: what is below one is
    /// ignored where it leads to, or not at all where that is outside.
    ///
    /// # Errors
    /// Git gives no answer; the file cannot be written.
    pub async fn exclude(&self, paths: &[&str]) -> Result<(), GitError> {
        let file = self.common_dir().join("info/exclude");
        let text = atomic::read_text(&file)?.unwrap_or_default();
        let missing: Vec<Cow<'_, str>> = {
            let mut missing = Vec::new();
            for path in paths.iter().filter_map(|path| real(self.top(), path)) {
                let line = format!("/{path}");
                if text.lines().any(|known| known == line) || self.is_ignored(&path).await? {
                    continue;
                }
                missing.push(path);
            }
            missing
        };
        if missing.is_empty() {
            return Ok(());
        }
        let mut text = text;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if !text.lines().any(|line| line == EXCLUDE_TITLE) {
            text.push_str(EXCLUDE_TITLE);
            text.push('\n');
        }
        for path in missing {
            text.push('/');
            text.push_str(&path);
            text.push('\n');
        }
        atomic::create_dir(&self.common_dir().join("info"))?;
        Ok(atomic::replace(&file, text.as_bytes())?)
    }

    async fn is_ignored(&self, path: &str) -> Result<bool, GitError> {
        // A pattern that ends with `/` matches folders only, and the folder may not be there yet.
        let call = self.call(&["check-ignore", "--quiet", "--no-index", "--", path]);
        Ok(call.accepting(&[0, 1]).await?.code == 0)
    }
}

/// Whether this is no name that a remote can have, but where one is (git-push(1), "GIT URLS").
fn is_address(remote: &str) -> bool {
    remote.contains(':')
        || ["/", "./", "../"]
            .iter()
            .any(|start| remote.starts_with(start))
}

/// A path as git has it, whose last part need not be there; `None` where a link in it leads out of the work tree.
fn real<'a>(top: &Path, path: &'a str) -> Option<Cow<'a, str>> {
    let Some((folder, name)) = path.trim_end_matches('/').rsplit_once('/') else {
        return Some(Cow::Borrowed(path));
    };
    if !Path::new(folder)
        .ancestors()
        .any(|part| top.join(part).is_symlink())
    {
        return Some(Cow::Borrowed(path));
    }
    let folder = below(top, Path::new(folder))?;
    let end = if path.ends_with('/') { "/" } else { "" };
    Some(Cow::Owned(format!("{}/{name}{end}", folder.to_str()?)))
}

/// The place that a path of a work tree leads to over links, from the top of it; `None` where that is outside, or where
/// nothing is there.
pub(crate) fn below(top: &Path, path: &Path) -> Option<PathBuf> {
    let (real, top) = (
        top.join(path).canonicalize().ok()?,
        top.canonicalize().ok()?,
    );
    let below = real.strip_prefix(top).ok()?;
    (!below.as_os_str().is_empty()).then(|| below.to_owned())
}

/// The paths in the answer of `git status --porcelain=v2 -z` (git-status(1)).
fn changed_paths(answer: &[u8]) -> Vec<String> {
    let mut paths = Vec::new();
    let mut entries = answer.split(|byte| *byte == 0);
    while let Some(entry) = entries.next() {
        let entry = String::from_utf8_lossy(entry);
        let fields = match entry.bytes().next() {
            Some(b'1') => 9,
            Some(b'2') => 10,
            Some(b'u') => 11,
            _ => continue,
        };
        paths.extend(entry.splitn(fields, ' ').nth(fields - 1).map(str::to_owned));
        if fields == 10 {
            // The old name of a renamed file.
            entries.next();
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::super::sandbox::Sandbox;
    use super::*;

    #[test]
    fn the_paths_of_a_status_are_read() {
        let answer = b"# branch.oid x\x001 .M N... 100644 100644 100644 a b with space.md\x002 R. N... 100644 100644 100644 a b R100 new\x00old\x00u UU N... 1 2 3 4 a b c both\x00";
        assert_eq!(changed_paths(answer), ["with space.md", "new", "both"]);
    }

    #[tokio::test]
    async fn a_repository_is_found_from_a_folder_inside_and_a_plain_folder_is_none() {
        let sandbox = Sandbox::new();
        sandbox.write("deep/er/file", "x");
        let git = sandbox
            .open_at(&sandbox.top().join("deep/er"))
            .await
            .unwrap();
        assert_eq!(git.top(), sandbox.top());
        assert_eq!(git.common_dir(), sandbox.top().join(".git"));
        assert_eq!(git.signature().email, "test@example.org");
        assert_eq!(git.current_branch().await.unwrap().as_deref(), Some("main"));
        let outside = sandbox.open_at(sandbox.folder()).await;
        assert!(matches!(outside, Err(GitError::NotARepository { .. })));
    }

    #[tokio::test]
    async fn a_path_that_cannot_be_handed_on_is_refused_in_words() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let sandbox = Sandbox::new();
        for name in [&b"a\nb"[..], b"a\xffb"] {
            let odd = sandbox.folder().join(OsStr::from_bytes(name));
            std::fs::create_dir(&odd).unwrap();
            sandbox.git_at(&odd, &["init", "--quiet"]);
            let refused = sandbox.open_at(&odd).await.unwrap_err().to_string();
            assert!(refused.ends_with(ODD_PATH), "{refused}");
        }
    }

    #[tokio::test]
    async fn tracked_changes_make_a_checkout_dirty_and_other_files_do_not() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        sandbox.write("new.txt", "x");
        assert_eq!(git.changed_files(git.top()).await.unwrap(), [""; 0]);
        sandbox.write("README.md", "changed\n");
        assert_eq!(git.changed_files(git.top()).await.unwrap(), ["README.md"]);
        sandbox.git(&["add", "-A"]);
        let both = git.changed_files_blocking(git.top()).unwrap();
        assert_eq!(both, ["README.md", "new.txt"]);
    }

    #[tokio::test]
    async fn what_is_ours_is_ignored_once_and_only_where_needed() {
        let sandbox = Sandbox::new();
        sandbox.write(".gitignore", "/.ralph/logs/\n");
        sandbox.commit_all("Ignore logs");
        let git = sandbox.open().await;
        for _ in 0..2 {
            git.exclude(&[".ralph/state/", ".ralph/logs/"])
                .await
                .unwrap();
        }
        sandbox.write(".ralph/state/x", "");
        sandbox.write(".ralph/logs/x", "");
        assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
        let written = sandbox.read(".git/info/exclude");
        assert_eq!(written.matches("/.ralph/state/").count(), 1);
        assert_eq!(written.matches("logs").count(), 0);
    }

    #[tokio::test]
    async fn what_is_behind_a_link_is_ignored_where_it_is() {
        let sandbox = Sandbox::new();
        sandbox.write("loop/state/x", "x");
        sandbox.write("../elsewhere/x", "x");
        std::os::unix::fs::symlink("loop", sandbox.top().join(".ralph")).unwrap();
        std::os::unix::fs::symlink("../elsewhere", sandbox.top().join("out")).unwrap();
        let git = sandbox.open().await;
        git.exclude(&[".ralph/state/", ".ralph/x", "out/state/"])
            .await
            .unwrap();
        let file = sandbox.top().join(".git/info/exclude");
        let text = std::fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines, ["/loop/state/", "/loop/x"]);
    }

    #[tokio::test]
    async fn the_remote_is_the_followed_one_then_origin_then_the_only_one() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        assert_eq!(git.remote(Some("main")).await.unwrap(), None);
        sandbox.git(&["remote", "add", "far", "/nowhere"]);
        assert_eq!(git.remote(None).await.unwrap().as_deref(), Some("far"));
        sandbox.git(&["remote", "add", "origin", "/nowhere"]);
        assert_eq!(
            git.remote(Some("main")).await.unwrap().as_deref(),
            Some("origin")
        );
        sandbox.git(&["config", "branch.main.remote", "far"]);
        assert_eq!(
            git.remote(Some("main")).await.unwrap().as_deref(),
            Some("far")
        );
        let push = || git.push_remote("main", "far");
        assert_eq!(push().await.unwrap(), "far");
        sandbox.git(&["config", "remote.pushDefault", "origin"]);
        assert_eq!(push().await.unwrap(), "origin");
        sandbox.git(&["config", "branch.main.pushRemote", "gone"]);
        assert_eq!(push().await.unwrap(), "origin");
        sandbox.git(&["config", "branch.main.pushRemote", "far"]);
        assert_eq!(push().await.unwrap(), "far");
        for address in ["git@example.org:mine/n.git", "/srv/fork", "../fork"] {
            sandbox.git(&["config", "branch.main.pushRemote", address]);
            assert_eq!(push().await.unwrap(), address);
            assert_eq!(git.push_url(address).await.unwrap(), address);
        }
        assert_eq!(git.default_branch("origin").await.unwrap(), None);
        assert_eq!(git.push_url("far").await.unwrap(), "/nowhere");
    }

    #[tokio::test]
    async fn a_call_that_hangs_is_ended_and_a_program_that_is_missing_is_named() {
        let sandbox = Sandbox::new();
        let git = sandbox.open().await;
        let hang = git
            .call(&["hang"])
            .setting("alias.hang=!sleep 1000")
            .limit(std::time::Duration::from_millis(200));
        assert!(matches!(hang.run().await, Err(GitError::TimeLimit { .. })));
        let hang = git
            .call(&["hang"])
            .setting("alias.hang=!sleep 1000")
            .limit(std::time::Duration::from_millis(200));
        assert!(matches!(
            hang.blocking(&[0]),
            Err(GitError::TimeLimit { .. })
        ));
        let failed = git.call(&["rev-parse", "--verify", "nothing"]).run().await;
        let text = failed.unwrap_err().to_string();
        assert!(
            text.contains("git rev-parse --verify nothing") && text.contains("exit 128"),
            "{text}"
        );
        let missing = super::super::GitProgram {
            program: "no-such-git".into(),
            variables: Vec::new(),
        };
        let missing = Git::open(missing, sandbox.top()).await;
        assert!(matches!(missing, Err(GitError::Start { .. })));
    }
}
