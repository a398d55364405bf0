//! Accounts: whether a name is taken, creation, removal, and the node of an account's storage.

use axum::response::Response;
use foxden_accounts::legacy::{NewLegacyAccount, NodeLookup, belongs, is_address, is_hashed_name, is_weak};
use foxden_accounts::{ClientInfo, SignUp};

use super::UserState;
use super::answer;
use super::api_request::{self, ApiRequest};
use super::captcha;
use super::refusal::{Refusal, ResponseCode};
use crate::wire::json_body::JsonBody;
use crate::wire::remove_account;

/// The body of a request for a new account.
struct NewAccountBody(JsonBody);

/// `GET /user/1.0/{name}`: clients compare the one byte of the answer.
pub(super) async fn is_taken(user: &UserState, request: &ApiRequest) -> Result<Response, Refusal> {
    let is_taken = user
        .accounts
        .is_name_taken(&request.name, &request.client_info)
        .await?;
    Ok(answer::text(if is_taken { "1" } else { "0" }))
}

/// `PUT /user/1.0/{name}`. The order of the checks is part of the protocol.
pub(super) async fn create(user: &UserState, request: &ApiRequest) -> Result<Response, Refusal> {
    let is_authorised = user.is_authorised(request)?;
    if !is_authorised && !user.is_sign_up_open(&request.client_info) {
        return Err(ResponseCode::NotSupported.into());
    }
    let is_taken = if is_authorised {
        user.accounts.name_exists(&request.name).await?
    } else {
        user.accounts
            .is_name_taken(&request.name, &request.client_info)
            .await?
    };
    if is_taken {
        return Err(ResponseCode::Overwrites.into());
    }
    let new_account = NewAccountBody::parse(&request.body)?;
    let address = new_account.address(&request.name, user.is_strict_about_names)?;
    let password = new_account.password(&request.name)?;
    let pass = if is_authorised {
        None
    } else {
        captcha::check(user, request, &new_account.response()).await?
    };
    let new = NewLegacyAccount {
        name: &request.name,
        address,
        password,
        is_authorised,
    };
    let created = user.accounts.create_legacy(new, &request.client_info).await;
    if created.is_err() {
        captcha::restore(user, pass).await;
    }
    created?;
    Ok(answer::text(request.name.clone()))
}

/// `DELETE /user/1.0/{name}`
pub(super) async fn remove(user: &UserState, request: ApiRequest) -> Result<Response, Refusal> {
    let password = request.password()?;
    let accounts = user.accounts.clone();
    let removal = async move {
        accounts
            .delete_legacy(&request.name, &password, &request.client_info)
            .await
    };
    let (accounts, storage) = (user.accounts.clone(), user.storage.clone());
    remove_account(&user.task_spawner, accounts, storage, removal).await?;
    Ok(answer::authenticated_text("1"))
}

/// `GET /user/1.0/{name}/node/weave`: credentials are ignored.
pub(super) async fn node(user: &UserState, request: &ApiRequest) -> Result<Response, Refusal> {
    match user.accounts.node_of(&request.name, &request.client_info).await? {
        NodeLookup::At(base) => Ok(answer::text(node_address(&base))),
        NodeLookup::NoCapacity => Ok(answer::null()),
        NodeLookup::Down(node) => Err(Refusal::NodeDown(node)),
        NodeLookup::Unknown => Err(Refusal::UnknownName),
    }
}

/// Returns the node's URL as clients need it: they append a version right after the slash. Rows of older servers
/// may hold a host alone.
fn node_address(base: &str) -> String {
    let scheme = if base.starts_with("http") { "" } else { "https://" };
    format!("{scheme}{}/", base.trim_end_matches('/'))
}

impl UserState {
    /// Returns whether the operator sent the request. Wrong secrets are counted, and refused beyond a limit.
    fn is_authorised(&self, request: &ApiRequest) -> Result<bool, Refusal> {
        let secret = self.admin_secret.as_ref();
        match secret.zip(request.header("x-weave-secret")) {
            Some((secret, given)) => {
                let is_secret = || secret.matches(given);
                Ok(self.accounts.take_admin_secret(is_secret, &request.client_info)?)
            }
            None => Ok(false),
        }
    }

    /// Returns whether a client may sign up without the operator's secret.
    fn is_sign_up_open(&self, client_info: &ClientInfo) -> bool {
        self.accounts.sign_up_policy(client_info) == SignUp::Open
    }
}

impl NewAccountBody {
    fn parse(body: &str) -> Result<Self, Refusal> {
        let parsed = JsonBody::parse(body.as_bytes()).map_err(|_| ResponseCode::BadJson);
        parsed.map(Self).map_err(Refusal::from)
    }

    /// Returns the address, if it may belong to the name.
    fn address(&self, name: &str, is_strict: bool) -> Result<&str, Refusal> {
        let address = self.0.text_or_empty("email");
        if !is_address(address) {
            return Err(ResponseCode::BadAddress.into());
        }
        if (is_strict || is_hashed_name(name)) && !belongs(name, address) {
            return Err(ResponseCode::OtherAddress.into());
        }
        Ok(address)
    }

    fn password(&self, name: &str) -> Result<&str, Refusal> {
        let password = self.0.text_or_empty("password");
        if password.is_empty() {
            return Err(ResponseCode::NoPassword.into());
        }
        if is_weak(name, password) {
            return Err(ResponseCode::WeakPassword.into());
        }
        Ok(password)
    }

    fn response(&self) -> api_request::Response {
        api_request::Response {
            challenge: self.0.text_or_empty("captcha-challenge").to_owned(),
            answer: self.0.text_or_empty("captcha-response").to_owned(),
        }
    }
}
