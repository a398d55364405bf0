//! Random commands on few targets, so that they conflict: two users, three collections, five ids.
//!
//! Values that are known only in a run (times of writes, batches) are drawn as numbers that index the existing ones.

use foxden_storage::conformance::id;
use foxden_storage::{Cursor, Detail, Field, Fields, Order, Patch, Ttl};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// How the clock of a sequence moves. If the clock went back, an expired object would reappear in an engine that has not
/// removed it, so expiry and a clock that goes back are not mixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockMotion {
    Forward,
    BackAndForth,
}

#[derive(Clone, Debug)]
pub(crate) enum Command {
    Clock(i64),
    Write {
        user: u64,
        guard: Option<Guarded>,
        quota: Option<u64>,
        change: Changing,
    },
    Stage(Staging),
    Read {
        user: u64,
        collection: &'static str,
        args: ReadArgs,
    },
    Summary {
        user: u64,
        detail: Detail,
    },
    Purge {
        rows: u64,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Changing {
    Upsert {
        collection: &'static str,
        patches: Vec<Patch>,
    },
    DeleteObjects {
        collection: &'static str,
        selected: Selected,
        order: Order,
        limit: Option<u64>,
        or_refuse: bool,
    },
    DeleteCollection {
        collection: &'static str,
        keeps_name: bool,
    },
    DeleteAll,
    CommitBatch {
        collection: Option<&'static str>,
        batch: usize,
        patches: Vec<Patch>,
        max_objects: u64,
        max_bytes: u64,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Staging {
    pub(crate) user: u64,
    pub(crate) collection: Option<&'static str>,
    pub(crate) batch: Option<usize>,
    pub(crate) guard: Option<Guarded>,
    pub(crate) patches: Vec<Patch>,
    pub(crate) max_objects: u64,
    pub(crate) max_bytes: u64,
    pub(crate) max_open_bytes: u64,
    pub(crate) quota: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct ReadArgs {
    pub(crate) selected: Selected,
    pub(crate) order: Order,
    pub(crate) cursor: Cursor,
    pub(crate) limit: Option<u64>,
    pub(crate) fields: Fields,
}

/// A selection whose times are not chosen yet.
#[derive(Clone, Debug)]
pub(crate) struct Selected {
    pub(crate) ids: Option<Vec<&'static str>>,
    pub(crate) newer: Option<When>,
    pub(crate) older: Option<When>,
    pub(crate) until: Option<When>,
    pub(crate) index_above: Option<i64>,
    pub(crate) index_below: Option<i64>,
    pub(crate) parent_id: Option<&'static str>,
    pub(crate) predecessor_id: Option<&'static str>,
}

/// The time of an earlier write, or a hundredth of a second beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct When {
    pub(crate) pick: usize,
    pub(crate) shift: i64,
}

#[derive(Clone, Debug)]
pub(crate) struct Guarded {
    pub(crate) target: Targeted,
    pub(crate) since: When,
}

#[derive(Clone, Debug)]
pub(crate) enum Targeted {
    Store,
    Collection(&'static str),
    Object(&'static str, &'static str),
}

impl ReadArgs {
    /// All possible objects, by id.
    pub(crate) fn by_id() -> Self {
        Self {
            selected: Selected {
                ids: Some(IDS.to_vec()),
                newer: None,
                older: None,
                until: None,
                index_above: None,
                index_below: None,
                parent_id: None,
                predecessor_id: None,
            },
            order: Order::Newest,
            cursor: Cursor::Start,
            limit: None,
            fields: Fields::Whole,
        }
    }
}

impl Changing {
    /// The collection whose objects it may change, if it names one.
    pub(crate) fn collection(&self) -> Option<&'static str> {
        match self {
            Self::Upsert { collection, .. }
            | Self::DeleteObjects { collection, .. }
            | Self::DeleteCollection { collection, .. } => Some(collection),
            Self::CommitBatch { collection, .. } => *collection,
            Self::DeleteAll => None,
        }
    }
}

pub(crate) const COLLECTIONS: [&str; 3] = ["bookmarks", "history", "Tabs"];
pub(crate) const IDS: [&str; 5] = ["a", "A", "b", "c d", "é"];

pub(crate) fn sequence(motion: ClockMotion) -> impl Strategy<Value = Vec<Command>> {
    vec(command(motion), 1..60)
}

fn command(motion: ClockMotion) -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => clock(motion).prop_map(Command::Clock),
        12 => (user(motion), option::weighted(0.3, guard()), option::weighted(0.1, 0..40u64), change(motion))
            .prop_map(|(user, guard, quota, change)| Command::Write { user, guard, quota, change }),
        3 => stage(motion).prop_map(Command::Stage),
        4 => (user(motion), collection(), args())
            .prop_map(|(user, collection, args)| Command::Read { user, collection, args }),
        1 => (user(motion), prop_oneof![Just(Detail::Times), Just(Detail::Full)])
            .prop_map(|(user, detail)| Command::Summary { user, detail }),
        1 => (0..5u64).prop_map(|rows| Command::Purge { rows }),
    ]
}

/// In milliseconds. Some jumps forwards are longer than the TTL of a batch.
fn clock(motion: ClockMotion) -> BoxedStrategy<i64> {
    match motion {
        ClockMotion::Forward => {
            prop_oneof![3 => 0..30i64, 3 => 300..1500i64, 1 => 3_600_000..7_300_000i64].boxed()
        }
        ClockMotion::BackAndForth => {
            prop_oneof![3 => -30..60i64, 2 => -3000..3000i64, 1 => Just(-60_000)].boxed()
        }
    }
}

fn change(motion: ClockMotion) -> impl Strategy<Value = Changing> {
    prop_oneof![
        12 => (collection(), patches(motion))
            .prop_map(|(collection, patches)| Changing::Upsert { collection, patches }),
        4 => (collection(), selected(), order(), option::weighted(0.3, 0..4u64), any::<bool>()).prop_map(
            |(collection, selected, order, limit, or_refuse)| Changing::DeleteObjects {
                collection,
                selected,
                order,
                limit,
                or_refuse,
            }
        ),
        2 => (collection(), any::<bool>())
            .prop_map(|(collection, keeps_name)| Changing::DeleteCollection { collection, keeps_name }),
        1 => Just(Changing::DeleteAll),
        4 => (option::weighted(0.1, collection()), 0..6usize, patches(motion), batch_limit(), batch_limit()).prop_map(
            |(collection, batch, patches, max_objects, max_bytes)| Changing::CommitBatch {
                collection,
                batch,
                patches,
                max_objects,
                max_bytes,
            }
        ),
    ]
}

fn stage(motion: ClockMotion) -> impl Strategy<Value = Staging> {
    (
        user(motion),
        option::weighted(0.3, collection()),
        option::weighted(0.7, 0..6usize),
        option::weighted(0.1, guard()),
        patches(motion),
        batch_limit(),
        (batch_limit(), 0..20u64),
        option::weighted(0.2, 0..40u64),
    )
        .prop_map(
            |(user, collection, batch, guard, patches, max_objects, (max_bytes, more), quota)| Staging {
                user,
                collection,
                batch,
                guard,
                patches,
                max_objects,
                max_bytes,
                max_open_bytes: max_bytes + more,
                quota,
            },
        )
}

/// The maximum number of objects or bytes in a batch.
fn batch_limit() -> impl Strategy<Value = u64> {
    prop_oneof![2 => Just(u64::from(u32::MAX)), 1 => 0..20u64]
}

fn patches(motion: ClockMotion) -> impl Strategy<Value = Vec<Patch>> {
    vec(patch(motion), 0..5)
}

fn patch(motion: ClockMotion) -> impl Strategy<Value = Patch> {
    let payload = prop_oneof!["[a-zé\\x00]{0,12}", Just(String::new())];
    let other = || prop::sample::select(&["p", "q", ""]).prop_map(str::to_owned);
    (
        object(),
        field(payload),
        field(-2..3i64),
        field(other()),
        field(other()),
        ttl(motion),
        any::<bool>(),
    )
        .prop_map(
            |(object, payload, sortindex, parent_id, predecessor_id, ttl, renews)| Patch {
                id: id(object),
                payload,
                sortindex,
                parent_id,
                predecessor_id,
                ttl,
                renews,
            },
        )
}

fn field<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Field<T>> {
    prop_oneof![3 => Just(Field::Keep), 1 => Just(Field::Clear), 4 => value.prop_map(Field::Set)]
}

fn ttl(motion: ClockMotion) -> BoxedStrategy<Ttl> {
    match motion {
        ClockMotion::Forward => {
            prop_oneof![3 => Just(Ttl::Keep), 1 => Just(Ttl::Never), 3 => (0..4u32).prop_map(Ttl::In)].boxed()
        }
        ClockMotion::BackAndForth => prop_oneof![Just(Ttl::Keep), Just(Ttl::Never)].boxed(),
    }
}

fn args() -> impl Strategy<Value = ReadArgs> {
    let cursor = prop_oneof![3 => Just(Cursor::Start), 1 => (0..6u64).prop_map(Cursor::Skip)];
    let fields = prop_oneof![Just(Fields::Ids), Just(Fields::Whole)];
    (selected(), order(), cursor, option::of(0..5u64), fields).prop_map(
        |(selected, order, cursor, limit, fields)| ReadArgs {
            selected,
            order,
            cursor,
            limit,
            fields,
        },
    )
}

fn selected() -> impl Strategy<Value = Selected> {
    let rarely = 0.07;
    let other = || prop::sample::select(&["p", "q", ""]);
    (
        option::weighted(0.4, vec(object(), 0..5)),
        option::weighted(rarely, when()),
        option::weighted(rarely, when()),
        option::weighted(rarely, when()),
        option::weighted(rarely, -3..3i64),
        option::weighted(rarely, -2..4i64),
        option::weighted(rarely, other()),
        option::weighted(rarely, other()),
    )
        .prop_map(
            |(ids, newer, older, until, index_above, index_below, parent_id, predecessor_id)| Selected {
                ids,
                newer,
                older,
                until,
                index_above,
                index_below,
                parent_id,
                predecessor_id,
            },
        )
}

fn guard() -> impl Strategy<Value = Guarded> {
    let target = prop_oneof![
        1 => Just(Targeted::Store),
        1 => collection().prop_map(Targeted::Collection),
        3 => (collection(), object()).prop_map(|(collection, object)| Targeted::Object(collection, object)),
    ];
    (target, when()).prop_map(|(target, since)| Guarded { target, since })
}

fn when() -> impl Strategy<Value = When> {
    (0..64usize, -1..2i64).prop_map(|(pick, shift)| When { pick, shift })
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Newest), Just(Order::Oldest), Just(Order::Index)]
}

/// When the clock slips back, the times that one user was told may raise those of another or not, depending on the engine; so
/// there is only one user.
fn user(motion: ClockMotion) -> BoxedStrategy<u64> {
    match motion {
        ClockMotion::Forward => prop_oneof![4 => Just(42u64), 1 => Just(43u64)].boxed(),
        ClockMotion::BackAndForth => Just(42u64).boxed(),
    }
}

fn collection() -> impl Strategy<Value = &'static str> {
    prop_oneof![2 => Just(COLLECTIONS[0]), 1 => Just(COLLECTIONS[1]), 1 => Just(COLLECTIONS[2])]
}

fn object() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&IDS)
}
