//! Doors that see the plain password: Basic authentication, the User API, pages without script.
//!
//! The password is stretched on arrival as a client stretches it, with the address the account was stretched with, and
//! from there on it is the same thing. An account has several names here, each of them a row: its addresses, their
//! hashed forms, and a name its owner chose.
//!
//! - [`open`]: proving a password, and the store of old clients
//! - [`change`]: making an account, another password, another address, the end
//! - [`reset`]: another password with a code
//! - [`rules`]: what names, addresses and passwords are like

use std::sync::Arc;

use foxden_model::UserId;

use crate::AccountId;

pub mod change;
pub mod open;
pub mod reset;
pub mod rules;

pub use rules::{belongs, is_address, is_hashed_name, is_weak, name_of};

/// An account's store for old clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyStore {
    /// Whose it is.
    pub account: AccountId,
    /// The store.
    pub user: UserId,
    /// The base URL of its node, without a slash at the end.
    pub node: Arc<str>,
    /// The account's other stores in use on that node, which share its quota.
    pub beside: Box<[UserId]>,
}

/// Where somebody's store for old clients is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeOf {
    /// Nobody is called that.
    Unknown,
    /// At this base URL, without a slash at the end.
    At(Arc<str>),
    /// No node has room now.
    NoRoom,
}

/// What an old client brings to create an account.
#[derive(Clone, Copy)]
pub struct NewPlain<'a> {
    /// The name in the path.
    pub name: &'a str,
    /// The address as its owner spells it.
    pub address: &'a str,
    /// The password.
    pub password: &'a str,
    /// Whether the operator's secret came with it: then sign-up may be closed.
    pub is_authorised: bool,
}

/// Whether whoever resets a password accepts that what browsers of today stored becomes unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Nobody asked.
    NotAsked,
    /// They do.
    Given,
}
