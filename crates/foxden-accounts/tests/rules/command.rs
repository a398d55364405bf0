//! Commands as browsers without push fetch them.

use foxden_accounts::{
    CommandPage, Device, DeviceError, DeviceId, DeviceOwner, DevicePatch, Invocation, RefreshAccess, Session,
};
use std::collections::BTreeMap;

use crate::context::{ANN, PASSWORD, TestContext};

const OPEN: &str = "https://identity.mozilla.com/cmd/open-uri";
const CLOSE: &str = "https://identity.mozilla.com/cmd/close-uri/v1";
const PUSH: &str = "https://push.example.org/1";

/// Two sessions of one account. The second has a device.
struct Two {
    ctx: TestContext,
    sender: Session,
    receiver: Session,
    device: DeviceId,
}

impl Two {
    async fn new() -> Self {
        let ctx = TestContext::new().await;
        let sender = ctx.session(&ctx.create(ANN).await).await;
        let receiver = ctx.session(&ctx.login(ANN, PASSWORD).await.unwrap()).await;
        let device = register(&ctx, DeviceOwner::Session(&receiver), patch()).await.id;
        let two = Self {
            ctx,
            sender,
            receiver,
            device,
        };
        two.pass(60_000);
        two
    }

    /// Lets time pass, in milliseconds.
    fn pass(&self, millis: i64) {
        self.ctx.clock.advance_millis(millis);
    }

    async fn register(&self, patch: DevicePatch) -> Device {
        register(&self.ctx, DeviceOwner::Session(&self.receiver), patch).await
    }

    async fn send(&self, commands: &[&str]) {
        send(&self.ctx, &self.sender, self.device, commands).await;
    }

    async fn fetch(&self, index: u64) -> CommandPage {
        let owner = DeviceOwner::Session(&self.receiver);
        self.ctx.accounts.commands(owner, index, None).await.unwrap()
    }

    async fn waiting(&self) -> i64 {
        self.ctx.count("SELECT COUNT(*) FROM command").await
    }
}

fn patch() -> DevicePatch {
    let commands = [OPEN, CLOSE].map(|name| (name.to_owned(), "sealed".to_owned()));
    DevicePatch {
        name: Some("laptop".to_owned()),
        commands: Some(BTreeMap::from(commands)),
        ..DevicePatch::default()
    }
}

fn with_push(callback: &str, keys: Option<(&str, &str)>) -> DevicePatch {
    DevicePatch {
        push_callback: Some(callback.to_owned()),
        push_public_key: keys.map(|(key, _)| key.to_owned()),
        push_auth_key: keys.map(|(_, secret)| secret.to_owned()),
        ..DevicePatch::default()
    }
}

async fn register(ctx: &TestContext, owner: DeviceOwner<'_>, patch: DevicePatch) -> Device {
    ctx.accounts.register_device(owner, patch).await.unwrap()
}

async fn send(ctx: &TestContext, from: &Session, target: DeviceId, commands: &[&str]) {
    for command in commands {
        let invocation = Invocation {
            target,
            command: (*command).to_owned(),
            payload: "{}".to_owned(),
            ttl: None,
        };
        let owner = DeviceOwner::Session(from);
        ctx.accounts.invoke(owner, invocation).await.unwrap();
    }
}

/// The indexes given, the answer's own, and whether it is the last.
fn outline(page: &CommandPage) -> (Vec<u64>, u64, bool) {
    let given = page.messages.iter().map(|message| message.index).collect();
    (given, page.index, page.is_last)
}

/// V7.6: a desktop without push that fetches commands while it refreshes its list of devices is lost to all of them.
#[tokio::test]
async fn a_fetch_upon_a_registration_without_push_is_answered_empty() {
    let two = Two::new().await;
    two.send(&[OPEN]).await;
    two.register(patch()).await;
    for after in [0, 1000, 3999] {
        two.pass(after);
        assert_eq!(outline(&two.fetch(1).await), (vec![], 1, true), "{after}");
    }
    two.pass(1);
    assert_eq!(outline(&two.fetch(1).await), (vec![1], 1, true));
}

/// A registration that changes nothing costs no write and counts as one all the same, and so does one that changes all.
#[tokio::test]
async fn every_registration_without_push_counts_and_one_with_push_does_not() {
    let two = Two::new().await;
    two.send(&[OPEN]).await;
    let renamed = DevicePatch {
        name: Some("desktop".to_owned()),
        ..patch()
    };
    for (patch, is_quiet) in [
        (patch(), true),
        (renamed, true),
        (DevicePatch::default(), true),
        (with_push(PUSH, None), false),
        (with_push(PUSH, Some(("key", "secret"))), false),
        (with_push("", None), true),
    ] {
        let told = format!("{patch:?}");
        two.register(patch).await;
        assert_eq!(two.fetch(0).await.messages.is_empty(), is_quiet, "{told}");
    }
    two.register(with_push(PUSH, None)).await;
    assert_eq!(two.fetch(0).await.messages.len(), 1, "push ends the period");
}

#[tokio::test]
async fn a_registration_that_is_refused_withholds_nothing() {
    let two = Two::new().await;
    two.send(&[OPEN]).await;
    let unknown = DevicePatch {
        id: Some(DeviceId([9; 16])),
        ..patch()
    };
    let owner = DeviceOwner::Session(&two.receiver);
    let refused = two.ctx.accounts.register_device(owner, unknown).await;
    assert!(matches!(refused, Err(DeviceError::UnknownDevice)));
    assert_eq!(two.fetch(0).await.messages.len(), 1);
}

#[tokio::test]
async fn one_device_s_registration_withholds_nothing_from_another() {
    let two = Two::new().await;
    two.send(&[OPEN]).await;
    register(&two.ctx, DeviceOwner::Session(&two.sender), patch()).await;
    assert_eq!(two.fetch(0).await.messages.len(), 1);
}

/// V7.1: desktops handle only the first close command of an answer and lose the others.
#[tokio::test]
async fn an_answer_to_a_desktop_ends_before_its_second_close_command() {
    let two = Two::new().await;
    two.send(&[OPEN, CLOSE, CLOSE, OPEN]).await;
    assert_eq!(outline(&two.fetch(0).await), (vec![1, 2], 2, false));
    assert_eq!(outline(&two.fetch(3).await), (vec![3, 4], 4, true));
    two.send(&[OPEN, OPEN, CLOSE]).await;
    assert_eq!(outline(&two.fetch(5).await), (vec![5, 6, 7], 7, true));
    two.send(&[CLOSE, CLOSE]).await;
    assert_eq!(outline(&two.fetch(8).await), (vec![8], 8, false));
    assert_eq!(outline(&two.fetch(9).await), (vec![9], 9, true));
}

/// The limit that a client gives and the one on close commands: the nearer one ends the answer.
#[tokio::test]
async fn a_close_command_beyond_the_limit_is_counted_once() {
    let two = Two::new().await;
    two.send(&[CLOSE, OPEN, CLOSE]).await;
    let owner = DeviceOwner::Session(&two.receiver);
    for (limit, outlined) in [
        (1, (vec![1], 1, false)),
        (2, (vec![1, 2], 2, false)),
        (3, (vec![1, 2], 2, false)),
    ] {
        let page = two.ctx.accounts.commands(owner, 0, Some(limit)).await.unwrap();
        assert_eq!(outline(&page), outlined, "{limit}");
    }
}

/// V7.7: a browser that drops its record asks from 0 on again and would open a second time what it opened before.
#[tokio::test]
async fn commands_below_an_index_that_was_asked_for_are_dropped() {
    let two = Two::new().await;
    two.send(&[OPEN; 7]).await;
    assert_eq!(outline(&two.fetch(5).await), (vec![5, 6, 7], 7, true));
    assert_eq!(two.waiting().await, 3);
    assert_eq!(outline(&two.fetch(0).await), (vec![5, 6, 7], 7, true));
    two.register(patch()).await;
    assert_eq!(outline(&two.fetch(7).await), (vec![], 7, true));
    assert_eq!(two.waiting().await, 1, "dropped though the answer is empty");
    two.pass(5000);
    assert_eq!(outline(&two.fetch(8).await), (vec![], 8, true));
    two.send(&[OPEN]).await;
    assert_eq!(outline(&two.fetch(0).await), (vec![8], 8, true));
}

/// A client may hold an index from before the register was restored, or from a device that it has replaced. Commands
/// that it cannot have are neither dropped nor kept from it.
#[tokio::test]
async fn an_index_that_was_never_given_loses_no_command() {
    let two = Two::new().await;
    assert_eq!(outline(&two.fetch(51).await), (vec![], 51, true));
    two.send(&[OPEN, OPEN]).await;
    for index in [4, 51, u64::MAX] {
        assert_eq!(outline(&two.fetch(index).await), (vec![1, 2], 2, true), "{index}");
    }
    two.register(patch()).await;
    assert_eq!(outline(&two.fetch(51).await), (vec![], 51, true));
    two.pass(5000);
    assert_eq!(two.waiting().await, 2);
    assert_eq!(outline(&two.fetch(3).await), (vec![], 3, true));
    assert_eq!(two.waiting().await, 0);
}

/// Each device has indexes of its own.
#[tokio::test]
async fn only_the_callers_own_commands_are_dropped() {
    let two = Two::new().await;
    let other = register(&two.ctx, DeviceOwner::Session(&two.sender), patch()).await;
    send(&two.ctx, &two.receiver, other.id, &[OPEN]).await;
    two.send(&[OPEN]).await;
    two.fetch(2).await;
    assert_eq!(two.waiting().await, 1);
}

/// V7.3: a push address without keys takes empty messages alone, and the keys of the former one do not fit it.
#[tokio::test]
async fn keys_go_with_the_push_address_that_they_belong_to() {
    let two = Two::new().await;
    let keys = |device: Device| (device.push_public_key, device.push_auth_key);
    let (key, secret) = (Some("key".to_owned()), Some("secret".to_owned()));
    let told = with_push(PUSH, Some(("key", "secret")));
    for (then, left) in [
        (patch(), (key.clone(), secret.clone())),
        (with_push("https://push.example.org/2", None), (None, None)),
        (with_push(PUSH, None), (None, None)),
        (with_push("", None), (None, None)),
        (
            DevicePatch {
                push_public_key: Some("other".to_owned()),
                ..with_push(PUSH, None)
            },
            (Some("other".to_owned()), None),
        ),
        (
            DevicePatch {
                push_auth_key: Some("other".to_owned()),
                ..DevicePatch::default()
            },
            (key.clone(), Some("other".to_owned())),
        ),
    ] {
        assert_eq!(
            keys(two.register(told.clone()).await),
            (key.clone(), secret.clone())
        );
        assert_eq!(keys(two.register(then.clone()).await), left, "{then:?}");
    }
}

/// Phones close the tabs of every command, and do not fetch while they refresh: nothing is withheld from them.
#[tokio::test]
async fn phones_get_every_command_at_once() {
    let two = Two::new().await;
    let phone = phone(&two).await;
    let device = register(&two.ctx, DeviceOwner::Refresh(&phone), patch()).await;
    send(&two.ctx, &two.sender, device.id, &[CLOSE, CLOSE, OPEN]).await;
    register(&two.ctx, DeviceOwner::Refresh(&phone), patch()).await;
    let owner = DeviceOwner::Refresh(&phone);
    let page = two.ctx.accounts.commands(owner, 0, None).await.unwrap();
    assert_eq!(outline(&page), (vec![1, 2, 3], 3, true));
    two.ctx.accounts.commands(owner, 3, None).await.unwrap();
    assert_eq!(two.waiting().await, 1);
}

async fn phone(two: &Two) -> RefreshAccess {
    let code = two.ctx.code(&two.sender).await;
    let granted = two.ctx.redeem(None, &code).await.unwrap();
    let token = granted.refresh_token.unwrap().to_hex();
    two.ctx.accounts.refresh_access(&token).await.unwrap()
}
