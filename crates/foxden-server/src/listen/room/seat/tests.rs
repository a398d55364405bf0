//! Who is too slow, by a clock that the test moves.

use tokio::sync::Semaphore;

use super::*;

const RULES: Rules = Rules {
    idle: 60_000,
    head: 10_000,
    stall: 20_000,
    request: 300_000,
    bytes_per_second: 1000,
};

/// A place that is nobody else's.
fn place() -> Place {
    let free = Arc::new(Semaphore::new(1));
    let permit = Arc::clone(&free).try_acquire_owned().unwrap();
    Place::seat(permit, free)
}

/// A seat, and the clock it reads.
fn seat() -> (Seat, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(1));
    (Seat::new(Arc::clone(&now), RULES, None, place()), now)
}

/// The first moment, in seconds, at which the seat is given up.
fn patience(seat: &Seat) -> Option<u64> {
    (0..1000).find(|second| seat.is_too_slow(second * 1000, false))
}

#[test]
fn a_silent_connection_may_wait_for_its_next_request() {
    let (seat, _) = seat();
    assert_eq!(patience(&seat), Some(61));
}

#[test]
fn dripping_does_not_buy_time_for_a_head() {
    let (seat, now) = seat();
    for second in 0..9 {
        now.store(second * 1000 + 1, Ordering::Relaxed);
        seat.bytes_came();
    }
    assert_eq!(patience(&seat), Some(11));
}

#[test]
fn a_body_buys_time_with_its_bytes_alone() {
    let (seat, now) = seat();
    seat.request_began();
    seat.waits_for_body();
    assert_eq!(patience(&seat), Some(21));
    now.store(15_000, Ordering::Relaxed);
    seat.body_came(5_000);
    seat.waits_for_body();
    assert_eq!(patience(&seat), Some(26), "five seconds more");
    now.store(20_000, Ordering::Relaxed);
    seat.body_came(10_000_000);
    seat.waits_for_body();
    assert_eq!(patience(&seat), Some(41), "never more than one stall ahead");
}

#[test]
fn a_steady_body_is_taken_until_the_request_has_lasted_too_long() {
    let (seat, now) = seat();
    seat.request_began();
    for second in (10..=300).step_by(10) {
        seat.waits_for_body();
        assert!(!seat.is_too_slow(second * 1000, false), "{second}");
        now.store(second * 1000, Ordering::Relaxed);
        seat.body_came(10_000);
    }
    seat.waits_for_body();
    assert_eq!(patience(&seat), Some(301), "no request takes for ever");
}

#[test]
fn the_servers_own_work_counts_against_no_rate() {
    let (seat, _) = seat();
    seat.request_began();
    seat.waits_for_body();
    seat.body_came(10);
    assert_eq!(patience(&seat), Some(301));
}

#[test]
fn whoever_does_not_take_an_answer_is_given_up() {
    let (seat, now) = seat();
    seat.request_began();
    now.store(5_000, Ordering::Relaxed);
    seat.client_is_full();
    assert_eq!(patience(&seat), Some(26));
    seat.client_took(50_000);
    assert_eq!(patience(&seat), Some(76));
    // What is left in the buffers after the answer's end must be taken as well.
    seat.request_ended();
    assert_eq!(patience(&seat), Some(76));
    seat.client_took_all();
    assert_eq!(patience(&seat), Some(66), "now it is idle like any other");
}

#[test]
fn a_connection_that_lingers_is_held_to_the_least_rate() {
    let (seat, now) = seat();
    seat.request_began();
    seat.request_ended();
    assert!(!seat.lingers(), "all of the request was read");
    seat.request_began();
    seat.has_unread_body();
    seat.request_ended();
    now.store(30_000, Ordering::Relaxed);
    assert!(seat.lingers() && seat.is_lingering());
    assert!(seat.is_in(Phase::Body), "it makes room as one that sends a body");
    assert_eq!(patience(&seat), Some(51), "one stall");
    seat.body_came(1_000_000);
    seat.waits_for_body();
    assert_eq!(patience(&seat), Some(51), "never more than one stall ahead");
}

#[test]
fn whoever_sends_no_request_is_told_so_unless_the_program_stops() {
    for (stops, stranger, lingers) in [(false, false, true), (true, false, false), (false, true, false)] {
        let (seat, _) = seat();
        seat.bytes_came();
        if stops {
            seat.will_not_linger();
        }
        if stranger {
            seat.is_strange(Stranger::Tls);
        }
        assert_eq!(seat.lingers(), lingers);
    }
}

#[test]
fn whoever_is_slow_has_little_time_once_the_program_stops() {
    let stops_at = |seat: &Seat| (0..1000).find(|second| seat.is_too_slow(second * 1000, true));
    let (head, now) = seat();
    for second in 0..9 {
        now.store(second * 1000 + 1, Ordering::Relaxed);
        head.bytes_came();
    }
    assert_eq!(stops_at(&head), Some(4));
    let (body, now) = seat();
    body.request_began();
    for second in 1..=5 {
        body.waits_for_body();
        now.store(second * 1000, Ordering::Relaxed);
        body.body_came(1);
    }
    body.waits_for_body();
    assert_eq!(stops_at(&body), Some(4), "a drip buys nothing");
    body.body_came(20_000);
    body.waits_for_body();
    assert_eq!(stops_at(&body), Some(9), "what comes at the least rate does");
    let (blocked, _) = seat();
    blocked.request_began();
    blocked.client_is_full();
    blocked.client_took(10_000);
    assert_eq!(stops_at(&blocked), Some(14));
    let (working, _) = seat();
    working.request_began();
    assert_eq!(stops_at(&working), Some(301), "the server's own work is finished");
}
