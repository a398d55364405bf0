//! Passwords: changed by whoever knows the old one or holds a code; codes asked for and dropped.

use axum::response::Response;
use foxden_accounts::plain::{Consent, is_weak};

use super::UserState;
use super::answer;
use super::ask::Ask;
use super::guard;
use super::refusal::{Refusal, ResponseCode};

/// What a client is told when it worked.
const SUCCESS: &str = "success";

/// `POST /user/1.0/{name}/password`: the body is the new password. Whether it is weak is checked before anything that
/// takes time.
pub(super) async fn change(user: &UserState, ask: &Ask) -> Result<Response, Refusal> {
    if ask.body.is_empty() {
        return Err(ResponseCode::NoPassword.into());
    }
    if is_weak(&ask.name, &ask.body) {
        return Err(ResponseCode::WeakPassword.into());
    }
    if let Some(code) = ask.header("x-weave-password-reset") {
        return reset(user, ask, code).await;
    }
    let old = ask.password()?;
    user.accounts
        .change_password_plain(&ask.name, &old, &ask.body, &ask.visitor)
        .await?;
    Ok(answer::known(SUCCESS))
}

/// The same with a code that was mailed. It cannot ask whether modern data may be lost, so such a reset is refused.
async fn reset(user: &UserState, ask: &Ask, code: &[u8]) -> Result<Response, Refusal> {
    // What no header of ours could hold is no code.
    let code = std::str::from_utf8(code).unwrap_or_default();
    user.accounts
        .reset_plain(&ask.name, code, &ask.body, Consent::NotAsked, &ask.visitor)
        .await?;
    Ok(answer::text(SUCCESS))
}

/// `GET /user/1.0/{name}/password_reset`
pub(super) async fn request_reset(user: &UserState, ask: &Ask) -> Result<Response, Refusal> {
    user.needs_resets()?;
    user.accounts
        .may_request_plain_reset(&ask.name, &ask.visitor)
        .await?;
    let pass = guard::check(user, ask, &ask.response())?;
    match user.accounts.request_plain_reset(&ask.name, &ask.visitor).await {
        Ok(()) => Ok(answer::text(SUCCESS)),
        Err(error) => {
            guard::give_back(user, pass);
            Err(error.into())
        }
    }
}

/// `DELETE /user/1.0/{name}/password_reset`: succeeds whether or not a code waits.
pub(super) async fn drop_reset(user: &UserState, ask: &Ask) -> Result<Response, Refusal> {
    user.needs_resets()?;
    let password = ask.password()?;
    let account = user
        .accounts
        .prove_plain(&ask.name, &password, &ask.visitor)
        .await?;
    guard::check(user, ask, &ask.response())?;
    user.accounts.drop_plain_reset(account).await?;
    Ok(answer::known(SUCCESS))
}

impl UserState {
    /// A code is of no use where no page takes it.
    fn needs_resets(&self) -> Result<(), Refusal> {
        self.offers_resets.then_some(()).ok_or(Refusal::NoCodes)
    }
}
