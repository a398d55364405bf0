//! Commands that the devices of an account send each other: tabs to open, tabs to close.

use foxden_sql::Fetch;

use crate::register::device;
use crate::{AccountError, Accounts, DeviceId, DeviceOwner};

/// The greatest payload of a command, in bytes.
const PAYLOAD: usize = 16 * 1024;
/// Commands kept for a device, given at once, and how long, in seconds.
const KEPT: i64 = 1000;
const PAGE: u32 = 100;
const TTL: u64 = 30 * 24 * 3600;
const TTL_MAX: u64 = 10_000_000;
/// How the commands begin that close tabs; a version follows.
const CLOSE_TABS: &str = "https://identity.mozilla.com/cmd/close-uri";

/// A command from one device to another.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The device it is for.
    pub target: DeviceId,
    /// The command's name.
    pub command: String,
    /// Its content: the text of a JSON object, opaque.
    pub payload: String,
    /// Seconds it is worth keeping.
    pub ttl: Option<u64>,
}

/// A command that waits for its device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedCommand {
    /// Its number; rises by one with each command to the device.
    pub index: u64,
    /// The command's name.
    pub command: String,
    /// The text of a JSON object.
    pub payload: String,
    /// The device it comes from, if that still has a record.
    pub sender: Option<DeviceId>,
}

/// A page of waiting commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandPage {
    /// The highest index given; without any the one asked for.
    pub index: u64,
    /// Whether nothing follows.
    pub is_last: bool,
    /// In order.
    pub messages: Vec<QueuedCommand>,
}

impl Accounts {
    /// Queues a command for another device of the account.
    pub async fn invoke(&self, owner: DeviceOwner<'_>, invocation: Invocation) -> Result<(), AccountError> {
        if invocation.payload.len() > PAYLOAD {
            return Err(AccountError::Invalid { what: "payload" });
        }
        let tx = self.0.database.begin().await?;
        let known = device::of(&tx, owner.account()).await?;
        let target = known
            .iter()
            .find(|row| row.id == invocation.target)
            .ok_or(AccountError::UnknownDevice)?;
        let takes = target.clone().open(owner)?.commands;
        if !takes.contains_key(&invocation.command) {
            return Err(AccountError::NoSuchCommand);
        }
        let ttl = i64::try_from(invocation.ttl.unwrap_or(TTL).min(TTL_MAX)).unwrap_or(0);
        let queued = QueuedCommand {
            index: 0,
            command: invocation.command,
            payload: invocation.payload,
            sender: known.iter().find(|row| owner.owns(row)).map(|row| row.id),
        };
        device::enqueue(&tx, invocation.target, &queued, self.millis() + ttl * 1000, KEPT).await?;
        Ok(tx.commit().await?)
    }

    /// The caller's waiting commands from `index` on; at most `limit`, at most 100, for desktops at most one that closes
    /// tabs. Those below `index` are deleted: the caller has them. An index that the device was never given says nothing
    /// of what the caller has: the register was restored, or the caller registered anew. It gets all that wait.
    pub async fn commands(
        &self,
        owner: DeviceOwner<'_>,
        index: u64,
        limit: Option<u64>,
    ) -> Result<CommandPage, AccountError> {
        let database = &self.0.database;
        let own = own_device(database, owner).await?;
        let limit = limit.map_or(PAGE, |limit| u32::try_from(limit).unwrap_or(PAGE).clamp(1, PAGE));
        let from = i64::try_from(index).unwrap_or(i64::MAX);
        let is_known = from <= device::last_index(database, own).await? + 1;
        let from = if is_known { from } else { 0 };
        self.delete_received(own, from).await?;
        if owner.is_desktop() && self.0.quiet.covers(own, self.steady()) {
            return Ok(CommandPage::empty(index));
        }
        let mut messages = device::commands(database, own, from, self.millis(), limit + 1).await?;
        let waiting = messages.len();
        messages.truncate(limit as usize);
        if owner.is_desktop() {
            end_before_second_close(&mut messages);
        }
        Ok(CommandPage {
            index: messages.last().map_or(index, |message| message.index),
            is_last: messages.len() == waiting,
            messages,
        })
    }

    /// Deletes what the device has received: a browser that loses its record asks from 0 on again, and would open
    /// the same tabs a second time.
    async fn delete_received(&self, own: DeviceId, index: i64) -> Result<(), AccountError> {
        if !device::has_commands_below(&self.0.database, own, index).await? {
            return Ok(());
        }
        let tx = self.0.database.begin().await?;
        device::delete_commands_below(&tx, own, index).await?;
        Ok(tx.commit().await?)
    }
}

impl CommandPage {
    const fn empty(index: u64) -> Self {
        Self {
            index,
            is_last: true,
            messages: Vec::new(),
        }
    }
}

/// A desktop closes the tabs of the first such command of an answer, and takes the others for done.
fn end_before_second_close(messages: &mut Vec<QueuedCommand>) {
    let closes =
        |(at, message): (usize, &QueuedCommand)| message.command.starts_with(CLOSE_TABS).then_some(at);
    if let Some(second) = messages.iter().enumerate().filter_map(closes).nth(1) {
        messages.truncate(second);
    }
}

async fn own_device(from: &impl Fetch, owner: DeviceOwner<'_>) -> Result<DeviceId, AccountError> {
    let known = device::of(from, owner.account()).await?;
    let own = known.iter().find(|row| owner.owns(row));
    own.map(|row| row.id).ok_or(AccountError::UnknownDevice)
}
