//! Works that go onto the base together: what each commit holds, who has to go alone, and crashes in between.

use proptest::prelude::{ProptestConfig, prop_assert_eq, prop_assume, proptest};

use super::*;
use crate::git::ObjectId;
use crate::git::import::{FileChange, NewCommit, NewFile, Parent};
use crate::git::lineage::Touched;
use crate::integrate::fit::fits;

/// Attempts and their work, in a line.
struct Waiting {
    assigned: Vec<Assigned>,
    work: Vec<Work>,
    rows: Vec<RowKey>,
}

impl Waiting {
    /// One attempt for each of these rows, on the base as it is now.
    async fn at(bench: &Bench, rows: &[&str]) -> Self {
        let mut assigned = Vec::new();
        for row in rows {
            assigned.push(bench.attempt(row).await);
        }
        Self {
            assigned,
            work: Vec::new(),
            rows: rows.iter().map(|row| key(row)).collect(),
        }
    }

    async fn capture(&mut self, bench: &Bench) {
        self.work.clear();
        for assigned in &self.assigned {
            self.work.push(bench.capture(assigned).await);
        }
    }

    fn orders(&self) -> Vec<Order<'_>> {
        let all = self.assigned.iter().zip(&self.work).zip(&self.rows);
        all.map(|((assigned, work), row)| Order {
            assigned,
            work,
            message: "ralph: do it",
            tick: Some(Tick {
                path: PLAN,
                row,
                marks: &[],
            }),
            now: NOW,
        })
        .collect()
    }

    async fn in_line(&self, bench: &Bench) -> Vec<Option<Made>> {
        let turn = bench.integrator.turn().await.unwrap();
        let orders = self.orders();
        let integrator = &bench.integrator;
        let made = integrator.in_line(&turn, &bench.worktrees, &orders);
        made.await.unwrap()
    }
}

fn files_of(bench: &Bench, commit: &str) -> String {
    let shown = ["diff-tree", "-r", "--no-commit-id", "--name-only", commit];
    bench.sandbox.git(&shown)
}

#[tokio::test]
async fn all_that_wait_go_in_one_run_each_with_its_own_files_and_its_own_tick() {
    let bench = Bench::new(Strategy::Squash).await;
    let mut line = Waiting::at(&bench, &["one", "two", "three"]).await;
    write(&line.assigned[0].path, "a.txt", "a");
    write(&line.assigned[1].path, "b/c.txt", "b");
    // Squashed like the rest.
    write(&line.assigned[2].path, "d.txt", "d");
    bench.sandbox.git_at(&line.assigned[2].path, &["add", "-A"]);
    bench.sandbox.git_at(
        &line.assigned[2].path,
        &["commit", "-q", "-m", "Agent's own"],
    );
    write(&line.assigned[2].path, "e.txt", "e");
    line.capture(&bench).await;
    let before = bench.git.calls();
    let made: Vec<Made> = line.in_line(&bench).await.into_iter().flatten().collect();
    assert_eq!(made.len(), 3);
    assert_eq!(
        bench.git.calls() - before,
        3,
        "the plan in two, and all commits"
    );
    assert!(made.iter().all(|made| made.is_ticked));
    for (made, files) in made.iter().zip(["a.txt", "b/c.txt", "d.txt\ne.txt"]) {
        let expected = format!("{PLAN}\n{files}");
        assert_eq!(files_of(&bench, made.commit.as_str()), expected);
    }
    assert_eq!(bench.forward(&made[2]).await, Forwarded::Moved);
    bench.is_clean();
    assert_eq!(
        bench.sandbox.read(PLAN),
        "# Plan\n\n- [x] one\n- [x] two\r\n- [x] three\n"
    );
    let before = bench.git.calls();
    for ((assigned, work), made) in line.assigned.iter().zip(&line.work).zip(&made) {
        let safe = Safe::Merged(&made.commit);
        let spare = bench.worktrees.release(assigned, work, safe).await.unwrap();
        assert!(spare.is_some());
    }
    assert_eq!(
        bench.git.calls() - before,
        3,
        "a branch is removed, nothing is asked"
    );
    let branches = bench.sandbox.git(&["branch", "--format=%(refname:short)"]);
    assert_eq!(branches, "main");
    // The next ones start behind them.
    let mut next = Waiting::at(&bench, &["more"]).await;
    write(&next.assigned[0].path, "f.txt", "f");
    next.capture(&bench).await;
    let made = next.in_line(&bench).await;
    assert!(
        !made[0].as_ref().unwrap().is_ticked,
        "the plan has no such row"
    );
}

#[tokio::test]
async fn whoever_has_to_be_merged_goes_alone_and_holds_up_nobody() {
    let bench = Bench::new(Strategy::Squash).await;
    let rows = ["one", "same file", "deletes", "in the way", "two"];
    let mut line = Waiting::at(&bench, &rows).await;
    write(&line.assigned[0].path, "README.md", "first\n");
    write(&line.assigned[1].path, "README.md", "other\n");
    fs::remove_file(line.assigned[2].path.join("README.md")).unwrap();
    write(&line.assigned[3].path, "README.md.d/x", "x");
    write(&line.assigned[4].path, "README.md.d", "a file");
    line.capture(&bench).await;
    let made = line.in_line(&bench).await;
    let together: Vec<bool> = made.iter().map(Option::is_some).collect();
    assert_eq!(together, [true, false, false, true, false]);
    let last = made[3].clone().unwrap();
    assert_eq!(bench.forward(&last).await, Forwarded::Moved);
    for (at, place) in [(1, "README.md"), (2, "README.md"), (4, "README.md.d")] {
        let (assigned, work) = (&line.assigned[at], &line.work[at]);
        let alone = bench.onto_base(assigned, work, &line.rows[at]).await;
        let Integrated::Conflict { paths, .. } = alone else {
            panic!("{}: {alone:?}", rows[at]);
        };
        assert!(
            paths.iter().any(|path| path.starts_with(place)),
            "{paths:?}"
        );
    }
    bench.is_clean();
}

#[tokio::test]
async fn what_somebody_else_did_to_the_base_is_learned_before_it_is_built_on() {
    let bench = Bench::new(Strategy::Squash).await;
    let mut line = Waiting::at(&bench, &["one", "two"]).await;
    write(&line.assigned[0].path, "a.txt", "a");
    write(&line.assigned[1].path, "late.txt", "other");
    bench.sandbox.write("late.txt", "late");
    bench.sandbox.commit_all("Late");
    line.capture(&bench).await;
    let made = line.in_line(&bench).await;
    assert!(made[0].is_some() && made[1].is_none(), "{made:?}");
    let first = made[0].as_ref().unwrap();
    // It moves once more, before the step that would take it along.
    bench.sandbox.write("later.txt", "later");
    bench.sandbox.commit_all("Later");
    assert_eq!(bench.forward(first).await, Forwarded::Left(Left::BaseMoved));
    let turn = bench.integrator.turn().await.unwrap();
    let orders = line.orders();
    let back = bench
        .integrator
        .step_back(&turn, &bench.worktrees, &orders, &made);
    back.await.unwrap();
    drop((turn, orders));
    let again = line.in_line(&bench).await;
    let again = again[0].as_ref().unwrap();
    assert_eq!(bench.forward(again).await, Forwarded::Moved);
    let log = bench.sandbox.git(&["log", "--format=%s"]);
    assert_eq!(log, "ralph: do it\nLater\nLate\nPlan\nBegin");
    // One that was set back is an attempt's like any other: nothing of it is left.
    let branches = bench.sandbox.git(&["branch", "--format=%(refname:short)"]);
    assert!(!branches.contains("aside"), "{branches}");
}

#[tokio::test]
async fn a_line_that_cannot_go_forward_leaves_each_work_for_itself() {
    let bench = Bench::new(Strategy::Squash).await;
    let mut line = Waiting::at(&bench, &["one", "two"]).await;
    write(&line.assigned[0].path, "a.txt", "a");
    write(&line.assigned[1].path, "b.txt", "b");
    line.capture(&bench).await;
    let made = line.in_line(&bench).await;
    bench.sandbox.write("README.md", "an edit of the user\n");
    let last = made[1].clone().unwrap();
    let left = bench.forward(&last).await;
    assert!(
        matches!(left, Forwarded::Left(Left::Dirty { .. })),
        "{left:?}"
    );
    let turn = bench.integrator.turn().await.unwrap();
    let orders = line.orders();
    let back = bench
        .integrator
        .step_back(&turn, &bench.worktrees, &orders, &made);
    back.await.unwrap();
    drop(turn);
    for (at, file) in ["a.txt", "b.txt"].into_iter().enumerate() {
        let (assigned, work) = (&line.assigned[at], &line.work[at]);
        let Integrated::Made(made) = bench.onto_base(assigned, work, &line.rows[at]).await else {
            panic!("a conflict");
        };
        let expected = format!("{PLAN}\n{file}");
        assert_eq!(files_of(&bench, made.commit.as_str()), expected);
        let parent = bench
            .sandbox
            .git(&["rev-parse", &format!("{}^", made.commit)]);
        assert_eq!(parent, bench.sandbox.git(&["rev-parse", "main"]));
    }
    let branches = bench.sandbox.git(&["branch", "--format=%(refname:short)"]);
    assert_eq!(branches, "main\nralph-codex/one\nralph-codex/two");
}

/// Another process, which knows nothing of the commits but what git knows.
async fn after_a_crash(bench: Bench) -> Bench {
    let git = bench.sandbox.open().await;
    let base = git.base(None, None).await.unwrap();
    let lock = bench.sandbox.folder().join("merge.lock");
    Bench {
        worktrees: Worktrees::open(&git, &base, "ralph-codex").await.unwrap(),
        integrator: Integrator::new(&git, &base, Strategy::Squash, lock),
        git,
        sandbox: bench.sandbox,
    }
}

#[tokio::test]
async fn where_the_base_has_moved_after_a_crash_each_takes_only_its_own() {
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let bench = Bench::new(Strategy::Squash).await;
        let mut line = Waiting::at(&bench, &["one", "two", "three"]).await;
        let files = ["a.txt", "b.txt", "c.txt"];
        for (at, file) in files.into_iter().enumerate() {
            write(&line.assigned[at].path, file, file);
        }
        // One whose agent has made commits itself.
        for command in [&["add", "-A"][..], &["commit", "-q", "-m", "Own"]] {
            bench.sandbox.git_at(&line.assigned[1].path, command);
        }
        line.capture(&bench).await;
        let made = line.in_line(&bench).await;
        assert!(made.iter().all(Option::is_some));
        bench.sandbox.write("theirs.txt", "theirs");
        bench.sandbox.commit_all("Theirs");
        let bench = after_a_crash(bench).await;
        for at in order {
            let work = bench.capture(&line.assigned[at]).await;
            let found = bench.onto_base(&line.assigned[at], &work, &line.rows[at]);
            let Integrated::Made(found) = found.await else {
                panic!("a conflict");
            };
            let expected = format!("{PLAN}\n{}", files[at]);
            assert_eq!(files_of(&bench, found.commit.as_str()), expected);
            assert_eq!(bench.forward(&found).await, Forwarded::Moved);
        }
        let log = bench.sandbox.git(&["log", "--format=%s"]);
        assert_eq!(log.matches("ralph: do it").count(), 3, "{log}");
        assert_eq!(bench.plan("main").matches("[x]").count(), 3);
        bench.is_clean();
    }
}

#[tokio::test]
async fn after_a_crash_each_of_them_is_found_whoever_comes_first() {
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let bench = Bench::new(Strategy::Squash).await;
        let mut line = Waiting::at(&bench, &["one", "two", "three"]).await;
        for (at, file) in ["a.txt", "b.txt", "c.txt"].into_iter().enumerate() {
            write(&line.assigned[at].path, file, file);
        }
        line.capture(&bench).await;
        let made = line.in_line(&bench).await;
        let bench = after_a_crash(bench).await;
        for at in order {
            let work = bench.capture(&line.assigned[at]).await;
            assert!(work.is_committed);
            let found = bench.onto_base(&line.assigned[at], &work, &line.rows[at]);
            let Integrated::Made(found) = found.await else {
                panic!("a conflict");
            };
            assert_eq!(found.commit, made[at].clone().unwrap().commit);
            assert_eq!(bench.forward(&found).await, Forwarded::Moved);
        }
        let log = bench.sandbox.git(&["log", "--format=%s"]);
        assert_eq!(log.matches("ralph: do it").count(), 3, "{log}");
        assert_eq!(bench.plan("main").matches("[x]").count(), 3);
        bench.is_clean();
    }
}

#[tokio::test]
async fn works_on_what_the_base_has_left_do_not_bring_it_back_together_or_alone() {
    let bench = Bench::new(Strategy::Squash).await;
    bench.sandbox.write("secret", "secret");
    bench.sandbox.commit_all("Secret");
    let mut line = Waiting::at(&bench, &["one", "two"]).await;
    for command in [
        &["rm", "-q", "secret"][..],
        &["commit", "-q", "--amend", "-m", "x", "--allow-empty"],
    ] {
        bench.sandbox.git(command);
    }
    // One that starts behind it goes with the others as ever.
    line.assigned.push(bench.attempt("three").await);
    line.rows.push(key("three"));
    for (at, file) in ["a.txt", "b.txt", "c.txt"].into_iter().enumerate() {
        write(&line.assigned[at].path, file, file);
    }
    line.capture(&bench).await;
    let made = line.in_line(&bench).await;
    let last = made.iter().flatten().next_back().cloned().unwrap();
    assert_eq!(bench.forward(&last).await, Forwarded::Moved);
    for at in (0..3).filter(|at| made[*at].is_none()) {
        let alone = bench.onto_base(&line.assigned[at], &line.work[at], &line.rows[at]);
        let Integrated::Made(made) = alone.await else {
            panic!("a conflict");
        };
        assert_eq!(bench.forward(&made).await, Forwarded::Moved);
    }
    let files = bench.sandbox.git(&["ls-tree", "--name-only", "main"]);
    assert_eq!(files, ".ralph\nREADME.md\na.txt\nb.txt\nc.txt");
    assert_eq!(bench.plan("main").matches("[x]").count(), 3);
    bench.is_clean();
}

#[tokio::test]
async fn commits_that_are_to_stay_as_they_are_do_not_go_in_a_line() {
    for (strategy, expected) in [
        (Strategy::Merge, [false, false]),
        (Strategy::Rebase, [true, false]),
    ] {
        let bench = Bench::new(strategy).await;
        let mut line = Waiting::at(&bench, &["one", "two"]).await;
        write(&line.assigned[0].path, "a.txt", "a");
        write(&line.assigned[1].path, "b.txt", "b");
        for command in [&["add", "-A"][..], &["commit", "-q", "-m", "Own"]] {
            bench.sandbox.git_at(&line.assigned[1].path, command);
        }
        line.capture(&bench).await;
        let made = line.in_line(&bench).await;
        let together: Vec<bool> = made.iter().map(Option::is_some).collect();
        assert_eq!(together, expected, "{strategy:?}");
    }
}

/// What one side does to a file: nothing, a new content, or its removal.
type Deed = Option<Option<u8>>;

/// The first four are there before.
const FILES: [&str; 7] = ["a", "b", "d/e", "d/f", "d/g/h", "c", "a.b"];

fn change(path: &str, content: Option<u8>) -> FileChange {
    FileChange {
        path: path.as_bytes().to_owned(),
        file: match content {
            None => NewFile::Gone,
            Some(byte) => NewFile::Content {
                mode: "100644".to_owned(),
                bytes: vec![byte, b'\n'],
            },
        },
    }
}

/// The deeds as the changes of a commit.
fn changes(deeds: &[Deed]) -> Vec<FileChange> {
    let is_there = |path: &str| FILES[..4].contains(&path);
    let chosen = FILES.into_iter().zip(deeds);
    let changes = chosen.filter_map(|(path, deed)| match deed {
        Some(None) if is_there(path) => Some(change(path, None)),
        Some(Some(byte)) => Some(change(path, Some(*byte))),
        _ => None,
    });
    changes.collect()
}

fn touched(changes: &[FileChange]) -> Touched {
    let of = |gone: bool| {
        let those = changes
            .iter()
            .filter(|one| (one.file == NewFile::Gone) == gone);
        those.map(|one| one.path.clone()).collect()
    };
    Touched {
        changed: of(false),
        deleted: of(true),
    }
}

fn deeds() -> impl proptest::strategy::Strategy<Value = Vec<Deed>> {
    let content = proptest::option::weighted(0.9, b'0'..=b'9');
    proptest::collection::vec(proptest::option::weighted(0.4, content), FILES.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// What is said to fit is what git makes of it.
    #[test]
    fn what_fits_is_what_git_would_merge(ours in deeds(), theirs in deeds()) {
        let (ours, theirs) = (changes(&ours), changes(&theirs));
        prop_assume!(!theirs.is_empty() && fits(&touched(&ours), &[touched(&theirs)]));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (laid_over, merged) = runtime.block_on(async {
            let sandbox = Sandbox::new();
            for path in &FILES[..4] {
                sandbox.write(path, "before\n");
            }
            let base: ObjectId = sandbox.commit_all("Base").parse().unwrap();
            let git = sandbox.open().await;
            let new = |reference, parent, changes: &[FileChange]| NewCommit {
                reference,
                parents: vec![parent],
                tree: None,
                changes: changes.to_vec(),
                message: "m",
                when: NOW,
            };
            let commits = [
                new("refs/heads/ours", Parent::Known(&base), &ours),
                new("refs/heads/theirs", Parent::Known(&base), &theirs),
                new("refs/heads/both", Parent::Previous, &ours),
            ];
            git.commits(commits.to_vec()).await.unwrap();
            let merged = sandbox.git(&["merge-tree", "--write-tree", "theirs", "ours"]);
            (sandbox.git(&["rev-parse", "both^{tree}"]), merged)
        });
        prop_assert_eq!(laid_over, merged);
    }
}
