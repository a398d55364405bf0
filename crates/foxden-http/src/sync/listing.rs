//! Prints lists of objects: at once if they fit into a page, otherwise page after page while the client reads.

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
use crate::wire::memory::{MemoryFull, MemoryPermit, Owner, body_with_permit};

/// Bytes after which a chunk of a long list is sent.
const CHUNK_BYTES: usize = 64 * 1024;
/// The capacity of a chunk, unless an object is larger.
const PIECE_BYTES: usize = CHUNK_BYTES + CHUNK_BYTES / 4;
/// Bytes of a printed object besides its payload and id.
const ENTRY_OVERHEAD: usize = 80;

/// The memory of a page, unless an object is larger, with the other fields of its objects and two printed chunks.
const PAGE_BYTES: u64 = (1 << 20) + (1 << 17) + 2 * PIECE_BYTES as u64;

/// Prints one object in a dialect.
pub(super) type PrintObject = fn(&mut Vec<u8>, &Row<'_>);

/// The owner of the objects, whose memory share the response uses.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    /// The user whose objects are listed.
    pub(super) user: UserId,
    /// The owner of the memory.
    pub(super) owner: Owner,
}

/// A list whose first page has been read.
pub(super) struct List<'s> {
    storage: &'s Storage,
    user: UserId,
    query: Query,
    page: Page,
    /// The memory of the page.
    permit: MemoryPermit,
}

/// A printed list.
pub(super) struct PrintedList {
    /// The number of elements; `None` if they cannot be counted before they are sent.
    pub(super) records: Option<usize>,
    /// Where the next request continues.
    pub(super) next: Option<PageToken>,
    pub(super) body: Body,
}

impl<'s> List<'s> {
    /// Reads the first page once there is memory for it: otherwise many concurrent requests would each read a page only to be
    /// refused.
    pub(super) async fn open<E>(sync: &'s SyncState, reader: Reader, query: Query) -> Result<Self, E>
    where
        E: From<StorageError> + From<MemoryFull>,
    {
        let storage = &sync.storage;
        let permit = sync.memory.lists.take(reader.owner, PAGE_BYTES).await?;
        let page = storage.read(reader.user, &query).await?;
        Ok(Self {
            storage,
            user: reader.user,
            query,
            page,
            permit,
        })
    }

    /// When the collection last changed; zero if it does not exist.
    pub(super) fn modified(&self) -> SyncTime {
        self.page.modified.unwrap_or(SyncTime::ZERO)
    }

    /// Every write of the user that is not in the list has a later time.
    pub(super) const fn as_of(&self) -> SyncTime {
        self.page.as_of
    }

    /// Prints everything that the query asks for, however much it is.
    pub(super) async fn print<E>(self, format: Format, object: PrintObject) -> Result<PrintedList, E>
    where
        E: From<StorageError> + From<MemoryFull>,
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
            return Ok(PrintedList {
                records: Some(rows.len()),
                body: body_with_permit(permit, printer.whole(rows)),
                next: self.page.next,
            });
        }
        // Each of the following pages may be full.
        self.permit
            .resize(PAGE_BYTES.max(Stream::bytes(&self.page.rows)))?;
        let permit = self.permit;
        let mut page = self.page;
        let mut remaining = RemainingPages {
            storage: self.storage.clone(),
            user: self.user,
            query: self.query,
        };
        remaining.query.selection.until = Some(modified);
        let (mut records, mut next) = (None, None);
        if remaining.query.limit.is_some() {
            let range = remaining.range(&page).await?;
            remaining.query.limit = Some(range.records as u64);
            (records, next) = (Some(range.records), range.next);
        }
        remaining.advance(&mut page);
        let body = Body::new(ListBody::new(Stream::new(remaining, printer, page.rows, permit)));
        Ok(PrintedList { records, next, body })
    }
}

/// The pages that are not read yet.
struct RemainingPages {
    storage: Storage,
    user: UserId,
    query: Query,
}

/// How far a limit reaches.
struct Range {
    records: usize,
    next: Option<PageToken>,
}

impl RemainingPages {
    /// Reads the ids of the following pages, as the headers come before the body.
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

    /// Moves past a page. Limit and cursor then tell whether anything is left.
    fn advance(&mut self, page: &mut Page) {
        if let Some(limit) = &mut self.query.limit {
            *limit = limit.saturating_sub(page.rows.len() as u64);
        }
        match page.next.take() {
            Some(token) => self.query.cursor = Cursor::After(token),
            None => self.query.limit = Some(0),
        }
    }

    async fn read(&mut self) -> Result<Option<Arc<Rows>>, StorageError> {
        if self.query.limit == Some(0) {
            return Ok(None);
        }
        let mut page = self.storage.read(self.user, &self.query).await?;
        self.advance(&mut page);
        Ok(Some(page.rows))
    }
}

/// Prints objects one after another.
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

    /// Estimates the length of printed rows, unless much of them is escaped.
    fn length(rows: &Rows) -> usize {
        rows.bytes() + rows.bytes() / 16 + rows.len() * ENTRY_OVERHEAD + 2
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
                // A printed object has a few megabytes at most.
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

/// A long list while it is sent. It holds one page, and the chunks that the client has not received.
struct Stream {
    /// Counts the memory held.
    permit: Arc<MemoryPermit>,
    remaining: RemainingPages,
    printer: Printer,
    rows: Arc<Rows>,
    printed: usize,
    is_ended: bool,
}

type NextPiece = Result<(Option<Bytes>, Stream), StorageError>;

impl Stream {
    fn new(remaining: RemainingPages, printer: Printer, rows: Arc<Rows>, permit: MemoryPermit) -> Self {
        Self {
            permit: Arc::new(permit),
            remaining,
            printer,
            rows,
            printed: 0,
            is_ended: false,
        }
    }

    /// The memory of a page, with the chunk being printed and the one before, which may still be in transit.
    fn bytes(rows: &Rows) -> u64 {
        (rows.held() + 2 * PIECE_BYTES) as u64
    }

    /// Prints the next chunk, after other tasks had their turn: the system may take many chunks at once, and one
    /// client would block the thread until then.
    async fn next_piece(mut self) -> NextPiece {
        tokio::task::yield_now().await;
        let mut out = Vec::with_capacity(PIECE_BYTES);
        while !self.is_ended && out.len() < CHUNK_BYTES {
            self.print(&mut out);
            if self.printed < self.rows.len() {
                break;
            }
            if let Some(rows) = self.remaining.read().await? {
                self.permit.set(PAGE_BYTES.max(Self::bytes(&rows)));
                (self.rows, self.printed) = (rows, 0);
            } else {
                self.printer.end(&mut out);
                self.is_ended = true;
                // Only the last chunks are left.
                self.rows = Arc::default();
                self.printed = 0;
                self.permit.set(Self::bytes(&self.rows));
            }
        }
        if out.capacity() > PIECE_BYTES {
            // A single object is that large.
            let rows = Self::bytes(&self.rows);
            let held = if self.is_ended { rows } else { PAGE_BYTES.max(rows) };
            self.permit.set(held + out.capacity() as u64);
        }
        let chunk = (!out.is_empty()).then(|| MemoryPermit::hold_part(&self.permit, out));
        Ok((chunk, self))
    }

    fn print(&mut self, out: &mut Vec<u8>) {
        for row in self.rows.iter().skip(self.printed) {
            if out.len() >= CHUNK_BYTES {
                return;
            }
            self.printer.row(out, &row);
            self.printed += 1;
        }
    }
}

/// A stream as a body. A page that cannot be read breaks the connection, so that no client takes a part for the
/// whole list.
struct ListBody {
    next_piece: Option<Pin<Box<dyn Future<Output = NextPiece> + Send>>>,
}

impl ListBody {
    fn new(stream: Stream) -> Self {
        Self {
            next_piece: Some(Box::pin(stream.next_piece())),
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
        let Some(next_piece) = &mut self.next_piece else {
            return Poll::Ready(None);
        };
        let done = ready!(next_piece.as_mut().poll(context));
        self.next_piece = None;
        Poll::Ready(match done {
            Ok((Some(chunk), stream)) => {
                self.next_piece = Some(Box::pin(stream.next_piece()));
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
