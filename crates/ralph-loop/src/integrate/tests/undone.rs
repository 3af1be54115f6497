//! A fast-forward that git fails to bring to its end: the checkout is as it was, and the reason is git's own.

use super::*;

/// Puts something in git's way that it meets only after it has written files; what is in git's words, and how it goes
/// away again.
fn obstruct(bench: &Bench, case: &str) -> &'static str {
    match case {
        "HEAD.lock" | "refs/heads/main.lock" => {
            bench.sandbox.write(&format!(".git/{case}"), "");
            ".lock"
        }
        "log" => {
            let log = bench.sandbox.top().join(".git/logs/HEAD");
            fs::remove_file(log).unwrap();
            bench.sandbox.write(".git/logs/HEAD/in/the/way", "");
            "logs/HEAD"
        }
        _ => {
            bench
                .sandbox
                .write(".git/info/attributes", "z.bin filter=bad\n");
            bench.sandbox.git(&["config", "filter.bad.smudge", "false"]);
            bench
                .sandbox
                .git(&["config", "filter.bad.required", "true"]);
            "smudge filter"
        }
    }
}

fn clear(bench: &Bench, case: &str) {
    let git_dir = bench.sandbox.top().join(".git");
    match case {
        "log" => fs::remove_dir_all(git_dir.join("logs/HEAD")).unwrap(),
        "filter" => fs::remove_file(git_dir.join("info/attributes")).unwrap(),
        lock => fs::remove_file(git_dir.join(lock)).unwrap(),
    }
}

#[tokio::test]
async fn what_git_had_written_when_it_failed_is_taken_back() {
    for case in ["HEAD.lock", "refs/heads/main.lock", "log", "filter"] {
        let bench = Bench::new(Strategy::Squash).await;
        for path in ["gone", "folder/gone", "script", "with a space"] {
            bench.sandbox.write(path, "before\n");
        }
        bench.sandbox.commit_all("Files");
        let assigned = bench.attempt("one").await;
        fs::remove_file(assigned.path.join("gone")).unwrap();
        // A file takes the place of a folder.
        fs::remove_dir_all(assigned.path.join("folder")).unwrap();
        write(&assigned.path, "folder", "a file\n");
        write(&assigned.path, "new/in/a/folder", "x\n");
        write(&assigned.path, "script", "after\n");
        write(&assigned.path, "with a space", "after\n");
        write(&assigned.path, "z.bin", "z\n");
        bench.sandbox.write("mine.txt", "mine");
        let made = bench.made(&assigned, "one").await;
        let base = bench.sandbox.git(&["rev-parse", "main"]);
        let words = obstruct(&bench, case);
        // The same each time: a spoiled checkout would be called dirty.
        for _ in 0..2 {
            let left = bench.forward(&made).await;
            let Forwarded::Left(Left::Refused { reason }) = left else {
                panic!("{case}: {left:?}");
            };
            assert!(reason.contains(words), "{case}: {reason}");
            assert!(!reason.contains("not put back"), "{case}: {reason}");
            assert_eq!(bench.sandbox.git(&["status", "--porcelain"]), "?? mine.txt");
            assert_eq!(bench.sandbox.git(&["rev-parse", "main"]), base);
            assert_eq!(bench.sandbox.read(PLAN).matches("[x]").count(), 0);
            assert!(!bench.sandbox.top().join("new").exists(), "{case}");
        }
        clear(&bench, case);
        assert_eq!(bench.forward(&made).await, Forwarded::Moved, "{case}");
        assert_eq!(bench.sandbox.git(&["status", "--porcelain"]), "?? mine.txt");
        assert_eq!(bench.sandbox.read("z.bin"), "z\n");
    }
}

#[tokio::test]
async fn a_file_of_the_users_stays_though_it_reads_like_the_agents() {
    let bench = Bench::new(Strategy::Squash).await;
    let assigned = bench.attempt("one").await;
    write(&assigned.path, "a.txt", "the same");
    write(&assigned.path, "README.md", "other\n");
    let made = bench.made(&assigned, "one").await;
    bench.sandbox.write("a.txt", "the same");
    let left = bench.forward(&made).await;
    assert!(
        matches!(left, Forwarded::Left(Left::Refused { .. })),
        "{left:?}"
    );
    assert_eq!(bench.sandbox.git(&["status", "--porcelain"]), "?? a.txt");
    assert_eq!(bench.sandbox.read("a.txt"), "the same");
}
