//! Callers: each kind is a type, so that the signature of a handler says who may call it.

use std::marker::PhantomData;

use foxden_accounts::{
    Access, AccountId, CredentialError, CredentialKind, DeviceOwner, NonceError, OneTimeCredential,
    RefreshAccess, Session, TokenId,
};
use ring::hmac;

use super::FxaState;
use super::credentials::Credentials;
use super::raw_request::RawRequest;
use super::refusal::Refusal;
use crate::wire::hawk::{HawkHeader, Signed};

/// How many seconds the clock of a client may differ.
const MAX_SKEW_SECONDS: u64 = 60;

/// A caller of a handler.
pub(super) trait Caller: Sized + Send {
    /// Identifies the caller by its credentials, before its body is read.
    fn identify(
        fxa: &FxaState,
        raw: &RawRequest,
        credentials: &Credentials<'_>,
    ) -> impl Future<Output = Result<Self, Refusal>> + Send;

    /// The authenticated account, if there is one.
    fn account(&self) -> Option<AccountId>;

    /// The authenticated account whose memory share the request takes.
    fn payer(&self) -> Option<AccountId> {
        self.account()
    }
}

/// Any client. Its credentials are ignored.
pub(super) struct Unauthenticated;

/// A confirmed session of an account whose address is confirmed.
pub(super) struct Verified(pub(super) Session);

/// A session, or a refresh token for Sync, with which phones manage their device.
pub(super) enum DeviceCaller {
    Session(Session),
    Refresh(RefreshAccess),
}

/// A session, or an access token.
pub(super) enum ProfileCaller {
    Session(Session),
    Access(Access),
}

/// The holder of a token for a single purpose.
pub(super) struct OneTimeToken<P> {
    pub(super) ticket: OneTimeCredential,
    purpose: PhantomData<P>,
}

/// The purpose of a token.
pub(super) trait TokenPurpose: Send {
    const KIND: CredentialKind;
    /// Whether only the account's owner gets such a token. Any client can begin a reset of any account.
    const PROVES_ACCOUNT: bool = true;
}

/// Fetches the keys.
pub(super) struct KeyFetch;
/// Finishes a password change.
pub(super) struct PasswordChange;
/// Tries codes after the password was forgotten.
pub(super) struct PasswordForgot;
/// Sets a new password.
pub(super) struct AccountReset;

impl TokenPurpose for KeyFetch {
    const KIND: CredentialKind = CredentialKind::KeyFetch;
}

impl TokenPurpose for PasswordChange {
    const KIND: CredentialKind = CredentialKind::PasswordChange;
}

impl TokenPurpose for PasswordForgot {
    const KIND: CredentialKind = CredentialKind::PasswordForgot;
    const PROVES_ACCOUNT: bool = false;
}

impl TokenPurpose for AccountReset {
    const KIND: CredentialKind = CredentialKind::AccountReset;
}

impl Caller for Unauthenticated {
    async fn identify(_: &FxaState, _: &RawRequest, _: &Credentials<'_>) -> Result<Self, Refusal> {
        Ok(Self)
    }

    fn account(&self) -> Option<AccountId> {
        None
    }
}

impl Caller for Session {
    async fn identify(
        fxa: &FxaState,
        raw: &RawRequest,
        credentials: &Credentials<'_>,
    ) -> Result<Self, Refusal> {
        let id = token_id(credentials, CredentialKind::Session)?;
        let session = fxa
            .accounts
            .session(&id)
            .await
            .map_err(unknown("no such session"))?;
        prove(fxa, raw, credentials, &session.auth_key)?;
        Ok(session)
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }
}

impl Caller for Option<Session> {
    async fn identify(
        fxa: &FxaState,
        raw: &RawRequest,
        credentials: &Credentials<'_>,
    ) -> Result<Self, Refusal> {
        match credentials {
            Credentials::Nothing => Ok(None),
            _ => Session::identify(fxa, raw, credentials).await.map(Some),
        }
    }

    fn account(&self) -> Option<AccountId> {
        self.as_ref().map(|session| session.account)
    }
}

impl Caller for Verified {
    async fn identify(
        fxa: &FxaState,
        raw: &RawRequest,
        credentials: &Credentials<'_>,
    ) -> Result<Self, Refusal> {
        let session = Session::identify(fxa, raw, credentials).await?;
        session.require_verified()?;
        Ok(Self(session))
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.0.account)
    }
}

impl Caller for DeviceCaller {
    async fn identify(
        fxa: &FxaState,
        raw: &RawRequest,
        credentials: &Credentials<'_>,
    ) -> Result<Self, Refusal> {
        let Credentials::Bearer(token) = credentials else {
            return Session::identify(fxa, raw, credentials).await.map(Self::Session);
        };
        let access = fxa.accounts.refresh_access(token).await;
        access
            .map(Self::Refresh)
            .map_err(unknown("no such refresh token"))
    }

    fn account(&self) -> Option<AccountId> {
        Some(match self {
            Self::Session(session) => session.account,
            Self::Refresh(access) => access.account,
        })
    }
}

impl Caller for ProfileCaller {
    async fn identify(
        fxa: &FxaState,
        raw: &RawRequest,
        credentials: &Credentials<'_>,
    ) -> Result<Self, Refusal> {
        let Credentials::Bearer(token) = credentials else {
            return Session::identify(fxa, raw, credentials).await.map(Self::Session);
        };
        let access = fxa.accounts.access(token).await;
        access.map(Self::Access).map_err(unknown("no such access token"))
    }

    fn account(&self) -> Option<AccountId> {
        Some(match self {
            Self::Session(session) => session.account,
            Self::Access(access) => access.account,
        })
    }
}

impl Caller for Access {
    async fn identify(
        fxa: &FxaState,
        _: &RawRequest,
        credentials: &Credentials<'_>,
    ) -> Result<Self, Refusal> {
        let Credentials::Bearer(token) = credentials else {
            return Err(Refusal::NoCredential("no access token"));
        };
        let access = fxa.accounts.access(token).await;
        access.map_err(unknown("no such access token"))
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }
}

impl<P: TokenPurpose> Caller for OneTimeToken<P> {
    async fn identify(
        fxa: &FxaState,
        raw: &RawRequest,
        credentials: &Credentials<'_>,
    ) -> Result<Self, Refusal> {
        let id = token_id(credentials, P::KIND)?;
        let ticket = fxa.accounts.one_time_credential(P::KIND, &id).await;
        let ticket = ticket.map_err(unknown("no such token of this kind"))?;
        prove(fxa, raw, credentials, &ticket.auth_key)?;
        Ok(Self {
            ticket,
            purpose: PhantomData,
        })
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.ticket.account)
    }

    fn payer(&self) -> Option<AccountId> {
        P::PROVES_ACCOUNT.then_some(self.ticket.account)
    }
}

impl DeviceCaller {
    /// Returns the owner of the device, if its session is confirmed. An unconfirmed session may only register and
    /// remove a device. Refresh tokens are granted to confirmed sessions alone.
    pub(super) fn confirmed(&self) -> Result<DeviceOwner<'_>, Refusal> {
        if let Self::Session(session) = self {
            session.require_verified()?;
        }
        Ok(self.owner())
    }

    /// Returns the owner of the device.
    pub(super) const fn owner(&self) -> DeviceOwner<'_> {
        match self {
            Self::Session(session) => DeviceOwner::Session(session),
            Self::Refresh(access) => DeviceOwner::Refresh(access),
        }
    }
}

/// Returns the id of the presented token, if it is of the wanted kind. A signature does not contain the kind; the
/// lookup checks it.
fn token_id(credentials: &Credentials<'_>, wanted: CredentialKind) -> Result<TokenId, Refusal> {
    match credentials {
        Credentials::Nothing => Err(Refusal::NoCredential("no authorization header")),
        Credentials::Unusable(why) => Err(Refusal::NoCredential(why)),
        Credentials::Bearer(_) => Err(Refusal::NoCredential("an oauth token does not do here")),
        Credentials::Id(kind, id) if *kind == wanted => Ok(id.clone()),
        Credentials::Id(..) => Err(Refusal::NoCredential("a token of another kind")),
        Credentials::Hawk(header) => id_of(header),
    }
}

fn id_of(header: &HawkHeader<'_>) -> Result<TokenId, Refusal> {
    TokenId::from_hex(header.id).ok_or(Refusal::NoCredential("the hawk id is not a token id"))
}

/// Checks a signature: made with the token's key, at the current time. Its hash of the body is checked later. An id
/// without a signature needs no check.
fn prove(
    fxa: &FxaState,
    raw: &RawRequest,
    credentials: &Credentials<'_>,
    key: &[u8; 32],
) -> Result<(), Refusal> {
    let Credentials::Hawk(header) = credentials else {
        return Ok(());
    };
    check_signature(fxa, raw, header, key)?;
    let now = fxa.clock.seconds();
    if header.ts.abs_diff(now) > MAX_SKEW_SECONDS {
        return Err(Refusal::Skewed(now));
    }
    Ok(())
}

impl Credentials<'_> {
    /// Checks that a valid signature covers this body and was not used before. `account` is the account that it
    /// authenticates, if it does.
    pub(super) async fn verify_body(
        &self,
        fxa: &FxaState,
        raw: &RawRequest,
        account: Option<AccountId>,
        body: &[u8],
    ) -> Result<(), Refusal> {
        let Self::Hawk(header) = self else {
            return Ok(());
        };
        if !header.has_hash_of(raw.content_type(), body) {
            return Err(Refusal::BadSignature("signed for another body"));
        }
        let id = id_of(header)?;
        let accepted = fxa.accounts.accept_nonce(account, &id, header.nonce).await;
        accepted.map_err(|error| match error {
            NonceError::Replayed(error) => error.into(),
            NonceError::Unavailable(error) => error.into(),
        })
    }
}

fn check_signature(
    fxa: &FxaState,
    raw: &RawRequest,
    header: &HawkHeader<'_>,
    key: &[u8; 32],
) -> Result<(), Refusal> {
    let url = &fxa.site.public_url;
    let request = Signed {
        method: raw.parts.method.as_str(),
        path: ["", raw.target()],
        host: url.host(),
        port: url.port(),
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let holds = |host: &str, port| {
        let request = Signed {
            host,
            port,
            ..request
        };
        header.is_signed_with(&key, &request)
    };
    let parts = &raw.parts;
    if fxa.site.is_signed_for(&parts.uri, &parts.headers, holds) {
        Ok(())
    } else {
        Err(Refusal::BadSignature(
            "signed with another key, or for another host, port or path",
        ))
    }
}

/// Turns an unknown token into a missing credential. Other errors stay as they are.
fn unknown(why: &'static str) -> impl Fn(CredentialError) -> Refusal {
    move |error| match error {
        CredentialError::Unknown => Refusal::NoCredential(why),
        CredentialError::Unavailable(error) => error.into(),
    }
}
