//! What is stored of a password: a slow, salted hash. It takes megabytes and a core for a while, so one core is left to
//! other requests, a bounded number of hashes waits, and further ones are told to come back. Those of one network, and
//! those for one name, take a share of the places at most.

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
use crate::security::{Door, Event, What, Witness};
use crate::stretch::{Stretched, stretch};
use crate::{AuthPw, Cost, Unavailable, Visitor, WrapKb};
use buffers::Buffers;

/// Hashes that may wait for each one that is computed: a second or two.
const QUEUE: usize = 128;
/// How long a buffer stays for the next hash. Fresh memory costs a hash a quarter more, and the system's work on it holds
/// up other threads.
const BUFFERS_KEPT: Duration = Duration::from_secs(1);

/// Computes verifiers, a bounded number at once.
#[derive(Clone)]
pub(crate) struct Verifiers(Arc<Bounds>);

struct Bounds {
    running: Arc<Semaphore>,
    /// Those that run and those that wait.
    inside: AtomicUsize,
    places: usize,
    /// How many of them come from which network, of the widest kind, and are for which name.
    shares: Mutex<HashMap<Sharer, usize>>,
    buffers: Buffers,
    /// That a hash began.
    began: Notify,
    /// What the log is told when there is no place.
    full: LogThrottle,
    /// Who hears whose share is taken.
    witness: Witness,
    hashed: AtomicU64,
}

/// Who wants a password hashed, and has proven nothing yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applicant {
    /// The name it is for, as a number.
    pub(crate) name: u64,
    pub(crate) by: (IpAddr, Door),
}

/// What has a share of the places.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Sharer {
    Name(u64),
    Network(u64),
}

/// How a password was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recipe {
    pub(crate) salt: [u8; 16],
    pub(crate) cost: Cost,
}

/// The slow hash itself. What is stored follows from it, and so does what unwraps the keys.
#[derive(Clone)]
pub(crate) struct Proof([u8; 32]);

impl Verifiers {
    pub(crate) fn new(parallel: Option<usize>, witness: Witness) -> Self {
        let all_but_one = || std::thread::available_parallelism().map_or(1, |cores| cores.get() - 1);
        let parallel = parallel.unwrap_or_else(all_but_one).max(1);
        Self(Arc::new(Bounds {
            running: Arc::new(Semaphore::new(parallel)),
            inside: AtomicUsize::new(0),
            shares: Mutex::default(),
            places: parallel * (QUEUE + 1),
            buffers: Buffers::default(),
            began: Notify::new(),
            full: LogThrottle::default(),
            witness,
            hashed: AtomicU64::new(0),
        }))
    }

    /// Hashes a proof of the password, on a thread that may be kept busy.
    pub(crate) async fn hash(&self, auth_pw: &AuthPw, recipe: Recipe) -> Result<Proof, Unavailable> {
        self.hash_then(auth_pw, recipe, None, |proof| proof).await
    }

    /// Hashes a proof of the password and does at once what follows from it, even if nobody waits for it any more. `from`
    /// is a client that has proven nothing yet.
    pub(crate) async fn hash_then<T: Send + 'static>(
        &self,
        auth_pw: &AuthPw,
        recipe: Recipe,
        from: Option<Applicant>,
        then: impl FnOnce(Proof) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let auth_pw = auth_pw.clone();
        self.0.hashed.fetch_add(1, Ordering::Relaxed);
        tracing::debug!("a password is hashed");
        let bounds = Arc::clone(&self.0);
        bounds.began.notify_one();
        self.run(from, move || hash(&auth_pw, recipe, &bounds.buffers).map(then))
            .await?
    }

    /// Gives buffers back to the system, each time that no hash has begun for a while. It goes on for ever.
    pub(crate) async fn give_buffers_back(&self) {
        let bounds = &self.0;
        loop {
            bounds.began.notified().await;
            let mut hashed = None;
            while hashed.replace(self.hashed()) != Some(self.hashed())
                || bounds.inside.load(Ordering::Acquire) > 0
            {
                tokio::time::sleep(BUFFERS_KEPT).await;
            }
            bounds.buffers.give_back();
        }
    }

    /// Does a client's part with a plain password: a thousandth of a second, but anybody may ask for it.
    pub(crate) async fn stretch(
        &self,
        address: &str,
        password: &str,
        from: Option<Applicant>,
    ) -> Result<Stretched, Unavailable> {
        let (address, password) = (address.to_owned(), password.to_owned());
        self.run(from, move || stretch(&address, &password)).await
    }

    /// How many hashes were begun.
    pub(crate) fn hashed(&self) -> u64 {
        self.0.hashed.load(Ordering::Relaxed)
    }

    /// What is begun runs to its end and keeps its turn until then, whether or not its caller still waits.
    async fn run<T: Send + 'static>(
        &self,
        from: Option<Applicant>,
        slow: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let place = Place::take(Arc::clone(&self.0), from)?;
        let turn = Arc::clone(&self.0.running).acquire_owned().await;
        let turn = turn.map_err(|_| Unavailable::Busy)?;
        let begun = move || {
            // Given back in this order: whoever has the next turn finds the place free.
            let _held = (place, turn);
            lower_priority();
            slow()
        };
        let done = tokio::task::spawn_blocking(begun).await;
        done.map_err(|_| Unavailable::Damaged("a password hash was not finished"))
    }
}

impl Proof {
    /// What is stored to recognise the password by.
    pub(crate) fn verify_hash(&self) -> [u8; 32] {
        derive(&self.0, "verifyHash")
    }

    /// Whether this is the password with that stored hash. Takes the same time whatever the outcome.
    pub(crate) fn matches(&self, stored: &[u8; 32]) -> bool {
        same(&self.verify_hash(), stored)
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
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

fn hash(auth_pw: &AuthPw, recipe: Recipe, buffers: &Buffers) -> Result<Proof, Unavailable> {
    let Cost {
        memory,
        passes,
        lanes,
    } = recipe.cost;
    let unusable = Unavailable::Damaged("the cost of a password hash is out of range");
    let Ok(params) = Params::new(memory, passes, lanes, Some(32)) else {
        return Err(unusable);
    };
    let mut out = [0; 32];
    let blocks = params.block_count();
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hashed = buffers.lend(blocks, |memory| {
        argon.hash_password_into_with_memory(&auth_pw.0, &recipe.salt, &mut out, memory)
    });
    match hashed {
        Ok(()) => Ok(Proof(out)),
        Err(_) => Err(unusable),
    }
}

/// A place among those that run and wait, given back when dropped.
struct Place {
    bounds: Arc<Bounds>,
    sharers: Option<[Sharer; 2]>,
}

impl Applicant {
    /// That visitor, with a password for that name.
    pub(crate) fn new(name: &str, visitor: &Visitor) -> Self {
        Self {
            name: counted(name),
            by: (visitor.address, visitor.door),
        }
    }

    const fn network(self) -> Network {
        Network::of(self.by.0)
    }

    fn sharers(self) -> [Sharer; 2] {
        [Sharer::Name(self.name), Sharer::Network(self.network().widest())]
    }
}

impl Sharer {
    /// Whether it may have one more place beside so many, where so many are left: a name has an eighth of what others left,
    /// a network half of it. So there is always one for a newcomer, however many networks want all they can get.
    const fn may_have_one(self, own: usize, left: usize) -> bool {
        match self {
            Self::Name(_) => own.saturating_mul(7) < left,
            Self::Network(_) => own < left,
        }
    }
}

impl Place {
    fn take(bounds: Arc<Bounds>, from: Option<Applicant>) -> Result<Self, Unavailable> {
        let (before, places) = (bounds.inside.fetch_add(1, Ordering::AcqRel), bounds.places);
        let sharers = from.map(Applicant::sharers);
        let left = places.saturating_sub(before);
        let is_within = sharers.is_none_or(|sharers| bounds.enter(sharers, left));
        let place = Self { bounds, sharers };
        if before < places && is_within {
            return Ok(place);
        }
        if let Some(Applicant {
            by: (address, door), ..
        }) = from.filter(|_| !is_within && left > 0)
        {
            let full = Event::new(What::LimitReached, door, Some(address));
            place.bounds.witness.tell(&full.because("passwords being hashed"));
        }
        if let Some(suppressed) = place.bounds.full.should_log() {
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

impl Bounds {
    /// One more of those; whether they are within their shares of what is left.
    fn enter(&self, sharers: [Sharer; 2], left: usize) -> bool {
        let mut taken = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_within = true;
        for sharer in sharers {
            let count = taken.entry(sharer).or_default();
            is_within &= sharer.may_have_one(*count, left);
            *count += 1;
        }
        is_within
    }

    fn leave(&self, sharers: [Sharer; 2]) {
        let mut taken = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        for sharer in sharers {
            if let Some(count) = taken.get_mut(&sharer) {
                *count -= 1;
                if *count == 0 {
                    taken.remove(&sharer);
                }
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let bounds = &self.bounds;
        if let Some(sharers) = self.sharers {
            bounds.leave(sharers);
        }
        bounds.inside.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
