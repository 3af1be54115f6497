//! The lock of a project: as data and in words.

use ralph_core::store::lock::LockStatus;
use ralph_core::time::stamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::render::SCHEMA_VERSION;

/// `ralph lock acquire|release|status --json`: how the lock stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LockReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// Whether somebody has it, alive or not.
    pub(crate) held: bool,
    /// `free`, `held` or `stale`.
    pub(crate) status: String,
    /// The holder's process id.
    pub(crate) pid: Option<u32>,
    /// The holder's machine.
    pub(crate) host: Option<String>,
    /// Since when it is held (RFC 3339, UTC).
    pub(crate) since: Option<String>,
    /// From when on a stale one may be taken over (RFC 3339, UTC).
    pub(crate) takeover_at: Option<String>,
}

/// The data.
pub(crate) fn report(status: &LockStatus) -> LockReport {
    let (word, holder, takeover_at) = match status {
        LockStatus::Free => ("free", None, None),
        LockStatus::Held { holder } => ("held", Some(holder), None),
        LockStatus::Stale {
            holder,
            takeover_at,
            ..
        } => ("stale", Some(holder), Some(stamp(*takeover_at))),
    };
    LockReport {
        schema_version: SCHEMA_VERSION,
        held: holder.is_some(),
        status: word.to_owned(),
        pid: holder.and_then(|holder| holder.pid),
        host: holder.and_then(|holder| holder.host.clone()),
        since: holder.and_then(|holder| holder.since).map(stamp),
        takeover_at,
    }
}

/// The words.
pub(crate) fn human(status: &LockStatus) -> String {
    match status {
        LockStatus::Free => "free".to_owned(),
        LockStatus::Held { holder } => format!("held by {holder}"),
        LockStatus::Stale {
            holder,
            takeover_at,
            ..
        } => {
            format!(
                "stale: was held by {holder}; whoever wants it takes it over from {}",
                stamp(*takeover_at)
            )
        }
    }
}
