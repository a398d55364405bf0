//! Doors that see the plain password, and what they share with those that do not.

use foxden_accounts::security::EntryPoint;
use foxden_accounts::{
    AccountId, ClientInfo, CodePurpose, CredentialKind, DataLossConsent, LegacyChangeError, LegacyLoginError,
    LegacyResetError, LegacySignUpError, NewLegacyAccount, NodeLookup, OpenStoreError, Options, SignInError,
    SignUp, SignUpError,
};

use crate::context::{ANN, BEA, NODE, PASSWORD, TestContext, cheap, local_client, public_client};

/// The hashed forms of some addresses.
pub(crate) const ANN_HASHED: &str = "urau3y6od535eyk3sdb3ufrbtm4bsphn";
const NEW: &str = "new@example.com";
const NEW_HASHED: &str = "7ioseqrtlsocvds5kgdrs7rvr3tur2lj";

/// An old client's visit.
pub(crate) fn old_client() -> ClientInfo {
    ClientInfo {
        entry_point: EntryPoint::Basic,
        ..local_client()
    }
}

const fn new_legacy<'a>(name: &'a str, address: &'a str) -> NewLegacyAccount<'a> {
    NewLegacyAccount {
        name,
        address,
        password: PASSWORD,
        is_authorised: false,
    }
}

impl TestContext {
    pub(crate) async fn create_legacy(
        &self,
        name: &str,
        address: &str,
    ) -> Result<AccountId, LegacySignUpError> {
        self.accounts
            .create_legacy(new_legacy(name, address), &old_client())
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
    let ctx = TestContext::new().await;
    assert!(!ctx.accounts.name_exists(NEW_HASHED).await.unwrap());
    let account = ctx.create_legacy(NEW_HASHED, NEW).await.unwrap();
    assert!(
        ctx.accounts
            .is_name_taken(NEW_HASHED, &local_client())
            .await
            .unwrap()
    );
    assert!(matches!(
        ctx.create_legacy(NEW_HASHED, NEW).await,
        Err(LegacySignUpError::Exists)
    ));

    let store = ctx
        .accounts
        .open_store(NEW_HASHED, PASSWORD, &old_client())
        .await
        .unwrap();
    assert_eq!((store.account, &*store.node), (account, NODE));
    let firefox = ctx.firefox(NEW, PASSWORD).await;
    assert_ne!(firefox.store, store.user, "the two have stores of their own");
    assert_eq!(ctx.firefox(NEW, PASSWORD).await, firefox);
    let shown = ctx.accounts.show_account(NEW).await.unwrap().unwrap();
    let stores: Vec<_> = shown
        .stores
        .iter()
        .map(|store| (store.user, store.is_legacy))
        .collect();
    assert_eq!(stores, [(firefox.store, false), (store.user, true)]);
}

#[tokio::test]
async fn an_account_made_by_firefox_serves_old_clients_by_every_name() {
    let ctx = TestContext::new().await;
    let created = ctx.create(NEW).await;
    let store = ctx.open(NEW_HASHED, PASSWORD).await.unwrap();
    for name in [NEW, "New@Example.com", "7IOSEQRTLSOCVDS5KGDRS7RVR3TUR2LJ"] {
        assert_eq!(ctx.open(name, PASSWORD).await.unwrap(), store, "{name}");
        let proven = ctx
            .accounts
            .verify_plain_password(name, PASSWORD, &old_client())
            .await;
        assert_eq!(proven.unwrap(), created.account, "{name}");
    }
    assert!(matches!(
        ctx.open(NEW_HASHED, "wrong").await,
        Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
    ));
    assert!(matches!(
        ctx.open("unknown", PASSWORD).await,
        Err(OpenStoreError::Login(LegacyLoginError::UnknownAccount { .. }))
    ));
}

/// Many at once find no store and make one.
#[tokio::test]
async fn first_requests_at_once_make_one_store() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..8 {
        let accounts = ctx.accounts.clone();
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
    assert_eq!(ctx.count("SELECT COUNT(*) FROM users").await, 1);
}

#[tokio::test]
async fn a_name_address_or_password_that_does_not_fit_is_refused() {
    let ctx = TestContext::new().await;
    let what = |outcome: Result<AccountId, LegacySignUpError>| match outcome {
        Err(LegacySignUpError::InvalidAddress) => "address",
        Err(LegacySignUpError::InvalidName) => "name",
        Err(LegacySignUpError::WeakPassword) => "password",
        other => panic!("{other:?}"),
    };
    assert_eq!(what(ctx.create_legacy("new", "bademailhere").await), "address");
    assert_eq!(what(ctx.create_legacy("new", "").await), "address");
    assert_eq!(
        what(ctx.create_legacy(NEW_HASHED, "another-valid@email.com").await),
        "name"
    );
    assert_eq!(what(ctx.create_legacy("a b", NEW).await), "name");
    let weak = NewLegacyAccount {
        password: "1234567",
        ..new_legacy("new", NEW)
    };
    assert_eq!(
        what(ctx.accounts.create_legacy(weak, &local_client()).await),
        "password"
    );
    assert_eq!(ctx.count("SELECT COUNT(*) FROM account").await, 0);
}

/// Every name is one row: a chosen name, an address and their hashed forms keep one another out.
#[tokio::test]
async fn a_name_of_another_account_is_refused() {
    let ctx = TestContext::new().await;
    ctx.create_legacy("tarek", "tarek@mozilla.com").await.unwrap();
    let taken =
        |outcome: Result<AccountId, LegacySignUpError>| matches!(outcome, Err(LegacySignUpError::Exists));
    assert!(taken(ctx.create_legacy("TAREK", BEA).await));
    assert!(taken(ctx.create_legacy("other", "Tarek@mozilla.com").await));
    assert!(taken(
        ctx.create_legacy("4bkawybiacr7h7sslleintbmrimswa5z", "tarek@mozilla.com")
            .await
    ));
    assert!(
        ctx.accounts
            .create(crate::context::new_account("tarek@mozilla.com"), &local_client())
            .await
            .is_err()
    );
    assert_eq!(ctx.count("SELECT COUNT(*) FROM account").await, 1);
    assert_eq!(ctx.count("SELECT COUNT(*) FROM login_name").await, 3);
}

/// Two at once want one name: one gets it.
#[tokio::test]
async fn of_two_concurrent_claims_of_a_name_one_succeeds() {
    let ctx = TestContext::new().await;
    let (one, other) = tokio::join!(ctx.create_legacy("tarek", ANN), ctx.create_legacy("tarek", BEA));
    assert!(one.is_ok() != other.is_ok());
    let refused = one.err().or(other.err());
    assert!(matches!(refused, Some(LegacySignUpError::Exists)));
}

/// U13.52: the operator's secret opens what is closed, and strangers learn no name there.
#[tokio::test]
async fn a_closed_server_accepts_a_sign_up_with_the_operators_secret() {
    for policy in [SignUp::Closed, SignUp::Invite] {
        let ctx = TestContext::with_policy(policy).await;
        let client = public_client("192.0.2.1");
        let refused = ctx
            .accounts
            .create_legacy(new_legacy("tarek", ANN), &client)
            .await;
        assert!(matches!(refused, Err(LegacySignUpError::Closed)));
        assert!(ctx.accounts.is_name_taken("tarek", &client).await.unwrap());
        let authorised = NewLegacyAccount {
            is_authorised: true,
            ..new_legacy("tarek", ANN)
        };
        ctx.accounts.create_legacy(authorised, &client).await.unwrap();
        assert!(ctx.accounts.name_exists("tarek").await.unwrap());
    }
}

/// A16.69, U13.36: the key, its id and the store stay; the old password opens nothing any more.
#[tokio::test]
async fn a_password_changed_by_an_old_client_keeps_key_and_store() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let before = ctx.firefox(ANN, PASSWORD).await;
    let store = ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    ctx.clock.advance_millis(1000);

    ctx.accounts
        .change_plain_password(ANN_HASHED, PASSWORD, "newpasswordhere", &old_client())
        .await
        .unwrap();

    assert!(matches!(
        ctx.open(ANN_HASHED, PASSWORD).await,
        Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
    ));
    assert!(matches!(
        ctx.login(ANN, PASSWORD).await,
        Err(SignInError::WrongPassword { .. })
    ));
    assert!(
        ctx.accounts
            .session(&crate::context::session_id(&created))
            .await
            .is_err(),
        "what was signed in has ended"
    );
    assert_eq!(ctx.firefox(ANN, "newpasswordhere").await, before);
    assert_eq!(ctx.open(ANN_HASHED, "newpasswordhere").await.unwrap(), store);
}

/// The reverse: a password changed by Firefox is the one that old clients use.
#[tokio::test]
async fn a_password_changed_by_firefox_counts_for_old_clients_at_once() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let store = ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    crate::password::change(&ctx, ANN, PASSWORD, "newpasswordhere").await;
    assert!(ctx.accounts.cached_store(ANN_HASHED, PASSWORD).is_none());
    assert!(ctx.open(ANN_HASHED, PASSWORD).await.is_err());
    assert_eq!(ctx.open(ANN_HASHED, "newpasswordhere").await.unwrap(), store);
}

/// U13.37: a weak password is refused before the old one is asked for.
#[tokio::test]
async fn a_weak_new_password_is_refused_first() {
    let ctx = TestContext::new().await;
    for (name, new) in [(ANN, "short"), ("longenough", "LongEnough ")] {
        let refused = ctx
            .accounts
            .change_plain_password(name, "wrong", new, &old_client())
            .await;
        assert!(matches!(refused, Err(LegacyChangeError::WeakPassword)));
    }
}

/// A16.70: with the new address Firefox is told the old one, with which it signs in; no one can register either.
#[tokio::test]
async fn a_new_address_adds_names_and_takes_none_away() {
    let ctx = TestContext::new().await;
    ctx.create_legacy("tarek", ANN).await.unwrap();
    let before = ctx.firefox(ANN, PASSWORD).await;
    let store = ctx.open("tarek", PASSWORD).await.unwrap();

    ctx.accounts
        .change_address("tarek", PASSWORD, NEW, &old_client())
        .await
        .unwrap();

    let result = ctx.login(NEW, PASSWORD).await;
    assert!(matches!(result, Err(SignInError::OtherSpelling { address }) if address == ANN));
    assert_eq!(ctx.firefox(ANN, PASSWORD).await, before);
    for name in ["tarek", ANN, ANN_HASHED, NEW, NEW_HASHED] {
        assert_eq!(ctx.open(name, PASSWORD).await.unwrap(), store, "{name}");
        let refused = ctx.create_legacy(name, BEA).await;
        assert!(refused.is_err(), "{name}");
    }
    for address in [ANN, NEW] {
        let refused = ctx
            .accounts
            .create(crate::context::new_account(address), &local_client())
            .await;
        assert!(matches!(refused, Err(SignUpError::Exists { .. })), "{address}");
    }
    let shown = ctx.accounts.show_account("tarek").await.unwrap().unwrap();
    assert_eq!(shown.address, NEW);
}

/// From the next password on the address in use is the one that is stretched with.
#[tokio::test]
async fn after_a_new_address_the_next_password_is_stretched_with_it() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let before = ctx.firefox(ANN, PASSWORD).await;
    ctx.accounts
        .change_address(ANN, PASSWORD, NEW, &old_client())
        .await
        .unwrap();
    ctx.clock.advance_millis(1000);
    ctx.accounts
        .change_plain_password(ANN_HASHED, PASSWORD, "newpasswordhere", &old_client())
        .await
        .unwrap();
    assert_eq!(ctx.firefox(NEW, "newpasswordhere").await, before);
    let result = ctx.login(ANN, "newpasswordhere").await;
    assert!(matches!(result, Err(SignInError::OtherSpelling { address }) if address == NEW));
}

/// U13.41: and an address that belongs to another account is not given away, nor one that was theirs.
#[tokio::test]
async fn an_invalid_address_or_one_of_another_account_is_refused() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.create(BEA).await;
    let change = |name: &'static str, address: &'static str| {
        let accounts = ctx.accounts.clone();
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
    let wrong = ctx
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
async fn a_new_unconfirmed_address_gets_codes_of_its_own() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let client = public_client("192.0.2.1");
    ctx.accounts
        .create_legacy(new_legacy("tarek", ANN), &client)
        .await
        .unwrap();
    let before = ctx.accounts.pending_codes("tarek").await.unwrap().remove(0);
    ctx.accounts
        .change_address("tarek", PASSWORD, NEW, &client)
        .await
        .unwrap();
    let after = ctx.accounts.pending_codes("tarek").await.unwrap().remove(0);
    assert_ne!(after.code, before.code);
    let shown = ctx.accounts.show_account("tarek").await.unwrap().unwrap();
    assert!(!shown.address_verified);
}

/// Neither the reader of the old mailbox nor a page that stretched with the old address goes on after the change.
#[tokio::test]
async fn a_new_address_ends_every_reset_that_has_begun() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.accounts
        .request_legacy_reset(ANN, &old_client())
        .await
        .unwrap();
    let begun = ctx.accounts.start_reset(ANN, &local_client()).await.unwrap();
    let code = |purpose| {
        let accounts = ctx.accounts.clone();
        async move {
            let waiting = accounts.pending_codes(ANN).await.unwrap();
            waiting.into_iter().find(|code| code.purpose == purpose)
        }
    };
    let plain = code(CodePurpose::ResetLegacy).await.expect("it waits").code;
    let modern = code(CodePurpose::ResetPassword).await.expect("it waits").code;
    let link = ctx.accounts.password_link(ANN).await.unwrap();
    let forgot = begun.password_forgot_token;
    let credential = ctx
        .credential(CredentialKind::PasswordForgot, &forgot)
        .await
        .unwrap();
    let second = ctx.accounts.start_reset(ANN, &local_client()).await.unwrap();
    let other = ctx
        .credential(CredentialKind::PasswordForgot, &second.password_forgot_token)
        .await;
    let reset = ctx
        .accounts
        .verify_reset_code(&other.unwrap(), &modern, &local_client())
        .await
        .unwrap();

    ctx.accounts
        .change_address(ANN, PASSWORD, NEW, &old_client())
        .await
        .unwrap();

    let late = ctx
        .accounts
        .reset_plain_password(
            ANN,
            &plain,
            "newpasswordhere",
            DataLossConsent::Given,
            &old_client(),
        )
        .await;
    assert!(matches!(late, Err(LegacyResetError::WrongCode)));
    assert!(ctx.accounts.reset_status(&credential).await.is_err());
    assert!(
        ctx.credential(CredentialKind::AccountReset, &reset)
            .await
            .is_err()
    );
    assert!(
        ctx.accounts
            .open_password_link(&link, &local_client())
            .await
            .is_err()
    );
    ctx.accounts
        .request_legacy_reset(ANN, &old_client())
        .await
        .unwrap();
    let fresh = code(CodePurpose::ResetLegacy).await.expect("another one waits");
    assert_ne!(fresh.code, plain);
}

/// Each change writes mails, which strangers may get.
#[tokio::test]
async fn an_account_changes_its_address_five_times_a_day() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let client = public_client("192.0.2.1");
    ctx.create(ANN).await;
    for number in 0..5 {
        let address = format!("ann{number}@example.org");
        ctx.accounts
            .change_address(ANN, PASSWORD, &address, &client)
            .await
            .unwrap();
    }
    let refused = ctx.accounts.change_address(ANN, PASSWORD, ANN, &client).await;
    assert!(matches!(
        refused,
        Err(LegacyChangeError::Login(LegacyLoginError::TooMany { .. }))
    ));
    ctx.accounts
        .change_address(ANN, PASSWORD, ANN, &old_client())
        .await
        .unwrap();
}

/// Otherwise the owner of one address could take a foreign one and lock its owner out.
#[tokio::test]
async fn a_new_address_is_confirmed_anew_and_given_back_if_it_was_not() {
    let mailed = Options {
        sends_mail: true,
        ..cheap()
    };
    let ctx = TestContext::with(mailed).await;
    let client = public_client("192.0.2.1");
    ctx.create(ANN).await;
    let verified = |name: &'static str| {
        let accounts = ctx.accounts.clone();
        async move {
            let shown = accounts.show_account(name).await.unwrap().unwrap();
            (shown.address, shown.address_verified)
        }
    };
    ctx.accounts
        .change_address(ANN, PASSWORD, "ANN@example.org", &client)
        .await
        .unwrap();
    assert!(verified(ANN).await.1, "it is the same one");
    ctx.accounts
        .change_address(ANN, PASSWORD, BEA, &client)
        .await
        .unwrap();
    assert_eq!(verified(ANN).await, (BEA.to_owned(), false));
    ctx.accounts
        .change_address(ANN, PASSWORD, NEW, &client)
        .await
        .unwrap();
    ctx.create(BEA).await;
    assert_eq!(verified(BEA).await, (BEA.to_owned(), true));
    ctx.accounts.approve(ANN).await.unwrap();
    ctx.accounts
        .change_address(NEW_HASHED, PASSWORD, "cid@example.org", &client)
        .await
        .unwrap();
    assert_eq!(verified(NEW).await, ("cid@example.org".to_owned(), false));
    assert_eq!(verified(ANN).await.0, "cid@example.org");
}

/// The operator's commands take either.
#[tokio::test]
async fn a_name_that_could_be_an_account_id_is_refused() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let id = created.account.to_string();
    for name in [id.as_str(), "0123456789abcdef0123456789abcdef"] {
        let refused = ctx.create_legacy(name, BEA).await;
        assert!(
            matches!(refused, Err(LegacySignUpError::InvalidName)),
            "{name}: {refused:?}"
        );
    }
    ctx.create(BEA).await;
    let squat = "INSERT INTO login_name (name, uid) SELECT ?, uid FROM account WHERE address = ?";
    ctx.write(squat, foxden_sql::values![&id, BEA]).await;
    let shown = ctx.accounts.show_account(&id).await.unwrap().unwrap();
    assert_eq!(shown.address, ANN);
}

/// Each address leaves names behind, so there is an end to it.
#[tokio::test]
async fn one_account_does_not_collect_names_without_end() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let mut refused = None;
    for number in 0..64 {
        let address = format!("ann{number}@example.org");
        if let Err(error) = ctx
            .accounts
            .change_address(ANN, PASSWORD, &address, &old_client())
            .await
        {
            refused = Some(error);
            break;
        }
    }
    assert!(matches!(refused, Some(LegacyChangeError::InvalidAddress)));
    assert!(ctx.count("SELECT COUNT(*) FROM login_name").await <= 64);
}

/// U13.24: both stores go, and every surface is shut.
#[tokio::test]
async fn an_old_client_removes_the_whole_account() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let firefox = ctx.firefox(ANN, PASSWORD).await;
    let store = ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    let wrong = ctx
        .accounts
        .delete_legacy(ANN_HASHED, "wrong", &old_client())
        .await;
    assert!(matches!(wrong, Err(LegacyLoginError::WrongPassword { .. })));

    let removed = ctx
        .accounts
        .delete_legacy(ANN_HASHED, PASSWORD, &old_client())
        .await
        .unwrap();

    assert_eq!(removed.stores, [firefox.store, foxden_model::UserId(store)]);
    assert_eq!(ctx.due().await, removed.stores);
    assert!(ctx.accounts.cached_store(ANN_HASHED, PASSWORD).is_none());
    assert!(matches!(
        ctx.open(ANN_HASHED, PASSWORD).await,
        Err(OpenStoreError::Login(LegacyLoginError::UnknownAccount { .. }))
    ));
    assert!(
        !ctx.accounts
            .is_name_taken(ANN_HASHED, &local_client())
            .await
            .unwrap()
    );
    assert_eq!(
        ctx.accounts.node_of(ANN_HASHED, &old_client()).await.unwrap(),
        NodeLookup::Unknown
    );
}

/// U13.26, U13.27: a known account is told a node, and it is the one where the store then is.
#[tokio::test]
async fn a_known_name_has_a_node() {
    let ctx = TestContext::new().await;
    assert_eq!(
        ctx.accounts.node_of(ANN_HASHED, &old_client()).await.unwrap(),
        NodeLookup::Unknown
    );
    ctx.create(ANN).await;
    assert_eq!(
        ctx.accounts.node_of(ANN_HASHED, &old_client()).await.unwrap(),
        NodeLookup::At(NODE.into())
    );
    ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    assert_eq!(ctx.count("SELECT COUNT(*) FROM users").await, 1);
}

/// A disabled account counts as taken, and its password opens nothing.
#[tokio::test]
async fn a_disabled_account_is_taken_and_shut() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.open(ANN, PASSWORD).await.unwrap();
    ctx.accounts.set_disabled(ANN, true).await.unwrap();
    assert!(ctx.accounts.cached_store(ANN, PASSWORD).is_none());
    assert!(matches!(
        ctx.open(ANN, PASSWORD).await,
        Err(OpenStoreError::Login(LegacyLoginError::Disabled))
    ));
    assert!(
        ctx.accounts
            .is_name_taken(ANN_HASHED, &local_client())
            .await
            .unwrap()
    );
    ctx.accounts.set_disabled(ANN, false).await.unwrap();
    ctx.open(ANN, PASSWORD).await.unwrap();
}

/// An account that the operator added has no password: to an old client that is a wrong one.
#[tokio::test]
async fn without_a_password_every_password_is_wrong() {
    let ctx = TestContext::new().await;
    ctx.accounts
        .add_account(ANN, foxden_accounts::Role::Member)
        .await
        .unwrap();
    assert!(matches!(
        ctx.open(ANN, PASSWORD).await,
        Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
    ));
    assert_eq!(ctx.accounts.hashes(), 1, "and takes as long");
}

/// U13.21, U13.53: any text is a password.
#[tokio::test]
async fn a_password_may_hold_anything() {
    let ctx = TestContext::new().await;
    for (name, password) in [
        ("one", "ééééééééé"),
        ("two", "a:b:c:d:e"),
        ("three", "  spaces  "),
    ] {
        let address = format!("{name}@example.org");
        let new = NewLegacyAccount {
            password,
            ..new_legacy(name, &address)
        };
        ctx.accounts.create_legacy(new, &local_client()).await.unwrap();
        ctx.open(name, password).await.unwrap();
        assert!(ctx.open(name, password.trim_end_matches('d')).await.is_ok() || name != "one");
    }
}
