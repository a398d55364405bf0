//! Who is too slow, by a clock that the test moves.

use super::*;

const RULES: Rules = Rules {
    idle: 60_000,
    head: 10_000,
    stall: 20_000,
    request: 300_000,
    bytes_per_second: 1000,
};

/// A seat, and the clock it reads.
fn seat() -> (Seat, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(1));
    (Seat::new(Arc::clone(&now), RULES), now)
}

/// The first moment, in seconds, at which the seat is given up.
fn patience(seat: &Seat) -> Option<u64> {
    (0..1000).find(|second| seat.is_too_slow(second * 1000))
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
        assert!(!seat.is_too_slow(second * 1000), "{second}");
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

#[tokio::test]
async fn a_full_room_sends_away_who_has_waited_longest() {
    let http = Http {
        max_connections: 3,
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        stall_timeout: Duration::from_secs(20),
        min_rate: 1000,
        request_timeout: Duration::from_secs(300),
        max_body_memory: 1_000_000,
        max_answer_memory: 1_000_000,
        stop_timeout: Duration::from_secs(1),
    };
    let room = Room::new(&http, 3);
    let (busy, longest, other) = (room.seat().await, room.seat().await, room.seat().await);
    busy.seat().request_began();
    room.now.store(5_000, Ordering::Relaxed);
    other.seat().request_ended();
    let leaving = longest.seat();
    let (newcomer, ()) = tokio::join!(room.seat(), async move {
        leaving.told_to_leave().await;
        drop(longest);
    });
    assert_eq!(room.seats().len(), 3);
    drop((busy, other, newcomer));
    assert!(room.seats().is_empty());
}

#[test]
fn memory_goes_back_each_time_half_of_many_have_left() {
    let tide = Tide::default();
    for (seats, is_out) in [
        (0, false),
        (31, false),
        (0, false),
        (600, false),
        (301, false),
        (300, true),
        (299, false),
        (310, false),
        (155, true),
        (40, true),
        (40, false),
        (0, true),
        (0, false),
    ] {
        tide.comes_in(seats);
        assert_eq!(tide.goes_out(seats), is_out, "{seats}");
    }
    // They came and went between two looks.
    tide.comes_in(600);
    assert!(tide.goes_out(0) && !tide.goes_out(0));
}
