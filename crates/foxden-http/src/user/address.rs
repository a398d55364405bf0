//! Changes the address of an account, with its password. The name stays.

use axum::response::Response;
use foxden_accounts::legacy::is_address;

use super::UserState;
use super::answer;
use super::api_request::ApiRequest;
use super::refusal::{Refusal, ResponseCode};

/// `POST /user/1.0/{name}/email`: the body is the new address, and so is the answer.
pub(super) async fn change(user: &UserState, request: &ApiRequest) -> Result<Response, Refusal> {
    let password = request.password()?;
    let address = request.body.trim();
    if !is_address(address) {
        return Err(ResponseCode::BadAddress.into());
    }
    user.accounts
        .change_address(&request.name, &password, address, &request.client_info)
        .await?;
    Ok(answer::authenticated_text(address.to_owned()))
}
