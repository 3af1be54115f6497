//! What a script may ask for, what it finds in its environment, and where its logs go.

use std::collections::BTreeMap;

use crate::bed::block_on;
use ralph_core::backend::{ClusterBackend as _, GitCommit, Receipt};
use ralph_core::job::JobState;

use crate::bed::{Bed, DETACHED, accepted, request, script};

/// Submits through a caller whose environment is exactly this.
fn run(bed: &mut Bed, caller: &[&str], directives: &str, body: &str) -> String {
    bed.settings.supervisor.program = "/usr/bin/env".into();
    bed.settings.supervisor.args = ["-i"]
        .iter()
        .chain(caller)
        .chain(&[DETACHED, "job"])
        .map(ToString::to_string)
        .collect();
    let report = bed.end(bed.submit(directives, body));
    let said = bed.read(report.stdout.as_ref().unwrap());
    assert_eq!(report.state, JobState::Completed, "{report:#?}\n{said}");
    said
}

fn variables(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .collect()
}

#[test]
fn slurms_variables_are_the_jobs_own() {
    let mut bed = Bed::new();
    let caller = [
        "PATH=/usr/bin:/bin",
        "SLURM_JOB_ID=99",
        "SLURM_ARRAY_TASK_ID=7",
        "SBATCH_DEBUG=1",
        "TMPDIR=/scratch",
    ];
    let directives = "--job-name=env\n--ntasks=2\n--cpus-per-task=3\n--partition=gpu\n--mem=4G";
    let said = run(&mut bed, &caller, directives, "env | sort");
    let found: Vec<String> = said
        .lines()
        .filter(|line| line.contains("SLURM") || line.contains("SBATCH") || line.contains("TMPDIR"))
        .map(|line| line.replace(&*bed.settings.workspace.to_string_lossy(), "<workspace>"))
        .filter(|line| !line.starts_with("SLURM_JOB_UID="))
        .collect();
    insta::assert_snapshot!(found.join("\n"), @r"
    SLURMD_NODENAME=node1
    SLURM_CLUSTER_NAME=local
    SLURM_CPUS_PER_TASK=3
    SLURM_JOBID=1001
    SLURM_JOB_ID=1001
    SLURM_JOB_NAME=env
    SLURM_JOB_NODELIST=node1
    SLURM_JOB_NUM_NODES=1
    SLURM_JOB_PARTITION=gpu
    SLURM_JOB_USER=tester
    SLURM_LOCALID=0
    SLURM_NNODES=1
    SLURM_NODEID=0
    SLURM_NODELIST=node1
    SLURM_NTASKS=2
    SLURM_PROCID=0
    SLURM_RESTART_COUNT=0
    SLURM_SUBMIT_DIR=<workspace>/projects/demo
    SLURM_SUBMIT_HOST=node1
    TMPDIR=/scratch
    ");
}

#[test]
fn export_decides_what_the_caller_hands_over() {
    let caller = [
        "PATH=/usr/bin:/bin",
        "HOME=/home/me",
        "EDITOR=vi",
        "SECRET=s",
    ];
    let names = |export: &str| {
        let mut bed = Bed::new();
        let said = run(&mut bed, &caller, export, "/usr/bin/env");
        let all = variables(&said);
        ["HOME", "EDITOR", "SECRET", "NEW"]
            .iter()
            .filter_map(|name| Some(format!("{name}={}", all.get(name)?)))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(""), "HOME=/home/me EDITOR=vi SECRET=s");
    assert_eq!(names("--export=ALL"), "HOME=/home/me EDITOR=vi SECRET=s");
    assert_eq!(names("--export=NONE"), "HOME=/home/me");
    assert_eq!(names("--export=NIL"), "");
    assert_eq!(
        names("--export=EDITOR,NEW=1"),
        "HOME=/home/me EDITOR=vi NEW=1"
    );
    assert_eq!(
        names("--export=ALL,EDITOR=ed,NEW=1"),
        "HOME=/home/me EDITOR=vi SECRET=s NEW=1"
    );
}

#[test]
fn the_submissions_own_variables_win() {
    let bed = Bed::new();
    let mut own = request(&script("--export=NONE", "env"));
    own.variables = BTreeMap::from([
        ("LR".into(), "0,1 'x'".into()),
        ("HOME".into(), "/h".into()),
    ]);
    own.git = Some(GitCommit {
        url: "https://example.org/r.git".into(),
        sha: "0".repeat(40),
    });
    let report = bed.end(accepted(&block_on(bed.cluster().submit(&own)).unwrap()));
    let said = bed.read(report.stdout.unwrap());
    let all = variables(&said);
    assert_eq!((all["LR"], all["HOME"]), ("0,1 'x'", "/h"));
    assert_eq!(
        (all["GIT_URL"], all["GIT_SHA"].len()),
        ("https://example.org/r.git", 40)
    );
    assert_eq!(all["RALPH_TOKEN"], own.token.as_str());
    assert_eq!(all["RALPH_RUN_ID"], own.run.as_str());
}

#[test]
fn logs_go_where_the_script_says() {
    for (directives, out, err) in [
        (
            "",
            "slurm/logs/q001.sbatch_1001.out",
            "slurm/logs/q001.sbatch_1001.err",
        ),
        (
            "--output=a/%x-%j-%u.log\n-J train",
            "a/train-1001-tester.log",
            "a/train-1001-tester.log",
        ),
        (
            "--output=%N_%6j.out\n--error=%%.err",
            "node1_001001.out",
            "%.err",
        ),
        (
            "--error=only.err\n-J x",
            "slurm/logs/x_1001.out",
            "only.err",
        ),
        (
            "--output=projects/demo/slurm/logs/%j.out",
            "slurm/logs/1001.out",
            "slurm/logs/1001.out",
        ),
    ] {
        let bed = Bed::new();
        let report = bed.end(bed.submit(directives, "echo out; echo err >&2"));
        assert_eq!(report.state, JobState::Completed, "{directives}");
        let path = |path: &str| Some(bed.project().join(path).to_string_lossy().into_owned());
        assert_eq!(
            (&report.stdout, &report.stderr),
            (&path(out), &path(err)),
            "{directives}"
        );
        if out == err {
            assert_eq!(bed.read(out), "out\nerr\n");
        } else {
            assert_eq!(
                (bed.read(out), bed.read(err)),
                ("out\n".into(), "err\n".into())
            );
        }
    }
}

#[test]
fn logs_are_appended_to_or_begun_anew() {
    let bed = Bed::new();
    let run = |mode: &str, word: &str| {
        bed.end(bed.submit(&format!("--output=log\n{mode}"), &format!("echo {word}")));
        bed.read("log")
    };
    assert_eq!(run("", "one"), "one\n");
    assert_eq!(run("--open-mode=append", "two"), "one\ntwo\n");
    assert_eq!(run("--open-mode=truncate", "three"), "three\n");
}

#[test]
fn the_working_folder() {
    let bed = Bed::new();
    let folder = |directives: &str| {
        let report = bed.end(bed.submit(directives, "pwd; echo $SLURM_SUBMIT_DIR"));
        let said = bed.read(report.stdout.unwrap());
        said.replace(&*bed.settings.workspace.to_string_lossy(), "W")
    };
    std::fs::create_dir(bed.project().join("sub")).unwrap();
    assert_eq!(folder(""), "W/projects/demo\nW/projects/demo\n");
    assert_eq!(folder("--output=projects/demo/x.out"), "W\nW\n");
    assert_eq!(
        folder("--chdir=sub"),
        "W/projects/demo/sub\nW/projects/demo\n"
    );
    assert_eq!(folder("-D /\n-o /dev/null\n-e /dev/null"), "");
    assert_eq!(
        folder("--chdir=sub\n--output=rel.out"),
        "W/projects/demo/sub\nW/projects/demo\n"
    );
    assert!(bed.has("sub/rel.out"));
}

#[test]
fn any_interpreter_with_one_argument() {
    let bed = Bed::new();
    let script = "#!/usr/bin/env -S bash -eu\n#SBATCH -o log\necho \"$0\" | grep -c '/script$'\nfalse\necho never\n";
    let job = accepted(&block_on(bed.cluster().submit(&request(script))).unwrap());
    assert_eq!(bed.end(job).state, JobState::Failed);
    assert_eq!(bed.read("log"), "1\n");
}

#[test]
fn what_can_never_run_is_refused_with_its_line() {
    let bed = Bed::new();
    let refusal = |text: &str| match block_on(bed.cluster().submit(&request(text))).unwrap() {
        Receipt::Refused { message, limit } => {
            assert!(!limit);
            message
        }
        other => panic!("{text}: {other:?}"),
    };
    let mut all = vec![
        refusal("echo no shebang\n"),
        refusal(""),
        refusal("#!/bin/bash\r\necho dos\r\n"),
        refusal("#!  \ntrue\n"),
    ];
    for directives in [
        "--time=soon",
        "-J x\n--array=5-1",
        "--array=0-1001",
        "--dependency=afterok:4711",
        "--dependency=aftercorr:1",
        "--nodes=2",
        "--open-mode=sideways",
        "--chdir=/nowhere",
        "--export=A-B=1",
        "--output",
        "-c many",
        "--begin=now+1hour",
        "--hold",
    ] {
        all.push(refusal(&script(directives, "true")));
    }
    let mut bad = request(&script("", "true"));
    bad.variables.insert("A B".into(), String::new());
    let Receipt::Refused { message, .. } = block_on(bed.cluster().submit(&bad)).unwrap() else {
        panic!("accepted");
    };
    all.push(message);
    insta::assert_snapshot!(all.join("\n"), @r"
    slurm/jobs/q001.sbatch: this is no batch script: expected `#!` and the path of an interpreter in the first line, such as `#!/bin/bash`, found `echo no shebang`
    slurm/jobs/q001.sbatch: this is no batch script: expected `#!` and the path of an interpreter in the first line, such as `#!/bin/bash`, found ``
    slurm/jobs/q001.sbatch: the lines end as on DOS (`\r\n`): convert the script to Unix line ends, such as with `sed -i 's/\r$//'`
    slurm/jobs/q001.sbatch: the first line names no interpreter after `#!`
    slurm/jobs/q001.sbatch: line 2: --time: `soon` is not a time limit (minutes, m:s, h:m:s, d-h, d-h:m, d-h:m:s)
    slurm/jobs/q001.sbatch: line 3: --array: the range `5-1` runs backwards
    slurm/jobs/q001.sbatch: line 2: --array: the largest index is 1000 (MaxArraySize 1001)
    slurm/jobs/q001.sbatch: job dependency problem: waits for the end of 4711, which this cluster does not know
    slurm/jobs/q001.sbatch: line 2: --dependency: `aftercorr` is none of after, afterany, afterok, afternotok and singleton, which the embedded cluster offers
    slurm/jobs/q001.sbatch: line 2: --nodes: `2` nodes; the embedded cluster has one
    slurm/jobs/q001.sbatch: line 2: --open-mode: `sideways` is neither append nor truncate
    slurm/jobs/q001.sbatch: the job's folder /nowhere does not exist
    slurm/jobs/q001.sbatch: line 2: --export: `A-B` in `A-B=1` is not a variable's name
    slurm/jobs/q001.sbatch: line 2: --output needs a value
    slurm/jobs/q001.sbatch: line 2: --cpus-per-task: `many` is not a number above zero
    slurm/jobs/q001.sbatch: line 2: --begin is not offered by the embedded cluster, and without it the job would do something else
    slurm/jobs/q001.sbatch: line 2: --hold is not offered by the embedded cluster, and without it the job would do something else
    slurm/jobs/q001.sbatch: `A B` cannot be a variable of a job: a name has letters, digits and `_`, a value has no NUL
    ");
    assert!(block_on(bed.cluster().jobs()).unwrap().is_empty());
}

#[test]
fn what_means_nothing_here_is_remarked() {
    let bed = Bed::new();
    let receipt = bed.try_submit(
        "--gres=gpu:1\n--mem=8G\n--partition=x\n--time=1\n--mem=9G",
        "true",
    );
    let Receipt::Accepted { remarks, job, .. } = receipt else {
        panic!("{receipt:?}");
    };
    assert_eq!(
        remarks,
        "without meaning on the embedded cluster: --gres --mem --partition"
    );
    bed.end(job);
}
