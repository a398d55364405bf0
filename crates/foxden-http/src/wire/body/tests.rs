//! Bodies are counted as they arrive.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use foxden_accounts::security::SecurityEvents;
use foxden_model::UserId;
use http_body::Frame;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::wire::Memory;

const MAX_BYTES: usize = 16 * 1024;
const CLIENT: Owner = Owner::Client(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));

/// A body that must not be read: its sender is unknown, or there is no memory for it.
pub(crate) struct UnreadBody;

impl HttpBody for UnreadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        panic!("read too soon")
    }
}

/// A body that arrives in pieces.
struct StreamedBody(UnboundedReceiver<Vec<u8>>);

impl HttpBody for StreamedBody {
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

/// An announced body that trickles takes no memory from others.
#[tokio::test]
async fn a_body_counts_as_it_comes_and_sixteenfold_when_it_is_whole() {
    let memory = Memory::default();
    let (sender, pieces) = unbounded_channel();
    let headers = announced(MAX_BYTES);
    let body = Body::new(StreamedBody(pieces));
    let mut taking = pin!(read_whole(
        &memory.bodies,
        CLIENT,
        &headers,
        body,
        MAX_BYTES,
        MemoryFactor::ParsedJson
    ));
    for (piece, held) in [(1, 1), (1, 4), (14, 32), (1, 32), (10_000, MAX_BYTES as u64)] {
        sender.send(vec![b'x'; piece]).unwrap();
        let polled = poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        assert_eq!(memory.bodies.held(), held);
    }
    drop(sender);
    let (bytes, permit) = taking.await.unwrap();
    assert_eq!((bytes.len(), memory.bodies.held()), (10_017, 16 * 10_017));
    drop(permit);
    assert_eq!(memory.bodies.held(), 0);
}

/// Eight addresses announce the maximum and send a byte: accounts and other clients are served.
#[tokio::test]
async fn announced_but_unsent_bodies_lock_no_one_out() {
    let memory = Memory::default();
    let headers = announced(MAX_BYTES);
    let mut waiting = Vec::new();
    for number in (0..61).flat_map(|_| 0..8) {
        let owner = Owner::Client([192, 0, number, 1].into());
        let (sender, pieces) = unbounded_channel();
        sender.send(vec![b'{']).unwrap();
        let body = Body::new(StreamedBody(pieces));
        let mut taking = Box::pin(read_whole(
            &memory.bodies,
            owner,
            &headers,
            body,
            MAX_BYTES,
            MemoryFactor::ParsedJson,
        ));
        let polled = poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await;
        assert!(polled.is_pending());
        waiting.push((sender, taking));
        // Tokio limits how much a task may receive without yielding.
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

/// A body that arrives in two pieces and does not end.
async fn begun(memory: &Memory, owner: Owner, headers: &HeaderMap, pieces: [usize; 2]) -> Box<dyn Send> {
    let (sender, drip) = unbounded_channel();
    let (bodies, headers) = (Arc::clone(&memory.bodies), headers.clone());
    let mut taking = Box::pin(async move {
        let body = Body::new(StreamedBody(drip));
        read_whole(
            &bodies,
            owner,
            &headers,
            body,
            MAX_BYTES,
            MemoryFactor::ParsedJson,
        )
        .await
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

/// However unauthenticated clients hold bodies, there is memory for a sign-in.
#[tokio::test]
async fn dripping_clients_block_no_sign_in() {
    const SIGN_IN: usize = 700;
    let sign_in = async |memory: &Memory, address: [u8; 4]| {
        let (sender, drip) = unbounded_channel();
        sender.send(vec![b'{'; SIGN_IN]).unwrap();
        drop(sender);
        let (owner, body) = (Owner::Client(address.into()), Body::new(StreamedBody(drip)));
        let (bodies, headers) = (&memory.bodies, announced(SIGN_IN));
        let taken = read_whole(bodies, owner, &headers, body, MAX_BYTES, MemoryFactor::ParsedJson).await;
        taken.is_ok()
    };
    // Two addresses of each of four wide networks, with 61 connections each and 2 KB on each; the maximum of eight;
    // the same with possible sign-ins; and all connections.
    let long = announced(MAX_BYTES);
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
    let memory = Memory::new(1600, 1600, SecurityEvents::default());
    let owner = Owner::Store(UserId(1));
    let (sender, pieces) = unbounded_channel();
    sender.send(vec![b'x'; 90]).unwrap();
    let headers = announced(100);
    let body = Body::new(StreamedBody(pieces));
    let mut taking = pin!(read_whole(
        &memory.bodies,
        owner,
        &headers,
        body,
        MAX_BYTES,
        MemoryFactor::Copied
    ));
    let polled = poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await;
    assert!(polled.is_pending());
    let other = memory.bodies.take(owner, 105).unwrap();
    sender.send(vec![b'x'; 10]).unwrap();
    assert_eq!(taking.await.unwrap_err(), BadBody::MemoryFull);
    assert_eq!(memory.bodies.held(), 105);
    drop(other);
}
