//! The environment that a binary injects into the libraries, and the runtime that it waits on.

use ralph_core::env::Env;
use ralph_core::error::Code;

use crate::failure::Failure;

/// This machine, this process and this user, for everything that is injected.
#[must_use]
pub fn env(user: String) -> Env {
    let name = rustix::system::uname();
    Env::system(name.nodename().to_string_lossy(), user)
}

/// Runs a future to its end on a small runtime.
///
/// # Errors
/// The system starts no threads for it.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Code::Failed, format!("threads cannot be started: {error}"))
    })?;
    Ok(runtime.block_on(future))
}
