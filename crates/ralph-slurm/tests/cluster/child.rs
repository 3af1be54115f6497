//! This test program as another process: it submits what its environment says, and may be killed while it does.

use std::path::Path;

use ralph_core::backend::{ClusterBackend as _, SubmitRequest};
use ralph_core::error::Coded as _;
use ralph_slurm::{ClusterSettings, Session};

use crate::site::{backend, transport};

/// Names the variable that holds settings, request and workspace.
pub(crate) const ORDER: &str = "RALPH_TEST_ORDER";

/// Nothing, unless another test started this process.
#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "the order of the test that started this process"
)]
async fn submits() {
    let Ok(order) = std::env::var(ORDER) else {
        return;
    };
    let order: serde_json::Value = serde_json::from_str(&order).unwrap();
    let (settings, _) = ClusterSettings::parse(order["settings"].as_str().unwrap()).unwrap();
    let request: SubmitRequest = serde_json::from_value(order["request"].clone()).unwrap();
    let workspace = Path::new(order["workspace"].as_str().unwrap()).to_owned();
    let backend = backend(&settings, transport(&settings), &workspace);
    backend.submit(&request).await.unwrap();
}

/// Nothing, unless another test started this process.
#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "the order of the test that started this process"
)]
async fn connects() {
    let Ok(text) = std::env::var(ORDER) else {
        return;
    };
    let (settings, _) = ClusterSettings::parse(&text).unwrap();
    match Session::new(settings.ssh).connect().await {
        Ok(how) => eprintln!("CONNECTED {how:?}"),
        Err(error) => eprintln!("REFUSED {} {error}", error.code().name()),
    }
}
