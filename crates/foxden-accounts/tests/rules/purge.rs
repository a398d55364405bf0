//! What has expired goes, whatever else is done.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use foxden_accounts::AccountId;
use foxden_sql::{Database, Fetch, SqlError, values};

use crate::context::{ANN, BEA, START, TestContext};

const EXPIRED: u32 = 600;

/// Adds access tokens in one transaction that has read which expire first.
async fn add(
    database: &Database,
    account: AccountId,
    ids: std::ops::Range<u32>,
    expires: i64,
) -> Result<(), SqlError> {
    let ids = &ids;
    let added = database.transact(|tx| async move {
        let statement = "SELECT id_hash FROM access_token WHERE expires <= ? ORDER BY expires LIMIT 3";
        tx.fetch_all(statement, values![expires]).await?;
        for id in ids.clone() {
            let statement = "INSERT INTO access_token (id_hash, uid, client_id, scope, created_at, expires)
                VALUES (?, ?, 'c', 's', ?, ?)";
            let values = values![format!("{id:064}"), account.to_string(), START, expires];
            tx.execute(statement, values).await?;
        }
        Ok(())
    });
    added.await
}

/// Servers take long transactions back while others write beside them.
#[tokio::test]
async fn what_has_expired_goes_while_others_write() {
    let ctx = TestContext::new().await;
    let (ann, bea) = (ctx.create(ANN).await.account, ctx.create(BEA).await.account);
    add(&ctx.database, ann, 0..EXPIRED, START).await.unwrap();
    ctx.clock.advance_millis(1);
    let next = &AtomicU32::new(EXPIRED);
    let (database, later) = (&ctx.database, START + 3_600_000);
    let write = || async move {
        loop {
            let id = next.fetch_add(1, Ordering::Relaxed);
            // A server may take one of them back each time.
            drop(add(database, bea, id..id + 1, later).await);
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    };
    // One batch may be taken back each time; its kind then goes on in the next round.
    let purge = async {
        let mut purged = 0;
        for _ in 0..5 {
            purged += ctx.accounts.purge(1000, i64::MAX).await.unwrap();
        }
        purged
    };
    let purged = tokio::select! {
        purged = purge => purged,
        ((), (), ()) = async { tokio::join!(write(), write(), write()) } => unreachable!("they write for ever"),
    };
    assert_eq!(purged, u64::from(EXPIRED));
    let left = format!("SELECT COUNT(*) FROM access_token WHERE expires <= {START}");
    assert_eq!(ctx.count(left.leak()).await, 0);
}
