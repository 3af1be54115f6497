//! The texts of work orders: what is asked of whoever takes one, and how its end is recognised.

use crate::order::{OrderKind, WorkOrder};
use crate::world::Facts;

/// Version of the shape of [`WorkOrder`].
const SCHEMA_VERSION: u32 = 1;

/// The order for one piece of work.
#[must_use]
pub(super) fn work_order(facts: &Facts, kind: OrderKind, target: &str, title: &str) -> WorkOrder {
    let words = words(kind);
    WorkOrder {
        schema_version: SCHEMA_VERSION,
        kind,
        project: facts.slug.clone(),
        target: target.to_owned(),
        title: title.to_owned(),
        instructions: words.instructions.to_owned(),
        read: words.read.iter().map(|path| (*path).to_owned()).collect(),
        done_when: words.done_when.to_owned(),
    }
}

struct Words {
    instructions: &'static str,
    read: &'static [&'static str],
    done_when: &'static str,
}

fn words(kind: OrderKind) -> Words {
    match kind {
        OrderKind::Implement => Words {
            instructions: "Implement this one item of documentation/implementation-todo.md, completely and nothing else.",
            read: &[
                "documentation/implementation-todo.md",
                "documentation/queue.md",
            ],
            done_when: "its checkbox is ticked in documentation/implementation-todo.md",
        },
        OrderKind::Debug => Words {
            instructions: "Find the root cause of this failure and mend it. The entry names the logs, the key line and the run. \
                 When the experiment should run again, move its item back to READY in documentation/queue.md.",
            read: &["documentation/debugging.md"],
            done_when: "the entry's checkbox is ticked in documentation/debugging.md",
        },
        OrderKind::Test => Words {
            instructions: "Run the project's tests and mend what fails. No `test_command` is configured in .claude/ralph/config.json.",
            read: &["documentation/implementation-todo.md"],
            done_when: "phase is RUN in .state/pipeline.json",
        },
        OrderKind::Debate => Words {
            instructions: "Argue this question out and write the decision with its reasons to documentation/debates.md.",
            read: &[
                "documentation/debates.md",
                "documentation/queue.md",
                "results/summary.md",
            ],
            done_when: "phase is IMPLEMENT or RUN in .state/pipeline.json",
        },
    }
}
