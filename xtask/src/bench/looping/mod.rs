//! The loop against its targets: the release binary, real repositories and worktrees, an agent that costs nothing.

mod idle;
mod kills;
mod pace;
mod plan;
mod process;
mod repository;
mod timeline;

use super::cases::Case;

/// Cases of a minute or less.
pub(super) const SHORT: [Case; 3] = [
    Case {
        name: "loop-pace-4",
        run: |place| Ok(vec![pace::pace(place, &pace::FOUR, pace::ON_DISK)?]),
    },
    Case {
        name: "plan-pick",
        run: |place| Ok(vec![plan::measure(place, &plan::PICK)?]),
    },
    Case {
        name: "plan-completions",
        run: |place| Ok(vec![plan::measure(place, &plan::COMPLETIONS)?]),
    },
];

/// Cases that take minutes; each is measured only when it is named.
pub(super) const LONG: [Case; 8] = [
    Case {
        name: "loop-pace-32",
        run: pace::many,
    },
    Case {
        name: "loop-idle",
        run: |place| Ok(vec![idle::idle(place)?]),
    },
    Case {
        name: "loop-limit",
        run: |place| Ok(vec![idle::limit(place)?]),
    },
    Case {
        name: "plan-claims",
        run: |place| Ok(vec![plan::measure(place, &plan::CLAIMS)?]),
    },
    Case {
        name: "loop-orphans-int",
        run: |place| Ok(vec![kills::orphans(place, "INT")?]),
    },
    Case {
        name: "loop-orphans-term",
        run: |place| Ok(vec![kills::orphans(place, "TERM")?]),
    },
    Case {
        name: "loop-orphans-kill",
        run: |place| Ok(vec![kills::orphans(place, "KILL")?]),
    },
    Case {
        name: "loop-kills",
        run: |place| Ok(vec![kills::kills(place)?]),
    },
];
