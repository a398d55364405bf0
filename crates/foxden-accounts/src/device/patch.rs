//! The fields that a client sends about its device.

use std::collections::BTreeMap;

use crate::register::device::DeviceRow;
use crate::{DeviceError, DeviceField, DeviceId, Unavailable};

/// The fields that a client sends about its device.
#[derive(Clone, Debug, Default)]
pub struct DevicePatch {
    /// The device, where the client knows its id.
    pub id: Option<DeviceId>,
    /// The name that its owner gave it.
    pub name: Option<String>,
    /// The client's own word for its type, such as `desktop`, `mobile`, `tablet` or `cli`.
    pub kind: Option<String>,
    /// The commands it takes.
    pub commands: Option<BTreeMap<String, String>>,
    /// Where pushes go. An empty text clears it.
    pub push_callback: Option<String>,
    /// Their key.
    pub push_public_key: Option<String>,
    /// Their secret.
    pub push_auth_key: Option<String>,
}

impl DevicePatch {
    pub(super) fn check(&self) -> Result<(), DeviceError> {
        let is_short =
            |text: &Option<String>, most: usize| text.as_ref().is_none_or(|text| text.len() <= most);
        let rules = [
            (DeviceField::Name, self.name.as_deref().is_none_or(is_device_name)),
            (DeviceField::Kind, self.kind.as_deref().is_none_or(is_device_kind)),
            (
                DeviceField::Commands,
                self.commands.as_ref().is_none_or(are_commands),
            ),
            (DeviceField::PushCallback, is_short(&self.push_callback, 2048)),
            (DeviceField::PushPublicKey, is_short(&self.push_public_key, 128)),
            (DeviceField::PushAuthKey, is_short(&self.push_auth_key, 64)),
        ];
        match rules.into_iter().find(|(_, holds)| !holds) {
            Some((field, _)) => Err(DeviceError::Invalid(field)),
            None => Ok(()),
        }
    }

    /// Returns whether the patch has a push address.
    pub(super) fn has_push(&self) -> bool {
        self.push_callback
            .as_ref()
            .is_some_and(|callback| !callback.is_empty())
    }

    /// The row with what this says in it; what it does not mention stays, but for the keys of a push address: with
    /// another address, or the same one anew, only the keys that come along are good.
    pub(super) fn applied(&self, row: &DeviceRow) -> Result<DeviceRow, Unavailable> {
        let text = |new: &Option<String>, old: &Option<String>| match new {
            Some(new) => Some(new.clone()).filter(|new| !new.is_empty()),
            None => old.clone(),
        };
        let key = |new: &Option<String>, old: &Option<String>| match self.push_callback {
            Some(_) => text(new, &None),
            None => text(new, old),
        };
        let commands = match &self.commands {
            Some(commands) => {
                serde_json::to_string(commands).map_err(|_| Unavailable::Damaged("commands"))?
            }
            None => row.commands.clone(),
        };
        Ok(DeviceRow {
            name: self.name.clone().unwrap_or_else(|| row.name.clone()),
            kind: self.kind.clone().unwrap_or_else(|| row.kind.clone()),
            commands,
            push_callback: text(&self.push_callback, &row.push_callback),
            push_public_key: key(&self.push_public_key, &row.push_public_key),
            push_auth_key: key(&self.push_auth_key, &row.push_auth_key),
            ..row.clone()
        })
    }
}

/// 1 to 255 characters, without those that cannot be displayed.
fn is_device_name(name: &str) -> bool {
    let is_odd = |c: char| {
        matches!(c, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}'..='\u{2029}' | '\u{e000}'..='\u{f8ff}'
            | '\u{fff9}'..='\u{fffc}' | '\u{fffe}'..='\u{ffff}')
    };
    (1..=255).contains(&name.chars().count()) && !name.contains(is_odd)
}

/// 1 to 16 characters, whatever they say: clients have words of their own.
fn is_device_kind(kind: &str) -> bool {
    (1..=16).contains(&kind.chars().count()) && !kind.contains(char::is_control)
}

fn are_commands(commands: &BTreeMap<String, String>) -> bool {
    let is_name = |name: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._/:-".contains(&b);
        (1..=100).contains(&name.len()) && name.bytes().all(allowed)
    };
    commands.len() <= 100
        && commands
            .iter()
            .all(|(name, value)| is_name(name) && value.len() <= 2048)
}
