//! Requests that wait for the same turn: whoever gets it serves others along with its own, so that many at once cost
//! hardly more than one. Who has the turn is decided elsewhere.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

/// How long those that wait let others come along: less than what they wait for takes.
const PATIENCE: Duration = Duration::from_millis(50);

/// Those that wait, and how many are about to.
#[derive(Debug)]
pub(crate) struct Gathering<T, A> {
    waiting: Mutex<Vec<Waiting<T, A>>>,
    coming: watch::Sender<usize>,
}

/// Somebody who is about to join, as long as it is there.
#[derive(Debug)]
pub(crate) struct Coming(watch::Sender<usize>);

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
            coming: watch::Sender::default(),
        }
    }
}

impl<T, A> Gathering<T, A> {
    /// Announces somebody who joins in a moment.
    pub(crate) fn announce(&self) -> Coming {
        self.coming.send_modify(|count| *count += 1);
        Coming(self.coming.clone())
    }

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

    /// As [`Gathering::take`], once those have joined who are about to; not for long.
    pub(crate) async fn gather(&self, most: usize) -> Vec<Waiting<T, A>> {
        let mut coming = self.coming.subscribe();
        let all = coming.wait_for(|count| *count == 0 || self.lock().len() >= most);
        // Whoever takes longer goes with the next ones.
        let _ = tokio::time::timeout(PATIENCE, all).await;
        self.take(most)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting<T, A>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
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

    #[tokio::test(start_paused = true)]
    async fn who_is_about_to_join_is_waited_for_but_not_for_ever() {
        let gathering = Gathering::<u32, ()>::default();
        let requests: Vec<Arc<u32>> = (1..=3).map(Arc::new).collect();
        let _first = gathering.join(&requests[0]);
        let coming = gathering.announce();
        let mut second = None;
        let joins = async {
            second = Some(gathering.join(&requests[1]));
            drop(coming);
        };
        let (taken, ()) = tokio::join!(gathering.gather(9), joins);
        assert_eq!(taken.len(), 2);
        drop(second);

        // Nobody is waited for where there are enough, or when it takes too long.
        let start = tokio::time::Instant::now();
        let _coming = gathering.announce();
        let _third = gathering.join(&requests[2]);
        assert_eq!(gathering.gather(1).await.len(), 1);
        assert!(start.elapsed().is_zero());
        assert!(gathering.gather(1).await.is_empty());
        assert_eq!(start.elapsed(), PATIENCE);
    }
}
