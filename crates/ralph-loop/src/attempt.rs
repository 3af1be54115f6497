//! One attempt from claim to record, with every phase on disk before its effect.
