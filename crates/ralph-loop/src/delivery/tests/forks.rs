//! A branch in a fork, whose pull request goes to another repository.

use std::time::Duration;

use ralph_core::error::Coded as _;

use super::*;

fn fork(bench: &Bench, forge: &str) -> DeliverySettings {
    for (name, url) in [
        ("origin", "git@github.com:Mine/n.git"),
        ("upstream", "https://github.com/their/n"),
    ] {
        let key = format!("remote.{name}.url");
        bench.sandbox.git(&["config", &key, url]);
    }
    let state = bench.state.to_string_lossy().into_owned();
    DeliverySettings {
        base_remote: "upstream".to_owned(),
        forge_program: bench.state.join(forge),
        ssh_program: "no-such-ssh".into(),
        forge_variables: vec![("STATE".to_owned(), state)],
        ..DeliverySettings::new("origin", "main", guard())
    }
}

async fn deliver(bench: &Bench, settings: DeliverySettings) -> Delivered {
    let deliverer = Deliverer::new(&bench.sandbox.open().await, settings);
    let known = Delivered {
        pushed: Some(bench.commit.clone()),
        ..Delivered::default()
    };
    deliverer.deliver(&bench.parcel(), &known).await.unwrap()
}

#[tokio::test]
async fn it_is_made_where_the_base_is_and_those_of_other_forks_are_not_taken_for_it() {
    let bench = Bench::new(Duration::ZERO).await;
    let url = "https://forge.example/o/n/pull/1";
    let theirs = r#"{"url":"x/pull/9","state":"CLOSED","headRefOid":"#.to_owned()
        + &format!(
            r#""{}","isCrossRepository":true,"headRepositoryOwner":{{"login":"other"}}}}"#,
            bench.commit
        );
    bench.set("list", &format!("{theirs}\n"));
    let delivered = deliver(&bench, fork(&bench, "gh")).await;
    assert_eq!(
        delivered.pull_request.as_deref(),
        Some("https://forge.example/o/n/pull/2")
    );
    let made = format!("pr create --head Mine:{BRANCH} --base main --repo github.com/their/n");
    assert_eq!(bench.calls(&made), 1);
    let ours = theirs.replace("other", "mine").replace("x/pull/9", url);
    bench.set("list", &format!("{ours}\n"));
    let found = deliver(&bench, fork(&bench, "gh")).await;
    assert_eq!(found.pull_request.as_deref(), Some(url));
}

#[tokio::test]
async fn one_from_a_fork_is_not_taken_for_that_of_the_repository_itself() {
    let bench = Bench::new(Duration::ZERO).await;
    let theirs = format!(
        r#"{{"url":"x/pull/9","state":"CLOSED","headRefOid":"{}","isCrossRepository":true}}"#,
        bench.commit
    );
    bench.set("list", &format!("{theirs}\n"));
    let settings = DeliverySettings {
        base_remote: "origin".to_owned(),
        ..fork(&bench, "gh")
    };
    let made = deliver(&bench, settings).await;
    assert_ne!(made.pull_request.as_deref(), Some("x/pull/9"));
}

#[tokio::test]
async fn the_link_for_a_person_names_the_fork() {
    let bench = Bench::new(Duration::ZERO).await;
    let delivered = deliver(&bench, fork(&bench, "no-such-gh")).await;
    let link = format!("https://github.com/their/n/compare/main...Mine:{BRANCH}?expand=1");
    assert_eq!(delivered.compare, Some(link));
}

/// The program cannot do it (gh-pr-create, `--head`); the web page can.
#[tokio::test]
async fn where_the_fork_is_an_organizations_a_person_gets_the_link() {
    let bench = Bench::new(Duration::ZERO).await;
    bench.set("organization", "");
    let deliverer = Deliverer::new(&bench.sandbox.open().await, fork(&bench, "gh"));
    let known = Delivered {
        pushed: Some(bench.commit.clone()),
        ..Delivered::default()
    };
    let error = deliverer
        .deliver(&bench.parcel(), &known)
        .await
        .unwrap_err();
    assert_eq!(error.retry(), Retry::Never);
    let link = format!("https://github.com/their/n/compare/main...Mine:{BRANCH}?expand=1");
    assert!(error.hint().unwrap().to_string().contains(&link), "{error}");
}
