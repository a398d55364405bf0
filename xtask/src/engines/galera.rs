//! Members of a Galera cluster of MariaDB.

use std::process::Command;

use anyhow::{Context, Result};

use super::cluster::{self, Cluster};
use super::files::Files;
use super::mariadb;
use super::server::Server;
use super::state::State;
use crate::packages::{GALERA, Program};

/// The members, and the ports of each: for the group, for what a member has missed, and for the copy of all data.
const MEMBERS: usize = 3;
const PORTS: usize = 3;
const CLUSTER: &str = "galera";
const LIBRARY: &str = "/usr/lib/galera/libgalera_smm.so";

/// One member.
pub struct Galera {
    number: usize,
    name: &'static str,
    title: &'static str,
    variable: &'static str,
}

/// All members.
pub const ALL: [Galera; MEMBERS] = [
    Galera {
        number: 0,
        name: "galera1",
        title: "Galera 1",
        variable: "FOXDEN_TEST_GALERA1",
    },
    Galera {
        number: 1,
        name: "galera2",
        title: "Galera 2",
        variable: "FOXDEN_TEST_GALERA2",
    },
    Galera {
        number: 2,
        name: "galera3",
        title: "Galera 3",
        variable: "FOXDEN_TEST_GALERA3",
    },
];

impl Server for Galera {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn variable(&self) -> &'static str {
        self.variable
    }

    fn program(&self) -> &'static Program {
        &GALERA
    }

    fn system_user(&self) -> &'static str {
        "mysql"
    }

    fn create(&self, files: &Files) -> Result<()> {
        let cluster = Cluster::join(&files.home, CLUSTER, MEMBERS * PORTS)?;
        mariadb::create(files, &cluster.password)
    }

    /// The first member founds the cluster when it starts for the first time; all others join it, and copy its data if they have to.
    fn serve(&self, files: &Files, port: u16) -> Result<Command> {
        let cluster = Cluster::of(&files.home, CLUSTER)?;
        let port_of = |member: usize, what: usize| {
            let port = cluster.ports.get(member * PORTS + what);
            port.copied().context("the cluster has too few ports")
        };
        let (group, missed, copy) = (
            port_of(self.number, 0)?,
            port_of(self.number, 1)?,
            port_of(self.number, 2)?,
        );
        let mut members = Vec::new();
        for member in 0..MEMBERS {
            members.push(format!("127.0.0.1:{}", port_of(member, 0)?));
        }
        let mut command = mariadb::serve(files, port)?;
        command.args([
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
            "--wsrep-on=ON",
            "--wsrep-sst-method=rsync",
            "--wsrep-cluster-name=foxden",
        ]);
        command.arg(format!("--wsrep-provider={LIBRARY}"));
        command.arg(format!("--wsrep-cluster-address=gcomm://{}", members.join(",")));
        command.arg(format!("--wsrep-node-name={}", self.name));
        command.arg(format!("--wsrep-node-address=127.0.0.1:{group}"));
        command.arg(format!("--wsrep-sst-receive-address=127.0.0.1:{copy}"));
        command.arg(format!(
            "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{group};ist.recv_addr=127.0.0.1:{missed};\
             gcache.size=16M"
        ));
        if self.number == 0 && !files.data().join("grastate.dat").exists() {
            command.arg("--wsrep-new-cluster");
        }
        Ok(command)
    }

    fn has_started(&self, state: &State) -> bool {
        mariadb::has_started(state)
    }

    fn end_signal(&self) -> &'static str {
        "TERM"
    }

    fn url(&self, state: &State) -> String {
        let cluster = Cluster::of(&state.folder, CLUSTER);
        mariadb::url(
            state,
            &cluster.map(|cluster| cluster.password).unwrap_or_default(),
        )
    }

    fn forget(&self, state: &State) -> Result<()> {
        cluster::forget(&state.folder, CLUSTER)
    }
}
