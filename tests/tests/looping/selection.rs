//! Which task is taken: rows 1 to 34 of the conformance table as far as a person at the command line sees them. The
//! same rows, and those about functions alone (28, 32 to 45), are tests of the library (`plan_conformance.rs` of
//! ralph-loop). `--dry-run --task` chooses as a run does, and changes nothing.

use ralph_tests::{Ran, Repository};

const NO_GATES: [&str; 3] = ["loop", "--quality-gates", "none"];

/// What a dry run says would be done, as JSON.
#[track_caller]
fn chosen(repository: &Repository, query: &str) -> serde_json::Value {
    let ran = repository
        .ralph(&["loop", "--dry-run", "--json", "--task", query])
        .ended(0);
    let plan: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(plan["tasks"].as_array().map_or(0, Vec::len), 1, "{query}");
    plan["tasks"][0].clone()
}

#[track_caller]
fn refused(repository: &Repository, query: &str, code: i32, message: &str) {
    let before = repository.plan();
    for words in [
        &["loop", "--task", query][..],
        &["loop", "--dry-run", "--task", query],
    ] {
        let ran = repository.ralph(words).ended(code);
        assert!(ran.stderr.contains(message), "{query}: {}", ran.stderr);
    }
    assert_eq!(repository.plan(), before);
    assert_eq!(repository.attempts().len(), 0);
}

/// Rows 1 to 3, 5, 6, 9 and 11.
#[test]
fn a_task_is_found_by_every_form_of_its_name() {
    let repository = Repository::with_plan(&[
        "- [x] **E50.** Longer",
        "- [~] **E49.** Somebody's",
        "- [ ] **A1** Bold",
        "- [ ] **A2.** Bold with a full stop",
        "- [ ] **A3:** Bold with a colon",
        "- [ ] **A4)** Bold with a parenthesis",
        "- [ ] **A5]** Bold with a bracket",
        "- [X] [B1] Bracketed and done",
        "- [ ] (B2) Parenthesised",
        "- [ ] B3: Plain with a colon",
        "- [ ] B4. Plain with a full stop",
        "- [ ] B5) Plain with a parenthesis",
        "- [ ] **v1.0.** Dotted",
        "- [ ] [AUTH-01] Fix the login",
        "- [ ] **Ab1** Mixed case",
    ]);
    let text = |query: &str| {
        let task = chosen(&repository, query);
        task["text"].as_str().unwrap_or_default().to_owned()
    };
    for (query, wanted) in [
        ("A1", "Bold"),
        ("a1", "Bold"),
        ("A2", "full stop"),
        ("a2", "full stop"),
        ("A3", "colon"),
        ("A4", "parenthesis"),
        ("A5", "bracket"),
        ("B2", "Parenthesised"),
        ("B3", "Plain with a colon"),
        ("b4", "Plain with a full stop"),
        ("B5", "Plain with a parenthesis"),
        ("v1.0", "Dotted"),
        ("AUTH-01", "Fix the login"),
        // Theirs does not find this one in bold; section 1.2.
        ("ab1", "Mixed case"),
        // Every state counts.
        ("3", "**A1** Bold"),
        ("15", "Mixed case"),
    ] {
        assert!(
            text(query).contains(wanted),
            "{query} found {}",
            text(query)
        );
    }
    assert_eq!(chosen(&repository, "AUTH-01")["id"], "AUTH-01");
    assert_eq!(repository.status(), "", "nothing is marked");
}

/// Rows 4, 7 and 10. Exit 1 as theirs.
#[test]
fn a_task_that_cannot_be_taken_is_refused_and_the_plan_is_untouched() {
    let repository = Repository::with_plan(&["- [ ] **E50.** Longer", "- [x] **E4.** Done"]);
    refused(&repository, "E5", 1, "E5");
    refused(&repository, "99", 1, "99");
    refused(&repository, "E4", 1, "completed");
    refused(&repository, "2", 1, "completed");
}

/// Row 8: a `[~]` of nobody known is accepted where it is named, and left alone else. One that a live loop holds is
/// refused before that: no second loop runs in a repository (row 90). The plan is one that git does not track: in a
/// tracked one that was committed with such a mark, the work stays on its branch.
#[test]
fn a_claim_of_nobody_known_is_left_alone_unless_it_is_named() {
    let repository = Repository::with_plan(&[
        "- [~] **C1.** Somebody's :: write a.txt x",
        "- [ ] **C2.** Free :: write b.txt x",
    ]);
    repository.write(".gitignore", "/.ralph/\n");
    repository.git(&["rm", "-rq", "--cached", ".ralph"]);
    repository.git(&["commit", "-qam", "Keep the plan to myself"]);
    let _ = repository.ralph(&NO_GATES).ended(0);
    assert!(repository.plan().contains("- [~] **C1.**\u{20}"));
    assert!(repository.plan().contains("- [x] **C2.**"));
    let mut words = NO_GATES.to_vec();
    words.extend(["--task", "c1"]);
    let _ = repository.ralph(&words).ended(0);
    assert!(repository.plan().contains("- [x] **C1.**"));
    assert_eq!(repository.read("a.txt"), "x\n");
}

/// Rows 12 to 14: ids in the records. The name of a branch has six more characters, so that equal beginnings do not
/// collide (defect 8.4).
#[test]
fn ids_are_short_and_clean() {
    let long = format!("- [ ] {}", "very long title ".repeat(10));
    let repository = Repository::with_plan(&[
        "- [ ] Fix Authentication Bug",
        "- [ ] Fix --the-- BROKEN   endpoint!!!",
        &long,
    ]);
    let ran = repository.ralph(&["loop", "--dry-run", "--json"]).ended(0);
    let plan: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let ids: Vec<&str> = (0..3)
        .map(|at| plan["tasks"][at]["id"].as_str().unwrap_or(""))
        .collect();
    assert_eq!(
        ids[..2],
        ["fix-authentication-bug", "fix-the-broken-endpoint"]
    );
    assert!(
        ids[2].len() <= 50 && ids[2].starts_with("very-long-title-"),
        "{ids:?}"
    );
    assert!(ids.iter().all(|id| !id.ends_with('-')));
}

/// Rows 15 to 18, 24, 29 and 31: what is a task, and when a plan is complete.
#[test]
fn only_boxes_with_one_character_are_tasks() {
    let repository = Repository::with_plan(&[
        "Some words :: exit 1",
        "- [] no space :: exit 1",
        "- [  ] two spaces :: exit 1",
        "- [2026-01-29] a date :: exit 1",
        "- [NOTE] a note",
        "- [v1.0] a version",
        "- [#123] an issue",
        "- [!] only a person can do this",
        "* [ ] another bullet :: exit 1",
        "- [x] done",
        "- [X] done too",
        "- [ ] c :: write c.txt x",
        "    a line of text below it",
    ]);
    let before = repository.plan();
    let _ = repository.ralph(&NO_GATES).ended(0);
    assert_eq!(repository.plan(), before.replace("- [ ] c", "- [x] c"));
    assert_eq!(repository.outcomes(), ["done"]);
    // Complete: nothing is picked, and that is no failure.
    let ran = repository.ralph(&NO_GATES).ended(0);
    assert!(ran.stderr.contains("queue empty"), "{}", ran.stderr);
}

/// Rows 19 and 27. Theirs exits with 0 for an empty or missing plan; here that is told with a code of its own, since
/// it is far more often a slip than a wish. A plan with words and no box is complete.
#[test]
fn a_plan_without_tasks_is_no_crash() {
    let repository = Repository::with_plan(&["Nothing to do yet."]);
    let ran = repository.ralph(&NO_GATES).ended(0);
    assert!(ran.stderr.contains("queue empty"), "{}", ran.stderr);
    repository.write(".ralph/fix_plan.md", "");
    let ran = repository.ralph(&NO_GATES).ended(31);
    assert!(ran.stderr.contains("an empty file"), "{}", ran.stderr);
    assert!(ran.stderr.contains("- [ ]"), "{}", ran.stderr);
}

/// Row 20: line ends stay what they are.
#[test]
fn a_plan_with_other_line_ends_keeps_them() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x"]);
    let text = "# Plan\r\n\r\n- [ ] One :: write a.txt x\r\n- [x] Two\r\n";
    repository.write(".ralph/fix_plan.md", text);
    repository.git(&["commit", "-qam", "Other line ends"]);
    let _ = repository.ralph(&NO_GATES).ended(0);
    assert_eq!(repository.plan(), text.replace("- [ ] One", "- [x] One"));
    assert_eq!(repository.status(), "");
}

/// Row 26, and defect 8.29: nothing in a title is executed, cut or breaks a file of ours.
#[test]
fn a_title_is_only_text() {
    let title = r#"Fix `a|b` $HOME $(touch pwned) "q" 'r' \n (p) %s ünï 🚀"#;
    let line = format!("- [ ] {title} :: write a.txt x");
    let repository = Repository::with_plan(&[&line]);
    let before = repository.plan();
    let _ = repository.ralph(&NO_GATES).ended(0);
    assert_eq!(repository.plan(), before.replace("- [ ] Fix", "- [x] Fix"));
    let task = repository.attempts()[0]["task"].clone();
    assert_eq!(
        task.as_str().map(|text| text.starts_with(title)),
        Some(true)
    );
    let subject = repository.git(&["log", "-1", "--format=%s"]);
    assert!(subject.starts_with(&format!("ralph: {title}")), "{subject}");
    let status: serde_json::Value =
        serde_json::from_str(&repository.read(".ralph/status.json")).expect("JSON");
    assert_eq!(status["state"], "ended");
    for folder in [repository.root(), repository.home().to_owned()] {
        assert!(!folder.join("pwned").exists());
    }
}

/// Row 104: the repository is found from any folder in it. Without a plan: 31 with the way to one; theirs exits with 1.
#[test]
fn the_plan_is_found_from_a_folder_below() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x"]);
    repository.write("deep/er/file.txt", "x\n");
    repository.git(&["add", "-A"]);
    repository.git(&["commit", "-qm", "A folder"]);
    let folder = repository.root().join("deep/er");
    let below = |words: &[&str]| {
        let mut command = repository.command(words);
        Ran::of_command(command.current_dir(&folder))
    };
    let _ = below(&NO_GATES).ended(0);
    assert_eq!(repository.read("a.txt"), "x\n");
    let ran = below(&["loop", "--status"]).ended(0);
    assert!(ran.stdout.contains("ended"), "{}", ran.stdout);
    repository.git(&["rm", "-q", ".ralph/fix_plan.md"]);
    repository.git(&["commit", "-qm", "No plan"]);
    let ran = below(&["loop"]).ended(31);
    assert!(ran.stderr.contains("fix_plan.md"), "{}", ran.stderr);
}

/// Defect 8.25: a prompt that was typed is where the person is, not where the repository begins.
#[test]
fn a_typed_path_starts_where_the_person_is() {
    let repository = Repository::with_plan(&["- [ ] One"]);
    repository.write("deep/prompt.md", "Of the folder below.\n");
    repository.write(".gitignore", "agent.log\ndeep/\n");
    repository.git(&["commit", "-qam", "A folder of mine"]);
    let mut command = repository.command(&["loop", "-p", "prompt.md", "--quality-gates", "none"]);
    command
        .current_dir(repository.root().join("deep"))
        .env("RALPH_AGENT_COMMAND", "sh -c 'cat >order.json'");
    let _ = Ran::of_command(&mut command).ended(0);
    assert!(
        repository
            .read("order.json")
            .contains("Of the folder below."),
        "{}",
        repository.read("order.json")
    );
}

/// Row 105: there is no `ralph enable-ci`, nor `ralph enable` (which theirs advises and does not have). The loop needs
/// one file, and says which; what they would have made of it, a person writes or lets an agent write.
#[test]
fn nothing_has_to_be_enabled() {
    let repository = Repository::with_plan(&["- [ ] One :: write a.txt x"]);
    for verb in ["enable", "enable-ci"] {
        let ran = repository.ralph(&[verb, "--json"]).ended(2);
        assert!(ran.stderr.contains(verb), "{}", ran.stderr);
    }
    // No PROMPT.md, no AGENT.md, no .ralphrc: theirs refuses to start without each of them.
    repository.git(&["rm", "-q", ".ralph/PROMPT.md"]);
    repository.git(&["commit", "-qm", "Only a plan"]);
    let _ = repository.ralph(&NO_GATES).ended(0);
    assert_eq!(repository.read("a.txt"), "x\n");
}
