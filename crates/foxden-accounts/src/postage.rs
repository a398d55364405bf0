//! How many letters are written. No address gets more than its owner can bear, and no network causes more than people in
//! it may need.
//!
//! A letter that would be too many is not written, and its code waits for the operator. Strangers are answered as ever:
//! else the answer would tell who is here. Only those who asked for nothing but another letter are told, if a letter had
//! reached them before.

use foxden_sql::Tx;

use crate::address::counted;
use crate::limits::Counted;
use crate::outbox::{CONFIRM_ADDRESS, Envelope, Letter};
use crate::register::account::AccountRow;
use crate::register::outbox;
use crate::{AccountError, Accounts, Visitor};

/// Letters that may wait for one account.
const EACH: u32 = 10;
/// Letters that may wait altogether.
const ALL: u32 = 10_000;
/// Seconds after which a full outbox may have room.
const LATER: u64 = 15 * 60;

/// What a visitor's request for a letter left of the allowance of the visitor's network. It is spent before it is known
/// whether there is an account to write to, so that what is left tells nothing about that.
#[derive(Clone, Copy)]
pub(crate) struct Postage<'a> {
    visitor: &'a Visitor,
    /// For how many seconds the network gets no more letters.
    wait: Option<u64>,
}

/// Whether a code was made just now, or waits already and may have been mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    Waiting,
}

/// A letter that may be written.
pub(crate) struct Franked<'a>(pub(crate) Envelope<'a>);

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

impl<'a> Postage<'a> {
    /// For letters that a visitor causes without asking for them.
    pub(crate) const fn free(visitor: &'a Visitor) -> Self {
        Self { visitor, wait: None }
    }

    /// Refuses where the network gets no more letters, for those who are proven and may be told.
    pub(crate) const fn require(self) -> Result<(), AccountError> {
        match self.wait {
            None => Ok(()),
            Some(retry_after) => Err(AccountError::TooMany { retry_after }),
        }
    }
}

impl Mailed {
    /// Tells those who asked for nothing but the letter.
    pub(crate) const fn require(self) -> Result<(), AccountError> {
        match self {
            Self::Written | Self::NoMail => Ok(()),
            Self::Withheld(retry_after) => Err(AccountError::TooMany { retry_after }),
        }
    }
}

impl Accounts {
    /// Counts a letter that a visitor asks for against the visitor's network.
    pub(crate) fn pay<'a>(&self, visitor: &'a Visitor) -> Postage<'a> {
        let wait = match self.spend_if_mailed(visitor) {
            Err(AccountError::TooMany { retry_after }) => Some(retry_after),
            Ok(()) | Err(_) => None,
        };
        Postage { visitor, wait }
    }

    fn spend_if_mailed(&self, visitor: &Visitor) -> Result<(), AccountError> {
        if self.0.options.sends_mail {
            self.spend_visitor(Counted::LettersFrom, visitor)
        } else {
            Ok(())
        }
    }

    /// Refuses where no letter with a new code may go to that address now. Counts nothing.
    pub(crate) fn check_letters_to(&self, address: &str, visitor: &Visitor) -> Result<(), AccountError> {
        self.check_for(Counted::Letters(counted(address)), visitor)
    }

    /// Counts a letter with a code to its address, and says whether it may be written.
    pub(crate) async fn frank<'a>(
        &self,
        tx: &Tx,
        postage: Postage<'_>,
        age: Age,
        envelope: Envelope<'a>,
    ) -> Result<Result<Franked<'a>, Mailed>, AccountError> {
        if !self.0.options.sends_mail {
            return Ok(Err(Mailed::NoMail));
        }
        let wait = match postage.wait {
            Some(wait) => Some(wait),
            None => self.count_letter(age, &envelope, postage.visitor),
        };
        let wait = match wait {
            Some(wait) => wait,
            None if self.has_room(tx, &envelope, EACH, ALL).await? => return Ok(Ok(Franked(envelope))),
            None => LATER,
        };
        self.warn_of_letters(&envelope);
        Ok(Err(Mailed::Withheld(wait)))
    }

    /// Writes an account's owner that something was done by who is proven. An address that was never confirmed may be
    /// somebody else's, and is told nothing.
    pub(crate) async fn tell_owner(
        &self,
        tx: &Tx,
        row: &AccountRow,
        letter: &Letter,
    ) -> Result<(), AccountError> {
        if !row.address_verified {
            return Ok(());
        }
        let envelope = Envelope::to(row.uid, &row.address, letter.kind());
        self.post_notice(tx, envelope, letter).await
    }

    /// Writes a letter that only tells what was done. Strangers' letters keep none back, and one that cannot be written
    /// keeps nothing from being done.
    pub(crate) async fn post_notice(
        &self,
        tx: &Tx,
        envelope: Envelope<'_>,
        letter: &Letter,
    ) -> Result<(), AccountError> {
        if let Ok(franked) = self.frank_proven(tx, envelope).await? {
            self.post(tx, franked, letter).await?;
        }
        Ok(())
    }

    /// Counts a letter that the operator or a proven owner causes: apart from all others.
    pub(crate) async fn frank_proven<'a>(
        &self,
        tx: &Tx,
        envelope: Envelope<'a>,
    ) -> Result<Result<Franked<'a>, Mailed>, AccountError> {
        if !self.0.options.sends_mail {
            return Ok(Err(Mailed::NoMail));
        }
        let notices = Counted::Notices(counted(envelope.address));
        let wait = match self.0.limits.spend(notices, self.steady()) {
            Err(AccountError::TooMany { retry_after }) => retry_after,
            Ok(()) | Err(_) if self.has_room(tx, &envelope, 2 * EACH, ALL + ALL / 10).await? => {
                return Ok(Ok(Franked(envelope)));
            }
            Ok(()) | Err(_) => LATER,
        };
        self.warn_of_letters(&envelope);
        Ok(Err(Mailed::Withheld(wait)))
    }

    /// Counts a letter, and says for how many seconds none may go where that would be too many.
    fn count_letter(&self, age: Age, envelope: &Envelope<'_>, visitor: &Visitor) -> Option<u64> {
        let to = counted(envelope.address);
        // An account with a foreign address can be made and removed in a circle: each has a new code, and none is news to
        // the one who reads the letters. So a network has a few of them for each address.
        let repeats = Counted::Repeats(to);
        let spent = match age {
            Age::Fresh if envelope.kind == CONFIRM_ADDRESS => self.count_claim(to, visitor),
            Age::Fresh => Ok([None; 2]),
            Age::Waiting => self.spend_for(repeats, visitor).map(|()| [Some(repeats), None]),
        };
        let counted = spent.and_then(|spent| {
            let letter = self.spend_for(Counted::Letters(to), visitor);
            letter.inspect_err(|_| self.give_back(spent.into_iter().flatten()))
        });
        match counted {
            Err(AccountError::TooMany { retry_after }) => Some(retry_after),
            Ok(()) | Err(_) => None,
        }
    }

    /// Takes back what was just counted.
    fn give_back(&self, spent: impl Iterator<Item = Counted>) {
        let now = self.steady();
        spent.for_each(|what| self.0.limits.refund(what, now, now));
    }

    /// Counts a letter to confirm an address that somebody claims, and returns what was counted. Beyond what all together
    /// have, a network has one, so that few networks do not keep the owner's letter back.
    fn count_claim(&self, to: u64, visitor: &Visitor) -> Result<[Option<Counted>; 2], AccountError> {
        let (claim, claims) = (Counted::Claim(to, visitor.network()), Counted::Claims(to));
        self.spend_for(claim, visitor)?;
        if self.0.limits.spend(claims, self.steady()).is_ok() {
            return Ok([Some(claim), Some(claims)]);
        }
        let late = Counted::LateClaim(to, visitor.network());
        let spent = self.spend_for(late, visitor).map(|()| [Some(claim), Some(late)]);
        spent.inspect_err(|_| self.give_back([claim].into_iter()))
    }

    /// Whether the outbox takes one more: so many for the account, and so many in all. The letter that it replaces makes
    /// room for it.
    async fn has_room(
        &self,
        tx: &Tx,
        envelope: &Envelope<'_>,
        each: u32,
        all: u32,
    ) -> Result<bool, AccountError> {
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

    /// Tells the operator, once a day for each address, that letters are not written.
    fn warn_of_letters(&self, envelope: &Envelope<'_>) {
        let unwritten = Counted::Unwritten(counted(envelope.address));
        if self.0.limits.spend(unwritten, self.steady()).is_err() {
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
