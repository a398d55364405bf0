//! Changes a password, with the old one or with a reset code. Requests and cancels reset codes.

use axum::response::Response;
use foxden_accounts::legacy::{DataLossConsent, is_weak};

use super::UserState;
use super::answer;
use super::api_request::ApiRequest;
use super::captcha;
use super::refusal::{Refusal, ResponseCode};

/// The answer to a successful change.
const SUCCESS: &str = "success";

/// `POST /user/1.0/{name}/password`: the body is the new password. Weak ones are refused before any slow work.
pub(super) async fn change(user: &UserState, request: &ApiRequest) -> Result<Response, Refusal> {
    if request.body.is_empty() {
        return Err(ResponseCode::NoPassword.into());
    }
    if is_weak(&request.name, &request.body) {
        return Err(ResponseCode::WeakPassword.into());
    }
    if let Some(code) = request.header("x-weave-password-reset") {
        return reset(user, request, code).await;
    }
    let old = request.password()?;
    user.accounts
        .change_plain_password(&request.name, &old, &request.body, &request.client_info)
        .await?;
    Ok(answer::authenticated_text(SUCCESS))
}

/// Resets the password with a mailed code. The client cannot ask for consent to losing modern data, so such a reset
/// is refused.
async fn reset(user: &UserState, request: &ApiRequest, code: &[u8]) -> Result<Response, Refusal> {
    // A header that is not UTF-8 holds no valid code.
    let code = std::str::from_utf8(code).unwrap_or_default();
    user.accounts
        .reset_plain_password(
            &request.name,
            code,
            &request.body,
            DataLossConsent::NotAsked,
            &request.client_info,
        )
        .await?;
    Ok(answer::text(SUCCESS))
}

/// `GET /user/1.0/{name}/password_reset`
pub(super) async fn request_reset(user: &UserState, request: &ApiRequest) -> Result<Response, Refusal> {
    user.needs_resets()?;
    user.accounts
        .may_request_legacy_reset(&request.name, &request.client_info)
        .await?;
    let pass = captcha::check(user, request, &request.response()).await?;
    match user
        .accounts
        .request_legacy_reset(&request.name, &request.client_info)
        .await
    {
        Ok(()) => Ok(answer::text(SUCCESS)),
        Err(error) => {
            captcha::restore(user, pass).await;
            Err(error.into())
        }
    }
}

/// `DELETE /user/1.0/{name}/password_reset`: succeeds whether or not a code is pending.
pub(super) async fn drop_reset(user: &UserState, request: &ApiRequest) -> Result<Response, Refusal> {
    user.needs_resets()?;
    let password = request.password()?;
    let account = user
        .accounts
        .verify_plain_password(&request.name, &password, &request.client_info)
        .await?;
    captcha::check(user, request, &request.response()).await?;
    user.accounts.cancel_legacy_reset(account).await?;
    Ok(answer::authenticated_text(SUCCESS))
}

impl UserState {
    /// Refuses reset codes where no page accepts them.
    fn needs_resets(&self) -> Result<(), Refusal> {
        self.offers_resets
            .then_some(())
            .ok_or(Refusal::ResetsNotSupported)
    }
}
