-- What several processes share. The columns are those of SQLite, whose migration explains them.

CREATE TABLE IF NOT EXISTS process (
    id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    beat BIGINT NOT NULL,
    seq BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS shared_count (
    process VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    seq BIGINT NOT NULL,
    counts MEDIUMBLOB NOT NULL,
    PRIMARY KEY (process, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS used_once (
    id VARBINARY(16) NOT NULL PRIMARY KEY,
    expires BIGINT NOT NULL,
    INDEX used_once_expires (expires)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS shared_value (
    name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    content MEDIUMBLOB NOT NULL,
    expires BIGINT NOT NULL,
    INDEX shared_value_expires (expires)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
