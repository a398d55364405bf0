//! Operations on this server.

use foxden_accounts::security::{Event, OperatorAction};

use super::OperationError;
use crate::app::App;
use crate::chores;
use crate::exposure::Mark;

/// Makes a server private again that was reached from elsewhere. Returns what had made it public.
pub fn make_private(app: &App) -> Result<Option<Mark>, OperationError> {
    let mark = app.exposure.make_private()?;
    app.security_log
        .emit(&Event::by_operator(OperatorAction::MadePrivate));
    Ok(mark)
}

/// Runs a chore until it has no work left. Returns how many rows or stores it cleared.
pub async fn run_chore(app: &App, name: &str) -> Result<u64, OperationError> {
    let chore = chores::find(name).ok_or_else(|| OperationError::UnknownChore {
        name: name.to_owned(),
    })?;
    let done = chores::run_to_the_end(chore, app).await;
    Ok(done.map_err(OperationError::ChoreFailed)?.count)
}
