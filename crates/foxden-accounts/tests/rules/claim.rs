//! Names that an account claims before it has confirmed their address, and what becomes of them.

use foxden_accounts::{
    AccountId, Accounts, ConfirmError, CredentialKind, Grant, KeyFetchError, LegacyChangeError,
    LegacyLoginError, MIGRATIONS, Mail, NewAccount, NewLegacyAccount, NodeLookup, OAuthError, OLDSYNC,
    OpenStoreError, OperatorError, Options, PasswordError, QueuedMail, ResetRequestError, Role, SignUp,
    SignUpError, Unverified,
};
use std::time::Duration;

use foxden_sql::{Database, Fetch, SqlError, values};

use crate::context::{
    ANN, BEA, DESKTOP, PASSWORD, TestContext, auth_pw, authorization, cheap, new_account, public_client,
    token_request,
};
use crate::credential_cache::Folder;
use crate::legacy::ANN_HASHED;

const OTHERS: &str = "another battery staple";
const DAY: i64 = 24 * 3_600_000;

async fn ctx() -> TestContext {
    TestContext::with(Options {
        sign_up: Some(SignUp::Open),
        sends_mail: true,
        ..cheap()
    })
    .await
}

async fn mails(accounts: &Accounts) -> Vec<QueuedMail> {
    let mut mails = Vec::new();
    while let Some(posted) = accounts.take_mail().await.unwrap() {
        mails.push(posted);
    }
    mails
}

/// Opens the link in the mail that the account was sent last.
async fn confirm(ctx: &TestContext, account: AccountId) -> Result<(), ConfirmError> {
    let mails = mails(&ctx.accounts).await;
    let codes = mails.iter().rev().find_map(|posted| match &posted.mail {
        Mail::ConfirmAddress { link_code, .. } if posted.account == Some(account) => Some(link_code),
        _ => None,
    });
    let code = codes.expect("it was sent one");
    ctx.accounts
        .verify_address(account, code, &public_client("192.0.2.77"))
        .await
}

async fn exists(ctx: &TestContext, address: &str) -> bool {
    let result = ctx
        .accounts
        .address_status(address, &public_client("198.51.100.9"))
        .await;
    result.unwrap().exists
}

fn legacy<'a>(name: &'a str, address: &'a str) -> NewLegacyAccount<'a> {
    NewLegacyAccount {
        name,
        address,
        password: OTHERS,
        is_authorised: false,
    }
}

fn account(address: &str, password: &str, invite: Option<String>) -> NewAccount {
    NewAccount {
        auth_pw: auth_pw(address, password),
        invite,
        ..new_account(address)
    }
}

/// The ways in which an account comes to claim ANN, and a name by which it is known in any case.
#[derive(Clone, Copy, Debug)]
enum Way {
    Firefox,
    OldClient,
    Hashed,
    Changed,
    ThroughSeveral,
    Invited,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::Firefox,
        Self::OldClient,
        Self::Hashed,
        Self::Changed,
        Self::ThroughSeveral,
        Self::Invited,
    ];

    async fn claim(self, ctx: &TestContext) -> AccountId {
        let (by, accounts) = (public_client("192.0.2.1"), &ctx.accounts);
        match self {
            Self::Firefox => {
                accounts
                    .create(account(ANN, OTHERS, None), &by)
                    .await
                    .unwrap()
                    .account
            }
            Self::OldClient => accounts.create_legacy(legacy("tarek", ANN), &by).await.unwrap(),
            Self::Hashed => accounts
                .create_legacy(legacy(ANN_HASHED, ANN), &by)
                .await
                .unwrap(),
            Self::Invited => {
                let invite = accounts.invite(Role::Member, "", None).await.unwrap();
                let new = account(ANN, OTHERS, Some(invite));
                accounts.create(new, &by).await.unwrap().account
            }
            Self::Changed | Self::ThroughSeveral => {
                let own = "own@example.org";
                let id = accounts.create_legacy(legacy("tarek", own), &by).await.unwrap();
                confirm(ctx, id).await.unwrap();
                if matches!(self, Self::ThroughSeveral) {
                    accounts
                        .change_address("tarek", OTHERS, "x@example.org", &by)
                        .await
                        .unwrap();
                }
                accounts.change_address("tarek", OTHERS, ANN, &by).await.unwrap();
                id
            }
        }
    }
}

#[tokio::test]
async fn a_claim_blocks_no_one_and_ends_when_another_account_confirms() {
    for way in Way::ALL {
        let ctx = ctx().await;
        let claimant = way.claim(&ctx).await;
        assert!(ctx.open(ANN, OTHERS).await.is_ok(), "{way:?}: old clients go on");
        assert!(exists(&ctx, ANN).await, "{way:?}: its own clients sign in");

        let by = public_client("203.0.113.5");
        let owner = ctx.accounts.create(new_account(ANN), &by).await.unwrap();
        assert_ne!(owner.account, claimant);
        assert!(
            ctx.open(ANN, OTHERS).await.is_ok(),
            "{way:?}: nothing is confirmed yet"
        );
        confirm(&ctx, owner.account).await.unwrap();

        assert!(exists(&ctx, ANN).await, "{way:?}");
        assert_eq!(ctx.login(ANN, PASSWORD).await.unwrap().account, owner.account);
        for name in [ANN, ANN_HASHED] {
            let other = ctx.open(name, OTHERS).await;
            assert!(
                matches!(
                    other,
                    Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
                ),
                "{way:?} {name}"
            );
            assert!(ctx.open(name, PASSWORD).await.is_ok(), "{way:?} {name}");
        }
        let again = ctx.accounts.create(account(ANN, OTHERS, None), &by).await;
        assert!(matches!(again, Err(SignUpError::Exists { .. })), "{way:?}");
        let named = claimant.to_string();
        assert!(
            ctx.accounts.show_account(&named).await.unwrap().is_some(),
            "the account stays"
        );
        let late = ctx.accounts.approve(&named).await;
        assert!(matches!(late, Err(OperatorError::Exists)), "{way:?}: {late:?}");
    }
}

/// The page that signs in finds an account and asks for its password. The owner of the mailbox sets another one.
#[tokio::test]
async fn a_reset_by_mail_takes_over_a_claim_with_its_account() {
    for way in [Way::Firefox, Way::OldClient, Way::Hashed, Way::Invited] {
        let ctx = ctx().await;
        let claimant = way.claim(&ctx).await;
        let store = ctx.open(ANN, OTHERS).await.unwrap();
        let by = public_client("203.0.113.5");
        mails(&ctx.accounts).await;
        ctx.accounts.request_legacy_reset(ANN_HASHED, &by).await.unwrap();
        let posted = mails(&ctx.accounts).await.remove(0);
        assert_eq!(posted.address, ANN, "{way:?}");
        let Mail::LegacyReset { code, .. } = posted.mail else {
            panic!("{posted:?}");
        };
        let consent = foxden_accounts::DataLossConsent::NotAsked;
        ctx.accounts
            .reset_plain_password(ANN_HASHED, &code, PASSWORD, consent, &by)
            .await
            .unwrap();
        assert!(matches!(
            ctx.open(ANN, OTHERS).await,
            Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
        ));
        assert_eq!(ctx.open(ANN, PASSWORD).await.unwrap(), store, "{way:?}");
        let signed_in = ctx.login(ANN, PASSWORD).await.unwrap();
        assert!(
            signed_in.is_verified() && signed_in.account == claimant,
            "{way:?}"
        );
        let other = ctx.accounts.create(account(ANN, OTHERS, None), &by).await;
        assert!(matches!(other, Err(SignUpError::Exists { .. })), "{way:?}");
    }
}

/// A person who mistypes a new address, and forgets the password, must not lose the account to the reader of that mailbox.
#[tokio::test]
async fn a_slip_gives_no_foreign_mailbox_the_power_to_reset() {
    let ctx = ctx().await;
    let by = public_client("203.0.113.5");
    Way::Changed.claim(&ctx).await;
    mails(&ctx.accounts).await;
    for name in ["tarek", "own@example.org", ANN, ANN_HASHED] {
        let result = ctx.accounts.request_legacy_reset(name, &by).await;
        assert!(
            matches!(result, Err(ResetRequestError::UnknownAccount { .. })),
            "{name}"
        );
        if name.contains('@') {
            let result = ctx.accounts.start_reset(name, &by).await.map(drop);
            assert!(
                matches!(result, Err(PasswordError::UnknownAccount { .. })),
                "{name}"
            );
            let result = ctx.accounts.send_otp(name, &by).await;
            assert!(
                matches!(result, Err(PasswordError::UnknownAccount { .. })),
                "{name}"
            );
        }
    }
    assert!(mails(&ctx.accounts).await.is_empty());
    ctx.accounts
        .change_address("tarek", OTHERS, "own@example.org", &by)
        .await
        .unwrap();
    mails(&ctx.accounts).await;
    ctx.accounts.request_legacy_reset("tarek", &by).await.unwrap();
    assert_eq!(mails(&ctx.accounts).await.remove(0).address, "own@example.org");
}

/// Two that claim the same address are two in any mails: SQL folds those of ASCII alone.
#[tokio::test]
async fn the_operator_is_asked_which_of_two_claims_in_any_letters() {
    let ctx = ctx().await;
    let by = public_client("203.0.113.5");
    for (name, address) in [("one", "ÄNN@example.org"), ("two", "änn@example.org")] {
        ctx.accounts
            .create_legacy(legacy(name, address), &by)
            .await
            .unwrap();
    }
    for name in ["one", "two", "Änn@example.org"] {
        let unclear = ctx.accounts.approve(name).await;
        assert!(matches!(unclear, Err(OperatorError::Ambiguous)), "{name}");
    }
}

/// The codes of both went to the same mailbox: the one that is used first decides.
#[tokio::test]
async fn of_two_claims_the_first_that_is_confirmed_gets_the_name() {
    let ctx = ctx().await;
    let first = Way::Firefox.claim(&ctx).await;
    let second = ctx
        .accounts
        .create_legacy(legacy("bob", ANN), &public_client("203.0.113.5"))
        .await
        .unwrap();
    let unclear = ctx.accounts.approve(ANN).await;
    assert!(
        matches!(unclear, Err(OperatorError::Ambiguous)),
        "the operator says which"
    );
    let mails = mails(&ctx.accounts).await;
    let code_of = |account| {
        let found = mails.iter().find(|posted| posted.account == Some(account));
        match &found.expect("it was sent one").mail {
            Mail::ConfirmAddress { link_code, .. } => link_code.clone(),
            other => panic!("{other:?}"),
        }
    };
    let by = public_client("192.0.2.77");
    ctx.accounts
        .verify_address(first, &code_of(first), &by)
        .await
        .unwrap();
    let late = ctx.accounts.verify_address(second, &code_of(second), &by).await;
    assert!(matches!(late, Err(ConfirmError::Exists)));
    let shown = ctx.accounts.show_account("bob").await.unwrap().unwrap();
    assert!(!shown.address_verified && shown.account == second);
}

/// Moving on from an address that was never confirmed keeps no one from it, and leads no mail elsewhere.
#[tokio::test]
async fn mails_go_only_to_the_requested_address() {
    let ctx = ctx().await;
    let by = public_client("192.0.2.1");
    let claimant = Way::Firefox.claim(&ctx).await;
    ctx.accounts.change_address(ANN, OTHERS, BEA, &by).await.unwrap();
    confirm(&ctx, claimant).await.unwrap();
    assert_eq!(
        ctx.open(ANN_HASHED, OTHERS).await.unwrap(),
        ctx.open(BEA, OTHERS).await.unwrap(),
        "the password was stretched with it: old clients go on"
    );
    mails(&ctx.accounts).await;
    for name in [ANN, ANN_HASHED] {
        let result = ctx.accounts.request_legacy_reset(name, &by).await;
        assert!(
            matches!(result, Err(ResetRequestError::UnknownAccount { .. })),
            "{name}"
        );
    }
    let result = ctx.accounts.start_reset(ANN, &by).await.map(drop);
    assert!(matches!(result, Err(PasswordError::UnknownAccount { .. })));
    let result = ctx.accounts.send_otp(ANN, &by).await;
    assert!(matches!(result, Err(PasswordError::UnknownAccount { .. })));
    assert!(mails(&ctx.accounts).await.is_empty());

    ctx.accounts.request_legacy_reset(BEA, &by).await.unwrap();
    assert_eq!(mails(&ctx.accounts).await[0].address, BEA);
    let owner = ctx.accounts.create(new_account(ANN), &by).await.unwrap();
    confirm(&ctx, owner.account).await.unwrap();
    assert!(ctx.login(ANN, PASSWORD).await.is_ok());
    assert!(
        ctx.open(BEA, OTHERS).await.is_ok(),
        "the other account has its own"
    );
}

/// An address that was confirmed stays its account's for good, also when it was left and came back to.
#[tokio::test]
async fn a_confirmed_address_stays_the_accounts_own() {
    let ctx = ctx().await;
    let by = public_client("192.0.2.1");
    let owner = ctx
        .accounts
        .create_legacy(legacy(ANN_HASHED, ANN), &by)
        .await
        .unwrap();
    confirm(&ctx, owner).await.unwrap();
    for address in [BEA, ANN, "cid@example.org"] {
        ctx.accounts
            .change_address(ANN_HASHED, OTHERS, address, &by)
            .await
            .unwrap();
    }
    let other = ctx
        .accounts
        .create(new_account(ANN), &public_client("203.0.113.5"))
        .await;
    assert!(matches!(other, Err(SignUpError::Exists { .. })));
    assert!(ctx.open(ANN_HASHED, OTHERS).await.is_ok());
}

/// Nothing settles there whose an address is, but the operator.
#[tokio::test]
async fn without_mail_a_claim_keeps_its_name() {
    let ctx = TestContext::with_policy(SignUp::Open).await;
    Way::Firefox.claim(&ctx).await;
    assert!(exists(&ctx, ANN).await);
    let other = ctx
        .accounts
        .create(new_account(ANN), &public_client("203.0.113.5"))
        .await;
    assert!(matches!(other, Err(SignUpError::Exists { .. })));
    let added = ctx.accounts.add_account(ANN, Role::Member).await;
    assert!(matches!(added, Err(OperatorError::Exists)));
    ctx.clock.advance_millis(100 * DAY);
    ctx.accounts.purge(10, i64::MAX).await.unwrap();
    assert!(ctx.accounts.show_account(ANN).await.unwrap().is_some());
}

/// An invitation vouches for a person. Where mails are sent it vouches for the address that it was mailed to alone.
#[tokio::test]
async fn an_invitation_confirms_the_address_that_it_was_mailed_to() {
    let ctx = ctx().await;
    let by = public_client("192.0.2.1");
    let first = ctx.accounts.first_invitation().await.unwrap();
    let made = ctx
        .accounts
        .create(account("op@example.org", OTHERS, first), &by)
        .await;
    assert!(made.unwrap().is_verified(), "the operator's own");
    let mailed = ctx
        .accounts
        .invite_by_mail(Role::Member, "", None, ANN)
        .await
        .unwrap();
    let made = ctx
        .accounts
        .create(account("Ann@Example.org", OTHERS, Some(mailed)), &by)
        .await;
    assert!(made.unwrap().is_verified());
    let mailed = ctx
        .accounts
        .invite_by_mail(Role::Member, "", None, "cid@example.org")
        .await
        .unwrap();
    let made = ctx.accounts.create(account(BEA, OTHERS, Some(mailed)), &by).await;
    assert!(!made.unwrap().is_verified(), "mailed to another address");
    let added = ctx.accounts.add_account(BEA, Role::Member).await;
    assert!(added.is_ok(), "the operator's word goes before a claim");
}

#[tokio::test]
async fn accounts_that_never_confirm_an_address_end_by_themselves() {
    let ctx = ctx().await;
    let by = |number: u8| public_client(&format!("192.0.2.{number}"));
    let mut made = Vec::new();
    for (number, name) in (1..).zip(["gone", "stores", "off", "confirms", "moved"]) {
        let address = format!("{name}@example.org");
        let id = ctx
            .accounts
            .create_legacy(legacy(name, &address), &by(number))
            .await
            .unwrap();
        made.push(id);
    }
    ctx.open("stores", OTHERS).await.unwrap();
    // Anyone may ask where its storage is, and keeps no claim by it.
    let told = ctx.accounts.node_of("gone", &by(7)).await.unwrap();
    assert!(matches!(told, NodeLookup::At(node) if *node == *crate::context::NODE));
    ctx.accounts.set_disabled("off", true).await.unwrap();
    ctx.accounts.approve("confirms").await.unwrap();
    ctx.accounts.approve("moved").await.unwrap();
    ctx.accounts
        .change_address("moved", OTHERS, BEA, &by(9))
        .await
        .unwrap();

    ctx.clock.advance_millis(7 * DAY);
    ctx.accounts.purge(1000, i64::MAX).await.unwrap();
    assert!(
        ctx.accounts.show_account("gone").await.unwrap().is_some(),
        "not yet"
    );
    ctx.clock.advance_millis(1);
    let late = ctx
        .accounts
        .create_legacy(legacy("late", "late@example.org"), &by(8))
        .await
        .unwrap();
    ctx.accounts.purge(1000, i64::MAX).await.unwrap();
    for (account, stays) in made.into_iter().zip([false, true, true, true, true]) {
        assert_eq!(
            ctx.accounts.account_exists(account).await.unwrap(),
            stays,
            "{account}"
        );
    }
    assert!(ctx.accounts.account_exists(late).await.unwrap());
    let kept = ctx
        .reopened(
            Options {
                unconfirmed_ttl: None,
                sends_mail: true,
                ..cheap()
            },
            crate::context::NODE,
        )
        .await;
    ctx.clock.advance_millis(100 * DAY);
    kept.accounts.purge(1000, i64::MAX).await.unwrap();
    assert!(kept.accounts.account_exists(late).await.unwrap());
    let longer = Options {
        unconfirmed_ttl: Some(Duration::from_secs(60)),
        sends_mail: true,
        ..cheap()
    };
    let ended = ctx.reopened(longer, crate::context::NODE).await;
    ended.accounts.purge(1000, i64::MAX).await.unwrap();
    assert!(!ended.accounts.account_exists(late).await.unwrap());
}

/// Accounts that stay are not walked through at every run.
#[tokio::test]
async fn a_run_that_ends_claims_checks_few_and_the_next_continues() {
    let ctx = ctx().await;
    let mut made = Vec::new();
    for (number, name) in ["gone", "one", "two", "three", "four", "five"]
        .into_iter()
        .enumerate()
    {
        let (address, by) = (
            format!("{name}@example.org"),
            public_client(&format!("192.0.{number}.2")),
        );
        let id = ctx
            .accounts
            .create_legacy(legacy(name, &address), &by)
            .await
            .unwrap();
        made.push(id);
        if name != "gone" {
            ctx.open(name, OTHERS).await.unwrap();
        }
    }
    ctx.clock.advance_millis(8 * DAY);
    let gone = made[0];
    let before = made.iter().filter(|id| id.to_string() < gone.to_string()).count();
    let rest = made.len() - before;
    for run in 0..before {
        ctx.accounts.purge(1, i64::MAX).await.unwrap();
        assert!(ctx.accounts.account_exists(gone).await.unwrap(), "{run}");
    }
    ctx.accounts.purge(1, i64::MAX).await.unwrap();
    assert!(
        !ctx.accounts.account_exists(gone).await.unwrap(),
        "{before} before it"
    );
    // Behind the last one it begins anew.
    let by = public_client("192.0.100.2");
    let late = ctx
        .accounts
        .create_legacy(legacy("late", "late@example.org"), &by)
        .await
        .unwrap();
    ctx.clock.advance_millis(8 * DAY);
    for _ in 0..=rest + made.len() {
        ctx.accounts.purge(1, i64::MAX).await.unwrap();
    }
    assert!(!ctx.accounts.account_exists(late).await.unwrap());
}

/// No session of an unconfirmed account gives a key, a code or a token.
#[tokio::test]
async fn an_unconfirmed_account_reaches_no_storage_of_todays_browsers() {
    let ctx = ctx().await;
    let by = public_client("192.0.2.1");
    let created = ctx.accounts.create(new_account(ANN), &by).await.unwrap();
    let again = ctx.login(ANN, PASSWORD).await.unwrap();
    let session = ctx.session(&again).await;
    let copy = ctx.accounts.duplicate_session(&session, &by).await.unwrap();
    for signed_in in [&created, &again, &copy] {
        assert!(!signed_in.is_verified());
        let session = ctx.session(signed_in).await;
        assert!(ctx.accounts.authorize(&session, authorization()).await.is_err());
        assert!(
            ctx.accounts
                .scoped_key_data(&session, DESKTOP, OLDSYNC)
                .await
                .is_err()
        );
        let grant = Grant::Credentials {
            scope: OLDSYNC.to_owned(),
            access_type: foxden_accounts::AccessType::Offline,
        };
        let granted = ctx
            .accounts
            .grant(Some(&session), token_request(grant), &by)
            .await;
        assert!(matches!(
            granted,
            Err(OAuthError::Unverified(Unverified::Address))
        ));
    }
    for signed_in in [&created, &again] {
        let token = signed_in.key_fetch_token.as_ref().expect("keys were asked for");
        let credential = ctx.credential(CredentialKind::KeyFetch, token).await.unwrap();
        let keys = ctx.accounts.fetch_keys(&credential).await;
        assert!(matches!(keys, Err(KeyFetchError::AddressUnverified)));
    }
    let tokens = "SELECT (SELECT COUNT(*) FROM access_token) + (SELECT COUNT(*) FROM refresh_token)";
    assert_eq!(ctx.count(tokens).await, 0);
}

/// Rows of earlier releases: names of accounts whose address is not confirmed become claims, but for chosen ones.
#[tokio::test]
async fn names_of_before_are_owned_where_the_address_is_confirmed() {
    let folder = Folder::sqlite();
    let before = Database::open(&folder.file(), &MIGRATIONS.sqlite[..3])
        .await
        .unwrap();
    let written = before.transact(|tx| async move {
        for (uid, verified) in [("0a".repeat(16), 1), ("0b".repeat(16), 0)] {
            let account = "INSERT INTO account (uid, address, stretched_address, address_verified, ka, created_at, verifier_set_at,
                keys_changed_at, profile_changed_at, role, disabled) VALUES (?, ?, ?, ?, X'00', 1, 1, 1, 1, 'member', 0)";
            let address = format!("{uid}@example.org");
            let values = values![&uid, &address, &address, verified == 1];
            tx.execute(account, values).await?;
            for name in [
                address,
                format!("{}-chosen", &uid[..4]),
                ANN_HASHED.replacen('u', &uid[1..2], 1),
            ] {
                let statement = "INSERT INTO login_name (name, uid) VALUES (?, ?)";
                tx.execute(statement, values![name, &uid]).await?;
            }
        }
        Ok::<_, SqlError>(())
    });
    written.await.unwrap();
    drop(before);
    let now = Database::open(&folder.file(), MIGRATIONS).await.unwrap();
    let statement = "SELECT owned FROM login_name WHERE uid = ? ORDER BY LENGTH(name)";
    for (uid, wanted) in [("0a".repeat(16), [1, 1, 1]), ("0b".repeat(16), [1, 0, 0])] {
        let rows = now.fetch_all(statement, values![&uid]).await.unwrap();
        let owned: Vec<i64> = rows.into_iter().map(|mut row| row.take(0).unwrap()).collect();
        assert_eq!(owned, wanted, "{uid}");
    }
}

/// Strangers begin resets, too: the rows end, and the one that the owner's mail opens is not among them.
#[tokio::test]
async fn resets_are_bounded_and_the_mailed_one_stays_valid() {
    let ctx = ctx().await;
    ctx.create(ANN).await;
    let home = crate::context::local_client();
    ctx.accounts.start_reset(ANN, &home).await.unwrap();
    let mail = mails(&ctx.accounts).await.remove(0).mail;
    for number in 0..1050 {
        let by = public_client(&format!("{}.0.113.5", 20 + number % 100));
        ctx.accounts.start_reset(ANN, &by).await.unwrap();
    }
    let begun = ctx.count("SELECT COUNT(*) FROM token").await;
    assert!((1000..1020).contains(&begun), "{begun}");
    let Mail::ResetCode { code, token, .. } = mail else {
        panic!("{mail:?}");
    };
    let token = foxden_accounts::SecretToken::from_hex(&token).unwrap();
    let credential = ctx
        .credential(CredentialKind::PasswordForgot, &token)
        .await
        .unwrap();
    ctx.accounts
        .verify_reset_code(&credential, &code, &home)
        .await
        .unwrap();
}

/// Logins count for the account that they prove, also if its password was stretched with an address that is another's now.
#[tokio::test]
async fn a_former_claimant_spends_no_budget_of_the_owner() {
    let ctx = ctx().await;
    let mallory = public_client("192.0.2.1");
    let made = ctx.accounts.create_legacy(legacy("mallory", ANN), &mallory).await;
    made.unwrap();
    let moved = ctx
        .accounts
        .change_address("mallory", OTHERS, "mallory@example.com", &mallory)
        .await;
    moved.unwrap();
    let owner = ctx
        .accounts
        .create(new_account(ANN), &public_client("198.51.100.1"))
        .await;
    confirm(&ctx, owner.unwrap().account).await.unwrap();
    let mut last = Ok(());
    for number in 0..130 {
        let by = public_client(&format!("192.0.{number}.1"));
        last = ctx
            .accounts
            .change_address("mallory", OTHERS, "mallory@example.com", &by)
            .await
            .map(drop);
    }
    assert!(
        matches!(
            last,
            Err(LegacyChangeError::Login(LegacyLoginError::TooMany { .. }))
        ),
        "{last:?}"
    );
    ctx.login(ANN, PASSWORD).await.unwrap();
}
