//! Everything that keeps an item from being submitted, each with what to mend.

use std::time::Duration;

use super::Bed;
use crate::act::limits;
use crate::act::preflight::prepare;
use crate::process::bounded::tests::guard_program;
use crate::sbatch;
use crate::settings::PartitionPolicy;

/// The problems of an item with these lines and this script.
async fn problems(lines: &str, script: Option<&str>, policy: &PartitionPolicy) -> String {
    let bed = Bed::new();
    bed.project("p", "RUN", &[("Q-001", lines)]);
    let path = bed.path("projects/p/slurm/jobs/q001.sbatch");
    match script {
        Some(script) => bed.write("projects/p/slurm/jobs/q001.sbatch", script),
        None => std::fs::remove_file(path).unwrap(),
    }
    bed.write("projects/p/configs/a.json", "{}\n");
    let queue = bed.read("projects/p/documentation/queue.md");
    let items = ralph_docs::queue::items(&queue);
    let folder = bed.path("projects/p");
    match prepare(&items[0], &items, &folder, None, policy, &guard_program()).await {
        Ok(prepared) => format!("ok {} {:?}", prepared.script_path, prepared.config),
        Err(problems) => problems.join("\n"),
    }
}

const HEAD: &str =
    "#!/bin/bash\n#SBATCH --job-name=q\n#SBATCH --time=02:00:00\n#SBATCH --partition=gpu\n";

#[tokio::test]
async fn every_problem_is_named() {
    let policy = PartitionPolicy::default();
    let good = format!("{HEAD}echo done\n");
    let check = async |lines: &str, script: Option<&str>| problems(lines, script, &policy).await;
    insta::assert_snapshot!(check("- Config: `configs/a.json` (new)\n", Some(&good)).await, @r#"ok slurm/jobs/q001.sbatch Some("{}\n")"#);
    insta::assert_snapshot!(check("", None).await, @"it names no script, and there is no `slurm/jobs/q001.sbatch`; write it, or name one with `- Script:`");
    insta::assert_snapshot!(check("- Script: slurm/jobs/none.sbatch\n", Some(&good)).await, @"slurm/jobs/none.sbatch: there is no such file; write it or correct the item");
    insta::assert_snapshot!(check("- Script: ../../secret.sh\n", Some(&good)).await, @"../../secret.sh: expected a path inside the project");
    insta::assert_snapshot!(check("- Config: configs/none.json\n", Some(&good)).await, @"configs/none.json: there is no such file; write it or correct the item");
    insta::assert_snapshot!(check("- Config: /etc/hostname\n", Some(&good)).await, @"/etc/hostname: expected a path inside the project");
    let broken = good.replace("echo", "echo '${X:?it's'}");
    let said = check("", Some(&broken)).await;
    assert!(
        said.starts_with("slurm/jobs/q001.sbatch: bash cannot parse it: "),
        "{said}"
    );
    insta::assert_snapshot!(check("", Some("")).await, @"slurm/jobs/q001.sbatch:1: expected `#!` and a shell on the first line");
}

#[tokio::test]
async fn the_shell_that_the_script_names_checks_it() {
    let policy = PartitionPolicy::default();
    let with = async |first: &str, body: &str| {
        let script = HEAD.replace("#!/bin/bash", first) + body;
        problems("", Some(&script), &policy).await
    };
    let broken = "if true; then\n";
    for shell in [
        "#!/bin/bash -l",
        "#!/usr/bin/env bash",
        "#!/usr/bin/env -S bash -e",
        "#!/bin/sh",
        "#!/bin/bash",
    ] {
        assert!(
            with(shell, broken).await.contains("cannot parse it"),
            "{shell}"
        );
        assert!(with(shell, "echo\n").await.starts_with("ok"), "{shell}");
    }
    // Another language ending in `sh` is not checked by a shell that does not know it.
    for other in ["#!/bin/tcsh", "#!/usr/bin/fish", "#!/usr/bin/env zsh"] {
        assert!(
            !with(other, "set x = ( a b )\n")
                .await
                .contains("cannot parse"),
            "{other}"
        );
    }
}

#[tokio::test]
async fn the_partition_policy_of_the_workspace_holds() {
    let script = format!("{HEAD}echo\n");
    let with =
        async |policy: &PartitionPolicy, script: &str| problems("", Some(script), policy).await;
    let mut policy = PartitionPolicy::default();
    policy.deny.push("gpu".to_owned());
    insta::assert_snapshot!(with(&policy, &script).await, @"slurm/jobs/q001.sbatch: partition gpu is not allowed by `partitions` in config.json");
    let mut policy = PartitionPolicy::default();
    policy.allow.push("cpu".to_owned());
    insta::assert_snapshot!(with(&policy, &script.replace("=gpu", "=cpu,gpu")).await, @"slurm/jobs/q001.sbatch: partition gpu is not allowed by `partitions` in config.json");
    insta::assert_snapshot!(with(&policy, &script.replace("#SBATCH --partition=gpu\n", "")).await, @"slurm/jobs/q001.sbatch: names no partition, and `partitions.allow` in config.json asks for one");
    assert!(
        with(&policy, &script.replace("=gpu", "=cpu"))
            .await
            .starts_with("ok")
    );
    let mut policy = PartitionPolicy::default();
    policy
        .max_time
        .insert("gpu".to_owned(), Duration::from_secs(3_600));
    insta::assert_snapshot!(with(&policy, &script).await, @"slurm/jobs/q001.sbatch: --time is above the 1 h that `partitions.max_time` allows in gpu");
    assert!(
        with(&policy, &script.replace("02:00", "01:00"))
            .await
            .starts_with("ok")
    );
    // The last one counts, as for sbatch, and each component of a heterogeneous job for itself.
    let twice = script.replace("echo", "#SBATCH -p cpu\necho");
    assert!(with(&policy, &twice).await.starts_with("ok"));
    policy.deny = vec!["cpu".to_owned(), "gpu".to_owned()];
    let further = script.replace("02:00", "01:00");
    let further = further.replace("echo", "#SBATCH hetjob\n#SBATCH -p cpu\necho");
    insta::assert_snapshot!(with(&policy, &further).await, @r"
    slurm/jobs/q001.sbatch: partition gpu is not allowed by `partitions` in config.json
    slurm/jobs/q001.sbatch: partition cpu is not allowed by `partitions` in config.json
    ");
}

#[test]
fn an_array_needs_room_for_all_its_tasks() {
    let mut policy = PartitionPolicy::default();
    policy.max_submit.insert("gpu".to_owned(), 4);
    let live = [("gpu".to_owned(), 2)].into();
    let full = |more: &str| {
        limits::full(
            &sbatch::parse(&format!("{HEAD}{more}echo\n")),
            &policy,
            &live,
        )
    };
    assert_eq!(full(""), None);
    assert_eq!(full("#SBATCH --array=0-1%1\n"), None);
    insta::assert_snapshot!(full("#SBATCH --array=0-2\n").unwrap_or_default(), @"2 of at most 4 jobs (`partitions.max_submit`) are in partition gpu, and it needs 3");
}
