//! Files travel when they differ, are never deleted there, and what is excluded stays here.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use ralph_core::backend::{ClusterBackend as _, Receipt};
use ralph_core::store::atomic::move_entry;

use crate::scheduler::Scheduler;
use crate::shared::request;

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::File::create(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

#[tokio::test]
async fn only_what_differs_is_sent_and_nothing_is_deleted() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let here = cluster.workspace().join("projects/demo");
    let there = cluster.root().join("projects/demo");
    for (path, text) in [
        ("experiments/train.py", "one"),
        ("experiments/__pycache__/train.pyc", "no"),
        ("experiments/old.pyc", "no"),
        ("configs/it's a config.json", "{}"),
        ("slurm/jobs/q001.sbatch", "#!/bin/sh\n"),
        ("slurm/logs/q001_1.out", "a log"),
        ("documentation/queue.md", "no"),
    ] {
        put(&here.join(path), text);
    }
    put(
        &there.join("slurm/logs/running.out"),
        "a running job writes here",
    );
    let project = "demo".parse().unwrap();
    let first = backend.synchronise(&project).await.unwrap();
    assert_eq!(
        first,
        [
            "configs/it's a config.json",
            "experiments/train.py",
            "slurm/jobs/q001.sbatch"
        ]
    );
    assert_eq!(
        backend.synchronise(&project).await.unwrap(),
        Vec::<String>::new()
    );

    // Files that were moved to a larger disk are still there.
    let moved = cluster.root().join("scratch");
    move_entry(&there.join("experiments"), &moved).unwrap();
    symlink(&moved, there.join("experiments")).unwrap();
    assert_eq!(
        backend.synchronise(&project).await.unwrap(),
        Vec::<String>::new()
    );

    put(&here.join("experiments/train.py"), "changed");
    fs::remove_file(here.join("slurm/jobs/q001.sbatch")).unwrap();
    assert_eq!(
        backend.synchronise(&project).await.unwrap(),
        ["experiments/train.py"]
    );
    assert_eq!(
        fs::read_to_string(there.join("experiments/train.py")).unwrap(),
        "changed"
    );
    assert!(
        there.join("slurm/jobs/q001.sbatch").exists()
            && there.join("slurm/logs/running.out").exists()
    );
    assert!(!there.join("experiments/old.pyc").exists() && !there.join("documentation").exists());
}

/// A device is the one thing that a test cannot make.
#[tokio::test]
async fn what_cannot_be_sent_is_said_with_its_path() {
    let cluster = Scheduler::new();
    let here = cluster.workspace().join("projects/demo/experiments");
    put(&here.join("train.py"), "one");
    put(&cluster.workspace().join("outside/data.bin"), "data");
    symlink(
        cluster.workspace().join("outside/data.bin"),
        here.join("data.bin"),
    )
    .unwrap();
    symlink(cluster.workspace().join("outside"), here.join("folder")).unwrap();
    symlink("nowhere", here.join("dangling")).unwrap();
    symlink("nowhere", here.join("excluded.pyc")).unwrap();
    put(&here.join(OsStr::from_bytes(b"caf\xe9")), "latin");
    let _socket = std::os::unix::net::UnixListener::bind(here.join("socket")).unwrap();
    let request = request(&cluster.env, "#!/bin/sh\n#SBATCH --time=1\n");
    let receipt = cluster.backend().submit(&request).await.unwrap();
    let Receipt::Accepted { remarks, .. } = receipt else {
        panic!("{receipt:?}")
    };
    let folder = here.display().to_string();
    insta::assert_snapshot!(remarks.replace(&folder, "HERE"), @r#"
    not sent to the cluster: "HERE/caf\xE9": its name is not UTF-8, or holds a line break
    not sent to the cluster: "HERE/dangling": a link that leads nowhere: No such file or directory (os error 2)
    not sent to the cluster: "HERE/folder": a link to a folder
    not sent to the cluster: "HERE/socket": a socket
    "#);
    let there = cluster.root().join("projects/demo/experiments");
    let sent = fs::read_to_string(there.join("data.bin")).unwrap();
    assert_eq!(sent, "data", "a file behind a link is sent as it is");
}

/// Ten bytes that differ, so that pieces in a wrong order show.
fn large(bytes: usize) -> String {
    (0..bytes / 10).map(|at| format!("{at:010}")).collect()
}

#[tokio::test]
async fn a_file_larger_than_a_call_arrives_whole_and_once() {
    let cluster = Scheduler::new();
    let backend = cluster.backend();
    let here = cluster.workspace().join("projects/demo/configs");
    let there = cluster.root().join("projects/demo/configs");
    // Two calls and a bit; exactly two; many small files that are more than one call.
    for (name, bytes) in [("it's large", 17_000_000), ("two calls", 16 << 20)] {
        put(&here.join(name), &large(bytes));
    }
    let text = large(3_000_000);
    for name in ["a", "b", "c", "d"] {
        put(&here.join(name), &text);
    }
    let project = "demo".parse().unwrap();
    let sent = backend.synchronise(&project).await.unwrap();
    assert_eq!(sent.len(), 6);
    for name in ["it's large", "two calls", "a", "d"] {
        assert!(
            fs::read(here.join(name)).unwrap() == fs::read(there.join(name)).unwrap(),
            "{name}"
        );
    }
    assert_eq!(
        fs::read_dir(cluster.root().join(".ralph/parts"))
            .unwrap()
            .count(),
        0
    );
    let again = backend.synchronise(&project).await.unwrap();
    assert_eq!(again, Vec::<String>::new());
}
