//! What is found after a crash: between a record and its mark, and the other way round.

use super::*;

fn recover(place: &Place) -> Recovered {
    place.plan().recover(&|_| true).unwrap()
}

#[test]
fn a_claim_of_a_process_that_is_gone_is_given_back() {
    let place = Place::new("- [ ] one\n- [ ] two\n- [~] nobody's\n");
    let theirs = take(&place.plan_of(dead_process()), &any(), "a1").unwrap();
    take(&place.plan(), &any(), "a2").unwrap();
    assert_eq!(place.standings(), "gc?");
    // Only recovery takes it: what the dead process started may still run.
    assert!(take(&place.plan(), &any(), "a3").is_none());
    let recovered = recover(&place);
    assert_eq!(recovered.claims.len(), 1);
    assert_eq!(recovered.claims[0].task, theirs);
    assert_eq!(recovered.claims[0].attempt, attempt("a1"));
    assert_eq!(place.standings(), ".c?");
    assert_eq!(place.marks(), " ~~");
    assert_eq!(recover(&place), Recovered::default());
}

#[test]
fn between_the_record_and_its_mark() {
    let place = Place::new("- [ ] one\n");
    let task = take(&place.plan_of(dead_process()), &any(), "a1").unwrap();
    // As if the crash had come before the mark, or after a mark was taken away and before the record was.
    place.edit("- [ ] one\n");
    assert_eq!(place.standings(), "g");
    assert_eq!(recover(&place).claims.len(), 1);
    assert_eq!(take(&place.plan(), &any(), "a2"), Some(task));
}

#[test]
fn between_a_tick_and_its_record() {
    let place = Place::new("- [ ] one\n- [ ] two\n");
    take(&place.plan_of(dead_process()), &any(), "a1").unwrap();
    place.edit("- [x] one\n- [ ] two\n");
    recover(&place);
    assert_eq!(place.marks(), "x ");
    assert_eq!(
        fs::read_dir(place.state().join("claims")).unwrap().count(),
        0
    );
}

#[test]
fn a_task_that_left_the_plan_leaves_no_record() {
    let place = Place::new("- [ ] one\n- [ ] two\n");
    take(&place.plan_of(dead_process()), &any(), "a1").unwrap();
    place.edit("- [ ] two\n");
    recover(&place);
    assert_eq!(place.standings(), ".");
    assert_eq!(
        fs::read_dir(place.state().join("claims")).unwrap().count(),
        0
    );
}

#[test]
fn between_a_delivery_and_the_end_of_its_claim() {
    let place = Place::new("- [ ] one\n");
    let dead = place.plan_of(dead_process());
    let task = take(&dead, &any(), "a1").unwrap();
    // The record is there, the claim and its mark still are.
    record::write_delivered(
        &place.state(),
        &record::DeliveredRecord {
            version: record::VERSION,
            task,
            twins: 0,
            delivered: delivered(),
        },
    )
    .unwrap();
    assert_eq!(place.standings(), "d");
    assert_eq!(recover(&place).claims.len(), 1);
    assert_eq!(
        (place.standings().as_str(), place.marks().as_str()),
        ("d", " ")
    );
    // Merged: the tick is there, and the record is not needed any more.
    place.edit("- [x] one\n");
    assert!(recover(&place).forgotten.is_empty());
    assert_eq!(
        fs::read_dir(place.state().join("delivered"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn an_attempt_that_goes_on_takes_its_claim_over() {
    let place = Place::new("- [ ] one\n- [ ] two\n");
    let one = take(&place.plan_of(dead_process()), &any(), "a1").unwrap();
    let plan = place.plan();
    assert!(plan.adopt(&one.key, &attempt("a1")).unwrap());
    assert!(recover(&place).claims.is_empty());
    assert_eq!(place.standings(), "c.");
    assert_eq!(
        plan.complete(&one, &attempt("a1")).unwrap(),
        Settled::Changed
    );
    assert!(!plan.adopt(&one.key, &attempt("a1")).unwrap());
    let elsewhere = Owner {
        pid_namespace: Some("another".to_owned()),
        ..this_process()
    };
    let two = take(&place.plan_of(elsewhere), &any(), "a2").unwrap();
    assert!(!plan.adopt(&two.key, &attempt("a2")).unwrap());
}

#[test]
fn what_cannot_be_seen_from_here_is_not_called_gone() {
    let boot = |boot: &str, host: &str| {
        let mut owner = this_process();
        owner.process.boot_id = boot.to_owned();
        owner.host = host.to_owned();
        owner
    };
    let here = this_process();
    assert_eq!(here.life(&here), Life::Alive);
    assert_eq!(dead_process().life(&here), Life::Gone);
    assert_eq!(boot("earlier", "host").life(&here), Life::Gone);
    assert_eq!(boot("earlier", "other").life(&here), Life::Unknown);
    let in_a_container = Owner {
        pid_namespace: Some("another".to_owned()),
        ..dead_process()
    };
    assert_eq!(in_a_container.life(&here), Life::Unknown);
    let place = Place::new("- [ ] one\n");
    take(&place.plan_of(boot("other", "other")), &any(), "a1").unwrap();
    let recovered = recover(&place);
    assert!(recovered.claims.is_empty());
    assert_eq!(recovered.standing[0].life, Life::Unknown);
    assert_eq!(place.standings(), "c");
}

#[test]
fn a_record_that_cannot_be_read_keeps_its_task() {
    let place = Place::new("- [ ] one\n");
    let one = take(&place.plan_of(dead_process()), &any(), "a1").unwrap();
    let path = record::claim_path(&place.state(), &one.key);
    for content in ["", "{", "{\"version\": 99}", "null"] {
        #[expect(clippy::disallowed_methods, reason = "somebody damages the file")]
        fs::write(&path, content).unwrap();
        assert_eq!(place.standings(), "c");
        assert!(take(&place.plan(), &any(), "b").is_none());
        assert_eq!(recover(&place).standing[0].record, path);
        assert_eq!(
            place.plan().revert(&one, &attempt("a1")).unwrap(),
            Settled::NotOurs
        );
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(place.standings(), "?");
}

#[test]
fn a_half_written_file_is_cleaned_away() {
    let place = Place::new("- [ ] one\n");
    recover(&place);
    for folder in [place.folder.path().to_owned(), place.state().join("claims")] {
        #[expect(clippy::disallowed_methods, reason = "this is what a crash leaves")]
        fs::write(folder.join(".ralph-abc.tmp"), "- [").unwrap();
    }
    recover(&place);
    assert!(!place.folder.path().join(".ralph-abc.tmp").exists());
    assert!(!place.state().join("claims/.ralph-abc.tmp").exists());
}

/// Two machines of one name that share a repository: what the other one does is not over because its boot is another.
#[test]
fn of_a_machine_with_the_name_of_this_one_nothing_is_known() {
    let here = Owner {
        machine: Some("here".to_owned()),
        ..this_process()
    };
    let mut there = Owner {
        machine: Some("there".to_owned()),
        ..here.clone()
    };
    there.process.boot_id = "another".to_owned();
    assert_eq!(there.life(&here), Life::Unknown);
    for machine in [here.machine.clone(), None] {
        // Booted since, or written down by a version that did not say which machine it is.
        let before = Owner {
            machine,
            ..there.clone()
        };
        assert_eq!(before.life(&here), Life::Gone);
    }
}
