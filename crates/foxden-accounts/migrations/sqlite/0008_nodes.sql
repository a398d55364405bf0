-- What operators set for a node. Its rows in `nodes`, one for each service, share it; a node without a row has the defaults.
CREATE TABLE node_setting (
    node            TEXT    NOT NULL PRIMARY KEY,
    -- Whether its users move away as they come. A node with `nodes.backoff` alone merely takes no new ones.
    drains          INTEGER NOT NULL,
    -- Its share of new users: 100 is usual.
    weight          INTEGER NOT NULL,
    -- Seconds for which its clients are asked not to sync again; 0: they are not asked.
    backoff_seconds INTEGER NOT NULL
);
