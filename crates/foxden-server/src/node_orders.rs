//! What this storage node tells its clients at the operator's order: `foxden node set --backoff` and `foxden node down`.
//!
//! A node that reads the register learns it there. Another one has nothing but the shared secret: it goes by what the
//! tokens of its clients say about the back-off, and is not told that it is down.

use std::sync::Arc;
use std::time::Duration;

use foxden_accounts::{Accounts, NodeOrders};
use foxden_http::wire::chain;
use foxden_model::LogThrottle;

use crate::app::App;
use crate::backoff::obey;
use crate::tasks::Tasks;

/// How often the register is read.
const EVERY: Duration = Duration::from_secs(5);

/// Reads the orders for this node until the program stops, if it keeps objects and reads the register.
pub fn start(app: &Arc<App>, tasks: &Tasks) {
    let Some(accounts) = app.register_accounts().filter(|_| app.storage.is_some()) else {
        return;
    };
    let (app, accounts, stopping) = (Arc::clone(app), accounts.clone(), tasks.clone());
    tasks.supervise("the orders for this node", move || {
        follow(Arc::clone(&app), accounts.clone(), stopping.clone())
    });
}

async fn follow(app: Arc<App>, accounts: Accounts, mut stopping: Tasks) {
    let (own, notice) = (app.site.public_url.base(), LogThrottle::default());
    let mut last = NodeOrders::default();
    loop {
        match accounts.node_orders(&own).await {
            Ok(orders) => {
                let orders = orders.unwrap_or_default();
                if orders != last {
                    log_change(&own, orders);
                    obey(&app.backoff, &app.config.storage, orders);
                    last = orders;
                }
            }
            // What was ordered last goes on.
            Err(error) => {
                if let Some(suppressed) = notice.should_log() {
                    tracing::warn!(
                        "whether this node is to back off cannot be read: {}{suppressed}",
                        chain(&error)
                    );
                }
            }
        }
        tokio::select! {
            () = stopping.stopped() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn log_change(own: &str, orders: NodeOrders) {
    match orders {
        NodeOrders { is_down: true, .. } => tracing::warn!(
            "the operator has marked this node, {own}, as down: all clients are told to wait until foxden node up"
        ),
        NodeOrders {
            backoff_seconds: 0, ..
        } => tracing::info!("this node, {own}, serves its clients as usual again"),
        NodeOrders { backoff_seconds, .. } => tracing::info!(
            "the operator has set a back-off: clients of this node, {own}, are asked to sync again after {backoff_seconds} \
             s only"
        ),
    }
}
