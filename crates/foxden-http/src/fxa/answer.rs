//! The account API's answers in JSON.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::wire::print_json;

/// An answer in JSON.
pub(super) struct Json<T>(pub(super) T);

/// The empty success: clients read every body as JSON, so there is one.
#[derive(Serialize)]
pub(super) struct Done {}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        print_json(StatusCode::OK, &self.0)
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}
