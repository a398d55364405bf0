//! Scenarios of users, one module for each subject.

mod account;
mod appearance;
mod connect;
mod edge_cases;
mod isolation;
mod keys;
mod lost_credentials;
mod old_forms;
mod public;
mod several;
mod tabs;
