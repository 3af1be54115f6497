//! Steps of the pool in a real repository, cut off where a whole loop seldom is.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use ralph_core::env::Env;
use ralph_core::process::Identity;
use ralph_core::process::guard::GuardProgram;

use super::board::Board;
use super::brakes::Leave;
use super::permit::{Answer, permit};
use super::ready::prepare;
use super::shop::Shop;
use crate::assemble::{Assembly, assemble};
use crate::git::sandbox::Sandbox;
use crate::outcome::AttemptId;
use crate::settings::{self, CommandLine};

/// A loop in a repository with one open task, which is about to begin. Guards cannot be started.
async fn shop(sandbox: &Sandbox) -> Rc<Shop> {
    sandbox.write(".ralph/fix_plan.md", "- [ ] One\n");
    sandbox.commit_all("Plan");
    let typed = CommandLine {
        parallel: vec!["1".to_owned(), "9".to_owned()],
        engine: Some("command".to_owned()),
        agent_command: Some("true".to_owned()),
        no_pr: true,
        max_cost: Some("5".to_owned()),
        ..CommandLine::default()
    };
    let settings = settings::resolve(&typed, &BTreeMap::new(), &[]).unwrap();
    let env = Env::system("here", "nobody");
    let owner = Identity::of(std::process::id()).unwrap();
    let guard = GuardProgram {
        program: sandbox.folder().join("no-such-guard"),
        args: Vec::new(),
    };
    let assembly = Assembly {
        git: sandbox.program(),
        ..Assembly::new(
            sandbox.top(),
            &env,
            owner,
            &settings,
            guard,
            sandbox.folder().join("user"),
        )
    };
    Rc::new(assemble(assembly).await.unwrap())
}

/// Whether the account's gate knows of the attempt.
fn is_held(sandbox: &Sandbox, attempt: &AttemptId) -> bool {
    let files = std::fs::read_dir(sandbox.folder().join("user/accounts"));
    let texts = files.into_iter().flatten().flatten();
    texts
        .filter_map(|file| std::fs::read_to_string(file.path()).ok())
        .any(|text| text.contains(attempt.as_str()))
}

#[tokio::test]
async fn a_start_that_nobody_waits_for_any_more_holds_neither_the_account_nor_money() {
    let sandbox = Sandbox::new();
    let shop = shop(&sandbox).await;
    let board = Rc::new(RefCell::new(Board::new(shop.env.now())));
    let [one, two]: [AttemptId; 2] = ["one", "two"].map(|id| id.parse().unwrap());
    let slot = shop.budget.slot().await.unwrap();
    let asked = permit(
        Rc::clone(&shop),
        Rc::clone(&board),
        one.clone(),
        "repo".to_owned(),
    );
    let admitted = async {
        while !is_held(&sandbox, &one) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        answer = asked => panic!("the only slot is taken, and yet: {answer:?}"),
        () = admitted => {}
    }
    assert!(!is_held(&sandbox, &one));
    // What is not known to cost little goes alone, so the other one may only where nothing is set aside.
    let leave = shop.brakes.borrow_mut().ask(&two, &shop.now_here());
    assert_eq!(leave, Leave::Yes);
    shop.brakes.borrow_mut().not_started(&two);
    drop(slot);
    let answer = permit(Rc::clone(&shop), board, one.clone(), "repo".to_owned()).await;
    assert!(matches!(answer, Ok(Answer::Yes(_))), "{answer:?}");
    assert!(is_held(&sandbox, &one));
}

#[tokio::test]
async fn an_attempt_whose_guard_does_not_start_leaves_nothing() {
    let sandbox = Sandbox::new();
    let shop = shop(&sandbox).await;
    let made = prepare(Rc::clone(&shop), BTreeSet::new(), |_| 1).await;
    assert!(made.is_err(), "{made:?}");
    assert_eq!(
        sandbox.git(&["for-each-ref", "--format=%(refname)", "refs/heads"]),
        "refs/heads/main"
    );
    assert_eq!(shop.attempts.list().unwrap(), []);
    assert!(sandbox.read(".ralph/fix_plan.md").contains("- [ ] One"));
    for site in shop.sites.values() {
        site.close().await.unwrap();
    }
    assert_eq!(sandbox.git(&["worktree", "list"]).lines().count(), 1);
}
