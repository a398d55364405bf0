//! Moves that were interrupted, or given up.

use foxden_storage::engine::movable::{MoveFlag, MoveRole, MoveTotals};
use foxden_storage::moving::{self, MoveProgress, MoveState};

use super::stores::{TestStore, snapshot};
use super::{Opened, copy_and_compare, fill, move_all};

/// The target may have been restored from a copy, or have lost its last writes: the source alone says that all was compared.
pub async fn a_target_that_lost_its_end_is_completed(from: &TestStore, to: &TestStore) {
    fill(from).await;
    let before = snapshot(&from.context().await).await;
    let opened = Opened::begun(from, to).await;
    let (source, target) = (&opened.source, &opened.target);
    let user = source.users(None, 1).await.unwrap()[0];
    let head = source.head(user).await.unwrap();
    target.begin_user(user, &head).await.unwrap();
    // A user who is half there would count as closed.
    let refused = target.set_flag(None).await;
    assert!(refused.is_err(), "{refused:?}");
    let flag = source.flag().await.unwrap().unwrap();
    let moved = MoveFlag {
        role: MoveRole::Moved,
        ..flag
    };
    source.set_flag(Some(&moved)).await.unwrap();
    opened.close().await;
    assert_eq!(move_all(from, to).await.unwrap(), MoveState::Resumed);
    to.same_time_as(from);
    assert_eq!(snapshot(&to.context().await).await, before);
}

/// Killed between its last two steps.
pub async fn a_move_that_was_compared_is_opened(from: &TestStore, to: &TestStore) {
    fill(from).await;
    let opened = Opened::begun(from, to).await;
    copy_and_compare(&opened).await.unwrap();
    for (store, role) in [
        (&opened.target, MoveRole::Arrived),
        (&opened.source, MoveRole::Moved),
    ] {
        let flag = store.flag().await.unwrap().unwrap();
        store.set_flag(Some(&MoveFlag { role, ..flag })).await.unwrap();
    }
    opened.close().await;
    assert_eq!(move_all(from, to).await.unwrap(), MoveState::Compared);
    to.context().await.put("history", "served", "again").await;
}

pub async fn an_interrupted_move_goes_on_where_it_was(from: &TestStore, to: &TestStore) {
    fill(from).await;
    let before = snapshot(&from.context().await).await;
    let opened = Opened::begun(from, to).await;
    let (source, target) = (&opened.source, &opened.target);
    // One user is there, and one half.
    let users = source.users(None, 2).await.unwrap();
    let mut keys = Vec::new();
    for user in &users {
        let head = source.head(*user).await.unwrap();
        let user_keys = target.begin_user(*user, &head).await.unwrap();
        let mut rows = Vec::new();
        for (collection, key) in head.collections.iter().zip(&user_keys.collections) {
            let page = source.objects(*user, collection, None).await.unwrap();
            rows.extend(page.objects.into_iter().map(|object| (*key, object)));
        }
        target.add_objects(*user, rows).await.unwrap();
        keys.push((head, user_keys));
    }
    let (mut head, user_keys) = keys.swap_remove(0);
    for (collection, key) in head.collections.iter_mut().zip(&user_keys.collections) {
        collection.key = *key;
    }
    assert_eq!(target.totals().await.unwrap(), MoveTotals::default());
    target.finish_user(users[0], &head).await.unwrap();
    assert_eq!(target.users(None, 10).await.unwrap(), users[..1]);
    assert_eq!(target.totals().await.unwrap().users, 1);
    opened.close().await;
    assert_eq!(move_all(from, to).await.unwrap(), MoveState::Resumed);
    to.same_time_as(from);
    assert_eq!(snapshot(&to.context().await).await, before);
}

pub async fn a_move_that_is_given_up_leaves_the_source_as_it_was(from: &TestStore, to: &TestStore) {
    fill(from).await;
    let before = snapshot(&from.context().await).await;
    let opened = Opened::begun(from, to).await;
    let stores = opened.stores();
    moving::copy(stores, &MoveProgress::default()).await.unwrap();
    let given_up = moving::give_up(stores.to).await.unwrap().unwrap();
    assert_eq!(
        (given_up.role, given_up.peer.as_str()),
        (MoveRole::Target, "from")
    );
    assert!(opened.target.is_empty().await.unwrap());
    let given_up = moving::give_up(stores.from).await.unwrap().unwrap();
    assert_eq!((given_up.role, given_up.peer.as_str()), (MoveRole::Source, "to"));
    assert_eq!(moving::give_up(stores.from).await.unwrap(), None);
    opened.close().await;
    assert_eq!(snapshot(&from.context().await).await, before);
    // From there, everything can begin anew.
    assert_eq!(move_all(from, to).await.unwrap(), MoveState::New);
}
