//! The JSON of devices and commands.

use std::collections::BTreeMap;

use foxden_accounts::{AttachedClient, CommandPage, Device, DeviceId, DevicePatch, Unavailable};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::fxa::refusal::Refusal;
use crate::fxa::user_agent::Browser;
use crate::wire::json_body::JsonBody;

/// The location of a device. The server never looks one up.
#[derive(Serialize)]
struct Location {}

/// The record of one device.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::fxa) struct DeviceAnswer {
    id: String,
    created_at: i64,
    name: String,
    #[serde(rename = "type")]
    kind: String,
    available_commands: BTreeMap<String, String>,
    // Absent values are omitted: browsers take an explicit null for a lost subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    push_callback: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    push_public_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    push_auth_key: Option<String>,
    push_endpoint_expired: bool,
}

/// A device in a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::fxa) struct ListedDevice {
    #[serde(flatten)]
    device: DeviceAnswer,
    is_current_device: bool,
    last_access_time: i64,
    location: Location,
}

/// The pending commands of a device.
#[derive(Serialize)]
pub(in crate::fxa) struct CommandsAnswer {
    index: u64,
    last: bool,
    messages: Vec<Message>,
}

#[derive(Serialize)]
struct Message {
    index: u64,
    data: MessageData,
}

#[derive(Serialize)]
struct MessageData {
    command: String,
    payload: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<String>,
}

/// A client that is signed in to the account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::fxa) struct AttachedAnswer {
    client_id: Option<String>,
    device_id: Option<String>,
    session_token_id: Option<String>,
    refresh_token_id: Option<String>,
    is_current_session: bool,
    device_type: Option<String>,
    name: Option<String>,
    created_time: i64,
    last_access_time: i64,
    scope: Option<Vec<String>>,
    location: Location,
    user_agent: String,
    os: Option<&'static str>,
}

/// Reads the fields that a client sends for its device.
pub(super) fn read_patch(body: &JsonBody) -> Result<DevicePatch, Refusal> {
    let text = |name| Ok::<_, Refusal>(body.optional_text(name)?.map(str::to_owned));
    Ok(DevicePatch {
        id: body.optional_hex("id")?.map(DeviceId),
        name: text("name")?,
        kind: text("type")?,
        commands: read_commands(body)?,
        push_callback: text("pushCallback")?,
        push_public_key: text("pushPublicKey")?,
        push_auth_key: text("pushAuthKey")?,
    })
}

fn read_commands(body: &JsonBody) -> Result<Option<BTreeMap<String, String>>, Refusal> {
    const NAME: &str = "availableCommands";
    let commands = match body.get(NAME) {
        None => return Ok(None),
        Some(Value::Object(commands)) => commands,
        Some(_) => return Err(Refusal::Invalid(NAME)),
    };
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    let commands: Option<_> = commands.iter().map(text).collect();
    commands.map(Some).ok_or(Refusal::Invalid(NAME))
}

impl From<Device> for DeviceAnswer {
    fn from(device: Device) -> Self {
        Self {
            id: device.id.to_string(),
            created_at: device.created_at,
            name: device.name,
            kind: device.kind,
            available_commands: device.commands,
            push_callback: device.push_callback,
            push_public_key: device.push_public_key,
            push_auth_key: device.push_auth_key,
            push_endpoint_expired: false,
        }
    }
}

impl From<Device> for ListedDevice {
    fn from(device: Device) -> Self {
        Self {
            is_current_device: device.is_current,
            last_access_time: device.last_access,
            location: Location {},
            device: device.into(),
        }
    }
}

impl CommandsAnswer {
    pub(super) fn new(page: CommandPage) -> Result<Self, Refusal> {
        let message = |queued: foxden_accounts::QueuedCommand| {
            let payload = RawValue::from_string(queued.payload);
            let data = MessageData {
                command: queued.command,
                payload: payload.map_err(|_| Unavailable::Damaged("a command's payload is not json"))?,
                sender: queued.sender.map(|sender| sender.to_string()),
            };
            Ok::<_, Unavailable>(Message {
                index: queued.index,
                data,
            })
        };
        let messages: Result<_, _> = page.messages.into_iter().map(message).collect();
        Ok(Self {
            index: page.index,
            last: page.is_last,
            messages: messages?,
        })
    }
}

impl From<AttachedClient> for AttachedAnswer {
    fn from(client: AttachedClient) -> Self {
        let browser = Browser::read(&client.user_agent);
        Self {
            client_id: client.client,
            device_id: client.device.map(|device| device.to_string()),
            session_token_id: client.session,
            refresh_token_id: client.refresh_token,
            is_current_session: client.is_current,
            device_type: client.kind,
            name: client.name.or_else(|| browser.describe()),
            created_time: client.created_at,
            last_access_time: client.last_access,
            scope: client.scope,
            location: Location {},
            user_agent: browser.name,
            os: browser.system,
        }
    }
}
