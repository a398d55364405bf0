//! One database server, which is killed and stands still.

use foxden_sql::testing::TestServer;

use super::dice::Dice;
use super::testbed::{Database, Testbed};
use crate::databases::own_server::OwnServer;

/// One server.
pub(super) struct Single {
    server: OwnServer,
    url: String,
    faults: &'static [&'static str],
}

impl Single {
    /// A server of this kind. MariaDB has a binary log: without it, a kill may take what a client has read.
    pub(super) fn start(kind: TestServer) -> Self {
        let server = match kind {
            TestServer::Postgres => OwnServer::start(kind),
            TestServer::Mariadb => OwnServer::with_binary_log(),
        };
        Self {
            url: server.url().to_owned(),
            server,
            faults: &["database killed", "database killed", "database paused"],
        }
    }

    /// A PostgreSQL that acknowledges what is not on disk, and is killed.
    pub(super) fn careless_postgres() -> Self {
        let single = Self::start(TestServer::Postgres);
        let careless = "ALTER ROLE foxden SET synchronous_commit = off";
        TestServer::Postgres.run_at(&single.url, careless);
        Self {
            url: format!("{}?synchronous_commit=off", single.url),
            faults: &["database killed"],
            ..single
        }
    }
}

impl Database for Single {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn faults(&self) -> &'static [&'static str] {
        self.faults
    }

    fn strike(&mut self, fault: usize, dice: &Dice, _testbed: &Testbed<'_>) {
        if fault == 2 {
            self.server.pause();
            std::thread::sleep(dice.millis(100, 6000));
            self.server.run_on();
        } else {
            self.server.kill();
            std::thread::sleep(dice.millis(1, 1500));
            self.server.start_again();
        }
    }
}
