//! Repositories of a folder. What the loop that came before did is in the conformance tests of this crate.

use super::*;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn words<'a>(repos: Option<&'a str>, exclude: Option<&'a str>) -> FilterWords<'a> {
    FilterWords {
        workspace: true,
        repos,
        exclude,
        ..FilterWords::default()
    }
}

#[test]
fn repositories_are_folders_with_a_git_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for dir in [
        "b/.git",
        "a/.git",
        ".hidden/.git",
        "plain",
        "elsewhere/c/.git",
        "worktree",
    ] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the file that git makes of a worktree"
    )]
    fs::write(root.join("worktree/.git"), "gitdir: ../a/.git").unwrap();
    std::os::unix::fs::symlink(root.join("elsewhere/c"), root.join("link")).unwrap();
    assert_eq!(discover(root).unwrap(), set(&["a", "b", "link"]));
    let none = discover(&root.join("plain")).unwrap_err();
    assert_eq!(none.code(), Code::Failed);
    assert!(matches!(
        discover(&root.join("missing")),
        Err(WorkspaceError::Io { .. })
    ));
}

#[test]
fn every_contradiction_is_named() {
    let full = FilterWords {
        workspace: true,
        repos: Some("a"),
        exclude: Some("b"),
        env_repos: Some("c"),
        env_exclude: Some("d"),
    };
    let shown = |words: FilterWords<'_>| match RepositoryFilter::from_words(&words) {
        Ok(filter) => format!("{filter:?}"),
        Err(error) => format!("{} {error}", error.code()),
    };
    let texts = [
        shown(full),
        shown(FilterWords {
            workspace: false,
            ..full
        }),
        shown(FilterWords {
            exclude: None,
            ..full
        }),
        shown(FilterWords {
            repos: None,
            ..full
        }),
        shown(FilterWords {
            exclude: None,
            env_exclude: None,
            ..full
        }),
        shown(FilterWords {
            repos: None,
            env_repos: Some(" "),
            ..full
        }),
        shown(FilterWords {
            repos: None,
            exclude: None,
            ..full
        }),
        shown(FilterWords {
            repos: None,
            exclude: None,
            env_repos: None,
            ..full
        }),
        shown(FilterWords {
            repos: None,
            exclude: None,
            workspace: false,
            ..full
        }),
        shown(words(Some(" , "), None)),
        shown(words(None, None)),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    usage --repos and --exclude cannot be combined
    usage --repos and its like only apply to --workspace mode
    usage --repos conflicts with RALPH_WORKSPACE_EXCLUDE, which is set to "d"
    usage --exclude conflicts with RALPH_WORKSPACE_REPOS, which is set to "c"
    Only({"a"})
    Except({"b"})
    usage RALPH_WORKSPACE_REPOS and RALPH_WORKSPACE_EXCLUDE cannot both be set
    Except({"d"})
    All
    usage --repos requires the name of a repository, or several with commas between them
    All
    "#);
}

#[test]
fn a_filter_is_honoured_or_refused() {
    let known = set(&["alpha", "beta"]);
    let apply = |filter: RepositoryFilter| filter.apply(&known).map_err(|error| error.to_string());
    assert_eq!(apply(RepositoryFilter::All), Ok(known.clone()));
    assert_eq!(
        apply(RepositoryFilter::Only(set(&["beta"]))),
        Ok(set(&["beta"]))
    );
    assert_eq!(
        apply(RepositoryFilter::Except(set(&["beta"]))),
        Ok(set(&["alpha"]))
    );
    let unknown = RepositoryFilter::Except(set(&["delta", "beta", "Alpha"]));
    insta::assert_snapshot!(apply(unknown).unwrap_err(), @"unknown repo: Alpha, delta (available: alpha, beta)");
    insta::assert_snapshot!(apply(RepositoryFilter::Except(known.clone())).unwrap_err(), @"the filter has filtered out every repository (available: alpha, beta)");
}
