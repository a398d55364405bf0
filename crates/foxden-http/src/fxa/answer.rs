//! JSON answers of the account API.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::wire::memory::MemoryPermit;
use crate::wire::{print_counted, print_json};

/// A JSON answer.
pub(super) struct Json<T>(pub(super) T);

/// A JSON answer that holds a memory permit until the client has received it.
pub(super) struct CountedJson<T>(pub(super) T, pub(super) Option<MemoryPermit>);

/// An empty object: clients parse every body as JSON.
#[derive(Serialize)]
pub(super) struct Done {}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        print_json(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize> IntoResponse for CountedJson<T> {
    fn into_response(self) -> Response {
        print_counted(&self.0, self.1)
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}
