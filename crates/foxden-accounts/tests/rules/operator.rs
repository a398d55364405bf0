//! Tests of the operator's actions.

use foxden_accounts::{OperatorError, PictureKind, ProfileError, Role, SignInError, SignUp};

use crate::context::{ANN, BEA, PASSWORD, TestContext, local_client, new_account, public_client, session_id};

#[tokio::test]
async fn accounts_are_listed_and_found_by_every_name() {
    let ctx = TestContext::new().await;
    let ann = ctx.create(ANN).await.account;
    ctx.create(BEA).await;
    let listed = ctx.accounts.list_accounts(None, 10).await.unwrap();
    assert_eq!(listed.len(), 2);
    let rest = ctx
        .accounts
        .list_accounts(Some(listed[0].account), 10)
        .await
        .unwrap();
    assert_eq!(
        rest.iter().map(|one| one.account).collect::<Vec<_>>(),
        [listed[1].account]
    );
    for name in [ANN, "ANN@example.org", &ann.to_string()] {
        let found = ctx.accounts.show_account(name).await.unwrap().unwrap();
        assert_eq!(
            (found.account, found.sessions, found.devices, found.has_password),
            (ann, 1, 0, true)
        );
    }
    assert_eq!(ctx.accounts.show_account("unknown").await.unwrap(), None);
    assert_eq!(ctx.accounts.count_accounts().await.unwrap(), 2);
}

#[tokio::test]
async fn a_disabled_account_is_signed_out_and_refused() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    ctx.accounts.set_disabled(ANN, true).await.unwrap();
    assert!(ctx.accounts.session(&session_id(&created)).await.is_err());
    assert!(matches!(
        ctx.login(ANN, PASSWORD).await,
        Err(SignInError::Disabled)
    ));
    assert!(matches!(
        ctx.login(ANN, "wrong").await,
        Err(SignInError::WrongPassword { .. })
    ));
    ctx.accounts.set_disabled(ANN, false).await.unwrap();
    ctx.login(ANN, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_waiting_account_is_approved_without_its_code() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    let created = ctx
        .accounts
        .create(new_account(ANN), &public_client("192.0.2.1"))
        .await
        .unwrap();
    ctx.accounts.approve(ANN).await.unwrap();
    assert!(ctx.session(&created).await.is_verified());
    assert!(ctx.accounts.pending_codes(ANN).await.unwrap().is_empty());
}

#[tokio::test]
async fn roles_change_and_unknown_names_are_refused() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.accounts.set_role(ANN, Role::Admin).await.unwrap();
    assert_eq!(
        ctx.accounts.show_account(ANN).await.unwrap().unwrap().role,
        Role::Admin
    );
    let unknown = ctx.accounts.set_role(BEA, Role::Admin).await;
    assert!(matches!(unknown, Err(OperatorError::UnknownAccount { .. })));
    assert!(matches!(
        ctx.accounts.remove_account(BEA).await,
        Err(OperatorError::UnknownAccount { .. })
    ));
    assert!(matches!(
        ctx.accounts.add_account(ANN, Role::Member).await,
        Err(OperatorError::Exists)
    ));
}

#[tokio::test]
async fn the_newest_hundred_events_are_kept() {
    let ctx = TestContext::new().await;
    let account = ctx.create(ANN).await.account;
    for _ in 0..120 {
        ctx.login(ANN, PASSWORD).await.unwrap();
    }
    let events = ctx.accounts.security_events(account).await.unwrap();
    assert_eq!(events.len(), 100);
    assert!(
        events
            .iter()
            .all(|event| event.kind == "login" && event.address == "127.0.0.1")
    );
}

/// Events that unknown clients can cause have a limit of their own, a hundred.
#[tokio::test]
async fn resets_of_unknown_clients_evict_no_sign_in() {
    let ctx = TestContext::new().await;
    let account = ctx.create(ANN).await.account;
    for _ in 0..120 {
        ctx.accounts.start_reset(ANN, &local_client()).await.unwrap();
    }
    let events = ctx.accounts.security_events(account).await.unwrap();
    let (asked, own): (Vec<_>, Vec<_>) = events
        .into_iter()
        .partition(|event| event.kind == "reset asked for");
    assert_eq!((asked.len(), own.len()), (100, 1));
    assert_eq!(own[0].kind, "created");
}

#[tokio::test]
async fn a_profile_shows_what_its_owner_set() {
    let ctx = TestContext::new().await;
    let account = ctx.create(ANN).await.account;
    ctx.clock.advance_millis(1000);
    ctx.accounts.set_display_name(account, "  Ann  ").await.unwrap();
    let first = ctx
        .accounts
        .set_avatar(account, b"\x89PNG\r\n\x1a\n...".to_vec())
        .await
        .unwrap();
    let second = ctx
        .accounts
        .set_avatar(account, b"RIFF....WEBP...".to_vec())
        .await
        .unwrap();

    let profile = ctx.accounts.profile(account).await.unwrap();
    assert_eq!(
        (profile.display_name.as_deref(), profile.avatar.as_ref()),
        (Some("Ann"), Some(&second))
    );
    assert_eq!(profile.changed_at, crate::context::START + 1000);
    assert_eq!(ctx.accounts.avatar(&first).await.unwrap(), None);
    assert_eq!(
        ctx.accounts.avatar(&second).await.unwrap().unwrap().kind,
        PictureKind::WebP
    );
    ctx.accounts.remove_avatar(account, &first).await.unwrap();
    assert!(ctx.accounts.avatar(&second).await.unwrap().is_some());
    ctx.accounts.remove_avatar(account, &second).await.unwrap();
    ctx.accounts.set_display_name(account, "").await.unwrap();
    let profile = ctx.accounts.profile(account).await.unwrap();
    assert_eq!((profile.display_name, profile.avatar), (None, None));

    for bytes in [
        b"<svg>".to_vec(),
        [b"\xff\xd8\xff".to_vec(), vec![0; 256 * 1024]].concat(),
    ] {
        let refused = ctx.accounts.set_avatar(account, bytes).await;
        assert!(matches!(refused, Err(ProfileError::InvalidPicture)));
    }
    let refused = ctx.accounts.set_display_name(account, "a\nb").await;
    assert!(matches!(refused, Err(ProfileError::InvalidName)));
}
