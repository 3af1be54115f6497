//! The example does what it says where no session is open: it keeps its intent, and says the same again.

use std::error::Error;
use std::process::Command;

use ralph_core::store::atomic;

type Tested = Result<(), Box<dyn Error>>;

#[test]
fn without_a_session_the_intent_is_kept_and_nothing_is_known() -> Tested {
    let root = tempfile::tempdir()?;
    let [settings, script] = ["cluster.json", "job.sbatch"].map(|name| root.path().join(name));
    let socket = root.path().join("socket");
    let text = serde_json::json!({
        "ssh": {"host": "nowhere.invalid", "control_path": socket},
        "remote": {"repo_root": "~/research"},
    });
    atomic::replace(&settings, text.to_string().as_bytes())?;
    atomic::replace(&script, b"#!/bin/bash\nhostname\n")?;
    let mut program = std::env::current_exe()?;
    program.pop();
    program.set_file_name("examples");
    let run = || -> Result<_, Box<dyn Error>> {
        let mut command = Command::new(program.join("submit_once"));
        let output = command
            .arg(&settings)
            .arg(root.path())
            .arg(&script)
            .output()?;
        let kept = atomic::read(&root.path().join("intent.json"))?;
        Ok((String::from_utf8(output.stdout)?, kept))
    };
    let (said, kept) = run()?;
    assert_eq!(
        said,
        "no_session: no SSH session to nowhere.invalid is open\n"
    );
    assert!(kept.is_some());
    assert_eq!(run()?, (said, kept));
    Ok(())
}
