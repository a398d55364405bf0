//! Histories with writes whose outcome is unknown.

use std::collections::BTreeMap;

use super::*;

fn one(payload: &str) -> Effect {
    Effect::Put {
        collection: COLLECTIONS[0],
        rows: Rows::from([("a".to_owned(), payload.to_owned())]),
        batch: None,
    }
}

fn all() -> Effect {
    Effect::DeleteCollection {
        collection: COLLECTIONS[0],
        keeps_name: false,
    }
}

fn unknown(during: Range<u64>, effect: Effect) -> Call {
    call(during, Event::Unknown { effect, guard: None })
}

fn wrote(during: Range<u64>, effect: Effect, time: i64) -> Call {
    let event = Event::Wrote {
        effect,
        guard: None,
        time: at(time),
        bytes: None,
    };
    call(during, event)
}

fn deleted(during: Range<u64>, time: i64) -> Call {
    let event = Event::Deleted {
        effect: all(),
        guard: None,
        time: at(time),
    };
    call(during, event)
}

/// A read of the first collection: the payload and time of its object; without one it is gone.
fn read(start: u64, row: Option<(&str, i64)>) -> Call {
    let rows = row.map(|(payload, modified)| {
        let payload = payload.to_owned();
        let modified = at(modified);
        ("a".to_owned(), SeenRow { payload, modified })
    });
    let event = Event::Read {
        collection: COLLECTIONS[0],
        newer: None,
        seen: row.map(|(_, modified)| at(modified)),
        rows: rows.into_iter().collect::<SeenRows>(),
        as_of: None,
    };
    call(start..start + 1, event)
}

fn read_object(start: u64, row: Option<(&str, i64)>) -> Call {
    let row = row.map(|(payload, modified)| SeenRow {
        payload: payload.to_owned(),
        modified: at(modified),
    });
    let event = Event::ReadObject {
        collection: COLLECTIONS[0],
        object: "a".to_owned(),
        row,
    };
    call(start..start + 1, event)
}

#[test]
fn finds_an_object_that_is_old_or_half_written() {
    let (first, lost) = (wrote(0..1, one("x"), 7), unknown(2..3, one("y")));
    let history = |reads: &[Call]| [&[first.clone(), lost.clone()], reads].concat();
    let (old, new) = (Some(("x", 7)), Some(("y", 8)));
    assert_eq!(
        check(&history(&[read_object(4, old), read_object(6, new)])),
        Ok(())
    );
    assert!(check(&history(&[read_object(4, new), read_object(6, old)])).is_err());
    assert!(check(&history(&[read_object(4, new), read(6, old)])).is_err());
    assert!(check(&history(&[read_object(4, None)])).is_err());
    assert!(check(&history(&[read_object(4, Some(("x", 6)))])).is_err());
}

/// Two deletions at once, of which one found nothing: it is told the time of the other.
#[test]
fn either_of_two_deletions_may_have_deleted() {
    let first = wrote(0..1, one("x"), 7);
    let (early, late) = (deleted(2..10, 8), deleted(5..11, 8));
    assert_eq!(
        check(&[first.clone(), early.clone(), read(3, None), late.clone()]),
        Ok(())
    );
    assert_eq!(
        check(&[first.clone(), early.clone(), read(6, None), late.clone()]),
        Ok(())
    );
    let seen = read(6, Some(("x", 7)));
    assert_eq!(check(&[first.clone(), early.clone(), seen, late.clone()]), Ok(()));
    let both = [early, late, read(12, Some(("x", 7)))];
    assert!(check(&[&[first][..], &both].concat()).is_err());
}

/// What is supposed first is wrong, and much is seen after it.
#[test]
fn a_write_is_found_in_a_long_history() {
    let other = || Effect::DeleteObject {
        collection: COLLECTIONS[0],
        object: "b".to_owned(),
        or_refuse: false,
    };
    let stale = Event::Unknown {
        effect: one("y"),
        guard: Some(guard(3)),
    };
    let mut seen = read(6, Some(("x", 7)));
    if let Event::Read { seen, .. } = &mut seen.event {
        *seen = Some(at(8));
    }
    let mut history = vec![
        wrote(0..1, one("x"), 7),
        unknown(2..3, other()),
        call(4..5, stale),
        seen,
    ];
    for round in 0..30_u32 {
        let event = Event::Deleted {
            effect: other(),
            guard: None,
            time: at(10 + i64::from(round)),
        };
        history.push(call(u64::from(10 + 2 * round)..u64::from(11 + 2 * round), event));
    }
    assert_eq!(check(&history), Ok(()));
    history.remove(1);
    assert!(check(&history).is_err());
}

#[test]
fn finds_a_write_that_lands_much_later() {
    let within = |time| Rules {
        lands_within: Some(time),
        ..Rules::default()
    };
    let late = [
        wrote(0..1, one("x"), 7),
        unknown(2..3, one("y")),
        read(50, Some(("x", 7))),
        read(60, Some(("y", 8))),
    ];
    assert_eq!(check(&late), Ok(()));
    assert_eq!(check_with(&late, within(47)), Ok(()));
    assert!(check_with(&late, within(46)).is_err());
}

/// A write that took so long that readers may have passed its time is made again, with a later one.
#[test]
fn a_write_that_took_long_may_land_again_but_at_once() {
    let after = |time| Rules {
        lands_again_after: Some(time),
        ..Rules::default()
    };
    let long = wrote(0..100, one("x"), 9);
    let first = read(5, Some(("x", 7)));
    let again = [long.clone(), first.clone(), read(102, Some(("x", 9)))];
    assert_eq!(check_with(&again, after(100)), Ok(()));
    assert!(check_with(&again, after(101)).is_err());
    assert!(check(&again).is_err());
    // The client is told the last time.
    assert!(
        check_with(
            &[
                wrote(0..100, one("x"), 7),
                first.clone(),
                read(102, Some(("x", 9)))
            ],
            after(100)
        )
        .is_err()
    );
    // Its first time alone was seen.
    let seen = [long.clone(), summary(5, 7), summary(102, 9)];
    assert_eq!(check_with(&seen, after(100)), Ok(()));
    assert!(check(&seen).is_err());
    // Nothing comes between.
    let between = [long, first, wrote(10..11, one("z"), 8)];
    assert!(check_with(&between, after(100)).is_err());
    // Its guard is compared once.
    let mut guarded = again.to_vec();
    guarded.push(wrote(200..201, one("y"), 11));
    if let Event::Wrote { guard: of_first, .. } = &mut guarded[0].event {
        *of_first = Some(guard(3));
    }
    assert_eq!(check_with(&guarded, after(100)), Ok(()));
    if let Event::Wrote { guard: of_last, .. } = &mut guarded[3].event {
        *of_last = Some(guard(7));
    }
    assert!(check_with(&guarded, after(100)).is_err());
}

/// A collection that it made shows by what others then find to delete.
#[test]
fn a_write_may_have_landed_that_no_one_read() {
    let deleted_object = |start, time| {
        let effect = Effect::DeleteObject {
            collection: COLLECTIONS[0],
            object: "a".to_owned(),
            or_refuse: true,
        };
        let event = Event::Deleted {
            effect,
            guard: None,
            time: at(time),
        };
        call(start..start + 1, event)
    };
    let (first, lost) = (wrote(0..1, one("x"), 7), unknown(4..5, one("y")));
    let emptied = deleted(2..3, 8);
    let empty = call(
        8..9,
        Event::Counts {
            modified: at(10),
            objects: BTreeMap::new(),
        },
    );
    let history = [
        first.clone(),
        emptied.clone(),
        lost,
        deleted_object(6, 10),
        empty.clone(),
    ];
    assert_eq!(check(&history), Ok(()));
    assert!(check(&[first, emptied, deleted_object(6, 10), empty]).is_err());
}

#[test]
fn a_write_may_have_landed_once_late_or_never() {
    let (first, lost) = (wrote(0..1, one("x"), 7), unknown(2..3, one("y")));
    let (old, new) = (Some(("x", 7)), Some(("y", 8)));
    let history = |reads: &[Call]| [&[first.clone(), lost.clone()], reads].concat();
    assert_eq!(check(&history(&[read(4, old)])), Ok(()));
    assert_eq!(check(&history(&[read(4, new)])), Ok(()));
    assert_eq!(check(&history(&[read(4, old), read(6, new)])), Ok(()));
    assert!(check(&history(&[read(4, new), read(6, old)])).is_err());
    assert!(check(&history(&[read(4, new), read(6, Some(("y", 9)))])).is_err());
    assert!(check(&history(&[read(4, None)])).is_err());
    // Before it was sent.
    assert!(check(&[first.clone(), unknown(6..7, one("y")), read(4, new)]).is_err());
}

#[test]
fn a_deletion_may_have_landed_once_or_never() {
    let (first, lost) = (wrote(0..1, one("x"), 7), unknown(2..3, all()));
    let (old, gone) = (Some(("x", 7)), None);
    let history = |rest: &[Call]| [&[first.clone(), lost.clone()], rest].concat();
    assert_eq!(check(&history(&[read(4, old)])), Ok(()));
    assert_eq!(check(&history(&[read(4, gone)])), Ok(()));
    assert_eq!(check(&history(&[read(4, old), read(6, gone)])), Ok(()));
    assert!(check(&history(&[read(4, gone), read(6, old)])).is_err());
    let again = wrote(5..6, one("z"), 9);
    assert_eq!(
        check(&history(&[read(4, gone), again.clone(), read(7, Some(("z", 9)))])),
        Ok(())
    );
    // It lands once.
    assert!(check(&history(&[read(4, gone), again, read(7, gone)])).is_err());
    assert!(check(&[first, read(4, gone)]).is_err());
}

#[test]
fn finds_a_write_that_is_lost_beside_one_whose_outcome_is_unknown() {
    let writes = [
        wrote(0..1, one("x"), 7),
        unknown(2..3, one("y")),
        wrote(4..5, one("z"), 9),
    ];
    let history = |row| [&writes[..], &[read(6, row)]].concat();
    assert_eq!(check(&history(Some(("z", 9)))), Ok(()));
    assert_eq!(check(&history(Some(("y", 10)))), Ok(()));
    assert!(check(&history(Some(("x", 7)))).is_err());
    assert!(check(&history(Some(("y", 8)))).is_err());
}

#[test]
fn a_deletion_that_was_told_a_time_is_a_write_or_found_nothing() {
    let first = wrote(0..1, one("x"), 7);
    assert_eq!(check(&[first.clone(), deleted(2..3, 8), read(4, None)]), Ok(()));
    assert_eq!(
        check(&[first.clone(), deleted(2..3, 8), deleted(4..5, 8), read(6, None)]),
        Ok(())
    );
    assert!(check(&[first.clone(), deleted(2..3, 7), read(4, None)]).is_err());
    assert!(check(&[first, deleted(2..3, 8), read(4, Some(("x", 7)))]).is_err());
}
