//! The limits of each budget. `docs/security.md` has the same table with its reasons; a test compares the two.

use foxden_model::{CounterSpec, MemoryCounters, Width};

const SECOND: i64 = 1000;
pub(crate) const QUARTER: i64 = 15 * 60 * SECOND;
const HOUR: i64 = 4 * QUARTER;
const DAY: i64 = 24 * HOUR;

/// How much of something may be spent within a span of time.
pub(crate) struct RateLimit {
    /// The name of the budget in the security log and in `docs/security.md`.
    pub(super) name: &'static str,
    pub(super) most: Limit,
    /// In milliseconds.
    pub(super) span: i64,
    /// Multiplier for private (local) clients.
    pub(super) private_factor: u32,
    /// Columns of the counter's count-min sketch.
    pub(super) columns: usize,
}

/// How much, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// An account's or an address's.
    PerSubject(u32),
    /// A network's, by its widths: narrow, middle, wide.
    PerNetwork([u32; 3]),
}

const fn per_network(name: &'static str, most: [u32; 3], span: i64) -> RateLimit {
    RateLimit {
        name,
        most: Limit::PerNetwork(most),
        span,
        private_factor: 10,
        columns: MemoryCounters::COLUMNS,
    }
}

const fn per_subject(name: &'static str, most: u32, span: i64) -> RateLimit {
    RateLimit {
        name,
        most: Limit::PerSubject(most),
        span,
        private_factor: 10,
        columns: MemoryCounters::COLUMNS,
    }
}

pub(super) static LOGIN_FAILURES_BY_NAME: RateLimit =
    per_network("wrong passwords for one name", [10, 15, 20], QUARTER);
pub(super) static LOGIN_FAILURES_BY_NAME_THROTTLED: RateLimit = per_network(
    "wrong passwords for one name, from a network that fails often",
    [3, 3, 3],
    QUARTER,
);
/// All wrong passwords of a day are counted in this table, whatever the name. A table of the usual size would mix
/// them up with the counts of other names.
pub(super) static LOGIN_FAILURES_BY_NAME_DAILY: RateLimit = RateLimit {
    columns: 8 * MemoryCounters::COLUMNS,
    ..per_network("wrong passwords for one name in a day", [50, 75, 100], DAY)
};
/// Right passwords that were hashed: what an account costs the others.
pub(super) static SIGN_IN: RateLimit = per_subject("right passwords of one account", 120, QUARTER);
/// Hints at the stored spelling of an address, once the allowance of revealing answers is used up.
pub(super) static SPELLING_HINT: RateLimit = per_network("revealed spellings", [30, 60, 120], QUARTER);
pub(super) static CONFIRM_MAIL_BY_NETWORK: RateLimit =
    per_network("mails with new codes to confirm one address", [5, 5, 5], DAY);
pub(super) static CONFIRM_MAIL_TOTAL: RateLimit = per_subject(
    "mails with new codes to confirm one address, from all networks",
    10,
    DAY,
);
pub(super) static CONFIRM_MAIL_OVERFLOW: RateLimit = per_network("mails beyond these", [1, 1, 1], DAY);
pub(super) static LOGIN_FAILURES_BY_NETWORK: RateLimit =
    per_network("wrong passwords", [60, 120, 240], QUARTER);
/// Failures still allowed to a narrow prefix after its wider network is blocked.
pub(super) static RESERVED_FAILURES: RateLimit = per_network(
    "more wrong passwords, from a network that fails often",
    [20, 40, 600],
    QUARTER,
);
pub(super) static THROTTLED_FAILURES: RateLimit = per_network(
    "wrong passwords at once, from a network that fails often",
    [30, 30, 30],
    10 * SECOND,
);
/// Private clients get a hundred times as much, as the setup of a server and its tests need it. The same holds for created accounts.
pub(super) static ENUMERATION: RateLimit = RateLimit {
    private_factor: 100,
    ..per_network("answers that reveal accounts", [30, 60, 120], QUARTER)
};
pub(super) static LOOKUP: RateLimit = per_network("name lookups", [600, 1200, 2400], QUARTER);
pub(super) static CREATION: RateLimit = RateLimit {
    private_factor: 100,
    ..per_network("accounts created", [5, 10, 20], HOUR)
};
pub(super) static CODES_FROM: RateLimit = per_network("requested codes", [30, 60, 120], QUARTER);
pub(super) static GUESS: RateLimit = per_network("wrong codes", [30, 60, 120], QUARTER);
pub(super) static MAIL_BY_NETWORK: RateLimit = per_network("requested mails", [60, 120, 240], DAY);
pub(super) static MAIL_BY_ADDRESS: RateLimit = per_subject("mails to one address", 30, DAY);
pub(super) static REPEATS: RateLimit = per_subject("mails to one address with a code mailed before", 10, DAY);
pub(super) static NOTICES: RateLimit = per_subject("notices to one address", 20, DAY);
pub(super) static SUPPRESSED_MAIL_WARNINGS: RateLimit =
    per_subject("log lines about mails not sent to one address", 1, DAY);
pub(super) static CONFIRM_FAILURES_BY_ACCOUNT: RateLimit =
    per_subject("wrong digits to confirm one account's address", 10, DAY);
pub(super) static CONFIRM_FAILURES_BY_ADDRESS: RateLimit =
    per_subject("wrong digits to confirm one address", 50, DAY);
pub(super) static RESET_DIGITS: RateLimit = per_subject("wrong reset digits of one account", 100, DAY);
pub(super) static ADDRESS_CHANGE: RateLimit = per_subject("changes of one account's address", 5, DAY);

/// All of them.
pub(super) static BUDGETS: [&RateLimit; 25] = [
    &LOGIN_FAILURES_BY_NAME,
    &LOGIN_FAILURES_BY_NAME_THROTTLED,
    &LOGIN_FAILURES_BY_NAME_DAILY,
    &SIGN_IN,
    &SPELLING_HINT,
    &CONFIRM_MAIL_BY_NETWORK,
    &CONFIRM_MAIL_TOTAL,
    &CONFIRM_MAIL_OVERFLOW,
    &LOGIN_FAILURES_BY_NETWORK,
    &RESERVED_FAILURES,
    &THROTTLED_FAILURES,
    &ENUMERATION,
    &LOOKUP,
    &CREATION,
    &CODES_FROM,
    &GUESS,
    &MAIL_BY_NETWORK,
    &MAIL_BY_ADDRESS,
    &REPEATS,
    &NOTICES,
    &SUPPRESSED_MAIL_WARNINGS,
    &CONFIRM_FAILURES_BY_ACCOUNT,
    &CONFIRM_FAILURES_BY_ADDRESS,
    &RESET_DIGITS,
    &ADDRESS_CHANGE,
];

impl RateLimit {
    /// The memory of what was spent of it, for networks of that width.
    pub(super) const fn counter(&self, width: Option<Width>) -> CounterSpec {
        CounterSpec {
            name: self.name,
            width,
            span: self.span,
        }
    }

    /// All its memories.
    pub(super) fn specs(&self) -> Vec<CounterSpec> {
        match self.most {
            Limit::PerSubject(_) => vec![self.counter(None)],
            Limit::PerNetwork(_) => Width::ALL.map(|width| self.counter(Some(width))).into(),
        }
    }
}
