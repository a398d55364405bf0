-- What operators set for a node. The columns are those of SQLite, whose migration explains them.

CREATE TABLE node_setting (
    node            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    drains          SMALLINT NOT NULL,
    weight          BIGINT   NOT NULL,
    backoff_seconds BIGINT   NOT NULL
);
