//! Rules of password.
