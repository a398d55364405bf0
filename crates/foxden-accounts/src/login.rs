//! Logging in: which account a name leads to, and whether the password is that account's.
//!
//! A log-in runs straight down: limits, then the account, then the password, then what the client is told of a failure.
//! Every surface that takes a password ends in [`Accounts::verify_password`].

use foxden_sql::Tx;

use crate::address::Address;
use crate::credential_cache::LoginFailure;
use crate::error::StaleLogin;
use crate::limits::RateLimitKey;
use crate::login_attempt::AttemptKeys;
use crate::password_hasher::{HashParams, PasswordHash};
use crate::register::account::{AccountRow, Verifier};
use crate::register::{account, session};
use crate::rejected_passwords::{Disclosure, RejectedKey};
use crate::security::{Event, EventKind};
use crate::{
    Accounts, AuthPw, ClientInfo, LimitError, LoginAttempt, Session, SignInError, SignedIn, Unavailable,
};

/// The credentials that a client sends to log in.
#[derive(Clone, Debug)]
pub struct Login {
    /// The address that the password was stretched with.
    pub address: String,
    /// The stretched password.
    pub auth_pw: AuthPw,
    /// Whether the client asked for a key-fetch token.
    pub wants_keys: bool,
}

/// An account whose password was verified, as it was then.
pub(crate) struct VerifiedPassword {
    pub(crate) row: AccountRow,
    pub(crate) password_hash: PasswordHash,
}

/// Why a stretched password does not open the account that its address leads to.
enum Rejection {
    UnknownAccount,
    WrongPassword,
    /// The password was stretched with another spelling of the address than this one.
    OtherSpelling(String),
    NoPassword,
    Disabled,
}

impl Accounts {
    /// Signs in: limits, then the account, then the password, then the spelling of the address.
    pub async fn login(&self, login: Login, client: &ClientInfo) -> Result<SignedIn, SignInError> {
        let verified = self.log_in(&login.address, &login.auth_pw, client).await?;
        let rehashed = self.rehash_if_outdated(&verified, &login.auth_pw).await?;

        let (verified, rehashed) = (&verified, rehashed.as_ref());
        self.transact(|tx| async move {
            let row = unchanged(&tx, verified).await?;
            if let Some(verifier) = rehashed {
                account::set_hash(&tx, row.uid, verifier).await?;
            }
            let signed_in = self
                .sign_in(&tx, &row, &verified.password_hash, login.wants_keys, client)
                .await?;
            self.record_event(&tx, row.uid, "login", client).await?;
            Ok(signed_in)
        })
        .await
    }

    /// Verifies the password again for a session that exists.
    pub async fn reauth(
        &self,
        session: &Session,
        login: Login,
        client: &ClientInfo,
    ) -> Result<SignedIn, SignInError> {
        let verified = self.log_in(&login.address, &login.auth_pw, client).await?;
        if verified.row.uid != session.account {
            return Err(SignInError::UnknownAccount { name: login.address });
        }
        let verified = &verified;
        self.transact(|tx| async move {
            let row = unchanged(&tx, verified).await?;
            let auth_at = self.auth_at_now(&row);
            if session::set_auth_at(&tx, &session.public_id, auth_at).await? == 0 {
                return Err(SignInError::SessionEnded);
            }
            let key_fetch_token = if login.wants_keys {
                Some(self.new_key_fetch(&tx, &row, &verified.password_hash).await?)
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

    /// Verifies a stretched password: limits, then the account, then the password, and only then the spelling of the
    /// address. A right password passes under any name of the account. A wrong one that was stretched with another
    /// spelling than the stored one is refused with the stored spelling.
    ///
    /// A refusal reveals which accounts exist. A network that has used up its allowance of such answers is told
    /// "wrong password" for every name.
    pub(crate) async fn log_in(
        &self,
        address: &str,
        auth_pw: &AuthPw,
        client: &ClientInfo,
    ) -> Result<VerifiedPassword, SignInError> {
        let address = Address::new(address)?;
        let row = account::by_name(&self.0.database, &address.normal()).await?;
        let account = row.as_ref().map(|row| row.uid);
        let from = client.network();
        let rejected_key = self
            .0
            .rejected_passwords
            .key(row.as_ref(), &address.normal(), auth_pw, from);
        let checked = self.check_password(&address, row, (auth_pw, rejected_key), client);
        let rejection = match checked.await? {
            Ok(verified) => return Ok(verified),
            Err(rejection) => rejection,
        };
        let failed = Event {
            account,
            ..Event::from_client(client, EventKind::LoginFailed).with_subject(address.as_str())
        };
        self.emit(&failed.with_reason(rejection.reason()));
        if matches!(rejection, Rejection::Disabled) || self.may_reveal(&rejection, rejected_key, client) {
            return Err(rejection.into_error(&address));
        }
        Err(Rejection::WrongPassword.into_error(&address))
    }

    /// Returns whether the client may be told why its password was refused, and counts that against its network.
    fn may_reveal(&self, rejection: &Rejection, rejected_key: RejectedKey, client: &ClientInfo) -> bool {
        // An answer that was given before reveals nothing new.
        if self.0.rejected_passwords.lookup(rejected_key) == Some(Disclosure::Full) {
            return true;
        }
        let may_reveal = self
            .check_and_count_network(RateLimitKey::Enumeration, client)
            .is_ok()
            || matches!(rejection, Rejection::OtherSpelling(_))
                && self
                    .check_and_count_network(RateLimitKey::Spelling, client)
                    .is_ok();
        if may_reveal {
            self.0.rejected_passwords.insert(rejected_key, Disclosure::Full);
        }
        may_reveal
    }

    /// Checks a stretched password for the account that was found by that address, within the limits.
    async fn check_password(
        &self,
        address: &Address,
        row: Option<AccountRow>,
        (auth_pw, rejected_key): (&AuthPw, RejectedKey),
        client: &ClientInfo,
    ) -> Result<Result<VerifiedPassword, Rejection>, LimitError> {
        let network = client.network();
        let account = row.as_ref().map(|row| row.uid);
        let stretched = row.as_ref().map(|row| row.stretched_address.clone());
        let has_no_password = row.as_ref().is_some_and(|row| row.verifier.is_none());
        let tries = AttemptKeys::new(address.as_str(), account, client);
        let locked = Event::from_client(client, EventKind::LoginLocked).with_subject(address.as_str());
        let attempt = self.attempt(tries).inspect_err(|_| self.emit(&locked))?;
        let misspelled = row
            .as_ref()
            .and_then(|row| self.misspelled(row, address.as_str(), network, attempt.tries()));
        let verified = if self.0.rejected_passwords.contains(rejected_key) {
            Err(account.map_or(LoginFailure::UnknownAccount, LoginFailure::WrongPassword))
        } else {
            let accounts = self.clone();
            let record = move |is_right: bool| {
                if !is_right {
                    accounts
                        .0
                        .rejected_passwords
                        .insert(rejected_key, Disclosure::None);
                }
                if let Some(account) = account {
                    accounts.record_spelling(account, network, misspelled, is_right);
                }
            };
            self.verify_password(attempt, row, auth_pw, record).await?
        };
        Ok(
            verified.map_err(|failure| match (failure, misspelled, stretched) {
                (LoginFailure::UnknownAccount, _, _) => Rejection::UnknownAccount,
                (LoginFailure::Disabled(_), _, _) => Rejection::Disabled,
                // Only now, so that this refusal takes as long as any other.
                (LoginFailure::WrongPassword(_), _, _) if has_no_password => Rejection::NoPassword,
                (LoginFailure::WrongPassword(_), Some(_), Some(address)) => Rejection::OtherSpelling(address),
                (LoginFailure::WrongPassword(_), _, _) => Rejection::WrongPassword,
            }),
        )
    }

    /// Compares a stretched password with the stored hash of this account. Without an account or a stored hash it hashes
    /// all the same, so that the time tells nothing.
    ///
    /// The attempt is settled and `record` is called on the thread that hashes, so the outcome counts even if the client
    /// disconnects.
    pub(crate) async fn verify_password(
        &self,
        attempt: LoginAttempt,
        row: Option<AccountRow>,
        auth_pw: &AuthPw,
        record: impl FnOnce(bool) + Send + 'static,
    ) -> Result<Result<VerifiedPassword, LoginFailure>, Unavailable> {
        let verifier = row.as_ref().and_then(|row| row.verifier.as_ref());
        let decoy = HashParams {
            salt: [0; 16],
            cost: self.0.options.cost,
        };
        let params = verifier.map_or(decoy, |verifier| verifier.params);
        let stored = verifier.map(|verifier| verifier.verify_hash);
        let requester = attempt.tries().requester();
        let compare = move |password_hash: PasswordHash| {
            let is_right = stored.is_some_and(|stored| password_hash.matches(&stored));
            attempt.record_result(is_right);
            record(is_right);
            is_right.then_some(password_hash)
        };
        let compared = self
            .0
            .password_hasher
            .hash_with(auth_pw, params, Some(requester), compare)
            .await?;
        Ok(match (row, compared) {
            (None, _) => Err(LoginFailure::UnknownAccount),
            (Some(row), None) => Err(LoginFailure::WrongPassword(row.uid)),
            (Some(row), Some(_)) if row.disabled => Err(LoginFailure::Disabled(row.uid)),
            (Some(row), Some(password_hash)) => Ok(VerifiedPassword { row, password_hash }),
        })
    }

    /// Hashes a verified password again where the present cost is above that of the stored hash.
    async fn rehash_if_outdated(
        &self,
        password: &VerifiedPassword,
        auth_pw: &AuthPw,
    ) -> Result<Option<Verifier>, Unavailable> {
        let Some(verifier) = &password.row.verifier else {
            return Ok(None);
        };
        if !verifier.params.cost.is_below(self.0.options.cost) {
            return Ok(None);
        }
        let params = self.new_hash_params();
        let password_hash = self.0.password_hasher.hash(auth_pw, params).await?;
        Ok(Some(Verifier {
            params,
            verify_hash: password_hash.verify_hash(),
            wrap_wrap_kb: password_hash.wrap(&password.password_hash.unwrap(&verifier.wrap_wrap_kb).0),
        }))
    }

    /// Stores a hash at the present cost for a verified password whose stored hash is below it.
    pub(crate) async fn store_rehashed(
        &self,
        password: &VerifiedPassword,
        auth_pw: &AuthPw,
    ) -> Result<(), StaleLogin> {
        let Some(verifier) = self.rehash_if_outdated(password, auth_pw).await? else {
            return Ok(());
        };
        let verifier = &verifier;
        self.transact(|tx| async move {
            let row = unchanged(&tx, password).await?;
            Ok(account::set_hash(&tx, row.uid, verifier).await?)
        })
        .await
    }
}

impl Rejection {
    /// The reason in the security log.
    const fn reason(&self) -> &'static str {
        match self {
            Self::UnknownAccount => "unknown name",
            Self::WrongPassword => "wrong password",
            Self::OtherSpelling(_) => "wrong password, another spelling",
            Self::NoPassword => "no password set yet",
            Self::Disabled => "switched off",
        }
    }

    /// The refusal of a log-in with this address.
    fn into_error(self, address: &Address) -> SignInError {
        let name = address.as_str().to_owned();
        match self {
            Self::UnknownAccount => SignInError::UnknownAccount { name },
            Self::WrongPassword => SignInError::WrongPassword { name },
            Self::OtherSpelling(address) => SignInError::OtherSpelling { address },
            Self::NoPassword => SignInError::NoPassword,
            Self::Disabled => SignInError::Disabled,
        }
    }
}

/// Reads the account again and refuses if its password has changed since it was verified: hashing takes a while.
pub(crate) async fn unchanged(tx: &Tx, verified: &VerifiedPassword) -> Result<AccountRow, StaleLogin> {
    let row = account::by_id(tx, verified.row.uid).await?;
    let row = row.filter(|row| row.verifier_set_at == verified.row.verifier_set_at && !row.disabled);
    let outdated = || StaleLogin::Outdated(verified.row.address.clone());
    let mut row = row.ok_or_else(outdated)?;
    // A log-in at the same time may have stored another hash of the same password; this one fits the row that was read
    // first.
    row.verifier.clone_from(&verified.row.verifier);
    Ok(row)
}
