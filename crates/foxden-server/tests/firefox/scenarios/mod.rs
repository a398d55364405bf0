//! What people do, one module a subject.

mod account;
mod alone;
mod connect;
mod keys;
mod lost;
mod sight;
mod traps;
