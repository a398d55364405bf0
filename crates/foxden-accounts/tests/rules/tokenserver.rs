//! The tokenserver's rules. Numbers in the tables are small: only their order matters.

use foxden_accounts::{Assignment, Identity, KeyId, NewUsers, OLDSYNC, Options, StateFault, TokenError};
use foxden_model::UserId;
use foxden_sql::values;

use crate::context::{ANN, BEA, NODE, PASSWORD, START, TestContext, auth_pw, cheap};

const EMAIL: &str = "0123456789abcdef0123456789abcdef@issuer.example";
const RETIRED: i64 = i64::MAX;

/// A request: generation, time of the key change, client state in hex; 0 and empty stand for missing values.
type Said<'a> = (i64, i64, &'a str);

/// A stored row: the same, but the time may be absent.
type Stored = (i64, Option<i64>, &'static str);

fn identity(generation: i64) -> Identity {
    Identity {
        fxa_uid: "0123456789abcdef0123456789abcdef".to_owned(),
        issuer: "issuer.example".to_owned(),
        generation: Some(generation).filter(|&generation| generation != 0),
        scope: vec![OLDSYNC.to_owned()],
    }
}

impl TestContext {
    async fn request(
        &self,
        (generation, keys_changed_at, state): Said<'_>,
    ) -> Result<Assignment, TokenError> {
        let client_state = data_encoding::HEXLOWER.decode(state.as_bytes()).unwrap();
        let key_id = KeyId {
            keys_changed_at,
            client_state,
        };
        self.accounts.assign(&identity(generation), &key_id).await
    }

    async fn uid(&self, said: Said<'_>) -> u64 {
        self.request(said)
            .await
            .unwrap_or_else(|error| panic!("{said:?}: {error}"))
            .user
            .0
    }

    async fn refusal(&self, said: Said<'_>) -> String {
        match self.request(said).await {
            Ok(answer) => panic!("{said:?} was answered with {answer:?}"),
            Err(TokenError::InvalidGeneration) => "E19".to_owned(),
            Err(TokenError::InvalidKeysChangedAt) => "E15".to_owned(),
            Err(TokenError::InvalidClientState(StateFault::Empty)) => "E16".to_owned(),
            Err(TokenError::InvalidClientState(StateFault::Stale)) => "E17".to_owned(),
            Err(TokenError::InvalidClientState(StateFault::NewWithoutGeneration)) => "E18a".to_owned(),
            Err(TokenError::InvalidClientState(StateFault::NewWithoutKeyChange)) => "E18b".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// A store as another program may have left it; gives its uid.
    async fn seed(&self, generation: i64, keys_changed_at: Option<i64>, state: &'static str) -> u64 {
        self.seed_at(generation, keys_changed_at, state, START, None)
            .await
    }

    async fn seed_at(
        &self,
        generation: i64,
        keys_changed_at: Option<i64>,
        state: &'static str,
        created_at: i64,
        replaced_at: Option<i64>,
    ) -> u64 {
        let statement =
            "INSERT INTO users (service, email, generation, client_state, created_at, replaced_at, nodeid,
            keys_changed_at) VALUES (1, ?, ?, ?, ?, ?, 1, ?)";
        let values = &values![EMAIL, generation, state, created_at, replaced_at, keys_changed_at];
        let seeded = self
            .database
            .transact(|tx| async move { tx.insert(statement, values.clone()).await });
        seeded.await.unwrap().try_into().unwrap()
    }

    async fn generation(&self) -> i64 {
        self.count("SELECT generation FROM users WHERE replaced_at IS NULL")
            .await
    }

    async fn node(&self, node: &'static str, load: i64, capacity: i64, available: i64, marks: (bool, bool)) {
        let statement =
            "INSERT INTO nodes (service, node, available, current_load, capacity, downed, backoff)
            VALUES (1, ?, ?, ?, ?, ?, ?)";
        let (downed, backoff) = marks;
        self.write(
            statement,
            values![node, available, load, capacity, downed, backoff],
        )
        .await;
    }

    async fn without_own_node(&self) {
        self.write("UPDATE nodes SET downed = 1 WHERE is_own = 1", vec![])
            .await;
    }
}

#[tokio::test]
async fn the_first_request_makes_a_store_and_the_second_finds_it() {
    let ctx = TestContext::new().await;
    let uid = ctx.uid((1234, 1234, "aaaa")).await;
    assert_eq!(ctx.uid((1234, 1234, "aaaa")).await, uid);
    assert_eq!(ctx.count("SELECT COUNT(*) FROM users").await, 1);
    assert_eq!(ctx.count("SELECT MAX(current_load) FROM nodes").await, 1);
    assert_eq!(ctx.count("SELECT MAX(capacity - available) FROM nodes").await, 1);
}

#[tokio::test]
async fn an_answer_names_node_endpoint_and_key_id() {
    let mut options = cheap();
    options.metrics_secret = b"insecure".to_vec();
    let ctx = TestContext::with(options).await;
    let answer = ctx.request((2345, 2345, "bbbb")).await.unwrap();
    assert_eq!(answer.node, NODE);
    assert_eq!(answer.api_endpoint, format!("{NODE}/1.5/{}", answer.user));
    assert_eq!(answer.fxa_kid, "0000000002345-u7s");
    assert_eq!(answer.hashed_fxa_uid, "201ccaf0ab33822e02f1c9f211dab7f0");
    assert_eq!(answer.hashed_device_id, "a8335c9b2d0742bd65b14eabfa04fcd6");
}

#[tokio::test]
async fn closed_to_new_users_it_still_serves_those_it_has() {
    let ctx = TestContext::new().await;
    let uid = ctx.uid((1234, 1234, "aaaa")).await;
    let closed = ctx
        .reopened(
            Options {
                new_users: NewUsers::Refused,
                ..cheap()
            },
            NODE,
        )
        .await;
    assert_eq!(closed.uid((1235, 1234, "aaaa")).await, uid);
    closed.write("DELETE FROM users", vec![]).await;
    assert!(matches!(
        closed.request((1234, 1234, "aaaa")).await,
        Err(TokenError::NewUsersDisabled)
    ));
}

/// Each line: what is stored, what is said, and the refusal, or whether the store stays (`same`) or is new (`new`).
#[tokio::test]
async fn requests_may_not_contradict_the_stored_values() {
    let lines: [(Stored, Said, &str); 26] = [
        ((1232, Some(1234), "aaaa"), (1235, 1236, "aaaa"), "E15"), // T12.12
        ((1232, Some(1234), "aaaa"), (1233, 1234, "aaaa"), "same"), // T12.13
        ((1232, Some(1234), "aaaa"), (0, 1235, "aaaa"), "same"),   // T12.14
        ((1234, Some(1234), "aaaa"), (1234, 1234, "bbbb"), "E18a"), // T12.17
        ((1234, Some(1234), "aaaa"), (0, 1235, "bbbb"), "new"),    // T12.18
        ((1234, Some(1234), "aaaa"), (1235, 1234, "bbbb"), "E18b"), // T12.20
        ((1234, Some(1234), "aaaa"), (1235, 1235, "bbbb"), "new"), // T12.20
        ((1234, Some(1234), "aaaa"), (1233, 1234, "aaaa"), "E19"), // T12.21
        ((1234, Some(1234), "aaaa"), (0, 1234, "aaaa"), "same"),   // T12.22
        ((1234, Some(1234), "aaaa"), (1234, 1234, "aaaa"), "same"),
        ((1234, Some(1234), "aaaa"), (1235, 1234, "aaaa"), "same"),
        ((0, Some(1234), "aaaa"), (0, 1234, "aaaa"), "same"), // T12.23
        ((0, None, "aaaa"), (0, 1234, "aaaa"), "same"),
        ((1234, None, "aaaa"), (1234, 0, "aaaa"), "same"),
        ((1234, Some(1234), "aaaa"), (1234, 1233, "aaaa"), "E15"), // T12.27
        ((1234, Some(1234), "aaaa"), (1234, 0, "aaaa"), "E15"),
        ((1234, Some(1234), "aaaa"), (1234, 2345, "bbbb"), "E15"), // T12.28
        ((1234, Some(1234), "aaaa"), (2345, 2345, "bbbb"), "new"), // T12.29
        ((1234, Some(1234), "aaaa"), (2345, 2345, ""), "E16"),
        ((0, None, ""), (1234, 1234, "bbbb"), "new"), // T12.30
        ((0, None, ""), (0, 0, ""), "same"),
        ((1234, None, "aaaa"), (1234, 1200, "aaaa"), "same"), // T12.31
        ((1999, Some(1000), "aaaa"), (1999, 1000, "aaaa"), "same"), // T12.52
        ((1999, Some(1000), "aaaa"), (1998, 1000, "aaaa"), "E19"),
        ((1999, Some(1000), "aaaa"), (2000, 2000, "bbbb"), "new"),
        ((RETIRED, Some(1234), "aaaa"), (1235, 1234, "aaaa"), "E19"), // T12.36
    ];
    for (stored, said, expected) in lines {
        let ctx = TestContext::new().await;
        let uid = ctx.seed(stored.0, stored.1, stored.2).await;
        let context = format!("{stored:?} {said:?}");
        match expected {
            "same" => assert_eq!(ctx.uid(said).await, uid, "{context}"),
            "new" => {
                assert_ne!(ctx.uid(said).await, uid, "{context}");
                assert_eq!(
                    ctx.count("SELECT COUNT(DISTINCT nodeid) FROM users").await,
                    1,
                    "{context}"
                );
                assert_eq!(
                    ctx.count("SELECT COUNT(*) FROM users WHERE replaced_at IS NULL")
                        .await,
                    1,
                    "{context}"
                );
            }
            refusal => {
                assert_eq!(ctx.refusal(said).await, refusal, "{context}");
                assert_eq!(
                    ctx.count("SELECT COUNT(*) FROM users").await,
                    1,
                    "nothing is written: {context}"
                );
                assert_eq!(ctx.generation().await, stored.0, "nothing is written: {context}");
            }
        }
    }
}

#[tokio::test]
async fn times_never_go_back() {
    for (stored, said, (generation, keys)) in [
        ((1234, Some(1234)), (0, 1234), (1234, 1234)), // T12.26
        ((0, Some(1234)), (0, 1234), (0, 1234)),
        ((0, Some(1234)), (0, 1235), (1235, 1235)), // T12.23
        ((0, None), (0, 1234), (1234, 1234)),       // T12.24
        ((1234, None), (1234, 0), (1234, -1)),      // T12.25
        ((1234, None), (1234, 1200), (1234, 1200)),
        ((1234, Some(1234)), (1300, 1234), (1300, 1234)),
    ] {
        let ctx = TestContext::new().await;
        ctx.seed(stored.0, stored.1, "aaaa").await;
        ctx.uid((said.0, said.1, "aaaa")).await;
        assert_eq!(ctx.generation().await, generation, "{stored:?} {said:?}");
        let stored_keys = ctx.count("SELECT COALESCE(keys_changed_at, -1) FROM users").await;
        assert_eq!(stored_keys, keys, "{stored:?} {said:?}");
    }
}

/// T12.15, T12.16.
#[tokio::test]
async fn a_client_state_that_was_left_is_refused_for_good() {
    let ctx = TestContext::new().await;
    ctx.seed_at(1000, Some(1000), "aaaa", START - 10, Some(START - 5))
        .await;
    let current = ctx.seed(1233, Some(1233), "bbbb").await;
    assert_eq!(ctx.refusal((1234, 1234, "aaaa")).await, "E17");
    assert_eq!(ctx.uid((1234, 1234, "bbbb")).await, current);
    assert_ne!(ctx.uid((1235, 1235, "cccc")).await, current);
    assert_eq!(ctx.refusal((1236, 1236, "bbbb")).await, "E17");
}

/// T12.18, T12.19.
#[tokio::test]
async fn a_key_change_without_a_generation_sets_it() {
    let ctx = TestContext::new().await;
    ctx.seed(1234, Some(1234), "aaaa").await;
    ctx.uid((0, 1235, "bbbb")).await;
    assert_eq!(ctx.generation().await, 1235);
    ctx.clock.tick();
    assert_eq!(ctx.refusal((1235, 1235, "cccc")).await, "E18a");
    ctx.uid((1236, 1236, "cccc")).await;
}

/// T12.32.
#[tokio::test]
async fn the_highest_generation_is_the_current_one() {
    let ctx = TestContext::new().await;
    ctx.seed_at(1234, Some(1234), "aaaa", 1234, None).await;
    ctx.seed_at(1235, Some(1234), "aaaa", 1234, None).await;
    ctx.seed_at(1234, Some(1234), "aaaa", 1235, None).await;
    let current = ctx.seed_at(1236, Some(1234), "aaaa", 1233, None).await;
    assert_eq!(ctx.uid((1236, 1234, "aaaa")).await, current);
}

/// T12.33.
#[tokio::test]
async fn duplicate_stores_of_a_race_are_replaced() {
    let ctx = TestContext::new().await;
    ctx.seed_at(1234, Some(1234), "aaaa", 1238, None).await;
    ctx.seed_at(1235, Some(1235), "aaaa", 1239, None).await;
    let current = ctx.seed_at(1236, Some(1236), "aaaa", 1240, None).await;
    assert_eq!(ctx.uid((1236, 1236, "aaaa")).await, current);
    assert_eq!(
        ctx.count("SELECT COUNT(*) FROM users WHERE replaced_at = 1240")
            .await,
        2
    );
}

/// T12.34.
#[tokio::test]
async fn a_replaced_store_makes_way_for_a_new_one_with_the_same_keys() {
    let ctx = TestContext::new().await;
    let old = ctx
        .seed_at(1236, Some(1236), "aaaa", START - 10, Some(START - 5))
        .await;
    let new = ctx.uid((1237, 1237, "aaaa")).await;
    assert_ne!(new, old);
    assert_eq!(ctx.uid((1237, 1237, "aaaa")).await, new);
}

/// T12.35.
/// Where the clock was set back, the row that a replaced one makes way for still counts as the later of the two.
#[tokio::test]
async fn a_clock_that_was_set_back_gives_one_new_store_and_not_one_for_each_request() {
    let ctx = TestContext::new().await;
    let later = START + 60_000;
    let old = ctx.seed_at(1234, Some(1234), "aaaa", later, Some(later)).await;
    let new = ctx.uid((1234, 1234, "aaaa")).await;
    assert_ne!(new, old);
    assert_eq!(ctx.uid((1234, 1234, "aaaa")).await, new);
}

#[tokio::test]
async fn a_store_on_a_removed_node_is_replaced_on_another_node() {
    let ctx = TestContext::new().await;
    let old = ctx.seed(1234, Some(1234), "aaaa").await;
    ctx.write("UPDATE users SET nodeid = 77", vec![]).await;
    let answer = ctx.request((1234, 1234, "aaaa")).await.unwrap();
    assert_ne!(answer.user.0, old);
    assert_eq!(answer.node, NODE);
}

/// T12.36, T12.37.
#[tokio::test]
async fn a_retired_user_keeps_the_store_and_gets_no_other() {
    let ctx = TestContext::new().await;
    let uid = ctx.seed_at(RETIRED, Some(1234), "aaaa", START, Some(START)).await;
    assert_eq!(ctx.uid((RETIRED, 1234, "aaaa")).await, uid);
    ctx.write("UPDATE users SET nodeid = 77", vec![]).await;
    assert!(matches!(
        ctx.request((RETIRED, 1234, "aaaa")).await,
        Err(TokenError::NoNode)
    ));
}

/// T12.39.
#[tokio::test]
async fn the_least_loaded_node_that_is_up_takes_new_users() {
    let ctx = TestContext::new().await;
    ctx.without_own_node().await;
    ctx.node("https://backoff", 0, 100, 100, (false, true)).await;
    ctx.node("https://down", 0, 100, 100, (true, false)).await;
    ctx.node("https://two", 2, 100, 98, (false, false)).await;
    ctx.node("https://one", 1, 100, 99, (false, false)).await;
    ctx.node("https://three", 3, 100, 97, (false, false)).await;
    assert_eq!(ctx.request((1, 1, "aaaa")).await.unwrap().node, "https://one");
}

/// T12.40.
#[tokio::test]
async fn slots_are_freed_when_all_that_were_given_out_are_taken() {
    let ctx = TestContext::new().await;
    ctx.without_own_node().await;
    ctx.node("https://a", 99, 100, 0, (false, false)).await;
    ctx.node("https://b", 90, 100, 0, (false, false)).await;
    ctx.node("https://c", 80, 81, 0, (false, false)).await;
    ctx.node("https://d", 70, 71, 0, (false, true)).await;
    ctx.node("https://e", 60, 61, 0, (true, false)).await;
    assert_eq!(ctx.request((1, 1, "aaaa")).await.unwrap().node, "https://b");
    for (node, available) in [("a", 1), ("b", 9), ("c", 1), ("d", 1), ("e", 0)] {
        let statement = "SELECT available FROM nodes WHERE node = ?";
        assert_eq!(
            ctx.number(statement, values![format!("https://{node}")]).await,
            available,
            "{node}"
        );
    }
}

/// T12.41.
#[tokio::test]
async fn full_nodes_accept_no_users() {
    let ctx = TestContext::new().await;
    ctx.without_own_node().await;
    ctx.node("https://full", 100, 100, 0, (false, false)).await;
    assert!(matches!(
        ctx.request((1, 1, "aaaa")).await,
        Err(TokenError::NoCapacity)
    ));
}

/// T12.49.
#[tokio::test]
async fn two_first_requests_at_once_share_one_store() {
    let ctx = TestContext::new().await;
    let (one, other) = tokio::join!(ctx.uid((1, 1, "aaaa")), ctx.uid((1, 1, "aaaa")));
    assert_eq!(one, other);
    assert_eq!(
        ctx.count("SELECT COUNT(*) FROM users WHERE replaced_at IS NULL")
            .await,
        1
    );
}

/// A16.72: a server that gets another name keeps all stores.
#[tokio::test]
async fn another_public_address_changes_the_node_and_no_store() {
    let ctx = TestContext::new().await;
    let uid = ctx.uid((1, 1, "aaaa")).await;
    let (server_id, issuer) = (
        ctx.accounts.server_id().to_owned(),
        ctx.accounts.issuer().to_owned(),
    );

    let moved = ctx.reopened(cheap(), "https://sync.example.org").await;

    let answer = moved.request((1, 1, "aaaa")).await.unwrap();
    assert_eq!(answer.user.0, uid);
    assert_eq!(answer.api_endpoint, format!("https://sync.example.org/1.5/{uid}"));
    assert_eq!(moved.accounts.server_id(), server_id);
    assert_eq!(moved.accounts.issuer(), issuer);
}

#[tokio::test]
async fn uids_are_never_given_out_again() {
    let ctx = TestContext::new().await;
    let uid = ctx.uid((1, 1, "aaaa")).await;
    ctx.write("DELETE FROM users", vec![]).await;
    assert!(ctx.uid((1, 1, "aaaa")).await > uid);
}

#[tokio::test]
async fn a_token_of_ours_stands_for_its_account() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let session = ctx.session(&created).await;
    let identity = ctx
        .accounts
        .verify_bearer(&ctx.access_token(&session).await)
        .await
        .unwrap();
    assert_eq!(identity.fxa_uid, created.account.to_string());
    assert_eq!(identity.issuer, ctx.accounts.issuer());
    assert_eq!(identity.generation, Some(START));
}

#[tokio::test]
async fn an_account_removed_since_its_token_was_verified_gets_no_store() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    let token = ctx.access_token(&session).await;
    let identity = ctx.accounts.verify_bearer(&token).await.unwrap();
    ctx.accounts.remove_account(ANN).await.unwrap();

    let key_id = KeyId {
        keys_changed_at: START,
        client_state: vec![1; 16],
    };
    let refused = ctx.accounts.assign(&identity, &key_id).await;

    assert!(matches!(refused, Err(TokenError::InvalidCredentials)));
    assert_eq!(ctx.count("SELECT COUNT(*) FROM users").await, 0);
}

#[tokio::test]
async fn bad_tokens_and_those_without_the_scope_are_refused() {
    use foxden_accounts::{AccessType, Grant};
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    let grant = Grant::Credentials {
        scope: "profile".to_owned(),
        access_type: AccessType::Online,
    };
    let granted = ctx
        .accounts
        .grant(
            Some(&session),
            crate::context::token_request(grant),
            &crate::context::local_client(),
        )
        .await;
    let without_scope = granted.unwrap().access_token.to_hex();
    for token in ["", "x", &"0".repeat(64), &without_scope] {
        assert!(
            matches!(
                ctx.accounts.verify_bearer(token).await,
                Err(TokenError::InvalidCredentials)
            ),
            "{token}"
        );
    }
}

/// One that was replaced without another key, as by a move to another node, is left alone for a day.
#[tokio::test]
async fn replaced_stores_are_struck_off_and_emptied_after_a_day() {
    let ctx = TestContext::new().await;
    let old = ctx.seed_at(1, Some(1), "aaaa", START, Some(START)).await;
    let new = ctx.uid((1, 1, "aaaa")).await;
    ctx.accounts.purge(10, i64::MAX).await.unwrap();
    assert!(ctx.accounts.stores_to_empty(10).await.unwrap().is_empty());

    ctx.clock.advance_millis(25 * 3_600_000);
    ctx.accounts.purge(10, i64::MAX).await.unwrap();

    let due = ctx.due().await;
    assert_eq!(due, [UserId(old)]);
    ctx.accounts.store_emptied(due[0]).await.unwrap();
    assert!(ctx.accounts.stores_to_empty(10).await.unwrap().is_empty());
    assert!(
        ctx.accounts.closed_stores().await.unwrap().is_empty(),
        "a store that was merely replaced is not refused"
    );
    assert_eq!(ctx.uid((1, 1, "aaaa")).await, new);
}

/// The store of a former key is emptied at once, refused while a token for it may live, and emptied again then. Its row
/// stays a day, so that the key is still known as a former one.
#[tokio::test]
async fn the_store_of_a_former_key_is_emptied_at_once() {
    let ctx = TestContext::new().await;
    let old = ctx.uid((1, 1, "aaaa")).await;
    let new = ctx.uid((2, 2, "bbbb")).await;
    assert_eq!(ctx.due().await, [UserId(old)]);
    ctx.accounts.store_emptied(UserId(old)).await.unwrap();
    assert!(ctx.due().await.is_empty());
    assert_eq!(ctx.accounts.closed_stores().await.unwrap(), [UserId(old)]);

    ctx.clock.advance_millis(2 * 3_600_000);
    assert!(ctx.accounts.closed_stores().await.unwrap().is_empty());
    assert_eq!(ctx.due().await, [UserId(old)]);
    ctx.accounts.store_emptied(UserId(old)).await.unwrap();
    assert_eq!(ctx.refusal((3, 3, "aaaa")).await, "E17");

    ctx.clock.advance_millis(24 * 3_600_000);
    ctx.accounts.purge(10, i64::MAX).await.unwrap();
    assert_eq!(ctx.uid((2, 2, "bbbb")).await, new);
    assert_eq!(ctx.count("SELECT COUNT(*) FROM users").await, 1);
    assert_eq!(ctx.count("SELECT MAX(current_load) FROM nodes").await, 1);
}

/// Each change of keys gives a further store, and its token lives on: so the changes within the life of a token are
/// bounded. The store in use is served all the while, and so are all others.
#[tokio::test]
async fn keys_that_change_too_often_wait_for_the_oldest_token() {
    let ctx = TestContext::with(Options {
        max_replaced_stores: 2,
        token_seconds: 3600,
        ..cheap()
    })
    .await;
    ctx.uid((1, 1, "aa01")).await;
    ctx.uid((2, 2, "aa02")).await;
    ctx.clock.advance_millis(600_000);
    let last = ctx.uid((3, 3, "aa03")).await;
    for _ in 0..2 {
        let refused = ctx.request((4, 4, "aa04")).await;
        // The token, and what clocks of nodes may differ, less the ten minutes.
        let wait = 3600 + 300 - 600;
        assert!(
            matches!(refused, Err(TokenError::TooManyKeyChanges { retry_after }) if retry_after == wait),
            "{refused:?}"
        );
        assert_eq!(ctx.uid((3, 3, "aa03")).await, last);
    }
    assert_eq!(ctx.count("SELECT COUNT(*) FROM users").await, 3);
    ctx.clock.advance_millis(3_300_000);
    ctx.uid((4, 4, "aa04")).await;
    assert!(matches!(
        ctx.request((5, 5, "aa05")).await,
        Err(TokenError::TooManyKeyChanges { retry_after: 600 })
    ));
}

/// A node counts the account's quota over all its stores there, so what opens one of them names the others.
#[tokio::test]
async fn each_store_names_the_account_s_others() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let session = ctx.session(&created).await;
    let identity = ctx
        .accounts
        .verify_bearer(&ctx.access_token(&session).await)
        .await
        .unwrap();
    let assign = async |seconds: i64, generation: i64| {
        let key_id = KeyId {
            keys_changed_at: START + seconds,
            client_state: vec![u8::try_from(seconds).unwrap(); 16],
        };
        let identity = Identity {
            generation: Some(START + generation),
            ..identity.clone()
        };
        ctx.accounts.assign(&identity, &key_id).await.unwrap()
    };
    let old = UserId(ctx.open(ANN, PASSWORD).await.unwrap());
    let recalled = || ctx.accounts.cached_store(ANN, PASSWORD);
    assert!(recalled().unwrap().other_uids.is_empty());

    let first = assign(1, 1).await;
    assert_eq!(first.other_uids, [old]);
    ctx.open(ANN, PASSWORD).await.unwrap();
    assert_eq!(*recalled().unwrap().other_uids, [first.user]);

    // The store of the former key is emptied at once, and does not count against the new one meanwhile.
    let second = assign(2, 2).await;
    assert_eq!(
        (second.replaced, &*second.other_uids),
        (Some(first.user), &[old][..])
    );
    ctx.open(ANN, PASSWORD).await.unwrap();
    assert_eq!(*recalled().unwrap().other_uids, [second.user]);
    assert_eq!(assign(2, 2).await.replaced, None);
}

#[tokio::test]
async fn a_password_change_keeps_the_store_and_a_reset_gives_a_new_one() {
    let ctx = TestContext::new().await;
    let created = ctx.create(BEA).await;
    let session = ctx.session(&created).await;
    let keys = ctx
        .accounts
        .scoped_key_data(&session, crate::context::DESKTOP, OLDSYNC)
        .await
        .unwrap();
    let first = ctx
        .accounts
        .verify_bearer(&ctx.access_token(&session).await)
        .await
        .unwrap();
    let key_id = KeyId {
        keys_changed_at: keys[0].key_rotation_timestamp,
        client_state: vec![1; 16],
    };
    let uid = ctx.accounts.assign(&first, &key_id).await.unwrap().user;

    ctx.clock.advance_millis(1000);
    crate::password::change(&ctx, BEA, PASSWORD, "another one").await;
    let signed_in = ctx.login(BEA, "another one").await.unwrap();
    let session = ctx.session(&signed_in).await;
    let second = ctx
        .accounts
        .verify_bearer(&ctx.access_token(&session).await)
        .await
        .unwrap();
    assert!(second.generation > first.generation);
    assert_eq!(ctx.accounts.assign(&second, &key_id).await.unwrap().user, uid);
    assert!(matches!(
        ctx.accounts.assign(&first, &key_id).await,
        Err(TokenError::InvalidGeneration)
    ));

    ctx.clock.advance_millis(1000);
    crate::password::reset(&ctx, BEA, auth_pw(BEA, "a third one")).await;
    let session = ctx.session(&ctx.login(BEA, "a third one").await.unwrap()).await;
    let keys = ctx
        .accounts
        .scoped_key_data(&session, crate::context::DESKTOP, OLDSYNC)
        .await
        .unwrap();
    let third = ctx
        .accounts
        .verify_bearer(&ctx.access_token(&session).await)
        .await
        .unwrap();
    let new_key_id = KeyId {
        keys_changed_at: keys[0].key_rotation_timestamp,
        client_state: vec![2; 16],
    };
    assert!(new_key_id.keys_changed_at > key_id.keys_changed_at);
    assert!(new_key_id.keys_changed_at <= third.generation.unwrap());
    assert_ne!(ctx.accounts.assign(&third, &new_key_id).await.unwrap().user, uid);
    assert!(ctx.accounts.assign(&third, &key_id).await.is_err());
}

mod whatever_is_asked {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// However requests come, there is one current store, what is known of it never goes back, and a store that
        /// was left is never given again.
        #[test]
        fn stores_only_go_forward(asked in prop::collection::vec((0..6_i64, 0..6_i64, 0..4_usize), 1..25)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let ctx = TestContext::new().await;
                let (mut last_uid, mut last_generation, mut last_keys) = (0, 0, 0);
                for (generation, keys_changed_at, state) in asked {
                    ctx.clock.tick();
                    let state = ["", "aaaa", "bbbb", "cccc"][state];
                    let before = ctx.count("SELECT COUNT(*) FROM users").await;
                    match ctx.request((generation, keys_changed_at, state)).await {
                        Ok(answer) => {
                            assert!(answer.user.0 >= last_uid);
                            last_uid = answer.user.0;
                        }
                        Err(_) => assert_eq!(ctx.count("SELECT COUNT(*) FROM users").await, before),
                    }
                    if ctx.count("SELECT COUNT(*) FROM users").await == 0 {
                        continue;
                    }
                    assert_eq!(ctx.count("SELECT COUNT(*) FROM users WHERE replaced_at IS NULL").await, 1);
                    let current = "SELECT COALESCE(keys_changed_at, 0) FROM users WHERE replaced_at IS NULL";
                    let (now_generation, now_keys) = (ctx.generation().await, ctx.count(current).await);
                    assert!(now_generation >= last_generation && now_keys >= last_keys);
                    (last_generation, last_keys) = (now_generation, now_keys);
                }
            });
        }
    }
}
