//! pgbouncer, which stands before a PostgreSQL and gives each transaction another of its sessions.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::files::Files;
use super::postgres::Postgres;
use super::server::{Server, USER};
use super::state::State;
use crate::cargo::variable;
use crate::packages::{PGBOUNCER, Program, find};

/// pgbouncer before the PostgreSQL that the environment names.
pub struct PgBouncer;

impl Server for PgBouncer {
    fn name(&self) -> &'static str {
        "pgbouncer"
    }

    fn title(&self) -> &'static str {
        "pgbouncer"
    }

    fn variable(&self) -> &'static str {
        "FOXDEN_TEST_PGBOUNCER"
    }

    fn program(&self) -> &'static Program {
        &PGBOUNCER
    }

    fn system_user(&self) -> &'static str {
        "postgres"
    }

    fn create(&self, files: &Files) -> Result<()> {
        let user = format!("\"{USER}\" \"{}\"\n", files.password);
        files.write(USERS, &user).map(drop)
    }

    fn serve(&self, files: &Files, port: u16) -> Result<Command> {
        let name = Postgres.variable();
        let url = variable(name).and_then(|url| url.into_string().ok());
        let behind = url.as_deref().and_then(Upstream::of);
        let behind = behind.with_context(|| {
            format!("{name} has to name a PostgreSQL for it: postgres://user:password@host:port/database")
        })?;
        let settings = files.write("settings", &settings(files, port, &behind))?;
        let mut command = files.command(&find("pgbouncer").context("pgbouncer is missing")?);
        command.arg(settings);
        Ok(command)
    }

    /// It answers whether it encrypts.
    fn has_started(&self, state: &State) -> bool {
        let Ok(mut stream) = TcpStream::connect(state.address()) else {
            return false;
        };
        // Its length, and the number of the request.
        let asks_for_tls = [0, 0, 0, 8, 4, 210, 22, 47];
        let mut answer = [0];
        let has_answered = stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .and_then(|()| stream.write_all(&asks_for_tls))
            .and_then(|()| stream.read_exact(&mut answer));
        has_answered.is_ok() && matches!(answer, [b'N' | b'S'])
    }

    /// Ends without waiting for clients.
    fn end_signal(&self) -> &'static str {
        "TERM"
    }

    fn url(&self, state: &State) -> String {
        format!("postgres://{USER}:{}@{}/{USER}", state.password, state.address())
    }
}

/// The file with its accounts.
const USERS: &str = "users";

/// The server behind it.
#[derive(Debug, PartialEq, Eq)]
struct Upstream<'a> {
    user: &'a str,
    password: &'a str,
    host: &'a str,
    port: &'a str,
}

impl<'a> Upstream<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (_, rest) = url.split_once("://")?;
        let (login, rest) = rest.split_once('@')?;
        let (user, password) = login.split_once(':')?;
        let (host, port) = rest.split_once('/')?.0.split_once(':')?;
        Some(Self {
            user,
            password,
            host,
            port,
        })
    }
}

/// The tests connect to it as they do to PostgreSQL, so it takes the one parameter that their driver always sends.
fn settings(files: &Files, port: u16, behind: &Upstream<'_>) -> String {
    let Upstream {
        user,
        password,
        host,
        port: upstream,
    } = behind;
    format!(
        "[databases]\n* = host={host} port={upstream} user={user} password='{password}'\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir = {}\npidfile = {}\n\
         auth_type = md5\nauth_file = {}\nadmin_users = {USER}\n\
         pool_mode = transaction\ndefault_pool_size = 40\nmax_client_conn = 400\n\
         ignore_startup_parameters = extra_float_digits\n",
        files.sockets.display(),
        files.folder.join("pid").display(),
        files.folder.join(USERS).display(),
    )
}

#[cfg(test)]
mod tests {
    use super::Upstream;

    #[test]
    fn the_server_behind_it_is_read_from_a_url() {
        let expected = Upstream {
            user: "ann",
            password: "secret",
            host: "127.0.0.1",
            port: "5432",
        };
        assert_eq!(
            Upstream::of("postgres://ann:secret@127.0.0.1:5432/foxden?a=b"),
            Some(expected)
        );
        assert_eq!(Upstream::of("postgres://ann@127.0.0.1/foxden"), None);
    }
}
