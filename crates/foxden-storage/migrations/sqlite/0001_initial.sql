-- How many files the folder was made with, and which of them this is. Never changes.
create table place (
    files  integer not null,
    number integer not null
) strict;

-- The highest time given to a user by something that is no longer listed. The highest time of all is
-- the greater of this and the times of the user's collections.
create table store (
    uid      integer primary key,
    modified integer not null
) strict;

-- One row for each collection a user sees. A collection that is made anew gets a new owner, so what
-- the old one held is out of sight at once.
create table collection (
    owner    integer primary key autoincrement,
    uid      integer not null,
    name     text    not null,
    modified integer not null,
    count    integer not null,
    bytes    integer not null
) strict;
create unique index collection_name on collection (uid, name);

-- Times are hundredths of a second. The payload comes last, so that a row's head is read without it.
create table object (
    row            integer primary key,
    owner          integer not null,
    id             text    not null,
    modified       integer not null,
    sortindex      integer,
    expiry         integer,
    parent_id      text,
    predecessor_id text,
    payload        text    not null
) strict;
create unique index object_id on object (owner, id);
create index object_modified on object (owner, modified);
create index object_expiry on object (expiry) where expiry is not null;

-- Owners whose objects wait to be removed.
create table dropped (
    owner integer primary key
) strict;

-- Uploads in several requests. Without a uid: ended, and waits to be removed.
create table batch (
    key        integer primary key autoincrement,
    uid        integer,
    name       text    not null,
    collection text    not null,
    opened     integer not null,
    objects    integer not null,
    bytes      integer not null
) strict;
create unique index batch_name on batch (uid, name);

-- One request's patches, in one piece; rows of one batch count in the order of their numbers.
create table part (
    number  integer primary key,
    batch   integer not null,
    patches blob    not null
) strict;
create index part_batch on part (batch);
