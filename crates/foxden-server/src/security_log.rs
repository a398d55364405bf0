//! The security log: one line of CEF (Common Event Format) for each security event.
//!
//! A request never waits for it. Events go into a bounded queue, and one thread writes them. Events that find the queue full,
//! or cannot be written, are counted, and a line gives their number.
//!
//! - [`signature`]: the table of events, which `docs/security-log.md` shows
//! - [`cef`]: the format of a line
//! - [`repeat_filter`]: equal refusals become one line with a count
//! - [`writer`]: the thread
//! - [`target`]: files, standard output, syslog

mod cef;
mod repeat_filter;
mod signature;
mod target;
mod writer;

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use foxden_accounts::security::{EntryPoint, Event, EventKind, SecurityEvents};
use foxden_model::Clock;

use crate::config::security_log::Sink;
use crate::tasks::Panic;
use cef::CefLine;
use signature::Signature;
use target::Target;
use writer::Writer;

/// How long the end of the program waits for events that are not written yet.
pub const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// Events that wait to be written.
const QUEUE: usize = 1024;
/// Slots that repeatable events leave to severe events and to successful actions.
const RESERVED: usize = 256;
/// How often the writer checks for counts to write.
const TICK: Duration = Duration::from_secs(1);
/// Characters of a name that are kept; no address is longer.
const NAME: usize = 256;
/// Characters of a reason or a path that are kept.
const TEXT: usize = 500;

/// Where security events go. Cheap to clone.
#[derive(Clone)]
pub struct SecurityLog(Option<Arc<Queue>>);

struct Queue {
    sender: SyncSender<WriterMessage>,
    /// Events in it.
    waiting: Arc<AtomicUsize>,
    /// Events that found the queue full, until the writer reports them.
    missed: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
}

/// A message to the writer.
enum WriterMessage {
    /// Write this, or count it.
    Write(Box<QueuedEvent>),
    /// Write all that is queued, and answer whether the target accepted it.
    Flush(SyncSender<bool>),
}

/// An event that outlives its request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct QueuedEvent {
    /// In milliseconds.
    time: i64,
    kind: EventKind,
    entry_point: EntryPoint,
    from: Option<IpAddr>,
    name: Option<String>,
    account: Option<String>,
    why: Option<String>,
    method: Option<String>,
    path: Option<String>,
}

impl SecurityLog {
    /// A log that is written nowhere.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Opens the log; `host` is the name of this server. A file that cannot be written is an error. An unreachable syslog is
    /// not: it may come back.
    pub fn open(sink: &Sink, host: &str, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let Some(target) = Target::open(sink, host)? else {
            return Ok(Self::none());
        };
        let (sender, messages) = sync_channel(QUEUE);
        let missed = Arc::default();
        let waiting = Arc::<AtomicUsize>::default();
        let writer = Writer::new(target, host, Arc::clone(&missed), Arc::clone(&clock));
        // One more thread, and nothing that a request awaits: files and pipes have no other way that cannot block.
        thread::Builder::new().name("security-log".to_owned()).spawn({
            let waiting = Arc::clone(&waiting);
            move || run(writer, &messages, &waiting)
        })?;
        Ok(Self(Some(Arc::new(Queue {
            sender,
            waiting,
            missed,
            clock,
        }))))
    }

    /// The receiver of security events for the services.
    pub fn security_events(&self) -> SecurityEvents {
        match self.0.clone() {
            Some(inside) => SecurityEvents::new(move |event| inside.take(event)),
            None => SecurityEvents::default(),
        }
    }

    /// Queues an event.
    pub fn emit(&self, event: &Event<'_>) {
        if let Some(inside) = &self.0 {
            inside.take(event);
        }
    }

    /// Waits until all queued events are written, at most `timeout`. Returns whether they are.
    pub fn flush(&self, timeout: Duration) -> bool {
        let Some(inside) = &self.0 else { return true };
        let (done, is_done) = sync_channel(1);
        // A full queue means a target that does not keep up: it is not waited for.
        inside.sender.try_send(WriterMessage::Flush(done)).is_ok()
            && is_done.recv_timeout(timeout) == Ok(true)
    }
}

impl Queue {
    fn take(&self, event: &Event<'_>) {
        let signature = Signature::of(event.kind);
        let is_ordinary = signature.is_repeatable() && !signature.is_severe();
        let places = if is_ordinary { QUEUE - RESERVED } else { QUEUE };
        let has_place = self.waiting.fetch_add(1, Ordering::Relaxed) < places;
        let is_in = has_place && {
            let event = QueuedEvent::of(event, self.clock.millis());
            self.sender
                .try_send(WriterMessage::Write(Box::new(event)))
                .is_ok()
        };
        if !is_in {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl QueuedEvent {
    fn of(event: &Event<'_>, time: i64) -> Self {
        let request = event.request;
        Self {
            time,
            kind: event.kind,
            entry_point: event.entry_point,
            from: event.from.map(|address| address.to_canonical()),
            name: event.name.map(|name| truncated(name, NAME)),
            account: event.account.map(|account| account.to_string()),
            why: event.why.map(|why| truncated(why, TEXT)),
            method: request.map(|info| truncated(info.method, NAME)),
            path: request.map(|info| truncated(info.path.split('?').next().unwrap_or_default(), TEXT)),
        }
    }
}

/// The beginning of a text; `…` marks that it was longer.
fn truncated(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn run(mut writer: Writer, messages: &Receiver<WriterMessage>, waiting: &AtomicUsize) {
    loop {
        let message = messages.recv_timeout(TICK);
        if matches!(message, Ok(WriterMessage::Write(_))) {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
        let is_over = matches!(message, Err(RecvTimeoutError::Disconnected));
        // A panic loses one line, which counts as missing; the thread continues with the others.
        if let Err(cause) = catch_unwind(AssertUnwindSafe(|| handle(&mut writer, message))) {
            tracing::error!("the security log's writer panicked: {}", Panic::new(&*cause));
            writer.count_lost_line();
        }
        if is_over {
            return;
        }
    }
}

fn handle(writer: &mut Writer, message: Result<WriterMessage, RecvTimeoutError>) {
    match message {
        Ok(WriterMessage::Write(event)) => writer.take(&event),
        Ok(WriterMessage::Flush(done)) => {
            writer.finish();
            // The caller may have stopped waiting.
            let _ = done.try_send(writer.is_flushed());
        }
        Err(RecvTimeoutError::Timeout) => writer.tick(),
        Err(RecvTimeoutError::Disconnected) => writer.finish(),
    }
}

#[cfg(test)]
mod tests;
