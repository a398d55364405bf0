//! Passwords: change with the old password, reset with a code.

use axum::extract::State;
use foxden_accounts::{FollowUp, NewPassword, ResetStatus, SecretToken, Session, SignedIn, TokenId, WrapKb};
use serde_json::{Value, json};

use super::FxaState;
use super::account::SignedInAnswer;
use super::answer::{Done, Json};
use super::api_request::ApiRequest;
use super::caller::{AccountReset, OneTimeToken, PasswordChange, PasswordForgot, Unauthenticated};
use super::refusal::Refusal;
use crate::wire::json_body::JsonBody;

/// Maximum length of the code in a link.
const LINK: usize = 128;
/// Length of a reset code in bytes.
const CODE: usize = 16;
/// Maximum length of a code that should have eight digits.
const OTP: usize = 64;

impl JsonBody {
    fn new_password(&self, then: FollowUp) -> Result<NewPassword, Refusal> {
        Ok(NewPassword {
            auth_pw: self.auth_pw("authPW")?,
            wrap_kb: self.optional_hex("wrapKb")?.map(WrapKb),
            then,
        })
    }
}

/// `POST /v1/password/change/start`
pub(super) async fn start_change(
    State(fxa): State<FxaState>,
    request: ApiRequest<Option<Session>>,
) -> Result<Json<Value>, Refusal> {
    let (address, old) = (request.body.address()?, request.body.auth_pw("oldAuthPW")?);
    let session = request.caller.as_ref();
    let started = fxa
        .accounts
        .start_password_change(session, address, &old, &request.client_info)
        .await?;
    Ok(Json(json!({
        "keyFetchToken": started.key_fetch_token.to_hex(),
        "passwordChangeToken": started.password_change_token.to_hex(),
        "verified": started.verified,
    })))
}

/// `POST /v1/password/change/finish`
pub(super) async fn finish_change(
    State(fxa): State<FxaState>,
    request: ApiRequest<OneTimeToken<PasswordChange>>,
) -> Result<Json<Value>, Refusal> {
    request.body.refuse_second_stretching()?;
    // A change without the wrapped key would lose the account's data. Resets exist for that.
    request.body.hex::<32>("wrapKb")?;
    let current = request.body.optional_hex("sessionToken")?.map(TokenId);
    let wants_keys = request.wants_keys();
    let then = current
        .as_ref()
        .map_or(FollowUp::Nothing, |_| FollowUp::SignIn { wants_keys });
    let new = request.body.new_password(then)?;
    let signed_in = fxa
        .accounts
        .finish_password_change(
            &request.caller.ticket,
            new,
            current.as_ref(),
            &request.client_info,
        )
        .await?;
    Ok(print_signed_in(signed_in))
}

/// `POST /v1/password/forgot/send_code`
pub(super) async fn forgot(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Json<Value>, Refusal> {
    let started = fxa
        .accounts
        .start_reset(request.body.address()?, &request.client_info)
        .await?;
    let status = ResetStatus {
        ttl: started.ttl,
        tries: started.tries,
    };
    Ok(print_started(&started.password_forgot_token, status))
}

/// `POST /v1/password/forgot/resend_code`
pub(super) async fn resend_reset_code(
    State(fxa): State<FxaState>,
    request: ApiRequest<OneTimeToken<PasswordForgot>>,
) -> Result<Json<Value>, Refusal> {
    let status = fxa
        .accounts
        .resend_reset_code(&request.caller.ticket, &request.client_info)
        .await?;
    // The server stores only a hash of the token. The client has it.
    Ok(Json(
        json!({ "ttl": status.ttl, "codeLength": CODE, "tries": status.tries }),
    ))
}

/// `GET /v1/password/forgot/status`
pub(super) async fn reset_status(
    State(fxa): State<FxaState>,
    request: ApiRequest<OneTimeToken<PasswordForgot>>,
) -> Result<Json<Value>, Refusal> {
    let status = fxa.accounts.reset_status(&request.caller.ticket).await?;
    Ok(Json(json!({ "tries": status.tries, "ttl": status.ttl })))
}

/// `POST /v1/password/forgot/verify_code`
pub(super) async fn verify_code(
    State(fxa): State<FxaState>,
    request: ApiRequest<OneTimeToken<PasswordForgot>>,
) -> Result<Json<Value>, Refusal> {
    request.body.hex::<CODE>("code")?;
    let code = request.body.text("code")?.to_ascii_lowercase();
    let token = fxa
        .accounts
        .verify_reset_code(&request.caller.ticket, &code, &request.client_info)
        .await?;
    Ok(Json(json!({ "accountResetToken": token.to_hex() })))
}

/// `POST /v1/password/forgot/send_otp`
pub(super) async fn send_otp(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Done, Refusal> {
    fxa.accounts
        .send_otp(request.body.address()?, &request.client_info)
        .await?;
    Ok(Done {})
}

/// `POST /v1/password/forgot/verify_otp`
pub(super) async fn verify_otp(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Json<Value>, Refusal> {
    let (address, code) = (request.body.address()?, request.body.text_within("code", OTP)?);
    let verified = fxa
        .accounts
        .verify_otp(address, code.trim(), &request.client_info)
        .await?;
    Ok(Json(json!({
        "code": verified.code,
        "token": verified.password_forgot_token.to_hex(),
        "uid": verified.account.to_string(),
        "emailToHashWith": verified.address,
    })))
}

/// `POST /v1/account/reset`
pub(super) async fn reset(
    State(fxa): State<FxaState>,
    request: ApiRequest<OneTimeToken<AccountReset>>,
) -> Result<Json<Value>, Refusal> {
    request.body.refuse_second_stretching()?;
    if request.body.get("recoveryKeyId").is_some() {
        return Err(Refusal::NotSupported);
    }
    let wants_keys = request.wants_keys();
    let then = if request.body.is_set("sessionToken")? {
        FollowUp::SignIn { wants_keys }
    } else {
        FollowUp::Nothing
    };
    let new = request.body.new_password(then)?;
    let ticket = &request.caller.ticket;
    let signed_in = fxa
        .accounts
        .reset_password(ticket, new, &request.client_info)
        .await?;
    Ok(print_signed_in(signed_in))
}

/// `POST /v1/password/link`, an extension of Foxden: opens a set-password link that the operator created. The answer says
/// so if the account has no password yet: then there is no data that the new one makes unreadable.
pub(super) async fn open_link(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Json<Value>, Refusal> {
    let code = request.body.text_within("code", LINK)?;
    let link = fxa
        .accounts
        .open_password_link(code, &request.client_info)
        .await?;
    let mut answer = json!({
        "email": link.address,
        "accountResetToken": link.account_reset_token.to_hex(),
    });
    if !link.has_password {
        answer["hasPassword"] = false.into();
    }
    Ok(Json(answer))
}

fn print_started(token: &SecretToken, status: ResetStatus) -> Json<Value> {
    Json(json!({
        "passwordForgotToken": token.to_hex(),
        "ttl": status.ttl,
        "codeLength": CODE,
        "tries": status.tries,
    }))
}

fn print_signed_in(signed_in: Option<SignedIn>) -> Json<Value> {
    let printed = signed_in.map(|signed_in| serde_json::to_value(SignedInAnswer::from(signed_in)));
    Json(printed.map_or_else(
        || json!({}),
        |value| value.expect("an answer holds texts and numbers alone"),
    ))
}

#[cfg(test)]
mod tests;
