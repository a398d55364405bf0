//! Creating an account with a plain password, changing password and address, deleting the account.

use foxden_sql::Tx;

use super::open::VerifiedPlainPassword;
use super::rules::{belongs, is_address, is_hashed_name, is_name, is_weak, looks_like_id};
use super::{DataLossConsent, NewLegacyAccount};
use crate::address::{Address, counted, normal};
use crate::claim::add_name;
use crate::limits::RateLimitKey;
use crate::login::{VerifiedPassword, unchanged};
use crate::mail::{Envelope, Mail};
use crate::mail_limits::MailAllowance;
use crate::password_hasher::HashRequester;
use crate::register::account::{AccountRow, Ownership, Verifier};
use crate::register::{account, code, invitation, token};
use crate::secret::xor;
use crate::security::{Event, EventKind, OperatorAction};
use crate::{
    AccountId, Accounts, ClientInfo, LegacyChangeError, LegacyLoginError, LegacySignUpError, Removed, Role,
    SignUp, TooMany, Unavailable, WrapKb,
};

/// Names an account may have: each address it had leaves some.
const NAMES: u64 = 64;

impl Accounts {
    /// Creates an account, by the sign-up policy or the operator's secret. Browsers of today sign in to it with the same
    /// address and password.
    pub async fn create_legacy(
        &self,
        new: NewLegacyAccount<'_>,
        client: &ClientInfo,
    ) -> Result<AccountId, LegacySignUpError> {
        let name = new.name.to_ascii_lowercase();
        let address = self.may_create_legacy(&name, &new, client).await?;
        let params = self.new_hash_params();
        let requester = Some(HashRequester::new(address.as_str(), client));
        let password_hasher = &self.0.password_hasher;
        let stretched = password_hasher
            .stretch(address.as_str(), new.password, requester)
            .await?;
        let password_hash = password_hasher
            .hash_with(&stretched.auth_pw, params, requester, |password_hash| {
                password_hash
            })
            .await?;

        let now = self.millis().max(1);
        let mut row = self.new_row(&address, Role::Member, now);
        row.address_verified = client.is_private || new.is_authorised;
        row.verifier = Some(Verifier {
            params,
            verify_hash: password_hash.verify_hash(),
            wrap_wrap_kb: self.random(),
        });
        let allowance = (!row.address_verified).then(|| self.charge_mail(client));
        let (row, allowance, name, address) = (&row, allowance.as_ref(), &name, &address);
        let created = self.transact_change(|tx| async move {
            self.insert_with_names(&tx, row).await?;
            if !address.names().contains(name) {
                add_name(&tx, name, row.uid, Ownership::Owned).await?;
            }
            invitation::delete_first(&tx).await?;
            if let Some(allowance) = allowance {
                self.make_codes(&tx, row, allowance).await?;
            }
            self.record_event(&tx, row.uid, "created", client).await?;
            Ok::<_, LegacySignUpError>(self.write_change(&tx, row.uid).await?)
        });
        created.await?;
        let created = if new.is_authorised {
            Event::from_client(client, EventKind::Operator(OperatorAction::AccountAdded))
                .with_reason("admin secret")
        } else {
            Event::from_client(client, EventKind::AccountCreated)
        };
        self.emit(&created.with_subject(&row.address).with_account(row.uid));
        Ok(row.uid)
    }

    /// Checks the admin secret of a request. It is compared only within the allowance of the client's network, and
    /// wrong ones count against that.
    pub fn take_admin_secret(
        &self,
        is_right: impl FnOnce() -> bool,
        client: &ClientInfo,
    ) -> Result<bool, TooMany> {
        let attempt = self.code_attempt(client).within_allowance()?;
        let is_right = is_right();
        if is_right {
            attempt.succeed();
        } else {
            self.emit(&Event::from_client(client, EventKind::CodeRefused).with_reason("wrong admin secret"));
        }
        Ok(is_right)
    }

    /// Changes the password of a client that knows the old one. The key stays, so nothing stored becomes unreadable;
    /// everything signed in ends.
    pub async fn change_plain_password(
        &self,
        name: &str,
        old: &str,
        new: &str,
        client: &ClientInfo,
    ) -> Result<(), LegacyChangeError> {
        if is_weak(name, new) {
            return Err(LegacyChangeError::WeakPassword);
        }
        let VerifiedPlainPassword { proven, stretched } = self.verify_uncached(name, old, client).await?;
        let verifier = proven.row.verifier.as_ref();
        let verifier = verifier.ok_or(Unavailable::Damaged("a verified password without its hash"))?;
        let kb = xor(
            &proven.password_hash.unwrap(&verifier.wrap_wrap_kb).0,
            &stretched.unwrap_b_key,
        );
        // From now on the address in use is the one that is stretched with.
        let address = proven.row.address.clone();
        let requester = Some(HashRequester::new(name, client));
        let fresh = self.0.password_hasher.stretch(&address, new, requester).await?;
        let wrap_kb = WrapKb(xor(&kb, &fresh.unwrap_b_key));
        let hash = self
            .hash_new(proven.row.uid, &fresh.auth_pw, wrap_kb, client)
            .await?;

        let batch = self.batch();
        let (batch, proven, address, hash) = (&batch, &proven, &address, &hash);
        let changed = self.transact_change(|tx| async move {
            let mut row = unchanged(&tx, proven).await?;
            row.stretched_address.clone_from(address);
            self.password_changed(&tx, batch, &mut row, hash, client).await?;
            Ok::<_, LegacyChangeError>(row)
        });
        let row = changed.await?;
        let changed = Event::from_client(client, EventKind::PasswordChanged);
        self.emit(&changed.with_subject(&row.address).with_account(row.uid));
        Ok(())
    }

    /// Changes the address of an account. Names of a confirmed address stay its own, since its devices use them.
    /// Names that its password was stretched with stay, too, but only as claims if they were claims before. Codes
    /// that were mailed to the old address become void.
    ///
    /// The new address must be confirmed where an address at sign-up must be, so that no account gets a foreign
    /// address by changing to it.
    pub async fn change_address(
        &self,
        name: &str,
        password: &str,
        address: &str,
        client: &ClientInfo,
    ) -> Result<(), LegacyChangeError> {
        let wrong = || LegacyChangeError::InvalidAddress;
        let address = Address::to_get(address).ok().filter(|_| is_address(address));
        let address = address
            .filter(|address| !address.is_among(&self.0.options.reserved_names))
            .ok_or_else(wrong)?;
        let VerifiedPlainPassword { proven, .. } = self.verify_uncached(name, password, client).await?;

        let allowance = self.may_write_to(&address, &proven.row, client)?;

        let uid = proven.row.uid;
        let (proven, address, allowance) = (&proven, &address, &allowance);
        let changed = self.transact_change(|tx| async move {
            self.move_address(&tx, proven, address, allowance, client).await
        });
        changed.await?;
        let changed = Event::from_client(client, EventKind::AddressChanged);
        self.emit(&changed.with_subject(address.as_str()).with_account(uid));
        Ok(())
    }

    /// The same, within a transaction.
    async fn move_address(
        &self,
        tx: &Tx,
        proven: &VerifiedPassword,
        address: &Address,
        allowance: &MailAllowance<'_>,
        client: &ClientInfo,
    ) -> Result<(), LegacyChangeError> {
        let mut row = unchanged(tx, proven).await?;
        let before = std::mem::replace(&mut row.address, address.as_str().to_owned());
        let is_same = normal(&before) == address.normal();
        let was_verified = row.address_verified;
        if !is_same {
            self.release_claims(tx, &row, &before).await?;
            row.address_verified = was_verified && !self.asks_for_codes(client);
        }
        self.assign_names(tx, &row).await?;
        if account::count_names(tx, row.uid).await? > NAMES {
            return Err(LegacyChangeError::InvalidAddress);
        }
        let now = self.millis().max(row.profile_changed_at + 1);
        account::set_address(tx, row.uid, address.as_str(), now).await?;
        self.record_event(tx, row.uid, "address changed", client).await?;
        // A reader of mail to the old address must neither confirm the new one nor set a password. A password that is
        // set in an earlier reset would be stretched with the old address.
        code::delete_all(tx, row.uid).await?;
        token::delete_resets(tx, row.uid).await?;
        if was_verified && !is_same {
            let mail = Mail::AddressChanged {
                address: address.as_str().to_owned(),
                from: client.address.to_string(),
            };
            let envelope = Envelope::to(row.uid, &before, mail.kind());
            self.queue_notice(tx, &allowance.batch, envelope, &mail).await?;
            account::set_address_verified(tx, row.uid, row.address_verified).await?;
        }
        if !row.address_verified {
            self.make_codes(tx, &row, allowance).await?;
        }
        Ok(self.write_change(tx, row.uid).await?)
    }

    /// Removes the account and all its rows, once the password is verified. The stores of current browsers go too. To be
    /// carried out by [`Accounts::complete_removal`].
    pub async fn delete_legacy(
        &self,
        name: &str,
        password: &str,
        client: &ClientInfo,
    ) -> Result<Removed, LegacyLoginError> {
        let VerifiedPlainPassword { proven, .. } = self.verify_uncached(name, password, client).await?;
        let removed = self.remove(proven.row.uid).await?;
        let deleted = Event::from_client(client, EventKind::AccountDeleted);
        self.emit(
            &deleted
                .with_subject(&proven.row.address)
                .with_account(proven.row.uid),
        );
        Ok(removed)
    }

    /// Returns whether a new address of this client must be confirmed: where mail is sent, and where strangers sign
    /// up without an invitation.
    fn asks_for_codes(&self, client: &ClientInfo) -> bool {
        let takes_strangers = self.sign_up_policy(client) == SignUp::Open;
        !client.is_private && (self.0.options.sends_mail || takes_strangers)
    }

    /// Checks whether a change of address may mail both addresses. The client is verified, and is told if the new
    /// address would get no mail.
    fn may_write_to<'a>(
        &'a self,
        new: &Address,
        row: &AccountRow,
        client: &'a ClientInfo,
    ) -> Result<MailAllowance<'a>, TooMany> {
        if client.is_private {
            return Ok(self.uncharged_mail(client));
        }
        let of = RateLimitKey::AddressChange(counted(&row.uid.to_string()));
        if !self.asks_for_codes(client) {
            self.check_and_count_for(of, client)?;
            return Ok(self.uncharged_mail(client));
        }
        self.check_for(of, client)?;
        self.check_letters_to(new.as_str(), client)?;
        let allowance = self.charge_mail(client);
        allowance.require()?;
        // Counted last: a mail that strangers keep from being written costs the account nothing.
        self.check_and_count_for(of, client)?;
        Ok(allowance)
    }

    /// Checks whether this account may be created; returns its address.
    async fn may_create_legacy(
        &self,
        name: &str,
        new: &NewLegacyAccount<'_>,
        client: &ClientInfo,
    ) -> Result<Address, LegacySignUpError> {
        if !new.is_authorised && self.sign_up_policy(client) != SignUp::Open {
            return Err(LegacySignUpError::Closed);
        }
        if self.name_exists(name).await? {
            return Err(LegacySignUpError::Exists);
        }
        let reserved = &self.0.options.reserved_names;
        let address = Address::to_get(new.address)
            .ok()
            .filter(|address| is_address(new.address) && !address.is_among(reserved))
            .ok_or(LegacySignUpError::InvalidAddress)?;
        let is_fit = is_name(name)
            && !looks_like_id(name)
            && !reserved.iter().any(|kept| kept == name)
            && (!is_hashed_name(name) || belongs(name, new.address));
        if !is_fit {
            return Err(LegacySignUpError::InvalidName);
        }
        if is_weak(name, new.password) {
            return Err(LegacySignUpError::WeakPassword);
        }
        if !new.is_authorised {
            self.check_and_count_network(RateLimitKey::Creation, client)?;
        }
        Ok(address)
    }
}

impl DataLossConsent {
    pub(super) const fn covers(self, loses_data: bool) -> bool {
        !loses_data || matches!(self, Self::Given)
    }
}
