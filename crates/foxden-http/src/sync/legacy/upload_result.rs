//! The response to an upload, with the result of each object.

use std::borrow::Cow;

use foxden_model::{ObjectId, SyncTime};
use foxden_storage::Patch;

use crate::sync::print;

/// The stored objects, and the failed ones with their reasons.
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

    /// Prints the answer to an upload at that time.
    pub(super) fn print(&self, modified: SyncTime) -> Vec<u8> {
        let mut out = b"{\"modified\":".to_vec();
        print::time(&mut out, modified);
        out.extend_from_slice(b",\"success\":[");
        for (at, id) in self.success.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            print::string(&mut out, id.as_str());
        }
        out.extend_from_slice(b"],\"failed\":{");
        for (at, (id, reason)) in self.failed.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            print::string(&mut out, id);
            out.extend_from_slice(b":[");
            print::string(&mut out, reason);
            out.push(b']');
        }
        out.extend_from_slice(b"}}");
        out
    }
}
