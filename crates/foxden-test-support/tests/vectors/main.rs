//! The scripted clients compute what published examples of their protocols say.

mod firefox;
mod legacy;
