//! Addresses: their confirmation, and the codes for it.

use axum::extract::State;
use foxden_accounts::{AccountId, Session};
use serde_json::{Value, json};

use super::FxaState;
use super::answer::{Done, Json};
use super::api_request::ApiRequest;
use super::caller::Unauthenticated;
use super::refusal::Refusal;

/// `GET /v1/recovery_email/status`
pub(super) async fn status(
    State(fxa): State<FxaState>,
    request: ApiRequest<Session>,
) -> Result<Json<Value>, Refusal> {
    let profile = fxa.accounts.profile(request.caller.account).await?;
    Ok(Json(json!({
        "email": profile.address,
        "verified": request.caller.is_verified(),
        "sessionVerified": request.caller.session_verified,
        "emailVerified": request.caller.address_verified,
    })))
}

/// `GET /v1/recovery_emails`: an account here has one address.
pub(super) async fn list(
    State(fxa): State<FxaState>,
    request: ApiRequest<Session>,
) -> Result<Json<Value>, Refusal> {
    let profile = fxa.accounts.profile(request.caller.account).await?;
    let only = json!({ "email": profile.address, "isPrimary": true, "verified": profile.address_verified });
    Ok(Json(json!([only])))
}

/// `POST /v1/session/resend_code` and `POST /v1/recovery_email/resend_code`
pub(super) async fn resend(
    State(fxa): State<FxaState>,
    request: ApiRequest<Session>,
) -> Result<Done, Refusal> {
    fxa.accounts
        .resend_code(&request.caller, &request.client_info)
        .await?;
    Ok(Done {})
}

/// `POST /v1/session/verify_code`: the user typed the digits.
pub(super) async fn verify_session(
    State(fxa): State<FxaState>,
    request: ApiRequest<Session>,
) -> Result<Done, Refusal> {
    let code = request.body.text_within("code", 32)?;
    fxa.accounts
        .verify_session(&request.caller, code.trim(), &request.client_info)
        .await?;
    Ok(Done {})
}

/// `POST /v1/recovery_email/verify_code`: the user opened the link.
pub(super) async fn verify_address(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Done, Refusal> {
    let account = AccountId(request.body.hex("uid")?);
    request.body.hex::<16>("code")?;
    let code = request.body.text("code")?.to_ascii_lowercase();
    fxa.accounts
        .verify_address(account, &code, &request.client_info)
        .await?;
    Ok(Done {})
}
