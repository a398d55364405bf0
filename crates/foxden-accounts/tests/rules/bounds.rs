//! What one account may keep of devices, commands and sessions, and who makes room.

use foxden_accounts::{
    AccountId, Device, DeviceError, DeviceField, DeviceId, DeviceOwner, DevicePatch, Invocation, Options,
    Session,
};
use std::collections::BTreeMap;

use std::sync::{Arc, Mutex};

use foxden_accounts::security::{What, Witness};

use crate::lab::{ANN, BEA, Lab, PASSWORD, at_home, cheap};

const SEND_TAB: &str = "https://identity.mozilla.com/cmd/open-uri";
/// The largest payload of a command.
const LARGEST: usize = 16 * 1024;

/// A device that takes commands, with so many bytes of other things.
fn patch(bytes: usize) -> DevicePatch {
    let mut commands = BTreeMap::from([(SEND_TAB.to_owned(), "bundle".to_owned())]);
    for (at, start) in (0..bytes).step_by(2048).enumerate() {
        commands.insert(format!("c{at}"), "x".repeat(2048.min(bytes - start)));
    }
    DevicePatch {
        name: Some("laptop".to_owned()),
        commands: Some(commands),
        ..DevicePatch::default()
    }
}

impl Lab {
    async fn another(&self, session: &Session) -> Session {
        self.clock.tick();
        let copy = self.accounts.duplicate_session(session, &at_home()).await;
        self.session(&copy.unwrap()).await
    }

    async fn with_device(&self, session: &Session, bytes: usize) -> Result<Device, DeviceError> {
        let owner = DeviceOwner::Session(session);
        self.accounts.register_device(owner, patch(bytes)).await
    }

    async fn tab(&self, from: &Session, target: DeviceId, bytes: usize) {
        let invocation = Invocation {
            target,
            command: SEND_TAB.to_owned(),
            payload: format!("\"{}\"", "x".repeat(bytes - 2)),
            ttl: None,
        };
        let owner = DeviceOwner::Session(from);
        self.accounts.invoke(owner, invocation).await.unwrap();
    }

    async fn names(&self, session: &Session) -> Vec<DeviceId> {
        let devices = self.accounts.devices(DeviceOwner::Session(session), None).await;
        devices.unwrap().into_iter().map(|device| device.id).collect()
    }
}

/// The operator learns which account has more than it may.
#[tokio::test]
async fn whose_devices_and_commands_make_room_is_told() {
    let heard = Arc::new(Mutex::new(Vec::<(Option<AccountId>, String)>::new()));
    let told_to = Arc::clone(&heard);
    let witness = Witness::new(move |event| {
        if event.what == What::LimitReached {
            let why = event.why.unwrap_or_default().to_owned();
            told_to.lock().unwrap().push((event.account, why));
        }
    });
    let lab = Lab::with(Options { witness, ..cheap() }).await;
    for address in [ANN, BEA] {
        let mut session = lab.session(&lab.create(address).await).await;
        let account = Some(session.account);
        for _ in 0..101 {
            session = lab.another(&session).await;
            lab.with_device(&session, 0).await.unwrap();
        }
        let target = lab.names(&session).await[0];
        for _ in 0..258 {
            lab.tab(&session, target, LARGEST).await;
        }
        let mut told = std::mem::take(&mut *heard.lock().unwrap());
        told.dedup();
        let expected = ["devices", "bytes of waiting commands"].map(|why| (account, why.to_owned()));
        assert_eq!(told, expected, "{address}");
    }
}

/// Each of these is far larger than a real one.
#[tokio::test]
async fn a_person_with_thirty_devices_keeps_all_of_them() {
    let lab = Lab::new().await;
    let mut session = lab.session(&lab.create(ANN).await).await;
    for _ in 0..30 {
        session = lab.another(&session).await;
        lab.with_device(&session, 15_000).await.unwrap();
    }
    assert_eq!(lab.names(&session).await.len(), 30);
}

#[tokio::test]
async fn of_more_than_a_hundred_devices_those_used_longest_ago_make_room() {
    let lab = Lab::new().await;
    let first = lab.session(&lab.create(ANN).await).await;
    let oldest = lab.with_device(&first, 0).await.unwrap();
    let mut session = lab.another(&first).await;
    for _ in 0..100 {
        session = lab.another(&session).await;
        lab.with_device(&session, 0).await.unwrap();
    }
    let known = lab.names(&session).await;
    assert_eq!((known.len(), known.contains(&oldest.id)), (100, false));

    // Its browser is still signed in. It learns that its device is unknown, and registers anew.
    let again = DevicePatch {
        id: Some(oldest.id),
        ..patch(0)
    };
    let owner = DeviceOwner::Session(&first);
    let refused = lab.accounts.register_device(owner, again).await;
    assert!(matches!(refused, Err(DeviceError::UnknownDevice)));
    let anew = lab.with_device(&first, 0).await.unwrap();
    let known = lab.names(&first).await;
    assert_eq!((known.len(), known.contains(&anew.id)), (100, true));
}

#[tokio::test]
async fn the_records_of_an_account_have_half_a_megabyte() {
    let lab = Lab::new().await;
    let mut session = lab.session(&lab.create(ANN).await).await;
    for _ in 0..60 {
        session = lab.another(&session).await;
        lab.with_device(&session, 15_000).await.unwrap();
    }
    let owner = DeviceOwner::Session(&session);
    let known = lab.names(&session).await.len();
    assert!((30..=35).contains(&known), "{known}");
    let weight = lab.accounts.devices_weight(owner).await.unwrap();
    assert!((450_000..600_000).contains(&weight), "{weight}");
    // What was there before there was such a bound makes room as well, and what grows finds it.
    let large = "x".repeat(40_000);
    lab.write("UPDATE device SET push_callback = ?", vec![large.into()])
        .await;
    let session = lab.another(&session).await;
    lab.with_device(&session, 0).await.unwrap();
    assert_eq!(lab.count("SELECT COUNT(*) FROM device").await, 10);
}

#[tokio::test]
async fn a_record_that_nobody_needs_is_refused() {
    let lab = Lab::new().await;
    let session = lab.session(&lab.create(ANN).await).await;
    let refused = lab.with_device(&session, 16 * 1024).await;
    assert!(matches!(
        refused,
        Err(DeviceError::Invalid(DeviceField::Commands))
    ));
    assert!(lab.with_device(&session, 15_000).await.is_ok());
}

#[tokio::test]
async fn commands_that_wait_have_four_megabytes_for_all_devices_together() {
    let lab = Lab::new().await;
    let one = lab.session(&lab.create(ANN).await).await;
    let other = lab.another(&one).await;
    let targets = [
        lab.with_device(&one, 0).await.unwrap(),
        lab.with_device(&other, 0).await.unwrap(),
    ];
    for number in 0..300 {
        lab.clock.tick();
        lab.tab(&one, targets[number % 2].id, LARGEST).await;
    }
    let bytes = lab.count("SELECT SUM(LENGTH(payload)) FROM command").await;
    assert!((3_900_000..=4 << 20).contains(&bytes), "{bytes}");
    lab.clock.advance_millis(60_000);
    let owner = DeviceOwner::Session(&other);
    let page = lab.accounts.commands(owner, 0, None).await.unwrap();
    // The oldest made room; what is given at once is bounded, and goes on behind it.
    assert!(page.messages[0].index > 20, "{}", page.messages[0].index);
    assert_eq!((page.messages.len(), page.is_last), (31, false));
    let next = lab.accounts.commands(owner, page.index + 1, None).await.unwrap();
    assert_eq!(next.messages[0].index, page.index + 1);
    let weight = lab.accounts.commands_weight(owner).await.unwrap();
    assert!((500_000..600_000).contains(&weight), "{weight}");
}

/// Tools sign in again and again and leave their sessions behind.
#[tokio::test]
async fn sessions_without_a_device_make_room_before_those_with_one() {
    let lab = Lab::new().await;
    let browser = lab.session(&lab.create(ANN).await).await;
    lab.with_device(&browser, 0).await.unwrap();
    let mut tool = lab.another(&browser).await;
    for _ in 0..505 {
        tool = lab.another(&tool).await;
    }
    assert_eq!(lab.count("SELECT COUNT(*) FROM session").await, 500);
    assert_eq!(lab.names(&browser).await.len(), 1);
    assert!(lab.login(ANN, PASSWORD).await.is_ok());
}
