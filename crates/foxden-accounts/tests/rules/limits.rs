//! Rules of limits.
