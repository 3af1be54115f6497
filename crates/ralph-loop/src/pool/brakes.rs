//! The circuit, the calls of the hour and the money of the run, kept together with their files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Zoned;
use ralph_core::store::StoreError;
use ralph_core::time::Timestamp;

use crate::breaker::{
    Admission, CallAnswer, Calls, Circuit, CostAnswer, CostCeiling, Observation, Thresholds, files,
};
use crate::outcome::{AttemptId, Outcome};
use crate::record::AttemptLine;

/// What stops a loop.
#[derive(Debug)]
pub struct Brakes {
    folder: PathBuf,
    circuit: Circuit,
    thresholds: Thresholds,
    calls: Calls,
    calls_per_hour: Option<u32>,
    cost: CostCeiling,
    /// Whether the files lag behind, by numbers that no later loop needs.
    is_unsaved: bool,
}

/// Whether an agent may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leave {
    /// It may.
    Yes,
    /// It may when nothing else runs.
    Alone,
    /// Not before the next full hour, in so long.
    NextHour(Duration),
    /// When others have ended, perhaps.
    Later,
    /// Never in this run.
    Never(String),
}

impl Brakes {
    /// Takes up what earlier loops of the folder left.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn open(
        folder: &Path,
        thresholds: Thresholds,
        calls_per_hour: Option<u32>,
        cost: CostCeiling,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut circuit = files::load(folder, now)?;
        if let Some(transition) = circuit.start(&thresholds, now) {
            files::save(folder, &circuit, Some(&transition))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            circuit,
            thresholds,
            calls: files::load_calls(folder)?,
            calls_per_hour,
            cost,
            is_unsaved: false,
        })
    }

    /// Whether an agent may start on this attempt now.
    pub(super) fn ask(&mut self, attempt: &AttemptId, now: &Zoned) -> Leave {
        let admission = self.circuit.admits();
        if admission == Admission::Refused {
            return Leave::Never(self.open_words());
        }
        match self.cost.reserve(attempt) {
            CostAnswer::Granted => {}
            CostAnswer::Wait => return Leave::Later,
            CostAnswer::Exhausted => {
                let spent = self.cost.spent();
                return Leave::Never(format!("cost ceiling reached (${spent:.2} spent)"));
            }
        }
        if let CallAnswer::Wait(time) = self.calls.ask(self.calls_per_hour, now) {
            return Leave::NextHour(time);
        }
        match admission {
            Admission::Alone => Leave::Alone,
            _ => Leave::Yes,
        }
    }

    fn open_words(&self) -> String {
        let until = self
            .circuit
            .retry_at(&self.thresholds)
            .map_or_else(String::new, |until| {
                format!(", tried again from {}", ralph_core::time::stamp(until))
            });
        format!("circuit breaker open: {}{until}", self.circuit.reason)
    }

    /// An agent starts. Where the calls of an hour are limited, that is written down at once.
    pub(super) fn started(&mut self, now: &Zoned) -> Result<(), StoreError> {
        self.calls.count(now);
        self.is_unsaved = true;
        if self.calls_per_hour.is_some() {
            files::save_calls(&self.folder, &self.calls)?;
        }
        Ok(())
    }

    /// Brings the files up to date.
    pub(super) fn save(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.is_unsaved) {
            files::save_calls(&self.folder, &self.calls)?;
            files::save(&self.folder, &self.circuit, None)?;
        }
        Ok(())
    }

    /// Agents started in this hour.
    pub(super) fn calls(&self, now: &Zoned) -> u64 {
        u64::from(self.calls.made(now))
    }

    /// An attempt that was asked for does not start.
    pub(super) fn not_started(&mut self, attempt: &AttemptId) {
        self.cost.settle(attempt, Some(0.0));
    }

    /// An agent that runs tells what it has cost so far.
    pub(super) fn told(&mut self, attempt: &AttemptId, cost: f64) {
        self.cost.told(attempt, cost);
    }

    /// An agent has ended and what it cost is known, also where its checks and its delivery take long. One of an earlier
    /// loop, whose record is closed later, was not paid in this run.
    pub(super) fn paid(&mut self, attempt: &AttemptId, cost: Option<f64>) {
        self.cost.settle(attempt, cost);
    }

    /// An attempt is over; the answer is why nothing starts any more, if that is so.
    pub(super) fn ended(
        &mut self,
        line: &AttemptLine,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let changed = line.commit.is_some();
        let error = line
            .reason
            .as_deref()
            .filter(|_| line.outcome != Outcome::Done);
        match Observation::of(line.outcome, changed, error) {
            Some(observation) => self.observed(&observation, now),
            None => Ok(None),
        }
    }

    /// What decides about the next attempt is written down at once, what only counts attempts with the next status.
    fn observed(
        &mut self,
        observation: &Observation,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let before = self.circuit.clone();
        let transition = self.circuit.record(observation, &self.thresholds, now);
        self.is_unsaved = true;
        if !self.circuit.decides_as(&before) {
            files::save(&self.folder, &self.circuit, transition.as_ref())?;
        }
        let is_open = self.circuit.admits() == Admission::Refused;
        Ok(is_open.then(|| self.open_words()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn brakes(folder: &Path, calls_per_hour: Option<u32>) -> Brakes {
        let thresholds = Thresholds {
            no_progress: 3,
            same_error: 5,
            permission_denials: 2,
            cooldown: Duration::from_secs(60),
            auto_reset: false,
        };
        let cost = CostCeiling::new(None, None);
        Brakes::open(folder, thresholds, calls_per_hour, cost, NOW).unwrap()
    }

    fn observation(progress: bool) -> Observation {
        Observation {
            progress,
            error: None,
            denied: false,
        }
    }

    #[test]
    fn what_a_later_loop_has_to_know_is_written_at_once_and_numbers_for_people_later() {
        let folder = tempfile::tempdir().unwrap();
        let now = NOW.to_zoned(jiff::tz::TimeZone::UTC);
        let written = || {
            let calls = files::load_calls(folder.path()).unwrap();
            (files::load(folder.path(), NOW).unwrap(), calls.made(&now))
        };
        let mut brakes = brakes(folder.path(), None);
        brakes.started(&now).unwrap();
        brakes.observed(&observation(true), NOW).unwrap();
        assert_eq!(written(), (Circuit::new(NOW), 0));
        brakes.save().unwrap();
        assert_eq!(written(), (brakes.circuit.clone(), 1));
        // An attempt without progress counts for the next loop as well.
        brakes.observed(&observation(false), NOW).unwrap();
        assert_eq!(written().0, brakes.circuit);
        assert_eq!(written().0.consecutive_no_progress, 1);
    }

    #[test]
    fn calls_that_are_limited_are_counted_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let now = NOW.to_zoned(jiff::tz::TimeZone::UTC);
        brakes(folder.path(), Some(9)).started(&now).unwrap();
        let mut next = brakes(folder.path(), Some(1));
        assert!(matches!(
            next.ask(&"a1".parse().unwrap(), &now),
            Leave::NextHour(_)
        ));
    }
}
