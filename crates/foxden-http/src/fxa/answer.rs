//! The account API's answers in JSON.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::wire::memory::Place;
use crate::wire::{print_counted, print_json};

/// An answer in JSON.
pub(super) struct Json<T>(pub(super) T);

/// An answer in JSON that takes a place of memory until the client has it.
pub(super) struct Counted<T>(pub(super) T, pub(super) Option<Place>);

/// The empty success: clients read every body as JSON, so there is one.
#[derive(Serialize)]
pub(super) struct Done {}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        print_json(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize> IntoResponse for Counted<T> {
    fn into_response(self) -> Response {
        print_counted(&self.0, self.1)
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}
