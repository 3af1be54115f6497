//! Waiting for a state instead of for time to pass.

use std::time::{Duration, Instant};

/// Waits until `look` sees something. The deadline is only reached by a broken build.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "never seen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
