//! Copies users.

use foxden_model::UserId;

use super::feed::{UserFeed, at_once};
use super::reader::{Chunk, ObjectReader};
use super::retries::{UserProgress, with_retries};
use super::{Move, MoveError, MoveProgress};
use crate::engine::movable::{BatchHead, UserHead};

/// Copies the users who are not wholly in the target yet.
pub async fn copy(stores: Move<'_>, progress: &MoveProgress) -> Result<(), MoveError> {
    let Move { from, to } = stores;
    let before = to.store.totals().await.map_err(|error| to.failed(error))?;
    progress.begin_with(before);
    let feed = UserFeed::new(from, Some(to));
    let count = from.store.concurrency().min(to.store.concurrency());
    at_once(count, || async {
        while let Some(user) = feed.next().await? {
            with_retries(user, progress, async |part| copy_user(stores, user, part).await).await?;
        }
        Ok(())
    })
    .await
}

async fn copy_user(stores: Move<'_>, user: UserId, progress: UserProgress<'_>) -> Result<(), MoveError> {
    let Move { from, to } = stores;
    let head = from.store.head(user).await.map_err(|error| from.failed(error))?;
    // The last answer may have been lost on its way.
    if !progress.is_first && is_there(stores, user).await? {
        for collection in &head.collections {
            progress.add_objects(collection.objects, collection.bytes);
        }
        progress.add_user(head.batches.len());
        return Ok(());
    }
    let keys = to.store.begin_user(user, &head).await;
    let keys = keys.map_err(|error| to.failed(error))?;
    // The counts are those of the rows that are copied.
    let mut copied = UserHead {
        collections: Vec::with_capacity(head.collections.len()),
        ..head.clone()
    };
    for (collection, &key) in head.collections.iter().zip(&keys.collections) {
        let mut collection = collection.clone();
        (collection.key, collection.objects, collection.bytes) = (key, 0, 0);
        copied.collections.push(collection);
    }
    let mut reader = ObjectReader::new(from, user, &head.collections);
    let mut chunk = reader.next().await?;
    while let Some(objects) = chunk {
        let (count, bytes) = count(&objects, &mut copied);
        let keyed = objects.into_iter();
        let keyed = keyed.map(|(at, object)| (keys.collections[at], object)).collect();
        // The next objects are read while these are added.
        let add = async {
            to.store
                .add_objects(user, keyed)
                .await
                .map_err(|error| to.failed(error))
        };
        let (next, ()) = tokio::try_join!(reader.next(), add)?;
        progress.add_objects(count, bytes);
        chunk = next;
    }
    for (batch, &key) in head.batches.iter().zip(&keys.batches) {
        copy_parts(stores, user, batch, key).await?;
    }
    let finished = to.store.finish_user(user, &copied).await;
    finished.map_err(|error| to.failed(error))?;
    progress.add_user(head.batches.len());
    Ok(())
}

/// Whether a user is wholly in the target.
async fn is_there(stores: Move<'_>, user: UserId) -> Result<bool, MoveError> {
    let before = user.0.cast_signed().checked_sub(1);
    let before = before.map(|before| UserId(before.cast_unsigned()));
    let users = stores.to.store.users(before, 1).await;
    let users = users.map_err(|error| stores.to.failed(error))?;
    Ok(users.contains(&user))
}

/// Adds objects to the counts of their collections; returns how many they are, and their bytes.
fn count(objects: &Chunk, head: &mut UserHead) -> (u64, u64) {
    let mut bytes = 0;
    for (at, object) in objects {
        let size = object.payload.len() as u64;
        let collection = &mut head.collections[*at];
        collection.objects += 1;
        collection.bytes += size;
        bytes += size;
    }
    (objects.len() as u64, bytes)
}

async fn copy_parts(stores: Move<'_>, user: UserId, batch: &BatchHead, key: i64) -> Result<(), MoveError> {
    let Move { from, to } = stores;
    let (mut last, mut number) = (0, 0);
    loop {
        let parts = from.store.parts(user, batch.key, last).await;
        let mut parts = parts.map_err(|error| from.failed(error))?;
        let Some(part) = parts.last() else { return Ok(()) };
        last = part.number;
        for part in &mut parts {
            number += 1;
            part.number = number;
        }
        let added = to.store.add_parts(user, key, parts).await;
        added.map_err(|error| to.failed(error))?;
    }
}
