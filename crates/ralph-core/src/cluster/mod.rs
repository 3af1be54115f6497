//! Clusters that need no scheduler.
//!
//! Each implements [`ClusterBackend`](crate::backend::ClusterBackend). Nothing here opens a network connection or
//! runs a scheduler's command.

pub mod local;
pub mod mock;
