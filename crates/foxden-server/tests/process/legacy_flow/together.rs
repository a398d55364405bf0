//! Several devices of one person at once.

use serde_json::json;

use super::servers::TestServers;
use foxden_test_support::client::legacy::device::Device;
use foxden_test_support::client::legacy::engine::Platform;

/// A small generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Devices of every kind change and delete the same few things, each syncing when it comes to it. After each
/// has synced twice more, all hold the same.
///
/// Desktops take the time of their upload as the time up to which they have read the store, so that what
/// another one wrote in the moment between their fetch and their upload escapes them. No server can help that;
/// here one device syncs at a time.
pub fn devices_that_take_turns_end_up_alike(servers: &TestServers) {
    let mut numbers = Numbers(42);
    let first = servers.ann();
    let others = [
        Platform::Desktop,
        Platform::Mobile,
        Platform::Android,
        Platform::Android,
    ];
    let mut devices: Vec<Device> = others.map(|platform| first.another(platform)).into();
    devices.push(first);
    for turn in 0..60 {
        let device = &mut devices[usize::try_from(numbers.below(5)).unwrap()];
        for _ in 0..=numbers.below(4) {
            let collection = ["bookmarks", "history", "forms"][usize::try_from(numbers.below(3)).unwrap()];
            let id = format!("shared{:06}", numbers.below(30));
            let engine = device.engine(collection);
            if numbers.below(4) == 0 {
                engine.remove(&id);
            } else {
                engine.put(&id, json!({ "id": id, "turn": turn }));
            }
        }
        if numbers.below(3) > 0 {
            device.sync().unwrap();
        }
    }
    for _ in 0..2 {
        for device in &mut devices {
            device.sync().unwrap();
        }
    }
    assert!(devices[0].everything().len() > 20);
    for device in &devices {
        device.is_alike(&devices[0]);
    }
}

/// Telephones write at once into the same collections while desktops read: every device sees every write in
/// the end, none twice, none half. What makes it so is that the time in an answer is never later than a write
/// which the answer does not show.
pub fn devices_that_write_at_once_lose_nothing(servers: &TestServers) {
    const ROUNDS: usize = 6;
    let first = servers.ann();
    let mut writers: Vec<Device> = (0..4).map(|_| first.another(Platform::Android)).collect();
    let mut readers = vec![first.another(Platform::Desktop), first];
    for device in writers.iter_mut().chain(&mut readers) {
        device.sync().unwrap();
    }
    std::thread::scope(|scope| {
        for (number, device) in writers.iter_mut().enumerate() {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    for collection in ["bookmarks", "history"] {
                        let id = format!("w{number}r{round}");
                        device
                            .engine(collection)
                            .put(&id, json!({ "id": id, "by": number }));
                    }
                    device.sync().unwrap();
                }
            });
        }
        for device in &mut readers {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    device.sync().unwrap();
                }
            });
        }
    });
    for device in writers.iter_mut().chain(&mut readers) {
        device.sync().unwrap();
        assert_eq!(device.engine("bookmarks").items().len(), 4 * ROUNDS);
    }
    for device in writers.iter().chain(&readers) {
        device.is_alike(&readers[0]);
    }
}
