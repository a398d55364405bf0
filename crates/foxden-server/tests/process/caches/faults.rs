//! Cache servers that die, hang and forget while clients are served.

use std::io::{Read, Write};
use std::net::TcpStream;

use foxden_sql::testing::TestServer;

use super::load::Load;
use super::{ENDED, NOT_IN_USE, Setup, await_use, said_after};
use crate::databases::own_server::OwnServers;
use crate::program::{Folder, Program};

/// What is done to a cache server while clients are served, and back.
struct Fault {
    orders: &'static [&'static str],
    /// What the log tells as the cause.
    cause: &'static str,
    back: &'static [&'static str],
}

const KILLED: Fault = Fault {
    orders: &["kill"],
    cause: "Connection refused",
    back: &["start"],
};
const HANGS: Fault = Fault {
    orders: &["pause"],
    cause: "it does not answer in time",
    back: &["continue"],
};
/// A server that takes long to start is another cause.
const RESTARTED: Fault = Fault {
    orders: &["kill", "start"],
    cause: "cause=",
    back: &[],
};
const EMPTIED: Fault = Fault {
    orders: &[EMPTY],
    cause: "it was restarted or emptied",
    back: &[],
};
const EMPTY: &str = "empty";

/// A cache server that fails.
struct Cache {
    name: &'static str,
    url: String,
    servers: OwnServers,
}

impl Cache {
    fn start(name: &'static str) -> Self {
        let (servers, mut urls) = OwnServers::start(&[name]);
        let url = urls.remove(0);
        Self { name, url, servers }
    }

    /// Has a fault happen, and waits until the program has ended the use of the cache and told the cause.
    fn strike(&mut self, fault: &Fault, program: &Program, load: &Load) {
        load.is_served();
        let before = program.log().len();
        self.obey(fault.orders);
        let line = said_after(program, before, ENDED);
        assert!(line.contains(fault.cause) && line.contains("WARN"), "{line}");
        said_after(program, before, NOT_IN_USE);
        load.is_served();
        self.obey(fault.back);
    }

    fn obey(&mut self, orders: &[&str]) {
        for order in orders {
            match *order {
                EMPTY => self.empty(),
                order => self.servers.order(order, self.name),
            }
        }
    }

    fn empty(&self) {
        let (command, done) = match self.name {
            "redis" => ("FLUSHDB\r\n", "+OK\r\n"),
            _ => ("flush_all\r\n", "OK\r\n"),
        };
        let mut stream = TcpStream::connect(self.url.split_once("://").unwrap().1).unwrap();
        stream.write_all(command.as_bytes()).unwrap();
        let mut answer = vec![0; done.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, done.as_bytes());
    }
}

/// Clients are served through each fault. Between them the program is killed: the next one announces the cache at once.
fn faults_cost_time_and_no_truth(database: TestServer, name: &'static str) {
    let mut cache = Cache::start(name);
    let folder = Folder::new();
    let setup = Setup::new(&folder, database, &cache.url);
    let mut program = setup.start.serve();
    let load = Load::at(program.url());
    load.during(|| {
        for fault in [KILLED, HANGS, RESTARTED] {
            setup.use_cache_soon(&program);
            cache.strike(&fault, &program, &load);
            load.without_the_program(|| {
                program.crash();
                program = setup.start.serve();
            });
        }
        load.is_served();
    });
    eprintln!("{name}: {load}");
    program.stop();
}

#[test]
#[ignore = "needs PostgreSQL and starts a Redis of its own: run by cargo xtask test"]
fn redis_before_postgresql_fails() {
    faults_cost_time_and_no_truth(TestServer::Postgres, "redis");
}

#[test]
#[ignore = "needs MariaDB and starts a memcached of its own: run by cargo xtask test"]
fn memcached_before_mariadb_fails() {
    faults_cost_time_and_no_truth(TestServer::Mariadb, "memcached");
}

mod long {
    use super::*;

    /// The same without any help: what was away comes into use by itself.
    fn service_and_cache_return(database: TestServer, name: &'static str) {
        let mut cache = Cache::start(name);
        let folder = Folder::new();
        let setup = Setup::new(&folder, database, &cache.url);
        let program = setup.start.serve();
        let load = Load::at(program.url());
        load.during(|| {
            for fault in [KILLED, HANGS, EMPTIED, RESTARTED] {
                await_use(&program);
                cache.strike(&fault, &program, &load);
            }
            await_use(&program);
            load.is_served();
        });
        eprintln!("{name}: {load}");
        program.stop();
    }

    #[test]
    #[ignore = "takes minutes and starts a Redis of its own: run by cargo xtask test --long"]
    fn redis_before_postgresql_comes_back() {
        service_and_cache_return(TestServer::Postgres, "redis");
    }

    #[test]
    #[ignore = "takes minutes and starts a memcached of its own: run by cargo xtask test --long"]
    fn memcached_before_mariadb_comes_back() {
        service_and_cache_return(TestServer::Mariadb, "memcached");
    }
}
