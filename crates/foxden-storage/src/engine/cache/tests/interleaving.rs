//! All interleavings of a few writers and readers: no read shows less than an earlier one or an acknowledged write. Mistakes that
//! are planted in the protocol are found.

use std::sync::Arc;

use foxden_model::UserId;

use crate::engine::cache::{FillTicket, UserCache};

const USER: UserId = UserId(5);

/// A mistake of a writer or a reader.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    Nothing,
    CommitsBeforeInvalidating,
    ResolvesBeforeCommitting,
    TakesTicketAfterReading,
}

/// The store, whose states are numbered, its cache, and the highest state that has been shown or acknowledged.
struct Shared {
    cache: UserCache<u64>,
    committed: u64,
    shown: u64,
    mistake: Mistake,
}

#[derive(Clone, Copy)]
enum WriterStep {
    Invalidate,
    Commit,
    Resolve,
}

#[derive(Clone, Default)]
struct Reader {
    /// The oldest state that the current read may show.
    least: u64,
    read: Option<u64>,
    ticket: Option<FillTicket>,
    is_done: bool,
}

#[derive(Clone)]
enum Actor {
    /// Its steps, and whether it knows the state that it has made.
    Writer {
        knows_state: bool,
        made: u64,
        step: usize,
    },
    /// It reads this often.
    Reader {
        reads: usize,
        reader: Reader,
        step: usize,
    },
}

const READ_STEPS: usize = 3;

impl Actor {
    const fn writer(knows_state: bool) -> Self {
        Self::Writer {
            knows_state,
            made: 0,
            step: 0,
        }
    }

    fn reader(reads: usize) -> Self {
        Self::Reader {
            reads,
            reader: Reader::default(),
            step: 0,
        }
    }

    const fn steps(&self) -> usize {
        match self {
            Self::Writer { .. } => 3,
            Self::Reader { reads, .. } => READ_STEPS * *reads,
        }
    }

    fn step(&mut self, shared: &mut Shared) -> Result<(), String> {
        match self {
            Self::Writer {
                knows_state,
                made,
                step,
            } => {
                let steps = writer_steps(shared.mistake);
                write(steps[*step], *knows_state, made, shared);
                *step += 1;
                if *step == steps.len() {
                    shared.shown = shared.shown.max(*made);
                }
                Ok(())
            }
            Self::Reader { reader, step, .. } => {
                let at = *step % READ_STEPS;
                *step += 1;
                reader.step(at, shared)
            }
        }
    }
}

const fn writer_steps(mistake: Mistake) -> [WriterStep; 3] {
    use WriterStep::{Commit, Invalidate, Resolve};
    match mistake {
        Mistake::Nothing | Mistake::TakesTicketAfterReading => [Invalidate, Commit, Resolve],
        Mistake::CommitsBeforeInvalidating => [Commit, Invalidate, Resolve],
        Mistake::ResolvesBeforeCommitting => [Invalidate, Resolve, Commit],
    }
}

fn write(step: WriterStep, knows_state: bool, made: &mut u64, shared: &mut Shared) {
    match step {
        WriterStep::Invalidate => shared.cache.invalidate(USER),
        WriterStep::Commit => {
            shared.committed += 1;
            *made = shared.committed;
        }
        WriterStep::Resolve => {
            let state = (knows_state && *made > 0).then(|| Arc::new(*made));
            shared.cache.resolve(USER, state);
        }
    }
}

impl Reader {
    fn step(&mut self, at: usize, shared: &mut Shared) -> Result<(), String> {
        match at {
            0 => {
                *self = Self {
                    least: shared.shown,
                    ..Self::default()
                };
                if let Some(state) = shared.cache.get(USER) {
                    self.is_done = true;
                    return self.show(*state, shared);
                }
                self.ticket = Some(shared.cache.ticket(USER));
                Ok(())
            }
            _ if self.is_done => Ok(()),
            1 => {
                self.read = Some(shared.committed);
                if shared.mistake == Mistake::TakesTicketAfterReading {
                    self.ticket = None;
                }
                Ok(())
            }
            _ => {
                let read = self.read.unwrap_or_default();
                let ticket = self.ticket.unwrap_or_else(|| shared.cache.ticket(USER));
                shared.cache.fill(USER, ticket, Arc::new(read));
                self.show(read, shared)
            }
        }
    }

    fn show(&self, state: u64, shared: &mut Shared) -> Result<(), String> {
        if state < self.least {
            return Err(format!("state {state} after {}", self.least));
        }
        shared.shown = shared.shown.max(state);
        Ok(())
    }
}

/// Runs every order of the actors' steps. Returns how many there are, or the first fault.
fn explore(actors: &[Actor], mistake: Mistake) -> Result<usize, String> {
    let mut left: Vec<usize> = actors.iter().map(Actor::steps).collect();
    let mut order = Vec::new();
    extend(actors, mistake, &mut left, &mut order)
}

fn extend(
    actors: &[Actor],
    mistake: Mistake,
    left: &mut [usize],
    order: &mut Vec<usize>,
) -> Result<usize, String> {
    if left.iter().all(|steps| *steps == 0) {
        return follow(actors.to_vec(), mistake, order)
            .map(|()| 1)
            .map_err(|fault| format!("{fault} in {order:?}"));
    }
    let mut count = 0;
    for at in 0..left.len() {
        if left[at] > 0 {
            left[at] -= 1;
            order.push(at);
            count += extend(actors, mistake, left, order)?;
            order.pop();
            left[at] += 1;
        }
    }
    Ok(count)
}

fn follow(mut actors: Vec<Actor>, mistake: Mistake, order: &[usize]) -> Result<(), String> {
    let mut shared = Shared {
        cache: UserCache::new(1),
        committed: 0,
        shown: 0,
        mistake,
    };
    for at in order {
        actors[*at].step(&mut shared)?;
    }
    match shared.cache.get(USER) {
        Some(state) if *state != shared.committed => {
            Err(format!("state {state} is left of {}", shared.committed))
        }
        _ => Ok(()),
    }
}

fn scenes() -> [Vec<Actor>; 3] {
    [
        vec![Actor::writer(true), Actor::reader(1), Actor::reader(2)],
        vec![Actor::writer(false), Actor::reader(1), Actor::reader(2)],
        vec![Actor::writer(true), Actor::writer(true), Actor::reader(2)],
    ]
}

#[test]
fn no_interleaving_shows_an_older_state() {
    for actors in scenes() {
        // 12! / (3! 3! 6!)
        assert_eq!(explore(&actors, Mistake::Nothing), Ok(18_480));
    }
}

#[test]
fn mistakes_in_the_protocol_are_found() {
    for mistake in [
        Mistake::CommitsBeforeInvalidating,
        Mistake::ResolvesBeforeCommitting,
        Mistake::TakesTicketAfterReading,
    ] {
        assert!(scenes().iter().any(|actors| explore(actors, mistake).is_err()));
    }
}
