//! The rows of `squeue` and `sacct`, in the two fixed formats of `scripts/observe.sh`.
//!
//! Fields are separated by the unit separator, which no name holds; times are seconds since 1970, so that no zone is
//! ever guessed. A line without a separator is noise and is skipped; a row that names jobs we cannot count makes only
//! that job unknown.

use ralph_core::id::{JobId, JobPart};
use ralph_core::job::{ExitInfo, JobState};
use ralph_core::sbatch;
use ralph_core::time::Timestamp;

/// Separates the fields.
const SEPARATOR: char = '\u{1f}';

/// Which jobs a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowIds {
    /// One job, one array task or one component.
    One(JobId),
    /// Tasks of an array that still wait together, `123_[4-10%2]`.
    Tasks(Vec<JobId>),
    /// A list that was cut or cannot be read.
    Unreadable,
}

/// One row of either command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The number before `_` or `+`, as a whole job.
    pub(crate) master: JobId,
    /// The jobs meant.
    pub(crate) ids: RowIds,
    /// The state's word, with what follows it (`CANCELLED by 61001`).
    pub(crate) state: JobState,
    /// The user who cancelled.
    pub(crate) cancelled_by: Option<u32>,
    /// Why it waits; only the queue says.
    pub(crate) reason: Option<String>,
    /// How it ended; only accounting says.
    pub(crate) exit: Option<ExitInfo>,
    /// When it was submitted, by the cluster's clock.
    pub(crate) submitted: Option<Timestamp>,
    /// When it started, or will.
    pub(crate) started: Option<Timestamp>,
    /// When it ended, or would.
    pub(crate) ended: Option<Timestamp>,
    /// Its nodes.
    pub(crate) nodes: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// The line as printed, with blanks for the separators.
    pub(crate) line: String,
}

/// The rows of `squeue -o "%i %A %T %r %V %S %e %N %j"`.
pub(crate) fn queue_rows(text: &str) -> Vec<Row> {
    text.lines().filter_map(queue_row).collect()
}

/// The rows of `sacct -o JobID,JobIDRaw,State,ExitCode,Submit,Start,End,NodeList,JobName`.
pub(crate) fn accounting_rows(text: &str) -> Vec<Row> {
    text.lines().filter_map(accounting_row).collect()
}

fn queue_row(line: &str) -> Option<Row> {
    let [
        id,
        _raw,
        state,
        reason,
        submitted,
        started,
        ended,
        nodes,
        name,
    ] = fields(line)?;
    let reason = word(reason).filter(|reason| reason != "None");
    row(line, id, state, (submitted, started, ended), nodes, name).map(|row| Row { reason, ..row })
}

fn accounting_row(line: &str) -> Option<Row> {
    let [
        id,
        _raw,
        state,
        exit,
        submitted,
        started,
        ended,
        nodes,
        name,
    ] = fields(line)?;
    row(line, id, state, (submitted, started, ended), nodes, name).map(|row| Row {
        exit: exit_of(exit),
        // What accounting calls a job whose name has not arrived yet.
        name: Some(row.name)
            .filter(|name| name != "allocation")
            .unwrap_or_default(),
        nodes: row.nodes.filter(|nodes| nodes != "None assigned"),
        ..row
    })
}

/// Nine fields; the last keeps whatever separators it holds.
fn fields(line: &str) -> Option<[&str; 9]> {
    let mut fields = line.splitn(9, SEPARATOR);
    let mut next = || fields.next();
    Some([
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
        next()?,
    ])
}

fn row(
    line: &str,
    id: &str,
    state: &str,
    times: (&str, &str, &str),
    nodes: &str,
    name: &str,
) -> Option<Row> {
    let id = id.trim();
    let digits = id
        .find(['_', '+'])
        .map_or(id, |at| id.get(..at).unwrap_or(id));
    let master: JobId = digits.parse().ok()?;
    Some(Row {
        master,
        ids: ids(master, id),
        state: JobState::parse(state),
        cancelled_by: state
            .split_once(" by ")
            .and_then(|(_, uid)| uid.trim().parse().ok()),
        reason: None,
        exit: None,
        submitted: time(times.0),
        started: time(times.1),
        ended: time(times.2),
        nodes: word(nodes),
        name: name.trim().to_owned(),
        line: line.replace(SEPARATOR, " ").chars().take(500).collect(),
    })
}

fn ids(master: JobId, id: &str) -> RowIds {
    if let Ok(one) = id.parse() {
        return RowIds::One(one);
    }
    let list = id
        .split_once("_[")
        .and_then(|(_, rest)| rest.strip_suffix(']'));
    match list.map(sbatch::array) {
        Some(Ok(spec)) => RowIds::Tasks(
            spec.indices
                .into_iter()
                .map(|index| master.task(index))
                .collect(),
        ),
        _ => RowIds::Unreadable,
    }
}

impl Row {
    /// Every job that the row is about; none when the list cannot be read.
    pub(crate) fn jobs(&self) -> Vec<JobId> {
        match &self.ids {
            RowIds::One(job) => vec![*job],
            RowIds::Tasks(jobs) => jobs.clone(),
            RowIds::Unreadable => Vec::new(),
        }
    }

    /// Whether the row is about the master itself rather than a part of it.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(&self.ids, RowIds::One(job) if job.part() == JobPart::Whole)
    }
}

fn word(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Seconds since 1970; `N/A`, `Unknown`, `None` and a cluster that ignores `SLURM_TIME_FORMAT` give nothing.
fn time(text: &str) -> Option<Timestamp> {
    let seconds = text
        .trim()
        .parse::<i64>()
        .ok()
        .filter(|seconds| *seconds > 0)?;
    Timestamp::from_second(seconds).ok()
}

fn exit_of(text: &str) -> Option<ExitInfo> {
    let (code, signal) = text.trim().split_once(':')?;
    Some(ExitInfo {
        code: code.parse().ok()?,
        signal: signal.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &str) -> String {
        text.replace('|', "\u{1f}")
    }

    #[test]
    fn rows_of_the_queue() {
        let text = lines(
            "39000001_[0-3,7%2]|39000001|PENDING|None|1795184202|N/A|N/A||a.sbatch\n\
             CLUSTER: west\n\
             16+0|16|RUNNING|None|1795184202|1795184203|1795184803|cpu01|het, with|pipe\n\
             18_[1-...|18|PENDING|Resources|1795184202|N/A|N/A||cut\n\
             19|19|QUANTUM|None|1795184202|N/A|N/A||new state\n",
        );
        let rows = queue_rows(&text);
        let seen: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.jobs().len(),
                    row.state.to_string(),
                    row.reason.clone(),
                    row.name.replace('\u{1f}', "|"),
                )
            })
            .collect();
        insta::assert_debug_snapshot!(seen, @r#"
        [
            (
                5,
                "PENDING",
                None,
                "a.sbatch",
            ),
            (
                1,
                "RUNNING",
                None,
                "het, with|pipe",
            ),
            (
                0,
                "PENDING",
                Some(
                    "Resources",
                ),
                "cut",
            ),
            (
                1,
                "QUANTUM",
                None,
                "new state",
            ),
        ]
        "#);
        assert_eq!(rows[2].ids, RowIds::Unreadable);
    }

    #[test]
    fn rows_of_accounting() {
        let text = lines(
            "7|7|CANCELLED by 61001|0:0|1795184202|1795184203|1795184208|cpu01|long\n\
             8_3|11|OUT_OF_MEMORY|0:125|1795184202|Unknown|Unknown|None assigned|oom\n\
             sacct: error: something\n",
        );
        let rows = accounting_rows(&text);
        assert_eq!(rows[0].cancelled_by, Some(61001));
        assert_eq!(rows[0].state, JobState::Cancelled);
        assert_eq!(
            rows[1].exit,
            Some(ExitInfo {
                code: 0,
                signal: 125
            })
        );
        assert_eq!((rows[1].started, rows[1].nodes.clone()), (None, None));
        assert_eq!(rows.len(), 2);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[0-9_+\\[\\]%|,\\-a-z\n]{0,200}") {
            let text = lines(&text);
            for row in queue_rows(&text).into_iter().chain(accounting_rows(&text)) {
                row.jobs();
            }
        }
    }
}
