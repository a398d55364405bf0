//! Two processes on one database server behind a balancer, which leads each browser to a process of its own.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use foxden_sql::testing::{TestNamespace, TestServer};
use serde_json::{Value, json};

use super::account::{sign_in_again, until_login_failed};
use crate::page::Person;
use crate::process::{Process, free_port, wait_for};
use crate::requests::{count, count_status};
use crate::server::Server;
use crate::test_context::{TestContext, point_to, scenario};
use crate::{data, settings, sync};

/// A browser with this preference sends `Sec-GPC: 1` with every request, by which the balancer knows it.
const MARK: &str = "privacy.globalprivacycontrol.enabled";

/// Whether that preference is synced. It would be, and the second browser would lose it.
const MARK_IS_SYNCED: &str = "services.sync.prefs.sync.privacy.globalprivacycontrol.enabled";

const START_LIMIT: Duration = Duration::from_secs(20);

/// The second process and the balancer. The first process is the scenario's.
struct Several {
    /// Declared first, so that it ends before what it leads to.
    balancer: Process,
    second: Server,
    database: TestNamespace,
}

impl Several {
    /// Moves the scenario's server, which has no data yet, to a database of its own, and starts another beside it.
    fn start(test: &mut TestContext, database: TestServer) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let database = runtime.block_on(database.fresh("browsers"));
        let database = database.context("cargo xtask test starts a server")?;
        for name in ["FOXDEN__STORAGE__URL", "FOXDEN__ACCOUNTS__URL"] {
            test.server.set(name, database.url());
        }
        test.server
            .set("FOXDEN__MASTER_SECRET", &"a secret of both ".repeat(3));
        let port = free_port()?;
        test.server.move_behind(&format!("http://127.0.0.1:{port}"))?;
        let second = test.server.start_another(&test.folder().join("second"))?;
        let balancer = balance(test.folder(), port, &test.server, &second)?;
        test.b.set_pref(MARK, json!(true))?;
        for browser in [&mut test.a, &mut test.b] {
            browser.set_pref(MARK_IS_SYNCED, json!(false))?;
            point_to(browser, &test.server.url)?;
        }
        Ok(Self {
            balancer,
            second,
            database,
        })
    }

    /// Resets the browsers for other scenarios, and ends what was started.
    fn end(self, test: &mut TestContext) -> Result<()> {
        test.b.set_pref(MARK, Value::Null)?;
        for browser in [&mut test.a, &mut test.b] {
            browser.set_pref(MARK_IS_SYNCED, Value::Null)?;
        }
        drop(self.balancer);
        drop(self.second);
        test.server.stop();
        drop(self.database);
        Ok(())
    }
}

/// `HAProxy` at this port; requests with the mark go to the second server, all others to the first.
fn balance(folder: &Path, port: u16, first: &Server, second: &Server) -> Result<Process> {
    let text = format!(
        "defaults\n    mode http\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n\
         frontend sync\n    bind 127.0.0.1:{port}\n    use_backend second if {{ req.hdr(Sec-GPC) 1 }}\n    \
         default_backend first\n\
         backend first\n    server first {}\nbackend second\n    server second {}\n",
        first.address(),
        second.address()
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text)?;
    // Debian keeps it where only root looks by itself.
    let mut command = Command::new("/usr/sbin/haproxy");
    command.args(["-db", "-f"]).arg(&file);
    let process = Process::start(&command, &folder.join("haproxy.log"))?;
    wait_for("HAProxy to listen", START_LIMIT, || {
        Ok(TcpStream::connect(("127.0.0.1", port)).ok())
    })?;
    Ok(process)
}

/// What one browser writes through one process, the other reads through the other one, both ways. A password that is
/// changed at the one is asked for at the other.
fn browsers_at_two_processes_share_everything(name: &str, database: TestServer) -> Result<()> {
    scenario(name, |test| {
        let several = Several::start(test, database)?;
        let mut ann = Person::ann();
        test.sign_up_in_a(&ann)?;
        data::add_bookmark(&mut test.a, "https://example.org/made-in-a")?;
        data::visit(&mut test.a, "https://example.org/visited-in-a")?;
        data::add_login(&mut test.a, "https://example.org", "ann", "kept in a")?;
        let page = format!("{}/docs/errors", test.server.url);
        test.a.marionette.navigate(&page)?;
        sync::sync_well(&mut test.a)?;
        ensure!(
            count(&several.second.requests()?, "POST", "/v1/account/create") == 0,
            "the first browser was led to the second process"
        );
        let before = test.server.requests()?.len();
        test.sign_in_in_b(&ann)?;

        sync::sync_until(&mut test.b, "the bookmark", |b| {
            data::has_bookmark(b, "https://example.org/made-in-a")
        })?;
        sync::sync_until(&mut test.b, "the visit", |b| {
            data::was_visited(b, "https://example.org/visited-in-a")
        })?;
        sync::sync_until(&mut test.b, "the password", |b| {
            Ok(data::login(b, "https://example.org", "ann")? == "kept in a")
        })?;
        sync::sync_until(&mut test.b, "the open tab", |b| data::has_remote_tab(b, &page))?;
        data::add_bookmark(&mut test.b, "https://example.org/made-in-b")?;
        sync::sync_well(&mut test.b)?;
        sync::sync_until(&mut test.a, "the bookmark", |a| {
            data::has_bookmark(a, "https://example.org/made-in-b")
        })?;
        assert_eq!(sync::store(&mut test.a)?, sync::store(&mut test.b)?);
        for browser in [&mut test.a, &mut test.b] {
            assert_eq!(sync::devices(browser)?.len(), 2);
        }
        are_apart(&test.server, before, &several.second)?;

        settings::open(&mut test.a, &test.server.url)?;
        settings::change_password(&mut test.a, &mut ann)?;
        sync::sync_well(&mut test.a)?;
        until_login_failed(&mut test.b)?;
        sign_in_again(&mut test.b, &test.server, &ann)?;
        data::add_bookmark(&mut test.b, "https://example.org/made-afterwards")?;
        sync::sync_well(&mut test.b)?;
        sync::sync_until(&mut test.a, "the bookmark of later", |a| {
            data::has_bookmark(a, "https://example.org/made-afterwards")
        })?;
        several.end(test)
    })
}

/// Each browser has used its own process alone: the second one signed in and wrote at the second process.
fn are_apart(first: &Server, before: usize, second: &Server) -> Result<()> {
    let (at_first, at_second) = (first.requests_since(before)?, second.requests()?);
    for (path, status) in [("/v1/account/login", 200), ("/1.5/*/storage/bookmarks", 200)] {
        ensure!(count_status(&at_second, "POST", path, status) > 0, "{path}");
    }
    ensure!(
        count(&at_first, "POST", "/v1/account/login") == 0,
        "it signed in at the first"
    );
    ensure!(
        count(&at_first, "GET", "/1.5/*/info/collections") > 0,
        "the first is not used"
    );
    Ok(())
}

#[test]
#[ignore = "needs Firefox and a server; cargo xtask test runs it"]
fn browsers_at_two_processes_on_postgres_share_everything() -> Result<()> {
    browsers_at_two_processes_share_everything("several-postgres", TestServer::Postgres)
}

#[test]
#[ignore = "needs Firefox and a server; cargo xtask test runs it"]
fn browsers_at_two_processes_on_mariadb_share_everything() -> Result<()> {
    browsers_at_two_processes_share_everything("several-mariadb", TestServer::Mariadb)
}
