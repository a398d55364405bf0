//! What clients ask for and this server does not offer: the answers say so in each feature's own way.

use foxden_accounts::Session;
use serde_json::{Value, json};

use super::answer::Json;
use super::ask::Ask;
use super::refusal::Refusal;

/// `GET /v1/totp/exists`: nobody has a second step.
pub(super) async fn totp_exists(_: Ask<Session>) -> Json<Value> {
    Json(json!({ "exists": false, "verified": false }))
}

/// Anything else about a second step.
pub(super) async fn totp(_: Ask<Session>) -> Refusal {
    Refusal::Off
}

/// `POST /v1/recoveryKey/exists`: nobody has a recovery key; asked with a session or with an address.
pub(super) async fn recovery_key_exists(_: Ask<Option<Session>>) -> Json<Value> {
    Json(json!({ "exists": false }))
}

/// A feature that is not there, whoever asks.
pub(super) async fn feature() -> Refusal {
    Refusal::Off
}

/// What nobody offers any more.
pub(super) async fn retired() -> Refusal {
    Refusal::Retired
}
