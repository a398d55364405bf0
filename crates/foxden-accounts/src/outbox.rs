//! The queue of outgoing mail: written in the transaction that needs it, and kept until it is sent. A mail with a
//! code expires with the code.

use tokio::sync::futures::Notified;

use crate::mail::Mail;
use crate::register::outbox::{self, LockedMail};
use crate::validity::latest_end;
use crate::{AccountId, Accounts, Unavailable};

/// How long a taken mail stays locked: longer than the slowest mail server may take.
const TAKEN_MILLIS: i64 = 15 * 60_000;
/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: i64 = 10_000;
/// The longest pause.
const LONGEST_PAUSE: i64 = 60 * 60_000;
/// The longest pause for a mail that a user waits for.
const LONGEST_WAIT: i64 = 5 * 60_000;
/// How often a mail is tried, however far off its end: a clock that was ahead may have queued it. Without that a mail expires
/// before it is tried so often.
const TRIES: u32 = 100;

/// A mail that was taken to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedMail {
    /// Names it.
    pub id: i64,
    /// The account that it is about.
    pub account: Option<AccountId>,
    /// Where it goes.
    pub address: String,
    /// Its content.
    pub mail: Mail,
    /// When it was written, in milliseconds.
    pub posted_at: i64,
    /// When it is of no use any more, in milliseconds.
    pub expires: i64,
    /// How often it was tried, this time included.
    pub tries: u32,
}

/// The decision about a mail that could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// It is tried again.
    Retry {
        /// After so many milliseconds.
        pause: i64,
        /// Which is then, in milliseconds.
        due: i64,
    },
    /// It was thrown away: it is of no use any more.
    GiveUp,
}

impl Accounts {
    /// Comes back once a mail was written in this process.
    pub fn mail_queued(&self) -> Notified<'_> {
        self.0.mail.notified()
    }

    /// In how many milliseconds the next mail is due; `None` when none waits.
    pub async fn next_mail_due(&self) -> Result<Option<u64>, Unavailable> {
        let now = self.millis();
        let due = outbox::next_due(&self.0.database, now).await?;
        Ok(due.map(|due| u64::try_from(due - now).unwrap_or(0)))
    }

    /// Takes a mail that is due and locks it for fifteen minutes: send it within that time, then call
    /// [`Accounts::ack_mail`] or [`Accounts::defer_mail`].
    pub async fn take_mail(&self) -> Result<Option<QueuedMail>, Unavailable> {
        let now = self.millis();
        let latest = latest_end(now, LONGEST_PAUSE);
        self.transact(|tx| async move {
            while let Some(taken) = outbox::take(&tx, now, latest, now + TAKEN_MILLIS).await? {
                if let Some(queued) = read(&taken) {
                    return Ok(Some(queued));
                }
                // Written by another release, in a form that this one does not know.
                tracing::warn!(
                    number = taken.id,
                    "an unreadable mail was dropped from the outbox"
                );
                outbox::delete(&tx, taken.id).await?;
            }
            Ok(None)
        })
        .await
    }

    /// Forgets a mail that was sent, or that will never be.
    pub async fn ack_mail(&self, id: i64) -> Result<(), Unavailable> {
        self.transact(|tx| async move { Ok(outbox::delete(&tx, id).await?) })
            .await
    }

    /// Returns a mail that was not tried to the queue.
    pub async fn release_mail(&self, id: i64) -> Result<(), Unavailable> {
        let now = self.millis();
        self.transact(|tx| async move { Ok(outbox::give_back(&tx, id, now).await?) })
            .await
    }

    /// Puts a mail off that could not be sent, longer each time, or gives it up when its time is nearly over.
    pub async fn defer_mail(&self, queued: &QueuedMail) -> Result<RetryDecision, Unavailable> {
        let now = self.millis();
        let pause = pause_after(queued, now);
        self.transact(|tx| async move {
            if pause < FIRST_PAUSE || queued.tries >= TRIES {
                outbox::delete(&tx, queued.id).await?;
                return Ok(RetryDecision::GiveUp);
            }
            let due = now + pause;
            outbox::defer(&tx, queued.id, due).await?;
            Ok(RetryDecision::Retry { pause, due })
        })
        .await
    }

    /// Lets mails be tried at once that were put off until then; one that was taken since stays where it is.
    pub async fn retry_deferred(&self, put_off: &[(i64, i64)]) -> Result<(), Unavailable> {
        let now = self.millis();
        self.transact(|tx| async move {
            for (id, due) in put_off {
                outbox::bring_forward(&tx, *id, *due, now).await?;
            }
            Ok(())
        })
        .await
    }
}

/// Twice as long each time, but never past the half of the time that is left: a mail is tried until its end.
fn pause_after(queued: &QueuedMail, now: i64) -> i64 {
    let doublings = queued.tries.saturating_sub(1).min(10);
    let pause = (FIRST_PAUSE << doublings).min(longest_pause(&queued.mail));
    pause.min((queued.expires - now) / 2)
}

/// The longest pause between two tries.
const fn longest_pause(mail: &Mail) -> i64 {
    match mail {
        Mail::ConfirmAddress { .. }
        | Mail::ResetCode { .. }
        | Mail::ResetOtp { .. }
        | Mail::LegacyReset { .. } => LONGEST_WAIT,
        Mail::Invitation { .. }
        | Mail::PasswordChanged { .. }
        | Mail::PasswordReset { .. }
        | Mail::AddressChanged { .. } => LONGEST_PAUSE,
    }
}

fn read(taken: &LockedMail) -> Option<QueuedMail> {
    Some(QueuedMail {
        id: taken.id,
        account: taken.uid,
        address: taken.address.clone(),
        mail: serde_json::from_str(&taken.mail).ok()?,
        posted_at: taken.posted_at,
        expires: taken.expires,
        tries: taken.tries,
    })
}
