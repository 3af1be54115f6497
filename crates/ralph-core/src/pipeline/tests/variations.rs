//! Real state files, and samples where none are present, varied and damaged in the ways that people, agents and merges
//! vary and damage them. serde_json judges what is readable.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{PipelineError, PipelineFile, repair_trailing_commas, skim};
use super::corpus::{edits, real_files};
use super::generate;

/// Greater real files would only make the test slow.
const GREATEST: usize = 64 * 1024;

const SAMPLES: &[&str] = &[
    "{\n  \"project\": \"p\",\n  \"phase\": \"WAIT_SLURM\",\n  \"next_action\": \"/check\",\n  \
     \"needs_user_input\": {\"value\": false, \"prompt\": null},\n  \
     \"slurm_wait\": {\"next_poll_after\": \"2026-08-06T14:XX:00-04:00\", \"note\": \"\\u2014 caf\\u00e9\"},\n  \
     \"active_runs\": [\n    {\"run_id\": \"q001_a\", \"job_id\": \"7\", \"status\": \"running\"},\n    \
     {\"run_id\": \"q002_b\", \"job_id\": 8, \"status\": \"completed\"}\n  ],\n  \
     \"completed_runs\": [{\"run_id\": \"q000_a\", \"job_id\": \"5, 6\", \"val\": 1.460}],\n  \
     \"events\": [{\"id\": \"evt-0001\", \"ts\": \"2026-01-12\", \"action\": \"RUN\"}]\n}\n",
    "{\"phase\":null,\"active_runs\":null,\"cancelled_runs\":[{}],\"gates\":{\"G1\":5e-5}}",
];

/// What is varied: text and name of each file.
static FILES: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let samples = SAMPLES
        .iter()
        .map(|text| ("sample".to_owned(), (*text).to_owned()));
    let real = real_files().into_iter();
    let small = real
        .filter(|(_, text)| text.len() <= GREATEST && serde_json::from_str::<Value>(text).is_ok());
    samples
        .chain(small)
        .filter(|(_, text)| PipelineFile::parse(text.clone()).is_ok())
        .collect()
});

const MEMBERS: &[&str] = &[
    "phase",
    "next_action",
    "needs_user_input",
    "slurm_wait",
    "active_runs",
    "completed_runs",
    "cancelled_runs",
    "events",
    "schema_version",
    "ralph",
];

/// One change of a text that leaves it readable, unless a newer format comes of it.
#[derive(Debug, Clone)]
enum Variation {
    /// A member has another value, or is there for the first time.
    Member(&'static str, String),
    /// A member that nobody knows stands first.
    Unknown(String, String),
    CarriageReturns,
    Tabs,
    NoLastLineEnd,
    Mark,
    Escapes,
}

fn variations() -> impl Strategy<Value = Variation> {
    let odd = || {
        prop_oneof![
            3 => generate::values().prop_map(|value| value.to_string()),
            1 => Just("123456789012345678901234567890".to_owned()),
            1 => Just("-0.0".to_owned()),
            1 => Just("\"\\ud83d\\ude00 \\u0000\"".to_owned()),
            1 => Just("[{\"run_id\": \"../../x\", \"job_id\": \"7; rm\", \"status\": \"running\"}, {}, null, 7]".to_owned()),
            1 => Just("[{\"run_id\": 7, \"job_id\": 7, \"submitted_at\": 1767225600, \"next_poll_after\": \"0000-00-00\"}]".to_owned()),
            1 => Just("{\"value\": \"yes\", \"next_poll_after\": \"9999-12-31T23:59:60Z\"}".to_owned()),
        ]
    };
    let member = (prop::sample::select(MEMBERS), odd())
        .prop_map(|(name, value)| Variation::Member(name, value));
    let unknown =
        ("_?[a-z\u{e9}]{0,5}!", odd()).prop_map(|(name, value)| Variation::Unknown(name, value));
    prop_oneof![
        4 => member,
        2 => unknown,
        1 => Just(Variation::CarriageReturns),
        1 => Just(Variation::Tabs),
        1 => Just(Variation::NoLastLineEnd),
        1 => Just(Variation::Mark),
        1 => Just(Variation::Escapes),
    ]
}

impl Variation {
    fn apply(&self, text: &str) -> String {
        match self {
            Self::Member(name, value) => {
                let file = super::parse(text);
                match file.top(name) {
                    Some(id) => {
                        let mut text = text.to_owned();
                        text.replace_range(file.tree.node(id).span(), value);
                        text
                    }
                    None => first(text, &format!("\"{name}\": {value}")),
                }
            }
            // A name that the file has already would be there twice.
            Self::Unknown(name, _) if super::parse(text).top(name).is_some() => text.to_owned(),
            Self::Unknown(name, value) => first(text, &format!("\"{name}\":{value}")),
            Self::CarriageReturns => text.replace("\r\n", "\n").replace('\n', "\r\n"),
            Self::Tabs => text.replace("\n  ", "\n\t"),
            Self::NoLastLineEnd => text.trim_end().to_owned(),
            Self::Mark => format!("\u{FEFF}{}", text.trim_start_matches('\u{FEFF}')),
            Self::Escapes => text
                .replace('\u{2014}', "\\u2014")
                .replace('\u{e9}', "\\u00e9"),
        }
    }
}

/// The text with a member more, the first one.
fn first(text: &str, member: &str) -> String {
    let (mark, rest) = text.split_once('{').unwrap();
    let comma = if rest.trim_start().starts_with('}') {
        ""
    } else {
        ","
    };
    format!("{mark}{{{member}{comma}{rest}")
}

fn varied() -> impl Strategy<Value = String> {
    let changes = prop::collection::vec(variations(), 1..4);
    (any::<prop::sample::Index>(), changes).prop_map(|(index, changes)| {
        let text = FILES[index.index(FILES.len())].1.clone();
        changes
            .iter()
            .fold(text, |text, change| change.apply(&text))
    })
}

/// A text as a merge, an interrupted copy or a hand leaves it.
fn damaged() -> impl Strategy<Value = String> {
    let cut = any::<prop::sample::Index>();
    (varied(), 0..8_usize, cut).prop_map(|(text, kind, cut)| {
        let at = (0..=cut.index(text.len()))
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        let (before, after) = text.split_at(at);
        match kind {
            0 => before.to_owned(),
            1 => format!("{before},{after}"),
            2 => format!("<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n"),
            3 => format!("{text}{text}"),
            4 => format!("// by hand\n{text}"),
            5 => format!("{before}\0{after}"),
            6 => first(&text, "\"phase\": 1, \"phase\": 2"),
            _ => format!("{before}\\ud800{after}"),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_variation_is_read_and_edited_where_it_is_meant_alone(text in varied(), pick in any::<prop::sample::Index>()) {
        let file = PipelineFile::parse(text.clone());
        let file = file.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        let view = file.view();
        prop_assert_eq!(skim(text.as_bytes()).unwrap().phase, view.phase);
        match file.edit(&[]) {
            Ok(same) => prop_assert_eq!(&same, &text),
            Err(error) => prop_assert!(matches!(error, PipelineError::NewerFormat { .. }), "{error}"),
        }
        let edits = edits(&file);
        let edit = &edits[pick.index(edits.len())];
        let after = match file.edit(std::slice::from_ref(edit)) {
            Ok(after) => after,
            // What stands in the way is named, and a newer format is not written.
            Err(PipelineError::Conflict { .. } | PipelineError::NewerFormat { .. }) => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{text}"))),
        };
        let meant = serde_json::to_value(edit).unwrap();
        let meant = match meant["edit"].as_str() {
            Some("set") => meant["path"][0].as_str().unwrap_or_default().to_owned(),
            Some("append_event") => "events".to_owned(),
            _ => "active_runs".to_owned(),
        };
        let edited = super::parse(&after);
        let members = |file: &PipelineFile| -> Vec<(String, String)> {
            let value: Value = serde_json::from_str(file.text().trim_start_matches('\u{FEFF}')).unwrap();
            let names = value.as_object().into_iter().flat_map(|members| members.keys().cloned());
            names
                .filter(|name| *name != meant)
                .filter_map(|name| Some((name.clone(), file.raw(file.top(&name)?).to_owned())))
                .collect()
        };
        prop_assert_eq!(members(&file), members(&edited));
        prop_assert_eq!(text.starts_with('\u{FEFF}'), after.starts_with('\u{FEFF}'));
        prop_assert_eq!(text.ends_with('\n'), after.ends_with('\n'));
        prop_assert_eq!(edited.edit(std::slice::from_ref(edit)), Ok(after));
    }

    #[test]
    fn a_damaged_file_is_refused_with_its_place_or_is_none(text in damaged()) {
        let judged = serde_json::from_str::<Value>(text.trim_start_matches('\u{FEFF}'));
        match PipelineFile::parse(text.clone()) {
            Ok(file) => {
                prop_assert!(judged.is_ok_and(|value| value.is_object()), "{text}");
                prop_assert_eq!(file.text(), &text);
            }
            Err(PipelineError::Corrupt { line, .. }) => {
                prop_assert!(judged.is_err(), "{text}");
                prop_assert!(line <= text.lines().count().max(1) + 1);
            }
            Err(PipelineError::DuplicateKey { .. } | PipelineError::NotAnObject { .. }) => {}
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{text}"))),
        }
        if let Some((mended, _)) = repair_trailing_commas(&text) {
            prop_assert!(PipelineFile::parse(mended).is_ok());
        }
    }
}

#[test]
fn the_samples_are_varied_where_no_real_file_is() {
    assert!(FILES.iter().filter(|(name, _)| name == "sample").count() == SAMPLES.len());
    let varied = Variation::Member("phase", json!("RUN").to_string()).apply(SAMPLES[0]);
    assert!(varied.contains("\"phase\": \"RUN\""));
}
