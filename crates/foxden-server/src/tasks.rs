//! Background work that a stop waits for, and that outlives its panics. The only home of `tokio::spawn`.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

/// Starts background tasks, and signals them to stop.
#[derive(Clone, Debug)]
pub struct Tasks {
    alive: mpsc::Sender<()>,
    stop: watch::Receiver<bool>,
}

/// How long work that panicked is left alone before it begins again.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a piece of work panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic(String);

/// Ends the work that its [`Tasks`] started.
#[derive(Debug)]
pub struct Stopper {
    alive: mpsc::Receiver<()>,
    stop: watch::Sender<bool>,
}

impl Tasks {
    /// Nothing running yet, and the means to end it.
    pub fn new() -> (Self, Stopper) {
        let (alive_sender, alive) = mpsc::channel(1);
        let (sender, stop) = watch::channel(false);
        let tasks = Self {
            alive: alive_sender,
            stop,
        };
        (tasks, Stopper { alive, stop: sender })
    }

    /// Starts a task that a stop waits for. A panic ends it and is logged.
    #[expect(clippy::disallowed_methods, reason = "the one home of background work")]
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let alive = self.alive.clone();
        tokio::spawn(async move {
            if let Err(panic) = catch_panic(work).await {
                tracing::error!("background work ended by a panic: {panic}");
            }
            drop(alive);
        });
    }

    /// Starts a task that runs until the program stops: after a panic it is restarted.
    pub fn supervise<W>(&self, name: &'static str, work: impl FnMut() -> W + Send + 'static)
    where
        W: Future<Output = ()> + Send,
    {
        self.supervise_after(PAUSE, name, work);
    }

    fn supervise_after<W>(
        &self,
        pause: Duration,
        name: &'static str,
        mut work: impl FnMut() -> W + Send + 'static,
    ) where
        W: Future<Output = ()> + Send,
    {
        let mut tasks = self.clone();
        self.spawn(async move {
            while let Err(panic) = catch_panic(work()).await {
                tracing::error!("{name} panicked and begins again: {panic}");
                tokio::select! {
                    () = tasks.stopped() => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
    }

    /// Comes back once the program is to stop.
    pub async fn stopped(&mut self) {
        // An error says that the other half is gone, which is a stop as well.
        let _ = self.stop.wait_for(|stop| *stop).await;
    }
}

/// Does a piece of work to its end, or finds out why it panicked.
pub async fn catch_panic<T>(work: impl Future<Output = T>) -> Result<T, Panic> {
    let mut work = pin!(work);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(cause) => Poll::Ready(Err(Panic::new(&*cause))),
        },
    )
    .await
}

impl Panic {
    /// The message of the panic.
    pub fn new(cause: &(dyn Any + Send)) -> Self {
        let message = cause.downcast_ref::<&str>().copied();
        let message = message.or_else(|| cause.downcast_ref::<String>().map(String::as_str));
        Self(message.unwrap_or("for no reason given").to_owned())
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Panic {}

impl Stopper {
    /// Tells everything to stop and waits for it, but no longer than `timeout`. Whether all ended.
    pub async fn stop(mut self, timeout: Duration) -> bool {
        self.stop.send_replace(true);
        // Nothing is ever sent: the channel ends when the last piece of work has dropped its sender.
        tokio::time::timeout(timeout, self.alive.recv()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// A task that panics on its first two runs and ends on its third.
    async fn third_time(runs: &AtomicU32) -> u32 {
        tokio::task::yield_now().await;
        let run = runs.fetch_add(1, Ordering::SeqCst);
        assert!(run >= 2, "run {run} is too early");
        run
    }

    #[tokio::test]
    async fn a_panic_is_an_error_that_says_why() {
        let runs = AtomicU32::new(0);
        let first = catch_panic(third_time(&runs)).await;
        assert_eq!(first.unwrap_err().to_string(), "run 0 is too early");
        let second = catch_panic(async { std::panic::panic_any(7) }).await;
        assert_eq!(second, Err::<(), _>(Panic("for no reason given".into())));
        runs.store(2, Ordering::SeqCst);
        assert_eq!(catch_panic(third_time(&runs)).await, Ok(2));
    }

    #[tokio::test]
    async fn work_that_is_kept_begins_again_after_each_panic() {
        let (tasks, stop) = Tasks::new();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        tasks.supervise_after(Duration::ZERO, "work", move || {
            let counted = Arc::clone(&counted);
            async move {
                third_time(&counted).await;
            }
        });
        drop(tasks);
        // It ends by itself with its third run, before any stop.
        let Stopper { mut alive, stop } = stop;
        assert_eq!(alive.recv().await, None);
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        drop(stop);
    }

    #[tokio::test]
    async fn a_stop_waits_for_work_that_panicked_no_longer_than_for_any_other() {
        let (tasks, stop) = Tasks::new();
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        tasks.supervise("work", move || {
            let counted = Arc::clone(&counted);
            async move {
                third_time(&counted).await;
            }
        });
        tasks.spawn(async { panic!("at once") });
        drop(tasks);
        while runs.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        assert!(stop.stop(Duration::from_secs(5)).await);
    }
}
