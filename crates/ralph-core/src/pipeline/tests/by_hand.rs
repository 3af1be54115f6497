//! Real state files as hands and merges leave them: each is refused with the place, and with what mends just that.

use super::super::{PipelineError, PipelineFile};
use super::corpus::real_files;
use crate::error::Coded as _;

const SAMPLE: &str = "{\n  \"project\": \"p\",\n  \"phase\": \"RUN\",\n  \"active_runs\": []\n}\n";

/// What somebody writes in front of the phase, and what is said to be done about it.
const WRITTEN: [(&str, &str); 25] = [
    ("<<<<<<< HEAD\n", "Resolve the merge conflict"),
    ("// moved back on Monday\n", "Remove the comment"),
    ("# moved back on Monday\n", "Remove the comment"),
    ("/* both */ ", "Remove the comment"),
    ("\u{a0}", "Remove the character"),
    ("\u{200b}", "Remove the character"),
    ("‘old’: 1, ", "in double quotes"),
    ("“old”: 1, ", "in double quotes"),
    ("'old': 1, ", "in double quotes"),
    ("old: 1, ", "in double quotes"),
    (", ", "Remove the comma"),
    ("\"old\": 1 ", "Add a comma"),
    ("\"old\": , ", "write a value such as null"),
    ("\"old\": None, ", "Write `null`"),
    ("\"old\": undefined, ", "Write `null`"),
    ("\"old\": 2026-01-12, ", "Write the whole value"),
    ("\"old\": 12.01.2026, ", "Write the whole value"),
    ("\"old\": 12/01/2026, ", "Write the whole value"),
    ("\"old\": 10:30, ", "Write the whole value"),
    ("\"old\": 0x1F, ", "Write the whole value"),
    ("\"old\": 1_000, ", "Write the whole value"),
    (
        "\"old\": \"he said \"no\" to it\", ",
        "Write the whole value",
    ),
    ("\"old\": \"no end\n", "Close the string"),
    ("\"old\": \"C:\\data\", ", "Write the backslash"),
    ("\"old\": 1, \"old\": 2, ", "Merge the two \"old\""),
];

/// Thirty readable files, and the sample.
fn files() -> Vec<String> {
    let real = real_files().into_iter().map(|(_, text)| text);
    let real = real.filter(|text| text.len() < 64 * 1024 && text.contains("\"phase\":"));
    let real = real.filter(|text| PipelineFile::parse(text.clone()).is_ok());
    real.take(30).chain([SAMPLE.to_owned()]).collect()
}

fn refused(text: &str) -> (PipelineError, String) {
    let error = PipelineFile::parse(text.to_owned()).unwrap_err();
    let hint = error.hint().unwrap().0;
    (error, hint)
}

#[test]
fn what_a_hand_wrote_into_a_state_is_named_with_what_mends_it() {
    for text in files() {
        let at = text.find("\"phase\":").unwrap();
        let line = text[..at].lines().count().max(1);
        for (written, mending) in WRITTEN {
            let damaged = text.replacen("\"phase\":", &format!("{written}\"phase\":"), 1);
            let (error, hint) = refused(&damaged);
            let said = format!("{written:?}: {error}; {hint}");
            assert!(hint.contains(mending), "{said}");
            assert!(error.to_string().starts_with(&format!("{line}:")), "{said}");
            assert!(error.to_string().contains("expected "), "{said}");
            assert!(error.to_string().contains(", found "), "{said}");
        }
    }
}

#[test]
fn what_stands_around_a_state_and_what_is_cut_off_is_named() {
    for text in files() {
        let bare = text.trim_end();
        let in_text = text.find("\"phase\":").unwrap() + 4;
        for (damaged, mending) in [
            (format!("```json\n{text}```\n"), "in front of the first `{`"),
            (format!("Here it is:\n{text}"), "in front of the first `{`"),
            (format!("{bare}\n}}\n"), "Remove what follows the end"),
            (format!("{bare}\0\0\0"), "Remove what follows the end"),
            (format!("{text}{text}"), "Remove what follows the end"),
            (format!("[{text}]"), "Put back the last good version"),
            ("\0".repeat(64), "Put back the last good version"),
            ("phase: RUN\n".to_owned(), "Put back the last good version"),
            (
                bare[..bare.len() - 1].to_owned(),
                "Put back the last good version",
            ),
            (text[..in_text].to_owned(), "put back the last good version"),
        ] {
            let (error, hint) = refused(&damaged);
            assert!(hint.contains(mending), "{error}; {hint}");
        }
    }
}

#[test]
fn numbers_and_dates_of_any_form_stay_as_they_are_written() {
    for value in [
        "99999999999999999999999999999999999",
        "-0.0",
        "1.460",
        "5e-5",
        "\"12.01.2026 10:30\"",
        "\"2026-08-06T14:XX:00-04:00\"",
        "\"0000-00-00\"",
        "1767225600",
    ] {
        for text in files() {
            let odd = text.replacen("\"phase\":", &format!("\"old\": {value}, \"phase\":"), 1);
            let file = PipelineFile::parse(odd.clone()).unwrap();
            match file.edit(&[]) {
                Ok(same) => assert_eq!(same, odd),
                Err(error) => assert!(
                    matches!(error, PipelineError::NewerFormat { .. }),
                    "{error}"
                ),
            }
        }
    }
}
