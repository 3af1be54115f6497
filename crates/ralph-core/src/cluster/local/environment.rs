//! The variables a job starts with: the caller's as `--export` asks, then SLURM's, then the submission's own.
//!
//! Pure. The caller's environment is handed in by the binary.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::plan::{JobPlan, Task};

/// The whole environment of one start of the script.
pub(super) fn environment(
    plan: &JobPlan,
    task: Task,
    caller: &BTreeMap<OsString, OsString>,
) -> BTreeMap<OsString, OsString> {
    let mut job = plan.export.apply(caller);
    let own = slurm(plan, task)
        .into_iter()
        .chain(plan.facts.clone())
        .chain(plan.variables.clone());
    job.extend(own.map(|(name, value)| (name.into(), value.into())));
    job
}

/// The variables of sbatch(1), section "output environment variables", as far as they mean something here.
fn slurm(plan: &JobPlan, task: Task) -> BTreeMap<String, String> {
    let id = task.raw_id.to_string();
    let mut set = BTreeMap::new();
    let mut put = |name: &str, value: &str| {
        set.insert(format!("SLURM_{name}"), value.to_owned());
    };
    let uid = rustix::process::getuid().as_raw().to_string();
    for (name, value) in [
        ("JOB_ID", id.as_str()),
        ("JOBID", &id),
        ("JOB_NAME", &plan.name),
        ("JOB_USER", &plan.user),
        ("JOB_UID", &uid),
        ("SUBMIT_DIR", &plan.submit_dir.to_string_lossy()),
        ("SUBMIT_HOST", &plan.host),
        ("CLUSTER_NAME", "local"),
        ("JOB_NODELIST", &plan.host),
        ("NODELIST", &plan.host),
        ("NNODES", "1"),
        ("JOB_NUM_NODES", "1"),
        ("NODEID", "0"),
        ("PROCID", "0"),
        ("LOCALID", "0"),
        ("RESTART_COUNT", "0"),
    ] {
        put(name, value);
    }
    if let Some(array) = &plan.array {
        let first = array.indices.first().copied().unwrap_or_default();
        let last = array.indices.last().copied().unwrap_or_default();
        for (name, value) in [
            ("JOB_ID", plan.job.base()),
            ("TASK_ID", task.index.into()),
            ("TASK_COUNT", array.indices.len() as u64),
            ("TASK_MIN", first.into()),
            ("TASK_MAX", last.into()),
        ] {
            put(&format!("ARRAY_{name}"), &value.to_string());
        }
    }
    set.insert("SLURMD_NODENAME".to_owned(), plan.host.clone());
    set
}
