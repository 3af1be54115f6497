//! A whole `dispatch --until-idle`, killed again and again at random moments, ends as one that nobody disturbed, and
//! no job has started twice.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ralph_tests::Workspace;
use ralph_tests::tree::tree;
use serde_json::Value;

const KILLS: usize = 6;
/// The longest life of a dispatch that is to be killed.
const LONGEST: u64 = 400;

/// A sequence of numbers that is the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Three projects: one succeeds over two items, one fails, one is implemented, tested and run.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    let agent = r#"echo attempt >> ../../attempts
case $RALPH_KIND in
debug) echo '{"ralph":"outcome","outcome":"needs_input","prompt":"which device?"}' ;;
*) sed -i 's/\[ \]/[x]/' documentation/implementation-todo.md ;;
esac"#;
    let config = serde_json::json!({
        "cluster": { "kind": "local" },
        "poll": { "first": 0.1, "base": 0.1, "cap": 0.1 },
        "test_command": ["true"],
        "agent": { "engine": "command", "command": ["sh", "-c", agent] },
    });
    workspace.write(".claude/ralph/config.json", &config.to_string());
    let _ = workspace.ralph(&["init", "--cluster", "local"]).ended(0);
    workspace.project(
        "good",
        "RUN",
        &[
            ("Q-001", "echo one >> started"),
            ("Q-002", "echo two >> started"),
        ],
    );
    workspace.project(
        "bad",
        "RUN",
        &[(
            "Q-001",
            "echo one >> started; echo \"RuntimeError: CUDA error\" >&2; exit 3",
        )],
    );
    workspace.project("whole", "IMPLEMENT", &[("Q-001", "echo one >> started")]);
    workspace.write(
        "projects/whole/documentation/implementation-todo.md",
        "# TODO\n\n## Ready\n\n- [ ] (T1) write it\n",
    );
    workspace
}

/// What the end of a life looks like, without what tells how often somebody has looked or tried.
fn end(root: &Path) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = tree(root)
        .into_iter()
        .map(|(path, text)| (without_jobs(&path), without_jobs(&text)))
        .collect();
    files.remove("attempts");
    for (path, text) in &mut files {
        if path.ends_with("pipeline.json") || path.ends_with("submit.json") {
            let mut value: Value =
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}"));
            let members = value.as_object_mut().expect("an object");
            for member in ["events", "slurm_wait", "remarks"] {
                members.remove(member);
            }
            *text = format!("{value:#}");
        }
        if path.ends_with("implementation-todo.md") {
            *text = text
                .lines()
                .filter(|line| !line.contains("<!-- ralph"))
                .collect();
        }
    }
    files
}

/// Which job gets which number depends on the order in which the projects come to submit.
fn without_jobs(text: &str) -> String {
    let is_job = |word: &str| word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    let pieces = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    pieces
        .map(|piece| {
            let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            if is_job(word) {
                piece.replace(word, "JOB")
            } else {
                piece.to_owned()
            }
        })
        .collect()
}

fn live(workspace: &Workspace) {
    let _ = workspace.ralph(&["dispatch", "--until-idle"]);
}

fn killed_from_seed(seed: u64) {
    let undisturbed = workspace();
    live(&undisturbed);
    let disturbed = workspace();
    let mut numbers = Numbers(seed);
    for _ in 0..KILLS {
        let mut child = disturbed
            .command(&["dispatch", "--until-idle"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ralph can be started");
        std::thread::sleep(Duration::from_millis(numbers.below(LONGEST)));
        child.kill().expect("SIGKILL");
        child.wait().expect("an end");
    }
    live(&disturbed);
    for (project, started) in [("good", "one\ntwo\n"), ("bad", "one\n"), ("whole", "one\n")] {
        assert_eq!(
            disturbed.read(&format!("projects/{project}/started")),
            started,
            "{project}, seed {seed}"
        );
    }
    let (expected, found) = (end(undisturbed.root()), end(disturbed.root()));
    for path in expected.keys().chain(found.keys()) {
        assert_eq!(found.get(path), expected.get(path), "{path}, seed {seed}");
    }
}

macro_rules! seeds {
    ($($name:ident: $seed:literal,)*) => {
        $(
            #[test]
            fn $name() {
                killed_from_seed($seed);
            }
        )*
    };
}

seeds! {
    killed_from_seed_1: 1,
    killed_from_seed_2: 2,
    killed_from_seed_3: 3,
    killed_from_seed_4: 4,
    killed_from_seed_5: 5,
}
