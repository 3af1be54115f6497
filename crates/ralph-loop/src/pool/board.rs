//! The loop as its readers see it: `status.json`, kept true without being written more often than anybody looks.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ralph_core::time::{Timestamp, stamp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::shop::Shop;
use crate::event::Event;
use crate::outcome::{AttemptId, Outcome, Usage};
use crate::plan::{PlanFile, Standing};
use crate::record::{
    AttemptLine, OldStatus, RecordError, SCHEMA_VERSION, State, Status, TaskCounts, Totals,
    WorkerStatus,
};
use crate::task::Task;

/// How often the status is written, at most.
const PUBLISH: Duration = Duration::from_millis(500);

/// What is known of the loop now.
#[derive(Debug)]
pub(super) struct Board {
    started: Timestamp,
    state: State,
    reason: Option<String>,
    wakes: Option<Timestamp>,
    running: BTreeMap<usize, WorkerStatus>,
    tasks: TaskCounts,
    pub(super) totals: Totals,
    last: String,
    exit_code: Option<u8>,
    is_stale: bool,
    /// Whether the tasks are to be counted before they are shown: whoever looks twice a second needs no more.
    is_uncounted: bool,
    /// Told whenever there is something new, so that nobody has to look.
    news: Rc<Notify>,
}

impl Board {
    pub(super) fn new(started: Timestamp) -> Self {
        Self {
            started,
            state: State::Running,
            reason: None,
            wakes: None,
            running: BTreeMap::new(),
            tasks: TaskCounts::default(),
            totals: Totals::default(),
            last: "started".to_owned(),
            exit_code: None,
            is_stale: true,
            is_uncounted: true,
            news: Rc::default(),
        }
    }

    fn is_new(&mut self) {
        self.is_stale = true;
        self.news.notify_one();
    }

    /// A task was claimed or given back: the plan says something else now.
    pub(super) fn claims_changed(&mut self) {
        self.is_uncounted = true;
        self.is_new();
    }

    /// A worker has begun.
    pub(super) fn began(
        &mut self,
        worker: usize,
        attempt: &AttemptId,
        task: &Task,
        now: Timestamp,
    ) {
        let status = WorkerStatus {
            worker,
            attempt: attempt.clone(),
            task_id: task.id.clone(),
            task: task.row.text.clone(),
            since: now,
            usage: Usage::default(),
            doing: None,
        };
        self.running.insert(worker, status);
        self.last = format!("started {}", task.id);
        self.is_new();
    }

    /// A worker's agent told something.
    pub(super) fn progress(&mut self, worker: usize, usage: Option<Usage>, doing: Option<String>) {
        if let Some(status) = self.running.get_mut(&worker) {
            status.usage = usage.unwrap_or(status.usage);
            status.doing = doing.or(status.doing.take());
            self.is_new();
        }
    }

    /// What a worker is known to have used.
    pub(super) fn usage(&self, worker: usize) -> (Usage, Option<String>) {
        self.running
            .get(&worker)
            .map(|status| (status.usage, status.doing.clone()))
            .unwrap_or_default()
    }

    /// A worker's agent has ended.
    pub(super) fn ended(&mut self, worker: usize) {
        self.running.remove(&worker);
        self.is_new();
    }

    /// An attempt is over.
    pub(super) fn recorded(&mut self, line: &AttemptLine, skipped: usize) {
        self.totals.add(line);
        self.totals.skipped = skipped as u64;
        self.last = format!("{}: {}", line.task_id, line.outcome);
        self.is_uncounted = true;
        self.is_new();
    }

    /// The loop waits, goes on, drains or has ended.
    pub(super) fn turned(
        &mut self,
        state: State,
        reason: Option<String>,
        wakes: Option<Timestamp>,
    ) {
        self.state = state;
        self.reason = reason;
        self.wakes = wakes;
        self.is_uncounted = true;
        self.is_new();
    }

    pub(super) fn exits(&mut self, code: u8) {
        self.exit_code = Some(code);
        self.is_new();
    }

    /// Looks at the plan again, if that may say something else than the last time.
    pub(super) fn count(&mut self, plan: &PlanFile) {
        if !std::mem::take(&mut self.is_uncounted) {
            return;
        }
        let Ok(plan) = plan.read() else { return };
        let mut tasks = TaskCounts::default();
        for planned in &plan.tasks {
            match planned.standing {
                Standing::Open => tasks.open += 1,
                Standing::Claimed(_) | Standing::ClaimedByNobodyKnown => tasks.claimed += 1,
                Standing::Delivered(_) => tasks.delivered += 1,
                Standing::Done => tasks.done += 1,
            }
        }
        self.tasks = tasks;
    }

    /// Whether no agent runs.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Open tasks when the plan was last looked at.
    pub(super) fn open(&self) -> usize {
        self.tasks.open
    }

    /// Delivered tasks when the plan was last looked at.
    pub(super) fn delivered(&self) -> usize {
        self.tasks.delivered
    }

    fn status(&self, shop: &Shop) -> Status {
        let now = shop.env.now();
        let settings = &shop.settings;
        Status {
            schema_version: SCHEMA_VERSION,
            run: settings.run.clone(),
            process: shop.owner.clone(),
            state: self.state,
            reason: self.reason.clone(),
            wakes: self.wakes,
            started: self.started,
            updated: now,
            workers: u32::try_from(settings.workers).unwrap_or(u32::MAX),
            max_attempts: settings.attempts,
            running: self.running.values().cloned().collect(),
            tasks: self.tasks,
            totals: self.totals.clone(),
            exit_code: self.exit_code,
            old: self.old(shop, now),
        }
    }

    fn old(&self, shop: &Shop, now: Timestamp) -> OldStatus {
        let settings = &shop.settings;
        let status = match (self.state, self.exit_code) {
            (State::Running, _) => "running",
            (State::Waiting, _) => "waiting",
            (State::Draining, _) => "draining",
            (State::Ended, Some(0)) => "completed",
            (State::Ended, Some(130)) => "interrupted",
            (State::Ended, _) => "failed",
        };
        let ended = self.state == State::Ended;
        OldStatus {
            timestamp: stamp(now),
            engine: shop.engine.name().as_str().to_owned(),
            loop_count: self.totals.ended,
            calls_made_this_hour: shop.brakes.borrow().calls(&shop.now_here()),
            max_calls_per_hour: settings.calls_per_hour.map_or(0, u64::from),
            last_action: self.last.clone(),
            status: status.to_owned(),
            exit_reason: self.reason.clone().filter(|_| ended).unwrap_or_default(),
            mode: if settings.attempts.is_some() {
                "continuous"
            } else {
                "batch"
            }
            .to_owned(),
            target: settings.attempts.unwrap_or(0),
            concurrency: settings.workers as u64,
            attempts_completed: self.totals.spent,
        }
    }

    /// How many attempts of this run succeeded, and how many were spent on something else.
    pub(super) fn score(&self) -> (u64, u64) {
        let done = self.totals.count(Outcome::Done);
        (done, self.totals.ended.saturating_sub(done))
    }
}

/// Writes the status where something of it has changed, and the other files that readers look into.
pub(super) fn publish(shop: &Shop, board: &RefCell<Board>) -> Result<(), RecordError> {
    let status = {
        let mut board = board.borrow_mut();
        if !std::mem::take(&mut board.is_stale) {
            return Ok(());
        }
        board.count(&shop.plan);
        board.status(shop)
    };
    if let Err(error) = shop.brakes.borrow_mut().save() {
        shop.note(error.to_string());
    }
    shop.records.write_status(&status)
}

/// When the status is to be written again. While nothing happens nothing wakes this process.
#[derive(Debug)]
pub(super) struct News {
    of: Rc<Notify>,
    /// When what came is due.
    at: Option<Instant>,
}

impl News {
    /// Of this board.
    pub(super) fn of(board: &Board) -> Self {
        Self {
            of: Rc::clone(&board.news),
            at: None,
        }
    }

    /// Waits for something new, and then until the status may be written. One that is given up goes on where it was.
    pub(super) async fn are_due(&mut self) {
        let at = match self.at {
            Some(at) => at,
            None => {
                self.of.notified().await;
                *self.at.insert(Instant::now() + PUBLISH)
            }
        };
        sleep_until(at).await;
        self.at = None;
    }
}

/// Tells a wait, and shows it.
pub(super) fn waits(shop: &Shop, board: &RefCell<Board>, reason: &str, until: Option<Timestamp>) {
    board
        .borrow_mut()
        .turned(State::Waiting, Some(reason.to_owned()), until);
    shop.tell(&Event::Waiting {
        reason: reason.to_owned(),
        until,
    });
    show(shop, board);
}

/// A wait is over.
pub(super) fn resumes(shop: &Shop, board: &RefCell<Board>) {
    board.borrow_mut().turned(State::Running, None, None);
    shop.tell(&Event::Resumed);
    show(shop, board);
}

/// Publishes at once: while nothing runs, nobody else does.
fn show(shop: &Shop, board: &RefCell<Board>) {
    if let Err(error) = publish(shop, board) {
        shop.note(error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_counted_before_any_attempt_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fix_plan.md");
        let write = |text: &str| {
            ralph_core::store::atomic::replace(&path, text.as_bytes()).unwrap();
        };
        write("- [ ] a\n- [ ] b\n");
        let process = ralph_core::process::Identity::of(std::process::id()).unwrap();
        let owner = crate::plan::Owner::new(process, "here");
        let flavour = ralph_docs::fix_plan::Flavour::Repository;
        let plan = PlanFile::new(&path, flavour, &folder.path().join("state"), owner);
        let mut board = Board::new(Timestamp::UNIX_EPOCH);
        board.count(&plan);
        write("- [~] a\n- [ ] b\n");
        board.count(&plan);
        assert_eq!((board.tasks.open, board.tasks.claimed), (2, 0));
        board.claims_changed();
        board.count(&plan);
        assert_eq!((board.tasks.open, board.tasks.claimed), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn many_changes_are_one_writing_and_none_is_none() {
        let mut board = Board::new(Timestamp::UNIX_EPOCH);
        let mut news = News::of(&board);
        let begun = Instant::now();
        let minute = Duration::from_secs(60);
        assert!(
            tokio::time::timeout(minute, news.are_due()).await.is_err(),
            "nothing is new"
        );
        for _ in 0..3 {
            board.turned(State::Running, None, None);
            // Given up again and again, as by a loop that has other things to do.
            let soon = Duration::from_millis(100);
            assert!(tokio::time::timeout(soon, news.are_due()).await.is_err());
        }
        news.are_due().await;
        assert_eq!(begun.elapsed(), minute + PUBLISH);
        // What came while the first one waited is told with it, or right after it.
        let _ = tokio::time::timeout(PUBLISH, news.are_due()).await;
        assert!(tokio::time::timeout(minute, news.are_due()).await.is_err());
    }
}
