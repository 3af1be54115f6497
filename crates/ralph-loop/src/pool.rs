//! N workers kept busy until the budget is spent or the plan is drained.
