//! Sessions: reauthentication, status, duplication, and end.

use axum::extract::State;
use foxden_accounts::{Session, TokenId};
use serde_json::{Value, json};

use super::FxaState;
use super::account::SignedInAnswer;
use super::answer::{Done, Json};
use super::api_request::ApiRequest;
use super::caller::Verified;
use super::refusal::Refusal;

/// `POST /v1/session/reauth`
pub(super) async fn reauth(
    State(fxa): State<FxaState>,
    request: ApiRequest<Session>,
) -> Result<Json<SignedInAnswer>, Refusal> {
    let login = request.body.login(request.wants_keys())?;
    let signed_in = fxa
        .accounts
        .reauth(&request.caller, login, &request.client_info)
        .await?;
    Ok(Json(signed_in.into()))
}

/// `GET /v1/session/status`
pub(super) async fn status(request: ApiRequest<Session>) -> Json<Value> {
    let state = if request.caller.is_verified() {
        "verified"
    } else {
        "unverified"
    };
    Json(json!({ "state": state, "uid": request.caller.account.to_string() }))
}

/// `POST /v1/session/destroy`: the caller's session, or another of the same account by its token id.
pub(super) async fn destroy(
    State(fxa): State<FxaState>,
    request: ApiRequest<Session>,
) -> Result<Done, Refusal> {
    let caller = &request.caller;
    match request.body.optional_hex("customSessionToken")? {
        Some(other) => fxa.accounts.end_other_session(caller, &TokenId(other)).await?,
        None => fxa.accounts.end_session(caller).await?,
    }
    Ok(Done {})
}

/// `POST /v1/session/duplicate`
pub(super) async fn duplicate(
    State(fxa): State<FxaState>,
    request: ApiRequest<Verified>,
) -> Result<Json<SignedInAnswer>, Refusal> {
    let signed_in = fxa
        .accounts
        .duplicate_session(&request.caller.0, &request.client_info)
        .await?;
    Ok(Json(signed_in.into()))
}

/// `GET /v1/account/sessions`: an empty list for tools. `attached_clients` has the sessions.
pub(super) async fn list(_: ApiRequest<Session>) -> Json<Value> {
    Json(json!([]))
}
