//! The working memory of password hashes. A hash takes megabytes. Its buffer is reused by the next hash, and returned to
//! the system if none has come for a while.

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
            // Free the smaller buffer first: its content is not needed, and the two never coexist.
            drop(std::mem::take(&mut buffer));
            buffer = vec![Block::default(); blocks];
        }
        let result = work(&mut buffer[..blocks]);
        self.spare().push(buffer);
        result
    }

    /// Returns unused buffers to the system.
    pub(super) fn free_unused(&self) {
        let unused = std::mem::take(&mut *self.spare());
        // Freeing takes a while, so it happens after the lock is released.
        drop(unused);
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.spare().len()
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        // A panic cannot leave a vector that is only pushed to and popped from half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
