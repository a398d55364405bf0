//! What an account shows of its owner.

use crate::{AccountError, AccountId, Accounts};

/// What an account shows of its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The account.
    pub account: AccountId,
    /// The address in use, as its owner spells it.
    pub address: String,
    /// Whether the address is confirmed.
    pub address_verified: bool,
    /// What the owner wants to be called.
    pub display_name: Option<String>,
    /// The picture's id.
    pub avatar: Option<String>,
    /// The language asked for at sign-up.
    pub locale: Option<String>,
    /// When any of this last changed, in milliseconds.
    pub changed_at: i64,
    /// When the account was created, in milliseconds.
    pub created_at: i64,
    /// Whether the owner is an administrator.
    pub is_admin: bool,
}

/// The kinds of pictures that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureKind {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    WebP,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// By its first bytes.
    pub kind: PictureKind,
    /// As it came.
    pub bytes: Vec<u8>,
}

impl Accounts {
    /// What the account shows; `UnknownToken` when it is gone.
    pub async fn profile(&self, account: AccountId) -> Result<Profile, AccountError> {
        todo!()
    }

    /// Changes the display name; an empty one removes it.
    pub async fn set_display_name(&self, account: AccountId, name: &str) -> Result<(), AccountError> {
        todo!()
    }

    /// Keeps a picture of at most 256 KiB instead of the one before, and gives its new id.
    pub async fn set_avatar(&self, account: AccountId, bytes: Vec<u8>) -> Result<String, AccountError> {
        todo!()
    }

    /// Removes the picture if it is that one.
    pub async fn remove_avatar(&self, account: AccountId, id: &str) -> Result<(), AccountError> {
        todo!()
    }

    /// The picture of that id.
    pub async fn avatar(&self, id: &str) -> Result<Option<Picture>, AccountError> {
        todo!()
    }
}
