//! Accounts: whether one exists, sign-up, sign-in, removal, and keys.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use foxden_accounts::{AccountId, AuthPw, Login, NewAccount, SecretToken, Session, SignInError, SignedIn};
use serde::Serialize;
use serde_json::{Value, json};

use super::FxaState;
use super::answer::{Done, Json};
use super::api_request::ApiRequest;
use super::caller::{KeyFetch, OneTimeToken, Unauthenticated};
use super::refusal::Refusal;
use crate::wire::json_body::{JsonBody, parse_hex};
use crate::wire::remove_account;

/// Maximum length of an address in bytes.
const ADDRESS: usize = 255;
/// Maximum length of an invitation code.
const INVITE: usize = 128;

/// Members of key-stretching version 2 alone.
const SECOND_STRETCHING: [&str; 3] = ["authPWVersion2", "wrapKbVersion2", "clientSalt"];

/// The answer to a sign-in.
#[expect(clippy::struct_excessive_bools, reason = "the protocol has so many")]
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignedInAnswer {
    uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_fetch_token: Option<String>,
    auth_at: i64,
    verified: bool,
    email_verified: bool,
    session_verified: bool,
    metrics_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification_reason: Option<&'static str>,
}

impl From<SignedIn> for SignedInAnswer {
    fn from(signed_in: SignedIn) -> Self {
        let is_verified = signed_in.is_verified();
        let reason = if signed_in.address_verified {
            "login"
        } else {
            "signup"
        };
        let hex = |token: SecretToken| token.to_hex();
        Self {
            uid: signed_in.account.to_string(),
            session_token: signed_in.session_token.map(hex),
            key_fetch_token: signed_in.key_fetch_token.map(hex),
            auth_at: signed_in.auth_at,
            verified: is_verified,
            email_verified: signed_in.address_verified,
            session_verified: signed_in.session_verified,
            metrics_enabled: false,
            verification_method: (!is_verified).then_some("email-otp"),
            verification_reason: (!is_verified).then_some(reason),
        }
    }
}

impl JsonBody {
    /// Returns the address. The accounts validate it.
    pub(super) fn address(&self) -> Result<&str, Refusal> {
        Ok(self.text_within("email", ADDRESS)?)
    }

    /// Returns the proof of the password, which has several names.
    pub(super) fn auth_pw(&self, name: &'static str) -> Result<AuthPw, Refusal> {
        Ok(AuthPw(self.hex(name)?))
    }

    /// Refuses the members of key-stretching version 2. A client whose members were silently ignored would have
    /// keys that the server cannot return.
    pub(super) fn refuse_second_stretching(&self) -> Result<(), Refusal> {
        let found = SECOND_STRETCHING
            .into_iter()
            .find(|name| self.get(name).is_some());
        found.map_or(Ok(()), |name| Err(Refusal::SecondStretching(name)))
    }

    /// Reads a sign-in.
    pub(super) fn login(&self, wants_keys: bool) -> Result<Login, Refusal> {
        Ok(Login {
            address: self.address()?.to_owned(),
            auth_pw: self.auth_pw("authPW")?,
            wants_keys,
        })
    }
}

/// `GET /v1/account/status?uid=`
pub(super) async fn exists(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Json<Value>, Refusal> {
    let uid = request.parameter("uid").ok_or(Refusal::Missing("uid"))?;
    let account = parse_hex(uid).map(AccountId).ok_or(Refusal::Invalid("uid"))?;
    let exists = fxa.accounts.account_exists(account).await?;
    Ok(Json(json!({ "exists": exists })))
}

/// `POST /v1/account/status`
pub(super) async fn status(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Json<Value>, Refusal> {
    let status = fxa
        .accounts
        .address_status(request.body.address()?, &request.client_info)
        .await?;
    let mut answer = json!({ "exists": status.exists });
    if status.exists {
        answer["hasPassword"] = status.has_password.into();
        answer["hasLinkedAccount"] = false.into();
    }
    Ok(Json(answer))
}

/// `POST /v1/account/credentials/status`: every account here uses key-stretching version 1.
pub(super) async fn credentials_status(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Json<Value>, Refusal> {
    let address = request.body.address()?;
    if !fxa
        .accounts
        .address_status(address, &request.client_info)
        .await?
        .exists
    {
        let name = address.to_owned();
        return Err(SignInError::UnknownAccount { name }.into());
    }
    Ok(Json(json!({ "upgradeNeeded": false, "currentVersion": "v1" })))
}

/// `POST /v1/account/create`
pub(super) async fn create(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Json<SignedInAnswer>, Refusal> {
    request.body.refuse_second_stretching()?;
    if request.body.get("wrapKb").is_some() {
        // Accounts of version 1 have their keys from now on.
        return Err(Refusal::SecondStretching("wrapKb"));
    }
    let invite = request.body.optional_text("invite")?;
    if invite.is_some_and(|invite| invite.len() > INVITE) {
        return Err(Refusal::Invalid("invite"));
    }
    let new = NewAccount {
        address: request.body.address()?.to_owned(),
        auth_pw: request.body.auth_pw("authPW")?,
        invite: invite.map(str::to_owned),
        wants_keys: request.wants_keys(),
    };
    let signed_in = fxa.accounts.create(new, &request.client_info).await?;
    Ok(Json(signed_in.into()))
}

/// `POST /v1/account/login`
pub(super) async fn login(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Json<SignedInAnswer>, Refusal> {
    let login = request.body.login(request.wants_keys())?;
    let signed_in = fxa.accounts.login(login, &request.client_info).await?;
    Ok(Json(signed_in.into()))
}

/// `POST /v1/account/destroy`
pub(super) async fn destroy(
    State(fxa): State<FxaState>,
    request: ApiRequest<Option<Session>>,
) -> Result<Done, Refusal> {
    let (address, auth_pw) = (
        request.body.address()?.to_owned(),
        request.body.auth_pw("authPW")?,
    );
    let (by, client_info, accounts) = (request.caller, request.client_info, fxa.accounts.clone());
    // Boxed, so that the future of the request is not as large.
    let removal = Box::pin(async move {
        accounts
            .destroy(by.as_ref(), &address, &auth_pw, &client_info)
            .await
    });
    remove_account(&fxa.task_spawner, fxa.accounts, fxa.storage, removal).await?;
    Ok(Done {})
}

/// `GET /v1/account/keys`
pub(super) async fn keys(
    State(fxa): State<FxaState>,
    request: ApiRequest<OneTimeToken<KeyFetch>>,
) -> Result<Json<Value>, Refusal> {
    let bundle = fxa.accounts.fetch_keys(&request.caller.ticket).await?;
    Ok(Json(json!({ "bundle": bundle })))
}

/// `GET /v1/account`: there are no subscriptions.
pub(super) async fn subscriptions(_: ApiRequest<Session>) -> Json<Value> {
    Json(json!({ "subscriptions": [] }))
}

/// `POST /v1/get_random_bytes`
pub(super) async fn random_bytes(State(fxa): State<FxaState>) -> Response {
    let mut bytes = [0; 32];
    fxa.rng.fill(&mut bytes);
    Json(json!({ "data": HEXLOWER.encode(&bytes) })).into_response()
}

#[cfg(test)]
mod tests;
