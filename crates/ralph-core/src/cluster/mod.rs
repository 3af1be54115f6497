//! Clusters that need no scheduler.

pub mod mock;
