//! The JSON of profiles.

use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;
use data_encoding::HEXLOWER;
use foxden_accounts::{Access, Profile};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::fxa::caller::ProfileCaller;
use crate::fxa::refusal::Refusal;
use crate::wire::{Site, entity_tag};

/// The id of the default picture.
pub(super) const DEFAULT_ID: &str = "default.svg";
/// The default picture: a silhouette.
pub(super) const DEFAULT_PICTURE: &str = concat!(
    r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">"##,
    r##"<rect width="64" height="64" fill="#c9c4bd"/>"##,
    r##"<circle cx="32" cy="25" r="11" fill="#fff"/>"##,
    r##"<path d="M10 64a22 22 0 0 1 44 0z" fill="#fff"/></svg>"##
);

/// Returns the address of the picture. Some clients need one, so there is always a default.
pub(super) fn avatar_of(profile: &Profile, site: &Site) -> String {
    let id = profile.avatar.as_deref().unwrap_or(DEFAULT_ID);
    format!("{}/avatar/{id}", site.public_url.origin())
}

/// Returns the members that the token's scopes cover. A token that covers none is refused.
pub(super) fn print_covered(profile: &Profile, access: &Access, site: &Site) -> Result<Value, Refusal> {
    let mut body = Map::new();
    let uid = profile.account.to_string();
    let mut show = |scope: &str, members: Value| {
        if let (true, Value::Object(members)) = (access.covers(scope), members) {
            body.extend(members.into_iter().filter(|(_, value)| !value.is_null()));
        }
    };
    show("profile:uid", json!({ "uid": uid, "sub": uid }));
    show("profile:email", json!({ "email": profile.address }));
    show("profile:locale", json!({ "locale": profile.locale }));
    show(
        "profile:amr",
        json!({ "amrValues": ["pwd"], "twoFactorAuthentication": false }),
    );
    show(
        "profile:avatar",
        json!({ "avatar": avatar_of(profile, site), "avatarDefault": profile.avatar.is_none() }),
    );
    show(
        "profile:display_name",
        json!({ "displayName": profile.display_name }),
    );
    if body.is_empty() {
        return Err(Refusal::NotCovered);
    }
    body.insert("metricsEnabled".into(), false.into());
    Ok(Value::Object(body))
}

/// Prints the profile in the format of the account API.
pub(super) fn print_account(profile: &Profile, caller: &ProfileCaller) -> Value {
    let covers = |scope: &str| match caller {
        ProfileCaller::Session(_) => true,
        ProfileCaller::Access(access) => access.covers(scope),
    };
    let mut body = json!({ "profileChangedAt": profile.changed_at });
    if covers("profile:email") {
        body["email"] = profile.address.as_str().into();
    }
    if let (true, Some(locale)) = (covers("profile:locale"), &profile.locale) {
        body["locale"] = locale.as_str().into();
    }
    if covers("profile:amr") {
        body["authenticationMethods"] = json!(["pwd", "email"]);
        body["authenticatorAssuranceLevel"] = 1.into();
    }
    body
}

/// Returns an entity tag for this content.
pub(super) fn tag_of(body: &Value) -> String {
    let digest = digest(&SHA256, body.to_string().as_bytes());
    HEXLOWER.encode(&digest.as_ref()[..16])
}

/// Returns whether the client has this content.
pub(super) fn matches_tag(headers: &HeaderMap, tag: &str) -> bool {
    let mut values = headers.get_all(IF_NONE_MATCH).iter();
    values.any(|value| entity_tag::is_named(value.as_bytes(), tag))
}
