//! Profiles, as far as a token covers them, and pictures.

mod wire;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use foxden_accounts::{Access, AccountId, PictureKind, Profile};
use serde_json::{Value, json};

use super::FxaState;
use super::answer::{Done, Json};
use super::api_request::ApiRequest;
use super::caller::{Caller as _, ProfileCaller};
use super::credentials::Credentials;
use super::raw_request::{BodyRules, RawRequest};
use super::refusal::Refusal;
use crate::wire::body::{MemoryFactor, announced_length};
use crate::wire::memory::{Owner, body_with_permit};
use crate::wire::print_json;
use wire::{DEFAULT_ID, DEFAULT_PICTURE, avatar_of, matches_tag, print_covered, tag_of};

/// Maximum size of a picture.
const MAX_PICTURE_BYTES: usize = 256 * 1024;
/// Maximum length of a display name in bytes.
const DISPLAY_NAME: usize = 1024;

impl ProfileCaller {
    /// Returns the account, if the caller's token covers this scope. A session covers all.
    fn account_for(&self, scope: &str) -> Result<AccountId, Refusal> {
        match self {
            Self::Session(session) => {
                session.require_verified()?;
                Ok(session.account)
            }
            Self::Access(access) => {
                require(access, scope)?;
                Ok(access.account)
            }
        }
    }
}

/// `GET /v1/profile`: the members that the token's scopes cover.
pub(super) async fn whole(
    State(fxa): State<FxaState>,
    headers: HeaderMap,
    request: ApiRequest<Access>,
) -> Result<Response, Refusal> {
    let profile = fxa.accounts.profile(request.caller.account).await?;
    let body = print_covered(&profile, &request.caller, &fxa.site)?;
    let tag = tag_of(&body);
    if matches_tag(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, format!("\"{tag}\""))]).into_response());
    }
    Ok(([(ETAG, format!("\"{tag}\""))], print_json(StatusCode::OK, &body)).into_response())
}

/// `GET /v1/email`
pub(super) async fn email(
    State(fxa): State<FxaState>,
    request: ApiRequest<Access>,
) -> Result<Json<Value>, Refusal> {
    let profile = read(&fxa, &request.caller, "profile:email").await?;
    Ok(Json(json!({ "email": profile.address })))
}

/// `GET /v1/uid`
pub(super) async fn uid(request: ApiRequest<Access>) -> Result<Json<Value>, Refusal> {
    require(&request.caller, "profile:uid")?;
    Ok(Json(json!({ "uid": request.caller.account.to_string() })))
}

/// `GET /v1/avatar`
pub(super) async fn avatar(
    State(fxa): State<FxaState>,
    request: ApiRequest<Access>,
) -> Result<Json<Value>, Refusal> {
    let profile = read(&fxa, &request.caller, "profile:avatar").await?;
    let url = avatar_of(&profile, &fxa.site);
    let id = profile.avatar.as_deref().unwrap_or(DEFAULT_ID);
    let is_default = profile.avatar.is_none();
    Ok(Json(
        json!({ "id": id, "url": url, "avatar": url, "avatarDefault": is_default }),
    ))
}

/// `GET /v1/display_name`
pub(super) async fn display_name(
    State(fxa): State<FxaState>,
    request: ApiRequest<Access>,
) -> Result<Response, Refusal> {
    let profile = read(&fxa, &request.caller, "profile:display_name").await?;
    Ok(match profile.display_name {
        Some(name) => Json(json!({ "displayName": name })).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// `POST /v1/display_name`
pub(super) async fn set_display_name(
    State(fxa): State<FxaState>,
    request: ApiRequest<ProfileCaller>,
) -> Result<Done, Refusal> {
    let account = request.caller.account_for("profile:display_name:write")?;
    let name = request.body.text_within("displayName", DISPLAY_NAME)?;
    fxa.accounts.set_display_name(account, name).await?;
    Ok(Done {})
}

/// `POST /v1/avatar/upload`: the body is the picture itself.
pub(super) async fn upload_avatar(
    State(fxa): State<FxaState>,
    request: Request,
) -> Result<Json<Value>, Refusal> {
    let (raw, body) = RawRequest::split(request, &fxa);
    let credentials = Credentials::read(&raw.parts.headers);
    announced_length(&raw.parts.headers, &body, MAX_PICTURE_BYTES)?;
    let caller = ProfileCaller::identify(&fxa, &raw, &credentials).await?;
    let account = caller.account_for("profile:avatar:write")?;
    let rules = BodyRules {
        max_bytes: MAX_PICTURE_BYTES,
        owner: Owner::Account(account),
        memory_factor: MemoryFactor::Copied,
    };
    let (picture, _permit) = raw.read_body(&fxa, body, rules).await?;
    credentials
        .verify_body(&fxa, &raw, Some(account), &picture)
        .await?;
    let id = fxa.accounts.set_avatar(account, picture.into()).await?;
    let url = format!("{}/avatar/{id}", fxa.site.public_url.origin());
    Ok(Json(json!({ "id": id, "url": url })))
}

/// `DELETE /v1/avatar/{id}`
pub(super) async fn remove_avatar(
    State(fxa): State<FxaState>,
    Path(id): Path<String>,
    request: ApiRequest<ProfileCaller>,
) -> Result<Done, Refusal> {
    let account = request.caller.account_for("profile:avatar:write")?;
    fxa.accounts.remove_avatar(account, &id).await?;
    Ok(Done {})
}

/// `GET /avatar/{id}`: the picture, sandboxed.
pub(super) async fn picture(
    State(fxa): State<FxaState>,
    Path(id): Path<String>,
    extensions: Extensions,
) -> Result<Response, Refusal> {
    let (kind, bytes) = if id == DEFAULT_ID {
        ("image/svg+xml", Body::from(DEFAULT_PICTURE))
    } else {
        let weight = fxa
            .accounts
            .avatar_size(&id)
            .await?
            .ok_or(Refusal::UnknownPicture)?;
        let answers = &fxa.memory.answers;
        let permit = answers.take_for_answer(Owner::client(&extensions), weight)?;
        let picture = fxa.accounts.avatar(&id).await?.ok_or(Refusal::UnknownPicture)?;
        let kind = match picture.kind {
            PictureKind::Png => "image/png",
            PictureKind::Jpeg => "image/jpeg",
            PictureKind::WebP => "image/webp",
        };
        (kind, body_with_permit(permit, picture.bytes))
    };
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (CACHE_CONTROL, "public, max-age=3600"),
    ];
    Ok((headers, bytes).into_response())
}

/// `GET /v1/account/profile`: the profile in the format of the account API.
pub(super) async fn of_session(
    State(fxa): State<FxaState>,
    request: ApiRequest<ProfileCaller>,
) -> Result<Json<Value>, Refusal> {
    let profile = match &request.caller {
        ProfileCaller::Session(session) => fxa.accounts.profile(session.account).await?,
        ProfileCaller::Access(access) => fxa.accounts.profile(access.account).await?,
    };
    Ok(Json(wire::print_account(&profile, &request.caller)))
}

async fn read(fxa: &FxaState, access: &Access, scope: &str) -> Result<Profile, Refusal> {
    require(access, scope)?;
    Ok(fxa.accounts.profile(access.account).await?)
}

/// Refuses a token that does not cover the scope.
fn require(access: &Access, scope: &str) -> Result<(), Refusal> {
    if access.covers(scope) {
        Ok(())
    } else {
        Err(Refusal::NotCovered)
    }
}
