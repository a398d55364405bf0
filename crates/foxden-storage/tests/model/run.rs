//! Runs a sequence of commands on two engines and compares all answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foxden_model::{Clock, SyncTime};
use foxden_storage::conformance::{EngineFixture, Stored, TestContext, collection, id};
use foxden_storage::{
    BatchId, BatchPart, Budget, Change, Cursor, Detail, Engine, EngineError, Fields, Guard, MemoryEngine,
    Order, Page, Query, Selection, Staged, Target, Write, Written,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::commands::{
    COLLECTIONS, Changing, ClockMotion, Command, Guarded, ReadArgs, Selected, Staging, Targeted, When,
};

type CheckResult<T = ()> = Result<T, TestCaseError>;

pub(crate) struct Run {
    reference: TestContext,
    tested: TestContext,
    motion: ClockMotion,
    /// Every time that a write took.
    times: Vec<SyncTime>,
    batches: Vec<Opened>,
    told: BTreeMap<u64, LastTold>,
}

/// A batch, with its id in each engine.
struct Opened {
    collection: &'static str,
    reference: BatchId,
    tested: BatchId,
}

/// The times that a user was told.
#[derive(Default)]
struct LastTold {
    last: SyncTime,
    as_of: SyncTime,
    /// The highest *as of* of the tested engine alone, which may stay further behind the clock.
    tested_as_of: SyncTime,
}

impl Run {
    pub(crate) fn new(fixture: EngineFixture, tested: Arc<dyn Engine>, motion: ClockMotion) -> Self {
        let memory = MemoryEngine::new(fixture.clock.clone(), fixture.rng.clone());
        let tested = TestContext::new(fixture, tested);
        let mut reference = tested.clone();
        reference.engine = Arc::new(memory);
        Self {
            reference,
            tested,
            motion,
            times: vec![SyncTime::ZERO],
            batches: Vec::new(),
            told: BTreeMap::new(),
        }
    }

    pub(crate) async fn follow(mut self, commands: &[Command]) -> CheckResult {
        for command in commands {
            self.command(command).await?;
        }
        for user in [42, 43] {
            self.summary(user, Detail::Full).await?;
            self.counts_equal_rows(user).await?;
        }
        Ok(())
    }

    async fn command(&mut self, command: &Command) -> CheckResult {
        match command {
            Command::Clock(millis) => {
                self.tested.clock.advance_millis(*millis);
                Ok(())
            }
            Command::Write {
                user,
                guard,
                quota,
                change,
            } => {
                self.write(*user, guard.as_ref(), *quota, change).await?;
                self.look_after(*user, change).await
            }
            Command::Stage(staging) => self.stage(staging).await,
            Command::Read {
                user,
                collection,
                args,
            } => self.read(*user, collection, args).await,
            Command::Summary { user, detail } => self.summary(*user, *detail).await,
            Command::Purge { rows } => self.purge(*rows).await,
        }
    }

    async fn write(
        &mut self,
        user: u64,
        guard: Option<&Guarded>,
        quota: Option<u64>,
        change: &Changing,
    ) -> CheckResult {
        if let Changing::DeleteObjects { limit: Some(_), .. } = change {
            // The search for ties below tells the user of the engine in memory a time, so both engines get a read.
            self.summary(user, Detail::Times).await?;
        }
        let (reference, tested) = (self.reference.of_user(user), self.tested.of_user(user));
        let (for_reference, for_tested) = self.change(&reference, change).await;
        let write = |change, not_before| Write {
            guard: guard.map(|guard| self.guard(guard)),
            quota,
            not_before,
            ..Write::new(change)
        };
        // The engine in memory takes no time that it has told. An engine that has told less takes the same times.
        let told = self.told.get(&user);
        let told_less = told.filter(|told| told.tested_as_of < told.as_of);
        let not_before = told_less.map_or(SyncTime::ZERO, |told| told.as_of.next());
        let wanted = reference.try_write(write(for_reference, SyncTime::ZERO)).await;
        let answer = tested.try_write(write(for_tested, not_before)).await;
        match (wanted, answer) {
            (Ok(wanted), Ok(answer)) => self.written(user, wanted, answer),
            (Err(wanted), Err(answer)) => same_refusal(&wanted, &answer),
            (wanted, answer) => Err(TestCaseError::fail(format!(
                "memory answers {wanted:?}, the engine {answer:?}"
            ))),
        }
    }

    /// Reads the objects that a write may have changed. If the clock may slip back, there is no such read, since it would
    /// hide the behaviour without one.
    async fn look_after(&mut self, user: u64, change: &Changing) -> CheckResult {
        match (self.motion, change.collection()) {
            (ClockMotion::Forward, Some(name)) => self.read(user, name, &ReadArgs::by_id()).await,
            _ => Ok(()),
        }
    }

    fn written(&mut self, user: u64, wanted: Written, answer: Written) -> CheckResult {
        prop_assert_eq!(
            (wanted.modified, wanted.changed),
            (answer.modified, answer.changed)
        );
        if self.motion == ClockMotion::BackAndForth {
            prop_assert_eq!(wanted, answer);
        } else {
            // The bytes of an engine may include expired objects; those of the engine in memory never do.
            prop_assert!(wanted.bytes_before <= answer.bytes_before);
            prop_assert!(wanted.bytes_after <= answer.bytes_after);
        }
        let now = self.tested.clock.now();
        let told = self.told.entry(user).or_default();
        if answer.changed {
            let earliest = now.max(told.last.next()).max(told.as_of.next());
            prop_assert_eq!(answer.modified, earliest, "not the earliest time allowed");
            told.last = answer.modified;
            self.times.push(answer.modified);
        } else {
            prop_assert_eq!(answer.modified, told.last);
        }
        Ok(())
    }

    async fn stage(&mut self, staging: &Staging) -> CheckResult {
        let opened = staging.batch.and_then(|pick| pick_last(&self.batches, pick));
        let name = staging
            .collection
            .or(opened.map(|opened| opened.collection))
            .unwrap_or(COLLECTIONS[0]);
        let part = |batch: Option<BatchId>| BatchPart {
            collection: collection(name),
            batch: staging.batch.map(|_| batch.unwrap_or_else(unknown_batch)),
            guard: staging.guard.as_ref().map(|guard| self.guard(guard)),
            patches: staging.patches.clone(),
            max_objects: staging.max_objects,
            max_bytes: staging.max_bytes,
            max_open_bytes: staging.max_open_bytes,
            quota: staging.quota,
        };
        let for_reference = part(opened.map(|opened| opened.reference.clone()));
        let for_tested = part(opened.map(|opened| opened.tested.clone()));
        let given = (for_reference.batch.clone(), for_tested.batch.clone());
        let wanted = self
            .reference
            .of_user(staging.user)
            .try_stage(for_reference)
            .await;
        let answer = self.tested.of_user(staging.user).try_stage(for_tested).await;
        match (wanted, answer) {
            (Ok(wanted), Ok(answer)) => self.staged(name, given, wanted, answer),
            (Err(wanted), Err(answer)) => same_refusal(&wanted, &answer),
            (wanted, answer) => Err(TestCaseError::fail(format!(
                "memory answers {wanted:?}, the engine {answer:?}"
            ))),
        }
    }

    fn staged(
        &mut self,
        collection: &'static str,
        given: (Option<BatchId>, Option<BatchId>),
        wanted: Staged,
        answer: Staged,
    ) -> CheckResult {
        prop_assert_eq!(wanted.modified, answer.modified);
        if let (Some(reference), Some(tested)) = given {
            prop_assert_eq!((wanted.batch, answer.batch), (reference, tested));
        } else {
            prop_assert!(
                self.batches.iter().all(|told| told.tested != answer.batch),
                "a name given twice"
            );
            self.batches.push(Opened {
                collection,
                reference: wanted.batch,
                tested: answer.batch,
            });
        }
        Ok(())
    }

    async fn read(&mut self, user: u64, name: &'static str, args: &ReadArgs) -> CheckResult {
        let query = Query {
            collection: collection(name),
            selection: self.selection(&args.selected),
            order: args.order,
            limit: args.limit,
            cursor: args.cursor.clone(),
            fields: args.fields,
        };
        let whole = Query {
            limit: None,
            cursor: Cursor::Start,
            fields: Fields::Whole,
            ..query.clone()
        };
        let all = self.reference.of_user(user).all(&whole).await;
        let wanted = page(&self.reference.of_user(user), &query).await?;
        let answer = page(&self.tested.of_user(user), &query).await?;
        prop_assert_eq!(wanted.modified, answer.modified);
        prop_assert_eq!(wanted.rows.len(), answer.rows.len());
        prop_assert_eq!(wanted.next.is_some(), answer.next.is_some());
        self.check_as_of(user, wanted.as_of, answer.as_of)?;

        let skipped = match query.cursor {
            Cursor::Skip(skipped) => usize::try_from(skipped).unwrap_or(usize::MAX).min(all.len()),
            Cursor::Start | Cursor::After(_) => 0,
        };
        let read = chain(&self.tested.of_user(user), query.clone()).await?;
        let wanted = if query.limit == Some(0) {
            &[]
        } else {
            &all[skipped..]
        };
        same_objects(&query, &all, wanted, &read)
    }

    async fn summary(&mut self, user: u64, detail: Detail) -> CheckResult {
        let wanted = self.reference.of_user(user).summary(detail).await;
        let answer = self.tested.of_user(user).summary(detail).await;
        prop_assert_eq!(wanted.modified, answer.modified);
        prop_assert_eq!(
            wanted.modified,
            self.told.get(&user).map_or(SyncTime::ZERO, |told| told.last)
        );
        match detail {
            Detail::Full => prop_assert_eq!(&wanted.collections, &answer.collections),
            Detail::Times => {
                let wanted: Vec<_> = wanted
                    .collections
                    .iter()
                    .map(|held| (held.name, held.modified))
                    .collect();
                let answer: Vec<_> = answer
                    .collections
                    .iter()
                    .map(|held| (held.name, held.modified))
                    .collect();
                prop_assert_eq!(wanted, answer);
            }
        }
        self.check_as_of(user, wanted.as_of, answer.as_of)
    }

    async fn purge(&self, rows: u64) -> CheckResult {
        for ctx in [&self.reference, &self.tested] {
            let purged = ctx.engine.purge(Budget::of(rows)).await;
            let purged = purged.map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert!(purged.rows <= rows);
            prop_assert!(purged.has_more <= (purged.rows == rows), "{purged:?} of {rows}");
        }
        Ok(())
    }

    /// A summary counts the objects that can be read, and no object is newer than its collection.
    async fn counts_equal_rows(&self, user: u64) -> CheckResult {
        for ctx in [self.reference.of_user(user), self.tested.of_user(user)] {
            for held in ctx.summary(Detail::Full).await.collections.iter() {
                let rows = chain(&ctx, Query::all(held.name, Fields::Whole)).await?;
                let bytes: usize = rows.iter().map(|row| row.payload.len()).sum();
                prop_assert_eq!((held.count, held.bytes), (rows.len() as u64, bytes as u64));
                prop_assert!(rows.iter().all(|row| row.modified <= held.modified));
            }
        }
        Ok(())
    }

    /// A read has seen all writes, so its *as of* is not before the last one, and not beyond the clock and that.
    fn check_as_of(&mut self, user: u64, wanted: SyncTime, answer: SyncTime) -> CheckResult {
        let now = self.tested.clock.now();
        let told = self.told.entry(user).or_default();
        told.tested_as_of = told.tested_as_of.max(answer);
        for as_of in [wanted, answer] {
            prop_assert!(as_of >= told.last, "as of {as_of}, though {} was seen", told.last);
            prop_assert!(as_of <= told.last.max(now.before()), "as of {as_of} at {now}");
            prop_assert!(as_of >= now.plus_seconds(-10), "as of {as_of} at {now}");
            told.as_of = told.as_of.max(as_of);
        }
        Ok(())
    }

    /// The same change for both engines, whose batches have different ids.
    async fn change(&self, reference: &TestContext, change: &Changing) -> (Change, Change) {
        let same = |change: Change| (change.clone(), change);
        match change {
            Changing::Upsert {
                collection: name,
                patches,
            } => same(Change::Upsert {
                collection: collection(name),
                patches: patches.clone(),
            }),
            Changing::DeleteObjects {
                collection: name,
                selected,
                order,
                limit,
                or_refuse,
            } => {
                let query = Query {
                    selection: self.selection(selected),
                    order: *order,
                    ..Query::all(collection(name), Fields::Whole)
                };
                same(Change::DeleteObjects {
                    collection: collection(name),
                    selection: query.selection.clone(),
                    order: *order,
                    limit: limit_between_ties(reference, &query, *limit).await,
                    or_refuse: *or_refuse,
                })
            }
            Changing::DeleteCollection {
                collection: name,
                keeps_name,
            } => same(Change::DeleteCollection {
                collection: collection(name),
                keeps_name: *keeps_name,
            }),
            Changing::DeleteAll => same(Change::DeleteAll),
            Changing::CommitBatch {
                collection: name,
                batch,
                patches,
                max_objects,
                max_bytes,
            } => {
                let opened = pick_last(&self.batches, *batch);
                let name = name
                    .or(opened.map(|opened| opened.collection))
                    .unwrap_or(COLLECTIONS[0]);
                let commit = |batch: Option<&BatchId>| Change::CommitBatch {
                    collection: collection(name),
                    batch: batch.cloned().unwrap_or_else(unknown_batch),
                    patches: patches.clone(),
                    max_objects: *max_objects,
                    max_bytes: *max_bytes,
                };
                (
                    commit(opened.map(|opened| &opened.reference)),
                    commit(opened.map(|opened| &opened.tested)),
                )
            }
        }
    }

    fn guard(&self, guard: &Guarded) -> Guard {
        Guard {
            target: match guard.target {
                Targeted::Store => Target::Store,
                Targeted::Collection(name) => Target::Collection(collection(name)),
                Targeted::Object(name, object) => Target::Object(collection(name), id(object)),
            },
            unmodified_since: self.when(guard.since),
        }
    }

    fn selection(&self, selected: &Selected) -> Selection {
        Selection {
            ids: selected
                .ids
                .as_ref()
                .map(|ids| ids.iter().copied().map(id).collect()),
            newer: selected.newer.map(|when| self.when(when)),
            older: selected.older.map(|when| self.when(when)),
            until: selected.until.map(|when| self.when(when)),
            index_above: selected.index_above,
            index_below: selected.index_below,
            parent_id: selected.parent_id.map(str::to_owned),
            predecessor_id: selected.predecessor_id.map(str::to_owned),
        }
    }

    fn when(&self, when: When) -> SyncTime {
        let time = pick_last(&self.times, when.pick).copied().unwrap_or_default();
        SyncTime::from_hundredths(time.hundredths() + when.shift)
    }
}

/// Zero picks the last, so that small numbers mean recent ones.
fn pick_last<T>(all: &[T], pick: usize) -> Option<&T> {
    all.iter().rev().cycle().nth(pick)
}

fn unknown_batch() -> BatchId {
    BatchId("unknown_batch".into())
}

fn same_refusal(wanted: &EngineError, answer: &EngineError) -> CheckResult {
    prop_assert_eq!(format!("{wanted:?}"), format!("{answer:?}"));
    Ok(())
}

/// Engines break ties differently, so a limit that would split ties is dropped.
async fn limit_between_ties(reference: &TestContext, query: &Query, limit: Option<u64>) -> Option<u64> {
    let limit = limit?;
    let keys: Vec<_> = reference
        .all(query)
        .await
        .iter()
        .map(|row| key(query.order, row))
        .collect();
    let at = usize::try_from(limit).unwrap_or(usize::MAX);
    let cuts = at > 0 && at < keys.len() && keys[at - 1] == keys[at];
    (!cuts).then_some(limit)
}

fn key(order: Order, row: &Stored) -> Option<i64> {
    match order {
        Order::Newest | Order::Oldest => Some(row.modified.hundredths()),
        Order::Index => row.sortindex,
    }
}

async fn page(ctx: &TestContext, query: &Query) -> CheckResult<Page> {
    let page = ctx.engine.read(ctx.user, query).await;
    page.map_err(|error| TestCaseError::fail(format!("a read fails: {error}")))
}

/// All pages of a query, with its limit as their size.
async fn chain(ctx: &TestContext, mut query: Query) -> CheckResult<Vec<Stored>> {
    let mut all = Vec::new();
    loop {
        let page = page(ctx, &query).await?;
        all.extend(page.rows.iter().map(Stored::from));
        let Some(next) = page.next else { return Ok(all) };
        prop_assert!(!page.rows.is_empty(), "an empty page goes on");
        query.cursor = Cursor::After(next);
    }
}

/// Checks that `read` has the wanted objects in the order of the query; among ties, any that match.
fn same_objects(query: &Query, all: &[Stored], wanted: &[Stored], read: &[Stored]) -> CheckResult {
    let by_id: BTreeMap<_, _> = all.iter().map(|row| (row.id.as_str(), row)).collect();
    let mut keys = Vec::new();
    for row in read {
        let Some(stored) = by_id.get(row.id.as_str()) else {
            return Err(TestCaseError::fail(format!("{row:?} is not what was args for")));
        };
        match query.fields {
            Fields::Whole => prop_assert_eq!(row, *stored),
            Fields::Ids => prop_assert_eq!(row.modified, stored.modified),
        }
        keys.push(key(query.order, stored));
    }
    let wanted: Vec<_> = wanted.iter().map(|row| key(query.order, row)).collect();
    prop_assert_eq!(keys, wanted);
    let ids: BTreeSet<_> = read.iter().map(|row| row.id.as_str()).collect();
    prop_assert_eq!(ids.len(), read.len(), "an object is read twice");
    Ok(())
}
