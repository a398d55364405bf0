#!/usr/bin/env bash
# SQLite takes the write lock to set auto_vacuum to what it is already.
#
# Versions: SQLite 3.53.2 (in apsw 3.53.2.0, PyPI), any Linux.
# Behaviour: a program that opens a database sends its settings again, as they are for the connection. Most change nothing in
# the file and pass beside a writer; journal_mode=wal does, though it lies in the file, where the file has it already.
# auto_vacuum=incremental does not: on a file that has it already it begins a write, so the second process that opens the
# database fails with "database is locked", or waits for as long as its busy timeout says, while the first one writes.
# Output seen: "journal_mode: passes", "auto_vacuum: database is locked", "asked first: incremental already".
# Foxden sets it for a file that is still empty, and for no other.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apsw==3.53.2.0
cat > seen.py <<'PYTHON'
import apsw

def rows(connection, statement):
    return connection.execute(statement).fetchall()

first = apsw.Connection("file.db")
for statement in ("pragma auto_vacuum=incremental", "pragma journal_mode=wal", "create table t (x)"):
    rows(first, statement)
rows(first, "begin immediate")
rows(first, "insert into t values (1)")

second = apsw.Connection("file.db")
for name, value in (("journal_mode", "wal"), ("auto_vacuum", "incremental")):
    try:
        rows(second, f"pragma {name}={value}")
        print(f"{name}: passes")
    except apsw.BusyError as error:
        print(f"{name}: {error}")
if rows(second, "pragma auto_vacuum") == [(2,)]:
    print("asked first: incremental already")
PYTHON
timeout 60 venv/bin/python seen.py | tee seen
diff seen - <<'SEEN'
journal_mode: passes
auto_vacuum: database is locked
asked first: incremental already
SEEN
