//! Reading JSON values of foreign shape: every look may find nothing.

use serde_json::Value;

/// Above this a cost is a mistake of whoever says it, US dollars.
const MOST_DOLLARS: f64 = 1e6;

/// Above this a count is a mistake of whoever says it: no agent uses so many tokens.
const MOST_COUNTED: u64 = 1 << 48;

/// The text at a path of members; an empty one counts as none.
pub(super) fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    member(value, path)?
        .as_str()
        .filter(|text| !text.is_empty())
}

/// The count at a path of members; nothing counts as zero. Sums of such counts fit into their type.
pub(super) fn count(value: &Value, path: &[&str]) -> u64 {
    let count = member(value, path).and_then(Value::as_u64);
    count.unwrap_or(0).min(MOST_COUNTED)
}

/// The number at a path of members.
pub(super) fn number(value: &Value, path: &[&str]) -> Option<f64> {
    member(value, path)?
        .as_f64()
        .filter(|number| number.is_finite())
}

/// The US dollars at a path of members. What is no price that anybody pays, such as a negative one, counts as not said.
pub(super) fn cost(value: &Value, path: &[&str]) -> Option<f64> {
    number(value, path).filter(|cost| (0.0..MOST_DOLLARS).contains(cost))
}

/// The value at a path of members.
pub(super) fn member<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.get(name))
}

/// The elements of the array at a path of members; none where there is none.
pub(super) fn elements<'a>(value: &'a Value, path: &[&str]) -> impl Iterator<Item = &'a Value> {
    let array = member(value, path).and_then(Value::as_array);
    array.map(Vec::as_slice).unwrap_or_default().iter()
}

/// Whether a line begins as an event does, or as an array of them. One that was cut is no event any more, and still
/// nothing that was said to people: it may quote anything.
pub(super) fn is_event(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('{') || line.starts_with("[{")
}

/// The object of a line, where it is one. Anything else is a line for people.
pub(super) fn object(line: &str) -> Option<Value> {
    let line = line.trim();
    if !line.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(line).ok()
}
