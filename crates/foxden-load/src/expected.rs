//! What a user has stored, by what the server acknowledged.

use std::collections::BTreeMap;

use crate::instant::SyncInstant;
use crate::random::Random;

/// Everything that one user has stored.
#[derive(Debug, Default)]
pub struct Expected {
    /// The collections by name.
    pub collections: BTreeMap<String, Collection>,
    /// The time of the last write.
    pub last: SyncInstant,
    /// Nothing is sure until everything was deleted: a request that deletes had no answer.
    pub is_unsure: bool,
}

/// One collection.
#[derive(Debug, Default)]
pub struct Collection {
    /// When it last changed.
    pub modified: SyncInstant,
    /// A write had no clear answer. The collection is deleted before it is used again.
    pub is_unsure: bool,
    /// The objects by number, with gaps for deleted ones.
    objects: Vec<Option<Stored>>,
    count: usize,
}

/// One object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How often it was written before.
    pub version: u32,
    /// The bytes of its payload.
    pub size: u32,
    /// When it last changed.
    pub modified: SyncInstant,
}

/// An object that is about to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its number in the collection.
    pub number: u32,
    /// How often it was written before.
    pub version: u32,
    /// The bytes of its payload.
    pub size: u32,
}

impl Expected {
    /// A collection, if it is there.
    pub fn get(&self, name: &str) -> Option<&Collection> {
        self.collections.get(name)
    }

    /// A collection that is about to be written.
    pub fn entry(&mut self, name: &str) -> &mut Collection {
        if !self.collections.contains_key(name) {
            self.collections.insert(name.to_owned(), Collection::default());
        }
        self.collections.get_mut(name).expect("it was put there")
    }
}

impl Collection {
    /// How many objects there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// An object.
    pub fn object(&self, number: u32) -> Option<&Stored> {
        self.objects.get(index(number))?.as_ref()
    }

    /// All objects with their numbers.
    pub fn objects(&self) -> impl Iterator<Item = (u32, &Stored)> {
        let numbered = (0..).zip(&self.objects);
        numbered.filter_map(|(number, stored)| stored.as_ref().map(|stored| (number, stored)))
    }

    /// The number that the next new object gets.
    pub fn next(&self) -> u32 {
        u32::try_from(self.objects.len()).unwrap_or(u32::MAX)
    }

    /// The number of any object.
    pub fn any(&self, random: &Random) -> Option<u32> {
        let all = self.objects.len();
        let start = index_of(random.below(u64::try_from(all).unwrap_or(u64::MAX)));
        let mut tried = (start..all).chain(0..start);
        tried
            .find(|at| self.objects[*at].is_some())
            .and_then(|at| u32::try_from(at).ok())
    }

    /// These were written.
    pub fn store(&mut self, planned: &[Planned], modified: SyncInstant) {
        for one in planned {
            let at = index(one.number);
            if self.objects.len() <= at {
                self.objects.resize(at + 1, None);
            }
            self.count += usize::from(self.objects[at].is_none());
            self.objects[at] = Some(Stored {
                version: one.version,
                size: one.size,
                modified,
            });
        }
        self.modified = modified;
    }

    /// These were deleted.
    pub fn remove(&mut self, numbers: &[u32], modified: SyncInstant) {
        for number in numbers {
            if let Some(stored) = self.objects.get_mut(index(*number))
                && stored.take().is_some()
            {
                self.count -= 1;
            }
        }
        self.modified = modified;
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn index_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_objects_leave_gaps() {
        let mut collection = Collection::default();
        let random = Random::new(1, &[]);
        assert_eq!(collection.any(&random), None);
        let planned = |number| Planned {
            number,
            version: 0,
            size: 1,
        };
        let time = SyncInstant::read("1.00").unwrap();
        collection.store(&[planned(0), planned(1), planned(2), planned(2)], time);
        assert_eq!((collection.len(), collection.next()), (3, 3));
        collection.remove(&[0, 2, 7], time);
        assert_eq!((collection.len(), collection.next()), (1, 3));
        assert_eq!(collection.any(&random), Some(1));
        let numbers: Vec<u32> = collection.objects().map(|(number, _)| number).collect();
        assert_eq!(numbers, [1]);
    }
}
