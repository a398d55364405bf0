//! For how long clients of this storage node are asked to stay away, by its configuration and by the operator's orders.

use std::time::Duration;

use foxden_accounts::NodeOrders;
use foxden_http::sync::Backoff;

use crate::config::storage::Storage;

/// Seconds for which a node in maintenance, or one that is down, sends clients away where nothing else is set.
const DOWN_SECONDS: u32 = 1800;

/// What clients are told from the start on.
pub fn at_start(settings: &Storage) -> Backoff {
    let backoff = Backoff::default();
    obey(&backoff, settings, NodeOrders::default());
    backoff
}

/// Tells clients what configuration and register say: the longer time, and to stay away if either says so.
pub fn obey(backoff: &Backoff, settings: &Storage, orders: NodeOrders) {
    // Clients read whole seconds alone, and half a second is not none.
    let seconds = |time: Duration| u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    let wish = settings.backoff.map_or(0, seconds).max(orders.backoff_seconds);
    match (settings.is_in_maintenance || orders.is_down, wish) {
        (false, _) => backoff.ask(wish),
        (true, 0) => backoff.close(DOWN_SECONDS),
        (true, _) => backoff.close(wish),
    }
}
