//! The background purge: pass, pause, pass, for as long as the process serves.

use crate::{domain::clock, store::Purger};
use std::time::Duration;
use tokio::sync::watch;

/// A purge and the pause between its passes.
#[derive(Debug)]
pub struct Purging {
    /// What purges.
    pub purger: Purger,
    /// The pause, more or less by a fifth.
    pub pause: Duration,
}

impl Purging {
    /// Purges while the database is ready, until `stop` is true or gone; then it ends with
    /// the batch that runs. A failure is logged when it begins and when it is over.
    pub async fn run(mut self, mut ready: watch::Receiver<bool>, mut stop: watch::Receiver<bool>) {
        let halt = stop.clone();
        let wanted = || !*halt.borrow();
        let mut failing = false;
        loop {
            let rested = async {
                tokio::time::sleep(uneven(self.pause)).await;
                ready.wait_for(|ready| *ready).await.is_ok()
            };
            let go_on = tokio::select! {
                go_on = rested => go_on,
                _ = stop.wait_for(|stop| *stop) => false,
            };
            if !go_on {
                return;
            }
            match self.purger.pass(&wanted).await {
                Ok((purged, _)) => {
                    tracing::debug!(?purged, "purged");
                    if failing {
                        tracing::info!("purging again");
                    }
                    failing = false;
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(causes = %error.causes(), "purging fails; it is tried again");
                    }
                    failing = true;
                }
            }
        }
    }
}

/// The pause more or less by a fifth, so that replicas that started together part.
pub fn uneven(pause: Duration) -> Duration {
    let [byte] = clock::random::<1>();
    pause.mul_f64(0.8 + 0.4 * f64::from(byte) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_differs_by_a_fifth_at_most() {
        let pauses: Vec<_> = (0..200).map(|_| uneven(Duration::from_secs(10))).collect();
        assert!(
            pauses
                .iter()
                .all(|pause| (8.0..=12.0).contains(&pause.as_secs_f64()))
        );
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}
