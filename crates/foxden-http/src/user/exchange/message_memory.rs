//! The memory that messages take: of all networks together, and of each network.
//!
//! A message takes memory while it is received and keeps it as long as its bytes are referenced. When no memory is
//! left, messages of the network that holds most are dropped, stored ones as well as those being received.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::client_networks::{ClientNetworks, NetworkPrefix, NetworkShares};

/// The limits of the memory of messages.
#[derive(Debug)]
pub(super) struct MessageMemory {
    state: Arc<Mutex<BudgetState>>,
}

/// Why a message is not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageMemoryError {
    /// The messages of the client's network take all the memory that one network may.
    NetworkLimit,
    /// The messages of all networks take all the memory.
    Full,
}

/// Networks that hold more than another one, and how much.
pub(super) type LargerNetworks = HashMap<NetworkPrefix, usize>;

#[derive(Debug)]
struct BudgetState {
    left: usize,
    /// The bytes of each network's messages.
    shares: NetworkShares,
    /// Messages that are being received.
    incoming: HashMap<u64, MessageState>,
    /// The number of the next message.
    next_number: u64,
}

/// The memory of one message.
#[derive(Debug)]
struct MessageState {
    /// The networks of the sender; absent where no shares are enforced.
    networks: Option<ClientNetworks>,
    bytes: usize,
    /// Notifies the receiving task that the message is dropped.
    cancelled: Arc<Notify>,
}

/// A message that is being received. Its memory is released on drop.
#[derive(Debug)]
pub(super) struct IncomingMessage {
    state: Arc<Mutex<BudgetState>>,
    number: u64,
    cancelled: Arc<Notify>,
}

/// The memory of a received message, released on drop.
#[derive(Debug)]
pub(super) struct MessagePermit {
    state: Arc<Mutex<BudgetState>>,
    networks: Option<ClientNetworks>,
    bytes: usize,
}

impl MessageMemory {
    pub(super) fn new(bytes: usize, share: usize) -> Self {
        let state = BudgetState {
            left: bytes,
            shares: NetworkShares::new(share),
            incoming: HashMap::new(),
            next_number: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Begins to receive a message. Without networks no share is enforced.
    pub(super) fn begin(&self, networks: Option<ClientNetworks>) -> IncomingMessage {
        let mut state = lock(&self.state);
        let (number, cancelled) = (state.next_number, Arc::new(Notify::new()));
        state.next_number += 1;
        let message = MessageState {
            networks,
            bytes: 0,
            cancelled: Arc::clone(&cancelled),
        };
        state.incoming.insert(number, message);
        IncomingMessage {
            state: Arc::clone(&self.state),
            number,
            cancelled,
        }
    }

    /// Returns the networks that hold more than `networks` with `more` added.
    pub(super) fn larger_than(&self, networks: ClientNetworks, more: usize) -> LargerNetworks {
        lock(&self.state).shares.larger_than(networks, more).collect()
    }

    /// Returns which message of these networks to drop first of those being received, and how much its network
    /// holds.
    pub(super) fn largest_incoming(&self, larger: &LargerNetworks) -> Option<(u64, usize)> {
        let state = lock(&self.state);
        let incoming = state.incoming.iter().filter(|(_, message)| message.bytes > 0);
        let candidates = incoming.filter_map(|(number, message)| {
            Some((*number, *larger.get(&message.networks?.widest())?, message.bytes))
        });
        let yields = candidates.max_by_key(|(_, held, bytes)| (*held, *bytes));
        yields.map(|(number, held, _)| (number, held))
    }

    /// Drops a message that is being received and releases its memory.
    pub(super) fn cancel(&self, number: u64) {
        let mut state = lock(&self.state);
        if let Some(message) = state.incoming.remove(&number) {
            state.release(message.networks, message.bytes);
            message.cancelled.notify_one();
        }
    }
}

impl IncomingMessage {
    /// Takes memory for more bytes, if there is any.
    pub(super) fn grow(&self, bytes: usize) -> Result<(), MessageMemoryError> {
        let mut state = lock(&self.state);
        let BudgetState {
            left,
            shares,
            incoming,
            ..
        } = &mut *state;
        let message = incoming
            .get_mut(&self.number)
            .ok_or(MessageMemoryError::NetworkLimit)?;
        let networks = message.networks.filter(|_| bytes > 0);
        if networks.is_some_and(|networks| !shares.allows(networks, bytes)) {
            return Err(MessageMemoryError::NetworkLimit);
        }
        *left = left.checked_sub(bytes).ok_or(MessageMemoryError::Full)?;
        if let Some(networks) = networks {
            shares.take(networks, bytes);
        }
        message.bytes += bytes;
        Ok(())
    }

    /// Waits until the message is dropped.
    pub(super) async fn cancelled(&self) {
        self.cancelled.notified().await;
    }

    /// Returns the permit of a message that is received, unless it was dropped.
    pub(super) fn complete(self) -> Result<MessagePermit, MessageMemoryError> {
        let message = lock(&self.state).incoming.remove(&self.number);
        let message = message.ok_or(MessageMemoryError::NetworkLimit)?;
        Ok(MessagePermit {
            state: Arc::clone(&self.state),
            networks: message.networks,
            bytes: message.bytes,
        })
    }
}

impl MessagePermit {
    /// The networks of the sender.
    pub(super) const fn networks(&self) -> Option<ClientNetworks> {
        self.networks
    }
}

impl Drop for IncomingMessage {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        if let Some(message) = state.incoming.remove(&self.number) {
            state.release(message.networks, message.bytes);
        }
    }
}

impl Drop for MessagePermit {
    fn drop(&mut self) {
        lock(&self.state).release(self.networks, self.bytes);
    }
}

impl BudgetState {
    fn release(&mut self, networks: Option<ClientNetworks>, bytes: usize) {
        self.left += bytes;
        if let Some(networks) = networks {
            self.shares.release(networks, bytes);
        }
    }
}

fn lock(state: &Mutex<BudgetState>) -> MutexGuard<'_, BudgetState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
