#!/usr/bin/env bash
# PostgreSQL 16.2 looks a row up by its whole primary key in another index, which it then reads from end to end, as long as the table has
# no statistics; and it keeps doing so after the rows have come.
#
# The table has the key (user, collection, id) and a second index (user, collection, time, id), as any table with a feed of changes
# has. A prepared statement gives user, collection and id, so a look in the unique index reads three or four pages. Without statistics
# the planner takes either index for equally good, because all three columns are in both, and prefers the one that was made later.
# There the id stands behind the time: every entry of the collection is read for each row. The generic plan that was made while the
# table was empty stays, so a first upload gets slower with each object, until ANALYZE runs. Autovacuum does that by itself, a minute or
# more after the rows have come; here it is off, so that the output is the same each time.
#
# Foxden's index by time has a condition that holds for every row and that only its own statements repeat
# (foxden-storage/migrations/postgres/0001_initial.sql).
#
# Seen, as the index that is read and the pages of it:
#   empty when planned: by_time, more than 100 pages
#   after ANALYZE: by_key, at most 5 pages
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
"${as[@]}" "$programs/postgres" -D data/db -k "$folder/data" -c listen_addresses= -c autovacuum=off > data.log 2>&1 &
server=$!
sql() { "$programs/psql" -h "$folder/data" -U ann -d postgres -v ON_ERROR_STOP=1 -At "$@"; }
for _ in $(seq 100); do
    sql -c 'SELECT 1' > /dev/null 2>&1 && break
    sleep 0.1
done

cat > seen.sql <<'END'
CREATE TABLE item (person bigint, collection bigint, id text, time bigint, size integer);
CREATE UNIQUE INDEX by_key ON item (person, collection, id);
CREATE INDEX by_time ON item (person, collection, time, id);
PREPARE find AS SELECT size FROM item WHERE person = $1 AND collection = $2 AND id = $3;
EXECUTE find(1, 1, 'a'); EXECUTE find(1, 1, 'a'); EXECUTE find(1, 1, 'a');
EXECUTE find(1, 1, 'a'); EXECUTE find(1, 1, 'a'); EXECUTE find(1, 1, 'a');
INSERT INTO item SELECT 1, 1, 'id' || number, number, 300 FROM generate_series(1, 30000) number;
EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off, SUMMARY off) EXECUTE find(1, 1, 'id15000');
ANALYZE item;
EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off, SUMMARY off) EXECUTE find(1, 1, 'id15000');
END
sql -q -f seen.sql > seen.txt
sql -c 'SHOW server_version'
grep -E -A 1 'Index Scan' seen.txt
python3 - <<'END'
import re
text = open("seen.txt").read()
scans = re.findall(r"Index Scan using (\w+)[^\n]*\n.*?Buffers: shared ([^\n]*)", text, re.S)
indexes = [index for index, _ in scans]
pages = [sum(map(int, re.findall(r"(?:hit|read)=(\d+)", counts))) for _, counts in scans]
assert indexes == ["by_time", "by_key"], indexes
assert pages[0] > 100 and pages[1] <= 5, pages
END
echo "as described"
