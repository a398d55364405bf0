//! The JSON of requests for codes and tokens, and of their answers.

use foxden_accounts::oauth::{
    Access, AccessType, AuthorizationRequest, Grant, Granted, Introspection, RefreshAccess, TokenRequest,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::fxa::refusal::Refusal;
use crate::wire::json_body::JsonBody;

/// Maximum length of a client id.
pub(super) const CLIENT: usize = 64;
/// Maximum length of a list of scopes.
pub(super) const SCOPE: usize = 1024;
/// Maximum length of a state.
pub(super) const STATE: usize = 256;
/// Maximum length of a token. Valid ones have 64 digits.
pub(super) const TOKEN: usize = 2048;
/// Maximum length of encrypted keys.
const KEYS_JWE: usize = 4096;
/// Maximum length of a redirect address.
const REDIRECT: usize = 512;
/// Maximum length of a challenge or verifier.
const PROOF: usize = 128;
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const REFRESH_TYPE: &str = "urn:ietf:params:oauth:token-type:refresh_token";

/// The answer to a grant.
#[derive(Serialize)]
pub(in crate::fxa) struct GrantedAnswer {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_token: Option<String>,
    token_type: &'static str,
    scope: String,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys_jwe: Option<String>,
}

impl From<Granted> for GrantedAnswer {
    fn from(granted: Granted) -> Self {
        Self {
            access_token: granted.access_token.to_hex(),
            refresh_token: granted.refresh_token.map(|token| token.to_hex()),
            session_token: granted.session_token.map(|token| token.to_hex()),
            token_type: "bearer",
            scope: granted.scope,
            expires_in: granted.expires_in,
            auth_at: granted.auth_at,
            keys_jwe: granted.keys_jwe,
        }
    }
}

impl JsonBody {
    fn owned_within(&self, name: &'static str, most: usize) -> Result<Option<String>, Refusal> {
        match self.optional_text(name)? {
            Some(text) if text.len() > most => Err(Refusal::Invalid(name)),
            text => Ok(text.map(str::to_owned)),
        }
    }

    fn access_type(&self) -> Result<AccessType, Refusal> {
        match self.optional_text("access_type")? {
            None | Some("online") => Ok(AccessType::Online),
            Some("offline") => Ok(AccessType::Offline),
            Some(_) => Err(Refusal::Invalid("access_type")),
        }
    }

    fn scope(&self) -> Result<String, Refusal> {
        Ok(self.text_within("scope", SCOPE)?.to_owned())
    }
}

/// Reads the authorization that a page requests for a browser.
pub(super) fn read_authorization(body: &JsonBody, origin: String) -> Result<AuthorizationRequest, Refusal> {
    if body
        .optional_text("response_type")?
        .is_some_and(|kind| kind != "code")
    {
        return Err(Refusal::WrongResponseType);
    }
    Ok(AuthorizationRequest {
        client: body.text_within("client_id", CLIENT)?.to_owned(),
        scope: body.scope()?,
        access_type: body.access_type()?,
        code_challenge: body.owned_within("code_challenge", PROOF)?,
        code_challenge_method: body.owned_within("code_challenge_method", PROOF)?,
        keys_jwe: body.owned_within("keys_jwe", KEYS_JWE)?,
        redirect_uri: body.owned_within("redirect_uri", REDIRECT)?,
        origin,
    })
}

/// Reads a token request. Members that belong to another grant are ignored: some clients send them.
pub(super) fn read_token_request(body: &JsonBody) -> Result<TokenRequest, Refusal> {
    let grant_type = body.optional_text("grant_type")?;
    let grant = match grant_type.unwrap_or("authorization_code") {
        "authorization_code" => Grant::Code {
            code: body.text_within("code", TOKEN)?.to_owned(),
            verifier: body.owned_within("code_verifier", PROOF)?,
        },
        "refresh_token" => Grant::Refresh {
            token: body.text_within("refresh_token", TOKEN)?.to_owned(),
            scope: body.owned_within("scope", SCOPE)?,
        },
        "fxa-credentials" => Grant::Credentials {
            scope: body.scope()?,
            access_type: body.access_type()?,
        },
        EXCHANGE => {
            if body.text("subject_token_type")? != REFRESH_TYPE {
                return Err(Refusal::Invalid("subject_token_type"));
            }
            Grant::Exchange {
                token: body.text_within("subject_token", TOKEN)?.to_owned(),
                scope: body.scope()?,
            }
        }
        _ => return Err(Refusal::UnknownGrantType),
    };
    let client = body.owned_within("client_id", CLIENT)?;
    if client.is_none() && !matches!(grant, Grant::Exchange { .. }) {
        return Err(Refusal::Missing("client_id"));
    }
    Ok(TokenRequest {
        client,
        grant,
        ttl: body.optional_number("ttl")?,
    })
}

/// Prints what a token's introspection tells.
pub(super) fn print_introspection(found: Introspection) -> Value {
    match found {
        Introspection::Access(Access {
            account,
            client,
            scope,
            issued_at,
            expires,
            ..
        }) => json!({
            "active": true, "scope": scope.join(" "), "client_id": client, "token_type": "access_token",
            "exp": expires, "iat": issued_at, "sub": account.to_string(),
        }),
        Introspection::Refresh(RefreshAccess {
            account,
            client,
            scope,
            issued_at,
            public_id,
        }) => json!({
            "active": true, "scope": scope.join(" "), "client_id": client, "token_type": "refresh_token",
            "iat": issued_at, "sub": account.to_string(), "jti": public_id,
        }),
        Introspection::Inactive => json!({ "active": false }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_another_grant_are_ignored() {
        let body = br#"{"grant_type":"fxa-credentials","client_id":"e7ce535d93522896","scope":"profile",
            "refresh_token":7,"code":[]}"#;
        let request = read_token_request(&JsonBody::parse(body).unwrap()).unwrap();
        assert!(matches!(request.grant, Grant::Credentials { scope, .. } if scope == "profile"));
    }

    #[test]
    fn a_grant_without_a_name_is_that_of_a_code() {
        let body = br#"{"client_id":"e7ce535d93522896","code":"00","code_verifier":"v"}"#;
        let request = read_token_request(&JsonBody::parse(body).unwrap()).unwrap();
        assert!(matches!(request.grant, Grant::Code { .. }));
        let body = br#"{"grant_type":"password"}"#;
        let refused = read_token_request(&JsonBody::parse(body).unwrap());
        assert!(matches!(refused, Err(Refusal::UnknownGrantType)));
    }
}
