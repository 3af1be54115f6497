//! Delivery to a real bare repository, with a `gh` that keeps its pull requests in files.

mod forks;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use super::{Delivered, Deliverer, DeliveryError, DeliverySettings, Parcel, Retry};
use crate::gates::tests::guard;
use crate::git::ObjectId;
use crate::git::sandbox::Sandbox;

const BRANCH: &str = "ralph-claude/one-1a2b3c";
/// When the attempt began.
const STARTED: &str = "2026-05-04T10:00:00Z";

/// A `gh` whose state is a folder: `list` has its pull requests, `calls` what it was called with; the files `out`,
/// `limit`, `lost` and `organization` make it fail in their ways. Its user wants colours.
const GH: &str = r#"#!/bin/sh
cd "$STATE" || exit 9
echo "$*" >> calls
case "$1 $2" in
"--version ") echo "gh version 2.0.0" ;;
"auth status") test ! -e out || { echo "You are not logged in" >&2; exit 1; } ;;
"pr list") test "$CLICOLOR_FORCE" = 0 || printf '\033[1;37m'
    if test -e list; then printf '['; paste -sd, list; printf ']\n'; else echo '[]'; fi ;;
"pr create")
    cat > body
    if test -e organization; then echo "pull request create failed: GraphQL: Head sha can't be blank, Base sha can't be blank, No commits between main and $4, Head ref must be a branch (createPullRequest)" >&2; exit 1; fi
    if test -e limit; then rm limit; echo "HTTP 403: You have exceeded a secondary rate limit" >&2; exit 1; fi
    number=$(( $(cat list 2>/dev/null | wc -l) + 1 ))
    if grep -qs OPEN list; then echo "a pull request for branch already exists" >&2; exit 1; fi
    echo "{\"url\":\"https://forge.example/o/n/pull/$number\",\"state\":\"OPEN\"}" >> list
    test ! -e lost || { rm lost; echo "connection reset" >&2; exit 1; }
    echo "Creating pull request for x into main in o/n"
    echo "https://forge.example/o/n/pull/$number" ;;
*) echo "unknown command" >&2; exit 2 ;;
esac
"#;

struct Bench {
    sandbox: Sandbox,
    state: PathBuf,
    deliverer: Deliverer,
    commit: ObjectId,
}

impl Bench {
    async fn new(interval: Duration) -> Self {
        let sandbox = Sandbox::new().with_origin();
        sandbox.git(&["checkout", "-q", "-b", BRANCH]);
        let commit = sandbox.commit_all("Work").parse().unwrap();
        sandbox.git(&["checkout", "-q", "main"]);
        let state = sandbox.folder().join("forge");
        sandbox.write("../forge/gh", GH);
        let program = state.join("gh");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let settings = DeliverySettings {
            forge_program: program,
            forge_variables: vec![("STATE".to_owned(), state.to_string_lossy().into_owned())],
            interval,
            ..DeliverySettings::new("origin", "main", guard())
        };
        let deliverer = Deliverer::new(&sandbox.open().await, settings);
        Self {
            sandbox,
            state,
            deliverer,
            commit,
        }
    }

    fn parcel(&self) -> Parcel<'_> {
        Parcel {
            branch: BRANCH,
            commit: &self.commit,
            started: STARTED.parse().unwrap(),
            title: "ralph: one",
            body: "the text\n",
        }
    }

    async fn deliver(&self, known: &Delivered) -> Result<Delivered, DeliveryError> {
        self.deliverer.deliver(&self.parcel(), known).await
    }

    fn set(&self, name: &str, text: &str) {
        self.sandbox.write(&format!("../forge/{name}"), text);
    }

    fn calls(&self, of: &str) -> usize {
        let calls = fs::read_to_string(self.state.join("calls")).unwrap_or_default();
        calls.lines().filter(|line| line.starts_with(of)).count()
    }

    fn at_origin(&self) -> String {
        self.sandbox
            .git(&["ls-remote", "origin", &format!("refs/heads/{BRANCH}")])
    }
}

fn id(text: &str) -> ObjectId {
    text.parse().unwrap()
}

#[tokio::test]
async fn a_branch_is_pushed_and_its_pull_request_made_once() {
    let bench = Bench::new(Duration::ZERO).await;
    let first = bench.deliver(&Delivered::default()).await.unwrap();
    let url = "https://forge.example/o/n/pull/1";
    assert_eq!(first.pull_request.as_deref(), Some(url));
    assert_eq!(first.pushed.as_ref(), Some(&bench.commit));
    assert!(bench.at_origin().starts_with(bench.commit.as_str()));
    assert_eq!(
        fs::read_to_string(bench.state.join("body")).unwrap(),
        "the text\n"
    );
    // Known: nothing is done. Forgotten, as after a crash: it is found.
    for known in [&first, &Delivered::default()] {
        assert_eq!(
            bench.deliver(known).await.unwrap().pull_request,
            first.pull_request
        );
    }
    assert_eq!(bench.calls("pr create"), 1);
    assert_eq!(bench.calls("auth status"), 1);
    // The user's own checkout and settings are as they were.
    assert_eq!(bench.sandbox.git(&["status", "--porcelain"]), "");
    assert_eq!(
        bench
            .sandbox
            .git(&["config", "--get-regexp", "branch.ralph.*|branch.main.merge"]),
        "branch.main.merge refs/heads/main"
    );
}

#[tokio::test]
async fn a_limit_is_waited_out_and_a_lost_answer_is_looked_for() {
    let bench = Bench::new(Duration::ZERO).await;
    bench.set("limit", "");
    let error = bench.deliver(&Delivered::default()).await.unwrap_err();
    assert!(matches!(error.retry(), Retry::After(wait) if wait >= Duration::from_secs(60)));
    let known = error.delivered().unwrap().clone();
    assert_eq!(known.pushed.as_ref(), Some(&bench.commit));
    bench.set("lost", "");
    let error = bench.deliver(&known).await.unwrap_err();
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    let delivered = bench.deliver(&known).await.unwrap();
    assert!(delivered.pull_request.is_some());
    assert_eq!(bench.calls("pr create"), 2);
}

#[tokio::test]
async fn a_pull_request_that_appears_between_looking_and_making_is_taken() {
    let bench = Bench::new(Duration::ZERO).await;
    // The list shows it only at the second look.
    let script = GH.replace(r#"if test -e list;"#, r#"if test -e list && test -e seen;"#);
    bench.set(
        "gh",
        &script.replace("cat > body", "cat > body; touch seen"),
    );
    bench.set(
        "list",
        "{\"url\":\"https://forge.example/o/n/pull/7\",\"state\":\"OPEN\"}\n",
    );
    let delivered = bench.deliver(&Delivered::default()).await.unwrap();
    assert_eq!(
        delivered.pull_request.as_deref(),
        Some("https://forge.example/o/n/pull/7")
    );
}

/// A merged one whose head a person has moved on, with "Update branch" or a fix of their own, is the same work still.
#[tokio::test]
async fn a_closed_pull_request_counts_where_it_is_of_this_attempt() {
    let before = "2026-05-04T09:59:59Z";
    let after = "2026-05-04T10:20:00Z";
    for state in ["CLOSED", "MERGED"] {
        for (has_our_commit, created, is_ours) in [
            (true, before, true),
            (false, after, true),
            (false, before, false),
            (false, "", false),
        ] {
            let bench = Bench::new(Duration::ZERO).await;
            let other = id(&"1".repeat(40));
            let head = if has_our_commit {
                &bench.commit
            } else {
                &other
            };
            let url = "https://forge.example/o/n/pull/1";
            let one = format!(
                r#"{{"url":"{url}","state":"{state}","headRefOid":"{head}","createdAt":"{created}"}}"#
            );
            bench.set("list", &format!("{one}\n"));
            let delivered = bench.deliver(&Delivered::default()).await.unwrap();
            let made = delivered.pull_request.unwrap();
            assert_eq!(made == url, is_ours, "{one}: {made}");
            assert_eq!(bench.calls("pr create"), usize::from(!is_ours), "{one}");
        }
    }
}

#[tokio::test]
async fn an_old_program_that_knows_no_commits_is_asked_without_them() {
    let bench = Bench::new(Duration::ZERO).await;
    let old = r#""pr list") case "$*" in *headRefOid*) echo "Unknown JSON field: \"headRefOid\"" >&2; exit 1;; esac;"#;
    bench.set("gh", &GH.replace(r#""pr list")"#, old));
    let open = "{\"url\":\"https://forge.example/o/n/pull/7\",\"state\":\"OPEN\"}\n";
    bench.set("list", open);
    let delivered = bench.deliver(&Delivered::default()).await.unwrap();
    let url = Some("https://forge.example/o/n/pull/7");
    assert_eq!(delivered.pull_request.as_deref(), url);
    assert_eq!(bench.calls("pr list"), 2);
}

#[tokio::test]
async fn without_a_login_the_branch_is_pushed_and_nothing_fails() {
    let bench = Bench::new(Duration::ZERO).await;
    bench.set("out", "");
    let delivered = bench.deliver(&Delivered::default()).await.unwrap();
    assert_eq!((delivered.pull_request, delivered.compare), (None, None));
    assert!(
        delivered.notes[0].contains("not logged in"),
        "{:?}",
        delivered.notes
    );
    assert!(!bench.at_origin().is_empty());
    // At a forge with an address there is a link for a person; the push goes to the same place.
    let origin = bench.sandbox.folder().join("origin.git");
    let address = "https://user:secret@github.com/o/n.git";
    bench.sandbox.git(&["config", "remote.origin.url", address]);
    bench
        .sandbox
        .git(&["config", "remote.origin.pushurl", address]);
    let instead = format!("url.{}.insteadOf", origin.display());
    bench.sandbox.git(&["config", &instead, "https://unused/"]);
    let settings = DeliverySettings {
        forge_program: "no-such-gh".into(),
        ..DeliverySettings::new("origin", "main", guard())
    };
    let deliverer = Deliverer::new(&bench.sandbox.open().await, settings);
    let known = Delivered {
        pushed: Some(bench.commit.clone()),
        ..Delivered::default()
    };
    let delivered = deliverer.deliver(&bench.parcel(), &known).await.unwrap();
    let link = delivered.compare.unwrap();
    assert_eq!(
        link,
        format!("https://github.com/o/n/compare/main...{BRANCH}?expand=1")
    );
    assert!(delivered.notes[0].contains("is not there"));
}

#[tokio::test]
async fn a_remote_tip_is_replaced_only_where_we_put_it() {
    let mut bench = Bench::new(Duration::ZERO).await;
    let known = bench.deliver(&Delivered::default()).await.unwrap();
    bench.sandbox.git(&["checkout", "-q", BRANCH]);
    bench.sandbox.git(&[
        "commit",
        "-q",
        "--amend",
        "--allow-empty",
        "-m",
        "Work, again",
    ]);
    let amended = bench.sandbox.git(&["rev-parse", "HEAD"]);
    bench.commit = id(&amended);
    let error = bench.deliver(&Delivered::default()).await.unwrap_err();
    assert!(
        matches!(
            error,
            DeliveryError::Push {
                retry: Retry::Never,
                ..
            }
        ),
        "{error}"
    );
    let again = bench.deliver(&known).await.unwrap();
    assert_eq!(again.pushed, Some(id(&amended)));
    // Somebody else has pushed onto it since.
    let theirs = bench.sandbox.commit_all("Review");
    bench.sandbox.git(&["push", "-q", "origin", BRANCH]);
    bench
        .sandbox
        .git(&["commit", "-q", "--amend", "--allow-empty", "-m", "Ours"]);
    bench.commit = id(&bench.sandbox.git(&["rev-parse", "HEAD"]));
    let error = bench.deliver(&again).await.unwrap_err();
    assert!(
        matches!(
            error,
            DeliveryError::Push {
                retry: Retry::Never,
                ..
            }
        ),
        "{error}"
    );
    assert!(bench.at_origin().starts_with(&theirs));
}

#[tokio::test]
async fn a_remote_that_is_away_is_tried_again_and_no_password_is_shown() {
    let bench = Bench::new(Duration::ZERO).await;
    bench.sandbox.git(&[
        "config",
        "remote.origin.pushurl",
        "http://me:secret@127.0.0.1:1/o/n",
    ]);
    let error = bench.deliver(&Delivered::default()).await.unwrap_err();
    assert!(
        matches!(
            error,
            DeliveryError::Push {
                retry: Retry::After(_),
                ..
            }
        ),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    let words = "fatal: 'https://me:secret@host/x' and https://b:c@d:1/e f@g";
    let clean = super::error::without_passwords(words);
    assert_eq!(clean, "fatal: 'https://host/x' and https://d:1/e f@g");
}

/// A push of a loop that was killed may still go on while the next one sends the same work.
#[tokio::test]
async fn a_branch_that_another_push_holds_is_tried_again() {
    let bench = Bench::new(Duration::ZERO).await;
    let lock = format!("../origin.git/refs/heads/{BRANCH}.lock");
    bench.sandbox.write(&lock, "");
    let error = bench.deliver(&Delivered::default()).await.unwrap_err();
    assert!(
        matches!(error.retry(), Retry::After(pause) if pause < Duration::from_secs(5)),
        "{error}"
    );
    assert!(error.to_string().contains("cannot lock ref"), "{error}");
    fs::remove_file(bench.sandbox.top().join(lock)).unwrap();
    let sent = bench.deliver(&Delivered::default()).await.unwrap();
    assert_eq!(sent.pushed.as_ref(), Some(&bench.commit));
}

#[tokio::test]
async fn the_forge_is_asked_by_its_own_name_and_not_by_the_one_that_only_ssh_knows() {
    let bench = Bench::new(Duration::ZERO).await;
    let ssh = "#!/bin/sh\ntest \"$*\" = '-G -- github-work' && echo 'hostname github.com'\n";
    bench.set("ssh", ssh);
    let program = bench.state.join("ssh");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let address = "git@github-work:o/n.git";
    bench.sandbox.git(&["config", "remote.origin.url", address]);
    let settings = DeliverySettings {
        ssh_program: program,
        ..bench.deliverer.settings.clone()
    };
    let deliverer = Deliverer::new(&bench.sandbox.open().await, settings);
    let known = Delivered {
        pushed: Some(bench.commit.clone()),
        ..Delivered::default()
    };
    deliverer.deliver(&bench.parcel(), &known).await.unwrap();
    assert_eq!(bench.calls("auth status --hostname github.com"), 1);
    let calls = fs::read_to_string(bench.state.join("calls")).unwrap();
    assert!(calls.contains(" --repo github.com/o/n"), "{calls}");
}

/// What was reached until then is known.
#[tokio::test]
async fn a_program_that_hangs_is_left_when_the_loop_has_to_stop_at_once() {
    let bench = Bench::new(Duration::ZERO).await;
    let hanging = r#""pr list") echo $$ > hangs.tmp; mv hangs.tmp hangs; exec sleep 1000;"#;
    bench.set("gh", &GH.replace(r#""pr list")"#, hanging));
    let parcel = bench.parcel();
    let hangs = bench.state.join("hangs");
    let stop = async {
        while !hangs.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let none = Delivered::default();
    let left = bench.deliverer.deliver_until(&parcel, &none, stop);
    let error = left.await.unwrap_err();
    assert!(matches!(error, DeliveryError::Stopped { .. }), "{error}");
    let known = error.delivered().unwrap();
    assert_eq!(known.pushed.as_ref(), Some(&bench.commit));
    let pid: u32 = fs::read_to_string(&hangs).unwrap().trim().parse().unwrap();
    while ralph_core::process::identity::is_pid_alive(pid) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.set("gh", GH);
    let sent = bench.deliver(known).await.unwrap();
    assert!(sent.pull_request.is_some());
}

#[tokio::test]
async fn drafts_are_drafts() {
    let bench = Bench::new(Duration::ZERO).await;
    let mut settings = bench.deliverer.settings.clone();
    settings.draft = true;
    let deliverer = Deliverer::new(&bench.sandbox.open().await, settings);
    let (parcel, known) = (bench.parcel(), Delivered::default());
    let delivered = deliverer.deliver(&parcel, &known).await.unwrap();
    assert_eq!(delivered.notes, [""; 0]);
    let calls = fs::read_to_string(bench.state.join("calls")).unwrap();
    assert!(calls.contains("--body-file - --draft"), "{calls}");
}

#[tokio::test]
async fn tags_of_the_user_stay_here() {
    let bench = Bench::new(Duration::ZERO).await;
    bench.sandbox.git(&["config", "push.followTags", "true"]);
    bench
        .sandbox
        .git(&["tag", "-a", "-m", "Not yet", "v2", "main"]);
    bench.deliver(&Delivered::default()).await.unwrap();
    assert_eq!(bench.sandbox.git(&["ls-remote", "--tags", "origin"]), "");
}

#[tokio::test(start_paused = true)]
async fn pull_requests_keep_their_distance_and_none_waits_for_nothing() {
    let pace = super::Pace::default();
    let interval = Duration::from_secs(3600);
    let start = tokio::time::Instant::now();
    pace.turn(interval, async {}).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    tokio::join!(pace.turn(interval, async {}), pace.turn(interval, async {}));
    assert_eq!(start.elapsed(), 2 * interval);
}
