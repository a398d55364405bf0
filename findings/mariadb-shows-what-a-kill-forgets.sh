#!/usr/bin/env bash
# MariaDB without a binary log shows a transaction to others before it is in the redo log.
#
# Versions: MariaDB 10.11.19 (Debian 12, mariadb-server 1:10.11.19-0+deb12u1), strace 6.1.
# Behaviour: with innodb_flush_log_at_trx_commit = 1, one would expect that what a reader was shown survives a kill. But
# InnoDB ends a transaction in memory first, and writes its log then. A reader in between sees a row that is gone after
# the server was killed; the writer was told nothing. MySQL has a report (bug 74303); MariaDB's manual does not say it.
# With a binary log the transaction is in both logs before it ends, and a reader sees it only then.
# Here the write to the log takes three seconds longer, by strace.
#
# Seen:
#   without a binary log: the reader saw 1 row; after the kill there are 0
#   with a binary log: the reader saw 0 row; after the kill there are 0
set -euo pipefail
folder=$(mktemp -d)
trap 'kill -9 $(cat "$folder"/*/pid 2>/dev/null) 2>/dev/null || true; sleep 0.5; rm -rf "$folder"' EXIT

start() {
    mariadbd --no-defaults --user=root --datadir="$data" --socket="$data/socket" --pid-file="$data/pid" \
        --skip-networking --skip-name-resolve "$@" > "$data/log" 2>&1 &
    server=$!
    until ask 'SELECT 1' > /dev/null 2>&1; do sleep 0.1; done
}
ask() { mariadb --no-defaults --socket="$data/socket" --batch --skip-column-names --execute "$1"; }

try() {
    local name=$1
    shift
    data="$folder/${#name}"
    mkdir "$data"
    # A server that starts deletes the temporary tables of all servers in this folder.
    export TMPDIR=$data
    mariadb-install-db --no-defaults --user=root --datadir="$data" --skip-test-db > /dev/null 2>&1
    start "$@"
    ask 'CREATE DATABASE seen; CREATE TABLE seen.seen (a INT PRIMARY KEY) ENGINE = InnoDB'
    strace -f -q -o /dev/null -p "$server" -P "$data/ib_logfile0" \
        -e inject=pwrite64,pwritev,write:delay_enter=3000000 2> /dev/null &
    local tracer=$!
    sleep 1
    ask 'INSERT INTO seen.seen VALUES (1)' > /dev/null 2>&1 &
    local writer=$!
    sleep 1
    local before after
    before=$(ask 'SELECT count(*) FROM seen.seen')
    kill -9 "$server"
    wait "$server" "$writer" "$tracer" 2>/dev/null || true
    start "$@"
    after=$(ask 'SELECT count(*) FROM seen.seen')
    kill -9 "$server"
    wait "$server" 2>/dev/null || true
    echo "$name: the reader saw $before row; after the kill there are $after"
}

try 'without a binary log'
try 'with a binary log' --log-bin --sync-binlog=1
