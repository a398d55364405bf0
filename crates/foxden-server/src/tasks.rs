//! Background work that a stop waits for. The only home of `tokio::spawn`.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// Starts background work, and tells it when to stop.
#[derive(Clone, Debug)]
pub struct Tasks {
    alive: mpsc::Sender<()>,
    stop: watch::Receiver<bool>,
}

/// Ends the work that its [`Tasks`] started.
#[derive(Debug)]
pub struct Stop {
    alive: mpsc::Receiver<()>,
    stop: watch::Sender<bool>,
}

impl Tasks {
    /// Nothing running yet, and the means to end it.
    pub fn new() -> (Self, Stop) {
        let (alive_sender, alive) = mpsc::channel(1);
        let (sender, stop) = watch::channel(false);
        let tasks = Self {
            alive: alive_sender,
            stop,
        };
        (tasks, Stop { alive, stop: sender })
    }

    /// Starts work that a stop waits for.
    #[expect(clippy::disallowed_methods, reason = "the one home of background work")]
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let alive = self.alive.clone();
        tokio::spawn(async move {
            work.await;
            drop(alive);
        });
    }

    /// Comes back once the program is to stop.
    pub async fn stopped(&mut self) {
        // An error says that the other half is gone, which is a stop as well.
        let _ = self.stop.wait_for(|stop| *stop).await;
    }
}

impl Stop {
    /// Tells everything to stop and waits for it, but no longer than `patience`. Whether all ended.
    pub async fn stop(mut self, patience: Duration) -> bool {
        self.stop.send_replace(true);
        // Nothing is ever sent: the channel ends when the last piece of work has dropped its sender.
        tokio::time::timeout(patience, self.alive.recv()).await.is_ok()
    }
}
