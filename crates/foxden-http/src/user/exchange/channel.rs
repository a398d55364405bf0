//! Channels: each has at most two clients, one message, six reads and a few minutes to live.
//!
//! Every change of a channel happens under one lock and without waiting, so that one of two concurrent clients is
//! first. Hashing and receiving, which take time, happen before.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use foxden_model::{LogThrottle, Rng};
use ring::digest;

use super::client::{ClientId, Condition, Preconditions};
use super::client_networks::{ClientNetworks, NetworkPrefix, NetworkShares};
use super::meeting::Meeting;
use super::message_memory::{LargerNetworks, MessagePermit};
use super::name::ChannelName;

/// How many random names are tried.
const NAME_ATTEMPTS: usize = 100;
/// How many bytes of a hash a tag has.
const TAG_BYTES: usize = 16;
/// How many networks fill all channels, each with its share.
const NETWORKS_AT_ONCE: usize = 64;
/// The minimum share of a network.
const MIN_SHARE: usize = 8;
/// How often ended channels are removed.
const SWEEP_MILLIS: u64 = 1000;

/// A message from one client to the other.
#[derive(Debug)]
pub(super) struct Message {
    /// The networks of the sender; absent where no shares are enforced.
    sender: Option<ClientNetworks>,
    bytes: Bytes,
    tag: Box<str>,
}

/// The bytes of a message with the permit for their memory. A response may hold them after the channel has ended.
struct MessageBytes(
    Box<[u8]>,
    #[expect(dead_code, reason = "it is held, not read")] MessagePermit,
);

impl AsRef<[u8]> for MessageBytes {
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
    /// The channel is kept where all processes find it, and that place does not answer.
    Unavailable,
}

/// The result of reading a channel.
#[derive(Debug)]
pub(super) enum ReadMessage {
    /// The message, and its tag once a client has written one.
    Message { bytes: Bytes, tag: Option<Box<str>> },
    /// The client has this message already.
    Unchanged { tag: Box<str> },
}

/// All open channels.
pub(super) struct Channels {
    capacity: usize,
    ttl_millis: u64,
    table: Mutex<ChannelTable>,
    notice: LogThrottle,
}

struct ChannelTable {
    channels: HashMap<ChannelName, Channel>,
    /// How many channels each network has opened.
    shares: NetworkShares,
    /// Shared channels that were ended here to make room, and are still to be ended in the register.
    evicted: Vec<ChannelName>,
    swept_at: i64,
}

struct Channel {
    opened_at: i64,
    /// The networks of the first client; absent where no shares are enforced.
    networks: Option<ClientNetworks>,
    meeting: Meeting,
    /// Whether all processes find the channel in the register. Here it stands for what it takes of the bounds of this process.
    is_shared: bool,
    /// Absent until a client has written one. Of a shared channel, the last one that came to this process.
    message: Option<Message>,
    /// Held by each of the two clients while it sends a message.
    uploads: [Arc<()>; 2],
}

/// An upload in progress, until this is dropped.
#[derive(Debug)]
pub(super) struct Upload(#[expect(dead_code, reason = "it is held, not read")] Arc<()>);

impl Message {
    /// A message of these bytes, copied out of the larger buffer in which they were received.
    pub(super) fn new(bytes: &[u8], permit: MessagePermit) -> Self {
        Self {
            sender: permit.networks(),
            tag: tag_of(bytes),
            bytes: Bytes::from_owner(MessageBytes(bytes.into(), permit)),
        }
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}

/// The tag of a message.
pub(super) fn tag_of(bytes: &[u8]) -> Box<str> {
    let hash = digest::digest(&digest::SHA256, bytes);
    HEXLOWER.encode(&hash.as_ref()[..TAG_BYTES]).into()
}

impl Channels {
    pub(super) fn new(max_channels: usize, ttl: Duration) -> Self {
        Self {
            capacity: max_channels,
            ttl_millis: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            table: Mutex::new(ChannelTable {
                channels: HashMap::new(),
                shares: NetworkShares::new((max_channels / NETWORKS_AT_ONCE).max(MIN_SHARE)),
                evicted: Vec::new(),
                swept_at: 0,
            }),
            notice: LogThrottle::default(),
        }
    }

    /// Opens a channel for its first client. When all channels are in use, one of the network that has most is
    /// closed. A shared one must then be made in the register, too.
    pub(super) fn open(
        &self,
        client: ClientId,
        networks: Option<ClientNetworks>,
        is_shared: bool,
        rng: &dyn Rng,
        now: i64,
    ) -> Result<ChannelName, ChannelError> {
        let mut table = self.lock(now);
        if networks.is_some_and(|networks| !table.shares.allows(networks, 1)) {
            return Err(ChannelError::NetworkLimit);
        }
        if table.channels.len() >= self.capacity {
            self.warn_full();
            let yields = networks.and_then(|networks| table.shares.largest_above(networks, 1));
            let ended = yields.is_some_and(|network| table.end_one_of(network));
            if !ended {
                return Err(ChannelError::Full);
            }
        }
        let mut names = (0..NAME_ATTEMPTS).map(|_| ChannelName::random(rng));
        let free = names.find(|name| !table.channels.contains_key(name));
        let name = free.ok_or(ChannelError::Full)?;
        if let Some(networks) = networks {
            table.shares.take(networks, 1);
        }
        table.channels.insert(
            name,
            Channel {
                opened_at: now,
                networks,
                meeting: Meeting::of(client),
                is_shared,
                message: None,
                uploads: Default::default(),
            },
        );
        Ok(name)
    }

    /// Admits a client that belongs to the channel or is its second. A client without an id, or a third, ends the
    /// channel: a third could be listening.
    pub(super) fn admit(
        &self,
        name: ChannelName,
        client: Option<ClientId>,
        now: i64,
    ) -> Result<(), ChannelError> {
        self.lock(now)
            .admit(name, client, self.ttl_millis, now)
            .map(|_| ())
    }

    /// Admits a client for an upload. A client has one upload at a time.
    pub(super) fn begin_upload(
        &self,
        name: ChannelName,
        client: Option<ClientId>,
        now: i64,
    ) -> Result<Upload, ChannelError> {
        let mut table = self.lock(now);
        let channel = table.admit(name, client, self.ttl_millis, now)?;
        let upload = &channel.uploads[usize::from(client != Some(channel.meeting.first))];
        if Arc::strong_count(upload) > 1 {
            return Err(ChannelError::UploadInProgress);
        }
        Ok(Upload(Arc::clone(upload)))
    }

    /// Returns the message, unless the client has it.
    pub(super) fn read(
        &self,
        name: ChannelName,
        client: Option<ClientId>,
        known: Option<Condition<'_>>,
        now: i64,
    ) -> Result<ReadMessage, ChannelError> {
        let mut table = self.lock(now);
        let channel = table.admit(name, client, self.ttl_millis, now)?;
        let tag = channel.message.as_ref().map(|message| message.tag.clone());
        if let (Some(tag), Some(known)) = (&tag, known)
            && known.names(tag)
        {
            return Ok(ReadMessage::Unchanged { tag: tag.clone() });
        }
        let bytes = channel.message.as_ref().map(|message| message.bytes.clone());
        if channel.meeting.count_read() {
            table.end(name);
        }
        let bytes = bytes.unwrap_or(Bytes::from_static(b"{}"));
        Ok(ReadMessage::Message { bytes, tag })
    }

    /// Replaces the message, if it fulfils the client's preconditions. Returns the new message's tag.
    pub(super) fn write(
        &self,
        name: ChannelName,
        client: Option<ClientId>,
        preconditions: Preconditions<'_>,
        message: Message,
        now: i64,
    ) -> Result<Box<str>, ChannelError> {
        let mut table = self.lock(now);
        let channel = table.admit(name, client, self.ttl_millis, now)?;
        let tag = message.tag.clone();
        let present = channel.message.as_ref().map(|message| &*message.tag);
        if !preconditions.are_fulfilled(present) {
            return Err(ChannelError::PreconditionFailed { tag });
        }
        channel.message = Some(message);
        Ok(tag)
    }

    /// Ends a channel for one of its clients.
    pub(super) fn end(
        &self,
        name: ChannelName,
        client: Option<ClientId>,
        now: i64,
    ) -> Result<(), ChannelError> {
        let mut table = self.lock(now);
        table.admit(name, client, self.ttl_millis, now)?;
        table.end(name);
        Ok(())
    }

    /// Ends a channel if the client is one of its two; otherwise nothing happens.
    pub(super) fn end_if_known(&self, name: ChannelName, client: ClientId, now: i64) {
        let mut table = self.lock(now);
        let channel = table.channels.get(&name);
        if channel.is_some_and(|channel| channel.meeting.knows(client)) {
            table.end(name);
        }
    }

    /// Returns whether a channel that this process knows is shared.
    pub(super) fn is_shared(&self, name: ChannelName, now: i64) -> Option<bool> {
        let table = self.lock(now);
        table.channels.get(&name).map(|channel| channel.is_shared)
    }

    /// Holds the memory of a message that was written to a shared channel as long as the channel may live.
    pub(super) fn hold(&self, name: ChannelName, client: ClientId, message: Message, now: i64) {
        let mut table = self.lock(now);
        let channel = table.channels.entry(name).or_insert_with(|| Channel {
            opened_at: now,
            networks: None,
            meeting: Meeting::of(client),
            is_shared: true,
            message: None,
            uploads: Default::default(),
        });
        channel.message = Some(message);
    }

    /// Forgets a shared channel that has ended.
    pub(super) fn forget(&self, name: ChannelName, now: i64) {
        let mut table = self.lock(now);
        if table.channels.get(&name).is_some_and(|channel| channel.is_shared) {
            table.end(name);
        }
    }

    /// Takes the names of shared channels that were ended to make room.
    pub(super) fn take_evicted(&self, now: i64) -> Vec<ChannelName> {
        std::mem::take(&mut self.lock(now).evicted)
    }

    /// Ends a channel whose message one of these networks sent, if that network holds at least `least` bytes. The
    /// network that holds most comes first. Returns whether there was such a channel.
    pub(super) fn end_one_with_message(&self, larger: &LargerNetworks, least: usize, now: i64) -> bool {
        let held_by_sender = |channel: &Channel| {
            let message = channel
                .message
                .as_ref()
                .filter(|message| !message.bytes.is_empty())?;
            let held = *larger.get(&message.sender?.widest())?;
            (held >= least).then_some(held)
        };
        let order = |channel: &Channel| Some((Reverse(held_by_sender(channel)?), channel.eviction_order()));
        self.lock(now).end_first(order)
    }

    /// Logs that all channels or all message memory are in use.
    pub(super) fn warn_full(&self) {
        if let Some(suppressed) = self.notice.should_log() {
            tracing::warn!(
                "all channels of the key exchange, or all its message memory, are in use: the network that holds most \
                 loses one{suppressed}"
            );
        }
    }

    /// Locks the channels, and sometimes removes ended ones first.
    fn lock(&self, now: i64) -> MutexGuard<'_, ChannelTable> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.swept_at.abs_diff(now) >= SWEEP_MILLIS {
            table.swept_at = now;
            table.sweep(self.ttl_millis, now);
        }
        table
    }
}

impl ChannelTable {
    /// Ends a channel, if it exists.
    fn end(&mut self, name: ChannelName) {
        let ended = self.channels.remove(&name);
        if let Some(networks) = ended.and_then(|channel| channel.networks) {
            self.shares.release(networks, 1);
        }
    }

    /// Ends one of the channels that a network opened.
    fn end_one_of(&mut self, network: NetworkPrefix) -> bool {
        let is_of = |channel: &Channel| {
            channel
                .networks
                .is_some_and(|networks| networks.widest() == network)
        };
        self.end_first(|channel| is_of(channel).then(|| channel.eviction_order()))
    }

    /// Ends the channel with the lowest rank. Channels without a rank stay.
    fn end_first<Rank: Ord>(&mut self, order: impl Fn(&Channel) -> Option<Rank>) -> bool {
        let channels = self.channels.iter();
        let places = channels.filter_map(|(name, channel)| Some((order(channel)?, *name)));
        let yields = places.min_by(|(a, _), (b, _)| a.cmp(b));
        let yields = yields.map(|(_, name)| name);
        if let Some(name) = yields {
            if self.channels.get(&name).is_some_and(|channel| channel.is_shared) {
                self.evicted.push(name);
            }
            self.end(name);
        }
        yields.is_some()
    }

    /// Removes ended channels.
    fn sweep(&mut self, ttl_millis: u64, now: i64) {
        let Self { channels, shares, .. } = self;
        channels.retain(|_, channel| {
            let is_alive = channel.is_alive(ttl_millis, now);
            if let Some(networks) = channel.networks.filter(|_| !is_alive) {
                shares.release(networks, 1);
            }
            is_alive
        });
    }

    /// Returns the channel, if the client may use it.
    fn admit(
        &mut self,
        name: ChannelName,
        client: Option<ClientId>,
        ttl_millis: u64,
        now: i64,
    ) -> Result<&mut Channel, ChannelError> {
        let Some(client) = client else {
            self.end(name);
            return Err(ChannelError::InvalidClientId);
        };
        let channel = self.channels.get_mut(&name);
        let channel = channel.filter(|channel| channel.is_alive(ttl_millis, now));
        if channel.ok_or(ChannelError::NotFound)?.meeting.admits(client) {
            return self.channels.get_mut(&name).ok_or(ChannelError::NotFound);
        }
        self.end(name);
        Err(ChannelError::ThirdClient)
    }
}

impl Channel {
    const fn is_alive(&self, ttl_millis: u64, now: i64) -> bool {
        self.opened_at.abs_diff(now) < ttl_millis
    }

    /// Returns whether two clients have met in the channel, or one is sending.
    fn is_in_use(&self) -> bool {
        self.meeting.second.is_some() || self.uploads.iter().any(|upload| Arc::strong_count(upload) > 1)
    }

    /// The order in which channels of a network are ended: first those in which no two clients have met, then the
    /// oldest.
    fn eviction_order(&self) -> (bool, i64) {
        (self.is_in_use(), self.opened_at)
    }
}
