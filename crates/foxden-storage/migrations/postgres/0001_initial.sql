-- Objects of Sync users. Times are hundredths of a second since 1970; sizes are bytes.
-- Each key begins with the user, so that the tables can be partitioned by it.

-- One row for each user with a write or a staged part. Writers lock it first.
CREATE TABLE sync_user (
    uid bigint PRIMARY KEY,
    -- The highest time of the user's writes; zero before the first.
    modified bigint NOT NULL,
    closed bigint NOT NULL,
    -- A random number of the last change: it tells whether a commit without an answer has happened.
    mark bigint NOT NULL,
    -- The next number of a collection or a batch.
    next_number bigint NOT NULL
);

CREATE TABLE sync_collection (
    uid bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    -- Its objects have this number. A collection that is deleted and created again has another one.
    number bigint NOT NULL,
    modified bigint NOT NULL,
    -- Objects and bytes of their payloads, including expired ones that are not removed.
    objects bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (uid, name)
);

CREATE TABLE sync_object (
    uid bigint NOT NULL,
    collection bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    modified bigint NOT NULL,
    expiry bigint,
    sortindex bigint,
    size integer NOT NULL,
    -- The size that the last write replaced, for the totals of that write; null in a row that was only inserted.
    replaced_size integer,
    parent_id bytea,
    predecessor_id bytea,
    payload bytea,
    PRIMARY KEY (uid, collection, id)
);
-- Payloads are encrypted: compression finds nothing in them.
ALTER TABLE sync_object ALTER COLUMN payload SET STORAGE EXTERNAL;
-- Each size is so; only statements that say it use this index. Others would, too, while the server has no statistics: it thinks that
-- finding an id in here is as quick as by the key, and reads the whole collection.
CREATE INDEX sync_object_modified ON sync_object (uid, collection, modified, id) WHERE size >= 0;
CREATE INDEX sync_object_expiry ON sync_object (expiry, uid) WHERE expiry IS NOT NULL;

CREATE TABLE sync_batch (
    uid bigint NOT NULL,
    number bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    collection text COLLATE "C" NOT NULL,
    opened bigint NOT NULL,
    ended bigint NOT NULL,
    parts bigint NOT NULL,
    objects bigint NOT NULL,
    bytes bigint NOT NULL,
    mark bigint NOT NULL,
    PRIMARY KEY (uid, number)
);
CREATE INDEX sync_batch_opened ON sync_batch (opened);
CREATE INDEX sync_batch_ended ON sync_batch (uid, number) WHERE ended = 1;

-- The patches of one request of a batch, encoded by the program.
CREATE TABLE sync_part (
    uid bigint NOT NULL,
    batch bigint NOT NULL,
    part bigint NOT NULL,
    patches bytea NOT NULL,
    PRIMARY KEY (uid, batch, part)
);
ALTER TABLE sync_part ALTER COLUMN patches SET STORAGE EXTERNAL;

-- Deleted collections whose objects are still to be removed.
CREATE TABLE sync_dropped (
    uid bigint NOT NULL,
    collection bigint NOT NULL,
    PRIMARY KEY (uid, collection)
);
