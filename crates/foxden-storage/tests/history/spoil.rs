//! Histories with planted faults, which the check must find.

use std::ops::Range;
use std::sync::Arc;

use foxden_model::SyncTime;
use foxden_storage::conformance::EngineFixture;
use foxden_storage::conformance::history::{
    Call, Effect, Event, GuardRecord, Rows, Rules, SeenRow, SeenRows, check, check_with,
};
use foxden_storage::{BatchId, MemoryEngine};

use crate::load::{self, COLLECTIONS};

#[path = "unknown.rs"]
mod unknown;

/// Plants a fault in a good history with `spoil`, which returns whether it could, and expects the check to find it.
async fn finds(spoil: impl Fn(&mut Vec<Call>) -> bool) {
    let fixture = EngineFixture::new();
    let engine = Arc::new(MemoryEngine::new(fixture.clock.clone(), fixture.rng.clone()));
    let mut history = load::run(fixture, engine).await;
    assert_eq!(check(&history), Ok(()));
    assert!(spoil(&mut history), "nothing to spoil");
    assert!(check(&history).is_err(), "the fault was not found");
}

fn writes(history: &mut [Call]) -> impl Iterator<Item = &mut Call> {
    history
        .iter_mut()
        .filter(|call| matches!(call.event, Event::Wrote { .. }))
}

/// The positions of the calls of one kind, in the order in which they began.
fn places(history: &[Call], is_wanted: impl Fn(&Event) -> bool) -> Vec<usize> {
    let mut places: Vec<_> = (0..history.len())
        .filter(|at| is_wanted(&history[*at].event))
        .collect();
    places.sort_by_key(|at| history[*at].start);
    places
}

fn time(call: &mut Call) -> Option<&mut SyncTime> {
    match &mut call.event {
        Event::Wrote { time, .. } => Some(time),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_a_time_given_twice() {
    finds(|history| {
        let times: Vec<_> = writes(history).filter_map(|call| time(call).copied()).collect();
        let mut writes = writes(history);
        writes
            .nth(1)
            .and_then(time)
            .map(|time| *time = times[0])
            .is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_times_that_fall() {
    finds(|history| {
        let at = places(history, |event| matches!(event, Event::Wrote { .. }));
        let (early, late) = (at[at.len() / 4], at[at.len() * 3 / 4]);
        let mut times = [early, late].map(|at| time(&mut history[at]).copied().unwrap_or_default());
        times.reverse();
        for (at, swapped) in [early, late].into_iter().zip(times) {
            if let Some(time) = time(&mut history[at]) {
                *time = swapped;
            }
        }
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_half_a_write_in_a_read() {
    finds(|history| {
        let full = |event: &Event| matches!(event, Event::Read { rows, .. } if rows.len() > 1);
        let Some(at) = places(history, full).pop() else {
            return false;
        };
        match &mut history[at].event {
            Event::Read { rows, .. } => rows.pop_first().is_some(),
            _ => false,
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_an_as_of_that_hides_a_write() {
    finds(|history| {
        let at = places(history, |event| matches!(event, Event::Summary { .. }));
        match &mut history[at[at.len() / 2]].event {
            Event::Summary {
                as_of: Some(as_of), ..
            } => {
                *as_of = as_of.plus_seconds(1000);
                true
            }
            _ => false,
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_bytes_added_up_wrongly() {
    finds(
        |history| match writes(history).last().map(|call| &mut call.event) {
            Some(Event::Wrote {
                bytes: Some((_, after)),
                ..
            }) => {
                *after += 1;
                true
            }
            _ => false,
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_a_write_that_is_lost() {
    finds(|history| {
        let at = places(
            history,
            |event| matches!(event, Event::Wrote { bytes: Some((before, after)), .. } if before != after),
        );
        history.remove(at[at.len() / 2]);
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finds_a_read_of_an_old_state() {
    finds(|history| {
        let at = places(history, |event| matches!(event, Event::Summary { .. }));
        let old = history[at[at.len() / 4]].event.clone();
        history[at[at.len() * 3 / 4]].event = old;
        true
    })
    .await;
}

/// Two reads during one long write may see it or not, but not first see it and then not.
#[test]
fn finds_a_read_that_goes_back() {
    let write = put(0..100, 7, None, None);
    assert_eq!(check(&[write.clone(), summary(10, 0), summary(20, 7)]), Ok(()));
    assert_eq!(check(&[write.clone(), summary(10, 7), summary(20, 7)]), Ok(()));
    assert!(check(&[write, summary(10, 7), summary(20, 0)]).is_err());
}

#[test]
fn finds_a_guard_that_did_not_hold() {
    let first = put(0..1, 7, None, None);
    assert_eq!(check(&[first.clone(), put(2..3, 8, Some(7), None)]), Ok(()));
    assert!(check(&[first, put(2..3, 8, Some(6), None)]).is_err());
}

#[test]
fn finds_a_refusal_without_a_reason() {
    let first = put(0..1, 7, None, None);
    let refused = |since, modified| {
        let guard = guard(since);
        let modified = at(modified);
        call(2..3, Event::Refused { guard, modified })
    };
    assert_eq!(check(&[first.clone(), refused(6, 7)]), Ok(()));
    assert!(check(&[first.clone(), refused(7, 7)]).is_err());
    assert!(check(&[first, refused(6, 8)]).is_err());
}

#[test]
fn finds_a_batch_committed_twice_or_lost() {
    let batch = BatchId("one".into());
    let lost = call(2..3, Event::Lost { batch });
    let first = put(0..1, 7, None, Some("one"));
    assert_eq!(check(&[first.clone(), lost.clone()]), Ok(()));
    assert!(check(&[put(0..1, 7, None, Some("another")), lost]).is_err());
    assert!(check(&[first, put(4..5, 8, None, Some("one"))]).is_err());
}

/// A write that began after another one was seen has the later time, in whatever collection.
#[test]
fn finds_a_time_below_one_that_was_seen() {
    let seen = put(0..100, 9, None, None);
    let read = call(
        10..11,
        Event::Read {
            collection: COLLECTIONS[0],
            newer: None,
            seen: Some(at(9)),
            rows: SeenRows::new(),
            as_of: None,
        },
    );
    let other = |time| {
        let mut other = put(20..30, time, None, None);
        if let Event::Wrote { effect, .. } = &mut other.event {
            *effect = Effect::Put {
                collection: COLLECTIONS[1],
                rows: Rows::new(),
                batch: None,
            };
        }
        other
    };
    assert_eq!(check(&[seen.clone(), read.clone(), other(10)]), Ok(()));
    assert!(check(&[seen, read, other(8)]).is_err());
}

#[test]
fn finds_wrong_numbers() {
    let name = COLLECTIONS[0];
    let rows = Rows::from([("a".to_owned(), "four".to_owned())]);
    let effect = Effect::Put {
        collection: name,
        rows,
        batch: None,
    };
    let wrote = call(
        0..1,
        Event::Wrote {
            effect,
            guard: None,
            time: at(7),
            bytes: None,
        },
    );
    let told = |number| [(name.to_owned(), number)].into();
    let counts = |number, time| {
        let objects = told(number);
        let modified = at(time);
        call(2..3, Event::Counts { modified, objects })
    };
    let usage = |number| {
        let bytes = told(number);
        let modified = at(7);
        call(2..3, Event::Usage { modified, bytes })
    };
    assert_eq!(check(&[wrote.clone(), counts(1, 7), usage(4)]), Ok(()));
    assert!(check(&[wrote.clone(), counts(2, 7)]).is_err());
    assert!(check(&[wrote.clone(), counts(0, 7)]).is_err());
    assert!(check(&[wrote.clone(), counts(1, 6)]).is_err());
    assert!(check(&[wrote, usage(5)]).is_err());
}

fn at(hundredths: i64) -> SyncTime {
    SyncTime::from_hundredths(hundredths)
}

fn guard(since: i64) -> GuardRecord {
    GuardRecord {
        collection: COLLECTIONS[0],
        since: at(since),
    }
}

fn call(during: Range<u64>, event: Event) -> Call {
    Call {
        client: 0,
        start: during.start,
        end: during.end,
        event,
    }
}

/// A write to the first collection without patches.
fn put(during: Range<u64>, time: i64, since: Option<i64>, batch: Option<&str>) -> Call {
    let effect = Effect::Put {
        collection: COLLECTIONS[0],
        rows: Rows::new(),
        batch: batch.map(|batch| BatchId(batch.into())),
    };
    let event = Event::Wrote {
        effect,
        guard: since.map(guard),
        time: at(time),
        bytes: Some((0, 0)),
    };
    call(during, event)
}

/// A summary of a store with the first collection, or of an empty one at time zero.
fn summary(start: u64, modified: i64) -> Call {
    let collections = (modified > 0).then(|| (COLLECTIONS[0].to_owned(), at(modified)));
    let event = Event::Summary {
        modified: at(modified),
        collections: collections.into_iter().collect(),
        as_of: Some(at(modified)),
    };
    call(start..start + 1, event)
}
