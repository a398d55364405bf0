//! The working memory of password hashes. A hash takes megabytes; its buffer goes on to the next hash in line,
//! and back to the system as soon as no hash waits for it.

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

    /// Gives back to the system what is spare beyond so many buffers.
    pub(super) fn keep_at_most(&self, count: usize) {
        let mut spare = self.spare();
        let kept = spare.len().min(count);
        let surplus = spare.split_off(kept);
        drop(spare);
        // Returning megabytes to the system takes a while; the others need not wait for it.
        drop(surplus);
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
