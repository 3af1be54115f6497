//! What the end-to-end tests share. Nothing here belongs to the product.
#![expect(
    clippy::expect_used,
    reason = "a fixture that cannot be made ends the test that needs it"
)]

pub mod forge;
pub mod repository;
pub mod slurm;
pub mod tree;
pub mod workbench;
pub mod workspace;

pub use forge::Forge;
pub use repository::Repository;
pub use workspace::{Ran, Workspace, binary, wait_until};
