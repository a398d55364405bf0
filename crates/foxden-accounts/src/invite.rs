//! Invitations: codes that let one person create an account.

use data_encoding::BASE64URL_NOPAD;
use foxden_sql::Tx;

use crate::address::Address;
use crate::mail::{Envelope, Mail};
use crate::register::{account, invitation};
use crate::security::{Event, EventKind};
use crate::{AccountId, Accounts, ClientInfo, OperatorError, SignUpError, Unavailable, secret};

const WEEK_SECONDS: u64 = 7 * 24 * 3600;
const HOUR_SECONDS: u64 = 3600;
/// The longest an invitation may last.
const YEAR_SECONDS: u64 = 366 * 24 * 3600;
/// The longest note, in characters.
const NOTE: usize = 200;

/// The roles of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Uses the server.
    Member,
    /// May also administer the server.
    Admin,
}

/// An invitation, without its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// A number that identifies it in commands.
    pub id: i64,
    /// The role of the new account.
    pub role: Role,
    /// For whom it is meant; a note for the operator.
    pub note: String,
    /// In milliseconds.
    pub created_at: i64,
    /// In milliseconds.
    pub expires: i64,
    /// Whether it dies with the first account.
    pub is_first: bool,
    /// The account it became.
    pub used_by: Option<AccountId>,
    /// To whom it was mailed, in the form in which names are compared.
    pub address: Option<String>,
}

impl Role {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Member, Self::Admin]
            .into_iter()
            .find(|role| role.word() == word)
    }
}

impl Accounts {
    /// Makes an invitation and gives its code: single use, `seconds` long (`None`: seven days).
    pub async fn invite(&self, role: Role, note: &str, seconds: Option<u64>) -> Result<String, Unavailable> {
        self.transact(|tx| async move {
            let (code, _) = self.add_invitation(&tx, role, note, seconds).await?;
            Ok(code)
        })
        .await
    }

    /// Creates an invitation like [`Accounts::invite`], and mails it to that address.
    pub async fn invite_by_mail(
        &self,
        role: Role,
        note: &str,
        seconds: Option<u64>,
        address: &str,
    ) -> Result<String, OperatorError> {
        if !self.0.options.sends_mail {
            return Err(OperatorError::NoMail);
        }
        let (address, batch) = (&Address::to_get(address)?, &self.batch());
        self.transact(|tx| async move {
            let (code, invitation) = self.add_invitation(&tx, role, note, seconds).await?;
            invitation::set_address(&tx, invitation.id, &address.normal()).await?;
            let mail = Mail::Invitation { code: code.clone() };
            let envelope = Envelope {
                kind: mail.kind(),
                address: address.as_str(),
                account: None,
                invitation: Some(invitation.id),
                expires: Some(invitation.expires),
            };
            match self.permit_notice(&tx, batch, envelope).await? {
                Ok(permit) => self.queue_mail(&tx, permit, &mail).await?,
                Err(mailed) => mailed,
            }
            .require()?;
            Ok(code)
        })
        .await
    }

    /// The code of an invitation for the first account, an administrator's: good for an hour, until the first account is
    /// there. A new one replaces the one before; `None` once there is an account.
    pub async fn first_invitation(&self) -> Result<Option<String>, Unavailable> {
        self.transact(|tx| async move {
            if account::count(&tx).await? > 0 {
                return Ok(None);
            }
            invitation::delete_first(&tx).await?;
            let (code, invitation) = self.new_invitation(Role::Admin, "", HOUR_SECONDS, true);
            invitation::insert(&tx, &code_hash(&code), &invitation).await?;
            Ok(Some(code))
        })
        .await
    }

    /// All invitations, newest first.
    pub async fn invitations(&self) -> Result<Vec<Invitation>, Unavailable> {
        Ok(invitation::all(&self.0.database).await?)
    }

    /// Takes an invitation back; says whether it was there.
    pub async fn revoke_invitation(&self, id: i64) -> Result<bool, Unavailable> {
        self.transact(|tx| async move { Ok(invitation::delete(&tx, id).await? > 0) })
            .await
    }

    /// The invitation with that code, if it would be taken; wrong ones are counted against the client's network.
    pub(crate) async fn open_invitation(
        &self,
        code: &str,
        client: &ClientInfo,
    ) -> Result<Invitation, SignUpError> {
        let attempt = self.code_attempt(client);
        let now = self.millis();
        let Some(found) = invitation::open(&self.0.database, &code_hash(code), now).await? else {
            let wrong = Event::from_client(client, EventKind::CodeRefused).with_reason("no such invitation");
            return Err(attempt.fail(&wrong, SignUpError::UnknownInvitation));
        };
        attempt.succeed();
        Ok(found)
    }

    async fn add_invitation(
        &self,
        tx: &Tx,
        role: Role,
        note: &str,
        seconds: Option<u64>,
    ) -> Result<(String, Invitation), Unavailable> {
        let seconds = seconds.unwrap_or(WEEK_SECONDS);
        let (code, mut invitation) = self.new_invitation(role, note, seconds, false);
        invitation.id = invitation::insert(tx, &code_hash(&code), &invitation).await?;
        Ok((code, invitation))
    }

    fn new_invitation(&self, role: Role, note: &str, seconds: u64, is_first: bool) -> (String, Invitation) {
        let now = self.millis();
        let life = i64::try_from(seconds.min(YEAR_SECONDS)).unwrap_or(0) * 1000;
        let invitation = Invitation {
            id: 0,
            role,
            note: note.chars().take(NOTE).collect(),
            created_at: now,
            expires: now + life,
            is_first,
            used_by: None,
            address: None,
        };
        (self.new_code(), invitation)
    }

    /// A code that fits into a link.
    pub(crate) fn new_code(&self) -> String {
        BASE64URL_NOPAD.encode(&self.random::<16>())
    }
}

/// The hash of a code, as it is stored.
pub(crate) fn code_hash(code: &str) -> String {
    secret::hash(code.trim().as_bytes())
}
