//! The key exchange of old clients: two devices that a person pairs with a short code meet in a channel here.
//!
//! What they write is sealed between themselves (J-PAKE); the server passes one message at a time and understands none.
//! Channels live in memory for a few minutes, and everything about them is bounded. How it is spoken stands in
//! `docs/protocol/key-exchange.md`.
//!
//! - [`channel`]: the channels; [`name`]: their names
//! - [`place`]: what a path means, and in which order a request is judged
//! - [`client`]: ids of clients, and what a request demands of the message that is there
//! - [`caller`]: who asks for too much
//! - [`owner`]: what each network holds
//! - [`room`]: what messages hold
//! - [`report`]: what clients say when a pairing failed
//! - [`answer`]: how answers and refusals are printed

mod answer;
mod caller;
mod channel;
mod client;
mod name;
mod owner;
mod place;
mod report;
mod room;

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
use foxden_accounts::security::{Door, Event, What, Witness};
use foxden_model::{Clock, Rng};
use http_body_util::BodyExt;

use crate::wire::{Peer, set_route};
use answer::{Answer, Refusal};
pub use caller::{Allowances, Vigilance};
use caller::{Callers, OverLimit};
use channel::{Channels, Message};
use client::{ClientId, Condition, Preconditions};
use name::Name;
use owner::Owner;
use place::Place;
pub(crate) use place::TEMPLATES;
use report::Reports;
use room::{Arriving, Room, RoomError};

/// Where browsers say what made them send a request.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Messages that yield their room to one piece of a message at most.
const YIELDED: usize = 16;

/// What the operator may choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Below which path it is found: a slash, then at least one more character, no slash at the end.
    pub path: String,
    /// Channels that live at once.
    pub channels: usize,
    /// How long a channel lives.
    pub life: Duration,
    /// The largest message.
    pub message_bytes: usize,
    /// The most that all messages hold together, those on their way included.
    pub total_bytes: usize,
    /// The most that one household's messages hold together, those on their way included.
    pub household_bytes: usize,
    /// What is done about networks that ask for too much.
    pub vigilance: Vigilance,
    /// What a household may ask for.
    pub allowances: Allowances,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: "/jpake".to_owned(),
            channels: 4096,
            life: Duration::from_secs(300),
            message_bytes: 64 * 1024,
            total_bytes: 8 * 1024 * 1024,
            household_bytes: 512 * 1024,
            vigilance: Vigilance::default(),
            allowances: Allowances::default(),
        }
    }
}

/// The meeting place: what it was set to, its channels, and who was seen.
pub struct Exchange {
    settings: Settings,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    channels: Channels,
    room: Room,
    callers: Callers,
    reports: Reports,
    /// Who hears of bounds that are reached.
    witness: Witness,
}

/// The key exchange's routes: everything below its path.
pub fn router(exchange: Arc<Exchange>) -> Router {
    let path = exchange.settings.path.clone();
    Router::new()
        .route(&path, any(serve))
        .route(&format!("{path}/"), any(serve))
        .route(&format!("{path}/{{*rest}}"), any(serve))
        .with_state(exchange)
}

async fn serve(State(exchange): State<Arc<Exchange>>, request: Request) -> Response {
    exchange.serve(request).await
}

impl Exchange {
    /// An exchange without channels. `witness` hears which networks reached a bound.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>, witness: Witness) -> Self {
        Self {
            channels: Channels::new(settings.channels, settings.life),
            room: Room::new(settings.total_bytes, settings.household_bytes),
            callers: Callers::new(settings.vigilance, settings.allowances),
            reports: Reports::default(),
            settings,
            clock,
            rng,
            witness,
        }
    }

    /// Answers one request; its path begins with the exchange's own.
    pub async fn serve(&self, request: Request) -> Response {
        let peer = request.extensions().get::<Peer>();
        // Without a peer nothing can be told apart, so all share one allowance.
        let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address);
        // Neither a channel nor anybody's allowance is touched by what other pages make browsers send.
        if is_sent_by_page(request.headers()) {
            return Refusal::ForeignPage.into_response();
        }
        let route = self.place(request.uri().path()).map(Place::template);
        let mut response = match self.answer(request, address).await {
            Ok(answer) => answer.into_response(),
            Err(refusal) => {
                if let Some(spent) = refusal.spent() {
                    let event = Event::new(What::LimitReached, Door::KeyExchange, Some(address));
                    self.witness.tell(&event.because(spent));
                }
                refusal.into_response()
            }
        };
        set_route(&mut response, route);
        if response.status() == StatusCode::BAD_REQUEST {
            self.callers.count_bad(address, self.clock.steady_millis());
        }
        response
    }

    /// The order of the checks is part of the protocol.
    async fn answer(&self, request: Request, address: IpAddr) -> Result<Answer, Refusal> {
        let admitted = self.callers.admit(address, self.clock.steady_millis());
        admitted.map_err(|_| Refusal::Blocked)?;
        let (parts, body) = request.into_parts();
        let place = self.place(parts.uri.path()).ok_or(Refusal::NoSuchPlace)?;
        match (place, &parts.method) {
            (Place::Root, &Method::GET | &Method::HEAD) => Ok(Answer::Alive),
            (Place::Root, _) => Err(Refusal::WrongMethod("GET, HEAD")),
            (Place::NewChannel, &Method::GET) => self.open(&parts.headers, address),
            (Place::NewChannel, _) => Err(Refusal::WrongMethod("GET")),
            (Place::Report, &Method::POST) => Ok(self.hear_report(&parts.headers, body).await),
            (Place::Report, _) => Err(Refusal::WrongMethod("POST")),
            (Place::Channel(name), _) => self.use_channel(name, &parts, body, address).await,
        }
    }

    /// What a path means that begins with the exchange's own.
    fn place(&self, path: &str) -> Option<Place> {
        Place::of(path.strip_prefix(self.settings.path.as_str()).unwrap_or_default())
    }

    /// `GET new_channel`
    fn open(&self, headers: &HeaderMap, address: IpAddr) -> Result<Answer, Refusal> {
        let client = ClientId::read(headers).ok_or(Refusal::BadId)?;
        let now = self.clock.steady_millis();
        let counted = self.callers.count_channel(address, now);
        counted.map_err(|OverLimit { retry_after }| Refusal::ManyChannels { retry_after })?;
        let owner = self.callers.counted(address);
        let name = self.channels.open(client, owner, &*self.rng, now)?;
        Ok(Answer::Opened(name))
    }

    /// Whatever is done with a channel, if the client may use it; that is judged before the method.
    async fn use_channel(
        &self,
        name: Name,
        parts: &Parts,
        body: Body,
        address: IpAddr,
    ) -> Result<Answer, Refusal> {
        let client = ClientId::read(&parts.headers);
        let now = || self.clock.steady_millis();
        match parts.method {
            Method::GET => {
                let known = Condition::read(&parts.headers, &header::IF_NONE_MATCH);
                Ok(self.channels.read(name, client, known, now())?.into())
            }
            Method::PUT => {
                // Nothing is received for somebody who may not write. The channel may end meanwhile.
                let _upload = self.channels.begin_upload(name, client, now())?;
                let message = self.receive(&parts.headers, body, address).await?;
                let preconditions = Preconditions::read(&parts.headers);
                let tag = self.channels.write(name, client, preconditions, message, now())?;
                Ok(Answer::Stored { tag })
            }
            Method::DELETE => {
                self.channels.end(name, client, now())?;
                Ok(Answer::Done)
            }
            _ => {
                self.channels.enter(name, client, now())?;
                Err(Refusal::NoSuchPlace)
            }
        }
    }

    /// Takes a message in; room is taken as it arrives, so that nobody keeps it by sending nothing.
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
        let owner = self.callers.counted(address);
        let arriving = self.room.enter(owner);
        let mut bytes = Vec::new();
        loop {
            let frame = tokio::select! {
                () = arriving.ended() => return Err(Refusal::NoShare),
                frame = body.frame() => frame,
            };
            let Some(frame) = frame else { break };
            let Ok(piece) = frame.map_err(|_| Refusal::Broken)?.into_data() else {
                continue;
            };
            if bytes.len() + piece.len() > most {
                return Err(Refusal::TooLarge);
            }
            self.grow(&arriving, owner, piece.len())?;
            bytes.extend_from_slice(&piece);
        }
        Ok(Message::new(&bytes, arriving.keep()?))
    }

    /// Takes room. Where none is left, messages of the networks that hold most yield.
    fn grow(&self, arriving: &Arriving, owner: Option<Owner>, bytes: usize) -> Result<(), RoomError> {
        for _ in 0..YIELDED {
            match (arriving.grow(bytes), owner) {
                (Err(RoomError::Full), Some(owner)) if self.make_room(owner, bytes) => {}
                (answer, _) => return answer,
            }
        }
        arriving.grow(bytes)
    }

    /// Ends a message of a network that holds more than that owner's: of the one that holds most, first what has come,
    /// with its channel, then what arrives. Whether there was one.
    fn make_room(&self, owner: Owner, bytes: usize) -> bool {
        let now = self.clock.steady_millis();
        self.channels.tell();
        let heavier = self.room.heavier_than(owner, bytes);
        let arriving = self.room.who_yields(&heavier);
        let least = arriving.map_or(0, |(_, held)| held);
        if self.channels.end_one_with_message(&heavier, least, now) {
            return true;
        }
        if let Some((number, _)) = arriving {
            self.room.end(number);
        }
        arriving.is_some()
    }

    /// `POST report`: whatever it says, the client hears that all is well.
    async fn hear_report(&self, headers: &HeaderMap, body: Body) -> Answer {
        let text = report::text(headers, body).await;
        let now = self.clock.steady_millis();
        self.reports.log(&text, now);
        if let (Some(client), Some(name)) = (ClientId::read(headers), report::channel(headers)) {
            self.channels.end_if_known(name, client, now);
        }
        Answer::Done
    }
}

/// Whether a page in a browser made it send this. Clients are no pages: they name no site, and no relation to one.
fn is_sent_by_page(headers: &HeaderMap) -> bool {
    let is_site = |origin: &HeaderValue| origin.as_bytes().starts_with(b"http");
    let is_elsewhere = |site: &HeaderValue| matches!(site.as_bytes(), b"cross-site" | b"same-site");
    headers.get_all(header::ORIGIN).iter().any(is_site)
        || headers.get_all(FETCH_SITE).iter().any(is_elsewhere)
}

#[cfg(test)]
mod tests;
