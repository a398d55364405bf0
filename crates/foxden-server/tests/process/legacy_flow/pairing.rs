//! A device joins another with a PIN of twelve letters.

use super::first::fill;
use super::servers::TestServers;
use foxden_test_support::client::legacy::device::Device;
use foxden_test_support::client::legacy::engine::Platform;
use foxden_test_support::client::legacy::pairing::{End, Poll, Receiver, Sender};

/// Where the key exchange is.
const ROOT: &str = "/jpake";

/// The new device shows a PIN, the old one hands over the credentials; then the new one reads everything that
/// was stored before it came. After six reads the channel is gone by itself.
pub fn a_second_device_joins_and_reads_everything(servers: &TestServers) {
    servers.meet();
    let mut laptop = servers.ann();
    fill(&mut laptop);
    laptop.sync().unwrap();

    let server = servers.server();
    let mut receiver = Receiver::begin(&server, ROOT);
    let pin = receiver.pin();
    assert_eq!(pin.len(), 12);
    assert_eq!(receiver.end.poll(), Poll::NothingNew, "the PIN is not typed yet");
    let mut sender = Sender::begin(&server, ROOT, &pin);
    assert_eq!(sender.end.poll(), Poll::NothingNew);
    receiver.second();
    sender.second();
    receiver.third();
    assert!(sender.is_paired());
    sender.finish(&laptop.credentials);
    let credentials = receiver.finish().expect("sealed with the agreed key");
    assert_eq!(credentials, laptop.credentials);

    let mut telephone = Device::new(credentials, Platform::Mobile);
    telephone.sync().unwrap();
    laptop.sync().unwrap();
    telephone.is_alike(&laptop);
    let mut late = End::new(&server, ROOT, &pin[8..]);
    assert_eq!(late.poll(), Poll::Gone, "a PIN works once");
}

/// One letter of the PIN is wrong: the old device sees that both hold different keys, says so, and the channel
/// is gone before anything was told.
pub fn a_mistyped_pin_joins_no_device(servers: &TestServers) {
    servers.meet();
    let server = servers.server();
    let mut receiver = Receiver::begin(&server, ROOT);
    let pin = receiver.pin();
    let other = if pin.starts_with('a') { "b" } else { "a" };
    let mut sender = Sender::begin(&server, ROOT, &format!("{other}{}", &pin[1..]));
    receiver.second();
    sender.second();
    receiver.third();
    assert!(!sender.is_paired());
    assert_eq!(receiver.end.poll(), Poll::Gone);
}
