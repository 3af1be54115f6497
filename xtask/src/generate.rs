//! `cargo xtask generate`: the documents under `docs/` that are made from the product's own tables.
//! `cargo xtask tidy` fails when one of them is stale.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use xshell::Shell;

// The file is compiled in, not linked: it needs nothing but std, and so xtask needs no crate of the product.
#[path = "../../crates/ralph-core/src/error.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "only the table of codes is read; the rest of the file is the product's"
)]
mod error;

use error::Code;

/// Every generated document: its path and its text.
pub(crate) fn documents() -> Vec<(&'static str, String)> {
    vec![("docs/exit-codes.md", exit_codes())]
}

/// Writes the documents that differ.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    for (path, text) in documents() {
        if sh.read_file(path).is_ok_and(|found| found == text) {
            println!("{path}: unchanged");
        } else {
            sh.write_file(path, text)?;
            println!("{path}: written");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn exit_codes() -> String {
    let mut text = "\
<!-- Written by `cargo xtask generate` from `ralph_core::error::Code`. Do not edit. -->

# Exit codes

Both binaries use these numbers. In JSON the same outcome carries the name. A number keeps its meaning for ever.

| Number | Name | Meaning |
|---|---|---|
| 0 | | done, or nothing to do |
"
    .to_owned();
    for code in Code::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | `{}` | {} |",
            code.exit_code(),
            code.name(),
            code.meaning()
        );
    }
    text += "
A reader that goes away (a broken pipe) is no error and ends with 0.

`ralph hook stop` exits with 0 (the agent may stop) or 2 (work remains) and never with another number.
";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_row() {
        let text = exit_codes();
        for code in Code::ALL {
            assert!(text.contains(&format!("| {} | `{}` |", code.exit_code(), code.name())));
        }
        assert_eq!(
            text.lines().filter(|line| line.starts_with("| ")).count(),
            Code::ALL.len() + 2
        );
    }
}
