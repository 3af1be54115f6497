//! What every knob is called, in the environment and in `.ralphrc`: the old names and ours. No value is read here.

use super::source::Knob;
use crate::engine::EngineName;

const fn knob(flag: &'static str, names: &'static [&'static str]) -> Knob {
    Knob {
        flag,
        names,
        file_names: &[],
    }
}

pub(super) const WORKERS: Knob = knob("--parallel", &["RALPH_PARALLEL"]);
pub(super) const ATTEMPTS: Knob = knob("--max-tasks", &["RALPH_MAX_TASKS"]);
pub(super) const TASK_ATTEMPTS: Knob = knob("--max-task-attempts", &["RALPH_MAX_TASK_ATTEMPTS"]);
pub(super) const RESPAWN_DELAY: Knob = knob("--respawn-delay", &["RALPH_RESPAWN_DELAY"]);
pub(super) const NO_TABS: Knob = knob("--no-tabs", &["RALPH_DISABLE_TABS"]);
pub(super) const ENGINE: Knob = knob("--engine", &["RALPH_ENGINE", "RALPH_EXECUTION_ENGINE"]);
pub(super) const AGENT_COMMAND: Knob = Knob {
    flag: "--agent-command",
    names: &["RALPH_AGENT_COMMAND"],
    file_names: &["AGENT_COMMAND"],
};
pub(super) const CLAUDE_COMMAND: Knob = knob("", &["CLAUDE_CODE_CMD"]);
pub(super) const SKIP_PERMISSIONS: Knob = knob(
    "--dangerously-skip-permissions",
    &["DANGEROUSLY_SKIP_PERMISSIONS"],
);
pub(super) const ALLOWED_TOOLS: Knob = knob("--allowed-tools", &["ALLOWED_TOOLS"]);
pub(super) const MAX_TURNS: Knob = knob("", &["RALPH_MAX_TURNS"]);
pub(super) const USE_API_KEY: Knob = knob("", &["RALPH_USE_API_KEY"]);
pub(super) const PRICES: Knob = knob("", &["RALPH_PRICES"]);
pub(super) const SILENCE: Knob = knob("", &["RALPH_SILENCE_TIMEOUT"]);
pub(super) const AFTER_RESULT: Knob = knob("", &["RALPH_AFTER_RESULT_TIMEOUT"]);
pub(super) const GRACE: Knob = knob("", &["RALPH_STOP_GRACE"]);
pub(super) const GATES: Knob = knob("--quality-gates", &["WORKTREE_QUALITY_GATES"]);
pub(super) const GATE_TIMEOUT: Knob = knob("", &["WORKTREE_GATE_TIMEOUT"]);
pub(super) const INSTALL_TIMEOUT: Knob = knob("", &["WORKTREE_INSTALL_TIMEOUT"]);
pub(super) const MERGE_STRATEGY: Knob = knob("--merge-strategy", &["WORKTREE_MERGE_STRATEGY"]);
pub(super) const BRANCH_PREFIX: Knob = knob("", &["WORKTREE_BRANCH_PREFIX"]);
pub(super) const PULL_REQUESTS: Knob = knob("--no-pr", &["PR_ENABLED"]);
pub(super) const PR_BASE: Knob = knob("", &["PR_BASE_BRANCH"]);
pub(super) const PR_DRAFT: Knob = knob("", &["PR_DRAFT"]);
pub(super) const CALLS: Knob = knob("--calls", &["MAX_CALLS_PER_HOUR"]);
pub(super) const NO_PROGRESS: Knob = knob("", &["CB_NO_PROGRESS_THRESHOLD"]);
pub(super) const SAME_ERROR: Knob = knob("", &["CB_SAME_ERROR_THRESHOLD"]);
pub(super) const PERMISSION_DENIALS: Knob = knob("", &["CB_PERMISSION_DENIAL_THRESHOLD"]);
pub(super) const COOLDOWN: Knob = knob("", &["CB_COOLDOWN_MINUTES"]);
pub(super) const AUTO_RESET: Knob = knob("--auto-reset-circuit", &["CB_AUTO_RESET"]);
pub(super) const MAX_COST: Knob = knob("--max-cost", &["RALPH_MAX_COST_USD"]);
pub(super) const MAX_ATTEMPT_COST: Knob = knob("", &["RALPH_MAX_ATTEMPT_COST_USD"]);
pub(super) const LIMIT_MAX_WAIT: Knob = knob("", &["RALPH_LIMIT_MAX_WAIT_MINUTES"]);
pub(super) const LIMIT_MARGIN: Knob = knob("", &["RALPH_LIMIT_MARGIN"]);
pub(super) const PROMPT: Knob = knob("--prompt", &["PROMPT_FILE"]);

const CLAUDE_MODEL: Knob = knob("--model", &["CLAUDE_MODEL", "RALPH_MODEL"]);
const CODEX_MODEL: Knob = knob("--model", &["CODEX_MODEL", "RALPH_MODEL"]);
const DEVIN_MODEL: Knob = knob("--model", &["DEVIN_MODEL", "RALPH_MODEL"]);
const OTHER_MODEL: Knob = knob("--model", &["RALPH_MODEL"]);
const CLAUDE_TIMEOUT: Knob = knob(
    "--timeout",
    &["CLAUDE_TIMEOUT_MINUTES", "RALPH_TIMEOUT_MINUTES"],
);
const CODEX_TIMEOUT: Knob = knob(
    "--timeout",
    &[
        "CODEX_TIMEOUT_MINUTES",
        "CODEX_TIMEOUT",
        "RALPH_TIMEOUT_MINUTES",
    ],
);
const DEVIN_TIMEOUT: Knob = knob(
    "--timeout",
    &[
        "DEVIN_TIMEOUT_MINUTES",
        "DEVIN_TIMEOUT",
        "RALPH_TIMEOUT_MINUTES",
    ],
);
const OTHER_TIMEOUT: Knob = knob("--timeout", &["RALPH_TIMEOUT_MINUTES"]);
const CLAUDE_PERMISSION: Knob = knob("--permission-mode", &["CLAUDE_PERMISSION_MODE"]);
const CODEX_PERMISSION: Knob = knob("--permission-mode", &["CODEX_PERMISSION_MODE"]);
const DEVIN_PERMISSION: Knob = knob("--permission-mode", &["DEVIN_PERMISSION_MODE"]);
const OTHER_PERMISSION: Knob = knob("--permission-mode", &[]);

pub(super) fn model(engine: EngineName) -> Knob {
    match engine {
        EngineName::Claude => CLAUDE_MODEL,
        EngineName::Codex => CODEX_MODEL,
        EngineName::Devin => DEVIN_MODEL,
        EngineName::Command => OTHER_MODEL,
    }
}

pub(super) fn time_limit(engine: EngineName) -> Knob {
    match engine {
        EngineName::Claude => CLAUDE_TIMEOUT,
        EngineName::Codex => CODEX_TIMEOUT,
        EngineName::Devin => DEVIN_TIMEOUT,
        EngineName::Command => OTHER_TIMEOUT,
    }
}

pub(super) fn permission_mode(engine: EngineName) -> Knob {
    match engine {
        EngineName::Claude => CLAUDE_PERMISSION,
        EngineName::Codex => CODEX_PERMISSION,
        EngineName::Devin => DEVIN_PERMISSION,
        EngineName::Command => OTHER_PERMISSION,
    }
}

/// All knobs, those of every engine.
const KNOBS: [Knob; 47] = [
    WORKERS,
    ATTEMPTS,
    TASK_ATTEMPTS,
    RESPAWN_DELAY,
    NO_TABS,
    ENGINE,
    AGENT_COMMAND,
    CLAUDE_COMMAND,
    SKIP_PERMISSIONS,
    ALLOWED_TOOLS,
    MAX_TURNS,
    USE_API_KEY,
    PRICES,
    SILENCE,
    AFTER_RESULT,
    GRACE,
    GATES,
    GATE_TIMEOUT,
    INSTALL_TIMEOUT,
    MERGE_STRATEGY,
    BRANCH_PREFIX,
    PULL_REQUESTS,
    PR_BASE,
    PR_DRAFT,
    CALLS,
    NO_PROGRESS,
    SAME_ERROR,
    PERMISSION_DENIALS,
    COOLDOWN,
    AUTO_RESET,
    MAX_COST,
    MAX_ATTEMPT_COST,
    LIMIT_MAX_WAIT,
    LIMIT_MARGIN,
    PROMPT,
    CLAUDE_MODEL,
    CODEX_MODEL,
    DEVIN_MODEL,
    OTHER_MODEL,
    CLAUDE_TIMEOUT,
    CODEX_TIMEOUT,
    DEVIN_TIMEOUT,
    OTHER_TIMEOUT,
    CLAUDE_PERMISSION,
    CODEX_PERMISSION,
    DEVIN_PERMISSION,
    OTHER_PERMISSION,
];

/// Names that describe the project, or that belong to other programs that read the same file.
const INFORMATIONAL: [&str; 11] = [
    "BEADS_FILTER",
    "CLAUDE_MIN_VERSION",
    "GITHUB_TASK_LABEL",
    "PROJECT_NAME",
    "PROJECT_TYPE",
    "RALPH_VERBOSE",
    "SESSION_EXPIRY_HOURS",
    "DEVIN_SESSION_EXPIRY_HOURS",
    "TASK_SOURCES",
    "WORKSPACE_MODE",
    "WORKSPACE_REPO_COUNT",
];

/// A name of the old loop that decides nothing here.
pub(super) struct Retired {
    pub(super) name: &'static str,
    /// The values that ask for what is done anyway.
    is_done: &'static [&'static str],
    /// What is done instead, as a sentence.
    pub(super) reason: &'static str,
}

const RETIRED: [Retired; 19] = [
    Retired {
        name: "WORKTREE_ENABLED",
        is_done: &["true"],
        reason: "Every attempt has a worktree of its own.",
    },
    Retired {
        name: "WORKTREE_AUTO_CLEANUP",
        is_done: &["true"],
        reason: "A worktree goes once its work is on a branch; `git worktree add` brings that back.",
    },
    Retired {
        name: "WORKTREE_AUTO_COMMIT",
        is_done: &["true"],
        reason: "What an agent leaves uncommitted is committed on its branch.",
    },
    Retired {
        name: "MAX_QG_RETRIES",
        is_done: &["3"],
        reason: "A task whose checks failed is tried again as often as --max-task-attempts says.",
    },
    Retired {
        name: "PR_LABEL",
        is_done: &[],
        reason: "Work whose checks failed stays on its branch: there is no pull request to label.",
    },
    Retired {
        name: "CB_OUTPUT_DECLINE_THRESHOLD",
        is_done: &["70"],
        reason: "How much an agent prints says nothing about its work.",
    },
    Retired {
        name: "CLAUDE_OUTPUT_FORMAT",
        is_done: &["json", "stream-json"],
        reason: "The agent's stream of events is read.",
    },
    Retired {
        name: "CLAUDE_AUTO_UPDATE",
        is_done: &["false", "true"],
        reason: "Agents are never updated by the loop.",
    },
    Retired {
        name: "SESSION_CONTINUITY",
        is_done: &["true", "false"],
        reason: "Every attempt is a session of its own.",
    },
    Retired {
        name: "DEVIN_USE_CONTINUE",
        is_done: &["true", "false"],
        reason: "Every attempt is a session of its own.",
    },
    Retired {
        name: "CODEX_USE_CONTINUE",
        is_done: &["true", "false"],
        reason: "Every attempt is a session of its own.",
    },
    Retired {
        name: "DEVIN_AUTO_EXIT",
        is_done: &["true"],
        reason: "Agents run without a terminal and end by themselves.",
    },
    Retired {
        name: "CODEX_AUTO_EXIT",
        is_done: &["true"],
        reason: "Agents run without a terminal and end by themselves.",
    },
    Retired {
        name: "CODEX_SESSION_EXPIRY_HOURS",
        is_done: &["24"],
        reason: "Every attempt is a session of its own.",
    },
    Retired {
        name: "FIX_PLAN_FILE",
        is_done: &["fix_plan.md"],
        reason: "The plan is .ralph/fix_plan.md.",
    },
    Retired {
        name: "AGENT_FILE",
        is_done: &["AGENT.md"],
        reason: "Notes for agents are in .ralph/AGENT.md.",
    },
    Retired {
        name: "WORKER_POOL_POLL_INTERVAL",
        is_done: &["0.5"],
        reason: "Nothing is polled.",
    },
    Retired {
        name: "RALPH_CONTINUOUS_FORCE",
        is_done: &["false"],
        reason: "A second loop in a repository is always refused.",
    },
    Retired {
        name: "MAX_TOKENS_PER_HOUR",
        is_done: &["0"],
        reason: "Use MAX_CALLS_PER_HOUR or RALPH_MAX_COST_USD.",
    },
];

/// The retired names, which are looked for in the environment as well.
pub(super) fn retired_names() -> impl Iterator<Item = &'static str> {
    RETIRED.iter().map(|retired| retired.name)
}

/// Whether a name is one of a knob, or known to mean nothing here.
pub(super) fn is_known(name: &str) -> bool {
    INFORMATIONAL.contains(&name)
        || RETIRED.iter().any(|retired| retired.name == name)
        || KNOBS
            .iter()
            .any(|knob| knob.names.contains(&name) || knob.file_names.contains(&name))
}

/// The retired name whose value asks for something that is not done.
pub(super) fn retired(name: &str, value: &str) -> Option<&'static Retired> {
    let found = RETIRED.iter().find(|retired| retired.name == name);
    found.filter(|retired| !value.is_empty() && !retired.is_done.contains(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: &str = include_str!("../../../../docs/formats.md");

    #[test]
    fn every_name_and_option_is_in_the_documents() {
        let names = KNOBS.iter().flat_map(|knob| {
            let names = knob.names.iter().chain(knob.file_names);
            names.chain([&knob.flag])
        });
        for name in names.filter(|name| !name.is_empty()) {
            let named = [format!("`{name}`"), format!("`{name} N`")];
            assert!(named.iter().any(|text| FORMATS.contains(text)), "{name}");
        }
    }

    #[test]
    fn the_documents_have_no_name_that_does_nothing() {
        let (_, section) = FORMATS.split_once("\n## A loop's settings").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let cells = section.lines().filter_map(|line| line.split('|').nth(1));
        let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let known = |name: &str| {
            let mut knobs = KNOBS.iter();
            knobs.any(|knob| knob.names.contains(&name) || knob.file_names.contains(&name))
        };
        let unknown: Vec<&str> = names.filter(|name| !known(name)).collect();
        assert_eq!(unknown, [""; 0]);
    }
}
