//! The two laws of a budget, over random interleavings with crashes and with real processes that are killed.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;
use ralph_core::error::{Code, Coded as _};
use ralph_core::process::Identity;
use ralph_core::process::lock::LifeLock;
use ralph_core::store::append;
use tempfile::TempDir;
use tokio::time::timeout;

use super::ledger::{Book, Request};
use super::{Budget, BudgetError, Reserved, Settled, Settlement, Share, Standing, Terms};
use crate::outcome::AttemptId;

/// So long a test waits for what has to happen, so that a broken one ends.
const PATIENCE: Duration = Duration::from_secs(20);

fn attempt(number: u64) -> AttemptId {
    format!("attempt-{number}").parse().unwrap()
}

fn own() -> Identity {
    Identity::of(std::process::id()).unwrap()
}

/// A process that was there and is gone.
fn dead() -> Identity {
    Identity {
        start_ticks: 1,
        ..own()
    }
}

fn terms(workers: usize, attempts: Option<u64>) -> Terms {
    Terms { workers, attempts }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn attempts_are_reserved_once_and_settled_once() {
    let folder = folder();
    let budget = Budget::create(folder.path(), &terms(2, Some(2))).unwrap();
    let other = Budget::open(folder.path()).unwrap();
    let reserve = |budget: &Budget, number, owner: &Identity| {
        budget.reserve(&attempt(number), "api", owner).unwrap()
    };
    let settle = |number, how| budget.settle(&attempt(number), how).unwrap();

    assert_eq!(reserve(&budget, 1, &own()), Reserved::Granted);
    assert_eq!(reserve(&budget, 1, &own()), Reserved::Granted);
    assert_eq!(reserve(&other, 1, &dead()), Reserved::HeldElsewhere);
    assert_eq!(reserve(&other, 2, &own()), Reserved::Granted);
    assert_eq!(reserve(&budget, 3, &own()), Reserved::AllReserved);
    assert_eq!(settle(2, Settlement::Returned), Settled::Recorded);
    assert_eq!(settle(2, Settlement::Returned), Settled::Recorded);
    assert_eq!(reserve(&budget, 3, &own()), Reserved::Granted);
    assert_eq!(settle(1, Settlement::Spent), Settled::Recorded);
    assert_eq!(settle(1, Settlement::Spent), Settled::Recorded);
    assert_eq!(settle(1, Settlement::Returned), Settled::NotReserved);
    assert_eq!(reserve(&budget, 1, &own()), Reserved::AlreadySpent);
    // It was returned, and the rest of the budget went to another one.
    assert_eq!(settle(2, Settlement::Spent), Settled::BeyondBudget);
    assert_eq!(settle(9, Settlement::Spent), Settled::NotReserved);
    assert_eq!(settle(3, Settlement::Spent), Settled::Recorded);
    assert_eq!(reserve(&other, 4, &own()), Reserved::Exhausted);
    timeout(PATIENCE, other.reservable())
        .await
        .unwrap()
        .unwrap();

    let share = Share {
        spent: 2,
        reserved: 0,
    };
    let standing = Standing {
        spent: 2,
        reserved: 0,
        left: Some(0),
        by_repository: BTreeMap::from([("api".to_owned(), share)]),
    };
    assert_eq!(other.standing().unwrap(), standing);
}

/// A look takes no part: nothing is made in the folder, and nobody waits for it.
#[test]
fn a_look_needs_no_right_to_write() {
    let folder = folder();
    assert!(matches!(
        Budget::look(folder.path()),
        Err(BudgetError::Missing(_))
    ));
    Budget::create_for(folder.path(), &terms(3, Some(5)), 1).unwrap();
    let before = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(Budget::look(folder.path()).unwrap().left, Some(5));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), before);
    let budget = Budget::open(folder.path()).unwrap();
    budget.reserve(&attempt(1), "api", &own()).unwrap();
    budget.settle(&attempt(1), Settlement::Spent).unwrap();
    budget.reserve(&attempt(2), "api", &dead()).unwrap();
    assert_eq!(
        Budget::look(folder.path()).unwrap(),
        budget.standing().unwrap()
    );
}

#[test]
fn what_a_dead_process_reserved_comes_back() {
    let folder = folder();
    let budget = Budget::create(folder.path(), &terms(1, Some(1))).unwrap();
    let reserve = |number, owner: &Identity| {
        let reserved = budget.reserve(&attempt(number), "api", owner);
        reserved.unwrap()
    };
    assert_eq!(reserve(1, &dead()), Reserved::Granted);
    assert_eq!(budget.standing().unwrap().left, Some(1));
    assert_eq!(reserve(2, &own()), Reserved::Granted);
    // Its work was found after all; it is too late to count.
    let late = budget.settle(&attempt(1), Settlement::Spent).unwrap();
    assert_eq!(late, Settled::BeyondBudget);
    budget.settle(&attempt(2), Settlement::Returned).unwrap();
    let late = budget.settle(&attempt(1), Settlement::Spent).unwrap();
    assert_eq!(late, Settled::Recorded);
    assert_eq!(reserve(3, &own()), Reserved::Exhausted);
}

#[test]
fn without_a_limit_everything_is_granted() {
    let folder = folder();
    let budget = Budget::create(folder.path(), &terms(1, None)).unwrap();
    for number in 0..50 {
        let reserved = budget.reserve(&attempt(number), "api", &own()).unwrap();
        assert_eq!(reserved, Reserved::Granted);
    }
    let standing = budget.standing().unwrap();
    assert_eq!((standing.reserved, standing.left), (50, None));
}

#[test]
fn a_torn_line_costs_itself_only() {
    let folder = folder();
    let budget = Budget::create(folder.path(), &terms(1, Some(3))).unwrap();
    budget.reserve(&attempt(1), "api", &own()).unwrap();
    let ledger = folder.path().join("attempts.jsonl");
    append::append_bytes(&ledger, b"{\"event\":\"reserved\",\"att").unwrap();
    budget.settle(&attempt(1), Settlement::Spent).unwrap();
    budget.reserve(&attempt(2), "api", &own()).unwrap();
    for budget in [&budget, &Budget::open(folder.path()).unwrap()] {
        let standing = budget.standing().unwrap();
        assert_eq!((standing.spent, standing.reserved), (1, 1));
    }
}

#[test]
fn what_lacks_nothing_but_the_end_of_its_line_counts() {
    let folder = folder();
    let budget = Budget::create(folder.path(), &terms(1, Some(1))).unwrap();
    let reserve = |number, owner: &Identity| budget.reserve(&attempt(number), "r", owner).unwrap();
    assert_eq!(reserve(1, &dead()), Reserved::Granted);
    // It had been given the disk's last bytes.
    let line = format!(r#"{{"event":"spent","attempt":"{}"}}"#, attempt(1));
    let ledger = folder.path().join("attempts.jsonl");
    append::append_bytes(&ledger, line.as_bytes()).unwrap();
    assert_eq!(reserve(2, &own()), Reserved::Exhausted);
    assert_eq!(budget.standing().unwrap().spent, 1);
}

#[test]
fn a_budget_begins_anew_only_when_nobody_has_it_open() {
    let folder = folder();
    let missing = Budget::open(folder.path()).unwrap_err();
    assert!(matches!(missing, BudgetError::Missing(_)), "{missing}");
    let budget = Budget::create(folder.path(), &terms(1, Some(1))).unwrap();
    budget.reserve(&attempt(1), "api", &own()).unwrap();
    budget.settle(&attempt(1), Settlement::Spent).unwrap();
    let in_use = Budget::create(folder.path(), &terms(1, Some(1))).unwrap_err();
    assert_eq!(in_use.code(), Code::AlreadyRunning);
    drop(budget);
    let budget = Budget::create(folder.path(), &terms(4, Some(9))).unwrap();
    assert_eq!(budget.terms(), terms(4, Some(9)));
    assert_eq!(budget.standing().unwrap().spent, 0);
    assert!(Budget::create(folder.path(), &terms(0, None)).is_err());
}

#[test]
fn terms_that_cannot_be_used_are_named() {
    let folder = folder();
    let message = |text: &str| {
        ralph_core::store::atomic::replace(&folder.path().join("terms.json"), text.as_bytes())
            .unwrap();
        let error = Budget::open(folder.path()).unwrap_err();
        (error.code(), error.hint().is_some())
    };
    assert_eq!(message("{"), (Code::CorruptState, true));
    assert_eq!(
        message(r#"{"schema_version":2}"#),
        (Code::NewerFormat, true)
    );
    let none = r#"{"schema_version":1,"workers":0,"attempts":null}"#;
    assert_eq!(message(none), (Code::Usage, true));
}

/// A future that is polled once and is not ready.
macro_rules! assert_waits {
    ($future:expr) => {
        assert!(
            timeout(Duration::from_millis(20), $future).await.is_err(),
            "it did not have to wait"
        )
    };
}

/// The first loop of a launch that is ready does not take the slots of those that are not.
#[tokio::test]
async fn until_all_loops_are_there_none_has_more_than_its_share() {
    let folder = folder();
    Budget::create_for(folder.path(), &terms(4, None), 3).unwrap();
    let open = || Budget::open(folder.path()).unwrap();
    let (first, second, third) = (open(), open(), open());
    let a = first.slot().await.unwrap();
    assert_waits!(first.slot());
    let b = second.slot().await.unwrap();
    assert_waits!(second.slot());
    // It has nothing to do, and ends: what is left is for the others, however long they have.
    drop(third);
    let both = timeout(PATIENCE, async {
        (first.slot().await, second.slot().await)
    })
    .await;
    let numbers = both.map(|(one, other)| {
        [
            a.number(),
            b.number(),
            one.unwrap().number(),
            other.unwrap().number(),
        ]
    });
    let mut numbers = numbers.unwrap();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[tokio::test]
async fn never_more_than_n_slots_and_a_freed_one_goes_to_who_waits() {
    let folder = folder();
    let first = Budget::create(folder.path(), &terms(2, None)).unwrap();
    let second = Budget::open(folder.path()).unwrap();
    let a = first.slot().await.unwrap();
    let b = second.slot().await.unwrap();
    assert_eq!([a.number(), b.number()], [1, 2]);
    assert_waits!(first.slot());
    assert_waits!(second.slot());
    let waiting = tokio::spawn(async move { second.slot().await.map(|slot| slot.number()) });
    assert_waits!(first.slot());
    drop(b);
    let number = timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(number, 2);
    drop(a);
    let both = timeout(PATIENCE, async { (first.slot().await, first.slot().await) }).await;
    assert!(matches!(both, Ok((Ok(_), Ok(_)))));
}

#[tokio::test]
async fn a_wait_that_is_given_up_leaves_nothing_held() {
    let folder = folder();
    let first = Budget::create(folder.path(), &terms(1, None)).unwrap();
    let second = Budget::open(folder.path()).unwrap();
    let third = Budget::open(folder.path()).unwrap();
    let held = first.slot().await.unwrap();
    // The first has the turn, the second queues for it; both give up.
    assert_waits!(second.slot());
    assert_waits!(third.slot());
    drop(held);
    for budget in [&third, &first, &second] {
        let slot = timeout(PATIENCE, budget.slot()).await.unwrap().unwrap();
        assert_eq!(slot.number(), 1);
    }
}

#[tokio::test]
async fn processes_take_turns_however_many_of_their_workers_wait() {
    let folder = folder();
    let holder = Budget::create(folder.path(), &terms(1, None)).unwrap();
    let held = holder.slot().await.unwrap();
    let (report, mut order) = tokio::sync::mpsc::unbounded_channel();
    for (name, workers) in [("greedy", 6), ("modest", 2)] {
        let budget = std::sync::Arc::new(Budget::open(folder.path()).unwrap());
        for _ in 0..workers {
            let (budget, report) = (std::sync::Arc::clone(&budget), report.clone());
            tokio::spawn(async move {
                let _slot = budget.slot().await.unwrap();
                report.send(name).unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            });
        }
        // Both have to wait before the slot is free.
        assert_waits!(budget.slot());
    }
    drop((report, held));
    let mut served = Vec::new();
    while let Some(name) = timeout(PATIENCE, order.recv()).await.unwrap() {
        served.push(name);
    }
    assert_eq!(served.len(), 8);
    let modest = served.iter().rposition(|name| *name == "modest").unwrap();
    assert!(modest <= 3, "{served:?}");
}

#[tokio::test]
async fn all_reserved_ends_when_one_comes_back() {
    let folder = folder();
    let budget = Budget::create(folder.path(), &terms(2, Some(1))).unwrap();
    let other = Budget::open(folder.path()).unwrap();
    budget.reserve(&attempt(1), "api", &own()).unwrap();
    assert_waits!(other.reservable());
    let hope = tokio::spawn(async move { other.reservable().await });
    tokio::task::yield_now().await;
    budget.settle(&attempt(1), Settlement::Returned).unwrap();
    timeout(PATIENCE, hope).await.unwrap().unwrap().unwrap();
}

/// What a process of the next test does with a budget: work until no attempt is left.
#[test]
#[ignore = "run by other tests, as a process of its own"]
fn child() {
    let mut lines = std::io::stdin().lines();
    let (Some(Ok(folder)), Some(Ok(name))) = (lines.next(), lines.next()) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let budget = std::sync::Arc::new(Budget::open(Path::new(&folder)).unwrap());
        let set = tokio::task::LocalSet::new();
        for worker in 0..3 {
            let (budget, folder, name) = (budget.clone(), folder.clone(), name.clone());
            set.spawn_local(
                async move { work(&budget, &folder, &format!("{name}-{worker}")).await },
            );
        }
        set.await;
    });
}

async fn work(budget: &Budget, folder: &str, name: &str) {
    for number in 0.. {
        let slot = budget.slot().await.unwrap();
        // Held by whoever is in this slot; a second one would be seen here.
        let witness = Path::new(folder).join(format!("witness-{}", slot.number()));
        let witness = LifeLock::try_take(&witness).unwrap();
        assert!(witness.is_some(), "slot {} twice", slot.number());
        let id: AttemptId = format!("{name}-{number}").parse().unwrap();
        match budget.reserve(&id, name, &own()).unwrap() {
            Reserved::Granted => {}
            Reserved::AllReserved => {
                drop((witness, slot));
                budget.reservable().await.unwrap();
                continue;
            }
            other => {
                assert_eq!(other, Reserved::Exhausted);
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
        let how = if number % 5 == 4 {
            Settlement::Returned
        } else {
            Settlement::Spent
        };
        budget.settle(&id, how).unwrap();
    }
}

fn start(folder: &Path, name: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "budget::tests::child",
            "--ignored",
            "--nocapture",
            "--quiet",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}\n{name}", folder.display()).unwrap();
    child
}

#[test]
fn six_processes_that_are_killed_spend_exactly_m_on_n_slots() {
    let folder = folder();
    let budget = Budget::create(folder.path(), &terms(3, Some(30))).unwrap();
    let mut children: Vec<Child> = (0..6)
        .map(|number| start(folder.path(), &format!("p{number}")))
        .collect();
    for round in 0_u64.. {
        let standing = budget.standing().unwrap();
        assert!(standing.spent + standing.reserved <= 30, "{standing:?}");
        if standing.spent == 30 {
            break;
        }
        assert!(round < 2000, "stuck at {standing:?}");
        std::thread::sleep(Duration::from_millis(5));
        // Ten are killed, at whatever they are doing, and replaced.
        if round % 3 == 2 && round < 30 {
            let victim = usize::try_from(round).unwrap() * 7 % 6;
            children[victim].kill().unwrap();
            children[victim].wait().unwrap();
            children[victim] = start(folder.path(), &format!("r{round}"));
        }
    }
    for child in children {
        let ended = child.wait_with_output().unwrap();
        let words = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{words}");
    }
    let standing = budget.standing().unwrap();
    assert_eq!((standing.spent, standing.reserved), (30, 0));
}

#[derive(Debug, Clone)]
enum Step {
    Reserve { worker: u32, attempt: u64 },
    Settle { attempt: u64, how: Settlement },
    Crash { worker: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![3 => Just(Settlement::Spent), 1 => Just(Settlement::Returned)];
    prop_oneof![
        4 => (0_u32..4, 0_u64..16).prop_map(|(worker, attempt)| Step::Reserve { worker, attempt }),
        4 => (0_u64..16, how).prop_map(|(attempt, how)| Step::Settle { attempt, how }),
        1 => (0_u32..4).prop_map(|worker| Step::Crash { worker }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interleaving_spends_more_than_m(
        steps in proptest::collection::vec(step(), 1..80),
        limit in 1_u64..6,
    ) {
        let mut book = Book::default();
        let mut written = Vec::new();
        let mut generations = [0_u64; 4];
        let mut spent = std::collections::BTreeSet::new();
        for step in steps {
            let now = generations;
            let is_alive = |owner: &Identity| owner.start_ticks == now[owner.pid as usize];
            let lines = match step {
                Step::Crash { worker } => {
                    generations[worker as usize] += 1;
                    continue;
                }
                Step::Reserve { worker, attempt: number } => {
                    let owner = Identity {
                        pid: worker,
                        start_ticks: now[worker as usize],
                        boot_id: String::new(),
                    };
                    let attempt = attempt(number);
                    let request = Request { attempt: &attempt, repository: "api", owner: &owner };
                    let (lines, answer) = book.reserve(&request, Some(limit), &is_alive);
                    prop_assert!(answer != Reserved::Granted || !spent.contains(&number));
                    prop_assert!(answer != Reserved::Exhausted || spent.len() as u64 == limit);
                    lines
                }
                Step::Settle { attempt: number, how } => {
                    let (lines, settled) = book.settle(&attempt(number), how, Some(limit), &is_alive);
                    if (how, settled) == (Settlement::Spent, Settled::Recorded) {
                        spent.insert(number);
                    }
                    lines
                }
            };
            lines.iter().for_each(|line| book.apply(line));
            written.extend(lines);
            let standing = book.standing(Some(limit), &is_alive);
            prop_assert_eq!(standing.spent, spent.len() as u64);
            prop_assert!(standing.spent + standing.reserved <= limit, "{:?}", standing);
            prop_assert_eq!(standing.left, Some(limit - standing.spent - standing.reserved));
        }
        // Whoever opens the ledger later knows the same.
        let mut again = Book::default();
        written.iter().for_each(|line| again.apply(line));
        prop_assert_eq!(again, book);
    }
}

/// M holds also where somebody removes the folder, or the ledger in it, while loops run.
#[test]
fn a_budget_that_is_removed_grants_nothing_more() {
    for is_ledger_only in [true, false] {
        let folder = folder();
        let place = folder.path().join("budget");
        let budget = Budget::create(&place, &terms(2, Some(3))).unwrap();
        let _ = budget.reserve(&attempt(1), "api", &own()).unwrap();
        if is_ledger_only {
            std::fs::remove_file(place.join("attempts.jsonl")).unwrap();
        } else {
            std::fs::remove_dir_all(&place).unwrap();
            // Another launch may have begun one in the same place.
            let _ = Budget::create(&place, &terms(2, Some(3))).unwrap();
        }
        let refused = budget.reserve(&attempt(2), "api", &own());
        assert!(
            matches!(&refused, Err(BudgetError::Removed(at)) if *at == place),
            "{refused:?}"
        );
    }
}
