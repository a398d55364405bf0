//! Limits on mail. No address gets more mail than its owner can bear, and no network causes more than its users may
//! need.
//!
//! A mail over the limit is not written, and its code waits for the operator. The answer to strangers does not
//! change, since it would reveal which accounts exist. Only clients that asked for nothing but another mail are told,
//! if an earlier mail had reached them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use foxden_sql::Tx;

use crate::address::counted;
use crate::limits::RateLimitKey;
use crate::mail::{CONFIRM_ADDRESS, Envelope, Mail};
use crate::register::account::AccountRow;
use crate::register::outbox::{self, OutboxRow};
use crate::{Accounts, ClientInfo, TooMany, Unavailable};

/// Mails that may wait for one account.
const EACH: u32 = 10;
/// Mails that may wait altogether.
const ALL: u32 = 10_000;
/// How long the outbox keeps a mail whose code sets no earlier end.
const KEPT_MILLIS: i64 = 2 * 24 * 3_600_000;
/// Seconds after which a full outbox may have room.
const LATER: u64 = 15 * 60;

/// The mail allowance of a client, after its request was counted. It is counted before the account is looked up, so
/// that the rest of the allowance does not reveal which accounts exist.
pub(crate) struct MailAllowance<'a> {
    client: &'a ClientInfo,
    /// For how many seconds the network gets no more mails.
    wait: Option<u64>,
    pub(crate) batch: MailBatch<'a>,
}

/// The mails of one transaction. It may run again, so each mail is counted once, however often it runs. Created
/// before the transaction and dropped after it; the drop wakes the mailer.
pub(crate) struct MailBatch<'a> {
    accounts: &'a Accounts,
    /// The counted keys, with the seconds to wait if a limit was reached.
    counted: Mutex<Vec<(RateLimitKey, Result<(), u64>)>>,
    is_written: AtomicBool,
}

/// Whether a code is new, or waits already and may have been mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    Waiting,
}

/// A mail that may be written.
pub(crate) struct MailPermit<'a> {
    pub(crate) envelope: Envelope<'a>,
    pub(crate) batch: &'a MailBatch<'a>,
}

/// The result of queueing a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MailOutcome {
    /// It was written.
    Written,
    /// This server sends none.
    NoMail,
    /// Over the limit. After so many seconds there may be room.
    Withheld(u64),
}

impl MailAllowance<'_> {
    /// Refuses if the network gets no more mail, for clients that are verified and may be told.
    pub(crate) const fn require(&self) -> Result<(), TooMany> {
        match self.wait {
            None => Ok(()),
            Some(retry_after) => Err(TooMany { retry_after }),
        }
    }
}

impl MailBatch<'_> {
    /// Notes that a mail was written.
    pub(crate) fn wrote(&self) {
        self.is_written.store(true, Ordering::Relaxed);
    }

    fn check_and_count_for(&self, what: RateLimitKey, client: &ClientInfo) -> Result<(), u64> {
        self.once(what, || self.accounts.check_and_count_for(what, client))
    }

    fn check_and_count(&self, what: RateLimitKey) -> Result<(), u64> {
        let accounts = self.accounts;
        self.once(what, || {
            accounts.0.limits.check_and_count(what, accounts.steady())
        })
    }

    /// Counts once, however often the transaction runs.
    fn once(&self, what: RateLimitKey, spend: impl FnOnce() -> Result<(), TooMany>) -> Result<(), u64> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, earlier)) = counted.iter().find(|(known, _)| *known == what) {
            return *earlier;
        }
        let outcome = spend().map_err(|error| error.retry_after);
        counted.push((what, outcome));
        outcome
    }

    fn has_counted(&self, what: RateLimitKey) -> bool {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.iter().any(|(known, _)| *known == what)
    }
}

impl Drop for MailBatch<'_> {
    fn drop(&mut self) {
        if *self.is_written.get_mut() {
            self.accounts.0.mail.notify_one();
        }
    }
}

impl MailOutcome {
    /// Refuses clients that asked for nothing but the mail.
    pub(crate) const fn require(self) -> Result<(), TooMany> {
        match self {
            Self::Written | Self::NoMail => Ok(()),
            Self::Withheld(retry_after) => Err(TooMany { retry_after }),
        }
    }
}

impl Accounts {
    /// Counts a mail that a client asks for against the client's network.
    pub(crate) fn charge_mail<'a>(&'a self, client: &'a ClientInfo) -> MailAllowance<'a> {
        let wait = self.spend_if_mailed(client).err().map(|error| error.retry_after);
        MailAllowance {
            wait,
            ..self.uncharged_mail(client)
        }
    }

    /// For mails that a client did not ask for.
    pub(crate) fn uncharged_mail<'a>(&'a self, client: &'a ClientInfo) -> MailAllowance<'a> {
        MailAllowance {
            client,
            wait: None,
            batch: self.batch(),
        }
    }

    /// For mails of the operator or of a verified owner.
    pub(crate) const fn batch(&self) -> MailBatch<'_> {
        MailBatch {
            accounts: self,
            counted: Mutex::new(Vec::new()),
            is_written: AtomicBool::new(false),
        }
    }

    fn spend_if_mailed(&self, client: &ClientInfo) -> Result<(), TooMany> {
        if self.0.options.sends_mail {
            self.check_and_count_network(RateLimitKey::MailsFrom, client)
        } else {
            Ok(())
        }
    }

    /// Refuses where no mail with a new code may go to that address now. Counts nothing.
    pub(crate) fn check_letters_to(&self, address: &str, client: &ClientInfo) -> Result<(), TooMany> {
        self.check_for(RateLimitKey::MailsTo(counted(address)), client)
    }

    /// Counts a mail with a code to its address, and returns a permit if it may be queued.
    pub(crate) async fn permit_mail<'a>(
        &self,
        tx: &Tx,
        allowance: &'a MailAllowance<'_>,
        age: Age,
        envelope: Envelope<'a>,
    ) -> Result<Result<MailPermit<'a>, MailOutcome>, Unavailable> {
        if !self.0.options.sends_mail {
            return Ok(Err(MailOutcome::NoMail));
        }
        let batch = &allowance.batch;
        let wait = match allowance.wait {
            Some(wait) => Some(wait),
            None => batch.count(age, &envelope, allowance.client).err(),
        };
        let wait = match wait {
            Some(wait) => wait,
            None if has_room(tx, &envelope, EACH, ALL).await? => {
                return Ok(Ok(MailPermit { envelope, batch }));
            }
            None => LATER,
        };
        batch.warn(&envelope);
        Ok(Err(MailOutcome::Withheld(wait)))
    }

    /// Notifies the owner of an account that a verified client did something. An unconfirmed address may belong to
    /// another person and gets no mail.
    pub(crate) async fn notify_owner(
        &self,
        tx: &Tx,
        batch: &MailBatch<'_>,
        row: &AccountRow,
        mail: &Mail,
    ) -> Result<(), Unavailable> {
        if !row.address_verified {
            return Ok(());
        }
        let envelope = Envelope::to(row.uid, &row.address, mail.kind());
        self.queue_notice(tx, batch, envelope, mail).await
    }

    /// Queues a notice of something that was done. Mails that strangers asked for do not hold it back, and a notice
    /// that cannot be queued prevents nothing.
    pub(crate) async fn queue_notice(
        &self,
        tx: &Tx,
        batch: &MailBatch<'_>,
        envelope: Envelope<'_>,
        mail: &Mail,
    ) -> Result<(), Unavailable> {
        if let Ok(permit) = self.permit_notice(tx, batch, envelope).await? {
            self.queue_mail(tx, permit, mail).await?;
        }
        Ok(())
    }

    /// Counts a mail of the operator or of a verified owner, apart from all others.
    pub(crate) async fn permit_notice<'a>(
        &self,
        tx: &Tx,
        batch: &'a MailBatch<'_>,
        envelope: Envelope<'a>,
    ) -> Result<Result<MailPermit<'a>, MailOutcome>, Unavailable> {
        if !self.0.options.sends_mail {
            return Ok(Err(MailOutcome::NoMail));
        }
        let notices = RateLimitKey::Notices(counted(envelope.address));
        let wait = match batch.check_and_count(notices) {
            Err(wait) => wait,
            Ok(()) if has_room(tx, &envelope, 2 * EACH, ALL + ALL / 10).await? => {
                return Ok(Ok(MailPermit { envelope, batch }));
            }
            Ok(()) => LATER,
        };
        batch.warn(&envelope);
        Ok(Err(MailOutcome::Withheld(wait)))
    }

    /// Queues a mail in the transaction of the caller, in place of an earlier one of its kind.
    pub(crate) async fn queue_mail(
        &self,
        tx: &Tx,
        MailPermit { envelope, batch }: MailPermit<'_>,
        mail: &Mail,
    ) -> Result<MailOutcome, Unavailable> {
        if let Some(uid) = envelope.account {
            outbox::delete_of_kind(tx, uid, envelope.kind, Some(envelope.address)).await?;
        }
        let now = self.millis();
        let row = OutboxRow {
            uid: envelope.account,
            invitation: envelope.invitation,
            address: envelope.address,
            kind: envelope.kind,
            mail: serde_json::to_string(mail)
                .map_err(|_| Unavailable::Damaged("a mail that cannot be encoded"))?,
            now,
            expires: envelope.expires.unwrap_or(i64::MAX).min(now + KEPT_MILLIS),
        };
        outbox::insert(tx, row).await?;
        batch.wrote();
        Ok(MailOutcome::Written)
    }
}

impl MailBatch<'_> {
    /// Counts a mail, or returns the seconds to wait if the limit is reached.
    fn count(&self, age: Age, envelope: &Envelope<'_>, client: &ClientInfo) -> Result<(), u64> {
        let to = counted(envelope.address);
        // An attacker can create and remove an account with a foreign address again and again; each has a new code.
        // So a network has a few of these mails for each address.
        let repeats = RateLimitKey::Repeats(to);
        let spent = match age {
            Age::Fresh if envelope.kind == CONFIRM_ADDRESS => self.count_claim(to, client),
            Age::Fresh => Ok([None; 2]),
            Age::Waiting => self
                .check_and_count_for(repeats, client)
                .map(|()| [Some(repeats), None]),
        }?;
        let mail = self.check_and_count_for(RateLimitKey::MailsTo(to), client);
        mail.inspect_err(|_| self.give_back(spent.into_iter().flatten()))
    }

    /// Refunds what was just counted.
    fn give_back(&self, spent: impl Iterator<Item = RateLimitKey>) {
        let now = self.accounts.steady();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        for what in spent {
            self.accounts.0.limits.refund(what, now, now);
            counted.retain(|(known, _)| *known != what);
        }
    }

    /// Counts a mail that confirms a claimed address, and returns what was counted. Over the limit of all networks
    /// together each network has one more, so that few networks cannot keep back the mail of the owner.
    fn count_claim(&self, to: u64, client: &ClientInfo) -> Result<[Option<RateLimitKey>; 2], u64> {
        let (claim, claims) = (
            RateLimitKey::Claim(to, client.network()),
            RateLimitKey::Claims(to),
        );
        self.check_and_count_for(claim, client)?;
        if self.check_and_count(claims).is_ok() {
            return Ok([Some(claim), Some(claims)]);
        }
        let late = RateLimitKey::LateClaim(to, client.network());
        let spent = self
            .check_and_count_for(late, client)
            .map(|()| [Some(claim), Some(late)]);
        spent.inspect_err(|_| self.give_back([claim].into_iter()))
    }

    /// Logs, once a day for each address, that mails are not queued.
    fn warn(&self, envelope: &Envelope<'_>) {
        let unwritten = RateLimitKey::Unwritten(counted(envelope.address));
        if self.has_counted(unwritten) || self.check_and_count(unwritten).is_err() {
            return;
        }
        if let Some(uid) = envelope.account {
            tracing::warn!(
                account = %uid,
                mail = envelope.kind,
                "too many mails to one address or from one network: further mails are not queued for a while; \
                 foxden user code {uid} shows the pending codes"
            );
        } else {
            tracing::warn!(
                mail = envelope.kind,
                "too many mails to one address, or too many queued: a mail was not queued"
            );
        }
    }
}

/// Returns whether the outbox takes one more: so many for the account, and so many in total. The mail that it
/// replaces does not count.
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
