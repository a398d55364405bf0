//! Reads the objects of a user, some at a time.

use foxden_model::{Bso, ObjectId, UserId};

use super::{MoveError, NamedStore};
use crate::engine::movable::{CollectionHead, MAX_MOVED_BYTES, MAX_MOVED_OBJECTS};

/// Reads a user's objects, collection by collection.
pub(super) struct ObjectReader<'a> {
    place: NamedStore<'a>,
    user: UserId,
    collections: &'a [CollectionHead],
    /// The collection that is read.
    at: usize,
    after: Option<ObjectId>,
    /// An object that was read and has a wrong size in the store, with the place of its collection.
    pub(super) wrong_size: Option<(usize, ObjectId)>,
}

/// Objects, each with the place of its collection in the list.
pub(super) type Chunk = Vec<(usize, Bso)>;

impl<'a> ObjectReader<'a> {
    pub(super) const fn new(place: NamedStore<'a>, user: UserId, collections: &'a [CollectionHead]) -> Self {
        Self {
            place,
            user,
            collections,
            at: 0,
            after: None,
            wrong_size: None,
        }
    }

    /// The next objects; `None` at the end. Small collections come together.
    pub(super) async fn next(&mut self) -> Result<Option<Chunk>, MoveError> {
        let mut chunk = Chunk::new();
        let mut bytes = 0;
        while let Some(collection) = self.collections.get(self.at) {
            let is_next_small = collection.objects + chunk.len() as u64 <= MAX_MOVED_OBJECTS as u64
                && collection.bytes + bytes <= MAX_MOVED_BYTES as u64;
            if !chunk.is_empty() && !is_next_small {
                break;
            }
            let read = self
                .place
                .store
                .objects(self.user, collection, self.after.as_ref())
                .await;
            let page = read.map_err(|error| self.place.failed(error))?;
            bytes += page
                .objects
                .iter()
                .map(|object| object.payload.len() as u64)
                .sum::<u64>();
            if let Some(id) = page.wrong_size {
                self.wrong_size = Some((self.at, id));
            }
            let last = page.objects.last().map(|object| object.id.clone());
            chunk.extend(page.objects.into_iter().map(|object| (self.at, object)));
            if page.has_more && last.is_some() {
                self.after = last;
                break;
            }
            self.after = None;
            self.at += 1;
        }
        Ok((!chunk.is_empty()).then_some(chunk))
    }
}
