//! Links to pages, for mails and terminals. `origin` is that of the public address.
//!
//! Codes are in the fragment, which browsers do not send, so that no log contains them. The form for old clients works
//! without scripts and needs its code in the query.

use crate::wire::uri_component;

/// The page on which an invitation makes an account.
pub(super) const INVITE: &str = "/invite";
/// The page that confirms an address.
pub(super) const CONFIRM_ADDRESS: &str = "/confirm_address";
/// The page that sets a new password.
pub(super) const RESET_PASSWORD: &str = "/reset_password";
/// The form that sets a new password in an old client.
pub(super) const LEGACY_RESET: &str = "/weave-password-reset";

/// The link with which an invitation makes an account.
pub fn invitation(origin: &str, code: &str) -> String {
    format!("{origin}{INVITE}#{code}")
}

/// The link with which the owner of an account sets a password, made by the operator.
pub fn set_password(origin: &str, code: &str) -> String {
    format!("{origin}{RESET_PASSWORD}#{code}")
}

/// The link with which the owner of an account sets a new password, after asking for it with `address`.
pub fn reset_password(origin: &str, token: &str, code: &str, address: &str) -> String {
    let address = uri_component(address);
    format!("{origin}{RESET_PASSWORD}#{token}.{code}.{address}")
}

/// The page on which people ask for a new password.
pub fn reset_page(origin: &str) -> String {
    format!("{origin}{RESET_PASSWORD}")
}

/// The link that confirms the address of an account.
pub fn confirm_address(origin: &str, account: &str, code: &str) -> String {
    format!("{origin}{CONFIRM_ADDRESS}#{account}.{code}")
}

/// The link to the form on which the owner of an account sets a new password in an old client.
pub fn legacy_reset(origin: &str, name: &str, code: &str) -> String {
    let name = uri_component(name);
    format!("{origin}{LEGACY_RESET}?username={name}&key={code}")
}
