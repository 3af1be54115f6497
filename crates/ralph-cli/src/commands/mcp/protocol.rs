//! The part of the Model Context Protocol that a server of tools needs: JSON-RPC 2.0, one message per line. Pure: a line in,
//! what to do out.

use serde_json::{Map, Value, json};

/// Versions that are understood, newest first; between them nothing has changed for tools.
const VERSIONS: [&str; 3] = ["2025-06-18", "2025-03-26", "2024-11-05"];

/// Codes of JSON-RPC.
const NOT_JSON: i64 = -32_700;
const NO_REQUEST: i64 = -32_600;
const NO_METHOD: i64 = -32_601;
const BAD_PARAMETERS: i64 = -32_602;

/// What a line means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    /// To be answered with this, at once.
    Answer(Value),
    /// The tools are asked for.
    Tools { id: Value },
    /// A tool is called.
    Call {
        id: Value,
        tool: String,
        arguments: Map<String, Value>,
    },
    /// The answer to this request is not wanted any more.
    Cancel { id: Value },
    /// Nothing is to be done: a notification, an answer to nothing.
    Nothing,
}

/// Reads a line, of whatever bytes.
pub(super) fn hear(line: &[u8], instructions: &str) -> Heard {
    if line.trim_ascii().is_empty() {
        return Heard::Nothing;
    }
    let Ok(message) = serde_json::from_slice::<Value>(line) else {
        return Heard::Answer(error(&Value::Null, NOT_JSON, "not JSON"));
    };
    let id = message.get("id").cloned();
    let Some(method) = message.get("method").and_then(Value::as_str) else {
        // An answer has no method, and we never ask.
        let is_answer = message.get("result").is_some() || message.get("error").is_some();
        return match is_answer {
            true => Heard::Nothing,
            false => Heard::Answer(error(
                &id.unwrap_or_default(),
                NO_REQUEST,
                "expected a request with a `method`",
            )),
        };
    };
    let parameters = message.get("params").unwrap_or(&Value::Null);
    match id {
        Some(id) => request(id, method, parameters, instructions),
        None if method == "notifications/cancelled" => Heard::Cancel {
            id: parameters.get("requestId").cloned().unwrap_or_default(),
        },
        None => Heard::Nothing,
    }
}

fn request(id: Value, method: &str, parameters: &Value, instructions: &str) -> Heard {
    match method {
        "initialize" => {
            let asked = parameters.get("protocolVersion").and_then(Value::as_str);
            let version = VERSIONS
                .into_iter()
                .find(|version| Some(*version) == asked)
                .unwrap_or(VERSIONS[0]);
            let about = json!({
                "protocolVersion": version,
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "ralph", "version": env!("CARGO_PKG_VERSION") },
                "instructions": instructions,
            });
            Heard::Answer(result(&id, &about))
        }
        "ping" => Heard::Answer(result(&id, &json!({}))),
        "tools/list" => Heard::Tools { id },
        "tools/call" => call(id, parameters),
        _ => Heard::Answer(error(
            &id,
            NO_METHOD,
            &format!("there is no method `{method}`"),
        )),
    }
}

fn call(id: Value, parameters: &Value) -> Heard {
    let tool = parameters.get("name").and_then(Value::as_str);
    let arguments = match parameters.get("arguments") {
        None | Some(Value::Null) => Some(Map::new()),
        Some(Value::Object(arguments)) => Some(arguments.clone()),
        Some(_) => None,
    };
    match (tool, arguments) {
        (Some(tool), Some(arguments)) => Heard::Call {
            id,
            tool: tool.to_owned(),
            arguments,
        },
        _ => Heard::Answer(bad_parameters(
            &id,
            "expected a `name` and an object of `arguments`",
        )),
    }
}

/// A request that went well.
pub(super) fn result(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

/// A call that cannot be made at all.
pub(super) fn bad_parameters(id: &Value, message: &str) -> Value {
    error(id, BAD_PARAMETERS, message)
}

fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(line: &str) -> Value {
        match hear(line.as_bytes(), "how") {
            Heard::Answer(answer) => answer,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_client_is_greeted_in_a_version_that_both_know() {
        let hello = |version: &str| {
            let line = format!(
                r#"{{"jsonrpc":"2.0","id":"a","method":"initialize","params":{{"protocolVersion":"{version}"}}}}"#
            );
            answer(&line)["result"]["protocolVersion"].clone()
        };
        assert_eq!(hello("2024-11-05"), "2024-11-05");
        assert_eq!(hello("2030-01-01"), VERSIONS[0]);
        assert_eq!(
            answer(r#"{"id":7,"method":"ping"}"#),
            json!({"jsonrpc": "2.0", "id": 7, "result": {}})
        );
    }

    #[test]
    fn what_is_wrong_is_answered_with_its_code() {
        for (line, code) in [
            ("{", NOT_JSON),
            ("[]", NO_REQUEST),
            (r#"{"id":1}"#, NO_REQUEST),
            (r#"{"id":1,"method":"resources/list"}"#, NO_METHOD),
            (r#"{"id":1,"method":"tools/call"}"#, BAD_PARAMETERS),
            (
                r#"{"id":1,"method":"tools/call","params":{"name":"x","arguments":[]}}"#,
                BAD_PARAMETERS,
            ),
        ] {
            assert_eq!(answer(line)["error"]["code"], code, "{line}");
        }
        for line in [
            "",
            r#"{"method":"notifications/initialized"}"#,
            r#"{"id":1,"result":{}}"#,
        ] {
            assert_eq!(hear(line.as_bytes(), ""), Heard::Nothing, "{line}");
        }
        let cancel = r#"{"method":"notifications/cancelled","params":{"requestId":"r"}}"#;
        assert_eq!(
            hear(cancel.as_bytes(), ""),
            Heard::Cancel { id: json!("r") }
        );
    }

    #[test]
    fn a_line_that_is_no_text_is_answered_as_one_that_is_no_json() {
        for line in [&b"\xff\xfe"[..], b"{\"id\":1,\"method\":\"\xff\"}"] {
            let Heard::Answer(answer) = hear(line, "") else {
                panic!("{line:?}");
            };
            assert_eq!(answer["error"]["code"], NOT_JSON);
            assert_eq!(answer["id"], Value::Null);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_line_is_survived(line in "\\PC*", id in any::<u8>()) {
            let _ = hear(line.as_bytes(), "");
            let quoted = json!({"id": id, "method": line});
            prop_assert!(!matches!(hear(quoted.to_string().as_bytes(), ""), Heard::Nothing));
        }
    }
}
