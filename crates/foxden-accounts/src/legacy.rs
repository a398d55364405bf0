//! Surfaces that see the plain password: Basic authentication, the User API, pages without script.
//!
//! The password is stretched on arrival with the address that the account was stretched with, as a client does; from
//! there on it is handled like any other. An account has several names here, each of them a row: its addresses, their
//! hashed forms, and a name its owner chose.
//!
//! - [`open`]: verifying a password, and opening the store of old clients
//! - [`store`]: the stores of old clients, and the node of each
//! - [`change`]: creating an account, changing password and address, deleting it
//! - [`reset`]: resetting the password with a code
//! - [`rules`]: the syntax of names, addresses and passwords

use std::sync::Arc;

use foxden_model::UserId;

use crate::AccountId;

pub mod change;
pub mod open;
pub mod reset;
pub mod rules;
pub mod store;

pub use rules::{MIN_PASSWORD_BYTES, belongs, is_address, is_hashed_name, is_weak, name_of};

/// An account's store for old clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyStore {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The store.
    pub user: UserId,
    /// The base URL of its node, without a slash at the end.
    pub node: Arc<str>,
    /// The account's other stores in use on that node, which share its quota.
    pub other_uids: Box<[UserId]>,
}

/// The node of an account's store for old clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeLookup {
    /// No account has that name.
    Unknown,
    /// At this base URL, without a slash at the end.
    At(Arc<str>),
    /// On the node at this base URL, which is out of service.
    Down(Arc<str>),
    /// No node has room now.
    NoCapacity,
}

/// The parameters of a sign-up by an old client.
#[derive(Clone, Copy)]
pub struct NewLegacyAccount<'a> {
    /// The name in the path.
    pub name: &'a str,
    /// The address as its owner spells it.
    pub address: &'a str,
    /// The password.
    pub password: &'a str,
    /// Whether the operator's secret came with it: then sign-up may be closed.
    pub is_authorised: bool,
}

/// Whether the client that resets a password accepts that data of current browsers becomes unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataLossConsent {
    /// The question was not asked.
    NotAsked,
    /// They do.
    Given,
}
