//! Futures that are compiled once.

use std::pin::Pin;

use crate::SqlError;

/// A future on the heap, which is compiled where it is made. An `async fn` is compiled again in each crate that waits for it, with all
/// that it waits for: of the drivers that is much.
pub type Erased<'a, T, E = SqlError> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;
