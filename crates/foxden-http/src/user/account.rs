//! Accounts: whether a name is taken, made, removed; the node of their storage.

use axum::response::Response;
use foxden_accounts::plain::{NewPlain, NodeOf, belongs, is_address, is_hashed_name, is_weak};
use foxden_accounts::{SignUp, Visitor};

use super::UserState;
use super::answer;
use super::ask::{self, Ask};
use super::guard;
use super::refusal::{Refusal, ResponseCode};
use crate::wire::json_body::JsonBody;
use crate::wire::remove_account;

/// What a client sends for a new account.
struct NewAccountBody(JsonBody);

/// `GET /user/1.0/{name}`: clients compare the one byte of the answer.
pub(super) async fn is_taken(user: &UserState, ask: &Ask) -> Result<Response, Refusal> {
    let is_taken = user.accounts.is_name_taken(&ask.name, &ask.visitor).await?;
    Ok(answer::text(if is_taken { "1" } else { "0" }))
}

/// `PUT /user/1.0/{name}`. The order of the checks is part of the protocol.
pub(super) async fn create(user: &UserState, ask: &Ask) -> Result<Response, Refusal> {
    let is_authorised = user.is_authorised(ask)?;
    if !is_authorised && !user.takes_strangers(&ask.visitor) {
        return Err(ResponseCode::NotSupported.into());
    }
    let is_taken = if is_authorised {
        user.accounts.name_exists(&ask.name).await?
    } else {
        user.accounts.is_name_taken(&ask.name, &ask.visitor).await?
    };
    if is_taken {
        return Err(ResponseCode::Overwrites.into());
    }
    let new_account = NewAccountBody::parse(&ask.body)?;
    let address = new_account.address(&ask.name, user.is_strict_about_names)?;
    let password = new_account.password(&ask.name)?;
    let pass = if is_authorised {
        None
    } else {
        guard::check(user, ask, &new_account.response())?
    };
    let new = NewPlain {
        name: &ask.name,
        address,
        password,
        is_authorised,
    };
    let created = user.accounts.create_plain(new, &ask.visitor).await;
    if created.is_err() {
        guard::give_back(user, pass);
    }
    created?;
    Ok(answer::text(ask.name.clone()))
}

/// `DELETE /user/1.0/{name}`
pub(super) async fn remove(user: &UserState, ask: Ask) -> Result<Response, Refusal> {
    let password = ask.password()?;
    let accounts = user.accounts.clone();
    let removal = async move { accounts.destroy_plain(&ask.name, &password, &ask.visitor).await };
    let (accounts, storage) = (user.accounts.clone(), user.storage.clone());
    remove_account(&user.to_the_end, accounts, storage, removal).await?;
    Ok(answer::known("1"))
}

/// `GET /user/1.0/{name}/node/weave`: credentials, if any came, are not looked at.
pub(super) async fn node(user: &UserState, ask: &Ask) -> Result<Response, Refusal> {
    match user.accounts.node_of(&ask.name, &ask.visitor).await? {
        NodeOf::At(base) => Ok(answer::text(node_address(&base))),
        NodeOf::NoRoom => Ok(answer::null()),
        NodeOf::Unknown => Err(Refusal::UnknownName),
    }
}

/// The address as clients need it: they put a version right behind the slash. A row may be older than this server and hold a
/// host alone.
fn node_address(base: &str) -> String {
    let scheme = if base.starts_with("http") { "" } else { "https://" };
    format!("{scheme}{}/", base.trim_end_matches('/'))
}

impl UserState {
    /// Whether the operator sent this. Whoever guesses the word is counted, and in the end not heard.
    fn is_authorised(&self, ask: &Ask) -> Result<bool, Refusal> {
        let secret = self.admin_secret.as_ref();
        match secret.zip(ask.header("x-weave-secret")) {
            Some((secret, shown)) => {
                let is_right = || secret.is(shown);
                Ok(self.accounts.take_admin_secret(is_right, &ask.visitor)?)
            }
            None => Ok(false),
        }
    }

    /// Whether this visitor may sign up without the operator's word.
    fn takes_strangers(&self, visitor: &Visitor) -> bool {
        self.accounts.sign_up_policy(visitor) == SignUp::Open
    }
}

impl NewAccountBody {
    fn parse(body: &str) -> Result<Self, Refusal> {
        let parsed = JsonBody::parse(body.as_bytes()).map_err(|_| ResponseCode::BadJson);
        parsed.map(Self).map_err(Refusal::from)
    }

    /// The address, if it may belong to that name.
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

    fn response(&self) -> ask::Response {
        ask::Response {
            challenge: self.0.text_or_empty("captcha-challenge").to_owned(),
            answer: self.0.text_or_empty("captcha-response").to_owned(),
        }
    }
}
