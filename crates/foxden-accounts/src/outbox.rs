//! Letters to people: written down in the step that makes them needed, and kept until they are sent.
//!
//! What they say and how they travel is not known here. A letter that carries a code lives no longer than the code.

use std::fmt;

use foxden_sql::Tx;
use serde::{Deserialize, Serialize};
use tokio::sync::futures::Notified;

use crate::life::latest_end;
use crate::postage::{Franked, Mailed};
use crate::register::outbox::{self, OutboxRow, Taken};
use crate::{AccountId, Accounts, Unavailable};

/// How long a letter is kept from others while somebody sends it: longer than the slowest mail server may take.
const TAKEN_MILLIS: i64 = 15 * 60_000;
/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: i64 = 10_000;
/// The longest pause.
const LONGEST_PAUSE: i64 = 60 * 60_000;
/// The longest pause of a letter that somebody waits for in front of a screen.
const LONGEST_WAIT: i64 = 5 * 60_000;
/// How long one tries to send what no code limits.
const PATIENCE: i64 = 2 * 24 * 3_600_000;
/// How often a letter is tried, however far off its end: a clock that was ahead may have written it. More than fit into
/// the patience.
const TRIES: u32 = 100;

/// What has to be said to somebody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Letter {
    /// Confirm the address.
    ConfirmAddress {
        /// Six digits to type.
        code: String,
        /// The same for a link: 32 hex digits.
        link_code: String,
    },
    /// Reset the password.
    ResetCode {
        /// 32 hex digits.
        code: String,
        /// The reset that waits for the code, for a link: 64 hex digits.
        token: String,
        /// Whether eight digits were asked for, of which too many were tried in vain.
        #[serde(default)]
        instead_of_digits: bool,
    },
    /// Reset the password in a program that asks for digits.
    ResetOtp {
        /// Eight digits.
        code: String,
        /// Whether digits of before ended because too many wrong ones were tried.
        #[serde(default)]
        again: bool,
    },
    /// Reset the password on a page for old browsers.
    PlainReset {
        /// The name that was asked for.
        name: String,
        /// `XXXX-XXXX-XXXX-XXXX`.
        code: String,
    },
    /// Make an account.
    Invitation {
        /// What the link ends with.
        code: String,
    },
    /// The password was changed by somebody who knew the old one.
    PasswordChanged {
        /// The address of whoever did it.
        from: String,
    },
    /// The password was reset with a code.
    PasswordReset {
        /// The address of whoever did it.
        from: String,
    },
    /// The account has another address from now on; said to the one before.
    AddressChanged {
        /// The new one.
        address: String,
        /// The address of whoever did it.
        from: String,
    },
}

/// A letter that was taken to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// Names it.
    pub id: i64,
    /// Whose account it is about.
    pub account: Option<AccountId>,
    /// Where it goes.
    pub address: String,
    /// What it says.
    pub letter: Letter,
    /// When it was written, in milliseconds.
    pub posted_at: i64,
    /// When it is of no use any more, in milliseconds.
    pub expires: i64,
    /// How often it was tried, this time included.
    pub tries: u32,
}

/// What becomes of a letter that could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is tried again.
    TriedAgain {
        /// After so many milliseconds.
        pause: i64,
        /// Which is then, in milliseconds.
        due: i64,
    },
    /// It was thrown away: it is of no use any more.
    GivenUp,
}

impl Letter {
    /// What it is about, in a word for logs and rows.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ConfirmAddress { .. } => CONFIRM_ADDRESS,
            Self::ResetCode { .. } => RESET_CODE,
            Self::ResetOtp { .. } => RESET_OTP,
            Self::PlainReset { .. } => PLAIN_RESET,
            Self::Invitation { .. } => "invitation",
            Self::PasswordChanged { .. } => "password_changed",
            Self::PasswordReset { .. } => "password_reset",
            Self::AddressChanged { .. } => "address_changed",
        }
    }

    /// The longest pause between two tries.
    const fn longest_pause(&self) -> i64 {
        match self {
            Self::ConfirmAddress { .. }
            | Self::ResetCode { .. }
            | Self::ResetOtp { .. }
            | Self::PlainReset { .. } => LONGEST_WAIT,
            Self::Invitation { .. }
            | Self::PasswordChanged { .. }
            | Self::PasswordReset { .. }
            | Self::AddressChanged { .. } => LONGEST_PAUSE,
        }
    }
}

/// Letters that die when their code was used.
pub(crate) const CONFIRM_ADDRESS: &str = "confirm_address";
pub(crate) const RESET_CODE: &str = "reset_code";
pub(crate) const RESET_OTP: &str = "reset_otp";
pub(crate) const PLAIN_RESET: &str = "plain_reset";

// A letter carries codes, and what is printed may end in a log.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// Where a letter belongs, and how long it is of use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    /// What the letter in it is about.
    pub(crate) kind: &'static str,
    /// Where it goes.
    pub(crate) address: &'a str,
    /// The account it goes with.
    pub(crate) account: Option<AccountId>,
    /// The invitation it goes with.
    pub(crate) invitation: Option<i64>,
    /// When the code in it ends.
    pub(crate) expires: Option<i64>,
}

impl<'a> Envelope<'a> {
    /// To the owner of an account.
    pub(crate) const fn to(account: AccountId, address: &'a str, kind: &'static str) -> Self {
        Self {
            kind,
            address,
            account: Some(account),
            invitation: None,
            expires: None,
        }
    }

    /// A letter that is of no use after that time.
    pub(crate) const fn until(self, expires: i64) -> Self {
        Self {
            expires: Some(expires),
            ..self
        }
    }
}

impl Accounts {
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
            expires: envelope.expires.unwrap_or(i64::MAX).min(now + PATIENCE),
        };
        outbox::insert(tx, row).await?;
        letters.wrote();
        Ok(Mailed::Written)
    }

    /// Comes back once a letter was written in this process.
    pub fn mail_waiting(&self) -> Notified<'_> {
        self.0.mail.notified()
    }

    /// In how many milliseconds the next letter is due; `None` when none waits.
    pub async fn next_letter(&self) -> Result<Option<u64>, Unavailable> {
        let now = self.millis();
        let due = outbox::next_due(&self.0.database, now).await?;
        Ok(due.map(|due| u64::try_from(due - now).unwrap_or(0)))
    }

    /// Takes a letter that is due. Nobody else gets it in the next fifteen minutes: send it within that time, then say
    /// [`Accounts::letter_sent`] or [`Accounts::letter_failed`].
    pub async fn take_letter(&self) -> Result<Option<Posted>, Unavailable> {
        let now = self.millis();
        let latest = latest_end(now, LONGEST_PAUSE);
        self.transact(|tx| async move {
            while let Some(taken) = outbox::take(&tx, now, latest, now + TAKEN_MILLIS).await? {
                if let Some(posted) = read(&taken) {
                    return Ok(Some(posted));
                }
                // Another release may have written it. Nobody here can say what it says.
                tracing::warn!("a letter that cannot be read was thrown away");
                outbox::delete(&tx, taken.id).await?;
            }
            Ok(None)
        })
        .await
    }

    /// Forgets a letter that was sent, or that will never be.
    pub async fn letter_sent(&self, id: i64) -> Result<(), Unavailable> {
        self.transact(|tx| async move { Ok(outbox::delete(&tx, id).await?) })
            .await
    }

    /// Gives a letter back that was not even tried, for whoever takes the next one.
    pub async fn letter_untried(&self, id: i64) -> Result<(), Unavailable> {
        let now = self.millis();
        self.transact(|tx| async move { Ok(outbox::give_back(&tx, id, now).await?) })
            .await
    }

    /// Puts a letter off that could not be sent, longer each time, or gives it up when its time is nearly over.
    pub async fn letter_failed(&self, posted: &Posted) -> Result<Fate, Unavailable> {
        let now = self.millis();
        let pause = pause_after(posted, now);
        self.transact(|tx| async move {
            if pause < FIRST_PAUSE || posted.tries >= TRIES {
                outbox::delete(&tx, posted.id).await?;
                return Ok(Fate::GivenUp);
            }
            let due = now + pause;
            outbox::put_off(&tx, posted.id, due).await?;
            Ok(Fate::TriedAgain { pause, due })
        })
        .await
    }

    /// Lets letters be tried at once that were put off until then; one that was taken since stays where it is.
    pub async fn letters_due_now(&self, put_off: &[(i64, i64)]) -> Result<(), Unavailable> {
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

/// Twice as long each time, but never past the half of the time that is left: a letter is tried until its end.
fn pause_after(posted: &Posted, now: i64) -> i64 {
    let doublings = posted.tries.saturating_sub(1).min(10);
    let pause = (FIRST_PAUSE << doublings).min(posted.letter.longest_pause());
    pause.min((posted.expires - now) / 2)
}

fn read(taken: &Taken) -> Option<Posted> {
    Some(Posted {
        id: taken.id,
        account: taken.uid,
        address: taken.address.clone(),
        letter: serde_json::from_str(&taken.letter).ok()?,
        posted_at: taken.posted_at,
        expires: taken.expires,
        tries: taken.tries,
    })
}
