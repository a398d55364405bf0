//! The rules of accounts, as the doors meet them: each test is a sentence about what one may rely on.

mod account;
mod device;
mod invite;
mod lab;
mod limits;
mod oauth;
mod operator;
mod password;
mod session;
mod tokenserver;
