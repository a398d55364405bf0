//! Addresses: whether they are confirmed, and the codes that confirm them.

use axum::extract::State;
use foxden_accounts::{AccountId, Session};
use serde_json::{Value, json};

use super::FxaState;
use super::answer::{Done, Json};
use super::ask::Ask;
use super::caller::Anyone;
use super::refusal::Refusal;

/// `GET /v1/recovery_email/status`
pub(super) async fn status(State(fxa): State<FxaState>, ask: Ask<Session>) -> Result<Json<Value>, Refusal> {
    let profile = fxa.accounts.profile(ask.by.account).await?;
    Ok(Json(json!({
        "email": profile.address,
        "verified": ask.by.is_verified(),
        "sessionVerified": ask.by.session_verified,
        "emailVerified": ask.by.address_verified,
    })))
}

/// `GET /v1/recovery_emails`: an account here has one address.
pub(super) async fn list(State(fxa): State<FxaState>, ask: Ask<Session>) -> Result<Json<Value>, Refusal> {
    let profile = fxa.accounts.profile(ask.by.account).await?;
    let only = json!({ "email": profile.address, "isPrimary": true, "verified": profile.address_verified });
    Ok(Json(json!([only])))
}

/// `POST /v1/session/resend_code` and `POST /v1/recovery_email/resend_code`
pub(super) async fn resend(State(fxa): State<FxaState>, ask: Ask<Session>) -> Result<Done, Refusal> {
    fxa.accounts.resend_code(&ask.by, &ask.visitor).await?;
    Ok(Done {})
}

/// `POST /v1/session/verify_code`: the digits, typed.
pub(super) async fn verify_session(State(fxa): State<FxaState>, ask: Ask<Session>) -> Result<Done, Refusal> {
    let code = ask.body.text_within("code", 32)?;
    fxa.accounts
        .verify_session(&ask.by, code.trim(), &ask.visitor)
        .await?;
    Ok(Done {})
}

/// `POST /v1/recovery_email/verify_code`: the link, opened.
pub(super) async fn verify_address(State(fxa): State<FxaState>, ask: Ask<Anyone>) -> Result<Done, Refusal> {
    let account = AccountId(ask.body.hex("uid")?);
    ask.body.hex::<16>("code")?;
    let code = ask.body.text("code")?.to_ascii_lowercase();
    fxa.accounts.verify_address(account, &code, &ask.visitor).await?;
    Ok(Done {})
}
