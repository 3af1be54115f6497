//! The JSON schemas of every `--json` output of the launcher, by the name of the file that `cargo xtask generate`
//! writes.

use std::collections::BTreeMap;

use ralph_front::explain::ErrorReport;
use schemars::{JsonSchema, Schema, schema_for};

use crate::report::{LaunchReport, LinkReport, StatusReport, StopReport, SweepReport};

/// Name and schema of each output.
pub(crate) fn all() -> BTreeMap<&'static str, Schema> {
    BTreeMap::from([
        of::<ErrorReport>("error"),
        of::<LaunchReport>("launch"),
        of::<LinkReport>("link"),
        of::<StatusReport>("status"),
        of::<StopReport>("stop"),
        of::<SweepReport>("sweep"),
    ])
}

fn of<T: JsonSchema>(name: &'static str) -> (&'static str, Schema) {
    (name, schema_for!(T))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_generated_files_are_those_of_these_types() {
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/wb-ralph-dispatch");
        let written = std::fs::read_dir(&folder)
            .expect("the folder is there")
            .count();
        assert_eq!(written, all().len(), "run `cargo xtask generate`");
        for (name, schema) in all() {
            let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
            let written = std::fs::read_to_string(folder.join(format!("{name}.json")));
            assert!(
                written.is_ok_and(|written| written == text),
                "docs/schema/wb-ralph-dispatch/{name}.json is stale; run `cargo xtask generate`"
            );
            let required = schema.get("required").and_then(|list| list.as_array());
            let has_version =
                required.is_some_and(|list| list.iter().any(|name| name == "schema_version"));
            assert!(has_version, "{name}");
        }
    }
}
