//! `ralph selftest` on agents that are as they should be, and on some that are not.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use ralph_tests::{Ran, Repository};
use serde_json::Value;

/// Reads its order and does what it says, in bash.
const GOOD: &str = r#"#!/bin/bash
order=$(cat)
[[ $order == *'"instructions"'* ]] || exit 64
[[ $RALPH_TASK_TEXT == Wait* ]] && sleep 30
word=$(sed -n 's/.*word `\([^`]*\)` into.*/\1/p' <<<"$RALPH_TASK_TEXT")
echo "$word" >hello.txt
echo '{"ralph":"outcome","outcome":"done","cost_usd":0.01,"input_tokens":10,"output_tokens":5}'
"#;

fn repository() -> Repository {
    Repository::with_plan(&["- [ ] One :: write a.txt one"])
}

/// `ralph` with a temporary folder that goes with the repository: what does not pass is kept there.
fn command(repository: &Repository, words: &[&str]) -> Command {
    let mut command = repository.command(words);
    let temporary = repository.home().join("tmp");
    std::fs::create_dir_all(&temporary).expect("a folder");
    command
        .env("TMPDIR", temporary)
        .env("RALPH_STOP_GRACE", "2");
    command
}

/// The report of an agent, and its exit code.
fn tried(repository: &Repository, agent: &str, words: &[&str]) -> (Value, i32) {
    repository.write("../agent.sh", agent);
    let path = repository.home().join("agent.sh");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("a program");
    let all = ["selftest", "--agent-command", "../agent.sh", "--json"];
    let all: Vec<&str> = all.iter().chain(words).copied().collect();
    let ran = Ran::of_command(&mut command(repository, &all));
    let report = serde_json::from_str(&ran.stdout);
    let report = report.unwrap_or_else(|error| panic!("{error}: {} {}", ran.stdout, ran.stderr));
    (report, ran.code)
}

/// Checks that did not pass, with their marks.
fn wrong(report: &Value) -> Vec<(String, String)> {
    let text = |check: &Value, name: &str| check[name].as_str().unwrap_or("").to_owned();
    let checks = report["checks"].as_array().expect("checks").iter();
    checks
        .filter(|check| check["mark"] != "pass")
        .map(|check| (text(check, "check"), text(check, "mark")))
        .collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(check, mark): &(&str, &str)| ((*check).to_owned(), (*mark).to_owned());
    list.iter().map(owned).collect()
}

#[test]
fn a_good_agent_passes_everything_and_nothing_is_left() {
    let repository = repository();
    let before = repository.git(&["rev-parse", "HEAD"]);
    let (report, code) = tried(&repository, GOOD, &[]);
    assert_eq!(wrong(&report), pairs(&[]), "{report:#}");
    assert_eq!((code, &report["passed"]), (0, &Value::Bool(true)));
    assert!(
        report["checks"]
            .as_array()
            .is_some_and(|all| all.len() >= 14)
    );
    // Neither the repository nor the temporary folder knows of it.
    assert_eq!(repository.status(), "");
    assert_eq!(repository.git(&["rev-parse", "HEAD"]), before);
    assert!(repository.worktrees().is_empty() && repository.branches().is_empty());
    let left = std::fs::read_dir(repository.home().join("tmp")).expect("a folder");
    assert_eq!(left.count(), 0);
}

#[test]
fn what_an_agent_does_wrong_is_named_with_what_to_do() {
    let repository = repository();
    // It waits for an answer that nobody gives.
    let (report, code) = tried(
        &repository,
        "#!/bin/bash\nexec sleep 1000\n",
        &["--time-limit", "1"],
    );
    assert_eq!(wrong(&report), pairs(&[("ends by itself", "fail")]));
    assert_eq!(code, 1);
    let logs = report["kept"].as_str().expect("logs are kept");
    assert!(std::path::Path::new(logs).join("logs/plain.log").is_file());

    // It works on the checkout, leaves a server behind, and says nothing.
    let agent = "#!/bin/bash\ncd ../../project && echo x >stray.txt\n(setsid sleep 300 &)\n";
    let (report, code) = tried(&repository, agent, &["--quick"]);
    assert_eq!(
        wrong(&report),
        pairs(&[
            ("does what the order says", "fail"),
            ("stays in its work tree", "fail"),
            ("leaves no processes", "warn"),
            ("says what became of its order", "warn"),
            ("says what it used", "warn"),
        ]),
        "{report:#}"
    );
    assert_eq!(code, 1);
    let advised = report["checks"].as_array().expect("checks").iter();
    assert!(
        advised
            .filter(|check| check["mark"] == "fail")
            .all(|check| check["means"].is_string() && check["advice"].is_string())
    );

    let missing = ["selftest", "--agent-command", "/nowhere/agent", "--quick"];
    let ran = Ran::of_command(&mut command(&repository, &missing)).ended(1);
    assert!(ran.stdout.contains("FAIL  starts"), "{}", ran.stdout);
}

#[test]
fn an_agent_that_is_deaf_to_term_or_takes_its_order_as_an_argument_is_found_out() {
    let repository = repository();
    let agent = GOOD
        .replace("#!/bin/bash", "#!/bin/bash\ntrap '' TERM")
        .replace("[[ $order", "/bin/true \"$order\" || exit 7\n[[ $order");
    let (report, code) = tried(&repository, &agent, &[]);
    assert_eq!(
        wrong(&report),
        pairs(&[("takes a long order", "fail"), ("ends on TERM", "warn")]),
        "{report:#}"
    );
    assert_eq!(code, 1);
}
