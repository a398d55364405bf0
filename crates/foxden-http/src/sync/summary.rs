//! Prints the content of a store as JSON: the same in all dialects.

use foxden_model::CollectionName;
use foxden_storage::{CollectionSummary, Summary};

use super::print;

/// Bytes of a collection's name and the punctuation around it.
const NAME: usize = CollectionName::MAX + 4;
/// Bytes of a time.
const TIME: usize = 13;

/// A JSON object with one member per collection.
pub(super) struct Map {
    pub(super) body: Vec<u8>,
    /// The number of members.
    pub(super) records: usize,
}

/// Prints when each collection last changed.
pub(super) fn times(summary: &Summary) -> Map {
    let mut body = Vec::with_capacity(512);
    for collection in &*summary.collections {
        time(&mut body, collection);
    }
    end(&mut body);
    Map {
        body,
        records: summary.collections.len(),
    }
}

/// Prints the number of objects of each collection that has any.
pub(super) fn counts(summary: &Summary) -> Map {
    let count = |out: &mut Vec<u8>, collection: &CollectionSummary| print::unsigned(out, collection.count);
    map(filled(summary), count)
}

/// Prints the size of each collection that has objects.
pub(super) fn usage(summary: &Summary) -> Map {
    let bytes = |out: &mut Vec<u8>, collection: &CollectionSummary| print::kilobytes(out, collection.bytes);
    map(filled(summary), bytes)
}

/// Prints the usage of the account, with `other_bytes` in its other stores, and its quota.
pub(super) fn quota(summary: &Summary, other_bytes: u64, quota: Option<u64>) -> Vec<u8> {
    let collections = summary.collections.iter();
    let used = other_bytes + collections.map(|collection| collection.bytes).sum::<u64>();
    let mut body = vec![b'['];
    print::kilobytes(&mut body, used);
    body.push(b',');
    match quota {
        Some(quota) => print::kilobytes(&mut body, quota),
        None => body.extend_from_slice(b"null"),
    }
    body.push(b']');
    body
}

/// Prints when a collection last changed, as the next member.
fn time(out: &mut Vec<u8>, collection: &CollectionSummary) {
    let Some(time) = print::time_of_today(collection.modified) else {
        name(out, collection.name.as_bytes());
        print::time(out, collection.modified);
        return;
    };
    let mut text = [0; NAME + TIME];
    let end = put_name(&mut text, out.is_empty(), collection.name.as_bytes());
    let end_of_time = end + TIME;
    text[end..end_of_time].copy_from_slice(&time);
    out.extend_from_slice(&text[..end_of_time]);
}

/// Prints the next member's name, which needs no escapes.
pub(super) fn name(out: &mut Vec<u8>, name: &[u8]) {
    let mut text = [0; NAME];
    let end = put_name(&mut text, out.is_empty(), name);
    out.extend_from_slice(&text[..end]);
}

/// Prints a member's name in one piece, as each append to a vector checks its capacity. Returns where it ends.
fn put_name(text: &mut [u8], is_first: bool, name: &[u8]) -> usize {
    let Some(place) = text.get_mut(2..2 + name.len()) else {
        debug_assert!(false, "no member has so long a name");
        return 0;
    };
    place.copy_from_slice(name);
    text[..2].copy_from_slice(if is_first { b"{\"" } else { b",\"" });
    let end = 2 + name.len();
    text[end..end + 2].copy_from_slice(b"\":");
    end + 2
}

/// Ends an object whose members are printed.
pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(if out.is_empty() { b"{}" } else { b"}" });
}

fn filled(summary: &Summary) -> impl Iterator<Item = &CollectionSummary> {
    let collections = summary.collections.iter();
    collections.filter(|collection| collection.count > 0)
}

fn map<'a>(
    collections: impl Iterator<Item = &'a CollectionSummary>,
    value: impl Fn(&mut Vec<u8>, &CollectionSummary),
) -> Map {
    let mut body = Vec::with_capacity(512);
    let mut records = 0;
    for collection in collections {
        name(&mut body, collection.name.as_bytes());
        value(&mut body, collection);
        records += 1;
    }
    end(&mut body);
    Map { body, records }
}
