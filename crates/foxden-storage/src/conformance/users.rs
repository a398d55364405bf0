//! The users of a store can be listed in pages.

use foxden_model::UserId;

use super::{Lab, payload};
use crate::command::{Change, Detail};

/// Every user, asked for in pages of so many.
async fn listed(lab: &Lab, limit: usize) -> Vec<UserId> {
    let mut all = Vec::new();
    loop {
        let page = lab.engine.users(all.last().copied(), limit).await;
        let page = page.expect("users can be listed");
        assert!(page.len() <= limit, "{} users in a page of {limit}", page.len());
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// A new store has no users, and no page of nothing.
pub async fn a_new_store_has_no_users(lab: &Lab) {
    assert_eq!(listed(lab, 10).await, []);
    lab.put("bookmarks", "a", "one").await;
    assert_eq!(listed(lab, 10).await, [lab.user]);
    assert_eq!(listed(lab, 0).await, []);
}

/// Pages of any size list each user once, in the same order.
pub async fn pages_list_every_user_once(lab: &Lab) {
    let users: Vec<u64> = (1..=25).chain([u64::MAX, 1 << 63, (1 << 63) - 1, 0]).collect();
    for user in &users {
        let lab = lab.of_user(*user);
        lab.put("bookmarks", "a", "one").await;
        lab.put("history", "a", "one").await;
    }
    let all = listed(lab, 1000).await;
    let mut sorted: Vec<u64> = all.iter().map(|user| user.0).collect();
    let mut wanted = users;
    sorted.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(sorted, wanted);
    for limit in [1, 3, 10] {
        assert_eq!(listed(lab, limit).await, all, "in pages of {limit}");
    }
}

/// A user whose store was emptied or closed stays listed: the store still holds the time that was given last.
pub async fn emptied_and_closed_stores_are_listed(lab: &Lab) {
    for (user, change) in [(1, Change::DeleteAll), (2, Change::Close)] {
        let lab = lab.of_user(user);
        lab.put("bookmarks", "a", "one").await;
        lab.write(change).await;
    }
    lab.of_user(3).write(Change::Close).await;
    let mut users = listed(lab, 2).await;
    users.sort_unstable();
    assert_eq!(users, [1, 2, 3].map(UserId));
}

/// A user who was never given a time is not listed.
pub async fn reading_and_staging_make_no_user(lab: &Lab) {
    lab.summary(Detail::Full).await;
    lab.open("bookmarks", [payload("a", "one")]).await;
    lab.delete_collection("bookmarks", false).await;
    assert_eq!(listed(lab, 10).await, []);
}
