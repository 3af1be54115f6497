//! `ralph mcp`: the verbs as tools for an agent, over standard input and output (Model Context Protocol).
//!
//! Each call is a `ralph` of its own: its answer is its `--json` output, and one that ends badly takes nothing along. What
//! must never be here: anything else on standard output, a verb done in another way than on the command line.

mod tools;

use std::path::PathBuf;
use std::process::Stdio;

use ralph_core::error::Code;
use ralph_front::output::Output;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::Command;

use crate::args::Global;
use crate::commands::block_on;
use crate::env_vars;
use crate::exit::{Failure, Outcome};

/// What an agent is told about all of them.
const INSTRUCTIONS: &str = "Runs research projects on a cluster. Start with `status`. `dispatch` verifies every outstanding \
job and advances each project by one step; call it again when it says that something is due. A step that needs you comes back as \
a work order. Exit code 5 means that every project waits for a person.";

/// Serves until standard input ends.
pub(crate) fn run(global: &Global, output: &Output) -> Outcome {
    let server = Server {
        program: env_vars::program().map_err(|error| {
            Failure::new(
                Code::Failed,
                format!("the running program cannot be found: {error}"),
            )
        })?,
        root: global.root.clone(),
        verbs: tools::all(&crate::command()),
    };
    if output.on_terminal() {
        output.note("An agent talks to this over standard input; for Claude Code: claude mcp add ralph -- ralph mcp");
    }
    block_on(serve(server))?
}

async fn serve(server: Server) -> Outcome {
    let failed = |error: String| Failure::new(Code::Failed, error);
    let service = server
        .serve(rmcp::transport::stdio())
        .await
        .map_err(|error| failed(format!("the agent cannot be talked to: {error}")))?;
    service
        .waiting()
        .await
        .map_err(|error| failed(error.to_string()))?;
    Ok(None)
}

#[derive(Debug)]
struct Server {
    program: PathBuf,
    root: Option<PathBuf>,
    verbs: Vec<tools::Verb>,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("ralph", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.verbs.iter().map(tools::Verb::tool).collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let verb = self.verbs.iter().find(|verb| verb.name() == request.name);
        let verb = verb.ok_or_else(|| {
            ErrorData::invalid_params(format!("there is no tool `{}`", request.name), None)
        })?;
        let given = request.arguments.unwrap_or_default();
        let result = match verb.words(&given) {
            Ok(words) => self.call(words, &context).await,
            Err(wrong) => CallToolResult::error(vec![ContentBlock::text(wrong)]),
        };
        Ok(result.into())
    }
}

impl Server {
    /// Runs a verb to its end. An agent that does not want to know any more interrupts it as a person would.
    async fn call(
        &self,
        words: Vec<String>,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let mut command = Command::new(&self.program);
        if let Some(root) = &self.root {
            command.arg("--root").arg(root);
        }
        let child = command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) => {
                let text = format!("{}: cannot be started: {error}", self.program.display());
                return CallToolResult::error(vec![ContentBlock::text(text)]);
            }
        };
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let ended = child.wait_with_output();
        tokio::pin!(ended);
        let ended = tokio::select! {
            ended = &mut ended => ended,
            () = context.ct.cancelled() => {
                if let Some(pid) = pid.and_then(Pid::from_raw) {
                    // It may have ended just now.
                    let _ = kill_process(pid, Signal::INT);
                }
                ended.await
            }
        };
        match ended {
            Ok(ended) => answer(
                &String::from_utf8_lossy(&ended.stdout),
                &String::from_utf8_lossy(&ended.stderr),
                ended.status.code(),
            ),
            Err(error) => CallToolResult::error(vec![ContentBlock::text(error.to_string())]),
        }
    }
}

/// What a verb said, and how it ended where that was not well. A verb that answers has not failed, whatever its code says
/// about what it found.
fn answer(stdout: &str, stderr: &str, code: Option<i32>) -> CallToolResult {
    let data: Option<Value> = serde_json::from_str(stdout).ok();
    let mut content = Vec::new();
    for text in [stdout, stderr] {
        if !text.trim().is_empty() {
            content.push(ContentBlock::text(text.trim_end()));
        }
    }
    match code {
        Some(0) => {}
        Some(code) => content.push(ContentBlock::text(format!("exit code {code}"))),
        None => content.push(ContentBlock::text("ended by a signal")),
    }
    let mut result = match code {
        Some(0) => CallToolResult::success(content),
        Some(_) if data.is_some() => CallToolResult::success(content),
        _ => CallToolResult::error(content),
    };
    result.structured_content = data.filter(Value::is_object);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_that_answers_has_not_failed() {
        let waits = answer("{\"steps\": []}\n", "", Some(5));
        assert_eq!((waits.is_error, waits.content.len()), (Some(false), 2));
        assert!(waits.structured_content.is_some());
        let broken = answer("", "{\"error\": {}}\n", Some(11));
        assert_eq!((broken.is_error, broken.content.len()), (Some(true), 2));
        assert!(broken.structured_content.is_none());
        let killed = answer("", "", None);
        assert_eq!((killed.is_error, killed.content.len()), (Some(true), 1));
    }
}
