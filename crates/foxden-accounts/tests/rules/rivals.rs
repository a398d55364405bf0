//! Two servers on one register file. Of all concurrent requests with the same single-use credential, exactly one succeeds.

use foxden_accounts::{
    Accounts, CodePurpose, CredentialKind, DataLossConsent, FollowUp, Grant, Identity, KeyId, MIGRATIONS,
    Mail, NewAccount, NewLegacyAccount, NewPassword, Nodes, OLDSYNC, OneTimeCredential, OpenStoreError,
    Options, Parts, Role, SecretToken, SignUp, SignedIn, WrapKb,
};
use std::collections::HashSet;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use foxden_model::{ManualClock, SeededRng, UserId};
use foxden_sql::Database;
use tokio::task::JoinSet;

use crate::context::{
    ANN, NODE, PASSWORD, START, TestContext, VERIFIER, auth_pw, cheap, local_client, new_account,
    public_client, session_id, token_request,
};
use crate::credential_cache::Folder;

/// Requests of each server.
const TASKS: usize = 50;
const NEW: &str = "another horse";

/// Two servers, and the first one with what tests ask.
struct Rivals {
    ctx: TestContext,
    other: Accounts,
    _folder: Folder,
}

impl Rivals {
    async fn new() -> Self {
        let folder = Folder::new();
        let clock = Arc::new(ManualClock::at_millis(START));
        // Each server has random bytes of its own, or they would make the same tokens.
        let (accounts, database) = server(&folder, &clock, 1).await;
        let (other, _) = server(&folder, &clock, 2).await;
        let ctx = TestContext {
            accounts,
            database,
            clock,
            lease: None,
        };
        Self {
            ctx,
            other,
            _folder: folder,
        }
    }

    /// The outcomes of the requests that are not refused. All tasks of both servers make each request at once.
    async fn winners<T, E, W>(&self, request: impl Fn(Accounts, usize) -> W) -> Vec<T>
    where
        T: Send + 'static,
        E: Error + Send + 'static,
        W: Future<Output = Result<T, E>> + Send + 'static,
    {
        let mut tasks = JoinSet::new();
        for number in 0..2 * TASKS {
            let server = if number % 2 == 0 {
                &self.ctx.accounts
            } else {
                &self.other
            };
            tasks.spawn(request(server.clone(), number));
        }
        let mut won = Vec::new();
        for outcome in tasks.join_all().await {
            match outcome {
                Ok(value) => won.push(value),
                // Busy is among them: few hashes of one network may wait.
                Err(error) => assert!(!is_of_register(&error), "{error:?}"),
            }
        }
        won
    }

    /// The outcome of the only request that is not refused.
    async fn winner<T, E, W>(&self, request: impl Fn(Accounts, usize) -> W) -> T
    where
        T: Send + 'static,
        E: Error + Send + 'static,
        W: Future<Output = Result<T, E>> + Send + 'static,
    {
        let mut won = self.winners(request).await;
        assert_eq!(won.len(), 1);
        won.remove(0)
    }

    /// An account whose address is not confirmed, and the two codes that would confirm it.
    async fn unconfirmed(&self) -> (SignedIn, String, String) {
        let by = public_client("192.0.2.1");
        let created = self.ctx.accounts.create(new_account(ANN), &by).await.unwrap();
        let posted = self.ctx.accounts.take_mail().await.unwrap().unwrap();
        let Mail::ConfirmAddress { code, link_code } = posted.mail else {
            panic!("{:?}", posted.mail);
        };
        (created, code, link_code)
    }

    async fn code(&self, purpose: CodePurpose) -> String {
        let waiting = self.ctx.accounts.pending_codes(ANN).await.unwrap();
        let found = waiting.into_iter().find(|code| code.purpose == purpose);
        found.expect("a code waits").code
    }

    /// A reset of an account's password that waits for its code, and the code.
    async fn reset(&self) -> (OneTimeCredential, String) {
        let begun = self.ctx.accounts.start_reset(ANN, &local_client()).await.unwrap();
        let credential = self
            .credential(CredentialKind::PasswordForgot, &begun.password_forgot_token)
            .await;
        (credential, self.code(CodePurpose::ResetPassword).await)
    }

    async fn credential(&self, kind: CredentialKind, token: &SecretToken) -> OneTimeCredential {
        self.ctx.credential(kind, token).await.unwrap()
    }
}

async fn server(folder: &Folder, clock: &Arc<ManualClock>, seed: u64) -> (Accounts, Database) {
    let database = Database::open(&folder.location(), MIGRATIONS).await.unwrap();
    let parts = Parts {
        database: database.clone(),
        clock: Arc::clone(clock) as Arc<_>,
        rng: Arc::new(SeededRng::new(seed)),
        nodes: Nodes::Own(NODE.to_owned()),
        options: Options {
            sign_up: Some(SignUp::Open),
            sends_mail: true,
            ..cheap()
        },
    };
    (Accounts::open(parts).await.unwrap(), database)
}

fn new_password(wrap_kb: Option<WrapKb>) -> NewPassword {
    NewPassword {
        auth_pw: auth_pw(ANN, NEW),
        wrap_kb,
        then: FollowUp::Nothing,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_are_fetched_once() {
    let rivals = Rivals::new().await;
    let created = rivals.ctx.create(ANN).await;
    let credential = rivals
        .credential(
            CredentialKind::KeyFetch,
            created.key_fetch_token.as_ref().unwrap(),
        )
        .await;
    rivals
        .winner(|server, _| {
            let credential = credential.clone();
            async move { server.fetch_keys(&credential).await }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_password_change_is_finished_once() {
    let rivals = Rivals::new().await;
    rivals.ctx.create(ANN).await;
    let (old, home) = (auth_pw(ANN, PASSWORD), local_client());
    let started = rivals.ctx.accounts.start_password_change(None, ANN, &old, &home);
    let token = started.await.unwrap().password_change_token;
    let credential = rivals.credential(CredentialKind::PasswordChange, &token).await;
    rivals
        .winner(|server, _| {
            let credential = credential.clone();
            let new = new_password(Some(WrapKb([7; 32])));
            async move {
                server
                    .finish_password_change(&credential, new, None, &local_client())
                    .await
            }
        })
        .await;
    rivals.ctx.login(ANN, NEW).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reset_code_and_the_token_that_it_gives_are_used_once() {
    let rivals = Rivals::new().await;
    rivals.ctx.create(ANN).await;
    let (credential, code) = rivals.reset().await;
    let token = rivals
        .winner(|server, _| {
            let (credential, code) = (credential.clone(), code.clone());
            async move {
                server
                    .verify_reset_code(&credential, &code, &local_client())
                    .await
            }
        })
        .await;
    let credential = rivals.credential(CredentialKind::AccountReset, &token).await;
    rivals
        .winner(|server, _| {
            let credential = credential.clone();
            async move {
                server
                    .reset_password(&credential, new_password(None), &local_client())
                    .await
            }
        })
        .await;
    rivals.ctx.login(ANN, NEW).await.unwrap();
}

/// The code waits for the account, and each who asks begins a reset of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reset_code_is_used_once_whatever_the_reset() {
    let rivals = Rivals::new().await;
    rivals.ctx.create(ANN).await;
    let mut resets = Vec::new();
    for _ in 0..20 {
        resets.push(rivals.reset().await.0);
    }
    let code = rivals.code(CodePurpose::ResetPassword).await;
    rivals
        .winner(|server, number| {
            let (credential, code) = (resets[number % resets.len()].clone(), code.clone());
            async move {
                server
                    .verify_reset_code(&credential, &code, &local_client())
                    .await
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn digits_open_one_reset() {
    let rivals = Rivals::new().await;
    rivals.ctx.create(ANN).await;
    rivals.ctx.accounts.send_otp(ANN, &local_client()).await.unwrap();
    let digits = rivals.code(CodePurpose::ResetOtp).await;
    rivals
        .winner(|server, _| {
            let digits = digits.clone();
            async move { server.verify_otp(ANN, &digits, &local_client()).await }
        })
        .await;
}

/// A program that asks for digits takes the code of a reset as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_in_place_of_digits_opens_one_reset() {
    let rivals = Rivals::new().await;
    rivals.ctx.create(ANN).await;
    let (_, code) = rivals.reset().await;
    rivals
        .winner(|server, _| {
            let code = code.clone();
            async move { server.verify_otp(ANN, &code, &local_client()).await }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_for_old_clients_resets_the_password_once() {
    let rivals = Rivals::new().await;
    rivals.ctx.create(ANN).await;
    rivals
        .ctx
        .accounts
        .request_legacy_reset(ANN, &local_client())
        .await
        .unwrap();
    let code = rivals.code(CodePurpose::ResetLegacy).await;
    rivals
        .winner(|server, _| {
            let code = code.clone();
            async move {
                server
                    .reset_plain_password(ANN, &code, NEW, DataLossConsent::Given, &local_client())
                    .await
            }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_set_password_link_is_opened_once() {
    let rivals = Rivals::new().await;
    let code = rivals.ctx.accounts.add_account(ANN, Role::Member).await.unwrap();
    rivals
        .winner(|server, _| {
            let code = code.clone();
            async move { server.open_password_link(&code, &local_client()).await }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_address_is_confirmed_once_by_its_digits() {
    let rivals = Rivals::new().await;
    let (created, digits, _) = rivals.unconfirmed().await;
    let session = rivals.ctx.session(&created).await;
    rivals
        .winner(|server, _| {
            let (session, digits) = (session.clone(), digits.clone());
            async move { server.verify_session(&session, &digits, &local_client()).await }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_address_is_confirmed_once_by_its_link() {
    let rivals = Rivals::new().await;
    let (created, _, link) = rivals.unconfirmed().await;
    rivals
        .winner(|server, _| {
            let (account, link) = (created.account, link.clone());
            async move { server.verify_address(account, &link, &local_client()).await }
        })
        .await;
}

/// Several accounts claim an address. Each has a code of its own, and one of them becomes the owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_address_is_owned_by_one_of_its_claimants() {
    let rivals = Rivals::new().await;
    for network in 1..=3 {
        let by = public_client(&format!("192.0.{network}.1"));
        rivals.ctx.accounts.create(new_account(ANN), &by).await.unwrap();
    }
    let mut claims = Vec::new();
    while let Some(queued) = rivals.ctx.accounts.take_mail().await.unwrap() {
        if let Mail::ConfirmAddress { link_code, .. } = queued.mail {
            claims.push((queued.account.unwrap(), link_code));
        }
    }
    assert_eq!(claims.len(), 3);
    let owner = rivals
        .winner(|server, number| {
            // Both servers for each claim.
            let (account, link) = claims[number / 2 % claims.len()].clone();
            async move {
                let confirmed = server.verify_address(account, &link, &local_client()).await;
                confirmed.map(|()| account)
            }
        })
        .await;
    let shown = rivals.other.show_account(ANN).await.unwrap().unwrap();
    assert_eq!(shown.account, owner);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_invitation_makes_one_account() {
    let rivals = Rivals::new().await;
    let code = rivals.ctx.accounts.invite(Role::Member, "", None).await.unwrap();
    makes_one_account(&rivals, &code).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_first_invitation_makes_one_account() {
    let rivals = Rivals::new().await;
    let code = rivals.ctx.accounts.first_invitation().await.unwrap().unwrap();
    makes_one_account(&rivals, &code).await;
}

/// Of all guests with one invitation, one gets an account.
async fn makes_one_account(rivals: &Rivals, code: &str) {
    rivals
        .winner(|server, number| {
            let new = NewAccount {
                invite: Some(code.to_owned()),
                ..new_account(&format!("guest{number}@example.org"))
            };
            async move { server.create(new, &local_client()).await }
        })
        .await;
    assert_eq!(rivals.ctx.count("SELECT COUNT(*) FROM account").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_address_makes_one_account() {
    let rivals = Rivals::new().await;
    let sign_up = |server: Accounts, _| async move { server.create(new_account(ANN), &local_client()).await };
    rivals.winner(sign_up).await;
    assert_eq!(rivals.ctx.count("SELECT COUNT(*) FROM account").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_of_old_clients_makes_one_account() {
    let rivals = Rivals::new().await;
    rivals
        .winner(|server, number| async move {
            let new = NewLegacyAccount {
                name: "tarek",
                address: &format!("guest{number}@example.org"),
                password: PASSWORD,
                is_authorised: false,
            };
            server.create_legacy(new, &local_client()).await
        })
        .await;
    assert_eq!(rivals.ctx.count("SELECT COUNT(*) FROM account").await, 1);
}

/// A client that sends a code again has a copy of it, so the winner's tokens are revoked, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_authorization_code_is_redeemed_once() {
    let rivals = Rivals::new().await;
    let created = rivals.ctx.create(ANN).await;
    let session = rivals.ctx.accounts.session(&session_id(&created)).await.unwrap();
    let code = rivals.ctx.code(&session).await.to_hex();
    rivals
        .winner(|server, _| {
            let grant = Grant::Code {
                code: code.clone(),
                verifier: Some(VERIFIER.to_owned()),
            };
            async move { server.grant(None, token_request(grant), &local_client()).await }
        })
        .await;
    let tokens = "SELECT (SELECT COUNT(*) FROM access_token) + (SELECT COUNT(*) FROM refresh_token)";
    assert_eq!(rivals.ctx.count(tokens).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refresh_token_is_exchanged_once() {
    let rivals = Rivals::new().await;
    let created = rivals.ctx.create(ANN).await;
    let session = rivals.ctx.session(&created).await;
    let code = rivals.ctx.code(&session).await;
    let granted = rivals.ctx.redeem(Some(&session), &code).await.unwrap();
    let token = granted.refresh_token.unwrap().to_hex();
    rivals
        .winner(|server, _| {
            let grant = Grant::Exchange {
                token: token.clone(),
                scope: OLDSYNC.to_owned(),
            };
            async move { server.grant(None, token_request(grant), &local_client()).await }
        })
        .await;
    assert_eq!(rivals.ctx.count("SELECT COUNT(*) FROM refresh_token").await, 1);
}

/// The first requests of a new user make one store, whichever server they reach.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn first_requests_make_one_store() {
    let rivals = Rivals::new().await;
    rivals.ctx.create(ANN).await;
    let old: HashSet<UserId> = rivals
        .winners(|server, _| async move {
            let store = server.open_store(ANN, PASSWORD, &local_client()).await?;
            Ok::<_, OpenStoreError>(store.user)
        })
        .await
        .into_iter()
        .collect();
    assert_eq!(old.len(), 1);

    let new = rivals
        .winners(|server, _| async move {
            let identity = Identity {
                fxa_uid: "0123456789abcdef0123456789abcdef".to_owned(),
                issuer: "issuer.example".to_owned(),
                generation: Some(START),
                scope: vec![OLDSYNC.to_owned()],
            };
            let key_id = KeyId {
                keys_changed_at: START,
                client_state: vec![7; 16],
            };
            Ok::<_, OpenStoreError>(server.assign(&identity, &key_id).await.unwrap().user)
        })
        .await;
    assert_eq!(new.len(), 2 * TASKS);
    assert_eq!(new.into_iter().collect::<HashSet<UserId>>().len(), 1);
    assert_eq!(rivals.ctx.count("SELECT COUNT(*) FROM users").await, 2);
}

/// A browser that signs in here gets one store as well, and so does its next key.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_key_of_a_browser_makes_one_store() {
    let rivals = Rivals::new().await;
    let created = rivals.ctx.create(ANN).await;
    let session = rivals.ctx.session(&created).await;
    let token = rivals.ctx.access_token(&session).await;
    for changes in 1..=2 {
        let users = rivals
            .winners(|server, _| {
                let token = token.clone();
                async move {
                    let identity = Identity {
                        generation: Some(START + changes),
                        ..server.verify_bearer(&token).await?
                    };
                    let key_id = KeyId {
                        keys_changed_at: START + changes,
                        client_state: vec![u8::try_from(changes).unwrap(); 16],
                    };
                    server.assign(&identity, &key_id).await
                }
            })
            .await;
        assert_eq!(users.len(), 2 * TASKS);
        let users: HashSet<UserId> = users.into_iter().map(|assigned| assigned.user).collect();
        assert_eq!(users.len(), 1);
        assert_eq!(rivals.ctx.count("SELECT COUNT(*) FROM users").await, changes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mail_is_taken_once() {
    let rivals = Rivals::new().await;
    let mails = 30;
    for number in 0..mails {
        let address = format!("guest{number}@example.org");
        let invited = rivals
            .ctx
            .accounts
            .invite_by_mail(Role::Member, "", None, &address);
        invited.await.unwrap();
    }
    let taken = rivals
        .winners(|server, _| async move { server.take_mail().await })
        .await;
    let taken: Vec<i64> = taken.into_iter().flatten().map(|mail| mail.id).collect();
    assert_eq!(taken.len(), mails);
    assert_eq!(taken.into_iter().collect::<HashSet<i64>>().len(), mails);
}

/// Whether the register did not answer.
fn is_of_register(error: &(dyn Error + 'static)) -> bool {
    let mut errors = std::iter::successors(Some(error), |error| (*error).source());
    errors.any(<dyn Error>::is::<foxden_sql::SqlError>)
}
