//! Those of this process who wait for the same thing, and the one thread that gets it for them. What is waited for is
//! not known here.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

/// Stack of a waiting thread, in bytes; it calls little.
const STACK: usize = 128 * 1024;

/// A queue with at most one thread that serves it.
#[derive(Debug)]
pub(super) struct Queue<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
pub(super) struct Inner<T> {
    waiting: VecDeque<oneshot::Sender<T>>,
    is_served: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                waiting: VecDeque::new(),
                is_served: false,
            }),
        }
    }
}

impl<T: Send + 'static> Queue<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anybody still waits; those who gave up are forgotten.
    pub(super) fn is_wanted(&self) -> bool {
        let mut inner = self.lock();
        inner.waiting.retain(|sender| !sender.is_closed());
        !inner.waiting.is_empty()
    }

    /// Gives something to whoever waits longest; what nobody wants is dropped.
    pub(super) fn hand_over(&self, mut thing: T) {
        loop {
            let Some(sender) = self.lock().waiting.pop_front() else {
                return;
            };
            match sender.send(thing) {
                Ok(()) => return,
                Err(back) => thing = back,
            }
        }
    }

    /// True when nobody waits any more: then the serving thread has to end.
    pub(super) fn ends(&self) -> bool {
        let mut inner = self.lock();
        inner.waiting.retain(|sender| !sender.is_closed());
        inner.is_served = !inner.waiting.is_empty();
        !inner.is_served
    }
}

impl<T: Send + 'static> Inner<T> {
    /// Whether a thread serves the queue now.
    pub(super) fn is_served(&self) -> bool {
        self.is_served
    }

    /// Queues up. `serve` is the work of the thread, which is started unless there is one.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn enter(
        &mut self,
        serve: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<oneshot::Receiver<T>> {
        let (sender, receiver) = oneshot::channel();
        if !self.is_served {
            thread::Builder::new()
                .name("ralph-budget".to_owned())
                .stack_size(STACK)
                .spawn(serve)?;
            self.is_served = true;
        }
        self.waiting.push_back(sender);
        Ok(receiver)
    }
}
