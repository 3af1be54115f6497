//! Files travel when they differ, are never deleted there, and what is excluded stays here.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use ralph_core::store::atomic::move_entry;

use crate::scheduler::Scheduler;

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
