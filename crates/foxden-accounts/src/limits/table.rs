//! What each budget allows. `docs/security.md` has the same table with its reasons; a test compares the two.

use foxden_model::{MemoryCounters, Meter, Width};

const SECOND: i64 = 1000;
pub(crate) const QUARTER: i64 = 15 * 60 * SECOND;
const HOUR: i64 = 4 * QUARTER;
const DAY: i64 = 24 * HOUR;

/// How much of something may be spent within a span of time.
pub(crate) struct Budget {
    /// What is counted, as the security log and `docs/security.md` call it.
    pub(super) name: &'static str,
    pub(super) most: Most,
    /// In milliseconds.
    pub(super) span: i64,
    /// So many times as much is allowed to clients that nothing outside this machine can be.
    pub(super) private: u32,
    /// Of its tables.
    pub(super) columns: usize,
}

/// How much, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Most {
    /// An account's or an address's.
    Of(u32),
    /// A network's, by its widths: narrow, middle, wide.
    From([u32; 3]),
}

const fn from(name: &'static str, most: [u32; 3], span: i64) -> Budget {
    Budget {
        name,
        most: Most::From(most),
        span,
        private: 10,
        columns: MemoryCounters::COLUMNS,
    }
}

const fn of(name: &'static str, most: u32, span: i64) -> Budget {
    Budget {
        name,
        most: Most::Of(most),
        span,
        private: 10,
        columns: MemoryCounters::COLUMNS,
    }
}

pub(super) static TRY: Budget = from("wrong passwords for one name", [10, 15, 20], QUARTER);
pub(super) static RARE_TRY: Budget = from(
    "wrong passwords for one name, from a network that fails often",
    [3, 3, 3],
    QUARTER,
);
/// All wrong passwords of a day are counted in this table, whatever the name. A table of the usual size would mix
/// them up with the counts of other names.
pub(super) static DAY_TRY: Budget = Budget {
    columns: 8 * MemoryCounters::COLUMNS,
    ..from("wrong passwords for one name in a day", [50, 75, 100], DAY)
};
/// Right passwords that were hashed: what an account costs the others.
pub(super) static SIGN_IN: Budget = of("right passwords of one account", 120, QUARTER);
/// Answers to who spells an address in another way, once the answers that reveal which accounts exist are used up.
pub(super) static SPELLING: Budget = from("spellings told", [30, 60, 120], QUARTER);
pub(super) static CLAIM: Budget = from("letters with new codes to confirm one address", [5, 5, 5], DAY);
pub(super) static CLAIMS: Budget = of(
    "letters with new codes to confirm one address, from all networks",
    10,
    DAY,
);
pub(super) static LATE_CLAIM: Budget = from("letters beyond these", [1, 1, 1], DAY);
pub(super) static FAILURE: Budget = from("wrong passwords", [60, 120, 240], QUARTER);
/// What an address has for itself, whatever its neighbours do.
pub(super) static NEIGHBOUR: Budget = from(
    "more wrong passwords, from a network that fails often",
    [20, 40, 600],
    QUARTER,
);
pub(super) static STRAIN: Budget = from(
    "wrong passwords at once, from a network that fails often",
    [30, 30, 30],
    10 * SECOND,
);
/// A server is set up, and tested, by who sits at it: so with accounts created.
pub(super) static ANSWER: Budget = Budget {
    private: 100,
    ..from("answers that tell who is here", [30, 60, 120], QUARTER)
};
pub(super) static LOOKUP: Budget = from("questions for names", [600, 1200, 2400], QUARTER);
pub(super) static CREATION: Budget = Budget {
    private: 100,
    ..from("accounts created", [5, 10, 20], HOUR)
};
pub(super) static CODES_FROM: Budget = from("codes asked for", [30, 60, 120], QUARTER);
pub(super) static GUESS: Budget = from("wrong codes", [30, 60, 120], QUARTER);
pub(super) static LETTERS_FROM: Budget = from("letters asked for", [60, 120, 240], DAY);
pub(super) static LETTERS: Budget = of("letters to one address", 30, DAY);
pub(super) static REPEATS: Budget = of("letters to one address with a code mailed before", 10, DAY);
pub(super) static NOTICES: Budget = of("notices to one address", 20, DAY);
pub(super) static UNWRITTEN: Budget = of("words of letters not written to one address", 1, DAY);
pub(super) static DIGITS_OF: Budget = of("wrong digits to confirm one account's address", 10, DAY);
pub(super) static DIGITS_FOR: Budget = of("wrong digits to confirm one address", 50, DAY);
pub(super) static RESET_DIGITS: Budget = of("wrong reset digits of one account", 100, DAY);
pub(super) static ADDRESS_CHANGE: Budget = of("changes of one account's address", 5, DAY);

/// All of them.
pub(super) static BUDGETS: [&Budget; 25] = [
    &TRY,
    &RARE_TRY,
    &DAY_TRY,
    &SIGN_IN,
    &SPELLING,
    &CLAIM,
    &CLAIMS,
    &LATE_CLAIM,
    &FAILURE,
    &NEIGHBOUR,
    &STRAIN,
    &ANSWER,
    &LOOKUP,
    &CREATION,
    &CODES_FROM,
    &GUESS,
    &LETTERS_FROM,
    &LETTERS,
    &REPEATS,
    &NOTICES,
    &UNWRITTEN,
    &DIGITS_OF,
    &DIGITS_FOR,
    &RESET_DIGITS,
    &ADDRESS_CHANGE,
];

impl Budget {
    /// The memory of what was spent of it, for networks of that width.
    pub(super) const fn meter(&self, width: Option<Width>) -> Meter {
        Meter {
            name: self.name,
            width,
            span: self.span,
        }
    }

    /// All its memories.
    pub(super) fn meters(&self) -> Vec<Meter> {
        match self.most {
            Most::Of(_) => vec![self.meter(None)],
            Most::From(_) => Width::ALL.map(|width| self.meter(Some(width))).into(),
        }
    }
}
