//! Signing in, and what it gives.

use foxden_sql::Tx;

use crate::address::Address;
use crate::attempt::Tries;
use crate::directory::Checked;
use crate::limits::Counted;
use crate::nonce::Now;
use crate::register::account::{AccountRow, Verifier};
use crate::register::session::SessionRow;
use crate::register::token::TokenRow;
use crate::register::{account, event, session, token};
use crate::security::{Event, What};
use crate::verifier::Proof;
use crate::wrong::{ProofKey, Told};
use crate::{
    AccountError, AccountId, Accounts, Attempt, AuthPw, Kind, SecretToken, SecurityEvent, SignedIn, TokenId,
    Visitor, secret,
};

/// How stale the note of a session's last use may be: it spares a write with each request.
const TOUCH_MILLIS: i64 = 5 * 60_000;
const KEY_FETCH_MILLIS: i64 = 60 * 60_000;
/// Sessions an account keeps, and credentials of other kinds; the oldest make room.
pub(crate) const KEPT: u32 = 500;
/// Characters kept of what a client calls itself.
const USER_AGENT: usize = 200;

/// What a client brings to sign in.
#[derive(Clone, Debug)]
pub struct Login {
    /// The address the password was stretched with.
    pub address: String,
    /// The proof.
    pub auth_pw: AuthPw,
    /// Whether the client asked for a key-fetch token.
    pub wants_keys: bool,
}

/// A signed-in device or page.
#[derive(Clone)]
pub struct Session {
    /// Whose it is.
    pub account: AccountId,
    /// The Hawk key.
    pub auth_key: [u8; 32],
    /// When the password was last proven, in seconds.
    pub auth_at: i64,
    /// Whether the account's address is confirmed.
    pub address_verified: bool,
    /// Whether the session itself is confirmed.
    pub session_verified: bool,
    /// The name others may know it by; opens nothing.
    pub public_id: String,
}

impl Session {
    /// Whether address and session are both confirmed.
    pub const fn is_verified(&self) -> bool {
        self.address_verified && self.session_verified
    }

    /// Refuses a session that is not confirmed.
    pub const fn require_verified(&self) -> Result<(), AccountError> {
        match (self.address_verified, self.session_verified) {
            (false, _) => Err(AccountError::AddressUnverified),
            (true, false) => Err(AccountError::SessionUnverified),
            (true, true) => Ok(()),
        }
    }
}

impl Accounts {
    /// Signs in: limits, then the account, then the password, then the spelling of the address.
    pub async fn login(&self, login: Login, visitor: &Visitor) -> Result<SignedIn, AccountError> {
        let proven = self.prove(&login.address, &login.auth_pw, visitor).await?;
        let harder = self.harder(&proven, &login.auth_pw).await?;

        let (proven, harder) = (&proven, harder.as_ref());
        self.transact(|tx| async move {
            let row = unchanged(&tx, proven).await?;
            if let Some(verifier) = harder {
                account::set_hash(&tx, row.uid, verifier).await?;
            }
            let signed_in = self
                .sign_in(&tx, &row, &proven.proof, login.wants_keys, visitor)
                .await?;
            self.note(&tx, row.uid, "login", visitor).await?;
            Ok(signed_in)
        })
        .await
    }

    /// Proves the password again for a session that exists.
    pub async fn reauth(
        &self,
        session: &Session,
        login: Login,
        visitor: &Visitor,
    ) -> Result<SignedIn, AccountError> {
        let proven = self.prove(&login.address, &login.auth_pw, visitor).await?;
        if proven.row.uid != session.account {
            return Err(AccountError::UnknownAccount {
                address: login.address,
            });
        }
        let proven = &proven;
        self.transact(|tx| async move {
            let row = unchanged(&tx, proven).await?;
            let auth_at = self.proven_at(&row);
            if session::set_auth_at(&tx, &session.public_id, auth_at).await? == 0 {
                return Err(AccountError::UnknownToken);
            }
            let key_fetch_token = if login.wants_keys {
                Some(self.new_key_fetch(&tx, &row, &proven.proof).await?)
            } else {
                None
            };
            Ok(SignedIn {
                account: row.uid,
                session_token: None,
                key_fetch_token,
                auth_at,
                address_verified: row.address_verified,
                session_verified: session.session_verified,
            })
        })
        .await
    }

    /// The session with that token id, for Hawk and for `Bearer fxs_`.
    pub async fn session(&self, id: &TokenId) -> Result<Session, AccountError> {
        let id_hash = secret::hash(&id.0);
        let found = session::get(&self.0.database, &id_hash).await?;
        let (row, address_verified) = found.ok_or(AccountError::UnknownToken)?;
        let now = self.millis();
        if now - row.last_used > TOUCH_MILLIS {
            let id_hash = &id_hash;
            self.transact(|tx| async move { Ok(session::touch(&tx, id_hash, now).await?) })
                .await?;
        }
        Ok(Session {
            account: row.uid,
            auth_key: row.auth_key,
            auth_at: row.auth_at,
            address_verified,
            session_verified: row.verified,
            public_id: row.id_hash,
        })
    }

    /// Ends the session, its device and what it was granted.
    pub async fn end_session(&self, session: &Session) -> Result<(), AccountError> {
        self.delete_session(session, &session.public_id).await
    }

    /// Ends another session of the same account, named by its token id.
    pub async fn end_other_session(&self, session: &Session, other: &TokenId) -> Result<(), AccountError> {
        self.delete_session(session, &secret::hash(&other.0)).await
    }

    /// A new session like this one, which must not have ended meanwhile: what a new password ends would live on.
    pub async fn duplicate_session(
        &self,
        session: &Session,
        visitor: &Visitor,
    ) -> Result<SignedIn, AccountError> {
        self.transact(|tx| async move {
            if session::get(&tx, &session.public_id).await?.is_none() {
                return Err(AccountError::UnknownToken);
            }
            let token = self.insert_session(
                &tx,
                session.account,
                session.auth_at,
                session.session_verified,
                visitor,
            );
            Ok(SignedIn {
                account: session.account,
                session_token: Some(token.await?),
                key_fetch_token: None,
                auth_at: session.auth_at,
                address_verified: session.address_verified,
                session_verified: session.session_verified,
            })
        })
        .await
    }

    /// Refuses a nonce that this credential used within the time in which requests are accepted.
    /// `Err` is [`AccountError::Replayed`].
    pub fn accept_nonce(
        &self,
        account: Option<AccountId>,
        id: &TokenId,
        nonce: &str,
    ) -> Result<(), AccountError> {
        let now = Now {
            wall: self.millis(),
            steady: self.steady(),
        };
        self.0.nonces.accept(account, id, nonce, now)
    }

    /// Checks a password: limits, then the account, then the password, and only then the spelling of the address. A
    /// right proof passes under any name of the account; a wrong one that was made with another spelling than the one
    /// that was stretched is told that one. Every door that takes a proof comes through here.
    ///
    /// What a failure says tells who is here. A network that was told so too often is told the same of every name.
    pub(crate) async fn prove(
        &self,
        address: &str,
        auth_pw: &AuthPw,
        visitor: &Visitor,
    ) -> Result<Proven, AccountError> {
        let address = Address::new(address)?;
        let row = account::by_name(&self.0.database, &address.normal()).await?;
        let account = row.as_ref().map(|row| row.uid);
        let failed = Event {
            account,
            ..Event::by(visitor, What::LoginFailed).about(address.as_str())
        };
        let from = visitor.network();
        let proof = self.0.wrong.key(row.as_ref(), &address.normal(), auth_pw, from);
        let outcome = self.try_proof(&address, row, (auth_pw, proof), visitor).await;
        let why = match &outcome {
            Err(AccountError::UnknownAccount { .. }) => "unknown name",
            Err(AccountError::OtherSpelling { .. }) => "wrong password, another spelling",
            Err(AccountError::WrongPassword { .. }) => "wrong password",
            Err(AccountError::NoPassword) => "no password set yet",
            Err(AccountError::Disabled) => {
                self.tell(&failed.because("switched off"));
                return outcome;
            }
            Ok(_) | Err(_) => return outcome,
        };
        self.tell(&failed.because(why));
        // What was told of this proof before tells nothing new.
        if self.0.wrong.recall(proof) == Some(Told::All) {
            return outcome;
        }
        let may_tell = self.spend_visitor(Counted::Answer, visitor).is_ok()
            || matches!(outcome, Err(AccountError::OtherSpelling { .. }))
                && self.spend_visitor(Counted::Spelling, visitor).is_ok();
        if !may_tell {
            let address = address.as_str().to_owned();
            return Err(AccountError::WrongPassword { address });
        }
        self.0.wrong.keep(proof, Told::All);
        outcome
    }

    /// Checks a proof for whoever was found by that address. What it says of a wrong one is not yet for strangers.
    async fn try_proof(
        &self,
        address: &Address,
        row: Option<AccountRow>,
        (auth_pw, proof): (&AuthPw, ProofKey),
        visitor: &Visitor,
    ) -> Result<Proven, AccountError> {
        let network = visitor.network();
        let stretched = row.as_ref().map(|row| row.stretched_address.clone());
        let tries = Tries::new(address.as_str(), row.as_ref().map(|row| row.uid), visitor);
        let locked = Event::by(visitor, What::LoginLocked).about(address.as_str());
        let attempt = self.attempt(tries).inspect_err(|_| self.tell(&locked))?;
        let has_no_password = row.as_ref().is_some_and(|row| row.verifier.is_none());
        let misspelt = row
            .as_ref()
            .and_then(|row| self.misspelt(row, address.as_str(), network, attempt.tries()));
        let outcome = if self.0.wrong.is_known(proof) {
            let address = address.as_str().to_owned();
            Err(match &row {
                Some(_) => AccountError::WrongPassword { address },
                None => AccountError::UnknownAccount { address },
            })
        } else {
            let (accounts, account) = (self.clone(), row.as_ref().map(|row| row.uid));
            let attempt = attempt.then(move |is_right| {
                if !is_right {
                    accounts.0.wrong.keep(proof, Told::Nothing);
                }
                if let Some(account) = account {
                    accounts.settle_spelling(account, network, misspelt, is_right);
                }
            });
            self.weigh(attempt, row, auth_pw, address.as_str()).await
        };
        match (outcome, misspelt, stretched) {
            // Told only now: to find it out takes as long as to find any other wrong.
            (Err(AccountError::WrongPassword { .. }), _, _) if has_no_password => {
                Err(AccountError::NoPassword)
            }
            (Err(AccountError::WrongPassword { .. }), Some(_), Some(address)) => {
                Err(AccountError::OtherSpelling { address })
            }
            (outcome, _, _) => outcome,
        }
    }

    /// Checks the password of whoever was found by that name, or does as much for nobody.
    pub(crate) async fn weigh(
        &self,
        attempt: Attempt,
        row: Option<AccountRow>,
        auth_pw: &AuthPw,
        name: &str,
    ) -> Result<Proven, AccountError> {
        let person = match &row {
            // By the name that led to the row: the address that was stretched may lead to another account.
            Some(_) => self.0.directory.find(name).await?,
            None => None,
        };
        // The password was changed between the two questions: what is proven must be what the row holds.
        let known = person.as_ref().map(|person| (person.account, &person.verifier));
        if known != row.as_ref().map(|row| (row.uid, &row.verifier)) {
            return Err(AccountError::Busy);
        }
        let checked = self.0.directory.check(person.as_ref(), auth_pw, attempt).await?;
        let address = name.to_owned();
        match (row, checked) {
            (None, _) => Err(AccountError::UnknownAccount { address }),
            (Some(_), Checked::Wrong) => Err(AccountError::WrongPassword { address }),
            (Some(row), Checked::Right(_)) if row.disabled => Err(AccountError::Disabled),
            (Some(row), Checked::Right(unlocked)) => Ok(Proven {
                row,
                proof: unlocked.0,
            }),
        }
    }

    /// A new session of the account, and a key-fetch token if one is wanted.
    pub(crate) async fn sign_in(
        &self,
        tx: &Tx,
        row: &AccountRow,
        proof: &Proof,
        wants_keys: bool,
        visitor: &Visitor,
    ) -> Result<SignedIn, AccountError> {
        let auth_at = self.proven_at(row);
        let verified = row.address_verified;
        let session_token = self
            .insert_session(tx, row.uid, auth_at, verified, visitor)
            .await?;
        let key_fetch_token = if wants_keys {
            Some(self.new_key_fetch(tx, row, proof).await?)
        } else {
            None
        };
        Ok(SignedIn {
            account: row.uid,
            session_token: Some(session_token),
            key_fetch_token,
            auth_at,
            address_verified: verified,
            session_verified: verified,
        })
    }

    /// When a password that was proven just now was proven, in seconds: never before the key changed. The clock may have
    /// been ahead when the key changed, and a session that is older than the key gets none.
    fn proven_at(&self, row: &AccountRow) -> i64 {
        self.0.clock.seconds().max(row.keys_changed_at / 1000)
    }

    pub(crate) async fn insert_session(
        &self,
        tx: &Tx,
        uid: AccountId,
        auth_at: i64,
        verified: bool,
        visitor: &Visitor,
    ) -> Result<SecretToken, AccountError> {
        let now = self.millis();
        let (token, secrets) = self.new_secrets(Kind::Session);
        let row = SessionRow {
            id_hash: secret::hash(&secrets.id.0),
            auth_key: secrets.auth_key,
            uid,
            created_at: now,
            last_used: now,
            auth_at,
            verified,
            user_agent: visitor.user_agent.chars().take(USER_AGENT).collect(),
        };
        session::trim_oldest(tx, uid, KEPT - 1).await?;
        session::insert(tx, &row).await?;
        Ok(token)
    }

    /// A key-fetch token with its bundle: the keys themselves are encrypted before they are stored.
    pub(crate) async fn new_key_fetch(
        &self,
        tx: &Tx,
        row: &AccountRow,
        proof: &Proof,
    ) -> Result<SecretToken, AccountError> {
        let (token, secrets) = self.new_secrets(Kind::KeyFetch);
        let verifier = row.verifier.as_ref().ok_or(AccountError::NoPassword)?;
        let bundle = secrets.bundle(&row.ka, &proof.unwrap(&verifier.wrap_wrap_kb).0);
        let row = TokenRow {
            id_hash: secret::hash(&secrets.id.0),
            kind: Kind::KeyFetch,
            auth_key: secrets.auth_key,
            uid: row.uid,
            is_of_nobody: false,
            data: Some(bundle.to_vec()),
            tries: 1,
            expires: self.millis() + KEY_FETCH_MILLIS,
        };
        token::trim_oldest(tx, row.uid, KEPT - 1).await?;
        token::insert(tx, row).await?;
        Ok(token)
    }

    /// Writes down that something happened to the account.
    pub(crate) async fn note(
        &self,
        tx: &Tx,
        uid: AccountId,
        kind: &str,
        visitor: &Visitor,
    ) -> Result<(), AccountError> {
        let event = SecurityEvent {
            time: self.millis(),
            kind: kind.to_owned(),
            address: visitor.address.to_string(),
        };
        Ok(event::insert(tx, uid, &event).await?)
    }

    /// The verifier under the present cost, where the stored one is weaker.
    async fn harder(&self, proven: &Proven, auth_pw: &AuthPw) -> Result<Option<Verifier>, AccountError> {
        let Some(verifier) = &proven.row.verifier else {
            return Ok(None);
        };
        if !verifier.recipe.cost.is_below(self.0.options.cost) {
            return Ok(None);
        }
        let recipe = self.new_recipe();
        let proof = self.0.verifiers.hash(auth_pw, recipe).await?;
        Ok(Some(Verifier {
            recipe,
            verify_hash: proof.verify_hash(),
            wrap_wrap_kb: proof.wrap(&proven.proof.unwrap(&verifier.wrap_wrap_kb).0),
        }))
    }

    /// Stores a harder hash of a password that was proven, where the present cost asks for one.
    pub(crate) async fn harden(&self, proven: &Proven, auth_pw: &AuthPw) -> Result<(), AccountError> {
        let Some(verifier) = self.harder(proven, auth_pw).await? else {
            return Ok(());
        };
        let verifier = &verifier;
        self.transact(|tx| async move {
            let row = unchanged(&tx, proven).await?;
            Ok(account::set_hash(&tx, row.uid, verifier).await?)
        })
        .await
    }

    async fn delete_session(&self, session: &Session, id_hash: &str) -> Result<(), AccountError> {
        self.transact(|tx| async move {
            match session::delete(&tx, session.account, id_hash).await? {
                0 => Err(AccountError::UnknownToken),
                _ => Ok(()),
            }
        })
        .await
    }
}

/// An account whose password was proven.
pub(crate) struct Proven {
    pub(crate) row: AccountRow,
    pub(crate) proof: Proof,
}

/// The account as it stands now, if its password is still the one that was proven: hashing takes a while, and the
/// password may have been changed meanwhile.
pub(crate) async fn unchanged(tx: &Tx, proven: &Proven) -> Result<AccountRow, AccountError> {
    let row = account::by_id(tx, proven.row.uid).await?;
    let row = row.filter(|row| row.verifier_set_at == proven.row.verifier_set_at && !row.disabled);
    let gone = || AccountError::WrongPassword {
        address: proven.row.address.clone(),
    };
    let mut row = row.ok_or_else(gone)?;
    // A sign-in at the same time may have stored a harder hash of the same password; the proof fits the one it was
    // made for.
    row.verifier.clone_from(&proven.row.verifier);
    Ok(row)
}
