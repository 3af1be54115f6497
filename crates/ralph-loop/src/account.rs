//! The gate of an account: limits belong to it, so all loops of the user wait and resume together.
