//! Requests that wait for the same turn: whoever gets it serves others along with its own, so that many at once cost
//! hardly more than one. Who has the turn is decided elsewhere.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Those that wait.
#[derive(Debug)]
pub(crate) struct Gathering<T, A> {
    waiting: Mutex<Vec<Waiting<T, A>>>,
}

/// A request, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Waiting<T, A> {
    pub(crate) request: Arc<T>,
    pub(crate) answer: oneshot::Sender<A>,
}

impl<T, A> Default for Gathering<T, A> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
        }
    }
}

impl<T, A> Gathering<T, A> {
    /// Joins them. No answer ever comes where whoever has taken the request along has failed.
    pub(crate) fn join(&self, request: &Arc<T>) -> oneshot::Receiver<A> {
        let (answer, receiver) = oneshot::channel();
        self.lock().push(Waiting {
            request: Arc::clone(request),
            answer,
        });
        receiver
    }

    /// Leaves without an answer. One that was taken along gets its answer all the same.
    pub(crate) fn leave(&self, request: &Arc<T>) {
        self.lock()
            .retain(|waiting| !Arc::ptr_eq(&waiting.request, request));
    }

    /// Takes those that have waited longest, the first one first, and no more than `most`.
    pub(crate) fn take(&self, most: usize) -> Vec<Waiting<T, A>> {
        let mut waiting = self.lock();
        let most = most.min(waiting.len());
        waiting.drain(..most).collect()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting<T, A>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_that_wait_are_taken_in_their_order_but_those_that_have_left() {
        let gathering = Gathering::default();
        let requests: Vec<Arc<u32>> = (1..=3).map(Arc::new).collect();
        let mut answers: Vec<_> = requests.iter().map(|one| gathering.join(one)).collect();
        gathering.leave(&requests[1]);
        assert!(gathering.take(0).is_empty());
        for _ in 0..2 {
            for waiting in gathering.take(1) {
                waiting.answer.send(*waiting.request * 10).unwrap();
            }
        }
        assert!(gathering.take(9).is_empty());
        let third = answers.pop().unwrap();
        let second = answers.pop().unwrap();
        assert_eq!(answers.pop().unwrap().await, Ok(10));
        assert!(second.await.is_err());
        assert_eq!(third.await, Ok(30));
        // Whoever took it along has failed.
        let lost = gathering.join(&requests[0]);
        drop(gathering.take(1));
        assert!(lost.await.is_err());
    }
}
