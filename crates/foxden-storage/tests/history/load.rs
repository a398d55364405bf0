//! Clients that write and read concurrently, and the records of their calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foxden_model::{Rng, SeededRng, SyncTime};
use foxden_storage::conformance::history::{Call, Effect, Event, GuardRecord, Rows, SeenRow};
use foxden_storage::conformance::{EngineFixture, TestContext, collection, id, payload};
use foxden_storage::{
    BatchId, BatchPart, Change, Cursor, Detail, Engine, EngineError, Fields, Guard, Order, Query, Selection,
    Target, Write,
};
use tokio::task::JoinSet;

const CLIENTS: u64 = 8;
const CALLS: u64 = 400;
pub(crate) const COLLECTIONS: [&str; 2] = ["bookmarks", "history"];
const OBJECTS: [&str; 4] = ["a", "b", "c", "d"];

/// Runs all clients on one user and returns their calls, with a final read of everything.
pub(crate) async fn run(fixture: EngineFixture, engine: Arc<dyn Engine>) -> Vec<Call> {
    let ctx = TestContext::new(fixture, engine);
    let ticks = Arc::new(AtomicU64::new(0));
    let batches = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let client = Client {
            ctx: ctx.clone(),
            ticks: Arc::clone(&ticks),
            batches: Arc::clone(&batches),
            rng: SeededRng::new(number),
            number,
            seen: SyncTime::ZERO,
            calls: Vec::new(),
        };
        clients.spawn(client.work());
    }
    let mut history = Vec::new();
    while let Some(calls) = clients.join_next().await {
        history.extend(calls.expect("no client panics"));
    }
    let mut last = Client {
        ctx,
        ticks,
        batches,
        rng: SeededRng::new(CLIENTS),
        number: CLIENTS,
        seen: SyncTime::ZERO,
        calls: Vec::new(),
    };
    last.summary().await;
    for name in COLLECTIONS {
        last.read(name).await;
    }
    history.extend(last.calls);
    history
}

struct Client {
    ctx: TestContext,
    ticks: Arc<AtomicU64>,
    /// Open batches, which any client may commit.
    batches: Arc<std::sync::Mutex<Vec<Open>>>,
    rng: SeededRng,
    number: u64,
    /// A collection's time from the last read, for the guard of the next write.
    seen: SyncTime,
    calls: Vec<Call>,
}

#[derive(Clone)]
struct Open {
    batch: BatchId,
    collection: &'static str,
    rows: Rows,
}

impl Client {
    async fn work(mut self) -> Vec<Call> {
        for round in 0..CALLS {
            self.ctx
                .clock
                .advance_millis([0, 0, 10, 30, -40, 70][self.draw(6)]);
            let name = COLLECTIONS[self.draw(COLLECTIONS.len())];
            match self.draw(16) {
                0..5 => self.put(name, round, None).await,
                5..8 => {
                    let guard = GuardRecord {
                        collection: name,
                        since: self.seen,
                    };
                    self.put(name, round, Some(guard)).await;
                }
                8 => {
                    let object = OBJECTS[self.draw(OBJECTS.len())].to_owned();
                    self.write(
                        Effect::DeleteObject {
                            collection: name,
                            object,
                            or_refuse: true,
                        },
                        None,
                    )
                    .await;
                }
                9 => self.delete_much(name).await,
                10 => self.stage(name, round).await,
                11 => self.commit().await,
                12..15 => self.read(name).await,
                _ => self.summary().await,
            }
            tokio::task::yield_now().await;
        }
        self.calls
    }

    fn draw(&self, below: usize) -> usize {
        let mut bytes = [0; 2];
        self.rng.fill(&mut bytes);
        usize::from(u16::from_le_bytes(bytes)) % below
    }

    fn record(&mut self, start: u64, end: u64, event: Event) {
        self.calls.push(Call {
            client: self.number,
            start,
            end,
            event,
        });
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// Up to three objects with a payload that no other client writes, of a random length.
    fn rows(&self, round: u64) -> Rows {
        let filler = "x".repeat(self.draw(20));
        let text = format!("{} of {}{filler}", round, self.number);
        let ids = (0..=self.draw(3)).map(|_| OBJECTS[self.draw(OBJECTS.len())]);
        ids.map(|id| (id.to_owned(), text.clone())).collect()
    }

    async fn put(&mut self, collection: &'static str, round: u64, guard: Option<GuardRecord>) {
        let rows = self.rows(round);
        self.write(
            Effect::Put {
                collection,
                rows,
                batch: None,
            },
            guard,
        )
        .await;
    }

    async fn delete_much(&mut self, collection: &'static str) {
        let effect = match self.draw(5) {
            0 => Effect::DeleteAll,
            other => Effect::DeleteCollection {
                collection,
                keeps_name: other % 2 == 0,
            },
        };
        self.write(effect, None).await;
    }

    async fn stage(&mut self, name: &'static str, round: u64) {
        let rows = self.rows(round);
        let part = BatchPart {
            collection: collection(name),
            batch: None,
            guard: None,
            patches: rows.iter().map(|(id, text)| payload(id, text)).collect(),
            max_objects: 100,
            max_bytes: 10_000,
            max_open_bytes: u64::MAX,
            quota: None,
        };
        let staged = self.ctx.try_stage(part).await.expect("a batch can be opened");
        let open = Open {
            batch: staged.batch,
            collection: name,
            rows,
        };
        self.batches.lock().expect("no client panics").push(open);
    }

    /// Commits a batch, which another client may commit at the same time.
    async fn commit(&mut self) {
        let open = {
            let batches = self.batches.lock().expect("no client panics");
            match batches.len() {
                0 => return,
                length => batches[length - 1 - self.draw(length.min(3))].clone(),
            }
        };
        let effect = Effect::Put {
            collection: open.collection,
            rows: open.rows,
            batch: Some(open.batch),
        };
        self.write(effect, None).await;
    }

    async fn write(&mut self, effect: Effect, guard: Option<GuardRecord>) {
        let write = Write {
            guard: guard.map(|guard| Guard {
                target: Target::Collection(collection(guard.collection)),
                unmodified_since: guard.since,
            }),
            ..Write::new(change(&effect))
        };
        let start = self.tick();
        let answer = self.ctx.try_write(write).await;
        let end = self.tick();
        let event = match answer {
            Ok(written) if written.changed => Event::Wrote {
                effect,
                guard,
                time: written.modified,
                bytes: Some((written.bytes_before, written.bytes_after)),
            },
            Ok(written) => Event::Idle {
                effect,
                time: Some(written.modified),
            },
            Err(EngineError::Stale { modified }) => {
                let guard = guard.expect("only a guard refuses");
                Event::Refused { guard, modified }
            }
            Err(EngineError::NoSuchBatch) => match effect {
                Effect::Put {
                    batch: Some(batch), ..
                } => Event::Lost { batch },
                other => panic!("no batch for {other:?}"),
            },
            // The write had no effect.
            Err(EngineError::Busy) => return,
            Err(other) => panic!("{other}"),
        };
        self.record(start, end, event);
    }

    pub(crate) async fn read(&mut self, name: &'static str) {
        let mut query = Query::all(collection(name), Fields::Whole);
        query.order = [Order::Newest, Order::Oldest, Order::Index][self.draw(3)];
        query.cursor = Cursor::Start;
        let start = self.tick();
        let page = self.ctx.page(&query).await;
        let end = self.tick();
        self.seen = page.modified.unwrap_or_default();
        let rows = page
            .rows
            .iter()
            .map(|row| {
                let seen = SeenRow {
                    payload: row.payload.to_owned(),
                    modified: row.modified,
                };
                (row.id.to_owned(), seen)
            })
            .collect();
        let event = Event::Read {
            collection: name,
            newer: None,
            seen: page.modified,
            rows,
            as_of: Some(page.as_of),
        };
        self.record(start, end, event);
    }

    async fn summary(&mut self) {
        let start = self.tick();
        let summary = self.ctx.summary(Detail::Times).await;
        let end = self.tick();
        let collections = summary
            .collections
            .iter()
            .map(|held| (held.name.to_string(), held.modified));
        let event = Event::Summary {
            modified: summary.modified,
            collections: collections.collect(),
            as_of: Some(summary.as_of),
        };
        self.record(start, end, event);
    }
}

fn change(effect: &Effect) -> Change {
    let patches = |rows: &Rows| rows.iter().map(|(id, text)| payload(id, text)).collect();
    match effect {
        Effect::Put {
            collection: name,
            batch: Some(batch),
            ..
        } => Change::CommitBatch {
            collection: collection(name),
            batch: batch.clone(),
            patches: Vec::new(),
            max_objects: 10_000,
            max_bytes: 1 << 30,
        },
        Effect::Put {
            collection: name,
            rows,
            batch: None,
        } => Change::Upsert {
            collection: collection(name),
            patches: patches(rows),
        },
        Effect::DeleteObject {
            collection: name,
            object,
            or_refuse,
        } => Change::DeleteObjects {
            collection: collection(name),
            selection: Selection {
                ids: Some(vec![id(object)]),
                ..Selection::default()
            },
            order: Order::default(),
            limit: None,
            or_refuse: *or_refuse,
        },
        Effect::DeleteCollection {
            collection: name,
            keeps_name,
        } => Change::DeleteCollection {
            collection: collection(name),
            keeps_name: *keeps_name,
        },
        Effect::DeleteAll => Change::DeleteAll,
    }
}
