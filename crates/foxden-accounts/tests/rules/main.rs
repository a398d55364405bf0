//! The rules of accounts, as the doors meet them: each test is a sentence about what one may rely on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod account;
mod bounds;
mod budgets;
mod claim;
mod clock;
mod codes;
mod command;
mod device;
mod invite;
mod lab;
mod letters;
mod limits;
mod memo;
mod nodes;
mod oauth;
mod operator;
mod otp;
mod outbox;
mod password;
mod plain;
mod plain_reset;
mod rivals;
mod security;
mod session;
mod tokenserver;
mod upgrade;
