//! Devices that registered without a push address a moment ago.
//!
//! A desktop without push registers its device and fetches its commands whenever it refreshes its list of devices. If
//! that fetch brings a command, the refresh waits for the command's handling and the handling for the refresh: the
//! command is lost, and so is each later one until the browser restarts. An empty answer lets the refresh end, and the
//! next sync fetches the command.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::DeviceId;

/// How long a refresh takes at most, in milliseconds.
const SPAN: i64 = 5000;
/// Devices remembered at once. Beyond that the oldest goes, and its browser gets its commands at once.
const DEVICES: usize = 4096;

/// When each of these devices registered, in steady milliseconds.
#[derive(Default)]
pub(crate) struct CommandDelay(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    registered: HashMap<DeviceId, i64>,
    /// In the order of registration. A device that registered again stands here twice.
    order: VecDeque<(DeviceId, i64)>,
}

impl CommandDelay {
    /// Starts the delay of a device, or starts it again.
    pub(crate) fn start(&self, device: DeviceId, now: i64) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.drop_ended(now);
        if recent.order.len() >= DEVICES {
            recent.drop_oldest();
        }
        recent.registered.insert(device, now);
        recent.order.push_back((device, now));
    }

    /// Cancels the delay of a device.
    pub(crate) fn cancel(&self, device: DeviceId) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.registered.remove(&device);
    }

    /// Returns whether the commands of a device are delayed.
    pub(crate) fn is_active(&self, device: DeviceId, now: i64) -> bool {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let began = recent.registered.get(&device);
        began.is_some_and(|began| lasts(*began, now))
    }
}

impl Recent {
    fn drop_ended(&mut self, now: i64) {
        while self.order.front().is_some_and(|(_, began)| !lasts(*began, now)) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((device, began)) = self.order.pop_front()
            && self.registered.get(&device) == Some(&began)
        {
            self.registered.remove(&device);
        }
    }
}

const fn lasts(began: i64, now: i64) -> bool {
    now - began < SPAN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(number: u32) -> DeviceId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        DeviceId(id)
    }

    #[test]
    fn a_period_lasts_five_seconds_from_the_last_registration() {
        let delay = CommandDelay::default();
        delay.start(device(1), 1000);
        delay.start(device(1), 4000);
        assert!(delay.is_active(device(1), 4000) && delay.is_active(device(1), 8999));
        assert!(!delay.is_active(device(1), 9000) && !delay.is_active(device(2), 4000));
        delay.cancel(device(1));
        assert!(!delay.is_active(device(1), 4000));
    }

    #[test]
    fn the_devices_remembered_are_bounded() {
        let delay = CommandDelay::default();
        for number in 0..10_000 {
            delay.start(device(number), 0);
            delay.start(device(7), 0);
        }
        let recent = delay.0.lock().unwrap();
        assert!(recent.registered.len() <= DEVICES && recent.order.len() <= DEVICES);
        drop(recent);
        assert!(delay.is_active(device(9_999), 0) && !delay.is_active(device(1), 0));
        delay.start(device(1), SPAN);
        let recent = delay.0.lock().unwrap();
        assert_eq!((recent.registered.len(), recent.order.len()), (1, 1));
    }
}
