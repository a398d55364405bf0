//! The room for messages: what all of them hold together, and what those of each network do.
//!
//! A message takes room as it arrives and keeps it as long as anything holds its bytes. Where no room is left, the network
//! that holds most yields to others, whether its messages have come or still arrive.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::owner::{Owner, Part, Shares};

/// How much all messages may hold together, and those of one network.
#[derive(Debug)]
pub(super) struct Room {
    stock: Arc<Mutex<Stock>>,
}

/// Why a message is not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoomError {
    /// The messages of the client's network hold all that one network may.
    NetworkLimit,
    /// All messages together hold all that they may.
    Full,
}

/// Networks that hold more than another one, and how much.
pub(super) type Heavier = HashMap<Part, usize>;

#[derive(Debug)]
struct Stock {
    left: usize,
    /// What the messages of each network hold.
    shares: Shares,
    /// What arrives at the moment.
    arriving: HashMap<u64, Hold>,
    /// How many have begun to arrive: the number of the next.
    begun: u64,
}

/// What one message holds.
#[derive(Debug)]
struct Hold {
    /// Who sends it; absent where no shares are kept to.
    owner: Option<Owner>,
    bytes: usize,
    /// Wakes the one that receives it once it must yield.
    end: Arc<Notify>,
}

/// Room for a message that arrives, given back when this goes.
#[derive(Debug)]
pub(super) struct Arriving {
    stock: Arc<Mutex<Stock>>,
    number: u64,
    end: Arc<Notify>,
}

/// Room of a message that has come, given back when this goes.
#[derive(Debug)]
pub(super) struct Taken {
    stock: Arc<Mutex<Stock>>,
    owner: Option<Owner>,
    bytes: usize,
}

impl Room {
    pub(super) fn new(bytes: usize, share: usize) -> Self {
        let stock = Stock {
            left: bytes,
            shares: Shares::new(share),
            arriving: HashMap::new(),
            begun: 0,
        };
        Self {
            stock: Arc::new(Mutex::new(stock)),
        }
    }

    /// Nothing yet, for a message of that owner. Without one there is no share to keep to.
    pub(super) fn enter(&self, owner: Option<Owner>) -> Arriving {
        let mut stock = lock(&self.stock);
        let (number, end) = (stock.begun, Arc::new(Notify::new()));
        stock.begun += 1;
        let hold = Hold {
            owner,
            bytes: 0,
            end: Arc::clone(&end),
        };
        stock.arriving.insert(number, hold);
        Arriving {
            stock: Arc::clone(&self.stock),
            number,
            end,
        }
    }

    /// The networks that hold more than that owner's will with so much more: they yield to it.
    pub(super) fn heavier_than(&self, owner: Owner, more: usize) -> Heavier {
        lock(&self.stock).shares.heavier_than(owner, more).collect()
    }

    /// Of what arrives from these networks, what should yield first, and how much its network holds.
    pub(super) fn who_yields(&self, heavier: &Heavier) -> Option<(u64, usize)> {
        let stock = lock(&self.stock);
        let arriving = stock.arriving.iter().filter(|(_, hold)| hold.bytes > 0);
        let candidates = arriving
            .filter_map(|(number, hold)| Some((*number, *heavier.get(&hold.owner?.widest())?, hold.bytes)));
        let yields = candidates.max_by_key(|(_, held, bytes)| (*held, *bytes));
        yields.map(|(number, held, _)| (number, held))
    }

    /// Gives back at once what this one holds that arrives, and has it refused.
    pub(super) fn end(&self, number: u64) {
        let mut stock = lock(&self.stock);
        if let Some(hold) = stock.arriving.remove(&number) {
            stock.give_back(hold.owner, hold.bytes);
            hold.end.notify_one();
        }
    }
}

impl Arriving {
    /// Takes so many bytes more, if they are left.
    pub(super) fn grow(&self, bytes: usize) -> Result<(), RoomError> {
        let mut stock = lock(&self.stock);
        let Stock {
            left,
            shares,
            arriving,
            ..
        } = &mut *stock;
        let hold = arriving.get_mut(&self.number).ok_or(RoomError::NetworkLimit)?;
        let owner = hold.owner.filter(|_| bytes > 0);
        if owner.is_some_and(|owner| !shares.may_take(owner, bytes)) {
            return Err(RoomError::NetworkLimit);
        }
        *left = left.checked_sub(bytes).ok_or(RoomError::Full)?;
        if let Some(owner) = owner {
            shares.take(owner, bytes);
        }
        hold.bytes += bytes;
        Ok(())
    }

    /// Waits until it has yielded to others.
    pub(super) async fn ended(&self) {
        self.end.notified().await;
    }

    /// The room of a message that has come, unless it has yielded to others.
    pub(super) fn keep(self) -> Result<Taken, RoomError> {
        let hold = lock(&self.stock).arriving.remove(&self.number);
        let hold = hold.ok_or(RoomError::NetworkLimit)?;
        Ok(Taken {
            stock: Arc::clone(&self.stock),
            owner: hold.owner,
            bytes: hold.bytes,
        })
    }
}

impl Taken {
    /// Who sent the message.
    pub(super) const fn owner(&self) -> Option<Owner> {
        self.owner
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let mut stock = lock(&self.stock);
        if let Some(hold) = stock.arriving.remove(&self.number) {
            stock.give_back(hold.owner, hold.bytes);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        lock(&self.stock).give_back(self.owner, self.bytes);
    }
}

impl Stock {
    fn give_back(&mut self, owner: Option<Owner>, bytes: usize) {
        self.left += bytes;
        if let Some(owner) = owner {
            self.shares.give_back(owner, bytes);
        }
    }
}

fn lock(stock: &Mutex<Stock>) -> MutexGuard<'_, Stock> {
    stock.lock().unwrap_or_else(PoisonError::into_inner)
}
