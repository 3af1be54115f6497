//! Waiting for other jobs and for a free place, without asking again and again.
//!
//! A thread per other job sleeps in the lock that the job's supervisor holds; a thread of whoever waits for a place
//! sleeps in the lock that says whose turn it is. Only the one whose turn it is looks at the places.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Place;
use crate::cluster::local::dependency::{Condition, Dependency, Judgement, Progress};
use crate::cluster::local::layout::{Layout, create_private};
use crate::cluster::local::observe::{Look, read_plan};
use crate::cluster::local::plan::JobPlan;
use crate::id::JobId;
use crate::process::identity::boot_id;
use crate::process::lock::{LifeLock, wait_until_free};
use crate::process::record::LOCK;
use crate::time::Timestamp;

/// Between two looks at a job that cannot be waited for by its lock: one that only has to start, or one whose
/// supervisor was killed.
const LOOK: Duration = Duration::from_millis(250);

/// Between two looks at the places by the one whose turn it is.
const PLACE: Duration = Duration::from_millis(20);

/// The earlier jobs of the same name and project, for `singleton`.
pub(super) fn earlier(layout: &Layout, plan: &JobPlan) -> Vec<JobId> {
    if !plan
        .dependency
        .conditions()
        .any(|one| one == Condition::Singleton)
    {
        return Vec::new();
    }
    let jobs = layout.jobs().unwrap_or_default();
    let same_name = |job: &JobId| {
        let other = read_plan(&layout.job(*job)).ok().flatten();
        other.is_some_and(|other| other.name == plan.name)
    };
    jobs.into_iter()
        .filter(|job| *job < plan.job)
        .filter(same_name)
        .collect()
}

/// What the dependencies say now. A record that cannot be read leaves its condition open.
pub(super) fn judge(layout: &Layout, dependency: &Dependency, now: Timestamp) -> Judgement {
    let boot_id = boot_id().unwrap_or_default();
    let mut look = Look::new(layout, boot_id, now);
    let mut progress = |job: JobId| Some((job, look.progress(job).ok()??));
    let jobs: BTreeMap<JobId, Progress> = dependency
        .jobs()
        .into_iter()
        .filter_map(&mut progress)
        .collect();
    dependency.judge(&jobs)
}

/// Says each time when one of the other jobs may have come further.
pub(super) fn watch(
    layout: &Layout,
    dependency: &Dependency,
    now: Timestamp,
) -> mpsc::UnboundedReceiver<()> {
    let (say, news) = mpsc::unbounded_channel();
    for condition in dependency.conditions() {
        let Some(job) = condition.job() else { continue };
        let (layout, say) = (layout.clone(), say.clone());
        // Without a thread the conditions are looked at once a second, see `next`.
        let _ = Builder::new().spawn(move || follow(&layout, condition, job, now, &say));
    }
    news
}

/// Follows one job until it has ended, or as far as its condition goes.
fn follow(
    layout: &Layout,
    condition: Condition,
    job: JobId,
    now: Timestamp,
    say: &mpsc::UnboundedSender<()>,
) {
    let boot_id = boot_id().unwrap_or_default();
    let only_start = matches!(condition, Condition::After(_));
    loop {
        if !only_start && job.master() == job {
            let _ = wait_until_free(&layout.job(job).join(LOCK));
        }
        let progress = Look::new(layout, boot_id, now).progress(job).ok().flatten();
        let done = match progress {
            Some(Progress::Completed | Progress::Failed) => true,
            Some(Progress::Started) => only_start,
            Some(Progress::Waiting) | None => false,
        };
        if done {
            let _ = say.send(());
            return;
        }
        std::thread::sleep(LOOK);
    }
}

/// The next news; where nobody follows any more, a second.
pub(super) async fn next(news: &mut mpsc::UnboundedReceiver<()>) {
    if news.recv().await.is_none() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Asks for a place to run; it is given back by dropping it.
pub(super) fn place(folder: PathBuf, count: u32) -> Place {
    let (give, place) = oneshot::channel();
    // A thread that cannot be started drops `give`, which the receiver sees.
    let _ = Builder::new().spawn(move || {
        let found = wait_for_place(&folder, count, &give);
        let _ = give.send(found);
    });
    place
}

fn wait_for_place(
    folder: &Path,
    count: u32,
    give: &oneshot::Sender<io::Result<LifeLock>>,
) -> io::Result<LifeLock> {
    create_private(folder)?;
    let _turn = LifeLock::take(&folder.join("turn"))?;
    while !give.is_closed() {
        for number in 0..count {
            if let Some(place) = LifeLock::try_take_once(&folder.join(number.to_string()))? {
                return Ok(place);
            }
        }
        std::thread::sleep(PLACE);
    }
    Err(io::ErrorKind::Interrupted.into())
}
