//! Tests of the connection to a server whose answers a test gives.

use std::task::{Context, Waker};
use std::time::Instant;

use foxden_model::ManualClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::super::*;

/// Listens like Redis.
struct Fake {
    listener: TcpListener,
    clock: Arc<ManualClock>,
}

/// The server's end of a connection.
struct Peer {
    stream: TcpStream,
    input: Vec<u8>,
    /// How many bytes the last read has read.
    read: usize,
}

impl Fake {
    async fn new() -> (Self, Arc<dyn CacheServer>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("redis://{}", listener.local_addr().unwrap());
        let address = CacheAddress::parse(&address).unwrap().unwrap();
        let clock = Arc::new(ManualClock::at_millis(0));
        let client = cache_server(&address, clock.clone());
        (Self { listener, clock }, client)
    }

    /// The next connection.
    async fn accept(&self) -> Peer {
        let accepted = tokio::time::timeout(Duration::from_secs(20), self.listener.accept()).await;
        let (stream, _) = accepted.expect("the client connects").unwrap();
        stream.set_nodelay(true).unwrap();
        let input = Vec::new();
        Peer {
            stream,
            input,
            read: 0,
        }
    }

    /// The next connection, to this run of the server.
    async fn greet(&self, run: &str) -> Peer {
        let mut peer = self.accept().await;
        peer.greet(run).await;
        peer
    }

    /// Whether a connection waits that was not accepted.
    async fn is_asked(&self) -> bool {
        let asked = tokio::time::timeout(Duration::from_millis(20), self.listener.accept());
        asked.await.is_ok()
    }
}

impl Peer {
    async fn greet(&mut self, run: &str) {
        assert_eq!(self.command().await.unwrap(), ["INFO"]);
        let info = format!("redis_version:7.0.15\r\nrun_id:{run}\r\n");
        self.answer(&bulk(&info)).await;
    }

    /// The words of the next command; none if the connection has ended.
    async fn command(&mut self) -> Option<Vec<String>> {
        loop {
            if let Some((words, used)) = command(&self.input) {
                self.input.drain(..used);
                return Some(words);
            }
            self.input.reserve(1 << 16);
            self.read = self.stream.read_buf(&mut self.input).await.unwrap_or_default();
            if self.read == 0 {
                return None;
            }
        }
    }

    /// Ends the connection, and lets the client see it.
    async fn close(self) {
        drop(self);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    async fn answer(&mut self, answer: &str) {
        self.stream.write_all(answer.as_bytes()).await.unwrap();
    }

    /// Answers the next command, which asks for this key: with its name.
    async fn answer_key(&mut self, key: &str) {
        assert_eq!(self.command().await.unwrap(), ["MGET", key]);
        self.answer(&name_of(key)).await;
    }
}

/// The words of a command and its length, if all of it has come.
fn command(input: &[u8]) -> Option<(Vec<String>, usize)> {
    let (count, mut at) = number(input, 0)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (length, begin) = number(input, at)?;
        at = begin + length + 2;
        let word = input.get(begin..at)?;
        words.push(String::from_utf8_lossy(&word[..length]).into_owned());
    }
    Some((words, at))
}

/// The number of the line that begins here, and where it ends.
fn number(input: &[u8], begin: usize) -> Option<(usize, usize)> {
    let line = input.get(begin + 1..)?;
    let end = line.iter().position(|byte| *byte == b'\r')?;
    let digits = std::str::from_utf8(&line[..end]).unwrap();
    Some((digits.parse().unwrap(), begin + end + 3))
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn name_of(key: &str) -> String {
    format!("*1\r\n{}", bulk(key))
}

type Gets = JoinSet<(String, Result<Got, CacheFault>)>;

/// Asks for a list of this name. It may be asked for twice.
fn spawn_get(gets: &mut Gets, client: &Arc<dyn CacheServer>, key: String) {
    let client = Arc::clone(client);
    gets.spawn(async move {
        let got = client.get(CacheRead::list(&key)).await;
        (key, got)
    });
}

fn is_away<T>(answer: &Result<T, CacheFault>) -> bool {
    matches!(answer, Err(CacheFault::Away(_)))
}

fn list_of(got: Result<Got, CacheFault>) -> Vec<u8> {
    got.unwrap().list.unwrap().value
}

/// Makes a call and lets it go on until it waits.
async fn begin<T>(call: &mut (impl Future<Output = T> + Unpin)) {
    for _ in 0..20 {
        let mut context = Context::from_waker(Waker::noop());
        assert!(std::pin::Pin::new(&mut *call).poll(&mut context).is_pending());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn calls_that_wait_together_go_out_in_one_write() {
    let (fake, client) = Fake::new().await;
    let mut peer = None;
    let mut gets = Gets::new();
    for count in [20, 1, 7] {
        for number in 0..count {
            spawn_get(&mut gets, &client, format!("{count}:{number}"));
        }
        if peer.is_none() {
            peer = Some(fake.greet("one").await);
        }
        let peer = peer.as_mut().unwrap();
        let (mut answers, mut reads) = (String::new(), 0);
        for _ in 0..count {
            reads += usize::from(peer.input.is_empty());
            let words = peer.command().await.unwrap();
            answers += &name_of(&words[1]);
        }
        assert_eq!(reads, 1, "a short write comes in one piece");
        // Byte by byte: so each answer is split in each place.
        for byte in answers.bytes() {
            peer.stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        while let Some(done) = gets.join_next().await {
            let (key, got) = done.unwrap();
            assert_eq!(list_of(got), key.as_bytes());
        }
    }
    assert!(!fake.is_asked().await, "one connection is enough");
}

#[tokio::test]
async fn no_command_gets_the_answer_to_another_one() {
    let (fake, client) = Fake::new().await;
    let mut gets = Gets::new();
    spawn_get(&mut gets, &client, "first".to_owned());
    let mut peer = fake.greet("one").await;
    assert_eq!(peer.command().await.unwrap(), ["MGET", "first"]);
    peer.answer(&name_of("older").repeat(2)).await;
    // It is not believed, and what may be sent twice is asked again.
    assert_eq!(peer.command().await, None);
    let mut peer = fake.greet("one").await;
    peer.answer_key("first").await;
    let (_, got) = gets.join_next().await.unwrap().unwrap();
    assert_eq!(list_of(got), b"first");
    // One that comes while no call waits ends the connection, too.
    peer.answer(&name_of("older")).await;
    assert_eq!(peer.command().await, None);
    spawn_get(&mut gets, &client, "second".to_owned());
    fake.greet("one").await.answer_key("second").await;
    let (_, got) = gets.join_next().await.unwrap().unwrap();
    assert_eq!(list_of(got), b"second");
}

#[tokio::test]
async fn what_may_have_been_done_is_not_sent_again() {
    let (fake, client) = Fake::new().await;
    let mut gets = Gets::new();
    spawn_get(&mut gets, &client, "answered".to_owned());
    let mut peer = fake.greet("one").await;
    peer.answer_key("answered").await;
    let run = gets.join_next().await.unwrap().unwrap().1.unwrap().run;
    spawn_get(&mut gets, &client, "answered".to_owned());
    spawn_get(&mut gets, &client, "cut".to_owned());
    assert_eq!(peer.command().await.unwrap(), ["MGET", "answered"]);
    let claims = {
        let client = Arc::clone(&client);
        let claim = CacheRead {
            list: "list",
            key: Some("key"),
            object: None,
            claim: Some((b"claim", CLAIM_TTL)),
        };
        async move { client.get(claim).await }
    };
    let keys = ["key".to_owned()];
    let removal = client.remove(&run, &keys);
    let serves = async {
        let mut sent = Vec::new();
        for _ in 0..4 {
            sent.push(peer.command().await.unwrap()[0].clone());
        }
        sent.sort();
        assert_eq!(sent, ["DEL", "MGET", "MGET", "SET"]);
        peer.answer(&name_of("answered")).await;
        drop(peer);
        let mut peer = fake.greet("one").await;
        assert_eq!(peer.command().await.unwrap(), ["MGET", "cut"]);
        // It is sent twice, no more.
        drop(peer);
        assert!(!fake.is_asked().await);
    };
    let (claimed, removed, ()) = tokio::join!(claims, removal, serves);
    assert!(is_away(&claimed) && is_away(&removed));
    let mut answered = 0;
    while let Some(done) = gets.join_next().await {
        let (key, got) = done.unwrap();
        assert_eq!(is_away(&got), key == "cut");
        answered += 1;
    }
    assert_eq!(answered, 2);
    // What is left is a server that answers.
    spawn_get(&mut gets, &client, "next".to_owned());
    fake.greet("one").await.answer_key("next").await;
    assert_eq!(list_of(gets.join_next().await.unwrap().unwrap().1), b"next");
}

#[tokio::test]
async fn a_server_that_stops_answering_is_left_alone_for_a_second() {
    let (fake, client) = Fake::new().await;
    let mut gets = Gets::new();
    let begin = Instant::now();
    spawn_get(&mut gets, &client, "first".to_owned());
    let mut peer = fake.greet("one").await;
    peer.answer_key("first").await;
    assert!(gets.join_next().await.unwrap().unwrap().1.is_ok());
    for number in 0..600 {
        spawn_get(&mut gets, &client, number.to_string());
    }
    while let Some(done) = gets.join_next().await {
        let CacheFault::Away(cause) = done.unwrap().1.unwrap_err() else {
            panic!("it is away")
        };
        assert_eq!(cause, "it does not answer in time");
    }
    // Half a second, and what a busy machine takes.
    assert!(begin.elapsed() > Duration::from_millis(400) && begin.elapsed() < Duration::from_secs(3));
    for millis in [0, 999] {
        fake.clock.advance_millis(millis);
        assert!(is_away(&client.get(CacheRead::list("x")).await));
        assert!(!fake.is_asked().await);
    }
    fake.clock.advance_millis(1);
    // One call tries again, others do not wait for it.
    spawn_get(&mut gets, &client, "tries".to_owned());
    let mut peer = fake.accept().await;
    assert!(is_away(&client.get(CacheRead::list("x")).await));
    peer.greet("one").await;
    peer.answer_key("tries").await;
    assert!(gets.join_next().await.unwrap().unwrap().1.is_ok());
    spawn_get(&mut gets, &client, "next".to_owned());
    peer.answer_key("next").await;
    assert!(gets.join_next().await.unwrap().unwrap().1.is_ok());
}

#[tokio::test]
async fn another_run_gets_nothing_that_is_for_the_one_before() {
    let (fake, client) = Fake::new().await;
    let mut gets = Gets::new();
    spawn_get(&mut gets, &client, "first".to_owned());
    let mut peer = fake.greet("one").await;
    peer.answer_key("first").await;
    let run = gets.join_next().await.unwrap().unwrap().1.unwrap().run;
    drop(peer);
    // Of the same run the run is the same text.
    spawn_get(&mut gets, &client, "again".to_owned());
    let mut peer = fake.greet("one").await;
    peer.answer_key("again").await;
    let again = gets.join_next().await.unwrap().unwrap().1.unwrap().run;
    assert!(Arc::ptr_eq(&run, &again));
    peer.close().await;
    let keys = ["key".to_owned()];
    let (removed, mut peer) = tokio::join!(client.remove(&run, &keys), fake.greet("two"));
    assert!(matches!(removed, Err(CacheFault::Lost)));
    client.put(&run, "key", b"value", ENTRY_TTL).await.unwrap();
    spawn_get(&mut gets, &client, "next".to_owned());
    peer.answer_key("next").await;
    let got = gets.join_next().await.unwrap().unwrap().1.unwrap();
    assert_eq!(&*got.run, "two");
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_its_answer_along() {
    let (fake, client) = Fake::new().await;
    let mut gets = Gets::new();
    // One that was not sent never is.
    let mut unsent = client.get(CacheRead::list("unsent"));
    begin(&mut unsent).await;
    let mut peer = fake.accept().await;
    drop(unsent);
    spawn_get(&mut gets, &client, "first".to_owned());
    peer.greet("one").await;
    peer.answer_key("first").await;
    assert!(gets.join_next().await.unwrap().unwrap().1.is_ok());
    // The answer to one that was sent goes to no other call.
    let mut sent = client.get(CacheRead::list("sent"));
    begin(&mut sent).await;
    assert_eq!(peer.command().await.unwrap(), ["MGET", "sent"]);
    drop(sent);
    spawn_get(&mut gets, &client, "second".to_owned());
    assert_eq!(peer.command().await.unwrap(), ["MGET", "second"]);
    peer.answer(&[name_of("sent"), name_of("second")].concat()).await;
    assert_eq!(list_of(gets.join_next().await.unwrap().unwrap().1), b"second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_go_both_ways_at_once() {
    const CALLS: usize = 40;
    let (fake, client) = Fake::new().await;
    let large: Arc<str> = "x".repeat(500_000).into();
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let (client, large) = (Arc::clone(&client), Arc::clone(&large));
        calls.spawn(async move {
            let read = CacheRead {
                list: "list",
                key: Some("key"),
                object: None,
                claim: Some((large.as_bytes(), CLAIM_TTL)),
            };
            let got = client.get(read).await.unwrap();
            got.list.unwrap().value == large.as_bytes()
        });
    }
    let mut peer = fake.greet("one").await;
    for _ in 0..CALLS {
        // It reads no further before its answer has been taken.
        assert_eq!(peer.command().await.unwrap()[2].len(), large.len());
        peer.command().await.unwrap();
        peer.answer(&format!("+OK\r\n*2\r\n{}$-1\r\n", bulk(&large)))
            .await;
    }
    assert!(calls.join_all().await.into_iter().all(|is_whole| is_whole));
}

/// No call waits for the answer to what a process only tells.
#[tokio::test]
async fn what_is_told_is_answered_in_its_turn() {
    let (fake, client) = Fake::new().await;
    let mut gets = Gets::new();
    spawn_get(&mut gets, &client, "first".to_owned());
    let mut peer = fake.greet("one").await;
    peer.answer_key("first").await;
    let run = gets.join_next().await.unwrap().unwrap().1.unwrap().run;
    for _ in 0..100 {
        client.put(&run, "key", b"value", ENTRY_TTL).await.unwrap();
    }
    spawn_get(&mut gets, &client, "second".to_owned());
    for _ in 0..100 {
        assert_eq!(peer.command().await.unwrap()[0], "SET");
        peer.answer("+OK\r\n").await;
    }
    peer.answer_key("second").await;
    assert_eq!(list_of(gets.join_next().await.unwrap().unwrap().1), b"second");
}

/// A server carries out the first commands of a call before it has the last.
#[tokio::test]
async fn a_call_that_is_written_in_part_may_be_answered_in_part() {
    let (fake, client) = Fake::new().await;
    // More than the buffers of the system take.
    let list = "x".repeat(32 << 20);
    let read = CacheRead {
        list: &list,
        key: Some("key"),
        object: None,
        claim: Some((b"claim", CLAIM_TTL)),
    };
    let serves = async {
        let mut peer = fake.greet("one").await;
        assert_eq!(peer.command().await.unwrap()[0], "SET");
        peer.answer("+OK\r\n").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let words = peer.command().await.unwrap();
        assert_eq!((words[0].as_str(), words[1].len()), ("MGET", list.len()));
        peer.answer(&format!("*2\r\n{}$-1\r\n", bulk("list"))).await;
    };
    let (got, ()) = tokio::join!(client.get(read), serves);
    assert_eq!(list_of(got), b"list");
}
