//! The response to an upload, with the result of each object.

use std::borrow::Cow;

use foxden_model::ObjectId;
use foxden_storage::{BatchLimit, Patch};

use super::patch::{RETRY_BYTES, RETRY_OBJECT};
use crate::sync::print;

/// The stored and the failed objects.
pub(super) struct UploadResult {
    success: Vec<ObjectId>,
    failed: Vec<(String, &'static str)>,
}

impl UploadResult {
    /// Keeps only the ids, so that the body can be dropped.
    pub(super) fn new(patches: &[Patch], failed: Vec<(Cow<'_, str>, &'static str)>) -> Self {
        let failed = failed.into_iter().map(|(id, reason)| (id.into_owned(), reason));
        Self {
            success: patches.iter().map(|patch| patch.id.clone()).collect(),
            failed: failed.collect(),
        }
    }

    /// All objects failed after all.
    pub(super) fn fail(&mut self, limit: BatchLimit) {
        let reason = match limit {
            BatchLimit::Objects => RETRY_OBJECT,
            BatchLimit::Bytes => RETRY_BYTES,
        };
        let ids = self.success.drain(..);
        self.failed.extend(ids.map(|id| (id.to_string(), reason)));
    }

    /// Prints the last two members of the answer and its end.
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
