//! Rules of oauth.
