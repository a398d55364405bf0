//! The program behind real proxies, each configured as the operator's manual says.
//!
//! Needs nginx, Apache and `HAProxy`, and `several` database servers, so all of it is ignored but in `cargo xtask test`, which installs them. What the
//! scripted clients do is run through proxies as well: `FOXDEN_TEST_PROXY` puts one before every program.

mod check;
mod early;
mod paths;
mod private;
mod several;
