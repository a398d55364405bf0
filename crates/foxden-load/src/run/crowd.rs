//! Does something for many users at once.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

/// Does the work for each, this many at once, for at most this long. What each gives is told; `false` in return ends all.
pub async fn each<T, F, R>(
    all: impl IntoIterator<Item = T>,
    at_once: usize,
    most: Duration,
    work: impl Fn(T) -> F,
    mut tell: impl FnMut(R) -> bool,
) where
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
{
    let end = Instant::now().checked_add(most);
    let mut waiting = all.into_iter();
    let mut running = JoinSet::new();
    loop {
        let is_late = end.is_some_and(|end| Instant::now() >= end);
        while running.len() < at_once && !is_late {
            match waiting.next() {
                Some(one) => {
                    running.spawn(work(one));
                }
                None => break,
            }
        }
        match running.join_next().await {
            Some(Ok(done)) => {
                if !tell(done) {
                    return;
                }
            }
            // A fault of this program; the panic was printed.
            Some(Err(_)) => {}
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_work_is_done_for_each_unless_it_ends_early() {
        let mut sum = 0;
        each(
            1..=100_u32,
            7,
            Duration::MAX,
            |one| async move { one },
            |one| {
                sum += one;
                true
            },
        )
        .await;
        assert_eq!(sum, 5050);
        let mut told = 0;
        each(
            0..100_u32,
            7,
            Duration::MAX,
            |one| async move { one },
            |_| {
                told += 1;
                told < 3
            },
        )
        .await;
        assert_eq!(told, 3);
        each(
            0..100_u32,
            7,
            Duration::ZERO,
            |one| async move { one },
            |_| {
                told += 1;
                true
            },
        )
        .await;
        assert_eq!(told, 3);
    }
}
