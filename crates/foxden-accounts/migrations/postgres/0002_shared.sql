-- What several processes share. The columns are those of SQLite, whose migration explains them.

CREATE TABLE process (
    id   TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    beat BIGINT NOT NULL,
    seq  BIGINT NOT NULL
);

CREATE TABLE shared_count (
    process TEXT COLLATE "C" NOT NULL,
    seq     BIGINT NOT NULL,
    counts  BYTEA  NOT NULL,
    PRIMARY KEY (process, seq)
);

CREATE TABLE used_once (
    id      BYTEA  NOT NULL PRIMARY KEY,
    expires BIGINT NOT NULL
);
CREATE INDEX used_once_expires ON used_once (expires);

CREATE TABLE shared_value (
    name    TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    content BYTEA  NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX shared_value_expires ON shared_value (expires);
