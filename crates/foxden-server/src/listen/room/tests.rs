//! Who has a seat, who makes room for whom, by a clock that the test moves.

use foxden_model::UserId;

use super::*;

/// A room with so many seats. Of them one network may take four, a user's answers two.
fn room(seats: u32) -> Arc<Room> {
    let http = Http {
        max_connections: seats,
        max_connections_per_network: 4,
        max_slow_readers: 2,
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        stall_timeout: Duration::from_secs(20),
        min_rate: 1000,
        request_timeout: Duration::from_secs(300),
        max_body_memory: 1_000_000,
        max_answer_memory: 1_000_000,
        shutdown_timeout: Duration::from_secs(1),
    };
    Room::new(&http, seats, Witness::default())
}

fn network(address: &str) -> Network {
    Network::of(address.parse().unwrap())
}

/// A connection that waits in the background until it is sent away, as those of real clients do.
struct Guest(Arc<Seat>, std::cell::RefCell<Option<Taken>>);

impl Guest {
    async fn of(room: &Arc<Room>, address: Option<&str>) -> Option<Self> {
        let taken = room.seat(address.map(network)).await?;
        Some(Self(taken.seat(), Some(taken).into()))
    }

    /// Leaves if it was told to. Whether it is still there.
    fn stays(&self) -> bool {
        if self.0.is_leaving() {
            self.1.take();
        }
        self.1.borrow().is_some()
    }
}

/// So many of one client.
async fn guests(room: &Arc<Room>, count: usize, address: Option<&str>) -> Vec<Guest> {
    let mut guests = Vec::new();
    for _ in 0..count {
        guests.push(Guest::of(room, address).await.unwrap());
    }
    guests
}

fn count(guests: &[Guest]) -> usize {
    guests.iter().filter(|guest| guest.stays()).count()
}

/// A client that takes nothing of a long answer.
fn read_nothing(guest: &Guest, user: u64) {
    guest.0.request_began();
    guest.0.answers(Some(UserId(user)));
    guest.0.client_is_full();
}

#[tokio::test]
async fn a_full_room_sends_away_who_has_waited_longest() {
    let room = room(3);
    let all = guests(&room, 3, None).await;
    let [busy, longest, other] = &all[..] else {
        unreachable!()
    };
    busy.0.request_began();
    room.now.store(5_000, Ordering::Relaxed);
    other.0.request_ended();
    let newcomer = Guest::of(&room, None).await.unwrap();
    assert!(newcomer.0.is_in_lobby(), "until the other is gone");
    assert!(busy.stays() && !longest.stays() && other.stays());
    assert!(newcomer.0.finds_seat().await && !newcomer.0.is_in_lobby());
    drop((all, newcomer));
    let floor = room.floor();
    assert!(floor.seats.is_empty() && floor.direct.is_empty() && floor.leaving == 0);
}

/// Beyond its share a network makes room for itself, by its slowest; others keep their seats.
#[tokio::test]
async fn a_network_takes_no_more_than_its_share() {
    for (share, one, neighbour) in [
        (4, "192.0.2.1", "192.0.2.1"),
        (16, "192.0.2.1", "192.0.2.2"),
        (4, "2001:db8::1", "2001:db8::2"),
        (8, "2001:db8::1", "2001:db8:0:1::1"),
        (16, "2001:db8::1", "2001:db8:0:100::1"),
    ] {
        let room = room(64);
        let other = guests(&room, 4, Some("198.51.100.1")).await;
        room.now.store(1_000, Ordering::Relaxed);
        let mut own = Vec::new();
        // Each of the wider networks is filled by several narrower ones.
        for number in 0..share {
            let address: std::net::IpAddr = match one.parse().unwrap() {
                std::net::IpAddr::V4(v4) if share > 4 => {
                    std::net::Ipv4Addr::from_bits(v4.to_bits() + 10 + number / 4).into()
                }
                std::net::IpAddr::V6(v6) if share == 8 => {
                    std::net::Ipv6Addr::from_bits(v6.to_bits() + (u128::from(2 + number / 4) << 64)).into()
                }
                std::net::IpAddr::V6(v6) if share > 8 => {
                    std::net::Ipv6Addr::from_bits(v6.to_bits() + (u128::from(2 + number / 4) << 72)).into()
                }
                same => same,
            };
            room.now.store(2_000 + u64::from(number), Ordering::Relaxed);
            own.push(Guest::of(&room, Some(&address.to_string())).await.unwrap());
        }
        assert_eq!(count(&own), share as usize, "{one}");
        let newcomer = Guest::of(&room, Some(neighbour)).await.unwrap();
        assert!(newcomer.stays() && !newcomer.0.is_in_lobby());
        assert!(!own[0].stays(), "{one}: who has waited longest");
        assert_eq!((count(&own), count(&other)), (share as usize - 1, 4), "{one}");
    }
}

/// A network for all of whose connections the server works gets none beyond its share; it takes nobody else's.
#[tokio::test]
async fn a_network_that_keeps_the_server_busy_gets_no_more() {
    let room = room(64);
    let busy = guests(&room, 4, Some("192.0.2.1")).await;
    for guest in &busy {
        guest.0.request_began();
    }
    assert!(Guest::of(&room, Some("192.0.2.1")).await.is_none());
    assert!(Guest::of(&room, Some("192.0.2.2")).await.is_some());
    busy[0].0.request_ended();
    assert!(Guest::of(&room, Some("192.0.2.1")).await.is_some());
    assert_eq!(count(&busy), 3);
}

/// A proxy keeps as many connections as it likes.
#[tokio::test]
async fn a_proxys_connections_are_not_one_clients() {
    let room = room(64);
    let kept = guests(&room, 60, None).await;
    for (number, guest) in (0..).zip(&kept) {
        guest.0.is_asked_by(network(&format!("192.0.{number}.1")));
        guest.0.request_began();
    }
    room.look_around(2_000, false);
    assert_eq!(count(&kept), 60, "each works for another client");
    // All waited for one client, and wait for the next request now.
    for guest in &kept {
        guest.0.is_asked_by(network("192.0.2.1"));
        guest.0.request_began();
        guest.0.request_ended();
    }
    room.look_around(3_000, false);
    assert_eq!(count(&kept), 60);
}

/// A client of a proxy takes no more than its share of the connections that the proxy has here.
#[tokio::test]
async fn a_client_behind_a_proxy_keeps_its_share() {
    let room = room(64);
    let kept = guests(&room, 20, None).await;
    for (number, guest) in kept.iter().enumerate() {
        let client = if number < 10 { "192.0.2.1" } else { "198.51.100.1" };
        guest.0.is_asked_by(network(client));
        guest.0.request_began();
        if number < 10 {
            guest.0.client_is_full();
        }
    }
    // The others' requests are under way and cannot be cut short.
    room.look_around(2_000, false);
    assert_eq!((count(&kept[..10]), count(&kept[10..])), (4, 10));
}

#[tokio::test]
async fn a_users_unread_answers_wait_on_few_connections() {
    let room = room(64);
    let mut all = Vec::new();
    for number in 0..10 {
        all.extend(guests(&room, 1, Some(&format!("192.0.{number}.1"))).await);
        read_nothing(&all[number], 42);
    }
    let other = guests(&room, 1, Some("198.51.100.1")).await;
    read_nothing(&other[0], 7);
    room.look_around(2_000, false);
    assert_eq!((count(&all), count(&other)), (2, 1));
}

/// Slow readers hold all seats from many networks, and still somebody else gets in.
#[tokio::test]
async fn readers_make_room_and_first_those_of_whoever_has_most() {
    let room = room(8);
    let one = guests(&room, 1, Some("203.0.113.1")).await;
    let many = guests(&room, 3, Some("192.0.2.1")).await;
    let more = guests(&room, 4, Some("198.51.100.1")).await;
    for guest in one.iter().chain(&many).chain(&more) {
        read_nothing(guest, 42);
        guest.0.answers(None);
    }
    room.look_around(2_000, false);
    for left in [(1, 3, 3), (1, 2, 3), (1, 2, 2)] {
        let newcomer = Guest::of(&room, Some("203.0.113.99")).await.unwrap();
        assert_eq!((count(&one), count(&many), count(&more)), left);
        assert!(newcomer.0.finds_seat().await);
        newcomer.0.request_began();
        // It is under way for as long as the test lasts.
        std::mem::forget(newcomer);
    }
}

/// Who takes an answer at a fair rate is not cut off for a newcomer, though its buffers are full.
#[tokio::test]
async fn a_client_that_takes_its_answer_keeps_its_seat() {
    let room = room(2);
    let readers = guests(&room, 2, None).await;
    for (user, guest) in (1..).zip(&readers) {
        read_nothing(guest, user);
    }
    room.look_around(2_000, false);
    readers[0].0.client_took(100_000);
    let newcomer = Guest::of(&room, None).await.unwrap();
    assert!(readers[0].stays() && !readers[1].stays());
    assert!(newcomer.0.finds_seat().await);
}

/// The lobby is small: the one who has waited there longest goes first.
#[tokio::test]
async fn newcomers_wait_in_a_small_lobby() {
    let room = room(1);
    let busy = guests(&room, 1, None).await;
    busy[0].0.request_began();
    let waiting = guests(&room, lobby::PLACES as usize, None).await;
    assert!(waiting.iter().all(|guest| guest.stays() && guest.0.is_in_lobby()));
    let (newcomer, ()) = tokio::join!(Guest::of(&room, None), async {
        waiting[0].0.told_to_leave().await;
        waiting[0].1.take();
    });
    assert!(newcomer.unwrap().stays() && busy[0].stays());
}

/// Who waits in the lobby may be served there for long. A seat that is free lets the next in nevertheless.
#[tokio::test]
async fn a_free_seat_is_taken_while_the_lobby_is_full() {
    let room = room(1);
    let busy = guests(&room, 1, None).await;
    busy[0].0.request_began();
    let waiting = guests(&room, lobby::PLACES as usize, None).await;
    for guest in &waiting {
        guest.0.request_began();
    }
    let (newcomer, ()) = tokio::join!(Guest::of(&room, None), async {
        tokio::task::yield_now().await;
        busy[0].1.take();
    });
    assert!(!newcomer.unwrap().0.is_in_lobby());
    assert!(waiting.iter().all(Guest::stays));
}
