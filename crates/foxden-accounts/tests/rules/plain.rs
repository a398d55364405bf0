//! Doors that see the plain password, and what they share with those that do not.

use foxden_accounts::security::Door;
use foxden_accounts::{
    AccountId, CodePurpose, Consent, Kind, LegacyChangeError, LegacyLoginError, LegacyResetError,
    LegacySignUpError, NewPlain, NodeOf, OpenStoreError, Options, SignInError, SignUp, SignUpError, Visitor,
};

use crate::lab::{ANN, BEA, Lab, NODE, PASSWORD, at_home, cheap, stranger};

/// The hashed forms of some addresses.
pub(crate) const ANN_HASHED: &str = "urau3y6od535eyk3sdb3ufrbtm4bsphn";
const NEW: &str = "new@example.com";
const NEW_HASHED: &str = "7ioseqrtlsocvds5kgdrs7rvr3tur2lj";

/// An old client's visit.
pub(crate) fn old_client() -> Visitor {
    Visitor {
        door: Door::Basic,
        ..at_home()
    }
}

const fn new_plain<'a>(name: &'a str, address: &'a str) -> NewPlain<'a> {
    NewPlain {
        name,
        address,
        password: PASSWORD,
        is_authorised: false,
    }
}

impl Lab {
    pub(crate) async fn create_plain(
        &self,
        name: &str,
        address: &str,
    ) -> Result<AccountId, LegacySignUpError> {
        self.accounts
            .create_plain(new_plain(name, address), &old_client())
            .await
    }

    /// The uid of the store that name and password open.
    pub(crate) async fn open(&self, name: &str, password: &str) -> Result<u64, OpenStoreError> {
        let store = self.accounts.open_store(name, password, &old_client()).await?;
        Ok(store.user.0)
    }
}

/// U13.19: what the User API created can be used at once, and Firefox signs in to it with the same address and
/// password.
#[tokio::test]
async fn an_account_made_by_an_old_client_serves_both_worlds() {
    let lab = Lab::new().await;
    assert!(!lab.accounts.name_exists(NEW_HASHED).await.unwrap());
    let account = lab.create_plain(NEW_HASHED, NEW).await.unwrap();
    assert!(lab.accounts.is_name_taken(NEW_HASHED, &at_home()).await.unwrap());
    assert!(matches!(
        lab.create_plain(NEW_HASHED, NEW).await,
        Err(LegacySignUpError::Exists)
    ));

    let store = lab
        .accounts
        .open_store(NEW_HASHED, PASSWORD, &old_client())
        .await
        .unwrap();
    assert_eq!((store.account, &*store.node), (account, NODE));
    let firefox = lab.firefox(NEW, PASSWORD).await;
    assert_ne!(firefox.store, store.user, "the two have stores of their own");
    assert_eq!(lab.firefox(NEW, PASSWORD).await, firefox);
    let shown = lab.accounts.show_account(NEW).await.unwrap().unwrap();
    let stores: Vec<_> = shown
        .stores
        .iter()
        .map(|store| (store.user, store.is_legacy))
        .collect();
    assert_eq!(stores, [(firefox.store, false), (store.user, true)]);
}

#[tokio::test]
async fn an_account_made_by_firefox_serves_old_clients_by_every_name() {
    let lab = Lab::new().await;
    let created = lab.create(NEW).await;
    let store = lab.open(NEW_HASHED, PASSWORD).await.unwrap();
    for name in [NEW, "New@Example.com", "7IOSEQRTLSOCVDS5KGDRS7RVR3TUR2LJ"] {
        assert_eq!(lab.open(name, PASSWORD).await.unwrap(), store, "{name}");
        let proven = lab.accounts.prove_plain(name, PASSWORD, &old_client()).await;
        assert_eq!(proven.unwrap(), created.account, "{name}");
    }
    assert!(matches!(
        lab.open(NEW_HASHED, "wrong").await,
        Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
    ));
    assert!(matches!(
        lab.open("nobody", PASSWORD).await,
        Err(OpenStoreError::Login(LegacyLoginError::UnknownAccount { .. }))
    ));
}

/// Many at once find no store and make one.
#[tokio::test]
async fn first_requests_at_once_make_one_store() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..8 {
        let accounts = lab.accounts.clone();
        asking.spawn(async move {
            let name = if number % 2 == 0 { ANN } else { ANN_HASHED };
            accounts
                .open_store(name, PASSWORD, &old_client())
                .await
                .unwrap()
                .user
        });
    }
    let mut stores = asking.join_all().await;
    stores.dedup();
    assert_eq!(stores.len(), 1);
    assert_eq!(lab.count("SELECT COUNT(*) FROM users").await, 1);
}

#[tokio::test]
async fn a_name_address_or_password_that_does_not_fit_is_refused() {
    let lab = Lab::new().await;
    let what = |outcome: Result<AccountId, LegacySignUpError>| match outcome {
        Err(LegacySignUpError::InvalidAddress) => "address",
        Err(LegacySignUpError::InvalidName) => "name",
        Err(LegacySignUpError::WeakPassword) => "password",
        other => panic!("{other:?}"),
    };
    assert_eq!(what(lab.create_plain("new", "bademailhere").await), "address");
    assert_eq!(what(lab.create_plain("new", "").await), "address");
    assert_eq!(
        what(lab.create_plain(NEW_HASHED, "another-valid@email.com").await),
        "name"
    );
    assert_eq!(what(lab.create_plain("a b", NEW).await), "name");
    let weak = NewPlain {
        password: "1234567",
        ..new_plain("new", NEW)
    };
    assert_eq!(
        what(lab.accounts.create_plain(weak, &at_home()).await),
        "password"
    );
    assert_eq!(lab.count("SELECT COUNT(*) FROM account").await, 0);
}

/// Every name is one row: a chosen name, an address and their hashed forms keep one another out.
#[tokio::test]
async fn nobody_takes_a_name_that_leads_to_somebody_else() {
    let lab = Lab::new().await;
    lab.create_plain("tarek", "tarek@mozilla.com").await.unwrap();
    let taken =
        |outcome: Result<AccountId, LegacySignUpError>| matches!(outcome, Err(LegacySignUpError::Exists));
    assert!(taken(lab.create_plain("TAREK", BEA).await));
    assert!(taken(lab.create_plain("other", "Tarek@mozilla.com").await));
    assert!(taken(
        lab.create_plain("4bkawybiacr7h7sslleintbmrimswa5z", "tarek@mozilla.com")
            .await
    ));
    assert!(
        lab.accounts
            .create(crate::lab::new_account("tarek@mozilla.com"), &at_home())
            .await
            .is_err()
    );
    assert_eq!(lab.count("SELECT COUNT(*) FROM account").await, 1);
    assert_eq!(lab.count("SELECT COUNT(*) FROM login_name").await, 3);
}

/// Two at once want one name: one gets it.
#[tokio::test]
async fn of_two_who_want_a_name_at_once_one_gets_it() {
    let lab = Lab::new().await;
    let (one, other) = tokio::join!(lab.create_plain("tarek", ANN), lab.create_plain("tarek", BEA));
    assert!(one.is_ok() != other.is_ok());
    let refused = one.err().or(other.err());
    assert!(matches!(refused, Some(LegacySignUpError::Exists)));
}

/// U13.52: the operator's secret opens what is closed, and strangers learn no name there.
#[tokio::test]
async fn a_closed_server_takes_whoever_brings_the_operators_secret() {
    for policy in [SignUp::Closed, SignUp::Invite] {
        let lab = Lab::with_policy(policy).await;
        let visitor = stranger("192.0.2.1");
        let refused = lab.accounts.create_plain(new_plain("tarek", ANN), &visitor).await;
        assert!(matches!(refused, Err(LegacySignUpError::Closed)));
        assert!(lab.accounts.is_name_taken("tarek", &visitor).await.unwrap());
        let authorised = NewPlain {
            is_authorised: true,
            ..new_plain("tarek", ANN)
        };
        lab.accounts.create_plain(authorised, &visitor).await.unwrap();
        assert!(lab.accounts.name_exists("tarek").await.unwrap());
    }
}

/// A16.69, U13.36: the key, its id and the store stay; the old password opens nothing any more.
#[tokio::test]
async fn a_password_changed_by_an_old_client_keeps_key_and_store() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    let before = lab.firefox(ANN, PASSWORD).await;
    let store = lab.open(ANN_HASHED, PASSWORD).await.unwrap();
    lab.clock.advance_millis(1000);

    lab.accounts
        .change_password_plain(ANN_HASHED, PASSWORD, "newpasswordhere", &old_client())
        .await
        .unwrap();

    assert!(matches!(
        lab.open(ANN_HASHED, PASSWORD).await,
        Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
    ));
    assert!(matches!(
        lab.login(ANN, PASSWORD).await,
        Err(SignInError::WrongPassword { .. })
    ));
    assert!(
        lab.accounts
            .session(&crate::lab::session_id(&created))
            .await
            .is_err(),
        "what was signed in has ended"
    );
    assert_eq!(lab.firefox(ANN, "newpasswordhere").await, before);
    assert_eq!(lab.open(ANN_HASHED, "newpasswordhere").await.unwrap(), store);
}

/// The reverse: a password changed by Firefox is the one that old clients use.
#[tokio::test]
async fn a_password_changed_by_firefox_counts_for_old_clients_at_once() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let store = lab.open(ANN_HASHED, PASSWORD).await.unwrap();
    crate::password::change(&lab, ANN, PASSWORD, "newpasswordhere").await;
    assert!(lab.accounts.recall(ANN_HASHED, PASSWORD).is_none());
    assert!(lab.open(ANN_HASHED, PASSWORD).await.is_err());
    assert_eq!(lab.open(ANN_HASHED, "newpasswordhere").await.unwrap(), store);
}

/// U13.37: a weak password is refused before the old one is asked for.
#[tokio::test]
async fn a_weak_new_password_is_refused_first() {
    let lab = Lab::new().await;
    for (name, new) in [(ANN, "short"), ("longenough", "LongEnough ")] {
        let refused = lab
            .accounts
            .change_password_plain(name, "wrong", new, &old_client())
            .await;
        assert!(matches!(refused, Err(LegacyChangeError::WeakPassword)));
    }
}

/// A16.70: with the new address Firefox is told the old one, with which it signs in; nobody can register either.
#[tokio::test]
async fn a_new_address_adds_names_and_takes_none_away() {
    let lab = Lab::new().await;
    lab.create_plain("tarek", ANN).await.unwrap();
    let before = lab.firefox(ANN, PASSWORD).await;
    let store = lab.open("tarek", PASSWORD).await.unwrap();

    lab.accounts
        .change_address("tarek", PASSWORD, NEW, &old_client())
        .await
        .unwrap();

    let told = lab.login(NEW, PASSWORD).await;
    assert!(matches!(told, Err(SignInError::OtherSpelling { address }) if address == ANN));
    assert_eq!(lab.firefox(ANN, PASSWORD).await, before);
    for name in ["tarek", ANN, ANN_HASHED, NEW, NEW_HASHED] {
        assert_eq!(lab.open(name, PASSWORD).await.unwrap(), store, "{name}");
        let refused = lab.create_plain(name, BEA).await;
        assert!(refused.is_err(), "{name}");
    }
    for address in [ANN, NEW] {
        let refused = lab
            .accounts
            .create(crate::lab::new_account(address), &at_home())
            .await;
        assert!(matches!(refused, Err(SignUpError::Exists { .. })), "{address}");
    }
    let shown = lab.accounts.show_account("tarek").await.unwrap().unwrap();
    assert_eq!(shown.address, NEW);
}

/// From the next password on the address in use is the one that is stretched with.
#[tokio::test]
async fn after_a_new_address_the_next_password_is_stretched_with_it() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let before = lab.firefox(ANN, PASSWORD).await;
    lab.accounts
        .change_address(ANN, PASSWORD, NEW, &old_client())
        .await
        .unwrap();
    lab.clock.advance_millis(1000);
    lab.accounts
        .change_password_plain(ANN_HASHED, PASSWORD, "newpasswordhere", &old_client())
        .await
        .unwrap();
    assert_eq!(lab.firefox(NEW, "newpasswordhere").await, before);
    let told = lab.login(ANN, "newpasswordhere").await;
    assert!(matches!(told, Err(SignInError::OtherSpelling { address }) if address == NEW));
}

/// U13.41: and an address that is somebody else's is not given away, nor one that was theirs.
#[tokio::test]
async fn an_address_that_is_none_or_somebody_elses_is_refused() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    lab.create(BEA).await;
    let change = |name: &'static str, address: &'static str| {
        let accounts = lab.accounts.clone();
        async move {
            accounts
                .change_address(name, PASSWORD, address, &old_client())
                .await
        }
    };
    assert!(matches!(
        change(ANN, "newemail.com").await,
        Err(LegacyChangeError::InvalidAddress)
    ));
    assert!(matches!(change(ANN, BEA).await, Err(LegacyChangeError::Exists)));
    change(BEA, NEW).await.unwrap();
    assert!(matches!(change(ANN, BEA).await, Err(LegacyChangeError::Exists)));
    change(BEA, BEA).await.unwrap();
    let wrong = lab
        .accounts
        .change_address(ANN, "wrong", "x@example.com", &old_client())
        .await;
    assert!(matches!(
        wrong,
        Err(LegacyChangeError::Login(LegacyLoginError::WrongPassword { .. }))
    ));
}

/// Codes that went to the old address confirm nothing any more.
#[tokio::test]
async fn a_new_address_of_somebody_unconfirmed_gets_codes_of_its_own() {
    let lab = Lab::with_policy(SignUp::Open).await;
    let visitor = stranger("192.0.2.1");
    lab.accounts
        .create_plain(new_plain("tarek", ANN), &visitor)
        .await
        .unwrap();
    let before = lab.accounts.waiting_codes("tarek").await.unwrap().remove(0);
    lab.accounts
        .change_address("tarek", PASSWORD, NEW, &visitor)
        .await
        .unwrap();
    let after = lab.accounts.waiting_codes("tarek").await.unwrap().remove(0);
    assert_ne!(after.code, before.code);
    let shown = lab.accounts.show_account("tarek").await.unwrap().unwrap();
    assert!(!shown.address_verified);
}

/// Neither whoever reads the old mailbox nor a page that stretched with the old address goes on after the change.
#[tokio::test]
async fn a_new_address_ends_every_reset_that_has_begun() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    lab.accounts
        .request_plain_reset(ANN, &old_client())
        .await
        .unwrap();
    let begun = lab.accounts.forgot_password(ANN, &at_home()).await.unwrap();
    let code = |purpose| {
        let accounts = lab.accounts.clone();
        async move {
            let waiting = accounts.waiting_codes(ANN).await.unwrap();
            waiting.into_iter().find(|code| code.purpose == purpose)
        }
    };
    let plain = code(CodePurpose::ResetPlain).await.expect("it waits").code;
    let modern = code(CodePurpose::ResetPassword).await.expect("it waits").code;
    let link = lab.accounts.password_link(ANN).await.unwrap();
    let forgot = begun.password_forgot_token;
    let ticket = lab.ticket(Kind::PasswordForgot, &forgot).await.unwrap();
    let second = lab.accounts.forgot_password(ANN, &at_home()).await.unwrap();
    let other = lab
        .ticket(Kind::PasswordForgot, &second.password_forgot_token)
        .await;
    let reset = lab
        .accounts
        .verify_reset_code(&other.unwrap(), &modern, &at_home())
        .await
        .unwrap();

    lab.accounts
        .change_address(ANN, PASSWORD, NEW, &old_client())
        .await
        .unwrap();

    let late = lab
        .accounts
        .reset_plain(ANN, &plain, "newpasswordhere", Consent::Given, &old_client())
        .await;
    assert!(matches!(late, Err(LegacyResetError::WrongCode)));
    assert!(lab.accounts.forgot_status(&ticket).await.is_err());
    assert!(lab.ticket(Kind::AccountReset, &reset).await.is_err());
    assert!(lab.accounts.open_password_link(&link, &at_home()).await.is_err());
    lab.accounts
        .request_plain_reset(ANN, &old_client())
        .await
        .unwrap();
    let fresh = code(CodePurpose::ResetPlain).await.expect("another one waits");
    assert_ne!(fresh.code, plain);
}

/// Each change writes letters, which strangers may get.
#[tokio::test]
async fn an_account_changes_its_address_five_times_a_day() {
    let lab = Lab::with_policy(SignUp::Open).await;
    let visitor = stranger("192.0.2.1");
    lab.create(ANN).await;
    for number in 0..5 {
        let address = format!("ann{number}@example.org");
        lab.accounts
            .change_address(ANN, PASSWORD, &address, &visitor)
            .await
            .unwrap();
    }
    let refused = lab.accounts.change_address(ANN, PASSWORD, ANN, &visitor).await;
    assert!(matches!(
        refused,
        Err(LegacyChangeError::Login(LegacyLoginError::TooMany { .. }))
    ));
    lab.accounts
        .change_address(ANN, PASSWORD, ANN, &old_client())
        .await
        .unwrap();
}

/// Else whoever proved one address could take another one that is somebody else's, and keep them out.
#[tokio::test]
async fn a_new_address_is_confirmed_anew_and_given_back_if_it_was_not() {
    let mailed = Options {
        sends_mail: true,
        ..cheap()
    };
    let lab = Lab::with(mailed).await;
    let visitor = stranger("192.0.2.1");
    lab.create(ANN).await;
    let verified = |name: &'static str| {
        let accounts = lab.accounts.clone();
        async move {
            let shown = accounts.show_account(name).await.unwrap().unwrap();
            (shown.address, shown.address_verified)
        }
    };
    lab.accounts
        .change_address(ANN, PASSWORD, "ANN@example.org", &visitor)
        .await
        .unwrap();
    assert!(verified(ANN).await.1, "it is the same one");
    lab.accounts
        .change_address(ANN, PASSWORD, BEA, &visitor)
        .await
        .unwrap();
    assert_eq!(verified(ANN).await, (BEA.to_owned(), false));
    lab.accounts
        .change_address(ANN, PASSWORD, NEW, &visitor)
        .await
        .unwrap();
    lab.create(BEA).await;
    assert_eq!(verified(BEA).await, (BEA.to_owned(), true));
    lab.accounts.approve(ANN).await.unwrap();
    lab.accounts
        .change_address(NEW_HASHED, PASSWORD, "cid@example.org", &visitor)
        .await
        .unwrap();
    assert_eq!(verified(NEW).await, ("cid@example.org".to_owned(), false));
    assert_eq!(verified(ANN).await.0, "cid@example.org");
}

/// The operator's commands take either.
#[tokio::test]
async fn nobody_is_called_what_may_be_an_accounts_id() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    let id = created.account.to_string();
    for name in [id.as_str(), "0123456789abcdef0123456789abcdef"] {
        let refused = lab.create_plain(name, BEA).await;
        assert!(
            matches!(refused, Err(LegacySignUpError::InvalidName)),
            "{name}: {refused:?}"
        );
    }
    lab.create(BEA).await;
    let squat = "INSERT INTO login_name (name, uid) SELECT ?, uid FROM account WHERE address = ?";
    lab.write(squat, foxden_sql::values![&id, BEA]).await;
    let shown = lab.accounts.show_account(&id).await.unwrap().unwrap();
    assert_eq!(shown.address, ANN);
}

/// Each address leaves names behind, so there is an end to it.
#[tokio::test]
async fn one_account_does_not_collect_names_without_end() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let mut refused = None;
    for number in 0..64 {
        let address = format!("ann{number}@example.org");
        if let Err(error) = lab
            .accounts
            .change_address(ANN, PASSWORD, &address, &old_client())
            .await
        {
            refused = Some(error);
            break;
        }
    }
    assert!(matches!(refused, Some(LegacyChangeError::InvalidAddress)));
    assert!(lab.count("SELECT COUNT(*) FROM login_name").await <= 64);
}

/// U13.24: both stores go, and every door is shut.
#[tokio::test]
async fn an_old_client_removes_the_whole_account() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    let firefox = lab.firefox(ANN, PASSWORD).await;
    let store = lab.open(ANN_HASHED, PASSWORD).await.unwrap();
    let wrong = lab
        .accounts
        .destroy_plain(ANN_HASHED, "wrong", &old_client())
        .await;
    assert!(matches!(wrong, Err(LegacyLoginError::WrongPassword { .. })));

    let removed = lab
        .accounts
        .destroy_plain(ANN_HASHED, PASSWORD, &old_client())
        .await
        .unwrap();

    assert_eq!(removed.stores, [firefox.store, foxden_model::UserId(store)]);
    assert_eq!(lab.due().await, removed.stores);
    assert!(lab.accounts.recall(ANN_HASHED, PASSWORD).is_none());
    assert!(matches!(
        lab.open(ANN_HASHED, PASSWORD).await,
        Err(OpenStoreError::Login(LegacyLoginError::UnknownAccount { .. }))
    ));
    assert!(!lab.accounts.is_name_taken(ANN_HASHED, &at_home()).await.unwrap());
    assert_eq!(
        lab.accounts.node_of(ANN_HASHED, &old_client()).await.unwrap(),
        NodeOf::Unknown
    );
}

/// U13.26, U13.27: whoever is known is told a node, and it is the one where the store then is.
#[tokio::test]
async fn a_known_name_has_a_node() {
    let lab = Lab::new().await;
    assert_eq!(
        lab.accounts.node_of(ANN_HASHED, &old_client()).await.unwrap(),
        NodeOf::Unknown
    );
    lab.create(ANN).await;
    assert_eq!(
        lab.accounts.node_of(ANN_HASHED, &old_client()).await.unwrap(),
        NodeOf::At(NODE.into())
    );
    lab.open(ANN_HASHED, PASSWORD).await.unwrap();
    assert_eq!(lab.count("SELECT COUNT(*) FROM users").await, 1);
}

/// A disabled account counts as taken, and is nobody's to use.
#[tokio::test]
async fn a_disabled_account_is_taken_and_shut() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    lab.open(ANN, PASSWORD).await.unwrap();
    lab.accounts.set_disabled(ANN, true).await.unwrap();
    assert!(lab.accounts.recall(ANN, PASSWORD).is_none());
    assert!(matches!(
        lab.open(ANN, PASSWORD).await,
        Err(OpenStoreError::Login(LegacyLoginError::Disabled))
    ));
    assert!(lab.accounts.is_name_taken(ANN_HASHED, &at_home()).await.unwrap());
    lab.accounts.set_disabled(ANN, false).await.unwrap();
    lab.open(ANN, PASSWORD).await.unwrap();
}

/// Somebody the operator added has no password: to an old client that is a wrong one.
#[tokio::test]
async fn without_a_password_every_password_is_wrong() {
    let lab = Lab::new().await;
    lab.accounts
        .add_account(ANN, foxden_accounts::Role::Member)
        .await
        .unwrap();
    assert!(matches!(
        lab.open(ANN, PASSWORD).await,
        Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
    ));
    assert_eq!(lab.accounts.hashes(), 1, "and takes as long");
}

/// U13.21, U13.53: any text is a password.
#[tokio::test]
async fn a_password_may_hold_anything() {
    let lab = Lab::new().await;
    for (name, password) in [
        ("one", "ééééééééé"),
        ("two", "a:b:c:d:e"),
        ("three", "  spaces  "),
    ] {
        let address = format!("{name}@example.org");
        let new = NewPlain {
            password,
            ..new_plain(name, &address)
        };
        lab.accounts.create_plain(new, &at_home()).await.unwrap();
        lab.open(name, password).await.unwrap();
        assert!(lab.open(name, password.trim_end_matches('d')).await.is_ok() || name != "one");
    }
}
