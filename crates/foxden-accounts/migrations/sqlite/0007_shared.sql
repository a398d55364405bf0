-- What several processes on one register share with each other. All of it is short-lived; a process that is alone writes none of
-- it but the row that says that it is there.

CREATE TABLE process (
    -- Drawn by the process at its start.
    id   TEXT    NOT NULL PRIMARY KEY,
    -- Raised every second while the process sees another one.
    beat INTEGER NOT NULL,
    -- The number of the last row of counts that it wrote.
    seq  INTEGER NOT NULL
);

-- What processes counted, packed: 32 bytes for each kind of event and key.
CREATE TABLE shared_count (
    process TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    counts  BLOB    NOT NULL,
    PRIMARY KEY (process, seq)
);

-- What may be used once and was used: hashes of nonces and of answered questions.
CREATE TABLE used_once (
    id      BLOB    NOT NULL PRIMARY KEY,
    expires INTEGER NOT NULL
);
CREATE INDEX used_once_expires ON used_once (expires);

-- Where two devices of Sync 1.1 meet, as the key exchange packs it.
CREATE TABLE shared_value (
    name    TEXT    NOT NULL PRIMARY KEY,
    -- Drawn anew with each change. Who changes a value names the version that it has read.
    version INTEGER NOT NULL,
    content BLOB    NOT NULL,
    expires INTEGER NOT NULL
);
CREATE INDEX shared_value_expires ON shared_value (expires);
