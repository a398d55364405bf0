//! Two processes that share their channels.

use foxden_accounts::{Accounts, MIGRATIONS, Nodes, Options, Parts};
use foxden_sql::Database;
use tokio::task::JoinSet;

use super::*;

/// A process with its key exchange, and what it shares.
struct Process {
    ctx: TestContext,
    shared: Arc<dyn Shared>,
}

/// Two processes that have met, and one clock.
struct Pair {
    first: Process,
    second: Process,
}

impl Pair {
    async fn new(settings: Settings) -> Self {
        let pair = Self::strangers(settings).await;
        pair.meet().await;
        pair
    }

    async fn strangers(settings: Settings) -> Self {
        let clock = Arc::new(ManualClock::at_millis(START));
        let database = Database::in_memory(MIGRATIONS).await.unwrap();
        Self {
            first: process(&database, &clock, settings.clone(), 1).await,
            second: process(&database, &clock, settings, 2).await,
        }
    }

    /// Three seconds go by.
    async fn meet(&self) {
        for _ in 0..3 {
            for process in [&self.first, &self.second] {
                process.shared.meet().await.unwrap();
            }
            self.first.ctx.clock.advance_millis(1000);
        }
    }
}

async fn process(database: &Database, clock: &Arc<ManualClock>, settings: Settings, seed: u64) -> Process {
    let parts = Parts {
        database: database.clone(),
        clock: Arc::clone(clock) as _,
        rng: Arc::new(SeededRng::new(seed)),
        nodes: Nodes::Own("https://sync.example.org".to_owned()),
        options: Options::default(),
    };
    let shared = Arc::clone(Accounts::open(parts).await.unwrap().shared());
    shared.start();
    // Both draw the same names.
    let rng = Arc::new(SeededRng::new(7));
    let exchange = KeyExchange::new(
        settings,
        Arc::clone(clock) as _,
        rng,
        Arc::clone(&shared),
        SecurityEvents::default(),
    );
    Process {
        ctx: TestContext {
            exchange: Arc::new(exchange),
            clock: Arc::clone(clock),
            address: "192.0.2.1",
        },
        shared,
    }
}

/// Six reads, three by each, as a pairing takes.
#[tokio::test]
async fn two_devices_pair_through_two_processes() {
    let pair = Pair::new(Settings::default()).await;
    let (one, other) = (&pair.first.ctx, &pair.second.ctx);
    let k = one.channel().await;
    let mut written = one.send_as('a', "PUT", &k, &[("if-none-match", "*")], "0").await;
    for step in 1..6 {
        assert_eq!(written.status, 200);
        let own = written.tag.clone().unwrap();
        let (reader, writer) = if step % 2 == 1 {
            ((other, 'b'), (one, 'a'))
        } else {
            ((one, 'a'), (other, 'b'))
        };
        let unchanged = writer
            .0
            .send_as(writer.1, "GET", &k, &[("if-none-match", &own)], "")
            .await;
        assert_eq!(unchanged.status, 304);
        let read = reader.0.get(reader.1, &k).await;
        assert_eq!(
            (read.status, read.body),
            (200, (step - 1).to_string().into_bytes())
        );
        assert_eq!(read.tag.as_ref(), Some(&own));
        let stale = reader
            .0
            .send_as(reader.1, "PUT", &k, &[("if-match", "\"x\"")], "no")
            .await;
        assert_eq!(stale.status, 412);
        let tag = [("if-match", own.as_str())];
        written = reader
            .0
            .send_as(reader.1, "PUT", &k, &tag, &step.to_string())
            .await;
    }
    assert_eq!(one.get('a', &k).await.body, b"5");
    for (ctx, who) in [(one, 'a'), (other, 'b')] {
        assert_eq!(ctx.get(who, &k).await.status, 404, "the sixth read was the last");
    }
}

/// Both draw the same names, and no two channels have one.
#[tokio::test]
async fn each_channel_has_a_name_of_its_own() {
    let pair = Pair::new(Settings::default()).await;
    let mut names = std::collections::HashSet::new();
    for _ in 0..10 {
        assert!(names.insert(pair.first.ctx.channel().await));
        assert!(names.insert(pair.second.ctx.channel().await));
    }
}

#[tokio::test]
async fn whatever_ends_a_channel_ends_it_everywhere() {
    let pair = Pair::new(Settings::default()).await;
    let (one, other) = (&pair.first.ctx, &pair.second.ctx);
    for end in ["third", "no id", "delete", "report", "late"] {
        let k = one.channel().await;
        assert_eq!(other.put('b', &k, "x").await.status, 200);
        match end {
            "third" => assert_eq!(other.get('c', &k).await.status, 400),
            "no id" => assert_eq!(other.send("GET", &k, &[], "").await.status, 400),
            "delete" => assert_eq!(other.send_as('b', "DELETE", &k, &[], "").await.status, 200),
            "report" => {
                let cid = [("x-keyexchange-cid", &k[1..])];
                assert_eq!(one.send_as('c', "POST", "/report", &cid, "").await.status, 200);
                assert_eq!(one.get('a', &k).await.status, 200, "it is not the stranger's");
                assert_eq!(other.send_as('a', "POST", "/report", &cid, "").await.status, 200);
            }
            _ => one.clock.advance_millis(300_000),
        }
        if end == "late" {
            pair.meet().await;
        }
        assert_eq!(one.get('a', &k).await.status, 404, "{end}");
        assert_eq!(other.get('b', &k).await.status, 404, "{end}");
    }
}

/// A process that is alone keeps channels to itself, and serves them on when another one comes; new ones are found by both.
#[tokio::test]
async fn a_process_that_is_no_longer_alone_keeps_what_it_has() {
    let pair = Pair::strangers(Settings::default()).await;
    let (one, other) = (&pair.first.ctx, &pair.second.ctx);
    pair.first.shared.meet().await.unwrap();
    let before = one.channel().await;
    // One that could not look for a while does not know, and goes on with what it opened meanwhile.
    one.clock.advance_millis(4000);
    let unsure = one.channel().await;
    pair.first.shared.meet().await.unwrap();
    assert_eq!(one.put('a', &unsure, "x").await.status, 200);
    pair.meet().await;
    let after = one.channel().await;
    assert_eq!(one.put('a', &before, "x").await.status, 200);
    assert_eq!(one.get('b', &before).await.status, 200);
    assert_eq!(other.get('b', &before).await.status, 404);
    assert_eq!(other.get('b', &after).await.status, 200);
    // The other one goes away, and what it opened is there.
    let left = other.channel().await;
    for _ in 0..10 {
        pair.first.shared.meet().await.unwrap();
        one.clock.advance_millis(1000);
    }
    assert!(!pair.first.shared.had_peers(0));
    assert_eq!(one.get('b', &left).await.status, 200);
}

/// Who makes room makes it for all processes.
#[tokio::test]
async fn a_channel_that_makes_room_is_gone_everywhere() {
    let pair = Pair::new(Settings {
        max_channels: 2,
        ..Settings::default()
    })
    .await;
    let (one, other) = (&pair.first.ctx, &pair.second.ctx);
    let oldest = one.channel().await;
    one.clock.advance_millis(1);
    let crowd = [oldest, one.channel().await];
    let newcomer = one.from("198.51.100.7").channel().await;
    let mut found = Vec::new();
    for k in [&crowd[0], &crowd[1], &newcomer] {
        found.push(other.get('b', k).await.status);
    }
    assert_eq!(found, [404, 200, 200]);
}

/// The messages of a process are bounded, wherever they are kept.
#[tokio::test]
async fn messages_in_the_register_take_room_here() {
    let pair = Pair::new(Settings {
        household_bytes: 100,
        ..Settings::default()
    })
    .await;
    let (one, other) = (&pair.first.ctx, &pair.second.ctx);
    let channels = [one.channel().await, one.channel().await];
    assert_eq!(one.put('a', &channels[0], &"x".repeat(80)).await.status, 200);
    assert_eq!(one.put('a', &channels[1], &"x".repeat(80)).await.status, 503);
    assert_eq!(other.put('b', &channels[1], &"x".repeat(80)).await.status, 200);
    assert_eq!(
        one.send_as('a', "DELETE", &channels[0], &[], "").await.status,
        200
    );
    assert_eq!(one.put('a', &channels[1], &"x".repeat(80)).await.status, 200);
}

/// Of many first writes and many second clients at both processes, one is first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_requests_at_once_one_is_first() {
    let pair = Pair::new(Settings {
        abuse_control: AbuseControl::Off,
        ..Settings::default()
    })
    .await;
    for _ in 0..10 {
        let k = pair.first.ctx.channel().await;
        let written = at_once(&pair, 10, |_| 'b', "PUT", &k).await;
        // A second upload of one client to one process waits for the first.
        let won = written.iter().filter(|status| **status == 200).count();
        assert!(
            won == 1 && written.iter().all(|status| [200, 412, 503].contains(status)),
            "{written:?}"
        );

        let k = pair.second.ctx.channel().await;
        let read = at_once(&pair, 2, |number| ['b', 'c'][number], "GET", &k).await;
        let mut read = [read[0], read[1]];
        read.sort_unstable();
        assert_eq!(read, [200, 400], "the other one is a third");
        assert_eq!(pair.first.ctx.get('a', &k).await.status, 404);
    }
}

/// The statuses of requests that both processes get at the same moment.
async fn at_once(
    pair: &Pair,
    count: usize,
    who: fn(usize) -> char,
    method: &'static str,
    k: &str,
) -> Vec<u16> {
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let ctx = [&pair.first.ctx, &pair.second.ctx][number % 2].from("192.0.2.1");
        let (k, who) = (k.to_owned(), who(number));
        tasks.spawn(async move {
            ctx.send_as(who, method, &k, &[("if-none-match", "*")], "x")
                .await
                .status
        });
    }
    tasks.join_all().await
}
