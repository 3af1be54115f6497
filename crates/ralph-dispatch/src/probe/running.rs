//! What runs in a repository already, and what stands in the way of knowing it.

use ralph_core::error::Coded as _;
use ralph_core::process::lock;
use ralph_front::failure::sentence;
use ralph_loop::record::Records;

use crate::gate::{Refusal, Running};
use crate::layout::Layout;
use crate::record::{LoopRecord, State};
use crate::standing::{Look, foreign_pid};

/// Why the record of a repository's last loop cannot be read: a launch would write over it.
pub(super) fn unreadable(layout: &Layout, name: &str) -> Option<Refusal> {
    let error = LoopRecord::read(layout, name).err()?;
    Some(Refusal {
        code: error.code(),
        message: format!("{name}: {}", sentence(&error)),
        fix: error.hint().map_or_else(String::new, |hint| hint.0),
    })
}

/// What runs in a repository already.
pub(crate) fn running(layout: &Layout, look: &Look<'_>, name: &str) -> Option<Running> {
    let record = LoopRecord::found(layout, name);
    let is_recorded = record.is_some();
    if let Some(record) = record {
        let job = record.job.clone();
        let standing = look.at(record);
        let pid = standing.pid;
        match (standing.state, job) {
            (State::Running | State::Pending | State::Unknown, Some(job)) => {
                let id = job
                    .job
                    .map_or_else(|| "being submitted".to_owned(), |id| id.to_string());
                return Some(Running::Job { id });
            }
            // What cannot be read may run.
            (State::Running | State::Pending | State::Unknown, None) => {
                return Some(Running::Launched { pid });
            }
            (State::Orphaned, _) => return Some(Running::Orphaned { pid }),
            (State::Done | State::Failed | State::Stopped | State::Lost, _) => {}
        }
    }
    if let Some(found) = by_hand(layout, name) {
        return Some(found);
    }
    if is_recorded {
        return None;
    }
    let file = layout.pid_file(name);
    let foreign = foreign_pid(&file).filter(|found| found.is_alive)?;
    Some(Running::Foreign {
        pid: foreign.pid?,
        file: file.strip_prefix(&layout.root).unwrap_or(&file).to_owned(),
    })
}

/// The loop that runs in a repository, whoever started it.
pub(crate) fn by_hand(layout: &Layout, name: &str) -> Option<Running> {
    let folder = layout.repository(name).join(".ralph");
    let is_held = lock::is_held(&folder.join("state/loop.lock")).unwrap_or(false);
    is_held.then(|| {
        let said = Records::new(&folder).status().ok().flatten();
        let alive = said.filter(|status| status.process.is_alive());
        let pid = alive.map(|status| status.process.pid);
        Running::ByHand { pid }
    })
}
