//! A patch that borrows from a command or from a staged part.

use crate::command::{Field, Patch, Ttl};

/// Like [`Patch`], with borrowed texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PatchRef<'a> {
    pub(super) id: &'a str,
    pub(super) payload: Field<&'a str>,
    pub(super) sortindex: Field<i64>,
    pub(super) parent_id: Field<&'a str>,
    pub(super) predecessor_id: Field<&'a str>,
    pub(super) ttl: Ttl,
    pub(super) renews: bool,
}

impl<'a> From<&'a Patch> for PatchRef<'a> {
    fn from(patch: &'a Patch) -> Self {
        Self {
            id: patch.id.as_str(),
            payload: borrowed(&patch.payload),
            sortindex: match patch.sortindex {
                Field::Keep => Field::Keep,
                Field::Clear => Field::Clear,
                Field::Set(sortindex) => Field::Set(sortindex),
            },
            parent_id: borrowed(&patch.parent_id),
            predecessor_id: borrowed(&patch.predecessor_id),
            ttl: patch.ttl,
            renews: patch.renews,
        }
    }
}

fn borrowed(field: &Field<String>) -> Field<&str> {
    match field {
        Field::Keep => Field::Keep,
        Field::Clear => Field::Clear,
        Field::Set(text) => Field::Set(text),
    }
}
