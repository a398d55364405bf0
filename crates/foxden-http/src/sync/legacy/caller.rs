//! Authenticates 1.x requests by name and password. The accounts cache recent log-ins.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use foxden_accounts::LegacyStore;
use foxden_accounts::security::{EntryPoint, Event, EventKind};

use super::LegacyState;
use super::refusal::Refusal;
use crate::sync::SyncState;
use crate::wire::{Basic, NoBasic, Peer, client_info};

/// Checks that the caller may open the store of that name, and that it is on this node.
pub(super) async fn authenticate(
    sync: &SyncState,
    legacy: &LegacyState,
    parts: &Parts,
    peer: Option<Peer>,
    name: &str,
) -> Result<Arc<LegacyStore>, Refusal> {
    let basic = Basic::read(&parts.headers)?;
    if !basic.is_for(name) {
        let why = "the credentials are not those of the user in the path";
        let from = peer.map(|peer| peer.address);
        let event = Event::new(EventKind::StorageRefused, EntryPoint::Basic, from).with_subject(&basic.name);
        let event = event.with_request(parts.method.as_str(), parts.uri.path());
        sync.security_events.emit(&event.with_reason(why));
        return Err(Refusal::Unauthorized { why: why.into() });
    }
    let store = match legacy.accounts.cached_store(name, &basic.password) {
        Some(store) => store,
        // Boxed, so that the future of a cached log-in is not as large as that of another.
        None => Box::pin(open(sync, legacy, parts, peer, name, &basic.password)).await?,
    };
    if *store.node != *legacy.node {
        let why = format!(
            "the store is at node {}, this node is {}",
            store.node, legacy.node
        );
        return Err(Refusal::Unauthorized { why: why.into() });
    }
    Ok(store)
}

async fn open(
    sync: &SyncState,
    legacy: &LegacyState,
    parts: &Parts,
    peer: Option<Peer>,
    name: &str,
    password: &str,
) -> Result<Arc<LegacyStore>, Refusal> {
    let mut request = Request::from_parts(parts.clone(), Body::empty());
    if let Some(peer) = peer {
        request.extensions_mut().insert(peer);
    }
    let client_info = client_info(&request, &sync.site, EntryPoint::Basic);
    Ok(legacy.accounts.open_store(name, password, &client_info).await?)
}

impl From<NoBasic> for Refusal {
    fn from(error: NoBasic) -> Self {
        Self::Unauthorized {
            why: error.to_string().into(),
        }
    }
}
