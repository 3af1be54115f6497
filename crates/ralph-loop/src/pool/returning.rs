//! Ended attempts that give their worktrees back in a moment. Others may take minutes: their checks run, or a remote is
//! waited for.

use std::cell::Cell;
use std::rc::Rc;

/// How many there are.
#[derive(Debug, Default)]
pub(crate) struct Returns(Rc<Cell<usize>>);

/// One of them, as long as it is there.
#[derive(Debug)]
pub(crate) struct Returning(Rc<Cell<usize>>);

impl Returns {
    /// One more.
    pub(super) fn begin(&self) -> Returning {
        self.0.set(self.0.get() + 1);
        Returning(Rc::clone(&self.0))
    }

    /// How many there are now.
    pub(super) fn count(&self) -> usize {
        self.0.get()
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}
