//! What a submission has to know from git, asked of real repositories.

use std::process::Command;

use super::Bed;
use crate::act::git::GitSource;
use crate::process::bounded::tests::guard_program;

struct Repository {
    bed: Bed,
}

impl Repository {
    /// A checkout whose project is committed and pushed.
    fn new() -> Self {
        let repository = Self { bed: Bed::new() };
        repository.bed.project("p", "RUN", &[("Q-001", "")]);
        repository.git("", &["init", "-q", "--bare", "../remote.git"]);
        repository
    }

    fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let root = self.bed.path("checkout").join(folder);
        std::fs::create_dir_all(&root).unwrap();
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.org",
                "-c",
                "commit.gpgsign=false",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(arguments)
            .current_dir(&root)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn write(&self, path: &str, text: &str) {
        self.bed.write(&format!("checkout/{path}"), text);
    }

    fn source(&self, folder: &str) -> GitSource {
        GitSource {
            url: self.bed.path("remote.git").display().to_string(),
            checkout: self.bed.path("checkout").join(folder),
            guard_program: guard_program(),
        }
    }

    /// What is said about the two files of an item.
    async fn asked(&self, workspace: &str) -> String {
        let source = self.source(workspace);
        let folder = source.checkout.join("projects/p");
        match source
            .pushed_commit(&folder, &["slurm/jobs/q001.sbatch", "configs/a.json"])
            .await
        {
            Ok(commit) => {
                assert_eq!(commit.sha, self.git("", &["rev-parse", "HEAD"]));
                assert_eq!(commit.sha.len(), 40);
                "pushed".to_owned()
            }
            Err(problems) => {
                let head = self.git("", &["rev-parse", "--short=12", "HEAD"]);
                let text = problems.join("\n").replace(&head, "HEAD");
                text.replace(&self.bed.path("").display().to_string(), "")
            }
        }
    }
}

#[tokio::test]
async fn a_commit_counts_when_it_is_pushed_and_holds_the_files_as_they_are() {
    let repository = Repository::new();
    repository.git("", &["init", "-q"]);
    repository.write(
        "projects/p/slurm/jobs/q001.sbatch",
        "#!/bin/bash\necho one\n",
    );
    repository.git("", &["add", "."]);
    repository.git("", &["commit", "-qm", "one"]);
    insta::assert_snapshot!(repository.asked("").await, @r"
    projects/p/configs/a.json is not in commit HEAD; commit and push it
    commit HEAD is not pushed to remote.git; run `git push`
    ");
    repository.write("projects/p/configs/a.json", "{}\n");
    repository.git("", &["add", "."]);
    repository.git("", &["commit", "-qm", "two"]);
    insta::assert_snapshot!(repository.asked("").await, @"commit HEAD is not pushed to remote.git; run `git push`");
    repository.git("", &["push", "-q", "../remote.git", "HEAD:main"]);
    assert_eq!(repository.asked("").await, "pushed");
    // An edit at the top, which keeps the end as it was.
    repository.write(
        "projects/p/slurm/jobs/q001.sbatch",
        "# new\n#!/bin/bash\necho one\n",
    );
    insta::assert_snapshot!(repository.asked("").await, @"projects/p/slurm/jobs/q001.sbatch differs from commit HEAD; commit and push the change");
    repository.git("", &["add", "."]);
    insta::assert_snapshot!(repository.asked("").await, @"projects/p/slurm/jobs/q001.sbatch differs from commit HEAD; commit and push the change");
    repository.git("", &["commit", "-qm", "three"]);
    insta::assert_snapshot!(repository.asked("").await, @"commit HEAD is not pushed to remote.git; run `git push`");
    // Pushed to another branch than the one that is checked out, behind another commit, or as a tag.
    repository.git("", &["commit", "-q", "--allow-empty", "-m", "four"]);
    repository.git(
        "",
        &["push", "-q", "../remote.git", "HEAD:refs/heads/other"],
    );
    repository.git("", &["checkout", "-q", "--detach", "HEAD~1"]);
    assert_eq!(repository.asked("").await, "pushed");
    repository.git("", &["commit", "-q", "--allow-empty", "-m", "five"]);
    assert!(repository.asked("").await.contains("not pushed"));
    repository.git("", &["tag", "v1"]);
    repository.git("", &["push", "-q", "../remote.git", "v1"]);
    assert_eq!(repository.asked("").await, "pushed");
}

#[tokio::test]
async fn a_workspace_may_be_a_folder_of_the_repository() {
    let repository = Repository::new();
    repository.git("", &["init", "-q"]);
    repository.write("sub/projects/p/slurm/jobs/q001.sbatch", "#!/bin/bash\n");
    repository.write("sub/projects/p/configs/a.json", "{}\n");
    repository.git("", &["add", "."]);
    repository.git("", &["commit", "-qm", "one"]);
    repository.git("", &["push", "-q", "../remote.git", "HEAD:main"]);
    assert_eq!(repository.asked("sub").await, "pushed");
}

#[tokio::test]
async fn a_remote_that_does_not_answer_and_a_repository_without_a_commit_are_problems() {
    let repository = Repository::new();
    repository.git("", &["init", "-q"]);
    let empty = repository.source("");
    let problems = empty.pushed_commit(&empty.checkout, &[]).await.unwrap_err();
    assert!(problems[0].contains("no commit yet"), "{problems:?}");
    repository.write("projects/p/slurm/jobs/q001.sbatch", "#!/bin/bash\n");
    repository.write("projects/p/configs/a.json", "{}\n");
    repository.git("", &["add", "."]);
    repository.git("", &["commit", "-qm", "one"]);
    let gone = GitSource {
        url: "/nowhere/at/all".to_owned(),
        ..repository.source("")
    };
    let problems = gone.pushed_commit(&gone.checkout, &[]).await.unwrap_err();
    assert!(
        problems[0].contains("cannot be asked for its branches"),
        "{problems:?}"
    );
}
