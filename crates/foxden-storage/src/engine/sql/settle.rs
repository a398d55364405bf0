//! Brings a write to an end that has landed late, or whose answer was lost.
//!
//! What a cut connection leaves behind may still arrive. It lands only while the user's row has the mark that it knows, so each look
//! that ends a write leaves another mark. It also commits where the write has landed: what a server shows after a lost answer, it may
//! still forget. `InnoDB` shows a transaction before it is on disk, and a PostgreSQL that has started again shows what its
//! synchronous standby lacks. A later commit is acknowledged only together with all before it.

use std::sync::Arc;

use foxden_model::UserId;

use super::fault::Fault;
use super::guard::new_mark;
use super::landing::{LATE_MILLIS, landing};
use super::transaction::{CommitFault, UserTransaction};
use super::{LOOKS, SqlEngine, write};
use crate::command::{Change, Write};
use crate::engine::EngineError;
use crate::page::Written;

/// A try of a write that has landed or may yet land.
pub(super) struct Tried {
    /// The mark that the user's row gets.
    pub(super) mark: i64,
    /// When its time was fixed, by the steady clock.
    pub(super) began: i64,
    pub(super) written: Written,
    /// Whether a look has seen it before readers could pass its time.
    pub(super) was_seen: bool,
}

impl Tried {
    /// A try that no look has seen.
    pub(super) const fn new(mark: i64, began: i64, written: Written) -> Self {
        Self {
            mark,
            began,
            written,
            was_seen: false,
        }
    }
}

impl SqlEngine {
    /// Returns what came of a write: it has landed in time, or it is made again. One that landed late is made again with a later
    /// time, and neither its guard nor its quota refuses it because of itself.
    pub(super) async fn settle(
        &self,
        user: UserId,
        write: &Write,
        first: Tried,
    ) -> Result<Written, EngineError> {
        let bytes_before = first.written.bytes_before;
        let earliest = first.written.modified;
        let mut tries = vec![first];
        let settling = self.clock.steady_millis();
        for look in 1..=LOOKS {
            if look > 1 {
                self.pause(look + 1).await;
            }
            if self.is_given_up(settling) {
                break;
            }
            let Some(mut tx) = self.begin_anew(user).await else {
                continue;
            };
            let mut again = write.clone();
            // Of these there is nothing that a reader could miss.
            let is_nothing = tries.iter().all(|tried| !tried.written.changed);
            match tries.iter_mut().find(|tried| tried.mark == tx.state.mark) {
                Some(landed) if is_nothing || landed.was_seen || !self.is_late(landed.began) => {
                    landed.was_seen = true;
                    let landed = Tried {
                        mark: new_mark(&*self.rng),
                        began: landed.began,
                        written: Written {
                            bytes_before,
                            bytes_after: tx.state.usage().bytes,
                            ..landed.written
                        },
                        was_seen: true,
                    };
                    if self.confirm(user, tx, landed.mark).await {
                        return Ok(landed.written);
                    }
                    tries.push(landed);
                    continue;
                }
                Some(_) if matches!(write.change, Change::Upsert { .. }) => {
                    again.guard = None;
                    again.quota = None;
                }
                None if is_nothing || tx.state.modified < earliest => {}
                // It cannot be made again, or others have written since.
                Some(_) | None => {
                    tx.roll_back().await;
                    break;
                }
            }
            tx.state.mark = new_mark(&*self.rng);
            let (mark, began) = (tx.state.mark, tx.began());
            tx.landing = landing(write, began, LATE_MILLIS);
            let time = self.time(&tx.state).not_before(write.not_before);
            let written = match write::write(&mut tx, &again, time).await {
                Ok(written) => Ok(Written {
                    bytes_before,
                    ..written
                }),
                Err(Fault::Refused(EngineError::Unavailable(cause))) => {
                    tx.roll_back().await;
                    return Err(EngineError::OutcomeUnknown(cause));
                }
                Err(Fault::Refused(error)) => Err(error),
                Err(fault) => {
                    drop(self.server.error(fault));
                    continue;
                }
            };
            // A refusal is committed, too, for its mark.
            match tx.commit(self.clock.steady_millis()).await {
                Ok(state) if !self.is_late(began) => {
                    self.known.resolve(user, Some(Arc::new(state)));
                    return written;
                }
                Ok(_) => {}
                // Its tries may yet land, but it may not be made again.
                Err(CommitFault::NotCommitted(Fault::PassEnded)) => break,
                Err(CommitFault::NotCommitted(fault) | CommitFault::Unknown(fault)) => {
                    drop(self.server.error(fault));
                }
            }
            tries.extend(written.map(|written| Tried::new(mark, began, written)));
        }
        let cause = "the answer of the database server to a write was lost".into();
        Err(EngineError::OutcomeUnknown(cause))
    }

    /// Commits another mark, and with it all that the transaction has seen. Returns whether the server has acknowledged that.
    pub(super) async fn confirm(&self, user: UserId, mut tx: UserTransaction, mark: i64) -> bool {
        tx.state.mark = mark;
        match tx.commit(self.clock.steady_millis()).await {
            Ok(state) => {
                self.known.resolve(user, Some(Arc::new(state)));
                true
            }
            Err(CommitFault::NotCommitted(fault) | CommitFault::Unknown(fault)) => {
                drop(self.server.error(fault));
                false
            }
        }
    }
}
