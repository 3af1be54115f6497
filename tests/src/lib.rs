//! What the end-to-end tests share. Nothing here belongs to the product.

pub mod slurm;
pub mod tree;
pub mod workspace;

pub use workspace::{Ran, Workspace, binary, wait_until};
