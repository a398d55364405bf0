//! Password hashes: slow and salted. A hash takes megabytes and a core for a while, so one core is left to other
//! requests, the queue is bounded, and further requests are refused as busy. The hashes of one network, and those for
//! one name, may take a share of the queue at most.

mod buffers;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use foxden_model::thread::lower_priority;
use foxden_model::{LogThrottle, Network};
use subtle::ConstantTimeEq;
use tokio::sync::{Notify, Semaphore};

use crate::address::counted;
use crate::secret::{derive, xor};
use crate::security::{EntryPoint, Event, EventKind, SecurityEvents};
use crate::stretch::{Stretched, stretch};
use crate::{AuthPw, ClientInfo, Cost, Unavailable, WrapKb};
use buffers::Buffers;

/// Hashes that may wait for each one that is computed: a second or two.
const QUEUE: usize = 128;
/// How long a buffer stays for the next hash. Fresh memory costs a hash a quarter more, and the system's work on it holds
/// up other threads.
const BUFFERS_KEPT: Duration = Duration::from_secs(1);

/// Computes verifiers, a bounded number at once.
#[derive(Clone)]
pub(crate) struct PasswordHasher(Arc<HasherState>);

struct HasherState {
    running: Arc<Semaphore>,
    /// Those that run and those that wait.
    inside: AtomicUsize,
    slots: usize,
    /// How many of them come from which network, of the widest kind, and are for which name.
    shares: Mutex<HashMap<ShareKey, usize>>,
    buffers: Buffers,
    /// That a hash began.
    began: Notify,
    /// Limits how often the log says that the queue is full.
    full: LogThrottle,
    /// Receives an event when a network or a name has used up its share.
    security_events: SecurityEvents,
    hashed: AtomicU64,
}

/// Password hashes and stretched passwords that are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashQueue {
    /// Those that are computed.
    pub running: usize,
    /// Those that wait.
    pub waiting: usize,
}

/// An unauthenticated client that needs a password hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashRequester {
    /// The name it is for, as a number.
    pub(crate) name: u64,
    pub(crate) by: (IpAddr, EntryPoint),
}

/// The keys that have a share of the queue.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum ShareKey {
    Name(u64),
    Network(u64),
}

/// How a password was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HashParams {
    pub(crate) salt: [u8; 16],
    pub(crate) cost: Cost,
}

/// The slow hash itself. The stored hash and the key that unwraps the keys are derived from it.
#[derive(Clone)]
pub(crate) struct PasswordHash([u8; 32]);

impl PasswordHasher {
    pub(crate) fn new(parallel: Option<usize>, security_events: SecurityEvents) -> Self {
        let all_but_one = || std::thread::available_parallelism().map_or(1, |cores| cores.get() - 1);
        let parallel = parallel.unwrap_or_else(all_but_one).max(1);
        Self(Arc::new(HasherState {
            running: Arc::new(Semaphore::new(parallel)),
            inside: AtomicUsize::new(0),
            shares: Mutex::default(),
            slots: parallel * (QUEUE + 1),
            buffers: Buffers::default(),
            began: Notify::new(),
            full: LogThrottle::default(),
            security_events,
            hashed: AtomicU64::new(0),
        }))
    }

    /// Hashes a proof of the password, on a thread that may be kept busy.
    pub(crate) async fn hash(
        &self,
        auth_pw: &AuthPw,
        params: HashParams,
    ) -> Result<PasswordHash, Unavailable> {
        self.hash_with(auth_pw, params, None, |password_hash| password_hash)
            .await
    }

    /// Hashes a password and calls `then` with the hash on the same thread, even if the caller has gone. `from` is a
    /// client that is not verified.
    pub(crate) async fn hash_with<T: Send + 'static>(
        &self,
        auth_pw: &AuthPw,
        params: HashParams,
        from: Option<HashRequester>,
        then: impl FnOnce(PasswordHash) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let auth_pw = auth_pw.clone();
        self.0.hashed.fetch_add(1, Ordering::Relaxed);
        tracing::debug!("a password is hashed");
        let state = Arc::clone(&self.0);
        state.began.notify_one();
        self.run(from, move || hash(&auth_pw, params, &state.buffers).map(then))
            .await?
    }

    /// Returns unused buffers to the system whenever no hash has begun for a while. Runs for ever.
    pub(crate) async fn free_unused_buffers(&self) {
        let state = &self.0;
        loop {
            state.began.notified().await;
            let mut hashed = None;
            while hashed.replace(self.hashed()) != Some(self.hashed())
                || state.inside.load(Ordering::Acquire) > 0
            {
                tokio::time::sleep(BUFFERS_KEPT).await;
            }
            state.buffers.free_unused();
        }
    }

    /// Stretches a plain password as a client does: it takes a thousandth of a second, but any client may ask for it.
    pub(crate) async fn stretch(
        &self,
        address: &str,
        password: &str,
        from: Option<HashRequester>,
    ) -> Result<Stretched, Unavailable> {
        let (address, password) = (address.to_owned(), password.to_owned());
        self.run(from, move || stretch(&address, &password)).await
    }

    /// The number of hashes begun.
    pub(crate) fn hashed(&self) -> u64 {
        self.0.hashed.load(Ordering::Relaxed)
    }

    /// How many hashes run, and how many wait for their turn.
    pub(crate) fn queue(&self) -> HashQueue {
        let state = &self.0;
        let most = state.slots / (QUEUE + 1);
        let running = most.saturating_sub(state.running.available_permits());
        HashQueue {
            running,
            waiting: state.inside.load(Ordering::Relaxed).saturating_sub(running),
        }
    }

    /// Runs work on a blocking thread. It runs to its end and keeps its turn until then, even if the caller has gone.
    async fn run<T: Send + 'static>(
        &self,
        from: Option<HashRequester>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let slot = QueueSlot::take(Arc::clone(&self.0), from)?;
        let turn = Arc::clone(&self.0.running).acquire_owned().await;
        let turn = turn.map_err(|_| Unavailable::Busy)?;
        let begun = move || {
            // Dropped in this order: the next in turn finds the queue slot free.
            let _held = (slot, turn);
            lower_priority();
            work()
        };
        let done = tokio::task::spawn_blocking(begun).await;
        done.map_err(|_| Unavailable::Damaged("a password hash was not finished"))
    }
}

impl PasswordHash {
    /// The hash that is stored and compared.
    pub(crate) fn verify_hash(&self) -> [u8; 32] {
        derive(&self.0, "verifyHash")
    }

    /// Whether this is the password with that stored hash. Takes the same time whatever the outcome.
    pub(crate) fn matches(&self, stored: &[u8; 32]) -> bool {
        constant_time_eq(&self.verify_hash(), stored)
    }

    /// Wraps the wrapped key for the register, or unwraps it again.
    pub(crate) fn wrap(&self, key: &[u8; 32]) -> [u8; 32] {
        xor(key, &derive(&self.0, "wrapwrapKey"))
    }

    /// The key as the client wants it.
    pub(crate) fn unwrap(&self, wrap_wrap_kb: &[u8; 32]) -> WrapKb {
        WrapKb(self.wrap(wrap_wrap_kb))
    }
}

/// Compares in a time that depends on their length alone.
pub(crate) fn constant_time_eq(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

fn hash(auth_pw: &AuthPw, params: HashParams, buffers: &Buffers) -> Result<PasswordHash, Unavailable> {
    let Cost {
        memory,
        passes,
        lanes,
    } = params.cost;
    let unusable = Unavailable::Damaged("the cost of a password hash is out of range");
    let Ok(cost) = Params::new(memory, passes, lanes, Some(32)) else {
        return Err(unusable);
    };
    let mut out = [0; 32];
    let blocks = cost.block_count();
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost);
    let hashed = buffers.lend(blocks, |memory| {
        argon.hash_password_into_with_memory(&auth_pw.0, &params.salt, &mut out, memory)
    });
    match hashed {
        Ok(()) => Ok(PasswordHash(out)),
        Err(_) => Err(unusable),
    }
}

/// A slot among the hashes that run and wait, released when dropped.
struct QueueSlot {
    state: Arc<HasherState>,
    share_keys: Option<[ShareKey; 2]>,
}

impl HashRequester {
    /// That client, with a password for that name.
    pub(crate) fn new(name: &str, client: &ClientInfo) -> Self {
        Self {
            name: counted(name),
            by: (client.address, client.entry_point),
        }
    }

    const fn network(self) -> Network {
        Network::of(self.by.0)
    }

    fn share_keys(self) -> [ShareKey; 2] {
        [
            ShareKey::Name(self.name),
            ShareKey::Network(self.network().widest()),
        ]
    }
}

impl ShareKey {
    /// Whether it may have one more place beside so many, where so many are left: a name has an eighth of what others left,
    /// a network half of it. So there is always one for a newcomer, however many networks want all they can get.
    const fn may_have_one(self, own: usize, left: usize) -> bool {
        match self {
            Self::Name(_) => own.saturating_mul(7) < left,
            Self::Network(_) => own < left,
        }
    }
}

impl QueueSlot {
    fn take(state: Arc<HasherState>, from: Option<HashRequester>) -> Result<Self, Unavailable> {
        let (before, slots) = (state.inside.fetch_add(1, Ordering::AcqRel), state.slots);
        let share_keys = from.map(HashRequester::share_keys);
        let left = slots.saturating_sub(before);
        let is_within = share_keys.is_none_or(|share_keys| state.enter(share_keys, left));
        let slot = Self { state, share_keys };
        if before < slots && is_within {
            return Ok(slot);
        }
        if let Some(HashRequester {
            by: (address, entry_point),
            ..
        }) = from.filter(|_| !is_within && left > 0)
        {
            let full = Event::new(EventKind::LimitReached, entry_point, Some(address));
            slot.state
                .security_events
                .emit(&full.with_reason("passwords being hashed"));
        }
        if let Some(suppressed) = slot.state.full.should_log() {
            let which = if is_within || left == 0 {
                ""
            } else {
                " that one network or one name may have"
            };
            tracing::warn!(
                "all places for passwords to be hashed{which} are taken: a sign-in was answered 503{suppressed}"
            );
        }
        Err(Unavailable::Busy)
    }
}

impl HasherState {
    /// Counts one more for these keys. Returns whether they are within their shares of the rest.
    fn enter(&self, share_keys: [ShareKey; 2], left: usize) -> bool {
        let mut taken = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_within = true;
        for share_key in share_keys {
            let count = taken.entry(share_key).or_default();
            is_within &= share_key.may_have_one(*count, left);
            *count += 1;
        }
        is_within
    }

    fn leave(&self, share_keys: [ShareKey; 2]) {
        let mut taken = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        for share_key in share_keys {
            if let Some(count) = taken.get_mut(&share_key) {
                *count -= 1;
                if *count == 0 {
                    taken.remove(&share_key);
                }
            }
        }
    }
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        let state = &self.state;
        if let Some(share_keys) = self.share_keys {
            state.leave(share_keys);
        }
        state.inside.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
