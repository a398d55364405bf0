//! Making an account by a door that sees the password, another password, another address, and the end.

use foxden_sql::Tx;

use super::open::PlainProven;
use super::rules::{belongs, is_address, is_hashed_name, is_like_an_id, is_name, is_weak};
use super::{Consent, NewPlain};
use crate::address::{Address, counted, normal};
use crate::claim::add_name;
use crate::limits::Counted;
use crate::login::{VerifiedPassword, unchanged};
use crate::mail::{Envelope, Letter};
use crate::mail_limits::Postage;
use crate::register::account::{AccountRow, Ownership, Verifier};
use crate::register::{account, code, invitation, token};
use crate::secret::xor;
use crate::security::{Act, Event, What};
use crate::verifier::Applicant;
use crate::{
    AccountId, Accounts, LegacyChangeError, LegacyLoginError, LegacySignUpError, Removed, Role, SignUp,
    TooMany, Unavailable, Visitor, WrapKb,
};

/// Names an account may have: each address it had leaves some.
const NAMES: u64 = 64;

impl Accounts {
    /// Creates an account, by the sign-up policy or the operator's secret. Browsers of today sign in to it with the same
    /// address and password.
    pub async fn create_plain(
        &self,
        new: NewPlain<'_>,
        visitor: &Visitor,
    ) -> Result<AccountId, LegacySignUpError> {
        let name = new.name.to_ascii_lowercase();
        let address = self.may_create_plain(&name, &new, visitor).await?;
        let recipe = self.new_recipe();
        let applicant = Some(Applicant::new(address.as_str(), visitor));
        let verifiers = &self.0.verifiers;
        let stretched = verifiers
            .stretch(address.as_str(), new.password, applicant)
            .await?;
        let proof = verifiers
            .hash_then(&stretched.auth_pw, recipe, applicant, |proof| proof)
            .await?;

        let now = self.millis().max(1);
        let mut row = self.new_row(&address, Role::Member, now);
        row.address_verified = visitor.is_private || new.is_authorised;
        row.verifier = Some(Verifier {
            recipe,
            verify_hash: proof.verify_hash(),
            wrap_wrap_kb: self.random(),
        });
        let postage = (!row.address_verified).then(|| self.pay(visitor));
        let (row, postage, name, address) = (&row, postage.as_ref(), &name, &address);
        let created = self.transact_change(|tx| async move {
            self.insert_with_names(&tx, row).await?;
            if !address.names().contains(name) {
                add_name(&tx, name, row.uid, Ownership::Owned).await?;
            }
            invitation::delete_first(&tx).await?;
            if let Some(postage) = postage {
                self.make_codes(&tx, row, postage).await?;
            }
            self.note(&tx, row.uid, "created", visitor).await?;
            Ok::<_, LegacySignUpError>(self.write_change(&tx, row.uid).await?)
        });
        created.await?;
        let created = if new.is_authorised {
            Event::by(visitor, What::Operator(Act::AccountAdded)).because("admin secret")
        } else {
            Event::by(visitor, What::AccountCreated)
        };
        self.tell(&created.about(&row.address).of(row.uid));
        Ok(row.uid)
    }

    /// Whether the operator's word came with a request. It is compared only while the visitor's network may guess, and
    /// wrong ones are counted against that.
    pub fn take_admin_secret(
        &self,
        is_right: impl FnOnce() -> bool,
        visitor: &Visitor,
    ) -> Result<bool, TooMany> {
        let guess = self.guess(visitor).within_allowance()?;
        let is_right = is_right();
        if is_right {
            guess.was_right();
        } else {
            self.tell(&Event::by(visitor, What::CodeRefused).because("wrong admin secret"));
        }
        Ok(is_right)
    }

    /// Sets another password for whoever knows the old one. The key stays, so nothing stored becomes unreadable;
    /// everything signed in ends.
    pub async fn change_password_plain(
        &self,
        name: &str,
        old: &str,
        new: &str,
        visitor: &Visitor,
    ) -> Result<(), LegacyChangeError> {
        if is_weak(name, new) {
            return Err(LegacyChangeError::WeakPassword);
        }
        let PlainProven { proven, stretched } = self.prove_whole(name, old, visitor).await?;
        let verifier = proven.row.verifier.as_ref();
        let verifier = verifier.ok_or(Unavailable::Damaged("a verified password without its hash"))?;
        let kb = xor(
            &proven.proof.unwrap(&verifier.wrap_wrap_kb).0,
            &stretched.unwrap_b_key,
        );
        // From now on the address in use is the one that is stretched with.
        let address = proven.row.address.clone();
        let applicant = Some(Applicant::new(name, visitor));
        let fresh = self.0.verifiers.stretch(&address, new, applicant).await?;
        let wrap_kb = WrapKb(xor(&kb, &fresh.unwrap_b_key));
        let hash = self
            .hash_new(proven.row.uid, &fresh.auth_pw, wrap_kb, visitor)
            .await?;

        let letters = self.letters();
        let (letters, proven, address, hash) = (&letters, &proven, &address, &hash);
        let changed = self.transact_change(|tx| async move {
            let mut row = unchanged(&tx, proven).await?;
            row.stretched_address.clone_from(address);
            self.password_changed(&tx, letters, &mut row, hash, visitor)
                .await?;
            Ok::<_, LegacyChangeError>(row)
        });
        let row = changed.await?;
        let changed = Event::by(visitor, What::PasswordChanged);
        self.tell(&changed.about(&row.address).of(row.uid));
        Ok(())
    }

    /// Gives the account another address. Names of an address that was confirmed stay its own, and its devices use them;
    /// those that its password was stretched with stay, too, but only as claims where they were no more than that. Codes
    /// that were mailed to the address before are void.
    ///
    /// A new address is to be confirmed where one that signs up is, so that nobody gets a foreign one by changing to it.
    pub async fn change_address(
        &self,
        name: &str,
        password: &str,
        address: &str,
        visitor: &Visitor,
    ) -> Result<(), LegacyChangeError> {
        let wrong = || LegacyChangeError::InvalidAddress;
        let address = Address::to_get(address).ok().filter(|_| is_address(address));
        let address = address
            .filter(|address| !address.is_among(&self.0.options.reserved_names))
            .ok_or_else(wrong)?;
        let PlainProven { proven, .. } = self.prove_whole(name, password, visitor).await?;

        let postage = self.may_write_to(&address, &proven.row, visitor)?;

        let uid = proven.row.uid;
        let (proven, address, postage) = (&proven, &address, &postage);
        let changed = self.transact_change(|tx| async move {
            self.move_address(&tx, proven, address, postage, visitor).await
        });
        changed.await?;
        let changed = Event::by(visitor, What::AddressChanged);
        self.tell(&changed.about(address.as_str()).of(uid));
        Ok(())
    }

    /// The same, within a transaction.
    async fn move_address(
        &self,
        tx: &Tx,
        proven: &VerifiedPassword,
        address: &Address,
        postage: &Postage<'_>,
        visitor: &Visitor,
    ) -> Result<(), LegacyChangeError> {
        let mut row = unchanged(tx, proven).await?;
        let before = std::mem::replace(&mut row.address, address.as_str().to_owned());
        let is_same = normal(&before) == address.normal();
        let was_verified = row.address_verified;
        if !is_same {
            self.give_claims_back(tx, &row, &before).await?;
            row.address_verified = was_verified && !self.asks_for_codes(visitor);
        }
        self.take_names(tx, &row).await?;
        if account::count_names(tx, row.uid).await? > NAMES {
            return Err(LegacyChangeError::InvalidAddress);
        }
        let now = self.millis().max(row.profile_changed_at + 1);
        account::set_address(tx, row.uid, address.as_str(), now).await?;
        self.note(tx, row.uid, "address changed", visitor).await?;
        // Whoever reads the letters to the old address must neither confirm the new one nor set a password, and a password
        // that is set in a reset begun before would be stretched with the old one.
        code::delete_all(tx, row.uid).await?;
        token::delete_resets(tx, row.uid).await?;
        if was_verified && !is_same {
            let letter = Letter::AddressChanged {
                address: address.as_str().to_owned(),
                from: visitor.address.to_string(),
            };
            let envelope = Envelope::to(row.uid, &before, letter.kind());
            self.post_notice(tx, &postage.letters, envelope, &letter).await?;
            account::set_address_verified(tx, row.uid, row.address_verified).await?;
        }
        if !row.address_verified {
            self.make_codes(tx, &row, postage).await?;
        }
        Ok(self.write_change(tx, row.uid).await?)
    }

    /// Removes the account and all its rows, once the password is verified. The stores of current browsers go too. To be
    /// carried out by [`Accounts::complete_removal`].
    pub async fn destroy_plain(
        &self,
        name: &str,
        password: &str,
        visitor: &Visitor,
    ) -> Result<Removed, LegacyLoginError> {
        let PlainProven { proven, .. } = self.prove_whole(name, password, visitor).await?;
        let removed = self.remove(proven.row.uid).await?;
        let deleted = Event::by(visitor, What::AccountDeleted);
        self.tell(&deleted.about(&proven.row.address).of(proven.row.uid));
        Ok(removed)
    }

    /// Whether this visitor's new address must be confirmed: where letters are sent, and where strangers come in without
    /// an invitation.
    fn asks_for_codes(&self, visitor: &Visitor) -> bool {
        let takes_strangers = self.sign_up_policy(visitor) == SignUp::Open;
        !visitor.is_private && (self.0.options.sends_mail || takes_strangers)
    }

    /// Whether another change of address may write letters: to the new one, and about it to the old one. Its maker is
    /// proven, and is told where the new one would get none.
    fn may_write_to<'a>(
        &'a self,
        new: &Address,
        row: &AccountRow,
        visitor: &'a Visitor,
    ) -> Result<Postage<'a>, TooMany> {
        if visitor.is_private {
            return Ok(self.free_postage(visitor));
        }
        let of = Counted::AddressChange(counted(&row.uid.to_string()));
        if !self.asks_for_codes(visitor) {
            self.spend_for(of, visitor)?;
            return Ok(self.free_postage(visitor));
        }
        self.check_for(of, visitor)?;
        self.check_letters_to(new.as_str(), visitor)?;
        let postage = self.pay(visitor);
        postage.require()?;
        // Counted last: a letter that strangers keep from being written costs the account nothing.
        self.spend_for(of, visitor)?;
        Ok(postage)
    }

    /// Whether this account may be created at all; gives its address.
    async fn may_create_plain(
        &self,
        name: &str,
        new: &NewPlain<'_>,
        visitor: &Visitor,
    ) -> Result<Address, LegacySignUpError> {
        if !new.is_authorised && self.sign_up_policy(visitor) != SignUp::Open {
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
            && !is_like_an_id(name)
            && !reserved.iter().any(|kept| kept == name)
            && (!is_hashed_name(name) || belongs(name, new.address));
        if !is_fit {
            return Err(LegacySignUpError::InvalidName);
        }
        if is_weak(name, new.password) {
            return Err(LegacySignUpError::WeakPassword);
        }
        if !new.is_authorised {
            self.spend_visitor(Counted::Creation, visitor)?;
        }
        Ok(address)
    }
}

impl Consent {
    pub(super) const fn covers(self, loses_data: bool) -> bool {
        !loses_data || matches!(self, Self::Given)
    }
}
