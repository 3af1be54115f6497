//! The only ambient authority: clock, ids, host and user, injected once at the edge.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::{OpId, RunId, Token};
use crate::time::{Clock, ManualClock, SystemClock, Timestamp, compact};

/// Where new ids come from: [`RandomIds`], or [`CountedIds`] where a run has to repeat itself. No id is given twice.
pub trait IdSource: Send + Sync + fmt::Debug {
    /// A fresh key for one submission of `run`.
    fn token(&self, run: &RunId) -> Token;

    /// A fresh operation id; ids sort by `now`.
    fn op(&self, now: Timestamp) -> OpId;
}

/// The injected environment of everything that acts.
#[derive(Debug, Clone)]
pub struct Env {
    /// The current time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn IdSource>,
    /// This machine's name, for messages and lock records.
    pub host: String,
    /// This user's name, for messages and lock records.
    pub user: String,
    /// This process, for messages and lock records.
    pub pid: u32,
}

impl Env {
    /// The real one: the machine's clock, random ids, this process. Host and user are the caller's to say; they stand in
    /// messages and lock records, and decide nothing.
    ///
    /// ```
    /// use ralph_core::env::Env;
    ///
    /// let env = Env::system("login01", "ada");
    /// assert!(env.now() > "2026-01-01T00:00:00Z".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn system(host: impl Into<String>, user: impl Into<String>) -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            ids: Arc::new(RandomIds::default()),
            host: host.into(),
            user: user.into(),
            pid: std::process::id(),
        }
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// An environment that repeats itself exactly, for tests and simulation: counted ids, and a clock that stands still
    /// until it is moved by what is returned beside it.
    #[must_use]
    pub fn fixed(now: Timestamp) -> (Self, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(now));
        let env = Self {
            clock: Arc::<ManualClock>::clone(&clock),
            ids: Arc::new(CountedIds::default()),
            host: "host".to_owned(),
            user: "user".to_owned(),
            pid: 1,
        };
        (env, clock)
    }
}

/// Ids from the operating system's random source.
#[derive(Debug, Default)]
pub struct RandomIds {
    fallback: AtomicU64,
}

impl RandomIds {
    /// Eight random bytes in hexadecimal. Where the system has no random source, a counter stands in,
    /// which keeps ids distinct within the process.
    fn hex(&self) -> String {
        let mut bytes = [0_u8; 8];
        if getrandom::fill(&mut bytes).is_err() {
            bytes = (self.fallback.fetch_add(1, Ordering::Relaxed) << 20
                | u64::from(std::process::id()))
            .to_be_bytes();
        }
        format!("{:016x}", u64::from_be_bytes(bytes))
    }
}

impl IdSource for RandomIds {
    fn token(&self, run: &RunId) -> Token {
        token(run, &self.hex())
    }

    fn op(&self, now: Timestamp) -> OpId {
        op(now, &self.hex()[..8])
    }
}

/// Ids that count from one; for tests and simulation.
#[derive(Debug, Default)]
pub struct CountedIds(AtomicU64);

impl IdSource for CountedIds {
    fn token(&self, run: &RunId) -> Token {
        token(
            run,
            &format!("{:016x}", self.0.fetch_add(1, Ordering::Relaxed) + 1),
        )
    }

    fn op(&self, now: Timestamp) -> OpId {
        op(
            now,
            &format!("{:08x}", self.0.fetch_add(1, Ordering::Relaxed) + 1),
        )
    }
}

/// `ralph-<start of the run id>-<random>`: readable in `squeue`, unique by its end.
fn token(run: &RunId, unique: &str) -> Token {
    let readable: String = run
        .as_str()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '-'
            }
        })
        .take(40)
        .collect();
    format!("ralph-{readable}-{unique}")
        .parse()
        .unwrap_or_else(|_| unreachable!("the alphabet is a token's"))
}

fn op(now: Timestamp, unique: &str) -> OpId {
    format!("{}-{unique}", compact(now))
        .parse()
        .unwrap_or_else(|_| unreachable!("the alphabet is an id's"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_valid_for_any_run_id() -> Result<(), Box<dyn std::error::Error>> {
        let ids = RandomIds::default();
        for run in [
            "q001_20260112_233413",
            "späte (Läufe), alle|zusammen",
            "x".repeat(200).as_str(),
        ] {
            let run: RunId = run.parse()?;
            assert_ne!(ids.token(&run), ids.token(&run));
        }
        Ok(())
    }
}
