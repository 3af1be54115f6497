//! Stands in for the product's hidden verbs: `detached supervise DIR`, `detached job DIR`.

use std::process::ExitCode;
use std::sync::Arc;

use ralph_core::env::{Env, RandomIds};
use ralph_core::time::SystemClock;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(verb), Some(directory)) = (args.next(), args.next()) else {
        return ExitCode::from(2);
    };
    let env = Env {
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(RandomIds::default()),
        host: "node1".to_owned(),
        user: "tester".to_owned(),
        pid: std::process::id(),
    };
    let mut answer = std::io::stdout();
    let done = match verb.as_str() {
        "supervise" => {
            ralph_core::process::supervise::main(directory.as_ref(), &env, &mut answer).is_ok()
        }
        _ => false,
    };
    if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
