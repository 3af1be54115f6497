//! Deliveries that travel: a loop in a clone elsewhere is told what waits to be merged, and what it delivers itself is
//! taken in here. Each is one line, a key and the record, because they travel in variables and logs.

use std::collections::BTreeSet;

use ralph_docs::fix_plan::Mark;

use super::record::{self, DeliveredRecord, Records};
use super::view::Standing;
use super::{Delivered, PlanError, PlanFile};
use crate::task::TaskKey;

impl PlanFile {
    /// What is delivered and waits to be merged, one line for each. Takes no lock and writes nothing.
    ///
    /// # Errors
    /// [`PlanError::Store`].
    pub fn deliveries(&self) -> Result<Vec<String>, PlanError> {
        let records = self.records()?.delivered;
        let line = |key: &TaskKey, record: Option<&DeliveredRecord>| {
            // One that cannot be read keeps its task from being taken, there as here.
            let text = record.and_then(|record| serde_json::to_string(record).ok());
            format!("{key} {}", text.as_deref().unwrap_or("{}"))
        };
        let lines = records.iter();
        Ok(lines
            .map(|(key, found)| line(key, found.record.as_ref()))
            .collect())
    }

    /// Writes down a delivery that was made elsewhere, as [`PlanFile::deliveries`] says it there. `None`: the line says
    /// none that this version can read, or it is known here already. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`PlanError::Locked`], [`PlanError::Store`].
    pub fn take_delivery(&self, line: &str) -> Result<Option<Delivered>, PlanError> {
        let Some((key, delivery)) = parsed(line) else {
            return Ok(None);
        };
        let _turn = self.turn()?;
        let records = self.records()?;
        let known = records.delivered.get(&key);
        if known.is_some_and(|known| known.record.as_ref() == Some(&delivery)) {
            return Ok(None);
        }
        record::write_delivered(&self.state_dir, &delivery)?;
        Ok(Some(delivery.delivered))
    }

    /// Writes down that what another text of this plan has ticked, and this one has open, waits on a branch to be
    /// merged: the text on that branch. What was ticked already in the text that the branch `began` with is no work of
    /// the branch, and somebody has opened it again since. The answer is how many tasks those are.
    ///
    /// # Errors
    /// As [`PlanFile::take_delivery`]; [`PlanError::Missing`].
    pub fn take_ticks(
        &self,
        began: String,
        theirs: String,
        delivered: &Delivered,
    ) -> Result<usize, PlanError> {
        let turn = self.turn()?;
        let before = self.ticked_in(began);
        let there = self.ticked_in(theirs);
        let here = self.view(&self.known(self.text_in(&turn)?), &self.records()?);
        let is_ticked = |key: &TaskKey| there.contains(key) && !before.contains(key);
        let mut count = 0;
        for planned in &here.tasks {
            if planned.standing != Standing::Open || !is_ticked(&planned.task.key) {
                continue;
            }
            let delivery = DeliveredRecord {
                version: record::VERSION,
                task: planned.task.as_ref().clone(),
                twins: here.twins(&planned.task.row),
                delivered: delivered.clone(),
            };
            record::write_delivered(&self.state_dir, &delivery)?;
            count += 1;
        }
        Ok(count)
    }

    /// The tasks that a text has ticked.
    fn ticked_in(&self, text: String) -> BTreeSet<TaskKey> {
        let tasks = self.view(&self.known(text), &Records::default()).tasks;
        let ticked = tasks.iter().filter(|planned| planned.mark == Mark::Done);
        ticked.map(|planned| planned.task.key.clone()).collect()
    }
}

/// The parts of a line. Its record is kept under the key that it names itself.
fn parsed(line: &str) -> Option<(TaskKey, DeliveredRecord)> {
    let (key, text) = line.trim().split_once(' ')?;
    let key: TaskKey = key.parse().ok()?;
    let record: DeliveredRecord = serde_json::from_str(text).ok()?;
    (record.version <= record::VERSION && record.task.key == key).then_some((key, record))
}
