//! Rules of tokenserver.
