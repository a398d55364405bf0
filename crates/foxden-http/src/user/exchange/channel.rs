//! The channels: two clients at most, one message, six reads, a few minutes.
//!
//! Whatever is done to a channel is done under one lock and without waiting, so that of two clients that come at once
//! one is first. What takes time, hashing and receiving, is done before.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use foxden_model::{LogThrottle, Rng};
use ring::digest;

use super::client::{ClientId, Condition, Preconditions};
use super::name::Name;
use super::owner::{Owner, Part, Shares};
use super::room::{Heavier, Taken};

/// How often a message is given out. A whole pairing reads six times.
const READS: u8 = 6;
/// How often a free name is looked for.
const TRIES: usize = 100;
/// How much of a hash tells messages apart.
const TAG_BYTES: usize = 16;
/// How many households fill all channels, each with its share.
const HOUSEHOLDS: usize = 64;
/// The smallest share of a household.
const LEAST: usize = 8;
/// How long ended channels may lie about.
const SWEEP_MILLIS: u64 = 1000;

/// What one client wrote for the other.
#[derive(Debug)]
pub(super) struct Message {
    /// Who sent it; absent where no shares are kept to.
    sender: Option<Owner>,
    bytes: Bytes,
    tag: Box<str>,
}

/// The bytes of a message with the room they take: as long as an answer holds them, whatever became of the channel.
struct Kept(
    Box<[u8]>,
    #[expect(dead_code, reason = "it is held, not read")] Taken,
);

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Why a client cannot use a channel.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ChannelError {
    /// The request carries no valid client id. The channel has ended.
    InvalidClientId,
    /// Two other clients use the channel. It has ended.
    ThirdClient,
    /// There is no such channel, or it has ended.
    NotFound,
    /// The channel holds another message than the preconditions name. The tag is that of the message sent.
    PreconditionFailed { tag: Box<str> },
    /// The client is already sending a message to this channel.
    UploadInProgress,
    /// The client's network has opened as many channels as one network may.
    NetworkLimit,
    /// All channels are in use.
    Full,
}

/// What a client reads from a channel.
#[derive(Debug)]
pub(super) enum ReadMessage {
    /// The message, and its tag once a client has written one.
    Message { bytes: Bytes, tag: Option<Box<str>> },
    /// The client has this message already.
    Unchanged { tag: Box<str> },
}

/// Every channel that lives.
pub(super) struct Channels {
    most: usize,
    life: u64,
    open: Mutex<Open>,
    notice: LogThrottle,
}

struct Open {
    channels: HashMap<Name, Channel>,
    /// How many of them each network has opened.
    shares: Shares,
    swept_at: i64,
}

struct Channel {
    opened_at: i64,
    /// Who opened it; absent where no shares are kept to.
    owner: Option<Owner>,
    first: ClientId,
    second: Option<ClientId>,
    reads_left: u8,
    /// Empty until somebody has written.
    message: Option<Message>,
    /// What each of the two holds while it sends a message.
    uploads: [Arc<()>; 2],
}

/// A message on its way, until this goes.
#[derive(Debug)]
pub(super) struct Upload(#[expect(dead_code, reason = "it is held, not read")] Arc<()>);

impl Message {
    /// These bytes, copied out of the larger piece of memory that they came in.
    pub(super) fn new(bytes: &[u8], taken: Taken) -> Self {
        let hash = digest::digest(&digest::SHA256, bytes);
        Self {
            sender: taken.owner(),
            bytes: Bytes::from_owner(Kept(bytes.into(), taken)),
            tag: HEXLOWER.encode(&hash.as_ref()[..TAG_BYTES]).into(),
        }
    }
}

impl Channels {
    pub(super) fn new(most: usize, life: Duration) -> Self {
        Self {
            most,
            life: u64::try_from(life.as_millis()).unwrap_or(u64::MAX),
            open: Mutex::new(Open {
                channels: HashMap::new(),
                shares: Shares::new((most / HOUSEHOLDS).max(LEAST)),
                swept_at: 0,
            }),
            notice: LogThrottle::default(),
        }
    }

    /// Opens a channel for its first client. Where all are taken, the network that has most yields one.
    pub(super) fn open(
        &self,
        client: ClientId,
        owner: Option<Owner>,
        rng: &dyn Rng,
        now: i64,
    ) -> Result<Name, ChannelError> {
        let mut open = self.lock(now);
        if owner.is_some_and(|owner| !open.shares.may_take(owner, 1)) {
            return Err(ChannelError::NetworkLimit);
        }
        if open.channels.len() >= self.most {
            self.tell();
            let yields = owner.and_then(|owner| open.shares.who_yields_to(owner, 1));
            let ended = yields.is_some_and(|network| open.end_one_of(network));
            if !ended {
                return Err(ChannelError::Full);
            }
        }
        let mut names = (0..TRIES).map(|_| Name::random(rng));
        let free = names.find(|name| !open.channels.contains_key(name));
        let name = free.ok_or(ChannelError::Full)?;
        if let Some(owner) = owner {
            open.shares.take(owner, 1);
        }
        open.channels.insert(
            name,
            Channel {
                opened_at: now,
                owner,
                first: client,
                second: None,
                reads_left: READS,
                message: None,
                uploads: Default::default(),
            },
        );
        Ok(name)
    }

    /// Lets a client in who belongs there or is the second to come. Somebody without an id, or a third, ends the channel:
    /// it is better lost than listened to.
    pub(super) fn enter(&self, name: Name, client: Option<ClientId>, now: i64) -> Result<(), ChannelError> {
        self.lock(now).admit(name, client, self.life, now).map(|_| ())
    }

    /// Lets a client in to send a message, one at a time.
    pub(super) fn begin_upload(
        &self,
        name: Name,
        client: Option<ClientId>,
        now: i64,
    ) -> Result<Upload, ChannelError> {
        let mut open = self.lock(now);
        let channel = open.admit(name, client, self.life, now)?;
        let hand = &channel.uploads[usize::from(client != Some(channel.first))];
        if Arc::strong_count(hand) > 1 {
            return Err(ChannelError::UploadInProgress);
        }
        Ok(Upload(Arc::clone(hand)))
    }

    /// Gives out the message, unless the client has it.
    pub(super) fn read(
        &self,
        name: Name,
        client: Option<ClientId>,
        known: Option<Condition<'_>>,
        now: i64,
    ) -> Result<ReadMessage, ChannelError> {
        let mut open = self.lock(now);
        let channel = open.admit(name, client, self.life, now)?;
        let tag = channel.message.as_ref().map(|message| message.tag.clone());
        if let (Some(tag), Some(known)) = (&tag, known)
            && known.names(tag)
        {
            return Ok(ReadMessage::Unchanged { tag: tag.clone() });
        }
        let bytes = channel.message.as_ref().map(|message| message.bytes.clone());
        channel.reads_left -= 1;
        if channel.reads_left == 0 {
            open.end(name);
        }
        let bytes = bytes.unwrap_or(Bytes::from_static(b"{}"));
        Ok(ReadMessage::Message { bytes, tag })
    }

    /// Replaces the message, if it fulfils the client's preconditions. Returns the new message's tag.
    pub(super) fn write(
        &self,
        name: Name,
        client: Option<ClientId>,
        preconditions: Preconditions<'_>,
        message: Message,
        now: i64,
    ) -> Result<Box<str>, ChannelError> {
        let mut open = self.lock(now);
        let channel = open.admit(name, client, self.life, now)?;
        let tag = message.tag.clone();
        if !channel.fulfils(preconditions) {
            return Err(ChannelError::PreconditionFailed { tag });
        }
        channel.message = Some(message);
        Ok(tag)
    }

    /// Ends a channel for one of its clients.
    pub(super) fn end(&self, name: Name, client: Option<ClientId>, now: i64) -> Result<(), ChannelError> {
        let mut open = self.lock(now);
        open.admit(name, client, self.life, now)?;
        open.end(name);
        Ok(())
    }

    /// Ends a channel if the client is one of its two; else nothing happens.
    pub(super) fn end_if_known(&self, name: Name, client: ClientId, now: i64) {
        let mut open = self.lock(now);
        let channel = open.channels.get(&name);
        if channel.is_some_and(|channel| channel.knows(client)) {
            open.end(name);
        }
    }

    /// Ends a channel whose message one of these networks sent, if that holds so much: one of the network that holds most.
    /// Whether there was one.
    pub(super) fn end_one_with_message(&self, heavier: &Heavier, least: usize, now: i64) -> bool {
        let held_by_sender = |channel: &Channel| {
            let message = channel
                .message
                .as_ref()
                .filter(|message| !message.bytes.is_empty())?;
            let held = *heavier.get(&message.sender?.widest())?;
            (held >= least).then_some(held)
        };
        let order = |channel: &Channel| Some((Reverse(held_by_sender(channel)?), channel.order()));
        self.lock(now).end_first(order)
    }

    /// Tells the operator that all is taken.
    pub(super) fn tell(&self) {
        if let Some(suppressed) = self.notice.should_log() {
            tracing::warn!(
                "all channels of the key exchange, or all its room, are taken: the network that has most yields one to \
                 others{suppressed}"
            );
        }
    }

    /// The channels; now and then those that have ended are first cleared away.
    fn lock(&self, now: i64) -> MutexGuard<'_, Open> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.swept_at.abs_diff(now) >= SWEEP_MILLIS {
            open.swept_at = now;
            open.sweep(self.life, now);
        }
        open
    }
}

impl Open {
    /// Ends a channel, if it is there.
    fn end(&mut self, name: Name) {
        let ended = self.channels.remove(&name);
        if let Some(owner) = ended.and_then(|channel| channel.owner) {
            self.shares.give_back(owner, 1);
        }
    }

    /// Ends one of the channels that the network opened.
    fn end_one_of(&mut self, network: Part) -> bool {
        let is_of = |channel: &Channel| channel.owner.is_some_and(|owner| owner.widest() == network);
        self.end_first(|channel| is_of(channel).then(|| channel.order()))
    }

    /// Ends the channel that is first in that order. Those without a place in it stay.
    fn end_first<Place: Ord>(&mut self, order: impl Fn(&Channel) -> Option<Place>) -> bool {
        let channels = self.channels.iter();
        let places = channels.filter_map(|(name, channel)| Some((order(channel)?, *name)));
        let yields = places.min_by(|(a, _), (b, _)| a.cmp(b));
        let yields = yields.map(|(_, name)| name);
        if let Some(name) = yields {
            self.end(name);
        }
        yields.is_some()
    }

    /// Clears away what has ended.
    fn sweep(&mut self, life: u64, now: i64) {
        let Self { channels, shares, .. } = self;
        channels.retain(|_, channel| {
            let is_alive = channel.is_alive(life, now);
            if let Some(owner) = channel.owner.filter(|_| !is_alive) {
                shares.give_back(owner, 1);
            }
            is_alive
        });
    }

    /// The channel, for a client that may use it.
    fn admit(
        &mut self,
        name: Name,
        client: Option<ClientId>,
        life: u64,
        now: i64,
    ) -> Result<&mut Channel, ChannelError> {
        let Some(client) = client else {
            self.end(name);
            return Err(ChannelError::InvalidClientId);
        };
        let channel = self.channels.get_mut(&name);
        let channel = channel.filter(|channel| channel.is_alive(life, now));
        if channel.ok_or(ChannelError::NotFound)?.takes_in(client) {
            return self.channels.get_mut(&name).ok_or(ChannelError::NotFound);
        }
        self.end(name);
        Err(ChannelError::ThirdClient)
    }
}

impl Channel {
    const fn is_alive(&self, life: u64, now: i64) -> bool {
        self.opened_at.abs_diff(now) < life
    }

    /// Whether two have met in it, or one is sending to it.
    fn is_in_use(&self) -> bool {
        self.second.is_some() || self.uploads.iter().any(|upload| Arc::strong_count(upload) > 1)
    }

    /// In which order a network's channels yield: the oldest in which no two have met, then the oldest.
    fn order(&self) -> (bool, i64) {
        (self.is_in_use(), self.opened_at)
    }

    fn knows(&self, client: ClientId) -> bool {
        self.first == client || self.second == Some(client)
    }

    /// Whether the client belongs there: it is known, or becomes the second.
    fn takes_in(&mut self, client: ClientId) -> bool {
        if self.second.is_none() && self.first != client {
            self.second = Some(client);
        }
        self.knows(client)
    }

    /// Returns whether the message fulfils a client's preconditions. `If-Match` decides where there are both.
    fn fulfils(&self, preconditions: Preconditions<'_>) -> bool {
        if let Some(wanted) = preconditions.if_match {
            let tag = self.message.as_ref().map(|message| &*message.tag);
            return wanted == Condition::Any || tag.is_some_and(|tag| wanted.names(tag));
        }
        preconditions.if_none_match != Some(Condition::Any) || self.message.is_none()
    }
}
