//! The address: changed by whoever knows the password. The name stays.

use axum::response::Response;
use foxden_accounts::plain::is_address;

use super::UserState;
use super::answer;
use super::ask::Ask;
use super::refusal::{Refusal, ResponseCode};

/// `POST /user/1.0/{name}/email`: the body is the new address, and so is the answer.
pub(super) async fn change(user: &UserState, ask: &Ask) -> Result<Response, Refusal> {
    let password = ask.password()?;
    let address = ask.body.trim();
    if !is_address(address) {
        return Err(ResponseCode::BadAddress.into());
    }
    user.accounts
        .change_address(&ask.name, &password, address, &ask.visitor)
        .await?;
    Ok(answer::known(address.to_owned()))
}
