//! The gate by itself, step by step, and many loops against a service with a limit, in simulated time.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use ralph_core::env::{CountedIds, Env};
use ralph_core::job::ExitInfo;
use ralph_core::process::Identity;
use ralph_core::store::atomic;
use ralph_core::time::{Clock, SignedDuration, Timestamp};

use super::state::{Caller, State};
use super::{AccountGate, AccountName, AccountSettings, Admission, Report, Wait};
use crate::engine::{
    EngineName, EngineSettings, Finish, Progress, RateLimit, RateStanding, engine,
};
use crate::outcome::{AttemptId, Verdict};

const SETTINGS: AccountSettings = AccountSettings {
    workers: 8,
    margin: Duration::from_secs(15),
    max_wait: Duration::from_secs(6 * 3600),
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_800_000_000 + seconds)
}

fn attempt(number: usize) -> AttemptId {
    format!("a{number}").parse().unwrap()
}

fn own() -> Identity {
    Identity::of(std::process::id()).unwrap()
}

/// A gate without files, and attempts by number.
struct Bench {
    state: State,
    now: i64,
    began: i64,
}

impl Bench {
    fn new() -> Self {
        Self {
            state: State::default(),
            now: 0,
            began: -10,
        }
    }

    fn with<T>(&mut self, number: usize, act: impl FnOnce(&mut State, &Caller<'_>) -> T) -> T {
        let (attempt, owner) = (attempt(number), own());
        let caller = Caller {
            attempt: &attempt,
            owner: &owner,
            settings: &SETTINGS,
            began: at(self.began),
            now: at(self.now),
        };
        act(&mut self.state, &caller)
    }

    fn ask(&mut self, number: usize) -> Admission {
        self.with(number, State::ask)
    }

    fn report(&mut self, number: usize, report: &Report<'_>) {
        self.with(number, |state, caller| state.report(caller, report));
    }

    fn limit(&mut self, number: usize, resets_at: Option<i64>) {
        let verdict = Verdict::UsageLimit {
            resets_at: resets_at.map(at),
            window: None,
            message: "limit reached".to_owned(),
        };
        self.report(number, &Report::Ended(&verdict));
    }

    fn done(&mut self, number: usize) {
        self.report(number, &Report::Ended(&Verdict::Finished));
    }

    /// How many of eight new attempts may start now.
    fn admitted(&mut self, from: usize) -> usize {
        let numbers = from..from + 8;
        numbers
            .filter(|number| self.ask(*number) == Admission::Admitted)
            .count()
    }

    /// Seconds until the time that is waited for.
    fn wait(&mut self, number: usize) -> i64 {
        match self.ask(number) {
            Admission::Wait(Wait {
                until: Some(until), ..
            }) => until.duration_since(at(self.now)).as_secs(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn after_the_reset_one_starts_and_then_twice_as_many_each_time() {
    let mut bench = Bench::new();
    assert_eq!(bench.admitted(0), 8);
    for number in 0..8 {
        bench.limit(number, Some(100));
    }
    let wait = bench.wait(10);
    assert!(
        (115..=116).contains(&wait),
        "reset, margin and jitter: {wait}"
    );
    bench.now = 114;
    assert_eq!(bench.admitted(10), 0);
    bench.now = 116;
    assert_eq!(bench.admitted(10), 1);
    assert_eq!(bench.admitted(20), 0);
    bench.report(10, &Report::Answered);
    bench.report(10, &Report::Answered);
    assert_eq!(bench.admitted(30), 1, "two at once");
    bench.done(30);
    assert_eq!(bench.admitted(40), 3, "four at once");
    bench.report(40, &Report::Answered);
    assert_eq!(bench.admitted(50), 8, "no ramp any more");
}

#[test]
fn a_probe_that_ends_without_a_word_leaves_its_place_to_the_next() {
    let mut bench = Bench::new();
    bench.ask(0);
    bench.limit(0, Some(100));
    bench.now = 200;
    assert_eq!(bench.ask(1), Admission::Admitted);
    assert_eq!(bench.admitted(10), 0);
    let crash = Verdict::Crashed {
        message: "x".to_owned(),
    };
    bench.report(1, &Report::Ended(&crash));
    assert_eq!(bench.admitted(10), 1);
    bench.report(10, &Report::Withdrawn);
    assert_eq!(bench.admitted(20), 1);
    bench.state.prune(|_| false);
    assert_eq!(bench.admitted(30), 1, "its loop was killed");
}

#[test]
fn a_limit_without_a_reset_or_still_there_after_it_waits_longer_each_time() {
    let mut bench = Bench::new();
    let mut waits = Vec::new();
    for round in 0..7 {
        assert_eq!(bench.ask(round), Admission::Admitted);
        // Now and then an old time is told again.
        bench.limit(round, (round % 2 == 1).then_some(-50));
        let wait = bench.wait(99);
        waits.push(wait);
        bench.now += wait;
    }
    assert_eq!(waits, [60, 120, 240, 480, 960, 1800, 1800]);
    bench.ask(8);
    bench.report(8, &Report::Answered);
    for number in 9..12 {
        bench.ask(number);
        bench.report(number, &Report::Answered);
    }
    bench.limit(8, None);
    assert_eq!(bench.wait(99), 60, "one got through in between");
}

#[test]
fn an_agent_from_before_the_reset_closes_nothing_with_its_old_news() {
    let mut bench = Bench::new();
    bench.ask(0);
    bench.ask(1);
    bench.limit(0, Some(100));
    bench.now = 200;
    assert_eq!(bench.ask(2), Admission::Admitted);
    bench.limit(1, Some(100));
    bench.report(2, &Report::Answered);
    assert_eq!(bench.ask(3), Admission::Admitted);
    bench.limit(3, Some(500));
    assert!(bench.wait(4) > 300, "news is news");
}

#[test]
fn a_wait_beyond_the_longest_is_refused_and_told() {
    let mut bench = Bench::new();
    bench.ask(0);
    bench.limit(0, Some(7 * 3600));
    let Admission::TooLong { until, message } = bench.ask(1) else {
        panic!("it waits");
    };
    assert!(until > at(7 * 3600));
    assert_eq!(message, "limit reached");
    bench.now = 2 * 3600;
    assert!(bench.wait(1) > 0, "near enough now");
}

#[test]
fn a_pause_beyond_the_longest_wait_is_refused_and_does_not_hold_for_years() {
    let mut bench = Bench::new();
    bench.ask(0);
    let busy = Verdict::Throttled {
        retry_after: Some(99_999_999),
        message: "come back in 2030".to_owned(),
    };
    bench.report(0, &Report::Ended(&busy));
    let day = 24 * 3600;
    let refused = Admission::TooLong {
        until: at(day),
        message: "the service is busy".to_owned(),
    };
    assert_eq!(bench.ask(1), refused);
    bench.now = day - 6 * 3600;
    assert_eq!(bench.wait(1), 6 * 3600, "near enough now");
    bench.now = day;
    assert_eq!(bench.ask(1), Admission::Admitted);
}

#[test]
fn a_failed_login_stops_the_loops_that_run_and_a_later_one_tries_once() {
    let mut bench = Bench::new();
    bench.ask(0);
    let verdict = Verdict::Auth {
        message: "log in".to_owned(),
    };
    bench.report(0, &Report::Ended(&verdict));
    let stopped = Admission::Stopped {
        message: "log in".to_owned(),
    };
    bench.now = 1000;
    assert_eq!(bench.ask(1), stopped);
    bench.began = 900;
    assert_eq!(bench.admitted(10), 1);
    bench.done(10);
    assert_eq!(bench.admitted(20), 2);
}

#[test]
fn a_busy_service_means_one_short_pause_for_all_and_fewer_after_it() {
    let mut bench = Bench::new();
    let busy = |retry_after| Verdict::Throttled {
        retry_after,
        message: "529".to_owned(),
    };
    assert_eq!(bench.admitted(0), 8);
    for number in 0..4 {
        bench.report(number, &Report::Ended(&busy(None)));
    }
    assert_eq!(bench.wait(10), 5);
    bench.now = 5;
    assert_eq!(
        bench.admitted(10),
        2,
        "half of what ran when the last one was refused"
    );
    bench.report(10, &Report::Ended(&busy(None)));
    assert_eq!(bench.wait(20), 10, "longer the second time");
    bench.report(11, &Report::Ended(&busy(Some(90))));
    assert_eq!(bench.wait(20), 90, "the service's own word");
    bench.now += 90;
    assert_eq!(bench.ask(20), Admission::Admitted);
    bench.report(20, &Report::Answered);
    bench.report(20, &Report::Ended(&busy(None)));
    assert_eq!(bench.wait(30), 5, "one got through in between");
}

/// An agent of claude whose stream this is, heard as a worker hears it. It has not ended yet: the answer is how it will.
fn heard(bench: &mut Bench, number: usize, stream: &str) -> Verdict {
    assert_eq!(bench.ask(number), Admission::Admitted);
    let settings = EngineSettings::new(EngineName::Claude);
    let mut reader = engine(&settings).unwrap().reader();
    for line in stream.lines() {
        reader.line(line, &mut |progress| match progress {
            Progress::RateLimit(limit) => bench.report(number, &Report::RateLimit(&limit)),
            Progress::Usage(_) | Progress::Doing(_) => bench.report(number, &Report::Answered),
            Progress::Session { .. } | Progress::Retrying { .. } => {}
        });
    }
    let reading = reader.finish(&Finish {
        exit: ExitInfo { code: 1, signal: 0 },
        stderr: "",
        now: at(bench.now),
        zone: &TimeZone::UTC,
    });
    reading.verdict
}

fn claude(bench: &mut Bench, number: usize, stream: &str) {
    let verdict = heard(bench, number, stream);
    bench.report(number, &Report::Ended(&verdict));
}

/// A run that is refused: a message of the program and a result, as claude prints them.
fn refused(status: u16, error: &str, words: &str) -> String {
    [
        r#"{"type":"system","subtype":"init","session_id":"s"}"#.to_owned(),
        r#"{"type":"rate_limit_event","rate_limit_info":{"status":"allowed","rateLimitType":"five_hour"}}"#
            .to_owned(),
        format!(
            r#"{{"type":"assistant","error":"{error}","message":{{"id":"m","model":"<synthetic>","content":[{{"type":"text","text":"{words}"}}],"usage":{{"input_tokens":0,"output_tokens":0}}}}}}"#
        ),
        format!(
            r#"{{"type":"assistant","message":{{"id":"m","model":"<synthetic>","content":[{{"type":"text","text":"{words}"}}],"usage":{{"input_tokens":0,"output_tokens":0}}}}}}"#
        ),
        format!(
            r#"{{"type":"result","subtype":"success","is_error":true,"api_error_status":{status},"num_turns":1,"result":"{words}"}}"#
        ),
    ]
    .join("\n")
}

#[test]
fn an_answer_that_is_an_error_proves_nothing_so_each_wait_is_longer() {
    let busy = refused(529, "overloaded", "API Error: 529 Overloaded");
    let limit = refused(429, "rate_limit", "You've hit your limit");
    let rounds = [
        (busy, [5, 10, 20, 40, 80, 160, 300, 300].as_slice()),
        (limit, [60, 120, 240, 480, 960, 1800].as_slice()),
    ];
    for (stream, expected) in rounds {
        let mut bench = Bench::new();
        let waits = (0..expected.len()).map(|round| {
            claude(&mut bench, round, &stream);
            let wait = bench.wait(99);
            bench.now += wait;
            wait
        });
        assert_eq!(waits.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn after_a_limit_of_words_one_starts_and_work_lets_the_others_in() {
    let mut bench = Bench::new();
    let limit = refused(429, "rate_limit", "You've hit your limit");
    claude(&mut bench, 0, &limit);
    bench.now += bench.wait(99);
    let verdict = heard(&mut bench, 1, &limit);
    assert_eq!(
        bench.admitted(10),
        0,
        "the probe has only met the limit again"
    );
    bench.report(1, &Report::Ended(&verdict));
    bench.now += bench.wait(99);
    assert_eq!(bench.admitted(10), 1, "a probe");
    for number in 10..18 {
        bench.report(number, &Report::Withdrawn);
    }
    let work = [
        r#"{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"I begin."}]}}"#,
        r#"{"type":"result","subtype":"error_during_execution","is_error":true,"num_turns":3,"errors":["hook failed"]}"#,
    ];
    claude(&mut bench, 20, &work.join("\n"));
    assert_eq!(bench.admitted(30), 2, "it got through");
}

fn near(standing: RateStanding, utilization: Option<f64>, window: &str) -> RateLimit {
    RateLimit {
        standing,
        resets_at: Some(at(500)),
        window: Some(window.to_owned()),
        utilization,
    }
}

#[test]
fn near_the_limit_fewer_run() {
    let mut bench = Bench::new();
    bench.ask(0);
    let warn = |bench: &mut Bench, standing, used, window| {
        bench.report(0, &Report::RateLimit(&near(standing, used, window)));
    };
    warn(&mut bench, RateStanding::Allowed, Some(0.5), "five_hour");
    warn(&mut bench, RateStanding::Warning, None, "seven_day");
    assert_eq!(bench.admitted(10), 3, "half of eight, one runs");
    warn(&mut bench, RateStanding::Allowed, Some(0.985), "five_hour");
    for number in 10..18 {
        bench.done(number);
    }
    assert_eq!(bench.admitted(20), 0, "one runs");
    // The other window still warns.
    warn(&mut bench, RateStanding::Allowed, Some(0.1), "five_hour");
    assert_eq!(bench.admitted(20), 3);
    bench.now = 501;
    assert_eq!(bench.admitted(30), 8);
}

#[test]
fn a_rejection_in_the_stream_closes_the_gate_before_the_agent_has_ended() {
    let mut bench = Bench::new();
    bench.ask(0);
    let rejected = near(RateStanding::Rejected, None, "five_hour");
    bench.report(0, &Report::RateLimit(&rejected));
    assert!(bench.wait(1) >= 515);
    bench.limit(0, Some(500));
    assert!((515..=516).contains(&bench.wait(1)));
}

/// The simulated clock of the runtime.
#[derive(Debug)]
struct Simulated(tokio::time::Instant);

impl Clock for Simulated {
    fn now(&self) -> Timestamp {
        at(0).checked_add(self.0.elapsed()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

fn env() -> Env {
    Env {
        clock: Arc::new(Simulated(tokio::time::Instant::now())),
        ids: Arc::new(CountedIds::default()),
        host: "host".to_owned(),
        user: "user".to_owned(),
        pid: std::process::id(),
    }
}

fn gate(folder: &Path, env: &Env, settings: AccountSettings) -> AccountGate {
    let name = AccountName {
        engine: EngineName::Claude,
        id: None,
    };
    AccountGate::open(folder, &name, settings, env, own()).unwrap()
}

/// A service that refuses everything between two times.
#[derive(Debug, Default)]
struct Service {
    next: Cell<usize>,
    running: Cell<usize>,
    refused: RefCell<Vec<i64>>,
    served: RefCell<Vec<(i64, usize)>>,
}

/// One worker of a loop: it tries until the simulated day is over.
async fn work(gate: Rc<AccountGate>, env: Env, service: Rc<Service>) {
    let second = |at_: Timestamp| at_.duration_since(at(0)).as_secs();
    loop {
        service.next.set(service.next.get() + 1);
        let id = attempt(service.next.get());
        let admission = gate.admit(&id, |_| {}).await.unwrap();
        assert_eq!(admission, Admission::Admitted);
        let start = second(env.now());
        if start >= 500 {
            return;
        }
        // It says nothing for its first two seconds.
        tokio::time::sleep(Duration::from_secs(2)).await;
        if (100..250).contains(&start) {
            service.refused.borrow_mut().push(start);
            let verdict = Verdict::UsageLimit {
                resets_at: Some(at(250)),
                window: None,
                message: "limit".to_owned(),
            };
            gate.report(&id, Report::Ended(&verdict)).unwrap();
            continue;
        }
        service.running.set(service.running.get() + 1);
        service
            .served
            .borrow_mut()
            .push((start, service.running.get()));
        gate.report(&id, Report::Answered).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        service.running.set(service.running.get() - 1);
        gate.report(&id, Report::Ended(&Verdict::Finished)).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn many_loops_meet_the_limit_once_and_come_back_one_two_four() {
    let folder = tempfile::tempdir().unwrap();
    let env = env();
    let service = Rc::new(Service::default());
    let settings = AccountSettings {
        workers: 4,
        margin: Duration::from_secs(10),
        max_wait: Duration::from_secs(3600),
    };
    let set = tokio::task::LocalSet::new();
    for _ in 0..3 {
        let gate = Rc::new(gate(folder.path(), &env, settings));
        for _ in 0..4 {
            set.spawn_local(work(gate.clone(), env.clone(), service.clone()));
        }
    }
    set.await;
    let refused = service.refused.borrow();
    // Whoever was about to start when the limit came, and nobody after it was known.
    assert!(refused.len() <= 12, "{refused:?}");
    assert!(refused.iter().all(|start| *start < 170), "{refused:?}");
    let served = service.served.borrow();
    let mut after: Vec<i64> = served
        .iter()
        .map(|(start, _)| *start)
        .filter(|start| *start >= 250)
        .collect();
    after.sort_unstable();
    assert!((260..=265).contains(&after[0]), "resumed at {}", after[0]);
    assert!(after[1] >= after[0] + 2, "one probe first: {after:?}");
    // And all of them work soon after.
    assert!(after[11] < after[0] + 60, "{after:?}");
    let most = served.iter().map(|(_, running)| *running).max();
    assert_eq!(most, Some(12));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_why_and_until_when_and_a_dropped_wait_holds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let env = env();
    let gate = gate(folder.path(), &env, SETTINGS);
    assert_eq!(gate.ask(&attempt(0)).unwrap(), Admission::Admitted);
    let verdict = Verdict::UsageLimit {
        resets_at: Some(at(60)),
        window: None,
        message: "resets soon".to_owned(),
    };
    gate.report(&attempt(0), Report::Ended(&verdict)).unwrap();
    let mut told = Vec::new();
    let (one, two) = (attempt(1), attempt(2));
    let wait = gate.admit(&one, |wait| told.push((wait.why.clone(), wait.until)));
    let given_up = tokio::time::timeout(Duration::from_secs(30), wait).await;
    assert!(given_up.is_err());
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "usage limit: resets soon");
    assert!(
        told[0]
            .1
            .is_some_and(|until| until >= at(75) && until <= at(77)),
        "{told:?}"
    );
    let admission = gate.admit(&two, |_| {}).await.unwrap();
    assert_eq!(admission, Admission::Admitted);
    assert!(env.now() >= at(75) && env.now() <= at(77), "{}", env.now());
}

#[test]
fn accounts_are_apart_and_a_broken_record_is_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let (env, _) = Env::fixed(at(0));
    let open = |id| {
        let name = AccountName {
            engine: EngineName::Codex,
            id,
        };
        AccountGate::open(folder.path(), &name, SETTINGS, &env, own())
    };
    let verdict = Verdict::Auth {
        message: "log in".to_owned(),
    };
    let first = open(Some("first")).unwrap();
    first.ask(&attempt(0)).unwrap();
    first.report(&attempt(0), Report::Ended(&verdict)).unwrap();
    let again = open(Some("first")).unwrap();
    assert!(matches!(
        again.ask(&attempt(1)),
        Ok(Admission::Stopped { .. })
    ));
    let other = open(Some("second")).unwrap();
    assert_eq!(other.ask(&attempt(1)).unwrap(), Admission::Admitted);
    let names = std::fs::read_dir(folder.path()).unwrap();
    let names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(
        !names.iter().any(|name| name.contains("first")),
        "{names:?}"
    );

    let record = names.iter().find(|name| name.ends_with(".json")).unwrap();
    for (text, is_fine) in [("{nonsense", true), (r#"{"schema_version":2}"#, false)] {
        for record in names.iter().filter(|name| name.ends_with(".json")) {
            atomic::replace(&folder.path().join(record), text.as_bytes()).unwrap();
        }
        assert_eq!(again.ask(&attempt(2)).is_ok(), is_fine, "{record}: {text}");
    }
}
