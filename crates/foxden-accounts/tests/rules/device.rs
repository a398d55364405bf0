//! Rules of device.
