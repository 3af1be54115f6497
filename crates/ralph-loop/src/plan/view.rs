//! The plan as it stands: its rows and our records put together. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ralph_docs::fix_plan::{self, Flavour, Mark, Row, RowKey};

use super::known::Known;
use super::record::{
    ClaimRecord, Claimant, Delivered, DeliveredRecord, Found, Life, Owner, Records,
};
use crate::task::{Task, TaskKey};

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It can be taken.
    Open,
    /// Somebody has it. Boxed, as most rows of a long plan are open or done.
    Claimed(Box<Claimant>),
    /// It carries a `[~]` that nobody we know has made: an older loop, or a person. It is left alone.
    ClaimedByNobodyKnown,
    /// Its work waits on a branch to be merged; `None` where that record cannot be read.
    Delivered(Option<Box<Delivered>>),
    /// It is done.
    Done,
}

/// A task of the plan and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The task. Of one that was moved while somebody has it, this is the key under which it is had.
    pub task: Arc<Task>,
    /// What stands in its box.
    pub mark: Mark,
    /// Where it stands.
    pub standing: Standing,
    /// Its place among the tasks of every state, from 1.
    pub ordinal: usize,
    /// Whether somebody has changed its words since it was claimed: only its mark says which row it is.
    pub(super) is_reworded: bool,
}

/// A plan as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Its tasks, in the order of their lines.
    pub tasks: Vec<Planned>,
    /// What a person should mend in it, one sentence each.
    pub problems: Vec<String>,
}

impl Plan {
    /// Whether there are tasks and all of them are done.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.tasks.is_empty()
            && self
                .tasks
                .iter()
                .all(|task| task.standing == Standing::Done)
    }

    /// How many other tasks have this text.
    pub(super) fn twins(&self, row: &RowKey) -> usize {
        let equal = self
            .tasks
            .iter()
            .filter(|planned| planned.task.row.text == row.text);
        equal.count().saturating_sub(1)
    }

    /// How many rows of a section carry a `[~]` of nobody known.
    pub(super) fn strangers(&self, section: &str) -> usize {
        let is_one = |planned: &&Planned| {
            planned.task.row.section == section
                && planned.standing == Standing::ClaimedByNobodyKnown
        };
        self.tasks.iter().filter(is_one).count()
    }

    /// Where a task is now: where its record leads, else where its own row is found. A record that leads nowhere
    /// says that the task is gone.
    pub(super) fn row_of(
        &self,
        task: &Task,
        records: &Records,
        flavour: Flavour,
    ) -> Option<RowKey> {
        let mut planned = self.tasks.iter();
        if let Some(planned) = planned.find(|planned| planned.task.key == task.key) {
            return Some(planned.task.row.clone());
        }
        if records.claims.contains_key(&task.key) || records.delivered.contains_key(&task.key) {
            return None;
        }
        let rows: Vec<Row> = self.tasks.iter().map(row).collect();
        fix_plan::find(&rows, flavour, &task.row).map(|row| row.key.clone())
    }

    pub(super) fn mark_of(&self, row: &RowKey) -> Option<Mark> {
        let planned = self.tasks.iter().find(|planned| planned.task.row == *row)?;
        Some(planned.mark)
    }

    /// The rows of all tasks that somebody has, whose marks the records can put back. One that is reworded is found by
    /// its mark alone, which stays: such a plan is not the committed one with or without it.
    pub(super) fn claimed_rows(&self) -> Vec<&RowKey> {
        let claimed = self
            .tasks
            .iter()
            .filter(|planned| matches!(planned.standing, Standing::Claimed(_)))
            .filter(|planned| !planned.is_reworded);
        claimed.map(|planned| &planned.task.row).collect()
    }
}

/// A planned task as the row that it was read from, as far as choosing and finding look at it.
pub(super) fn row(planned: &Planned) -> Row {
    Row {
        key: planned.task.row.clone(),
        mark: planned.mark,
        id: planned.task.id.clone(),
        bead: None,
        line: planned.task.line,
        ordinal: planned.ordinal,
        indent: 0,
    }
}

/// Puts rows and records together.
pub(super) fn view(known: &Known, records: &Records, here: &Owner) -> Plan {
    let claims = Matching::new(
        known,
        &records.claims,
        |claim| (&claim.task.row, claim.twins),
        // A task that was moved took its mark with it.
        |twins, row| twins == 0 || row.mark == Mark::Claimed,
    )
    .with_copied(known)
    .with_reworded(known, &records.claims);
    let delivered = Matching::new(
        known,
        &records.delivered,
        |delivered| (&delivered.task.row, delivered.twins),
        |twins, _| twins == 0,
    );
    let rows = known.reading.rows().iter().zip(&*known.tasks);
    let tasks = rows.enumerate().map(|(index, (row, task))| {
        let claim = claims.of(index);
        let delivery = delivered.of(index);
        let key = claim.map(|(key, _)| key).or(delivery.map(|(key, _)| key));
        let original = || Some(&known.tasks.get(*claims.copies.get(&index)?)?.key);
        let key = key.or_else(original);
        Planned {
            task: under(task, key),
            mark: row.mark,
            standing: standing(row, claim, delivery, here),
            ordinal: row.ordinal,
            is_reworded: claim.is_some_and(|(_, found)| is_reworded(found, row)),
        }
    });
    Plan {
        tasks: tasks.collect(),
        problems: known
            .reading
            .problems()
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

/// A task under the key by which it is had.
fn under(task: &Arc<Task>, key: Option<&TaskKey>) -> Arc<Task> {
    match key {
        Some(key) if *key != task.key => Arc::new(Task {
            key: key.clone(),
            ..Task::clone(task)
        }),
        _ => Arc::clone(task),
    }
}

fn standing(
    row: &Row,
    claim: Option<(&TaskKey, &Found<ClaimRecord>)>,
    delivered: Option<(&TaskKey, &Found<DeliveredRecord>)>,
    here: &Owner,
) -> Standing {
    if row.mark == Mark::Done {
        return Standing::Done;
    }
    if let Some((_, found)) = delivered {
        let record = found.record.as_ref();
        return Standing::Delivered(record.map(|record| Box::new(record.delivered.clone())));
    }
    match claim {
        Some((_, found)) => Standing::Claimed(Box::new(claimant(found, here))),
        None if row.mark == Mark::Claimed => Standing::ClaimedByNobodyKnown,
        None => Standing::Open,
    }
}

fn is_reworded(claim: &Found<ClaimRecord>, row: &Row) -> bool {
    let record = claim.record.as_ref();
    record.is_some_and(|claim| claim.task.row.text != row.key.text)
}

fn claimant(found: &Found<ClaimRecord>, here: &Owner) -> Claimant {
    let record = found.record.as_ref();
    Claimant {
        who: record.map(|claim| (claim.attempt.clone(), claim.owner.clone())),
        since: record.map(|claim| claim.claimed_at),
        life: record.map_or(Life::Unknown, |claim| claim.owner.life(here)),
        record: found.path.clone(),
    }
}

/// Which record belongs to which row.
struct Matching<'a, T> {
    by_row: BTreeMap<usize, (&'a TaskKey, &'a Found<T>)>,
    /// Copies of a claimed row that stand before it, and so have its key, and where the row is.
    copies: BTreeMap<usize, usize>,
}

impl<'a, T> Matching<'a, T> {
    /// A record belongs to the row of its key. One whose row is gone belongs to the only row of its text that no
    /// other record belongs to, where `accept` says that this is no guess.
    fn new(
        known: &Known,
        found: &'a BTreeMap<TaskKey, Arc<Found<T>>>,
        parts: impl Fn(&T) -> (&RowKey, usize),
        accept: impl Fn(usize, &Row) -> bool,
    ) -> Self {
        let (rows, flavour) = (known.reading.rows(), known.reading.flavour());
        let mut by_row = BTreeMap::new();
        let mut matched = BTreeSet::new();
        for (index, task) in known.tasks.iter().enumerate() {
            if let Some((key, found)) = found.get_key_value(&task.key) {
                by_row.insert(index, (key, &**found));
                matched.insert(key);
            }
        }
        let lost: Vec<_> = found
            .iter()
            .filter(|(key, _)| !matched.contains(key))
            .filter_map(|(key, found)| Some((key, found, parts(found.record.as_ref()?))))
            .collect();
        for (key, found, (place, twins)) in &lost {
            let is_equal = |other: &RowKey| {
                let elsewhere = flavour == Flavour::Workspace && other.section != place.section;
                other.text == place.text && !elsewhere
            };
            if lost
                .iter()
                .filter(|(_, _, (other, _))| is_equal(other))
                .count()
                > 1
            {
                continue;
            }
            let rows = rows.iter().enumerate();
            let mut free =
                rows.filter(|(index, row)| is_equal(&row.key) && !by_row.contains_key(index));
            let only = free.next().filter(|_| free.next().is_none());
            if let Some((index, row)) = only
                && accept(*twins, row)
            {
                by_row.insert(index, (*key, *found));
            }
        }
        Self {
            by_row,
            copies: BTreeMap::new(),
        }
    }

    fn matched(&self) -> BTreeSet<&'a TaskKey> {
        self.by_row.values().map(|(key, _)| *key).collect()
    }

    fn of(&self, row: usize) -> Option<(&'a TaskKey, &'a Found<T>)> {
        self.by_row.get(&row).copied()
    }
}

impl<'a> Matching<'a, ClaimRecord> {
    /// A row that somebody has copied above itself since it was claimed, and whose copy is open, is the one with the mark.
    /// The two change their keys, so that each has one.
    fn with_copied(mut self, known: &Known) -> Self {
        let rows = known.reading.rows();
        let open = self.by_row.iter().filter(|(index, (_, found))| {
            let had_twins = found.record.as_ref().is_none_or(|claim| claim.twins > 0);
            rows[**index].mark == Mark::Open && !had_twins
        });
        let open: Vec<usize> = open.map(|(index, _)| *index).collect();
        for copy in open {
            let (text, section) = (&rows[copy].key.text, &rows[copy].key.section);
            let mut marked = rows.iter().enumerate().filter(|(index, row)| {
                row.key.text == *text
                    && row.key.section == *section
                    && row.mark == Mark::Claimed
                    && !self.by_row.contains_key(index)
            });
            let only = marked.next().filter(|_| marked.next().is_none());
            if let Some((index, _)) = only
                && let Some(found) = self.by_row.remove(&copy)
            {
                self.by_row.insert(index, found);
                self.copies.insert(copy, index);
            }
        }
        self
    }

    /// A claim whose row somebody has reworded belongs to the only row of its section whose `[~]` no record explains,
    /// where there was none such when the claim was made, and no other claim of the section has lost its row.
    fn with_reworded(
        mut self,
        known: &Known,
        found: &'a BTreeMap<TaskKey, Arc<Found<ClaimRecord>>>,
    ) -> Self {
        let matched = self.matched();
        let lost: Vec<_> = found
            .iter()
            .filter(|(key, _)| !matched.contains(key))
            .filter_map(|(key, found)| Some((key, &**found, found.record.as_ref()?)))
            .collect();
        for (key, found, claim) in &lost {
            let section = &claim.task.row.section;
            let of_section = lost
                .iter()
                .filter(|(.., other)| other.task.row.section == *section);
            if claim.strangers != Some(0) || of_section.count() > 1 {
                continue;
            }
            let rows = known.reading.rows().iter().enumerate();
            let mut marked = rows.filter(|(index, row)| {
                row.key.section == *section
                    && row.mark == Mark::Claimed
                    && !self.by_row.contains_key(index)
            });
            let only = marked.next().filter(|_| marked.next().is_none());
            if let Some((index, _)) = only {
                self.by_row.insert(index, (*key, *found));
            }
        }
        self
    }
}
