//! Whole lives of projects on the cluster.

use ralph_tests::slurm::{Site, cluster};
use ralph_tests::wait_until;

const TRACEBACK: &str = "cat >&2 <<'E'\nTraceback (most recent call last):\n  File \"train.py\", line 7, in <module>\n    f()\n  File \"model.py\", line 3, in f\n    return a @ b\nRuntimeError: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)\nE\nexit 1";

#[test]
fn three_projects_and_one_whose_job_is_cancelled_outside() {
    let Some(cluster) = cluster(false) else {
        return;
    };
    let site = Site::connected(&cluster);
    site.project(
        "good",
        "RUN",
        &[("Q-001", "echo one"), ("Q-002", "echo two")],
    );
    site.project("broken", "RUN", &[("Q-001", TRACEBACK)]);
    let sweep = "#SBATCH --array=0-3\n[ \"$SLURM_ARRAY_TASK_ID\" != 2 ] || exit 7";
    site.project("sweep", "RUN", &[("Q-001", sweep)]);
    site.project("stopped", "RUN", &[("Q-001", "sleep 600")]);
    let mut dispatch = site
        .command(&["dispatch", "--until-idle", "-v"])
        .spawn()
        .expect("ralph");
    wait_until("the long job is booked", || {
        !site.state("stopped")["active_runs"]
            .as_array()
            .is_none_or(Vec::is_empty)
    });
    let (_, job) = site.live_run("stopped");
    site.on_login_node(&format!("scancel {job}"));
    let status = dispatch.wait().expect("an end");
    eprintln!("{status}");
    for slug in ["good", "broken", "sweep", "stopped"] {
        eprintln!("{slug}: {:#}", site.state(slug));
    }
    eprintln!("{:?}", site.jobs());
    let _ = std::process::Command::new("cp")
        .arg("-r")
        .arg(site.workspace.root())
        .arg("/tmp/sl-out")
        .status();
}
