//! Times "acquire, release" of a project's lock within one process, for `cargo xtask bench`. Prints the median
//! and the shortest pair in nanoseconds. No example of how to use the lock: a step holds it while it works.
#![expect(clippy::print_stdout, reason = "the numbers are the output")]

use std::error::Error;
use std::time::Instant;

use ralph_core::env::Env;
use ralph_core::store::lock::{LockRequest, ProjectLock};

const PAIRS: usize = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join(".state"))?;
    let env = Env::system("host", "user");
    let request = LockRequest::new(folder.path(), "bench", &env);
    let mut times = Vec::with_capacity(PAIRS);
    for _ in 0..PAIRS {
        let start = Instant::now();
        drop(ProjectLock::acquire(&request, &env)?);
        times.push(start.elapsed().as_nanos());
    }
    times.sort_unstable();
    if let (Some(median), Some(least)) = (times.get(PAIRS / 2), times.first()) {
        println!("{median} {least}");
    }
    Ok(())
}
