//! What is accepted means the same to bash itself; what is refused says what to write. Nothing is run by these files.

use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use ralph_core::error::Coded as _;
use ralph_core::store::atomic;

use super::{ShellFile, read};

fn parsed(text: &str) -> ShellFile {
    read(text, Path::new("conf")).unwrap()
}

/// The message and the hint of a text that must be refused.
fn refused(text: &str) -> String {
    let error = read(text, Path::new("conf")).unwrap_err();
    format!("{error}\n  {}", error.hint().unwrap())
}

#[test]
fn a_workbench_file_is_read_as_written() {
    let text = "\u{feff}#!/usr/bin/env bash\r\n\
        NAME=\"wb\" # who\r\n\
        export EMPTY=  OTHER='it is # no comment'\r\n\
        REPOS=(\r\n\
          # first\r\n\
          \"name=svc-a;url=https://host/o/(a).git;graphified=false\"\r\n\
        \r\n\
          'name=svc-b' plain\\ word\r\n\
        )\r\n\
        NAME+=-2; declare -rx LAST=$'a\\tb'";
    let file = parsed(text);
    assert_eq!(
        file.names().collect::<Vec<_>>(),
        ["EMPTY", "LAST", "NAME", "OTHER", "REPOS"]
    );
    let scalar = |name: &str| {
        let found = file.scalar(name).unwrap();
        (found.value.as_str(), found.line)
    };
    assert_eq!(scalar("NAME"), ("wb-2", 10));
    assert_eq!(scalar("EMPTY"), ("", 3));
    assert_eq!(scalar("OTHER"), ("it is # no comment", 3));
    assert_eq!(scalar("LAST"), ("a\tb", 10));
    let repos = file.array("REPOS").unwrap();
    assert_eq!(repos.line, 4);
    assert_eq!(
        repos.value,
        [
            "name=svc-a;url=https://host/o/(a).git;graphified=false",
            "name=svc-b",
            "plain word"
        ]
    );
    let lines: Vec<_> = (0..4)
        .map(|index| file.element_line("REPOS", index))
        .collect();
    assert_eq!(lines, [Some(6), Some(8), Some(8), None]);
    assert_eq!((file.scalar("REPOS"), file.array("NAME")), (None, None));
    assert_eq!(
        (file.line("REPOS"), file.line("NOT_THERE")),
        (Some(4), None)
    );
}

#[test]
fn an_assignment_replaces_and_an_appending_one_adds() {
    let file = parsed("A=1\nA+=2\nB=x\nB+=(y z)\nC=(1)\nC=(2 3)\nA=9\n");
    assert_eq!(file.scalar("A").unwrap().value, "9");
    assert_eq!(file.array("B").unwrap().value, ["x", "y", "z"]);
    assert_eq!(file.array("C").unwrap().value, ["2", "3"]);
}

#[test]
fn a_default_that_lets_the_environment_win_is_its_text() {
    let text = "A=${A:-1 2}\nB=\"${B-x;y}\" C=\"${C:=}\"\r\n";
    let file = parsed(text);
    assert_eq!(
        Some(ours(&file)),
        by_bash(&text.replace('\r', "")).or(Some(ours(&file)))
    );
    assert_eq!(
        ours(&file),
        [["1 2"], ["x;y"], [""]].map(|list| list.map(str::to_owned).to_vec())
    );
}

#[test]
fn what_would_have_to_be_run_is_refused_with_its_line_and_a_way_out() {
    let texts = [
        "A=1\nB=$HOME/x",
        "CALLS=1\nCALLS=${CALLS:-100}",
        "CALLS=${CALLS:-100}0",
        "CALLS=\"${CALLS:-$X}\"",
        "CALLS=${CALLS:-100",
        "CALLS=\"${OTHER:-100}\"",
        "A=$(date)",
        "A=(\n  `date`\n)",
        "A=$((1 + 2))",
        "A=~/src",
        "A=/a:~/b",
        "A=(*.md)",
        "A=({a,b})",
        "export A={a,b}",
        "A=([2]=x)",
        "A[2]=x",
        "A=$\"hello\"",
        "if true; then A=1; fi",
        "[[ -f x ]] && A=1",
        "source other.conf",
        ": \"${A:=1}\"",
        "set -euo pipefail",
        "A=two words",
        "A=1 > file",
        "A=1 && B=2",
        "A=b|c",
        "f() { :; }",
        "A = 1",
        "declare -A MAP=([x]=y)",
        "export A-B",
        "A=(1)B=2",
        "A=(1 2",
        "\nA=\"open\nB=2",
        "A='open",
        "A=$'\\x41'",
        "A=(1)\nA=2",
    ];
    let all: Vec<String> = texts
        .iter()
        .map(|text| format!("{text:?}\n  {}", refused(text)))
        .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[expect(
    clippy::print_stderr,
    reason = "a run without bash is told in the test's output"
)]
fn say_skipped() {
    eprintln!("SKIPPED: no bash to compare with");
}

/// What bash itself has in A, B and C after it sourced the text, as lists; `None` where it failed, said something or
/// is not there. Nothing can be started: the environment is empty, and so is the search path.
fn by_bash(text: &str) -> Option<[Vec<String>; 3]> {
    const SCRIPT: &str = r#"PATH=; set -e; source ./conf
for name in A B C; do declare -n list=$name; printf '%s\0' "${#list[@]}" "${list[@]}"; done"#;
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("conf", text), ("script", SCRIPT)] {
        atomic::replace(&folder.path().join(name), content.as_bytes()).unwrap();
    }
    let ended = Command::new("bash")
        .args(["--norc", "--noprofile", "script"])
        .current_dir(folder.path())
        .env_clear()
        .env("LC_ALL", "C.UTF-8")
        .output();
    let Ok(ended) = ended else {
        say_skipped();
        return None;
    };
    assert!(ended.status.success(), "{text:?}: {ended:?}");
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{text:?}");
    let entries = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(entries, 2, "{text:?} made a file");
    let out = String::from_utf8(ended.stdout).unwrap();
    let mut parts = out.split('\0').map(str::to_owned);
    let mut list = || {
        let length = parts.next().unwrap().parse().unwrap();
        parts.by_ref().take(length).collect()
    };
    Some([list(), list(), list()])
}

fn ours(file: &ShellFile) -> [Vec<String>; 3] {
    ["A", "B", "C"].map(|name| {
        let array = file.array(name).map(|array| array.value.clone());
        let scalar = || file.scalar(name).map(|scalar| vec![scalar.value.clone()]);
        array.or_else(scalar).unwrap_or_default()
    })
}

/// A text in one of the four ways of quoting; not every text can be written in every way.
fn quoted(text: &str, style: u8) -> String {
    match style {
        0 if !text.contains('\'') => format!("'{text}'"),
        1 if !text.is_empty() && !text.contains('\n') => {
            text.chars().map(|c| format!("\\{c}")).collect()
        }
        2 => {
            let escaped = text.replace('\\', "\\\\").replace('\'', "\\'");
            format!("$'{}'", escaped.replace('\n', "\\n").replace('\t', "\\t"))
        }
        _ => {
            let mut out = String::from("\"");
            for c in text.chars() {
                if "$`\"\\".contains(c) {
                    out.push('\\');
                }
                out.push(c);
            }
            out + "\""
        }
    }
}

fn word() -> impl Strategy<Value = String> {
    let piece = ("[ -~äß→\n\t]{0,6}", 0_u8..4).prop_map(|(text, style)| quoted(&text, style));
    proptest::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

fn statement() -> impl Strategy<Value = String> {
    let head = ("(export |declare |)", "[ABC]", r"\+?");
    let value = prop_oneof![
        word(),
        proptest::collection::vec(word(), 0..4)
            .prop_map(|words| format!("( {} # c\n)", words.join("\n "))),
    ];
    (head, value, "(( # c)?(\n|\r\n)|;)")
        .prop_map(|((word, name, plus), value, end)| format!("{word}{name}{plus}={value}{end}"))
}

/// Text that looks like shell, most of it wrong.
fn soup() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        4 => "[ABC]",
        4 => "=",
        1 => r"\+=",
        3 => "[ \n\t;]",
        3 => r#"["'()\\$`#~{}*]"#,
        1 => r"\$\{[AB]:?[=-]",
        2 => "[a-z0-9,:./-]{1,3}",
        1 => "(export |declare |-a |\r\n|\\\\\n|&|\\||<)",
    ];
    proptest::collection::vec(token, 1..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn quoted_text_is_read_as_bash_reads_it(statements in proptest::collection::vec(statement(), 1..6)) {
        let text = statements.concat();
        match read(&text, Path::new("conf")) {
            // Bash would change one element; the only refusal of what is written here.
            Err(error) => prop_assert!(matches!(error, super::ShellFileError::Mixed { .. }), "{error} {text:?}"),
            // Bash keeps a carriage return that we take for a part of the line's end.
            Ok(file) => if let Some(theirs) = by_bash(&text.replace("\r\n", "\n")) {
                prop_assert_eq!(ours(&file), theirs, "{:?}", text);
            },
        }
    }

    #[test]
    fn whatever_is_accepted_means_the_same_to_bash(text in soup()) {
        if let Ok(file) = read(&text, Path::new("conf"))
            && let Some(theirs) = by_bash(&text.replace("\r\n", "\n"))
        {
            prop_assert_eq!(ours(&file), theirs, "{:?}", text);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = read(&text, Path::new("conf"));
    }
}
