//! Documented streams in, verdicts out; what is asked of an agent; and no text makes a reader panic.

use std::fmt::Write as _;

use proptest::prelude::*;
use ralph_docs::fix_plan::RowKey;

use super::words::failure;
use super::*;
use crate::task::TaskKey;

const CLAUDE_DONE: &str = include_str!("streams/claude_done.jsonl");
const CLAUDE_LIMIT: &str = include_str!("streams/claude_limit.jsonl");
const CODEX_DONE: &str = include_str!("streams/codex_done.jsonl");
const CODEX_LIMIT: &str = include_str!("streams/codex_limit.jsonl");

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// Thursday, 22:00 in UTC, 17:00 in New York.
fn now() -> Timestamp {
    at("2026-11-26T22:00:00Z")
}

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("a zone")
}

fn exit(code: i32) -> ExitInfo {
    ExitInfo { code, signal: 0 }
}

fn settings(name: EngineName) -> EngineSettings {
    EngineSettings {
        command: vec!["agent".to_owned()],
        ..EngineSettings::new(name)
    }
}

fn read_all(
    name: EngineName,
    stream: &str,
    stderr: &str,
    exit: ExitInfo,
) -> (Reading, Vec<Progress>) {
    let mut reader = engine(&settings(name)).expect("an engine").reader();
    let mut told = Vec::new();
    for line in stream.lines() {
        reader.line(line, &mut |progress| told.push(progress));
    }
    let zone = berlin();
    let reading = reader.finish(&Finish {
        exit,
        stderr,
        now: now(),
        zone: &zone,
    });
    (reading, told)
}

fn verdict(name: EngineName, stream: &str, stderr: &str, code: i32) -> Verdict {
    read_all(name, stream, stderr, exit(code)).0.verdict
}

fn order() -> AgentOrder {
    let row = RowKey {
        section: "High Priority".to_owned(),
        text: "Add a parser".to_owned(),
        occurrence: 0,
    };
    AgentOrder {
        attempt: "20261126_220000-0000abcd".parse().expect("an id"),
        task: Task {
            key: TaskKey::of(None, &row),
            id: "add-a-parser".to_owned(),
            row,
            repository: None,
            line: 3,
        },
        prompt: "Do it.".to_owned(),
        prompt_file: "/r/.ralph/state/attempts/a/prompt.md".into(),
        worktree: "/r-worktrees/add-a-parser".into(),
        branch: "ralph-x/add-a-parser".to_owned(),
        project: "r".to_owned(),
    }
}

#[test]
fn every_engine_is_started_as_its_program_wants_it() {
    let mut lines = String::new();
    for name in EngineName::ALL {
        let mut settings = settings(name);
        settings.model = Some("m1".to_owned());
        for changed in [false, true] {
            if changed {
                settings.permission_mode = Some("dangerous".to_owned());
                settings.allowed_tools = vec!["Edit".to_owned(), "Bash(git *)".to_owned()];
                settings.max_turns = Some(40);
                settings.max_budget_usd = Some(2.5);
                settings.use_api_key = true;
            }
            let launch = engine(&settings).expect("an engine").launch(&order());
            writeln!(
                lines,
                "{name}: {} {:?}",
                launch.program.display(),
                launch.args
            )
            .expect("a text");
            writeln!(lines, "  without {:?}", launch.inherit).expect("a text");
            writeln!(
                lines,
                "  stdin {:?}",
                String::from_utf8_lossy(&launch.stdin)
            )
            .expect("a text");
        }
    }
    let launch = engine(&settings(EngineName::Claude))
        .expect("an engine")
        .launch(&order());
    write!(lines, "{:#?}", launch.variables).expect("a text");
    insta::assert_snapshot!(lines);
}

#[test]
fn a_text_that_no_variable_holds_is_cut_there_and_whole_in_the_order() {
    let mut order = order();
    order.task.row.text = format!("a{}", "ä".repeat(100_000));
    let launch = engine(&settings(EngineName::Command))
        .expect("an engine")
        .launch(&order);
    let text = &launch.variables["RALPH_TASK_TEXT"];
    assert_eq!(
        text.len(),
        ralph_core::process::variable::LONGEST - 1,
        "whole characters"
    );
    assert!(order.task.row.text.starts_with(text.as_str()));
    let sent: serde_json::Value = serde_json::from_slice(&launch.stdin).expect("JSON");
    assert_eq!(sent["title"], order.task.row.text.as_str());
}

#[test]
fn a_run_of_claude_is_read() {
    let (reading, told) = read_all(
        EngineName::Claude,
        CLAUDE_DONE,
        "warning: something\n",
        exit(0),
    );
    insta::assert_debug_snapshot!((reading, told));
}

#[test]
fn a_run_of_codex_is_read() {
    let (reading, told) = read_all(EngineName::Codex, CODEX_DONE, "", exit(0));
    insta::assert_debug_snapshot!((reading, told));
}

#[test]
fn claude_at_its_limit_names_the_reset_to_the_second() {
    let limit = |resets_at: &str, window: &str| Verdict::UsageLimit {
        resets_at: Some(at(resets_at)),
        window: Some(window.to_owned()),
        message: "You've hit your session limit · resets 3:30am (America/New_York)".to_owned(),
    };
    let structural = verdict(EngineName::Claude, CLAUDE_LIMIT, "", 1);
    assert_eq!(structural, limit("2026-11-27T00:30:00Z", "five_hour"));
    let without_event: String = CLAUDE_LIMIT
        .lines()
        .filter(|line| !line.contains("rate_limit_event"))
        .collect::<Vec<_>>()
        .join("\n");
    let by_words = verdict(EngineName::Claude, &without_event, "", 1);
    assert_eq!(by_words, limit("2026-11-27T08:30:00Z", "five_hour"));
}

fn claude_result(members: &str) -> String {
    format!("{{\"type\":\"result\",\"session_id\":\"s\",{members}}}")
}

#[test]
fn what_claude_says_at_its_end() {
    use Verdict::*;
    let cases: Vec<(&str, String, &str, i32)> = vec![
        (
            "auth",
            claude_result(
                r#""subtype":"success","is_error":true,"num_turns":1,"result":"Invalid API key · Please run /login","terminal_reason":"completed""#,
            ),
            "",
            1,
        ),
        (
            "auth",
            format!(
                "{}\n{}",
                r#"{"type":"assistant","error":"billing_error","message":{"content":[]}}"#,
                claude_result(
                    r#""subtype":"success","is_error":true,"num_turns":1,"result":"Something about money""#
                )
            ),
            "",
            1,
        ),
        (
            "auth",
            claude_result(
                r#""subtype":"success","is_error":true,"api_error_status":401,"num_turns":1,"result":"API Error: 401""#,
            ),
            "",
            1,
        ),
        (
            "throttled",
            claude_result(
                r#""subtype":"success","is_error":true,"api_error_status":429,"num_turns":1,"result":"API Error: 429 {\"type\":\"error\"}""#,
            ),
            "",
            1,
        ),
        (
            "throttled",
            claude_result(
                r#""subtype":"success","is_error":true,"api_error_status":529,"num_turns":1,"result":"API Error: 529 overloaded_error""#,
            ),
            "",
            1,
        ),
        (
            "budget",
            claude_result(r#""subtype":"error_max_turns","is_error":false,"num_turns":40"#),
            "",
            1,
        ),
        (
            "budget",
            claude_result(
                r#""subtype":"error_max_budget_usd","is_error":true,"num_turns":4,"errors":["budget of $2 reached"]"#,
            ),
            "",
            1,
        ),
        (
            "usage_limit",
            claude_result(
                r#""subtype":"success","is_error":true,"num_turns":1,"result":"You're out of extra usage · resets 9pm""#,
            ),
            "",
            1,
        ),
        (
            "usage_limit",
            claude_result(
                r#""subtype":"success","is_error":true,"num_turns":1,"terminal_reason":"blocking_limit","result":"stopped""#,
            ),
            "",
            1,
        ),
        (
            "config_error",
            claude_result(
                r#""subtype":"success","is_error":false,"num_turns":0,"result":"Unknown command: /x""#,
            ),
            "",
            0,
        ),
        (
            "crashed",
            claude_result(r#""subtype":"success","is_error":false,"num_turns":0,"result":"""#),
            "",
            0,
        ),
        (
            "crashed",
            claude_result(
                r#""subtype":"error_during_execution","is_error":true,"num_turns":3,"errors":["hook failed"]"#,
            ),
            "",
            1,
        ),
        (
            "permission_denied",
            claude_result(
                r#""subtype":"error_during_execution","is_error":true,"num_turns":3,"permission_denials":[{"tool_name":"Bash","tool_input":{"command":"cargo test"}}]"#,
            ),
            "",
            1,
        ),
        (
            "permission_denied",
            claude_result(
                r#""subtype":"success","is_error":false,"num_turns":3,"permission_denials":[{"tool_name":"WebFetch","tool_input":{}}],"result":"---RALPH_STATUS---\nSTATUS: BLOCKED\n---END_RALPH_STATUS---""#,
            ),
            "",
            0,
        ),
        (
            "blocked",
            claude_result(
                r#""subtype":"success","is_error":false,"num_turns":3,"result":"---RALPH_STATUS---\nSTATUS: BLOCKED\nRECOMMENDATION: need a key\n---END_RALPH_STATUS---""#,
            ),
            "",
            0,
        ),
        (
            "finished",
            claude_result(
                r#""subtype":"success","is_error":false,"num_turns":3,"permission_denials":[{"tool_name":"WebFetch"}],"result":"done anyway""#,
            ),
            "",
            0,
        ),
        (
            "config_error",
            String::new(),
            "error: unknown option '--max-turnz'\n",
            1,
        ),
        (
            "crashed",
            "No conversation found with session ID: x".to_owned(),
            "",
            1,
        ),
        ("crashed", String::new(), "", 143),
        (
            "auth",
            String::new(),
            "Not logged in · Please run /login\n",
            1,
        ),
        // All output formats are accepted: one object, or an array of all events.
        (
            "finished",
            format!("[{}]", CLAUDE_DONE.trim().replace('\n', ",")),
            "",
            0,
        ),
        (
            "finished",
            claude_result(r#""subtype":"success","is_error":false,"num_turns":3,"result":"ok""#),
            "(node) warning\n",
            0,
        ),
    ];
    for (expected, stream, stderr, code) in cases {
        let verdict = verdict(EngineName::Claude, &stream, stderr, code);
        let name = match &verdict {
            Finished => "finished",
            UsageLimit { .. } => "usage_limit",
            Throttled { .. } => "throttled",
            Auth { .. } => "auth",
            Budget { .. } => "budget",
            PermissionDenied { .. } => "permission_denied",
            NeedsInput { .. } => "needs_input",
            Blocked { .. } => "blocked",
            ConfigError { .. } => "config_error",
            Crashed { .. } => "crashed",
        };
        assert_eq!(name, expected, "{stream} {stderr} {code}: {verdict:?}");
    }
}

#[test]
fn a_rejected_limit_that_the_run_survived_is_no_limit() {
    let stream = format!(
        "{}\n{}\n{}",
        r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795739400,"rateLimitType":"seven_day_opus"}}"#,
        r#"{"type":"assistant","message":{"id":"m","content":[{"type":"text","text":"on with another model"}]}}"#,
        claude_result(
            r#""subtype":"error_during_execution","is_error":true,"num_turns":3,"errors":["hook failed"]"#
        ),
    );
    assert!(matches!(
        verdict(EngineName::Claude, &stream, "", 1),
        Verdict::Crashed { .. }
    ));
}

/// What claude says in a result that is an error, with a status.
fn claude_error(status: u16, words: &str) -> Verdict {
    let result = claude_result(&format!(
        r#""subtype":"success","is_error":true,"num_turns":1,"api_error_status":{status},"result":"{words}""#
    ));
    verdict(EngineName::Claude, &result, "", 1)
}

#[test]
fn an_order_that_is_refused_stops_nobody_else() {
    for (words, reason) in [
        ("Prompt is too long", "blocking_limit"),
        ("API Error: 400 messages.1: invalid value", "api_error"),
    ] {
        let stream = format!(
            "{}\n{}",
            r#"{"type":"assistant","error":"invalid_request","message":{"model":"<synthetic>","content":[{"type":"text","text":"x"}]}}"#,
            claude_result(&format!(
                r#""subtype":"success","is_error":true,"num_turns":1,"api_error_status":400,"terminal_reason":"{reason}","result":"{words}""#
            )),
        );
        let verdict = verdict(EngineName::Claude, &stream, "", 1);
        let expected = Verdict::Crashed {
            message: words.to_owned(),
        };
        assert_eq!(verdict, expected);
    }
    let stream = format!(
        "{}\n{}",
        r#"{"type":"assistant","error":"model_not_found","message":{"content":[]}}"#,
        claude_result(
            r#""subtype":"success","is_error":true,"num_turns":1,"result":"no such model""#
        ),
    );
    let verdict = verdict(EngineName::Claude, &stream, "", 1);
    assert!(
        matches!(verdict, Verdict::ConfigError { .. }),
        "{verdict:?}"
    );
}

#[test]
fn a_limit_of_something_else_is_no_limit_of_the_account() {
    for words in [
        "Context limit reached · /compact or /clear to continue",
        "Turn limit reached (30)",
        "write failed: Disk quota exceeded (os error 122)",
        "I set the spend limit of the test account",
        "The rate limit · resets in a minute, says the README",
    ] {
        let verdict = failure(words, now(), &berlin());
        assert!(matches!(verdict, Verdict::Crashed { .. }), "{verdict:?}");
    }
    let turns = claude_result(
        r#""subtype":"error_max_turns","is_error":true,"num_turns":30,"result":"You've hit your limit of 30 turns""#,
    );
    let verdict = verdict(EngineName::Claude, &turns, "", 1);
    assert!(matches!(verdict, Verdict::Budget { .. }), "{verdict:?}");
}

#[test]
fn the_limit_of_an_account_is_known_in_its_many_wordings() {
    let cases = [
        (
            "You have reached your usage limit · resets 11:30pm",
            Some("2026-11-26T22:30:00Z"),
        ),
        (
            "weekly limit · resets Mon 12:00am",
            Some("2026-11-29T23:00:00Z"),
        ),
        (
            "Opus weekly limit reached ∙ resets Mon 12:00am",
            Some("2026-11-29T23:00:00Z"),
        ),
        (
            "Claude AI usage limit reached|1795803013",
            Some("2026-11-27T18:10:13Z"),
        ),
        ("5-hour limit reached", None),
    ];
    for (words, expected) in cases {
        let Verdict::UsageLimit { resets_at, .. } = claude_error(429, words) else {
            panic!("{words}: {:?}", claude_error(429, words));
        };
        assert_eq!(resets_at, expected.map(at), "{words}");
    }
}

#[test]
fn a_number_and_a_word_of_the_work_are_no_busy_service() {
    for words in [
        "test failed at line 15293",
        "internal/process:15293",
        "request id req_0529abc",
        "error: 5291 files differ",
        "error: call of overloaded 'f(int)' is ambiguous",
        "fork: Resource temporarily unavailable",
        "I added a rate limit to the API.",
    ] {
        let verdict = failure(words, now(), &berlin());
        assert!(matches!(verdict, Verdict::Crashed { .. }), "{verdict:?}");
    }
    for words in [
        "API Error: 529",
        "API Error: Overloaded",
        "Repeated 529 Overloaded errors",
        "exceeded retry limit, last status: 429 Too Many Requests",
        "This request would exceed your organization\u{2019}s rate limit of 40,000 tokens",
    ] {
        let verdict = failure(words, now(), &berlin());
        assert!(matches!(verdict, Verdict::Throttled { .. }), "{verdict:?}");
    }
}

#[test]
fn what_another_program_says_of_a_login_is_not_about_the_agents() {
    for words in [
        "fatal: Authentication failed for 'https://example.org/x.git/'",
        "exit 1: fatal: Authentication failed for 'https://example.org/x.git/'",
        "remote: Invalid API key",
        "AssertionError: expected 200, found 401 Unauthorized",
        "You are not logged into any GitHub hosts. To log in, run: gh auth login",
        "fatal: unable to access 'https://example.org/': The requested URL returned error: 429",
        "curl: (22) The requested URL returned error: 429",
        "npm ERR! unknown command: x",
    ] {
        let verdict = failure(words, now(), &berlin());
        assert!(matches!(verdict, Verdict::Crashed { .. }), "{verdict:?}");
    }
    for words in [
        "Not logged in · Please run /login",
        "exit 1: You are not logged in.",
        "unexpected status 401 Unauthorized: Missing bearer",
        "exceeded retry limit, last status: 401 Unauthorized",
        "Failed to authenticate. API Error: 401",
        "Invalid API key · Fix external API key",
        "fatal: could not push\nInvalid API key",
        "Your access token could not be refreshed because your refresh token was revoked. Please log out and sign in again.",
        "Your access token could not be refreshed because your refresh token has expired. Please log out and sign in again.",
        "Your access token could not be refreshed because your refresh token was already used. Please log out and sign in again.",
        "Incorrect API key provided: sk-x. You can find your API key at https://platform.example/account",
    ] {
        let verdict = failure(words, now(), &berlin());
        assert!(matches!(verdict, Verdict::Auth { .. }), "{verdict:?}");
    }
}

#[test]
fn a_cost_that_nobody_pays_is_not_said() {
    for (said, expected) in [
        ("0.25", Some(0.25)),
        ("0", Some(0.0)),
        ("-5", None),
        ("1e308", None),
        ("\"1\"", None),
    ] {
        let line = format!(r#"{{"ralph":"outcome","outcome":"done","cost_usd":{said}}}"#);
        let (reading, _) = read_all(EngineName::Command, &line, "", exit(0));
        assert_eq!(reading.usage.cost_usd, expected, "{said}");
        let line = format!(r#""is_error":false,"num_turns":1,"total_cost_usd":{said}"#);
        let (reading, _) = read_all(EngineName::Claude, &claude_result(&line), "", exit(0));
        assert_eq!(reading.usage.cost_usd, expected, "{said}");
    }
}

#[test]
fn counts_that_no_sum_can_hold_end_no_loop() {
    let most = u64::MAX;
    let message = |id: u8| {
        let usage = format!(
            r#"{{"input_tokens":{most},"cache_read_input_tokens":{most},"cache_creation_input_tokens":{most}}}"#
        );
        format!(
            r#"{{"type":"assistant","message":{{"id":"m{id}","content":[{{"type":"text","text":"x"}}],"usage":{usage}}}}}"#
        )
    };
    let model = format!(
        r#"{{"inputTokens":{most},"cacheReadInputTokens":{most},"cacheCreationInputTokens":{most}}}"#
    );
    let result = claude_result(&format!(
        r#""is_error":false,"num_turns":1,"modelUsage":{{"a":{model},"b":{model}}}"#
    ));
    let stream = format!("{}\n{}\n{result}", message(1), message(2));
    let (reading, _) = read_all(EngineName::Claude, &stream, "", exit(0));
    assert_eq!(reading.verdict, Verdict::Finished);
}

#[test]
fn no_token_is_cut_in_two() {
    let token = format!("ghp_{}", "a1".repeat(20));
    for length in [1990, 1999] {
        let words = format!("{} {token}", "x".repeat(length));
        let line = format!(r#"{{"ralph":"outcome","outcome":"done","summary":"{words}"}}"#);
        let (reading, _) = read_all(EngineName::Command, &line, "", exit(0));
        let summary = reading.summary.unwrap();
        assert!(
            summary.ends_with("x …") && !summary.contains("ghp"),
            "{summary}"
        );
    }
    let command = format!(
        "curl -H 'Authorization: Bearer {token}' {}",
        "x".repeat(200)
    );
    let denial = format!(
        r#""is_error":false,"num_turns":1,"permission_denials":[{{"tool_name":"Bash","tool_input":{{"command":"{} {command}"}}}}]"#,
        "y".repeat(60)
    );
    let (reading, _) = read_all(EngineName::Claude, &claude_result(&denial), "", exit(0));
    assert!(!reading.denials[0].contains("a1"), "{:?}", reading.denials);
}

#[test]
fn a_cut_event_is_nothing_that_was_said() {
    let words = "You've hit your session limit · resets 3:30am (America/New_York)";
    let event = format!(r#"{{"type":"result","is_error":true,"result":"{words}"#);
    let long = format!(r#"{{"type":"user","message":"{words}" [500 more bytes]"#);
    for line in [&event, &long, &format!("[{event}")] {
        for name in [EngineName::Claude, EngineName::Codex, EngineName::Devin] {
            let (reading, _) = read_all(name, line, "", ExitInfo { code: 0, signal: 9 });
            let verdict = reading.verdict;
            assert!(
                matches!(verdict, Verdict::Crashed { .. }),
                "{name}: {verdict:?}"
            );
        }
    }
    let plain = verdict(EngineName::Claude, words, "", 1);
    assert!(matches!(plain, Verdict::UsageLimit { .. }), "{plain:?}");
}

#[test]
fn a_claude_that_is_killed_has_used_what_its_messages_say() {
    let stream: Vec<&str> = CLAUDE_DONE
        .lines()
        .filter(|line| !line.contains("\"result\","))
        .collect();
    let killed = ExitInfo { code: 0, signal: 9 };
    let (reading, _) = read_all(EngineName::Claude, &stream.join("\n"), "", killed);
    let usage = Usage {
        input_tokens: 30,
        cached_tokens: 150,
        output_tokens: 32,
        cost_usd: None,
        turns: 2,
    };
    assert_eq!(reading.usage, usage);
    assert!(matches!(reading.verdict, Verdict::Crashed { .. }));
    assert_eq!(
        reading.session_id.as_deref(),
        Some("5f1e0a2c-0000-8000-a000-000000000001")
    );
}

#[test]
fn codex_at_its_limit_names_a_local_time() {
    let expected = Verdict::UsageLimit {
        resets_at: Some(at("2026-11-28T11:30:00Z")),
        window: None,
        message:
            "You've hit your usage limit. Upgrade to Pro or try again at Nov 28th, 2026 12:30 PM."
                .to_owned(),
    };
    assert_eq!(verdict(EngineName::Codex, CODEX_LIMIT, "", 1), expected);
}

#[test]
fn what_codex_says_at_its_end() {
    let started = r#"{"type":"thread.started","thread_id":"t"}"#;
    let failed = |message: &str| {
        format!("{started}\n{{\"type\":\"turn.failed\",\"error\":{{\"message\":\"{message}\"}}}}")
    };
    let is = |expected: fn(&Verdict) -> bool, stream: &str, stderr: &str, code: i32| {
        let verdict = verdict(EngineName::Codex, stream, stderr, code);
        assert!(expected(&verdict), "{stream} {stderr} {code}: {verdict:?}");
    };
    let crashed = |verdict: &Verdict| matches!(verdict, Verdict::Crashed { .. });
    // Conformance 103: a failed turn or an error that nothing followed is a failure, also with exit 0.
    is(crashed, &failed("stream disconnected"), "", 0);
    is(
        crashed,
        &format!(
            "{started}\n{{\"type\":\"item.completed\",\"item\":{{\"type\":\"error\",\"message\":\"boom\"}}}}"
        ),
        "",
        0,
    );
    is(
        crashed,
        &format!(
            "{started}\n{{\"type\":\"error\",\"message\":\"Reconnecting... waiting for network\"}}"
        ),
        "",
        143,
    );
    is(crashed, "", "", 0);
    is(crashed, CODEX_DONE, "", 1);
    is(
        |v| matches!(v, Verdict::Auth { .. }),
        &failed("unexpected status 401 Unauthorized: log in again"),
        "",
        1,
    );
    is(
        |v| matches!(v, Verdict::Throttled { .. }),
        &failed("exceeded retry limit, last status: 429 Too Many Requests"),
        "",
        1,
    );
    is(
        |v| {
            matches!(
                v,
                Verdict::UsageLimit {
                    resets_at: None,
                    ..
                }
            )
        },
        &failed("Your workspace is out of credits. Ask your admin."),
        "",
        1,
    );
    is(
        |v| matches!(v, Verdict::UsageLimit { .. }),
        &failed("Quota exceeded. Check your plan and billing details."),
        "",
        1,
    );
    let usage = "error: unexpected argument '--prompt-file' found\n\nUsage: codex [OPTIONS]\n\nFor more information, try '--help'.\n";
    let named = Verdict::ConfigError {
        message: "error: unexpected argument '--prompt-file' found".to_owned(),
    };
    assert_eq!(verdict(EngineName::Codex, "", usage, 2), named);
    let denied = r#"{"type":"item.completed","item":{"type":"command_execution","command":"git push","aggregated_output":"error: sandbox: operation not permitted\n","exit_code":1,"status":"failed"}}"#;
    let (reading, _) = read_all(
        EngineName::Codex,
        &format!("{started}\n{denied}\n{{\"type\":\"turn.completed\",\"usage\":{{}}}}"),
        "",
        exit(0),
    );
    assert_eq!(
        (reading.verdict, reading.denials),
        (Verdict::Finished, vec!["git push".to_owned()])
    );
}

#[test]
fn tokens_without_a_price_have_no_cost_and_with_one_they_do() {
    let mut settings = settings(EngineName::Codex);
    let cost = |settings: &EngineSettings| {
        let mut reader = engine(settings).expect("an engine").reader();
        CODEX_DONE
            .lines()
            .for_each(|line| reader.line(line, &mut |_| ()));
        let zone = TimeZone::UTC;
        reader
            .finish(&Finish {
                exit: exit(0),
                stderr: "",
                now: now(),
                zone: &zone,
            })
            .usage
            .cost_usd
    };
    assert_eq!(cost(&settings), None);
    settings.prices = Some(Prices {
        input: 1.0,
        cached: 0.0,
        output: 10.0,
    });
    let expected = 315.0 / 1e6 + 122.0 * 10.0 / 1e6;
    assert!((cost(&settings).expect("a cost") - expected).abs() < 1e-12);
}

#[test]
fn what_devin_says_at_its_end() {
    let devin = |stream: &str, stderr: &str, code| verdict(EngineName::Devin, stream, stderr, code);
    assert_eq!(
        devin(
            "Looking at ratelimit.ts\nYou've hit your limit, says a comment\nDone.",
            "",
            0
        ),
        Verdict::Finished
    );
    assert!(matches!(
        devin("working\nYou've hit your usage limit", "", 1),
        Verdict::UsageLimit { .. }
    ));
    assert!(matches!(
        devin("", "error: unexpected argument '--prompt-file'\n", 2),
        Verdict::ConfigError { .. }
    ));
    assert_eq!(
        devin("a\nb", "", 3),
        Verdict::Crashed {
            message: "exit 3: b".to_owned()
        }
    );
    assert!(matches!(
        devin("{\"is_error\":true,\"result\":\"Not logged in\"}", "", 0),
        Verdict::Auth { .. }
    ));
    let blocked =
        "---RALPH_STATUS---\nSTATUS: BLOCKED\nRECOMMENDATION: which one?\n---END_RALPH_STATUS---";
    assert_eq!(
        devin(blocked, "", 0),
        Verdict::Blocked {
            reason: "which one?".to_owned()
        }
    );
}

#[test]
fn what_a_command_says_at_its_end() {
    let say = |members: &str, code| {
        verdict(
            EngineName::Command,
            &format!("noise\n{{\"ralph\":\"outcome\",{members}}}\nmore noise"),
            "",
            code,
        )
    };
    assert_eq!(say(r#""outcome":"done""#, 0), Verdict::Finished);
    assert_eq!(
        say(r#""outcome":"needs_input","prompt":"which seed?""#, 0),
        Verdict::NeedsInput {
            prompt: "which seed?".to_owned()
        }
    );
    assert_eq!(
        say(r#""outcome":"blocked","reason":"no data""#, 0),
        Verdict::Blocked {
            reason: "no data".to_owned()
        }
    );
    let limit = |resets_at| Verdict::UsageLimit {
        resets_at,
        window: None,
        message: "later".to_owned(),
    };
    for resets in [r#""2026-11-26T22:00:03Z""#, "1795730403"] {
        let said = say(
            &format!(r#""outcome":"usage_limit","reason":"later","resets_at":{resets}"#),
            1,
        );
        assert_eq!(said, limit(Some(at("2026-11-26T22:00:03Z"))));
    }
    assert_eq!(
        say(r#""outcome":"usage_limit","reason":"later""#, 1),
        limit(None)
    );
    assert_eq!(
        say(r#""outcome":"throttled","retry_after":7"#, 1),
        Verdict::Throttled {
            retry_after: Some(7),
            message: String::new()
        }
    );
    assert_eq!(
        say(r#""outcome":"failed","reason":"why""#, 0),
        Verdict::Crashed {
            message: "why".to_owned()
        }
    );
    // A program that is done exits with zero, whatever it says.
    assert_eq!(
        say(r#""outcome":"done""#, 1),
        Verdict::Crashed {
            message: "exit 1, though it says that it is done".to_owned()
        }
    );
    assert_eq!(
        say(r#""outcome":"blocked""#, 0),
        Verdict::Blocked {
            reason: "it does not say what".to_owned()
        }
    );
    // A word that is not known leaves the outcome to the exit code.
    assert_eq!(say(r#""outcome":"splendid""#, 0), Verdict::Finished);
    assert_eq!(
        say(r#""cost_usd":1.5"#, 4),
        Verdict::Crashed {
            message: "exit 4: more noise".to_owned()
        }
    );
}

#[test]
fn a_refusal_is_told_as_no_work_and_what_it_used_is_kept() {
    let command = r#"{"ralph":"outcome","outcome":"usage_limit","session_id":"s","cost_usd":0.5}"#;
    let claude = [
        r#"{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1795739400}}"#,
        r#"{"type":"assistant","isApiErrorMessage":true,"message":{"id":"m","content":[{"type":"text","text":"no"}],"usage":{}}}"#,
        r#"{"type":"result","subtype":"success","is_error":true,"num_turns":1,"result":"no","total_cost_usd":0.5}"#,
    ];
    for (name, stream) in [
        (EngineName::Command, command.to_owned()),
        (EngineName::Claude, claude.join("\n")),
    ] {
        let (reading, told) = read_all(name, &stream, "", exit(1));
        let is_work = |told: &Progress| matches!(told, Progress::Usage(_) | Progress::Doing(_));
        assert!(!told.iter().any(is_work), "{name}: {told:?}");
        assert_eq!(reading.usage.cost_usd, Some(0.5), "{name}");
        let verdict = reading.verdict;
        assert!(
            matches!(verdict, Verdict::UsageLimit { .. }),
            "{name}: {verdict:?}"
        );
    }
}

#[test]
fn reset_times_are_absolute_and_in_the_future() {
    let reset = |text: &str| reset::reset_time(text, now(), &berlin()).map(|at| at.to_string());
    let cases = [
        (
            "You've hit your session limit · resets 3:30am (America/New_York)",
            Some("2026-11-27T08:30:00Z"),
        ),
        (
            "hit your limit · resets 11pm (America/New_York)",
            Some("2026-11-27T04:00:00Z"),
        ),
        (
            "weekly limit · resets Mon 12:00am (UTC)",
            Some("2026-11-30T00:00:00Z"),
        ),
        // Thursday evening: today's day, a time that is over, and one that was over in the morning.
        ("weekly limit · resets Thu 9pm (UTC)", None),
        (
            "weekly limit · resets Thu 9am (UTC)",
            Some("2026-12-03T09:00:00Z"),
        ),
        (
            "weekly limit · resets Thu 11pm (UTC)",
            Some("2026-11-26T23:00:00Z"),
        ),
        (
            "resets Nov 30 at 4am (Asia/Tokyo)",
            Some("2026-11-29T19:00:00Z"),
        ),
        (
            "You're out of extra usage · resets 7pm",
            Some("2026-11-27T18:00:00Z"),
        ),
        // It is 23:00 in Berlin, and 7:00 in Tokyo: a limit that has just opened is no limit of tomorrow.
        ("You're out of extra usage · resets 9pm", None),
        ("hit your limit · resets 11pm", None),
        ("hit your limit · resets 6:59am (Asia/Tokyo)", None),
        // An evening that is read after midnight.
        ("hit your limit · resets 11pm (Europe/Moscow)", None),
        // Nor is one that has opened this year a limit of the next.
        ("resets Oct 9 at 5am (Europe/Berlin)", None),
        ("resets Nov 26 at 10pm", None),
        (
            "resets Jun 9 at 5am (Europe/Berlin)",
            Some("2027-06-09T03:00:00Z"),
        ),
        (
            "try again at Oct 9th, 2027 5:00 AM",
            Some("2027-10-09T03:00:00Z"),
        ),
        (
            "usage limit. Try again at 3:28 PM.",
            Some("2026-11-27T14:28:00Z"),
        ),
        (
            "usage limit. Try again at 11:28 PM.",
            Some("2026-11-26T22:28:00Z"),
        ),
        (
            "Upgrade to Pro or try again at Jan 8th, 2027 12:30 PM.",
            Some("2027-01-08T11:30:00Z"),
        ),
        (
            "try again at Jan 8th 12:30 PM",
            Some("2027-01-08T11:30:00Z"),
        ),
        ("resets at 23:45", Some("2026-11-26T22:45:00Z")),
        (
            "try again at 2026-11-26T23:00:00Z",
            Some("2026-11-26T23:00:00Z"),
        ),
        ("resets 1795734000", Some("2026-11-26T23:00:00Z")),
        (
            "try again in 2 hours 5 minutes",
            Some("2026-11-27T00:05:00Z"),
        ),
        ("resets in 90s", Some("2026-11-26T22:01:30Z")),
        ("Try again later.", None),
        ("try again at 2020-01-01T00:00:00Z", None),
        ("resets (Nowhere/Land)", None),
        ("no time at all", None),
        // A zone that nobody knows is taken for the local one.
        (
            "resets 12am (Atlantis/Capital)",
            Some("2026-11-26T23:00:00Z"),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(reset(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn a_status_block_is_anchored_and_the_last_complete_one_counts() {
    let block = |text: &str| {
        let mut scanner = StatusScanner::default();
        scanner.text(text);
        scanner.block().cloned()
    };
    let wrap = |fields: &str| format!("---RALPH_STATUS---\n{fields}\n---END_RALPH_STATUS---\n");
    // Defect 8.31: TESTS_STATUS is not STATUS.
    let both = block(&wrap("TESTS_STATUS: FAILING\nSTATUS: COMPLETE")).expect("a block");
    assert_eq!(
        (both.status, both.tests.as_deref()),
        (Some(StatusWord::Complete), Some("FAILING"))
    );
    assert!(both.is_complete());
    let explicit = block(&wrap("STATUS: COMPLETE\nEXIT_SIGNAL: false")).expect("a block");
    assert!(
        !explicit.is_complete(),
        "the explicit signal outranks the word"
    );
    let two = format!(
        "{}{}---RALPH_STATUS---\nSTATUS: BLOCKED",
        wrap("STATUS: BLOCKED"),
        wrap("STATUS: IN_PROGRESS")
    );
    assert_eq!(
        block(&two).and_then(|block| block.status),
        Some(StatusWord::InProgress)
    );
    assert_eq!(
        block(&wrap("STATUS: IN_PROGRESS | COMPLETE | BLOCKED")),
        None,
        "an echo of the instructions"
    );
    assert_eq!(block(&wrap(&"x\n".repeat(100))), None);
    assert_eq!(block("the work is incomplete"), None);
}

#[test]
fn command_lines_are_split_as_a_shell_splits_words() {
    let split = |text: &str| split_command(text);
    assert_eq!(
        split(" a  b\tc ").as_deref(),
        Ok(&["a", "b", "c"].map(str::to_owned)[..])
    );
    assert_eq!(
        split(r#"p 'a b' "c \"d\" \e" x\ y ''"#).as_deref(),
        Ok(&["p", "a b", "c \"d\" \\e", "x y", ""].map(str::to_owned)[..])
    );
    assert_eq!(
        split("$HOME `x` ;").as_deref(),
        Ok(&["$HOME", "`x`", ";"].map(str::to_owned)[..])
    );
    for open in ["'a", "\"a", "a \"b\\"] {
        assert!(
            matches!(split(open), Err(SettingsError::OpenQuote { .. })),
            "{open}"
        );
    }
    let none = EngineSettings::new(EngineName::Command);
    assert!(matches!(engine(&none), Err(SettingsError::NoCommand)));
}

#[test]
fn names_of_engines_are_read_in_any_case() {
    for name in EngineName::ALL {
        assert_eq!(name.as_str().to_uppercase().parse(), Ok(name));
    }
    assert!("gemini".parse::<EngineName>().is_err());
}

proptest! {
    #[test]
    fn no_stream_makes_a_reader_panic(
        lines in prop::collection::vec(prop_oneof![
            prop::sample::select([CLAUDE_DONE, CLAUDE_LIMIT, CODEX_DONE, CODEX_LIMIT].concat().lines().map(str::to_owned).collect::<Vec<_>>()),
            ".{0,80}",
        ], 0..20),
        cut in 0_usize..400,
        stderr in ".{0,80}",
        code in 0_i32..3,
    ) {
        let cut: Vec<String> = lines.iter().map(|line| line.chars().take(cut).collect()).collect();
        for name in EngineName::ALL {
            for lines in [&lines, &cut] {
                let _ = read_all(name, &lines.join("\n"), &stderr, exit(code));
            }
        }
    }

    #[test]
    fn a_reset_time_is_never_in_the_past(text in "(resets |try again (at|in) )?[0-9a-zA-Z:, ().-]{0,40}") {
        let message = format!("You've hit your limit · {text}");
        if let Verdict::UsageLimit { resets_at: Some(at), .. } = failure(&message, now(), &berlin()) {
            prop_assert!(at > now());
        }
    }
}
