//! Crash points: named places at which a test can kill the process, to see what the next one finds.
//!
//! [`crash_point!`](crate::crash_point) is nothing unless the feature `crash-points` is on. A test first runs
//! with a log to learn which points are passed, then once per point with the plan to die there. The plan comes
//! from the binary (`arm`); nothing here reads the environment, and a release is built without the feature.

#[cfg(any(test, feature = "crash-points"))]
pub use armed::{CrashPlan, CrashPlanError, arm};

/// Marks a place between two steps that must both survive a crash in between.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::store::crash::reached($name)
    };
}

/// Called by [`crash_point!`](crate::crash_point). Does nothing in a build without crash points.
#[cfg(not(any(test, feature = "crash-points")))]
#[inline]
pub fn reached(_name: &'static str) {}

/// Called by [`crash_point!`](crate::crash_point): writes the log and dies where the plan says so.
#[cfg(any(test, feature = "crash-points"))]
pub fn reached(name: &'static str) {
    #[cfg(test)]
    simulate::step(name);
    armed::reached(name);
}

#[cfg(any(test, feature = "crash-points"))]
mod armed {
    use std::collections::BTreeMap;
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::str::FromStr;
    use std::sync::{Mutex, OnceLock, PoisonError};

    static PLAN: OnceLock<CrashPlan> = OnceLock::new();
    static PASSES: Mutex<BTreeMap<&'static str, u32>> = Mutex::new(BTreeMap::new());

    /// Where to die, and where to write down the points that were passed.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct CrashPlan {
        /// The point, and on which pass of it, counted from one.
        pub at: Option<(String, u32)>,
        /// Whether it is a bug that ends the process there, and not an abort.
        pub panics: bool,
        /// One line `name:pass` is appended here for every pass.
        pub log: Option<PathBuf>,
    }

    /// A text that is not `name:pass`.
    #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
    #[error(
        "{found:?} is not a crash point and a pass, such as `atomic.written:1` or `panic atomic.written:1`"
    )]
    pub struct CrashPlanError {
        /// What was found.
        pub found: String,
    }

    impl FromStr for CrashPlan {
        type Err = CrashPlanError;

        fn from_str(text: &str) -> Result<Self, CrashPlanError> {
            let fail = || CrashPlanError {
                found: text.to_owned(),
            };
            let panicking = text.strip_prefix("panic ");
            let (name, pass) = panicking
                .unwrap_or(text)
                .rsplit_once(':')
                .ok_or_else(fail)?;
            let pass: u32 = pass.parse().map_err(|_| fail())?;
            if name.is_empty() || pass == 0 {
                return Err(fail());
            }
            Ok(Self {
                at: Some((name.to_owned(), pass)),
                panics: panicking.is_some(),
                log: None,
            })
        }
    }

    /// Sets the plan of this process. Only the first call counts; `false` says that there was one before.
    pub fn arm(plan: CrashPlan) -> bool {
        PLAN.set(plan).is_ok()
    }

    pub(super) fn reached(name: &'static str) {
        let Some(plan) = PLAN.get() else { return };
        let pass = {
            let mut passes = PASSES.lock().unwrap_or_else(PoisonError::into_inner);
            let pass = passes.entry(name).or_insert(0);
            *pass += 1;
            *pass
        };
        if let Some(log) = &plan.log {
            // A log that cannot be written shows up as a missing point in the test that reads it.
            let file = OpenOptions::new().create(true).append(true).open(log);
            // In one write: several processes may pass points at once.
            let line = format!("{name}:{pass}\n");
            let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
        }
        if plan
            .at
            .as_ref()
            .is_some_and(|(at, on)| at == name && *on == pass)
        {
            assert!(!plan.panics, "a bug at {name}, as it was asked for");
            std::process::abort();
        }
    }
}

/// Crashes inside one test thread: the same points, by unwinding instead of dying.
#[cfg(test)]
pub(crate) mod simulate {
    use std::cell::{Cell, RefCell};
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    thread_local! {
        static STEPS_LEFT: Cell<Option<u32>> = const { Cell::new(None) };
        static INTRUDER: RefCell<Option<Intruder>> = const { RefCell::new(None) };
    }

    type Intruder = (&'static str, Box<dyn FnMut()>);

    /// What is thrown at the point.
    struct SimulatedCrash;

    pub(super) fn step(name: &'static str) {
        INTRUDER.with_borrow_mut(|intruder| match intruder {
            Some((at, act)) if *at == name => act(),
            _ => {}
        });
        let Some(left) = STEPS_LEFT.get() else { return };
        if left == 0 {
            STEPS_LEFT.set(None);
            // Unlike a panic this prints nothing.
            resume_unwind(Box::new(SimulatedCrash));
        }
        STEPS_LEFT.set(Some(left - 1));
    }

    /// Runs `work`, and `act` each time it passes the point `at`: somebody else who is at the files too.
    pub(crate) fn with_intruder<T>(
        at: &'static str,
        act: impl FnMut() + 'static,
        work: impl FnOnce() -> T,
    ) -> T {
        INTRUDER.set(Some((at, Box::new(act))));
        let value = work();
        INTRUDER.set(None);
        value
    }

    /// Runs `work` until it passes the point `at`; `None` when it crashed there.
    pub(crate) fn crash_at<T>(at: &'static str, work: impl FnOnce() -> T) -> Option<T> {
        let crash = || resume_unwind(Box::new(SimulatedCrash));
        let end = crash_after(u32::MAX, || with_intruder(at, crash, work));
        INTRUDER.set(None);
        end
    }

    /// Runs `work` and lets it pass `points` crash points; `None` when it crashed at the next one.
    pub(crate) fn crash_after<T>(points: u32, work: impl FnOnce() -> T) -> Option<T> {
        STEPS_LEFT.set(Some(points));
        let end = catch_unwind(AssertUnwindSafe(work));
        STEPS_LEFT.set(None);
        match end {
            Ok(value) => Some(value),
            Err(thrown) if thrown.is::<SimulatedCrash>() => None,
            Err(thrown) => resume_unwind(thrown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_a_name_and_a_pass() {
        let plan: CrashPlan = "journal.applied:3".parse().unwrap();
        assert_eq!(plan.at, Some(("journal.applied".to_owned(), 3)));
        assert!(!plan.panics);
        let plan: CrashPlan = "panic journal.applied:3".parse().unwrap();
        assert_eq!(plan.at, Some(("journal.applied".to_owned(), 3)));
        assert!(plan.panics);
        for bad in ["", "x", "x:", ":1", "x:0", "x:one"] {
            assert!(bad.parse::<CrashPlan>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_simulated_crash_stops_at_its_point() {
        let mut passed = 0;
        let mut work = || {
            for _ in 0..3 {
                crate::crash_point!("test.step");
                passed += 1;
            }
        };
        assert!(simulate::crash_after(2, &mut work).is_none());
        assert!(simulate::crash_after(3, &mut work).is_some());
        assert_eq!(passed, 2 + 3);
    }
}
