//! What the operator may do.

use foxden_accounts::{OperatorError, PictureKind, ProfileError, Role, SignInError, SignUp};

use crate::lab::{ANN, BEA, Lab, PASSWORD, at_home, new_account, session_id, stranger};

#[tokio::test]
async fn accounts_are_listed_and_found_by_every_name() {
    let lab = Lab::new().await;
    let ann = lab.create(ANN).await.account;
    lab.create(BEA).await;
    let listed = lab.accounts.list_accounts(None, 10).await.unwrap();
    assert_eq!(listed.len(), 2);
    let rest = lab
        .accounts
        .list_accounts(Some(listed[0].account), 10)
        .await
        .unwrap();
    assert_eq!(
        rest.iter().map(|one| one.account).collect::<Vec<_>>(),
        [listed[1].account]
    );
    for name in [ANN, "ANN@example.org", &ann.to_string()] {
        let found = lab.accounts.show_account(name).await.unwrap().unwrap();
        assert_eq!(
            (found.account, found.sessions, found.devices, found.has_password),
            (ann, 1, 0, true)
        );
    }
    assert_eq!(lab.accounts.show_account("nobody").await.unwrap(), None);
    assert_eq!(lab.accounts.count_accounts().await.unwrap(), 2);
}

#[tokio::test]
async fn whoever_is_switched_off_is_signed_out_and_kept_out() {
    let lab = Lab::new().await;
    let created = lab.create(ANN).await;
    lab.accounts.set_disabled(ANN, true).await.unwrap();
    assert!(lab.accounts.session(&session_id(&created)).await.is_err());
    assert!(matches!(
        lab.login(ANN, PASSWORD).await,
        Err(SignInError::Disabled)
    ));
    assert!(matches!(
        lab.login(ANN, "wrong").await,
        Err(SignInError::WrongPassword { .. })
    ));
    lab.accounts.set_disabled(ANN, false).await.unwrap();
    lab.login(ANN, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_waiting_account_is_approved_without_its_code() {
    let lab = Lab::with_policy(SignUp::Open).await;
    let created = lab
        .accounts
        .create(new_account(ANN), &stranger("192.0.2.1"))
        .await
        .unwrap();
    lab.accounts.approve(ANN).await.unwrap();
    assert!(lab.session(&created).await.is_verified());
    assert!(lab.accounts.waiting_codes(ANN).await.unwrap().is_empty());
}

#[tokio::test]
async fn roles_change_and_unknown_names_are_refused() {
    let lab = Lab::new().await;
    lab.create(ANN).await;
    lab.accounts.set_role(ANN, Role::Admin).await.unwrap();
    assert_eq!(
        lab.accounts.show_account(ANN).await.unwrap().unwrap().role,
        Role::Admin
    );
    let unknown = lab.accounts.set_role(BEA, Role::Admin).await;
    assert!(matches!(unknown, Err(OperatorError::UnknownAccount { .. })));
    assert!(matches!(
        lab.accounts.remove_account(BEA).await,
        Err(OperatorError::UnknownAccount { .. })
    ));
    assert!(matches!(
        lab.accounts.add_account(ANN, Role::Member).await,
        Err(OperatorError::Exists)
    ));
}

#[tokio::test]
async fn the_newest_hundred_events_are_kept() {
    let lab = Lab::new().await;
    let account = lab.create(ANN).await.account;
    for _ in 0..120 {
        lab.login(ANN, PASSWORD).await.unwrap();
    }
    let events = lab.accounts.security_events(account).await.unwrap();
    assert_eq!(events.len(), 100);
    assert!(
        events
            .iter()
            .all(|event| event.kind == "login" && event.address == "127.0.0.1")
    );
}

/// What strangers can cause has a hundred places of its own.
#[tokio::test]
async fn resets_of_strangers_push_no_sign_in_out() {
    let lab = Lab::new().await;
    let account = lab.create(ANN).await.account;
    for _ in 0..120 {
        lab.accounts.forgot_password(ANN, &at_home()).await.unwrap();
    }
    let events = lab.accounts.security_events(account).await.unwrap();
    let (asked, own): (Vec<_>, Vec<_>) = events
        .into_iter()
        .partition(|event| event.kind == "reset asked for");
    assert_eq!((asked.len(), own.len()), (100, 1));
    assert_eq!(own[0].kind, "created");
}

#[tokio::test]
async fn a_profile_shows_what_its_owner_set() {
    let lab = Lab::new().await;
    let account = lab.create(ANN).await.account;
    lab.clock.advance_millis(1000);
    lab.accounts.set_display_name(account, "  Ann  ").await.unwrap();
    let first = lab
        .accounts
        .set_avatar(account, b"\x89PNG\r\n\x1a\n...".to_vec())
        .await
        .unwrap();
    let second = lab
        .accounts
        .set_avatar(account, b"RIFF....WEBP...".to_vec())
        .await
        .unwrap();

    let profile = lab.accounts.profile(account).await.unwrap();
    assert_eq!(
        (profile.display_name.as_deref(), profile.avatar.as_ref()),
        (Some("Ann"), Some(&second))
    );
    assert_eq!(profile.changed_at, crate::lab::START + 1000);
    assert_eq!(lab.accounts.avatar(&first).await.unwrap(), None);
    assert_eq!(
        lab.accounts.avatar(&second).await.unwrap().unwrap().kind,
        PictureKind::WebP
    );
    lab.accounts.remove_avatar(account, &first).await.unwrap();
    assert!(lab.accounts.avatar(&second).await.unwrap().is_some());
    lab.accounts.remove_avatar(account, &second).await.unwrap();
    lab.accounts.set_display_name(account, "").await.unwrap();
    let profile = lab.accounts.profile(account).await.unwrap();
    assert_eq!((profile.display_name, profile.avatar), (None, None));

    for bytes in [
        b"<svg>".to_vec(),
        [b"\xff\xd8\xff".to_vec(), vec![0; 256 * 1024]].concat(),
    ] {
        let refused = lab.accounts.set_avatar(account, bytes).await;
        assert!(matches!(refused, Err(ProfileError::InvalidPicture)));
    }
    let refused = lab.accounts.set_display_name(account, "a\nb").await;
    assert!(matches!(refused, Err(ProfileError::InvalidName)));
}
