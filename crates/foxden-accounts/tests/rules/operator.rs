//! Rules of operator.
