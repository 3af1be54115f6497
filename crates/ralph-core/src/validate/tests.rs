//! Projects in one text each: `//- path` starts a file. What is found is shown as one line per finding.

#![expect(clippy::print_stderr, reason = "a skipped test says so aloud")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

/// A project with all folders and documents of the contract, and these files.
fn project(fixture: &str) -> ProjectFiles {
    let mut files = BTreeMap::new();
    for part in fixture.split("//- ").skip(1) {
        let (path, text) = part.split_once('\n').unwrap();
        files.insert(path.trim().to_owned(), Some(text.as_bytes().to_vec()));
    }
    let contract = [
        ".state/pipeline.json",
        "documentation/debugging.md",
        "documentation/implementation-todo.md",
        "documentation/queue.md",
        "configs",
        "experiments",
        "results",
        "runs",
        "slurm/jobs",
        "slurm/logs",
    ];
    let names = contract
        .iter()
        .map(|name| (*name).to_owned())
        .chain(files.keys().cloned())
        .collect();
    ProjectFiles {
        slug: "demo".parse().unwrap(),
        files,
        names,
        project_list: None,
        lock_ignored: Some(true),
        now: "2026-08-01T12:00:00Z".parse().unwrap(),
        zone: TimeZone::UTC,
    }
}

fn shown(findings: &[Finding]) -> String {
    let place = |number: Option<usize>| number.map_or("-".to_owned(), |number| number.to_string());
    let lines = findings.iter().map(|found| {
        let severity = if found.severity == Severity::Error {
            "E"
        } else {
            "w"
        };
        format!(
            "{severity} {}:{}:{} {}: {} | {}",
            found.path,
            place(found.line),
            place(found.column),
            found.code,
            found.message,
            found.fix
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn check(fixture: &str) -> String {
    shown(&check_project(&project(fixture)))
}

fn codes(fixture: &str) -> Vec<&'static str> {
    check_project(&project(fixture))
        .into_iter()
        .map(|found| found.code)
        .collect()
}

const CLEAN: &str = r#"//- .state/pipeline.json
{
  "project": "demo",
  "phase": "WAIT_SLURM",
  "next_action": null,
  "needs_user_input": {"value": false, "prompt": ""},
  "active_runs": [
    {"run_id": "q001_20260731_120000", "experiment": "Q-001", "status": "running", "job_id": "4711", "submitted_at": "2026-07-31T12:00:00Z"}
  ],
  "completed_runs": [],
  "slurm_wait": {"next_poll_after": "2027-01-01T00:00:00Z", "poll_interval_seconds": 900, "last_polled_at": null},
  "events": [{"id": "evt-0001", "ts": "2026-07-31T12:00:00Z", "action": "RUN"}]
}
//- runs/q001_20260731_120000/submit.json
{"run_id": "q001_20260731_120000", "job_id": "4711", "status": "running", "submitted_at": "2026-07-31T12:00:00Z"}
//- slurm/jobs/q001.sbatch
#!/bin/bash
#SBATCH --job-name=q001
#SBATCH --output=slurm/logs/%x_%j.out
#SBATCH --error=/dev/null
set -euo pipefail
python a.py | tee log.txt
"#;

#[test]
fn a_project_that_keeps_the_contract_has_no_findings() {
    insta::assert_snapshot!(check(CLEAN), @"");
}

#[test]
fn a_list_of_runs_in_another_form_is_named_and_may_be_missing() {
    let without = CLEAN.replacen("  \"completed_runs\": [],\n", "", 1);
    assert_eq!(codes(&without), [""; 0]);
    for list in ["completed_runs", "cancelled_runs"] {
        let with =
            |value: &str| without.replacen("{\n", &format!("{{\n  \"{list}\": {value},\n"), 1);
        assert_eq!(codes(&with("null")), [""; 0], "{list}");
        assert_eq!(codes(&with("\"none yet\"")), ["wrong_type"], "{list}");
        assert_eq!(codes(&with("{}")), ["wrong_type"], "{list}");
    }
}

#[test]
fn a_file_of_a_newer_version_is_named_because_no_step_of_it_can_be_recorded() {
    let with = |member: &str| CLEAN.replacen("{\n", &format!("{{\n  {member},\n"), 1);
    for newer in [
        "\"schema_version\": 2",
        "\"ralph\": {\"format\": 1.5}",
        "\"schema_version\": 1, \"ralph\": {\"format\": 9}",
    ] {
        assert_eq!(codes(&with(newer)), ["newer_format"], "{newer}");
    }
    for ours in [
        "\"schema_version\": 1",
        "\"schema_version\": \"9\"",
        "\"ralph\": 9",
    ] {
        assert_eq!(codes(&with(ours)), [""; 0], "{ours}");
    }
}

#[test]
fn the_state_file_and_its_runs() {
    let fixture = r#"//- .state/pipeline.json
{
  "project": "<slug>",
  "phase": "RUN of the sweep",
  "next_action": 3,
  "needs_user_input": true,
  "active_runs": [
    {"run_id": "a", "experiment": "x", "status": "failed", "job_id": "101"},
    {"run_id": "b", "status": "pending", "job_id": "PENDING"},
    "loose"
  ],
  "completed_runs": [
    {"run_id": "a", "job_id": "101", "status": "completed"},
    {"run_id": "c", "job_id": 102, "status": "running"},
    {"run_id": "d", "job_id": "103,104_2", "status": "completed", "completed_at": "2026-07-01"},
    {"run_id": "e", "job_id": "job", "status": "failed", "failed_at": "2026-08-06T14:XX:00-04:00"},
    {"run_id": "f", "job_id": "1051234", "status": "timeout", "submitted_at": "2026-09-01T00:00:00Z"}
  ],
  "slurm_wait": {"poll_interval_seconds": 0},
  "slurm_wait": 900,
  "events": [{"id": "evt-1", "ts": "soon"}, {"id": "evt-1"}]
}
"#;
    insta::assert_snapshot!(check(fixture), @r#"
        w .state/pipeline.json:2:14 wrong_project: expected the folder's name `demo` in `project`, found `<slug>` | Write the folder's name.
        w .state/pipeline.json:3:12 foreign_phase: the phase `RUN of the sweep` is not one of the machine's; it is kept and never stepped | Use IDLE, INIT, IMPLEMENT, TEST, RUN, WAIT_SLURM, CHECK, DEBUG, DEBATE or DONE to let `ralph dispatch` step it.
        E .state/pipeline.json:4:18 wrong_type: expected an object or a text or null in `next_action`, found a number | Correct the value; older readers stop at it.
        w .state/pipeline.json:5:23 wrong_type: expected an object in `needs_user_input`, found true or false | Correct the value; older readers stop at it.
        w .state/pipeline.json:7:5 ended_run_active: the run a has ended and still stands in `active_runs` | The next verification moves it to `completed_runs`.
        w .state/pipeline.json:7:5 run_without_ledger: the run `a` has no ledger `runs/a/submit.json` | Write the ledger; it is how a lost record is found again.
        w .state/pipeline.json:8:5 missing_run_key: a run in `active_runs` has no `experiment` | Add it; it is part of the contract for live runs.
        w .state/pipeline.json:8:5 run_without_ledger: the run `b` has no ledger `runs/b/submit.json` | Write the ledger; it is how a lost record is found again.
        w .state/pipeline.json:8:52 placeholder_job_id: `job_id` is the placeholder `PENDING` | Write null until the scheduler has given an id.
        E .state/pipeline.json:9:5 run_not_an_object: expected an object in `active_runs`, found a text | Write the run as an object with `run_id`, `job_id` and `status`.
        E .state/pipeline.json:12:5 run_in_both_lists: the run a stands in `active_runs` and in `completed_runs`, first on line 7 | Keep the one that is true.
        E .state/pipeline.json:12:5 two_ends: the job 101 is recorded as failed and as completed | Ask accounting how it ended, and correct the wrong record.
        E .state/pipeline.json:13:5 live_run_completed: the run c is live and stands in `completed_runs`, where nobody polls it | Move it to `active_runs`, or record how it ended.
        w .state/pipeline.json:14:83 time_without_zone: `completed_at` is `2026-07-01`, which has no time zone | Take times from the clock or from accounting, in UTC; write null until one is known.
        E .state/pipeline.json:15:31 implausible_job_id: expected a job id such as `123` or `123_4` in `job_id`, found `job` | Take the id from the scheduler's answer; an id is never typed or computed.
        E .state/pipeline.json:15:71 invented_time: `failed_at` is `2026-08-06T14:XX:00-04:00`, which nobody measured | Take times from the clock or from accounting, in UTC; write null until one is known.
        w .state/pipeline.json:16:5 job_id_out_of_line: the job id 1051234 has more digits than all 5 others | Compare it with the scheduler's record.
        w .state/pipeline.json:16:79 time_in_future: `submitted_at` is `2026-09-01T00:00:00Z`, which is still to come; perhaps local time marked as UTC | Take times from the clock or from accounting, in UTC; write null until one is known.
        E .state/pipeline.json:19:3 duplicate_key: the key `slurm_wait` stands twice in one object, first on line 18 | Merge both values into one; readers disagree about which of them counts.
        w .state/pipeline.json:19:17 wrong_type: expected an object in `slurm_wait`, found a number | Correct the value; older readers stop at it.
        w .state/pipeline.json:20:36 unreadable_time: `ts` is `soon`, which is no time | Take times from the clock or from accounting, in UTC; write null until one is known.
        w .state/pipeline.json:20:45 duplicate_event: the event id `evt-1` is used twice | Give the later event the next free number; events are only ever appended.
        "#);
}

#[test]
fn broken_json_is_named_with_its_place() {
    let trailing = "//- .state/pipeline.json\n{\n  \"active_runs\": [\n    {\"a\": 1},\n  ]\n}\n";
    insta::assert_snapshot!(check(trailing), @r#"E .state/pipeline.json:3:13 trailing_comma: there is a comma before the closing bracket | Remove the comma (`ralph validate --repair` does just that)."#);
    insta::assert_snapshot!(check("//- .state/pipeline.json\n{\"é\": 1 \"b\": 2}"), @r#"E .state/pipeline.json:1:8 corrupt_json: this is no JSON: expected a comma after the value, found `"b"` directly after it | Add a comma at line 1, column 8."#);
    assert_eq!(codes("//- .state/pipeline.json\n[1]"), ["not_an_object"]);
    let mut latin = project("//- .state/pipeline.json\n{}");
    latin
        .files
        .insert(PIPELINE.to_owned(), Some(b"{\n\"a\": \"\xe9\"}".to_vec()));
    let found = check_project(&latin);
    assert_eq!(
        found
            .first()
            .map(|found| (found.code, found.line, found.column)),
        Some(("invalid_utf8", Some(2), Some(7)))
    );
    latin.files.insert(PIPELINE.to_owned(), None);
    assert_eq!(
        check_project(&latin).first().map(|found| found.code),
        Some("unreadable")
    );
}

#[test]
fn phases_and_live_runs_fit() {
    let with = |phase: &str| CLEAN.replace("WAIT_SLURM", phase);
    assert_eq!(codes(&with("DONE")), ["live_runs_unattended"]);
    assert_eq!(codes(&with("CHECK")), [""; 0]);
    let ended = CLEAN.replace("\"running\", \"job_id\"", "\"cancelled\", \"job_id\"");
    assert_eq!(
        codes(&ended),
        [
            "nothing_to_wait_for",
            "ended_run_active",
            "ledger_disagrees"
        ]
    );
    // How it ended stands beside the ledger of its submission.
    let settled = format!("{ended}//- runs/q001_20260731_120000/result.json\n{{}}\n");
    assert_eq!(codes(&settled), ["nothing_to_wait_for", "ended_run_active"]);
}

#[test]
fn a_run_has_ended_where_a_dispatch_takes_it_as_ended() {
    let with =
        |status: &str| CLEAN.replace("\"running\", \"job_id\"", &format!("{status}, \"job_id\""));
    for live in ["null", "\"completed 3/8 tasks\"", "\"thinking\""] {
        assert_eq!(codes(&with(live)), [""; 0], "{live}");
    }
    for ended in ["\"crashed\"", "\"OUT_OF_MEMORY\"", "\"done\""] {
        let found = codes(&with(ended));
        assert!(found.contains(&"ended_run_active"), "{ended}: {found:?}");
    }
}

#[test]
fn ledgers_are_compared_with_the_state() {
    let fixture = format!(
        "{CLEAN}//- runs/r2/submit.json\n{{\"run_id\": \"other\", \"job_id\": \"9\", \"status\": \"running\"}}\n//- runs/r3/submit.json\n{{,}}\n"
    );
    insta::assert_snapshot!(check(&fixture), @r#"
        w runs/r2/submit.json:-:- missing_key: the key `submitted_at` is missing | Add it, as far as it is known.
        E runs/r2/submit.json:-:- untracked_run: the ledger says that the run is live, and the state file does not know it | Record it in `active_runs`, or write down how it ended.
        E runs/r2/submit.json:1:12 wrong_run_id: expected the folder's name `r2` in `run_id`, found `other` | Rename the folder or correct the id; runs are found by it.
        E runs/r3/submit.json:1:2 corrupt_json: this is no JSON: expected a key in double quotes, found `,` | Remove the comma at line 1, column 2.
        "#);
}

/// A run may stand in the state under another id, and its job under any of the names that are in use.
#[test]
fn a_live_ledger_is_found_in_the_state_by_its_job() {
    for job in [
        "\"job_id\": \"101\"",
        "\"job_id\": 101",
        "\"slurm_job_id\": \"101\"",
        "\"jobId\": 101",
        "\"job_ids\": [\"100\", \"101\"]",
        "\"job_id\": \"100,101\"",
    ] {
        let state = CLEAN.replacen("\"job_id\": \"4711\"", job, 1);
        assert_ne!(state, CLEAN, "the clean project has another job");
        let ledger = |job: &str| {
            format!(
                "{state}//- runs/r2/submit.json\n{{\"run_id\": \"r2\", {job}, \"status\": \"running\", \"submitted_at\": null}}\n"
            )
        };
        assert_eq!(codes(&ledger(job)), [""; 0], "{job}");
        assert_eq!(
            codes(&ledger("\"slurm_job_id\": 7")),
            ["untracked_run"],
            "{job}"
        );
    }
}

#[test]
fn scripts() {
    let fixture = format!(
        "{CLEAN}//- slurm/jobs/bad.sbatch\n{}",
        "#SBATCH --job-name=seed%a --time=soon --array=5-1\n#SBATCH --output=logs/%A.out --export=ALL,SEEDS=1,2,3\n\
         # SBATCH --mem=4G\n#SBATCH --requeue\necho \"${GIT_SHA:?it's missing}\"\n#SBATCH --mem=4G\npython a.py --seed $SLURM_ARRAY_TASK_ID | tee log\r\n"
    );
    insta::assert_snapshot!(check(&fixture), @r#"
        w slurm/jobs/bad.sbatch:-:- no_errexit: nothing stops the script at a failed command, so the job may report success | Start the commands with `set -euo pipefail`.
        E slurm/jobs/bad.sbatch:1:- bad_array: the range `5-1` runs backwards | Write it as `0-9%2` or `1,3,5`.
        E slurm/jobs/bad.sbatch:1:- bad_time: `soon` is no time limit | Write `hours:minutes:seconds` or `days-hours`.
        E slurm/jobs/bad.sbatch:1:- no_shell: expected `#!` and a shell on the first line | Start the script with `#!/bin/bash`.
        w slurm/jobs/bad.sbatch:1:- symbol_in_job_name: `seed%a` is taken literally: symbols are not filled in a job's name | Use the symbol in --output, where it is filled.
        E slurm/jobs/bad.sbatch:2:- comma_in_export: `ALL,SEEDS=1,2,3` is split at its commas, so a list keeps only its first value | Pass the list through a file or the configuration.
        E slurm/jobs/bad.sbatch:2:- no_log_folder: the folder `logs` of --output is not in the project: without it the job dies at once and leaves no log | Make the folder, or name one that exists, such as slurm/logs.
        w slurm/jobs/bad.sbatch:2:- shared_log_file: `logs/%A.out` is the same file for several jobs or tasks, which overwrite each other | Use `%A_%a` in the name.
        w slurm/jobs/bad.sbatch:3:- not_a_directive: only a line that starts with `#SBATCH` is a directive | Write `#SBATCH` without blanks at the start of the line.
        w slurm/jobs/bad.sbatch:4:- log_overwritten: a requeued job overwrites its log | Add `#SBATCH --open-mode=append`.
        E slurm/jobs/bad.sbatch:5:- apostrophe_in_expansion: an apostrophe inside `${…}` opens a quotation, and the shell cannot read the script | Reword the text without an apostrophe.
        w slurm/jobs/bad.sbatch:6:- not_a_directive: a directive after the first command is ignored | Move it above the first command.
        E slurm/jobs/bad.sbatch:7:- dos_line_ends: the line ends as on DOS, which the scheduler refuses | Convert the file (`sed -i 's/\r$//'`).
        w slurm/jobs/bad.sbatch:7:- exit_code_lost: the exit code of `tee` hides that of the program | Add `set -o pipefail`.
        "#);
    let unsafe_set = CLEAN.replace("-euo pipefail", "-uo pipefail");
    assert_eq!(codes(&unsafe_set), ["no_errexit"]);
    let spelled_out = CLEAN.replace("-euo pipefail", "-o errexit -o pipefail # errexit");
    assert_eq!(codes(&spelled_out), [""; 0]);
    let alone = "//- slurm/jobs/one.sbatch\n#!/bin/bash -e\n#SBATCH -o out.txt\necho ${SLURM_ARRAY_TASK_ID:-0}\nrun ${X:-'a b'} $SLURM_ARRAY_TASK_ID\n";
    insta::assert_snapshot!(check(&format!("{CLEAN}{alone}")), @r#"
        w slurm/jobs/one.sbatch:2:- shared_log_file: `out.txt` is the same file for several jobs or tasks, which overwrite each other | Use `%j` in the name.
        w slurm/jobs/one.sbatch:4:- no_array: SLURM_ARRAY_TASK_ID is only set in an array, and the script asks for none | Add `#SBATCH --array`, or give the variable a default.
        "#);
}

#[test]
fn what_a_scheduler_refuses_or_takes_literally_is_told() {
    let script =
        |lines: &str| format!("{CLEAN}//- slurm/jobs/one.sbatch\n#!/bin/bash -e\n{lines}echo hi\n");
    for (lines, wanted) in [
        ("#SBATCH --mem=4 GB\n", &["not_an_option"][..]),
        ("#SBATCH \u{2014}mem=4G\n", &["not_an_option"]),
        ("#SBATCH --comment=it's\n", &["open_quote"]),
        ("#SBATCH --memory=4G\n", &["unknown_option"]),
        ("#SBATCH -p=gpu\n", &["equals_sign_in_value"]),
        ("#SBATCH -J\n#SBATCH --mem=4G\n", &["option_as_value"]),
        ("#SBATCH -J \"\" --time=x\n", &["no_value"]),
        ("#SBATCH --hold=yes\n", &["value_of_a_flag"]),
        ("#SBATCH --ntasks=two\n", &["bad_amount"]),
        ("#SBATCH --job-name=$NAME\n", &["variable_in_directive"]),
        (
            "#SBATCH --export=ALL,LIST=1,2,$USER\n",
            &["comma_in_export"],
        ),
        (
            "#SBATCH --export=ALL,USER=$USER\n",
            &["variable_in_directive"],
        ),
        ("#sbatch --mem=4G\n", &["not_a_directive"]),
        ("##SBATCH --mem=4G\n", &[]),
        ("#SBATCH --mem 4G -J x # a remark\n#SBATCH hetjob\n", &[]),
        ("#SBATCH --job-name=\"a b\" --time=1-0\n", &[]),
    ] {
        assert_eq!(codes(&script(lines)), wanted, "{lines}");
    }
    let python = "//- slurm/jobs/one.sbatch\n#!/usr/bin/env python3\nprint('| tee it')\n";
    assert_eq!(codes(&format!("{CLEAN}{python}")), [""; 0]);
}

/// Scripts of one directive block each, as sbatch's source reads them (`get_argument`, getopt's rules, and what its
/// options do with their values): an error is found exactly where it refuses the script.
#[test]
fn an_error_is_found_where_sbatch_refuses_the_script() {
    let refuses = |text: &str| {
        let names = ["slurm/logs".to_owned()].into();
        let found = check_script("slurm/jobs/a.sbatch", text, &"p".parse().unwrap(), &names);
        let errors = found
            .into_iter()
            .filter(|one| one.severity == Severity::Error);
        errors.map(|one| one.code).collect::<Vec<_>>()
    };
    let head = |lines: &str| format!("#!/bin/bash\n{lines}\nset -euo pipefail\necho hi\n");
    for lines in [
        "#SBATCH --job-name=\"two words\" --time 1-12:30 -pgpu -c4 -N1-2",
        "#SBATCH -HQ --gres=gpu:a100:2 --mem 16GB # what it needs, don't ask",
        "#SBATCH\t--nodes=2\n\n   # prose: --mem=4 GB\n#SBATCH --ntasks-per-node=4",
        "##SBATCH --nonsense=1 'x\n# SBATCH stray\n #SBATCH 'open",
        "#SBATCH-n 4",
        "#SBATCH --array=1,3,5-15:2%4",
        "#SBATCH --array=1-5,",
        "#SBATCH -a 0-3%0",
        "#SBATCH --array=1-5%2,7-9",
        "#SBATCH --array=[1-3],[7]",
        "#SBATCH --time=-1",
        "#SBATCH --time=2-",
        "#SBATCH -t 90 --time-min=0:30:00",
        "#SBATCH --export=ALL,\"LIST='1,2'\",B=3",
        "#SBATCH --export=\"ALL,'LIST=1,2'\"",
        "#SBATCH --export=NONE --get-user-env --exclusive=user --nice --requeue --open-mode=append",
        "#SBATCH --export=ALL,",
        "#SBATCH -n 4 --mem=8G\n#SBATCH hetjob\n#SBATCH -n 1 --gres=gpu:1",
        "#SBATCH -n 4\n#SBATCH HETJOB --gres=gpu:1 -n 2",
        "#SBATCH -n 4 -o slurm/logs/%j.out\n#SBATCH packjob\n#SBATCH -n 2 -o nowhere/%j.out",
        "#SBATCH --comment='a \"b\" c' --dependency=afterok:1:2",
        "#SBATCH --signal=B:USR1@120 --mail-type=END,FAIL --kill-on-invalid-dep=yes",
        "#SBATCH --mem=0 --tmp=20g --cpus-per-task=\" 4\"",
        "#SBATCH --exclus --cpus-per-t 2 --mem-per-c=2000K",
        "#SBATCH --nodes=4k --tasks-per-node=2 --constraint=\"[a|b]&c*2\"",
        "#SBATCH --runtime 5 --resv-ports --context=x",
        "#SBATCH -J x --time=5\necho first\n#SBATCH --mem='4",
        "#SBATCH -W -k --parsable",
        "#SBATCH --job-name -x-1 -v --",
    ] {
        assert_eq!(refuses(&head(lines)), [""; 0], "{lines}");
    }
    for lines in [
        "#SBATCH --mem=4 GB",
        "#SBATCH --mem=4.5G",
        "#SBATCH --mem-per-cpu=lots",
        "#SBATCH --ntasks=2x",
        "#SBATCH -c 0",
        "#SBATCH --nodes=two",
        "#SBATCH --hold=yes",
        "#SBATCH --contiguous=1",
        "#SBATCH --time=5 --partition",
        "#SBATCH -n 2 --gres\n#SBATCH hetjob\n#SBATCH -n 2",
        "#SBATCH -p",
        "#SBATCH - n 4",
        "#SBATCH -J x -- -n 4",
        "#SBATCH \u{2013}-mem=4G",
        "#SBATCH\u{a0}--mem=4G",
        "#SBATCH --output=\"a.%j",
        "#SBATCH --array=5:2",
        "#SBATCH --array=1-5:0",
        "#SBATCH --array=10-1",
        "#SBATCH --array='1 ,2'",
        "#SBATCH --time=1:30:",
        "#SBATCH --time=12h",
        "#SBATCH --time=1-2-3",
        "#SBATCH : -n 4",
        "#SBATCH --nice 5",
    ] {
        assert_ne!(refuses(&head(lines)), [""; 0], "{lines}");
    }
    for text in [
        "",
        "#SBATCH -n 1\necho hi\n",
        "\u{feff}#!/bin/bash -e\n#SBATCH -n 1\necho hi\n",
        "#!/bin/bash -e\r\n#SBATCH -n 1\r\necho hi\r\n",
        "\n#!/bin/bash -e\necho hi\n",
    ] {
        assert_ne!(refuses(text), [""; 0], "{text}");
    }
}

/// Only the first would be submitted, and what stands behind it would be dropped.
#[test]
fn an_item_is_one_script_and_what_is_passed_to_it_stands_in_it() {
    let names = ["slurm/jobs/a.sbatch", "slurm/jobs/b.sbatch"].map(str::to_owned);
    let names = std::collections::BTreeSet::from(names);
    let of = |script: &str| {
        let text = format!("## READY\n\n### Q-001: x\n- Script: {script}\n");
        {
            let items = items_of(&text, "demo");
            script_of(&items[0], &items, &names).is_ok()
        }
    };
    for fine in [
        "slurm/jobs/a.sbatch",
        "a.sbatch",
        "projects/demo/slurm/jobs/a.sbatch",
        "[`a.sbatch`](slurm/jobs/a.sbatch)",
        "`slurm/jobs/a.sbatch` (the long one -- see notes)",
        "slurm/jobs/a.sbatch, needs 4 GPUs",
    ] {
        assert!(of(fine), "{fine}");
    }
    for refused in [
        "slurm/jobs/a.sbatch, slurm/jobs/b.sbatch",
        "slurm/jobs/a.sbatch --seed 3",
        "`slurm/jobs/a.sbatch and slurm/jobs/b.sbatch`",
        "projects/other/slurm/jobs/a.sbatch",
        "\n  - slurm/jobs/a.sbatch\n  - slurm/jobs/b.sbatch",
    ] {
        assert!(!of(refused), "{refused}");
    }
}

/// What an item says in prose is not run, and what it says is not run past.
#[test]
fn an_item_that_names_no_script_has_one_of_its_own_name_unless_its_text_mentions_another() {
    let names = ["q001.sbatch", "exp_3_small.sbatch", "b.sbatch"];
    let names = names.map(|name| format!("slurm/jobs/{name}"));
    let names = std::collections::BTreeSet::from(names);
    for (item, wanted) in [
        ("Q-001: x", Some("q001")),
        ("Q1: x\n- Note: see q001.sbatch", None),
        ("Q001: x", Some("q001")),
        ("EXP-3: x", Some("exp_3_small")),
        ("Q-001: x\n- Note: see q001.sbatch", Some("q001")),
        ("Q-001: x\n- Note: as `b.sbatch`, but longer", None),
        ("Q-002: x (b.sbatch)", Some("b")),
        ("Q-001: x (b.sbatch)", None),
        (
            "Q-001: x\n\n```yaml\nscript: slurm/jobs/b.sbatch\n```",
            Some("b"),
        ),
        (
            "Q-002: x\n\n```\nsbatch slurm/jobs/b.sbatch\n```",
            Some("b"),
        ),
        ("Q-001: x\n\n```\nsbatch slurm/jobs/b.sbatch\n```", None),
        ("Q-001: x\n- Command: `sbatch slurm/jobs/b.sbatch 3`", None),
    ] {
        let items = items_of(&format!("## READY\n\n### {item}\n"), "demo");
        let found = script_of(&items[0], &items, &names);
        let wanted = wanted.map(|name| format!("slurm/jobs/{name}.sbatch"));
        assert_eq!(found.ok(), wanted, "{item}");
    }
}

/// What the title or a block of code is about may be another item's; what a field names is meant.
#[test]
fn the_script_of_another_item_is_not_run() {
    let with = |names: &[&str], text: &str| {
        let names = names.iter().map(|name| format!("slurm/jobs/{name}.sbatch"));
        let items = items_of(&format!("## READY\n\n### {text}\n"), "demo");
        script_of(&items[0], &items, &names.collect())
            .unwrap_or_else(|why| why)
            .replace("slurm/jobs/", "")
    };
    let both = ["q001", "q002"];
    let fence = "\n```\nsbatch slurm/jobs/q001.sbatch\n```\n";
    let found = [
        with(&both, "Q-002: same as q001.sbatch but with lr 3e-4"),
        with(&both, &format!("Q-002: x\n\nQ-001 was run as:\n{fence}")),
        with(
            &both[..1],
            &format!("Q-002: x\n{fence}\n## DONE\n\n### Q-001: y\n"),
        ),
        with(
            &["exp1"],
            "Q-002: as exp1.sbatch\n\n## DONE\n\n### EXP-1: y",
        ),
        with(&["q002", "train"], "Q-002: train.sbatch with lr 3e-4"),
        with(&["q001"], "Q-002: x"),
        with(&["q001-b"], "Q-001: x\n\n### Q-001-b: y"),
    ];
    insta::assert_snapshot!(found.join("\n"), @"
    names the script `q001.sbatch` of another item in its title or in a block of code, and none in a field of its own
    names the script `q001.sbatch` of another item in its title or in a block of code, and none in a field of its own
    names the script `q001.sbatch` of Q-001 in its title or in a block of code, and none in a field of its own
    names the script `exp1.sbatch` of EXP-1 in its title or in a block of code, and none in a field of its own
    names `train.sbatch` in its title or in a block of code, and there is `q002.sbatch` of its own name
    names no script, and the only one in `` is `q001.sbatch` of another item
    names no script, and the only one in `` is `q001-b.sbatch` of Q-001-b
    ");
    for (names, text, wanted) in [
        (&both[..], "Q-002: x\n- Script: q001.sbatch", "q001.sbatch"),
        (
            &both,
            "Q-002: x\n- Command: `sbatch slurm/jobs/q001.sbatch`",
            "q001.sbatch",
        ),
        (&both, "Q-002: q002.sbatch", "q002.sbatch"),
        (
            &["q002_long", "train"],
            "Q-002: q002_long.sbatch",
            "q002_long.sbatch",
        ),
        (&["train"], "Q-002: train.sbatch", "train.sbatch"),
        (&["train"], "Q-002: x", "train.sbatch"),
        (&["q002"], "Q2: q002.sbatch", "q002.sbatch"),
    ] {
        assert_eq!(with(names, text), wanted, "{text}");
    }
}

/// A dash behind the first digit tells names apart.
#[test]
fn a_dash_in_a_scripts_name_is_no_part_of_the_number() {
    for (id, name, is_own) in [
        ("Q-12", "q1-2", false),
        ("Q-1-2", "q12", false),
        ("Q-1-2", "q1-2", true),
        ("Q-001", "q001-pilot", true),
        ("Q-001", "q-001_pilot", true),
        ("Q-001-b", "q001b", true),
        ("Q-001-b", "q001-b", true),
        ("Q-001", "q0012", false),
        ("Q-1", "q10_x", false),
    ] {
        assert_eq!(
            is_called_after(&format!("{name}.sbatch"), id),
            is_own,
            "{id} {name}"
        );
        let names = [name, "other", "more"].map(|name| format!("slurm/jobs/{name}.sbatch"));
        let items = items_of(&format!("## READY\n\n### {id}: x\n"), "demo");
        assert_eq!(
            script_of(&items[0], &items, &names.into()).is_ok(),
            is_own,
            "{id} {name}"
        );
    }
}

#[test]
fn the_queue_points_at_files_that_exist() {
    let queue = "//- documentation/queue.md
## READY

### Q-001: first
- Config: `configs/a.json` (the small one)

### Q-002: second
- Config: configs/b.json

### Q-003: third

### Q-004: fourth
- Script: slurm/jobs/x.sbatch

## DONE

### Q-005: fifth
- Config: configs/gone.json
";
    let mut project = project(&format!(
        "{CLEAN}{queue}//- configs/a.json\n{{}}\n//- slurm/jobs/q002_pilot.sbatch\n#!/bin/bash -e\n"
    ));
    insta::assert_snapshot!(shown(&check_project(&project)), @r"
    E documentation/queue.md:6:- missing_config: `Q-002` is READY and its configuration `configs/b.json` does not exist | Write the file and commit it, or correct the item's `- Config:` line.
    E documentation/queue.md:9:- missing_script: `Q-003` is READY and names no script, and there is no `slurm/jobs/q003.sbatch` | Write the script, or correct the item's `- Script:` line.
    E documentation/queue.md:11:- missing_script: `Q-004` is READY and names the script `slurm/jobs/x.sbatch`, which does not exist | Write the script, or correct the item's `- Script:` line.
    ");
    let items = ralph_docs::queue::items(queue);
    assert_eq!(
        script_of(&items[1], &items, &project.names),
        Ok("slurm/jobs/q002_pilot.sbatch".to_owned())
    );
    project.names.remove("slurm/jobs/q001.sbatch");
    // The only script there is, and another item's.
    assert!(script_of(&items[2], &items, &project.names).is_err());
    project.lock_ignored = Some(false);
    project.names.remove("documentation/queue.md");
    let found: Vec<&str> = check_project(&project)
        .iter()
        .map(|found| found.code)
        .take(2)
        .collect();
    assert_eq!(found, ["lock_not_ignored", "missing_file"]);
}

#[test]
fn what_is_no_item_under_ready_is_named() {
    let queue =
        "//- documentation/queue.md\n## READY\n\n### Baseline\n\n1. Q-002\n\n### Ablation\n";
    let found = check_project(&project(&format!("{CLEAN}{queue}")));
    let found = found
        .iter()
        .find(|found| found.code == "not_an_item")
        .unwrap();
    assert_eq!(found.line, Some(3));
    assert!(
        found
            .message
            .starts_with("2 things under READY are no items (lines 3, 7)"),
        "{}",
        found.message
    );
}

#[test]
fn what_a_person_should_mend_in_the_documents_is_named() {
    let documents = "//- documentation/queue.md
## READY
### Q-001: a
### q-001: b
//- documentation/debugging.md
## Active Issues
### BUG-001: a
### BUG-001: b
//- documentation/implementation-todo.md
- [ ] (T1) a
- [ ] (T1) b
```
";
    let mut project = project(&format!("{CLEAN}{documents}"));
    insta::assert_snapshot!(shown(&check_project(&project)), @r"
    w documentation/debugging.md:2:- ambiguous_name: BUG-001 is there 2 times (lines 2, 3); give each entry an id of its own | Give each of them a name of its own, or remove the copy.
    w documentation/implementation-todo.md:1:- ambiguous_name: T1 is there 2 times (lines 1, 2); the task cannot be ticked until each has an id of its own | Give each of them a name of its own, or remove the copy.
    w documentation/implementation-todo.md:3:- malformed_document: a fence or comment opens here and is never closed; everything below it is part of it | Correct the line; what stands below it cannot be edited until then.
    w documentation/queue.md:2:- ambiguous_name: Q-001 is there 2 times (lines 2, 3); the item cannot be moved until each has an id of its own | Give each of them a name of its own, or remove the copy.
    ");
    let documents = project.files.keys().filter(|path| path.ends_with(".md"));
    assert!(documents.clone().count() == 3 && documents.clone().all(|path| is_checked(path)));
    project.files.insert(
        "documentation/queue.md".to_owned(),
        Some(b"## READY\n\xff".to_vec()),
    );
    let found = check_project(&project);
    let bad = found.iter().find(|found| found.code == "invalid_utf8");
    assert_eq!(
        bad.map(|found| (found.line, found.column)),
        Some((Some(2), Some(1)))
    );
    assert!(!found.iter().any(Finding::is_corrupt_state));
}

#[test]
fn a_project_that_nobody_lists_is_named_where_there_is_a_list() {
    let mut project = project(CLEAN);
    for (list, expected) in [
        (None, ""),
        (Some("# Projects\n\n- **demo**: a test\n"), ""),
        (Some("| Project | Notes |\n|---|---|\n| demo | x |\n"), ""),
        (
            Some("# Projects\n\n- demo-2\n"),
            "w ../PROJECTS.md:-:- not_listed: the list of projects does not name `demo` | Add a line for it, so that people find it.",
        ),
    ] {
        project.project_list = list.map(str::to_owned);
        assert_eq!(shown(&check_project(&project)), expected, "{list:?}");
    }
}

#[test]
fn only_what_hides_the_state_is_corrupt_state() {
    let corrupt = |fixture: &str| {
        let found = check_project(&project(fixture));
        found.iter().any(Finding::is_corrupt_state)
    };
    for state in ["{,}", "[]", "{\"a\": [1,]}", "{\"a\": 1, \"a\": 1}"] {
        assert!(
            corrupt(&format!("//- .state/pipeline.json\n{state}")),
            "{state}"
        );
        let ledger = format!("{CLEAN}//- runs/r2/submit.json\n{state}");
        assert!(!corrupt(&ledger), "{state}");
    }
    assert!(!corrupt("//- .state/pipeline.json\n{\"phase\": 3}"));
}

#[test]
fn many_findings_of_one_kind_are_counted() {
    let runs: Vec<String> = (0..25)
        .map(|n| {
            format!(
                "{{\"run_id\": \"r{n}\", \"job_id\": {}, \"status\": \"running\"}}",
                100 + n
            )
        })
        .collect();
    let fixture = CLEAN.replace(
        "\"completed_runs\": []",
        &format!("\"completed_runs\": [{}]", runs.join(",\n")),
    );
    let findings = check_project(&project(&fixture));
    let live: Vec<&Finding> = findings
        .iter()
        .filter(|found| found.code == "live_run_completed")
        .collect();
    assert_eq!(live.len(), LISTED);
    assert!(
        live.last()
            .is_some_and(|last| last.message.ends_with("(and 15 more of this kind)"))
    );
}

/// Where the real files are: `RALPH_CORPUS`, else beside the workspace.
#[expect(clippy::disallowed_methods, reason = "a test says where its data is")]
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("RALPH_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
        PathBuf::from,
    );
    folder.join("pipeline").is_dir().then_some(folder)
}

#[test]
fn real_files_are_read_to_their_end() {
    let Some(corpus) = corpus() else {
        eprintln!("SKIPPED: no corpus of real files is here (set RALPH_CORPUS)");
        return;
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (folder, place) in [
        ("pipeline", PIPELINE),
        ("sbatch", "slurm/jobs/a.sbatch"),
        ("runs", "runs/a/submit.json"),
        ("queue", QUEUE),
        ("debugging", "documentation/debugging.md"),
        ("todo", "documentation/implementation-todo.md"),
    ] {
        for entry in std::fs::read_dir(corpus.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            // Beside the ledgers there are other files of the same runs.
            if path.extension() != Path::new(place).extension() {
                continue;
            }
            let mut project = project("");
            let bytes = std::fs::read(&path).unwrap();
            let lines = bytes.split(|b| *b == b'\n').count();
            project.files.insert(place.to_owned(), Some(bytes));
            for found in check_project(&project) {
                assert!(
                    found.line.is_none_or(|line| (1..=lines).contains(&line)),
                    "{}: {found:?}",
                    path.display()
                );
                *counts.entry(found.code).or_default() += 1;
            }
        }
    }
    eprintln!("{counts:#?}");
    // What the study counted in these very files: broken commas, doubled keys, live runs among the ended.
    for code in [
        "trailing_comma",
        "duplicate_key",
        "live_run_completed",
        "two_ends",
        "invented_time",
        "ambiguous_name",
        "missing_script",
    ] {
        assert!(counts.contains_key(code), "{code} was not found");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_checked(state in proptest::collection::vec(any::<u8>(), 0..200), script in "(#SBATCH -[-a-z=%0-9,]{0,20}\n|[ -~]{0,30}\n|\\PC{0,9}){0,6}", document in "(#{1,3} (READY|Q-001|BUG-1): a\n|- (Script|Config): \\PC{0,9}\n|\\PC{0,9}\n|```\n){0,8}") {
        let mut project = project("");
        project.files.insert(PIPELINE.to_owned(), Some(state));
        project.files.insert("slurm/jobs/a.sbatch".to_owned(), Some(script.into_bytes()));
        project.files.insert(QUEUE.to_owned(), Some(document.clone().into_bytes()));
        project.project_list = Some(document);
        let _ = check_project(&project);
    }

    #[test]
    fn any_shape_of_state_is_checked(value in shape()) {
        let mut project = project("");
        project.files.insert(PIPELINE.to_owned(), Some(value.to_string().into_bytes()));
        prop_assert!(check_project(&project).iter().all(|found| found.code != "corrupt_json"));
    }
}

/// JSON with the keys that matter and any values below them.
fn shape() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let key = proptest::sample::select(vec![
        "phase",
        "project",
        "active_runs",
        "completed_runs",
        "slurm_wait",
        "events",
        "run_id",
        "job_id",
        "status",
        "submitted_at",
        "needs_user_input",
        "id",
        "ts",
        "poll_interval_seconds",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[0-9_,]{0,12}".prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..8).prop_map(|members| members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

#[test]
fn a_section_of_open_issues_that_cannot_be_read_is_named() {
    let documents =
        "//- documentation/debugging.md\n## Active Issues\n| ID | What |\n|---|---|\n| D1 | a |\n";
    let project = project(&format!("{CLEAN}{documents}"));
    insta::assert_snapshot!(shown(&check_project(&project)), @"w documentation/debugging.md:4:- unread_section: the section of open issues holds text that is no entry, so it counts as one that is open; write each issue as `- [ ] (D1) title`, or `(none)` | Write each issue as a list item of its own, or `(none)` where there is none.");
}
