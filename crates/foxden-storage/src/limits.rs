//! The limits of requests, and whether they are consistent.

use crate::engine::MAX_BATCH_OBJECTS;

/// The limits of requests; `info/configuration` tells most of them to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub max_request_bytes: u64,
    /// Bytes of one payload.
    pub max_record_payload_bytes: u64,
    /// Objects in one request.
    pub max_post_records: u64,
    /// Bytes of payload in one request.
    pub max_post_bytes: u64,
    /// Objects in one batch.
    pub max_total_records: u64,
    /// Bytes of payload in one batch.
    pub max_total_bytes: u64,
    /// Bytes of payload in all open batches of one user. Clients are not told.
    pub max_open_bytes: u64,
    /// Whether uploads in several requests are offered.
    pub batches: bool,
}

/// Why limits are inconsistent: a client that keeps to one of them would exceed another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLimits {
    /// A payload must be allowed.
    #[error("max_record_payload_bytes must be greater than zero")]
    NoPayload,
    /// A request must be allowed an object.
    #[error("max_post_records must be greater than zero")]
    NoObjects,
    /// The largest payload must fit into a request.
    #[error("max_post_bytes must not be less than max_record_payload_bytes")]
    PayloadAbovePost,
    /// The payloads of a request must fit into its body, with the names around them.
    #[error("max_request_bytes must be greater than max_post_bytes")]
    PostAboveRequest,
    /// A request must fit into a batch.
    #[error("max_total_records must not be less than max_post_records")]
    ObjectsAboveBatch,
    /// A request must fit into a batch.
    #[error("max_total_bytes must not be less than max_post_bytes")]
    BytesAboveBatch,
    /// A batch must fit into what may be open.
    #[error("max_open_bytes must not be less than max_total_bytes")]
    BatchAboveOpen,
    /// Engines commit no more than this at once.
    #[error("max_total_records must not be greater than {MAX_BATCH_OBJECTS}")]
    BatchTooLarge,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_bytes: 2_625_536,
            max_record_payload_bytes: 2_621_440,
            max_post_records: 100,
            max_post_bytes: 2_621_440,
            max_total_records: 10_000,
            max_total_bytes: 262_144_000,
            max_open_bytes: 524_288_000,
            batches: true,
        }
    }
}

impl Limits {
    /// Returns whether a client can keep to all of them.
    pub fn check(&self) -> Result<(), BadLimits> {
        let faults = [
            (self.max_record_payload_bytes == 0, BadLimits::NoPayload),
            (self.max_post_records == 0, BadLimits::NoObjects),
            (
                self.max_post_bytes < self.max_record_payload_bytes,
                BadLimits::PayloadAbovePost,
            ),
            (
                self.max_request_bytes <= self.max_post_bytes,
                BadLimits::PostAboveRequest,
            ),
            (
                self.max_total_records < self.max_post_records,
                BadLimits::ObjectsAboveBatch,
            ),
            (
                self.max_total_bytes < self.max_post_bytes,
                BadLimits::BytesAboveBatch,
            ),
            (
                self.max_open_bytes < self.max_total_bytes,
                BadLimits::BatchAboveOpen,
            ),
            (
                self.max_total_records > MAX_BATCH_OBJECTS,
                BadLimits::BatchTooLarge,
            ),
        ];
        let first = faults.into_iter().find(|(is_so, _)| *is_so);
        first.map_or(Ok(()), |(_, fault)| Err(fault))
    }
}

impl BadLimits {
    /// The limit that is inconsistent.
    pub const fn limit(self) -> &'static str {
        match self {
            Self::NoPayload => "max_record_payload_bytes",
            Self::NoObjects => "max_post_records",
            Self::PayloadAbovePost => "max_post_bytes",
            Self::PostAboveRequest => "max_request_bytes",
            Self::ObjectsAboveBatch | Self::BatchTooLarge => "max_total_records",
            Self::BytesAboveBatch => "max_total_bytes",
            Self::BatchAboveOpen => "max_open_bytes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_together() {
        assert_eq!(Limits::default().check(), Ok(()));
    }

    #[test]
    fn limits_at_each_other_pass_and_one_beyond_is_named() {
        let tight = Limits {
            max_request_bytes: 11,
            max_record_payload_bytes: 10,
            max_post_records: 5,
            max_post_bytes: 10,
            max_total_records: 5,
            max_total_bytes: 10,
            max_open_bytes: 10,
            batches: true,
        };
        assert_eq!(tight.check(), Ok(()));
        let with = |change: fn(&mut Limits)| {
            let mut limits = tight;
            change(&mut limits);
            let checked = limits.check();
            if let Err(fault) = checked {
                assert!(fault.to_string().starts_with(fault.limit()));
            }
            checked
        };
        assert_eq!(
            with(|l| l.max_record_payload_bytes = 0),
            Err(BadLimits::NoPayload)
        );
        assert_eq!(with(|l| l.max_post_records = 0), Err(BadLimits::NoObjects));
        assert_eq!(
            with(|l| l.max_record_payload_bytes = 11),
            Err(BadLimits::PayloadAbovePost)
        );
        assert_eq!(
            with(|l| l.max_request_bytes = 10),
            Err(BadLimits::PostAboveRequest)
        );
        assert_eq!(
            with(|l| l.max_total_records = 4),
            Err(BadLimits::ObjectsAboveBatch)
        );
        assert_eq!(with(|l| l.max_total_bytes = 9), Err(BadLimits::BytesAboveBatch));
        assert_eq!(with(|l| l.max_open_bytes = 9), Err(BadLimits::BatchAboveOpen));
        assert_eq!(
            with(|l| l.max_total_records = 10_001),
            Err(BadLimits::BatchTooLarge)
        );
    }
}
