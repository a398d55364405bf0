//! OAuth: keys of scopes, codes, tokens, introspection.

mod wire;

use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use foxden_accounts::{CredentialError, Introspection, OAuthError, Session, oauth};
use serde_json::{Map, Value, json};

use super::FxaState;
use super::answer::{Done, Json};
use super::api_request::ApiRequest;
use super::caller::{Unauthenticated, Verified};
use super::refusal::Refusal;
use crate::wire::uri_component;
use wire::{
    CLIENT, GrantedAnswer, SCOPE, STATE, TOKEN, print_introspection, read_authorization, read_token_request,
};

/// The redirect target of browsers that receive the code from the page itself.
const WEBCHANNEL: &str = "urn:ietf:wg:oauth:2.0:oob:oauth-redirect-webchannel";

/// `POST /v1/account/scoped-key-data`
pub(super) async fn scoped_key_data(
    State(fxa): State<FxaState>,
    request: ApiRequest<Verified>,
) -> Result<Json<Map<String, Value>>, Refusal> {
    let client = request.body.text_within("client_id", CLIENT)?;
    let scope = request.body.text_within("scope", SCOPE)?;
    let keys = fxa
        .accounts
        .scoped_key_data(&request.caller.0, client, scope)
        .await?;
    let print = |key: oauth::ScopedKey| {
        let data = json!({
            "identifier": key.identifier,
            "keyRotationSecret": "0".repeat(64),
            "keyRotationTimestamp": key.key_rotation_timestamp,
        });
        (key.identifier.to_owned(), data)
    };
    Ok(Json(keys.into_iter().map(print).collect()))
}

/// `POST /v1/oauth/authorization`
pub(super) async fn authorize(
    State(fxa): State<FxaState>,
    request: ApiRequest<Verified>,
) -> Result<Json<Value>, Refusal> {
    let authorization = read_authorization(&request.body, fxa.site.public_url.origin())?;
    let state = request.body.text_within("state", STATE)?;
    let granted = fxa.accounts.authorize(&request.caller.0, authorization).await?;
    let code = granted.code.to_hex();
    let state_in_query = uri_component(state);
    let redirect = format!("{}?code={code}&state={state_in_query}", granted.redirect_uri);
    Ok(Json(
        json!({ "redirect": redirect, "code": code, "state": state }),
    ))
}

/// `POST /v1/oauth/token` and `POST /v1/token`
pub(super) async fn token(
    State(fxa): State<FxaState>,
    request: ApiRequest<Option<Session>>,
) -> Result<Json<GrantedAnswer>, Refusal> {
    let token_request = read_token_request(&request.body)?;
    if request.caller.is_none() && matches!(token_request.grant, oauth::Grant::Credentials { .. }) {
        return Err(Refusal::NoCredential("this grant needs a session"));
    }
    let granted = fxa
        .accounts
        .grant(request.caller.as_ref(), token_request, &request.client_info)
        .await?;
    Ok(Json(granted.into()))
}

/// `POST /v1/oauth/destroy`: succeeds for an unknown token.
pub(super) async fn destroy(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Done, Refusal> {
    let token = request.body.text_within("token", TOKEN)?;
    fxa.accounts.revoke(token).await?;
    Ok(Done {})
}

/// `POST /v1/destroy`: tells whether the token existed.
pub(super) async fn bare_destroy(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Done, Refusal> {
    let was_there = if let Some(id) = request.body.optional_text("refresh_token_id")? {
        fxa.accounts.revoke_refresh_id(id).await?
    } else {
        let names = ["access_token", "refresh_token"];
        let given = names.into_iter().find(|name| request.body.get(name).is_some());
        let token = request.body.text_within(given.unwrap_or("token"), TOKEN)?;
        fxa.accounts.revoke(token).await?
    };
    if was_there {
        Ok(Done {})
    } else {
        Err(CredentialError::Unknown.into())
    }
}

/// `POST /v1/verify`: for a tokenserver in another process.
pub(super) async fn verify(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Json<Value>, Refusal> {
    let access = fxa
        .accounts
        .access(request.body.text_within("token", TOKEN)?)
        .await?;
    Ok(Json(json!({
        "user": access.account.to_string(),
        "client_id": access.client,
        "scope": access.scope,
        "generation": access.generation,
        "profile_changed_at": access.profile_changed_at,
        "issuer": fxa.accounts.issuer(),
    })))
}

/// `POST /v1/introspect`
pub(super) async fn introspect(
    State(fxa): State<FxaState>,
    request: ApiRequest<Unauthenticated>,
) -> Result<Json<Value>, Refusal> {
    let token = request.body.text("token")?;
    let found = if token.len() <= TOKEN {
        fxa.accounts.introspect(token).await?
    } else {
        Introspection::Inactive
    };
    Ok(Json(print_introspection(found)))
}

/// `GET /v1/jwks`: empty, as access tokens are opaque.
pub(super) async fn jwks() -> Json<Value> {
    Json(json!({ "keys": [] }))
}

/// `GET /v1/client/{id}` and `GET /v1/oauth/client/{id}`
pub(super) async fn client(Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let unknown = || OAuthError::UnknownClient { client: id.clone() };
    let client = oauth::client(&id).ok_or_else(unknown)?;
    Ok(Json(json!({
        "id": client.id,
        "name": client.name,
        "trusted": true,
        "redirect_uri": WEBCHANNEL,
        "image_uri": null,
    })))
}

/// `GET /v1/authorization`: redirects a browser to the page at the root.
pub(super) async fn navigate(RawQuery(query): RawQuery) -> Response {
    let target = format!("/?{}", query.unwrap_or_default());
    (StatusCode::FOUND, [(header::LOCATION, target)]).into_response()
}
