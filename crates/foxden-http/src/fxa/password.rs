//! Passwords: changed by whoever knows the old one, or reset with a code.

use axum::extract::State;
use foxden_accounts::{NewPassword, ResetStatus, SecretToken, Session, SignedIn, Then, TokenId, WrapKb};
use serde_json::{Value, json};

use super::FxaState;
use super::account::SignedInAnswer;
use super::answer::{Done, Json};
use super::ask::Ask;
use super::caller::{AccountReset, Anyone, Holder, PasswordChange, PasswordForgot};
use super::refusal::Refusal;
use crate::wire::json_body::JsonBody;

/// The longest code of a link.
const LINK: usize = 128;
/// Bytes of a reset code.
const CODE: usize = 16;
/// The longest code that is looked at where eight digits are meant.
const OTP: usize = 64;

impl JsonBody {
    fn new_password(&self, then: Then) -> Result<NewPassword, Refusal> {
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
    ask: Ask<Option<Session>>,
) -> Result<Json<Value>, Refusal> {
    let (address, old) = (ask.body.address()?, ask.body.auth_pw("oldAuthPW")?);
    let session = ask.by.as_ref();
    let started = fxa
        .accounts
        .start_password_change(session, address, &old, &ask.visitor)
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
    ask: Ask<Holder<PasswordChange>>,
) -> Result<Json<Value>, Refusal> {
    ask.body.refuse_second_stretching()?;
    // Without the wrapped key the account's data would be lost, and this is not the way to lose it.
    ask.body.hex::<32>("wrapKb")?;
    let current = ask.body.optional_hex("sessionToken")?.map(TokenId);
    let wants_keys = ask.wants_keys();
    let then = current
        .as_ref()
        .map_or(Then::Nothing, |_| Then::SignIn { wants_keys });
    let new = ask.body.new_password(then)?;
    let signed_in = fxa
        .accounts
        .finish_password_change(&ask.by.ticket, new, current.as_ref(), &ask.visitor)
        .await?;
    Ok(print_signed_in(signed_in))
}

/// `POST /v1/password/forgot/send_code`
pub(super) async fn forgot(State(fxa): State<FxaState>, ask: Ask<Anyone>) -> Result<Json<Value>, Refusal> {
    let started = fxa
        .accounts
        .forgot_password(ask.body.address()?, &ask.visitor)
        .await?;
    let status = ResetStatus {
        ttl: started.ttl,
        tries: started.tries,
    };
    Ok(print_started(&started.password_forgot_token, status))
}

/// `POST /v1/password/forgot/resend_code`
pub(super) async fn forgot_again(
    State(fxa): State<FxaState>,
    ask: Ask<Holder<PasswordForgot>>,
) -> Result<Json<Value>, Refusal> {
    let status = fxa.accounts.forgot_again(&ask.by.ticket, &ask.visitor).await?;
    // The token itself is not known here, and its holder has it.
    Ok(Json(
        json!({ "ttl": status.ttl, "codeLength": CODE, "tries": status.tries }),
    ))
}

/// `GET /v1/password/forgot/status`
pub(super) async fn forgot_status(
    State(fxa): State<FxaState>,
    ask: Ask<Holder<PasswordForgot>>,
) -> Result<Json<Value>, Refusal> {
    let status = fxa.accounts.forgot_status(&ask.by.ticket).await?;
    Ok(Json(json!({ "tries": status.tries, "ttl": status.ttl })))
}

/// `POST /v1/password/forgot/verify_code`
pub(super) async fn verify_code(
    State(fxa): State<FxaState>,
    ask: Ask<Holder<PasswordForgot>>,
) -> Result<Json<Value>, Refusal> {
    ask.body.hex::<CODE>("code")?;
    let code = ask.body.text("code")?.to_ascii_lowercase();
    let token = fxa
        .accounts
        .verify_reset_code(&ask.by.ticket, &code, &ask.visitor)
        .await?;
    Ok(Json(json!({ "accountResetToken": token.to_hex() })))
}

/// `POST /v1/password/forgot/send_otp`
pub(super) async fn send_otp(State(fxa): State<FxaState>, ask: Ask<Anyone>) -> Result<Done, Refusal> {
    fxa.accounts.send_otp(ask.body.address()?, &ask.visitor).await?;
    Ok(Done {})
}

/// `POST /v1/password/forgot/verify_otp`
pub(super) async fn verify_otp(
    State(fxa): State<FxaState>,
    ask: Ask<Anyone>,
) -> Result<Json<Value>, Refusal> {
    let (address, code) = (ask.body.address()?, ask.body.text_within("code", OTP)?);
    let verified = fxa
        .accounts
        .verify_otp(address, code.trim(), &ask.visitor)
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
    ask: Ask<Holder<AccountReset>>,
) -> Result<Json<Value>, Refusal> {
    ask.body.refuse_second_stretching()?;
    if ask.body.get("recoveryKeyId").is_some() {
        return Err(Refusal::Off);
    }
    let wants_keys = ask.wants_keys();
    let then = if ask.body.is_set("sessionToken")? {
        Then::SignIn { wants_keys }
    } else {
        Then::Nothing
    };
    let new = ask.body.new_password(then)?;
    let ticket = &ask.by.ticket;
    let signed_in = fxa.accounts.reset_password(ticket, new, &ask.visitor).await?;
    Ok(print_signed_in(signed_in))
}

/// `POST /v1/password/link`, Foxden's own: what a set-password link of the operator opens.
pub(super) async fn open_link(State(fxa): State<FxaState>, ask: Ask<Anyone>) -> Result<Json<Value>, Refusal> {
    let code = ask.body.text_within("code", LINK)?;
    let link = fxa.accounts.open_password_link(code, &ask.visitor).await?;
    Ok(Json(json!({
        "email": link.address,
        "accountResetToken": link.account_reset_token.to_hex(),
    })))
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
