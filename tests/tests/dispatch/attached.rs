//! Agents and test commands of a dispatch that is killed: nothing of them runs on, none begins before the last is gone,
//! and an interruption is not taken for a failure.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use ralph_tests::{Workspace, wait_until};

/// Works until the `go` of its turn is there and ignores TERM, beside a child in a session of its own that does as well. Notes who of its
/// predecessors is still alive when it begins.
const SCRIPT: &str = r#"
for pid in $(cat "$HOME/pids" 2>/dev/null); do
    grep -q '^State:.[RSDTt]' "/proc/$pid/status" 2>/dev/null && echo "$pid" >>"$HOME/clash"
done
go=$HOME/go$(cat "$HOME/pids" 2>/dev/null | wc -l)
trap '' TERM
setsid sh -c 'echo $$ >>"$HOME/pids"; while :; do sleep 0.05; done' &
echo $$ >>"$HOME/pids"
until [ -e "$go" ]; do sleep 0.05; done
sed -i 's/\[ \]/[x]/' documentation/implementation-todo.md
"#;

fn workspace(phase: &str) -> Workspace {
    workspace_of(phase, SCRIPT)
}

fn workspace_of(phase: &str, script: &str) -> Workspace {
    let workspace = Workspace::new();
    let config = serde_json::json!({
        "cluster": { "kind": "local" },
        "test_command": ["sh", "-c", script],
        "agent": { "engine": "command", "command": ["sh", "-c", script] },
    });
    workspace.write(".claude/ralph/config.json", &config.to_string());
    let _ = workspace.ralph(&["init", "--cluster", "local"]).ended(0);
    workspace.project("p", phase, &[]);
    workspace.write(
        "projects/p/documentation/implementation-todo.md",
        "# TODO\n\n## Ready\n\n- [ ] (T1) write it\n",
    );
    workspace
}

fn start(workspace: &Workspace) -> Child {
    let mut command = workspace.command(&["dispatch"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("ralph can be started")
}

fn pids(workspace: &Workspace) -> Vec<String> {
    let text = std::fs::read_to_string(workspace.path("pids")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn is_alive(pid: &String) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status"));
    status.is_ok_and(|status| !status.contains("\nState:\tZ"))
}

/// A dispatch whose agent, or whose tests, and the child of that run.
fn working(workspace: &Workspace) -> Child {
    let before = pids(workspace).len();
    let running = start(workspace);
    wait_until("both work", || pids(workspace).len() == before + 2);
    running
}

fn kill(mut running: Child) {
    running.kill().expect("SIGKILL");
    running.wait().expect("an end");
}

fn signal(name: &str, pids: &[String]) {
    let mut command = Command::new("kill");
    command.arg(name).args(pids).stderr(Stdio::null());
    command.status().expect("kill");
}

/// Kills the dispatch and its guards, so that nobody is left who could end what they started.
fn kill_with_guards(running: Child) {
    let pid = running.id();
    signal("-STOP", &[pid.to_string()]);
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it is stopped");
    let children: String = threads
        .flatten()
        .map(|thread| {
            let children = std::fs::read_to_string(thread.path().join("children"));
            children.unwrap_or_default() + " "
        })
        .collect();
    let guards = children.split_whitespace().map(str::to_owned);
    signal("-KILL", &guards.collect::<Vec<_>>());
    kill(running);
}

/// The next dispatch, at once: it says what was interrupted, and does the work once more.
fn taken_up_again(workspace: &Workspace, work: &str) {
    let before = pids(workspace);
    workspace.write(&format!("go{}", before.len()), "");
    let ran = workspace.ralph(&["dispatch", "--json"]).ended(0).json();
    assert_eq!(
        std::fs::read_to_string(workspace.path("clash")).unwrap_or_default(),
        "",
        "one began while another was there"
    );
    assert!(!pids(workspace).iter().any(is_alive));
    assert_eq!(pids(workspace).len(), before.len() + 2);
    let found = ran["verified"][0]["detail"].as_str().unwrap_or_default();
    assert!(
        found.starts_with(&format!("{work} was interrupted")),
        "{ran}"
    );
    let state = workspace.read("projects/p/.state/pipeline.json");
    // Tests that were cut off have changed nothing; an agent may have.
    let told = usize::from(work != "the tests");
    assert_eq!(state.matches("interrupted; not counted").count(), told);
    assert!(!state.contains("(attempt "), "{state}");
    let again = workspace.ralph(&["dispatch", "--json"]).json();
    assert_eq!(
        again["verified"].as_array().map(Vec::len),
        Some(0),
        "{again}"
    );
}

#[test]
fn an_agent_dies_with_a_killed_dispatch_and_all_that_it_started() {
    let workspace = workspace("IMPLEMENT");
    kill(working(&workspace));
    wait_until("nothing runs on", || !pids(&workspace).iter().any(is_alive));
    taken_up_again(&workspace, "implement T1");
}

#[test]
fn the_tests_die_with_a_killed_dispatch_and_all_that_they_started() {
    let workspace = workspace("TEST");
    kill(working(&workspace));
    wait_until("nothing runs on", || !pids(&workspace).iter().any(is_alive));
    taken_up_again(&workspace, "the tests");
}

#[test]
fn the_next_dispatch_waits_until_the_agent_of_a_killed_one_is_gone() {
    let workspace = workspace("IMPLEMENT");
    kill(working(&workspace));
    // Whoever ignores TERM has a few seconds left.
    taken_up_again(&workspace, "implement T1");
}

#[test]
fn what_a_killed_guard_leaves_is_ended_by_the_next_dispatch() {
    let workspace = workspace("IMPLEMENT");
    kill_with_guards(working(&workspace));
    assert!(
        pids(&workspace).iter().all(is_alive),
        "nobody could end them"
    );
    taken_up_again(&workspace, "implement T1");
}

#[test]
fn two_dispatches_that_do_not_see_each_other_send_one_agent() {
    let workspace = workspace("IMPLEMENT");
    let mut running = working(&workspace);
    // As on a file system that keeps no locks between machines, or where somebody has tidied up.
    std::fs::remove_file(workspace.path(".claude/ralph/dispatch.guard")).expect("a file");
    let second = workspace.ralph(&["dispatch", "--json"]);
    let said = second.json()["steps"][0]["problem"].to_string();
    assert!(said.contains("lock.attempt is held by"), "{said}");
    assert_eq!(pids(&workspace).len(), 2);
    assert!(pids(&workspace).iter().all(is_alive));
    workspace.write("go0", "");
    assert!(running.wait().expect("an end").success());
    assert!(!pids(&workspace).iter().any(is_alive));
    assert!(
        workspace
            .read("projects/p/documentation/implementation-todo.md")
            .contains("- [x] (T1)")
    );
}

/// Two workspaces, because a dispatch lets nobody else submit in its own: the agent of the first submits an item of the
/// second, leaves a process of its own behind, and then does its task, or waits to be killed.
struct Submitting {
    agents: Workspace,
    jobs: Workspace,
}

impl Submitting {
    fn new(rest: &str) -> Self {
        let jobs = Workspace::local();
        let job = "env >environment; : >began; until [ -e go ]; do sleep 0.05; done; : >done";
        jobs.project("toy", "RUN", &[("Q-001", job)]);
        let script = format!(
            r#"setsid sh -c 'echo $$ >>"$HOME/pids"; while :; do sleep 0.05; done' &
            "$RALPH_TESTED" --root "$JOBS" submit --project toy >"$HOME/said" 2>&1
            until [ -e "$JOBS/projects/toy/began" ] && [ -e "$HOME/pids" ]; do sleep 0.05; done
            : >"$HOME/submitted"
            {rest}"#
        );
        let agents = workspace_of("IMPLEMENT", &script);
        Self { agents, jobs }
    }

    fn start(&self) -> Child {
        let mut command = self.agents.command(&["dispatch"]);
        command.env("RALPH_TESTED", ralph_tests::binary("ralph-tested"));
        command.env("JOBS", self.jobs.root());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("ralph can be started")
    }

    fn has_submitted(&self) {
        let submitted = self.agents.path("submitted");
        wait_until("the agent has submitted", || submitted.exists());
    }

    /// The job outlives its agent, and the agent's own process does not; nothing in the job says whose it was.
    fn only_the_job_goes_on(&self) {
        wait_until("the agent's own process is gone", || {
            !pids(&self.agents).iter().any(is_alive)
        });
        assert!(!self.jobs.path("projects/toy/done").exists());
        self.jobs.write("projects/toy/go", "");
        wait_until("the job has ended", || {
            let _ = self.jobs.ralph(&["verify"]);
            self.jobs.state("toy")["active_runs"] == serde_json::json!([])
        });
        assert!(self.jobs.path("projects/toy/done").exists());
        let environment = self.jobs.read("projects/toy/environment");
        assert!(!environment.contains("RALPH_ATTEMPT_ID"), "{environment}");
        assert_eq!(self.jobs.jobs(), 1);
    }
}

#[test]
fn a_job_that_an_agent_submits_outlives_it() {
    let both = Submitting::new(r"sed -i 's/\[ \]/[x]/' documentation/implementation-todo.md");
    assert!(both.start().wait().expect("an end").success());
    both.only_the_job_goes_on();
}

#[test]
fn a_job_that_an_agent_submits_outlives_a_killed_dispatch() {
    let both = Submitting::new("while :; do sleep 0.05; done");
    let running = both.start();
    both.has_submitted();
    kill(running);
    both.only_the_job_goes_on();
}

#[test]
fn a_job_that_an_agent_submits_outlives_the_sweep_after_a_killed_guard() {
    let both = Submitting::new("while :; do sleep 0.05; done");
    let running = both.start();
    both.has_submitted();
    kill_with_guards(running);
    let first = pids(&both.agents);
    assert!(first.iter().all(is_alive), "nobody could end them");
    // The next dispatch ends what is left of the agent before it begins another.
    let running = both.start();
    wait_until("another", || pids(&both.agents).len() > first.len());
    assert!(!first.iter().any(is_alive));
    kill(running);
    both.only_the_job_goes_on();
}

/// As a job on SLURM may submit the next one.
#[test]
fn a_job_that_a_job_submits_outlives_it() {
    let workspace = Workspace::local();
    let tested = ralph_tests::binary("ralph-tested");
    let first = format!(
        "'{}' --root ../.. submit --project second && until [ -e ../second/began ]; do sleep 0.05; done",
        tested.display()
    );
    workspace.project("first", "RUN", &[("Q-001", &first)]);
    let second = ": >began; until [ -e go ]; do sleep 0.05; done; : >done";
    workspace.project("second", "RUN", &[("Q-001", second)]);
    let over = |slug| {
        let _ = workspace.ralph(&["verify"]);
        workspace.state(slug)["active_runs"] == serde_json::json!([])
    };
    let _ = workspace.ralph(&["submit", "--project", "first"]).ended(0);
    wait_until("the first has ended", || over("first"));
    assert!(!over("second"));
    workspace.write("projects/second/go", "");
    wait_until("the second has ended", || over("second"));
    assert!(workspace.path("projects/second/done").exists());
}

/// It waits for its agent, so the agent would wait for a lock that cannot become free.
#[test]
fn an_agent_that_submits_in_its_own_workspace_is_told_at_once_who_waits_for_whom() {
    let script = r#"
        setsid "$RALPH_TESTED" submit --project p >"$HOME/said" 2>&1
        echo $? >>"$HOME/said"
        sed -i 's/\[ \]/[x]/' documentation/implementation-todo.md"#;
    let workspace = workspace_of("IMPLEMENT", script);
    let mut dispatch = workspace.command(&["dispatch"]);
    dispatch.env("RALPH_TESTED", ralph_tests::binary("ralph-tested"));
    let ended = dispatch.output().expect("ralph can be started");
    assert!(ended.status.success(), "{ended:?}");
    let said = workspace.read("said");
    assert!(
        said.contains("(dispatch), since ")
            && said.contains(", which started this command and waits for it")
            && said.contains("Leave it to that dispatch"),
        "{said}"
    );
    assert!(!said.contains("waited"), "{said}");
}
