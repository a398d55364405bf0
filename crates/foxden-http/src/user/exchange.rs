//! The key exchange of old clients: two devices that a person pairs with a short code exchange messages in a
//! channel.
//!
//! The messages are encrypted between the devices (J-PAKE). The server passes one message at a time and can read
//! none. Channels live in memory for a few minutes, and every resource they use is bounded. Where several processes serve
//! the same people, they live in the register, so that two devices meet whichever process each reaches; what a channel takes
//! of the bounds is counted by the process that opened it.
//! `docs/protocol/key-exchange.md` describes the protocol.
//!
//! - [`channel`]: the channels of this process; [`shared_channel`]: those of all processes; [`meeting`]: the clients of
//!   either; [`name`]: their names
//! - [`route`]: the paths
//! - [`client`]: client ids and preconditions
//! - [`client_counters`]: rate limits of clients
//! - [`client_networks`]: shares of networks
//! - [`message_memory`]: the memory that messages take
//! - [`report`]: reports of failed pairings
//! - [`answer`]: how answers and refusals are printed

mod answer;
mod channel;
mod client;
mod client_counters;
mod client_networks;
mod meeting;
mod message_memory;
mod name;
mod report;
mod route;
mod shared_channel;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use foxden_accounts::Shared;
use foxden_accounts::security::{EntryPoint, Event, EventKind, SecurityEvents};
use foxden_model::{Clock, Rng};
use http_body_util::BodyExt;

use crate::wire::{Peer, set_route};
use answer::{Answer, Refusal};
use channel::{ChannelError, Channels, Message, ReadMessage};
use client::{ClientId, Condition, Preconditions};
pub use client_counters::{AbuseControl, ClientLimits};
use client_counters::{ClientCounters, LimitExceeded};
use client_networks::ClientNetworks;
use message_memory::{IncomingMessage, MessageMemory, MessageMemoryError};
use name::ChannelName;
use report::Reports;
use route::Route;
pub(crate) use route::TEMPLATES;
use shared_channel::SharedChannels;

/// The header in which browsers describe what triggered a request.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How many names are tried for a channel that all processes find.
const NAME_ATTEMPTS: usize = 16;

/// Maximum number of messages dropped to make memory for one piece of an incoming message.
const MAX_EVICTIONS: usize = 16;

/// Settings of the key exchange.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The path of all routes: a slash and at least one more character, without a slash at the end.
    pub path: String,
    /// Maximum number of open channels.
    pub max_channels: usize,
    /// How long a channel lives.
    pub channel_ttl: Duration,
    /// Maximum size of a message.
    pub message_bytes: usize,
    /// Maximum size of all messages together, including those being received.
    pub total_bytes: usize,
    /// Maximum size of the messages of one IPv4 address or IPv6 /64, including those being received.
    pub household_bytes: usize,
    /// How networks that exceed their limits are treated.
    pub abuse_control: AbuseControl,
    /// The limits of one IPv4 address or IPv6 /64.
    pub limits: ClientLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: "/jpake".to_owned(),
            max_channels: 4096,
            channel_ttl: Duration::from_secs(300),
            message_bytes: 64 * 1024,
            total_bytes: 8 * 1024 * 1024,
            household_bytes: 512 * 1024,
            abuse_control: AbuseControl::default(),
            limits: ClientLimits::default(),
        }
    }
}

/// The key exchange: settings, channels, and the counters of clients.
pub struct KeyExchange {
    settings: Settings,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    channels: Channels,
    shared_channels: SharedChannels,
    message_memory: MessageMemory,
    counters: ClientCounters,
    reports: Reports,
    /// Receives events about limits that are reached.
    security_events: SecurityEvents,
}

/// The routes of the key exchange: everything below its path.
pub fn router(exchange: Arc<KeyExchange>) -> Router {
    let path = exchange.settings.path.clone();
    Router::new()
        .route(&path, any(serve))
        .route(&format!("{path}/"), any(serve))
        .route(&format!("{path}/{{*rest}}"), any(serve))
        .with_state(exchange)
}

async fn serve(State(exchange): State<Arc<KeyExchange>>, request: Request) -> Response {
    exchange.serve(request).await
}

impl KeyExchange {
    /// A key exchange without channels.
    pub fn new(
        settings: Settings,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
        shared: Arc<dyn Shared>,
        security_events: SecurityEvents,
    ) -> Self {
        Self {
            channels: Channels::new(settings.max_channels, settings.channel_ttl),
            counters: ClientCounters::new(settings.abuse_control, settings.limits, &*shared),
            shared_channels: SharedChannels::new(shared, settings.channel_ttl),
            message_memory: MessageMemory::new(settings.total_bytes, settings.household_bytes),
            reports: Reports::default(),
            settings,
            clock,
            rng,
            security_events,
        }
    }

    /// Answers one request. Its path begins with that of the key exchange.
    pub async fn serve(&self, request: Request) -> Response {
        let peer = request.extensions().get::<Peer>();
        // All clients without a known address share one limit.
        let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address);
        // Requests that a foreign page triggers change no channel and count towards no limit.
        if is_sent_by_page(request.headers()) {
            return Refusal::ForeignPage.into_response();
        }
        let route = self.route(request.uri().path()).map(Route::template);
        let mut response = match self.answer(request, address).await {
            Ok(answer) => answer.into_response(),
            Err(refusal) => {
                if let Some(limit) = refusal.reached_limit() {
                    let event = Event::new(EventKind::LimitReached, EntryPoint::KeyExchange, Some(address));
                    self.security_events.emit(&event.with_reason(limit));
                }
                refusal.into_response()
            }
        };
        set_route(&mut response, route);
        if response.status() == StatusCode::BAD_REQUEST {
            self.counters.count_bad(address, self.clock.steady_millis());
        }
        response
    }

    /// The order of the checks is part of the protocol.
    async fn answer(&self, request: Request, address: IpAddr) -> Result<Answer, Refusal> {
        let admitted = self.counters.admit(address, self.clock.steady_millis());
        admitted.map_err(|_| Refusal::Blocked)?;
        let (parts, body) = request.into_parts();
        let route = self.route(parts.uri.path()).ok_or(Refusal::UnknownPath)?;
        match (route, &parts.method) {
            (Route::Root, &Method::GET | &Method::HEAD) => Ok(Answer::Running),
            (Route::Root, _) => Err(Refusal::WrongMethod("GET, HEAD")),
            (Route::NewChannel, &Method::GET) => self.open(&parts.headers, address).await,
            (Route::NewChannel, _) => Err(Refusal::WrongMethod("GET")),
            (Route::Report, &Method::POST) => Ok(self.receive_report(&parts.headers, body).await),
            (Route::Report, _) => Err(Refusal::WrongMethod("POST")),
            (Route::Channel(name), _) => self.use_channel(name, &parts, body, address).await,
        }
    }

    /// Returns the route of a path that begins with that of the key exchange.
    fn route(&self, path: &str) -> Option<Route> {
        Route::of(path.strip_prefix(self.settings.path.as_str()).unwrap_or_default())
    }

    /// `GET new_channel`
    async fn open(&self, headers: &HeaderMap, address: IpAddr) -> Result<Answer, Refusal> {
        let client = ClientId::read(headers).ok_or(Refusal::InvalidClientId)?;
        let counted = self.counters.count_channel(address, self.now());
        counted.map_err(|LimitExceeded { retry_after }| Refusal::TooManyChannels { retry_after })?;
        let networks = self.counters.counted(address);
        if !self.shared_channels.are_needed() {
            let name = self
                .channels
                .open(client, networks, false, &*self.rng, self.now())?;
            return Ok(Answer::Opened(name));
        }
        for _ in 0..NAME_ATTEMPTS {
            let name = self
                .channels
                .open(client, networks, true, &*self.rng, self.now())?;
            self.end_evicted().await;
            match self.shared_channels.open(name, client).await {
                Ok(true) => return Ok(Answer::Opened(name)),
                Ok(false) => self.channels.forget(name, self.now()),
                Err(error) => {
                    self.channels.forget(name, self.now());
                    return Err(error.into());
                }
            }
        }
        Err(Refusal::AllChannelsInUse)
    }

    /// Uses a channel. Whether the client may use it is checked before the method.
    async fn use_channel(
        &self,
        name: ChannelName,
        parts: &Parts,
        body: Body,
        address: IpAddr,
    ) -> Result<Answer, Refusal> {
        if self.is_shared(name) {
            return self.use_shared(name, parts, body, address).await;
        }
        let client = ClientId::read(&parts.headers);
        match parts.method {
            Method::GET => {
                let known = Condition::read(&parts.headers, &header::IF_NONE_MATCH);
                Ok(self.channels.read(name, client, known, self.now())?.into())
            }
            Method::PUT => {
                // Receive the body only from a client that may write. The channel may end in the meantime.
                let _upload = self.channels.begin_upload(name, client, self.now())?;
                let message = self.receive(&parts.headers, body, address).await?;
                let preconditions = Preconditions::read(&parts.headers);
                let tag = self
                    .channels
                    .write(name, client, preconditions, message, self.now())?;
                Ok(Answer::Stored { tag })
            }
            Method::DELETE => {
                self.channels.end(name, client, self.now())?;
                Ok(Answer::Done)
            }
            _ => {
                self.channels.admit(name, client, self.now())?;
                Err(Refusal::UnknownPath)
            }
        }
    }

    /// The same of a channel that all processes find.
    async fn use_shared(
        &self,
        name: ChannelName,
        parts: &Parts,
        body: Body,
        address: IpAddr,
    ) -> Result<Answer, Refusal> {
        let (client, channels) = (ClientId::read(&parts.headers), &self.shared_channels);
        let used = async {
            match parts.method {
                Method::GET => {
                    let known = Condition::read(&parts.headers, &header::IF_NONE_MATCH);
                    let (read, has_ended) = channels.read(name, client, known).await?;
                    if has_ended {
                        self.channels.forget(name, self.now());
                    }
                    Ok(self.held(read, address).await?.into())
                }
                Method::PUT => {
                    let _upload = channels.begin_upload(name, client).await?;
                    let message = self.receive(&parts.headers, body, address).await?;
                    let preconditions = Preconditions::read(&parts.headers);
                    let tag = channels
                        .write(name, client, preconditions, &message.bytes())
                        .await?;
                    if let Some(client) = client {
                        self.channels.hold(name, client, message, self.now());
                    }
                    Ok(Answer::Stored { tag })
                }
                Method::DELETE => {
                    channels.end(name, client).await?;
                    self.channels.forget(name, self.now());
                    Ok(Answer::Done)
                }
                _ => {
                    channels.admit(name, client).await?;
                    Err(Refusal::UnknownPath)
                }
            }
        };
        let used = used.await;
        if let Err(Refusal::InvalidClientId | Refusal::ThirdClient | Refusal::NoSuchChannel) = used {
            self.channels.forget(name, self.now());
        }
        used
    }

    /// Whether a channel is looked for where all processes find it.
    fn is_shared(&self, name: ChannelName) -> bool {
        self.channels
            .is_shared(name, self.now())
            .unwrap_or_else(|| self.shared_channels.may_exist())
    }

    /// A message that was read from a shared channel, which takes memory as long as it is sent.
    async fn held(&self, read: ReadMessage, address: IpAddr) -> Result<ReadMessage, Refusal> {
        let ReadMessage::Message { bytes, tag } = read else {
            return Ok(read);
        };
        let networks = self.counters.counted(address);
        let outgoing = self.message_memory.begin(networks);
        self.grow(&outgoing, networks, bytes.len()).await?;
        let bytes = Message::new(&bytes, outgoing.complete()?).bytes();
        Ok(ReadMessage::Message { bytes, tag })
    }

    /// Ends in the register what was ended here to make room.
    async fn end_evicted(&self) {
        for name in self.channels.take_evicted(self.now()) {
            // One that cannot be ended ends by itself, and the log has the cause.
            let _: Result<(), ChannelError> = self.shared_channels.evict(name).await;
        }
    }

    fn now(&self) -> i64 {
        self.clock.steady_millis()
    }

    /// Receives a message. Memory is taken piece by piece, so that a slow or silent client holds none in advance.
    async fn receive(
        &self,
        headers: &HeaderMap,
        mut body: Body,
        address: IpAddr,
    ) -> Result<Message, Refusal> {
        let most = self.settings.message_bytes;
        let announced = headers.get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > most) {
            return Err(Refusal::TooLarge);
        }
        let networks = self.counters.counted(address);
        let incoming = self.message_memory.begin(networks);
        let mut bytes = Vec::new();
        loop {
            let frame = tokio::select! {
                () = incoming.cancelled() => return Err(Refusal::NetworkMemoryFull),
                frame = body.frame() => frame,
            };
            let Some(frame) = frame else { break };
            let Ok(piece) = frame.map_err(|_| Refusal::IncompleteBody)?.into_data() else {
                continue;
            };
            if bytes.len() + piece.len() > most {
                return Err(Refusal::TooLarge);
            }
            self.grow(&incoming, networks, piece.len()).await?;
            bytes.extend_from_slice(&piece);
        }
        Ok(Message::new(&bytes, incoming.complete()?))
    }

    /// Takes memory. When none is left, messages of the networks that hold most are dropped.
    async fn grow(
        &self,
        incoming: &IncomingMessage,
        networks: Option<ClientNetworks>,
        bytes: usize,
    ) -> Result<(), MessageMemoryError> {
        for _ in 0..MAX_EVICTIONS {
            match (incoming.grow(bytes), networks) {
                (Err(MessageMemoryError::Full), Some(networks)) if self.free_memory(networks, bytes) => {
                    self.end_evicted().await;
                }
                (answer, _) => return answer,
            }
        }
        incoming.grow(bytes)
    }

    /// Drops a message of a network that holds more than `networks`: of the one that holds most, first a stored
    /// message with its channel, then one being received. Returns whether there was one.
    fn free_memory(&self, networks: ClientNetworks, bytes: usize) -> bool {
        let now = self.clock.steady_millis();
        self.channels.warn_full();
        let larger = self.message_memory.larger_than(networks, bytes);
        let incoming = self.message_memory.largest_incoming(&larger);
        let least = incoming.map_or(0, |(_, held)| held);
        if self.channels.end_one_with_message(&larger, least, now) {
            return true;
        }
        if let Some((number, _)) = incoming {
            self.message_memory.cancel(number);
        }
        incoming.is_some()
    }

    /// `POST report`: the answer is always 200.
    async fn receive_report(&self, headers: &HeaderMap, body: Body) -> Answer {
        let text = report::text(headers, body).await;
        self.reports.log(&text, self.now());
        if let (Some(client), Some(name)) = (ClientId::read(headers), report::channel(headers)) {
            if self.is_shared(name) {
                // One that cannot be ended ends by itself, and the log has the cause.
                let _: Result<(), ChannelError> = self.shared_channels.end_if_known(name, client).await;
            }
            self.channels.end_if_known(name, client, self.now());
        }
        Answer::Done
    }
}

/// Returns whether a page in a browser triggered the request. Clients of the key exchange send no `Origin` and no
/// `Sec-Fetch-Site` of a page.
fn is_sent_by_page(headers: &HeaderMap) -> bool {
    let is_site = |origin: &HeaderValue| origin.as_bytes().starts_with(b"http");
    let is_elsewhere = |site: &HeaderValue| matches!(site.as_bytes(), b"cross-site" | b"same-site");
    headers.get_all(header::ORIGIN).iter().any(is_site)
        || headers.get_all(FETCH_SITE).iter().any(is_elsewhere)
}

#[cfg(test)]
mod tests;
