//! What is accepted and refused, and what a refusal says.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::super::grammar::{self, Kind, Sink};
use super::super::{PipelineError, PipelineFile, repair_trailing_commas, skim};
use super::generate;
use crate::error::{Code, Coded as _};

struct Nothing;

impl Sink for Nothing {
    fn open(&mut self, _: Kind, _: usize) {}
    fn close(&mut self, _: usize) {}
    fn key(&mut self, _: usize, _: usize, _: bool) {}
    fn scalar(&mut self, _: Kind, _: usize, _: usize) {}
}

fn accepts(text: &str) -> bool {
    grammar::scan(text.as_bytes(), &mut Nothing).is_ok()
}

/// The other reader of these files. A byte order mark is ours alone.
fn agrees(text: &str) -> bool {
    let plain = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    accepts(text) == serde_json::from_str::<serde_json::Value>(plain).is_ok()
}

#[test]
fn forms_of_every_token_are_judged_as_serde_json_judges_them() {
    let numbers = [
        "0",
        "-0",
        "-",
        "01",
        "-01",
        "1.",
        ".5",
        "1.5",
        "1e5",
        "1E+5",
        "1e-5",
        "1e",
        "1e+",
        "+1",
        "0x1",
        "1e308",
        "1e309",
        "-1e400",
        "1e-400",
        "0e999",
        "1.0.0",
        "1_0",
        "5e-5",
        "1.460",
        "18446744073709551616",
        "NaN",
        "Infinity",
        "-Infinity",
        "1 2",
        "--1",
    ];
    let strings = [
        r#""""#,
        r#""a"#,
        r#"""#,
        r#""\n\t\b\f\r\/\\\"""#,
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        r#""\ud83d\ude00""#,
        r#""\ud83d""#,
        r#""\ud83d\n""#,
        r#""\ud83dx""#,
        r#""\ude00""#,
        r#""\ud83d\ud83d""#,
        "\"a\nb\"",
        "\"a\u{1}b\"",
        "\"a\u{7f}b\"",
        "\"\u{2014}\"",
        "'a'",
        r#""\"#,
        r#""\u"#,
        r#""\ud83d\"#,
        "\"12345678\u{1f}\"",
        "\"1234567\"",
        "\"1234567\\\"\"",
        r#""\u0000""#,
    ];
    let others = [
        "",
        " ",
        "null",
        "nul",
        "nulll",
        "true",
        "tru",
        "false",
        "True",
        "[]",
        "[ ]",
        "[,]",
        "[1,]",
        "[1,,2]",
        "[1 2]",
        "[",
        "]",
        "{}",
        "{ }",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        "{a:1}",
        r#"{1:2}"#,
        "[}",
        "{]",
        r#"{"a":1]"#,
        "[1}",
        "{} {}",
        "[]x",
        "\t[\r\n1\u{20}]",
        "\u{b}[]",
        "\u{a0}[]",
        "/*c*/[]",
        "[]//c",
        "\u{FEFF}[]",
        "\u{FEFF}\u{FEFF}[]",
        r#"{"a":1,"a":2}"#,
    ];
    for text in numbers.iter().chain(&strings).chain(&others) {
        assert!(agrees(text), "{text:?}");
        let inside = format!("[{text}]");
        assert!(agrees(&inside), "{inside:?}");
        let member = format!("{{\"k\": {text} , \"l\":1}}");
        assert!(agrees(&member), "{member:?}");
        let named = format!("{{{text}:0}}");
        assert!(agrees(&named), "{named:?}");
    }
}

#[test]
fn nesting_ends_where_it_ends_for_serde_json() {
    for depth in [1, 126, 127, 128, 129, 4000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            assert!(agrees(&text), "{depth}");
            assert_eq!(accepts(&text), depth < 128, "{depth}");
        }
    }
}

#[test]
fn long_numbers_are_in_range_or_not_as_for_serde_json() {
    for digits in [299, 300, 301, 308, 309, 310, 400] {
        for text in [
            "9".repeat(digits),
            format!("{}.5", "9".repeat(digits)),
            format!("0.{}", "9".repeat(digits)),
        ] {
            assert!(agrees(&text), "{digits}");
        }
    }
}

fn fragments() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "\"", "\\", "\\u12", "\\ud83d", "\\ude00",
        "1", "-", "0", ".", "e", "+", "9e99", "true", "null", " ", "\n", "\t", "\u{1}", "\u{2014}",
        "x", "//", "\u{FEFF}",
    ]);
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

/// A document with one place damaged.
fn damaged() -> impl Strategy<Value = String> {
    let patch = prop::sample::select(vec![
        "", ",", "\"", "}", "]", "\\", "0", ":", "\u{2}", " ", "{", "e", "\u{E9}",
    ]);
    (
        generate::documents(),
        any::<prop::sample::Index>(),
        0_usize..3,
        patch,
    )
        .prop_map(|(document, place, length, patch)| {
            let mut characters: Vec<char> = document.text.chars().collect();
            let at = place.index(characters.len());
            let end = (at + length).min(characters.len());
            characters.splice(at..end, patch.chars());
            characters.into_iter().collect()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fragments_are_accepted_exactly_where_serde_json_accepts_them(text in fragments()) {
        prop_assert!(agrees(&text), "{text:?}");
        let wrapped = format!("[{text}]");
        prop_assert!(agrees(&wrapped), "{wrapped:?}");
    }

    #[test]
    fn damaged_documents_are_accepted_exactly_where_serde_json_accepts_them(text in damaged()) {
        prop_assert!(agrees(&text), "{text:?}");
    }

    #[test]
    fn any_number_and_any_string_are_judged_alike(number in "-?[0-9]{1,4}(\\.[0-9]{0,3})?([eE][-+]?[0-9]{0,4})?", string in "\"(\\\\u[0-9a-fDd]{3,4}|\\\\[nutx\"]|[ -~]){0,9}\"") {
        prop_assert!(agrees(&number), "{number:?}");
        prop_assert!(agrees(&string), "{string:?}");
    }

    #[test]
    fn no_bytes_make_it_panic_and_places_are_inside(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
        for text in [bytes.clone(), [b"{\"a\": \"".as_slice(), &bytes].concat()] {
            let skimmed = skim(&text).err();
            match PipelineFile::parse_bytes(text) {
                Ok(file) => drop(file.view()),
                Err(error @ PipelineError::Corrupt { line, column, .. }) => {
                    prop_assert_eq!(skimmed, Some(error));
                    prop_assert!((1..=lines).contains(&line) && column >= 1);
                }
                Err(_) => {}
            }
        }
    }
}

/// The message and the hint, as a person reads them.
fn report(text: &str) -> String {
    let error = PipelineFile::parse(text.to_owned()).unwrap_err();
    assert_eq!(error.code(), Code::CorruptState);
    format!("{error}\n{}", error.hint().unwrap())
}

#[test]
fn a_comma_left_behind_is_named_with_its_place() {
    let text = "{\n  \"active_runs\": [\n    {\n      \"run_id\": \"q001\"\n    },\n  ],\n  \"phase\": \"RUN\"\n}\n";
    assert_snapshot!(report(text), @r#"
    5:6: expected another value after the comma, found a closing bracket
    Remove the comma at line 5, column 6.
    "#);
    let (mended, places) = repair_trailing_commas(text).unwrap();
    assert_eq!(mended, text.replace("    },\n  ]", "    }\n  ]"));
    assert_eq!((places.len(), places[0].line, places[0].column), (1, 5, 6));
    assert!(PipelineFile::parse(mended).is_ok());
}

#[test]
fn only_commas_in_front_of_a_bracket_are_repaired() {
    let two = repair_trailing_commas("{\"a\": [1, 2 ,\r\n],\"b\": \",]\\\",}\",}").unwrap();
    assert_eq!(two.0, "{\"a\": [1, 2 \r\n],\"b\": \",]\\\",}\"}");
    assert_eq!(two.1.len(), 2);
    for hopeless in [
        "{}",
        "{\"a\": 1,, }",
        "{\"a\": [1,], \"b\" 2}",
        "{\"a\": [1,]",
        "[1,]",
        "{\"a\":1,\"a\":[2,]}",
        ",}",
    ] {
        assert_eq!(repair_trailing_commas(hopeless), None, "{hopeless}");
    }
}

#[test]
fn every_fault_names_its_place_and_the_likely_fix() {
    let faults = [
        "{\"a\": 1\n \"b\": 2}",
        "{\"a\" 1}",
        "{\"a\": 1, // note\n \"b\": 2}",
        "{\"a\": NaN}",
        "{\"a\": True}",
        "{'a': 1}",
        "{a: 1}",
        "{\"a\": 1,\n<<<<<<< HEAD\n\"b\": 2}",
        "{\"a\": 1\n=======\n}",
        "{\"a\": \"no end\n}",
        "{\"a\": \"tab\there\"}",
        "{\"a\": \"C:\\dir\"}",
        "{\"a\": \"\\ud83d\"}",
        "{\"a\": 01}",
        "{\"a\": 1e999}",
        "{\"a\": [1, 2}",
        "{\"a\": 1, , \"b\": 2}",
        "{\"a\": {\"b\": [",
        "{\"a\": 1} and more",
        "  \n",
        "[1]",
        "{\"active_runs\": [],\n \"x\": {\"p\": 1, \"q\": 2, \"\\u0070\": 3}}",
    ];
    let reports: Vec<String> = faults.iter().map(|text| report(text)).collect();
    assert_snapshot!(reports.join("\n"), @r#"
    1:8: expected a comma after the value, found `"b"` directly after it
    Add a comma at line 1, column 8.
    1:6: expected `:` after the key, found `1`
    Add a colon at line 1, column 6.
    1:10: expected a key in double quotes, found `//`
    Remove the comment at line 1, column 10; JSON has none.
    1:7: expected a value, found `NaN`
    Write `null` at line 1, column 7.
    1:7: expected a value, found `True`
    Write `true` at line 1, column 7.
    1:2: expected a key in double quotes, found `'a'`
    Write the text at line 1, column 2 in double quotes.
    1:2: expected a key in double quotes, found `a`
    Write the text at line 1, column 2 in double quotes.
    2:1: expected a key in double quotes, found `<<<<<<<`
    Resolve the merge conflict that is marked in line 2.
    2:1: expected a comma or a closing bracket, found `=======`
    Resolve the merge conflict that is marked in line 2.
    1:7: expected a closing quote on the same line, found `"no`
    Close the string that begins at line 1, column 7.
    1:11: expected no control character inside a string, found the control character 0x09
    Write the character at line 1, column 11 as an escape such as \n.
    1:10: expected an escape that JSON has, found `\dir"`
    Write the backslash at line 1, column 10 as \\, or use an escape that JSON has.
    1:8: expected both halves of a surrogate pair, found `\ud83d"`
    Write the whole character at line 1, column 8, not half of it.
    1:7: expected a number as JSON writes it, found `01`
    Correct line 1 at column 7.
    1:7: expected a number that a 64-bit float can hold, found `1e999`
    Correct line 1 at column 7.
    1:12: expected the bracket that closes what was opened last, found `}`
    Compare the brackets up to line 1, column 12.
    1:10: expected a key in double quotes, found `,`
    Remove the comma at line 1, column 10.
    1:14: expected the rest of an object or a list, found the end of the file
    Put back the last good version of the file, for instance with `git checkout`.
    1:10: expected nothing after the end of the document, found `and`
    Remove what follows the end of the document from line 1, column 10 on.
    2:1: expected an object, found the end of the file
    Put back the last good version of the file, for instance with `git checkout`.
    1:1: expected an object, found a list
    Put back the last good version of the file, for instance with `git checkout`.
    2:24: expected each key once in an object, found "p" again (first in line 2)
    Merge the two "p" of lines 2 and 2 into one; other programs read only the second.
    "#);
}

#[test]
fn bytes_that_are_no_utf8_are_named_with_their_place() {
    let error = PipelineFile::parse_bytes(b"{\"a\":\n \"\xff\"}".to_vec()).unwrap_err();
    assert_snapshot!(error, @r#"2:3: expected UTF-8, found the byte 0xFF"#);
}

#[test]
fn a_key_that_is_there_twice_makes_a_file_unreadable() {
    let many: Vec<String> = (0..90).map(|n| format!("\"k{n}\": {n}")).collect();
    assert!(PipelineFile::parse(format!("{{{}}}", many.join(","))).is_ok());
    for (members, repeated) in [
        (2, 1),
        (12, 11),
        (30, 0),
        (30, 29),
        (39, 38),
        (41, 3),
        (90, 0),
        (90, 89),
    ] {
        let text = format!("{{{},\n\"k{repeated}\": 0}}", many[..members].join(","));
        let error = PipelineFile::parse(text).unwrap_err();
        assert!(
            matches!(
                error,
                PipelineError::DuplicateKey {
                    line: 2,
                    column: 1,
                    first_line: 1,
                    ..
                }
            ),
            "{error}"
        );
    }
    let twice = "{\n \"active_runs\": [\n  {\"sbatch_path\": 1,\n   \"sbatch_path\": 1}\n ]\n}";
    assert_snapshot!(report(twice), @r#"
    4:4: expected each key once in an object, found "sbatch_path" again (first in line 3)
    Merge the two "sbatch_path" of lines 3 and 4 into one; other programs read only the second.
    "#);
}
