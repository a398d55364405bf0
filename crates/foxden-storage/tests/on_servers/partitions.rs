//! The partitions of the manual.

use foxden_sql::testing::TestServer;

use super::{TestStore, connection};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a server: cargo xtask test starts one"]
async fn the_partitions_of_the_manual_have_the_indexes_of_the_program() {
    let store = Box::pin(TestStore::new(TestServer::Postgres)).await;
    store.ctx.put("history", "a", "one").await;
    let mut connection = connection(&store.url).await;
    let mut indexes = async || -> String {
        let list =
            "SELECT string_agg(replace(indexdef, ' ONLY ', ' '), E'\n' ORDER BY indexname) FROM pg_indexes
                    WHERE schemaname = current_schema() AND tablename = 'sync_object'";
        let list = sqlx::query_scalar(list).fetch_one(&mut *connection).await;
        list.expect("the server answers")
    };
    let made = indexes().await;
    let manual = include_str!("../../../../docs/postgres.md");
    let recipe = manual.split("```").find(|block| block.contains("PARTITION BY"));
    let recipe = recipe
        .and_then(|block| block.strip_prefix("sql"))
        .expect("it is there");
    // `psql` executes the rows of such a query.
    let recipe = recipe
        .replace(
            "SELECT format",
            "DO $$ DECLARE line text; BEGIN FOR line IN SELECT format",
        )
        .replace("\\gexec", "LOOP EXECUTE line; END LOOP; END $$;");
    store.namespace.run(&recipe).await;
    assert_eq!(indexes().await, made);
    assert_eq!(store.ctx.payload("history", "a").await, "one");
}
