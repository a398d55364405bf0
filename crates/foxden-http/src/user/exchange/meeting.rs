//! Who meets in a channel and what they may still do, wherever the channel is kept.

use super::client::{ClientId, Condition, Preconditions};

/// How often a channel is read. A complete pairing reads six times.
const MAX_READS: u8 = 6;

/// The two clients of a channel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Meeting {
    pub(super) first: ClientId,
    pub(super) second: Option<ClientId>,
    pub(super) reads_left: u8,
}

impl Meeting {
    /// A client waits for the other one.
    pub(super) const fn of(first: ClientId) -> Self {
        Self {
            first,
            second: None,
            reads_left: MAX_READS,
        }
    }

    pub(super) fn knows(&self, client: ClientId) -> bool {
        self.first == client || self.second == Some(client)
    }

    /// Returns whether the client belongs to the channel: it is known, or becomes the second.
    pub(super) fn admits(&mut self, client: ClientId) -> bool {
        if self.second.is_none() && self.first != client {
            self.second = Some(client);
        }
        self.knows(client)
    }

    /// Counts a read; returns whether it was the last.
    pub(super) const fn count_read(&mut self) -> bool {
        self.reads_left = self.reads_left.saturating_sub(1);
        self.reads_left == 0
    }
}

impl Preconditions<'_> {
    /// Returns whether the message with this tag, if there is one, fulfils them. `If-Match` decides where there are both.
    pub(super) fn are_fulfilled(self, tag: Option<&str>) -> bool {
        if let Some(wanted) = self.if_match {
            return wanted == Condition::Any || tag.is_some_and(|tag| wanted.names(tag));
        }
        self.if_none_match != Some(Condition::Any) || tag.is_none()
    }
}
