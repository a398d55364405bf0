//! Compares the stores of a move: every user, collection, object, batch and part.

use std::collections::VecDeque;

use foxden_model::{Bso, ObjectId, UserId};

use super::feed::{UserFeed, at_once, list};
use super::reader::ObjectReader;
use super::retries::{UserProgress, with_retries};
use super::{Move, MoveError, MoveProgress, NamedStore};
use crate::engine::movable::{BatchHead, CollectionHead, MovedPart, UserHead};

/// Compares both stores; the first difference is [`MoveError::Different`].
pub async fn compare(stores: Move<'_>, progress: &MoveProgress) -> Result<(), MoveError> {
    let Move { from, to } = stores;
    compare_users(stores).await?;
    let feed = UserFeed::new(from, None);
    let count = from.store.concurrency().min(to.store.concurrency());
    at_once(count, || async {
        while let Some(user) = feed.next().await? {
            with_retries(user, progress, async |part| {
                compare_user(stores, user, part).await
            })
            .await?;
        }
        Ok(())
    })
    .await
}

/// Compares the lists of users.
async fn compare_users(stores: Move<'_>) -> Result<(), MoveError> {
    let mut last = None;
    loop {
        let (from, to) = tokio::try_join!(list(stores.from, last), list(stores.to, last))?;
        if let Some(user) = from.iter().find(|user| !to.contains(user)) {
            return Err(different(format_args!("user {} is missing", user.0)));
        }
        if let Some(user) = to.iter().find(|user| !from.contains(user)) {
            return Err(different(format_args!("user {} is only in the target", user.0)));
        }
        let Some(user) = from.last() else { return Ok(()) };
        last = Some(*user);
    }
}

async fn compare_user(stores: Move<'_>, user: UserId, progress: UserProgress<'_>) -> Result<(), MoveError> {
    let (from, to) = tokio::join!(stores.from.store.head(user), stores.to.store.head(user));
    let from = from.map_err(|error| stores.from.failed(error))?;
    let to = to.map_err(|error| stores.to.failed(error))?;
    compare_heads(user, &from, &to)?;
    let counted = compare_objects(stores, user, &from, &to, progress).await?;
    for (collection, counted) in to.collections.iter().zip(counted) {
        if (collection.objects, collection.bytes) != counted {
            return Err(different(format_args!(
                "the counts of collection {} of user {} do not fit its objects",
                collection.name, user.0
            )));
        }
    }
    for (ours, theirs) in from.batches.iter().zip(&to.batches) {
        compare_parts(stores, user, ours, theirs).await?;
    }
    progress.add_user(from.batches.len());
    Ok(())
}

/// Compares what is stored besides objects and parts. The counts of the target are compared with its objects.
fn compare_heads(user: UserId, from: &UserHead, to: &UserHead) -> Result<(), MoveError> {
    let times = |head: &UserHead| (head.modified, head.is_closed);
    if times(from) != times(to) {
        return Err(different(format_args!(
            "user {}: last change {} and closed {}, in the target {} and {}",
            user.0, from.modified, from.is_closed, to.modified, to.is_closed
        )));
    }
    let collections = |head: &UserHead| {
        let each = head.collections.iter();
        each.map(|collection| (collection.name, collection.modified))
            .collect::<Vec<_>>()
    };
    if collections(from) != collections(to) {
        return Err(different(format_args!(
            "the collections of user {}, or their times",
            user.0
        )));
    }
    let batches = |head: &UserHead| {
        let each = head.batches.iter();
        each.map(|batch| BatchHead {
            key: 0,
            ..batch.clone()
        })
        .collect::<Vec<_>>()
    };
    if batches(from) != batches(to) {
        return Err(different(format_args!(
            "the unfinished uploads of user {}",
            user.0
        )));
    }
    Ok(())
}

/// Compares all objects; returns the count and the bytes of each collection. The sizes in the target are compared with its payloads.
async fn compare_objects(
    stores: Move<'_>,
    user: UserId,
    from: &UserHead,
    to: &UserHead,
    progress: UserProgress<'_>,
) -> Result<Vec<(u64, u64)>, MoveError> {
    let mut counted = vec![(0, 0); from.collections.len()];
    // The chunks of two stores end at different objects.
    let mut from = Objects::new(stores.from, user, &from.collections);
    let mut to = Objects::new(stores.to, user, &to.collections);
    loop {
        tokio::try_join!(from.fill(), to.fill())?;
        let (ours, theirs) = match (from.waiting.pop_front(), to.waiting.pop_front()) {
            (None, None) => break,
            (ours, theirs) => (ours, theirs),
        };
        if ours != theirs {
            let Some((at, object)) = ours.or(theirs) else {
                break;
            };
            return Err(different_object(
                "object",
                &object.id,
                from.collections.get(at),
                user,
            ));
        }
        if let Some((at, object)) = ours {
            let bytes = object.payload.len() as u64;
            counted[at].0 += 1;
            counted[at].1 += bytes;
            progress.add_objects(1, bytes);
        }
    }
    match &to.reader.wrong_size {
        Some((at, id)) => Err(different_object(
            "the size of object",
            id,
            to.collections.get(*at),
            user,
        )),
        None => Ok(counted),
    }
}

/// A user's objects in one of the stores.
struct Objects<'a> {
    reader: ObjectReader<'a>,
    collections: &'a [CollectionHead],
    waiting: VecDeque<(usize, Bso)>,
}

impl<'a> Objects<'a> {
    fn new(place: NamedStore<'a>, user: UserId, collections: &'a [CollectionHead]) -> Self {
        Self {
            reader: ObjectReader::new(place, user, collections),
            collections,
            waiting: VecDeque::new(),
        }
    }

    async fn fill(&mut self) -> Result<(), MoveError> {
        if self.waiting.is_empty()
            && let Some(chunk) = self.reader.next().await?
        {
            self.waiting = chunk.into();
        }
        Ok(())
    }
}

/// Compares the parts of a batch, whose numbers differ between engines.
async fn compare_parts(
    stores: Move<'_>,
    user: UserId,
    ours: &BatchHead,
    theirs: &BatchHead,
) -> Result<(), MoveError> {
    let (mut last, mut last_there) = (0, 0);
    loop {
        let (from, to) = tokio::join!(
            stores.from.store.parts(user, ours.key, last),
            stores.to.store.parts(user, theirs.key, last_there)
        );
        let from = from.map_err(|error| stores.from.failed(error))?;
        let to = to.map_err(|error| stores.to.failed(error))?;
        let patches = |parts: &[MovedPart]| parts.iter().map(|part| part.patches.clone()).collect::<Vec<_>>();
        if patches(&from) != patches(&to) {
            return Err(different(format_args!(
                "an unfinished upload to collection {} of user {}",
                ours.collection, user.0
            )));
        }
        let (Some(part), Some(there)) = (from.last(), to.last()) else {
            return Ok(());
        };
        (last, last_there) = (part.number, there.number);
    }
}

fn different_object(
    what: &str,
    id: &ObjectId,
    collection: Option<&CollectionHead>,
    user: UserId,
) -> MoveError {
    let name = collection.map_or_else(String::new, |collection| collection.name.to_string());
    different(format_args!(
        "{what} {} of collection {name} of user {}",
        id.as_str(),
        user.0
    ))
}

fn different(what: std::fmt::Arguments<'_>) -> MoveError {
    MoveError::Different(what.to_string())
}
