//! The two documents in which browsers find the other services.

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::FxaState;
use super::answer::Json;

/// One hour, after which browsers notice that a server has moved.
const CACHEABLE: [(axum::http::HeaderName, &str); 1] = [(CACHE_CONTROL, "public, max-age=3600")];

/// `GET /.well-known/fxa-client-configuration`
pub(super) async fn client_configuration(State(fxa): State<FxaState>) -> Response {
    let url = &fxa.site.public_url;
    // No trailing slashes: browsers append `/v1`. There is no pairing server.
    let document = json!({
        "auth_server_base_url": url.origin(),
        "oauth_server_base_url": url.origin(),
        "profile_server_base_url": url.origin(),
        "sync_tokenserver_base_url": url.base(),
    });
    (CACHEABLE, Json(document)).into_response()
}

/// `GET /.well-known/openid-configuration`
pub(super) async fn openid_configuration(State(fxa): State<FxaState>) -> Response {
    let origin = fxa.site.public_url.origin();
    let document = json!({
        "issuer": origin,
        "authorization_endpoint": format!("{origin}/authorization"),
        "token_endpoint": format!("{origin}/v1/token"),
        "introspection_endpoint": format!("{origin}/v1/introspect"),
        "revocation_endpoint": format!("{origin}/v1/destroy"),
        "userinfo_endpoint": format!("{origin}/v1/profile"),
        "jwks_uri": format!("{origin}/v1/jwks"),
        "response_types_supported": ["code"],
        "scopes_supported": ["openid", "profile"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    (CACHEABLE, Json(document)).into_response()
}
