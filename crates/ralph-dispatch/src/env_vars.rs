//! The environment variables that `wb-ralph-dispatch` reads, by name; `ralph_front::environment` reads them.

use std::collections::BTreeMap;

pub(crate) use ralph_front::environment::{
    COLUMNS, all, arguments, current_dir, guard_program, path, program, runtime_dir, search_path,
    text, user,
};

/// What the terminal can do.
pub(crate) const TERM: &str = "TERM";
/// The workbench.
pub(crate) const WB_ROOT: &str = "WB_ROOT";

/// The knobs: every variable that is text and not empty.
pub(crate) fn texts() -> BTreeMap<String, String> {
    let mut all = ralph_front::environment::all_text();
    all.retain(|_, value| !value.is_empty());
    all
}
