//! Bounds on concurrent hashes, also of callers that have gone.

use std::sync::mpsc;

use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::*;

/// Memory and a core are taken until the hash is done, so its turn must not end before.
#[tokio::test]
async fn a_hash_holds_its_slot_after_its_caller_has_gone() {
    let password_hasher = PasswordHasher::new(Some(1), SecurityEvents::default());
    let (release, held) = mpsc::channel::<()>();
    let (begins, begun) = oneshot::channel();
    let mut asking = JoinSet::new();
    let mine = password_hasher.clone();
    asking.spawn(async move {
        let slow = move || {
            begins.send(()).unwrap();
            assert!(held.recv().is_err());
        };
        mine.run(None, slow).await.is_ok()
    });
    begun.await.unwrap();
    asking.shutdown().await;
    let state = &password_hasher.0;
    let queue = |running, waiting| HashQueue { running, waiting };
    assert_eq!(password_hasher.queue(), queue(1, 0));
    let mut next = JoinSet::new();
    let mine = password_hasher.clone();
    next.spawn(async move { mine.run(None, || ()).await.is_ok() });
    while state.inside.load(Ordering::Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(password_hasher.queue(), queue(1, 1));

    drop(release);
    next.join_all().await;
    password_hasher.run(None, || ()).await.unwrap();
    assert_eq!(password_hasher.queue(), queue(0, 0));
}

/// A client in the queue, whose turn does not come.
async fn one_waits(password_hasher: &PasswordHasher) -> JoinSet<bool> {
    let mut asking = JoinSet::new();
    let mine = password_hasher.clone();
    asking.spawn(async move { mine.run(None, || ()).await.is_ok() });
    while password_hasher.0.inside.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    asking
}

/// A caller that leaves the queue frees its slot at once.
#[tokio::test]
async fn a_caller_that_leaves_the_queue_frees_its_slot() {
    let password_hasher = PasswordHasher::new(Some(1), SecurityEvents::default());
    let turn = password_hasher.0.running.acquire().await.unwrap();
    let mut asking = one_waits(&password_hasher).await;
    asking.shutdown().await;
    assert_eq!(password_hasher.queue().waiting, 0);
    assert_eq!(password_hasher.0.inside.load(Ordering::Relaxed), 0);
    drop(turn);
    password_hasher.run(None, || ()).await.unwrap();
}

const COST: Cost = Cost {
    memory: 64,
    passes: 1,
    lanes: 1,
};

/// A hash in memory that another one has used is the same as in fresh memory, whatever the other one cost.
#[test]
fn a_buffer_in_use_before_changes_no_hash() {
    let params = |memory| HashParams {
        salt: [7; 16],
        cost: Cost { memory, ..COST },
    };
    let proof = |memory, buffers: &Buffers| {
        let proof = hash(&AuthPw([1; 32]), params(memory), buffers).unwrap();
        proof.verify_hash()
    };
    let used = Buffers::default();
    for memory in [64, 32, 128, 64] {
        assert_eq!(proof(memory, &used), proof(memory, &Buffers::default()));
        assert_eq!(used.count(), 1);
    }
}

/// There are never more buffers than hashes at once, and none is left a while after the last hash.
#[tokio::test]
async fn buffers_are_reused_and_then_freed() {
    let password_hasher = PasswordHasher::new(Some(2), SecurityEvents::default());
    let mut giving_back = JoinSet::new();
    let watched = password_hasher.clone();
    giving_back.spawn(async move { watched.free_unused_buffers().await });
    for _ in 0..2 {
        let mut asking = JoinSet::new();
        for number in 0..40 {
            let mine = password_hasher.clone();
            let params = HashParams {
                salt: [number; 16],
                cost: COST,
            };
            asking.spawn(async move {
                let state = Arc::clone(&mine.0);
                let spare = move |_| state.buffers.count();
                mine.hash_with(&AuthPw([number; 32]), params, None, spare)
                    .await
                    .unwrap()
            });
        }
        while let Some(spare) = asking.join_next().await {
            // The spare buffers when this hash was done: its own, and at most the other's.
            assert!((1..=2).contains(&spare.unwrap()));
        }
        assert!((1..=2).contains(&password_hasher.0.buffers.count()));
        while password_hasher.0.buffers.count() > 0 {
            tokio::time::sleep(BUFFERS_KEPT / 20).await;
        }
    }
}

/// The operator learns who wants more than their share; who finds no place because of others is not named.
#[tokio::test]
async fn whose_share_of_hashes_is_taken_is_told() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let told_to = Arc::clone(&heard);
    let security_events = SecurityEvents::new(move |event: &Event<'_>| {
        let why = event.why.unwrap_or_default().to_owned();
        told_to.lock().unwrap().push((event.kind, event.from, why));
    });
    let password_hasher = PasswordHasher::new(Some(1), security_events);
    let requester = |number: u64| HashRequester {
        name: number,
        by: (IpAddr::from([192, 0, 2, 1]), EntryPoint::Accounts),
    };
    let state = &password_hasher.0;
    let take = |from| QueueSlot::take(Arc::clone(state), from);
    let own: Vec<QueueSlot> = (0..65)
        .map(|number| take(Some(requester(number))).unwrap())
        .collect();
    assert!(heard.lock().unwrap().is_empty());
    assert!(take(Some(requester(1000))).is_err());
    let told = (
        EventKind::LimitReached,
        Some(IpAddr::from([192, 0, 2, 1])),
        "passwords being hashed".to_owned(),
    );
    assert_eq!(std::mem::take(&mut *heard.lock().unwrap()), [told]);

    let others: Vec<QueueSlot> = (0..64).map(|_| take(None).unwrap()).collect();
    let elsewhere = HashRequester {
        by: (IpAddr::from([198, 51, 100, 1]), EntryPoint::Accounts),
        ..requester(200)
    };
    assert!(take(Some(elsewhere)).is_err());
    assert!(heard.lock().unwrap().is_empty());
    drop((own, others));
}

/// Three neighbourhoods once kept all others out, by wrong passwords alone.
#[tokio::test]
async fn a_new_client_gets_a_slot_while_one_client_wants_all() {
    let password_hasher = PasswordHasher::new(Some(1), SecurityEvents::default());
    let requester = |network: u8, number: u64| HashRequester {
        name: u64::from(network) * 1000 + number,
        by: (IpAddr::from([192, 0, network, 1]), EntryPoint::Accounts),
    };
    let take =
        |network, number| QueueSlot::take(Arc::clone(&password_hasher.0), Some(requester(network, number)));
    let mut held = Vec::new();
    let mut counts = Vec::new();
    for network in 0..6 {
        let own: Vec<QueueSlot> = (0..200).filter_map(|number| take(network, number).ok()).collect();
        counts.push(own.len());
        held.extend(own);
    }
    assert_eq!(counts, [65, 32, 16, 8, 4, 2]);
    let newcomer = take(6, 0);
    assert!(newcomer.is_ok());
    assert!(take(0, 999).is_err(), "what becomes free is for others");
    drop((held, newcomer));
    assert_eq!(password_hasher.0.inside.load(Ordering::Relaxed), 0);
}
