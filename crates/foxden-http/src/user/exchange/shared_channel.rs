//! Channels that all processes find: values that the processes share, changed by their version. So of two concurrent changes one is
//! first, whichever process each client reaches.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use foxden_accounts::{Shared, SharedValue, Unavailable};
use foxden_model::LogThrottle;

use super::channel::{ChannelError, ReadMessage, tag_of};
use super::client::{ClientId, Condition, Preconditions};
use super::meeting::Meeting;
use super::name::ChannelName;
use crate::wire::chain;

/// How often a change is tried that another one overtakes. A channel has two clients.
const ATTEMPTS: usize = 16;
/// Bytes before the message: the clients, whether there is a second, the reads left, whether there is a message.
const HEAD: usize = 32 + 32 + 3;

/// The shared channels.
pub(super) struct SharedChannels {
    shared: Arc<dyn Shared>,
    ttl_millis: i64,
    uploads: Arc<Mutex<Uploads>>,
    notice: LogThrottle,
}

/// The clients that send a message to this process.
type Uploads = HashSet<(ChannelName, [u8; 32])>;

/// An upload in progress, until this is dropped.
pub(super) struct SharedUpload {
    uploads: Arc<Mutex<Uploads>>,
    key: (ChannelName, [u8; 32]),
}

/// A channel as it is shared.
#[derive(Clone, PartialEq, Eq)]
struct SharedChannel {
    meeting: Meeting,
    /// Absent until a client has written one.
    message: Option<Vec<u8>>,
}

/// What becomes of a channel.
enum Outcome {
    Stays,
    Ends,
}

impl SharedChannels {
    pub(super) fn new(shared: Arc<dyn Shared>, ttl: Duration) -> Self {
        Self {
            shared,
            ttl_millis: i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX),
            uploads: Arc::default(),
            notice: LogThrottle::default(),
        }
    }

    /// Whether new channels must be found by other processes.
    pub(super) fn are_needed(&self) -> bool {
        self.shared.had_peers(0)
    }

    /// Whether there may be shared channels.
    pub(super) fn may_exist(&self) -> bool {
        self.shared.had_peers(self.ttl_millis)
    }

    /// Makes a channel. `false`: another process has one of that name.
    pub(super) async fn open(&self, name: ChannelName, client: ClientId) -> Result<bool, ChannelError> {
        let channel = SharedChannel {
            meeting: Meeting::of(client),
            message: None,
        };
        let made = self
            .shared
            .create(&key(name), &channel.pack(), self.ttl_millis)
            .await;
        made.map_err(|error| self.unavailable(&error))
    }

    /// Admits a client: see [`super::channel::Channels::admit`].
    pub(super) async fn admit(
        &self,
        name: ChannelName,
        client: Option<ClientId>,
    ) -> Result<(), ChannelError> {
        self.change(name, client, |_| Ok(((), Outcome::Stays))).await
    }

    /// Admits a client for an upload. A client has one upload to each process at a time.
    pub(super) async fn begin_upload(
        &self,
        name: ChannelName,
        client: Option<ClientId>,
    ) -> Result<SharedUpload, ChannelError> {
        self.admit(name, client).await?;
        let key = (name, client.ok_or(ChannelError::InvalidClientId)?.0);
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        if !uploads.insert(key) {
            return Err(ChannelError::UploadInProgress);
        }
        Ok(SharedUpload {
            uploads: Arc::clone(&self.uploads),
            key,
        })
    }

    /// Returns the message, unless the client has it, and whether the channel has ended with it.
    pub(super) async fn read(
        &self,
        name: ChannelName,
        client: Option<ClientId>,
        known: Option<Condition<'_>>,
    ) -> Result<(ReadMessage, bool), ChannelError> {
        let read = |channel: &mut SharedChannel| {
            let tag = channel.message.as_deref().map(tag_of);
            if let (Some(tag), Some(known)) = (&tag, known)
                && known.names(tag)
            {
                return Ok((
                    (ReadMessage::Unchanged { tag: tag.clone() }, false),
                    Outcome::Stays,
                ));
            }
            let bytes = channel
                .message
                .clone()
                .map_or(Bytes::from_static(b"{}"), Bytes::from);
            let is_last = channel.meeting.count_read();
            let fate = if is_last { Outcome::Ends } else { Outcome::Stays };
            Ok(((ReadMessage::Message { bytes, tag }, is_last), fate))
        };
        self.change(name, client, read).await
    }

    /// Replaces the message, if it fulfils the client's preconditions. Returns the new message's tag.
    pub(super) async fn write(
        &self,
        name: ChannelName,
        client: Option<ClientId>,
        preconditions: Preconditions<'_>,
        message: &[u8],
    ) -> Result<Box<str>, ChannelError> {
        let write = |channel: &mut SharedChannel| {
            let (present, tag) = (channel.message.as_deref().map(tag_of), tag_of(message));
            if !preconditions.are_fulfilled(present.as_deref()) {
                return Err(ChannelError::PreconditionFailed { tag });
            }
            channel.message = Some(message.to_vec());
            Ok((tag, Outcome::Stays))
        };
        self.change(name, client, write).await
    }

    /// Ends a channel for one of its clients.
    pub(super) async fn end(&self, name: ChannelName, client: Option<ClientId>) -> Result<(), ChannelError> {
        self.change(name, client, |_| Ok(((), Outcome::Ends))).await
    }

    /// Ends a channel if the client is one of its two; otherwise nothing happens.
    pub(super) async fn end_if_known(&self, name: ChannelName, client: ClientId) -> Result<(), ChannelError> {
        self.end_if(name, |channel| channel.meeting.knows(client)).await
    }

    /// Ends a channel for any client.
    pub(super) async fn evict(&self, name: ChannelName) -> Result<(), ChannelError> {
        self.end_if(name, |_| true).await
    }

    async fn end_if(
        &self,
        name: ChannelName,
        condition: impl Fn(&SharedChannel) -> bool,
    ) -> Result<(), ChannelError> {
        for _ in 0..ATTEMPTS {
            let Some((version, channel)) = self.find(name).await? else {
                return Ok(());
            };
            if !condition(&channel) || self.apply(name, version, None).await? {
                return Ok(());
            }
        }
        Err(ChannelError::Unavailable)
    }

    /// Admits the client and changes the channel. A client without an id, or a third, ends it.
    async fn change<T>(
        &self,
        name: ChannelName,
        client: Option<ClientId>,
        act: impl Fn(&mut SharedChannel) -> Result<(T, Outcome), ChannelError>,
    ) -> Result<T, ChannelError> {
        for _ in 0..ATTEMPTS {
            let found = self.find(name).await?;
            let (Some((version, before)), Some(client)) = (&found, client) else {
                let Some((version, _)) = found else {
                    return Err(client.map_or(ChannelError::InvalidClientId, |_| ChannelError::NotFound));
                };
                if self.apply(name, version, None).await? {
                    return Err(ChannelError::InvalidClientId);
                }
                continue;
            };
            let mut channel = before.clone();
            let acted = if channel.meeting.admits(client) {
                act(&mut channel)
            } else if self.apply(name, *version, None).await? {
                return Err(ChannelError::ThirdClient);
            } else {
                continue;
            };
            let after = (!matches!(acted, Ok((_, Outcome::Ends)))).then_some(&channel);
            if after == Some(before) || self.apply(name, *version, after).await? {
                return acted.map(|(value, _)| value);
            }
        }
        Err(ChannelError::Unavailable)
    }

    async fn find(&self, name: ChannelName) -> Result<Option<(i64, SharedChannel)>, ChannelError> {
        let found = self.shared.value(&key(name)).await;
        let found = found.map_err(|error| self.unavailable(&error))?;
        let unpacked = |SharedValue { version, content }| Some((version, SharedChannel::unpack(&content)?));
        Ok(found.and_then(unpacked))
    }

    /// Replaces a channel of this version, or ends it. `false`: it has changed meanwhile.
    async fn apply(
        &self,
        name: ChannelName,
        version: i64,
        channel: Option<&SharedChannel>,
    ) -> Result<bool, ChannelError> {
        let key = key(name);
        let applied = match channel {
            Some(channel) => self.shared.replace(&key, version, &channel.pack()).await,
            None => self.shared.remove(&key, version).await,
        };
        applied.map_err(|error| self.unavailable(&error))
    }

    fn unavailable(&self, error: &Unavailable) -> ChannelError {
        if let Some(suppressed) = self.notice.should_log() {
            tracing::warn!(
                "channels of the key exchange cannot be found by all processes: {}{suppressed}",
                chain(error)
            );
        }
        ChannelError::Unavailable
    }
}

/// The name under which a channel is shared.
fn key(name: ChannelName) -> String {
    format!("exchange/{}", name.as_str())
}

impl Drop for SharedUpload {
    fn drop(&mut self) {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.remove(&self.key);
    }
}

impl SharedChannel {
    fn pack(&self) -> Vec<u8> {
        let Meeting {
            first,
            second,
            reads_left,
        } = self.meeting;
        let message = self.message.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEAD + message.len());
        bytes.extend_from_slice(&first.0);
        bytes.extend_from_slice(&second.map_or([0; 32], |second| second.0));
        let flags = [second.is_some().into(), reads_left, self.message.is_some().into()];
        bytes.extend_from_slice(&flags);
        bytes.extend_from_slice(message);
        bytes
    }

    /// `None`: a later release packed it.
    fn unpack(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first_chunk::<32>()?;
        let (second, rest) = rest.split_first_chunk::<32>()?;
        let (&[has_second, reads_left, has_message], message) = rest.split_first_chunk::<3>()?;
        let meeting = Meeting {
            first: ClientId(*first),
            second: (has_second == 1).then_some(ClientId(*second)),
            reads_left,
        };
        let message = (has_message == 1).then(|| message.to_vec());
        Some(Self { meeting, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_comes_back_as_it_was() {
        let (first, second) = (ClientId([1; 32]), ClientId([2; 32]));
        let mut channel = SharedChannel {
            meeting: Meeting::of(first),
            message: None,
        };
        for step in 0..3 {
            assert!(
                SharedChannel::unpack(&channel.pack()) == Some(channel.clone()),
                "{step}"
            );
            channel.meeting.admits(second);
            channel.meeting.count_read();
            channel.message = Some(vec![7; step * 1000]);
        }
        assert!(SharedChannel::unpack(&[0; HEAD - 1]).is_none());
    }
}
