//! The answer of the tokenserver.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use foxden_accounts::Assignment;
use foxden_accounts::token::Token;
use serde::Serialize;

use crate::wire::print_json;

/// A token for a store.
#[derive(Serialize)]
pub(super) struct TokenAnswer {
    id: String,
    key: String,
    uid: u64,
    api_endpoint: String,
    duration: u32,
    hashalg: &'static str,
    hashed_fxa_uid: String,
    node_type: Option<&'static str>,
}

impl TokenAnswer {
    pub(super) fn new(
        assignment: Assignment,
        token: &Token,
        duration: u32,
        node_type: Option<&'static str>,
    ) -> Self {
        Self {
            id: token.id.clone(),
            key: token.key.as_str().to_owned(),
            uid: assignment.user.0,
            api_endpoint: assignment.api_endpoint,
            duration,
            hashalg: "sha256",
            hashed_fxa_uid: assignment.hashed_fxa_uid,
            node_type,
        }
    }
}

impl IntoResponse for TokenAnswer {
    fn into_response(self) -> Response {
        print_json(StatusCode::OK, &self)
    }
}
