//! Which connections are closed for others. The tests move the clock.

use foxden_model::UserId;

use super::*;

/// A limiter for so many connections. One network may have four, the unread responses of a user two.
fn limiter(connections: u32) -> Arc<ConnectionLimiter> {
    let http = Http {
        max_connections: connections,
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
    ConnectionLimiter::new(&http, connections, SecurityEvents::default())
}

fn network(address: &str) -> Network {
    Network::of(address.parse().unwrap())
}

/// A connection that stays open until the limiter closes it, as those of real clients do.
struct Client(Arc<ConnectionState>, std::cell::RefCell<Option<ConnectionPermit>>);

impl Client {
    async fn of(limiter: &Arc<ConnectionLimiter>, address: Option<&str>) -> Option<Self> {
        let permit = limiter.admit(address.map(network)).await?;
        Some(Self(permit.state(), Some(permit).into()))
    }

    /// Drops the permit if the limiter has closed the connection. Returns whether it is still open.
    fn stays(&self) -> bool {
        if self.0.is_closing() {
            self.1.take();
        }
        self.1.borrow().is_some()
    }
}

/// So many connections of one client.
async fn clients(limiter: &Arc<ConnectionLimiter>, count: usize, address: Option<&str>) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(Client::of(limiter, address).await.unwrap());
    }
    clients
}

fn count(clients: &[Client]) -> usize {
    clients.iter().filter(|client| client.stays()).count()
}

/// A client that reads nothing of a long response.
fn read_nothing(client: &Client, user: u64) {
    client.0.request_began();
    client.0.set_user(Some(UserId(user)));
    client.0.client_is_full();
}

#[tokio::test]
async fn a_full_limiter_closes_the_longest_idle_connection() {
    let limiter = limiter(3);
    let all = clients(&limiter, 3, None).await;
    let [busy, longest, other] = &all[..] else {
        unreachable!()
    };
    busy.0.request_began();
    limiter.now.store(5_000, Ordering::Relaxed);
    other.0.request_ended();
    let newcomer = Client::of(&limiter, None).await.unwrap();
    assert!(newcomer.0.is_waiting(), "until the other is gone");
    assert_eq!((limiter.free(), limiter.waiting()), (0, 1));
    assert!(busy.stays() && !longest.stays() && other.stays());
    assert!(newcomer.0.acquire_slot().await && !newcomer.0.is_waiting());
    drop((all, newcomer));
    let open = limiter.open();
    assert!(open.states.is_empty() && open.direct.is_empty() && open.closing == 0);
}

/// Beyond its share a network loses its own slowest connection; others keep theirs.
#[tokio::test]
async fn a_network_takes_no_more_than_its_share() {
    for (share, one, neighbour) in [
        (4, "192.0.2.1", "192.0.2.1"),
        (16, "192.0.2.1", "192.0.2.2"),
        (4, "2001:db8::1", "2001:db8::2"),
        (8, "2001:db8::1", "2001:db8:0:1::1"),
        (16, "2001:db8::1", "2001:db8:0:100::1"),
    ] {
        let limiter = limiter(64);
        let other = clients(&limiter, 4, Some("198.51.100.1")).await;
        limiter.now.store(1_000, Ordering::Relaxed);
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
            limiter.now.store(2_000 + u64::from(number), Ordering::Relaxed);
            own.push(Client::of(&limiter, Some(&address.to_string())).await.unwrap());
        }
        assert_eq!(count(&own), share as usize, "{one}");
        let newcomer = Client::of(&limiter, Some(neighbour)).await.unwrap();
        assert!(newcomer.stays() && !newcomer.0.is_waiting());
        assert!(!own[0].stays(), "{one}: who has waited longest");
        assert_eq!((count(&own), count(&other)), (share as usize - 1, 4), "{one}");
    }
}

/// A network whose connections all wait for the server gets none beyond its share, and costs other networks none.
#[tokio::test]
async fn a_network_that_keeps_the_server_busy_gets_no_more() {
    let limiter = limiter(64);
    let busy = clients(&limiter, 4, Some("192.0.2.1")).await;
    for client in &busy {
        client.0.request_began();
    }
    assert!(Client::of(&limiter, Some("192.0.2.1")).await.is_none());
    assert!(Client::of(&limiter, Some("192.0.2.2")).await.is_some());
    busy[0].0.request_ended();
    assert!(Client::of(&limiter, Some("192.0.2.1")).await.is_some());
    assert_eq!(count(&busy), 3);
}

/// A proxy may have any number of connections.
#[tokio::test]
async fn a_proxys_connections_are_not_one_clients() {
    let limiter = limiter(64);
    let kept = clients(&limiter, 60, None).await;
    for (number, client) in (0..).zip(&kept) {
        client.0.set_client(network(&format!("192.0.{number}.1")));
        client.0.request_began();
    }
    limiter.close_slow(2_000, false);
    assert_eq!(count(&kept), 60, "each works for another client");
    // All waited for one client, and wait for the next request now.
    for client in &kept {
        client.0.set_client(network("192.0.2.1"));
        client.0.request_began();
        client.0.request_ended();
    }
    limiter.close_slow(3_000, false);
    assert_eq!(count(&kept), 60);
}

/// A client of a proxy gets no more than its share of the proxy's connections.
#[tokio::test]
async fn a_client_behind_a_proxy_keeps_its_share() {
    let limiter = limiter(64);
    let kept = clients(&limiter, 20, None).await;
    for (number, client) in kept.iter().enumerate() {
        let address = if number < 10 { "192.0.2.1" } else { "198.51.100.1" };
        client.0.set_client(network(address));
        client.0.request_began();
        if number < 10 {
            client.0.client_is_full();
        }
    }
    // The others' requests are under way and cannot be cut short.
    limiter.close_slow(2_000, false);
    assert_eq!((count(&kept[..10]), count(&kept[10..])), (4, 10));
}

#[tokio::test]
async fn unread_answers_of_a_user_hold_few_connections() {
    let limiter = limiter(64);
    let mut all = Vec::new();
    for number in 0..10 {
        all.extend(clients(&limiter, 1, Some(&format!("192.0.{number}.1"))).await);
        read_nothing(&all[number], 42);
    }
    let other = clients(&limiter, 1, Some("198.51.100.1")).await;
    read_nothing(&other[0], 7);
    limiter.close_slow(2_000, false);
    assert_eq!((count(&all), count(&other)), (2, 1));
}

/// Slow readers from many networks hold all connections, and a further client still gets one.
#[tokio::test]
async fn slow_readers_are_closed_and_first_those_of_the_largest_network() {
    let limiter = limiter(8);
    let one = clients(&limiter, 1, Some("203.0.113.1")).await;
    let many = clients(&limiter, 3, Some("192.0.2.1")).await;
    let more = clients(&limiter, 4, Some("198.51.100.1")).await;
    for client in one.iter().chain(&many).chain(&more) {
        read_nothing(client, 42);
        client.0.set_user(None);
    }
    limiter.close_slow(2_000, false);
    for left in [(1, 3, 3), (1, 2, 3), (1, 2, 2)] {
        let newcomer = Client::of(&limiter, Some("203.0.113.99")).await.unwrap();
        assert_eq!((count(&one), count(&many), count(&more)), left);
        assert!(newcomer.0.acquire_slot().await);
        newcomer.0.request_began();
        // It is under way for as long as the test lasts.
        std::mem::forget(newcomer);
    }
}

/// A client that reads a response at a fair rate is not closed for a new client, though its buffers are full.
#[tokio::test]
async fn a_client_that_reads_its_response_keeps_its_connection() {
    let limiter = limiter(2);
    let readers = clients(&limiter, 2, None).await;
    for (user, client) in (1..).zip(&readers) {
        read_nothing(client, user);
    }
    limiter.close_slow(2_000, false);
    readers[0].0.client_took(100_000);
    let newcomer = Client::of(&limiter, None).await.unwrap();
    assert!(readers[0].stays() && !readers[1].stays());
    assert!(newcomer.0.acquire_slot().await);
}

/// There are few waiting slots: the connection that has waited longest is closed first.
#[tokio::test]
async fn new_connections_wait_in_few_slots() {
    let limiter = limiter(1);
    let busy = clients(&limiter, 1, None).await;
    busy[0].0.request_began();
    let waiting = clients(&limiter, slot::MAX_WAITING as usize, None).await;
    assert!(
        waiting
            .iter()
            .all(|client| client.stays() && client.0.is_waiting())
    );
    let (newcomer, ()) = tokio::join!(Client::of(&limiter, None), async {
        waiting[0].0.closed().await;
        waiting[0].1.take();
    });
    assert!(newcomer.unwrap().stays() && busy[0].stays());
}

/// A connection in a waiting slot may be served there for long. A free connection admits the next client nevertheless.
#[tokio::test]
async fn a_free_connection_is_used_while_all_waiting_slots_are_taken() {
    let limiter = limiter(1);
    let busy = clients(&limiter, 1, None).await;
    busy[0].0.request_began();
    let waiting = clients(&limiter, slot::MAX_WAITING as usize, None).await;
    for client in &waiting {
        client.0.request_began();
    }
    let (newcomer, ()) = tokio::join!(Client::of(&limiter, None), async {
        tokio::task::yield_now().await;
        busy[0].1.take();
    });
    assert!(!newcomer.unwrap().0.is_waiting());
    assert!(waiting.iter().all(Client::stays));
}
