//! Letters to people: written down in the step that makes them needed, and kept until they are sent.
//!
//! What they say and how they travel is not known here. A letter that carries a code lives no longer than the code.

use tokio::sync::futures::Notified;

use crate::life::latest_end;
use crate::mail::Letter;
use crate::register::outbox::{self, Taken};
use crate::{AccountId, Accounts, Unavailable};

/// How long a letter is kept from others while somebody sends it: longer than the slowest mail server may take.
const TAKEN_MILLIS: i64 = 15 * 60_000;
/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: i64 = 10_000;
/// The longest pause.
const LONGEST_PAUSE: i64 = 60 * 60_000;
/// The longest pause of a letter that somebody waits for in front of a screen.
const LONGEST_WAIT: i64 = 5 * 60_000;
/// How often a letter is tried, however far off its end: a clock that was ahead may have written it. More than fit into
/// the patience.
const TRIES: u32 = 100;

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

impl Accounts {
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
    let pause = (FIRST_PAUSE << doublings).min(longest_pause(&posted.letter));
    pause.min((posted.expires - now) / 2)
}

/// The longest pause between two tries.
const fn longest_pause(letter: &Letter) -> i64 {
    match letter {
        Letter::ConfirmAddress { .. }
        | Letter::ResetCode { .. }
        | Letter::ResetOtp { .. }
        | Letter::PlainReset { .. } => LONGEST_WAIT,
        Letter::Invitation { .. }
        | Letter::PasswordChanged { .. }
        | Letter::PasswordReset { .. }
        | Letter::AddressChanged { .. } => LONGEST_PAUSE,
    }
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
