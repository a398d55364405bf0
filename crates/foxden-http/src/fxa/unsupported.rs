//! Features that clients ask for and this server does not offer. Each answer is what clients of that feature
//! understand.

use foxden_accounts::Session;
use serde_json::{Value, json};

use super::answer::Json;
use super::api_request::ApiRequest;
use super::refusal::Refusal;

/// `GET /v1/totp/exists`: no account has a second factor.
pub(super) async fn totp_exists(_: ApiRequest<Session>) -> Json<Value> {
    Json(json!({ "exists": false, "verified": false }))
}

/// Other routes of the second factor.
pub(super) async fn totp(_: ApiRequest<Session>) -> Refusal {
    Refusal::NotSupported
}

/// `POST /v1/recoveryKey/exists`: no account has a recovery key. Clients ask with a session or an address.
pub(super) async fn recovery_key_exists(_: ApiRequest<Option<Session>>) -> Json<Value> {
    Json(json!({ "exists": false }))
}

/// A feature that is not offered.
pub(super) async fn feature() -> Refusal {
    Refusal::NotSupported
}

/// A feature that was removed from the protocol.
pub(super) async fn removed() -> Refusal {
    Refusal::Gone
}
