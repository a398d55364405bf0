//! Making accounts and removing them.

use foxden_accounts::{
    CredentialError, CredentialKind, DeviceError, DeviceOwner, DevicePatch, KeyFetchError, NewAccount,
    SignInError, SignUp, SignUpError, Unverified,
};

use crate::context::{
    ANN, BEA, PASSWORD, TestContext, auth_pw, local_client, new_account, public_client, session_id,
};

#[tokio::test]
async fn a_new_account_is_signed_in_and_can_sign_in_again() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    assert!(created.is_verified());
    ctx.accounts.session(&session_id(&created)).await.unwrap();

    let again = ctx.login(ANN, PASSWORD).await.unwrap();

    assert_eq!(again.account, created.account);
    assert_ne!(again.session_token, created.session_token);
    assert_eq!(
        ctx.kb(&created, ANN, PASSWORD).await,
        ctx.kb(&again, ANN, PASSWORD).await,
        "each sign-in gives the same key"
    );
}

#[tokio::test]
async fn an_address_is_taken_in_every_spelling() {
    let ctx = TestContext::new().await;
    ctx.create("Ann@Example.org").await;
    let taken = ctx.accounts.create(new_account(ANN), &local_client()).await;
    let spelling = Some("Ann@Example.org".to_owned());
    assert!(matches!(taken, Err(SignUpError::Exists { address }) if address == spelling));
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_as_its_owner_spells_it_and_no_other_is() {
    let ctx = TestContext::new().await;
    let told = |asked: &'static str| {
        let accounts = ctx.accounts.clone();
        async move {
            match accounts.create(new_account(asked), &local_client()).await {
                Err(SignUpError::Exists { address }) => address,
                other => panic!("{other:?}"),
            }
        }
    };
    ctx.create("First.Last@example.org").await;
    let spelt = Some("First.Last@example.org".to_owned());
    assert_eq!(told("first.last@example.org").await, spelt);
    assert_eq!(told("First.Last@example.org").await, spelt);
    // An address of before tells nothing of the one in use.
    for (new, old) in [("Bea@example.org", &spelt), ("Cat@example.org", &spelt)] {
        ctx.accounts
            .change_address("first.last@example.org", PASSWORD, new, &local_client())
            .await
            .unwrap();
        assert_eq!(&told("first.LAST@example.org").await, old);
    }
    assert_eq!(told("bea@example.org").await, None);
    assert_eq!(told("cat@example.org").await, Some("Cat@example.org".to_owned()));
}

#[tokio::test]
async fn a_name_that_is_the_hash_of_an_address_is_taken_too() {
    let ctx = TestContext::new().await;
    ctx.create("sync@example.com").await;
    let owner = ctx
        .accounts
        .show_account("h556uyifil2npdqhtpip45uz4zkj2llp")
        .await
        .unwrap();
    assert_eq!(owner.unwrap().address, "sync@example.com");
}

#[tokio::test]
async fn of_two_concurrent_sign_ups_with_one_address_one_succeeds() {
    let ctx = TestContext::new().await;
    let client = local_client();
    let (one, other) = tokio::join!(
        ctx.accounts.create(new_account(ANN), &client),
        ctx.accounts.create(new_account("ANN@example.org"), &client),
    );
    assert_eq!(u8::from(one.is_ok()) + u8::from(other.is_ok()), 1);
    let refused = one.err().or(other.err());
    assert!(matches!(refused, Some(SignUpError::Exists { .. })));
    assert_eq!(ctx.count("SELECT COUNT(*) FROM account").await, 1);
}

#[tokio::test]
async fn unknown_clients_need_an_invitation_unless_sign_up_is_open() {
    let ctx = TestContext::new().await;
    let refused = ctx
        .accounts
        .create(new_account(ANN), &public_client("192.0.2.1"))
        .await;
    assert!(matches!(refused, Err(SignUpError::Closed)));

    let open = TestContext::with_policy(SignUp::Open).await;
    let created = open
        .accounts
        .create(new_account(ANN), &public_client("192.0.2.1"))
        .await
        .unwrap();
    assert!(
        !created.is_verified(),
        "and an address from a public client waits for its code"
    );
}

#[tokio::test]
async fn with_invitations_the_server_reveals_no_accounts() {
    let ctx = TestContext::with_policy(SignUp::Invite).await;
    let status = ctx
        .accounts
        .address_status(ANN, &public_client("192.0.2.1"))
        .await
        .unwrap();
    assert!(status.exists);
    let open = TestContext::with_policy(SignUp::Open).await;
    assert!(
        !open
            .accounts
            .address_status(ANN, &public_client("192.0.2.1"))
            .await
            .unwrap()
            .exists
    );
}

#[tokio::test]
async fn an_account_that_was_never_confirmed_is_given_up_by_its_owner() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let client = public_client("192.0.2.1");
    let accounts = &ctx.accounts;
    let created = accounts.create(new_account(ANN), &client).await.unwrap();
    let session = ctx.session(&created).await;
    let (right, wrong) = (auth_pw(ANN, PASSWORD), auth_pw(ANN, "wrong"));
    let wrong = accounts.destroy(Some(&session), ANN, &wrong, &client).await;
    assert!(matches!(wrong, Err(SignInError::WrongPassword { .. })));
    let owner = DeviceOwner::Session(&session);
    let device = accounts
        .register_device(owner, DevicePatch::default())
        .await
        .unwrap();
    let other = accounts
        .login(crate::context::login(ANN, PASSWORD), &client)
        .await
        .unwrap();
    let other = ctx.session(&other).await;
    let foreign = accounts
        .destroy_device(DeviceOwner::Session(&other), device.id)
        .await;
    assert!(matches!(
        foreign,
        Err(DeviceError::Unverified(Unverified::Address))
    ));
    accounts.destroy_device(owner, device.id).await.unwrap();

    let own = accounts.destroy(Some(&other), ANN, &right, &client).await;
    own.unwrap();
    assert_eq!(accounts.count_accounts().await.unwrap(), 0);
}

#[tokio::test]
async fn malformed_and_reserved_addresses_are_refused() {
    let mut options = crate::context::cheap();
    options.reserved_names = vec!["root".to_owned()];
    let ctx = TestContext::with(options).await;
    for address in ["", "ann", "ann@b@c", "an n@example.org", "root@example.org"] {
        let refused = ctx.accounts.create(new_account(address), &local_client()).await;
        assert!(matches!(refused, Err(SignUpError::InvalidAddress)), "{address}");
    }
}

#[tokio::test]
async fn keys_are_fetched_once_and_only_when_asked_for() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let token = created.key_fetch_token.as_ref().unwrap();
    let credential = ctx.credential(CredentialKind::KeyFetch, token).await.unwrap();
    assert_eq!(ctx.accounts.fetch_keys(&credential).await.unwrap().len(), 192);

    assert!(matches!(
        ctx.accounts.fetch_keys(&credential).await,
        Err(KeyFetchError::UnknownToken)
    ));
    assert!(matches!(
        ctx.credential(CredentialKind::KeyFetch, token).await,
        Err(CredentialError::Unknown)
    ));
    let without = NewAccount {
        wants_keys: false,
        ..new_account(BEA)
    };
    let created = ctx.accounts.create(without, &local_client()).await.unwrap();
    assert!(created.key_fetch_token.is_none());
}

#[tokio::test]
async fn unverified_owners_lose_the_key_token_all_the_same() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let created = ctx
        .accounts
        .create(new_account(ANN), &public_client("192.0.2.1"))
        .await
        .unwrap();
    let credential = ctx
        .credential(
            CredentialKind::KeyFetch,
            created.key_fetch_token.as_ref().unwrap(),
        )
        .await
        .unwrap();
    assert!(matches!(
        ctx.accounts.fetch_keys(&credential).await,
        Err(KeyFetchError::AddressUnverified)
    ));
    assert!(matches!(
        ctx.accounts.fetch_keys(&credential).await,
        Err(KeyFetchError::UnknownToken)
    ));
}

#[tokio::test]
async fn kinds_of_tokens_are_separate() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let id = session_id(&created);
    assert!(matches!(
        ctx.accounts
            .one_time_credential(CredentialKind::KeyFetch, &id)
            .await,
        Err(CredentialError::Unknown)
    ));
}

#[tokio::test]
async fn a_removed_account_leaves_nothing_but_its_stores_to_be_emptied() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let session = ctx.session(&created).await;
    let token = ctx.access_token(&session).await;
    let identity = ctx.accounts.verify_bearer(&token).await.unwrap();
    let key_id = foxden_accounts::KeyId {
        keys_changed_at: identity.generation.unwrap(),
        client_state: vec![1; 16],
    };
    let store = ctx.accounts.assign(&identity, &key_id).await.unwrap().user;
    ctx.accounts
        .set_display_name(created.account, "Ann")
        .await
        .unwrap();
    ctx.accounts
        .set_avatar(created.account, b"\xff\xd8\xff picture".to_vec())
        .await
        .unwrap();
    ctx.create(BEA).await;

    let wrong = ctx
        .accounts
        .destroy(Some(&session), ANN, &auth_pw(ANN, "wrong"), &local_client())
        .await;
    assert!(matches!(wrong, Err(SignInError::WrongPassword { .. })));
    let removed = ctx
        .accounts
        .destroy(Some(&session), ANN, &auth_pw(ANN, PASSWORD), &local_client())
        .await
        .unwrap();

    assert_eq!(removed.stores, [store]);
    assert!(!ctx.accounts.account_exists(created.account).await.unwrap());
    for (statement, left) in [
        ("SELECT COUNT(*) FROM account", 1),
        ("SELECT COUNT(*) FROM login_name", 2),
        ("SELECT COUNT(*) FROM session", 1),
        ("SELECT COUNT(*) FROM token", 1),
        ("SELECT COUNT(*) FROM access_token", 0),
        ("SELECT COUNT(*) FROM avatar", 0),
        ("SELECT COUNT(*) FROM security_event", 1),
        ("SELECT COUNT(*) FROM users", 0),
        ("SELECT COUNT(*) FROM closed_store", 1),
    ] {
        assert_eq!(ctx.count(statement).await, left, "{statement}");
    }
    assert_eq!(ctx.accounts.closed_stores().await.unwrap(), [store]);
    ctx.create(ANN).await;
}

/// Strangers choose the text, and some texts are refused by databases.
#[tokio::test]
async fn what_cannot_be_the_id_of_a_picture_is_not_looked_up() {
    let ctx = TestContext::new().await;
    let ann = ctx.create(ANN).await.account;
    for id in ["", "\0", "\u{e9}", "A0000000000000000000000000000000"] {
        assert_eq!(ctx.accounts.avatar_size(id).await.unwrap(), None, "{id:?}");
        assert_eq!(ctx.accounts.avatar(id).await.unwrap(), None, "{id:?}");
        ctx.accounts.remove_avatar(ann, id).await.unwrap();
    }
    let id = ctx
        .accounts
        .set_avatar(ann, b"\xff\xd8\xff picture".to_vec())
        .await;
    assert_eq!(ctx.accounts.avatar_size(&id.unwrap()).await.unwrap(), Some(11));
}

#[tokio::test]
async fn a_closed_store_is_emptied_at_once_and_again_when_its_last_token_has_expired() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let session = ctx.session(&created).await;
    let identity = ctx
        .accounts
        .verify_bearer(&ctx.access_token(&session).await)
        .await
        .unwrap();
    let key_id = foxden_accounts::KeyId {
        keys_changed_at: 1,
        client_state: vec![1; 16],
    };
    let store = ctx.accounts.assign(&identity, &key_id).await.unwrap().user;
    ctx.accounts.remove_account(ANN).await.unwrap();

    assert_eq!(ctx.due().await, [store]);
    ctx.accounts.store_emptied(store).await.unwrap();
    assert!(ctx.accounts.stores_to_empty(10).await.unwrap().is_empty());
    ctx.clock.advance_millis(3_600_001);
    assert!(
        ctx.accounts.stores_to_empty(10).await.unwrap().is_empty(),
        "the clock of its node may be behind, and a token on its way is signed later"
    );
    ctx.clock.advance_millis(5 * 60_000);
    assert_eq!(ctx.due().await, [store]);
    ctx.accounts.store_emptied(store).await.unwrap();
    ctx.clock.advance_millis(1_000_000);
    assert!(ctx.accounts.stores_to_empty(10).await.unwrap().is_empty());
    assert!(ctx.accounts.closed_stores().await.unwrap().is_empty());
}

#[tokio::test]
async fn without_a_session_the_password_alone_removes_an_account_and_never_another_ones() {
    let ctx = TestContext::new().await;
    let ann = ctx.create(ANN).await;
    let bea = ctx.create(BEA).await;
    let session = ctx.session(&bea).await;
    let refused = ctx
        .accounts
        .destroy(Some(&session), ANN, &auth_pw(ANN, PASSWORD), &local_client())
        .await;
    assert!(matches!(refused, Err(SignInError::UnknownAccount { .. })));
    ctx.accounts
        .destroy(None, ANN, &auth_pw(ANN, PASSWORD), &local_client())
        .await
        .unwrap();
    crate::context::is_gone(
        ann.account,
        ctx.accounts.account_exists(ann.account).await.unwrap(),
    );
    assert!(ctx.accounts.account_exists(bea.account).await.unwrap());
}
