//! What happened, with the class that a binary's exit code comes from.

use std::io;

use ralph_core::error::{Code, Coded, Hint};

/// An error on its way to the person: what branch it is, what to do, and the chain of causes.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    hint: Option<Hint>,
    source: anyhow::Error,
}

/// What a verb returns: the exit code that success has here.
pub type Outcome = Result<Option<Code>, Failure>;

impl Failure {
    /// A failure of this class.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            hint: None,
            source: anyhow::Error::msg(message.into()),
        }
    }

    /// Its class.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// What happened, with its causes.
    #[must_use]
    pub fn message(&self) -> String {
        self.chain().join(": ")
    }

    /// The messages of the error and its causes, each once: a transparent error repeats its source.
    #[must_use]
    pub fn chain(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.source.chain().map(ToString::to_string).collect();
        lines.dedup();
        lines
    }

    /// What to do about it, if something can be said.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        self.hint.as_ref().map(|hint| hint.0.clone())
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(Hint::new(hint));
        self
    }
}

impl<E: Coded + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            code: error.code(),
            hint: error.hint(),
            source: error.into(),
        }
    }
}

/// An error with its causes, in one sentence.
#[must_use]
pub fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(source) = next {
        parts.push(source.to_string());
        next = source.source();
    }
    parts.dedup();
    parts.join(": ")
}

/// Standard output that nobody reads any more is no error; any other trouble with it is.
///
/// # Errors
/// Standard output cannot be written.
pub fn printed(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(
            Code::Failed,
            format!("standard output: cannot be written: {error}"),
        )),
        Ok(()) => Ok(()),
    }
}
