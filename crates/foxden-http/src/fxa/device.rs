//! Devices: registered, listed, removed; the commands they send each other; all that is attached.

mod wire;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use foxden_accounts::{AccountId, Detach, DeviceId, Invocation};
use serde_json::{Value, json};

use super::FxaState;
use super::answer::{Counted, Done, Json};
use super::ask::Ask;
use super::caller::{DeviceCaller, Verified};
use super::refusal::Refusal;
use crate::wire::memory::{NoRoom, Owner, Place};
use wire::{AttachedAnswer, CommandsAnswer, DeviceAnswer, ListedDevice, read_patch};

/// The largest payload of a command, in bytes.
const PAYLOAD: usize = 16 * 1024;
/// The longest name of a command that is looked at.
const COMMAND: usize = 255;

impl FxaState {
    /// A place for a list whose rows have so many bytes, before they are loaded: rows, what is made of them and the print are
    /// held at once.
    fn room(&self, account: AccountId, weight: u64) -> Result<Option<Place>, NoRoom> {
        let bytes = usize::try_from(weight.saturating_mul(3)).unwrap_or(usize::MAX);
        self.memory
            .answers
            .take_for_answer(Owner::Account(account), bytes)
    }
}

/// `POST /v1/account/device`
pub(super) async fn register(
    State(fxa): State<FxaState>,
    ask: Ask<DeviceCaller>,
) -> Result<Json<DeviceAnswer>, Refusal> {
    let patch = read_patch(&ask.body)?;
    let device = fxa.accounts.register_device(ask.by.owner(), patch).await?;
    Ok(Json(device.into()))
}

/// `GET /v1/account/devices`
pub(super) async fn list(
    State(fxa): State<FxaState>,
    ask: Ask<DeviceCaller>,
) -> Result<Counted<Vec<ListedDevice>>, Refusal> {
    let since = ask.number("filterIdleDevicesTimestamp")?;
    let since = since.map(|millis| i64::try_from(millis).unwrap_or(i64::MAX));
    let owner = ask.by.confirmed()?;
    let place = fxa.room(owner.account(), fxa.accounts.devices_weight(owner).await?)?;
    let devices = fxa.accounts.devices(owner, since).await?;
    Ok(Counted(
        devices.into_iter().map(ListedDevice::from).collect(),
        place,
    ))
}

/// `POST /v1/account/device/destroy`
pub(super) async fn destroy(State(fxa): State<FxaState>, ask: Ask<DeviceCaller>) -> Result<Done, Refusal> {
    let device = DeviceId(ask.body.hex("id")?);
    fxa.accounts.destroy_device(ask.by.owner(), device).await?;
    Ok(Done {})
}

/// `POST /v1/account/devices/notify`: taken and dropped, for nothing is pushed here. The payload's schema is
/// not looked at: browsers send members that it does not name.
pub(super) async fn notify(ask: Ask<DeviceCaller>) -> Result<Done, Refusal> {
    ask.by.confirmed()?;
    match ask.body.get("to") {
        Some(Value::String(all)) if all == "all" => {}
        Some(Value::Array(_)) => {}
        Some(_) => return Err(Refusal::Invalid("to")),
        None => return Err(Refusal::Missing("to")),
    }
    match ask.body.get("payload") {
        Some(Value::Object(_)) => Ok(Done {}),
        Some(_) => Err(Refusal::Invalid("payload")),
        None => Err(Refusal::Missing("payload")),
    }
}

/// `POST /v1/account/devices/invoke_command`
pub(super) async fn invoke(
    State(fxa): State<FxaState>,
    ask: Ask<DeviceCaller>,
) -> Result<Json<Value>, Refusal> {
    let payload = match ask.body.get("payload") {
        Some(payload @ Value::Object(_)) => payload.to_string(),
        Some(_) => return Err(Refusal::Invalid("payload")),
        None => return Err(Refusal::Missing("payload")),
    };
    if payload.len() > PAYLOAD {
        return Err(Refusal::Invalid("payload"));
    }
    let invocation = Invocation {
        target: DeviceId(ask.body.hex("target")?),
        command: ask.body.text_within("command", COMMAND)?.to_owned(),
        payload,
        ttl: ask.body.optional_number("ttl")?,
    };
    fxa.accounts.invoke(ask.by.confirmed()?, invocation).await?;
    Ok(Json(json!({ "enqueued": true, "notified": false })))
}

/// `GET /v1/account/device/commands`
pub(super) async fn commands(
    State(fxa): State<FxaState>,
    ask: Ask<DeviceCaller>,
) -> Result<Counted<CommandsAnswer>, Refusal> {
    let (index, limit) = (ask.number("index")?, ask.number("limit")?);
    let owner = ask.by.confirmed()?;
    let place = fxa.room(owner.account(), fxa.accounts.commands_weight(owner).await?)?;
    let page = fxa.accounts.commands(owner, index.unwrap_or(0), limit).await?;
    Ok(Counted(CommandsAnswer::new(page)?, place))
}

/// `GET /v1/account/attached_clients`, with the time to compare theirs with.
pub(super) async fn attached(
    State(fxa): State<FxaState>,
    ask: Ask<Verified>,
) -> Result<([(HeaderName, HeaderValue); 1], Counted<Vec<AttachedAnswer>>), Refusal> {
    let weight = fxa.accounts.attached_weight(&ask.by.0).await?;
    let place = fxa.room(ask.by.0.account, weight)?;
    let clients = fxa.accounts.attached_clients(&ask.by.0).await?;
    let now = HeaderValue::from(fxa.clock.millis());
    let answers = clients.into_iter().map(AttachedAnswer::from).collect();
    Ok((
        [(HeaderName::from_static("x-timestamp"), now)],
        Counted(answers, place),
    ))
}

/// `POST /v1/account/attached_client/destroy`
pub(super) async fn detach(State(fxa): State<FxaState>, ask: Ask<Verified>) -> Result<Done, Refusal> {
    let text = |name| Ok::<_, Refusal>(ask.body.optional_text(name)?.map(str::to_owned));
    let mut detach = Detach {
        session: text("sessionTokenId")?,
        refresh_token: text("refreshTokenId")?,
        device: ask.body.optional_hex("deviceId")?.map(DeviceId),
        client: None,
    };
    if detach.session.is_none() && detach.refresh_token.is_none() && detach.device.is_none() {
        detach.client = text("clientId")?;
        if detach.client.is_none() {
            return Err(Refusal::Missing("deviceId"));
        }
    }
    fxa.accounts.detach(&ask.by.0, &detach).await?;
    Ok(Done {})
}
