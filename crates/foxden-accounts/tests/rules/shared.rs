//! What several processes on one register share.

use foxden_accounts::{
    Accounts, LegacyLoginError, MIGRATIONS, Nodes, NonceError, OnceKey, OpenStoreError, Parts, TokenId,
};
use foxden_model::{CounterSpec, Counters, ManualClock, MemoryCounters, SeededRng};
use foxden_sql::Database;
use std::sync::Arc;
use tokio::task::JoinSet;

use crate::context::{ANN, NODE, PASSWORD, START, TestContext, cheap, public_client, session_id};
use crate::credential_cache::Folder;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60_000;

const EVENT: CounterSpec = CounterSpec {
    name: "events of a test",
    width: None,
    span: MINUTE,
};

/// Counters that the process shares.
fn counters(process: &TestContext) -> Arc<dyn Counters> {
    process.accounts.shared().counters(MemoryCounters::new(&[EVENT]))
}

/// Two processes on one register that know each other, and one clock.
struct Pair {
    first: TestContext,
    second: TestContext,
    folder: Folder,
}

impl Pair {
    async fn new() -> Self {
        let pair = Self::strangers().await;
        pair.meet().await;
        pair
    }

    /// They look for others and have not met.
    async fn strangers() -> Self {
        let folder = Folder::new();
        let clock = Arc::new(ManualClock::at_millis(START));
        let first = process(&folder, &clock, 1).await;
        let second = process(&folder, &clock, 2).await;
        Self {
            first,
            second,
            folder,
        }
    }

    /// Three seconds go by.
    async fn meet(&self) {
        for _ in 0..3 {
            for process in [&self.first, &self.second] {
                process.accounts.shared().meet().await.unwrap();
            }
            self.first.clock.advance_millis(SECOND);
        }
    }
}

/// A process that looks for others.
async fn process(folder: &Folder, clock: &Arc<ManualClock>, number: u64) -> TestContext {
    let database = Database::open(&folder.location(), MIGRATIONS)
        .await
        .unwrap()
        .with_dry_runs();
    let parts = Parts {
        database: database.clone(),
        clock: Arc::clone(clock) as Arc<_>,
        // Each has random bytes of its own, or they would have one name.
        rng: Arc::new(SeededRng::new(number)),
        nodes: Nodes::Own(NODE.to_owned()),
        options: cheap(),
    };
    let accounts = Accounts::open(parts).await.unwrap();
    accounts.shared().start();
    TestContext {
        accounts,
        database,
        clock: Arc::clone(clock),
        lease: None,
    }
}

impl TestContext {
    fn is_alone(&self) -> bool {
        !self.accounts.shared().had_peers(0)
    }

    async fn nonce(&self, id: &TokenId, nonce: &str) -> bool {
        match self.accounts.accept_nonce(None, id, nonce).await {
            Ok(()) => true,
            Err(NonceError::Replayed(_)) => false,
            Err(NonceError::Unavailable(error)) => panic!("{error:?}"),
        }
    }

    /// Whether a wrong password is looked at.
    async fn tries(&self, password: &str) -> bool {
        let stranger = public_client("192.0.2.1");
        match self.accounts.open_store(ANN, password, &stranger).await {
            Err(OpenStoreError::Login(LegacyLoginError::WrongPassword { .. })) => true,
            Err(OpenStoreError::Login(LegacyLoginError::TooMany(_))) => false,
            other => panic!("{:?}", other.map(|_| ())),
        }
    }
}

/// Ten wrong passwords of a network are looked at, whichever process is asked.
#[tokio::test]
async fn two_processes_are_not_twice_the_guesses() {
    let pair = Pair::new().await;
    pair.first.create(ANN).await;
    for number in 0..5 {
        assert!(pair.first.tries(&format!("first {number}")).await);
        assert!(pair.second.tries(&format!("second {number}")).await);
    }
    pair.meet().await;
    for process in [&pair.first, &pair.second] {
        assert!(!process.tries("one more").await);
    }
    // They count for a quarter of an hour, as long as those of one process alone.
    pair.first.clock.advance_millis(31 * MINUTE);
    pair.meet().await;
    assert!(pair.second.tries("much later").await);
}

/// What turned out well is taken back at the other process, too.
#[tokio::test]
async fn right_passwords_count_nowhere() {
    let pair = Pair::new().await;
    pair.first.create(ANN).await;
    for _ in 0..30 {
        pair.first.login(ANN, PASSWORD).await.unwrap();
        pair.meet().await;
    }
    pair.second.login(ANN, PASSWORD).await.unwrap();
}

#[tokio::test]
async fn of_fifty_requests_with_one_nonce_at_each_process_one_is_accepted() {
    let pair = Pair::new().await;
    for round in 0..5 {
        let mut tasks = JoinSet::new();
        for number in 0..100 {
            let accounts = [&pair.first, &pair.second][number % 2].accounts.clone();
            tasks.spawn(async move {
                let nonce = round.to_string();
                accounts.accept_nonce(None, &TokenId([1; 32]), &nonce).await
            });
        }
        let outcomes = tasks.join_all().await;
        let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let replayed = |outcome: &&Result<(), _>| matches!(outcome, Err(NonceError::Replayed(_)));
        assert_eq!((accepted, outcomes.iter().filter(replayed).count()), (1, 99));
    }
}

#[tokio::test]
async fn of_fifty_uses_at_each_process_one_succeeds() {
    let pair = Pair::new().await;
    for round in 0..5_u8 {
        let key = OnceKey::of("test", &[&[round]]);
        let mut tasks = JoinSet::new();
        for number in 0..100 {
            let shared = Arc::clone([&pair.first, &pair.second][number % 2].accounts.shared());
            tasks.spawn(async move { shared.use_once(key, MINUTE).await.unwrap() });
        }
        let won = tasks.join_all().await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        pair.first.accounts.shared().release(key).await.unwrap();
        assert!(pair.second.accounts.shared().use_once(key, MINUTE).await.unwrap());
    }
}

/// A process that starts hears what one that was alone has accepted before.
#[tokio::test]
async fn a_nonce_from_before_they_met_is_refused() {
    let pair = Pair::strangers().await;
    let id = TokenId([1; 32]);
    pair.first.accounts.shared().meet().await.unwrap();
    assert!(pair.first.is_alone());
    assert!(pair.first.nonce(&id, "n").await);
    assert_eq!(pair.first.count("SELECT COUNT(*) FROM used_once").await, 0);
    pair.meet().await;
    assert!(!pair.second.nonce(&id, "n").await);
    assert!(pair.second.nonce(&id, "another").await);
    assert!(!pair.first.nonce(&id, "another").await);
}

/// Rows of nonces are bounded by what memory keeps: what it forgets goes from the register, too.
#[tokio::test]
async fn one_account_causes_no_more_rows_than_it_may_keep() {
    let pair = Pair::new().await;
    let account = session_id(&pair.first.create(ANN).await);
    for number in 0..2050 {
        assert!(pair.first.nonce(&account, &number.to_string()).await);
    }
    assert_eq!(pair.first.count("SELECT COUNT(*) FROM used_once").await, 2000);
}

/// A process that is alone looks, and writes nothing.
#[tokio::test]
async fn a_process_alone_writes_its_row_and_nothing_else() {
    let pair = Pair::strangers().await;
    let first = &pair.first;
    assert!(!first.is_alone(), "the register was not read yet");
    first.create(ANN).await;
    for _ in 0..100 {
        first.accounts.shared().meet().await.unwrap();
        first.clock.advance_millis(SECOND);
        assert!(first.is_alone());
        first.tries("a guess").await;
        first.nonce(&TokenId([1; 32]), "n").await;
    }
    assert_eq!(first.count("SELECT beat FROM process").await, 1);
    for table in [
        "SELECT COUNT(*) FROM shared_count",
        "SELECT COUNT(*) FROM used_once",
        "SELECT COUNT(*) FROM shared_value",
    ] {
        assert_eq!(first.count(table).await, 0, "{table}");
    }
    // One that cannot look does not count as alone for long.
    first.clock.advance_millis(3 * SECOND);
    assert!(!first.is_alone());
    first.accounts.shared().meet().await.unwrap();
    first.accounts.shared().leave().await.unwrap();
    assert_eq!(first.count("SELECT COUNT(*) FROM process").await, 0);
}

/// A process that crashed is missed after five seconds, and its rows go.
#[tokio::test]
async fn a_process_that_ended_is_forgotten() {
    let pair = Pair::new().await;
    counters(&pair.second).add(EVENT, [1, 2], 0);
    pair.meet().await;
    for second in 0..70 {
        pair.first.accounts.shared().meet().await.unwrap();
        assert_eq!(pair.first.is_alone(), second >= 5, "{second}");
        pair.first.clock.advance_millis(SECOND);
    }
    assert_eq!(pair.first.count("SELECT COUNT(*) FROM process").await, 1);
    let of_second = "SELECT COUNT(*) FROM shared_count WHERE process NOT IN (SELECT id FROM process)";
    assert_eq!(pair.first.count(of_second).await, 0);
    // It was only slow: it makes its row anew, and both hear of each other.
    pair.meet().await;
    assert!(!pair.first.is_alone() && !pair.second.is_alone());
    assert_eq!(pair.first.count("SELECT COUNT(*) FROM process").await, 2);
}

/// What was counted and used is removed after its time.
#[tokio::test]
async fn what_has_expired_is_removed() {
    let pair = Pair::new().await;
    let shared = pair.first.accounts.shared();
    let counters = counters(&pair.first);
    for number in 0..200_u8 {
        counters.add(EVENT, [1, 2], 0);
        shared
            .use_once(OnceKey::of("test", &[&[number]]), MINUTE)
            .await
            .unwrap();
        shared.create(&number.to_string(), b"x", MINUTE).await.unwrap();
        pair.meet().await;
    }
    let kept = pair.first.count("SELECT COUNT(*) FROM shared_count").await;
    // One in three seconds, for a minute and a half at most.
    assert!((20..=30).contains(&kept), "{kept}");
    assert!(pair.first.count("SELECT COUNT(*) FROM shared_value").await < 200);
    pair.first.clock.advance_millis(2 * 60 * MINUTE);
    pair.meet().await;
    assert_eq!(pair.first.count("SELECT COUNT(*) FROM used_once").await, 0);
    assert_eq!(pair.first.count("SELECT COUNT(*) FROM shared_value").await, 0);
    drop(pair.folder);
}

/// As after a time in which nothing was removed: more must go than one transaction removes.
#[tokio::test]
async fn much_that_has_expired_is_removed_within_seconds() {
    let pair = Pair::new().await;
    let shared = pair.first.accounts.shared();
    for number in 0..2100_u16 {
        let key = OnceKey::of("test", &[&number.to_be_bytes()]);
        let expires = MINUTE + i64::from(number);
        shared.use_once(key, expires).await.unwrap();
    }
    assert_eq!(pair.first.count("SELECT COUNT(*) FROM used_once").await, 2100);
    pair.first.clock.advance_millis(2 * 60 * MINUTE);
    pair.meet().await;
    assert_eq!(pair.first.count("SELECT COUNT(*) FROM used_once").await, 0);
    drop(pair.folder);
}

#[tokio::test]
async fn of_fifty_changes_of_one_version_one_is_made() {
    let pair = Pair::new().await;
    let shared = [&pair.first, &pair.second].map(|process| Arc::clone(process.accounts.shared()));
    assert!(shared[0].create("name", b"0", MINUTE).await.unwrap());
    assert!(!shared[1].create("name", b"other", MINUTE).await.unwrap());
    for round in 0..5_u8 {
        let found = shared[1].value("name").await.unwrap().unwrap();
        assert_eq!(found.content[0], b'0' + round);
        let mut tasks = JoinSet::new();
        for number in 0..100 {
            let shared = Arc::clone(&shared[number % 2]);
            let content = [b'1' + round, u8::try_from(number).unwrap()];
            tasks.spawn(async move { shared.replace("name", found.version, &content).await.unwrap() });
        }
        let won = tasks.join_all().await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
    }
    let found = shared[0].value("name").await.unwrap().unwrap();
    assert!(!shared[1].remove("name", found.version ^ 1).await.unwrap());
    assert!(shared[1].remove("name", found.version).await.unwrap());
    assert_eq!(shared[0].value("name").await.unwrap(), None);
    assert!(shared[1].create("name", b"1", MINUTE).await.unwrap());
    pair.first.clock.advance_millis(MINUTE);
    assert_eq!(shared[0].value("name").await.unwrap(), None, "it has expired");
}
