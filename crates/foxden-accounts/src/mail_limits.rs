//! How many letters are written. No address gets more than its owner can bear, and no network causes more than people in
//! it may need.
//!
//! A letter that would be too many is not written, and its code waits for the operator. Strangers are answered as ever:
//! else the answer would tell who is here. Only those who asked for nothing but another letter are told, if a letter had
//! reached them before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use foxden_sql::Tx;

use crate::address::counted;
use crate::limits::Counted;
use crate::mail::{CONFIRM_ADDRESS, Envelope, Letter};
use crate::register::account::AccountRow;
use crate::register::outbox::{self, OutboxRow};
use crate::{Accounts, TooMany, Unavailable, Visitor};

/// Letters that may wait for one account.
const EACH: u32 = 10;
/// Letters that may wait altogether.
const ALL: u32 = 10_000;
/// How long the outbox keeps a letter whose code sets no earlier end.
const KEPT_MILLIS: i64 = 2 * 24 * 3_600_000;
/// Seconds after which a full outbox may have room.
const LATER: u64 = 15 * 60;

/// What a visitor's request for a letter left of the allowance of the visitor's network. It is spent before it is known
/// whether there is an account to write to, so that what is left tells nothing about that.
pub(crate) struct Postage<'a> {
    visitor: &'a Visitor,
    /// For how many seconds the network gets no more letters.
    wait: Option<u64>,
    pub(crate) letters: Letters<'a>,
}

/// The letters that one transaction writes. It may run again, so each letter is counted once, whatever the run. It is made
/// before the transaction and dropped after it: then the mailer is woken.
pub(crate) struct Letters<'a> {
    accounts: &'a Accounts,
    /// What was counted, and for how many seconds the allowance is spent if it is.
    counted: Mutex<Vec<(Counted, Result<(), u64>)>>,
    is_written: AtomicBool,
}

/// Whether a code was made just now, or waits already and may have been mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    Waiting,
}

/// A letter that may be written.
pub(crate) struct Franked<'a> {
    pub(crate) envelope: Envelope<'a>,
    pub(crate) letters: &'a Letters<'a>,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mailed {
    /// It was written.
    Written,
    /// This server sends none.
    NoMail,
    /// It would have been too many. After so many seconds there may be room.
    Withheld(u64),
}

impl Postage<'_> {
    /// Refuses where the network gets no more letters, for those who are proven and may be told.
    pub(crate) const fn require(&self) -> Result<(), TooMany> {
        match self.wait {
            None => Ok(()),
            Some(retry_after) => Err(TooMany { retry_after }),
        }
    }
}

impl Letters<'_> {
    /// Notes that a letter was written.
    pub(crate) fn wrote(&self) {
        self.is_written.store(true, Ordering::Relaxed);
    }

    fn spend_for(&self, what: Counted, visitor: &Visitor) -> Result<(), u64> {
        self.once(what, || self.accounts.spend_for(what, visitor))
    }

    fn spend(&self, what: Counted) -> Result<(), u64> {
        let accounts = self.accounts;
        self.once(what, || accounts.0.limits.spend(what, accounts.steady()))
    }

    /// What an earlier run of the transaction counted counts for this one.
    fn once(&self, what: Counted, spend: impl FnOnce() -> Result<(), TooMany>) -> Result<(), u64> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, earlier)) = counted.iter().find(|(known, _)| *known == what) {
            return *earlier;
        }
        let outcome = spend().map_err(|error| error.retry_after);
        counted.push((what, outcome));
        outcome
    }

    fn has_counted(&self, what: Counted) -> bool {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.iter().any(|(known, _)| *known == what)
    }
}

impl Drop for Letters<'_> {
    fn drop(&mut self) {
        if *self.is_written.get_mut() {
            self.accounts.0.mail.notify_one();
        }
    }
}

impl Mailed {
    /// Tells those who asked for nothing but the letter.
    pub(crate) const fn require(self) -> Result<(), TooMany> {
        match self {
            Self::Written | Self::NoMail => Ok(()),
            Self::Withheld(retry_after) => Err(TooMany { retry_after }),
        }
    }
}

impl Accounts {
    /// Counts a letter that a visitor asks for against the visitor's network.
    pub(crate) fn pay<'a>(&'a self, visitor: &'a Visitor) -> Postage<'a> {
        let wait = self.spend_if_mailed(visitor).err().map(|error| error.retry_after);
        Postage {
            wait,
            ..self.free_postage(visitor)
        }
    }

    /// For letters that a visitor causes without asking for them.
    pub(crate) fn free_postage<'a>(&'a self, visitor: &'a Visitor) -> Postage<'a> {
        Postage {
            visitor,
            wait: None,
            letters: self.letters(),
        }
    }

    /// For letters that the operator or a proven owner causes.
    pub(crate) const fn letters(&self) -> Letters<'_> {
        Letters {
            accounts: self,
            counted: Mutex::new(Vec::new()),
            is_written: AtomicBool::new(false),
        }
    }

    fn spend_if_mailed(&self, visitor: &Visitor) -> Result<(), TooMany> {
        if self.0.options.sends_mail {
            self.spend_visitor(Counted::LettersFrom, visitor)
        } else {
            Ok(())
        }
    }

    /// Refuses where no letter with a new code may go to that address now. Counts nothing.
    pub(crate) fn check_letters_to(&self, address: &str, visitor: &Visitor) -> Result<(), TooMany> {
        self.check_for(Counted::Letters(counted(address)), visitor)
    }

    /// Counts a letter with a code to its address, and says whether it may be written.
    pub(crate) async fn frank<'a>(
        &self,
        tx: &Tx,
        postage: &'a Postage<'_>,
        age: Age,
        envelope: Envelope<'a>,
    ) -> Result<Result<Franked<'a>, Mailed>, Unavailable> {
        if !self.0.options.sends_mail {
            return Ok(Err(Mailed::NoMail));
        }
        let letters = &postage.letters;
        let wait = match postage.wait {
            Some(wait) => Some(wait),
            None => letters.count(age, &envelope, postage.visitor).err(),
        };
        let wait = match wait {
            Some(wait) => wait,
            None if has_room(tx, &envelope, EACH, ALL).await? => {
                return Ok(Ok(Franked { envelope, letters }));
            }
            None => LATER,
        };
        letters.warn(&envelope);
        Ok(Err(Mailed::Withheld(wait)))
    }

    /// Writes an account's owner that something was done by who is proven. An address that was never confirmed may be
    /// somebody else's, and is told nothing.
    pub(crate) async fn tell_owner(
        &self,
        tx: &Tx,
        letters: &Letters<'_>,
        row: &AccountRow,
        letter: &Letter,
    ) -> Result<(), Unavailable> {
        if !row.address_verified {
            return Ok(());
        }
        let envelope = Envelope::to(row.uid, &row.address, letter.kind());
        self.post_notice(tx, letters, envelope, letter).await
    }

    /// Writes a letter that only tells what was done. Strangers' letters keep none back, and one that cannot be written
    /// keeps nothing from being done.
    pub(crate) async fn post_notice(
        &self,
        tx: &Tx,
        letters: &Letters<'_>,
        envelope: Envelope<'_>,
        letter: &Letter,
    ) -> Result<(), Unavailable> {
        if let Ok(franked) = self.frank_proven(tx, letters, envelope).await? {
            self.post(tx, franked, letter).await?;
        }
        Ok(())
    }

    /// Counts a letter that the operator or a proven owner causes: apart from all others.
    pub(crate) async fn frank_proven<'a>(
        &self,
        tx: &Tx,
        letters: &'a Letters<'_>,
        envelope: Envelope<'a>,
    ) -> Result<Result<Franked<'a>, Mailed>, Unavailable> {
        if !self.0.options.sends_mail {
            return Ok(Err(Mailed::NoMail));
        }
        let notices = Counted::Notices(counted(envelope.address));
        let wait = match letters.spend(notices) {
            Err(wait) => wait,
            Ok(()) if has_room(tx, &envelope, 2 * EACH, ALL + ALL / 10).await? => {
                return Ok(Ok(Franked { envelope, letters }));
            }
            Ok(()) => LATER,
        };
        letters.warn(&envelope);
        Ok(Err(Mailed::Withheld(wait)))
    }

    /// Writes a letter down in the caller's step, in the place of an earlier one of its kind.
    pub(crate) async fn post(
        &self,
        tx: &Tx,
        Franked { envelope, letters }: Franked<'_>,
        letter: &Letter,
    ) -> Result<Mailed, Unavailable> {
        if let Some(uid) = envelope.account {
            outbox::withdraw(tx, uid, envelope.kind, Some(envelope.address)).await?;
        }
        let now = self.millis();
        let row = OutboxRow {
            uid: envelope.account,
            invitation: envelope.invitation,
            address: envelope.address,
            kind: envelope.kind,
            letter: serde_json::to_string(letter)
                .map_err(|_| Unavailable::Damaged("a letter that cannot be kept"))?,
            now,
            expires: envelope.expires.unwrap_or(i64::MAX).min(now + KEPT_MILLIS),
        };
        outbox::insert(tx, row).await?;
        letters.wrote();
        Ok(Mailed::Written)
    }
}

impl Letters<'_> {
    /// Counts a letter, and says for how many seconds none may go where that would be too many.
    fn count(&self, age: Age, envelope: &Envelope<'_>, visitor: &Visitor) -> Result<(), u64> {
        let to = counted(envelope.address);
        // An account with a foreign address can be made and removed in a circle: each has a new code, and none is news to
        // the one who reads the letters. So a network has a few of them for each address.
        let repeats = Counted::Repeats(to);
        let spent = match age {
            Age::Fresh if envelope.kind == CONFIRM_ADDRESS => self.count_claim(to, visitor),
            Age::Fresh => Ok([None; 2]),
            Age::Waiting => self.spend_for(repeats, visitor).map(|()| [Some(repeats), None]),
        }?;
        let letter = self.spend_for(Counted::Letters(to), visitor);
        letter.inspect_err(|_| self.give_back(spent.into_iter().flatten()))
    }

    /// Takes back what was just counted.
    fn give_back(&self, spent: impl Iterator<Item = Counted>) {
        let now = self.accounts.steady();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        for what in spent {
            self.accounts.0.limits.refund(what, now, now);
            counted.retain(|(known, _)| *known != what);
        }
    }

    /// Counts a letter to confirm an address that somebody claims, and returns what was counted. Beyond what all together
    /// have, a network has one, so that few networks do not keep the owner's letter back.
    fn count_claim(&self, to: u64, visitor: &Visitor) -> Result<[Option<Counted>; 2], u64> {
        let (claim, claims) = (Counted::Claim(to, visitor.network()), Counted::Claims(to));
        self.spend_for(claim, visitor)?;
        if self.spend(claims).is_ok() {
            return Ok([Some(claim), Some(claims)]);
        }
        let late = Counted::LateClaim(to, visitor.network());
        let spent = self.spend_for(late, visitor).map(|()| [Some(claim), Some(late)]);
        spent.inspect_err(|_| self.give_back([claim].into_iter()))
    }

    /// Tells the operator, once a day for each address, that letters are not written.
    fn warn(&self, envelope: &Envelope<'_>) {
        let unwritten = Counted::Unwritten(counted(envelope.address));
        if self.has_counted(unwritten) || self.spend(unwritten).is_err() {
            return;
        }
        if let Some(uid) = envelope.account {
            tracing::warn!(
                account = %uid,
                letter = envelope.kind,
                "too many letters for one address or from one network: what comes is not mailed for a while; \
                 foxden user code {uid} shows the codes that wait"
            );
        } else {
            tracing::warn!(
                letter = envelope.kind,
                "too many letters for one address, or too many wait: one was not written"
            );
        }
    }
}

/// Whether the outbox takes one more: so many for the account, and so many in all. The letter that it replaces makes
/// room for it.
async fn has_room(tx: &Tx, envelope: &Envelope<'_>, each: u32, all: u32) -> Result<bool, Unavailable> {
    let Envelope {
        account,
        kind,
        address,
        ..
    } = *envelope;
    let others = match account {
        Some(uid) => outbox::count_others(tx, uid, kind, address).await?,
        None => 0,
    };
    Ok(others < each && outbox::count(tx).await? < all)
}
