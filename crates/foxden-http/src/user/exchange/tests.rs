//! Tests of a conforming key exchange, by the numbers of list K10.

mod bounds;
mod race;
mod shared;

use foxden_accounts::SingleProcess;
use foxden_model::{ManualClock, SeededRng};
use tower::ServiceExt;

use super::*;

const START: i64 = 1_763_690_000_000;

/// A key exchange with a manual clock.
struct TestContext {
    exchange: Arc<KeyExchange>,
    clock: Arc<ManualClock>,
    /// The address of the client.
    address: &'static str,
}

struct TestResponse {
    status: u16,
    tag: Option<String>,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl TestContext {
    fn new(settings: Settings) -> Self {
        let clock = Arc::new(ManualClock::at_millis(START));
        let rng = Arc::new(SeededRng::new(1));
        let exchange = KeyExchange::new(
            settings,
            Arc::clone(&clock) as _,
            rng,
            Arc::new(SingleProcess),
            SecurityEvents::default(),
        );
        Self {
            exchange: Arc::new(exchange),
            clock,
            address: "192.0.2.1",
        }
    }

    /// The same key exchange for a client at another address.
    fn from(&self, address: &'static str) -> Self {
        Self {
            exchange: Arc::clone(&self.exchange),
            clock: Arc::clone(&self.clock),
            address,
        }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> TestResponse {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/jpake{path}"))
            .extension(Peer {
                address: self.address.parse().unwrap(),
                is_direct: false,
            });
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let router = router(Arc::clone(&self.exchange));
        let response = router.oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        assert_eq!(parts.headers["cache-control"], "no-store");
        assert_eq!(parts.headers["x-content-type-options"], "nosniff");
        TestResponse {
            status: parts.status.as_u16(),
            tag: parts
                .headers
                .get("etag")
                .map(|tag| tag.to_str().unwrap().to_owned()),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    /// Sends a request as this client, with further headers.
    async fn send_as(
        &self,
        who: char,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> TestResponse {
        let id = id(who);
        let mut headers = vec![("x-keyexchange-id", id.as_str())];
        headers.extend_from_slice(more);
        self.send(method, path, &headers, body.to_owned()).await
    }

    async fn get(&self, who: char, path: &str) -> TestResponse {
        self.send_as(who, "GET", path, &[], "").await
    }

    async fn put(&self, who: char, path: &str, body: &str) -> TestResponse {
        self.send_as(who, "PUT", path, &[], body).await
    }

    /// Opens a channel as client `a` and returns its path.
    async fn channel(&self) -> String {
        let opened = self.get('a', "/new_channel").await;
        assert_eq!(opened.status, 200);
        let name: String = serde_json::from_slice(&opened.body).unwrap();
        assert_eq!(opened.headers["x-keyexchange-channel"], name.as_str());
        format!("/{name}")
    }
}

fn context() -> TestContext {
    TestContext::new(Settings::default())
}

fn id(who: char) -> String {
    who.to_string().repeat(256)
}

/// K10.1, K10.2: opening a channel takes an id of exactly 256 characters.
#[tokio::test]
async fn a_client_with_an_id_opens_a_channel() {
    let ctx = context();
    assert_eq!(ctx.send("GET", "/new_channel", &[], "").await.status, 400);
    for length in [0, 3, 255, 257] {
        let id = "a".repeat(length);
        let headers = [("x-keyexchange-id", id.as_str())];
        assert_eq!(ctx.send("GET", "/new_channel", &headers, "").await.status, 400);
    }
    let two = [("x-keyexchange-id", id('a')), ("x-keyexchange-id", id('a'))];
    let two: Vec<_> = two.iter().map(|(name, id)| (*name, id.as_str())).collect();
    assert_eq!(ctx.send("GET", "/new_channel", &two, "").await.status, 400);
}

/// K10.3: the answer is a JSON string of four characters of the alphabet, the same as in the header.
#[tokio::test]
async fn a_name_is_four_unambiguous_characters() {
    let ctx = context();
    for _ in 0..50 {
        let opened = ctx.get('b', "/new_channel").await;
        assert_eq!(opened.status, 200);
        assert_eq!(opened.headers["content-type"], "application/json");
        let name: String = serde_json::from_slice(&opened.body).unwrap();
        assert_eq!(opened.headers["x-keyexchange-channel"], name.as_str());
        assert_eq!(name.len(), 4);
        assert!(
            name.chars()
                .all(|c| "23456789abcdefghijkmnpqrstuvwxyz".contains(c)),
            "{name}"
        );
    }
}

/// K10.4, K10.5: the method is checked before the id.
#[tokio::test]
async fn a_wrong_method_is_told_without_an_id() {
    let ctx = context();
    for method in ["DELETE", "POST", "PUT", "HEAD"] {
        assert_eq!(ctx.send(method, "/new_channel", &[], "").await.status, 405);
    }
    for method in ["GET", "PUT", "DELETE"] {
        let refused = ctx.send(method, "/report", &[], "").await;
        assert_eq!(
            (refused.status, &refused.headers["allow"]),
            (405, &"POST".parse().unwrap())
        );
    }
    assert_eq!(ctx.send("POST", "/", &[], "").await.status, 405);
}

/// K10.6: a path that names no channel is not found, whatever the headers.
#[tokio::test]
async fn other_paths_are_nothing() {
    let ctx = context();
    for method in ["GET", "PUT", "POST", "DELETE"] {
        for path in ["/some/url", "/UPER", "/o", "/a1b2", "//", "/new_channel/x"] {
            assert_eq!(
                ctx.send(method, path, &[], "").await.status,
                404,
                "{method} {path}"
            );
            assert_eq!(ctx.send_as('a', method, path, &[], "").await.status, 404);
        }
    }
}

/// K10.7, K10.8, K10.9: an unknown channel; a bad id is reported first.
#[tokio::test]
async fn a_channel_that_never_was_is_not_found() {
    let ctx = context();
    assert_eq!(ctx.get('a', "/boo2").await.status, 404);
    assert_eq!(ctx.put('a', "/boo2", "x").await.status, 404);
    for path in ["/zzzz", "/b", "/bbbbb"] {
        assert_eq!(ctx.get('a', path).await.status, 404);
        assert_eq!(ctx.put('a', path, "x").await.status, 404);
        let short = [("x-keyexchange-id", "abc")];
        assert_eq!(ctx.send("GET", path, &short, "").await.status, 400);
        assert_eq!(ctx.send("GET", path, &[], "").await.status, 400);
    }
}

/// K10.10, K10.11: two clients meet; a third ends the channel for all.
#[tokio::test]
async fn two_meet_and_a_third_ends_it() {
    let ctx = context();
    let k = ctx.channel().await;
    let stored = ctx.put('a', &k, "somedata").await;
    assert_eq!((stored.status, stored.body.as_slice()), (200, &b"\"\""[..]));
    let read = ctx.get('b', &k).await;
    assert_eq!((read.status, read.body.as_slice()), (200, &b"somedata"[..]));
    assert_eq!(read.headers["content-type"], "application/json");
    assert!(read.tag.is_some() && read.tag == stored.tag);
    assert_eq!(ctx.get('c', &k).await.status, 400);
    assert_eq!(ctx.get('a', &k).await.status, 404);
}

/// K10.12: a client without a valid id ends the channel, too.
#[tokio::test]
async fn a_bad_id_ends_the_channel() {
    for length in [None, Some(255), Some(257)] {
        let ctx = context();
        let k = ctx.channel().await;
        ctx.put('a', &k, "x").await;
        assert_eq!(ctx.get('b', &k).await.status, 200);
        let id = "b".repeat(length.unwrap_or_default());
        let headers = length.map(|_| ("x-keyexchange-id", id.as_str()));
        assert_eq!(ctx.send("GET", &k, headers.as_slice(), "").await.status, 400);
        assert_eq!(ctx.get('a', &k).await.status, 404);
    }
}

/// K10.13: before a client has written.
#[tokio::test]
async fn an_empty_channel_has_no_tag() {
    let ctx = context();
    let k = ctx.channel().await;
    let read = ctx.get('a', &k).await;
    assert_eq!(
        (read.status, read.body.as_slice(), read.tag),
        (200, &b"{}"[..], None)
    );
}

/// K10.14: the first to write wins, and gets the tag of what it sent.
#[tokio::test]
async fn only_the_first_message_finds_the_channel_empty() {
    let ctx = context();
    let k = ctx.channel().await;
    let first = [("if-none-match", "*")];
    let x = ctx.send_as('a', "PUT", &k, &first, "x").await;
    let y = ctx.send_as('a', "PUT", &k, &first, "y").await;
    assert_eq!((x.status, y.status), (200, 412));
    assert_ne!(x.tag, y.tag);
    let read = ctx.get('b', &k).await;
    assert_eq!((read.body.as_slice(), read.tag), (&b"x"[..], x.tag));
    assert_eq!(ctx.put('b', &k, "y").await.tag, y.tag);
}

/// K10.15: a message replaces the one that it answers, once.
#[tokio::test]
async fn an_answer_replaces_the_message_that_it_answers() {
    let ctx = context();
    let k = ctx.channel().await;
    let x = ctx.put('a', &k, "x").await.tag.unwrap();
    let matching = [("if-match", x.as_str())];
    let first = ctx.send_as('b', "PUT", &k, &matching, "y").await;
    let again = ctx.send_as('b', "PUT", &k, &matching, "y").await;
    assert_eq!((first.status, again.status), (200, 412));
    assert!(first.tag.is_some() && first.tag == again.tag);
}

/// K10.16, K10.17, K10.18: what an empty channel matches, and which condition decides.
#[tokio::test]
async fn if_match_decides() {
    let ctx = context();
    let k = ctx.channel().await;
    for (headers, status) in [
        (&[("if-match", "\"abc\"")][..], 412),
        (&[("if-match", "\"abc\""), ("if-none-match", "*")], 412),
        (&[("if-none-match", "\"abc\"")], 200),
        (&[("if-match", "*"), ("if-none-match", "*")], 200),
        (&[("if-match", ""), ("if-none-match", "*")], 412),
        (&[("if-match", "")], 200),
    ] {
        assert_eq!(
            ctx.send_as('a', "PUT", &k, headers, "x").await.status,
            status,
            "{headers:?}"
        );
    }
    let k = ctx.channel().await;
    assert_eq!(
        ctx.send_as('a', "PUT", &k, &[("if-match", "*")], "x")
            .await
            .status,
        200
    );
}

/// K10.19: polling is free.
#[tokio::test]
async fn polls_that_return_304_are_not_counted() {
    let ctx = context();
    let k = ctx.channel().await;
    let x = ctx.put('a', &k, "x").await.tag.unwrap();
    for _ in 0..20 {
        let same = ctx.send_as('b', "GET", &k, &[("if-none-match", &x)], "").await;
        assert_eq!((same.status, same.body.len()), (304, 0));
    }
    for spelling in [format!("W/{x}"), x.replace('"', ""), format!("\"y\", {x}")] {
        let same = ctx
            .send_as('b', "GET", &k, &[("if-none-match", &spelling)], "")
            .await;
        assert_eq!(same.status, 304, "{spelling}");
    }
    assert_eq!(ctx.get('b', &k).await.status, 200);
    // `*` does not mean that the client has the current message.
    assert_eq!(
        ctx.send_as('b', "GET", &k, &[("if-none-match", "*")], "")
            .await
            .status,
        200
    );
}

/// K10.20: after six reads the channel is gone.
#[tokio::test]
async fn the_sixth_read_is_the_last() {
    let ctx = context();
    let k = ctx.channel().await;
    ctx.put('a', &k, "x").await;
    for who in ['a', 'b', 'a', 'b', 'a', 'b'] {
        assert_eq!(ctx.get(who, &k).await.status, 200);
    }
    assert_eq!(ctx.get('a', &k).await.status, 404);
    assert_eq!(ctx.put('a', &k, "x").await.status, 404);
}

/// K10.21: an empty header is no condition.
#[tokio::test]
async fn an_empty_condition_is_none() {
    let ctx = context();
    let k = ctx.channel().await;
    ctx.put('a', &k, "x").await;
    let read = ctx.send_as('b', "GET", &k, &[("if-none-match", "")], "").await;
    assert_eq!((read.status, read.body.as_slice()), (200, &b"x"[..]));
}

/// K10.22, K10.25: a report ends the channel that it names, if one of its two clients sent it.
#[tokio::test]
async fn a_report_ends_its_channel() {
    let ctx = context();
    let k = ctx.channel().await;
    let cid = [("x-keyexchange-cid", &k[1..]), ("x-keyexchange-log", "x")];
    let stranger = ctx.send_as('c', "POST", "/report", &cid, "").await;
    assert_eq!((stranger.status, stranger.body.as_slice()), (200, &b"\"\""[..]));
    assert_eq!(ctx.send_as('a', "POST", "/report", &[], "x").await.status, 200);
    assert_eq!(ctx.send("POST", "/report", &cid, "").await.status, 200);
    assert_eq!(ctx.put('a', &k, "x").await.status, 200);

    assert_eq!(ctx.send_as('a', "POST", "/report/", &cid, "").await.status, 200);
    assert_eq!(ctx.put('a', &k, "x").await.status, 404);
    assert_eq!(ctx.get('a', &k).await.status, 404);
}

/// K10.23, K10.24: the answer to a report is always 200.
#[tokio::test]
async fn a_report_is_never_refused() {
    let ctx = context();
    assert_eq!(ctx.send("POST", "/report", &[], "").await.status, 200);
    assert_eq!(
        ctx.send("POST", "/report", &[], "x".repeat(5000)).await.status,
        200
    );
    assert_eq!(
        ctx.send("POST", "/report", &[], "x".repeat(500_000)).await.status,
        200
    );
    let strange = [("x-keyexchange-cid", "../new_channel"), ("x-keyexchange-log", "")];
    assert_eq!(
        ctx.send_as('a', "POST", "/report", &strange, "\0\r\n")
            .await
            .status,
        200
    );
}

/// K10.26: a channel lives for its TTL, whatever is written.
#[tokio::test]
async fn writing_does_not_make_a_channel_live_longer() {
    let ctx = TestContext::new(Settings {
        channel_ttl: Duration::from_secs(1),
        ..Settings::default()
    });
    let k = ctx.channel().await;
    assert_eq!(ctx.put('a', &k, "x").await.status, 200);
    ctx.clock.advance_millis(900);
    assert_eq!(ctx.put('a', &k, "x").await.status, 200);
    ctx.clock.advance_millis(100);
    assert_eq!(ctx.put('a', &k, "x").await.status, 404);
    assert_eq!(ctx.get('a', &k).await.status, 404);
}

/// K10.27, K10.28: a message is any bytes, and may be empty.
#[tokio::test]
async fn a_message_is_given_back_as_it_came() {
    let ctx = context();
    let (a, b) = (id('a'), id('b'));
    for kind in [None, Some(("content-type", "text/plain"))] {
        for bytes in [&b"somedata"[..], b"\xff\x00\xfe{", b""] {
            let k = ctx.channel().await;
            let mut headers = vec![("x-keyexchange-id", a.as_str())];
            headers.extend(kind);
            let stored = ctx.send("PUT", &k, &headers, bytes.to_vec()).await;
            let headers = [("x-keyexchange-id", b.as_str())];
            let read = ctx.send("GET", &k, &headers, "").await;
            assert_eq!(
                (stored.status, read.status, read.body),
                (200, 200, bytes.to_vec())
            );
            assert!(read.tag.is_some() && read.tag == stored.tag);
        }
    }
}

/// K10.29: one slash at the end is ignored.
#[tokio::test]
async fn a_slash_at_the_end_does_not_matter() {
    let ctx = context();
    let k = ctx.channel().await;
    assert_eq!(ctx.put('a', &format!("{k}/"), "x").await.status, 200);
    assert_eq!(ctx.get('b', &format!("{k}/")).await.body, b"x");
    assert_eq!(ctx.get('a', "/new_channel/").await.status, 200);
    for path in ["", "/"] {
        assert_eq!(ctx.send("GET", path, &[], "").await.status, 200);
    }
}

/// K10.31: either client may end the channel.
#[tokio::test]
async fn a_channel_is_deleted() {
    let ctx = context();
    let k = ctx.channel().await;
    let deleted = ctx.send_as('b', "DELETE", &k, &[], "").await;
    assert_eq!((deleted.status, deleted.body.as_slice()), (200, &b"\"\""[..]));
    assert_eq!(ctx.get('a', &k).await.status, 404);
}

/// K10.32: the second client counts as such even if its method is not allowed.
#[tokio::test]
async fn a_bad_method_makes_a_second_client_all_the_same() {
    let ctx = context();
    let k = ctx.channel().await;
    for method in ["POST", "PATCH", "HEAD", "OPTIONS"] {
        assert_eq!(ctx.send_as('b', method, &k, &[], "").await.status, 404);
    }
    assert_eq!(ctx.get('a', &k).await.status, 200);
    assert_eq!(ctx.get('c', &k).await.status, 400);
}

/// K10.33: channels do not survive the process.
#[tokio::test]
async fn a_restart_forgets_every_channel() {
    let before = context();
    let k = before.channel().await;
    let after = context();
    assert_eq!(after.get('a', &k).await.status, 404);
    after.channel().await;
}

/// Below the path of a public address, behind a proxy that keeps the path.
#[tokio::test]
async fn it_is_found_below_another_path() {
    let nested = Router::new().nest("/sync", router(context().exchange));
    let request = |path: &str| Request::builder().uri(path).body(Body::empty()).unwrap();
    for (path, status) in [
        ("/sync/jpake", 200),
        ("/sync/jpake/new_channel", 400),
        ("/jpake", 404),
    ] {
        let answer = nested.clone().oneshot(request(path)).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}
