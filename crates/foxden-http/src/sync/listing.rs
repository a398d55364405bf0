//! Prints lists of objects: whole if they fit one page, else page after page while the client reads.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use foxden_model::{SyncTime, UserId};
use foxden_storage::{Cursor, Fields, Page, PageToken, Query, Row, Rows, Storage, StorageError};
use http_body::Frame;

use super::reply::Format;
use super::{SyncState, print};
use crate::wire::chain;
use crate::wire::memory::{MemoryPermit, NoRoom, Owner, body_with_permit};

/// Bytes after which a piece of a long list is sent.
const CHUNK: usize = 64 * 1024;
/// Bytes that a piece takes, unless an object is larger.
const PIECE: usize = CHUNK + CHUNK / 4;
/// Bytes that an object takes in print besides its payload and id.
const FRAME: usize = 80;

/// Bytes that a page takes, unless a single object is larger, with what is kept of each of its objects besides, and the pieces
/// of it that are in print.
const PAGE: u64 = (1 << 20) + (1 << 17) + 2 * PIECE as u64;

/// Prints one object in a dialect's words.
pub(super) type PrintObject = fn(&mut Vec<u8>, &Row<'_>);

/// Who asks for a list.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    /// Whose objects.
    pub(super) user: UserId,
    /// Whose memory it takes.
    pub(super) owner: Owner,
}

/// A list of which the first page is read.
pub(super) struct List<'s> {
    storage: &'s Storage,
    user: UserId,
    query: Query,
    page: Page,
    /// What was set aside for the page.
    permit: MemoryPermit,
}

/// A list as it is sent.
pub(super) struct Printed {
    /// How many elements it has; `None`: too many to be counted before they are sent.
    pub(super) records: Option<usize>,
    /// Where to go on.
    pub(super) next: Option<PageToken>,
    pub(super) body: Body,
}

impl<'s> List<'s> {
    /// Reads the first page, unless the owner's answers hold all the memory they may. Room for it is set aside before it is
    /// read: else as many pages as are asked for at once would be read, for nothing, and held meanwhile.
    pub(super) async fn open<E>(sync: &'s SyncState, reader: Reader, query: Query) -> Result<Self, E>
    where
        E: From<StorageError> + From<NoRoom>,
    {
        let storage = &sync.storage;
        let permit = sync.memory.answers.take(reader.owner, PAGE)?;
        let mut page = storage.read(reader.user, &query).await?;
        page.rows.shrink_to_fit();
        Ok(Self {
            storage,
            user: reader.user,
            query,
            page,
            permit,
        })
    }

    /// When the collection last changed; zero if there is none.
    pub(super) fn modified(&self) -> SyncTime {
        self.page.modified.unwrap_or(SyncTime::ZERO)
    }

    /// Every write of the user that is not in the list has a later time.
    pub(super) const fn as_of(&self) -> SyncTime {
        self.page.as_of
    }

    /// Prints all that the query asks for, never less because it is much.
    pub(super) async fn print<E>(self, format: Format, object: PrintObject) -> Result<Printed, E>
    where
        E: From<StorageError> + From<NoRoom>,
    {
        let modified = self.modified();
        let wanted = self.query.limit.unwrap_or(u64::MAX);
        let printer = Printer::new(format, self.query.fields, object);
        let is_whole = self.page.next.is_none() || self.page.rows.len() as u64 >= wanted;
        if is_whole {
            let rows = &self.page.rows;
            let permit = self
                .permit
                .resize_for_answer(rows.bytes() + Printer::length(rows))?;
            return Ok(Printed {
                records: Some(rows.len()),
                body: body_with_permit(permit, printer.whole(rows)),
                next: self.page.next,
            });
        }
        // Of the pages that follow each may be a full one.
        self.permit.resize(PAGE.max(Stream::bytes(&self.page.rows)))?;
        let permit = self.permit;
        let mut page = self.page;
        let mut rest = Rest {
            storage: self.storage.clone(),
            user: self.user,
            query: self.query,
        };
        rest.query.selection.until = Some(modified);
        let (mut records, mut next) = (None, None);
        if rest.query.limit.is_some() {
            let range = rest.range(&page).await?;
            rest.query.limit = Some(range.records as u64);
            (records, next) = (Some(range.records), range.next);
        }
        rest.advance(&mut page);
        let body = Body::new(ListBody::new(Stream::new(rest, printer, page.rows, permit)));
        Ok(Printed { records, next, body })
    }
}

/// What of a list has not been read yet.
struct Rest {
    storage: Storage,
    user: UserId,
    query: Query,
}

/// How far a limit reaches.
struct Range {
    records: usize,
    next: Option<PageToken>,
}

impl Rest {
    /// Looks ahead, at ids alone, so that the headers can tell of what the body will hold.
    async fn range(&self, first: &Page) -> Result<Range, StorageError> {
        let mut records = first.rows.len();
        let mut next = first.next.clone();
        let wanted = self.query.limit.unwrap_or(u64::MAX);
        let mut query = Query {
            fields: Fields::Ids,
            ..self.query.clone()
        };
        while (records as u64) < wanted
            && let Some(token) = next.take()
        {
            query.cursor = Cursor::After(token);
            query.limit = Some(wanted - records as u64);
            let page = self.storage.read(self.user, &query).await?;
            records += page.rows.len();
            next = page.next;
        }
        Ok(Range { records, next })
    }

    /// Moves on behind a page; whether there is anything left is then in the limit and the cursor.
    fn advance(&mut self, page: &mut Page) {
        if let Some(limit) = &mut self.query.limit {
            *limit = limit.saturating_sub(page.rows.len() as u64);
        }
        match page.next.take() {
            Some(token) => self.query.cursor = Cursor::After(token),
            None => self.query.limit = Some(0),
        }
    }

    async fn read(&mut self) -> Result<Option<Rows>, StorageError> {
        if self.query.limit == Some(0) {
            return Ok(None);
        }
        let mut page = self.storage.read(self.user, &self.query).await?;
        page.rows.shrink_to_fit();
        self.advance(&mut page);
        Ok(Some(page.rows))
    }
}

/// Prints objects one after the other.
struct Printer {
    format: Format,
    fields: Fields,
    object: PrintObject,
    is_first: bool,
}

impl Printer {
    const fn new(format: Format, fields: Fields, object: PrintObject) -> Self {
        Self {
            format,
            fields,
            object,
            is_first: true,
        }
    }

    /// How long a page is in print, unless much of it must be escaped.
    fn length(rows: &Rows) -> usize {
        rows.bytes() + rows.bytes() / 16 + rows.len() * FRAME + 2
    }

    fn whole(mut self, rows: &Rows) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::length(rows));
        for row in rows.iter() {
            self.row(&mut out, &row);
        }
        self.end(&mut out);
        out
    }

    fn row(&mut self, out: &mut Vec<u8>, row: &Row<'_>) {
        match self.format {
            Format::Json => {
                out.push(if self.is_first { b'[' } else { b',' });
                self.element(out, row);
            }
            Format::Newlines => {
                self.element(out, row);
                out.push(b'\n');
            }
            Format::Whoisi => {
                let start = out.len() + 4;
                out.extend_from_slice(&[0; 4]);
                self.element(out, row);
                // Of an object in print no more than a few megabytes.
                let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
                out[start - 4..start].copy_from_slice(&length.to_be_bytes());
            }
        }
        self.is_first = false;
    }

    fn element(&self, out: &mut Vec<u8>, row: &Row<'_>) {
        match self.fields {
            Fields::Ids => print::string(out, row.id),
            Fields::Whole => (self.object)(out, row),
        }
    }

    fn end(&self, out: &mut Vec<u8>) {
        if self.format == Format::Json {
            out.extend_from_slice(if self.is_first { b"[]" } else { b"]" });
        }
    }
}

/// A long list on its way to the client. It holds one page at a time, and the pieces that the client has not taken.
struct Stream {
    /// Counts what is held.
    permit: Arc<MemoryPermit>,
    rest: Rest,
    printer: Printer,
    rows: Rows,
    printed: usize,
    is_ended: bool,
}

type Step = Result<(Option<Bytes>, Stream), StorageError>;

impl Stream {
    fn new(rest: Rest, printer: Printer, rows: Rows, permit: MemoryPermit) -> Self {
        Self {
            permit: Arc::new(permit),
            rest,
            printer,
            rows,
            printed: 0,
            is_ended: false,
        }
    }

    /// What a page takes, with a piece of it in print and the piece before, which may still be under way.
    fn bytes(rows: &Rows) -> u64 {
        (rows.held() + 2 * PIECE) as u64
    }

    /// Prints the next piece, after others have had their turn: the system may take many pieces at once, and whoever asks for
    /// them would have the thread to itself until then.
    async fn step(mut self) -> Step {
        tokio::task::yield_now().await;
        let mut out = Vec::with_capacity(PIECE);
        while !self.is_ended && out.len() < CHUNK {
            self.print(&mut out);
            if self.printed < self.rows.len() {
                break;
            }
            if let Some(rows) = self.rest.read().await? {
                self.permit.set(PAGE.max(Self::bytes(&rows)));
                (self.rows, self.printed) = (rows, 0);
            } else {
                self.printer.end(&mut out);
                self.is_ended = true;
                // What is left are the last pieces.
                self.rows = Rows::default();
                self.printed = 0;
                self.permit.set(Self::bytes(&self.rows));
            }
        }
        if out.capacity() > PIECE {
            // A single object is that large.
            let rows = Self::bytes(&self.rows);
            let held = if self.is_ended { rows } else { PAGE.max(rows) };
            self.permit.set(held + out.capacity() as u64);
        }
        let chunk = (!out.is_empty()).then(|| MemoryPermit::hold_part(&self.permit, out));
        Ok((chunk, self))
    }

    fn print(&mut self, out: &mut Vec<u8>) {
        for row in self.rows.iter().skip(self.printed) {
            if out.len() >= CHUNK {
                return;
            }
            self.printer.row(out, &row);
            self.printed += 1;
        }
    }
}

/// A stream as a body. A page that cannot be read breaks the connection off, so that nobody takes what
/// came before it for the whole.
struct ListBody {
    step: Option<Pin<Box<dyn Future<Output = Step> + Send>>>,
}

impl ListBody {
    fn new(stream: Stream) -> Self {
        Self {
            step: Some(Box::pin(stream.step())),
        }
    }
}

impl http_body::Body for ListBody {
    type Data = Bytes;
    type Error = StorageError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StorageError>>> {
        let Some(step) = &mut self.step else {
            return Poll::Ready(None);
        };
        let done = ready!(step.as_mut().poll(context));
        self.step = None;
        Poll::Ready(match done {
            Ok((Some(chunk), stream)) => {
                self.step = Some(Box::pin(stream.step()));
                Some(Ok(Frame::data(chunk)))
            }
            Ok((None, _)) => None,
            Err(error) => {
                tracing::error!("a list was broken off: {}", chain(&error));
                Some(Err(error))
            }
        })
    }
}
