//! The end of a process: asked for once, it drains; asked for twice, it ends at once.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// SIGTERM and SIGINT, counted from when they are first listened to.
#[derive(Debug, Clone)]
pub struct Signals(watch::Receiver<usize>);

impl Signals {
    /// Listens from now on. Needs a running tokio runtime.
    pub fn listen() -> std::io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (count, heard) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                count.send_modify(|count| *count += 1);
            }
        });
        Ok(Self(heard))
    }

    /// Waits until so many have come.
    pub async fn heard(&self, count: usize) {
        let mut heard = self.0.clone();
        // Whoever listens lives as long as the process.
        let _ = heard.wait_for(|heard| *heard >= count).await;
    }
}
