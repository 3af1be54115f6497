//! What `/proc` says about processes, and signals to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

/// How long a state is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The greatest resident memory so far, in bytes.
pub(super) fn peak_memory(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Processor time so far, in clock ticks of a hundredth of a second.
pub(super) fn ticks(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let field = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(field(11)? + field(12)?)
}

/// The processes that belong to attempts below a folder, by their environments.
pub(super) fn of_attempts(home: &Path) -> Vec<u32> {
    let home = home.display().to_string();
    let is_ours = |pid: &u32| {
        let path = format!("/proc/{pid}/environ");
        let variables = String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        variables.contains("RALPH_ATTEMPT_ID=") && variables.contains(&home)
    };
    all().into_iter().filter(is_ours).collect()
}

/// The name of a process; empty when it is gone.
pub(super) fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// The direct children of a process.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let path = PathBuf::from(format!("/proc/{pid}/task/{pid}/children"));
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// The guards among them.
pub(super) fn guards(owner: u32) -> Vec<u32> {
    let is_guard = |pid: &u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words
            .split(|byte| *byte == 0)
            .any(|word| word == b"__guard")
    };
    children(owner).into_iter().filter(is_guard).collect()
}

fn all() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Sends a signal to processes; those that are gone are passed over.
pub(super) fn signal(name: &str, pids: &[u32]) -> anyhow::Result<()> {
    if pids.is_empty() {
        return Ok(());
    }
    let pids = pids.iter().map(u32::to_string);
    Command::new("kill")
        .arg(format!("-{name}"))
        .args(pids)
        .stderr(std::process::Stdio::null())
        .status()?;
    Ok(())
}

/// Waits until something is so.
pub(super) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) -> anyhow::Result<()> {
    let started = Instant::now();
    while !is_so() {
        ensure!(
            started.elapsed() < PATIENCE,
            "waited {} s in vain: {what}",
            PATIENCE.as_secs()
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Tells a loop to stop until it does: the first time it drains, the second time it ends its agents. Two signals that
/// come at once may count as one.
pub(super) fn stop(child: &mut std::process::Child, name: &str) -> anyhow::Result<()> {
    let started = Instant::now();
    while child.try_wait()?.is_none() {
        ensure!(started.elapsed() < PATIENCE, "it does not stop");
        signal(name, &[child.id()])?;
        std::thread::sleep(Duration::from_millis(30));
    }
    Ok(())
}

/// Waits for a child, but not for ever.
pub(super) fn ended(child: &mut std::process::Child) -> anyhow::Result<std::process::ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if started.elapsed() > PATIENCE {
            child.kill()?;
            bail!("it did not end within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_time() {
        if !cfg!(target_os = "linux") {
            return;
        }
        let pid = std::process::id();
        assert!(peak_memory(pid).is_some_and(|bytes| bytes > 100_000));
        assert!(ticks(pid).is_some());
        assert!(all().contains(&pid));
        assert_eq!(ticks(u32::MAX), None);
    }
}
