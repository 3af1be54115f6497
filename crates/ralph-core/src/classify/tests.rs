//! Cases of our own: every class, every hazard of real logs, every step of the precedence, and the laws.

use proptest::prelude::*;

use super::*;

fn err(text: &str) -> LogText {
    LogText::from_bytes("logs/job.err", Stream::Err, text.as_bytes())
}

fn out(text: &str) -> LogText {
    LogText::from_bytes("logs/job.out", Stream::Out, text.as_bytes())
}

/// The label of a log on standard error alone.
fn label(text: &str) -> String {
    let logs = [err(text)];
    classify(&Case {
        logs: &logs,
        ..Case::default()
    })
    .label()
}

fn raised(exception: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"/w/train.py\", line 8, in main\n    step()\n{exception}\n"
    )
}

/// A case with a state and an exit code, `code:signal`.
fn ended<'a>(state: &'a JobState, exit: (i32, i32), logs: &'a [LogText]) -> Case<'a> {
    Case {
        state: Some(state),
        exit: Some(ExitInfo {
            code: exit.0,
            signal: exit.1,
        }),
        elapsed: Some(Duration::from_secs(3_600)),
        logs,
        ..Case::default()
    }
}

const LIMIT: &str = "[2026-02-24T15:12:52.834] error: *** JOB 77 ON n1 CANCELLED AT 2026-02-24T15:12:52 DUE TO TIME LIMIT ***\n";
const OOM: &str = "[2026-02-19T05:28:56.823] error: Detected 4 oom_kill events in StepId=77.batch. Some of the step tasks have been OOM Killed.\n";
const COMMIT: &str = "fatal: reference is not a tree: 0476f2c77a1b7ba34cbca427265771222e6e8e2d\n";

#[test]
fn every_class_that_text_can_show() {
    let python = |exception: &str| raised(exception);
    let cases: Vec<(&str, String)> = vec![
        ("slurm_timeout", LIMIT.into()),
        ("slurm_signal", LIMIT.replace("TO TIME LIMIT", "to SIGNAL Terminated")),
        ("preempted", LIMIT.replace("TIME LIMIT", "PREEMPTION")),
        ("node_failure", LIMIT.replace("TIME LIMIT", "NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS")),
        ("cancelled", LIMIT.replace(" DUE TO TIME LIMIT", "")),
        ("host_oom_kill", OOM.into()),
        ("host_oom_kill", "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=3.0.".into()),
        ("slurm_signal", "/spool/slurm_script: line 54: 2758939 Killed                  python a.py".into()),
        ("scheduler_limit", "sbatch: error: QOSMaxSubmitJobPerUserLimit".into()),
        ("git_missing_commit", COMMIT.into()),
        ("git_missing_commit", "error: pathspec 'abc' did not match any file(s) known to git".into()),
        ("shell_syntax", "job.sbatch: line 9: unexpected EOF while looking for matching `''".into()),
        ("shell_unbound_variable", "/spool/slurm_script: line 65: PYTHONPATH: unbound variable".into()),
        ("cli_bad_arguments", "usage: a.py [-h]\na.py: error: unrecognized arguments: --seed 3".into()),
        ("cli_bad_arguments", "a.py: error: argument --n: invalid int value: 'x'".into()),
        ("script_missing", "python: can't open file '/w/a.py': [Errno 2] No such file or directory".into()),
        ("account_partition", "error: Invalid account or account/partition combination specified".into()),
        ("py_file_not_found", python("FileNotFoundError: [Errno 2] No such file or directory: 'p/configs/q1.json'")),
        ("env_module_unknown", "Lmod has detected the following error: The following module(s) are unknown:\n\"python/3.9\"".into()),
        ("env_command_not_found", "/spool/slurm_script: line 25: python: command not found".into()),
        ("env_command_not_found", "slurmstepd: error: execve(): python: No such file or directory".into()),
        ("module_not_found", python("ModuleNotFoundError: No module named 'matplotlib'")),
        ("module_not_found", "/usr/bin/python: No module named pytest".into()),
        ("library_mismatch", "python: error while loading shared libraries: libcudart.so: cannot open shared object file".into()),
        ("env_setup_failed", "ERROR: No matching distribution found for torch==9".into()),
        ("git_access", "git@host: Permission denied (publickey).".into()),
        ("disk_quota", python("OSError: [Errno 122] Disk quota exceeded")),
        ("disk_quota", "tee: 'standard output': No space left on device".into()),
        ("write_failed", python("RuntimeError: File /n/x.pt cannot be opened.")),
        ("rsync_partial", "rsync error: some files/attrs were not transferred (see previous errors) (code 23)".into()),
        ("nfs_stale", python("OSError: [Errno 116] Stale file handle")),
        ("filesystem_error", python("OSError: [Errno 5] Input/output error")),
        ("cuda_device_busy", python("RuntimeError: CUDA error: CUDA-capable device(s) is/are busy or unavailable")),
        ("cuda_illegal_access", python("RuntimeError: CUDA error: an illegal memory access was encountered")),
        ("cuda_driver_init", python("RuntimeError: CUDA driver initialization failed")),
        ("gpu_err_state", "|ERR!  |  0  | ERR!  ERR!  |".replace("|ERR!  ", "| ERR! ")),
        ("nccl_duplicate_gpu", python("torch.distributed.DistBackendError: Duplicate GPU detected : rank 1 and rank 0")),
        ("nccl_watchdog", "[rank1]:[E ProcessGroupNCCL.cpp:607] [Rank 1] Watchdog caught collective operation timeout".into()),
        ("torchrun_port", python("RuntimeError: The server socket has failed to listen. EADDRINUSE port: 29629")),
        ("filesystem_hang", "slurmstepd: error: *** STEPD TERMINATED, JOB NOT ENDING WITH SIGNALS ***".into()),
        ("network", "fatal: unable to access 'https://x/': Could not resolve host: x".into()),
        ("cuda_oom", python("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 128.00 MiB")),
        ("cuda_oom", python("torch.cuda.OutOfMemoryError: something")),
        ("py_file_not_found", python("FileNotFoundError: [Errno 2] No such file or directory: 'a.npy'")),
        ("py_shape_mismatch", python("RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x8 and 800x512)")),
        ("py_autograd", python("RuntimeError: element 0 of tensors does not require grad")),
        ("py_checkpoint_format", python("RuntimeError: No parameters found in checkpoint")),
        ("host_memory", python("MemoryError")),
        ("dataloader_worker", python("RuntimeError: DataLoader worker (pid 5) is killed by signal: Killed.")),
        ("loss_nan", "Loss is nan, stopping training".into()),
        ("py_exception", python("TypeError: 'int' object is not callable")),
        ("py_exception", "  File \"/w/a.py\", line 3\n    x = = 1\n        ^\nSyntaxError: invalid syntax".into()),
        ("crash_signal", "/spool/slurm_script: line 9: 77 Segmentation fault      (core dumped) ./a.out".into()),
        ("permission_denied", "bash: ./run.sh: Permission denied".into()),
        ("shell_no_such_file", "tee: results/x.log: No such file or directory".into()),
        ("none", "training\nJob completed at Tue Feb 24 13:02:39 EST 2026\n".into()),
        ("false_success:py_exception", raised("KeyError: 'mu'") + "Cleaning up work directory...\n"),
        ("unknown", "step 1\nstep 2\n".into()),
        ("unknown", String::new()),
    ];
    for (expected, text) in &cases {
        assert_eq!(&label(text), expected, "{text}");
    }
}

#[test]
fn what_only_accounting_can_show() {
    let none: &[LogText] = &[];
    for (state, exit, expected) in [
        (JobState::Timeout, (0, 15), "slurm_timeout"),
        (JobState::OutOfMemory, (0, 125), "host_oom_kill"),
        (JobState::NodeFail, (0, 0), "node_failure"),
        (JobState::BootFail, (0, 0), "boot_failure"),
        (JobState::Preempted, (0, 15), "preempted"),
        (JobState::Deadline, (0, 15), "deadline"),
        (JobState::Cancelled, (0, 0), "cancelled"),
        (JobState::Revoked, (0, 0), "revoked"),
        (JobState::Failed, (0, 125), "host_oom_kill"),
        (JobState::Failed, (0, 9), "slurm_signal"),
        (JobState::Failed, (0, 13), "sigpipe"),
        (JobState::Failed, (135, 0), "crash_signal"),
        (JobState::Failed, (120, 0), "unknown"),
        (JobState::Failed, (1, 0), "unknown"),
        (JobState::Failed, (0, 53), "died_before_script"),
        (JobState::Completed, (0, 0), "none"),
    ] {
        assert_eq!(
            classify(&ended(&state, exit, none)).label(),
            expected,
            "{state} {exit:?}"
        );
    }
    let early = classify(&ended(&JobState::Failed, (0, 53), none));
    assert!(
        early.cause.contains("quota") && early.cause.contains("QOS"),
        "{}",
        early.cause
    );
    let waiting = Case {
        reason: Some("DependencyNeverSatisfied"),
        ..ended(&JobState::Cancelled, (0, 0), none)
    };
    assert_eq!(classify(&waiting).label(), "dependency_dead");
}

/// `set -o pipefail` hands on 141 wherever a reader such as `head` has read enough, in every attempt again.
#[test]
fn the_end_of_a_pipe_in_a_script_is_not_submitted_again_by_itself() {
    for (exit, retry) in [
        (
            (0, 13),
            RetryPolicy::Once {
                suggest_exclude: false,
            },
        ),
        ((141, 0), RetryPolicy::Ask),
    ] {
        let found = classify(&ended(&JobState::Failed, exit, &[]));
        assert_eq!((found.label().as_str(), found.retry), ("sigpipe", retry));
        // What is not done unasked is not advised without a word either.
        assert_eq!(
            found.advice.starts_with("See first whether"),
            retry == RetryPolicy::Ask
        );
    }
}

/// The order of precedence names a class; it does not make a job that ended with another error worth repeating.
#[test]
fn what_another_error_ended_is_not_submitted_again_by_itself() {
    let nvml = "Failed to initialize NVML: Driver/library version mismatch\n";
    let panic = "thread 'main' panicked at src/main.rs:4:2:\nempty grid\n";
    let port = raised("OSError: [Errno 98] Address already in use");
    let elsewhere = RetryPolicy::Once {
        suggest_exclude: true,
    };
    let again = RetryPolicy::Once {
        suggest_exclude: false,
    };
    for (text, class, retry) in [
        (nvml.to_owned(), "cuda_driver_init", elsewhere),
        (
            format!("{nvml}{}", raised("RuntimeError: no CUDA device")),
            "cuda_driver_init",
            elsewhere,
        ),
        (
            format!("{nvml}{}", raised("KeyError: 'mu'")),
            "cuda_driver_init",
            RetryPolicy::Ask,
        ),
        (
            format!("{nvml}{panic}"),
            "cuda_driver_init",
            RetryPolicy::Ask,
        ),
        (port, "torchrun_port", again),
    ] {
        let logs = [err(&text)];
        let found = classify(&ended(&JobState::Failed, (1, 0), &logs));
        assert_eq!(
            (found.label().as_str(), found.retry),
            (class, retry),
            "{text}"
        );
    }
}

/// Every step outranks all that come after it, in whatever order they stand in the log.
#[test]
fn precedence_is_that_of_the_study() {
    let steps = [
        (OOM.to_owned(), "host_oom_kill"),
        (COMMIT.to_owned(), "git_missing_commit"),
        (
            "/usr/bin/python: No module named pytest\n".to_owned(),
            "module_not_found",
        ),
        ("touch: x: Disk quota exceeded\n".to_owned(), "disk_quota"),
        (
            "nccl: Duplicate GPU detected\n".to_owned(),
            "nccl_duplicate_gpu",
        ),
        (
            "torch.OutOfMemoryError: CUDA out of memory.\n".to_owned(),
            "cuda_oom",
        ),
        (raised("ValueError: wrong"), "py_exception"),
        (
            "tee: results/x.log: No such file or directory\n".to_owned(),
            "shell_no_such_file",
        ),
    ];
    for (index, (strong, expected)) in steps.iter().enumerate() {
        for (weak, _) in steps.iter().skip(index + 1) {
            assert_eq!(
                &label(&format!("{strong}{weak}")),
                expected,
                "before {weak}"
            );
            assert_eq!(&label(&format!("{weak}{strong}")), expected, "after {weak}");
        }
    }
}

#[test]
fn accounting_outranks_the_log_and_the_log_is_still_shown() {
    let logs = [err(&raised(
        "ConnectionResetError: [Errno 104] Connection reset by peer",
    ))];
    let oom = classify(&ended(&JobState::OutOfMemory, (0, 125), &logs));
    assert_eq!(oom.class, FailureClass::HostOomKill);
    assert_eq!(
        oom.matches.first().map(|found| found.class),
        Some(FailureClass::PyException)
    );
    let disk = [err(&raised("OSError: [Errno 28] No space left on device"))];
    let late = classify(&ended(&JobState::Timeout, (0, 15), &disk));
    assert_eq!(late.class, FailureClass::SlurmTimeout);
    insta::assert_snapshot!(
        late.cause,
        @"The job was ended at its time limit. Hypothesis: the log also shows disk_quota, which may have come first."
    );
    let by = Case {
        cancelled_by: Some(61_001),
        ..ended(&JobState::Cancelled, (0, 0), &[])
    };
    insta::assert_snapshot!(
        classify(&by).cause,
        @"The job was cancelled by the user with the id 61001."
    );
}

#[test]
fn the_last_exception_of_the_last_traceback_decides() {
    let text = format!(
        "{}\nDuring handling of the above exception, another exception occurred:\n\n{}",
        raised("ImportError: no fast path"),
        raised("RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x8 and 800x512)")
            .replace("line 8", "line 9")
    );
    let logs = [out("Results\n"), err(&text)];
    let found = classify(&ended(&JobState::Failed, (1, 0), &logs));
    assert_eq!(found.label(), "py_shape_mismatch");
    assert_eq!(found.source_location, Some(("/w/train.py".to_owned(), 9)));
    insta::assert_json_snapshot!(found, @r#"
    {
      "class": "py_shape_mismatch",
      "inner": null,
      "scope": "code",
      "retry": {
        "policy": "never"
      },
      "key": {
        "text": "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x8 and 800x512)",
        "path": "logs/job.err",
        "line": 11,
        "exact": true,
        "stream": "err"
      },
      "source_location": [
        "/w/train.py",
        9
      ],
      "matches": [
        {
          "class": "py_shape_mismatch",
          "key": {
            "text": "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x8 and 800x512)",
            "path": "logs/job.err",
            "line": 11,
            "exact": true,
            "stream": "err"
          }
        }
      ],
      "tail": [
        "Traceback (most recent call last):",
        "  File \"/w/train.py\", line 8, in main",
        "    step()",
        "ImportError: no fast path",
        "During handling of the above exception, another exception occurred:",
        "Traceback (most recent call last):",
        "  File \"/w/train.py\", line 9, in main",
        "    step()",
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x8 and 800x512)"
      ],
      "suspicious": false,
      "summary": "py_shape_mismatch: RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x8 and 800x512) (logs/job.err:11)",
      "cause": "Tensors or arrays do not fit together. It was raised at /w/train.py:9.",
      "advice": "Mend the program."
    }
    "#);
}

#[test]
fn standard_error_is_believed_before_standard_output() {
    let logs = [
        out(&raised("ValueError: told on standard output")),
        err(&raised("TypeError: told on standard error")),
    ];
    let found = classify(&ended(&JobState::Failed, (1, 0), &logs));
    let key = found.key.map(|key| (key.stream, key.text));
    assert_eq!(
        key,
        Some((Stream::Err, "TypeError: told on standard error".to_owned()))
    );
    let tail = [out("step 1\n"), err("step 2\n")];
    let found = classify(&ended(&JobState::Failed, (1, 0), &tail));
    assert_eq!(found.tail, ["step 2"]);
}

#[test]
fn what_was_survived_decides_only_where_it_comes_again() {
    let caught = "CUDA out of memory. Tried to allocate 2.00 GiB; retrying with batch 8\n";
    let again = "RuntimeError: CUDA out of memory. Tried to allocate 6.00 GiB";
    let logs = [err(&format!("{caught}{}", raised(again)))];
    let found = classify(&ended(&JobState::Failed, (1, 0), &logs));
    let key = found.key.map(|key| (key.line, key.text));
    assert_eq!(found.class, FailureClass::CudaOom);
    assert_eq!(key, Some((5, again.to_owned())));
    assert_eq!(found.source_location, Some(("/w/train.py".to_owned(), 8)));
    assert_eq!(
        label(&format!("{caught}{}", raised("KeyError: 'x'"))),
        "py_exception"
    );
}

#[test]
fn what_the_program_survived_does_not_decide() {
    let before = format!(
        "nvidia-smi: command not found\n{}",
        raised("ValueError: wrong")
    );
    assert_eq!(label(&before), "py_exception");
    let after = format!("{}python: command not found\n", raised("ValueError: wrong"));
    assert_eq!(label(&after), "env_command_not_found");
}

#[test]
fn a_script_that_ends_after_a_full_disk_is_suspicious() {
    let logs = [
        err("cp: x: Disk quota exceeded\n"),
        out("Job completed at noon\n"),
    ];
    let found = classify(&Case {
        logs: &logs,
        ..Case::default()
    });
    assert_eq!(
        (found.label().as_str(), found.suspicious),
        ("disk_quota", true)
    );
    // The scheduler's word for a success outweighs a line of text, but not the exception that ended the program.
    let reported = classify(&ended(&JobState::Completed, (0, 0), &logs));
    assert_eq!(
        (reported.label().as_str(), reported.suspicious),
        ("none", false)
    );
    let raised = [err(&raised("OSError: [Errno 122] Disk quota exceeded"))];
    let reported = classify(&ended(&JobState::Completed, (0, 0), &raised));
    assert_eq!(reported.label(), "false_success:disk_quota");
    assert_eq!(reported.retry, RetryPolicy::Ask);
}

#[test]
fn a_text_alone_does_not_undo_a_reported_success() {
    let caught = raised("ValueError: bad sample");
    let epochs: String = (2..=30).map(|n| format!("epoch {n} done\n")).collect();
    for harmless in [
        "NOTICE: if you see No space left on device, clean up your scratch\n".to_owned(),
        "rsync error: timeout in data send/receive (code 30) at io.c(137)\nsent 474 bytes\n"
            .to_owned(),
        "test_disk_full ... No space left on device ... ok\nOK\n".to_owned(),
        "test_cli ... error: unrecognized arguments: --foo PASSED\n".to_owned(),
        "SyntaxError: generated program 17 did not parse (counted as invalid)\n".to_owned(),
        format!("{COMMIT}falling back to main\n"),
        "slurm_script: line 3: X: unbound variable\n".to_owned(),
        format!("{caught}{epochs}All done.\n"),
        format!("{caught}falling back to the CPU\n"),
    ] {
        for logs in [[err(&harmless)], [out(&harmless)]] {
            let found = classify(&ended(&JobState::Completed, (0, 0), &logs));
            assert_eq!(
                (found.label().as_str(), found.suspicious),
                ("none", false),
                "{harmless}"
            );
        }
    }
    // The last of several that ends its log is the one that counts.
    let text = format!(
        "{caught}{epochs}{}Job completed at noon\n",
        raised("KeyError: 'mu'")
    );
    let logs = [out(&text)];
    let found = classify(&ended(&JobState::Completed, (0, 0), &logs));
    assert_eq!(found.label(), "false_success:py_exception");
    assert!(
        found.summary.contains("KeyError: 'mu'"),
        "{}",
        found.summary
    );
}

#[test]
fn a_completed_job_is_looked_at_too() {
    let completed = JobState::Completed;
    let failed_inside = [
        err(&raised("KeyError: 'mu'")),
        out("Job completed at noon\n"),
    ];
    let found = classify(&ended(&completed, (0, 0), &failed_inside));
    assert_eq!(
        (found.label().as_str(), found.suspicious),
        ("false_success:py_exception", true)
    );
    assert_eq!(found.retry, RetryPolicy::Never);

    let missing = ["results/a.pt".to_owned()];
    let clean = [out("fine\n")];
    let found = classify(&Case {
        missing_artifacts: &missing,
        ..ended(&completed, (0, 0), &clean)
    });
    assert_eq!(
        (found.label().as_str(), found.suspicious),
        ("false_success:missing_artifact", true)
    );
    let names = "Files that a success leaves behind are missing: results/a.pt";
    assert!(found.summary.ends_with(names), "{}", found.summary);
    assert!(found.cause.contains(names), "{}", found.cause);
    let many: Vec<String> = (0..9).map(|n| format!("results/{n}.pt")).collect();
    let found = classify(&Case {
        missing_artifacts: &many,
        ..ended(&completed, (0, 0), &clean)
    });
    assert!(
        found.cause.contains("results/4.pt and 4 more."),
        "{}",
        found.cause
    );

    // What a script may print and still succeed.
    for harmless in [
        "nvidia-smi: command not found\n".to_owned(),
        "CUDA out of memory, trying half the batch\n".to_owned(),
        format!(
            "Exception ignored in: <function D.__del__>\n{}",
            raised("AttributeError: x")
        ),
        format!("{COMMIT}HEAD is now at 0476f2c\n"),
    ] {
        let logs = [err(&harmless)];
        let found = classify(&ended(&completed, (0, 0), &logs));
        assert_eq!(
            (found.label().as_str(), found.suspicious),
            ("none", false),
            "{harmless}"
        );
    }
    // The same traceback under FAILED is the failure itself.
    assert_eq!(
        classify(&ended(&JobState::Failed, (1, 0), &failed_inside)).label(),
        "py_exception"
    );
}

#[test]
fn a_warning_never_beats_an_exception_with_another_cause() {
    let warning = "/opt/torch/cuda/__init__.py:138: UserWarning: CUDA initialization: Found no NVIDIA driver on your system. Please check\n";
    let failed = |text: String| classify(&ended(&JobState::Failed, (1, 0), &[err(&text)]));
    let found = failed(format!("{warning}{}", raised("KeyError: 'learning_rate'")));
    assert_eq!(
        (found.label().as_str(), found.retry),
        ("py_exception", RetryPolicy::Never)
    );
    // An exception about the GPU is what the warning was about.
    let found = failed(format!(
        "{warning}{}",
        raised("RuntimeError: this run needs a CUDA device")
    ));
    assert_eq!(found.label(), "cuda_driver_init");
    assert!(matches!(found.retry, RetryPolicy::Once { .. }));
    let found = failed(format!(
        "{warning}{}",
        raised("RuntimeError: Found no NVIDIA driver on your system.")
    ));
    assert!(found.key.is_some_and(|key| key.line == 5));
    // Alone it is a guess, and nothing is submitted again for a guess.
    let found = failed(format!("{warning}step 1\n"));
    assert_eq!(
        (found.label().as_str(), found.retry),
        ("cuda_driver_init", RetryPolicy::Ask)
    );
    assert_eq!(
        failed(format!("{warning}Segmentation fault (core dumped)\n")).label(),
        "crash_signal"
    );
    let logs = [err(warning)];
    let late = classify(&ended(&JobState::Timeout, (0, 15), &logs));
    assert!(!late.cause.contains("cuda_driver_init"), "{}", late.cause);
}

#[test]
fn an_exception_before_the_watchdog_is_the_cause() {
    let ranked = |text: &str| -> String {
        text.lines()
            .map(|line| format!("[rank1]: {line}\n"))
            .collect()
    };
    let watchdog = "[rank0]:[E ProcessGroupNCCL.cpp:607] [Rank 0] Watchdog caught collective operation timeout\n";
    let aborted =
        raised("torch.distributed.DistBackendError: NCCL communicator was aborted on rank 0");
    let with = |exception: &str, between: &str| {
        let first = ranked(&raised(exception));
        let logs = [err(&format!("{first}{between}{watchdog}{aborted}"))];
        classify(&ended(&JobState::Failed, (1, 0), &logs))
    };
    let found = with("KeyError: 'mu'", "[rank0]: step 7 loss 0.1\n");
    assert_eq!(
        (found.label().as_str(), found.retry),
        ("py_exception", RetryPolicy::Never)
    );
    assert!(
        found.summary.contains("KeyError: 'mu'"),
        "{}",
        found.summary
    );
    let memory = with(
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "",
    );
    assert_eq!(memory.label(), "cuda_oom");
    // What is an effect itself, or was caught, explains nothing.
    let effect = with(
        "torch.distributed.DistBackendError: NCCL error in: x.cpp:1970",
        "",
    );
    assert_eq!(effect.label(), "nccl_watchdog");
    let caught = with(
        "ValueError: bad sample",
        &"[rank0]: step 7 loss 0.1\n".repeat(50),
    );
    assert_eq!(caught.label(), "nccl_watchdog");
}

#[test]
fn a_failure_after_complete_results_says_so() {
    let logs = [out("Job completed at noon\n")];
    let found = classify(&ended(&JobState::Failed, (1, 0), &logs));
    assert_eq!(found.class, FailureClass::Unknown);
    insta::assert_snapshot!(found.cause, @"No known cause was found, neither in the scheduler's record nor in the logs (exit code 1:0). The log says that the script came to its end, so the results may be complete.");
}

#[test]
fn an_unknown_end_names_the_line_that_says_it() {
    let logs = [err("ERROR: the grid has no cells\n"), out("step 1\n")];
    let found = classify(&ended(&JobState::Failed, (2, 0), &logs));
    insta::assert_snapshot!(
        format!("{}\n{}", found.summary, found.cause),
        @r"
    unknown: ERROR: the grid has no cells (logs/job.err:1)
    No known cause was found, neither in the scheduler's record nor in the logs (exit code 2:0). The key line is the last one that looks like an error.
    "
    );
    // A code that only a script can have chosen: it ran, and its logs are gone.
    let gone = classify(&Case {
        elapsed: Some(Duration::from_secs(2)),
        ..ended(&JobState::Failed, (3, 0), &[])
    });
    assert_eq!(gone.label(), "unknown");
    assert!(gone.cause.contains("exit code 3:0"), "{}", gone.cause);
    assert!(gone.cause.contains("No log was found"), "{}", gone.cause);
    // A guess from a warning does not hide it.
    let warning = "x.py:1: UserWarning: Found no NVIDIA driver on your system.\n";
    let logs = [err(&format!("{warning}panic: bad input\n"))];
    let found = classify(&ended(&JobState::Failed, (2, 0), &logs));
    assert_eq!(found.label(), "unknown");
    assert!(found.summary.contains("panic: bad input"));
}

#[test]
fn hazards_of_real_logs() {
    let bar = "loss: 0.99:  14%|█▍        | 13993/100000 [25:19<2:29:45,  9.57it/s]\r";
    let endless = format!("{}\x1b[A\x1b[31m{}", bar.repeat(4_000), OOM.trim_end());
    let logs = [err(&endless)];
    let found = classify(&Case {
        logs: &logs,
        ..Case::default()
    });
    assert_eq!(found.label(), "host_oom_kill");
    let key = found.key.map(|key| (key.line, key.text));
    assert_eq!(key, Some((1, OOM.trim_end().to_owned())));

    let unbroken = format!(
        "{}{}{}",
        "x".repeat(200_000),
        OOM.trim_end(),
        "y".repeat(1_000)
    );
    let logs = [err(&unbroken)];
    let key = classify(&Case {
        logs: &logs,
        ..Case::default()
    })
    .key;
    assert!(key.is_some_and(|key| key.text.contains("oom_kill") && key.text.len() <= 400));

    let mut rubbish = b"\xff\xfe\x00\x1b[\x1b]\x80 ".to_vec();
    rubbish.extend_from_slice(COMMIT.as_bytes());
    let logs = [LogText::from_bytes("a.err", Stream::Err, &rubbish)];
    assert_eq!(
        classify(&Case {
            logs: &logs,
            ..Case::default()
        })
        .label(),
        "git_missing_commit"
    );
}

#[test]
fn early_and_late_lines_of_a_long_log_are_found() {
    let middle = "step\n".repeat(200_000);
    let logs = [err(&format!("{COMMIT}{middle}"))];
    let key = classify(&Case {
        logs: &logs,
        ..Case::default()
    })
    .key;
    assert_eq!(key.map(|key| key.line), Some(1));
    let logs = [err(&format!("{middle}{}", raised("KeyError: 'a'")))];
    let key = classify(&Case {
        logs: &logs,
        ..Case::default()
    })
    .key;
    assert_eq!(key.map(|key| (key.line, key.exact)), Some((200_004, true)));
}

#[test]
fn nodes_are_named_where_another_node_may_help() {
    let logs = [err(&raised(
        "RuntimeError: CUDA error: an illegal memory access was encountered",
    ))];
    let case = Case {
        nodes: Some("gpu31105"),
        ..ended(&JobState::Failed, (1, 0), &logs)
    };
    let found = classify(&case);
    assert_eq!(
        found.retry,
        RetryPolicy::Once {
            suggest_exclude: true
        }
    );
    assert!(found.advice.contains("gpu31105"), "{}", found.advice);
}

/// Bytes that look like logs: pieces that matter, glued with anything.
fn log_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(LIMIT.as_bytes().to_vec()),
        Just(COMMIT.as_bytes().to_vec()),
        Just(b"Traceback (most recent call last):\n".to_vec()),
        Just(b"  File \"/w/a.py\", line 99999999999999999999, in f\n".to_vec()),
        Just(b"ValueError: x\n".to_vec()),
        Just(b"[rank0]: ".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\x1b[".to_vec()),
        Just("é█".as_bytes().to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_bytes_give_a_bounded_diagnosis(stderr in log_bytes(), stdout in log_bytes(), code in -1..200, signal in 0..130) {
        let logs = [
            LogText::from_bytes("a.out", Stream::Out, &stdout),
            LogText::from_bytes("a.err", Stream::Err, &stderr),
        ];
        for state in [None, Some(&JobState::Failed), Some(&JobState::Completed)] {
            let exit = state.map(|_| ExitInfo { code, signal });
            let found = classify(&Case { state, exit, logs: &logs, ..Case::default() });
            prop_assert!(found.matches.len() <= 20 && found.tail.len() <= 20);
            prop_assert!(found.summary.len() <= 300 && !found.summary.contains('\n'));
            prop_assert!(found.tail.iter().all(|line| line.len() <= 400));
            prop_assert!(found.cause.len() + found.advice.len() <= 2_000);
            for key in found.matches.iter().map(|found| &found.key).chain(&found.key) {
                let bytes = if key.stream == Stream::Err { &stderr } else { &stdout };
                let whole = bytes.split(|b| *b == b'\n').nth(key.line - 1).unwrap_or_default();
                let alone = LogText::from_bytes("a", key.stream, whole);
                let joined: String = alone.lines().map(|line| line.text).collect();
                prop_assert!(joined.contains(&key.text), "{key:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn numbers_survive_the_cut(lines in 0_usize..40_000, width in 1_usize..30) {
        let text: String = (1..=lines).map(|n| format!("{n:>width$}\n")).collect();
        let log = LogText::from_bytes("a.out", Stream::Out, text.as_bytes());
        for line in log.lines() {
            prop_assert_eq!(line.text.trim(), line.number.to_string());
        }
    }
}
