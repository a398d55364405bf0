//! What callgrind counts: its profile files.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

/// The functions of the C library that allocate memory.
const ALLOCATING: [&str; 6] = [
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "aligned_alloc",
    "memalign",
];
/// The one that frees it.
const FREEING: &str = "free";
/// The function of SQLite that runs a statement up to its next row.
const STEP: &str = "sqlite3_step";

/// What a program did while it was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Instructions of all threads, without those of the allocator: how long it searches, and whether a block that grows is copied,
    /// follows from all that was allocated before.
    pub instructions: u64,
    /// Calls of the functions that allocate memory.
    pub allocations: u64,
    /// Steps of SQL statements in SQLite; none if the program has no names of functions.
    pub statements: u64,
}

impl Counts {
    /// Reads a profile.
    pub fn read(profile: &str) -> Result<Self> {
        let mut all = None;
        let (mut allocations, mut by_allocator, mut statements) = (0, 0, 0);
        let mut names = HashMap::new();
        let (mut current, mut called) = ("", "");
        let mut lines = profile.lines();
        while let Some(line) = lines.next() {
            if let Some(total) = line.strip_prefix("totals: ") {
                all = Some(number(total.trim())?);
            } else if let Some(function) = line.strip_prefix("fn=") {
                current = name(&mut names, function)?;
            } else if let Some(function) = line.strip_prefix("cfn=") {
                called = name(&mut names, function)?;
            } else if let Some(calls) = line.strip_prefix("calls=") {
                // The line after it says what the calls cost, with all that they called.
                let cost = lines.next().context("callgrind wrote no cost of a call")?;
                if called == STEP {
                    statements += number(calls.split(' ').next().unwrap_or_default())?;
                }
                // One of the functions may call another.
                if !is_of_allocator(called) || is_of_allocator(current) {
                    continue;
                }
                by_allocator += number(cost.rsplit(' ').next().unwrap_or_default())?;
                if called != FREEING {
                    allocations += number(calls.split(' ').next().unwrap_or_default())?;
                }
            }
        }
        let all = all.context("callgrind wrote no total")?;
        Ok(Self {
            instructions: all - by_allocator,
            allocations,
            statements,
        })
    }
}

fn is_of_allocator(function: &str) -> bool {
    function == FREEING || ALLOCATING.contains(&function)
}

fn number(text: &str) -> Result<u64> {
    text.parse()
        .with_context(|| format!("callgrind wrote {text:?} for a number"))
}

/// The name of a function. A profile spells it out once, behind a number that stands for it later: `(12) malloc`, then `(12)`.
/// The number of a recursion follows the name, `malloc'2`.
fn name<'a>(names: &mut HashMap<&'a str, &'a str>, function: &'a str) -> Result<&'a str> {
    let (number, spelled) = function.split_once(' ').unwrap_or((function, ""));
    if !number.starts_with('(') {
        return Ok(function);
    }
    if !spelled.is_empty() {
        let (spelled, _) = spelled.split_once('\'').unwrap_or((spelled, ""));
        names.insert(number, spelled);
    }
    match names.get(number) {
        Some(name) => Ok(name),
        None => bail!("callgrind names no function {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
version: 1
events: Ir

fl=(1) alloc.rs
fn=(1) alloc::alloc
8 10
cob=(2) /lib/x86_64-linux-gnu/libc.so.6
cfi=(2) ./malloc/malloc.c
cfn=(2) malloc
calls=3 3287
8 300
cfn=(3) realloc
calls=2 10
9 90
cfn=(4) free
calls=5 1
9 50

fn=(3)
20 30
cfn=(2)
calls=2 3287
+3 60

fn=(5) other
cfn=(2)
calls=4 3287
8 400
cfn=(6) sqlite3_step
calls=7 3287
8 0

totals: 850
";

    #[test]
    fn instructions_outside_of_the_allocator_and_its_calls_are_read() {
        let counts = Counts::read(PROFILE).unwrap();
        assert_eq!((counts.instructions, counts.allocations), (850 - 840, 9));
        assert_eq!(counts.statements, 7);
    }

    #[test]
    fn a_profile_that_was_cut_off_is_refused() {
        let cut = PROFILE.split("totals").next().unwrap();
        assert!(Counts::read(cut).is_err());
        let without_a_name = PROFILE.replace("(2) malloc", "(2)");
        assert!(Counts::read(&without_a_name).is_err());
    }
}
