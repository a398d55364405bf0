//! Sessions: confirmed again, shown, doubled, ended.

use axum::extract::State;
use foxden_accounts::{Session, TokenId};
use serde_json::{Value, json};

use super::FxaState;
use super::account::SignedInAnswer;
use super::answer::{Done, Json};
use super::ask::Ask;
use super::caller::Verified;
use super::refusal::Refusal;

/// `POST /v1/session/reauth`
pub(super) async fn reauth(
    State(fxa): State<FxaState>,
    ask: Ask<Session>,
) -> Result<Json<SignedInAnswer>, Refusal> {
    let login = ask.body.login(ask.wants_keys())?;
    let signed_in = fxa.accounts.reauth(&ask.by, login, &ask.visitor).await?;
    Ok(Json(signed_in.into()))
}

/// `GET /v1/session/status`
pub(super) async fn status(ask: Ask<Session>) -> Json<Value> {
    let state = if ask.by.is_verified() {
        "verified"
    } else {
        "unverified"
    };
    Json(json!({ "state": state, "uid": ask.by.account.to_string() }))
}

/// `POST /v1/session/destroy`: the caller's own, or another of the same account by its token id.
pub(super) async fn destroy(State(fxa): State<FxaState>, ask: Ask<Session>) -> Result<Done, Refusal> {
    match ask.body.optional_hex("customSessionToken")? {
        Some(other) => fxa.accounts.end_other_session(&ask.by, &TokenId(other)).await?,
        None => fxa.accounts.end_session(&ask.by).await?,
    }
    Ok(Done {})
}

/// `POST /v1/session/duplicate`
pub(super) async fn duplicate(
    State(fxa): State<FxaState>,
    ask: Ask<Verified>,
) -> Result<Json<SignedInAnswer>, Refusal> {
    let signed_in = fxa.accounts.duplicate_session(&ask.by.0, &ask.visitor).await?;
    Ok(Json(signed_in.into()))
}

/// `GET /v1/account/sessions`: what is attached says more; tools that ask here want a list.
pub(super) async fn list(_: Ask<Session>) -> Json<Value> {
    Json(json!([]))
}
