//! Permits are granted, refused, counted and released.

use std::task::{Context, Waker};

use tokio::task::{JoinSet, yield_now};

use super::list_queue::MOST_WAITING;
use super::*;

const ANN: Owner = Owner::Account(AccountId([1; 16]));
const BEA: Owner = Owner::Account(AccountId([2; 16]));

fn budget(most: u64) -> Arc<Budget> {
    watched(most, SecurityEvents::default())
}

fn watched(most: u64, security_events: SecurityEvents) -> Arc<Budget> {
    let divisors = ShareDivisors {
        authenticated: 4,
        small_bodies: 4,
        unauthenticated: 2,
    };
    Arc::new(Budget::new("test", most, divisors, security_events))
}

fn client(address: &str) -> Owner {
    Owner::Client(address.parse().unwrap())
}

#[test]
fn the_use_of_each_budget_is_reported() {
    let memory = Memory::default();
    assert_eq!(memory.in_use(), MemoryInUse::default());
    let body = memory.bodies.take(ANN, 1000).unwrap();
    let answer = memory.answers.take(ANN, 20_000).unwrap();
    let expected = MemoryInUse {
        bodies: 1000,
        answers: 20_000,
    };
    assert_eq!(memory.in_use(), expected);
    drop((body, answer));
    assert_eq!(memory.in_use(), MemoryInUse::default());
}

#[test]
fn an_account_has_a_quarter_of_what_others_left() {
    let budget = budget(400);
    let first = budget.take(ANN, 60).unwrap();
    assert!(budget.take(ANN, 41).is_err());
    assert!(budget.check(ANN).is_ok());
    let second = budget.take(ANN, 40).unwrap();
    assert!(budget.check(ANN).is_err());
    assert!(budget.take(ANN, 1).is_err());
    let others: Vec<_> = [BEA, client("192.0.2.1"), Owner::Store(UserId(7))]
        .into_iter()
        .filter_map(|owner| budget.take(owner, 50).ok())
        .collect();
    assert_eq!((others.len(), budget.held()), (3, 250));
    drop(first);
    // The others hold 150 of 400.
    assert!(budget.take(ANN, 23).is_err());
    let third = budget.take(ANN, 22).unwrap();
    drop((second, third, others));
    assert_eq!(budget.held(), 0);
    assert!(budget.cells.iter().all(|cell| cell.load(Ordering::Relaxed) == 0));
}

/// Nine accounts once held all memory and kept even short lists from everyone else.
#[test]
fn another_account_finds_room_beside_those_at_their_limits() {
    let memory = Memory::default();
    let mut places = Vec::new();
    for number in 0..20 {
        let owner = Owner::Account(AccountId([number; 16]));
        places.extend(std::iter::from_fn(|| memory.answers.take(owner, 100_000).ok()));
    }
    let newcomer = Owner::Account(AccountId([99; 16]));
    places.push(memory.answers.take(newcomer, 100_000).unwrap());
    places.push(memory.answers.take(newcomer, 100_000).unwrap());
    drop(places);
    assert_eq!(memory.answers.held(), 0);
}

/// No setting excludes any single request.
#[test]
fn a_lone_body_is_never_too_large() {
    let budget = budget(10);
    let alone = budget.take(ANN, 1000).unwrap();
    assert!(budget.take(ANN, 1).is_err());
    assert!(budget.take(BEA, 1).is_err());
    drop(alone);
    assert!(budget.take(BEA, 1_000_000).is_ok());
}

#[test]
fn the_whole_is_never_passed() {
    let budget = budget(400);
    let owner = |number: u8| Owner::Account(AccountId([number; 16]));
    let places: Vec<_> = (0..5)
        .filter_map(|number| budget.take(owner(number), 90).ok())
        .collect();
    assert_eq!((places.len(), budget.held()), (4, 360));
    drop(places);
    assert_eq!(budget.held(), 0);
}

/// One address has an eighth of what unauthenticated clients have, a wide network a quarter: neither can take what
/// the others need.
#[test]
fn networks_are_counted_in_all_their_widths() {
    let budget = budget(1600);
    let taken = |address: &str| {
        let places: Vec<_> = std::iter::from_fn(|| budget.take(client(address), 10).ok()).collect();
        let count = places.len();
        std::mem::forget(places);
        count
    };
    assert_eq!(taken("192.0.2.1"), 10);
    assert_eq!(taken("192.0.2.2"), 10);
    assert_eq!(taken("192.0.2.3"), 0, "their 24 bits are spent");
    assert_eq!(taken("198.51.100.1"), 10);
    assert_eq!(taken("2001:db8::1"), 10);
    assert_eq!(taken("2001:db8:0:1::1"), 3);
    assert_eq!(taken("2001:db8:0:1ff::1"), 7);
}

/// Unauthenticated clients, however many addresses they have, do not exclude authenticated ones.
#[test]
fn unknown_clients_leave_room_for_authenticated_ones() {
    let memory = Memory::default();
    for budget in [&memory.bodies, &memory.answers] {
        let mut places = Vec::new();
        for network in 0..64 {
            let unknown = client(&format!("192.0.{network}.1"));
            places.extend(std::iter::from_fn(|| budget.take(unknown, 10_000).ok()));
        }
        assert!(budget.held() <= 8_000_000, "{}", budget.held());
        for owner in [Owner::Store(UserId(1)), ANN] {
            assert!(budget.check(owner).is_ok());
            places.push(budget.take(owner, 2_600_000).unwrap());
            places.push(budget.take(owner, 2_600_000).unwrap());
        }
        assert!(budget.take(client("198.51.100.1"), 10_000).is_err());
        drop(places);
        assert_eq!(budget.held(), 0);
    }
}

/// Announced bytes take nothing from others until they arrive.
#[test]
fn announced_bytes_are_counted_when_they_arrive() {
    let budget = budget(1600);
    let expected: Vec<_> = (0..100)
        .map(|_| budget.reserve(client("192.0.2.1"), 90).unwrap())
        .collect();
    assert_eq!(budget.held(), 0);
    expected[0].grow(60).unwrap();
    expected[1].grow(40).unwrap();
    expected[1].grow(30).unwrap();
    assert_eq!(budget.held(), 100);
    assert!(expected[1].grow(41).is_err());
    assert_eq!(budget.held(), 100);
    assert!(budget.reserve(client("192.0.2.1"), 1).is_err());
    assert!(budget.reserve(client("198.51.100.1"), 90).is_ok());
    drop(expected);
    assert_eq!(budget.held(), 0);
    // A single permit grows without limit.
    let alone = budget.reserve(ANN, 5000).unwrap();
    alone.grow(100).unwrap();
    alone.grow(5000).unwrap();
    assert!(budget.reserve(BEA, 1).is_err());
    drop(alone);
    assert!(budget.cells.iter().all(|cell| cell.load(Ordering::Relaxed) == 0));
}

/// A client that is refused because others hold all memory has used up nothing.
#[test]
fn only_an_owner_that_fills_its_own_share_is_logged() {
    let told: Arc<AtomicU64> = Arc::default();
    let hears = Arc::clone(&told);
    let security_events = SecurityEvents::new(move |_| {
        hears.fetch_add(1, Ordering::Relaxed);
    });
    let budget = watched(1600, security_events);
    let refuse = |owner: Owner| {
        assert!(budget.reserve(owner, 50).is_err());
        assert!(budget.take(owner, 50).is_err());
        told.swap(0, Ordering::Relaxed)
    };
    let unauthenticated: Vec<_> = (0..8)
        .map(|number| budget.take(client(&format!("192.0.{number}.1")), 100).unwrap())
        .collect();
    let innocent = client("198.51.100.1");
    assert_eq!(refuse(innocent), 0);
    assert_eq!(refuse(client("192.0.0.1")), 2);
    drop(unauthenticated);
    let account = |number| Owner::Account(AccountId([number; 16]));
    let members: Vec<_> = (0..4)
        .map(|number| budget.take(account(number), 400).unwrap())
        .collect();
    assert_eq!(refuse(innocent), 0);
    assert_eq!(refuse(account(9)), 0);
    assert!(budget.check(account(9)).is_err());
    assert_eq!(refuse(account(1)), 2);
    drop(members);
    assert_eq!(budget.held(), 0);
}

/// Many clients may share a private address. It has more than others, and no more than all unauthenticated clients.
#[test]
fn a_private_network_may_use_the_share_of_all_unknown_clients() {
    let budget = budget(1600);
    let house = budget.take(client("192.168.1.1"), 790).unwrap();
    assert!(budget.take(client("192.168.1.2"), 20).is_err());
    assert!(budget.take(client("192.0.2.1"), 10).is_ok());
    assert!(budget.take(ANN, 400).is_ok());
    drop(house);
}

#[test]
fn brief_bodies_have_room_of_their_own() {
    let budget = budget(1600);
    let places: Vec<_> = (0..8)
        .map(|number| budget.take(client(&format!("192.0.{number}.1")), 100).unwrap())
        .collect();
    let other = client("198.51.100.1");
    assert!(budget.take(other.for_body(SMALL_BODY_BYTES + 1), 10).is_err());
    let small_bodies = budget.take(other.for_body(SMALL_BODY_BYTES), 50).unwrap();
    assert!(
        budget.take(other.for_body(1), 1).is_err(),
        "an eighth of a quarter"
    );
    assert_eq!(ANN.for_body(1), ANN);
    drop((places, small_bodies));
    assert!(budget.cells.iter().all(|cell| cell.load(Ordering::Relaxed) == 0));
}

#[test]
fn refused_bodies_are_not_counted() {
    let budget = budget(1600);
    let one = budget.take(client("192.0.2.1"), 100).unwrap();
    let other = budget.take(client("192.0.2.2"), 100).unwrap();
    for _ in 0..100 {
        assert!(budget.take(client("192.0.2.1"), 50).is_err());
    }
    assert_eq!(budget.held(), 200);
    drop((one, other));
    assert!(budget.cells.iter().all(|cell| cell.load(Ordering::Relaxed) == 0));
}

/// A response that is smaller than its permit keeps the permit and releases the rest.
#[test]
fn a_place_becomes_smaller_at_once_and_larger_if_there_is_room() {
    let budget = budget(400_000);
    let permit = budget.take(ANN, 90_000).unwrap();
    permit.resize(50_000).unwrap();
    let other = budget.take(ANN, 40_000).unwrap();
    assert!(permit.resize(60_001).is_err());
    assert_eq!(budget.held(), 90_000, "what it held it still holds");
    let permit = permit.resize_for_answer(60_000).unwrap().unwrap();
    assert_eq!(budget.held(), 100_000);
    assert!(
        permit
            .resize_for_answer(SMALL_ANSWER_BYTES - 1)
            .unwrap()
            .is_none()
    );
    assert_eq!(budget.held(), 40_000);
    drop(other);
}

#[test]
fn bytes_are_counted_until_the_last_is_gone() {
    let budget = budget(10_000);
    let permit = budget.take(ANN, 900).unwrap();
    let mut bytes = permit.hold(vec![7; 100]);
    assert_eq!(budget.held(), 100);
    let head = bytes.split_to(10);
    drop(bytes);
    assert_eq!((budget.held(), &head[..2]), (100, &[7, 7][..]));
    drop(head);
    assert_eq!(budget.held(), 0);

    let permit = Arc::new(budget.take(ANN, 900).unwrap());
    let part = MemoryPermit::hold_part(&permit, vec![1]);
    permit.set(50);
    drop(permit);
    assert_eq!(budget.held(), 50);
    drop(part);
    assert_eq!(budget.held(), 0);
}

#[test]
fn many_at_once_are_counted_well() {
    let budget = budget(1 << 20);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let budget = &budget;
            scope.spawn(move || {
                let owner = Owner::Account(AccountId([number; 16]));
                for _ in 0..10_000 {
                    let places = [1000, 2000].map(|bytes| budget.take(owner, bytes));
                    assert!(places.iter().all(Result::is_ok));
                }
            });
        }
    });
    assert_eq!(budget.held(), 0);
    assert!(budget.cells.iter().all(|cell| cell.load(Ordering::Relaxed) == 0));
}

/// Many lists that are asked for at the same moment are answered one after the other.
#[tokio::test]
async fn a_list_waits_for_room_and_each_reader_has_a_share_of_the_queue() {
    let memory = Arc::new(Memory::new(1_000, 1_000, SecurityEvents::default()));
    let full = memory.answers.take(BEA, 900).unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..MOST_WAITING / 8 {
        let memory = Arc::clone(&memory);
        waiting.spawn(async move { memory.lists.take(ANN, 110).await.map(drop) });
    }
    yield_now().await;
    assert_eq!(memory.lists.places.held(), MOST_WAITING / 8);
    assert!(
        memory.lists.take(ANN, 110).await.is_err(),
        "her share of the queue is full"
    );
    // The reader that has used up its own share is refused at once.
    assert!(memory.lists.take(BEA, 110).await.is_err());
    // A little room is not enough.
    full.set(895);
    yield_now().await;
    assert!(waiting.try_join_next().is_none());
    drop(full);
    assert!(waiting.join_all().await.iter().all(Result::is_ok));
    assert_eq!((memory.lists.places.held(), memory.answers.held()), (0, 0));
}

/// Those that give up keep the others from nothing.
#[tokio::test]
async fn a_list_that_is_given_up_tells_the_next_one() {
    let memory = Memory::new(1_000, 1_000, SecurityEvents::default());
    let full = memory.answers.take(BEA, 950).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut first = Box::pin(memory.lists.take(ANN, 900));
    let mut second = Box::pin(memory.lists.take(ANN, 900));
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(second.as_mut().poll(&mut context).is_pending());
    drop(full);
    // It was told, and is gone before it has looked.
    drop(first);
    drop(second.await.unwrap());
    assert_eq!(memory.lists.places.held(), 0);
}
