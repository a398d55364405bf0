//! Wrong codes, and who pays for them: the network that they come from, never the code, whose owner could then be kept
//! from it by any stranger.

use crate::security::Event;
use crate::{AccountError, Accounts, Visitor};

impl Accounts {
    /// The refusal of a wrong code that is too long to be guessed: `refusal` while the network's allowance lasts, then
    /// that there were too many. Called once the code is known to be wrong, so that a right one passes whatever its
    /// network has tried.
    pub(crate) fn refuse_code(
        &self,
        visitor: &Visitor,
        wrong: &Event<'_>,
        refusal: AccountError,
    ) -> AccountError {
        match self.check_guesses(visitor) {
            Ok(()) => {
                self.count_guess(visitor, wrong);
                refusal
            }
            Err(too_many) => too_many,
        }
    }
}
