//! Nothing grows without a bound.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

use super::*;

/// Messages of 16 KiB are taken, those over 64 KiB are not, announced or not.
#[tokio::test]
async fn a_message_has_a_size() {
    let lab = lab();
    let k = lab.channel().await;
    for (length, status) in [(16 * 1024, 200), (64 * 1024, 200), (64 * 1024 + 1, 413)] {
        let body = "x".repeat(length);
        assert_eq!(lab.put('a', &k, &body).await.status, status, "{length}");
        let announced = [("content-length", length.to_string())];
        let announced: Vec<_> = announced
            .iter()
            .map(|(name, length)| (*name, length.as_str()))
            .collect();
        assert_eq!(lab.by('a', "PUT", &k, &announced, &body).await.status, status);
    }
    // The channel and its message are still there.
    assert_eq!(lab.get('b', &k).await.body.len(), 64 * 1024);
}

#[tokio::test]
async fn all_messages_together_have_a_size() {
    let lab = Lab::new(Settings {
        message_bytes: 60,
        total_bytes: 100,
        ..Settings::default()
    });
    let (k, l) = (lab.channel().await, lab.channel().await);
    let announced = [("content-length", "50")];
    let message = "x".repeat(50);
    assert_eq!(lab.by('a', "PUT", &k, &announced, &message).await.status, 200);
    assert_eq!(lab.by('a', "PUT", &l, &announced, &message).await.status, 200);
    let refused = lab.by('a', "PUT", &l, &announced, &message).await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (503, &"30".parse().unwrap())
    );
    // What ends gives its room back: by hand, by being replaced, by time.
    lab.by('a', "DELETE", &k, &[], "").await;
    assert_eq!(lab.by('a', "PUT", &l, &announced, &message).await.status, 200);
    assert_eq!(lab.by('a', "PUT", &l, &announced, &message).await.status, 200);
    lab.clock.advance_millis(300_000);
    let k = lab.channel().await;
    assert_eq!(lab.by('a', "PUT", &k, &announced, &message).await.status, 200);
    // So does a message that was refused.
    for _ in 0..5 {
        let condition = [("content-length", "50"), ("if-none-match", "*")];
        assert_eq!(lab.by('a', "PUT", &k, &condition, &message).await.status, 412);
    }
}

#[tokio::test]
async fn channels_have_a_number() {
    let lab = Lab::new(Settings {
        channels: 3,
        ..Settings::default()
    });
    let first = lab.channel().await;
    lab.channel().await;
    lab.channel().await;
    let refused = lab.get('a', "/new_channel").await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (503, &"30".parse().unwrap())
    );
    lab.by('a', "DELETE", &first, &[], "").await;
    lab.channel().await;
    lab.clock.advance_millis(300_000);
    lab.channel().await;
}

/// Where all channels are taken, the network that has most yields one in which no two have met.
#[tokio::test]
async fn a_newcomer_finds_a_channel_where_one_network_has_taken_all() {
    let lab = Lab::new(Settings {
        channels: 9,
        ..Settings::default()
    });
    let quiet = lab.from("203.0.113.1");
    let other = quiet.channel().await;
    let (one, neighbour) = (lab.from("192.0.2.1"), lab.from("192.0.2.2"));
    let mut taken = Vec::new();
    for lab in [&one, &neighbour].into_iter().cycle().take(8) {
        taken.push(lab.channel().await);
        lab.clock.advance_millis(1000);
    }
    // Two meet in the oldest of them.
    assert_eq!(one.put('a', &taken[0], "x").await.status, 200);
    assert_eq!(one.get('b', &taken[0]).await.status, 200);
    // One more of the same network ends none of its own, nor of another one's.
    assert_eq!(lab.from("192.0.2.3").get('a', "/new_channel").await.status, 503);

    let newcomer = lab.from("198.51.100.1");
    let found = newcomer.channel().await;

    assert_eq!(newcomer.put('a', &found, "x").await.status, 200);
    assert_eq!(
        neighbour.put('a', &taken[1], "x").await.status,
        404,
        "the oldest idle one"
    );
    for k in [&taken[0], &taken[2], &taken[7]] {
        assert_eq!(one.put('a', k, "x").await.status, 200);
    }
    assert_eq!(
        quiet.put('a', &other, "x").await.status,
        200,
        "a network with one keeps it"
    );
    for _ in 0..20 {
        // It yields down to what others have.
        lab.from("198.51.100.1").get('a', "/new_channel").await;
    }
    assert_eq!(quiet.put('a', &other, "x").await.status, 200);
}

/// However many addresses a network has, it takes no more than its share, and others pair.
#[tokio::test]
async fn one_network_cannot_take_all_channels() {
    let lab = lab();
    let clients: Vec<&'static str> = (0..69).map(|host| &*format!("192.0.2.{host}").leak()).collect();
    let mut opened = 0;
    for address in clients {
        for _ in 0..60 {
            opened += usize::from(lab.from(address).get('a', "/new_channel").await.status == 200);
        }
    }
    assert_eq!(opened, 240);
    lab.from("198.51.100.1").channel().await;
}

/// Where messages take up all the room, those of the network that holds most yield.
#[tokio::test]
async fn a_newcomer_finds_room_where_one_network_has_taken_all() {
    let lab = Lab::new(Settings {
        message_bytes: 60,
        total_bytes: 200,
        household_bytes: 100,
        ..Settings::default()
    });
    let (one, neighbour) = (lab.from("192.0.2.1"), lab.from("192.0.2.2"));
    let mut taken = Vec::new();
    for lab in [&one, &neighbour, &one, &neighbour] {
        let k = lab.channel().await;
        assert_eq!(lab.put('a', &k, &"x".repeat(50)).await.status, 200);
        taken.push(k);
        lab.clock.advance_millis(1000);
    }
    let newcomer = lab.from("198.51.100.1");
    let k = newcomer.channel().await;
    assert_eq!(newcomer.put('a', &k, &"x".repeat(60)).await.status, 200);
    // Two had to go.
    for (k, status) in taken.iter().zip([404, 404, 200, 200]) {
        assert_eq!(one.put('a', k, "x").await.status, status);
    }
}

fn little_room() -> Lab {
    Lab::new(Settings {
        message_bytes: 60,
        total_bytes: 200,
        household_bytes: 50,
        ..Settings::default()
    })
}

/// What yields is what the heaviest network sent, whichever network opened the channel.
#[tokio::test]
async fn a_newcomer_finds_room_where_senders_opened_no_channel() {
    let lab = little_room();
    let opener = lab.from("10.0.0.1");
    let mut taken = Vec::new();
    for sender in ["192.0.2.1", "192.0.2.2", "198.51.100.1"] {
        let k = opener.channel().await;
        assert_eq!(lab.from(sender).put('a', &k, &"x".repeat(50)).await.status, 200);
        taken.push(k);
        lab.clock.advance_millis(1000);
    }
    // An innocent pair meets in a channel that the heaviest sender opened.
    let quiet = lab.from("203.0.113.1");
    let innocent = lab.from("192.0.2.9").channel().await;
    assert_eq!(quiet.put('b', &innocent, &"x".repeat(50)).await.status, 200);

    let newcomer = lab.from("198.18.0.1");
    let k = newcomer.channel().await;
    assert_eq!(newcomer.put('a', &k, &"x".repeat(50)).await.status, 200);

    assert_eq!(
        opener.get('a', &taken[0]).await.status,
        404,
        "the oldest of the heaviest"
    );
    for k in [&taken[1], &taken[2], &innocent, &k] {
        assert_eq!(lab.get('a', k).await.status, 200);
    }
}

/// A body of which no more comes.
struct Stalled(Option<Bytes>);

impl http_body::Body for Stalled {
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

/// What still arrives yields as well.
#[tokio::test]
async fn a_newcomer_finds_room_where_messages_stall() {
    let lab = little_room();
    let id = id('a');
    let senders = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1"].map(|sender| lab.from(sender));
    let mut uploads = Vec::new();
    for sender in &senders {
        let (k, headers) = (sender.channel().await, [("x-keyexchange-id", id.as_str())]);
        let body = Body::new(Stalled(Some(Bytes::from(vec![b'x'; 50]))));
        let mut upload = Box::pin(async move { sender.ask("PUT", &k, &headers, body).await.status });
        assert!(poll_now(&mut upload).await.is_pending());
        uploads.push(upload);
    }
    let newcomer = lab.from("203.0.113.1");
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
    // What the others sent was given back but once.
    drop(uploads);
    let l = newcomer.channel().await;
    assert_eq!(lab.put('a', &l, &"x".repeat(50)).await.status, 200);
}

async fn poll_now<Work: Future + Unpin>(work: &mut Work) -> Poll<Work::Output> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *work).poll(context))).await
}

/// An exchange that allows little.
fn strict() -> Lab {
    Lab::new(Settings {
        allowances: Allowances {
            requests: 20,
            channels: 2,
            bad: 3,
            ..Allowances::default()
        },
        ..Settings::default()
    })
}

#[tokio::test]
async fn an_address_has_an_allowance() {
    let lab = strict();
    let k = lab.channel().await;
    lab.channel().await;
    let refused = lab.get('a', "/new_channel").await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (503, &"540".parse().unwrap())
    );
    lab.put('a', &k, "x").await;
    for _ in 4..20 {
        assert_eq!(lab.put('a', &k, "x").await.status, 200);
    }
    assert_eq!(lab.put('a', &k, "x").await.status, 403);
    // Whatever the path.
    assert_eq!(lab.ask("GET", "/", &[], "").await.status, 403);
    lab.clock.advance_millis(720_000);
    assert_eq!(lab.ask("GET", "/", &[], "").await.status, 200);

    let lab = strict();
    for _ in 0..3 {
        assert_eq!(lab.ask("GET", "/new_channel", &[], "").await.status, 400);
    }
    assert_eq!(lab.ask("GET", "/new_channel", &[], "").await.status, 403);
}

/// A clock that is set, to whatever time, neither ends a channel nor keeps one.
#[tokio::test]
async fn a_clock_that_is_set_does_nothing_to_a_channel() {
    for set in [-400, -1, 1, 400] {
        let lab = lab();
        let k = lab.channel().await;
        lab.clock.set_millis(lab.clock.millis() + set * 86_400_000);
        assert_eq!(lab.put('a', &k, "x").await.status, 200, "{set} days");
        lab.clock.advance_millis(600_000);
        assert_eq!(lab.put('a', &k, "x").await.status, 404, "{set} days");
        lab.channel().await;
    }
}

/// An address that asked for too much waits as long as it is said to, whatever the clock is set to.
#[tokio::test]
async fn a_clock_that_is_set_neither_ends_a_refusal_nor_lengthens_one() {
    for set in [-400, -1, 1, 400] {
        let lab = strict();
        for _ in 0..3 {
            lab.ask("GET", "/new_channel", &[], "").await;
        }
        lab.clock.set_millis(lab.clock.millis() + set * 86_400_000);
        assert_eq!(lab.ask("GET", "/", &[], "").await.status, 403, "{set} days");
        lab.clock.advance_millis(7_200_000);
        assert_eq!(lab.ask("GET", "/", &[], "").await.status, 200, "{set} days");
    }
}

/// Whoever sends slowly keeps nobody else from writing, and takes no room for what has not come.
#[tokio::test]
async fn a_client_sends_one_message_at_a_time() {
    let lab = Lab::new(Settings {
        message_bytes: 60,
        total_bytes: 100,
        ..Settings::default()
    });
    let (k, l) = (lab.channel().await, lab.channel().await);
    let mut headers = HeaderMap::new();
    headers.insert("x-keyexchange-id", id('a').parse().unwrap());
    let (name, client) = (name::Name::of(&k[1..]), ClientId::read(&headers));
    let now = lab.clock.steady_millis();
    let upload = lab.exchange.channels.begin_upload(name, client, now).unwrap();
    let refused = lab.put('a', &k, "x").await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (503, &"30".parse().unwrap())
    );
    assert_eq!(lab.put('b', &k, &"x".repeat(50)).await.status, 200);
    assert_eq!(lab.put('a', &l, "x").await.status, 200);
    drop(upload);
    assert_eq!(lab.put('a', &k, &"x".repeat(40)).await.status, 200);
    let announced = [("content-length", "60")];
    let stored = lab.by('a', "PUT", &l, &announced, &"x".repeat(50)).await;
    assert_eq!(stored.status, 200);
}

/// No household takes all the room.
#[tokio::test]
async fn an_address_has_a_share_of_the_room() {
    let settings = || Settings {
        household_bytes: 100,
        ..Settings::default()
    };
    let lab = Lab::new(settings());
    let (k, l) = (lab.channel().await, lab.channel().await);
    assert_eq!(lab.put('a', &k, &"x".repeat(70)).await.status, 200);
    let refused = lab.put('a', &l, &"x".repeat(40)).await;
    assert_eq!(
        (refused.status, &refused.headers["retry-after"]),
        (503, &"30".parse().unwrap())
    );
    assert_eq!(lab.put('a', &l, &"x".repeat(30)).await.status, 200);
    lab.by('a', "DELETE", &k, &[], "").await;
    assert_eq!(lab.put('a', &l, &"x".repeat(70)).await.status, 200);
    let lab = Lab::new(Settings {
        vigilance: Vigilance::Observe,
        ..settings()
    });
    let k = lab.channel().await;
    assert_eq!(lab.put('a', &k, &"x".repeat(200)).await.status, 200);
}

/// What another page makes a browser send ends no channel and is counted for nobody.
#[tokio::test]
async fn pages_get_nothing_done() {
    let lab = Lab::new(Settings {
        allowances: Allowances {
            requests: 5,
            bad: 1,
            ..Allowances::default()
        },
        ..Settings::default()
    });
    let k = lab.channel().await;
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
            let refused = lab.ask(method, path, &[header], "").await;
            assert_eq!(refused.status, 403, "{method} {path} {header:?}");
        }
    }
    // A browser says as much of itself.
    for header in [("sec-fetch-site", "none"), ("origin", "null")] {
        assert_eq!(lab.by('a', "PUT", &k, &[header], "x").await.status, 200);
    }
    assert_eq!(lab.get('b', &k).await.status, 200);
}
