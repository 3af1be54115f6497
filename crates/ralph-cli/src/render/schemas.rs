//! The JSON schemas of every `--json` output, and of the work order that an agent reads, by the name of the file that
//! `cargo xtask generate` writes to `docs/schema/ralph/`. A new output is one more line here; `cargo xtask tidy` finds
//! the one that was forgotten.

use std::collections::BTreeMap;

use ralph_core::order::WorkOrder;
use ralph_core::report::DispatchReport;
use schemars::{JsonSchema, Schema, schema_for};

use crate::render::{
    answers, cluster, doctor, lock, loop_checks, loop_end, loops, ops, page, runs, selftest,
    status, validate,
};

/// Name and schema of each output.
pub(crate) fn all() -> BTreeMap<&'static str, Schema> {
    BTreeMap::from([
        of::<answers::AdoptReport>("cluster-adopt"),
        of::<answers::CancelReport>("cancel"),
        of::<ralph_front::explain::ErrorReport>("error"),
        of::<answers::InitReport>("init"),
        of::<answers::LogPiece>("logs"),
        of::<answers::NewReport>("new"),
        of::<answers::SubmitReport>("submit"),
        of::<answers::SwitchReport>("switch"),
        of::<answers::UndoReport>("ops-undo"),
        of::<cluster::ClusterReport>("cluster-check"),
        of::<cluster::JobsReport>("cluster-jobs"),
        of::<cluster::SessionReport>("cluster-session"),
        of::<DispatchReport>("dispatch"),
        of::<doctor::DoctorReport>("doctor"),
        of::<lock::LockReport>("lock"),
        of::<loop_checks::ChecksReport>("loop-checks"),
        of::<loop_checks::CircuitReport>("loop-circuit"),
        of::<loops::LoopPlan>("loop-plan"),
        of::<loop_end::LoopReport>("loop"),
        of::<loops::LoopStatus>("loop-status"),
        of::<ops::OpDiffsReport>("ops-show"),
        of::<ops::OpsReport>("ops-list"),
        of::<ops::ResultsReport>("results"),
        of::<page::PageReport>("report"),
        of::<answers::WrittenReport>("report-written"),
        of::<runs::RunsReport>("runs"),
        of::<selftest::SelftestReport>("selftest"),
        of::<status::StatusReport>("status"),
        of::<validate::ValidateReport>("validate"),
        of::<WorkOrder>("work-order"),
    ])
}

fn of<T: JsonSchema>(name: &'static str) -> (&'static str, Schema) {
    (name, schema_for!(T))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The generated files, by the name of what they describe.
    fn written() -> BTreeMap<String, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/ralph");
        let files = std::fs::read_dir(&folder).expect("docs/schema/ralph is there");
        files
            .map(|file| {
                let path = file.expect("it can be listed").path();
                let name = path.file_stem().expect("a file has a name");
                let text = std::fs::read_to_string(&path).expect("it can be read");
                (name.to_string_lossy().into_owned(), text)
            })
            .collect()
    }

    #[test]
    fn the_generated_files_are_those_of_these_types() {
        let expected: BTreeMap<String, String> = all()
            .into_iter()
            .map(|(name, schema)| {
                let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
                (name.to_owned(), text + "\n")
            })
            .collect();
        let written = written();
        let names = |of: &BTreeMap<String, String>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(&written),
            names(&expected),
            "run `cargo xtask generate`"
        );
        for (name, text) in expected {
            assert!(
                written[&name] == text,
                "docs/schema/ralph/{name}.json is stale; run `cargo xtask generate`"
            );
        }
    }

    #[test]
    fn every_shape_says_its_version() {
        for (name, schema) in all() {
            let required = schema.get("required").and_then(|list| list.as_array());
            let has_version =
                required.is_some_and(|list| list.iter().any(|name| name == "schema_version"));
            assert!(has_version, "{name}");
        }
    }
}
