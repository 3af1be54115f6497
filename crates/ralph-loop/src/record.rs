//! What the loop leaves for readers: status, attempts, outcomes.
