//! The rules of accounts, as the surfaces meet them: each test is a sentence about what one may rely on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod account;
mod bounds;
mod budgets;
mod claim;
mod clock;
mod codes;
mod command;
mod context;
mod credential_cache;
mod device;
mod invite;
mod legacy;
mod legacy_reset;
mod limits;
mod mail;
mod node_races;
mod node_settings;
mod nodes;
mod oauth;
mod operator;
mod otp;
mod outbox;
mod password;
mod placement;
mod purge;
mod register;
mod rivals;
mod security;
mod session;
mod shared;
mod tokenserver;
mod upgrade;
