//! A plan for a folder of repositories: rows 46 to 63 of the conformance table. Rows 46, 52 and the details of filters
//! are tests of the library as well.

use std::path::PathBuf;
use std::process::Command;

use ralph_tests::{Ran, Repository};
use serde_json::Value;

const PLAN: &str = "# Work

Words before the first heading.
- [ ] of no repository :: write no.txt x

## alpha
Some notes.
- [ ] A1 :: write a1.txt x; sleep 120
    - [ ] a detail of it
- [ ] A2 :: write a2.txt x; sleep 120
### be-ta_2.x  \n\
- [ ] B1 :: write b1.txt x; sleep 120
- [ ] B2 :: write bad.txt x; sleep 120
## gamma
- [x] done
- [~] somebody's
- [ ] G1 :: write g1.txt x; sleep 120
## cross-repo
- [ ] Everywhere :: write no.txt x
## Notes
- [ ] Remember :: write no.txt x
";

/// A folder of repositories beside the repository that lends its environment.
struct Folder {
    lender: Repository,
    root: PathBuf,
}

impl Folder {
    fn with(plan: &str, names: &[&str]) -> Self {
        let lender = Repository::with_plan(&[]);
        let root = lender.home().join("folder");
        for name in names {
            std::fs::create_dir_all(root.join(name)).expect("a folder");
            let git = |words: &[&str]| git(&root.join(name), words);
            git(&["init", "-q", "-b", "main"]);
            git(&["config", "user.name", "Ada"]);
            git(&["config", "user.email", "ada@example.org"]);
            git(&["commit", "-q", "--allow-empty", "-m", "Begin"]);
        }
        if !plan.is_empty() {
            lender.write("../folder/.ralph/fix_plan.md", plan);
        }
        Self { lender, root }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.lender.command(words);
        command.current_dir(&self.root);
        command
    }

    fn ralph(&self, words: &[&str]) -> Ran {
        Ran::of_command(&mut self.command(words))
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    fn attempts(&self) -> Vec<Value> {
        let text = self.read(".ralph/attempts.jsonl");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    /// The tasks of a dry run.
    fn open(&self, words: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
        let mut command = self.command(&["loop", "--workspace", "--dry-run", "--json"]);
        command.args(words).envs(variables.iter().copied());
        let ran = Ran::of_command(&mut command).ended(0);
        let plan: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let tasks = plan["tasks"].as_array().cloned().unwrap_or_default();
        tasks
            .iter()
            .map(|task| task["repository"].as_str().unwrap_or("none").to_owned())
            .collect()
    }
}

fn git(folder: &std::path::Path, words: &[&str]) -> String {
    let ran = Ran::of_command(
        Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(words)
            .env("GIT_CONFIG_GLOBAL", "/dev/null"),
    );
    ran.ended(0).stdout
}

/// Rows 21 to 25, 30, 37, 50, 51, 54 and 63; defects 8.6, 8.19 and 8.34. Theirs runs three tasks of the first
/// repository at once while the others idle; here a repository has one attempt at a time. A `[~]` of nobody known does
/// not block its repository for ever.
#[test]
fn repositories_are_worked_on_side_by_side_one_attempt_each() {
    let folder = Folder::with(PLAN, &["alpha", "be-ta_2.x", "gamma"]);
    let ran = folder
        .ralph(&[
            "--workspace",
            "--parallel",
            "4",
            "--quality-gates",
            "test ! -e bad.txt",
        ])
        .ended(3);
    for words in ["`cross-repo`", "`Notes`"] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    let plan = PLAN
        .replace("- [ ] A", "- [x] A")
        .replace("- [ ] B1", "- [x] B1")
        .replace("- [ ] G1", "- [x] G1");
    assert_eq!(folder.read(".ralph/fix_plan.md"), plan);
    let attempts = folder.attempts();
    assert_eq!(attempts.len(), 5);
    let agents = folder.lender.agents();
    let span = |attempt: &Value| {
        let id = attempt["attempt"].as_str().unwrap_or("");
        let (_, begin, end) = agents.iter().find(|agent| agent.0 == id).expect("it ran");
        (*begin, end.expect("it ended"))
    };
    let overlap = |a: &Value, b: &Value| {
        let ((a0, a1), (b0, b1)) = (span(a), span(b));
        a0 < b1 && b0 < a1
    };
    let mut side_by_side = false;
    for (at, one) in attempts.iter().enumerate() {
        for other in &attempts[at + 1..] {
            if one["repository"] == other["repository"] {
                assert!(!overlap(one, other), "{one} and {other}");
            } else {
                side_by_side |= overlap(one, other);
            }
        }
    }
    assert!(side_by_side, "{agents:?}");
    let mut logs: Vec<&str> = attempts
        .iter()
        .filter_map(|one| one["log"].as_str())
        .collect();
    logs.sort_unstable();
    logs.dedup();
    assert_eq!(logs.len(), 5, "one log per attempt");
    let bad = attempts.iter().find(|one| one["outcome"] != "done");
    let bad = bad.expect("one that failed");
    assert_eq!(bad["outcome"], "gates_failed");
    for (name, files) in [
        ("alpha", "a1.txt\na2.txt\n"),
        ("be-ta_2.x", "b1.txt\n"),
        ("gamma", "g1.txt\n"),
    ] {
        let place = folder.root.join(name);
        assert_eq!(git(&place, &["ls-files"]), files, "{name}");
        assert_eq!(git(&place, &["status", "--porcelain"]), "", "{name}");
    }
    let kept = git(
        &folder.root.join("be-ta_2.x"),
        &["branch", "--format=%(refname:short)"],
    );
    assert!(
        kept.contains(bad["branch"].as_str().unwrap_or("none")),
        "{kept}"
    );
}

/// Rows 55, 56, 61 and 63, and the half of row 49 about sections that a filter leaves out.
#[test]
fn a_filter_leaves_the_others_out() {
    let plan = "## alpha\n- [ ] a\n## beta\n- [ ] b\n## gamma\n- [ ] c\n## gone\n- [ ] d\n";
    let folder = Folder::with(plan, &["alpha", "beta", "gamma"]);
    let repos = |list: &'static str| folder.open(&["--repos", list], &[]);
    for list in ["alpha,beta", " alpha , beta ", "alpha,,beta"] {
        assert_eq!(repos(list), ["alpha", "beta"]);
    }
    assert_eq!(folder.open(&["--exclude", "beta"], &[]), ["alpha", "gamma"]);
    let variable = [("RALPH_WORKSPACE_REPOS", "gamma")];
    assert_eq!(folder.open(&[], &variable), ["gamma"]);
    assert_eq!(folder.open(&["--repos", "alpha"], &variable), ["alpha"]);
    let without = [("RALPH_WORKSPACE_EXCLUDE", "gamma")];
    assert_eq!(folder.open(&[], &without), ["alpha", "beta"]);
    let note = |words: &[&str]| {
        let mut all = vec!["loop", "--workspace", "--dry-run"];
        all.extend(words);
        folder.ralph(&all).ended(0).stderr
    };
    assert!(note(&[]).contains("`gone`"));
    assert!(!note(&["--repos", "alpha"]).contains("`gone`"));
    let words = [
        "loop",
        "--workspace",
        "--parallel",
        "4",
        "--repos",
        "alpha,beta",
        "--quality-gates",
        "none",
        "--agent-command",
        "touch f.txt",
    ];
    let _ = folder.ralph(&words).ended(0);
    assert_eq!(
        folder.read(".ralph/fix_plan.md"),
        "## alpha\n- [x] a\n## beta\n- [x] b\n## gamma\n- [ ] c\n## gone\n- [ ] d\n"
    );
}

/// Rows 53, 57 to 60 and 62. Usage errors exit with 2 here, as everywhere in ralph; with 1 there.
#[test]
fn what_cannot_be_honoured_is_refused() {
    let folder = Folder::with("## alpha\n- [ ] a\n", &["alpha", "beta"]);
    let refused = |words: &[&str], variables: &[(&str, &str)], message: &str| {
        let mut command = folder.command(&["loop"]);
        command.args(words).envs(variables.iter().copied());
        let ran = Ran::of_command(&mut command).ended(2);
        assert!(ran.stderr.contains(message), "{words:?}: {}", ran.stderr);
    };
    let workspace = |words: &[&'static str]| {
        let mut all = vec!["--workspace"];
        all.extend(words);
        all
    };
    for value in ["0", "-1", "abc"] {
        let word = format!("--parallel={value}");
        refused(&["--workspace", &word], &[], "positive integer");
    }
    refused(&workspace(&["--parallel"]), &[], "--parallel");
    for flag in ["--repos", "--exclude"] {
        refused(&workspace(&[flag, "delta"]), &[], "unknown repo: delta");
        refused(&workspace(&[flag, "delta"]), &[], "alpha, beta");
        refused(&workspace(&[flag]), &[], flag);
        refused(&workspace(&[flag, ","]), &[], "requires");
    }
    refused(
        &workspace(&["--exclude", "alpha,beta"]),
        &[],
        "filtered out every repository",
    );
    refused(
        &workspace(&["--repos", "alpha", "--exclude", "beta"]),
        &[],
        "cannot be combined",
    );
    let (repos, exclude) = (
        ("RALPH_WORKSPACE_REPOS", "alpha"),
        ("RALPH_WORKSPACE_EXCLUDE", "beta"),
    );
    refused(
        &workspace(&["--repos", "alpha"]),
        &[exclude],
        "conflicts with RALPH_WORKSPACE_EXCLUDE",
    );
    refused(
        &workspace(&["--exclude", "beta"]),
        &[repos],
        "conflicts with RALPH_WORKSPACE_REPOS",
    );
    refused(&workspace(&[]), &[repos, exclude], "cannot both be set");
    // Row 62: in a repository, where there is one.
    let ran = folder.lender.ralph(&["loop", "--repos", "alpha"]).ended(2);
    assert!(
        ran.stderr.contains("only apply to --workspace mode"),
        "{}",
        ran.stderr
    );
    assert!(
        !folder.root.join(".ralph/state").exists(),
        "nothing is made"
    );
}

/// Two loops would take each other's worktrees for what a crash left.
#[test]
fn a_repository_whose_own_loop_runs_is_not_worked_in() {
    let folder = Folder::with("## alpha\n- [ ] A1 :: write a1.txt x\n", &["alpha"]);
    folder.lender.write(
        "../folder/alpha/.ralph/fix_plan.md",
        "- [ ] Own :: sleep 60000; write own.txt x\n",
    );
    let mut own = folder.lender.command(&["loop"]);
    let mut own = own
        .current_dir(folder.root.join("alpha"))
        .spawn()
        .expect("started");
    ralph_tests::wait_until("its agent runs", || {
        let agents = std::fs::read_to_string(folder.lender.home().join("agent.log"));
        agents.is_ok_and(|text| text.contains("begin"))
    });
    let ran = folder.ralph(&["loop", "--workspace"]).ended(33);
    assert!(ran.stderr.contains("already running"), "{}", ran.stderr);
    assert!(
        folder.root.join("alpha-worktrees/w1").is_dir(),
        "its agent still has it"
    );
    own.kill().expect("killed");
    own.wait().expect("ended");
    let ran = folder.ralph(&["loop", "--workspace"]).ended(0);
    assert!(ran.stderr.contains("Succeeded: 1"), "{}", ran.stderr);
    assert!(folder.read("alpha/a1.txt").contains('x'));
}

/// Git walks on upward from a `.git` that it cannot use.
#[test]
fn a_damaged_repository_is_not_taken_for_the_one_around_it() {
    let folder = Folder::with("## alpha\n- [ ] A1 :: write a1.txt x\n", &["alpha"]);
    git(&folder.root, &["init", "-q", "-b", "main"]);
    git(&folder.root, &["config", "user.name", "Ada"]);
    git(&folder.root, &["config", "user.email", "ada@example.org"]);
    git(
        &folder.root,
        &["commit", "-q", "--allow-empty", "-m", "Around"],
    );
    folder.lender.write("../folder/alpha/.git/HEAD", "garbage");
    let ran = folder.ralph(&["loop", "--workspace"]).ended(1);
    assert!(ran.stderr.contains("git cannot use"), "{}", ran.stderr);
    assert_eq!(git(&folder.root, &["log", "--format=%s"]).trim(), "Around");
    assert!(folder.attempts().is_empty());
}

/// Rows 46 to 48: what is a repository of a workspace, and what is none.
#[test]
fn a_workspace_is_a_plan_and_repositories_below_it() {
    let folder = Folder::with(
        "## alpha\n- [ ] a\n## linked\n- [ ] b\n",
        &["alpha", ".hidden"],
    );
    std::os::unix::fs::symlink(folder.lender.root(), folder.root.join("linked")).expect("a link");
    assert_eq!(folder.open(&[], &[]), ["alpha", "linked"]);
    let mut command = folder.command(&["loop", "--workspace", "--repos", "nowhere"]);
    let ran = Ran::of_command(&mut command).ended(2);
    assert!(
        ran.stderr.contains("available: alpha, linked"),
        "{}",
        ran.stderr
    );
    // Only a plan, and only repositories.
    let plan = Folder::with("## alpha\n- [ ] a\n", &[]);
    let ran = plan.ralph(&["loop", "--workspace"]).ended(1);
    assert!(
        ran.stderr.contains("holds no git repository"),
        "{}",
        ran.stderr
    );
    let repositories = Folder::with("", &["alpha"]);
    let ran = repositories.ralph(&["loop", "--workspace"]).ended(31);
    assert!(ran.stderr.contains("fix_plan.md"), "{}", ran.stderr);
}
