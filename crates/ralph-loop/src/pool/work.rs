//! A worker's part: one agent from its start to its end, holding a slot no longer than that.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use ralph_core::process::Identity;
use tokio::sync::watch;

use super::board::Board;
use super::finish::Finishing;
use super::permit::{self, Permit};
use super::ready::{self, Ready, words};
use super::schedule::Stop;
use super::shop::Shop;
use crate::agent::{self, AgentEnd, AgentError, AgentEvent, AgentRun, Ending};
use crate::attempt::{AttemptRecord, Phase};
use crate::engine::Progress;
use crate::event::Event;
use crate::outcome::{Usage, Verdict};

/// Within so long a system that goes down has told everybody.
const ALL_AT_ONCE: Duration = Duration::from_secs(2);

/// An agent that has ended.
#[derive(Debug)]
pub(super) struct Worked {
    pub(super) worker: usize,
    pub(super) finishing: Finishing,
    pub(super) ending: Ending,
    pub(super) verdict: Verdict,
}

/// Runs the agent of a ready attempt. Whatever happens, what comes back can be finished.
pub(super) async fn work(
    shop: Rc<Shop>,
    board: Rc<RefCell<Board>>,
    worker: usize,
    mut ready: Box<Ready>,
    permit: Permit,
    stop: watch::Receiver<Stop>,
) -> Worked {
    ready::freshen(&shop, &mut ready).await;
    let began = shop.env.clock.monotonic();
    let log = log_path(&shop, &ready);
    start(&shop, worker, &mut ready.record, &log);
    let Ready {
        mut record,
        site,
        assigned,
        order,
        guard,
        ..
    } = *ready;
    let mut told = stop.clone();
    let mut heard = Heard {
        shop: &shop,
        board: &board,
        worker,
        record: &record,
        guard: None,
        is_answered: false,
    };
    let ended = {
        let mut tell = |event: AgentEvent| heard.take_in(event);
        let run = AgentRun {
            engine: &*shop.engine,
            order: &order,
            limits: shop.settings.limits,
            env: &shop.env,
            zone: &shop.zone,
            redactor: &shop.redactor,
            log: &log,
            stop: raised(stop),
            tell: &mut tell,
        };
        agent::run(guard, run).await
    };
    let guard = heard.guard;
    let seconds = shop.env.clock.monotonic().saturating_sub(began);
    record.agent_seconds = rounded(seconds);
    record.guard = guard.or(record.guard);
    let (ending, verdict) = conclude(&shop, &mut record, &mut told, ended).await;
    // Before its slot is somebody else's, who asks whether there is money left.
    let cost = record.usage.cost_usd;
    shop.brakes.borrow_mut().paid(&record.attempt, cost);
    permit::report(&shop, permit, ending, &verdict);
    shop.tell(&Event::AgentEnded {
        worker,
        attempt: record.attempt.clone(),
        seconds: record.agent_seconds,
    });
    let finishing = Finishing {
        record,
        site,
        assigned,
        is_resumed: false,
        returning: None,
    };
    Worked {
        worker,
        finishing,
        ending,
        verdict,
    }
}

/// The record is that of an attempt whose agent runs.
fn start(shop: &Shop, worker: usize, record: &mut AttemptRecord, log: &Path) {
    record.log = relative(shop, log);
    record.phase = Phase::Running;
    record.started = shop.env.now();
    shop.tell(&Event::AgentStarted {
        worker,
        attempt: record.attempt.clone(),
        task: record.task.clone(),
        number: record.number,
        log: log.to_owned(),
    });
}

/// What the record keeps of the end, and what is judged.
async fn conclude(
    shop: &Shop,
    record: &mut AttemptRecord,
    stop: &mut watch::Receiver<Stop>,
    ended: Result<AgentEnd, AgentError>,
) -> (Ending, Verdict) {
    match ended {
        Ok(mut end) => {
            if end.ending == Ending::Unguarded && everything_ends(stop).await {
                end.ending = Ending::Stopped;
            }
            take_over(shop, record, end)
        }
        Err(error) => (Ending::Own, not_run(&error)),
    }
}

/// Whether what ended a guard ends the loop as well, now or in a moment: a system that goes down tells everybody, in any
/// order. Else it was meant for the agent alone.
async fn everything_ends(stop: &mut watch::Receiver<Stop>) -> bool {
    let told = stop.wait_for(|stop| *stop > Stop::Run);
    tokio::time::timeout(ALL_AT_ONCE, told)
        .await
        .is_ok_and(|told| told.is_ok())
}

/// Milliseconds are enough for a record. Never more than it was: the slot is somebody else's a moment later, and by
/// the records no more agents ran at once than there are slots.
fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e3).floor() / 1e3
}

fn log_path(shop: &Shop, ready: &Ready) -> PathBuf {
    let name = format!("{}_{}.log", ready.record.attempt, ready.record.task.name());
    shop.records.logs().join(name)
}

fn relative(shop: &Shop, log: &std::path::Path) -> Option<String> {
    let path = log.strip_prefix(&shop.folder).ok()?;
    Some(path.display().to_string())
}

/// The flag that ends an agent: raised by the second word to stop, not by the first.
fn raised(mut stop: watch::Receiver<Stop>) -> watch::Receiver<bool> {
    let (raise, flag) = watch::channel(*stop.borrow() == Stop::Now);
    tokio::task::spawn_local(async move {
        // What is waited for comes with a read lock on it: kept over a wait, it would stop whoever says more, and with
        // one thread everything.
        let is_told = tokio::select! {
            stopped = stop.wait_for(|stop| *stop == Stop::Now) => stopped.is_ok(),
            () = raise.closed() => return,
        };
        if is_told {
            raise.send_replace(true);
        }
        // The flag stays up as long as anybody looks at it.
        raise.closed().await;
    });
    flag
}

/// What is heard of one agent.
struct Heard<'a> {
    shop: &'a Shop,
    board: &'a RefCell<Board>,
    worker: usize,
    record: &'a AttemptRecord,
    guard: Option<Identity>,
    is_answered: bool,
}

impl Heard<'_> {
    fn take_in(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Started { guard, .. } => self.started(guard),
            AgentEvent::Progress(Progress::RateLimit(limit)) => {
                permit::heard(self.shop, &self.record.attempt, &limit);
            }
            AgentEvent::Progress(Progress::Session { .. }) => {}
            AgentEvent::Progress(Progress::Usage(usage)) => self.progress(Some(usage), None),
            AgentEvent::Progress(Progress::Doing(doing)) => self.progress(None, Some(doing)),
            AgentEvent::Progress(Progress::Retrying { reason }) => {
                self.show(None, Some(format!("retrying: {reason}")));
            }
        }
    }

    /// Written down when the agent runs, not before: what recovery needs to know is on disk since it was made ready.
    fn started(&mut self, guard: Option<Identity>) {
        let mut record = self.record.clone();
        record.guard.clone_from(&guard);
        self.guard = guard;
        if let Err(error) = self.shop.attempts.write(&record) {
            self.shop.note(words(&error));
        }
    }

    /// It works, so its account is open.
    fn progress(&mut self, usage: Option<Usage>, doing: Option<String>) {
        if !std::mem::replace(&mut self.is_answered, true) {
            permit::answered(self.shop, &self.record.attempt);
        }
        if let Some(cost) = usage.and_then(|usage| usage.cost_usd) {
            let mut brakes = self.shop.brakes.borrow_mut();
            brakes.told(&self.record.attempt, cost);
        }
        self.show(usage, doing);
    }

    fn show(&self, usage: Option<Usage>, doing: Option<String>) {
        self.board.borrow_mut().progress(self.worker, usage, doing);
        let (usage, doing) = self.board.borrow().usage(self.worker);
        self.shop.tell(&Event::Progress {
            worker: self.worker,
            usage,
            doing,
        });
    }
}

/// What the record keeps of an agent's end.
fn take_over(shop: &Shop, record: &mut AttemptRecord, end: AgentEnd) -> (Ending, Verdict) {
    record.usage = end.usage;
    record.session_id = end.session_id;
    record.summary = end.summary;
    record.denials = end.denials;
    if !end.remaining.is_empty() {
        shop.note(format!(
            "{}: processes that cannot be ended: {:?}",
            record.attempt, end.remaining
        ));
    }
    if let Some(trouble) = end.log_trouble {
        shop.note(format!(
            "{}: the log is not complete: {trouble}",
            record.attempt
        ));
    }
    (end.ending, end.verdict)
}

/// An agent that was not started would not be started the next time either.
fn not_run(error: &AgentError) -> Verdict {
    let message = words(error);
    match error {
        AgentError::Start { .. } => Verdict::ConfigError { message },
        AgentError::Lost { .. } => Verdict::Crashed { message },
    }
}
