//! Integration on real repositories: each strategy, a base that moves, whatever is in the way, and crashes.

mod left;
mod line;
mod undone;

use std::fs;
use std::path::{Path, PathBuf};

use ralph_core::time::Timestamp;
use ralph_docs::fix_plan::RowKey;

use super::{Forwarded, Integrated, Integrator, Left, Made, Order, Strategy, Tick};
use crate::git::Git;
use crate::git::sandbox::Sandbox;
use crate::worktree::{Assigned, Safe, Work, Worktrees};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const PLAN: &str = ".ralph/fix_plan.md";

struct Bench {
    sandbox: Sandbox,
    git: Git,
    worktrees: Worktrees,
    integrator: Integrator,
}

impl Bench {
    async fn new(strategy: Strategy) -> Self {
        let sandbox = Sandbox::new();
        sandbox.write(PLAN, "# Plan\n\n- [ ] one\n- [ ] two\r\n- [ ] three\n");
        sandbox.commit_all("Plan");
        let git = sandbox.open().await;
        let base = git.base(None, None).await.unwrap();
        let worktrees = Worktrees::open(&git, &base, "ralph-codex").await.unwrap();
        let lock: PathBuf = sandbox.folder().join("merge.lock");
        let integrator = Integrator::new(&git, &base, strategy, lock);
        Self {
            sandbox,
            git,
            worktrees,
            integrator,
        }
    }

    async fn attempt(&self, name: &str) -> Assigned {
        let prepared = self.worktrees.prepare().await.unwrap();
        self.worktrees.assign(prepared, name).await.unwrap()
    }

    async fn capture(&self, assigned: &Assigned) -> Work {
        self.worktrees.capture(assigned).await.unwrap()
    }

    async fn onto_base(&self, assigned: &Assigned, work: &Work, row: &RowKey) -> Integrated {
        let turn = self.integrator.turn().await.unwrap();
        let tick = Some(Tick {
            path: PLAN,
            row,
            marks: &[],
        });
        let order = Order {
            assigned,
            work,
            message: "ralph: do it\n\nRalph-Task: x",
            tick,
            now: NOW,
        };
        self.integrator
            .onto_base(&turn, &self.worktrees, &order)
            .await
            .unwrap()
    }

    async fn made(&self, assigned: &Assigned, row: &str) -> Made {
        let work = self.capture(assigned).await;
        match self.onto_base(assigned, &work, &key(row)).await {
            Integrated::Made(made) => made,
            Integrated::Conflict { paths, .. } => panic!("a conflict in {paths:?}"),
        }
    }

    async fn forward(&self, made: &Made) -> Forwarded {
        self.forward_beside(made, None).await
    }

    async fn forward_beside(&self, made: &Made, plan: Option<&str>) -> Forwarded {
        let turn = self.integrator.turn().await.unwrap();
        self.integrator.fast_forward(&turn, made, plan).unwrap()
    }

    fn plan(&self, name: &str) -> String {
        self.sandbox.git(&["show", &format!("{name}:{PLAN}")])
    }

    fn is_clean(&self) {
        assert_eq!(self.sandbox.git(&["status", "--porcelain"]), "");
        assert_eq!(self.sandbox.git(&["stash", "list"]), "");
        assert_eq!(
            self.sandbox.git(&["symbolic-ref", "HEAD"]),
            "refs/heads/main"
        );
    }
}

fn key(text: &str) -> RowKey {
    RowKey {
        section: "Plan".to_owned(),
        text: text.to_owned(),
        occurrence: 0,
    }
}

#[expect(clippy::disallowed_methods, reason = "an agent's own files")]
fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn work_on_an_unmoved_base_is_one_commit_with_its_tick_and_the_checkout_follows() {
    let bench = Bench::new(Strategy::Squash).await;
    let assigned = bench.attempt("one").await;
    write(&assigned.path, "a.txt", "a");
    bench.sandbox.git_at(&assigned.path, &["add", "-A"]);
    bench
        .sandbox
        .git_at(&assigned.path, &["commit", "-q", "-m", "Part one"]);
    write(&assigned.path, "b.txt", "b");
    write(&assigned.path, PLAN, "all gone");
    let work = bench.capture(&assigned).await;
    let Integrated::Made(made) = bench.onto_base(&assigned, &work, &key("one")).await else {
        panic!("a conflict");
    };
    assert!(made.is_ticked);
    assert_eq!(bench.forward(&made).await, Forwarded::Moved);
    bench.is_clean();
    assert_eq!(
        bench.sandbox.read(PLAN),
        "# Plan\n\n- [x] one\n- [ ] two\r\n- [ ] three\n"
    );
    assert_eq!(bench.sandbox.read("b.txt"), "b");
    let log = bench.sandbox.git(&["log", "--format=%s"]);
    assert_eq!(log, "ralph: do it\nPlan\nBegin");
    bench
        .worktrees
        .release(&assigned, &work, Safe::Merged(&made.commit))
        .await
        .unwrap();
    assert_eq!(
        bench.sandbox.git(&["branch", "--format=%(refname:short)"]),
        "main"
    );
    // Its answer was lost: the same again.
    assert_eq!(bench.forward(&made).await, Forwarded::Moved);
}

#[tokio::test]
async fn options_that_the_user_has_for_merges_are_not_those_of_the_step() {
    for option in ["--squash", "--no-commit --no-ff", "--strategy=ours"] {
        let bench = Bench::new(Strategy::Squash).await;
        let key = "branch.main.mergeOptions";
        bench.sandbox.git(&["config", key, option]);
        let assigned = bench.attempt("one").await;
        write(&assigned.path, "a.txt", "a");
        let made = bench.made(&assigned, "one").await;
        assert_eq!(bench.forward(&made).await, Forwarded::Moved);
        let tip = bench.sandbox.git(&["rev-parse", "main"]);
        assert_eq!(tip, made.commit.as_str(), "{option}");
        bench.is_clean();
    }
}

#[tokio::test]
async fn the_second_of_two_attempts_stands_on_the_first_with_both_ticks() {
    for strategy in [Strategy::Squash, Strategy::Merge, Strategy::Rebase] {
        let bench = Bench::new(strategy).await;
        let one = bench.attempt("one").await;
        let two = bench.attempt("two").await;
        write(&one.path, "a.txt", "a");
        write(&two.path, "b.txt", "b");
        bench.sandbox.git_at(&two.path, &["add", "-A"]);
        bench
            .sandbox
            .git_at(&two.path, &["commit", "-q", "-m", "Agent's own"]);
        write(&two.path, "c.txt", "c");
        let first = bench.made(&one, "one").await;
        assert_eq!(bench.forward(&first).await, Forwarded::Moved);
        let before = bench.git.calls();
        let second = bench.made(&two, "two").await;
        let spent = bench.git.calls() - before;
        if strategy == Strategy::Squash {
            // Captured in two; its tree, its commit, whether the base has left its start, a merge, the merged one.
            assert_eq!(spent, 7);
        }
        assert_eq!(bench.forward(&second).await, Forwarded::Moved);
        bench.is_clean();
        let plan = bench.plan("main");
        assert_eq!(
            plan, "# Plan\n\n- [x] one\n- [x] two\r\n- [ ] three",
            "{strategy:?}"
        );
        let files = ["a.txt", "b.txt", "c.txt"].map(|name| bench.sandbox.read(name));
        assert_eq!(files, ["a", "b", "c"]);
        let log = bench
            .sandbox
            .git(&["log", "--topo-order", "--format=%s %p", "-4"]);
        let subjects: Vec<_> = log.lines().map(|line| line.split(' ').count()).collect();
        let own = bench
            .sandbox
            .git(&["log", "--format=%s"])
            .contains("Agent's own");
        assert_eq!(own, strategy != Strategy::Squash, "{log}");
        let merges = bench
            .sandbox
            .git(&["log", "--merges", "--format=%h"])
            .lines()
            .count();
        assert_eq!(
            merges,
            if strategy == Strategy::Merge { 2 } else { 0 },
            "{subjects:?}"
        );
    }
}

#[tokio::test]
async fn a_conflict_leaves_the_base_and_keeps_the_work_on_its_branch() {
    for strategy in [Strategy::Squash, Strategy::Merge, Strategy::Rebase] {
        let bench = Bench::new(strategy).await;
        let assigned = bench.attempt("one").await;
        write(&assigned.path, "README.md", "theirs\n");
        bench.sandbox.write("README.md", "ours\n");
        let base = bench.sandbox.commit_all("Change the same line");
        let work = bench.capture(&assigned).await;
        let integrated = bench.onto_base(&assigned, &work, &key("one")).await;
        let Integrated::Conflict { commit, paths } = integrated else {
            panic!("no conflict");
        };
        assert_eq!(paths, ["README.md"]);
        assert_eq!(bench.sandbox.git(&["rev-parse", "main"]), base);
        let kept = bench
            .sandbox
            .git(&["show", &format!("{}:README.md", assigned.branch)]);
        assert_eq!(kept, "theirs");
        let branches = bench.sandbox.git(&["branch", "--format=%(refname:short)"]);
        assert_eq!(branches, "main\nralph-codex/one", "{strategy:?}");
        let work = bench.capture(&assigned).await;
        bench
            .worktrees
            .release(&assigned, &work, Safe::OnBranch(&commit))
            .await
            .unwrap();
        bench.is_clean();
    }
}

#[tokio::test]
async fn whatever_the_user_does_in_the_checkout_keeps_the_base_where_it_is() {
    let bench = Bench::new(Strategy::Squash).await;
    let assigned = bench.attempt("one").await;
    write(&assigned.path, "a.txt", "theirs");
    let made = bench.made(&assigned, "one").await;
    let base = bench.sandbox.git(&["rev-parse", "main"]);
    bench
        .sandbox
        .write("README.md", "in the middle of an edit\n");
    let left = bench.forward(&made).await;
    assert!(matches!(left, Forwarded::Left(Left::Dirty { files, .. }) if files == ["README.md"]));
    bench.sandbox.git(&["checkout", "-q", "README.md"]);
    bench.sandbox.write("a.txt", "untracked, in the way");
    assert!(matches!(
        bench.forward(&made).await,
        Forwarded::Left(Left::Refused { .. })
    ));
    bench.sandbox.write(".git/info/exclude", "a.txt\n");
    assert!(matches!(
        bench.forward(&made).await,
        Forwarded::Left(Left::Refused { .. })
    ));
    assert_eq!(bench.sandbox.read("a.txt"), "untracked, in the way");
    fs::remove_file(bench.sandbox.top().join("a.txt")).unwrap();
    bench.sandbox.write(".git/index.lock", "");
    assert!(matches!(
        bench.forward(&made).await,
        Forwarded::Left(Left::Refused { .. })
    ));
    fs::remove_file(bench.sandbox.top().join(".git/index.lock")).unwrap();
    assert_eq!(bench.sandbox.git(&["rev-parse", "main"]), base);
    // An untracked file elsewhere is in nobody's way.
    bench.sandbox.write("mine.txt", "mine");
    assert_eq!(bench.forward(&made).await, Forwarded::Moved);
}

#[tokio::test]
async fn a_base_that_nobody_has_checked_out_moves_and_one_that_is_being_rebased_does_not() {
    let bench = Bench::new(Strategy::Squash).await;
    let one = bench.attempt("one").await;
    write(&one.path, "a.txt", "a");
    let made = bench.made(&one, "one").await;
    bench.sandbox.git(&["checkout", "-q", "-b", "topic"]);
    bench
        .sandbox
        .write("README.md", "dirty, but not the base\n");
    bench
        .sandbox
        .write(".git/rebase-merge/head-name", "refs/heads/main\n");
    assert!(matches!(
        bench.forward(&made).await,
        Forwarded::Left(Left::Busy { .. })
    ));
    fs::remove_dir_all(bench.sandbox.top().join(".git/rebase-merge")).unwrap();
    assert_eq!(bench.forward(&made).await, Forwarded::Moved);
    assert_eq!(
        bench.sandbox.git(&["rev-parse", "main"]),
        made.commit.as_str()
    );
    assert_eq!(bench.sandbox.read("README.md"), "dirty, but not the base\n");
}

#[tokio::test]
async fn a_base_that_moved_in_between_asks_for_another_go() {
    let bench = Bench::new(Strategy::Squash).await;
    let assigned = bench.attempt("one").await;
    write(&assigned.path, "a.txt", "a");
    let made = bench.made(&assigned, "one").await;
    bench.sandbox.write("late.txt", "late");
    bench.sandbox.commit_all("Late");
    assert_eq!(bench.forward(&made).await, Forwarded::Left(Left::BaseMoved));
    let again = bench.made(&assigned, "one").await;
    assert_eq!(bench.forward(&again).await, Forwarded::Moved);
    assert_eq!(
        bench.sandbox.git(&["log", "--format=%s"]),
        "ralph: do it\nLate\nPlan\nBegin"
    );
    assert_eq!(bench.sandbox.read("late.txt"), "late");
}

#[tokio::test]
async fn however_often_the_base_moves_no_try_is_left_beside_the_work() {
    for strategy in [Strategy::Squash, Strategy::Merge, Strategy::Rebase] {
        for has_commits in [false, true] {
            let bench = Bench::new(strategy).await;
            let assigned = bench.attempt("one").await;
            write(&assigned.path, "a.txt", "a");
            if has_commits {
                for command in [&["add", "-A"][..], &["commit", "-q", "-m", "Own"]] {
                    bench.sandbox.git_at(&assigned.path, command);
                }
                write(&assigned.path, "b.txt", "b");
            }
            let work = bench.capture(&assigned).await;
            let row = key("one");
            let order = Order {
                assigned: &assigned,
                work: &work,
                message: "ralph: do it",
                tick: Some(Tick {
                    path: PLAN,
                    row: &row,
                    marks: &[],
                }),
                now: NOW,
            };
            for number in 0..3 {
                bench.sandbox.write("late.txt", &number.to_string());
                bench.sandbox.commit_all("Late");
                let Integrated::Made(made) = bench.onto_base(&assigned, &work, &row).await else {
                    panic!("a conflict");
                };
                let turn = bench.integrator.turn().await.unwrap();
                let (orders, made) = ([order], [Some(made)]);
                let back = bench
                    .integrator
                    .step_back(&turn, &bench.worktrees, &orders, &made);
                back.await.unwrap();
                // A crash now: the work is still there.
                let found = bench.capture(&assigned).await;
                assert!(!found.is_empty(), "{strategy:?} {has_commits}");
            }
            let Integrated::Made(made) = bench.onto_base(&assigned, &work, &row).await else {
                panic!("a conflict");
            };
            assert_eq!(bench.forward(&made).await, Forwarded::Moved);
            let branches = bench.sandbox.git(&["branch", "--format=%(refname:short)"]);
            assert_eq!(
                branches, "main\nralph-codex/one",
                "{strategy:?} {has_commits}"
            );
            assert_eq!(bench.sandbox.read("late.txt"), "2");
            assert_eq!(bench.sandbox.read("a.txt"), "a");
            bench.is_clean();
        }
    }
}

#[tokio::test]
async fn after_a_crash_at_any_place_the_same_commit_is_found_and_nothing_is_undone() {
    for strategy in [Strategy::Squash, Strategy::Merge, Strategy::Rebase] {
        let bench = Bench::new(strategy).await;
        let assigned = bench.attempt("one").await;
        write(&assigned.path, "a.txt", "a");
        bench.sandbox.write("late.txt", "late");
        bench.sandbox.commit_all("Late");
        let made = bench.made(&assigned, "one").await;
        // Before the base moved: what lies in the worktree is older than the commit.
        let again = bench.made(&assigned, "one").await;
        assert_eq!(again.commit, made.commit, "{strategy:?}");
        let swept = bench.worktrees.sweep(&[], NOW).await.unwrap();
        let kept = swept[0].kept.as_ref().unwrap();
        assert_eq!(
            (&kept.branch, &kept.commit),
            (&assigned.branch, &made.commit)
        );
        assert_eq!(bench.forward(&again).await, Forwarded::Moved);
        assert_eq!(bench.sandbox.read("late.txt"), "late");
        assert!(bench.sandbox.read(PLAN).contains("- [x] one"));
        assert!(
            bench
                .worktrees
                .remove_if_merged(&assigned.branch)
                .await
                .unwrap()
        );
        bench.is_clean();
    }
}

#[tokio::test]
async fn after_a_crash_before_the_base_moved_a_row_beside_it_that_was_ticked_meanwhile_is_no_conflict()
 {
    for strategy in [Strategy::Squash, Strategy::Merge, Strategy::Rebase] {
        let bench = Bench::new(strategy).await;
        let one = bench.attempt("one").await;
        let two = bench.attempt("two").await;
        write(&one.path, "a.txt", "a");
        write(&two.path, "b.txt", "b");
        // Both stand on the same base, each with its tick, when the loop is killed.
        let first = bench.made(&one, "one").await;
        bench.made(&two, "two").await;
        assert_eq!(bench.forward(&first).await, Forwarded::Moved);
        let second = bench.made(&two, "two").await;
        assert_eq!(
            bench.forward(&second).await,
            Forwarded::Moved,
            "{strategy:?}"
        );
        bench.is_clean();
        let files = ["a.txt", "b.txt"].map(|name| bench.sandbox.read(name));
        assert_eq!(files, ["a", "b"]);
        let plan = bench.plan("main");
        assert_eq!(
            plan, "# Plan\n\n- [x] one\n- [x] two\r\n- [ ] three",
            "{strategy:?}"
        );
    }
}

#[tokio::test]
async fn after_a_crash_a_plan_that_is_gone_from_the_base_or_ticked_by_hand_stays_so() {
    let bench = Bench::new(Strategy::Squash).await;
    let one = bench.attempt("one").await;
    let two = bench.attempt("two").await;
    write(&one.path, "a.txt", "a");
    write(&two.path, "b.txt", "b");
    bench.made(&one, "one").await;
    bench.made(&two, "two").await;
    let by_hand = "# Plan\n\n- [x] one, by hand\n- [ ] two\r\n- [ ] three\n";
    bench.sandbox.write(PLAN, by_hand);
    bench.sandbox.commit_all("By hand");
    let made = bench.made(&one, "one").await;
    assert_eq!(bench.plan(made.commit.as_str()), by_hand.trim_end());
    bench.sandbox.git(&["rm", "-q", PLAN]);
    bench.sandbox.commit_all("Without a plan");
    let made = bench.made(&one, "one").await;
    let listed = bench
        .sandbox
        .git(&["ls-tree", "-r", "--name-only", made.commit.as_str()]);
    assert!(!listed.contains(PLAN), "{listed}");
    // This one's commit ticks a row of a plan that is gone: that is for the user to decide.
    let work = bench.capture(&two).await;
    let integrated = bench.onto_base(&two, &work, &key("two")).await;
    assert!(matches!(integrated, Integrated::Conflict { paths, .. } if paths == [PLAN]));
}

#[tokio::test]
async fn marks_of_claims_that_somebody_has_committed_are_lifted_with_the_next_tick() {
    let bench = Bench::new(Strategy::Squash).await;
    let assigned = bench.attempt("one").await;
    write(&assigned.path, "a.txt", "a");
    let marked = "# Plan\n\n- [~] one\n- [~] two\r\n- [~] three\n";
    bench.sandbox.write(PLAN, marked);
    bench.sandbox.commit_all("Everything");
    let work = bench.capture(&assigned).await;
    let (row, marks) = (key("one"), [key("one"), key("two")]);
    let tick = Some(Tick {
        path: PLAN,
        row: &row,
        marks: &marks,
    });
    let order = Order {
        assigned: &assigned,
        work: &work,
        message: "ralph: do it",
        tick,
        now: NOW,
    };
    let turn = bench.integrator.turn().await.unwrap();
    let orders = [order];
    let made = bench.integrator.in_line(&turn, &bench.worktrees, &orders);
    let made = made.await.unwrap()[0].clone().unwrap();
    drop(turn);
    assert_eq!(bench.forward(&made).await, Forwarded::Moved);
    assert_eq!(
        bench.plan("main"),
        "# Plan\n\n- [x] one\n- [ ] two\r\n- [~] three"
    );
    bench.is_clean();
}

#[tokio::test]
async fn a_row_that_the_committed_plan_does_not_have_is_no_hindrance() {
    let bench = Bench::new(Strategy::Squash).await;
    let assigned = bench.attempt("new").await;
    write(&assigned.path, "a.txt", "a");
    let made = bench.made(&assigned, "written this morning").await;
    assert!(!made.is_ticked);
    assert_eq!(bench.forward(&made).await, Forwarded::Moved);
    assert!(!bench.plan("main").contains("[x]"));
}

#[tokio::test]
async fn for_a_pull_request_the_branch_has_the_agents_commits_the_rest_and_the_tick() {
    let bench = Bench::new(Strategy::Squash).await;
    let assigned = bench.attempt("one").await;
    write(&assigned.path, "a.txt", "a");
    bench.sandbox.git_at(&assigned.path, &["add", "-A"]);
    bench
        .sandbox
        .git_at(&assigned.path, &["commit", "-q", "-m", "Agent's own"]);
    let row = key("three");
    for _ in 0..2 {
        let work = bench.capture(&assigned).await;
        let order = Order {
            assigned: &assigned,
            work: &work,
            message: "ralph: three",
            tick: Some(Tick {
                path: PLAN,
                row: &row,
                marks: &[],
            }),
            now: NOW,
        };
        bench
            .integrator
            .on_branch(&bench.worktrees, &order)
            .await
            .unwrap();
    }
    let log = bench.sandbox.git(&["log", "--format=%s", &assigned.branch]);
    assert_eq!(log, "ralph: three\nAgent's own\nPlan\nBegin");
    assert!(bench.plan(&assigned.branch).ends_with("- [x] three"));
    bench.is_clean();
}

#[tokio::test]
async fn a_plan_that_is_left_alone_may_have_changes_and_has_to_have_some() {
    let bench = Bench::new(Strategy::Squash).await;
    let assigned = bench.attempt("one").await;
    write(&assigned.path, "a.txt", "a");
    let work = bench.capture(&assigned).await;
    let order = Order {
        assigned: &assigned,
        work: &work,
        message: "ralph: do it",
        tick: None,
        now: NOW,
    };
    let turn = bench.integrator.turn().await.unwrap();
    let integrated = bench.integrator.onto_base(&turn, &bench.worktrees, &order);
    let Integrated::Made(made) = integrated.await.unwrap() else {
        panic!("a conflict");
    };
    drop(turn);
    let left = bench.forward_beside(&made, Some(PLAN)).await;
    assert_eq!(left, Forwarded::Left(Left::PlanIsCommitted));
    let plan = bench.plan("main") + "\nA note.\n";
    bench.sandbox.write(PLAN, &plan);
    bench.sandbox.write("README.md", "mine\n");
    let left = bench.forward_beside(&made, Some(PLAN)).await;
    assert!(matches!(left, Forwarded::Left(Left::Dirty { files, .. }) if files == ["README.md"]));
    bench.sandbox.git(&["checkout", "-q", "--", "README.md"]);
    let moved = bench.forward_beside(&made, Some(PLAN)).await;
    assert_eq!(moved, Forwarded::Moved);
    assert_eq!(bench.sandbox.read(PLAN), plan);
    assert_eq!(bench.sandbox.read("a.txt"), "a");
}

#[tokio::test]
async fn turns_are_taken_one_after_the_other() {
    let bench = Bench::new(Strategy::Squash).await;
    let turn = bench.integrator.turn().await.unwrap();
    let other = bench.integrator.turn();
    tokio::pin!(other);
    let soon = std::time::Duration::from_millis(50);
    assert!(tokio::time::timeout(soon, &mut other).await.is_err());
    drop(turn);
    drop(other.await.unwrap());
}
