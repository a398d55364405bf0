-- Each change of credentials raises this counter in its own transaction and takes its number. So numbers have no gaps and
-- rise in the order of commits, which a sequence of the database promises nowhere: it keeps the number of a transaction that
-- was taken back, and a transaction that commits late may have a low one.
CREATE TABLE change_counter (
    -- The only row has 1.
    id  INTEGER NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL
);
INSERT INTO change_counter (id, seq)
    SELECT 1, COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'credential_change';

CREATE TABLE numbered_change (
    seq   INTEGER NOT NULL PRIMARY KEY,
    -- A hash of the account's id: the account may be gone, and then nothing of it stays. NULL: the change concerns all
    -- accounts.
    alias TEXT,
    at    INTEGER NOT NULL
);
INSERT INTO numbered_change (seq, alias, at) SELECT seq, alias, at FROM credential_change;
DROP TABLE credential_change;
ALTER TABLE numbered_change RENAME TO credential_change;
CREATE INDEX credential_change_at ON credential_change (at);
