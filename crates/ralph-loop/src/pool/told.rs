//! Waiting for the word to stop.

use std::time::Duration;

use tokio::sync::watch;

use super::schedule::Stop;

/// Returns when the loop is told to stop as far as that, or further. Where nobody is left who could say so it never does:
/// an embedder may have let go of its end.
pub(super) async fn told(stop: &mut watch::Receiver<Stop>, least: Stop) {
    if stop.wait_for(|stop| *stop >= least).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A pause, as long as the loop goes on.
pub(super) async fn pause(time: Duration, mut stop: watch::Receiver<Stop>) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = told(&mut stop, Stop::Drain) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn silence_is_no_word_to_stop() {
        let (say, mut stop) = watch::channel(Stop::Run);
        drop(say);
        let waited = tokio::time::timeout(LONG, told(&mut stop, Stop::Drain)).await;
        assert!(waited.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_that_goes_further_counts() {
        let (_say, mut stop) = watch::channel(Stop::Now);
        let waited = tokio::time::timeout(LONG, told(&mut stop, Stop::Drain)).await;
        assert!(waited.is_ok());
    }
}
