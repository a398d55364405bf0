-- Doors that see the plain password, the stores of old clients, and more than one node.

-- Whoever remembers proven passwords reads here which accounts to forget: another password, switched off or on,
-- removed, another name, another store. Rows are only added, and cleared up when nobody can need them any more.
CREATE TABLE credential_change (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    -- A hash of the account's id: the account may be gone, and then nothing of it stays.
    alias TEXT    NOT NULL,
    at    INTEGER NOT NULL
);
CREATE INDEX credential_change_at ON credential_change (at);

INSERT INTO services (service, pattern) VALUES ('sync-1.1', '{node}/1.1/{uid}');

-- Whether the configuration names the node: one it no longer names keeps its users and takes no new ones.
ALTER TABLE nodes ADD COLUMN is_listed INTEGER NOT NULL DEFAULT 1;

-- The node on which the store is to be emptied.
ALTER TABLE closed_store ADD COLUMN nodeid INTEGER;
UPDATE closed_store SET nodeid = (SELECT id FROM nodes WHERE is_own = 1);
