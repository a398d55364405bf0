-- Resets begun for addresses that no account has, and the eight digits of such. Whoever may not be told who is here gets the
-- same answers, for as long, as for an address that has one. Nothing in a row leads back to the address.
CREATE TABLE reset_of_nobody (
    id_hash  TEXT    NOT NULL PRIMARY KEY,
    -- Of the credential that names the reset, or of the digits.
    kind     TEXT    NOT NULL,
    auth_key BLOB    NOT NULL,
    -- An account's id that follows from the address. No account has it.
    uid      TEXT    NOT NULL,
    tries    INTEGER NOT NULL,
    expires  INTEGER NOT NULL,
    -- Counts writes that stand for those that an account would have: a code, a letter, an event.
    writes   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX reset_of_nobody_uid ON reset_of_nobody (uid, expires);
CREATE INDEX reset_of_nobody_expires ON reset_of_nobody (expires, id_hash);
