//! What an answer says of each object of an upload.

use std::borrow::Cow;

use foxden_model::{ObjectId, SyncTime};
use foxden_storage::Patch;

use crate::sync::print;

/// The objects that are stored, and those that failed, each with its reason.
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

    /// The whole answer to an upload of that time.
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
