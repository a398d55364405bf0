//! A register of the time before old clients: its tables are brought up to date over what stands in them.

use foxden_accounts::{MIGRATIONS, NodeLookup, Nodes};
use foxden_sql::{Database, Fetch, SqlError, Value};

use crate::context::{ANN, BEA, NODE, PASSWORD, TestContext, local_client};
use crate::credential_cache::Folder;

/// The content of its tables at that time: what to read now, and how to write it there.
const THEN: [(&str, &str, usize); 7] = [
    (
        "SELECT name, value FROM setting WHERE name IN ('server_id', 'issuer')",
        "INSERT INTO setting VALUES (?, ?)",
        2,
    ),
    (
        "SELECT * FROM account",
        "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        19,
    ),
    (
        "SELECT name, uid FROM login_name",
        "INSERT INTO login_name VALUES (?, ?)",
        2,
    ),
    (
        "SELECT id, service, node, available, current_load, capacity, downed, backoff, is_own FROM nodes
         WHERE service = 1",
        "INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        9,
    ),
    (
        "SELECT * FROM users WHERE service = 1",
        "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        9,
    ),
    (
        "SELECT seq, name FROM sqlite_sequence WHERE name = 'users'",
        "UPDATE sqlite_sequence SET seq = ? WHERE name = ?",
        2,
    ),
    (
        "SELECT uid, is_removed, due, last_expiry FROM closed_store",
        "INSERT INTO closed_store VALUES (?, ?, ?, ?)",
        4,
    ),
];

/// A register with the tables of then, and the rows of now.
async fn left_behind(now: &Database, file: &str) {
    let before = Database::open(file, &MIGRATIONS.sqlite[..1]).await.unwrap();
    let copied = before.transact(|tx| async move {
        for (read, write, columns) in THEN {
            let rows = now.fetch_all(read, Vec::new()).await?;
            assert!(!rows.is_empty(), "{read}");
            for mut row in rows {
                let values = (0..columns).map(|at| row.take(at));
                let values = values.collect::<Result<Vec<Value>, _>>()?;
                tx.execute(write, values).await?;
            }
        }
        Ok::<_, SqlError>(())
    });
    copied.await.unwrap();
}

/// Firefox finds its keys and its store, old clients get one of theirs, and what was to be emptied still is, at its node.
#[tokio::test]
async fn a_register_of_before_is_brought_up_to_date_with_all_that_it_holds() {
    let (folder, ctx) = (Folder::sqlite(), TestContext::sqlite().await);
    ctx.create(ANN).await;
    ctx.create(BEA).await;
    let ann = ctx.firefox(ANN, PASSWORD).await;
    let bea = ctx.firefox(BEA, PASSWORD).await;
    ctx.accounts.remove_account(BEA).await.unwrap();
    left_behind(&ctx.database, &folder.file()).await;

    let found = folder.process(&ctx.clock, Nodes::Own(NODE.to_owned())).await;
    assert_eq!(found.firefox(ANN, PASSWORD).await, ann);
    let closed = found.accounts.stores_to_empty(10).await.unwrap();
    let closed: Vec<_> = closed
        .iter()
        .map(|store| (store.user, store.node.as_str()))
        .collect();
    assert_eq!(closed, [(bea.store, NODE)]);

    let old = found
        .accounts
        .open_store(ANN, PASSWORD, &local_client())
        .await
        .unwrap();
    assert_ne!(old.user, ann.store);
    assert_ne!(old.user, bea.store, "no number is given out twice");
    assert!(
        matches!(found.accounts.node_of(ANN, &local_client()).await.unwrap(), NodeLookup::At(node) if *node == *NODE)
    );
    let nodes = found.accounts.list_nodes().await.unwrap();
    assert!(nodes.len() == 1 && nodes[0].is_listed && nodes[0].url == NODE);
}
