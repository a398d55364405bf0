//! How much waits in a running server, for metrics.

use foxden_accounts::{Accounts, HashQueue};
use foxden_http::wire::MemoryInUse;
use foxden_storage::{QueuedWrites, Storage};

use crate::app::App;
use crate::listen::connection_limiter::ConnectionLimiter;

/// How much waits in a running server at one moment. The values are those of counters that exist for other reasons: no request
/// pays for them, and reading them costs a few short locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueDepths {
    /// Connections that could be opened without closing others.
    pub free_connections: usize,
    /// Connections beyond the limit, which wait for others to end.
    pub waiting_connections: usize,
    /// Bytes held for clients.
    pub memory: MemoryInUse,
    /// Writes that wait for storage; `None` if this process keeps no objects.
    pub storage: Option<QueuedWrites>,
    /// The queues of the register; `None` if this process does not open it.
    pub register: Option<foxden_sql::QueueDepths>,
    /// Password hashes; `None` if this process checks no passwords.
    pub password_hashes: Option<HashQueue>,
}

impl QueueDepths {
    /// Reads all counters.
    pub fn read(app: &App, connections: &ConnectionLimiter) -> Self {
        // Both are handles on the same accounts where a process has both.
        let accounts = app.accounts.as_ref().or(app.passwords.as_ref());
        Self {
            free_connections: connections.free(),
            waiting_connections: connections.waiting(),
            memory: app.memory.in_use(),
            storage: app.storage.as_ref().map(Storage::queued_writes),
            register: accounts.map(Accounts::register_queue),
            password_hashes: accounts.map(Accounts::hash_queue),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::assemble::tests::TestApp;
    use crate::server::Server;

    #[tokio::test]
    async fn a_server_at_rest_has_empty_queues() {
        let app = TestApp::open("queue-depths", "http://127.0.0.1:5000").await;
        let server = Server::new(app.services(), 8);
        let permit = server.connection_limiter().admit(None).await;
        let depths = server.queue_depths();
        assert_eq!((depths.free_connections, depths.waiting_connections), (7, 0));
        assert_eq!(depths.memory, foxden_http::wire::MemoryInUse::default());
        assert_eq!(depths.storage, Some(foxden_storage::QueuedWrites::default()));
        assert_eq!(depths.register, Some(foxden_sql::QueueDepths::default()));
        assert_eq!(
            depths.password_hashes,
            Some(foxden_accounts::HashQueue::default())
        );
        drop(permit);
        assert_eq!(server.queue_depths().free_connections, 8);
        assert!(Arc::ptr_eq(server.app(), &app.services()));
    }
}
