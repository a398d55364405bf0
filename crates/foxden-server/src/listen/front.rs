//! What happens to every request before and after its surface: who sent it, its id, its line in the log,
//! and an answer even where a handler panics.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use axum::body::{Body, Bytes};
use foxden_accounts::security::Witness;
use foxden_http::excuse::{excuse, refuse, turn_away};
use foxden_http::ops;
use foxden_http::wire::{Note, Peer, Sign};
use foxden_model::{Network as ClientNetwork, Rng, Width};
use foxden_sql::Asker;
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use ipnet::IpNet;

use super::access_log::Record;
use super::body::{Arriving, Leaving};
use super::head::fault;
use super::left::Left;
use super::rest::Bounds;
use super::room::seat::Seat;
use super::stranger::{Stranger, Strangers};
use super::turns::Turns;
use crate::assemble::Doors;
use crate::log::{self, RequestId};
use crate::reach::Reach;
use crate::tasks::Panic;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a listener does with requests.
pub struct Front {
    doors: Doors,
    trusted: Vec<IpNet>,
    reach: Arc<Reach>,
    ids: Arc<Ids>,
    /// What is read off around an early answer.
    pub bounds: Bounds,
    /// Who may read off a body before its answer.
    turns: Turns,
    /// Connections that do not speak HTTP/1.
    strangers: Strangers,
}

/// Gives out request ids: a random start and a count, so that ids of two runs do not meet.
#[derive(Debug)]
pub struct Ids(AtomicU64);

impl Ids {
    /// A fresh row of ids.
    pub fn new(rng: &dyn Rng) -> Self {
        let mut start = [0; 8];
        rng.fill(&mut start);
        Self(AtomicU64::new(u64::from_le_bytes(start)))
    }

    fn next(&self) -> RequestId {
        RequestId::from(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl Front {
    /// Answers what is behind these doors, believing these proxies. Where an answer is made before the request's body
    /// has come, its rest is read off within `bounds`; `witness` hears whose bodies are beyond them.
    pub fn new(
        doors: Doors,
        trusted: Vec<IpNet>,
        reach: Arc<Reach>,
        ids: Arc<Ids>,
        bounds: Bounds,
        witness: Witness,
    ) -> Self {
        Self {
            doors,
            trusted,
            reach,
            ids,
            bounds,
            turns: Turns::new(bounds.at_once, witness),
            strangers: Strangers::default(),
        }
    }

    /// Answers one request.
    pub async fn answer<B>(
        &self,
        request: Request<B>,
        address: Option<IpAddr>,
        seat: Arc<Seat>,
    ) -> Response<Leaving>
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let (parts, body) = request.into_parts();
        let id = self.ids.next();
        let fault = fault(&parts);
        let peer = self.peer(address, &parts);
        // A proxy names its client.
        if peer.address != connected(address) {
            seat.is_asked_by(ClientNetwork::of(peer.address));
        }
        let has_seat = has_seat(&seat, &parts, &body).await;
        seat.request_began();
        let mut record = Record::new(Arc::clone(&seat), id, peer, &parts);
        let left = Left::of(&parts, &body);
        let body = match &left {
            Some(_) => Body::new(Arriving::new(body, Arc::clone(&seat), left.clone())),
            None => Body::empty(),
        };
        let request = Request::from_parts(parts, body);
        let (mut response, fields) = match fault {
            None if has_seat => self.call(request, id, peer).await,
            None => with_fields(turn_away(request.uri())),
            Some(fault) => with_fields(refuse(request.uri(), fault)),
        };
        response.headers_mut().insert(REQUEST_ID, id.into());
        record.note(&response, fields);
        // A body that was read whole costs nothing more.
        if let Some(left) = left.filter(|left| left.is_any()) {
            self.read_off(&left, &seat, peer.address, &mut response).await;
        }
        response.map(|body| Leaving::new(body, record))
    }

    /// Reads off what is left of the request's body. Where it does not end, the connection ends with the answer.
    async fn read_off<B>(
        &self,
        left: &Left<B>,
        seat: &Arc<Seat>,
        client: IpAddr,
        response: &mut Response<Body>,
    ) where
        B: hyper::body::Body<Data = Bytes> + Unpin,
    {
        // In a box, so that a connection without such a rest is not as large as one with it.
        if !Box::pin(self.bounds.read_off(left, seat, &self.turns, client)).await {
            seat.has_unread_body();
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    /// Asks the surface. While it works, whatever is logged carries the request's id, and what is asked of the register counts
    /// for the client's networks.
    async fn call(&self, request: Request<Body>, id: RequestId, peer: Peer) -> (Response<Body>, Note) {
        let uri = request.uri().clone();
        let asker = asker(peer);
        let mut answer = self.doors.answer(request, peer);
        let outcome = poll_fn(|cx| {
            let poll = || log::within(id, || asker.within(|| answer.as_mut().poll(cx)));
            match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
                Err(panic) => Poll::Ready(Err(panic)),
            }
        });
        let (mut response, fields) = outcome.await.unwrap_or_else(|panic| {
            let why = Panic::new(&*panic);
            log::within(id, || tracing::error!("a handler panicked: {why}"));
            with_fields(excuse(&uri, &id.to_string()))
        });
        describe_no_body(&mut response);
        (response, fields)
    }

    /// The network of whoever is connected; `None` for a believed proxy and for this machine, which may be one.
    pub fn direct_client(&self, address: Option<IpAddr>) -> Option<ClientNetwork> {
        let client = address.filter(|address| !self.believes(*address));
        client.map(ClientNetwork::of)
    }

    fn believes(&self, connected: IpAddr) -> bool {
        // A socket of both protocols names IPv4 clients by IPv6 addresses.
        let is_within = |network: &IpNet| network.contains(&connected.to_canonical());
        connected.is_loopback() || self.trusted.iter().any(is_within)
    }

    /// Who sent a request: the last hop a believed proxy names, else whoever is connected.
    fn peer(&self, address: Option<IpAddr>, parts: &Parts) -> Peer {
        let connected = connected(address);
        let is_trusted = self.believes(connected);
        let named = parts.headers.get_all("x-forwarded-for").iter().next_back();
        let named = named.filter(|_| is_trusted).and_then(last_hop);
        Peer {
            address: named.unwrap_or(connected),
            is_direct: self.is_direct(address, parts),
        }
    }

    /// Whether a request is one of a private server's own machine. The first that is not ends the server's being private.
    fn is_direct(&self, address: Option<IpAddr>, parts: &Parts) -> bool {
        // A public server looks no further. Nor does a private one where a token of an account is asked for, which gives a
        // stranger nothing and is most of what is asked.
        if !self.reach.is_private() || parts.uri.path().starts_with("/1.5/") {
            return false;
        }
        let sign = match address {
            None => Some(Sign::UnixSocket),
            Some(address) if !address.is_loopback() => Some(Sign::Client(address)),
            Some(_) => Sign::of(parts),
        };
        // The disk is waited for once in a server's life.
        if let Some(sign) = &sign {
            self.reach.saw(sign);
        }
        sign.is_none()
    }

    /// A connection does not speak HTTP/1.
    pub fn meets(&self, stranger: Stranger, address: Option<IpAddr>) {
        if stranger == Stranger::Proxy {
            self.reach.saw(&Sign::ProxyProtocol);
        }
        self.strangers.tell(stranger, address);
    }
}

/// An answer that never has a body has neither its type nor its length; routers give every answer a length.
fn describe_no_body(response: &mut Response<Body>) {
    if matches!(
        response.status(),
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.remove(CONTENT_TYPE);
    }
}

/// A response and what it carries for the access log.
fn with_fields(mut response: Response<Body>) -> (Response<Body>, Note) {
    let fields = response.extensions_mut().remove().unwrap_or_default();
    (response, fields)
}

/// On whose behalf the register is asked.
fn asker(peer: Peer) -> Asker {
    let network = ClientNetwork::of(peer.address);
    Asker {
        groups: Width::ALL.map(|width| network.prefix(width)),
        times: network.allowance_factor(),
    }
}

/// Who is connected; what comes through a socket in the file system is this machine.
fn connected(address: Option<IpAddr>) -> IpAddr {
    address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Whether a request has a seat, now or in a moment. Health pages need none, unless a body comes with the request.
async fn has_seat(seat: &Seat, parts: &Parts, body: &impl hyper::body::Body) -> bool {
    let is_health = || is_health(parts.uri.path()) && body.is_end_stream();
    !seat.is_in_lobby() || is_health() || Box::pin(seat.finds_seat()).await
}

/// Whether monitors ask for this path.
fn is_health(path: &str) -> bool {
    ops::ROUTES.iter().any(|(_, route)| *route == path)
}

/// Only the last hop was written by the proxy we believe; what stands before it may be anybody's claim.
fn last_hop(header: &HeaderValue) -> Option<IpAddr> {
    let hop = header.to_str().ok()?.rsplit(',').next()?.trim();
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    let address = bare
        .parse()
        .or_else(|_| hop.parse().map(|socket: std::net::SocketAddr| socket.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests;
