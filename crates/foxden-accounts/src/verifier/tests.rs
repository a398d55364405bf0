//! How many hashes there are at once, whoever waits for them.

use std::sync::mpsc;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::*;

/// Memory and a core are taken until the hash is done, so its turn must not end before.
#[tokio::test]
async fn a_hash_whose_caller_left_keeps_its_turn_until_it_is_done() {
    let verifiers = Verifiers::new(Some(1));
    let (release, held) = mpsc::channel::<()>();
    let (begins, begun) = oneshot::channel();
    let mut asking = JoinSet::new();
    let mine = verifiers.clone();
    asking.spawn(async move {
        let slow = move || {
            begins.send(()).unwrap();
            assert!(held.recv().is_err());
        };
        mine.run(slow).await.is_ok()
    });
    begun.await.unwrap();
    asking.shutdown().await;
    let bounds = &verifiers.0;
    assert_eq!(bounds.running.available_permits(), 0);
    assert_eq!(bounds.inside.load(Ordering::Relaxed), 1);

    drop(release);
    verifiers.run(|| ()).await.unwrap();
    assert_eq!(bounds.inside.load(Ordering::Relaxed), 0);
}

/// Who leaves before being served makes room at once.
#[tokio::test]
async fn who_leaves_the_queue_takes_no_turn() {
    let verifiers = Verifiers::new(Some(1));
    let turn = verifiers.0.running.acquire().await.unwrap();
    let mut asking = JoinSet::new();
    let mine = verifiers.clone();
    asking.spawn(async move { mine.run(|| ()).await.is_ok() });
    while verifiers.0.inside.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    asking.shutdown().await;
    assert_eq!(verifiers.0.inside.load(Ordering::Relaxed), 0);
    drop(turn);
    verifiers.run(|| ()).await.unwrap();
}
