//! Runs programs and measures them: wall time as the median of turns, peak memory in a run of its own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// One program with everything it is given.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// The executable.
    pub(super) path: PathBuf,
    /// Its arguments.
    pub(super) args: Vec<String>,
    /// The folder it is started in.
    pub(super) folder: PathBuf,
    /// What it reads.
    pub(super) input: &'static str,
    /// The exit code without which the measurement means nothing.
    pub(super) exit: i32,
    /// A file that is taken away before each run, which is not timed.
    pub(super) forgotten: Option<PathBuf>,
}

/// The times of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    /// The middle one.
    pub(super) median: Duration,
    /// The shortest.
    pub(super) least: Duration,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> anyhow::Result<Self> {
        times.sort_unstable();
        match (times.get(times.len() / 2), times.first()) {
            (Some(&median), Some(&least)) => Ok(Self { median, least }),
            _ => bail!("nothing was measured"),
        }
    }
}

/// Runs all programs `turns` times, one after the other in each turn, after one turn that is not counted.
pub(super) fn in_turns(turns: usize, programs: &[Program]) -> anyhow::Result<Vec<Times>> {
    let mut times = vec![Vec::new(); programs.len()];
    for turn in 0..=turns {
        for (program, times) in programs.iter().zip(&mut times) {
            if let Some(file) = &program.forgotten {
                xshell::Shell::new()?.remove_path(file)?;
            }
            let start = Instant::now();
            let output = finish(program, spawn(program, Stdio::null())?)?;
            let took = start.elapsed();
            expect_exit(program, &output)?;
            if turn > 0 {
                times.push(took);
            }
        }
    }
    times.into_iter().map(Times::of).collect()
}

/// Runs once and returns what it printed.
pub(super) fn output(program: &Program) -> anyhow::Result<Output> {
    let output = finish(program, spawn(program, Stdio::piped())?)?;
    expect_exit(program, &output)?;
    Ok(output)
}

/// The greatest resident memory in bytes, of the kernel's own high-water mark, read every millisecond: what
/// comes on top in the last millisecond is missed. `None` where there is no `/proc`.
pub(super) fn peak_memory(program: &Program) -> anyhow::Result<Option<u64>> {
    let mut child = spawn(program, Stdio::null())?;
    feed(program, &mut child)?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = None;
    while child.try_wait()?.is_none() {
        peak = peak.max(high_water_mark(&status));
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(peak)
}

fn high_water_mark(status: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn spawn(program: &Program, output: Stdio) -> anyhow::Result<Child> {
    Command::new(&program.path)
        .args(&program.args)
        .current_dir(&program.folder)
        .stdin(Stdio::piped())
        .stdout(output)
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {}", program.path.display()))
}

/// Writes the input and closes it. A program that does not read it is no error.
fn feed(program: &Program, child: &mut Child) -> anyhow::Result<()> {
    let Some(mut stdin) = child.stdin.take() else {
        return Ok(());
    };
    match stdin.write_all(program.input.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn finish(program: &Program, mut child: Child) -> anyhow::Result<Output> {
    feed(program, &mut child)?;
    Ok(child.wait_with_output()?)
}

fn expect_exit(program: &Program, output: &Output) -> anyhow::Result<()> {
    if output.status.code() == Some(program.exit) {
        return Ok(());
    }
    bail!(
        "{} {} ended with {} instead of {}: {}",
        program.path.display(),
        program.args.join(" "),
        output.status,
        program.exit,
        String::from_utf8_lossy(&output.stderr).trim()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, exit: i32) -> Program {
        Program {
            path: PathBuf::from("sh"),
            args: vec!["-c".to_owned(), script.to_owned()],
            folder: std::env::temp_dir(),
            input: "hello",
            exit,
            forgotten: None,
        }
    }

    #[test]
    fn the_median_and_the_least_are_of_the_times() -> anyhow::Result<()> {
        let times = [5, 1, 3].map(Duration::from_millis).to_vec();
        let expected = Times {
            median: Duration::from_millis(3),
            least: Duration::from_millis(1),
        };
        assert_eq!(Times::of(times)?, expected);
        assert!(Times::of(Vec::new()).is_err());
        Ok(())
    }

    #[test]
    fn a_program_gets_its_input_and_must_end_as_expected() -> anyhow::Result<()> {
        let shown = output(&shell("read line; echo \"got $line\"; exit 2", 2))?;
        assert_eq!(shown.stdout, b"got hello\n");
        assert!(
            output(&shell("echo broken >&2; exit 3", 0)).is_err_and(|error| {
                let text = error.to_string();
                text.contains("broken") && text.contains("instead of 0")
            })
        );
        assert_eq!(
            in_turns(2, &[shell("exit 0", 0), shell("exit 2", 2)])?.len(),
            2
        );
        assert!(in_turns(1, &[shell("exit 1", 0)]).is_err());
        Ok(())
    }

    #[test]
    fn memory_is_read_while_the_program_lives() -> anyhow::Result<()> {
        // It waits for a second program, so it lives for some milliseconds.
        let peak = peak_memory(&shell("cat >/dev/null; sleep 0.05", 0))?;
        if cfg!(target_os = "linux") {
            assert!(peak.is_some_and(|bytes| bytes > 100_000), "{peak:?}");
        }
        Ok(())
    }
}
