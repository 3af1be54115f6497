//! `.ralph/fix_plan.md`: tasks, their states and sections; one state character changes at a time.

/// Where a task stands, independent of its line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The heading above it, without its marks; empty before the first one.
    pub section: String,
    /// The text after the checkbox, without blanks at its end.
    pub text: String,
    /// How many equal rows of the section stand before it.
    pub occurrence: u32,
}
