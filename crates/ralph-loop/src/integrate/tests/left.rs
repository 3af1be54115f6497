//! A base that the user amends or sets back while an agent works: what was taken out of it stays out.

use super::*;

const ALL: [Strategy; 3] = [Strategy::Squash, Strategy::Merge, Strategy::Rebase];

/// A base with a commit that is to go, on top of the plan.
async fn with_secret(strategy: Strategy) -> Bench {
    let bench = Bench::new(strategy).await;
    bench.sandbox.write("good", "good");
    bench.sandbox.write("secret", "secret");
    bench.sandbox.commit_all("Good and secret");
    bench
}

/// The two ways in which the user takes it out again.
fn take_out(bench: &Bench, is_amended: bool) {
    if is_amended {
        bench.sandbox.git(&["rm", "-q", "secret"]);
        bench
            .sandbox
            .git(&["commit", "-q", "--amend", "--allow-empty", "-m", "Good"]);
    } else {
        bench.sandbox.git(&["reset", "-q", "--hard", "HEAD~1"]);
    }
}

/// The base has the work and its tick, and neither in its files nor in its history what was taken out.
fn has_only_the_work(bench: &Bench, case: &str) {
    let history = ["log", "-m", "--format=", "--name-only", "main"];
    let history = bench.sandbox.git(&history);
    assert!(!history.contains("secret"), "{case}: {history}");
    assert!(!bench.sandbox.top().join("secret").exists(), "{case}");
    assert_eq!(bench.sandbox.read("a.txt"), "a", "{case}");
    assert!(bench.plan("main").contains("- [x] one"), "{case}");
    bench.is_clean();
}

#[tokio::test]
async fn what_is_taken_out_of_the_base_while_an_agent_works_stays_out() {
    for (strategy, is_amended) in ALL.map(|one| [(one, true), (one, false)]).concat() {
        for has_commits in [false, true] {
            let case = format!("{strategy:?}, amended {is_amended}, commits {has_commits}");
            let bench = with_secret(strategy).await;
            let assigned = bench.attempt("one").await;
            write(&assigned.path, "a.txt", "a");
            if has_commits {
                for command in [&["add", "-A"][..], &["commit", "-q", "-m", "Own"]] {
                    bench.sandbox.git_at(&assigned.path, command);
                }
            }
            take_out(&bench, is_amended);
            let made = bench.made(&assigned, "one").await;
            assert_eq!(bench.forward(&made).await, Forwarded::Moved, "{case}");
            has_only_the_work(&bench, &case);
        }
    }
}

#[tokio::test]
async fn it_stays_out_where_the_commit_was_made_before_a_crash() {
    for (strategy, is_amended) in ALL.map(|one| [(one, true), (one, false)]).concat() {
        let case = format!("{strategy:?}, amended {is_amended}");
        let bench = Bench::new(strategy).await;
        let assigned = bench.attempt("one").await;
        write(&assigned.path, "a.txt", "a");
        // It came after the start, and the work was put on top of it.
        bench.sandbox.write("secret", "secret");
        bench.sandbox.commit_all("Secret");
        let made = bench.made(&assigned, "one").await;
        assert!(bench.capture(&assigned).await.is_committed);
        take_out(&bench, is_amended);
        assert_eq!(bench.forward(&made).await, Forwarded::Left(Left::BaseMoved));
        let again = bench.made(&assigned, "one").await;
        assert_eq!(bench.forward(&again).await, Forwarded::Moved, "{case}");
        has_only_the_work(&bench, &case);
    }
}

#[tokio::test]
async fn a_change_of_what_was_taken_out_is_a_conflict() {
    for strategy in ALL {
        let bench = with_secret(strategy).await;
        let assigned = bench.attempt("one").await;
        write(&assigned.path, "secret", "changed");
        take_out(&bench, true);
        let work = bench.capture(&assigned).await;
        let integrated = bench.onto_base(&assigned, &work, &key("one")).await;
        assert!(
            matches!(&integrated, Integrated::Conflict { paths, .. } if paths == &["secret"]),
            "{strategy:?}: {integrated:?}"
        );
    }
}

#[tokio::test]
async fn an_agent_that_goes_back_takes_nothing_out_of_the_base() {
    for strategy in ALL {
        for has_commits in [false, true] {
            let case = format!("{strategy:?}, commits {has_commits}");
            let bench = with_secret(strategy).await;
            let assigned = bench.attempt("one").await;
            let run = |words: &[&str]| bench.sandbox.git_at(&assigned.path, words);
            run(&["reset", "-q", "--hard", "HEAD~1"]);
            write(&assigned.path, "a.txt", "a");
            if has_commits {
                run(&["add", "-A"]);
                run(&["commit", "-q", "-m", "Own"]);
            }
            let made = bench.made(&assigned, "one").await;
            assert_eq!(bench.forward(&made).await, Forwarded::Moved, "{case}");
            for (path, text) in [("secret", "secret"), ("good", "good"), ("a.txt", "a")] {
                assert_eq!(bench.sandbox.read(path), text, "{case}");
            }
            assert!(bench.plan("main").contains("- [x] one"), "{case}");
            bench.is_clean();
        }
    }
}

/// The branch for a pull request, merged into the base as a forge does it.
async fn merge_branch(bench: &Bench, assigned: &Assigned, work: &Work) {
    let row = key("one");
    let order = Order {
        assigned,
        work,
        message: "ralph: do it",
        tick: Some(Tick {
            path: PLAN,
            row: &row,
            marks: &[],
        }),
        now: NOW,
    };
    let made = bench.integrator.on_branch(&bench.worktrees, &order);
    let made = made.await.unwrap();
    let merge = ["merge", "-q", "--no-edit", made.as_str()];
    bench.sandbox.git(&merge);
    assert!(bench.plan("main").contains("- [x] one"));
    bench.is_clean();
}

/// The commit of the work alone, after which the loop is killed.
async fn recalled(bench: &Bench, assigned: &Assigned, work: &Work) -> Work {
    let (worktrees, message) = (&bench.worktrees, "ralph: do it");
    let made = worktrees.commit(assigned, work, message, Vec::new(), NOW);
    made.await.unwrap();
    let work = bench.capture(assigned).await;
    assert!(work.is_committed);
    work
}

#[tokio::test]
async fn a_branch_for_a_pull_request_has_the_tick_of_a_row_that_is_younger_than_what_it_is_made_on()
{
    for has_crashed in [false, true] {
        let bench = Bench::new(Strategy::Squash).await;
        let assigned = bench.attempt("one").await;
        // The plan came with the last commit.
        let back = ["reset", "-q", "--hard", "HEAD~1"];
        bench.sandbox.git_at(&assigned.path, &back);
        write(&assigned.path, "a.txt", "a");
        let mut work = bench.capture(&assigned).await;
        if has_crashed {
            work = recalled(&bench, &assigned, &work).await;
        }
        let paths: Vec<&str> = work.changes.iter().map(|one| &*one.path).collect();
        assert_eq!(paths, ["a.txt"]);
        merge_branch(&bench, &assigned, &work).await;
        assert_eq!(bench.sandbox.read("a.txt"), "a");
    }
}

#[tokio::test]
async fn a_branch_for_a_pull_request_takes_out_what_was_taken_out_of_an_amended_commit() {
    for has_crashed in [false, true] {
        let bench = with_secret(Strategy::Squash).await;
        let assigned = bench.attempt("one").await;
        let run = |words: &[&str]| bench.sandbox.git_at(&assigned.path, words);
        run(&["rm", "-q", "secret"]);
        run(&["commit", "-q", "--amend", "-m", "Good"]);
        write(&assigned.path, "a.txt", "a");
        let mut work = bench.capture(&assigned).await;
        if has_crashed {
            work = recalled(&bench, &assigned, &work).await;
        }
        merge_branch(&bench, &assigned, &work).await;
        assert_eq!(bench.sandbox.read("good"), "good");
        assert!(!bench.sandbox.top().join("secret").exists());
    }
}

#[tokio::test]
async fn an_agent_that_goes_back_and_touches_all_that_it_has_left_takes_nothing_out_either() {
    let back = [
        &["reset", "-q", "--hard", "HEAD~1"][..],
        &["checkout", "-q", "-b", "other", "HEAD~1"],
    ];
    for strategy in ALL {
        for (back, has_commits) in back.into_iter().zip([false, true]) {
            let case = format!("{strategy:?}, {back:?}, commits {has_commits}");
            let bench = with_line_of_the_users(strategy).await;
            let assigned = bench.attempt("one").await;
            let run = |words: &[&str]| bench.sandbox.git_at(&assigned.path, words);
            run(back);
            write(&assigned.path, "api.txt", "header\none\ntwo\nthree\n");
            if has_commits {
                run(&["commit", "-q", "-a", "-m", "Own"]);
            }
            let made = bench.made(&assigned, "one").await;
            assert_eq!(bench.forward(&made).await, Forwarded::Moved, "{case}");
            let text = bench.sandbox.read("api.txt");
            assert_eq!(text, "header\none\ntwo\nthree\ntheirs\n", "{case}");
            assert!(bench.plan("main").contains("- [x] one"), "{case}");
            bench.is_clean();
        }
    }
}

/// A base whose last commit adds a line to a file.
async fn with_line_of_the_users(strategy: Strategy) -> Bench {
    let bench = Bench::new(strategy).await;
    bench.sandbox.write("api.txt", "one\ntwo\nthree\n");
    bench.sandbox.commit_all("Begin");
    bench.sandbox.write("api.txt", "one\ntwo\nthree\ntheirs\n");
    bench.sandbox.commit_all("Theirs");
    bench
}

#[tokio::test]
async fn an_agent_that_goes_back_and_changes_the_same_line_has_a_conflict() {
    for strategy in ALL {
        let bench = with_line_of_the_users(strategy).await;
        let assigned = bench.attempt("one").await;
        let back = ["reset", "-q", "--hard", "HEAD~1"];
        bench.sandbox.git_at(&assigned.path, &back);
        write(&assigned.path, "api.txt", "one\ntwo\nthree\nmine\n");
        let work = bench.capture(&assigned).await;
        let integrated = bench.onto_base(&assigned, &work, &key("one")).await;
        let Integrated::Conflict { commit, paths } = integrated else {
            panic!("{strategy:?}: {integrated:?}");
        };
        assert_eq!(paths, ["api.txt"]);
        let kept = bench.sandbox.git(&["show", &format!("{commit}:api.txt")]);
        assert_eq!(kept, "one\ntwo\nthree\nmine");
    }
}

#[tokio::test]
async fn what_an_agent_takes_out_of_the_commit_that_it_amends_is_out_also_where_the_base_has_moved()
{
    for (strategy, has_moved) in ALL.map(|one| [(one, true), (one, false)]).concat() {
        let case = format!("{strategy:?}, moved {has_moved}");
        let bench = with_secret(strategy).await;
        let assigned = bench.attempt("one").await;
        let run = |words: &[&str]| bench.sandbox.git_at(&assigned.path, words);
        run(&["rm", "-q", "secret"]);
        run(&["commit", "-q", "--amend", "-m", "Good"]);
        if has_moved {
            bench.sandbox.write("late", "late");
            bench.sandbox.commit_all("Late");
        }
        let made = bench.made(&assigned, "one").await;
        assert_eq!(bench.forward(&made).await, Forwarded::Moved, "{case}");
        assert!(!bench.sandbox.top().join("secret").exists(), "{case}");
        assert_eq!(bench.sandbox.read("good"), "good", "{case}");
        assert_eq!(bench.sandbox.top().join("late").exists(), has_moved);
        assert!(bench.plan("main").contains("- [x] one"), "{case}");
        bench.is_clean();
    }
}

#[tokio::test]
async fn what_the_user_wants_of_merges_by_hand_is_not_done_to_the_base() {
    for options in ["--squash", "-s ours", "--no-commit --no-ff"] {
        let bench = Bench::new(Strategy::Squash).await;
        bench
            .sandbox
            .git(&["config", "branch.main.mergeOptions", options]);
        let assigned = bench.attempt("one").await;
        write(&assigned.path, "a.txt", "a");
        let made = bench.made(&assigned, "one").await;
        assert_eq!(bench.forward(&made).await, Forwarded::Moved, "{options}");
        let tip = bench.sandbox.git(&["rev-parse", "main"]);
        assert_eq!(tip, made.commit.as_str(), "{options}");
        bench.is_clean();
    }
}
