//! A run by several machines: a coordinator hands out users, and workers let them act.
//!
//! Workers ask, and the coordinator answers: each worker tells about once a second what it is doing, and is told what to do.
//! One that is silent for a while counts as dead, and the run goes on without it. Both sign what they say with a secret that they
//! share.
//!
//! - [`message`]: what they tell each other; [`seal`]: the signatures
//! - [`coordinator`], [`roster`]: hands out users, and puts together what was measured
//! - [`worker`]: lets users act

pub mod coordinator;
pub mod message;
pub mod roster;
pub mod seal;
pub mod worker;

use std::time::Duration;

/// How long a worker waits between its reports.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a worker may be silent.
const SILENCE: Duration = Duration::from_secs(8);
