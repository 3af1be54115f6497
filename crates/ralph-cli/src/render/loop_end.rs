//! How a loop ended, as data and as text: the sums, and what is left for a person to do.

use std::collections::BTreeMap;

use ralph_core::error::Code;
use ralph_core::words::plural;
use ralph_loop::outcome::Outcome;
use ralph_loop::pool::LoopEnd;
use ralph_loop::record::Totals;
use schemars::JsonSchema;
use serde::Serialize;

use crate::render::{GREEN, SCHEMA_VERSION, YELLOW, paint};

/// `ralph loop --json`: how a loop ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LoopReport {
    /// Version of this shape.
    pub(crate) schema_version: u32,
    /// Why it ended.
    pub(crate) reason: String,
    /// The exit code.
    pub(crate) exit_code: u8,
    /// The sums.
    pub(crate) totals: LoopTotals,
    /// Tasks whose work waits to be merged, of this run and of earlier ones.
    pub(crate) delivered: usize,
}

/// Sums of a run.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct LoopTotals {
    /// Attempts that were spent.
    pub(crate) spent: u64,
    /// Attempts that are over, spent or not.
    pub(crate) ended: u64,
    /// How many had which outcome.
    pub(crate) outcomes: BTreeMap<String, u64>,
    /// US dollars, as far as agents say so.
    pub(crate) cost_usd: f64,
    /// Tokens in.
    pub(crate) input_tokens: u64,
    /// Tokens out.
    pub(crate) output_tokens: u64,
    /// Pull requests.
    pub(crate) pull_requests: Vec<String>,
    /// Branches whose work is done and neither in the base nor pushed.
    pub(crate) unmerged: Vec<String>,
    /// Tasks on the skip-list.
    pub(crate) skipped: u64,
}

impl LoopTotals {
    /// The sums of a loop.
    pub(crate) fn new(totals: &Totals) -> Self {
        let outcomes = totals.outcomes.iter();
        Self {
            spent: totals.spent,
            ended: totals.ended,
            outcomes: outcomes
                .map(|(outcome, count)| (outcome.name().to_owned(), *count))
                .collect(),
            cost_usd: totals.cost_usd,
            input_tokens: totals.input_tokens,
            output_tokens: totals.output_tokens,
            pull_requests: totals.pull_requests.clone(),
            unmerged: totals.unmerged.clone(),
            skipped: totals.skipped,
        }
    }
}

impl LoopReport {
    /// The report of an end.
    pub(crate) fn new(end: &LoopEnd) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            reason: end.reason.clone(),
            exit_code: end.code.map_or(0, Code::exit_code),
            totals: LoopTotals::new(&end.totals),
            delivered: end.delivered,
        }
    }
}

/// How a loop ended, in words.
pub(crate) fn ended(end: &LoopEnd) -> String {
    let totals = &end.totals;
    let done = totals.count(Outcome::Done);
    let style = if end.code.is_none() { GREEN } else { YELLOW };
    let mut text = format!(
        "{}: {done} done of {}\n",
        paint(style, &end.reason),
        plural(
            usize::try_from(totals.ended).unwrap_or(usize::MAX),
            "attempt"
        )
    );
    for (outcome, count) in &totals.outcomes {
        if *outcome != Outcome::Done {
            text = format!("{text}  {count} {outcome}\n");
        }
    }
    if totals.cost_usd > 0.0 {
        text = format!("{text}  cost ${:.2}\n", totals.cost_usd);
    }
    if totals.count(Outcome::DeliveryFailed) > 0 {
        text = format!("{text}  the next start delivers it again, without the agent\n");
    }
    for branch in &totals.unmerged {
        text = format!("{text}  not merged: {branch}\n");
    }
    if end.delivered > 0 {
        text = format!("{text}  {}\n", to_be_merged(end.delivered));
    }
    text
}

fn to_be_merged(tasks: usize) -> String {
    match tasks {
        1 => "1 task is done and waits on its branch to be merged".to_owned(),
        _ => format!("{tasks} tasks are done and wait on their branches to be merged"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_person_is_named() {
        let mut totals = Totals {
            ended: 3,
            unmerged: vec!["ralph-codex/one".to_owned()],
            ..Totals::default()
        };
        totals.outcomes = BTreeMap::from([
            (Outcome::Done, 2),
            (Outcome::Hung, 1),
            (Outcome::DeliveryFailed, 1),
        ]);
        let mut end = LoopEnd {
            reason: "queue empty".to_owned(),
            totals,
            delivered: 2,
            code: None,
        };
        insta::assert_snapshot!(anstream::adapter::strip_str(&ended(&end)), @r"
        queue empty: 2 done of 3 attempts
          1 delivery_failed
          1 hung
          the next start delivers it again, without the agent
          not merged: ralph-codex/one
          2 tasks are done and wait on their branches to be merged
        ");
        end.delivered = 0;
        end.totals = Totals::default();
        insta::assert_snapshot!(anstream::adapter::strip_str(&ended(&end)), @"queue empty: 0 done of 0 attempts");
    }
}
