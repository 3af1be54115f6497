//! What the end-to-end tests share. Nothing here belongs to the product.

pub mod workspace;

pub use workspace::{Ran, Workspace, binary, wait_until};

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ralph_core::env::{Env, RandomIds};
use ralph_core::time::SystemClock;

/// The environment of a real run, on a machine and for a user whose names do not change.
#[must_use]
pub fn env() -> Env {
    Env {
        clock: Arc::new(SystemClock::new()),
        ids: Arc::new(RandomIds::default()),
        host: "node1".to_owned(),
        user: "tester".to_owned(),
        pid: std::process::id(),
    }
}

/// Runs a future to its end.
///
/// # Panics
/// No runtime can be made.
#[expect(clippy::unwrap_used, reason = "a test without a runtime cannot go on")]
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Waits until `look` sees something. The deadline is only reached by a broken build.
///
/// # Panics
/// It was reached.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "never seen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
