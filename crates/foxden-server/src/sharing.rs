//! Meets the other processes that serve the same people, every second.

use std::sync::Arc;
use std::time::Duration;

use foxden_accounts::Shared;
use foxden_http::wire::chain;
use foxden_model::LogThrottle;

use crate::app::App;
use crate::tasks::Tasks;

/// How often processes tell each other what they counted.
const EVERY: Duration = Duration::from_secs(1);

/// Looks for other processes until the program stops, if this process uses a register that others may use.
pub fn start(app: &App, tasks: &Tasks) {
    let Some(accounts) = app.register_accounts() else {
        return;
    };
    let shared = Arc::clone(accounts.shared());
    // Before the first request: until the register was read, there may be others.
    shared.start();
    let stopping = tasks.clone();
    tasks.supervise("the meeting of processes", move || {
        meet(Arc::clone(&shared), stopping.clone())
    });
}

async fn meet(shared: Arc<dyn Shared>, mut stopping: Tasks) {
    let notice = LogThrottle::default();
    loop {
        if let Err(error) = shared.meet().await
            && let Some(suppressed) = notice.should_log()
        {
            tracing::warn!(
                "what other processes count is not heard, and they hear nothing of this one: {}{suppressed}",
                chain(&error)
            );
        }
        tokio::select! {
            () = stopping.stopped() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    if let Err(error) = shared.leave().await {
        tracing::debug!(
            "other processes will notice by themselves that this one has ended: {}",
            chain(&error)
        );
    }
}
