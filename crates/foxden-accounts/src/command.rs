//! Commands that the devices of an account send each other: tabs to open, tabs to close.

use crate::register::device;
use crate::security::{EntryPoint, Event, EventKind};
use crate::{AccountId, Accounts, DeviceError, DeviceField, DeviceId, DeviceOwner, Unavailable};

/// The greatest payload of a command, in bytes.
const PAYLOAD: usize = 16 * 1024;
/// Commands kept for a device, given at once, and how long, in seconds.
const KEPT: i64 = 1000;
const PAGE: u32 = 100;
/// Bytes of commands kept for all devices of an account together, with what a row takes besides; those that expire first
/// make room. It is 250 of the largest tabs.
const KEPT_BYTES: u64 = 4 * 1024 * 1024;
const ROW_BYTES: u32 = 256;
/// Bytes given at once, unless a single command is larger.
const PAGE_BYTES: u64 = 512 * 1024;
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
    pub async fn invoke(&self, owner: DeviceOwner<'_>, invocation: Invocation) -> Result<(), DeviceError> {
        if invocation.payload.len() > PAYLOAD {
            return Err(DeviceError::Invalid(DeviceField::Payload));
        }
        let ttl = i64::try_from(invocation.ttl.unwrap_or(TTL).min(TTL_MAX)).unwrap_or(0);
        let (account, invocation) = (owner.account(), &invocation);
        let queued = self.transact(|tx| async move {
            let target = device::get(&tx, account, invocation.target).await?;
            let target = target.ok_or(DeviceError::UnknownDevice)?;
            let takes = target.open(owner)?.commands;
            if !takes.contains_key(&invocation.command) {
                return Err(DeviceError::NoSuchCommand);
            }
            let queued = QueuedCommand {
                index: 0,
                command: invocation.command.clone(),
                payload: invocation.payload.clone(),
                sender: owner.own(&tx).await?.map(|row| row.id),
            };
            let now = self.millis();
            device::enqueue(&tx, invocation.target, &queued, now + ttl * 1000, KEPT).await?;
            Ok(device::trim_commands(&tx, account, KEPT_BYTES, ROW_BYTES).await?)
        });
        let trimmed = queued.await?;
        if trimmed > 0 {
            self.report_eviction(account, "bytes of waiting commands", trimmed);
        }
        Ok(())
    }

    /// Reports that entries of an account were evicted: to the security log, and to the log once a minute at most.
    pub(crate) fn report_eviction(&self, account: AccountId, of: &str, count: u64) {
        let full = Event::new(EventKind::LimitReached, EntryPoint::Accounts, None);
        self.emit(&full.with_account(account).with_reason(of));
        if let Some(suppressed) = self.0.crowded.should_log() {
            tracing::warn!("account {account} has too many {of}: {count} made room{suppressed}");
        }
    }

    /// The most bytes that [`Self::commands`] loads.
    pub async fn commands_weight(&self, owner: DeviceOwner<'_>) -> Result<u64, Unavailable> {
        let database = &self.0.database;
        let Some(own) = owner.own(database).await? else {
            return Ok(0);
        };
        let sizes = device::command_sizes(database, own.id, 0, self.millis(), PAGE * 10).await?;
        let waiting: u64 = sizes.iter().map(|(_, bytes)| bytes + u64::from(ROW_BYTES)).sum();
        Ok(waiting.min(PAGE_BYTES + u64::from(PAGE * ROW_BYTES)))
    }

    /// The caller's waiting commands from `index` on; at most `limit`, at most 100 or half a megabyte, for desktops at
    /// most one that closes tabs. Those below `index` are deleted: the caller has them. An index that the device was never
    /// given says nothing of what the caller has: the register was restored, or the caller registered anew. It gets all
    /// that wait.
    pub async fn commands(
        &self,
        owner: DeviceOwner<'_>,
        index: u64,
        limit: Option<u64>,
    ) -> Result<CommandPage, DeviceError> {
        let database = &self.0.database;
        let own = owner.own(database).await?.ok_or(DeviceError::UnknownDevice)?.id;
        let limit = limit.map_or(PAGE, |limit| u32::try_from(limit).unwrap_or(PAGE).clamp(1, PAGE));
        let from = i64::try_from(index).unwrap_or(i64::MAX);
        let is_known = from <= device::last_index(database, own).await? + 1;
        let from = if is_known { from } else { 0 };
        self.delete_received(own, from).await?;
        if owner.is_desktop() && self.0.command_delay.is_active(own, self.steady()) {
            return Ok(CommandPage::empty(index));
        }
        let now = self.millis();
        let waiting = device::command_sizes(database, own, from, now, limit + 1).await?;
        let Some(last) = last_of_page(&waiting, limit) else {
            return Ok(CommandPage::empty(index));
        };
        let mut messages = device::commands(database, own, (from, last), now).await?;
        let waiting = waiting.len();
        if owner.is_desktop() {
            end_before_second_close(&mut messages);
        }
        Ok(CommandPage {
            index: messages.last().map_or(index, |message| message.index),
            is_last: messages.len() == waiting,
            messages,
        })
    }

    /// Deletes commands that the device has received. A browser that loses its state asks from 0 on again, and would
    /// open the same tabs a second time.
    async fn delete_received(&self, own: DeviceId, index: i64) -> Result<(), Unavailable> {
        if !device::has_commands_below(&self.0.database, own, index).await? {
            return Ok(());
        }
        self.transact(|tx| async move { Ok(device::delete_commands_below(&tx, own, index).await?) })
            .await
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

/// The index of the last command that a page of at most `limit` holds: the first in any case, the others while they fit.
fn last_of_page(waiting: &[(i64, u64)], limit: u32) -> Option<i64> {
    let mut bytes = 0;
    let fits = |(at, (_, length)): &(usize, &(i64, u64))| {
        bytes += length;
        *at == 0 || bytes <= PAGE_BYTES
    };
    let page = waiting.iter().take(limit as usize).enumerate();
    page.take_while(fits).last().map(|(_, (index, _))| *index)
}
