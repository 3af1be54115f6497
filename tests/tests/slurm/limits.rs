//! A limit of the scheduler is no failure: the item waits its turn, and nobody is asked.

use ralph_tests::slurm::{Site, cluster};

/// Two jobs of a user may be submitted to this partition, and one of them runs.
const PARTITION: &str = "#SBATCH --partition=gpu_test\n";

#[test]
fn the_third_item_of_a_full_partition_stays_ready_until_there_is_room() {
    let Some(cluster) = cluster(true) else {
        return;
    };
    let site = Site::connected(&cluster);
    let script = format!("{PARTITION}{}", site.gate("gate"));
    let slugs = ["first", "second", "third"];
    for slug in slugs {
        site.project(slug, "RUN", &[("Q-001", &script)]);
    }
    let said = site.ralph(&["dispatch"]).ended(0).stdout;
    assert!(
        said.contains("a limit of the scheduler; it stays READY"),
        "{said}"
    );
    let waiting: Vec<&str> = slugs
        .into_iter()
        .filter(|slug| site.state(slug)["phase"] == "RUN")
        .collect();
    let [waiting] = waiting.as_slice() else {
        panic!("{waiting:?}");
    };
    let untouched = || {
        let state = site.state(waiting);
        assert_eq!(state["needs_user_input"]["value"], false);
        assert_eq!(state["active_runs"].as_array().map(Vec::len), Some(0));
        let queue = site
            .workspace
            .read(&format!("projects/{waiting}/documentation/queue.md"));
        let ready = queue.split("## IN_PROGRESS").next().expect("a section");
        assert!(ready.contains("### Q-001"), "{queue}");
    };
    untouched();
    let _ = site.ralph(&["dispatch"]).ended(0);
    untouched();
    assert_eq!(site.jobs().len(), 2);

    site.open_gate("gate");
    let _ = site.ralph(&["dispatch", "--until-idle"]).ended(0);
    for slug in slugs {
        assert_eq!(site.state(slug)["phase"], "DONE", "{slug}");
    }
    assert_eq!(site.jobs().len(), 3);
}
