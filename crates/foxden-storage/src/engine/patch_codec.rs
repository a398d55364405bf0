//! The encoding of a part of a batch: the patches of one request, one after the other.
//!
//! Each patch is a flags word and then the fields that it sets. Numbers are little-endian; a text is its length in four bytes
//! and then its bytes.

use super::Corrupt;
use super::patch_ref::PatchRef;
use crate::command::{Field, Patch, Ttl};

const VERSION: u8 = 1;

const FIELD_MASK: u16 = 0b11;
const PAYLOAD: u32 = 0;
const SORTINDEX: u32 = 2;
const PARENT: u32 = 4;
const PREDECESSOR: u32 = 6;
const TTL: u32 = 8;
const RENEWS: u16 = 1 << 10;

const KEEP: u16 = 0;
const CLEAR: u16 = 1;
const SET: u16 = 2;

/// The error for a row that no release has written.
const CORRUPT: Corrupt = Corrupt("a part of a batch");

/// Encodes patches.
pub(in crate::engine) fn encode(patches: &[Patch]) -> Vec<u8> {
    let texts: usize = patches
        .iter()
        .map(|patch| patch.id.as_str().len() + usize::try_from(patch.bytes()).unwrap_or(0) + 32)
        .sum();
    let mut out = Vec::with_capacity(texts + 1);
    out.push(VERSION);
    for patch in patches {
        encode_one(&PatchRef::from(patch), &mut out);
    }
    out
}

fn encode_one(patch: &PatchRef<'_>, out: &mut Vec<u8>) {
    let flags = (kind(&patch.payload) << PAYLOAD)
        | (kind(&patch.sortindex) << SORTINDEX)
        | (kind(&patch.parent_id) << PARENT)
        | (kind(&patch.predecessor_id) << PREDECESSOR)
        | (kind(&ttl_field(patch.ttl)) << TTL)
        | if patch.renews { RENEWS } else { 0 };
    out.extend_from_slice(&flags.to_le_bytes());
    put_text(patch.id, out);
    if let Field::Set(payload) = patch.payload {
        put_text(payload, out);
    }
    if let Field::Set(sortindex) = patch.sortindex {
        out.extend_from_slice(&sortindex.to_le_bytes());
    }
    if let Field::Set(parent_id) = patch.parent_id {
        put_text(parent_id, out);
    }
    if let Field::Set(predecessor_id) = patch.predecessor_id {
        put_text(predecessor_id, out);
    }
    if let Ttl::In(seconds) = patch.ttl {
        out.extend_from_slice(&seconds.to_le_bytes());
    }
}

/// Decodes the output of [`encode`].
pub(in crate::engine) fn decode(bytes: &[u8]) -> Result<Vec<PatchRef<'_>>, Corrupt> {
    let Some((&VERSION, mut rest)) = bytes.split_first() else {
        return Err(CORRUPT);
    };
    let mut patches = Vec::new();
    while !rest.is_empty() {
        patches.push(decode_one(&mut rest)?);
    }
    Ok(patches)
}

fn decode_one<'a>(rest: &mut &'a [u8]) -> Result<PatchRef<'a>, Corrupt> {
    let flags = u16::from_le_bytes(take(rest)?);
    Ok(PatchRef {
        id: text(rest)?,
        payload: field(flags, PAYLOAD, || text(rest))?,
        sortindex: field(flags, SORTINDEX, || Ok(i64::from_le_bytes(take(rest)?)))?,
        parent_id: field(flags, PARENT, || text(rest))?,
        predecessor_id: field(flags, PREDECESSOR, || text(rest))?,
        ttl: match field(flags, TTL, || Ok(u32::from_le_bytes(take(rest)?)))? {
            Field::Keep => Ttl::Keep,
            Field::Clear => Ttl::Never,
            Field::Set(seconds) => Ttl::In(seconds),
        },
        renews: flags & RENEWS != 0,
    })
}

const fn ttl_field(ttl: Ttl) -> Field<u32> {
    match ttl {
        Ttl::Keep => Field::Keep,
        Ttl::Never => Field::Clear,
        Ttl::In(seconds) => Field::Set(seconds),
    }
}

const fn kind<T>(field: &Field<T>) -> u16 {
    match field {
        Field::Keep => KEEP,
        Field::Clear => CLEAR,
        Field::Set(_) => SET,
    }
}

fn field<T>(flags: u16, shift: u32, read: impl FnOnce() -> Result<T, Corrupt>) -> Result<Field<T>, Corrupt> {
    match (flags >> shift) & FIELD_MASK {
        KEEP => Ok(Field::Keep),
        CLEAR => Ok(Field::Clear),
        SET => read().map(Field::Set),
        _ => Err(CORRUPT),
    }
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    // No request is near four gigabytes; a longer text would be refused by `decode`.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a str, Corrupt> {
    let length = usize::try_from(u32::from_le_bytes(take(rest)?)).map_err(|_| CORRUPT)?;
    let (text, after) = rest.split_at_checked(length).ok_or(CORRUPT)?;
    *rest = after;
    std::str::from_utf8(text).map_err(|_| CORRUPT)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Corrupt> {
    let (head, after) = rest.split_first_chunk::<N>().ok_or(CORRUPT)?;
    *rest = after;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use foxden_model::ObjectId;
    use proptest::prelude::*;

    use super::*;

    fn field_of<T: Clone + std::fmt::Debug + 'static>(
        value: impl Strategy<Value = T> + 'static,
    ) -> impl Strategy<Value = Field<T>> {
        prop_oneof![Just(Field::Keep), Just(Field::Clear), value.prop_map(Field::Set)]
    }

    prop_compose! {
        fn patch()(
            id in "[ -~]{1,64}",
            payload in field_of(".{0,40}"),
            sortindex in field_of(any::<i64>()),
            parent_id in field_of("[a-z]{0,9}"),
            predecessor_id in field_of("[a-z]{0,9}"),
            ttl in prop_oneof![Just(Ttl::Keep), Just(Ttl::Never), any::<u32>().prop_map(Ttl::In)],
            renews in any::<bool>(),
        ) -> Patch {
            Patch { id: ObjectId::new(id).unwrap(), payload, sortindex, parent_id, predecessor_id, ttl, renews }
        }
    }

    proptest! {
        #[test]
        fn written_objects_are_read_back(patches in proptest::collection::vec(patch(), 0..20)) {
            let bytes = encode(&patches);
            let expected: Vec<_> = patches.iter().map(PatchRef::from).collect();
            prop_assert_eq!(decode(&bytes).unwrap(), expected);
        }

        #[test]
        fn damage_is_an_error_and_no_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            bytes.insert(0, VERSION);
            let _ = decode(&bytes);
        }

        #[test]
        fn a_cut_part_is_damaged(patches in proptest::collection::vec(patch(), 1..4), cut in 1usize..4) {
            let bytes = encode(&patches);
            // Every patch takes more than six bytes, so this cuts into the last one.
            prop_assert!(decode(&bytes[..bytes.len() - cut]).is_err());
        }
    }
}
