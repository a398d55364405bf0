#!/usr/bin/env bash
# The pool of sqlx 0.9.0 asks each connection that is given back whether it is still there: two round trips for one query.
#
# `test_before_acquire(false)` is documented to leave out the question before a connection is handed out, and a program that
# sets it expects one round trip for one small query. But the connection is asked when it is dropped, too, by a task in the
# background; no option leaves that out, and with one connection the next query waits for it. Counted by a proxy between the
# program and PostgreSQL 16, as the number of times that the client speaks after the server has: 20 for ten queries by a pool,
# 10 for ten queries on a connection of one's own.
#
# Foxden keeps connections by itself (foxden-sql/src/server/pool.rs): those that are known to be fit are given back, all
# others are closed. Its tests count round trips.
#
# Seen:
#   a pool: 20
#   a connection: 10
set -euo pipefail
folder=$(mktemp -d)
trap '[ -z "${server:-}" ] || kill "$server" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
chmod 755 "$folder"
cd "$folder"

# A PostgreSQL that needs no installation. It refuses to run as root.
python3 -m venv venv
venv/bin/pip install -q pip==24.0 > /dev/null
venv/bin/pip download -q --no-deps --only-binary :all: --python-version 3.11 pgserver==0.1.4
venv/bin/python -m zipfile -e pgserver-*.whl wheel
chmod -R a+rX wheel
chmod a+x wheel/pgserver/pginstall/bin/*
mkdir data
as=()
if [ "$(id -u)" = 0 ]; then
    chown nobody data
    as=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
fi
programs=$folder/wheel/pgserver/pginstall/bin
"${as[@]}" "$programs/initdb" -D data/db -U ann -A trust -N > /dev/null
port=$((20000 + RANDOM % 20000))
"${as[@]}" "$programs/postgres" -D data/db -p "$port" -k "" -c listen_addresses=127.0.0.1 > data.log 2>&1 &
server=$!

mkdir src
cat > Cargo.toml <<'END'
[package]
name = "seen"
version = "0.0.0"
edition = "2021"

[dependencies]
sqlx = { version = "=0.9.0", default-features = false, features = ["postgres", "runtime-tokio"] }
tokio = { version = "=1.54.1", features = ["rt", "net", "macros", "time", "io-util"] }
END
cat > src/main.rs <<'END'
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection, Executor, PgConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Carries bytes both ways, and counts how often the client speaks after the server.
async fn carry(mut client: TcpStream, mut server: TcpStream, turns: Arc<AtomicU32>) {
    let (mut question, mut answer) = (vec![0; 65536], vec![0; 65536]);
    let mut is_asking = false;
    loop {
        tokio::select! {
            read = client.read(&mut question) => {
                let Ok(count @ 1..) = read else { return };
                if !std::mem::replace(&mut is_asking, true) {
                    turns.fetch_add(1, Ordering::SeqCst);
                }
                server.write_all(&question[..count]).await.unwrap();
            }
            read = server.read(&mut answer) => {
                let Ok(count @ 1..) = read else { return };
                is_asking = false;
                if client.write_all(&answer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let server: u16 = std::env::args().nth(1).unwrap().parse().unwrap();
    for _ in 0..100 {
        if TcpStream::connect(("127.0.0.1", server)).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let turns = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&turns);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let upstream = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            tokio::spawn(carry(client, upstream, Arc::clone(&counted)));
        }
    });
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username("ann")
        .database("postgres")
        .ssl_mode(PgSslMode::Disable);
    let settled = || tokio::time::sleep(Duration::from_millis(300));

    let pool = PgPoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await
        .unwrap();
    // The first query prepares the statement.
    pool.execute(sqlx::query("SELECT 1")).await.unwrap();
    settled().await;
    turns.store(0, Ordering::SeqCst);
    for _ in 0..10 {
        pool.execute(sqlx::query("SELECT 1")).await.unwrap();
    }
    settled().await;
    println!("a pool: {}", turns.swap(0, Ordering::SeqCst));

    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    connection.execute(sqlx::query("SELECT 1")).await.unwrap();
    settled().await;
    turns.store(0, Ordering::SeqCst);
    for _ in 0..10 {
        connection.execute(sqlx::query("SELECT 1")).await.unwrap();
    }
    settled().await;
    println!("a connection: {}", turns.load(Ordering::SeqCst));
}
END
timeout 900 cargo run -q -- "$port" > seen
cat seen
printf 'a pool: 20\na connection: 10\n' | diff - seen
echo "as described"
