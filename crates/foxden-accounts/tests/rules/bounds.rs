//! The number of devices, commands and sessions of one account, and which ones make room.

use foxden_accounts::{
    AccountId, Device, DeviceError, DeviceField, DeviceId, DeviceOwner, DevicePatch, Invocation, Options,
    Session,
};
use std::collections::BTreeMap;

use std::sync::{Arc, Mutex};

use foxden_accounts::security::{EventKind, SecurityEvents};

use crate::context::{ANN, BEA, PASSWORD, TestContext, cheap, local_client};

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

impl TestContext {
    async fn another(&self, session: &Session) -> Session {
        self.clock.tick();
        let copy = self.accounts.duplicate_session(session, &local_client()).await;
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
    let security_events = SecurityEvents::new(move |event| {
        if event.kind == EventKind::LimitReached {
            let why = event.why.unwrap_or_default().to_owned();
            told_to.lock().unwrap().push((event.account, why));
        }
    });
    let ctx = TestContext::with(Options {
        security_events,
        ..cheap()
    })
    .await;
    for address in [ANN, BEA] {
        let mut session = ctx.session(&ctx.create(address).await).await;
        let account = Some(session.account);
        for _ in 0..101 {
            session = ctx.another(&session).await;
            ctx.with_device(&session, 0).await.unwrap();
        }
        let target = ctx.names(&session).await[0];
        for _ in 0..258 {
            ctx.tab(&session, target, LARGEST).await;
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
    let ctx = TestContext::new().await;
    let mut session = ctx.session(&ctx.create(ANN).await).await;
    for _ in 0..30 {
        session = ctx.another(&session).await;
        ctx.with_device(&session, 15_000).await.unwrap();
    }
    assert_eq!(ctx.names(&session).await.len(), 30);
}

#[tokio::test]
async fn of_more_than_a_hundred_devices_those_used_longest_ago_make_room() {
    let ctx = TestContext::new().await;
    let first = ctx.session(&ctx.create(ANN).await).await;
    let oldest = ctx.with_device(&first, 0).await.unwrap();
    let mut session = ctx.another(&first).await;
    for _ in 0..100 {
        session = ctx.another(&session).await;
        ctx.with_device(&session, 0).await.unwrap();
    }
    let known = ctx.names(&session).await;
    assert_eq!((known.len(), known.contains(&oldest.id)), (100, false));

    // Its browser is still signed in. It learns that its device is unknown, and registers anew.
    let again = DevicePatch {
        id: Some(oldest.id),
        ..patch(0)
    };
    let owner = DeviceOwner::Session(&first);
    let refused = ctx.accounts.register_device(owner, again).await;
    assert!(matches!(refused, Err(DeviceError::UnknownDevice)));
    let anew = ctx.with_device(&first, 0).await.unwrap();
    let known = ctx.names(&first).await;
    assert_eq!((known.len(), known.contains(&anew.id)), (100, true));
}

#[tokio::test]
async fn the_records_of_an_account_have_half_a_megabyte() {
    let ctx = TestContext::new().await;
    let mut session = ctx.session(&ctx.create(ANN).await).await;
    for _ in 0..60 {
        session = ctx.another(&session).await;
        ctx.with_device(&session, 15_000).await.unwrap();
    }
    let owner = DeviceOwner::Session(&session);
    let known = ctx.names(&session).await.len();
    assert!((30..=35).contains(&known), "{known}");
    let weight = ctx.accounts.devices_weight(owner).await.unwrap();
    assert!((450_000..600_000).contains(&weight), "{weight}");
    // Rows from before this bound make room, too, and growing ones find it.
    let large = "x".repeat(40_000);
    ctx.write("UPDATE device SET push_callback = ?", vec![large.into()])
        .await;
    let session = ctx.another(&session).await;
    ctx.with_device(&session, 0).await.unwrap();
    assert_eq!(ctx.count("SELECT COUNT(*) FROM device").await, 10);
}

#[tokio::test]
async fn an_unneeded_record_is_refused() {
    let ctx = TestContext::new().await;
    let session = ctx.session(&ctx.create(ANN).await).await;
    let refused = ctx.with_device(&session, 16 * 1024).await;
    assert!(matches!(
        refused,
        Err(DeviceError::Invalid(DeviceField::Commands))
    ));
    assert!(ctx.with_device(&session, 15_000).await.is_ok());
}

#[tokio::test]
async fn pending_commands_of_all_devices_share_four_megabytes() {
    let ctx = TestContext::new().await;
    let one = ctx.session(&ctx.create(ANN).await).await;
    let other = ctx.another(&one).await;
    let targets = [
        ctx.with_device(&one, 0).await.unwrap(),
        ctx.with_device(&other, 0).await.unwrap(),
    ];
    for number in 0..300 {
        ctx.clock.tick();
        ctx.tab(&one, targets[number % 2].id, LARGEST).await;
    }
    let bytes = ctx.count("SELECT SUM(LENGTH(payload)) FROM command").await;
    assert!((3_900_000..=4 << 20).contains(&bytes), "{bytes}");
    ctx.clock.advance_millis(60_000);
    let owner = DeviceOwner::Session(&other);
    let page = ctx.accounts.commands(owner, 0, None).await.unwrap();
    // The oldest made room; what is given at once is bounded, and goes on behind it.
    assert!(page.messages[0].index > 20, "{}", page.messages[0].index);
    assert_eq!((page.messages.len(), page.is_last), (31, false));
    let next = ctx.accounts.commands(owner, page.index + 1, None).await.unwrap();
    assert_eq!(next.messages[0].index, page.index + 1);
    let weight = ctx.accounts.commands_weight(owner).await.unwrap();
    assert!((500_000..600_000).contains(&weight), "{weight}");
}

/// Tools sign in again and again and leave their sessions behind.
#[tokio::test]
async fn sessions_without_a_device_make_room_before_those_with_one() {
    let ctx = TestContext::new().await;
    let browser = ctx.session(&ctx.create(ANN).await).await;
    ctx.with_device(&browser, 0).await.unwrap();
    let mut tool = ctx.another(&browser).await;
    for _ in 0..505 {
        tool = ctx.another(&tool).await;
    }
    assert_eq!(ctx.count("SELECT COUNT(*) FROM session").await, 500);
    assert_eq!(ctx.names(&browser).await.len(), 1);
    assert!(ctx.login(ANN, PASSWORD).await.is_ok());
}
