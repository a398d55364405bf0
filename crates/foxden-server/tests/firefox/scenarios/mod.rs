//! What people do, one module a subject.

mod account;
mod alone;
mod connect;
mod keys;
mod lost;
mod old_forms;
mod public;
mod sight;
mod tabs;
mod traps;
