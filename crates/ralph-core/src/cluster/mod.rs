//! Clusters that need no scheduler.
