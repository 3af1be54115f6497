//! The limits of a run: what is due next. Knows times, and asks nobody.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::life::Signs;
use super::{Ending, Limits};
use crate::outcome::Hang;

/// A limit that will be passed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) at: Instant,
    pub(super) hang: Hang,
}

/// The state of the limits.
pub(super) struct Deadlines {
    pub(super) limits: Limits,
    /// Why the agent was told to end.
    pub(super) ending: Option<Ending>,
    stop: watch::Receiver<bool>,
    started: Instant,
    heard: Instant,
    has_result: bool,
    /// The last look at an agent that is silent, since its last sign of life.
    seen: Option<(Instant, Signs)>,
}

impl Deadlines {
    pub(super) fn new(limits: Limits, stop: watch::Receiver<bool>) -> Self {
        let now = Instant::now();
        Self {
            limits,
            ending: None,
            stop,
            started: now,
            heard: now,
            has_result: false,
            seen: None,
        }
    }

    /// Output came.
    pub(super) fn heard(&mut self, has_result: bool) {
        self.heard = Instant::now();
        self.has_result = has_result;
        self.seen = None;
    }

    /// Somebody looked at a silent agent: whether it lives. The first look only tells what to compare with.
    pub(super) fn looked(&mut self, signs: Signs) -> bool {
        let now = Instant::now();
        let lives = self
            .seen
            .as_ref()
            .is_none_or(|(then, earlier)| signs.show_life_since(earlier, now - *then));
        if lives {
            if self.seen.is_some() {
                self.heard = now;
            }
            self.seen = Some((now, signs));
        }
        lives
    }

    /// What is due next; nothing once the agent was told to end.
    pub(super) fn due(&self) -> Option<Due> {
        if self.ending.is_some() {
            return None;
        }
        let due = |at: Option<Instant>, hang| at.map(|at| Due { at, hang });
        let after = |from: Instant, limit: Option<Duration>| from.checked_add(limit?);
        let wall = after(self.started, self.limits.wall);
        // Half-way through a silence is looked for the first time, at its end for the second. Where the first look came
        // late, such as because this process was stopped, the second one leaves the agent as much time.
        let half = self.limits.silence.map(|limit| limit / 2);
        let idle = match &self.seen {
            None => after(self.heard, half),
            Some((looked, _)) => after(self.heard, self.limits.silence).max(after(*looked, half)),
        };
        let result = Some(self.limits.after_result).filter(|_| self.has_result);
        [
            due(wall, Hang::Wall),
            due(idle, Hang::Idle),
            due(after(self.heard, result), Hang::AfterResult),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|due| due.at)
    }

    /// Returns when the agent has to end now; never twice, and never when nobody is left to say so.
    pub(super) async fn told_to_stop(&mut self) {
        if self.ending == Some(Ending::Stopped) || self.stop.wait_for(|up| *up).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Deadlines {
        let limits = Limits {
            wall: Some(Duration::from_secs(100)),
            silence: Some(Duration::from_secs(20)),
            after_result: Duration::from_secs(3),
            grace: Duration::from_secs(1),
        };
        Deadlines::new(limits, watch::channel(false).1)
    }

    fn due(watch: &Deadlines) -> (u64, Hang) {
        let due = watch.due().expect("something is due");
        ((due.at - watch.started).as_secs(), due.hang)
    }

    async fn wait(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_looked_at_twice_and_output_begins_it_anew() {
        let mut watch = watch();
        let still = || Signs::look(u32::MAX, std::path::Path::new("/nowhere"));
        assert_eq!(due(&watch), (10, Hang::Idle));
        wait(10).await;
        assert!(watch.looked(still()), "nothing to compare with");
        assert_eq!(due(&watch), (20, Hang::Idle));
        watch.heard(false);
        assert_eq!(due(&watch), (20, Hang::Idle));
        wait(10).await;
        assert!(watch.looked(still()));
        assert_eq!(due(&watch), (30, Hang::Idle));
        wait(10).await;
        assert!(!watch.looked(still()), "nothing happened since");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_comes_late_is_followed_by_none_at_once() {
        let mut watch = watch();
        let still = || Signs::look(u32::MAX, std::path::Path::new("/nowhere"));
        // The loop was stopped by its terminal, and its agent worked on without a word.
        wait(50).await;
        assert!(watch.looked(still()), "nothing to compare with");
        assert_eq!(due(&watch), (60, Hang::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn the_whole_run_and_the_time_after_the_result_are_limited() {
        let mut watch = watch();
        wait(95).await;
        watch.heard(false);
        assert_eq!(due(&watch), (100, Hang::Wall));
        watch.heard(true);
        assert_eq!(due(&watch), (98, Hang::AfterResult));
        watch.heard(false);
        assert_eq!(due(&watch), (100, Hang::Wall), "another turn began");
        watch.ending = Some(Ending::Hung(Hang::Wall));
        assert!(watch.due().is_none());
    }
}
