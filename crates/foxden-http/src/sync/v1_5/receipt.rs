//! What an answer says of each object of an upload.

use std::borrow::Cow;

use foxden_model::ObjectId;
use foxden_storage::{Excess, Patch};

use super::patch::{RETRY_BYTES, RETRY_OBJECT};
use crate::sync::print;

/// The objects that are stored, and those that failed.
pub(super) struct Receipt {
    success: Vec<ObjectId>,
    failed: Vec<(String, &'static str)>,
}

impl Receipt {
    /// Keeps ids only, so that the body need not be kept for it.
    pub(super) fn new(patches: &[Patch], failed: Vec<(Cow<'_, str>, &'static str)>) -> Self {
        let failed = failed.into_iter().map(|(id, reason)| (id.into_owned(), reason));
        Self {
            success: patches.iter().map(|patch| patch.id.clone()).collect(),
            failed: failed.collect(),
        }
    }

    /// Nothing was taken after all.
    pub(super) fn fail(&mut self, excess: Excess) {
        let reason = match excess {
            Excess::Objects => RETRY_OBJECT,
            Excess::Bytes => RETRY_BYTES,
        };
        let ids = self.success.drain(..);
        self.failed.extend(ids.map(|id| (id.to_string(), reason)));
    }

    /// The last two members of an object, and its end.
    pub(super) fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"success\":[");
        for (at, id) in self.success.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            print::string(out, id.as_str());
        }
        out.extend_from_slice(b"],\"failed\":{");
        for (at, (id, reason)) in self.failed.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            print::string(out, id);
            out.push(b':');
            print::string(out, reason);
        }
        out.extend_from_slice(b"}}");
    }
}
