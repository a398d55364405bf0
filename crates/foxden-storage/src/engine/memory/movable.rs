//! The rows of the engine in memory: the reference for moves of the others. A mark does not close it, since it lives in one process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use foxden_model::{Bso, ObjectId, SyncTime, UserId};

use super::store::{Collection, Store};
use super::{MemoryEngine, broken, lock};
use crate::command::{BatchId, Field, Patch};
use crate::engine::movable::{
    Barred, BatchHead, CollectionHead, MAX_MOVED_OBJECTS, MovableStore, MoveKeys, MoveMark, MoveTotals,
    MovedPart, ObjectsPage, UserHead,
};
use crate::engine::patch_ref::PatchRef;
use crate::engine::usage::Usage;
use crate::engine::{Corrupt, EngineError, patch_codec};

/// The mark, and the users who are half there.
#[derive(Default)]
pub(super) struct Moving {
    mark: Option<MoveMark>,
    users: HashMap<UserId, (UserHead, Store)>,
}

impl MemoryEngine {
    fn with_store<T>(
        &self,
        user: UserId,
        read: impl FnOnce(&Store) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let store = self.stores.read().map_err(broken)?.get(&user).cloned();
        let store = store.ok_or(Corrupt("the store of a user"))?;
        let store = lock(&store)?;
        read(&store)
    }

    fn with_half<T>(
        &self,
        user: UserId,
        change: impl FnOnce(&UserHead, &mut Store) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let mut moving = self.moving.lock().map_err(broken)?;
        let (head, store) = moving
            .users
            .get_mut(&user)
            .ok_or(Corrupt("a user who is half there"))?;
        change(head, store)
    }
}

/// What has the key `number` in a list that begins with one.
fn nth<T>(mut list: impl Iterator<Item = T>, number: i64) -> Result<T, EngineError> {
    let at = usize::try_from(number - 1).ok();
    let found = at.and_then(|at| list.nth(at));
    Ok(found.ok_or(Corrupt("the key of a collection or a batch"))?)
}

fn owned(patch: PatchRef<'_>) -> Result<Patch, Corrupt> {
    let text = |field| match field {
        Field::Keep => Field::Keep,
        Field::Clear => Field::Clear,
        Field::Set(text) => Field::Set(str::to_owned(text)),
    };
    Ok(Patch {
        id: ObjectId::new(patch.id).map_err(|_| Corrupt("the id of an object"))?,
        payload: text(patch.payload),
        sortindex: patch.sortindex,
        parent_id: text(patch.parent_id),
        predecessor_id: text(patch.predecessor_id),
        ttl: patch.ttl,
        renews: patch.renews,
    })
}

fn numbers(count: usize) -> Vec<i64> {
    (1..).take(count).collect()
}

#[async_trait]
impl MovableStore for MemoryEngine {
    async fn mark(&self) -> Result<Option<MoveMark>, EngineError> {
        Ok(self.moving.lock().map_err(broken)?.mark.clone())
    }

    async fn set_mark(&self, mark: Option<&MoveMark>) -> Result<(), EngineError> {
        self.moving.lock().map_err(broken)?.mark = mark.cloned();
        Ok(())
    }

    async fn is_empty(&self) -> Result<bool, EngineError> {
        Ok(MovableStore::users(self, None, 1).await?.is_empty())
    }

    async fn clear(&self) -> Result<(), EngineError> {
        self.stores.write().map_err(broken)?.clear();
        self.moving.lock().map_err(broken)?.users.clear();
        Ok(())
    }

    async fn totals(&self) -> Result<MoveTotals, EngineError> {
        let mut totals = MoveTotals::default();
        for user in MovableStore::users(self, None, usize::MAX).await? {
            totals.users += 1;
            for collection in self.head(user).await?.collections {
                totals.objects += collection.objects;
                totals.bytes += collection.bytes;
            }
        }
        Ok(totals)
    }

    async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>, EngineError> {
        let stores = self.stores.read().map_err(broken)?;
        let mut users = Vec::new();
        for (user, store) in stores.iter() {
            let store = lock(store)?;
            let has_any = store.highest() > SyncTime::ZERO || !store.batches.all().is_empty();
            let follows = after.is_none_or(|after| user.0.cast_signed() > after.0.cast_signed());
            users.extend((has_any && follows).then_some(*user));
        }
        users.sort_unstable_by_key(|user| user.0.cast_signed());
        users.truncate(limit);
        Ok(users)
    }

    async fn head(&self, user: UserId) -> Result<UserHead, EngineError> {
        self.with_store(user, |store| {
            let collections = store.collections.iter().zip(1..);
            let batches = store.batches.all().iter().zip(1..);
            Ok(UserHead {
                modified: store.highest(),
                is_closed: store.is_closed,
                collections: collections
                    .map(|((name, collection), key)| CollectionHead {
                        key,
                        name: *name,
                        modified: collection.modified,
                        objects: collection.objects.len() as u64,
                        bytes: collection
                            .objects
                            .values()
                            .map(|object| object.payload.len() as u64)
                            .sum(),
                    })
                    .collect(),
                batches: batches
                    .map(|(batch, key)| {
                        let usage = Usage::of(&batch.patches);
                        BatchHead {
                            key,
                            name: batch.id.0.to_string(),
                            collection: batch.collection,
                            opened: batch.opened,
                            parts: u64::from(!batch.patches.is_empty()),
                            objects: usage.objects,
                            bytes: usage.bytes,
                        }
                    })
                    .collect(),
            })
        })
    }

    async fn objects(
        &self,
        user: UserId,
        collection: &CollectionHead,
        after: Option<&ObjectId>,
    ) -> Result<ObjectsPage, EngineError> {
        self.with_store(user, |store| {
            let objects = &nth(store.collections.values(), collection.key)?.objects;
            let follows = |object: &&Bso| after.is_none_or(|after| object.id > *after);
            let page: Vec<_> = objects
                .values()
                .filter(follows)
                .take(MAX_MOVED_OBJECTS)
                .cloned()
                .collect();
            Ok(ObjectsPage {
                has_more: page.len() == MAX_MOVED_OBJECTS,
                objects: page,
            })
        })
    }

    // All patches of a batch are one part here.
    async fn parts(&self, user: UserId, batch: i64, after: i64) -> Result<Vec<MovedPart>, EngineError> {
        self.with_store(user, |store| {
            let patches = &nth(store.batches.all().iter(), batch)?.patches;
            let is_end = after > 0 || patches.is_empty();
            let part = || MovedPart {
                number: 1,
                patches: patch_codec::encode(patches),
            };
            Ok((!is_end).then(part).into_iter().collect())
        })
    }

    async fn begin_user(&self, user: UserId, head: &UserHead) -> Result<MoveKeys, EngineError> {
        let mut store = Store::default();
        for collection in &head.collections {
            let empty = Collection {
                modified: collection.modified,
                objects: BTreeMap::new(),
            };
            store.collections.insert(collection.name, empty);
        }
        for batch in &head.batches {
            store.batches.restore(batch);
        }
        if self.stores.read().map_err(broken)?.contains_key(&user) {
            return Err(Barred("the user is there already").into());
        }
        let mut moving = self.moving.lock().map_err(broken)?;
        moving.users.insert(user, (head.clone(), store));
        Ok(MoveKeys {
            collections: numbers(head.collections.len()),
            batches: numbers(head.batches.len()),
        })
    }

    async fn add_objects(&self, user: UserId, objects: Vec<(i64, Bso)>) -> Result<(), EngineError> {
        self.with_half(user, |head, store| {
            for (key, object) in objects {
                let name = nth(head.collections.iter(), key)?.name;
                let collection = store.collections.get_mut(&name).ok_or(Corrupt("a collection"))?;
                collection.objects.insert(object.id.clone(), object);
            }
            Ok(())
        })
    }

    async fn add_parts(&self, user: UserId, batch: i64, parts: Vec<MovedPart>) -> Result<(), EngineError> {
        self.with_half(user, |head, store| {
            let id = BatchId(nth(head.batches.iter(), batch)?.name.as_str().into());
            for part in parts {
                let patches = patch_codec::decode(&part.patches)?;
                let patches: Result<_, _> = patches.into_iter().map(owned).collect();
                store.batches.append(&id, patches?);
            }
            Ok(())
        })
    }

    async fn finish_user(&self, user: UserId, head: &UserHead) -> Result<(), EngineError> {
        let half = self.moving.lock().map_err(broken)?.users.remove(&user);
        let (_, mut store) = half.ok_or(Corrupt("a user who is half there"))?;
        store.is_closed = head.is_closed;
        store.set_highest(head.modified);
        let store = Arc::new(Mutex::new(store));
        self.stores.write().map_err(broken)?.insert(user, store);
        Ok(())
    }

    fn concurrency(&self) -> usize {
        1
    }

    // There is nothing to close.
    async fn close(&self) {}
}
