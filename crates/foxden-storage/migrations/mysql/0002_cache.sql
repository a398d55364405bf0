-- What the processes of the store have agreed on about a cache: one row. Record 41 says how.
CREATE TABLE IF NOT EXISTS sync_cache (
    one bigint NOT NULL PRIMARY KEY,
    -- Rises with each change.
    version bigint NOT NULL,
    -- 0: no cache; 1: one is announced; 2: in use; 3: no more, but processes that have not looked may still use it.
    phase bigint NOT NULL,
    -- A random number: entries of another epoch are not used.
    epoch bigint NOT NULL,
    -- 0: none; 1: in the memory of one process; 2: Redis; 3: memcached.
    cache bigint NOT NULL
) ENGINE = InnoDB;

INSERT IGNORE INTO sync_cache (one, version, phase, epoch, cache) VALUES (1, 0, 0, 0, 0);
