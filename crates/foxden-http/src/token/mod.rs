//! The tokenserver: exchanges an access token for a store on a node and a short-lived token for it.
//!
//! - [`key_id`]: the key id of the client
//! - [`discovery`]: the discovery document
//! - [`answer`], [`refusal`]: how answers and refusals are printed

mod answer;
pub mod discovery;
mod key_id;
mod refusal;

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Extension, Router};
use foxden_accounts::security::{EntryPoint, Event, EventKind};
use foxden_accounts::token::{Claims, Token, TokenSecrets};
use foxden_accounts::{Accounts, Assignment};
use foxden_model::{Clock, Rng};
use foxden_storage::Storage;

use crate::wire::percent::parameter;
use crate::wire::{Peer, ResponseHeaders, Routes, Site, add_headers};
use answer::TokenAnswer;
use refusal::Refusal;

/// State of the tokenserver.
#[derive(Clone)]
pub struct TokenState {
    /// The accounts, which assign stores.
    pub accounts: Accounts,
    /// The storage of this process, if it has one.
    pub storage: Option<Storage>,
    /// The secrets that sign tokens.
    pub secrets: Arc<TokenSecrets>,
    /// Where this server is found.
    pub site: Arc<Site>,
    /// The clock for the expiry of tokens.
    pub clock: Arc<dyn Clock>,
    /// The source of random bytes in tokens.
    pub rng: Arc<dyn Rng>,
    /// Lifetime of a token in seconds. A client may ask for less.
    pub duration: u32,
    /// The engine of the nodes, for statistics: `sqlite`, or `None` if it is unknown here.
    pub node_type: Option<&'static str>,
}

/// The routes of the tokenserver: at the root, and below `/token` as in older installations. People type the
/// address by hand, and some leave a slash at its end.
pub fn router(state: TokenState) -> Router {
    let (router, labels) = routes().build(state.site.public_url.path());
    let headers_state = ResponseHeaders {
        site: Arc::clone(&state.site),
        clock: Arc::clone(&state.clock),
        time: HeaderName::from_static("x-timestamp"),
        routes: labels,
    };
    router
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
        .layer(from_fn_with_state(headers_state, add_headers))
}

pub(crate) fn routes() -> Routes<TokenState> {
    const TEMPLATES: [&str; 4] = [
        "/1.0/{application}/{version}",
        "/1.0/{application}/{version}/",
        "/token/1.0/{application}/{version}",
        "/token/1.0/{application}/{version}/",
    ];
    Routes::new().routes(&TEMPLATES, &get(issue))
}

/// `GET /1.0/sync/1.5`. The order of the checks is part of the protocol.
async fn issue(
    State(tokens): State<TokenState>,
    Path((application, version)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Result<TokenAnswer, Refusal> {
    refuse_other_services(&application, version)?;
    let issued = tokens.issue(&headers, query.as_deref()).await;
    if let Err(refusal) = &issued
        && refusal.refuses_credentials()
    {
        let from = peer.map(|Extension(peer)| peer.address);
        let event = Event::new(EventKind::TokenRefused, EntryPoint::Token, from);
        tokens.accounts.emit(&event.with_reason(&refusal.why()));
    }
    issued
}

async fn wrong_method() -> Refusal {
    Refusal::WrongMethod
}

impl TokenState {
    async fn issue(&self, headers: &HeaderMap, query: Option<&str>) -> Result<TokenAnswer, Refusal> {
        let client_state = key_id::client_state_header(headers)?;
        let credential = bearer(headers)?;
        let identity = self.accounts.verify_bearer(credential).await?;
        let key_id = key_id::read(headers, client_state)?;
        let assignment = self.accounts.assign(&identity, &key_id).await?;
        self.close_replaced(&assignment).await;

        let seconds = wanted_duration(query, self.duration);
        let token = self.mint(&assignment, seconds);
        Ok(TokenAnswer::new(assignment, &token, seconds, self.node_type))
    }

    /// Empties the store of the former key, where this process has it. The account has its new store whether or not
    /// that succeeds: a chore empties the rest.
    async fn close_replaced(&self, assignment: &Assignment) {
        let (Some(storage), Some(user)) = (&self.storage, assignment.replaced) else {
            return;
        };
        if let Err(error) = storage.close(user).await {
            tracing::warn!(%user, error = &error as &dyn std::error::Error, "a closed store is not empty yet");
        }
    }

    fn mint(&self, assignment: &Assignment, seconds: u32) -> Token {
        let claims = Claims {
            user: assignment.user,
            node: &assignment.node,
            expires: self.clock.seconds() + i64::from(seconds),
            fxa_uid: &assignment.fxa_uid,
            fxa_kid: &assignment.fxa_kid,
            hashed_fxa_uid: Some(&assignment.hashed_fxa_uid),
            hashed_device_id: Some(&assignment.hashed_device_id),
            other_uids: &assignment.other_uids,
            backoff_seconds: assignment.backoff_seconds,
        };
        self.secrets.mint(&claims, &*self.rng)
    }
}

fn refuse_other_services(application: &str, version: String) -> Result<(), Refusal> {
    if application != "sync" {
        return Err(Refusal::OtherApplication);
    }
    if version != "1.5" {
        return Err(Refusal::OtherVersion(version));
    }
    Ok(())
}

/// Returns the bearer token.
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let header = headers.get(header::AUTHORIZATION).ok_or(Refusal::NoCredential)?;
    // A header that is not ASCII has an unknown scheme.
    let text = header.to_str().map_err(|_| Refusal::OtherScheme)?;
    let mut parts = text.split_ascii_whitespace();
    let (Some(scheme), Some(credential)) = (parts.next(), parts.next()) else {
        return Err(Refusal::NoCredential);
    };
    if scheme.eq_ignore_ascii_case("Bearer") {
        Ok(credential)
    } else {
        Err(Refusal::OtherScheme)
    }
}

/// A client may shorten the lifetime of its token; other parameters are ignored.
fn wanted_duration(query: Option<&str>, most: u32) -> u32 {
    let wanted = query.and_then(|query| parameter(query, "duration"));
    let wanted: Option<u32> = wanted.and_then(|text| text.parse().ok());
    wanted
        .filter(|&wanted| 0 < wanted && wanted < most)
        .unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_may_only_shorten() {
        for (query, seconds) in [
            (None, 3600),
            (Some("duration=12"), 12),
            (Some("a=b&duration=3599"), 3599),
            (Some("duration=3600"), 3600),
            (Some("duration=4000"), 3600),
            (Some("duration=lolwut"), 3600),
            (Some("duration=-1"), 3600),
            (Some("duration=0"), 3600),
            (Some("duration="), 3600),
        ] {
            assert_eq!(wanted_duration(query, 3600), seconds, "{query:?}");
        }
    }
}
