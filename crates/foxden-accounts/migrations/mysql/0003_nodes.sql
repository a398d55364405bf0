-- What operators set for a node. The columns are those of SQLite, whose migration explains them.

CREATE TABLE IF NOT EXISTS node_setting (
    node VARCHAR(700) NOT NULL PRIMARY KEY,
    drains SMALLINT NOT NULL,
    weight BIGINT NOT NULL,
    backoff_seconds BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
