//! Devices: registration, list, removal, commands, and attached clients.

mod wire;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use foxden_accounts::{AccountId, Detach, DeviceId, Invocation};
use serde_json::{Value, json};

use super::FxaState;
use super::answer::{CountedJson, Done, Json};
use super::api_request::ApiRequest;
use super::caller::{DeviceCaller, Verified};
use super::refusal::Refusal;
use crate::wire::memory::{MemoryFull, MemoryPermit, Owner};
use wire::{AttachedAnswer, CommandsAnswer, DeviceAnswer, ListedDevice, read_patch};

/// Maximum size of a command's payload in bytes.
const PAYLOAD: usize = 16 * 1024;
/// Maximum length of a command's name.
const COMMAND: usize = 255;

impl FxaState {
    /// Takes memory for a list before its rows are loaded: rows, structs and printed JSON exist at the same time.
    /// `weight` is the size of the rows.
    fn list_permit(&self, account: AccountId, weight: u64) -> Result<Option<MemoryPermit>, MemoryFull> {
        let bytes = usize::try_from(weight.saturating_mul(3)).unwrap_or(usize::MAX);
        self.memory
            .answers
            .take_for_answer(Owner::Account(account), bytes)
    }
}

/// `POST /v1/account/device`
pub(super) async fn register(
    State(fxa): State<FxaState>,
    request: ApiRequest<DeviceCaller>,
) -> Result<Json<DeviceAnswer>, Refusal> {
    let patch = read_patch(&request.body)?;
    let device = fxa
        .accounts
        .register_device(request.caller.owner(), patch)
        .await?;
    Ok(Json(device.into()))
}

/// `GET /v1/account/devices`
pub(super) async fn list(
    State(fxa): State<FxaState>,
    request: ApiRequest<DeviceCaller>,
) -> Result<CountedJson<Vec<ListedDevice>>, Refusal> {
    let since = request.number("filterIdleDevicesTimestamp")?;
    let since = since.map(|millis| i64::try_from(millis).unwrap_or(i64::MAX));
    let owner = request.caller.confirmed()?;
    let permit = fxa.list_permit(owner.account(), fxa.accounts.devices_weight(owner).await?)?;
    let devices = fxa.accounts.devices(owner, since).await?;
    Ok(CountedJson(
        devices.into_iter().map(ListedDevice::from).collect(),
        permit,
    ))
}

/// `POST /v1/account/device/destroy`
pub(super) async fn destroy(
    State(fxa): State<FxaState>,
    request: ApiRequest<DeviceCaller>,
) -> Result<Done, Refusal> {
    let device = DeviceId(request.body.hex("id")?);
    fxa.accounts
        .destroy_device(request.caller.owner(), device)
        .await?;
    Ok(Done {})
}

/// `POST /v1/account/devices/notify`: accepted and dropped, as the server has no push. The payload's schema is not
/// checked: browsers send further members.
pub(super) async fn notify(request: ApiRequest<DeviceCaller>) -> Result<Done, Refusal> {
    request.caller.confirmed()?;
    match request.body.get("to") {
        Some(Value::String(all)) if all == "all" => {}
        Some(Value::Array(_)) => {}
        Some(_) => return Err(Refusal::Invalid("to")),
        None => return Err(Refusal::Missing("to")),
    }
    match request.body.get("payload") {
        Some(Value::Object(_)) => Ok(Done {}),
        Some(_) => Err(Refusal::Invalid("payload")),
        None => Err(Refusal::Missing("payload")),
    }
}

/// `POST /v1/account/devices/invoke_command`
pub(super) async fn invoke(
    State(fxa): State<FxaState>,
    request: ApiRequest<DeviceCaller>,
) -> Result<Json<Value>, Refusal> {
    let payload = match request.body.get("payload") {
        Some(payload @ Value::Object(_)) => payload.to_string(),
        Some(_) => return Err(Refusal::Invalid("payload")),
        None => return Err(Refusal::Missing("payload")),
    };
    if payload.len() > PAYLOAD {
        return Err(Refusal::Invalid("payload"));
    }
    let invocation = Invocation {
        target: DeviceId(request.body.hex("target")?),
        command: request.body.text_within("command", COMMAND)?.to_owned(),
        payload,
        ttl: request.body.optional_number("ttl")?,
    };
    fxa.accounts
        .invoke(request.caller.confirmed()?, invocation)
        .await?;
    Ok(Json(json!({ "enqueued": true, "notified": false })))
}

/// `GET /v1/account/device/commands`
pub(super) async fn commands(
    State(fxa): State<FxaState>,
    request: ApiRequest<DeviceCaller>,
) -> Result<CountedJson<CommandsAnswer>, Refusal> {
    let (index, limit) = (request.number("index")?, request.number("limit")?);
    let owner = request.caller.confirmed()?;
    let permit = fxa.list_permit(owner.account(), fxa.accounts.commands_weight(owner).await?)?;
    let page = fxa.accounts.commands(owner, index.unwrap_or(0), limit).await?;
    Ok(CountedJson(CommandsAnswer::new(page)?, permit))
}

/// `GET /v1/account/attached_clients`, with the server's time for comparison.
pub(super) async fn attached(
    State(fxa): State<FxaState>,
    request: ApiRequest<Verified>,
) -> Result<([(HeaderName, HeaderValue); 1], CountedJson<Vec<AttachedAnswer>>), Refusal> {
    let weight = fxa.accounts.attached_weight(&request.caller.0).await?;
    let permit = fxa.list_permit(request.caller.0.account, weight)?;
    let clients = fxa.accounts.attached_clients(&request.caller.0).await?;
    let now = HeaderValue::from(fxa.clock.millis());
    let answers = clients.into_iter().map(AttachedAnswer::from).collect();
    Ok((
        [(HeaderName::from_static("x-timestamp"), now)],
        CountedJson(answers, permit),
    ))
}

/// `POST /v1/account/attached_client/destroy`
pub(super) async fn detach(
    State(fxa): State<FxaState>,
    request: ApiRequest<Verified>,
) -> Result<Done, Refusal> {
    let text = |name| Ok::<_, Refusal>(request.body.optional_text(name)?.map(str::to_owned));
    let mut detach = Detach {
        session: text("sessionTokenId")?,
        refresh_token: text("refreshTokenId")?,
        device: request.body.optional_hex("deviceId")?.map(DeviceId),
        client: None,
    };
    if detach.session.is_none() && detach.refresh_token.is_none() && detach.device.is_none() {
        detach.client = text("clientId")?;
        if detach.client.is_none() {
            return Err(Refusal::Missing("deviceId"));
        }
    }
    fxa.accounts.detach(&request.caller.0, &detach).await?;
    Ok(Done {})
}
