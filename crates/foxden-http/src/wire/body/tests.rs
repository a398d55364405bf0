//! Bodies are counted as they come.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use foxden_accounts::security::Witness;
use foxden_model::UserId;
use http_body::Frame;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::wire::Memory;

const MOST: usize = 16 * 1024;
const CLIENT: Owner = Owner::Client(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

/// A body that nobody may read: it is not yet known whose it is, or there is no room for it.
pub(crate) struct Untouchable;

impl HttpBody for Untouchable {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        panic!("read too soon")
    }
}

/// A body that comes in pieces.
struct Drip(UnboundedReceiver<Vec<u8>>);

impl HttpBody for Drip {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes.into()))))
    }
}

fn announced(bytes: usize) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_LENGTH, bytes.into())])
}

/// What is announced and drips takes no room from others.
#[tokio::test]
async fn a_body_counts_as_it_comes_and_sixteenfold_when_it_is_whole() {
    let memory = Memory::default();
    let (sender, pieces) = unbounded_channel();
    let headers = announced(MOST);
    let body = Body::new(Drip(pieces));
    let mut taking = pin!(take(&memory.bodies, CLIENT, &headers, body, MOST, Unfolds::Json));
    for (piece, held) in [(1, 1), (1, 4), (14, 32), (1, 32), (10_000, MOST as u64)] {
        sender.send(vec![b'x'; piece]).unwrap();
        let polled = poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        assert_eq!(memory.bodies.held(), held);
    }
    drop(sender);
    let (bytes, place) = taking.await.unwrap();
    assert_eq!((bytes.len(), memory.bodies.held()), (10_017, 16 * 10_017));
    drop(place);
    assert_eq!(memory.bodies.held(), 0);
}

/// Eight addresses announce all that they may, and send a byte: members and other strangers go on.
#[tokio::test]
async fn who_announces_and_does_not_send_keeps_nobody_out() {
    let memory = Memory::default();
    let headers = announced(MOST);
    let mut waiting = Vec::new();
    for number in (0..61).flat_map(|_| 0..8) {
        let owner = Owner::Client([192, 0, number, 1].into());
        let (sender, pieces) = unbounded_channel();
        sender.send(vec![b'{']).unwrap();
        let body = Body::new(Drip(pieces));
        let mut taking = Box::pin(take(&memory.bodies, owner, &headers, body, MOST, Unfolds::Json));
        let polled = poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        waiting.push((sender, taking));
        // A task that polls channels without end is given nothing more of them.
        tokio::task::yield_now().await;
    }
    assert_eq!(memory.bodies.held(), 8 * 61);
    assert!(memory.bodies.take(Owner::Store(UserId(1)), 2_600_000).is_ok());
    assert!(
        memory
            .bodies
            .take(Owner::Client([198, 51, 100, 1].into()), 262_144)
            .is_ok()
    );
}

/// A body that comes in two pieces and does not end.
async fn begun(memory: &Memory, owner: Owner, headers: &HeaderMap, pieces: [usize; 2]) -> Box<dyn Send> {
    let (sender, drip) = unbounded_channel();
    let (bodies, headers) = (Arc::clone(&memory.bodies), headers.clone());
    let mut taking = Box::pin(async move {
        let body = Body::new(Drip(drip));
        take(&bodies, owner, &headers, body, MOST, Unfolds::Json).await
    });
    for piece in pieces {
        sender.send(vec![b'{'; piece]).unwrap();
        if poll_fn(|context| Poll::Ready(taking.as_mut().poll(context).is_ready())).await {
            // Refused.
            return Box::new(());
        }
        tokio::task::yield_now().await;
    }
    Box::new((sender, taking))
}

/// However strangers hold bodies, whoever signs in finds room for one.
#[tokio::test]
async fn who_drips_keeps_nobody_from_signing_in() {
    const SIGN_IN: usize = 700;
    let sign_in = async |memory: &Memory, address: [u8; 4]| {
        let (sender, drip) = unbounded_channel();
        sender.send(vec![b'{'; SIGN_IN]).unwrap();
        drop(sender);
        let (owner, body) = (Owner::Client(address.into()), Body::new(Drip(drip)));
        let (bodies, headers) = (&memory.bodies, announced(SIGN_IN));
        let taken = take(bodies, owner, &headers, body, MOST, Unfolds::Json).await;
        taken.is_ok()
    };
    // Two addresses of each of four neighbourhoods, with 61 connections each and 2 KB on each; all that eight may have;
    // the same with what may be a sign-in; and all connections there are.
    let long = announced(MOST);
    for (addresses, connections, headers, pieces) in [
        (8, 61, long.clone(), [1024, 1024]),
        (8, 256, HeaderMap::new(), [1024, 1024]),
        (8, 256, long, [15_000, 1000]),
        (8, 256, announced(1024), [512, 511]),
        (16, 256, announced(1024), [512, 511]),
    ] {
        let memory = Memory::default();
        let mut held = Vec::new();
        for number in 0..addresses {
            let owner = Owner::Client([192, 0, number / 2, number % 2].into());
            for _ in 0..connections {
                held.push(begun(&memory, owner, &headers, pieces).await);
            }
        }
        for address in [[198, 51, 100, 1], [192, 0, 0, 1], [192, 0, 0, 200]] {
            assert!(
                sign_in(&memory, address).await,
                "{addresses} {headers:?} {pieces:?}"
            );
        }
        assert!(memory.bodies.held() <= 8_000_000, "{}", memory.bodies.held());
        drop(held);
        assert_eq!(memory.bodies.held(), 0);
    }
}

#[tokio::test]
async fn one_that_finds_no_room_on_its_way_is_refused() {
    let memory = Memory::new(1600, 1600, Witness::default());
    let owner = Owner::Store(UserId(1));
    let (sender, pieces) = unbounded_channel();
    sender.send(vec![b'x'; 90]).unwrap();
    let headers = announced(100);
    let body = Body::new(Drip(pieces));
    let mut taking = pin!(take(&memory.bodies, owner, &headers, body, MOST, Unfolds::Twice));
    let polled = poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await;
    assert!(polled.is_pending());
    let other = memory.bodies.take(owner, 105).unwrap();
    sender.send(vec![b'x'; 10]).unwrap();
    assert_eq!(taking.await.unwrap_err(), BadBody::NoRoom);
    assert_eq!(memory.bodies.held(), 105);
    drop(other);
}
