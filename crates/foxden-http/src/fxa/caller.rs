//! Who asks: each kind of caller is a type, so that a handler's signature says who may call it.

use std::marker::PhantomData;

use foxden_accounts::{
    Access, AccountId, CredentialError, DeviceOwner, Kind, RefreshAccess, Session, Ticket, TokenId,
};
use ring::hmac;

use super::FxaState;
use super::credential::Presented;
use super::incoming::Incoming;
use super::refusal::Refusal;
use crate::wire::hawk::{HawkHeader, Signed};

/// How far a client's clock may be off, in seconds, either way.
const SKEW: u64 = 60;

/// Somebody who may call a handler.
pub(super) trait Caller: Sized + Send {
    /// Finds out whether the one who presented this is one, before its body is read.
    fn identify(
        fxa: &FxaState,
        incoming: &Incoming,
        presented: &Presented<'_>,
    ) -> impl Future<Output = Result<Self, Refusal>> + Send;

    /// The account that was proven, if any was.
    fn account(&self) -> Option<AccountId>;

    /// The account that has proven itself and so bears what the request costs.
    fn payer(&self) -> Option<AccountId> {
        self.account()
    }
}

/// Anybody; what they present is not looked at.
pub(super) struct Anyone;

/// A session that is confirmed, and so is its account's address.
pub(super) struct Verified(pub(super) Session);

/// A session, or a refresh token that covers Sync, as phones use it for their device.
pub(super) enum DeviceCaller {
    Session(Session),
    Refresh(RefreshAccess),
}

/// A session, or an access token.
pub(super) enum ProfileCaller {
    Session(Session),
    Access(Access),
}

/// Whoever holds a token that is good for one thing.
pub(super) struct Holder<P> {
    pub(super) ticket: Ticket,
    purpose: PhantomData<P>,
}

/// What a token is good for.
pub(super) trait Purpose: Send {
    const KIND: Kind;
    /// Whether the token was given to who proved an account. Anybody may begin a reset of any.
    const IS_PROOF: bool = true;
}

/// Fetches the keys.
pub(super) struct KeyFetch;
/// Finishes a change of password.
pub(super) struct PasswordChange;
/// Tries codes after a password was forgotten.
pub(super) struct PasswordForgot;
/// Sets a new password.
pub(super) struct AccountReset;

impl Purpose for KeyFetch {
    const KIND: Kind = Kind::KeyFetch;
}

impl Purpose for PasswordChange {
    const KIND: Kind = Kind::PasswordChange;
}

impl Purpose for PasswordForgot {
    const KIND: Kind = Kind::PasswordForgot;
    const IS_PROOF: bool = false;
}

impl Purpose for AccountReset {
    const KIND: Kind = Kind::AccountReset;
}

impl Caller for Anyone {
    async fn identify(_: &FxaState, _: &Incoming, _: &Presented<'_>) -> Result<Self, Refusal> {
        Ok(Self)
    }

    fn account(&self) -> Option<AccountId> {
        None
    }
}

impl Caller for Session {
    async fn identify(
        fxa: &FxaState,
        incoming: &Incoming,
        presented: &Presented<'_>,
    ) -> Result<Self, Refusal> {
        let id = shown_id(presented, Kind::Session)?;
        let session = fxa
            .accounts
            .session(&id)
            .await
            .map_err(unknown("no such session"))?;
        prove(fxa, incoming, presented, &session.auth_key)?;
        Ok(session)
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }
}

impl Caller for Option<Session> {
    async fn identify(
        fxa: &FxaState,
        incoming: &Incoming,
        presented: &Presented<'_>,
    ) -> Result<Self, Refusal> {
        match presented {
            Presented::Nothing => Ok(None),
            _ => Session::identify(fxa, incoming, presented).await.map(Some),
        }
    }

    fn account(&self) -> Option<AccountId> {
        self.as_ref().map(|session| session.account)
    }
}

impl Caller for Verified {
    async fn identify(
        fxa: &FxaState,
        incoming: &Incoming,
        presented: &Presented<'_>,
    ) -> Result<Self, Refusal> {
        let session = Session::identify(fxa, incoming, presented).await?;
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
        incoming: &Incoming,
        presented: &Presented<'_>,
    ) -> Result<Self, Refusal> {
        let Presented::Bearer(token) = presented else {
            return Session::identify(fxa, incoming, presented)
                .await
                .map(Self::Session);
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
        incoming: &Incoming,
        presented: &Presented<'_>,
    ) -> Result<Self, Refusal> {
        let Presented::Bearer(token) = presented else {
            return Session::identify(fxa, incoming, presented)
                .await
                .map(Self::Session);
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
    async fn identify(fxa: &FxaState, _: &Incoming, presented: &Presented<'_>) -> Result<Self, Refusal> {
        let Presented::Bearer(token) = presented else {
            return Err(Refusal::NoCredential("no access token"));
        };
        let access = fxa.accounts.access(token).await;
        access.map_err(unknown("no such access token"))
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }
}

impl<P: Purpose> Caller for Holder<P> {
    async fn identify(
        fxa: &FxaState,
        incoming: &Incoming,
        presented: &Presented<'_>,
    ) -> Result<Self, Refusal> {
        let id = shown_id(presented, P::KIND)?;
        let ticket = fxa.accounts.ticket(P::KIND, &id).await;
        let ticket = ticket.map_err(unknown("no such token of this kind"))?;
        prove(fxa, incoming, presented, &ticket.auth_key)?;
        Ok(Self {
            ticket,
            purpose: PhantomData,
        })
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.ticket.account)
    }

    fn payer(&self) -> Option<AccountId> {
        P::IS_PROOF.then_some(self.ticket.account)
    }
}

impl DeviceCaller {
    /// The owner, if its session is confirmed: before that it may register a device, remove it, and no more. A refresh
    /// token was granted to one that was.
    pub(super) fn confirmed(&self) -> Result<DeviceOwner<'_>, Refusal> {
        if let Self::Session(session) = self {
            session.require_verified()?;
        }
        Ok(self.owner())
    }

    /// The owner of the device, as the accounts know it.
    pub(super) const fn owner(&self) -> DeviceOwner<'_> {
        match self {
            Self::Session(session) => DeviceOwner::Session(session),
            Self::Refresh(access) => DeviceOwner::Refresh(access),
        }
    }
}

/// The id of the token that was presented, when it is of the kind that is asked for. A signature does not
/// tell the kind; there the look-up does.
fn shown_id(presented: &Presented<'_>, wanted: Kind) -> Result<TokenId, Refusal> {
    match presented {
        Presented::Nothing => Err(Refusal::NoCredential("no authorization header")),
        Presented::Unusable(why) => Err(Refusal::NoCredential(why)),
        Presented::Bearer(_) => Err(Refusal::NoCredential("an oauth token does not do here")),
        Presented::Id(kind, id) if *kind == wanted => Ok(id.clone()),
        Presented::Id(..) => Err(Refusal::NoCredential("a token of another kind")),
        Presented::Hawk(header) => id_of(header),
    }
}

fn id_of(header: &HawkHeader<'_>) -> Result<TokenId, Refusal> {
    TokenId::from_hex(header.id).ok_or(Refusal::NoCredential("the hawk id is not a token id"))
}

/// Checks the signature, where there is one: made with the token's key, and now. What it says of the body is checked once
/// that has come. An id shown in place of a signature proves itself.
fn prove(
    fxa: &FxaState,
    incoming: &Incoming,
    presented: &Presented<'_>,
    key: &[u8; 32],
) -> Result<(), Refusal> {
    let Presented::Hawk(header) = presented else {
        return Ok(());
    };
    check_signature(fxa, incoming, header, key)?;
    let now = fxa.clock.seconds();
    if header.ts.abs_diff(now) > SKEW {
        return Err(Refusal::Skewed(now));
    }
    Ok(())
}

impl Presented<'_> {
    /// Checks that a signature that holds is one for this body, and was not seen before. `account`: the one that is proven by
    /// it, if one is.
    pub(super) fn vouch_for(
        &self,
        fxa: &FxaState,
        incoming: &Incoming,
        account: Option<AccountId>,
        body: &[u8],
    ) -> Result<(), Refusal> {
        let Self::Hawk(header) = self else {
            return Ok(());
        };
        if !header.vouches_for(incoming.content_type(), body) {
            return Err(Refusal::BadSignature("signed for another body"));
        }
        let id = id_of(header)?;
        Ok(fxa.accounts.accept_nonce(account, &id, header.nonce)?)
    }
}

fn check_signature(
    fxa: &FxaState,
    incoming: &Incoming,
    header: &HawkHeader<'_>,
    key: &[u8; 32],
) -> Result<(), Refusal> {
    let url = &fxa.site.public_url;
    let request = Signed {
        method: incoming.parts.method.as_str(),
        path: ["", incoming.target()],
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
    let parts = &incoming.parts;
    if fxa.site.is_signed_for(&parts.uri, &parts.headers, holds) {
        Ok(())
    } else {
        Err(Refusal::BadSignature(
            "signed with another key, or for another host, port or path",
        ))
    }
}

/// Names a credential that is unknown; other failures stay what they are.
fn unknown(why: &'static str) -> impl Fn(CredentialError) -> Refusal {
    move |error| match error {
        CredentialError::Unknown => Refusal::NoCredential(why),
        CredentialError::Unavailable(error) => error.into(),
    }
}
