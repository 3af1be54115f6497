//! The JSON schemas of every `--json` output, by the name of the file that `cargo xtask generate` writes.

use std::collections::BTreeMap;

use ralph_core::report::DispatchReport;
use schemars::{JsonSchema, Schema, schema_for};

use crate::render::{answers, cluster, doctor, lock, loops, ops, runs, selftest, status, validate};

/// Name and schema of each output.
pub(crate) fn all() -> BTreeMap<&'static str, Schema> {
    BTreeMap::from([
        of::<answers::AdoptReport>("cluster-adopt"),
        of::<answers::CancelReport>("cancel"),
        of::<ralph_front::failure::ErrorReport>("error"),
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
        of::<loops::ChecksReport>("loop-checks"),
        of::<loops::CircuitReport>("loop-circuit"),
        of::<loops::LoopPlan>("loop-plan"),
        of::<loops::LoopReport>("loop"),
        of::<loops::LoopStatus>("loop-status"),
        of::<ops::OpDiffsReport>("ops-show"),
        of::<ops::OpsReport>("ops-list"),
        of::<ops::ResultsReport>("results"),
        of::<runs::RunsReport>("runs"),
        of::<selftest::SelftestReport>("selftest"),
        of::<status::StatusReport>("status"),
        of::<validate::ValidateReport>("validate"),
    ])
}

fn of<T: JsonSchema>(name: &'static str) -> (&'static str, Schema) {
    (name, schema_for!(T))
}
