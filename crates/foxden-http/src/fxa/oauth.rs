//! OAuth: keys of scopes, codes, tokens, and what others may learn of them.

mod wire;

use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use foxden_accounts::{CredentialError, Introspection, OAuthError, Session, oauth};
use serde_json::{Map, Value, json};

use super::FxaState;
use super::answer::{Done, Json};
use super::ask::Ask;
use super::caller::{Anyone, Verified};
use super::refusal::Refusal;
use crate::wire::uri_component;
use wire::{
    CLIENT, GrantedAnswer, SCOPE, STATE, TOKEN, print_introspection, read_authorization, read_token_request,
};

/// Where a code goes when the page hands it to the browser itself.
const WEBCHANNEL: &str = "urn:ietf:wg:oauth:2.0:oob:oauth-redirect-webchannel";

/// `POST /v1/account/scoped-key-data`
pub(super) async fn scoped_key_data(
    State(fxa): State<FxaState>,
    ask: Ask<Verified>,
) -> Result<Json<Map<String, Value>>, Refusal> {
    let client = ask.body.text_within("client_id", CLIENT)?;
    let scope = ask.body.text_within("scope", SCOPE)?;
    let keys = fxa.accounts.scoped_key_data(&ask.by.0, client, scope).await?;
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
    ask: Ask<Verified>,
) -> Result<Json<Value>, Refusal> {
    let request = read_authorization(&ask.body, fxa.site.public_url.origin())?;
    let state = ask.body.text_within("state", STATE)?;
    let granted = fxa.accounts.authorize(&ask.by.0, request).await?;
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
    ask: Ask<Option<Session>>,
) -> Result<Json<GrantedAnswer>, Refusal> {
    let request = read_token_request(&ask.body)?;
    if ask.by.is_none() && matches!(request.grant, oauth::Grant::Credentials { .. }) {
        return Err(Refusal::NoCredential("this grant needs a session"));
    }
    let granted = fxa.accounts.grant(ask.by.as_ref(), request, &ask.visitor).await?;
    Ok(Json(granted.into()))
}

/// `POST /v1/oauth/destroy`: a token that is not there is as good as destroyed.
pub(super) async fn destroy(State(fxa): State<FxaState>, ask: Ask<Anyone>) -> Result<Done, Refusal> {
    let token = ask.body.text_within("token", TOKEN)?;
    fxa.accounts.revoke(token).await?;
    Ok(Done {})
}

/// `POST /v1/destroy`, which tells whether there was one.
pub(super) async fn bare_destroy(State(fxa): State<FxaState>, ask: Ask<Anyone>) -> Result<Done, Refusal> {
    let was_there = if let Some(id) = ask.body.optional_text("refresh_token_id")? {
        fxa.accounts.revoke_refresh_id(id).await?
    } else {
        let names = ["access_token", "refresh_token"];
        let given = names.into_iter().find(|name| ask.body.get(name).is_some());
        let token = ask.body.text_within(given.unwrap_or("token"), TOKEN)?;
        fxa.accounts.revoke(token).await?
    };
    if was_there {
        Ok(Done {})
    } else {
        Err(CredentialError::Unknown.into())
    }
}

/// `POST /v1/verify`: for a tokenserver that stands elsewhere.
pub(super) async fn verify(State(fxa): State<FxaState>, ask: Ask<Anyone>) -> Result<Json<Value>, Refusal> {
    let access = fxa.accounts.access(ask.body.text_within("token", TOKEN)?).await?;
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
    ask: Ask<Anyone>,
) -> Result<Json<Value>, Refusal> {
    let token = ask.body.text("token")?;
    let found = if token.len() <= TOKEN {
        fxa.accounts.introspect(token).await?
    } else {
        Introspection::Inactive
    };
    Ok(Json(print_introspection(found)))
}

/// `GET /v1/jwks`: access tokens are opaque here, so nobody needs a key to read them.
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

/// `GET /v1/authorization`: a browser was sent here; the page is at the root.
pub(super) async fn navigate(RawQuery(query): RawQuery) -> Response {
    let target = format!("/?{}", query.unwrap_or_default());
    (StatusCode::FOUND, [(header::LOCATION, target)]).into_response()
}
