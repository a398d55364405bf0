//! Moving users from one store to another, as `foxden migrate` does.
//!
//! - [`check_source`]: whether a store has anything to move
//! - [`begin`]: flags both stores, so that neither is served, or finds the flags of a move that was interrupted
//! - [`copy()`]: copies the users who are not in the target yet
//! - [`compare()`]: compares both stores, row by row
//! - [`finish`]: opens the target to engines
//!
//! What was done is in the flags of the stores and in the users of the target, so a move that was interrupted anywhere goes on with the
//! same calls.

mod compare;
mod copy;
mod feed;
mod progress;
mod reader;
mod retries;

use foxden_model::Rng;

use crate::engine::EngineError;
use crate::engine::movable::{MovableStore, MoveFlag, MoveRole};

pub use compare::compare;
pub use copy::copy;
pub use progress::MoveProgress;

/// A store and how it is called.
#[derive(Clone, Copy)]
pub struct NamedStore<'a> {
    /// The store.
    pub store: &'a dyn MovableStore,
    /// Its URL for people, without a password.
    pub shown: &'a str,
}

/// The two stores of a move.
#[derive(Clone, Copy)]
pub struct Move<'a> {
    /// The store that users are moved from.
    pub from: NamedStore<'a>,
    /// The store that users are moved to.
    pub to: NamedStore<'a>,
}

/// What is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveState {
    /// Everything.
    New,
    /// To go on with a move that was interrupted.
    Resumed,
    /// To open the target: all was copied and compared before.
    Compared,
    /// Nothing.
    Ended,
}

/// Why users were not moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// One of the stores failed. The same move goes on later.
    #[error("{place} failed")]
    Store {
        /// The store.
        place: String,
        /// Why.
        #[source]
        source: EngineError,
    },
    /// Both are one store.
    #[error("{from} and {to} are the same store")]
    SameStore {
        /// The store to move from.
        from: String,
        /// The store to move to.
        to: String,
    },
    /// There is no user to move.
    #[error("there are no objects at {0}; check the URL")]
    NothingToMove(String),
    /// The target has users.
    #[error("{0} is not empty; name an empty store, or empty this one")]
    NotEmpty(String),
    /// A store takes part in another move.
    #[error("{place} {what}; go on with that move, or give it up: foxden migrate --give-up URL")]
    OtherMove {
        /// The store.
        place: String,
        /// What it is to that move.
        what: String,
    },
    /// The store to move to was moved away before, and the move has ended.
    #[error(
        "{place} was moved to {peer}, and that move has ended; what is still at {place} is not served: delete it, or name another \
         store or folder"
    )]
    LeftOver {
        /// The store.
        place: String,
        /// The store that it was moved to.
        peer: String,
    },
    /// All users have been moved before.
    #[error(
        "{from} was moved to {to} before; to serve or move what is still there, open it first: \
         foxden migrate --give-up URL"
    )]
    AlreadyMoved {
        /// The store that was moved from.
        from: String,
        /// The store that was moved to.
        to: String,
    },
    /// The stores differ after the copy.
    #[error(
        "the stores differ: {0}; neither was opened. Empty the target (foxden migrate --give-up URL) and move once more; if it differs \
         again, keep both stores and report it"
    )]
    Different(String),
}

impl NamedStore<'_> {
    /// The error of a store that failed.
    fn failed(self, source: EngineError) -> MoveError {
        MoveError::Store {
            place: self.shown.to_owned(),
            source,
        }
    }

    async fn flag(self) -> Result<Option<MoveFlag>, MoveError> {
        self.store.flag().await.map_err(|error| self.failed(error))
    }

    async fn set_flag(self, flag: Option<&MoveFlag>) -> Result<(), MoveError> {
        let set = self.store.set_flag(flag).await;
        set.map_err(|error| self.failed(error))
    }

    async fn is_empty(self) -> Result<bool, MoveError> {
        self.store.is_empty().await.map_err(|error| self.failed(error))
    }

    /// Refuses because of a move with another store.
    fn other_move(self, flag: &MoveFlag) -> MoveError {
        let peer = &flag.peer;
        let what = match flag.role {
            MoveRole::Source => format!("is being moved to {peer}"),
            MoveRole::Moved => format!("was moved to {peer}"),
            MoveRole::Unseen | MoveRole::Target | MoveRole::Arrived => {
                format!("is to hold the objects of {peer}, from a move that was interrupted")
            }
        };
        MoveError::OtherMove {
            place: self.shown.to_owned(),
            what,
        }
    }
}

/// Refuses a store that has nothing to move, before another one is made for it.
pub async fn check_source(from: NamedStore<'_>) -> Result<(), MoveError> {
    match from.flag().await? {
        None if from.is_empty().await? => Err(MoveError::NothingToMove(from.shown.to_owned())),
        None => Ok(()),
        Some(flag) => match flag.role {
            MoveRole::Source | MoveRole::Moved => Ok(()),
            MoveRole::Unseen | MoveRole::Target | MoveRole::Arrived => Err(from.other_move(&flag)),
        },
    }
}

/// Flags both stores. Nothing is changed if the move is refused.
pub async fn begin(stores: Move<'_>, rng: &dyn Rng) -> Result<MoveState, MoveError> {
    let Move { from, to } = stores;
    let source = from.flag().await?;
    let target = to.flag().await?;
    match (source, target) {
        (None, None) => {
            check_source(from).await?;
            flag(stores, &new_id(rng)).await
        }
        (Some(source), Some(target)) if source.id == target.id && source.role == target.role => {
            Err(same_store(stores))
        }
        (Some(source), Some(target)) if source.id == target.id && is_pair(source.role, target.role) => {
            // A flag that was interrupted is completed.
            from.set_flag(Some(&source)).await?;
            to.set_flag(Some(&target)).await?;
            match (source.role, target.role) {
                (_, MoveRole::Unseen) => enter(stores, target).await,
                (MoveRole::Moved, MoveRole::Arrived) => Ok(MoveState::Compared),
                // A target that was restored from a copy, or lost its last writes, is completed and compared again.
                _ => Ok(MoveState::Resumed),
            }
        }
        (Some(source), target) if source.role == MoveRole::Moved => {
            let is_served_there = target.is_none() && source.peer == to.shown && !to.is_empty().await?;
            if is_served_there {
                return Ok(MoveState::Ended);
            }
            Err(MoveError::AlreadyMoved {
                from: from.shown.to_owned(),
                to: source.peer,
            })
        }
        // It was interrupted between the two flags, or the target was given up.
        (Some(source), None) if source.role == MoveRole::Source && source.peer == to.shown => {
            flag(stores, &source.id).await
        }
        (Some(source), _) => Err(from.other_move(&source)),
        (None, Some(target)) if target.role == MoveRole::Moved => Err(MoveError::LeftOver {
            place: to.shown.to_owned(),
            peer: target.peer,
        }),
        (None, Some(target)) => Err(to.other_move(&target)),
    }
}

/// Whether two stores of one move have these roles in it.
const fn is_pair(source: MoveRole, target: MoveRole) -> bool {
    matches!(source, MoveRole::Source | MoveRole::Moved)
        && matches!(target, MoveRole::Unseen | MoveRole::Target | MoveRole::Arrived)
}

/// Flags the source and then the target, which must be empty.
async fn flag(stores: Move<'_>, id: &str) -> Result<MoveState, MoveError> {
    let Move { from, to } = stores;
    if !to.is_empty().await? {
        return Err(MoveError::NotEmpty(to.shown.to_owned()));
    }
    let source = MoveFlag {
        id: id.to_owned(),
        role: MoveRole::Source,
        peer: to.shown.to_owned(),
    };
    from.set_flag(Some(&source)).await?;
    if to.flag().await?.as_ref() == Some(&source) {
        from.set_flag(None).await?;
        return Err(same_store(stores));
    }
    let target = MoveFlag {
        role: MoveRole::Unseen,
        peer: from.shown.to_owned(),
        ..source
    };
    to.set_flag(Some(&target)).await?;
    enter(stores, target).await
}

/// Makes the closed target ready for users, unless a program that had it open wrote there before it was closed.
async fn enter(stores: Move<'_>, target: MoveFlag) -> Result<MoveState, MoveError> {
    let Move { from, to } = stores;
    let users = to.store.users(None, 1).await;
    if !users.map_err(|error| to.failed(error))?.is_empty() {
        to.set_flag(None).await?;
        from.set_flag(None).await?;
        return Err(MoveError::NotEmpty(to.shown.to_owned()));
    }
    // Deleted data may be left of an earlier time.
    to.store.clear().await.map_err(|error| to.failed(error))?;
    let target = MoveFlag {
        role: MoveRole::Target,
        ..target
    };
    to.set_flag(Some(&target)).await?;
    Ok(MoveState::New)
}

/// Opens the target to engines, after a comparison. The source stays closed, and says where its users are.
pub async fn finish(stores: Move<'_>) -> Result<(), MoveError> {
    let Move { from, to } = stores;
    for (place, role) in [(to, MoveRole::Arrived), (from, MoveRole::Moved)] {
        if let Some(flag) = place.flag().await? {
            place.set_flag(Some(&MoveFlag { role, ..flag })).await?;
        }
    }
    to.set_flag(None).await
}

/// Gives a move up: opens a store to engines again, and empties it if it is the target of a move that was interrupted. Returns what it
/// was to the move; `None` if it takes part in none.
pub async fn give_up(place: NamedStore<'_>) -> Result<Option<MoveFlag>, MoveError> {
    let Some(flag) = place.flag().await? else {
        return Ok(None);
    };
    // A flag that was interrupted is completed: the tables have all been closed before they are emptied or opened.
    place.set_flag(Some(&flag)).await?;
    if matches!(flag.role, MoveRole::Target | MoveRole::Arrived) {
        place.store.clear().await.map_err(|error| place.failed(error))?;
    }
    place.set_flag(None).await?;
    Ok(Some(flag))
}

fn same_store(stores: Move<'_>) -> MoveError {
    MoveError::SameStore {
        from: stores.from.shown.to_owned(),
        to: stores.to.shown.to_owned(),
    }
}

fn new_id(rng: &dyn Rng) -> String {
    crate::engine::random_id(rng).0.into()
}
