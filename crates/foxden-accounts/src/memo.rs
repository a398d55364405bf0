//! Which plain passwords were proven a while ago, and which were wrong, so that not every request pays for a slow hash.
//!
//! Nothing here can be turned back into a password: the key of an entry is a keyed hash of name and password, and the
//! key of that dies with the process. Whoever changes credentials writes it down in the register; every process reads
//! what is new there before it answers from memory, at most once a second, and forgets the accounts concerned.

mod generations;

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use foxden_model::Rng;
use generations::Generations;
use ring::digest;

use crate::address::normal;
use crate::register::change::{Alias, Change};
use crate::{AccountId, LegacyLoginError, LegacyStore, Unavailable};

/// How long what was read of the register's changes counts as news.
const FRESH_MILLIS: i64 = 1000;
/// A proven password is remembered for so long at least, and twice as long at most.
const GOOD_MILLIS: i64 = 5 * 60_000;
/// That it was proven once is remembered for longer: it may be proven anew while guesses are counted. A device that
/// syncs now and then comes back in that time; changes are kept for as long as that lasts at most.
const PROVEN_MILLIS: i64 = 12 * 60 * 60_000;
/// A wrong one for as long as failures are counted, so that a device which repeats it counts once.
const BAD_MILLIS: i64 = 15 * 60_000;
/// Entries of a generation.
const GOOD: usize = 16_384;
const BAD: usize = 4096;
/// Changes whose account is kept in mind.
const LATELY: usize = 1024;
/// Log-ins that may wait for others.
const WAITING: usize = 2048;

/// What a name and a password are remembered by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Any eight bytes of a hash are as good as all.
        let [first, ..] = self.0.as_chunks().0 else { return };
        state.write_u64(u64::from_ne_bytes(*first));
    }
}

/// Whose password was proven.
pub(crate) struct Known {
    pub(crate) account: AccountId,
    /// Their store for old clients, once it was asked for.
    pub(crate) store: Option<Arc<LegacyStore>>,
}

/// Why a password does not open an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginFailure {
    /// No account has that name.
    UnknownAccount,
    /// It is not that account's password.
    WrongPassword(AccountId),
    /// The password is right, and the account is switched off.
    Disabled(AccountId),
}

/// What is remembered of a name and a password.
#[derive(Clone)]
pub(crate) enum Remembered {
    Good(Arc<Known>),
    Bad(LoginFailure),
}

/// Where reading the register's changes stands.
#[derive(Clone, Copy)]
pub(crate) struct Position {
    /// The last change that was read; `None` before the first reading.
    pub(crate) seq: Option<i64>,
    marks: u64,
}

/// Changes that were read of the register.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// The number of the last one.
    pub(crate) seq: i64,
    pub(crate) changes: &'a [Change],
    /// Whether there were no more.
    pub(crate) is_last: bool,
}

/// The moment at which a proof began. What follows from it is remembered only if it was not to be forgotten since.
#[derive(Clone, Copy)]
pub(crate) struct Moment(u64);

/// What is remembered.
pub(crate) struct Memo {
    /// Keys the hashes under which entries are found.
    secret: OnceLock<[u8; 16]>,
    state: RwLock<State>,
    /// Whoever holds it reads the register's changes.
    pub(crate) reading: tokio::sync::Mutex<()>,
    flights: Flights,
}

struct State {
    good: Generations<(Alias, Arc<Known>)>,
    /// Whose was proven, whether or not that is still good.
    proven: Generations<Alias>,
    bad: Generations<(Option<Alias>, LoginFailure)>,
    seq: Option<i64>,
    /// When the changes were last read; `None` when they must be read again.
    read_at: Option<i64>,
    /// Counts changes made by this very process.
    marks: u64,
    /// Counts how often something was forgotten.
    epoch: u64,
    /// Whose was forgotten lately, and when by that count.
    lately: VecDeque<(u64, Alias)>,
    /// Of what was forgotten up to this count, nobody knows any more whose it was.
    floor: u64,
}

/// Log-ins under way, so that those with the same name and password wait for the first.
struct Flights {
    under_way: Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>,
    inside: AtomicUsize,
}

/// A place among those with the same name and password.
pub(crate) struct Flight<'a> {
    flights: &'a Flights,
    key: Key,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Default for Memo {
    fn default() -> Self {
        Self {
            secret: OnceLock::new(),
            state: RwLock::new(State {
                good: Generations::new(GOOD_MILLIS, GOOD),
                proven: Generations::new(PROVEN_MILLIS, GOOD),
                bad: Generations::new(BAD_MILLIS, BAD),
                seq: None,
                read_at: None,
                marks: 0,
                epoch: 0,
                lately: VecDeque::new(),
                floor: 0,
            }),
            reading: tokio::sync::Mutex::new(()),
            flights: Flights {
                under_way: Mutex::default(),
                inside: AtomicUsize::new(0),
            },
        }
    }
}

impl Memo {
    /// What that name and password are remembered by. The name is taken in the form in which names are compared.
    pub(crate) fn key(&self, rng: &dyn Rng, name: &str, password: &str) -> Key {
        let secret = self.secret.get_or_init(|| {
            let mut bytes = [0; 16];
            rng.fill(&mut bytes);
            bytes
        });
        let name = normal(name);
        // A secret before the text makes a keyed hash as long as no hash leaves this process. For most names and passwords it
        // is one block of SHA-256, where HMAC takes three.
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(secret);
        // The length first, so that no other name and password run together to the same text.
        context.update(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        context.update(name.as_bytes());
        context.update(password.as_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        Key(out)
    }

    /// What is remembered; `None` also where the register must be asked for changes first.
    pub(crate) fn recall(&self, key: &Key, now: i64) -> Option<Remembered> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if !state.is_fresh(now) {
            return None;
        }
        if let Some((_, known)) = state.good.get(key, now) {
            return Some(Remembered::Good(Arc::clone(known)));
        }
        state.bad.get(key, now).map(|(_, wrong)| Remembered::Bad(*wrong))
    }

    /// Whether it was proven in the last half day, and nothing that is known has changed since. It opens nothing: it says
    /// that this is no guess.
    pub(crate) fn was_proven(&self, key: &Key, now: i64) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.proven.get(key, now).is_some() || state.good.get(key, now).is_some()
    }

    /// Whether the register's changes were read a moment ago.
    pub(crate) fn is_fresh(&self, now: i64) -> bool {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_fresh(now)
    }

    /// Where reading stands.
    pub(crate) fn position(&self) -> Position {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Position {
            seq: state.seq,
            marks: state.marks,
        }
    }

    /// Takes in what the register says has changed since that position, up to `seq`. Until a reading was the last,
    /// nothing is answered out of memory.
    pub(crate) fn take_in(&self, from: Position, read: Reading<'_>, now: i64) {
        let Reading {
            seq,
            changes,
            is_last,
        } = read;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let next = from.seq.map_or(seq + 1, |seq| seq + 1);
        let is_whole = changes
            .iter()
            .zip(next..)
            .all(|((found, _), expected)| *found == expected);
        match changes.iter().map(|(_, alias)| *alias).collect() {
            Some(aliases) if is_whole => state.forget(&aliases),
            // A change that is missing was cleared up; nobody knows whom it concerned.
            Some(_) | None => state.forget_all(),
        }
        state.seq = Some(seq);
        // A change that this process made meanwhile may not have been read.
        state.read_at = (is_last && state.marks == from.marks).then_some(now);
    }

    /// Makes the next request ask the register first.
    pub(crate) fn mark_changed(&self) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.marks += 1;
        state.read_at = None;
    }

    /// The moment at which a proof begins.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.state.read().unwrap_or_else(PoisonError::into_inner).epoch)
    }

    /// Remembers what came of a proof that began then.
    pub(crate) fn remember(&self, key: Key, since: Moment, outcome: Remembered, now: i64) {
        let alias = outcome.account().map(Alias::of);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.is_outdated(alias, since) {
            return;
        }
        match (outcome, alias) {
            (Remembered::Good(known), Some(alias)) => {
                state.proven.put(key, alias, now);
                state.good.put(key, (alias, known), now);
            }
            (Remembered::Bad(wrong), alias) => {
                state.proven.remove(&key);
                state.bad.put(key, (alias, wrong), now);
            }
            // Whoever is known has an account.
            (Remembered::Good(_), None) => {}
        }
    }

    /// A place among those who bring the same name and password; [`Unavailable::Busy`] when too many wait.
    pub(crate) fn board(&self, key: Key) -> Result<Flight<'_>, Unavailable> {
        let flights = &self.flights;
        let mut under_way = flights.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.inside.load(Ordering::Relaxed) >= WAITING {
            return Err(Unavailable::Busy);
        }
        flights.inside.fetch_add(1, Ordering::Relaxed);
        let turn = Arc::clone(under_way.entry(key).or_default());
        drop(under_way);
        Ok(Flight { flights, key, turn })
    }
}

impl State {
    fn is_fresh(&self, now: i64) -> bool {
        self.read_at.is_some_and(|read_at| now - read_at < FRESH_MILLIS)
    }

    /// Whether that would have been forgotten, had it been remembered at once.
    fn is_outdated(&self, alias: Option<Alias>, since: Moment) -> bool {
        let mut missed = self.lately.iter().rev().take_while(|(epoch, _)| *epoch > since.0);
        since.0 < self.floor || missed.any(|(_, changed)| alias == Some(*changed))
    }

    fn forget(&mut self, changed: &HashSet<Alias>) {
        if changed.is_empty() {
            return;
        }
        self.epoch += 1;
        self.lately
            .extend(changed.iter().map(|alias| (self.epoch, *alias)));
        while self.lately.len() > LATELY {
            self.floor = self.lately.pop_front().map_or(self.floor, |(epoch, _)| epoch);
        }
        self.good.retain(|(alias, _)| !changed.contains(alias));
        self.proven.retain(|alias| !changed.contains(alias));
        self.bad
            .retain(|(alias, _)| alias.is_none_or(|alias| !changed.contains(&alias)));
    }

    fn forget_all(&mut self) {
        self.epoch += 1;
        self.floor = self.epoch;
        self.lately.clear();
        self.good.retain(|_| false);
        self.proven.retain(|_| false);
        self.bad.retain(|_| false);
    }
}

impl Remembered {
    fn account(&self) -> Option<AccountId> {
        match self {
            Self::Good(known) => Some(known.account),
            Self::Bad(wrong) => wrong.account(),
        }
    }
}

impl LoginFailure {
    /// Whose name it was.
    pub(crate) const fn account(self) -> Option<AccountId> {
        match self {
            Self::UnknownAccount => None,
            Self::WrongPassword(account) | Self::Disabled(account) => Some(account),
        }
    }

    /// The refusal, for whoever asked by that name.
    pub(crate) fn refusal(self, name: &str) -> LegacyLoginError {
        let address = name.to_owned();
        match self {
            Self::UnknownAccount => LegacyLoginError::UnknownAccount { name: address },
            Self::WrongPassword(_) => LegacyLoginError::WrongPassword { name: address },
            Self::Disabled(_) => LegacyLoginError::Disabled,
        }
    }
}

impl Flight<'_> {
    /// Waits for those before; the turn ends when the guard is dropped.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut under_way = self
            .flights
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.flights.inside.fetch_sub(1, Ordering::Relaxed);
        // The map's own and this one: nobody else waits.
        if Arc::strong_count(&self.turn) == 2 {
            under_way.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests;
