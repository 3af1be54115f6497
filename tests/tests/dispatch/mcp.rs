//! `ralph mcp` as an agent uses it: line by line over its standard streams, to the end of its input.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use ralph_tests::{Workspace, wait_until};
use serde_json::{Value, json};

/// A server and both ends of the line to it.
struct Agent {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Agent {
    fn of(workspace: &Workspace) -> Self {
        let mut command = workspace.command(&["mcp"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ralph");
        let to = child.stdin.take().expect("its input");
        let from = BufReader::new(child.stdout.take().expect("its output"));
        let mut agent = Self { child, to, from };
        let hello = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        });
        let server = agent.ask("initialize", &hello);
        assert_eq!(server["result"]["serverInfo"]["name"], "ralph", "{server}");
        agent.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        agent
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.to, "{message}").expect("it reads");
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.say(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}));
        let mut line = String::new();
        self.from.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).expect("nothing but the protocol is on its output")
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let answer = self.ask("tools/call", &json!({"name": tool, "arguments": arguments}));
        answer["result"].clone()
    }
}

#[test]
fn an_agent_advances_a_project_by_tools_and_is_told_what_fails() {
    let workspace = Workspace::new();
    let _ = workspace.ralph(&["init", "--cluster", "local"]).ended(0);
    let mut agent = Agent::of(&workspace);
    let tools = agent.ask("tools/list", &json!({}));
    let tools = tools["result"]["tools"].as_array().expect("tools").clone();
    assert_eq!(tools.len(), 18, "{tools:?}");

    let made = agent.call("new", &json!({"slug": "toy"}));
    assert_eq!(made["structuredContent"]["project"], "toy", "{made}");
    let known = agent.call("status", &json!({}));
    assert_eq!(
        known["structuredContent"]["projects"][0]["project"], "toy",
        "{known}"
    );
    let step = agent.call("dispatch", &json!({"project": ["toy"]}));
    assert_eq!(step["isError"], false, "{step}");
    assert!(
        step["structuredContent"]["schema_version"].is_number(),
        "{step}"
    );

    let twice = agent.call("new", &json!({"slug": "toy"}));
    assert_eq!(twice["isError"], true, "{twice}");
    let unknown = agent.call("dispatch", &json!({"until_idle": true}));
    assert_eq!(unknown["isError"], true, "{unknown}");

    let Agent { mut child, to, .. } = agent;
    drop(to);
    assert!(child.wait().expect("its end").success());
}

#[test]
fn a_call_that_is_not_wanted_any_more_is_interrupted_and_keeps_nothing_waiting() {
    let workspace = Workspace::new();
    let _ = workspace.ralph(&["init", "--cluster", "local"]).ended(0);
    workspace.project("slow", "TEST", &[]);
    let started = workspace.path("started");
    let command = format!("echo > '{}'; exec sleep 600", started.display());
    let config = json!({"cluster": {"kind": "local"}, "test_command": ["sh", "-c", command]});
    workspace.write(".claude/ralph/config.json", &config.to_string());
    let mut agent = Agent::of(&workspace);
    let call = json!({"name": "dispatch", "arguments": {}});
    agent.say(&json!({"jsonrpc": "2.0", "id": "long", "method": "tools/call", "params": call}));
    wait_until("the command runs", || started.exists());
    let pong = agent.ask("ping", &json!({}));
    assert_eq!(pong["id"], 1, "{pong}");
    agent.say(&json!({
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": "long"},
    }));
    let Agent {
        mut child,
        to,
        mut from,
    } = agent;
    drop(to);
    assert!(child.wait().expect("its end").success());
    let mut rest = String::new();
    from.read_line(&mut rest).expect("its output");
    assert_eq!(rest, "", "what was cancelled has no answer");
}
