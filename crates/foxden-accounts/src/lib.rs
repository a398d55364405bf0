//! The one account model.

pub mod token;
