//! Profiles of accounts: display name and picture.

use data_encoding::HEXLOWER;

use crate::register::account;
use crate::{AccountId, Accounts, CredentialError, ProfileError, Role, Unavailable};

/// The greatest picture, in bytes.
const PICTURE: usize = 256 * 1024;
/// The length of a picture's id, in bytes before they are hexadecimal.
const AVATAR_ID: usize = 16;
/// The longest display name, in characters.
const NAME: usize = 256;

/// The profile of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The account.
    pub account: AccountId,
    /// The address in use, as its owner spells it.
    pub address: String,
    /// Whether the address is confirmed.
    pub address_verified: bool,
    /// The display name.
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

impl PictureKind {
    const ALL: [Self; 3] = [Self::Png, Self::Jpeg, Self::WebP];

    /// The kind, by the first bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(b"\xff\xd8\xff") {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::WebP)
        } else {
            None
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::WebP => "webp",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl Accounts {
    /// Returns the profile, or [`CredentialError::Unknown`] if the account was removed.
    pub async fn profile(&self, account: AccountId) -> Result<Profile, CredentialError> {
        let row = account::by_id(&self.0.database, account)
            .await?
            .ok_or(CredentialError::Unknown)?;
        Ok(Profile {
            account,
            address: row.address,
            address_verified: row.address_verified,
            display_name: row.display_name,
            avatar: account::avatar_of(&self.0.database, account).await?,
            locale: row.locale,
            changed_at: row.profile_changed_at,
            created_at: row.created_at,
            is_admin: row.role == Role::Admin,
        })
    }

    /// Changes the display name; an empty one removes it.
    pub async fn set_display_name(&self, account: AccountId, name: &str) -> Result<(), ProfileError> {
        let name = name.trim();
        if name.chars().count() > NAME || name.chars().any(char::is_control) {
            return Err(ProfileError::InvalidName);
        }
        let name = Some(name).filter(|name| !name.is_empty());
        self.transact(
            |tx| async move { Ok(account::set_display_name(&tx, account, name, self.millis()).await?) },
        )
        .await
    }

    /// Keeps a picture of at most 256 KiB instead of the one before, and gives its new id.
    pub async fn set_avatar(&self, account: AccountId, bytes: Vec<u8>) -> Result<String, ProfileError> {
        let kind = PictureKind::of(&bytes).filter(|_| bytes.len() <= PICTURE);
        let kind = kind.ok_or(ProfileError::InvalidPicture)?;
        let bytes = &*bytes;
        self.transact(|tx| async move {
            let id = HEXLOWER.encode(&self.random::<AVATAR_ID>());
            account::put_avatar(&tx, account, &id, kind, bytes).await?;
            account::touch_profile(&tx, account, self.millis()).await?;
            Ok(id)
        })
        .await
    }

    /// Removes the picture if it is that one.
    pub async fn remove_avatar(&self, account: AccountId, id: &str) -> Result<(), Unavailable> {
        if !is_avatar_id(id) {
            return Ok(());
        }
        self.transact(|tx| async move {
            if account::delete_avatar(&tx, account, id).await? > 0 {
                account::touch_profile(&tx, account, self.millis()).await?;
            }
            Ok(())
        })
        .await
    }

    /// The bytes of what [`Self::avatar`] loads, if there is such a picture.
    pub async fn avatar_size(&self, id: &str) -> Result<Option<usize>, Unavailable> {
        if !is_avatar_id(id) {
            return Ok(None);
        }
        let weight = account::avatar_size(&self.0.database, id).await?;
        Ok(weight.map(|bytes| usize::try_from(bytes).unwrap_or(0)))
    }

    /// The picture of that id.
    pub async fn avatar(&self, id: &str) -> Result<Option<Picture>, Unavailable> {
        if !is_avatar_id(id) {
            return Ok(None);
        }
        let found = account::avatar(&self.0.database, id).await?;
        Ok(found.map(|(kind, bytes)| Picture { kind, bytes }))
    }
}

/// Whether it may name a picture. Strangers choose what is looked up, and databases refuse some texts.
fn is_avatar_id(id: &str) -> bool {
    id.len() == 2 * AVATAR_ID
        && id
            .bytes()
            .all(|letter| matches!(letter, b'0'..=b'9' | b'a'..=b'f'))
}
