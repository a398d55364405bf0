//! The working memory of password hashes. A hash takes megabytes; its buffer goes on to the next hash, and back to the
//! system once no hash has come for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::Block;

/// Buffers that no hash uses at the moment.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<Block>>>);

impl Buffers {
    /// Lends a buffer of at least `blocks` blocks. Its content is arbitrary: Argon2 overwrites it first.
    pub(super) fn lend<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let mut buffer = self.spare().pop().unwrap_or_default();
        if buffer.len() < blocks {
            // A buffer of another cost is not copied, and never held beside its successor.
            drop(std::mem::take(&mut buffer));
            buffer = vec![Block::default(); blocks];
        }
        let result = work(&mut buffer[..blocks]);
        self.spare().push(buffer);
        result
    }

    /// Gives back to the system what no hash uses.
    pub(super) fn give_back(&self) {
        let unused = std::mem::take(&mut *self.spare());
        // It takes a while, and the others need not wait for it.
        drop(unused);
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.spare().len()
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        // A vector that is pushed to and popped from is whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
