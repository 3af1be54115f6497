//! Random state files in the forms that people, agents and scripts write: indented with one blank to four or a
//! tab, compact, on one line, or mixed; with either line end, with and without a final line end.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// How a random document is written.
#[derive(Debug, Clone)]
pub(super) struct Form {
    unit: Option<String>,
    colon: &'static str,
    gap: &'static str,
    newline: &'static str,
    last_newline: bool,
    mark: bool,
    escape: bool,
    /// Records of lists on one line each, though the file has many.
    flat_records: bool,
}

/// A random state file with its text.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// The text.
    pub(super) text: String,
}

pub(super) fn documents() -> impl Strategy<Value = Document> {
    (forms(), tops()).prop_map(|(form, value)| {
        let mut text = String::new();
        if form.mark {
            text.push('\u{FEFF}');
        }
        write(&mut text, &form, &value, form.unit.as_ref().map(|_| 0), 0);
        if form.last_newline {
            text.push_str(form.newline);
        }
        Document { text }
    })
}

fn forms() -> impl Strategy<Value = Form> {
    let unit = prop_oneof![
        Just(None),
        Just(Some("  ".to_owned())),
        Just(Some(" ".to_owned())),
        Just(Some("    ".to_owned())),
        Just(Some("\t".to_owned())),
    ];
    let spacing = prop_oneof![Just((": ", " ")), Just((":", "")), Just((" : ", " "))];
    let newline = prop_oneof![3 => Just("\n"), 1 => Just("\r\n")];
    let flags = (
        any::<bool>(),
        prop::bool::weighted(0.1),
        any::<bool>(),
        any::<bool>(),
    );
    (unit, spacing, newline, flags).prop_map(|(unit, (colon, gap), newline, flags)| Form {
        unit,
        colon,
        gap,
        newline,
        last_newline: flags.0,
        mark: flags.1,
        escape: flags.2,
        flat_records: flags.3,
    })
}

/// Texts with what breaks naive writers: quotes, backslashes, escapes, brackets, wide characters.
pub(super) fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{0,12}",
        Just("a \"quoted\" \\ path, [x] {y}: z".to_owned()),
        Just("dash \u{2014} and \u{1F600}".to_owned()),
        Just("line\nfeed\tand\u{1}control \\u2014".to_owned()),
    ]
}

pub(super) fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1000..1000_i32).prop_map(|n| Value::from(f64::from(n) / 8.0)),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-e]{1,2}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn statuses() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("pending")),
        Just(json!("running")),
        Just(json!("completed")),
        Just(json!("failed (fixed)")),
        Just(json!("on hold")),
        Just(Value::Null),
        Just(json!(3)),
    ]
}

fn jobs() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (1_u32..40).prop_map(|n| Value::from(n.to_string())),
        1 => (1_u32..40).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => Just(json!("PENDING")),
        1 => Just(json!("7, 8,9")),
        1 => Just(json!("5_3")),
        1 => Just(json!("")),
    ]
}

fn runs() -> impl Strategy<Value = Value> {
    let extra = prop::collection::vec(("[a-e]{1,3}", values()), 0..3);
    let record = (
        0_u32..20,
        prop::option::of(jobs()),
        prop::option::of(statuses()),
        extra,
    )
        .prop_map(|(run, job, status, extra)| {
            let mut members = Map::new();
            members.insert("run_id".to_owned(), format!("q{run:03}").into());
            members.extend(job.map(|job| ("job_id".to_owned(), job)));
            members.extend(status.map(|status| ("status".to_owned(), status)));
            members.extend(extra);
            Value::Object(members)
        });
    prop_oneof![12 => record, 1 => values()]
}

fn lists(items: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        6 => prop::collection::vec(items, 0..5).prop_map(|items| Some(Value::from(items))),
        1 => Just(Some(Value::Null)),
        1 => Just(None),
    ]
}

fn events() -> impl Strategy<Value = Value> {
    (1_u32..30, texts()).prop_map(
        |(n, detail)| json!({"id": format!("evt-{n:04}"), "ts": "2026-01-12T14:32:10Z", "action": "RUN", "detail": detail}),
    )
}

fn tops() -> impl Strategy<Value = Value> {
    let known = (
        prop::option::of(texts()),
        prop::option::of(values()),
        prop::option::of(values()),
        prop::option::of(values()),
    );
    let lists = (lists(runs()), lists(runs()), lists(runs()), lists(events()));
    let extra = prop::collection::vec(("x[a-e]{1,3}", values()), 0..4);
    let order = prop::collection::vec(any::<u16>(), 12);
    (known, lists, extra, order).prop_map(|(known, lists, extra, order)| {
        let mut members: Vec<(String, Value)> = Vec::new();
        let mut add = |name: &str, value: Option<Value>| {
            members.extend(value.map(|value| (name.to_owned(), value)));
        };
        add("phase", known.0.map(Value::from));
        add("next_action", known.1);
        add("needs_user_input", known.2);
        add("slurm_wait", known.3);
        add("active_runs", lists.0);
        add("completed_runs", lists.1);
        add("cancelled_runs", lists.2);
        add("events", lists.3);
        members.extend(extra);
        let mut numbered: Vec<_> = order.into_iter().cycle().zip(members).collect();
        numbered.sort_by_key(|(number, _)| *number);
        Value::Object(numbered.into_iter().map(|(_, member)| member).collect())
    })
}

/// Writes a value; `level` is `None` where it stays on one line.
fn write(out: &mut String, form: &Form, value: &Value, level: Option<usize>, depth: usize) {
    let (open, close, items): (_, _, Vec<(Option<&String>, &Value)>) = match value {
        Value::Object(members) => (
            '{',
            '}',
            members.iter().map(|(k, v)| (Some(k), v)).collect(),
        ),
        Value::Array(items) => ('[', ']', items.iter().map(|item| (None, item)).collect()),
        Value::String(text) => return out.push_str(&quote(form, text)),
        other => return out.push_str(&other.to_string()),
    };
    let level = level.filter(|_| !(form.flat_records && depth >= 2 && open == '{'));
    let line = |out: &mut String, level: usize| {
        out.push_str(form.newline);
        out.push_str(&form.unit.as_deref().unwrap_or_default().repeat(level));
    };
    out.push(open);
    for (index, (key, item)) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match level {
            Some(level) => line(out, level + 1),
            None if index > 0 => out.push_str(form.gap),
            None => {}
        }
        if let Some(key) = key {
            out.push_str(&quote(form, key));
            out.push_str(form.colon);
        }
        write(out, form, item, level.map(|level| level + 1), depth + 1);
    }
    if let (Some(level), false) = (level, items.is_empty()) {
        line(out, level);
    }
    out.push(close);
}

fn quote(form: &Form, text: &str) -> String {
    let quoted = Value::from(text).to_string();
    if !form.escape {
        return quoted;
    }
    quoted
        .chars()
        .flat_map(|c| {
            let mut units = [0; 2];
            if c.is_ascii() {
                vec![c.to_string()]
            } else {
                c.encode_utf16(&mut units)
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}"))
                    .collect()
            }
        })
        .collect()
}
