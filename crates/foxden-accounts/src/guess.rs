//! Tries of codes, and who pays for them: the network that they come from, never the code, whose owner could then be kept
//! from it by any stranger.

use crate::limits::Counted;
use crate::security::Event;
use crate::{Accounts, TooMany, Visitor};

/// A try of a code. It counts from its beginning, before anything is compared, so that of many at once no more are heard
/// than of as many one after the other. Dropped, it stays counted: a client that hangs up has tried all the same.
#[must_use]
pub(crate) struct Guess<'a> {
    accounts: &'a Accounts,
    visitor: &'a Visitor,
    /// When it was counted, in steady milliseconds; else that the network's allowance is spent.
    counted: Result<i64, TooMany>,
}

impl Accounts {
    /// Counts a try of a code. A code that is too long to be guessed is compared even where the network's allowance is
    /// spent, so that the right one passes; for others ask [`Guess::within_allowance`] first.
    pub(crate) fn guess<'a>(&'a self, visitor: &'a Visitor) -> Guess<'a> {
        let now = self.steady();
        let counted = self.spend_visitor(Counted::Guess, visitor).map(|()| now);
        Guess {
            accounts: self,
            visitor,
            counted,
        }
    }
}

impl Guess<'_> {
    /// Refuses where the network's allowance is spent: for codes that are few enough to be guessed.
    pub(crate) fn within_allowance(self) -> Result<Self, TooMany> {
        match self.counted {
            Ok(_) => Ok(self),
            Err(too_many) => Err(too_many),
        }
    }

    /// Gives the try back: the code was right.
    pub(crate) fn was_right(self) {
        let Self {
            accounts, visitor, ..
        } = self;
        if let Ok(then) = self.counted {
            let guess = Counted::Guess(visitor.network());
            accounts.0.limits.refund(guess, then, accounts.steady());
        }
    }

    /// The refusal of a wrong code, of which the operator is told: `refusal` while the network's allowance lasts, then
    /// that there were too many.
    pub(crate) fn refuse<E: From<TooMany>>(self, wrong: &Event<'_>, refusal: E) -> E {
        match self.counted {
            Ok(_) => {
                self.accounts.tell(wrong);
                refusal
            }
            Err(too_many) => too_many.into(),
        }
    }
}
