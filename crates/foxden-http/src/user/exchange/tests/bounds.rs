//! All resources are bounded.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

use super::*;

/// Messages of 16 KiB are stored, those over 64 KiB are not, with and without a content length.
#[tokio::test]
async fn a_message_has_a_size() {
    let ctx = context();
    let k = ctx.channel().await;
    for (length, status) in [(16 * 1024, 200), (64 * 1024, 200), (64 * 1024 + 1, 413)] {
        let body = "x".repeat(length);
        assert_eq!(ctx.put('a', &k, &body).await.status, status, "{length}");
        let announced = [("content-length", length.to_string())];
        let announced: Vec<_> = announced
            .iter()
            .map(|(name, length)| (*name, length.as_str()))
            .collect();
        assert_eq!(
            ctx.send_as('a', "PUT", &k, &announced, &body).await.status,
            status
        );
    }
    // The channel and its message are still there.
    assert_eq!(ctx.get('b', &k).await.body.len(), 64 * 1024);
}

#[tokio::test]
async fn all_messages_together_have_a_size() {
    let ctx = TestContext::new(Settings {
        message_bytes: 60,
        total_bytes: 100,
        ..Settings::default()
    });
    let (k, l) = (ctx.channel().await, ctx.channel().await);
    let announced = [("content-length", "50")];
    let message = "x".repeat(50);
    assert_eq!(
        ctx.send_as('a', "PUT", &k, &announced, &message).await.status,
        200
    );
    assert_eq!(
        ctx.send_as('a', "PUT", &l, &announced, &message).await.status,
        200
    );
    let refused = ctx.send_as('a', "PUT", &l, &announced, &message).await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (503, &"30".parse().unwrap())
    );
    // Memory is released when a channel is ended, its message replaced, or its TTL passed.
    ctx.send_as('a', "DELETE", &k, &[], "").await;
    assert_eq!(
        ctx.send_as('a', "PUT", &l, &announced, &message).await.status,
        200
    );
    assert_eq!(
        ctx.send_as('a', "PUT", &l, &announced, &message).await.status,
        200
    );
    ctx.clock.advance_millis(300_000);
    let k = ctx.channel().await;
    assert_eq!(
        ctx.send_as('a', "PUT", &k, &announced, &message).await.status,
        200
    );
    // So is the memory of a refused message.
    for _ in 0..5 {
        let condition = [("content-length", "50"), ("if-none-match", "*")];
        assert_eq!(
            ctx.send_as('a', "PUT", &k, &condition, &message).await.status,
            412
        );
    }
}

#[tokio::test]
async fn channels_have_a_number() {
    let ctx = TestContext::new(Settings {
        max_channels: 3,
        ..Settings::default()
    });
    let first = ctx.channel().await;
    ctx.channel().await;
    ctx.channel().await;
    let refused = ctx.get('a', "/new_channel").await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (503, &"30".parse().unwrap())
    );
    ctx.send_as('a', "DELETE", &first, &[], "").await;
    ctx.channel().await;
    ctx.clock.advance_millis(300_000);
    ctx.channel().await;
}

/// When all channels are in use, the network that has most loses one in which no two clients have met.
#[tokio::test]
async fn a_newcomer_finds_a_channel_where_one_network_has_taken_all() {
    let ctx = TestContext::new(Settings {
        max_channels: 9,
        ..Settings::default()
    });
    let quiet = ctx.from("203.0.113.1");
    let other = quiet.channel().await;
    let (one, neighbour) = (ctx.from("192.0.2.1"), ctx.from("192.0.2.2"));
    let mut permit = Vec::new();
    for ctx in [&one, &neighbour].into_iter().cycle().take(8) {
        permit.push(ctx.channel().await);
        ctx.clock.advance_millis(1000);
    }
    // Two clients meet in the oldest channel.
    assert_eq!(one.put('a', &permit[0], "x").await.status, 200);
    assert_eq!(one.get('b', &permit[0]).await.status, 200);
    // A further channel of the same network ends neither its own channels nor those of another network.
    assert_eq!(ctx.from("192.0.2.3").get('a', "/new_channel").await.status, 503);

    let newcomer = ctx.from("198.51.100.1");
    let found = newcomer.channel().await;

    assert_eq!(newcomer.put('a', &found, "x").await.status, 200);
    assert_eq!(
        neighbour.put('a', &permit[1], "x").await.status,
        404,
        "the oldest idle one"
    );
    for k in [&permit[0], &permit[2], &permit[7]] {
        assert_eq!(one.put('a', k, "x").await.status, 200);
    }
    assert_eq!(
        quiet.put('a', &other, "x").await.status,
        200,
        "a network with one keeps it"
    );
    for _ in 0..20 {
        // It loses channels until it has as many as others.
        ctx.from("198.51.100.1").get('a', "/new_channel").await;
    }
    assert_eq!(quiet.put('a', &other, "x").await.status, 200);
}

/// A network takes no more than its share, however many addresses it has, and others can pair.
#[tokio::test]
async fn one_network_cannot_take_all_channels() {
    let ctx = context();
    let clients: Vec<&'static str> = (0..69).map(|host| &*format!("192.0.2.{host}").leak()).collect();
    let mut opened = 0;
    for address in clients {
        for _ in 0..60 {
            opened += usize::from(ctx.from(address).get('a', "/new_channel").await.status == 200);
        }
    }
    assert_eq!(opened, 240);
    ctx.from("198.51.100.1").channel().await;
}

/// When messages take all the memory, those of the network that holds most are dropped.
#[tokio::test]
async fn a_newcomer_finds_room_where_one_network_has_taken_all() {
    let ctx = TestContext::new(Settings {
        message_bytes: 60,
        total_bytes: 200,
        household_bytes: 100,
        ..Settings::default()
    });
    let (one, neighbour) = (ctx.from("192.0.2.1"), ctx.from("192.0.2.2"));
    let mut permit = Vec::new();
    for ctx in [&one, &neighbour, &one, &neighbour] {
        let k = ctx.channel().await;
        assert_eq!(ctx.put('a', &k, &"x".repeat(50)).await.status, 200);
        permit.push(k);
        ctx.clock.advance_millis(1000);
    }
    let newcomer = ctx.from("198.51.100.1");
    let k = newcomer.channel().await;
    assert_eq!(newcomer.put('a', &k, &"x".repeat(60)).await.status, 200);
    // Two had to be dropped.
    for (k, status) in permit.iter().zip([404, 404, 200, 200]) {
        assert_eq!(one.put('a', k, "x").await.status, status);
    }
}

fn small_memory() -> TestContext {
    TestContext::new(Settings {
        message_bytes: 60,
        total_bytes: 200,
        household_bytes: 50,
        ..Settings::default()
    })
}

/// The message dropped is of the network that holds most, whichever network opened the channel.
#[tokio::test]
async fn a_newcomer_finds_room_where_senders_opened_no_channel() {
    let ctx = small_memory();
    let opener = ctx.from("10.0.0.1");
    let mut permit = Vec::new();
    for sender in ["192.0.2.1", "192.0.2.2", "198.51.100.1"] {
        let k = opener.channel().await;
        assert_eq!(ctx.from(sender).put('a', &k, &"x".repeat(50)).await.status, 200);
        permit.push(k);
        ctx.clock.advance_millis(1000);
    }
    // Two other clients meet in a channel that the largest sender opened.
    let quiet = ctx.from("203.0.113.1");
    let innocent = ctx.from("192.0.2.9").channel().await;
    assert_eq!(quiet.put('b', &innocent, &"x".repeat(50)).await.status, 200);

    let newcomer = ctx.from("198.18.0.1");
    let k = newcomer.channel().await;
    assert_eq!(newcomer.put('a', &k, &"x".repeat(50)).await.status, 200);

    assert_eq!(
        opener.get('a', &permit[0]).await.status,
        404,
        "the oldest of the heaviest"
    );
    for k in [&permit[1], &permit[2], &innocent, &k] {
        assert_eq!(ctx.get('a', k).await.status, 200);
    }
}

/// A body that stalls.
struct StalledBody(Option<Bytes>);

impl http_body::Body for StalledBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

/// Messages that are being received are dropped as well.
#[tokio::test]
async fn a_newcomer_finds_room_where_messages_stall() {
    let ctx = small_memory();
    let id = id('a');
    let senders = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1"].map(|sender| ctx.from(sender));
    let mut uploads = Vec::new();
    for sender in &senders {
        let (k, headers) = (sender.channel().await, [("x-keyexchange-id", id.as_str())]);
        let body = Body::new(StalledBody(Some(Bytes::from(vec![b'x'; 50]))));
        let mut upload = Box::pin(async move { sender.send("PUT", &k, &headers, body).await.status });
        assert!(poll_now(&mut upload).await.is_pending());
        uploads.push(upload);
    }
    let newcomer = ctx.from("203.0.113.1");
    let k = newcomer.channel().await;
    assert_eq!(newcomer.put('a', &k, &"x".repeat(50)).await.status, 200);

    let mut ended = Vec::new();
    for upload in &mut uploads {
        ended.push(poll_now(upload).await);
    }
    let refused = ended.iter().filter(|status| **status == Poll::Ready(503)).count();
    assert_eq!(
        (refused, ended[3]),
        (1, Poll::Pending),
        "one of the heaviest: {ended:?}"
    );
    // The memory of the dropped message is released only once.
    drop(uploads);
    let l = newcomer.channel().await;
    assert_eq!(ctx.put('a', &l, &"x".repeat(50)).await.status, 200);
}

async fn poll_now<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
}

/// A key exchange with small limits.
fn strict() -> TestContext {
    TestContext::new(Settings {
        limits: ClientLimits {
            requests: 20,
            channels: 2,
            bad: 3,
            ..ClientLimits::default()
        },
        ..Settings::default()
    })
}

#[tokio::test]
async fn an_address_has_an_allowance() {
    let ctx = strict();
    let k = ctx.channel().await;
    ctx.channel().await;
    let refused = ctx.get('a', "/new_channel").await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (503, &"540".parse().unwrap())
    );
    ctx.put('a', &k, "x").await;
    for _ in 4..20 {
        assert_eq!(ctx.put('a', &k, "x").await.status, 200);
    }
    assert_eq!(ctx.put('a', &k, "x").await.status, 403);
    // On every path.
    assert_eq!(ctx.send("GET", "/", &[], "").await.status, 403);
    ctx.clock.advance_millis(720_000);
    assert_eq!(ctx.send("GET", "/", &[], "").await.status, 200);

    let ctx = strict();
    for _ in 0..3 {
        assert_eq!(ctx.send("GET", "/new_channel", &[], "").await.status, 400);
    }
    assert_eq!(ctx.send("GET", "/new_channel", &[], "").await.status, 403);
}

/// Changes of the wall clock neither end a channel nor extend it.
#[tokio::test]
async fn a_clock_that_is_set_does_nothing_to_a_channel() {
    for set in [-400, -1, 1, 400] {
        let ctx = context();
        let k = ctx.channel().await;
        ctx.clock.set_millis(ctx.clock.millis() + set * 86_400_000);
        assert_eq!(ctx.put('a', &k, "x").await.status, 200, "{set} days");
        ctx.clock.advance_millis(600_000);
        assert_eq!(ctx.put('a', &k, "x").await.status, 404, "{set} days");
        ctx.channel().await;
    }
}

/// A blocked address waits as long as announced, whatever the wall clock says.
#[tokio::test]
async fn a_clock_that_is_set_neither_ends_a_refusal_nor_lengthens_one() {
    for set in [-400, -1, 1, 400] {
        let ctx = strict();
        for _ in 0..3 {
            ctx.send("GET", "/new_channel", &[], "").await;
        }
        ctx.clock.set_millis(ctx.clock.millis() + set * 86_400_000);
        assert_eq!(ctx.send("GET", "/", &[], "").await.status, 403, "{set} days");
        ctx.clock.advance_millis(7_200_000);
        assert_eq!(ctx.send("GET", "/", &[], "").await.status, 200, "{set} days");
    }
}

/// A slow sender does not keep others from writing, and takes no memory for what has not arrived.
#[tokio::test]
async fn a_client_sends_one_message_at_a_time() {
    let ctx = TestContext::new(Settings {
        message_bytes: 60,
        total_bytes: 100,
        ..Settings::default()
    });
    let (k, l) = (ctx.channel().await, ctx.channel().await);
    let mut headers = HeaderMap::new();
    headers.insert("x-keyexchange-id", id('a').parse().unwrap());
    let (name, client) = (name::ChannelName::of(&k[1..]), ClientId::read(&headers));
    let now = ctx.clock.steady_millis();
    let upload = ctx.exchange.channels.begin_upload(name, client, now).unwrap();
    let refused = ctx.put('a', &k, "x").await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (503, &"30".parse().unwrap())
    );
    assert_eq!(ctx.put('b', &k, &"x".repeat(50)).await.status, 200);
    assert_eq!(ctx.put('a', &l, "x").await.status, 200);
    drop(upload);
    assert_eq!(ctx.put('a', &k, &"x".repeat(40)).await.status, 200);
    let announced = [("content-length", "60")];
    let stored = ctx.send_as('a', "PUT", &l, &announced, &"x".repeat(50)).await;
    assert_eq!(stored.status, 200);
}

/// One household cannot take all the memory.
#[tokio::test]
async fn an_address_has_a_share_of_the_room() {
    let settings = || Settings {
        household_bytes: 100,
        ..Settings::default()
    };
    let ctx = TestContext::new(settings());
    let (k, l) = (ctx.channel().await, ctx.channel().await);
    assert_eq!(ctx.put('a', &k, &"x".repeat(70)).await.status, 200);
    let refused = ctx.put('a', &l, &"x".repeat(40)).await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (503, &"30".parse().unwrap())
    );
    assert_eq!(ctx.put('a', &l, &"x".repeat(30)).await.status, 200);
    ctx.send_as('a', "DELETE", &k, &[], "").await;
    assert_eq!(ctx.put('a', &l, &"x".repeat(70)).await.status, 200);
    let ctx = TestContext::new(Settings {
        abuse_control: AbuseControl::Observe,
        ..settings()
    });
    let k = ctx.channel().await;
    assert_eq!(ctx.put('a', &k, &"x".repeat(200)).await.status, 200);
}

/// A request triggered by a foreign page ends no channel and counts towards no limit.
#[tokio::test]
async fn pages_get_nothing_done() {
    let ctx = TestContext::new(Settings {
        limits: ClientLimits {
            requests: 5,
            bad: 1,
            ..ClientLimits::default()
        },
        ..Settings::default()
    });
    let k = ctx.channel().await;
    for header in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://example.net"),
    ] {
        for (method, path) in [
            ("GET", "/new_channel"),
            ("GET", &k),
            ("DELETE", &k),
            ("POST", "/report"),
        ] {
            let refused = ctx.send(method, path, &[header], "").await;
            assert_eq!(refused.status, 403, "{method} {path} {header:?}");
        }
    }
    // A browser announces it.
    for header in [("sec-fetch-site", "none"), ("origin", "null")] {
        assert_eq!(ctx.send_as('a', "PUT", &k, &[header], "x").await.status, 200);
    }
    assert_eq!(ctx.get('b', &k).await.status, 200);
}
