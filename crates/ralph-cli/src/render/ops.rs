//! Operations of the journal for people and programs.

use std::fmt::Write as _;

use ralph_core::id::Slug;
use ralph_core::journal::OpDetail;
use serde_json::{Value, json};

use crate::render::{BOLD, CYAN, DIM, GREEN, RED, paint};

/// An operation with the difference of each file.
pub(crate) fn diff(project: &str, detail: &OpDetail) -> String {
    let record = &detail.record;
    let mut text = format!(
        "{} {} {}\n{}\n",
        paint(BOLD, record.op.as_str()),
        paint(CYAN, project),
        paint(DIM, &ralph_core::time::stamp(record.made_at)),
        record.summary
    );
    for file in &detail.files {
        for line in file.diff.lines() {
            let style = match line.as_bytes().first() {
                Some(b'+') => GREEN,
                Some(b'-') => RED,
                Some(b'@') => CYAN,
                _ => anstyle::Style::new(),
            };
            let _ = writeln!(text, "{}", paint(style, line));
        }
    }
    text
}

/// The same for a program.
pub(crate) fn json(details: &[(Slug, OpDetail)]) -> Value {
    let one = |(slug, detail): &(Slug, OpDetail)| {
        let files: Vec<Value> = detail
            .files
            .iter()
            .map(|file| json!({ "path": file.path, "diff": file.diff }))
            .collect();
        json!({
            "project": slug.as_str(),
            "id": detail.record.op.as_str(),
            "at": ralph_core::time::stamp(detail.record.made_at),
            "summary": detail.record.summary,
            "files": files,
        })
    };
    Value::Array(details.iter().map(one).collect())
}
