//! What the end of a run of claude means. `is_error` decides and not `subtype`: a run that is not logged in says
//! `success`. A limit is read from the event about it, then from the result's own words, never from the stream.

use serde_json::Value;

use super::super::command::blocked;
use super::super::json::{count, elements, text};
use super::super::words;
use super::super::{Finish, Reading, how, shortened, summary};
use super::stream::Reader;
use crate::outcome::Verdict;

/// Errors of a message that no further attempt of the account survives.
const ACCOUNT: [&str; 6] = [
    "authentication_failed",
    "oauth_org_not_allowed",
    "account_on_hold",
    "verification_required",
    "billing_error",
    "cloud_credential_error",
];

pub(super) fn reading(reader: &Reader, finish: &Finish<'_>) -> Reading {
    let verdict = match &reader.result {
        Some(result) if is_error(result) => failed(reader, result, finish),
        Some(result) => ended(reader, result, finish),
        None => without_result(reader, finish),
    };
    let words = reader
        .result
        .as_ref()
        .and_then(|result| text(result, &["result"]));
    Reading {
        verdict,
        usage: reader.usage,
        session_id: reader.session_id.clone(),
        summary: words.or(reader.plain.as_deref()).and_then(summary),
        status: reader.status.block().cloned(),
        denials: reader.denials.iter().cloned().collect(),
    }
}

/// Whether a result tells of a failure.
pub(super) fn is_error(result: &Value) -> bool {
    let subtype = text(result, &["subtype"]).unwrap_or("success");
    result.get("is_error").and_then(Value::as_bool) == Some(true) || subtype.starts_with("error")
}

/// A result that is no error. No turn at all means that the prompt was taken for a command.
fn ended(reader: &Reader, result: &Value, finish: &Finish<'_>) -> Verdict {
    let words = text(result, &["result"]).unwrap_or_default();
    if result.get("num_turns").is_some() && count(result, &["num_turns"]) == 0 {
        let message = format!("it ended without a turn: {}", shortened(words));
        return if words::is_usage(words) {
            Verdict::ConfigError { message }
        } else {
            Verdict::Crashed { message }
        };
    }
    if finish.exit.code != 0 {
        let last = words::last_line(finish.stderr).unwrap_or("it had given a good result");
        return Verdict::Crashed {
            message: shortened(&format!("{}: {last}", how(finish.exit))),
        };
    }
    match blocked(&reader.status) {
        Some(_) if !reader.denials.is_empty() => denied(reader),
        Some(blocked) => blocked,
        None => Verdict::Finished,
    }
}

fn denied(reader: &Reader) -> Verdict {
    let rules: Vec<&str> = reader.denials.iter().map(String::as_str).collect();
    Verdict::PermissionDenied {
        what: shortened(&rules.join(", ")),
    }
}

fn failed(reader: &Reader, result: &Value, finish: &Finish<'_>) -> Verdict {
    let message = message(reader, result);
    let status = count(result, &["api_error_status"]);
    if let Some(ceiling) = own_ceiling(result, &message) {
        return ceiling;
    }
    let by_words = words::failure(&message, finish.now, finish.zone);
    if let Some(limit) = limit(reader, &message, &by_words) {
        return limit;
    }
    if let Some(verdict) = stopped_by_itself(reader, result, &message) {
        return verdict;
    }
    match (reader.error.as_deref(), status) {
        (Some(error), _) if ACCOUNT.contains(&error) => Verdict::Auth { message },
        (_, 401 | 403) => Verdict::Auth { message },
        (Some("rate_limit" | "overloaded" | "server_error"), _) | (_, 429 | 500..=599) => {
            Verdict::Throttled {
                retry_after: None,
                message,
            }
        }
        (Some("model_not_found"), _) | (_, 404) => Verdict::ConfigError { message },
        // This one order is refused, as a prompt that is too long is: the others may be good.
        (Some("invalid_request"), _) | (_, 400) if is_config_error(&by_words) => {
            Verdict::Crashed { message }
        }
        _ => by_words,
    }
}

fn is_config_error(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::ConfigError { .. })
}

/// A plan's limit: the rejected event knows the time to the second, the words to the minute.
fn limit(reader: &Reader, message: &str, by_words: &Verdict) -> Option<Verdict> {
    let said = match by_words {
        Verdict::UsageLimit {
            resets_at, window, ..
        } => Some((*resets_at, window.clone())),
        _ => None,
    };
    let event = reader.rejected.as_ref();
    if event.is_none() && said.is_none() {
        return None;
    }
    let (said_at, said_window) = said.unwrap_or_default();
    Some(Verdict::UsageLimit {
        resets_at: event.and_then(|limit| limit.resets_at).or(said_at),
        window: event.and_then(|limit| limit.window.clone()).or(said_window),
        message: message.to_owned(),
    })
}

/// Its own ceilings of turns and of money. They are asked for first: their words speak of limits as well.
fn own_ceiling(result: &Value, message: &str) -> Option<Verdict> {
    let subtype = text(result, &["subtype"]).unwrap_or_default();
    let reason = text(result, &["terminal_reason"]).unwrap_or_default();
    let is_ceiling = matches!(subtype, "error_max_turns" | "error_max_budget_usd")
        || matches!(reason, "max_turns" | "budget_exhausted");
    is_ceiling.then(|| Verdict::Budget {
        message: message.to_owned(),
    })
}

/// A wall that it names, and refusals that it gave up over.
fn stopped_by_itself(reader: &Reader, result: &Value, message: &str) -> Option<Verdict> {
    let message = message.to_owned();
    match (
        text(result, &["subtype"]).unwrap_or_default(),
        text(result, &["terminal_reason"]).unwrap_or_default(),
    ) {
        // Claude calls a full context so, too.
        (_, "blocking_limit") if reader.error.as_deref() != Some("invalid_request") => {
            Some(Verdict::UsageLimit {
                resets_at: None,
                window: None,
                message,
            })
        }
        ("error_during_execution", _) if !reader.denials.is_empty() => Some(denied(reader)),
        _ => None,
    }
}

fn message(reader: &Reader, result: &Value) -> String {
    let errors: Vec<&str> = elements(result, &["errors"])
        .filter_map(Value::as_str)
        .collect();
    let errors = errors.join("; ");
    let words = text(result, &["result"])
        .or_else(|| Some(errors.as_str()).filter(|errors| !errors.is_empty()))
        .or_else(|| text(result, &["startup_failure_reason"]))
        .or(reader.error.as_deref())
        .or_else(|| text(result, &["subtype"]));
    shortened(words.unwrap_or("the agent reports an error"))
}

/// It ended before it could say how: what it printed last tells, standard error first.
fn without_result(reader: &Reader, finish: &Finish<'_>) -> Verdict {
    let last = words::last_line(finish.stderr).or(reader.plain.as_deref());
    let said = last.unwrap_or("it ended without a result");
    let message = shortened(&format!("{}: {said}", how(finish.exit)));
    let by_words = words::failure(said, finish.now, finish.zone);
    if let Some(limit) = limit(reader, &message, &by_words) {
        return limit;
    }
    match by_words {
        Verdict::Crashed { .. } => Verdict::Crashed { message },
        other => other,
    }
}
