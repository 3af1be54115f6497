//! The ways in which a text stops being JSON, as data; what a person is told about them is in [`super::error`].
//!
//! What must never be here: a text, a line number.

/// Where a text stops being JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Offset in bytes of what has to be changed, which is not always where a parser notices.
    pub(crate) at: usize,
    /// What is wrong there.
    pub(crate) kind: FaultKind,
}

/// The ways in which a text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The text ends inside an object or a list.
    Truncated,
    /// There is no value at all.
    Empty,
    /// A comma before `]` or `}` (incidents 1 and 2).
    TrailingComma,
    /// Two values, or a value and a key, without a comma between them.
    MissingComma,
    /// Something else than a comma or a closing bracket after a value.
    AfterValue,
    /// No `:` after a key.
    MissingColon,
    /// Something that is no key where one has to be.
    Key,
    /// Something that is no value where one has to be.
    Value,
    /// `]` where `}` has to be, or the other way round.
    WrongBracket,
    /// A string that never ends; the place is its opening quote.
    OpenString,
    /// A byte below 0x20 inside a string.
    Control,
    /// A backslash followed by something else than the escapes of JSON.
    Escape,
    /// Half of a surrogate pair.
    Surrogate,
    /// A number in a form that JSON does not have.
    Number,
    /// A number that no 64-bit float can hold.
    Range,
    /// Nested deeper than 127 levels.
    Depth,
    /// Something after the end of the document.
    Rest,
    /// Bytes that are not UTF-8.
    Utf8,
}
