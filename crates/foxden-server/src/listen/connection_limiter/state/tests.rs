//! Which clients are too slow. The tests move the clock.

use tokio::sync::Semaphore;

use super::*;

const RULES: Timeouts = Timeouts {
    idle: 60_000,
    head: 10_000,
    stall: 20_000,
    request: 300_000,
    bytes_per_second: 1000,
};

/// A slot of its own.
fn slot() -> Slot {
    let free = Arc::new(Semaphore::new(1));
    let permit = Arc::clone(&free).try_acquire_owned().unwrap();
    Slot::connection(permit, free)
}

/// A connection, and the clock it reads.
fn connection() -> (ConnectionState, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(1));
    (ConnectionState::new(Arc::clone(&now), RULES, None, slot()), now)
}

/// The first second at which the connection is too slow.
fn timeout(connection: &ConnectionState) -> Option<u64> {
    (0..1000).find(|second| connection.is_too_slow(second * 1000, false))
}

#[test]
fn a_silent_connection_may_wait_for_its_next_request() {
    let (connection, _) = connection();
    assert_eq!(timeout(&connection), Some(61));
}

#[test]
fn dripping_does_not_buy_time_for_a_head() {
    let (connection, now) = connection();
    for second in 0..9 {
        now.store(second * 1000 + 1, Ordering::Relaxed);
        connection.bytes_received();
    }
    assert_eq!(timeout(&connection), Some(11));
}

#[test]
fn a_body_buys_time_with_its_bytes_alone() {
    let (connection, now) = connection();
    connection.request_began();
    connection.waits_for_body();
    assert_eq!(timeout(&connection), Some(21));
    now.store(15_000, Ordering::Relaxed);
    connection.body_received(5_000);
    connection.waits_for_body();
    assert_eq!(timeout(&connection), Some(26), "five seconds more");
    now.store(20_000, Ordering::Relaxed);
    connection.body_received(10_000_000);
    connection.waits_for_body();
    assert_eq!(timeout(&connection), Some(41), "never more than one stall ahead");
}

#[test]
fn a_steady_body_is_taken_until_the_request_has_lasted_too_long() {
    let (connection, now) = connection();
    connection.request_began();
    for second in (10..=300).step_by(10) {
        connection.waits_for_body();
        assert!(!connection.is_too_slow(second * 1000, false), "{second}");
        now.store(second * 1000, Ordering::Relaxed);
        connection.body_received(10_000);
    }
    connection.waits_for_body();
    assert_eq!(timeout(&connection), Some(301), "no request takes for ever");
}

#[test]
fn the_servers_own_work_counts_against_no_rate() {
    let (connection, _) = connection();
    connection.request_began();
    connection.waits_for_body();
    connection.body_received(10);
    assert_eq!(timeout(&connection), Some(301));
}

#[test]
fn a_client_that_reads_no_response_is_closed() {
    let (connection, now) = connection();
    connection.request_began();
    now.store(5_000, Ordering::Relaxed);
    connection.client_is_full();
    assert_eq!(timeout(&connection), Some(26));
    connection.client_took(50_000);
    assert_eq!(timeout(&connection), Some(76));
    // Bytes in the buffers after the end of the response must be taken, too.
    connection.request_ended();
    assert_eq!(timeout(&connection), Some(76));
    connection.client_took_all();
    assert_eq!(timeout(&connection), Some(66), "now it is idle like any other");
}

#[test]
fn a_connection_that_lingers_is_held_to_the_least_rate() {
    let (connection, now) = connection();
    connection.request_began();
    connection.request_ended();
    assert!(!connection.start_linger(false), "all of the request was read");
    connection.request_began();
    connection.set_unread_body();
    connection.request_ended();
    now.store(30_000, Ordering::Relaxed);
    assert!(connection.start_linger(false) && connection.is_lingering());
    assert!(
        connection.is_in(Phase::Body),
        "it makes limiter as one that sends a body"
    );
    assert_eq!(timeout(&connection), Some(51), "one stall");
    connection.body_received(1_000_000);
    connection.waits_for_body();
    assert_eq!(timeout(&connection), Some(51), "never more than one stall ahead");
}

#[test]
fn a_client_without_a_request_gets_a_408_unless_the_program_stops() {
    for (stops, foreign_protocol, lingers) in
        [(false, false, true), (true, false, false), (false, true, false)]
    {
        let (connection, _) = connection();
        connection.bytes_received();
        if stops {
            connection.forbid_linger();
        }
        if foreign_protocol {
            connection.set_foreign_protocol(ForeignProtocol::Tls);
        }
        assert_eq!(connection.start_linger(false), lingers);
    }
}

#[test]
fn a_slow_client_has_little_time_once_the_program_stops() {
    let stops_at =
        |connection: &ConnectionState| (0..1000).find(|second| connection.is_too_slow(second * 1000, true));
    let (head, now) = connection();
    for second in 0..9 {
        now.store(second * 1000 + 1, Ordering::Relaxed);
        head.bytes_received();
    }
    assert_eq!(stops_at(&head), Some(4));
    let (body, now) = connection();
    body.request_began();
    for second in 1..=5 {
        body.waits_for_body();
        now.store(second * 1000, Ordering::Relaxed);
        body.body_received(1);
    }
    body.waits_for_body();
    assert_eq!(stops_at(&body), Some(4), "a drip buys nothing");
    body.body_received(20_000);
    body.waits_for_body();
    assert_eq!(stops_at(&body), Some(9), "what comes at the least rate does");
    let (blocked, _) = connection();
    blocked.request_began();
    blocked.client_is_full();
    blocked.client_took(10_000);
    assert_eq!(stops_at(&blocked), Some(14));
    let (working, _) = connection();
    working.request_began();
    assert_eq!(stops_at(&working), Some(301), "the server's own work is finished");
}
