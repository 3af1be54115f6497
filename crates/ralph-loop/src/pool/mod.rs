//! N workers kept busy until the budget is spent or the plan is drained.
//!
//! [`schedule`] decides, purely; the rest of this module does what it says.

pub mod schedule;
