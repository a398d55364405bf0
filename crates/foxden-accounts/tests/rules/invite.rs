//! Rules of invite.
