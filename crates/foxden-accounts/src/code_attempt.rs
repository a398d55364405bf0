//! Attempts to guess a code. They count against the client's network and never against the code itself, since
//! strangers could then lock out its owner.

use crate::limits::RateLimitKey;
use crate::security::Event;
use crate::{Accounts, ClientInfo, TooMany};

/// An attempt with a code. It counts from its beginning, before anything is compared, so that concurrent attempts are
/// bounded as sequential ones are. Dropped without an outcome it stays counted, so disconnecting does not help.
#[must_use]
pub(crate) struct CodeAttempt<'a> {
    accounts: &'a Accounts,
    client: &'a ClientInfo,
    /// When it was counted, in steady milliseconds; else that the network's allowance is spent.
    counted: Result<i64, TooMany>,
}

impl Accounts {
    /// Counts a try of a code. A code that is too long to be guessed is compared even where the network's allowance is
    /// spent, so that the right one passes; for others ask [`CodeAttempt::within_allowance`] first.
    pub(crate) fn code_attempt<'a>(&'a self, client: &'a ClientInfo) -> CodeAttempt<'a> {
        let now = self.steady();
        let counted = self
            .check_and_count_network(RateLimitKey::Guess, client)
            .map(|()| now);
        CodeAttempt {
            accounts: self,
            client,
            counted,
        }
    }
}

impl CodeAttempt<'_> {
    /// Refuses where the network's allowance is spent: for codes that are few enough to be guessed.
    pub(crate) fn within_allowance(self) -> Result<Self, TooMany> {
        match self.counted {
            Ok(_) => Ok(self),
            Err(too_many) => Err(too_many),
        }
    }

    /// Gives the try back: the code was right.
    pub(crate) fn succeed(self) {
        let Self { accounts, client, .. } = self;
        if let Ok(then) = self.counted {
            let attempt = RateLimitKey::Guess(client.network());
            accounts.0.limits.refund(attempt, then, accounts.steady());
        }
    }

    /// Returns the refusal of a wrong code and emits a security event: `refusal` within the allowance of the network,
    /// else that there were too many.
    pub(crate) fn fail<E: From<TooMany>>(self, wrong: &Event<'_>, refusal: E) -> E {
        match self.counted {
            Ok(_) => {
                self.accounts.emit(wrong);
                refusal
            }
            Err(too_many) => too_many.into(),
        }
    }
}
