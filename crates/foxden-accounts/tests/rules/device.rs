//! Devices, what is signed in, and commands.

use foxden_accounts::{
    CredentialError, Detach, Device, DeviceError, DeviceField, DeviceId, DeviceOwner, DevicePatch,
    Invocation, Session,
};
use std::collections::BTreeMap;

use crate::context::{ANN, BEA, PASSWORD, TestContext, session_id};

const SEND_TAB: &str = "https://identity.mozilla.com/cmd/open-uri";

fn named(name: &str) -> DevicePatch {
    DevicePatch {
        name: Some(name.to_owned()),
        commands: Some(BTreeMap::from([(SEND_TAB.to_owned(), "bundle".to_owned())])),
        ..DevicePatch::default()
    }
}

fn of_kind(kind: &str) -> DevicePatch {
    DevicePatch {
        kind: Some(kind.to_owned()),
        ..named("x")
    }
}

impl TestContext {
    async fn device(&self, session: &Session, patch: DevicePatch) -> Result<Device, DeviceError> {
        self.accounts
            .register_device(DeviceOwner::Session(session), patch)
            .await
    }

    async fn send(&self, from: &Session, target: DeviceId, text: &str) -> Result<(), DeviceError> {
        let invocation = Invocation {
            target,
            command: SEND_TAB.to_owned(),
            payload: format!("{{\"encrypted\":\"{text}\"}}"),
            ttl: None,
        };
        self.accounts.invoke(DeviceOwner::Session(from), invocation).await
    }

    /// Two devices of one account.
    async fn pair(&self) -> (Session, Session) {
        let one = self.session(&self.create(ANN).await).await;
        let other = self.session(&self.login(ANN, PASSWORD).await.unwrap()).await;
        (one, other)
    }
}

/// V7.5: browsers register again and again.
#[tokio::test]
async fn a_session_has_one_device_however_often_it_registers() {
    let ctx = TestContext::new().await;
    let (session, _) = ctx.pair().await;
    let first = ctx.device(&session, named("Ann’s Firefox 🦊")).await.unwrap();
    let again = ctx.device(&session, named("Another name")).await.unwrap();
    assert_eq!(first.id, again.id);
    let (one, other) = tokio::join!(ctx.device(&session, named("x")), ctx.device(&session, named("y")));
    assert_eq!((one.unwrap().id, other.unwrap().id), (first.id, first.id));
    assert_eq!(ctx.count("SELECT COUNT(*) FROM device").await, 1);
}

#[tokio::test]
async fn two_first_registrations_at_once_make_one_device() {
    let ctx = TestContext::new().await;
    let (session, _) = ctx.pair().await;
    let (one, other) = tokio::join!(ctx.device(&session, named("x")), ctx.device(&session, named("x")));
    assert_eq!(one.unwrap().id, other.unwrap().id);
}

#[tokio::test]
async fn an_update_changes_only_the_given_fields() {
    let ctx = TestContext::new().await;
    let (session, _) = ctx.pair().await;
    let first = ctx.device(&session, named("Ann’s")).await.unwrap();
    let patch = DevicePatch {
        id: Some(first.id),
        push_callback: Some("https://push.example/1".to_owned()),
        ..DevicePatch::default()
    };
    let changed = ctx.device(&session, patch.clone()).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.commands.len()), ("Ann’s", 1));
    assert_eq!(changed.push_callback.as_deref(), Some("https://push.example/1"));
    let cleared = DevicePatch {
        push_callback: Some(String::new()),
        ..patch
    };
    assert_eq!(ctx.device(&session, cleared).await.unwrap().push_callback, None);
}

#[tokio::test]
async fn unknown_ids_and_ids_of_other_accounts_differ() {
    let ctx = TestContext::new().await;
    let (one, other) = ctx.pair().await;
    let device = ctx.device(&other, named("other")).await.unwrap();
    let unknown = DevicePatch {
        id: Some(DeviceId([9; 16])),
        ..named("x")
    };
    assert!(matches!(
        ctx.device(&one, unknown).await,
        Err(DeviceError::UnknownDevice)
    ));
    let foreign = DevicePatch {
        id: Some(device.id),
        ..named("x")
    };
    assert!(
        matches!(ctx.device(&one, foreign).await, Err(DeviceError::OtherDevice { device: id }) if id == device.id)
    );
}

#[tokio::test]
async fn a_type_is_the_clients_own_word() {
    let ctx = TestContext::new().await;
    let (session, _) = ctx.pair().await;
    let kinds = [
        "desktop",
        "mobile",
        "tablet",
        "vr",
        "tv",
        "cli",
        "CLI",
        "Küchenradio",
        "a b",
        "📱",
    ];
    for kind in kinds.into_iter().chain(["sixteen letters!"]) {
        let device = ctx.device(&session, of_kind(kind)).await.unwrap();
        assert_eq!(device.kind, kind);
        let clients = ctx.accounts.attached_clients(&session).await.unwrap();
        assert!(clients.iter().any(|client| client.kind.as_deref() == Some(kind)));
    }
}

#[tokio::test]
async fn names_kinds_and_commands_are_checked() {
    let ctx = TestContext::new().await;
    let (session, _) = ctx.pair().await;
    for name in ["", "a\nb", "a\u{2028}", "a\u{e000}", &"x".repeat(256)] {
        assert!(matches!(
            ctx.device(&session, named(name)).await,
            Err(DeviceError::Invalid(DeviceField::Name))
        ));
    }
    for kind in ["", "a\nb", "\0", "seventeen letters"] {
        assert!(matches!(
            ctx.device(&session, of_kind(kind)).await,
            Err(DeviceError::Invalid(DeviceField::Kind))
        ));
    }
    for (name, value) in [("bad name", "x".to_owned()), ("good", "x".repeat(2049))] {
        let commands = Some(BTreeMap::from([(name.to_owned(), value)]));
        let refused = ctx
            .device(
                &session,
                DevicePatch {
                    commands,
                    ..named("x")
                },
            )
            .await;
        assert!(matches!(
            refused,
            Err(DeviceError::Invalid(DeviceField::Commands))
        ));
    }
    assert_eq!(ctx.count("SELECT COUNT(*) FROM device").await, 0);
    assert!(ctx.device(&session, named(&"é".repeat(255))).await.is_ok());
}

#[tokio::test]
async fn idle_devices_are_left_out_and_the_callers_own_never_is() {
    let ctx = TestContext::new().await;
    let (one, other) = ctx.pair().await;
    ctx.device(&one, named("one")).await.unwrap();
    ctx.device(&other, named("other")).await.unwrap();
    let since = Some(crate::context::START + 1);
    let owner = DeviceOwner::Session(&one);
    assert_eq!(ctx.accounts.devices(owner, None).await.unwrap().len(), 2);
    let fresh = ctx.accounts.devices(owner, since).await.unwrap();
    assert_eq!(
        fresh
            .iter()
            .map(|device| (device.name.as_str(), device.is_current))
            .collect::<Vec<_>>(),
        [("one", true)]
    );
}

#[tokio::test]
async fn a_device_goes_with_its_session_and_a_session_with_its_device() {
    let ctx = TestContext::new().await;
    let (one, other) = ctx.pair().await;
    ctx.device(&one, named("one")).await.unwrap();
    let device = ctx.device(&other, named("other")).await.unwrap();
    ctx.accounts
        .destroy_device(DeviceOwner::Session(&one), device.id)
        .await
        .unwrap();
    assert!(matches!(
        ctx.accounts.end_session(&other).await,
        Err(CredentialError::Unknown)
    ));
    let gone = ctx
        .accounts
        .destroy_device(DeviceOwner::Session(&one), device.id)
        .await;
    assert!(matches!(gone, Err(DeviceError::UnknownDevice)));
    ctx.accounts.end_session(&one).await.unwrap();
    assert_eq!(ctx.count("SELECT COUNT(*) FROM device").await, 0);
}

#[tokio::test]
async fn attached_clients_are_listed_once_and_can_be_disconnected() {
    let ctx = TestContext::new().await;
    let created = ctx.create(ANN).await;
    let one = ctx.session(&created).await;
    let signed_in = ctx.login(ANN, PASSWORD).await.unwrap();
    let other = ctx.session(&signed_in).await;
    let device = ctx.device(&other, named("other")).await.unwrap();
    let code = ctx.code(&one).await;
    let refresh = ctx
        .redeem(None, &code)
        .await
        .unwrap()
        .refresh_token
        .unwrap()
        .to_hex();

    let clients = ctx.accounts.attached_clients(&one).await.unwrap();
    assert_eq!(clients.len(), 3);
    assert_eq!(clients.iter().filter(|client| client.is_current).count(), 1);
    let phone = clients
        .iter()
        .find(|client| client.refresh_token.is_some())
        .unwrap();
    assert_eq!(phone.scope.as_ref().unwrap().len(), 2);
    let public = clients
        .iter()
        .find(|client| client.device == Some(device.id))
        .unwrap()
        .session
        .clone()
        .unwrap();
    assert_ne!(
        public,
        session_id(&signed_in).to_hex(),
        "what is shown opens nothing"
    );

    let detach = Detach {
        session: Some(public),
        refresh_token: phone.refresh_token.clone(),
        device: Some(device.id),
        client: None,
    };
    ctx.accounts.detach(&one, &detach).await.unwrap();
    ctx.accounts.detach(&one, &detach).await.unwrap();

    assert!(ctx.accounts.refresh_access(&refresh).await.is_err());
    assert!(ctx.accounts.session(&session_id(&signed_in)).await.is_err());
    assert_eq!(ctx.accounts.attached_clients(&one).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_client_is_disconnected_by_its_id_and_no_other_is() {
    let ctx = TestContext::new().await;
    let (one, _) = ctx.pair().await;
    let code = ctx.code(&one).await;
    let granted = ctx.redeem(None, &code).await.unwrap();
    let refresh = granted.refresh_token.unwrap().to_hex();
    let of = |client: &str| Detach {
        client: Some(client.to_owned()),
        ..Detach::default()
    };
    ctx.accounts.detach(&one, &of("e7ce535d93522896")).await.unwrap();
    assert!(ctx.accounts.refresh_access(&refresh).await.is_ok());
    ctx.accounts
        .detach(&one, &of(crate::context::DESKTOP))
        .await
        .unwrap();
    assert!(ctx.accounts.refresh_access(&refresh).await.is_err());
}

#[tokio::test]
async fn devices_of_another_account_cannot_be_disconnected() {
    let ctx = TestContext::new().await;
    let (one, _) = ctx.pair().await;
    let bea = ctx.session(&ctx.create(BEA).await).await;
    let device = ctx.device(&one, named("one")).await.unwrap();
    let detach = Detach {
        session: Some(one.public_id.clone()),
        device: Some(device.id),
        ..Detach::default()
    };
    ctx.accounts.detach(&bea, &detach).await.unwrap();
    assert_eq!(
        ctx.accounts
            .devices(DeviceOwner::Session(&one), None)
            .await
            .unwrap()
            .len(),
        1
    );
    assert!(matches!(
        ctx.send(&bea, device.id, "x").await,
        Err(DeviceError::UnknownDevice)
    ));
}

#[tokio::test]
async fn commands_wait_in_order_from_the_index_on() {
    let ctx = TestContext::new().await;
    let (one, other) = ctx.pair().await;
    let sender = ctx.device(&one, named("one")).await.unwrap();
    let target = ctx.device(&other, named("other")).await.unwrap();
    let owner = DeviceOwner::Session(&other);
    let empty = ctx.accounts.commands(owner, 0, None).await.unwrap();
    assert_eq!((empty.index, empty.is_last, empty.messages.len()), (0, true, 0));
    ctx.clock.advance_millis(60_000);

    for text in ["a", "b", "c"] {
        ctx.send(&one, target.id, text).await.unwrap();
    }

    let all = ctx.accounts.commands(owner, 0, None).await.unwrap();
    assert_eq!(
        all.messages
            .iter()
            .map(|message| message.index)
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(
        (all.index, all.is_last, all.messages[0].sender),
        (3, true, Some(sender.id))
    );
    let second = ctx.accounts.commands(owner, 2, Some(1)).await.unwrap();
    assert_eq!(
        (second.index, second.is_last, second.messages.len()),
        (2, false, 1)
    );
    assert_eq!(second.messages[0].payload, "{\"encrypted\":\"b\"}");
    let beyond = ctx.accounts.commands(owner, 4, None).await.unwrap();
    assert_eq!(
        (beyond.index, beyond.is_last, beyond.messages.len()),
        (4, true, 0)
    );
}

#[tokio::test]
async fn commands_expire_and_their_numbers_are_not_used_again() {
    let ctx = TestContext::new().await;
    let (one, other) = ctx.pair().await;
    let target = ctx.device(&other, named("other")).await.unwrap();
    ctx.send(&one, target.id, "a").await.unwrap();
    ctx.clock.advance_millis(31 * 24 * 3_600_000);
    let owner = DeviceOwner::Session(&other);
    assert!(
        ctx.accounts
            .commands(owner, 0, None)
            .await
            .unwrap()
            .messages
            .is_empty()
    );
    ctx.accounts.purge(10, i64::MAX).await.unwrap();
    assert_eq!(ctx.count("SELECT COUNT(*) FROM command").await, 0);
    ctx.send(&one, target.id, "b").await.unwrap();
    assert_eq!(
        ctx.accounts.commands(owner, 0, None).await.unwrap().messages[0].index,
        2
    );
}

#[tokio::test]
async fn a_thousand_commands_are_kept_and_a_hundred_given_at_once() {
    let ctx = TestContext::new().await;
    let (one, other) = ctx.pair().await;
    let target = ctx.device(&other, named("other")).await.unwrap();
    for _ in 0..1003 {
        ctx.send(&one, target.id, "x").await.unwrap();
    }
    assert_eq!(ctx.count("SELECT COUNT(*) FROM command").await, 1000);
    ctx.clock.advance_millis(60_000);
    let page = ctx
        .accounts
        .commands(DeviceOwner::Session(&other), 0, Some(5000))
        .await
        .unwrap();
    assert_eq!(
        (page.messages.len(), page.messages[0].index, page.is_last),
        (100, 4, false)
    );
}

#[tokio::test]
async fn commands_without_a_receiver_are_refused() {
    let ctx = TestContext::new().await;
    let (one, other) = ctx.pair().await;
    let deaf = ctx.device(&other, DevicePatch::default()).await.unwrap();
    assert!(matches!(
        ctx.send(&one, deaf.id, "x").await,
        Err(DeviceError::NoSuchCommand)
    ));
    assert!(matches!(
        ctx.send(&one, DeviceId([9; 16]), "x").await,
        Err(DeviceError::UnknownDevice)
    ));
    let able = ctx.device(&other, named("other")).await.unwrap();
    let refused = ctx.send(&one, able.id, &"x".repeat(17_000)).await;
    assert!(matches!(refused, Err(DeviceError::Invalid(DeviceField::Payload))));
    let without = ctx.accounts.commands(DeviceOwner::Session(&one), 0, None).await;
    assert!(matches!(without, Err(DeviceError::UnknownDevice)));
}
