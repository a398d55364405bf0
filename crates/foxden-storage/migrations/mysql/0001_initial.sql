-- Objects of Sync users. Times are hundredths of a second since 1970; sizes are bytes.
-- Each key begins with the user, so that the tables can be partitioned by it.
-- Texts are stored as bytes: collations would treat different texts as equal.

-- One row for each user with a write or a staged part. Writers lock it first.
CREATE TABLE IF NOT EXISTS sync_user (
    uid bigint NOT NULL PRIMARY KEY,
    -- The highest time of the user's writes; zero before the first.
    modified bigint NOT NULL,
    closed bigint NOT NULL,
    -- A random number of the last change: it tells whether a commit without an answer has happened.
    mark bigint NOT NULL,
    -- The next number of a collection or a batch.
    next_number bigint NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS sync_collection (
    uid bigint NOT NULL,
    name varbinary(32) NOT NULL,
    -- Its objects have this number. A collection that is deleted and created again has another one.
    number bigint NOT NULL,
    modified bigint NOT NULL,
    -- Objects and bytes of their payloads, including expired ones that are not removed.
    objects bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (uid, name)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS sync_object (
    uid bigint NOT NULL,
    collection bigint NOT NULL,
    id varbinary(256) NOT NULL,
    modified bigint NOT NULL,
    expiry bigint,
    sortindex bigint,
    size int NOT NULL,
    parent_id blob,
    predecessor_id blob,
    payload mediumblob,
    PRIMARY KEY (uid, collection, id),
    KEY sync_object_modified (uid, collection, modified, id),
    KEY sync_object_expiry (expiry, uid)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS sync_batch (
    uid bigint NOT NULL,
    number bigint NOT NULL,
    name varbinary(64) NOT NULL,
    collection varbinary(32) NOT NULL,
    opened bigint NOT NULL,
    ended bigint NOT NULL,
    parts bigint NOT NULL,
    objects bigint NOT NULL,
    bytes bigint NOT NULL,
    mark bigint NOT NULL,
    PRIMARY KEY (uid, number),
    KEY sync_batch_opened (opened),
    KEY sync_batch_ended (ended)
) ENGINE = InnoDB;

-- The patches of one request of a batch, encoded by the program.
CREATE TABLE IF NOT EXISTS sync_part (
    uid bigint NOT NULL,
    batch bigint NOT NULL,
    part bigint NOT NULL,
    patches longblob NOT NULL,
    PRIMARY KEY (uid, batch, part)
) ENGINE = InnoDB;

-- Deleted collections whose objects are still to be removed.
CREATE TABLE IF NOT EXISTS sync_dropped (
    uid bigint NOT NULL,
    collection bigint NOT NULL,
    PRIMARY KEY (uid, collection)
) ENGINE = InnoDB;
