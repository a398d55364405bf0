//! Tests of the credential cache. They count slow hashes and measure no times.

use foxden_accounts::{LegacyLoginError, MIGRATIONS, Nodes, OpenStoreError, Options, SignInError};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use foxden_model::{Clock, ManualClock};
use foxden_sql::testing::Lease;
use foxden_sql::{Database, SqlError};

use crate::context::{ANN, BEA, NODE, PASSWORD, START, TestContext, cheap, login, open_with, public_client};
use crate::legacy::{ANN_HASHED, old_client};
use crate::register;

const MINUTE: i64 = 60_000;

/// A folder of its own for each test, removed when the test has passed; or a namespace of a server.
pub(crate) struct Folder(PathBuf, Option<Lease>);

impl Folder {
    pub(crate) fn new() -> Self {
        let mut folder = Self::sqlite();
        folder.1 = register::lease();
        folder
    }

    /// A folder, whichever database the other tests use.
    pub(crate) fn sqlite() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("foxden-accounts-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path, None)
    }

    /// Where the register is: a file, or a namespace of a server.
    pub(crate) fn location(&self) -> String {
        let lease = self.1.as_ref();
        lease.map_or_else(|| self.file(), |lease| lease.namespace().url().to_owned())
    }

    /// The file of the register.
    pub(crate) fn file(&self) -> String {
        self.0.join("register.sqlite").display().to_string()
    }

    /// A process of its own that serves the register in this folder.
    pub(crate) async fn process(&self, clock: &Arc<ManualClock>, nodes: Nodes) -> TestContext {
        self.opened(clock, cheap(), nodes).await
    }

    /// The same with options of its own.
    pub(crate) async fn opened(
        &self,
        clock: &Arc<ManualClock>,
        options: Options,
        nodes: Nodes,
    ) -> TestContext {
        let database = Database::open(&self.location(), MIGRATIONS)
            .await
            .unwrap()
            .with_dry_runs();
        TestContext {
            accounts: open_with(&database, clock, options, nodes).await,
            database,
            clock: Arc::clone(clock),
            lease: None,
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }
}

impl TestContext {
    /// Hashes made since the last time this was asked.
    fn hashes_since(&self, last: &mut u64) -> u64 {
        let now = self.accounts.hashes();
        now - std::mem::replace(last, now)
    }
}

#[tokio::test]
async fn a_proven_password_is_hashed_once_in_five_minutes() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let mut last = ctx.accounts.hashes();
    let store = ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    assert_eq!(ctx.hashes_since(&mut last), 1);
    let recalled = ctx.accounts.cached_store(ANN_HASHED, PASSWORD).unwrap();
    assert_eq!(recalled.user.0, store);
    assert!(ctx.accounts.cached_store(ANN_HASHED, "wrong").is_none());
    assert!(
        ctx.accounts.cached_store(ANN, PASSWORD).is_none(),
        "each name is proven by itself"
    );
    ctx.clock.advance_millis(4 * MINUTE);
    assert!(
        ctx.accounts.cached_store(ANN_HASHED, PASSWORD).is_none(),
        "the register is asked first"
    );
    ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    assert!(ctx.accounts.cached_store(ANN_HASHED, PASSWORD).is_some());
    assert_eq!(ctx.hashes_since(&mut last), 0);
    ctx.clock.advance_millis(6 * MINUTE);
    ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    assert_eq!(ctx.hashes_since(&mut last), 1);
}

#[tokio::test]
async fn concurrent_logins_share_one_hash() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let mut last = ctx.accounts.hashes();
    for (password, is_right) in [(PASSWORD, true), ("wrong", false)] {
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let accounts = ctx.accounts.clone();
            asking.spawn(async move { accounts.open_store(ANN, password, &old_client()).await.is_ok() });
        }
        assert!(
            asking
                .join_all()
                .await
                .into_iter()
                .all(|outcome| outcome == is_right)
        );
        assert_eq!(ctx.hashes_since(&mut last), 1, "{password}");
    }
}

/// A device that repeats an old password for ever pays once, counts once, and locks no one out.
#[tokio::test]
async fn the_same_wrong_password_counts_once() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let mut last = ctx.accounts.hashes();
    for minute in 0..60 {
        for _ in 0..5 {
            let refused = ctx.open(ANN_HASHED, "an old password").await;
            assert!(
                matches!(
                    refused,
                    Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
                ),
                "{minute}"
            );
        }
        ctx.clock.advance_millis(MINUTE);
    }
    assert!(ctx.hashes_since(&mut last) <= 4);
    ctx.login(ANN, PASSWORD).await.unwrap();
}

/// A16.53: failures by Basic and by the modern surface are counted together, and a password that was proven passes.
#[tokio::test]
async fn a_remembered_password_passes_while_others_are_locked_out() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.create(BEA).await;
    let store = ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    for number in 0..5 {
        let wrong = ctx.open(ANN_HASHED, &format!("wrong {number}")).await;
        assert!(matches!(
            wrong,
            Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
        ));
        let wrong = ctx.login(ANN, &format!("other {number}")).await;
        assert!(matches!(wrong, Err(SignInError::WrongPassword { .. })));
    }
    let mut last = ctx.accounts.hashes();
    assert!(matches!(
        ctx.open(ANN_HASHED, "wrong 11").await,
        Err(OpenStoreError::Login(LegacyLoginError::TooMany { .. }))
    ));
    assert!(matches!(
        ctx.login(ANN, PASSWORD).await,
        Err(SignInError::TooMany { .. })
    ));
    assert!(
        matches!(
            ctx.open(ANN, PASSWORD).await,
            Err(OpenStoreError::Login(LegacyLoginError::TooMany { .. })),
        ),
        "by another name it was not proven yet"
    );
    assert_eq!(ctx.hashes_since(&mut last), 0);
    ctx.clock.advance_millis(MINUTE);
    assert_eq!(ctx.open(ANN_HASHED, PASSWORD).await.unwrap(), store);
    assert!(
        matches!(
            ctx.open(ANN_HASHED, "wrong 1").await,
            Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. })),
        ),
        "what is known to be wrong is"
    );
    ctx.open(BEA, PASSWORD).await.unwrap();
    let elsewhere = ctx
        .accounts
        .open_store(ANN, PASSWORD, &public_client("192.0.2.1"))
        .await;
    assert_eq!(elsewhere.unwrap().user.0, store);
    ctx.accounts
        .change_plain_password(ANN_HASHED, PASSWORD, "newpasswordhere", &old_client())
        .await
        .unwrap();
}

/// Guesses of another client from the same network must not put a device off for as long as they go on, however often
/// it must be proven anew meanwhile.
#[tokio::test]
async fn a_known_password_still_passes_while_others_are_locked_out() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let store = ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    for quarter in 0..4 {
        for number in 0..10 {
            let wrong = ctx.open(ANN, &format!("wrong {quarter} {number}")).await;
            assert!(matches!(
                wrong,
                Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
            ));
        }
        ctx.clock.advance_millis(11 * MINUTE);
        let refused = ctx.open(ANN, PASSWORD).await;
        assert!(matches!(
            refused,
            Err(OpenStoreError::Login(LegacyLoginError::TooMany { .. }))
        ));
        let mut last = ctx.accounts.hashes();
        assert_eq!(ctx.open(ANN_HASHED, PASSWORD).await.unwrap(), store);
        assert_eq!(ctx.hashes_since(&mut last), 1);
        // Until all of it has faded.
        ctx.clock.advance_millis(19 * MINUTE);
    }
    ctx.accounts
        .change_plain_password(ANN_HASHED, PASSWORD, "newpasswordhere", &old_client())
        .await
        .unwrap();
    for number in 0..10 {
        assert!(ctx.open(ANN, &format!("wrong {number}")).await.is_err());
    }
    let refused = ctx.open(ANN_HASHED, PASSWORD).await;
    assert!(
        matches!(
            refused,
            Err(OpenStoreError::Login(LegacyLoginError::TooMany { .. }))
        ),
        "a password that was changed is a guess like others"
    );
}

#[tokio::test]
async fn a_password_that_was_proven_days_ago_waits_like_others() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    ctx.clock.advance_millis(25 * 60 * MINUTE);
    for number in 0..10 {
        assert!(ctx.open(ANN, &format!("wrong {number}")).await.is_err());
    }
    let refused = ctx.open(ANN_HASHED, PASSWORD).await;
    assert!(matches!(
        refused,
        Err(OpenStoreError::Login(LegacyLoginError::TooMany { .. }))
    ));
}

/// U13.19: surfaces that never answer from memory count a repeated wrong password once, too.
#[tokio::test]
async fn concurrent_wrong_passwords_count_once_at_every_entry_point() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let mut last = ctx.accounts.hashes();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let accounts = ctx.accounts.clone();
        asking.spawn(async move {
            let refused = accounts.delete_legacy(ANN, "wrong", &old_client()).await;
            matches!(refused, Err(LegacyLoginError::WrongPassword { .. }))
        });
    }
    assert!(asking.join_all().await.into_iter().all(|is_wrong| is_wrong));
    assert_eq!(ctx.hashes_since(&mut last), 1);
}

/// A device of a removed account asks for years; changes of other accounts must not make it pay each time.
#[tokio::test]
async fn an_unknown_name_stays_cached_when_other_accounts_change() {
    let ctx = TestContext::new().await;
    assert!(ctx.open("gone", PASSWORD).await.is_err());
    ctx.create(ANN).await;
    let mut last = ctx.accounts.hashes();
    let refused = ctx.open("gone", PASSWORD).await;
    assert!(matches!(
        refused,
        Err(OpenStoreError::Login(LegacyLoginError::UnknownAccount { .. }))
    ));
    assert_eq!(ctx.hashes_since(&mut last), 0);
}

/// An unknown name costs as much as a known one, the first time and later, and is locked alike.
#[tokio::test]
async fn an_unknown_name_is_treated_as_a_known_one() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let mut last = ctx.accounts.hashes();
    for name in [ANN_HASHED, "unknown"] {
        for number in 0..10 {
            assert!(ctx.open(name, &format!("wrong {number}")).await.is_err());
            assert!(ctx.open(name, &format!("wrong {number}")).await.is_err());
        }
        assert_eq!(ctx.hashes_since(&mut last), 10, "{name}");
        assert!(matches!(
            ctx.open(name, "wrong 11").await,
            Err(OpenStoreError::Login(LegacyLoginError::TooMany { .. }))
        ));
        assert_eq!(ctx.hashes_since(&mut last), 0, "{name}");
    }
}

/// A client that was refused as unknown and then signs up is let in.
#[tokio::test]
async fn a_cached_unknown_name_does_not_refuse_its_new_owner() {
    let ctx = TestContext::new().await;
    assert!(ctx.open(ANN_HASHED, PASSWORD).await.is_err());
    ctx.create(ANN).await;
    ctx.open(ANN_HASHED, PASSWORD).await.unwrap();
    assert!(ctx.open("new@example.com", PASSWORD).await.is_err());
    ctx.accounts
        .change_address(ANN, PASSWORD, "new@example.com", &old_client())
        .await
        .unwrap();
    ctx.open("new@example.com", PASSWORD).await.unwrap();
}

/// However requests and changes of the password interleave, an old password is worth nothing once the change is
/// answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_password_is_never_remembered_past_its_change() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let mut old = PASSWORD.to_owned();
    for number in 0..20 {
        let new = format!("another password {number}");
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (accounts, old) = (ctx.accounts.clone(), old.clone());
            asking.spawn(async move {
                for _ in 0..5 {
                    // Right before the change, wrong after it.
                    drop(accounts.open_store(ANN, &old, &old_client()).await);
                }
            });
        }
        let change = ctx
            .accounts
            .change_plain_password(ANN, &old, &new, &old_client())
            .await;
        change.unwrap();
        assert!(ctx.open(ANN, &old).await.is_err(), "{number}");
        asking.join_all().await;
        assert!(ctx.accounts.cached_store(ANN, &old).is_none());
        assert!(ctx.open(ANN, &old).await.is_err(), "{number}");
        ctx.open(ANN, &new).await.unwrap();
        // Wrong ones are counted, and the window closes.
        ctx.clock.advance_millis(16 * MINUTE);
        old = new;
    }
}

/// Two processes, one register: what one changes the other notices within a second.
#[tokio::test]
async fn another_process_notices_a_change_within_a_second() {
    let folder = Folder::new();
    let clock = Arc::new(ManualClock::at_millis(START));
    let one = folder.process(&clock, Nodes::Own(NODE.to_owned())).await;
    let other = folder.process(&clock, Nodes::Unmanaged).await;
    one.create(ANN).await;
    one.create(BEA).await;
    let store = other.open(ANN, PASSWORD).await.unwrap();
    other.open(BEA, PASSWORD).await.unwrap();

    one.accounts
        .change_plain_password(ANN, PASSWORD, "newpasswordhere", &old_client())
        .await
        .unwrap();
    assert!(
        one.open(ANN, PASSWORD).await.is_err(),
        "at once where it was changed"
    );
    clock.advance_millis(1000);
    assert!(other.accounts.cached_store(ANN, PASSWORD).is_none());
    assert!(matches!(
        other.open(ANN, PASSWORD).await,
        Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. }))
    ));
    let mut last = other.accounts.hashes();
    assert_eq!(other.open(ANN, "newpasswordhere").await.unwrap(), store);
    other.open(BEA, PASSWORD).await.unwrap();
    assert_eq!(other.hashes_since(&mut last), 1, "others are not forgotten");

    one.accounts.set_disabled(ANN, true).await.unwrap();
    one.accounts.remove_account(BEA).await.unwrap();
    clock.advance_millis(1000);
    assert!(matches!(
        other.open(ANN, "newpasswordhere").await,
        Err(OpenStoreError::Login(LegacyLoginError::Disabled))
    ));
    assert!(matches!(
        other.open(BEA, PASSWORD).await,
        Err(OpenStoreError::Login(LegacyLoginError::UnknownAccount { .. }))
    ));
}

/// U13.19: what was refused a moment ago in one process and made in another is let in at once.
#[tokio::test]
async fn another_process_lets_in_at_once_whom_it_refused_before() {
    let folder = Folder::new();
    let clock = Arc::new(ManualClock::at_millis(START));
    let one = folder.process(&clock, Nodes::Own(NODE.to_owned())).await;
    let other = folder.process(&clock, Nodes::Unmanaged).await;
    assert!(other.open(ANN_HASHED, PASSWORD).await.is_err());
    one.create(ANN).await;
    other.open(ANN_HASHED, PASSWORD).await.unwrap();
    assert!(other.open(ANN_HASHED, "newpasswordhere").await.is_err());
    one.accounts
        .change_plain_password(ANN, PASSWORD, "newpasswordhere", &old_client())
        .await
        .unwrap();
    other.open(ANN_HASHED, "newpasswordhere").await.unwrap();
}

/// A cache that missed a change, because the row was deleted meanwhile, clears all entries.
#[tokio::test]
async fn a_gap_among_the_changes_forgets_everything() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.open(ANN, PASSWORD).await.unwrap();
    let mut last = ctx.accounts.hashes();
    ctx.write(
        "INSERT INTO credential_change (seq, alias, at) SELECT MAX(seq) + 2, 'ffffffffffffffffffffffffffffffff', 0
         FROM credential_change",
        vec![],
    )
    .await;
    ctx.clock.advance_millis(1000);
    ctx.open(ANN, PASSWORD).await.unwrap();
    assert_eq!(ctx.hashes_since(&mut last), 1);
}

/// A sequence of the database would keep the number of what was taken back.
#[tokio::test]
async fn a_transaction_that_is_taken_back_leaves_no_gap_among_the_changes() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    let counter = "SELECT seq FROM change_counter";
    let before = ctx.count(counter).await;
    let failed = ctx.database.transact(|tx| async move {
        tx.execute("UPDATE change_counter SET seq = seq + 1", vec![])
            .await?;
        Err::<(), _>(SqlError::Conflict)
    });
    failed.await.unwrap_err();
    ctx.accounts.set_disabled(ANN, true).await.unwrap();
    assert_eq!(ctx.count(counter).await, before + 1);
    let numbers = "SELECT MAX(seq) - MIN(seq) - COUNT(*) + 1 FROM credential_change";
    assert_eq!(ctx.count(numbers).await, 0);
}

/// More changes than are read at once.
#[tokio::test]
async fn many_changes_are_read_to_the_end() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.open(ANN, PASSWORD).await.unwrap();
    let changed = ctx.database.transact(|tx| async move {
        let next = "UPDATE change_counter SET seq = seq + 1";
        for _ in 0..600 {
            let change = "INSERT INTO credential_change (seq, alias, at)
                SELECT seq, 'ffffffffffffffffffffffffffffffff', 0 FROM change_counter";
            tx.execute(next, vec![]).await?;
            tx.execute(change, vec![]).await?;
        }
        let last_change = "INSERT INTO credential_change (seq, alias, at)
            SELECT c.seq, (SELECT alias FROM credential_change ORDER BY seq LIMIT 1), 0 FROM change_counter c";
        tx.execute(next, vec![]).await?;
        tx.execute(last_change, vec![]).await
    });
    changed.await.unwrap();
    let mut last = ctx.accounts.hashes();
    ctx.clock.advance_millis(1000);
    ctx.open(ANN, PASSWORD).await.unwrap();
    assert_eq!(ctx.hashes_since(&mut last), 1);
    ctx.open(ANN, PASSWORD).await.unwrap();
    assert_eq!(ctx.hashes_since(&mut last), 0);
}

/// The row of a change does not name the account, which may be removed.
#[tokio::test]
async fn changes_do_not_name_accounts() {
    let ctx = TestContext::new().await;
    let ann = ctx.create(ANN).await.account;
    ctx.accounts.set_disabled(ANN, true).await.unwrap();
    let written = ctx.count("SELECT COUNT(*) FROM credential_change").await;
    let named = "SELECT COUNT(*) FROM credential_change WHERE alias = ?";
    let named = ctx.number(named, vec![ann.to_string().into()]).await;
    assert!(written > 0 && named == 0, "{written} {named}");
}

/// Changes are purged when no process needs them any more.
#[tokio::test]
async fn changes_are_cleared_up_after_a_day() {
    let ctx = TestContext::new().await;
    ctx.create(ANN).await;
    ctx.clock.advance_millis(25 * 60 * MINUTE);
    ctx.open(ANN, PASSWORD).await.unwrap();
    ctx.accounts.set_disabled(ANN, false).await.unwrap();
    ctx.accounts.purge(100, i64::MAX).await.unwrap();
    assert_eq!(ctx.count("SELECT COUNT(*) FROM credential_change").await, 1);
    ctx.accounts
        .login(login(ANN, PASSWORD), &old_client())
        .await
        .unwrap();
}

/// A proven password is remembered for as long as it would be anyway, to whatever time the clock is set meanwhile.
#[tokio::test]
async fn a_clock_that_is_set_changes_nothing_that_is_remembered() {
    for set in [-400, -1, 1, 400] {
        let ctx = TestContext::new().await;
        ctx.create(ANN).await;
        let store = ctx.open(ANN, PASSWORD).await.unwrap();
        let hashes = ctx.accounts.hashes();
        ctx.clock.set_millis(ctx.clock.millis() + set * 24 * 60 * MINUTE);
        assert_eq!(ctx.open(ANN, PASSWORD).await.unwrap(), store);
        assert_eq!(ctx.accounts.hashes(), hashes, "{set} days");
        ctx.clock.advance_millis(11 * MINUTE);
        assert!(ctx.accounts.cached_store(ANN, PASSWORD).is_none(), "{set} days");
    }
}
