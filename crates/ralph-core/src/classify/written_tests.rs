//! The classifier against written logs: what jobs of many kinds print, labelled before the rules were looked at.
//!
//! The texts are in `written/*.logs`. A line `#case` starts a case; `#class` names the classes that are right
//! (the first is meant, the others are what a fair reader might say too); `#job` is the scheduler's record; `#key`
//! is part of the line that a person would quote; `#at` the place in the user's own code; `#again no` says that nobody
//! should submit it again unasked, whatever the class; `#err` and `#out` start the logs; `#noise NAME COUNT` stands for what surrounds errors in real logs, and `#trace` for the line that starts
//! a traceback. `␛` and `␍` stand for the control characters, and `⟨ff⟩` for a byte.

use std::collections::BTreeMap;

use super::*;

/// What `#trace` stands for.
const HEADER: &str = "Traceback (most recent call last):";

/// One written log set and what it should be called.
#[derive(Default)]
struct Written {
    name: String,
    classes: Vec<String>,
    job: Option<(JobState, ExitInfo)>,
    elapsed: Option<Duration>,
    cancelled_by: Option<u32>,
    key: Option<String>,
    at: Option<String>,
    never_again: bool,
    logs: Vec<(Stream, Vec<u8>)>,
}

fn read(text: &str) -> Vec<Written> {
    let mut cases: Vec<Written> = Vec::new();
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "#case" {
            cases.push(Written {
                name: rest.to_owned(),
                ..Written::default()
            });
            continue;
        }
        let case = cases.last_mut().unwrap();
        match word {
            "#class" => case.classes = rest.split('/').map(str::to_owned).collect(),
            "#job" => case.job(rest),
            "#key" => case.key = Some(rest.to_owned()),
            "#at" => case.at = Some(rest.to_owned()),
            "#again" => case.never_again = rest == "no",
            "#err" => case.logs.push((Stream::Err, Vec::new())),
            "#out" => case.logs.push((Stream::Out, Vec::new())),
            "#trace" => bytes_of(HEADER, &mut case.logs.last_mut().unwrap().1),
            "#noise" => noise(rest, &mut case.logs.last_mut().unwrap().1),
            _ => bytes_of(line, &mut case.logs.last_mut().unwrap().1),
        }
    }
    cases
}

impl Written {
    fn job(&mut self, text: &str) {
        let mut words = text.split(' ');
        let state = JobState::parse(words.next().unwrap());
        let (code, signal) = words.next().unwrap().split_once(':').unwrap();
        let exit = ExitInfo {
            code: code.parse().unwrap(),
            signal: signal.parse().unwrap(),
        };
        self.job = Some((state, exit));
        for word in words {
            match word.split_once('=').unwrap() {
                ("elapsed", seconds) => {
                    self.elapsed = Some(Duration::from_secs(seconds.parse().unwrap()));
                }
                ("by", user) => self.cancelled_by = Some(user.parse().unwrap()),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The records under which the case must have the same class.
    fn records(&self) -> Vec<Option<(JobState, ExitInfo)>> {
        let failed = ExitInfo { code: 1, signal: 0 };
        match &self.job {
            Some(job) => vec![Some(job.clone())],
            None if self.classes[0].starts_with("false_success") || self.classes[0] == "none" => {
                vec![None]
            }
            None => vec![None, Some((JobState::Failed, failed))],
        }
    }
}

fn bytes_of(line: &str, into: &mut Vec<u8>) {
    let line = line.replace('␛', "\x1b").replace('␍', "\r");
    let mut parts = line.split('⟨');
    into.extend(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let (byte, rest) = part.split_once('⟩').unwrap();
        into.push(u8::from_str_radix(byte, 16).unwrap());
        into.extend(rest.as_bytes());
    }
    into.push(b'\n');
}

/// What stands around errors in real logs.
fn noise(spec: &str, into: &mut Vec<u8>) {
    let (name, count) = spec.rsplit_once(' ').unwrap_or((spec, "1"));
    let count: usize = count.parse().unwrap_or(1);
    let text = match name.split(' ').next().unwrap() {
        "tqdm" => (0..count)
            .map(|step| {
                format!(
                    "\rEpoch 3:  {:2}%|{:<20}| {step}/{count} [00:{step:02}<00:40, 3.21it/s, loss=0.{:03}, err=0.{step:02}]",
                    step * 100 / count,
                    "█".repeat(step * 20 / count),
                    900 - step,
                )
            })
            .collect::<String>()
            + "\n",
        "steps" => (0..count)
            .map(|step| {
                format!(
                    "[2026-10-0{} 12:{step:02}:11,031][INFO] step {} | loss {:.4} | grad_norm {:.3} | val_error 0.{step:02} | nan_count 0\n",
                    1 + step % 9,
                    step * 100,
                    4.0 / (1.0 + f64::from(u32::try_from(step).unwrap())),
                    0.5
                )
            })
            .collect(),
        "nccl" => (0..count)
            .map(|rank| {
                format!(
                    "gpu01:811{rank}:811{rank} [{rank}] NCCL INFO Bootstrap : Using ib0:10.31.1.{rank}<0>\n\
                     gpu01:811{rank}:811{rank} [{rank}] NCCL INFO NET/Plugin : No plugin found (libnccl-net.so), using internal implementation\n\
                     gpu01:811{rank}:822{rank} [{rank}] NCCL INFO comm 0x55{rank} rank {rank} nranks {count} - Init COMPLETE\n"
                )
            })
            .collect(),
        "elastic" => elastic(name.split(' ').nth(1).unwrap(), count),
        other => STILL
            .iter()
            .find(|(name, _)| *name == other)
            .unwrap_or_else(|| panic!("{other}"))
            .1
            .to_owned(),
    };
    into.extend(text.as_bytes());
}

/// What torchrun adds when a child of it has failed.
fn elastic(script: &str, code: usize) -> String {
    format!(
        "E1103 11:20:40.1 2211 site-packages/torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: {code}) local_rank: 0 (pid: 2230) of binary: /home/alice/.conda/envs/ml/bin/python\n\
         Traceback (most recent call last):\n  File \"/home/alice/.conda/envs/ml/bin/torchrun\", line 8, in <module>\n    sys.exit(main())\n  \
         File \"/home/alice/.conda/envs/ml/lib/python3.10/site-packages/torch/distributed/run.py\", line 901, in main\n    run(args)\n  \
         File \"/home/alice/.conda/envs/ml/lib/python3.10/site-packages/torch/distributed/launcher/api.py\", line 269, in launch_agent\n    raise ChildFailedError(\n\
         torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n\
         ============================================================\n{script} FAILED\n\
         ------------------------------------------------------------\nFailures:\n  <NO_OTHER_FAILURES>\n\
         ------------------------------------------------------------\nRoot Cause (first observed failure):\n[0]:\n  \
         time      : 2026-11-03_11:20:40\n  host      : gpu01\n  rank      : 0 (local_rank: 0)\n  exitcode  : {code} (pid: 2230)\n  \
         error_file: <N/A>\n  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html\n\
         ============================================================\n"
    )
}

const STILL: &[(&str, &str)] = &[
    (
        "torchrun",
        "W1103 11:20:01.0 2211 site-packages/torch/distributed/run.py:792] \n\
         *****************************************\n\
         Setting OMP_NUM_THREADS environment variable for each process to be 1 in default, to avoid your system being overloaded, please further tune the variable for optimal performance in your application as needed. \n\
         *****************************************\n",
    ),
    (
        "deprecation",
        "/home/u/env/lib/python3.9/site-packages/torch/functional.py:504: UserWarning: torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument. (Triggered internally at ../aten/src/ATen/native/TensorShape.cpp:3526.)\n  \
         return _VF.meshgrid(tensors, **kwargs)  # type: ignore[attr-defined]\n\
         /home/u/p/x.py:12: FutureWarning: You are using `torch.load` with `weights_only=False`, which could execute arbitrary code; errors may follow.\n  \
         state = torch.load(path)\n\
         DeprecationWarning: invalid escape sequence \\d\n",
    ),
    (
        "tf",
        "2026-03-04 09:59:58.102938: I tensorflow/core/platform/cpu_feature_guard.cc:193] This TensorFlow binary is optimized with oneAPI Deep Neural Network Library (oneDNN)\n\
         2026-03-04 09:59:58.302938: W tensorflow/compiler/xla/stream_executor/platform/default/dso_loader.cc:64] Could not load dynamic library 'libnvinfer.so.7'; dlerror: libnvinfer.so.7: cannot open shared object file: No such file or directory\n\
         2026-03-04 09:59:59.302938: I tensorflow/core/common_runtime/gpu/gpu_device.cc:1613] Created device /job:localhost/replica:0/task:0/device:GPU:0 with 78911 MB memory\n",
    ),
    (
        "wandb",
        "wandb: Currently logged in as: alice (lab). Use `wandb login --relogin` to force relogin\n\
         wandb: WARNING Path /scratch/wandb/ wasn't writable, using system temp directory\n\
         wandb: Tracking run with wandb version 0.16.2\n\
         wandb: ERROR Error while calling W&B API: internal server error (500), retrying\n\
         wandb: Network error resolved after 0:00:12, resuming normal operation.\n",
    ),
    (
        "conda",
        "==> WARNING: A newer version of conda exists. <==\n  current version: 4.10.3\n  latest version: 24.9.2\n\n\
         Please update conda by running\n\n    $ conda update -n base -c defaults conda\n\n",
    ),
    (
        "lightning",
        "GPU available: True (cuda), used: True\nTPU available: False, using: 0 TPU cores\n\
         LOCAL_RANK: 0 - CUDA_VISIBLE_DEVICES: [0,1]\n\n  | Name | Type | Params\n------------------\n0 | net  | UNet | 7.8 M \n------------------\n\
         /v/lib/python3.9/site-packages/pytorch_lightning/trainer/connectors/data_connector.py:441: The 'val_dataloader' does not have many workers which may be a bottleneck.\n",
    ),
    (
        "pip",
        "Collecting torch==2.4.0\n  Using cached torch-2.4.0-cp310-cp310-manylinux1_x86_64.whl (797.2 MB)\n\
         Requirement already satisfied: numpy in ./v/lib/python3.10/site-packages (1.26.4)\n",
    ),
    (
        "detached",
        "Note: switching to '9e107d9d372bb6826bd81d3542a419d6b6d2a1c0'.\n\n\
         You are in 'detached HEAD' state. You can look around, make experimental\n\
         changes and commit them, and you can discard any commits you make in this\n\
         state without impacting any branches by switching back to a branch.\n\n\
         HEAD is now at 9e107d9 Fix the error in the missing-file test\n",
    ),
];

/// What came of a set of written logs.
#[derive(Default)]
struct Score {
    cases: usize,
    unknown: Vec<String>,
    wrong: Vec<String>,
    keys: Vec<String>,
    places: Vec<String>,
}

impl Score {
    fn judge(&mut self, case: &Written, end_of_line: &str) {
        self.cases += 1;
        let logs: Vec<LogText> = case
            .logs
            .iter()
            .map(|(stream, bytes)| {
                let name = if *stream == Stream::Err {
                    "job.err"
                } else {
                    "job.out"
                };
                let text = bytes.clone();
                let text = if end_of_line == "\n" {
                    text
                } else {
                    text.split(|byte| *byte == b'\n')
                        .collect::<Vec<_>>()
                        .join(end_of_line.as_bytes())
                };
                LogText::from_bytes(name, *stream, &text)
            })
            .collect();
        for record in case.records() {
            let (state, exit) = record.clone().unzip();
            let diagnosis = classify(&Case {
                state: state.as_ref(),
                exit,
                elapsed: case.elapsed,
                cancelled_by: case.cancelled_by,
                logs: &logs,
                ..Case::default()
            });
            if !self.judge_one(case, &diagnosis) {
                return;
            }
        }
    }

    fn judge_one(&mut self, case: &Written, diagnosis: &Diagnosis) -> bool {
        let label = diagnosis.label();
        let key = diagnosis.key.as_ref().map_or("", |key| key.text.as_str());
        let at = diagnosis
            .source_location
            .as_ref()
            .map_or_else(String::new, |(file, line)| format!("{file}:{line}"));
        let told = format!(
            "{}: {label} ({:?}), not {} [{key}] {at}",
            case.name,
            diagnosis.retry,
            case.classes.join("/")
        );
        let again = matches!(
            diagnosis.retry,
            RetryPolicy::Once { .. } | RetryPolicy::Wait
        );
        if !case.classes.contains(&label) || case.never_again && again {
            let list = if label == "unknown" {
                &mut self.unknown
            } else {
                &mut self.wrong
            };
            list.push(told);
            return false;
        }
        if case
            .key
            .as_ref()
            .is_some_and(|wanted| !key.contains(wanted))
        {
            self.keys.push(told);
            return false;
        }
        if case.at.as_ref().is_some_and(|wanted| *wanted != at) {
            self.places.push(told);
            return false;
        }
        true
    }

    fn is_perfect(&self) -> bool {
        [&self.unknown, &self.wrong, &self.keys, &self.places]
            .iter()
            .all(|list| list.is_empty())
    }

    fn report(&self) -> String {
        let right = self.cases - self.unknown.len() - self.wrong.len();
        format!(
            "{right} of {} right\nunknown {}:\n  {}\nwrong {}:\n  {}\nother key {}:\n  {}\nother place {}:\n  {}",
            self.cases,
            self.unknown.len(),
            self.unknown.join("\n  "),
            self.wrong.len(),
            self.wrong.join("\n  "),
            self.keys.len(),
            self.keys.join("\n  "),
            self.places.len(),
            self.places.join("\n  "),
        )
    }
}

const SETS: &[(&str, &str)] = &[
    ("first_1", include_str!("written/first_1.logs")),
    ("first_2", include_str!("written/first_2.logs")),
    ("first_3", include_str!("written/first_3.logs")),
    ("second_1", include_str!("written/second_1.logs")),
    ("second_2", include_str!("written/second_2.logs")),
    ("third", include_str!("written/third.logs")),
    ("fourth", include_str!("written/fourth.logs")),
    ("fifth", include_str!("written/fifth.logs")),
    ("sixth", include_str!("written/sixth.logs")),
    ("seventh", include_str!("written/seventh.logs")),
    ("eighth", include_str!("written/eighth.logs")),
    ("ninth", include_str!("written/ninth.logs")),
    ("tenth", include_str!("written/tenth.logs")),
    ("eleventh_1", include_str!("written/eleventh_1.logs")),
    ("eleventh_2", include_str!("written/eleventh_2.logs")),
    ("twelfth", include_str!("written/twelfth.logs")),
    ("thirteenth", include_str!("written/thirteenth.logs")),
    ("fourteenth", include_str!("written/fourteenth.logs")),
    ("fifteenth", include_str!("written/fifteenth.logs")),
    ("sixteenth", include_str!("written/sixteenth.logs")),
    ("seventeenth", include_str!("written/seventeenth.logs")),
];

#[test]
fn written_logs_have_the_class_key_and_place_that_a_person_would_give() {
    for end_of_line in ["\n", "\r\n"] {
        let mut score = Score::default();
        for (_, text) in SETS {
            for case in read(text) {
                score.judge(&case, end_of_line);
            }
        }
        let report = score.report();
        assert!(score.is_perfect(), "with {end_of_line:?}: {report}");
    }
}

#[test]
fn written_logs_have_names_of_their_own_and_classes_that_exist() {
    let mut seen = BTreeMap::new();
    for (set, text) in SETS {
        for case in read(text) {
            for class in &case.classes {
                let class = class.trim_start_matches("false_success:");
                assert!(
                    FailureClass::from_name(class).is_some(),
                    "{}: {class}",
                    case.name
                );
            }
            assert_eq!(seen.insert(case.name.clone(), set), None, "{}", case.name);
        }
    }
}
