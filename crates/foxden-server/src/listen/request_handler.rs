//! Handles every request before and after its surface: its client's address, its id, its line in the log, and a response
//! even where a handler panics.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use axum::body::{Body, Bytes};
use foxden_accounts::security::SecurityEvents;
use foxden_http::error_response::{bad_request_response, no_connection_response, panic_response};
use foxden_http::request_head::{ambiguity, forwarded_for, is_health, needs_token};
use foxden_http::response::{close_connection, describe_no_body, set_request_id, split_fields};
use foxden_http::wire::{AccessLogFields, Peer, RemoteEvidence};
use foxden_model::{Network as ClientNetwork, Rng, Width};
use foxden_sql::QueryOrigin;
use hyper::http::request::Parts;
use hyper::{Request, Response};
use ipnet::IpNet;

use super::access_log::AccessLog;
use super::body::{RequestBody, ResponseBody};
use super::connection_limiter::state::ConnectionState;
use super::drain::DrainLimits;
use super::drain_permits::DrainPermits;
use super::foreign_protocol::{ForeignProtocol, ForeignProtocolLog};
use super::unread_body::UnreadBody;
use crate::assemble::ListenerService;
use crate::exposure::Exposure;
use crate::log::{self, RequestId};
use crate::tasks::Panic;

/// Handles the requests of a listener.
pub struct RequestHandler {
    service: ListenerService,
    trusted_proxies: Vec<IpNet>,
    exposure: Arc<Exposure>,
    ids: Arc<RequestIds>,
    /// How much is drained around an early response.
    pub limits: DrainLimits,
    /// Limits how many bodies are drained before their responses.
    permits: DrainPermits,
    /// The log of connections that do not speak HTTP/1.
    foreign_protocols: ForeignProtocolLog,
}

/// Gives out request ids: a random start and a count, so that two runs do not give out the same ids.
#[derive(Debug)]
pub struct RequestIds(AtomicU64);

impl RequestIds {
    /// Starts at a random id.
    pub fn new(rng: &dyn Rng) -> Self {
        let mut start = [0; 8];
        rng.fill(&mut start);
        Self(AtomicU64::new(u64::from_le_bytes(start)))
    }

    fn next(&self) -> RequestId {
        RequestId::from(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl RequestHandler {
    /// Passes requests on to this service. The proxies are trusted about the addresses of clients. Where a response is made
    /// before the request's body has come, the rest of the body is drained within `limits`; `security_events` receives an event for
    /// clients beyond them.
    pub fn new(
        service: ListenerService,
        trusted_proxies: Vec<IpNet>,
        exposure: Arc<Exposure>,
        ids: Arc<RequestIds>,
        limits: DrainLimits,
        security_events: SecurityEvents,
    ) -> Self {
        Self {
            service,
            trusted_proxies,
            exposure,
            ids,
            limits,
            permits: DrainPermits::new(limits.max_concurrent, security_events),
            foreign_protocols: ForeignProtocolLog::default(),
        }
    }

    /// Answers one request.
    pub async fn answer<B>(
        &self,
        request: Request<B>,
        address: Option<IpAddr>,
        state: Arc<ConnectionState>,
    ) -> Response<ResponseBody>
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        let id = self.ids.next();
        let ambiguity = ambiguity(&parts);
        let peer = self.peer(address, &parts);
        // A proxy names its client.
        if peer.address != connected(address) {
            state.set_client(ClientNetwork::of(peer.address));
        }
        let is_admitted = is_admitted(&state, &parts, &body).await;
        state.request_began();
        let mut access_log = AccessLog::new(Arc::clone(&state), id, peer, &parts);
        let unread = UnreadBody::of(&parts, &body);
        let body = match &unread {
            Some(_) => Body::new(RequestBody::new(body, Arc::clone(&state), unread.clone())),
            None => Body::empty(),
        };
        let (mut response, fields) = match ambiguity {
            None if is_admitted => self.call(&mut parts, body, id, peer).await,
            None => split_fields(no_connection_response(&parts.uri)),
            Some(why) => split_fields(bad_request_response(&parts.uri, why)),
        };
        set_request_id(&mut response, &id.digits());
        access_log.add_response(&response, fields);
        // A body that was read completely costs nothing more.
        if let Some(unread) = unread.filter(|unread| unread.is_stored()) {
            self.drain(&unread, &state, peer.address, &mut response).await;
        }
        response.map(|body| ResponseBody::new(body, access_log))
    }

    /// Drains the unread part of the request's body. Where it does not end, the connection ends with the response.
    async fn drain<B>(
        &self,
        unread: &UnreadBody<B>,
        state: &Arc<ConnectionState>,
        client: IpAddr,
        response: &mut Response<Body>,
    ) where
        B: hyper::body::Body<Data = Bytes> + Unpin,
    {
        // Boxed, so that a connection without an unread body is not as large as one with it.
        if !Box::pin(self.limits.drain(unread, state, &self.permits, client)).await {
            state.set_unread_body();
            close_connection(response);
        }
    }

    /// Calls the surface. Meanwhile all log lines carry the request's id, and queries of the register count for the client's
    /// networks.
    async fn call(
        &self,
        parts: &mut Parts,
        body: Body,
        id: RequestId,
        peer: Peer,
    ) -> (Response<Body>, AccessLogFields) {
        let asker = asker(peer);
        let mut answer = self.service.answer(parts, body, peer);
        let outcome = poll_fn(|cx| {
            let poll = || log::with_request_id(id, || asker.within(|| answer.as_mut().poll(cx)));
            match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
                Err(panic) => Poll::Ready(Err(panic)),
            }
        });
        let outcome = outcome.await;
        drop(answer);
        let (mut response, fields) = outcome.unwrap_or_else(|panic| {
            let why = Panic::new(&*panic);
            log::with_request_id(id, || tracing::error!("a handler panicked: {why}"));
            split_fields(panic_response(&parts.uri, &id.to_string()))
        });
        describe_no_body(&mut response);
        (response, fields)
    }

    /// The network of a connection's other end; `None` for a trusted proxy and for this machine, where a proxy may be.
    pub fn direct_client(&self, address: Option<IpAddr>) -> Option<ClientNetwork> {
        let client = address.filter(|address| !self.trusts(*address));
        client.map(ClientNetwork::of)
    }

    fn trusts(&self, connected: IpAddr) -> bool {
        // A socket for both protocols gives IPv4 clients IPv6 addresses.
        let is_within = |network: &IpNet| network.contains(&connected.to_canonical());
        connected.is_loopback() || self.trusted_proxies.iter().any(is_within)
    }

    /// The client of a request: the last hop that a trusted proxy names, else the connection's other end.
    fn peer(&self, address: Option<IpAddr>, parts: &Parts) -> Peer {
        let connected = connected(address);
        let named = self
            .trusts(connected)
            .then(|| forwarded_for(&parts.headers))
            .flatten();
        Peer {
            address: named.unwrap_or(connected),
            is_direct: self.is_direct(address, parts),
        }
    }

    /// Returns whether a private server's own machine sent the request. The first request from elsewhere makes the server
    /// public.
    fn is_direct(&self, address: Option<IpAddr>, parts: &Parts) -> bool {
        // On a public server no request is checked. On a private one, requests that need the token of an account are not: most
        // requests do, and a client without a token gets nothing.
        if !self.exposure.is_private() || needs_token(&parts.uri) {
            return false;
        }
        let evidence = match address {
            None => Some(RemoteEvidence::UnixSocket),
            Some(address) if !address.is_loopback() => Some(RemoteEvidence::Client(address)),
            Some(_) => RemoteEvidence::of(parts),
        };
        // This waits for the disk only once: when the server becomes public.
        if let Some(evidence) = &evidence {
            self.exposure.observe(evidence);
        }
        evidence.is_none()
    }

    /// Reports a connection that does not speak HTTP/1.
    pub fn report_foreign_protocol(&self, protocol: ForeignProtocol, address: Option<IpAddr>) {
        if protocol == ForeignProtocol::Proxy {
            self.exposure.observe(&RemoteEvidence::ProxyProtocol);
        }
        self.foreign_protocols.warn(protocol, address);
    }
}

/// The client for which the register is queried.
fn asker(peer: Peer) -> QueryOrigin {
    let network = ClientNetwork::of(peer.address);
    QueryOrigin {
        groups: Width::ALL.map(|width| network.prefix(width)),
        times: network.allowance_factor(),
    }
}

/// The address of a connection's other end. A Unix socket is used by this machine.
fn connected(address: Option<IpAddr>) -> IpAddr {
    address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Returns whether a request is answered: its connection has a slot, or gets one in a short time. Health pages need none, unless a
/// body comes with the request.
async fn is_admitted(state: &ConnectionState, parts: &Parts, body: &impl hyper::body::Body) -> bool {
    let needs_none = || is_health(&parts.uri) && body.is_end_stream();
    !state.is_waiting() || needs_none() || Box::pin(state.acquire_slot()).await
}

#[cfg(test)]
mod tests;
