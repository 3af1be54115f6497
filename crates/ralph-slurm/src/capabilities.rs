//! What this cluster offers: version, accounting, how long an ended job stays in the queue, the largest array.

use std::time::Duration;

use ralph_core::backend::{BackendError, Capabilities};

use crate::frame::Part;
use crate::remote::{Call, Remote, Reply};
use crate::script::CAPABILITIES;

/// Whether the scheduler's commands are there, and a place for the repository. One round trip, no question to the
/// controller.
pub(crate) async fn check(remote: &Remote) -> Result<(), BackendError> {
    remote.check().await?;
    ask(remote, "commands").await.map(drop)
}

/// Asks the cluster what it offers.
pub(crate) async fn probe(remote: &Remote) -> Result<Capabilities, BackendError> {
    let reply = ask(remote, "all").await?;
    let config = reply
        .answer("config")
        .map_err(|detail| BackendError::Unreachable {
            detail: format!("`scontrol show config` failed: {detail}"),
        })?;
    let version = reply.answer("version").unwrap_or_default();
    let number = |key: &str| {
        setting(&config, key)?
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    };
    Ok(Capabilities {
        version: version.trim().replace("slurm-wlm", "slurm"),
        accounting: reply.answer("accounting").is_ok(),
        min_job_age_seconds: number("MinJobAge"),
        max_array_size: number("MaxArraySize").and_then(|size| u32::try_from(size).ok()),
    })
}

async fn ask(remote: &Remote, what: &str) -> Result<Reply, BackendError> {
    let reply = remote
        .call(Call {
            script: &CAPABILITIES,
            arguments: &[what],
            data: b"",
            limit: Duration::from_secs(90),
        })
        .await?
        .whole()?;
    match reply.part("absent") {
        Some(part) => Err(BackendError::NoScheduler {
            host: remote.host().to_owned(),
            detail: format!(
                "`{}` is not on the PATH of a command run over SSH",
                part.text().trim()
            ),
        }),
        None => match reply.part("missing") {
            Some(part) => Err(no_root(remote, part)),
            None => Ok(reply),
        },
    }
}

/// The repository's folder is not on the cluster and cannot be made there; the script says what to do.
pub(crate) fn no_root(remote: &Remote, missing: &Part) -> BackendError {
    BackendError::Storage {
        path: remote.root().to_owned(),
        detail: missing.text().trim().to_owned(),
    }
}

/// A line `Key   = value` of `scontrol show config`.
fn setting<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    config.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_by_their_whole_name() {
        let config = "Configuration data as of 2026-11-20T14:00:00\nMaxArraySize            = 1001\nMinJobAge               = 300 sec\n";
        assert_eq!(setting(config, "MinJobAge"), Some("300 sec"));
        assert_eq!(setting(config, "JobAge"), None);
    }
}
