//! `cargo xtask generate`: the documents under `docs/` that are made from the product's own tables and types.
//!
//! `cargo xtask tidy` fails when a table is stale. The schemas come from the binaries, which have to be built for them;
//! that these are fresh is a test beside the types.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Map, Value};
use xshell::{Shell, cmd};

use crate::setup;
use crate::workspace::{Profile, build_binaries};

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

/// The binaries that have JSON outputs: asked with `__schema`, each answers with its schemas by name.
const PROGRAMS: [&str; 2] = ["ralph", "wb-ralph-dispatch"];

/// Where the schemas are, in a folder for each program.
const SCHEMAS: &str = "docs/schema";

/// Writes the documents that differ, and removes schemas of outputs that are gone.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    for (path, text) in documents() {
        write(&sh, path, &text)?;
    }
    let flags = setup::prepare(root, setup::Purpose::Build)?;
    let binaries = build_binaries(root, Profile::Dev, &flags)?;
    for name in PROGRAMS {
        let program = binaries.join(name);
        let printed = cmd!(sh, "{program} __schema").quiet().read()?;
        let schemas = serde_json::from_str(&printed)
            .with_context(|| format!("reading what `{name} __schema` printed"))?;
        write_schemas(&sh, &format!("{SCHEMAS}/{name}"), &schemas)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write_schemas(sh: &Shell, folder: &str, schemas: &Map<String, Value>) -> anyhow::Result<()> {
    let mut kept = BTreeSet::new();
    for (name, schema) in schemas {
        let file = format!("{name}.json");
        write(sh, &format!("{folder}/{file}"), &format!("{schema:#}\n"))?;
        kept.insert(file);
    }
    for path in sh.read_dir(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !kept.contains(name.as_ref()) {
            sh.remove_path(&path)?;
            println!("{folder}/{name}: removed");
        }
    }
    Ok(())
}

fn write(sh: &Shell, path: &str, text: &str) -> anyhow::Result<()> {
    if sh.read_file(path).is_ok_and(|found| found == text) {
        println!("{path}: unchanged");
    } else {
        sh.write_file(path, text)?;
        println!("{path}: written");
    }
    Ok(())
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

A launch that is refused for several reasons prints all of them and exits with the lowest of their numbers: a record that
cannot be read (11, 12) before work of a job that is not here yet (25), and both before 30 to 33.
";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_written_and_those_of_outputs_that_are_gone_removed() -> anyhow::Result<()> {
        let sh = Shell::new()?;
        let folder = sh.create_temp_dir()?;
        sh.change_dir(folder.path());
        sh.write_file("schema/gone.json", "{}\n")?;
        let schemas = serde_json::from_str(r#"{"status": {"type": "object"}}"#)?;
        write_schemas(&sh, "schema", &schemas)?;
        assert_eq!(sh.read_dir("schema")?.len(), 1);
        assert_eq!(
            sh.read_file("schema/status.json")?,
            "{\n  \"type\": \"object\"\n}\n"
        );
        Ok(())
    }

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
