//! The users of a store can be listed in pages.

use foxden_model::UserId;

use super::{TestContext, payload};
use crate::command::{Change, Detail};

/// All users, read in pages of this size.
async fn listed(ctx: &TestContext, limit: usize) -> Vec<UserId> {
    let mut all = Vec::new();
    loop {
        let page = ctx.engine.users(all.last().copied(), limit).await;
        let page = page.expect("users can be listed");
        assert!(page.len() <= limit, "{} users in a page of {limit}", page.len());
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// A new store has no users.
pub async fn a_new_store_has_no_users(ctx: &TestContext) {
    assert_eq!(listed(ctx, 10).await, []);
    ctx.put("bookmarks", "a", "one").await;
    assert_eq!(listed(ctx, 10).await, [ctx.user]);
    assert_eq!(listed(ctx, 0).await, []);
}

/// Pages of any size list each user once, in the same order.
pub async fn pages_list_every_user_once(ctx: &TestContext) {
    let users: Vec<u64> = (1..=25).chain([u64::MAX, 1 << 63, (1 << 63) - 1, 0]).collect();
    for user in &users {
        let ctx = ctx.of_user(*user);
        ctx.put("bookmarks", "a", "one").await;
        ctx.put("history", "a", "one").await;
    }
    let all = listed(ctx, 1000).await;
    let mut sorted: Vec<u64> = all.iter().map(|user| user.0).collect();
    let mut wanted = users;
    sorted.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(sorted, wanted);
    for limit in [1, 3, 10] {
        assert_eq!(listed(ctx, limit).await, all, "in pages of {limit}");
    }
}

/// A user whose store was emptied or closed stays listed, since the store keeps its highest time.
pub async fn emptied_and_closed_stores_are_listed(ctx: &TestContext) {
    for (user, change) in [(1, Change::DeleteAll), (2, Change::Close)] {
        let ctx = ctx.of_user(user);
        ctx.put("bookmarks", "a", "one").await;
        ctx.write(change).await;
    }
    ctx.of_user(3).write(Change::Close).await;
    let mut users = listed(ctx, 2).await;
    users.sort_unstable();
    assert_eq!(users, [1, 2, 3].map(UserId));
}

/// A user without a write is not listed.
pub async fn reading_and_staging_make_no_user(ctx: &TestContext) {
    ctx.summary(Detail::Full).await;
    ctx.open("bookmarks", [payload("a", "one")]).await;
    ctx.delete_collection("bookmarks", false).await;
    assert_eq!(listed(ctx, 10).await, []);
}
