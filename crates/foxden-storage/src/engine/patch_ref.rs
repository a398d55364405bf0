//! A patch that borrows from a command or from a staged part.

use crate::command::{Field, Patch, Ttl};

/// Like [`Patch`], with borrowed texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct PatchRef<'a> {
    pub(in crate::engine) id: &'a str,
    pub(in crate::engine) payload: Field<&'a str>,
    pub(in crate::engine) sortindex: Field<i64>,
    pub(in crate::engine) parent_id: Field<&'a str>,
    pub(in crate::engine) predecessor_id: Field<&'a str>,
    pub(in crate::engine) ttl: Ttl,
    pub(in crate::engine) renews: bool,
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

impl PatchRef<'_> {
    /// Merges this patch over an earlier one of the same object, like [`Patch::merged_onto`].
    #[cfg(any(feature = "postgres", feature = "mysql"))]
    pub(in crate::engine) fn merged_onto(self, earlier: Self) -> Self {
        Self {
            id: self.id,
            payload: self.payload.or(earlier.payload),
            sortindex: self.sortindex.or(earlier.sortindex),
            parent_id: self.parent_id.or(earlier.parent_id),
            predecessor_id: self.predecessor_id.or(earlier.predecessor_id),
            ttl: match self.ttl {
                Ttl::Keep => earlier.ttl,
                Ttl::Never | Ttl::In(_) => self.ttl,
            },
            renews: self.renews || earlier.renews,
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
