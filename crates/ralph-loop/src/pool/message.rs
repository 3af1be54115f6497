//! The message of the commit that holds an attempt's work. Pure.

use crate::attempt::AttemptRecord;

/// The longest first line of a commit's message, in characters.
const LONGEST_SUBJECT: usize = 100;

pub(super) fn message(record: &AttemptRecord) -> String {
    let text = crate::event::one_line(&record.task.row.text);
    let summary = record.summary.as_deref().unwrap_or("").trim();
    let trailers = format!(
        "Ralph-Task: {}\nRalph-Attempt: {}\n",
        record.task.id, record.attempt
    );
    commit_message(&text, summary, &trailers)
}

/// The task, whole in the body where the first line cannot hold it, then what the agent says of it.
fn commit_message(task: &str, summary: &str, trailers: &str) -> String {
    let whole = format!("ralph: {task}");
    let (subject, task) = if whole.chars().count() > LONGEST_SUBJECT {
        let cut: String = whole.chars().take(LONGEST_SUBJECT - 1).collect();
        (format!("{}…", cut.trim_end()), task)
    } else {
        (whole, "")
    };
    let body = [task, summary].into_iter().filter(|part| !part.is_empty());
    let body: String = body.map(|part| format!("{part}\n\n")).collect();
    format!("{subject}\n\n{body}{trailers}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_longer_than_a_first_line_is_whole_in_the_body() {
        assert_eq!(
            commit_message("Short", "Did it.", "Ralph-Task: x\n"),
            "ralph: Short\n\nDid it.\n\nRalph-Task: x\n"
        );
        let fits = "ä".repeat(LONGEST_SUBJECT - "ralph: ".len());
        assert_eq!(commit_message(&fits, "", ""), format!("ralph: {fits}\n\n"));
        let long = format!("{fits} word");
        let message = commit_message(&long, "Did it.", "");
        let (subject, body) = message.split_once("\n\n").unwrap_or_default();
        assert_eq!(subject.chars().count(), LONGEST_SUBJECT);
        assert!(subject.ends_with("ä…"));
        assert_eq!(body, format!("{long}\n\nDid it.\n\n"));
    }
}
